//! `export`: all that is kept about a user.

use std::io::{self, BufWriter, Write as _};

use serde_json::{Value, json};

use super::CommandError;
use crate::shell::credentials;
use crate::shell::server::setup::config::Sources;
use crate::shell::store;
use crate::shell::visible::json_line;
use crate::words::Name;

/// `export USER`: prints all that is kept about a user, one object a line, without anything that a password or a token
/// could be guessed by. Works beside a running server, which has on the disk what it has confirmed.
///
/// # Errors
/// [`CommandError`]; nothing is kept about anybody of that name.
pub fn export(sources: &Sources, name: &str) -> Result<(), CommandError> {
    let settings = sources.load()?;
    let unknown = || CommandError::UnknownUser { name: name.to_string() };
    let user = Name::new(name).map_err(|_| unknown())?;
    let accounts = credentials::read(&settings.credentials)?.file.into_accounts();
    let has_account = accounts.iter().any(|(name, _)| *name == user);
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut print = |object: &Value| writeln!(stdout, "{}", json_line(object)).is_ok();
    let account = json!({ "kind": "account", "user": user.as_str(), "has_account": has_account });
    let mut told = false;
    let mut wanted = true;
    if has_account {
        (told, wanted) = (true, print(&account));
    }
    if wanted && !settings.ephemeral && store::is_there(&settings.data) {
        let take = |object: Value| {
            let first = std::mem::replace(&mut told, true) || print(&account);
            // Whoever reads may stop; that is no error.
            first && print(&object)
        };
        store::export(&settings.data, &user, settings.core.mailbox_days, take)
            .map_err(CommandError::Export)?;
    }
    let _ = stdout.flush();
    if told { Ok(()) } else { Err(unknown()) }
}
