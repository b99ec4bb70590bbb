//! `docs/operating.md` lists the settings as they are.

use std::fmt::Write as _;
use std::path::Path;

use hobnob::shell::server::settings;

const BEGIN: &str = "<!-- settings: made by `just settings` -->\n";
const END: &str = "<!-- end of settings -->\n";

/// The table of all settings.
fn table() -> String {
    let mut table = String::from("| setting | default | takes | what |\n|---|---|---|---|\n");
    let defaults = settings::Settings::default();
    for setting in settings::SETTINGS {
        let (name, about) = (setting.name, setting.about);
        let default = setting.show(&defaults);
        let takes = setting.takes.replace('|', ", ");
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let _ = writeln!(table, "| `{name}` | {default} | {takes} | {about} |");
    }
    table
}

#[test]
fn the_page_lists_every_setting_with_its_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (before, rest) = page.split_once(BEGIN).expect("where the table begins");
    let (listed, after) = rest.split_once(END).expect("where the table ends");
    if std::env::var_os("HOBNOB_WRITE").is_some() {
        std::fs::write(&path, [before, BEGIN, &table(), END, after].concat()).expect("written");
    } else {
        assert_eq!(listed, table(), "the table is old: `just settings` makes it");
    }
}
