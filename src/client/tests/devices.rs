//! Logins from a device that was in before, and past a session that stands in the way.

use super::script::Script;
use crate::client::{Event, Recall, Settings};
use crate::words::Password;

fn terminal() -> Settings {
    Settings { terminal: true, ..Settings::default() }
}

/// A server that knows devices and asks whether clients are there.
const KNOWING: &str = "hobnob 1 ack resume device alive away";
const COOKIE: &str = "00112233445566778899aabbccddeeff";

#[test]
fn the_cookie_of_the_last_login_is_shown_before_the_password_and_a_new_one_is_kept() {
    let mut script = Script::new(Settings { user: Some("hans".into()), ..terminal() });
    script.happens(Event::Started).happens(Event::Connected).and();
    script.server(KNOWING).does(
        "send hello 1 ack resume device alive away relay until
         find cookie of hans
         send login hans",
    );
    script.server("ask password").and();
    script.types("falcon").does("");
    script
        .happens(Event::CookieFound { cookie: COOKIE.parse().ok() })
        .does("send device 00112233445566778899aabbccddeeff / login hans falcon");
    // It is shown with each password.
    script.server("refused invalid_credentials 2").and();
    script.types("saber").does("send device 00112233445566778899aabbccddeeff / login hans saber");
    script.server("welcome hans unread 0 login 7").and();
    script
        .server("device ffeeddccbbaa99887766554433221100")
        .happens(Event::StateOpened(Recall::default()))
        .and();
    script
        .server("device ffeeddccbbaa99887766554433221100")
        .does("keep cookie ffeeddccbbaa99887766554433221100");
    script.server("alive").does("send alive");
}

#[test]
fn without_a_cookie_the_password_goes_alone_and_the_cookie_of_another_is_not_shown() {
    let mut script = Script::new(terminal());
    script.happens(Event::Started).happens(Event::Connected).server(KNOWING).and();
    script
        .types("hans")
        .happens(Event::CookieFound { cookie: COOKIE.parse().ok() })
        .server("ask password")
        .and();
    script.types("x").and().server("refused already_online").types("n").and();
    script.types("luke").does("find cookie of luke\n         send login luke");
    script.happens(Event::CookieFound { cookie: None }).server("ask password").and();
    script.types("y").does("send login luke y");
}

#[test]
fn a_person_is_asked_whether_to_take_a_session_over_and_the_server_once() {
    let mut script = Script::new(terminal());
    script.happens(Event::Started).happens(Event::Connected).server(KNOWING).and();
    script
        .types("hans")
        .happens(Event::CookieFound { cookie: None })
        .server("ask password")
        .types("falcon")
        .and();
    script.server("refused already_online").does(
        "show refused already online
         show prompt takeover",
    );
    script.types("perhaps").does("show prompt takeover");
    script.types("y").does("send takeover");
    script.server("refused already_online").does(
        "show refused already online
         show prompt username",
    );
    script.types("hans").server("ask password").types("falcon").server("refused already_online").and();
    script.types("n").does("show prompt username");
}

#[test]
fn whoever_has_made_too_many_accounts_is_not_told_of_a_lock() {
    let mut script = Script::greeted(Settings::default());
    script.types("leia").server("ask new_password").types("alderaan").and();
    script.server("refused locked_out 3541").does(
        "show refused too many 3541
         hang up
         exit LoginRefused",
    );
}

#[test]
fn with_takeover_nobody_is_asked_and_without_a_terminal_nothing_is_taken() {
    let settings = Settings {
        user: Some("hans".into()),
        password: Some(Password::new("falcon")),
        takeover: true,
        ..Settings::default()
    };
    for (takeover, done) in [
        (true, "send takeover"),
        (false, "show refused already online\n         hang up\n         exit LoginRefused"),
    ] {
        let mut script = Script::new(Settings { takeover, ..settings.clone() });
        script.happens(Event::Started).happens(Event::Connected).server(KNOWING).and();
        script.happens(Event::CookieFound { cookie: None }).server("ask password").and();
        script.server("refused already_online").does(done);
    }
    // A server of before does not know it.
    let mut script = Script::greeted(settings);
    script.server("ask password").and();
    script.server("refused already_online").does(
        "show refused already online
         hang up
         exit LoginRefused",
    );
}
