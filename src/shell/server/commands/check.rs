//! `check`: what a start would find. It makes nothing.

use super::{CommandError, print};
use crate::shell::credentials::{self, CredentialsError};
use crate::shell::server::log::Sink;
use crate::shell::server::setup::config::{Origin, Sources};
use crate::shell::server::setup::identity;
use crate::shell::server::setup::reload::ReloadError;
use crate::shell::server::setup::settings::{SETTINGS, Settings};
use crate::shell::server::shortages::{self, Disk};
use crate::shell::store;
use crate::shell::visible::visible;

/// `check`: validates settings, credentials and store, and prints a summary of each.
///
/// # Errors
/// [`CommandError`] says what is not.
pub fn check(sources: &Sources) -> Result<(), CommandError> {
    let settings = list_settings(sources)?;
    settings.guard_plaintext(settings.bind)?;
    if !settings.plaintext {
        identity::own(&settings).map_err(ReloadError::from)?;
    }
    Sink::examine(&settings.log).map_err(ReloadError::from)?;
    let accounts = credentials::read(&settings.credentials)?;
    for warning in &accounts.warnings {
        tracing::warn!("{warning}");
    }
    // The store is checked below, so whether it remembers anybody is not known here.
    let accepted = accounts.file.accept(settings.core.registration, false);
    let list = accepted.map_err(|refusal| CredentialsError::refused(refusal, &settings.credentials))?;
    print([format!("accounts        {}", list.len())]);
    for name in store::noted(&settings.data)? {
        print([format!("to be forgotten {}", visible(name.as_str()))]);
    }
    check_store(&settings)
}

/// Prints the settings, `NAME=VALUE` a line, below where they come from: those of options first, for they win.
fn list_settings(sources: &Sources) -> Result<Settings, CommandError> {
    let marked = sources.load_marked()?;
    let file = sources.config_file().unwrap_or_default();
    for (origin, heading) in [
        (Origin::Option, "# set by an option".to_owned()),
        (Origin::Environment, "# set by the environment".to_owned()),
        (Origin::File, format!("# set by {}", visible(&file.to_string_lossy()))),
        (Origin::Default, "# default".to_owned()),
    ] {
        let mut lines = Vec::new();
        for setting in SETTINGS.iter().filter(|setting| marked.origin(setting) == origin) {
            lines.push(format!("{}={}", setting.name, setting.show(&marked.settings)));
        }
        if !lines.is_empty() {
            print([heading].into_iter().chain(lines));
        }
    }
    Ok(marked.settings)
}

fn check_store(settings: &Settings) -> Result<(), CommandError> {
    let data = &settings.data;
    let folder = visible(&data.to_string_lossy()).to_string();
    if settings.ephemeral {
        print(["store           none: an ephemeral server keeps nothing"]);
        return Ok(());
    }
    if !store::is_there(data) {
        let what = if data.is_dir() { "no store in" } else { "there is no data folder" };
        print([format!("store           none: {what} {folder}; a start makes it")]);
        return Ok(());
    }
    let report = store::check(data).map_err(CommandError::Check)?;
    print([&report]);
    let disk = Disk::of(data).ok();
    print(disk.map(|disk| format!("disk            {disk}")));
    let short = shortages::find(settings, report.bytes, disk);
    print(short.into_iter().flatten().map(|shortage| format!("WARNING         {shortage}")));
    if report.is_sound() { Ok(()) } else { Err(CommandError::NotSound { folder }) }
}
