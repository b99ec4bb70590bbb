//! What a person has chosen: options, environment, the file `client.toml`, defaults; the first of them that names a
//! key decides.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use etcetera::BaseStrategy as _;
use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::config_keys::{Config, KEYS, Key};
use crate::shell::visible::visible;

/// In the folder of configurations.
const FILE: &str = "hobnob/client.toml";
/// Before the name of a key in capitals.
const ENVIRONMENT_PREFIX: &str = "HOBNOB_";

/// Where choices come from.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// By options and words, which win over all others.
    pub(super) given: Vec<Given>,
    /// The variables of the environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    /// The file; it need not be there.
    pub(super) file: Option<PathBuf>,
}

/// A choice made on the command line.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// As it was typed: `--bell`, `HOST`
    pub(super) option: String,
    pub(super) key: &'static str,
    pub(super) value: String,
}

/// Where the value of a key is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Origin {
    #[default]
    Default,
    /// A line, from 1.
    File(PathBuf, usize),
    /// The name of the variable.
    Environment(String),
    /// The option.
    Option(String),
}

impl Origin {
    /// The kind of source.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File(..) => "file",
            Origin::Environment(_) => "environment",
            Origin::Option(_) => "option",
        }
    }
}

/// As messages name it.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File(path, line) => write!(f, "{}:{line}", visible(&path.to_string_lossy())),
            Origin::Environment(variable) => write!(f, "environment variable {variable}"),
            Origin::Option(option) => write!(f, "{option}"),
        }
    }
}

/// An error in what was chosen.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// There is no such key.
    #[error("{origin}: unknown key \"{}\"; hobnob config lists them", visible(key))]
    Unknown {
        /// Where it is named.
        origin: String,
        /// The key.
        key: String,
    },
    /// The value is none for the key.
    #[error("{origin}: \"{}\" is no value for {key} (it takes {takes})", visible(value))]
    BadValue {
        /// Where it is named.
        origin: String,
        /// The key.
        key: &'static str,
        /// What would be one.
        takes: &'static str,
        /// The value.
        value: String,
    },
    /// The file cannot be read.
    #[error("{}: {why}", visible(&path.to_string_lossy()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        why: io::Error,
    },
    /// The file is not valid TOML.
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

/// What holds, and for each key that was chosen whence.
#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub(super) config: Config,
    /// A file that may not be read.
    pub(super) warnings: Vec<String>,
    origins: BTreeMap<&'static str, Origin>,
}

impl Chosen {
    /// Whence the value of a key is.
    pub(super) fn origin(&self, key: &Key) -> Origin {
        self.origins.get(key.name).cloned().unwrap_or_default()
    }

    /// Whether something names a key.
    pub(super) fn names(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    fn apply(&mut self, key: &'static Key, value: &str, origin: Origin) -> Result<(), ConfigError> {
        if !key.read(&mut self.config, value) {
            let (origin, value) = (origin.to_string(), value.to_owned());
            return Err(ConfigError::BadValue { origin, key: key.name, takes: key.takes, value });
        }
        self.origins.insert(key.name, origin);
        Ok(())
    }
}

impl Sources {
    /// The environment of this process, and its file.
    pub(super) fn of_process() -> Sources {
        let base = etcetera::base_strategy::Xdg::new();
        let file = base.ok().map(|base| base.config_dir().join(FILE));
        Sources { given: Vec::new(), environment: std::env::vars_os().collect(), file }
    }

    /// Reads all sources.
    ///
    /// # Errors
    /// [`ConfigError`] names the source and what is wrong there.
    pub(super) fn load(&self) -> Result<Chosen, ConfigError> {
        let mut chosen = Chosen::default();
        if let Some(path) = &self.file {
            read_file(path, &mut chosen)?;
        }
        // The programs of an operator have variables of their own: others are left alone.
        for (variable, value) in &self.environment {
            let variable = variable.to_string_lossy();
            let name = variable.strip_prefix(ENVIRONMENT_PREFIX).map(str::to_ascii_lowercase);
            if let Some(key) = name.and_then(|name| Key::named(&name))
                && variable == key.variable()
                && !value.is_empty()
            {
                chosen.apply(key, &value.to_string_lossy(), Origin::Environment(key.variable()))?;
            }
        }
        for Given { option, key, value } in &self.given {
            if let Some(key) = Key::named(key) {
                chosen.apply(key, value, Origin::Option(option.clone()))?;
            }
        }
        Ok(chosen)
    }
}

/// An option for each key.
pub(super) fn args() -> impl Iterator<Item = Arg> {
    KEYS.iter().map(|key| {
        let default = match key.show(&Config::default()) {
            default if default.is_empty() => String::new(),
            default => format!(" [default: {default}]"),
        };
        let help = format!("{}{default}", key.about);
        let arg = Arg::new(key.name).long(key.option()).value_name(key.value_name).help(help);
        if key.words.is_empty() { arg } else { arg.value_parser(PossibleValuesParser::new(key.words)) }
    })
}

/// What those options say.
pub(super) fn given(matches: &ArgMatches) -> impl Iterator<Item = Given> {
    KEYS.iter().filter(|key| matches.value_source(key.name) == Some(ValueSource::CommandLine)).filter_map(
        |key| {
            let value = matches.get_one::<String>(key.name)?.clone();
            Some(Given { option: format!("--{}", key.option()), key: key.name, value })
        },
    )
}

fn read_file(path: &Path, chosen: &mut Chosen) -> Result<(), ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        // A program that runs as another user, with the home folder of somebody else, does without.
        Err(why) if why.kind() == io::ErrorKind::PermissionDenied => {
            chosen.warnings.push(format!("{} is left out: {why}", path.display()));
            return Ok(());
        }
        Err(why) => return Err(ConfigError::Unreadable { path: path.into(), why }),
    };
    let line = |span: Range<usize>| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1;
    let table = DeTable::parse(&text).map_err(|error| ConfigError::NoToml {
        path: path.into(),
        line: line(error.span().unwrap_or_default()),
        why: error.message().to_owned(),
    })?;
    let mut lines: Vec<_> = table.get_ref().iter().collect();
    lines.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in lines {
        let origin = Origin::File(path.into(), line(name.span()));
        let Some(key) = Key::named(name.get_ref()) else {
            let (origin, key) = (origin.to_string(), name.get_ref().to_string());
            return Err(ConfigError::Unknown { origin, key });
        };
        chosen.apply(key, &spelling(value.get_ref()), origin)?;
    }
    Ok(())
}

/// A value as it would be typed behind an option: the words of a list with commas between them.
fn spelling(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(word) => word.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(words) => {
            words.iter().map(|word| spelling(word.get_ref())).collect::<Vec<_>>().join(",")
        }
        DeValue::Table(_) => "{…}".into(),
    }
}

#[cfg(test)]
mod tests;
