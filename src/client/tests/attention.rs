//! What is marked, what rings, and what is new, at a terminal.

use alloc::{format, vec};
use core::time::Duration;

use super::script::Script;
use crate::client::{Bell, Event, Settings};

const MINUTE: Duration = Duration::from_secs(60);

fn at_terminal(bell: Bell) -> Script {
    let highlight = vec!["deploy*".into(), "pager".into()];
    let settings = Settings { terminal: true, bell, highlight, new_after_secs: 300, ..Settings::default() };
    Script::session_with(settings)
}

#[test]
fn what_is_for_the_person_is_marked_and_rings() {
    let mut script = at_terminal(Bell::Mention);
    script.server("broadcast 3.1 luke 5 2.1 live lunch?").does("show broadcast b3.1 luke: lunch?");
    script
        .server("broadcast 3.2 luke 5 2.2 live hans: deployed, Hans")
        .does("show broadcast b3.2 luke rings [hans] [deploy] [Hans]: hans: deployed, Hans");
    script.after(MINUTE);
    script
        .server("group-message 3.3 jedi luke 5 2.3 live the PAGER")
        .does("deliver group jedi 3.3 luke rings [PAGER]: the PAGER");
    script.after(MINUTE);
    script.server("message 3.4 luke 5 2.4 live hi").does("deliver direct 3.4 luke rings: hi");
}

#[test]
fn the_bell_may_be_for_all_or_none_and_rings_once_for_several() {
    let mut script = at_terminal(Bell::Message);
    script.server("broadcast 3.1 luke 5 2.1 live a").does("show broadcast b3.1 luke rings: a");
    script.server("message 3.2 luke 5 2.2 live b").does("deliver direct 3.2 luke: b");
    let mut script = at_terminal(Bell::Never);
    script.server("message 3.2 luke 5 2.2 live hans").does("deliver direct 3.2 luke [hans]: hans");
}

#[test]
fn stored_mail_rings_once() {
    let mut script = at_terminal(Bell::Mention);
    script.server("message 3.1 luke 5 2.1 stored a").does("deliver direct 3.1 luke stored rings: a");
    for id in 2..9 {
        script.after(MINUTE).and();
        script
            .server(&format!("message 3.{id} luke 5 2.{id} stored b"))
            .does(&format!("deliver direct 3.{id} luke stored: b"));
        script.happens(Event::KeyPressed).and();
    }
}

#[test]
fn what_comes_while_nobody_types_is_marked_at_both_ends() {
    let mut script = at_terminal(Bell::Never);
    script.after(4 * MINUTE);
    script.server("message 3.1 luke 5 2.1 live a").does("deliver direct 3.1 luke: a");
    script.happens(Event::KeyPressed).does("");
    script.after(5 * MINUTE).and();
    script.server("message 3.2 luke 5 2.2 live b").does("show notice New\ndeliver direct 3.2 luke: b");
    script.after(9 * MINUTE).and();
    script.server("broadcast 3.9 luke 5 2.3 live c").does("show broadcast b3.9 luke: c");
    script.happens(Event::KeyPressed).does("show notice Unseen { count: 2 }");
    script.happens(Event::KeyPressed).does("");
    script.after(6 * MINUTE).and();
    script.types("help").and().server("message 3.3 luke 5 2.4 live d").does("deliver direct 3.3 luke: d");
}

#[test]
fn on_a_pipe_nothing_of_this_happens() {
    let settings = Settings { bell: Bell::Message, new_after_secs: 1, ..Settings::default() };
    let mut script = Script::session_with(settings);
    script.after(MINUTE).and();
    script.server("message 3.1 luke 5 2.1 live hans").does("deliver direct 3.1 luke: hans");
    script.happens(Event::KeyPressed).does("");
}
