//! The clients' loops.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use hobnob::client::view::View;
use hobnob::client::{Effect, Event, Exit, PeerOpened};
use hobnob::words::LinkId;

use super::Verdict;
use super::relays::Relays;
use crate::shells::connection::Connection;

/// All client programs, by process.
#[derive(Debug, Default)]
pub(super) struct Clients {
    running: BTreeMap<usize, Client>,
    /// Connections that were dialled and are not known to a core yet.
    dialled: Vec<(usize, SocketAddr, usize)>,
    /// What cores have sent on encrypted private links, by connection and end.
    sealed: Sealed,
    relays: Relays,
}

type Sealed = BTreeMap<(usize, usize), Vec<u8>>;

#[derive(Debug, Default)]
struct Client {
    user: String,
    journal: PathBuf,
    /// Its input, and how many lines of it the core was told.
    input: Vec<u8>,
    typed: usize,
    server: Option<Link>,
    peers: BTreeMap<LinkId, Link>,
    /// Lines that the journal must have before anything else leaves.
    notes: Vec<String>,
    /// Lines of standard output that are to come: a part of each.
    output: VecDeque<String>,
    /// Deliveries that are not handed to standard output, being written, and there.
    gathered: VecDeque<(u64, bool)>,
    printing: Vec<(u64, bool)>,
    printed: VecDeque<(u64, bool)>,
    /// Marks whose deliveries the core was told of.
    noted: usize,
    exit: Option<Exit>,
    signalled: bool,
}

/// A connection of a client's core.
#[derive(Debug)]
struct Link {
    connection: usize,
    end: usize,
    sent: Vec<u8>,
    heard: usize,
    sealing: Sealing,
}

/// How far a private link is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sealing {
    /// Not at all: what the core sends is what is written.
    Clear,
    /// After so many bytes of the core it is being encrypted.
    Begun(usize),
    /// It is, and the core has got so many bytes since.
    Done(usize, usize),
}

impl Link {
    const fn new(connection: usize, end: usize) -> Link {
        Link { connection, end, sent: Vec::new(), heard: 0, sealing: Sealing::Clear }
    }

    /// What a core gets on an encrypted link is what the other one sent.
    fn unsealed(&mut self, bytes: &[u8], sealed: &Sealed, verdict: &mut Verdict) {
        let Sealing::Done(_, heard) = &mut self.sealing else {
            return verdict.rule(false, "nothing is heard while a link is being encrypted", String::new);
        };
        let said = sealed.get(&(self.connection, 1 - self.end)).map(Vec::as_slice).unwrap_or_default();
        let are_next = said.get(*heard..).is_some_and(|rest| rest.starts_with(bytes));
        verdict.rule(are_next, "a client's core gets what the other core said, in order", || {
            format!("{} after {heard}", String::from_utf8_lossy(bytes))
        });
        *heard += bytes.len();
    }

    /// The end of an encrypted link comes after all that was said on it.
    fn unsealed_all(&self, connections: &[Connection], sealed: &Sealed, verdict: &mut Verdict) {
        let Sealing::Done(_, heard) = self.sealing else { return };
        let said = sealed.get(&(self.connection, 1 - self.end)).map_or(0, Vec::len);
        let is_broken = connections[self.connection].ends.iter().any(|end| end.is_broken);
        verdict.rule(heard == said || is_broken, "the end comes to a client after all bytes", || {
            format!("{heard} of {said} on an encrypted link")
        });
    }

    fn received(&mut self, bytes: &[u8], connections: &[Connection], verdict: &mut Verdict) {
        let other = &connections[self.connection].ends[1 - self.end];
        let are_next = other.log.get(self.heard..other.read).is_some_and(|rest| rest.starts_with(bytes));
        verdict.rule(are_next, "a client's core gets the bytes that were sent, in order", || {
            format!("{} after {}", String::from_utf8_lossy(bytes), self.heard)
        });
        self.heard += bytes.len();
    }

    /// The end comes after all that was sent, unless something was done to the connection.
    fn ended(&self, connections: &[Connection], verdict: &mut Verdict) {
        let connection = &connections[self.connection];
        let (here, other) = (&connection.ends[self.end], &connection.ends[1 - self.end]);
        let all = self.heard == other.log.len() && other.is_shut;
        verdict.rule(all || here.is_broken, "the end comes to a client after all bytes", || {
            format!("{} of {}", self.heard, other.log.len())
        });
        self.compare(connections, verdict);
    }

