//! The way in.

use super::script::{Script, TOKEN};
use crate::client::{Event, Recall, Settings, Signal};
use crate::words::Password;
use alloc::format;
use core::time::Duration;

fn terminal() -> Settings {
    Settings { terminal: true, ..Settings::default() }
}

fn retrying() -> Settings {
    Settings { retry_login: true, ..Settings::default() }
}

#[test]
fn the_username_is_asked_then_the_password() {
    let mut script = Script::new(Settings::default());
    script.happens(Event::Started).does("dial");
    script.happens(Event::Connected).does("show connection connected");
    script.server("hobnob 1 ack resume").does(
        "send hello 1 ack resume device alive away relay until
         show prompt username",
    );
    script.types("hans").does("send login hans");
    script.server("ask password").does("show prompt password");
    script.types("fal con").does("send login hans fal con");
    script.server(&format!("welcome hans unread 2 login 7 token {TOKEN}")).does("open state of hans");
    script.happens(Event::StateOpened(Recall::default())).does("show login hans unread 2");
}

#[test]
fn a_welcome_for_another_is_none() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("falcon").and();
    script.server("welcome yoda unread 0 login 7").does("hang up\nexit Stranger");
}

#[test]
fn nothing_is_shown_before_the_state_folder_is_open() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("falcon").and();
    script.server(
        "welcome hans unread 1 login 7
         message 1.1 yoda 5 3.1 stored hello
         online luke",
    );
    script.types("whoelse").does("open state of hans");
    let recall = Recall { unsettled: 2, ..Recall::default() };
    script.happens(Event::StateOpened(recall)).does(
        "show login hans unread 1
         show notice Unsettled { count: 2 }
         deliver direct 1.1 yoda stored: hello
         note 1 open
         send #1 whoelse
         show luke came",
    );
}

#[test]
fn a_state_folder_in_use_ends_the_program() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("falcon").server("welcome hans unread 0 login 7").and();
    script.happens(Event::StateRefused).does(
        "send logout
         hang up
         exit Failed",
    );
}

#[test]
fn options_answer_the_first_prompts_once() {
    let (user, password) = (Some("hans".into()), Some(Password::new("falcon")));
    let mut script = Script::greeted(Settings { user, password, ..terminal() });
    script.does(
        "dial
         show connection connected
         send hello 1 ack resume device alive away relay until / login hans",
    );
    script.server("ask password").does("send login hans falcon");
    script.server("refused invalid_credentials 2").does(
        "show refused invalid 2
         show prompt password",
    );
    script.types("other").does("send login hans other");
    script.server("refused already_online").does(
        "show refused already online
         show prompt username",
    );
}

#[test]
fn without_a_terminal_a_refused_password_file_ends_the_program() {
    for (answer, shown) in [
        ("refused invalid_credentials 2", "invalid 2"),
        ("refused locked_out 9", "locked 9"),
        ("refused already_online", "already online"),
        ("refused name_taken", "name taken"),
        ("error too_long", "unusable 3"),
    ] {
        let (user, password) = (Some("hans".into()), Some(Password::new("falcon")));
        let mut script = Script::greeted(Settings { user, password, ..retrying() });
        script.types("whoelse").and().server("ask password").server(answer).does(&format!(
            "send login hans falcon
             show refused {shown}
             hang up
             exit LoginRefused",
        ));
    }
}

#[test]
fn without_a_terminal_a_password_file_is_refused_by_a_server_that_stays_busy() {
    let (user, password) = (Some("hans".into()), Some(Password::new("falcon")));
    let mut script = Script::greeted(Settings { user, password, ..retrying() });
    script.server("ask password").and();
    for _ in 0..30 {
        script.server("refused busy").does("");
        script.after_ms(1_000).does("send login hans falcon");
    }
    script.server("refused busy").does(
        "show refused busy
         hang up
         exit LoginRefused",
    );
}

#[test]
fn an_empty_line_at_a_prompt_asks_again_at_a_terminal() {
    let mut script = Script::greeted(terminal());
    script.and().types("").types("  ").does("show prompt username\nshow prompt username");
    script.types("hans").server("ask password").and();
    script.types("").does("show prompt password");
    script.types("falcon").does("send login hans falcon");
}

