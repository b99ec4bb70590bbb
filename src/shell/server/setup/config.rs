//! Sources of settings, by precedence: options, environment, file, defaults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::settings::{Setting, Settings};
use crate::shell::client;
use crate::shell::visible::visible;

/// Prefix of the environment variables of settings.
const ENVIRONMENT_PREFIX: &str = "HOBNOB_";
/// The one variable with the prefix that is not a setting: the path of the settings file.
const CONFIG_VARIABLE: &str = "HOBNOB_CONFIG";

/// All sources of settings, kept so that they can be read again.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Settings given as options, in order; a later one wins.
    pub options: Vec<Given>,
    /// The variables of the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// `--config`
    pub config: Option<PathBuf>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The command line.
    Option,
    /// A variable.
    Environment,
    /// The settings file.
    File,
    /// Nobody has set it.
    Default,
}

/// Settings, and where each comes from.
#[derive(Debug, Clone, Default)]
pub struct Marked {
    /// The settings.
    pub settings: Settings,
    /// Of those that somebody has set.
    set: BTreeMap<&'static str, Origin>,
}

impl Marked {
    /// Where a setting comes from.
    #[must_use]
    pub fn origin(&self, setting: &Setting) -> Origin {
        self.set.get(setting.name).copied().unwrap_or(Origin::Default)
    }

    /// Sets a setting. `place` names its source, for errors.
    fn apply(&mut self, origin: Origin, place: &str, name: &str, value: &str) -> Result<(), ConfigError> {
        let Some(setting) = Setting::named(name) else {
            return Err(ConfigError::Unknown { origin: place.to_string(), name: name.to_string() });
        };
        if !setting.read(&mut self.settings, value) {
            return Err(ConfigError::BadValue {
                origin: place.to_string(),
                setting,
                value: value.to_string(),
            });
        }
        self.set.insert(setting.name, origin);
        Ok(())
    }
}

/// A setting given as an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// As it was typed: `--set`, `PORT`, …
    pub option: &'static str,
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

/// An error in the settings.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is no setting of this name.
    #[error("{origin}: unknown setting \"{}\"", visible(name))]
    Unknown {
        /// Where it was named.
        origin: String,
        /// The name.
        name: String,
    },
    /// The value is not valid for the setting.
    #[error("{origin}: \"{}\" is no value for {} (it takes: {})", visible(value), setting.name, setting.takes)]
    BadValue {
        /// Where it was named.
        origin: String,
        /// Which.
        setting: &'static Setting,
        /// The value.
        value: String,
    },
    /// An argument of `--set` is not of the form.
    #[error("--set {}: KEY=VALUE is wanted", visible(argument))]
    NoPair {
        /// The argument.
        argument: String,
    },
    /// The settings file cannot be read.
    #[error("{}: {why}", visible(&path.to_string_lossy()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        why: io::Error,
    },
    /// The settings file is not valid TOML.
    #[error("{}:{line}: {}", visible(&path.to_string_lossy()), visible(why))]
    NoToml {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
}

impl Given {
    /// Parses the argument of `--set`.
    ///
    /// # Errors
    /// [`ConfigError::NoPair`].
    pub fn pair(argument: &str) -> Result<Given, ConfigError> {
        let no_pair = || ConfigError::NoPair { argument: argument.to_string() };
        let (name, value) = argument.split_once('=').ok_or_else(no_pair)?;
        Ok(Given { option: "--set", name: name.trim().to_string(), value: value.trim().to_string() })
    }
}

impl Sources {
    /// Reads all sources; the file is read again.
    ///
    /// # Errors
    /// [`ConfigError`] names the source and what is wrong there.
    pub fn load(&self) -> Result<Settings, ConfigError> {
        self.load_marked().map(|marked| marked.settings)
    }

    /// The same, with where each setting comes from.
    ///
    /// # Errors
    /// [`ConfigError`] names the source and what is wrong there.
    pub fn load_marked(&self) -> Result<Marked, ConfigError> {
        let mut marked = Marked::default();
        if let Some(path) = self.config_file() {
            read_file(&path, &mut marked)?;
        }
        for (variable, value) in &self.environment {
            let variable = variable.to_string_lossy();
            let Some(name) = variable.strip_prefix(ENVIRONMENT_PREFIX) else { continue };
            // The client has variables of its own.
            if variable != CONFIG_VARIABLE && !client::is_variable(&variable) {
                let origin = format!("environment variable {}", visible(&variable));
                let (name, value) = (name.to_ascii_lowercase(), value.to_string_lossy());
                marked.apply(Origin::Environment, &origin, &name, &value)?;
            }
        }
        for Given { option, name, value } in &self.options {
            marked.apply(Origin::Option, option, name, value)?;
        }
        Ok(marked)
    }

    /// The settings file, if one is named.
    #[must_use]
    pub fn config_file(&self) -> Option<PathBuf> {
        let from_environment =
            || self.environment.iter().find(|(name, _)| name == CONFIG_VARIABLE).map(|(_, path)| path.into());
        self.config.clone().or_else(from_environment)
    }
}

