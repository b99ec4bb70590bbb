//! `hobnob-server invite`: has a running server make an invite, and prints what whoever is invited types.

use std::io::{self, Write as _};

use qrcodegen::{QrCode, QrCodeEcc};
use serde_json::Value;

use super::commands::print;
use super::ctl::{CtlError, have_done};
use super::setup::config::Sources;
use crate::shell::visible::{json_line, visible};

/// How an invite is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The line to type.
    Line,
    /// The same, and as a QR code.
    LineAndCode,
    /// As an object.
    Json,
}

impl Shown {
    /// As two options say.
    #[must_use]
    pub const fn of(json: bool, qr: bool) -> Shown {
        match (json, qr) {
            (true, _) => Shown::Json,
            (false, true) => Shown::LineAndCode,
            (false, false) => Shown::Line,
        }
    }
}

/// Has an invite made: for this name only, for so many accounts, and good for so long. The line goes to standard
/// output, and what there is to know about it to standard error.
///
/// # Errors
/// [`CtlError`]
pub fn invite(
    sources: &Sources,
    name: Option<&str>,
    uses: u32,
    expires: &str,
    shown: Shown,
) -> Result<(), CtlError> {
    let name = name.map(|name| format!(" {name}")).unwrap_or_default();
    have_done(sources, &format!("invite {uses} {expires}{name}"), |answer| match shown {
        Shown::Json => print([json_line(answer)]),
        Shown::Line | Shown::LineAndCode if answer["ok"] != true => {}
        Shown::Line => show(answer),
        Shown::LineAndCode => {
            show(answer);
            print(qr_code(said(answer)));
        }
    })
}

fn said(answer: &Value) -> &str {
    answer["join"].as_str().unwrap_or_default()
}

fn show(answer: &Value) {
    print([visible(said(answer))]);
    // Nobody may read it.
    let _ = writeln!(io::stderr(), "{}", about(answer));
}

/// For the operator, who passes the line on.
fn about(answer: &Value) -> String {
    let number = &answer["invite"];
    let accounts = match answer["uses"].as_u64() {
        Some(1) => "one account".to_owned(),
        uses => format!("{} accounts", uses.unwrap_or_default()),
    };
    let name = answer["name"].as_str().map(|name| format!(" {}", visible(name))).unwrap_or_default();
    let until = answer["until"].as_str().unwrap_or("its end");
    let mut about = format!(
        "invite {number}: for {accounts}{name}, until {until}; end it: hobnob-server invite --revoke {number}"
    );
    if is_nowhere(said(answer)) {
        about +=
            "\nOthers do not reach the server by this address: the setting advertise says by which they do";
    }
    about
}

/// Whether the line names an address that means every address of this machine, or this machine only.
fn is_nowhere(said: &str) -> bool {
    let server =
        said.split_whitespace().nth(2).and_then(|link| link.split_once('/')).map(|(server, _)| server);
    let address = server.and_then(|server| server.parse::<std::net::SocketAddr>().ok());
    address.is_some_and(|address| address.ip().is_unspecified() || address.ip().is_loopback())
}

/// A QR code in block characters, two rows a line, dark on light whatever the terminal's colours are: with the quiet
/// zone that readers need. None for a text that is too long for one.
fn qr_code(text: &str) -> Vec<String> {
    const QUIET: i32 = 4;
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Low) else { return Vec::new() };
    let rows = (-QUIET..code.size() + QUIET).step_by(2);
    let row = |y: i32| {
        let cells =
            (-QUIET..code.size() + QUIET).map(|x| match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        // Black on white.
        format!("\x1b[30;47m{}\x1b[0m", cells.collect::<String>())
    };
    rows.map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whoever_invites_reads_what_it_is_good_for() {
        let answer = |server: &str, uses| {
            json!({ "ok": true, "invite": 3, "uses": uses, "name": null, "until": "2026-11-30T08:00:00Z",
                "join": format!("hobnob join {server}/0123#SHA256:abc") })
        };
        assert_eq!(
            about(&answer("chat.example.org:4000", 1)),
            "invite 3: for one account, until 2026-11-30T08:00:00Z; end it: hobnob-server invite --revoke 3"
        );
        assert!(about(&answer("10.0.0.7:4000", 30)).contains("for 30 accounts, until"));
        for nowhere in ["0.0.0.0:4000", "[::]:4000", "127.0.0.1:4000"] {
            assert!(about(&answer(nowhere, 1)).contains("advertise"), "{nowhere}");
        }
    }

    #[test]
    fn a_qr_code_is_square_and_has_its_quiet_zone() {
        let lines = qr_code("hobnob join chat.example.org:4000/0123456789abcdef0123456789abcdef");
        let cells: Vec<&str> = lines
            .iter()
            .map(|line| {
                line.strip_prefix("\x1b[30;47m")
                    .and_then(|line| line.strip_suffix("\x1b[0m"))
                    .expect("colours")
            })
            .collect();
        let width = cells[0].chars().count();
        assert!(width.div_ceil(2) == cells.len() && width < 60, "{width} by {}", cells.len());
        assert!(cells.iter().all(|line| line.chars().count() == width && line.starts_with("    ")));
        assert!(cells[..2].iter().all(|line| line.trim().is_empty()));
        assert!(cells[2].trim_start().starts_with("█▀▀▀▀▀█"), "the finder of the corner: {}", cells[2]);
    }
}
