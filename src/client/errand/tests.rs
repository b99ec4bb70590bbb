//! Errands, line by line.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;

struct Script {
    errand: Errand,
    now: Time,
    sent: String,
    actions: Vec<String>,
}

/// The text of a number, with an id that is that number.
fn piece(number: u8, text: &str) -> Piece {
    let mark = MessageMark { kind: crate::wire::IdKind::Given, id: Token([number; 16]) };
    Piece { text: text.into(), mark }
}

fn line(number: u8, text: &str) -> String {
    alloc::format!("#{number} given {} message yoda {text}\n", Token([number; 16]))
}

fn orders(texts: &[&str]) -> Orders {
    Orders {
        user: Name::new("hans").unwrap(),
        means: Means { password: Some(Password::new("falcon")), token: None },
        recipient: Recipient::User("yoda".into()),
        texts: (1..).zip(texts).map(|(number, text)| piece(number, text)).collect(),
        wanted: Wanted::Stored,
        timeout_secs: 30,
        line_bytes: 4_096,
    }
}

/// An errand whose server has greeted.
fn begun(orders: Orders) -> Script {
    let errand = Errand::new(orders);
    let mut script = Script { errand, now: Time(5), sent: String::new(), actions: Vec::new() };
    script.happens(Happening::Started);
    assert_eq!(script.take(), ["Dial"]);
    script.happens(Happening::Connected);
    script.says("hobnob 1 ack courier");
    script
}

/// One that is in.
fn let_in(orders: Orders) -> Script {
    let mut script = begun(orders);
    script.says("welcome hans unread 0 login 0 token 00112233445566778899aabbccddeeff");
    assert!(script.take().contains(&String::from("KeepToken")));
    script
}

impl Script {
    fn happens(&mut self, happening: Happening<'_>) {
        for action in self.errand.handle(happening, self.now) {
            match action {
                Action::Send(bytes) => self.sent += core::str::from_utf8(&bytes).unwrap(),
                Action::WakeAt(_) => {}
                Action::Show(View::Result { line, outcome, .. }) => {
                    let word = match outcome {
                        Ok(_) => "ok".into(),
                        Err(failure) => failure.code.to_string(),
                    };
                    self.actions.push(alloc::format!("{line} {word}"));
                }
                other @ (Action::Dial
                | Action::KeepToken(_)
                | Action::ForgetToken
                | Action::PasswordRefused
                | Action::Show(_)
                | Action::Explain(_)
                | Action::Exit(_)) => self.actions.push(alloc::format!("{other:?}")),
            }
        }
    }

    fn says(&mut self, lines: &str) {
        self.happens(Happening::Received(alloc::format!("{lines}\n").as_bytes()));
    }

    fn after(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.happens(Happening::Tick);
    }

    fn take(&mut self) -> Vec<String> {
        mem::take(&mut self.actions)
    }

    fn sent(&mut self) -> String {
        mem::take(&mut self.sent)
    }
}

#[test]
fn texts_are_sent_once_and_their_outcome_decides_the_code() {
    for (answers, code) in [
        (&["ok #1 message yoda stored", "ok #2 message yoda delivered"][..], "Done"),
        (&["ok #2 message yoda delivered", "error #1 blocked message"], "Refused"),
        (&["error #1 outcome_unknown message", "error #2 blocked message"], "NotKnown"),
    ] {
        let mut script = let_in(orders(&["one", "two"]));
        assert_eq!(
            script.sent(),
            String::from("hello 1 courier until\nlogin hans falcon\n") + &line(1, "one") + &line(2, "two")
        );
        answers.iter().for_each(|answer| script.says(answer));
        assert_eq!(script.take().last(), Some(&alloc::format!("Exit({code})")));
        assert_eq!(script.sent(), "logout\n");
    }
}

#[test]
fn what_is_stored_is_not_enough_where_delivery_is_wanted() {
    let mut script = let_in(Orders { wanted: Wanted::Delivered, ..orders(&["one"]) });
    script.says("ok #1 message yoda stored");
    assert_eq!(script.take(), ["1 ok", "Exit(NotKnown)"]);
    let recipient = Recipient::Group("jedi".into());
    let mut script = let_in(Orders { wanted: Wanted::Delivered, recipient, ..orders(&["one"]) });
    script.says("ok #1 message group jedi 3 0 1 complete");
    assert_eq!(script.take(), ["1 ok", "Exit(Refused)"]);
}