    /// What is written is what the core sent.
    fn compare(&self, connections: &[Connection], verdict: &mut Verdict) {
        let written = &connections[self.connection].ends[self.end].log;
        let (Sealing::Begun(clear) | Sealing::Done(clear, _)) = self.sealing else {
            return self.compare_clear(written, verdict);
        };
        self.compare_clear(&written[..written.len().min(clear)], verdict);
        let rest = written.get(clear..).unwrap_or_default();
        let lines = ["ready\n", "nominate\n", "opened\n", "text 1 ", "close "];
        let told = lines.iter().find(|line| rest.windows(line.len()).any(|part| part == line.as_bytes()));
        verdict.rule(told.is_none(), "an encrypted link shows no line", || format!("{told:?}"));
    }

    fn compare_clear(&self, written: &[u8], verdict: &mut Verdict) {
        verdict.rule(self.sent.starts_with(written), "a client writes what its core sends", || {
            let (sent, written) = (String::from_utf8_lossy(&self.sent), String::from_utf8_lossy(written));
            format!("{written} of {sent}")
        });
    }

    fn rests(&self, connections: &[Connection], verdict: &mut Verdict) {
        self.compare(connections, verdict);
        let connection = &connections[self.connection];
        let here = &connection.ends[self.end];
        let waits = here.log.len() < self.sent.len() && connection.is_writable(self.end) && !here.is_broken;
        verdict.rule(!waits, "what a client can write does not wait", || {
            format!("{} of {}", here.log.len(), self.sent.len())
        });
    }
}

impl Clients {
    pub(super) fn dialled(&mut self, process: usize, to: SocketAddr, connection: usize) {
        self.dialled.push((process, to, connection));
    }

    pub(super) fn starts(&mut self, process: usize, user: &str, journal: PathBuf) {
        let client = Client { user: user.to_owned(), journal, ..Client::default() };
        self.running.insert(process, client);
    }

    pub(super) fn reads(&mut self, process: usize, bytes: &[u8]) {
        self.of(process).input.extend_from_slice(bytes);
    }

    /// It waits for its output no longer than a second.
    pub(super) fn signalled(&mut self, process: usize) {
        self.of(process).signalled = true;
    }

    fn of(&mut self, process: usize) -> &mut Client {
        self.running.get_mut(&process).expect("a client that runs")
    }

    /// The last connection that a process has dialled there.
    fn take_dialled(&mut self, process: usize, to: impl Fn(&SocketAddr) -> bool) -> Option<Link> {
        let last = self.dialled.iter().rposition(|(of, address, _)| *of == process && to(address))?;
        Some(Link::new(self.dialled.remove(last).2, 0))
    }

    pub(super) fn is_told(
        &mut self,
        process: usize,
        event: &Event<'_>,
        connections: &[Connection],
        verdict: &mut Verdict,
    ) {
        if self.relays.are_told(process, event, verdict) {
            return;
        }
        match event {
            Event::Connected => {
                let server = self.take_dialled(process, |to| to.port() == super::super::PORT);
                verdict.rule(server.is_some(), "a client is connected if it has connected", String::new);
                self.of(process).server = server;
            }
            Event::PeerOpened { link, opened } => {
                let near = match opened {
                    PeerOpened::Dialled(address) | PeerOpened::Punched(address) => {
                        self.take_dialled(process, |to| to == address)
                    }
                    PeerOpened::Accepted(from) => {
                        let of = |connection: &Connection| connection.ends[0].address == *from;
                        connections.iter().position(of).map(|connection| Link::new(connection, 1))
                    }
                };
                verdict.rule(near.is_some(), "private links are connections", || format!("{opened:?}"));
                self.of(process).peers.extend(near.map(|near| (*link, near)));
            }
            Event::PeerReceived { link, bytes } => {
                let client = self.running.get_mut(&process).expect("a client that runs");
                match client.peers.get_mut(link) {
                    Some(peer) if peer.sealing != Sealing::Clear => {
                        peer.unsealed(bytes, &self.sealed, verdict);
                    }
                    Some(peer) => peer.received(bytes, connections, verdict),
                    None => verdict.rule(false, "bytes come from a private link", String::new),
                }
            }
            Event::PeerClosed { link } => {
                let client = self.running.get_mut(&process).expect("a client that runs");
                match client.peers.remove(link) {
                    Some(peer) if peer.sealing != Sealing::Clear => {
                        peer.unsealed_all(connections, &self.sealed, verdict);
                        peer.compare(connections, verdict);
                    }
                    peer => peer.iter().for_each(|peer| peer.ended(connections, verdict)),
                }
            }
            _ => self.of(process).is_told(event, connections, verdict),
        }
    }

