use super::super::samples;
use super::super::stamps::Timestamps;
use super::*;
use crate::client::view::MessageKind;
use proptest::prelude::*;
use std::num::NonZero;

fn text(view: &View, mut look: Look) -> String {
    let mut out = String::new();
    write(&mut out, view, &mut look);
    out
}

fn stamps() -> Option<Stamps> {
    Some(Stamps::new(Timestamps::Time, jiff::tz::TimeZone::UTC, false))
}

#[test]
fn every_view_has_its_wording() {
    for (view, json, wording) in samples::views() {
        assert_eq!(text(&view, Look::default()), wording, "{json}");
    }
}

#[test]
fn a_failure_is_its_sentence() {
    for (command, failure, sentence) in samples::failures() {
        let line = if failure.code == Code::OutcomeUnknown { " (line 1)" } else { "" };
        let view = View::Result { line: 1, command: command.into(), outcome: Err(failure) };
        assert_eq!(text(&view, Look::default()), format!("{sentence}{line}\n"));
    }
}

#[test]
fn colours_are_sparse_and_end() {
    let look = Look { columns: Some(80), colour: true, ..Look::default() };
    let message = samples::message(MessageKind::Direct, "hans", "Hey Dude");
    assert_eq!(text(&View::Message(message.clone()), look.clone()), "\x1b[1mhans: \x1b[0mHey Dude\n");
    let timed = Look { stamps: stamps(), ..look.clone() };
    assert_eq!(text(&View::Message(message), timed), "22:13 \x1b[1mhans: \x1b[0mHey Dude\n");
    let presence = View::Presence { user: "luke".into(), online: true };
    assert_eq!(text(&presence, look), "\x1b[2mluke logged in\x1b[0m\n");
}

#[test]
fn a_terminal_says_until_when_a_message_is_stored() {
    let stored = |words: Option<&str>| View::Result {
        line: 1,
        command: "message".into(),
        outcome: Ok(Success::Message {
            to: "hans".into(),
            status: Status::Stored,
            until: Some(Time(1_700_000_000_000_000)),
            away: None,
            words: words.map(str::to_owned),
        }),
    };
    let terminal = Look { columns: Some(120), stamps: stamps(), ..Look::default() };
    let said = "Your message to hans has been stored until Tuesday 14 November 2023, 22:13";
    assert_eq!(text(&stored(None), terminal.clone()), format!("{said}\n"));
    assert_eq!(text(&stored(Some("are you…")), terminal), format!("{said}: are you…\n"));
    assert_eq!(text(&stored(None), Look::default()), "Your message to hans has been stored\n");
}

fn any_kind() -> impl Strategy<Value = MessageKind> {
    prop::sample::select(MessageKind::ALL)
}

/// Strings that try to break out: escapes, controls, marks, wide and reordering characters.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[ -~]{0,12}",
        prop::sample::select(vec![
            "\x1b[2J",
            "\x1b[1;1H",
            "\x1b]0;x\x07",
            "\u{9b}5A",
            "\r",
            "\n",
            "\x08",
            "\x7f",
            "\u{202e}",
            "\t",
            "yoda: ",
            "\u{301}",
            "名",
            "\u{1f980}",
            "\u{2764}\u{fe0f}",
            "\u{200d}",
            "\x1b7",
            "\x1bc",
            "\u{ad}",
            "x://",
            " https://example.org/0123456789yoda: hi",
        ])
        .prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The screen's rows: the text of each, without trailing blanks.
fn rows(screen: &vt100::Screen, columns: u16) -> Vec<String> {
    screen.rows(0, columns).map(|row| row.trim_end().to_owned()).collect()
}

proptest! {
    #[test]
    fn a_hostile_text_changes_only_the_cells_of_its_own_rows(
        from in hostile(), body in hostile(), kind in any_kind(), colour: bool, timed: bool,
        marked: bool,
        columns in 16..100u16,
    ) {
        let mut message = samples::message(kind, &from, &body);
        message.mentions.extend(marked.then_some(0..body.len()));
        let stamps = if timed { stamps() } else { None };
        let look = Look { breaks_texts: true, columns: Some(columns.into()), colour, mark: "* ", stamps };
        let shown = text(&View::Message(message), look);
        let height = NonZero::new(1_000).expect("not zero");
        let width = NonZero::new(columns).expect("not zero");
        let mut terminal = vt100::Parser::new(height, width, 0);
        terminal.process(b"above\r\n");
        terminal.process(shown.replace('\n', "\r\n").as_bytes());
        terminal.process(b"below");
        let rows = rows(terminal.screen(), columns);
        let height = rows.iter().rposition(|row| row == "below").unwrap_or(0) - 1;
        prop_assert_eq!(&rows[0], "above");
        prop_assert!(rows[2 + height..].iter().all(String::is_empty));
        if !timed {
            prop_assert_eq!(height, shown.matches('\n').count());
        }
        // What begins at the left is part of an address: no line with a time looks like it.
        let is_indented = |row: &String| row.is_empty() || row.starts_with("    ");
        let is_of_address = |row: &String| timed && !row.contains(' ');
        prop_assert!(rows[2..1 + height].iter().all(|row| is_indented(row) || is_of_address(row)), "{rows:#?}");
        prop_assert!(!terminal.screen().alternate_screen());
    }
}
