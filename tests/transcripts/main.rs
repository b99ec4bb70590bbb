//! Plays the transcripts in `tests/transcripts/`: one file a rule, readable as documentation.
//!
//! A transcript runs the server's core with a virtual clock, a store that answers at once and
//! passwords that are compared in plain. Every line that the server says must be in the transcript.
//!
//! ```text
//! set KEY=VALUE          a setting, before anything else
//! login NAME             opens a link called NAME, logs in with the password `pw`, drops all that was said
//! open LINK [IP]         opens a link, from 192.0.2.1 or IP
//! LINK> TEXT             the client says TEXT; `$NAME` is a word kept before
//! LINK>> TEXT            the client says TEXT together with what it says next, in one write
//! LINK< TEXT             the server says TEXT; `*` is any word, `$NAME` one to keep
//! LINK~                  drops what the server has said to LINK
//! close LINK             the link is lost, both ways
//! end LINK               the client ends its stream; it still hears what is said
//! LINK closed            the server has closed LINK
//! wait SECONDS           time passes
//! store holds|commits|refuses      records wait | become durable | are refused from now on
//! store syncs            the records that wait become durable; later ones wait
//! mail holds|answers     stored mail waits to be loaded | is loaded
//! hashing holds|answers  passwords wait to be compared or hashed | are
//! file NAME[=PASSWORD]…  what the credentials file holds from now on
//! reload [KEY=VALUE]…    the operator reloads the file and the settings, with these changed
//! acks                   clients acknowledge every message at once (they do not, at first)
//! operator announces TEXT       what an operator has done; refused with CODE if it ends with `! CODE`
//! operator keeps TEXT          said to all, and kept for those who are away
//! operator withdraws NUMBER
//! operator kicks NAME [TEXT]
//! operator unlocks NAME
//! operator mutes|bans|disables NAME [SECONDS]
//! operator invites CODE [ACCOUNTS [SECONDS [NAME]]]
//! operator revokes NUMBER
//! operator reads QUESTION: LINE [| LINE]…    status, sessions, restraints, announcements, invites
//! operator unmutes|unbans|enables NAME       also bans|unbans ADDRESS[/LENGTH]
//! shell hears NAME ORDER         what the user NAME has ordered
//! shell answers LINE [| LINE]…   the oldest order was obeyed; `refuses`: it was not
//! stop                   the operator stops the server
//! restart                the server crashes and starts again with what is durable
//! ```

mod questions;
mod script;
mod stage;
mod store;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use hobnob::server::Settings;

use crate::stage::Stage;

fn play(path: &Path) {
    let text = std::fs::read_to_string(path).expect("readable");
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let (settings_lines, acts): (Vec<_>, Vec<_>) = lines.partition(|(_, line)| line.starts_with("set "));
    let mut settings = Settings { hashing_threads: 4, ..Settings::default() };
    for (_, line) in settings_lines {
        let (key, value) = line["set ".len()..].split_once('=').expect("KEY=VALUE");
        script::set(&mut settings, key, value);
    }
    let mut stage = Stage::new(settings);
    for (number, line) in acts {
        let performed = catch_unwind(AssertUnwindSafe(|| script::perform(&mut stage, line)));
        if let Err(cause) = performed {
            eprintln!("{}:{}: {line}", path.display(), number + 1);
            resume_unwind(cause);
        }
    }
    stage.nothing_unsaid();
}

#[test]
fn transcripts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    assert!(paths.len() >= 20, "only {} transcripts", paths.len());
    let failed: Vec<_> = paths
        .into_iter()
        .filter(|path| catch_unwind(|| play(path)).is_err())
        .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
