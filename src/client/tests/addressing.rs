//! Whom typed texts are for, at a terminal.

use super::script::Script;
use crate::client::Settings;

fn at_terminal() -> Script {
    Script::session_with(Settings { terminal: true, ..Settings::default() })
}

#[test]
fn what_is_typed_goes_to_the_addressee_until_somebody_else_is_named() {
    let mut script = at_terminal();
    script.types("to luke").does("show addressee luke\nsend active");
    script.types("  lunch at whoelse? ").does("note 1 open\nsend #1 message luke   lunch at whoelse? ");
    script.types("/whoelse").does("note 2 open\nsend #2 whoelse");
    script.types("//etc/passwd").does("note 3 open\nsend #3 message luke /etc/passwd");
    script.types("/to group jedi").types("patience").does(
        "show addressee group jedi
         note 4 open
         send #4 message group jedi patience",
    );
    script.types("/to  all").types("n").does("show addressee all\nnote 5 open\nsend #5 broadcast n");
    script.types("/to").types("ping luke").does("show addressee none\nnote 6 open\nsend #6 ping luke");
}

#[test]
fn a_reply_goes_where_the_last_message_came_from() {
    let mut script = at_terminal();
    script.types("reply hi").does("show result 1 reply: usage\nsend active invalid");
    script
        .server("message 3.1 yoda 5 2.9 live hello")
        .and()
        .types("reply hi")
        .does("note 1 open\nsend #1 message yoda hi");
    script.server("group-message 3.2 jedi luke 5 2.9 live hello").and();
    script.types("/reply hi").does("note 2 open\nsend #2 message group jedi hi");
    script
        .server("broadcast 3.3 leia 5 2.9 live hello")
        .and()
        .types("reply  hi")
        .does("note 3 open\nsend #3 message leia  hi");
}

#[test]
fn nobody_is_addressed_by_mistake() {
    let mut script = at_terminal();
    for line in ["to", "to luke yoda", "to group", "to group a b", "to lu\u{7}ke", "reply"] {
        script.and().types(line);
        assert_eq!(script.count("show result"), 1, "{line}");
        assert_eq!(script.count("show addressee"), 0, "{line}");
    }
    // A request that is open takes the answer.
    script.types("to luke").server("request yoda").and().types("n").does("note 1 open\nsend #1 decline yoda");
}

#[test]
fn on_a_pipe_there_is_nothing_of_it() {
    let mut script = Script::session();
    for line in ["to luke", "reply hi", "/whoelse"] {
        script.and().types(line);
        assert_eq!(script.all("show result").len(), 1, "{line}");
        assert!(script.all("show result").iter().all(|shown| shown.ends_with("unknown_command")), "{line}");
    }
}
