//! Man pages and completions, made from a command line as it is parsed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::builder::PossibleValue;
use clap::{Command, ValueEnum};
use clap_complete::generate;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

/// A shell that completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// Source it, or put it into `/usr/share/bash-completion/completions`.
    Bash,
    /// Put it as `_NAME` into a folder of `fpath`.
    Zsh,
    /// Put it as `NAME.fish` into `~/.config/fish/completions`.
    Fish,
}

impl ValueEnum for Shell {
    fn value_variants<'a>() -> &'a [Shell] {
        &[Shell::Bash, Shell::Zsh, Shell::Fish]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }))
    }
}

/// The template of help: examples first.
pub const TEMPLATE: &str = "\
{before-help}{about}

{usage-heading} {usage}

{all-args}{after-help}";

/// The widest help.
pub const COLUMNS: usize = 80;

/// What completes a command line in a shell.
#[must_use]
pub fn completions(mut command: Command, shell: Shell) -> String {
    let name = command.get_name().to_owned();
    let mut out = Vec::new();
    match shell {
        Shell::Bash => generate(clap_complete::Shell::Bash, &mut command, name, &mut out),
        Shell::Zsh => generate(clap_complete::Shell::Zsh, &mut command, name, &mut out),
        Shell::Fish => generate(clap_complete::Shell::Fish, &mut command, name, &mut out),
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes a man page for a command line and one for each of its commands; returns the files.
///
/// # Errors
/// An I/O error.
pub fn write_manual(mut command: Command, folder: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    command.build();
    let mut written = Vec::new();
    for command in command.get_subcommands().chain([&command]) {
        let page = Man::new(command.clone()).source(format!("hobnob {}", env!("CARGO_PKG_VERSION")));
        let path = folder.join(page.get_filename());
        fs::write(&path, manual(&page, command)?)?;
        written.push(path);
    }
    written.sort();
    Ok(written)
}

fn manual(page: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    as_it_stands("EXAMPLES", examples.strip_prefix("Examples:\n").unwrap_or(&examples), &mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if command.has_subcommands() {
        page.render_subcommands_section(&mut out)?;
    }
    let notes = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    as_it_stands("NOTES", &notes, &mut out)?;
    Ok(out)
}

/// A section whose lines are not filled.
fn as_it_stands(heading: &str, text: &str, out: &mut Vec<u8>) -> io::Result<()> {
    if text.trim().is_empty() {
        return Ok(());
    }
    let mut roff = Roff::new();
    roff.control("SH", [heading]).control("nf", []);
    for line in text.trim_end().lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []).to_writer(out)
}
