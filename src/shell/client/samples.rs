//! One of every view, with the JSON and the text that the contract wants for it.

use crate::client::Way;
use crate::client::view::{
    Bye, Connection, Contact, Failure, GroupChange, LoginRefused, Message, MessageKind, Notice, Path,
    PrivateEnd, Question, ServerKey, Success, View,
};
use crate::time::Time;
use crate::wire::{Code, PingStatus, Presence, Status};
use crate::words::Fingerprint;

mod failures;

pub(super) use self::failures::failures;

/// A live message of 14 November 2023.
pub(super) fn message(kind: MessageKind, from: &str, text: &str) -> Message {
    Message {
        kind,
        group: (kind == MessageKind::Group).then(|| "rebels".into()),
        from: from.into(),
        text: text.into(),
        sent_at: Time(1_700_000_000_000_000),
        stored: false,
        again: false,
        mentions: Vec::new(),
        rings: false,
        id: "3.7".into(),
    }
}

/// Every view and every success: the view, its JSON, its text in plain mode.
pub(super) fn views() -> Vec<Sample> {
    let mut views = connection_views();
    views.extend(session_views());
    views.extend(refused_views());
    views.extend(notice_views());
    views.extend(message_views());
    views.extend(private_views());
    views.extend(failure_views());
    views.extend(success_views());
    views.extend(seen_views());
    views.extend(away_views());
    views.extend(group_success_views());
    views
}

