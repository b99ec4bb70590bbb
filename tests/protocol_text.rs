//! PROTOCOL.md is true: its session is made of lines, its tables and rules are whole.

use std::collections::BTreeSet;

use hobnob::wire::{ClientLine, Code, Command, CommandKind, ServerLine};

const PROTOCOL: &str = include_str!("../PROTOCOL.md");

/// The lines of the session with this mark in front.
fn session(mark: &'static str) -> impl Iterator<Item = &'static str> {
    let (_, begun) = PROTOCOL.split_once("```session\n").unwrap();
    let (session, _) = begun.split_once("```").unwrap();
    session.lines().filter_map(move |line| line.strip_prefix(mark))
}

/// The words in backquotes in the first column of the table with this heading.
fn first_column(heading: &str) -> BTreeSet<&'static str> {
    let (_, table) = PROTOCOL.split_once(heading).unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.split('`').nth(1).unwrap()).collect()
}

#[test]
fn every_line_of_the_session_is_one() {
    let mut answered = 0;
    for line in session("< ") {
        let parsed = ServerLine::parse(line.as_bytes()).unwrap_or_else(|_| panic!("{line}"));
        let mut out = Vec::new();
        parsed.encode(&mut out);
        assert_eq!(out.strip_suffix(b"\n"), Some(line.as_bytes()));
        answered += usize::from(matches!(parsed, ServerLine::Done { .. } | ServerLine::Failed { .. }));
    }
    let typed: Vec<_> = session("> ").collect();
    // One answer to each line but the login.
    assert_eq!(answered, typed.len() - 1);
    for line in typed {
        if !line.starts_with("shout") {
            assert!(ClientLine::parse(line.as_bytes()).is_ok(), "{line}");
        }
    }
}

#[test]
fn the_table_of_codes_is_whole() {
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(first_column("| code | meaning |\n"), codes);
}

/// Each form in the table is a command once its capitals are replaced by words, and no command is missing.
#[test]
fn the_table_of_commands_is_whole() {
    let mut named = BTreeSet::new();
    for form in first_column("| command | `ok`, and what comes before it | errors |\n") {
        let line = form.replace(" ENDPOINT…", " 5123").replace('…', " LUKE").replace("SECONDS", "60");
        let command =
            Command::parse(line.trim_end_matches(" [COMMAND]")).unwrap_or_else(|_| panic!("{form}"));
        assert!(form.starts_with(command.name()), "{form} is {}", command.name());
        assert!(answer_is_told(command.name()), "{form}");
        named.insert(command.name());
    }
    assert_eq!(named, CommandKind::ALL.iter().map(|kind| kind.name()).collect());
}

/// The row of a command names the answer, which begins with the command's name.
fn answer_is_told(name: &str) -> bool {
    let rows = PROTOCOL.lines().filter(|line| line.starts_with(&format!("| `{name}")));
    let mut answers = rows.filter_map(|row| row.split('|').nth(2));
    answers.any(|answer| {
        answer.split('`').any(|quoted| quoted == name || quoted.starts_with(&format!("{name} ")))
    })
}

#[test]
fn rules_are_numbered_without_a_gap() {
    let rules: Vec<_> = PROTOCOL.lines().filter_map(|line| line.strip_prefix("* **R")).collect();
    for (index, rule) in rules.iter().enumerate() {
        assert!(rule.starts_with(&format!("{}**", index + 1)), "R{rule}");
    }
    assert!(rules.len() >= 40);
}