    pub(super) fn wants(
        &mut self,
        process: usize,
        effect: &Effect<'_>,
        verdict: &mut Verdict,
    ) -> Option<(String, View, Option<String>)> {
        self.relays.wants(process, effect);
        let client = self.running.get_mut(&process).expect("a client that runs");
        if let Effect::SendPeer { link, bytes } = effect
            && let Some(peer) = client.peers.get(link)
            && matches!(peer.sealing, Sealing::Done(..))
        {
            self.sealed.entry((peer.connection, peer.end)).or_default().extend_from_slice(bytes);
        }
        client.wants(effect, verdict)
    }

    pub(super) fn notes_are_there(&mut self, process: usize, verdict: &mut Verdict) {
        if let Some(client) = self.running.get_mut(&process) {
            client.notes_are_there(verdict);
        }
    }

    pub(super) fn prints(&mut self, process: usize, bytes: &[u8], verdict: &mut Verdict) {
        let client = self.of(process);
        client.notes_are_there(verdict);
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            let expected = client.output.pop_front();
            let right = expected.as_ref().is_some_and(|part| line.contains(part.as_str()));
            verdict.rule(right, "what is shown is what the core shows, in order", || {
                format!("{line}, expected {expected:?}")
            });
        }
        client.printing.extend(client.gathered.drain(..));
    }

    pub(super) fn printed(&mut self, process: usize) {
        let client = self.of(process);
        client.printed.extend(client.printing.drain(..));
    }

    pub(super) fn ended(
        &mut self,
        process: usize,
        code: Option<u8>,
        output_failed: bool,
        verdict: &mut Verdict,
    ) -> Vec<String> {
        self.relays.ends(process);
        let Some(client) = self.running.remove(&process) else { return Vec::new() };
        if let Some(code) = code {
            let expected = client.exit.map(Exit::code);
            let right = expected == Some(code) || (output_failed && code == Exit::Failed.code());
            verdict
                .rule(right, "a client ends with the code of its core", || format!("{code}, {expected:?}"));
            let shown = client.output.is_empty() && client.gathered.is_empty() && client.printing.is_empty();
            // After a signal it does not wait for ever.
            let excused = output_failed || client.signalled;
            verdict.rule(shown || excused, "a client shows everything before it ends", || {
                format!("{:?}", client.output)
            });
        }
        // What it showed and could not note may come again.
        let is_doubtful = code.is_none() || output_failed || client.signalled;
        is_doubtful.then_some(client.user).into_iter().collect()
    }

    pub(super) fn rests(&mut self, process: usize, connections: &[Connection], verdict: &mut Verdict) {
        let client = self.of(process);
        client.server.iter().chain(client.peers.values()).for_each(|link| link.rests(connections, verdict));
    }
}

impl Client {
    fn is_told(&mut self, event: &Event<'_>, connections: &[Connection], verdict: &mut Verdict) {
        match event {
            Event::Received { bytes } => match &mut self.server {
                Some(server) => server.received(bytes, connections, verdict),
                None => verdict.rule(false, "bytes come from a connection", String::new),
            },
            Event::Disconnected => {
                if let Some(server) = self.server.take() {
                    server.ended(connections, verdict);
                }
            }
            Event::PeerProved { link, .. } => {
                let sealing = self.peers.get_mut(link).map(|peer| &mut peer.sealing);
                let begun = sealing.is_some_and(|sealing| match *sealing {
                    Sealing::Begun(clear) => {
                        *sealing = Sealing::Done(clear, 0);
                        true
                    }
                    Sealing::Clear | Sealing::Done(..) => false,
                });
                verdict.rule(begun, "a key is proved on a link that is being encrypted", String::new);
            }
            Event::Typed { line, text } => {
                self.typed += 1;
                let right = *line == self.typed as u64 && self.line(self.typed) == Some(*text);
                verdict.rule(right, "lines are typed in order", || {
                    format!("{line}: {}", String::from_utf8_lossy(text))
                });
            }
            Event::EndOfInput => {
                let over = self.line(self.typed + 1).is_none();
                verdict.rule(over, "the end of input comes after all lines", || format!("{}", self.typed));
            }
            Event::Delivered { upto } => self.delivered(*upto, verdict),
            _ => {}
        }
    }