#[test]
fn a_token_goes_before_the_password_and_is_forgotten_when_it_is_stale() {
    let means = Means { password: Some(Password::new("falcon")), token: Some(Token([1; 16])) };
    let mut script = begun(Orders { means, ..orders(&["one"]) });
    assert_eq!(script.sent(), "hello 1 courier until\nresume hans 01010101010101010101010101010101\n");
    script.says("refused stale");
    assert_eq!(
        (script.sent().as_str(), script.take().as_slice()),
        ("login hans falcon\n", &["ForgetToken".into()][..])
    );
    script.says("refused invalid_credentials 2");
    let said = script.take();
    assert_eq!((said[0].as_str(), said[2].as_str()), ("PasswordRefused", "Exit(LoginRefused)"));
    let mut script = begun(Orders { means: Means::default(), ..orders(&["one"]) });
    assert_eq!(script.take(), ["Explain(NoPassword)", "Exit(LoginRefused)"]);
}

#[test]
fn a_busy_server_is_asked_again_until_the_time_is_over() {
    let mut script = begun(orders(&["one"]));
    script.sent();
    for _ in 0..29 {
        script.says("refused busy");
        script.after(1);
        assert_eq!(script.sent(), "login hans falcon\n");
    }
    script.says("refused busy");
    script.after(1);
    assert_eq!(script.take().last().map(String::as_str), Some("Exit(NotKnown)"));
}

#[test]
fn what_was_sent_is_said_again_when_a_lost_server_is_back() {
    let mut script = let_in(orders(&["one", "two"]));
    script.says("ok #2 message yoda stored");
    script.happens(Happening::Disconnected);
    assert_eq!(script.take(), ["2 ok"]);
    script.sent();
    script.after(1);
    assert_eq!(script.take(), ["Dial"]);
    // It is not there yet.
    script.happens(Happening::Disconnected);
    script.after(1);
    assert_eq!(script.take(), ["Dial"]);
    script.happens(Happening::Connected);
    script.says("hobnob 1 ack courier");
    assert_eq!(script.sent(), "hello 1 courier until\nresume hans 00112233445566778899aabbccddeeff\n");
    script.says("resumed hans unread 0 login 0");
    assert_eq!(script.sent(), line(1, "one"));
    script.says("ok #1 message yoda delivered");
    assert_eq!(script.take(), ["1 ok", "Exit(Done)"]);
}

#[test]
fn a_server_that_stays_away_or_lets_nobody_in_again_leaves_what_was_sent_in_doubt() {
    let mut script = let_in(orders(&["one", "two"]));
    script.says("ok #2 message yoda stored\nbye server_shutdown");
    script.take();
    script.after(30);
    assert_eq!(script.take(), ["1 outcome_unknown", "Exit(NotKnown)"]);
    let mut script = let_in(orders(&["one"]));
    script.happens(Happening::Disconnected);
    script.after(1);
    script.happens(Happening::Connected);
    script.says("hobnob 1 ack courier\nrefused stale\nrefused invalid_credentials 2");
    let said = script.take();
    assert!(said.ends_with(&["1 outcome_unknown".into(), "Exit(NotKnown)".into()]), "{said:?}");
}

#[test]
fn a_server_that_is_lost_before_the_login_is_not_waited_for() {
    let mut script = begun(orders(&["one"]));
    script.says("bye server_shutdown");
    assert_eq!(script.take(), ["Explain(NoAnswer)", "Exit(ServerLost)"]);
}

#[test]
fn time_that_is_over_leaves_it_in_doubt_as_well() {
    let mut script = let_in(orders(&["one"]));
    script.after(29);
    assert_eq!(script.take().len(), 0);
    script.after(1);
    assert_eq!(script.take(), ["1 outcome_unknown", "Exit(NotKnown)"]);
    let mut script = begun(orders(&["one"]));
    script.after(30);
    assert_eq!(script.take(), ["Explain(NoAnswer)", "Exit(ServerLost)"]);
}

#[test]
fn a_text_that_is_too_long_is_refused_and_others_go() {
    let mut script = let_in(orders(&[&"x".repeat(4_090), "two"]));
    assert!(script.sent().ends_with("token\n") || !script.sent().contains("xxx"));
    script.says("ok #2 message yoda stored");
    assert_eq!(script.take(), ["2 ok", "Exit(Refused)"]);
}

#[test]
fn many_texts_go_in_a_window() {
    let texts: Vec<&str> = (0..100).map(|_| "t").collect();
    let mut script = let_in(orders(&texts));
    assert_eq!(script.sent().matches("message").count(), WINDOW);
    script.says("ok #1 message yoda stored\nok #2 message yoda stored");
    assert_eq!(script.sent().matches("message").count(), 2);
}

#[test]
fn an_older_server_and_a_stranger_are_named() {
    for (greeting, last) in [("hobnob 1 ack", "Exit(VersionRefused)"), ("220 mail", "Exit(Stranger)")] {
        let mut errand = Errand::new(orders(&["one"]));
        errand.handle(Happening::Started, Time(1));
        errand.handle(Happening::Connected, Time(1));
        let actions = errand.handle(Happening::Received(alloc::format!("{greeting}\n").as_bytes()), Time(1));
        assert_eq!(alloc::format!("{:?}", actions.last().unwrap()), last);
    }
}
