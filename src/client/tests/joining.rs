//! Making an account by an invite.

use core::time::Duration;

use super::script::Script;
use crate::client::{Event, Settings};
use crate::words::{Password, Token};

const SHOWN: &str = "invite 01010101010101010101010101010101";

fn invited() -> Settings {
    Settings { invite: Some(Token([1; 16])), ..Settings::default() }
}

fn at_terminal() -> Settings {
    Settings { terminal: true, ..invited() }
}

fn connect(settings: Settings) -> Script {
    let mut script = Script::new(settings);
    script.happens(Event::Started).happens(Event::Connected).and();
    script
        .server("hobnob 1 ack resume")
        .does(&alloc::format!("send hello 1 ack resume device alive away relay until / {SHOWN}"));
    script
}

#[test]
fn the_invite_is_shown_and_a_name_and_a_password_are_asked() {
    let mut script = connect(at_terminal());
    script.server("invited").does("show prompt username");
    script.types("rey").does("send login rey");
    script.server("ask new_password").does("show prompt new_password");
    script.types("secret").does("show prompt new_password again");
    script.types("secret").does("send register rey secret");
    script.server("welcome rey unread 0 login 7").does("open state of rey");
}

#[test]
fn an_invite_for_one_name_names_it() {
    let mut script = connect(invited());
    script.server("invited rey").does("show notice InvitedAs { user: \"rey\" }\nsend login rey");
    script.server("ask new_password").does("show prompt new_password");
    // Somebody has got it meanwhile, and no other name will do.
    script.types("secret").and();
    script.server("refused name_taken").does("show refused name taken\nhang up\nexit LoginRefused");
}

#[test]
fn an_account_that_is_there_is_somebody_elses() {
    let mut script = connect(invited());
    script.server("invited").types("hans").and();
    script.server("ask password").does("show refused name taken\nshow prompt username");
    let password = Some(Password::new("secret"));
    let mut script = connect(Settings { user: Some("hans".into()), password, ..invited() });
    script.server("invited").does("send login hans");
    script.server("ask password").does("show refused name taken\nhang up\nexit LoginRefused");
}

#[test]
fn an_invite_that_is_not_good_ends_the_program() {
    for (answer, shown) in [
        ("refused invalid_invite", "show refused invalid invite"),
        ("refused locked_out 60", "show refused locked 60"),
        ("error unknown_command invite", "show refused no invites"),
    ] {
        let mut script = connect(at_terminal());
        script.server(answer).does(&alloc::format!("{shown}\nhang up\nexit LoginRefused"));
    }
    let mut script = connect(invited());
    script.server("invited").types("rey").server("ask new_password").types("secret").and();
    script.server("refused invalid_invite").does("show refused invalid invite\nhang up\nexit LoginRefused");
}

#[test]
fn a_lost_connection_may_have_made_the_account() {
    let mut script = connect(at_terminal());
    script.server("invited").types("rey").server("ask new_password").types("secret").types("secret").and();
    script.happens(Event::Disconnected).and();
    script.after(Duration::from_secs(1)).and();
    script.happens(Event::Connected).and();
    script
        .server("hobnob 1 ack resume")
        .does(&alloc::format!("send hello 1 ack resume device alive away relay until / {SHOWN}"));
    script.server("refused invalid_invite").does("hang up\ndial");
    script.happens(Event::Connected).and();
    script
        .server("hobnob 1 ack resume")
        .does("send hello 1 ack resume device alive away relay until / login rey secret");
    script.server("welcome rey unread 0 login 7").does("open state of rey");
}

/// The invite is good for others too, and so it is not refused.
#[test]
fn a_name_that_is_taken_after_a_lost_connection_may_be_ones_own() {
    let mut script = connect(at_terminal());
    script.server("invited").types("rey").server("ask new_password").types("secret").types("secret").and();
    script.happens(Event::Disconnected).and();
    script.after(Duration::from_secs(1)).and();
    script.happens(Event::Connected).and();
    script.server("hobnob 1 ack resume").and();
    script.server("invited").does("send register rey secret");
    script.server("refused name_taken").does("hang up\ndial");
    script.happens(Event::Connected).and();
    script
        .server("hobnob 1 ack resume")
        .does("send hello 1 ack resume device alive away relay until / login rey secret");
    script.server("welcome rey unread 0 login 7").does("open state of rey");
}

#[test]
fn a_name_that_was_asked_for_after_the_loss_is_somebody_elses() {
    let mut script = connect(at_terminal());
    script.server("invited").types("rey").and();
    script.happens(Event::Disconnected).and();
    script.after(Duration::from_secs(1)).and();
    script.happens(Event::Connected).and();
    script.server("hobnob 1 ack resume").and();
    script.server("invited").does("send login rey");
    script.server("ask new_password").types("secret").types("secret").and();
    script.server("refused name_taken").does("show refused name taken\nshow prompt username");
}

#[test]
fn whoever_stays_without_an_invite_logs_in_as_anybody_else() {
    let mut script = connect(Settings { retry_login: true, ..invited() });
    script
        .server("refused invalid_invite")
        .does("show refused invalid invite\nhang up\nshow prompt username");
    script.types("hans").does("dial");
    script.happens(Event::Connected).and();
    script
        .server("hobnob 1 ack resume")
        .does("send hello 1 ack resume device alive away relay until / login hans");
}