#[test]
fn after_a_wrong_password_only_the_password_is_asked() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("a").and();
    script.server("refused invalid_credentials 2").does(
        "show refused invalid 2
         show prompt password",
    );
    script.types("b").server("refused invalid_credentials 1").and();
    script.types("c").does("send login hans c");
    script.server("refused locked_out 60").does(
        "show refused locked 60 just now
         hang up
         exit LoginRefused",
    );
}

#[test]
fn a_name_that_was_locked_before_is_not_locked_just_now() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("a").and();
    script.server("refused locked_out 42").does(
        "show refused locked 42
         hang up
         exit LoginRefused",
    );
}

#[test]
fn the_last_try_without_a_lock_ends_the_program() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("a").and();
    script.server("refused invalid_credentials 0").does(
        "show refused invalid 0
         hang up
         exit LoginRefused",
    );
}

#[test]
fn with_retry_login_a_lockout_leads_back_to_the_prompt_and_the_next_name_dials() {
    let mut script = Script::greeted(retrying());
    script.types("hans").server("ask password").types("a").and();
    script.server("refused locked_out 42").does(
        "show refused locked 42
         hang up
         show prompt username",
    );
    script.types("yoda").does("dial");
    script.happens(Event::Connected).does("show connection connected");
    script
        .server("hobnob 1 ack resume")
        .does("send hello 1 ack resume device alive away relay until / login yoda");
}

#[test]
fn a_bad_name_is_asked_again_and_costs_no_try() {
    let mut script = Script::greeted(Settings::default());
    script.and().types("").types("   ").does("");
    for bad in ["han s", "#hans", "group", &"h".repeat(33)] {
        script.types(bad).does(
            "show refused bad name
             show prompt username",
        );
    }
    script.types_bytes(b"h\xffns").does(
        "show refused bad name
         show prompt username",
    );
    script.types("hans").does("send login hans");
    script.server("refused bad_name").does(
        "show refused bad name
         show prompt username",
    );
}

#[test]
fn a_new_account_is_asked_for_its_password_once_on_a_pipe() {
    let mut script = Script::greeted(Settings::default());
    script.types("leia").server("ask new_password").and();
    script.types("").does("show prompt new_password");
    script.types("alderaan").does("send register leia alderaan");
    script.server("welcome leia unread 0 login 1").does("open state of leia");
}

#[test]
fn a_new_account_is_asked_for_its_password_twice_at_a_terminal() {
    let mut script = Script::greeted(terminal());
    script.types("leia").server("ask new_password").and();
    script.types("alderaan").does("show prompt new_password again");
    script.types("aldera").does(
        "show notice PasswordsDiffer
         show prompt new_password",
    );
    script.types("alderaan").types("alderaan").does(
        "show prompt new_password again
         send register leia alderaan",
    );
}

#[test]
fn a_password_file_registers_without_a_second_look() {
    let password = Some(Password::new("alderaan"));
    let mut script = Script::greeted(Settings { password, ..terminal() });
    script.types("leia").and().server("ask new_password").does("send register leia alderaan");
}

#[test]
fn a_password_that_is_too_long_is_asked_again() {
    let mut script = Script::greeted(Settings { line_bytes: 20, ..Settings::default() });
    script.types("hans").server("ask password").and();
    script.types(&"x".repeat(21)).does(
        "show refused unusable 3
         show prompt password",
    );
    script.types("").does("");
    script.types("wrong").server("refused invalid_credentials 2").and();
    script.types(&"x".repeat(21)).does(
        "show refused unusable 2
         show prompt password",
    );
    script.types(&"x".repeat(20)).does("send login hans xxxxxxxxxxxxxxxxxxxx");
}

#[test]
fn a_busy_server_is_asked_again_for_thirty_seconds() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask password").types("falcon").and();
    for _ in 0..30 {
        script.server("refused busy").does("");
        script.after_ms(999).does("");
        script.after_ms(1).does("send login hans falcon");
    }
    script.server("refused busy").does(
        "show refused busy
         show prompt username",
    );
}

#[test]
fn a_late_registrant_is_asked_for_another_name() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").server("ask new_password").types("falcon").and();
    script.server("refused name_taken").does(
        "show refused name taken
         show prompt username",
    );
}

