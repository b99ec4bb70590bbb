//! A server that relays falsely between two real clients: the link ends, and nothing false is shown (R60).

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use serde_json::Value;
use support::{Client, Place, TOKEN};

/// Never in what the server sees.
const PLANTED: &str = "shallots-and-garlic";

/// What becomes of the frames of one direction since the server lies, as lines: those that are said instead of the
/// one that came. `before` are the frames of that time, so its length is the frame's number.
type Evil = fn(line: &str, before: &[String]) -> Vec<String>;

/// The relayed link as the server sees it, to be waited for.
#[derive(Default)]
struct Wire {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Default)]
struct Now {
    /// From the caller.
    frames: usize,
    lies: bool,
    closed: bool,
}

impl Wire {
    fn change(&self, how: impl FnOnce(&mut Now)) {
        how(&mut self.now.lock().expect("the wire"));
        self.changed.notify_all();
    }

    fn frames(&self) -> usize {
        self.now.lock().expect("the wire").frames
    }

    fn lies(&self) -> bool {
        self.now.lock().expect("the wire").lies
    }

    /// Waits until the caller has sent more frames than this, or the link is closed.
    fn wait_beyond(&self, frames: usize) {
        let now = self.now.lock().expect("the wire");
        drop(self.changed.wait_while(now, |now| now.frames <= frames && !now.closed).expect("the wire"));
    }
}

/// Reads lines, which the server keeps.
fn lines(stream: &TcpStream, kept: &Arc<Mutex<String>>) -> impl Iterator<Item = String> + use<> {
    let kept = Arc::clone(kept);
    let lines = BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok);
    lines.inspect(move |line| kept.lock().expect("kept").extend([line.as_str(), "\n"]))
}

fn say(mut stream: &TcpStream, line: &str) {
    // A client that has gone hears nothing.
    let _ = stream.write_all(format!("{line}\n").as_bytes());
}

/// Passes on what one client says about the relay; since the server lies, as it likes.
fn relay(from: impl Iterator<Item = String>, to: &TcpStream, wire: &Wire, mut forward: impl FnMut(&str)) {
    for line in from {
        if line.starts_with("relay data ") {
            forward(&line);
        } else if line.starts_with("relay took ") {
            say(to, &line);
        } else if line == "relay close 1" {
            say(to, "relay closed 1");
            wire.change(|now| now.closed = true);
        }
    }
    wire.change(|now| now.closed = true);
}

/// Two clients whose link is relayed like this from hans to luke, and all that the server has read.
fn relayed(evil: Evil) -> (Client, Client, Place, Arc<Mutex<String>>, Arc<Wire>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let (place, kept) = (Place::with(""), Arc::new(Mutex::new(String::new())));
    let start = |user: &str| {
        let mut command = place.client_command();
        let options = ["--json", "--user", user, "--path", "relay", "--reconnect", "0"];
        command.args(["--plaintext", &port]).args(options);
        let mut client = Client::spawn(command, true);
        client.answer("falcon");
        let (stream, _) = listener.accept().expect("a client");
        let mut said = lines(&stream, &kept);
        say(&stream, "hobnob 1 ack resume relay");
        for line in ["hello 1 ack resume device alive away relay until", &format!("login {user}")] {
            assert_eq!(said.next().as_deref(), Some(line));
        }
        say(&stream, "ask password");
        assert_eq!(said.next(), Some(format!("login {user} falcon")));
        kept.lock().expect("kept").clear();
        say(&stream, &format!("welcome {user} unread 0 login 1 token {TOKEN}"));
        assert_eq!(client.skip_to("login")["ok"], true);
        (client, stream, said)
    };
    let (mut hans, to_hans, mut of_hans) = start("hans");
    let (mut luke, to_luke, mut of_luke) = start("luke");
    hans.say("startprivate luke");
    let key = |line: Option<String>| line.and_then(|line| Some(line.split_once("ed25519:")?.1.to_owned()));
    let asked = of_hans.find(|line| line.starts_with("#1 startprivate luke"));
    say(&to_luke, "request hans");
    assert_eq!(luke.object()["from"], "hans");
    luke.say("accept hans");
    let accepted = of_luke.find(|line| line.starts_with("#1 accept hans"));
    let (of_one, of_other) = (key(asked).expect("a key"), key(accepted).expect("a key"));
    assert!(!of_one.contains(' ') && !of_other.contains(' '), "no address");
    let id = "0123456789abcdef0123456789abcdef";
    say(&to_luke, &format!("introduce hans accepter {id} ed25519:{of_one}\nok #1 accept hans"));
    say(&to_hans, &format!("introduce luke requester {id} ed25519:{of_other}\nok #1 startprivate luke"));
    for (said, user) in [(&mut of_hans, "luke"), (&mut of_luke, "hans")] {
        assert!(said.any(|line| line == format!("relay open {user}")));
    }
    say(&to_hans, "relay opened 1 luke");
    say(&to_luke, "relay opened 1 hans");
    let wire = Arc::new(Wire::default());
    let (to, of) = (to_luke.try_clone().expect("a stream"), Arc::clone(&wire));
    thread::spawn(move || {
        let mut before: Vec<String> = Vec::new();
        relay(of_hans, &to, &of, |line| {
            if of.lies() {
                evil(line, &before).iter().for_each(|line| say(&to, line));
                before.push(line.to_owned());
            } else {
                say(&to, line);
            }
            of.change(|now| now.frames += 1);
        });
    });
    let of = Arc::clone(&wire);
    thread::spawn(move || relay(of_luke, &to_hans, &of, |line| say(&to_hans, line)));
    (hans, luke, place, kept, wire)
}