    fn line(&self, number: usize) -> Option<&[u8]> {
        let body = self.input.strip_suffix(b"\n").unwrap_or(&self.input);
        body.split(|byte| *byte == b'\n').nth(number - 1).filter(|_| !self.input.is_empty())
    }

    fn wants(
        &mut self,
        effect: &Effect<'_>,
        verdict: &mut Verdict,
    ) -> Option<(String, View, Option<String>)> {
        match effect {
            Effect::Send { bytes } => {
                if let Some(server) = &mut self.server {
                    server.sent.extend_from_slice(bytes);
                }
            }
            Effect::HangUp | Effect::Dial => self.server = None,
            Effect::SendPeer { link, bytes } => {
                if let Some(peer) = self.peers.get_mut(link) {
                    peer.sent.extend_from_slice(bytes);
                }
            }
            Effect::SecurePeer { link, .. } => {
                if let Some(peer) = self.peers.get_mut(link) {
                    peer.sealing = Sealing::Begun(peer.sent.len());
                }
            }
            Effect::ClosePeer { link } => drop(self.peers.remove(link)),
            Effect::ResetPeer { link } => {
                let silent = self.peers.remove(link).is_some_and(|peer| peer.sent.is_empty());
                verdict.rule(silent, "a stranger hears nothing", || format!("{link:?}"));
            }
            Effect::NoteOpen { number } => self.notes.push(format!("open {number}")),
            Effect::Show(view) => return Some(self.shows(view)),
            Effect::Deliver { sequence, mark, view } => {
                self.gathered.push_back((*sequence, mark.is_some()));
                self.notes.extend(mark.map(|mark| format!("showing {} {} ", mark.from, mark.id)));
                return Some(self.shows(view));
            }
            Effect::OpenState { .. } => self.noted = 0,
            Effect::Exit(exit) => {
                verdict.rule(self.exit.is_none(), "a client ends once", || format!("{exit:?}"));
                self.exit = Some(*exit);
            }
            _ => {}
        }
        None
    }

    /// The user, what they are shown, and the line that it answers.
    fn shows(&mut self, view: &View) -> (String, View, Option<String>) {
        let (part, answers) = match view {
            View::Message(message) => (format!("\"text\":\"{}\"", message.text), None),
            View::Result { line, .. } => {
                let number = usize::try_from(*line).expect("lines in memory");
                let line_text = self.line(number).map(|line| String::from_utf8_lossy(line).into_owned());
                (format!("\"line\":{line},"), line_text)
            }
            View::Bye(_) => ("\"type\":\"bye\"".to_owned(), None),
            View::Presence { user, .. } => (format!("\"presence\",\"user\":\"{user}\""), None),
            _ => ("{".to_owned(), None),
        };
        self.output.push_back(part);
        (self.user.clone(), view.clone(), answers)
    }

    fn delivered(&mut self, upto: u64, verdict: &mut Verdict) {
        while let Some((_, marked)) = self.printed.pop_front_if(|(sequence, _)| *sequence <= upto) {
            self.noted += usize::from(marked);
        }
        let waits = self.gathered.iter().chain(&self.printing).any(|(sequence, _)| *sequence <= upto);
        verdict.rule(!waits, "a message is acknowledged after it is shown", || format!("up to {upto}"));
        let shown = self.shown_in_journal();
        verdict.rule(self.noted <= shown, "a message is acknowledged after it is noted", || {
            format!("{} of {}", shown, self.noted)
        });
    }

    /// Messages noted as shown since the folder was opened.
    fn shown_in_journal(&self) -> usize {
        let journal = fs::read_to_string(&self.journal).unwrap_or_default();
        let run = journal.lines().rev().take_while(|line| *line != "run");
        run.filter_map(|line| line.strip_prefix("shown ")?.parse::<usize>().ok()).sum()
    }

    fn notes_are_there(&mut self, verdict: &mut Verdict) {
        if self.notes.is_empty() {
            return;
        }
        let journal = fs::read_to_string(&self.journal).unwrap_or_default();
        for note in self.notes.drain(..) {
            let there = journal.lines().any(|line| line.starts_with(note.as_str()));
            verdict.rule(there, "notes come before what they are about", || note.clone());
        }
    }
}
