//! The rules, which believe no shell: what the cores are told and want is compared with what the sockets, the
//! screens and the state folders have.

mod clients;
mod relays;
mod server;
mod texts;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use hobnob::client::view::View;
use hobnob::shell::server::settings::Limits;
use hobnob::time::Time;
use hobnob::{client, server as server_core};

use self::clients::Clients;
use self::server::Server;
use self::texts::Texts;
use super::connection::Connection;

pub(crate) use self::texts::Kind;

/// All that is known, and the first rule that broke.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    server: Server,
    clients: Clients,
    texts: Texts,
    verdict: Verdict,
    pub(crate) tally: Tally,
}

/// The first rule that broke.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) broken: Option<String>,
    now: Time,
}

impl Verdict {
    /// Notes a broken rule unless the condition holds.
    fn rule(&mut self, holds: bool, rule: &str, detail: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some(format!("{} us: {rule}: {}", self.now.0, detail()));
        }
    }
}

/// How often what happened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) events: u64,
    pub(crate) shown: u64,
    pub(crate) private: u64,
    pub(crate) cut: u64,
    pub(crate) ends: u64,
    pub(crate) several_writes: u64,
    pub(crate) strangers: u64,
}

impl Tally {
    pub(crate) const fn add(&mut self, other: &Tally) {
        self.events += other.events;
        self.shown += other.shown;
        self.private += other.private;
        self.cut += other.cut;
        self.ends += other.ends;
        self.several_writes += other.several_writes;
        self.strangers += other.strangers;
    }

    pub(crate) const fn has_everything(&self) -> bool {
        let Tally { events, shown, private, cut, ends, several_writes, strangers } = *self;
        let all = events > 0 && shown > 0 && private > 0 && cut > 0 && ends > 0;
        all && several_writes > 0 && strangers > 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { events, shown, private, cut, ends, several_writes, strangers } = self;
        write!(
            f,
            "{events} events, {shown} texts shown, {private} of them on private links, {ends} ends of input, \
             {cut} slow readers cut, {several_writes} reports of several writes, {strangers} strangers at private ports"
        )
    }
}

impl Judge {
    /// A connection was made from a process.
    pub(crate) fn dialled(&mut self, process: usize, to: SocketAddr, connection: usize) {
        self.clients.dialled(process, to, connection);
    }

    /// A server runs from now on; what is known of the one before is dropped.
    pub(crate) fn server_starts(&mut self, limits: Limits, few_files: bool) {
        self.server = Server::new(limits, few_files);
    }

    pub(crate) fn server_is_told(
        &mut self,
        event: &server_core::Event<'_>,
        connections: &[Connection],
        now: Time,
    ) {
        self.verdict.now = now;
        self.tally.events += 1;
        self.server.is_told(event, connections, &mut self.verdict, &mut self.tally);
    }

    pub(crate) fn server_wants(&mut self, effect: &server_core::Effect<'_>, now: Time) {
        self.verdict.now = now;
        self.server.wants(effect, &mut self.verdict);
    }

    pub(crate) fn server_has_done(&self) {}

    /// A client program starts.
    pub(crate) fn client_starts(&mut self, process: usize, user: &str, journal: PathBuf) {
        self.clients.starts(process, user, journal);
    }

    /// A signal is sent to it.
    pub(crate) fn client_signalled(&mut self, process: usize) {
        self.clients.signalled(process);
    }

    /// Bytes of its input.
    pub(crate) fn client_reads(&mut self, process: usize, bytes: &[u8]) {
        self.clients.reads(process, bytes);
    }

    pub(crate) fn client_is_told(
        &mut self,
        process: usize,
        event: &client::Event<'_>,
        connections: &[Connection],
        now: Time,
    ) {
        self.verdict.now = now;
        self.tally.events += 1;
        self.clients.is_told(process, event, connections, &mut self.verdict);
    }

    pub(crate) fn client_wants(&mut self, process: usize, effect: &client::Effect<'_>, now: Time) {
        self.verdict.now = now;
        let shown = self.clients.wants(process, effect, &mut self.verdict);
        let Some((user, view, line)) = shown else { return };
        self.texts.shown(&user, &view, &mut self.verdict, &mut self.tally);
        if let (View::Result { outcome, .. }, Some(line)) = (view, line)
            && texts::promises(outcome.as_ref())
        {
            self.texts.promised(&line);
        }
    }

    /// A process is about to send bytes: notes about them are in its state folder.
    pub(crate) fn writes(&mut self, process: usize) {
        self.clients.notes_are_there(process, &mut self.verdict);
    }

    /// A client hands bytes to its standard output.
    pub(crate) fn prints(&mut self, process: usize, bytes: &[u8]) {
        self.clients.prints(process, bytes, &mut self.verdict);
    }

    /// They are there.
    pub(crate) fn printed(&mut self, process: usize) {
        self.clients.printed(process);
    }

    /// A client is gone, without an exit code if it was killed.
    pub(crate) fn client_ended(&mut self, process: usize, code: Option<u8>, output_failed: bool) {
        let lost = self.clients.ended(process, code, output_failed, &mut self.verdict);
        self.texts.may_come_again(lost);
    }

    /// A text is typed.
    pub(crate) fn typed(&mut self, number: u32, by_hand: bool, from: &str, to: &str, kind: Kind) {
        self.texts.typed(number, by_hand, from, to, kind);
    }

    /// All tasks of a running server wait.
    pub(crate) fn server_rests(&mut self, connections: &[Connection], now: Time, frozen_until: Time) {
        self.verdict.now = now;
        self.server.rests(connections, now, frozen_until, &mut self.verdict);
    }

    /// All tasks of a running client wait.
    pub(crate) fn client_rests(&mut self, process: usize, connections: &[Connection], now: Time) {
        self.verdict.now = now;
        self.clients.rests(process, connections, &mut self.verdict);
    }

    /// The bytes that the server's core has queued on a connection, unless it was cut.
    pub(crate) fn sent_by_server(&self, connection: usize) -> Option<&[u8]> {
        self.server.sent(connection)
    }

    /// Everything has healed, and the readers have read their mail.
    pub(crate) fn end(&mut self, now: Time, readers: &[&str]) {
        self.verdict.now = now;
        self.texts.end(readers, &mut self.verdict);
    }

    pub(crate) fn fail(&mut self, rule: &str, detail: &str) {
        self.verdict.rule(false, rule, || detail.to_owned());
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.verdict.broken.as_deref()
    }
}