#[test]
fn lines_are_answers_as_they_are_asked_for_and_then_commands() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").types("falcon").types("whoelse").and();
    script.server("ask password").does(
        "show prompt password
         send login hans falcon",
    );
    script.server("welcome hans unread 0 login 7").happens(Event::StateOpened(Recall::default())).does(
        "open state of hans
         show login hans unread 0
         note 1 open
         send #1 whoelse",
    );
}

#[test]
fn the_end_of_input_at_a_prompt_tells_whether_the_last_login_was_refused() {
    let mut script = Script::greeted(Settings::default());
    script.and().happens(Event::EndOfInput).does(
        "hang up
         exit Done",
    );
    let mut script = Script::greeted(Settings::default());
    script.types("hans").happens(Event::EndOfInput).server("ask password").does(
        "dial
         show connection connected
         send hello 1 ack resume device alive away relay until
         show prompt username
         send login hans
         show prompt password
         hang up
         exit Done",
    );
    let mut script = Script::greeted(Settings::default());
    script.types("hans").types("x").happens(Event::EndOfInput).server("ask password").and();
    script.server("refused invalid_credentials 2").does(
        "show refused invalid 2
         show prompt password
         hang up
         exit LoginRefused",
    );
}

#[test]
fn a_server_that_cannot_be_reached_or_does_not_greet_ends_the_program() {
    let mut script = Script::new(Settings::default());
    script.happens(Event::Started).happens(Event::Disconnected).does(
        "dial
         exit ServerLost",
    );
    let mut script = Script::new(Settings::default());
    script.happens(Event::Started).happens(Event::Connected).and();
    script.server("HTTP/1.1 400 Bad Request").does(
        "hang up
         exit Stranger",
    );
    let mut script = Script::new(Settings::default());
    script.happens(Event::Started).happens(Event::Connected).and();
    script.after(Duration::from_secs(10)).does(
        "hang up
         exit Stranger",
    );
}

#[test]
fn a_login_that_takes_too_long_is_a_timeout() {
    let mut script = Script::greeted(Settings::default());
    script.and().server("bye timeout").does(
        "show bye timeout
         hang up
         exit TimedOut",
    );
    let mut script = Script::greeted(retrying());
    script.and().server("bye timeout").does(
        "show bye timeout
         hang up
         show prompt username",
    );
    // Nobody holds a connection while the prompt stands open.
    script.after(Duration::from_secs(3_600)).does("");
}

#[test]
fn a_server_that_goes_before_login_says_no_bye() {
    for end in ["bye server_shutdown", "bye logout"] {
        let mut script = Script::greeted(Settings::default());
        script.and().server(end).does(
            "hang up
             exit ServerLost",
        );
    }
    let mut script = Script::greeted(Settings::default());
    script.and().server("bye version").does(
        "hang up
         exit VersionRefused",
    );
    let mut script = Script::greeted(Settings::default());
    script.and().happens(Event::Disconnected).does("exit ServerLost");
}

#[test]
fn who_is_kicked_before_a_login_is_told() {
    let mut script = Script::greeted(Settings::default());
    script.and().server("bye kicked").does(
        "show bye kicked
         hang up
         exit Failed",
    );
}

#[test]
fn a_signal_before_login_just_ends() {
    let mut script = Script::greeted(Settings::default());
    script.and().happens(Event::Interrupted(Signal::Interrupt)).does(
        "hang up
         exit interrupted",
    );
}

#[test]
fn a_session_that_was_not_asked_for_does_not_begin() {
    let mut script = Script::greeted(Settings::default());
    script.and().server("welcome hans unread 0 login 7").does("");
}

#[test]
fn unreadable_answers_are_typed_again_and_refused_work_is_retried() {
    let mut script = Script::greeted(Settings::default());
    script.types("hans").and().server("error too_long").does(
        "show refused bad name
         show prompt username",
    );
    script.types("hans").server("ask password").types("falcon").and();
    script.server("error too_long").does(
        "show refused unusable 3
         show prompt password",
    );
    script.types("leia").server("error storage_unavailable login").and();
    script.after_ms(1_000).does("send login hans leia");
    let mut script = Script::greeted(Settings::default());
    script.types("leia").server("ask new_password").types("x").and();
    script.server("error usage register").does(
        "show refused unusable 3
         show prompt new_password",
    );
}