fn read_file(path: &Path, marked: &mut Marked) -> Result<(), ConfigError> {
    let unreadable = |why| ConfigError::Unreadable { path: path.to_path_buf(), why };
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        ConfigError::NoToml { path: path.to_path_buf(), line, why: error.message().to_string() }
    })?;
    let origin = visible(&path.to_string_lossy()).to_string();
    for (name, value) in &table {
        marked.apply(Origin::File, &origin, name, &spelling(value))?;
    }
    Ok(())
}

/// A value as it would be typed after `--set`.
fn spelling(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        // The setting sees a list by its line breaks.
        toml::Value::Array(words) if words.iter().all(toml::Value::is_str) => {
            words.iter().filter_map(|word| Some(format!("{}\n", word.as_str()?))).collect()
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_)
        | toml::Value::Table(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::settings::Registration;

    fn sources(file: &str, environment: &[(&str, &str)], options: &[&str]) -> (tempfile::TempDir, Sources) {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("hobnob.toml");
        fs::write(&config, file).expect("a file");
        let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options = options.iter().map(|pair| Given::pair(pair).expect("a pair")).collect();
        (folder, Sources { options, environment, config: Some(config) })
    }

    fn load(file: &str, environment: &[(&str, &str)], options: &[&str]) -> Result<Settings, String> {
        sources(file, environment, options).1.load().map_err(|error| error.to_string())
    }

    #[test]
    fn options_win_over_environment_over_file_over_default() {
        let file = "timeout = 1\nport = 1\nregistration = \"open\"\nblock_mutual = true\n";
        let environment = [("HOBNOB_TIMEOUT", "2"), ("HOBNOB_PORT", "2"), ("PATH", "x")];
        let settings = load(file, &environment, &["timeout=3", "timeout=4"]).expect("settings");
        assert_eq!(settings.core.timeout_secs, 4);
        assert_eq!(settings.port, 2);
        assert_eq!(settings.core.registration, Registration::Open);
        assert!(settings.core.block_mutual);
        assert_eq!(settings.core.block_duration_secs, 60);
        let (_folder, sources) = sources(file, &environment, &["timeout=3"]);
        let marked = sources.load_marked().expect("settings");
        for (name, origin) in [
            ("timeout", Origin::Option),
            ("port", Origin::Environment),
            ("registration", Origin::File),
            ("block_duration", Origin::Default),
        ] {
            assert_eq!(marked.origin(Setting::named(name).expect("a setting")), origin, "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_source() {
        for (file, environment, options, words) in [
            ("colour = 1", [].as_slice(), [].as_slice(), ["hobnob.toml", "\"colour\""]),
            ("timeout = \"soon\"", &[], &[], ["hobnob.toml", "\"soon\" is no value for timeout"]),
            ("timeout = -1", &[], &[], ["hobnob.toml", "\"-1\""]),
            ("timeout = 1.5", &[], &[], ["hobnob.toml", "\"1.5\""]),
            ("[limits]\ntimeout = 1", &[], &[], ["hobnob.toml", "unknown setting \"limits\""]),
            ("port = [1]", &[], &[], ["hobnob.toml", "port"]),
            ("\n\nport = ", &[], &[], ["hobnob.toml:3:", ""]),
            ("port = 1\nport = 2", &[], &[], ["hobnob.toml:2:", "duplicate"]),
            ("", &[("HOBNOB_COLOUR", "1")], &[], ["HOBNOB_COLOUR", "\"colour\""]),
            ("", &[("HOBNOB_PORT", "x")], &[], ["HOBNOB_PORT", "\"x\" is no value for port"]),
            ("", &[], &["colour=1"], ["--set", "\"colour\""]),
            ("", &[], &["registration=maybe"], ["--set", "closed|open"]),
            ("", &[], &["port=\x1b[2J"], ["--set", "\"^[[2J\""]),
        ] {
            let error = load(file, environment, options).expect_err("an error");
            assert!(words.iter().all(|word| error.contains(word)), "{file:?} {options:?}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let missing = PathBuf::from("/nowhere/hobnob.toml");
        let asked = Sources { config: Some(missing.clone()), ..Sources::default() };
        assert!(matches!(asked.load(), Err(ConfigError::Unreadable { path, .. }) if path == missing));
        let environment = vec![(CONFIG_VARIABLE.into(), missing.clone().into_os_string())];
        let asked = Sources { environment, ..Sources::default() };
        assert!(matches!(asked.load(), Err(ConfigError::Unreadable { path, .. }) if path == missing));
    }

    #[test]
    fn the_file_is_read_anew_each_time() {
        let (folder, sources) = sources("timeout = 1", &[], &["port=5"]);
        assert_eq!(sources.load().expect("settings").core.timeout_secs, 1);
        fs::write(folder.path().join("hobnob.toml"), "timeout = 9\nport = 1").expect("a file");
        let settings = sources.load().expect("settings");
        assert_eq!((settings.core.timeout_secs, settings.port), (9, 5));
    }

    #[test]
    fn a_set_without_a_value_is_refused() {
        assert!(matches!(Given::pair("timeout"), Err(ConfigError::NoPair { .. })));
        assert_eq!(Given::pair("data=a=b").expect("a pair").value, "a=b");
    }
}
