//! A day of twelve people at terminals: the server is restarted twice and killed once, one of them sleeps with the lid
//! closed, and 500 messages wait. Nobody's client ends, no draft and no text is lost.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;
use support::{Cable, Place, Server, Terminal, signal};

const NAMES: [&str; 12] =
    ["anna", "ben", "carla", "david", "emma", "felix", "greta", "hugo", "ida", "jonas", "klara", "leo"];
/// The one who sleeps.
const SLEEPER: usize = 11;
const STORED: usize = 500;

struct Day {
    server: Server,
    cable: Cable,
    terminals: Vec<Terminal>,
    /// Who has to see what, from whom.
    expected: Vec<(usize, String)>,
}

impl Day {
    fn begin() -> Day {
        let accounts = [&NAMES[..], &["cron"]].concat();
        // A session outlives its link for two seconds.
        let server = Server::start_in(Place::of(&accounts), &["resume_grace_secs=2"]);
        let cable = Cable::to(server.port);
        let password = server.place.folder().join("password");
        let password = password.to_str().expect("UTF-8");
        let terminals = NAMES.iter().enumerate().map(|(at, name)| {
            let size = if at % 2 == 0 { (24, 80) } else { (15, 60) };
            let port = if at == SLEEPER { cable.port } else { server.port };
            let options = ["--user", name, "--password-file", password];
            let terminal = Terminal::sized(&server.place, port, size, &options, &[("NO_COLOR", "1")]);
            terminal.sees(&format!("Welcome, {name}!"));
            terminal
        });
        let terminals = terminals.collect();
        Day { server, cable, terminals, expected: Vec::new() }
    }

    /// Types a message to the next one in the row.
    fn types(&mut self, from: usize, text: &str, end: &str) {
        let to = (from + 1) % NAMES.len();
        self.terminals[from].types(&format!("message {} {text}{end}", NAMES[to]));
    }

    fn expects(&mut self, from: usize, text: &str) {
        self.expected.push(((from + 1) % NAMES.len(), format!("{}: {text}", NAMES[from])));
    }

    fn awake(asleep: bool) -> impl Iterator<Item = usize> {
        (0..NAMES.len()).filter(move |at| !asleep || *at != SLEEPER)
    }

    /// Everybody says something just before the server goes, and has half typed something else when it does.
    fn goes_and_comes(&mut self, round: usize, asleep: bool, restart: impl FnOnce(&mut Server)) {
        for from in Day::awake(asleep) {
            self.types(from, &format!("hurry-{round}-{from}"), "\r");
            self.types(from, &format!("dra{round}-"), "");
        }
        for from in Day::awake(asleep) {
            let draft = format!("dra{round}-");
            self.terminals[from].wait(&draft, |rows| rows.last().is_some_and(|row| row.ends_with(&draft)));
        }
        restart(&mut self.server);
        for from in Day::awake(asleep) {
            self.terminals[from].types(&format!("ft-{from}\r"));
            self.expects(from, &format!("dra{round}-ft-{from}"));
        }
        for (to, text) in self.expected.clone() {
            if (asleep && to == SLEEPER) || !text.contains(&format!(": dra{round}-")) {
                continue;
            }
            self.terminals[to].wait(&text, |rows| rows.iter().any(|row| row.ends_with(&text)));
        }
    }

    fn shows(&self, at: usize, when: &str) {
        println!("\n== {} {when}", NAMES[at]);
        for row in self.terminals[at].rows() {
            println!("   | {row}");
        }
    }

    /// What `hobnob send` puts into the sleeper's mailbox.
    fn sends_stored(&mut self) {
        let mut command = self.server.place.client_command();
        let password = self.server.place.folder().join("password");
        let server = format!("127.0.0.1:{}", self.server.port);
        command.args(["send", "--plaintext", "--lines", "--user", "cron", "--server", &server]);
        command.arg("--password-file").arg(password).arg(NAMES[SLEEPER]);
        let mut sending =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program runs");
        let lines: String = (0..STORED).map(|number| format!("stored-{number};\n")).collect();
        sending.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("written");
        let sent = sending.wait_with_output().expect("its end");
        assert_eq!(sent.status.code(), Some(0));
        let stored = String::from_utf8_lossy(&sent.stdout).matches("stored").count();
        assert_eq!(stored, STORED, "all wait in the mailbox");
        self.expected.extend((0..STORED).map(|number| (SLEEPER, format!("cron: stored-{number};"))));
    }

    /// Each text is on the right screen once; one that was said while the server went may be named as not known
    /// instead.
    fn ends(self) {
        let Day { mut terminals, expected, server: _server, cable: _cable } = self;
        terminals.iter_mut().for_each(|terminal| terminal.types("logout\r"));
        let written: Vec<String> = terminals
            .into_iter()
            .map(|terminal| {
                let (code, _, written) = terminal.end();
                assert_eq!(code, 0);
                written
            })
            .collect();
        for (to, text) in expected {
            assert_eq!(written[to].matches(&text).count(), 1, "{text} for {}", NAMES[to]);
        }
        for from in 0..NAMES.len() {
            let (to, mut doubtful) = ((from + 1) % NAMES.len(), 0);
            for round in 0..3 {
                let text = format!("hurry-{round}-{from}");
                let shown = written[to].matches(&format!("{}: {text}\r", NAMES[from])).count();
                let said = written[from].contains(&format!("message {} {text}", NAMES[to]));
                let named = written[from].contains("not known");
                assert!(shown == 1 || (shown == 0 && (named || !said)), "{text}: {shown} times");
                doubtful += usize::from(shown == 0 && said);
            }
            println!("{}: {doubtful} named as not known", NAMES[from]);
        }
    }
}

#[test]
fn a_day_of_twelve_clients_loses_no_draft_no_text_and_no_client() {
    let mut day = Day::begin();
    day.goes_and_comes(0, false, Server::restart);
    day.shows(0, "after a polite restart");
    // The lid is closed over half a line, and the session ends at the server.
    day.types(SLEEPER, "half-a", "");
    day.terminals[SLEEPER].wait("a draft", |rows| rows.last().is_some_and(|row| row.ends_with("half-a")));
    signal(day.terminals[SLEEPER].id(), Signal::STOP);
    day.cable.cut();
    day.terminals[0].wait("that leo has gone", |rows| rows.iter().any(|row| row == "leo logged out"));
    day.sends_stored();
    day.goes_and_comes(1, true, |server| {
        server.kill();
        server.start_again();
    });
    day.shows(1, "after a SIGKILL of the server, while leo sleeps");
    signal(day.terminals[SLEEPER].id(), Signal::CONT);
    let last = format!("cron: stored-{};", STORED - 1);
    day.terminals[SLEEPER].wait(&last, |rows| rows.iter().any(|row| row.ends_with(&last)));
    day.terminals[SLEEPER].wait("the draft", |rows| rows.last().is_some_and(|row| row.ends_with("half-a")));
    day.shows(SLEEPER, "awake, with 500 stored messages and the draft");
    day.terminals[SLEEPER].types("-line\r");
    day.expects(SLEEPER, "half-a-line");
    day.terminals[0].sees_message("leo: half-a-line");
    day.goes_and_comes(2, false, Server::restart);
    day.shows(SLEEPER, "in the evening");
    day.ends();
}