#[test]
fn what_is_relayed_is_only_read_by_whom_it_is_for() {
    let (mut hans, mut luke, _place, kept, _wire) = relayed(|line, _| vec![line.to_owned()]);
    assert_eq!(hans.skip_to("private_opened")["path"], "relayed");
    assert_eq!(luke.skip_to("private_opened")["path"], "relayed");
    for number in 0..20 {
        hans.say(&format!("private luke {PLANTED} {number}"));
        assert_eq!(luke.skip_to("message")["text"], format!("{PLANTED} {number}"));
    }
    assert!(!kept.lock().expect("kept").contains(PLANTED));
}

/// Says texts two by two, with a frame between any two, until the link is closed.
fn talk_until_closed(hans: &mut Client, luke: &mut Client, wire: &Wire) -> Option<Value> {
    for number in (0..20).step_by(2) {
        for text in [number, number + 1] {
            let frames = wire.frames();
            hans.say(&format!("private luke {text}"));
            wire.wait_beyond(frames);
        }
        let first = number.to_string();
        loop {
            let object = luke.object();
            if object["type"] == "private_closed" {
                return Some(object);
            }
            // The second may come with the next ones only.
            if object["text"] == *first {
                break;
            }
        }
    }
    None
}

#[test]
fn a_relay_that_lies_ends_the_link_and_shows_nothing_false() {
    let evils: [Evil; 5] = [
        // Changes one character.
        |line, _| {
            let (head, last) = line.split_at(line.len() - 8);
            let swapped: String = last.chars().rev().collect();
            vec![format!("{head}{swapped}")]
        },
        // Repeats.
        |line, _| vec![line.to_owned(); 2],
        // Keeps one back and says it later.
        |line, before| match before {
            [] => Vec::new(),
            [first] => vec![line.to_owned(), first.clone()],
            _ => vec![line.to_owned()],
        },
        // Cuts off the end.
        |line, _| {
            let cut = line.len() - 12 - (line.len() - 13) % 4;
            vec![line[..cut].to_owned()]
        },
        // Says something that came earlier.
        |line, before| before.last().cloned().into_iter().chain([line.to_owned()]).collect(),
    ];
    for (which, evil) in evils.into_iter().enumerate() {
        let (mut hans, mut luke, _place, _kept, wire) = relayed(evil);
        hans.skip_to("private_opened");
        luke.skip_to("private_opened");
        luke.skip_to("result");
        wire.change(|now| now.lies = true);
        let closed = talk_until_closed(&mut hans, &mut luke, &wire).expect("the link ends");
        assert_eq!((&closed["user"], &closed["reason"]), (&"hans".into(), &"lost".into()), "{which}");
        let shown: Vec<String> =
            luke.shown("message").iter().map(|message| message["text"].to_string()).collect();
        let expected: Vec<String> = (0..shown.len()).map(|number| format!("\"{number}\"")).collect();
        assert_eq!(shown, expected, "{which}");
        assert_eq!(hans.skip_to("private_closed")["reason"], "lost", "{which}");
    }
}