fn connection_views() -> Vec<Sample> {
    let connection = |state: Connection, text| {
        (
            View::Connection(Contact { state, key: None }),
            format!(r#"{{"type":"connection","state":"{state}"}}"#),
            text,
        )
    };
    let encrypted = |first_use, more: &str, text| {
        let (state, fingerprint) = (Connection::Connected, Fingerprint([0; 32]));
        let key = Some(ServerKey { fingerprint, first_use });
        let json =
            format!(r#"{{"type":"connection","state":"{state}","fingerprint":"{fingerprint}"{more}}}"#);
        (View::Connection(Contact { state, key }), json, text)
    };
    vec![
        connection(Connection::Connected, ""),
        encrypted(false, "", ""),
        encrypted(
            true,
            r#","first_use":true"#,
            "First connection to this server. From now on it is known by its key: \
             SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        ),
        connection(Connection::Reconnecting, "Connection lost. Reconnecting\n"),
        connection(Connection::Resumed, "Connected again\n"),
    ]
}

fn session_views() -> Vec<Sample> {
    let bye = |bye: Bye, text| (View::Bye(bye), format!(r#"{{"type":"bye","reason":"{bye}"}}"#), text);
    let prompt = |ask: Question| {
        (View::Prompt { ask, again: false }, format!(r#"{{"type":"prompt","ask":"{ask}"}}"#), "")
    };
    let logged_in = |unread, text| {
        let json = format!(r#"{{"type":"login","ok":true,"user":"luke","unread":{unread}}}"#);
        (View::LoggedIn { user: "luke".into(), unread }, json, text)
    };
    vec![
        prompt(Question::Username),
        prompt(Question::Password),
        prompt(Question::NewPassword),
        logged_in(0, "Welcome, luke!\n"),
        logged_in(1, "Welcome, luke!\n1 stored message\n"),
        logged_in(2, "Welcome, luke!\n2 stored messages\n"),
        bye(Bye::Logout, ""),
        bye(Bye::LoginTimeout, "You have not logged in in time\n"),
        bye(Bye::Timeout, "You have been logged out as nothing was heard of you for too long\n"),
        bye(Bye::ServerShutdown, "The server has stopped\n"),
        bye(Bye::ConnectionLost, "The connection to the server is lost\n"),
        bye(Bye::Replaced, "You have been logged out as you logged in elsewhere\n"),
        bye(Bye::Kicked, "You have been logged out by the operator\n"),
    ]
}

fn refused_views() -> Vec<Sample> {
    let refused = |refused, fields, text| {
        let json = format!(r#"{{"type":"login","ok":false,"error":{fields}}}"#);
        (View::LoginRefused(refused), json, text)
    };
    vec![
        refused(
            LoginRefused::InvalidCredentials { attempts_left: 2 },
            r#""invalid_credentials","attempts_left":2"#,
            "Invalid Password. Please try again\n",
        ),
        refused(
            LoginRefused::InvalidCredentials { attempts_left: 0 },
            r#""invalid_credentials","attempts_left":0"#,
            "Invalid Password\n",
        ),
        refused(
            LoginRefused::UnusablePassword { attempts_left: 2 },
            r#""invalid_credentials","attempts_left":2"#,
            "Error. The password is too long or not UTF-8\n",
        ),
        refused(
            LoginRefused::LockedOut { retry_after_secs: 60, just_now: true },
            r#""locked_out","retry_after":60"#,
            "Invalid Password. Your account has been blocked. Please try again later\n",
        ),
        refused(
            LoginRefused::LockedOut { retry_after_secs: 9, just_now: false },
            r#""locked_out","retry_after":9"#,
            "Your account is blocked due to multiple login failures. Please try again later\n",
        ),
        refused(
            LoginRefused::TooManyAccounts { retry_after_secs: 3_541 },
            r#""locked_out","retry_after":3541"#,
            "Error. Too many accounts were made from this address. Try again in 60 min\n",
        ),
        refused(LoginRefused::AlreadyOnline, r#""already_online""#, "Your account is already logged in\n"),
        refused(LoginRefused::BadName, r#""bad_name""#, "Error. Invalid username\n"),
        refused(LoginRefused::Busy, r#""busy""#, "The server is busy. Please try again later\n"),
        refused(
            LoginRefused::NameTaken,
            r#""name_taken""#,
            "Error. This username is taken. Please choose another\n",
        ),
        refused(
            LoginRefused::InvalidInvite,
            r#""invalid_invite""#,
            "Error. This invite is used up, at its end, or wrong. Please ask for another one\n",
        ),
        refused(
            LoginRefused::NoInvites,
            r#""no_invites""#,
            "Error. This server knows no invites: it is of an earlier version\n",
        ),
    ]
}

fn notice_views() -> Vec<Sample> {
    let notice = |notice, text: &'static str| {
        (View::Notice(notice), format!(r#"{{"type":"notice","text":"{}"}}"#, text.trim_end()), text)
    };
    let expired = |count, text: &'static str| {
        let json = format!(r#"{{"type":"notice","text":"{}","removed":{count}}}"#, text.trim_end());
        (View::Notice(Notice::Expired { count }), json, text)
    };
    vec![
        notice(
            Notice::FailedLogins { count: 1 },
            "1 failed login to your account since you were last here\n",
        ),
        notice(
            Notice::FailedLogins { count: 3 },
            "3 failed logins to your account since you were last here\n",
        ),
        expired(1, "1 stored message was removed: it had waited for too long\n"),
        expired(3, "3 stored messages were removed: they had waited for too long\n"),
        notice(
            Notice::Missed { count: 1 },
            "1 broadcast or notice was dropped: this client read too slowly\n",
        ),
        notice(
            Notice::Missed { count: 2 },
            "2 broadcasts and notices were dropped: this client read too slowly\n",
        ),
        notice(
            Notice::Idle { seconds: 1 },
            "You will be logged out in 1 second unless you enter a command\n",
        ),
        notice(
            Notice::Idle { seconds: 60 },
            "You will be logged out in 60 seconds unless you enter a command\n",
        ),
        notice(
            Notice::Excess,
            "The server has sent a longer list than this client keeps; the connection was closed\n",
        ),
        notice(
            Notice::Unsettled { count: 1 },
            "The outcome of 1 earlier command is not known; it is not repeated\n",
        ),
        notice(
            Notice::Unsettled { count: 2 },
            "The outcome of 2 earlier commands is not known; they are not repeated\n",
        ),
        notice(Notice::Raw { on: true }, "Lines of the protocol are shown; raw again ends it\n"),
        notice(Notice::Raw { on: false }, "Lines of the protocol are shown no more\n"),
        notice(Notice::New, "New messages from here on\n"),
        notice(Notice::Unseen { count: 1 }, "1 new message\n"),
        notice(Notice::Unseen { count: 14 }, "14 new messages\n"),
        notice(Notice::InvitedAs { user: "rey".into() }, "You are invited as rey\n"),
        notice(Notice::PasswordsDiffer, "The two passwords differ. Please try again\n"),
        (
            View::Announcement { text: "back at 5\u{1b}".into() },
            r#"{"type":"notice","by":"operator","text":"back at 5\u001b"}"#.into(),
            "The operator says: back at 5^[\n",
        ),
    ]
}

fn message_views() -> Vec<Sample> {
    let row = |message: Message, fields: &str, text| {
        let json = format!(
            r#"{{"type":"message",{fields}"from":"hans","text":"Hey Dude","sent_at":"2023-11-14T22:13:20.000Z","stored":{},"id":"3.7"{}}}"#,
            message.stored,
            if message.again { r#","again":true"# } else { "" },
        );
        (View::Message(message), json, text)
    };
    let hey = |kind| message(kind, "hans", "Hey Dude");
    vec![
        row(hey(MessageKind::Direct), r#""kind":"direct","#, "hans: Hey Dude\n"),
        row(hey(MessageKind::Broadcast), r#""kind":"broadcast","#, "hans(all): Hey Dude\n"),
        row(hey(MessageKind::Group), r#""kind":"group","group":"rebels","#, "hans(group rebels): Hey Dude\n"),
        row(hey(MessageKind::Private), r#""kind":"private","#, "hans(private): Hey Dude\n"),
        row(Message { stored: true, ..hey(MessageKind::Direct) }, r#""kind":"direct","#, "hans: Hey Dude\n"),
        row(
            Message { stored: true, again: true, ..hey(MessageKind::Direct) },
            r#""kind":"direct","#,
            "(again) hans: Hey Dude\n",
        ),
    ]
}

fn private_views() -> Vec<Sample> {
    let presence = |online, text| {
        let json = format!(r#"{{"type":"presence","user":"luke","online":{online}}}"#);
        (View::Presence { user: "luke".into(), online }, json, text)
    };
    let opened = |path: Path, text| {
        let json = format!(r#"{{"type":"private_opened","user":"luke","path":"{path}"}}"#);
        (View::PrivateOpened { user: "luke".into(), path }, json, text)
    };
    let closed = |reason: PrivateEnd, text| {
        let json = format!(r#"{{"type":"private_closed","user":"luke","reason":"{reason}"}}"#);
        (View::PrivateClosed { user: "luke".into(), reason }, json, text)
    };
    let group = |members: &[&str], list: &str, text| {
        let json = format!(r#"{{"type":"group","group":"rebels","by":"hans","members":[{list}]}}"#);
        let members: Vec<String> = members.iter().map(|&member| member.into()).collect();
        let change = if members.is_empty() { GroupChange::Deleted } else { GroupChange::Some };
        (View::Group { group: "rebels".into(), by: "hans".into(), members, change }, json, text)
    };
    vec![
        presence(true, "luke logged in\n"),
        presence(false, "luke logged out\n"),
        (
            View::PrivateRequest { from: "hans".into() },
            r#"{"type":"private_request","from":"hans"}"#.into(),
            "hans would like to private message, enter y or n: \n",
        ),
        opened(Path::Direct, "Start private messaging with luke\n"),
        opened(Path::Relayed, "Start private messaging with luke (relayed)\n"),
        closed(PrivateEnd::Stopped, "Private messaging with luke stopped\n"),
        closed(PrivateEnd::LoggedOut, "Private messaging with luke ended by logout\n"),
        closed(PrivateEnd::TimedOut, "Private messaging with luke ended by timeout\n"),
        closed(PrivateEnd::Lost, "Private messaging with luke lost\n"),
        group(&["hans", "luke"], r#""hans","luke""#, "hans changed group rebels: hans, luke\n"),
        group(&[], "", "hans deleted group rebels\n"),
    ]
}

type Sample = (View, String, &'static str);

fn row(command: &str, success: Success, fields: &str, text: &'static str) -> Sample {
    let json = format!(r#"{{"type":"result","line":5,"command":"{command}","ok":true{fields}}}"#);
    (View::Result { line: 5, command: command.into(), outcome: Ok(success) }, json, text)
}

fn failure_views() -> Vec<Sample> {
    let failure = Failure { code: Code::OutcomeUnknown, subject: Some("luke".into()), typed: None };
    let text = "Error. Whether this was done is not known: message luke";
    let json = format!(
        r#"{{"type":"result","line":5,"command":"message","ok":false,"error":"outcome_unknown","text":"{text}"}}"#
    );
    let view = View::Result { line: 5, command: "message".into(), outcome: Err(failure) };
    vec![(view, json, "Error. Whether this was done is not known: message luke (line 5)\n")]
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn success_views() -> Vec<Sample> {
    let sent = |status| Success::Message { to: "hans".into(), status, until: None, away: None, words: None };
    let until = Success::Message {
        to: "hans".into(),
        status: Status::Stored,
        until: Some(Time(1_700_000_000_123_999)),
        away: None,
        words: None,
    };
    let (stored, end) = (r#","to":"hans","status":"stored""#, r#""until":"2023-11-14T22:13:20.123Z""#);
    let named = |status| {
        let words = Some("are you…".into());
        Success::Message { to: "hans".into(), status, until: None, away: None, words }
    };
    let broadcast = |withheld, names: &[&str]| Success::Broadcast {
        recipients: 3,
        withheld,
        withheld_users: strings(names),
    };
    let users = |users: &[&str]| Success::Users { users: strings(users) };
    let user = || Success::User { user: "hans".into() };
    let ping = |status| Success::Ping { user: "hans".into(), status };
    let withheld = "Your message could not be delivered to some recipients\n";
    vec![
        row("message", sent(Status::Delivered), r#","to":"hans","status":"delivered""#, ""),
        row(
            "message",
            sent(Status::Stored),
            r#","to":"hans","status":"stored""#,
            "Your message to hans has been stored\n",
        ),
        row(
            "message",
            named(Status::Delivered),
            r#","to":"hans","status":"delivered""#,
            "Your message to hans has been delivered: are you…\n",
        ),
        row(
            "message",
            named(Status::Stored),
            r#","to":"hans","status":"stored""#,
            "Your message to hans has been stored: are you…\n",
        ),
        row("message", until, &format!("{stored},{end}"), "Your message to hans has been stored\n"),
        row("private", sent(Status::Delivered), r#","to":"hans","status":"delivered""#, ""),
        row("broadcast", broadcast(false, &[]), r#","recipients":3,"withheld":false"#, ""),
        row("broadcast", broadcast(true, &[]), r#","recipients":3,"withheld":true"#, withheld),
        row(
            "broadcast",
            broadcast(true, &["luke", "yoda"]),
            r#","recipients":3,"withheld":true,"withheld_users":["luke","yoda"]"#,
            "Your message could not be delivered to some recipients: luke, yoda\n",
        ),
        row("wholasthr", users(&["hans", "yoda"]), r#","users":["hans","yoda"]"#, "hans\nyoda\n"),
        row("whoelsesince", users(&[]), r#","users":[]"#, "Nobody else\n"),
        row("block", user(), r#","user":"hans""#, "hans is blocked\n"),
        row("unblock", user(), r#","user":"hans""#, "hans is unblocked\n"),
        row("accept", user(), r#","user":"hans""#, ""),
        row("decline", user(), r#","user":"hans""#, "Private messaging with hans declined\n"),
        row("stopprivate", user(), r#","user":"hans""#, ""),
        row("offline", Success::Offline { messages: 0 }, r#","messages":0"#, "No stored messages\n"),
        row("offline", Success::Offline { messages: 2 }, r#","messages":2"#, ""),
        row("ping", ping(PingStatus::Online), r#","user":"hans","status":"online""#, "hans is online\n"),
        row("ping", ping(PingStatus::Offline), r#","user":"hans","status":"offline""#, "hans is offline\n"),
        row(
            "ping",
            ping(PingStatus::Blocked),
            r#","user":"hans","status":"blocked""#,
            "hans has blocked you\n",
        ),
    ]
}

/// On a pipe text stays as it was; at a terminal it says who is away.
fn away_views() -> Vec<Sample> {
    let text = String::from("at \u{1b}[31m lunch\u{2028}yoda: hi");
    let json = r#"at \u001b[31m lunch\nyoda: hi"#;
    let users = strings(&["hans", "yoda"]);
    let away = vec![(String::from("yoda"), text.clone())];
    let away_for = Some(text);
    let message = Success::Message {
        to: "yoda".into(),
        status: Status::Delivered,
        until: None,
        away: away_for,
        words: None,
    };
    vec![
        row("message", message, &format!(r#","to":"yoda","status":"delivered","away":"{json}""#), ""),
        row(
            "whoelse",
            Success::Whoelse { users, away },
            &format!(r#","users":["hans","yoda"],"away":{{"yoda":"{json}"}}"#),
            "hans\nyoda\n",
        ),
        row(
            "whoelse",
            Success::Whoelse { users: vec![], away: vec![] },
            r#","users":[],"away":{}"#,
            "Nobody else\n",
        ),
        row("away", Success::Done, "", "You are away, until you say: back\n"),
        row("back", Success::Done, "", "You are back\n"),
        row("op", Success::Ordered { lines: vec![] }, r#","lines":[]"#, "Done\n"),
        row(
            "op",
            Success::Ordered { lines: strings(&["sessions  2", "\u{1b}[1m"]) },
            r#","lines":["sessions  2","\u001b[1m"]"#,
            "sessions  2\n^[[1m\n",
        ),
    ]
}

fn seen_views() -> Vec<Sample> {
    let seen =
        |presence, json, text| row("seen", Success::Seen { user: "hans".into(), presence }, json, text);
    let until = Presence::Until(Time(1_700_000_000_123_999));
    let at = r#","user":"hans","online":false,"at":"2023-11-14T22:13:20.123Z""#;
    vec![
        seen(Presence::Now, r#","user":"hans","online":true,"at":null"#, "hans is online\n"),
        seen(Presence::Never, r#","user":"hans","online":false,"at":null"#, "hans has not been seen\n"),
        seen(until, at, "hans was last here at 2023-11-14T22:13:20.123Z\n"),
    ]
}

fn group_success_views() -> Vec<Sample> {
    let group = || Success::Group { group: "rebels".into(), members: strings(&["hans", "luke"]) };
    let told = |stored, refused, withheld| {
        let group = "rebels".into();
        Success::GroupMessage { group, delivered: 1, stored, refused, withheld, words: None }
    };
    vec![
        row(
            "create group",
            group(),
            r#","group":"rebels","members":["hans","luke"]"#,
            "Group rebels created: hans, luke\n",
        ),
        row(
            "add group",
            group(),
            r#","group":"rebels","members":["hans","luke"]"#,
            "Group rebels changed: hans, luke\n",
        ),
        row("leave group", group(), r#","group":"rebels","members":["hans","luke"]"#, "Group rebels left\n"),
        row(
            "delete group",
            Success::Group { group: "rebels".into(), members: Vec::new() },
            r#","group":"rebels","members":[]"#,
            "Group rebels deleted\n",
        ),
        row(
            "message group",
            told(0, 0, false),
            r#","group":"rebels","delivered":1,"stored":0,"refused":0,"withheld":false"#,
            "",
        ),
        row(
            "message group",
            told(1, 2, true),
            r#","group":"rebels","delivered":1,"stored":1,"refused":2,"withheld":true"#,
            "Your message to group rebels has been stored for 1 member\n\
             Your message to group rebels was refused: 2 mailboxes are full\n\
             Your message could not be delivered to some recipients\n",
        ),
        row(
            "grouplist",
            Success::Groups { groups: vec![("rebels".into(), strings(&["hans", "luke"]))] },
            r#","groups":[{"group":"rebels","members":["hans","luke"]}]"#,
            "rebels: hans, luke\n",
        ),
        row("grouplist", Success::Groups { groups: Vec::new() }, r#","groups":[]"#, "No groups\n"),
        row(
            "startprivate",
            Success::Private { user: "luke".into(), path: Path::Direct },
            r#","user":"luke","path":"direct""#,
            "",
        ),
        row(
            "path",
            Success::Path { user: "luke".into(), way: Way::Auto, path: Some(Path::Relayed) },
            r#","user":"luke","way":"auto","path":"relayed""#,
            "The private link with luke is relayed (chosen: direct, else relayed)\n",
        ),
        row(
            "path",
            Success::Path { user: "luke".into(), way: Way::Relay, path: None },
            r#","user":"luke","way":"relay","path":null"#,
            "No private link with luke (chosen: relayed only)\n",
        ),
        row("help", Success::Help { text: "one\ntwo".into() }, r#","text":"one\ntwo""#, "one\ntwo\n"),
        row("logout", Success::Logout, "", ""),
    ]
}
