//! Collects the effects of an event, in order, until the shell has taken them.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

use super::effect::{Effect, Exit, Introduction};
use super::event::{KnownKey, Mark};
use super::log::{Logged, Query};
use super::raw;
use super::view::View;
use crate::time::Time;
use crate::wire::relay_line::seal;
use crate::wire::{ClientLine, PeerLine, RelayLine, Sealed};
use crate::words::wiped::WipedBytes;
use crate::words::{LinkId, Token};

/// The effects of one event, in order. Take them all: effects left behind trip an assertion at the next
/// [`handle`](super::ClientState::handle).
#[must_use = "effects that are not carried out are lost"]
pub struct Effects<'a> {
    items: &'a [Item],
    bytes: &'a [u8],
    taken: &'a mut usize,
}

impl<'a> Iterator for Effects<'a> {
    type Item = Effect<'a>;

    fn next(&mut self) -> Option<Effect<'a>> {
        let items: &'a [Item] = self.items;
        let item = items.get(*self.taken)?;
        *self.taken += 1;
        Some(item.lend(self.bytes))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.items.len().saturating_sub(*self.taken);
        (left, Some(left))
    }
}

/// Prints how many are left; never the lines, which may hold a password.
impl core::fmt::Debug for Effects<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Effects({} left)", self.size_hint().0)
    }
}

/// Collects effects. Lines are written into one buffer, so that sending allocates nothing once the buffer has
/// grown.
#[derive(Default)]
pub(super) struct Outbox {
    items: Vec<Item>,
    /// There may be a password in them.
    bytes: WipedBytes,
    /// The line that is being encoded; never one with a password.
    line: Vec<u8>,
    taken: usize,
    exited: bool,
    /// Whether a result was shown that is an error.
    refused: bool,
    /// Whether lines of the protocol are shown.
    raw: bool,
}

/// A buffer that has grown beyond this is freed.
const KEPT_BYTES: usize = 65_536;

impl Outbox {
    /// Begins a new batch.
    ///
    /// # Panics
    /// If effects of the batch before were not taken: a line or a view would be lost.
    pub(super) fn begin(&mut self) {
        assert!(self.taken == self.items.len(), "effects of the event before were not all taken");
        self.items.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.line.shrink_to(KEPT_BYTES);
        self.taken = 0;
    }

    /// Returns the batch.
    pub(super) fn lend(&mut self) -> Effects<'_> {
        Effects { items: &self.items, bytes: &self.bytes, taken: &mut self.taken }
    }

    pub(super) fn dial(&mut self) {
        self.push(Item::Dial);
    }

    pub(super) fn hang_up(&mut self) {
        self.push(Item::HangUp);
    }

    /// Sends a line to the server.
    pub(super) fn send(&mut self, line: &ClientLine<'_>) {
        if self.raw {
            self.show(View::Wire { sent: true, line: raw::said(line) });
        }
        let start = self.bytes.len();
        match line.with_password() {
            Some(most) => self.bytes.write_with(most, |bytes| line.encode(bytes)),
            None => {
                self.line.clear();
                line.encode(&mut self.line);
                self.bytes.extend_from_slice(&self.line);
            }
        }
        self.sent(start);
    }

    /// Sends a command that is encoded already.
    pub(super) fn send_encoded(&mut self, line: &[u8]) {
        if self.raw {
            self.show(View::Wire { sent: true, line: raw::text(line) });
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.sent(start);
    }

    /// Lines that follow one another directly are sent as one piece.
    fn sent(&mut self, start: usize) {
        let end = self.bytes.len();
        match self.items.last_mut() {
            Some(Item::Send(range)) if range.end == start => range.end = end,
            Some(_) | None => self.push(Item::Send(start..end)),
        }
    }

    /// Shows lines of the protocol from now on, or no longer; returns which.
    pub(super) fn toggle_raw(&mut self) -> bool {
        self.raw = !self.raw;
        self.raw
    }

    /// Whether lines of the protocol are shown.
    pub(super) const fn is_raw(&self) -> bool {
        self.raw
    }

    /// Whether any command has failed.
    pub(super) const fn has_refused(&self) -> bool {
        self.refused
    }

    pub(super) fn show(&mut self, view: View) {
        self.refused |= matches!(view, View::Result { outcome: Err(_), .. });
        self.push(Item::Show(view));
    }

    pub(super) fn deliver(&mut self, sequence: u64, mark: Option<Mark>, view: View) {
        self.push(Item::Deliver { sequence, mark, view });
    }

    pub(super) fn note_open(&mut self, number: u64) {
        self.push(Item::NoteOpen(number));
    }

    pub(super) fn note_settled(&mut self, number: u64) {
        self.push(Item::NoteSettled(number));
    }

    pub(super) fn open_state(&mut self, user: &str) {
        self.push(Item::OpenState(user.into()));
    }

    pub(super) fn find_cookie(&mut self, user: &str) {
        self.push(Item::FindCookie(user.into()));
    }

    pub(super) fn keep_cookie(&mut self, cookie: Token) {
        self.push(Item::KeepCookie(cookie));
    }

    pub(super) fn log(&mut self, logged: Logged) {
        self.push(Item::Log(logged));
    }

    pub(super) fn look_up(&mut self, line: u64, query: Query) {
        self.push(Item::LookUp(line, query));
    }

    pub(super) fn close_state(&mut self) {
        self.push(Item::CloseState);
    }

    pub(super) fn listen(&mut self) {
        self.push(Item::Listen);
    }

    pub(super) fn stop_listening(&mut self) {
        self.push(Item::StopListening);
    }

    pub(super) fn map_port(&mut self, attempt: u64) {
        self.push(Item::MapPort(attempt));
    }

    pub(super) fn unmap_port(&mut self) {
        self.push(Item::UnmapPort);
    }

    pub(super) fn dial_peer(&mut self, address: SocketAddr) {
        self.push(Item::DialPeer(address));
    }

    pub(super) fn punch_peer(&mut self, address: SocketAddr) {
        self.push(Item::PunchPeer(address));
    }

    /// Sends a line to another client.
    pub(super) fn send_peer(&mut self, link: LinkId, line: &PeerLine<'_>) {
        let start = self.bytes.len();
        self.line.clear();
        line.encode(&mut self.line);
        self.bytes.extend_from_slice(&self.line);
        let end = self.bytes.len();
        match self.items.last_mut() {
            Some(Item::SendPeer(to, range)) if *to == link && range.end == start => range.end = end,
            Some(_) | None => self.push(Item::SendPeer(link, start..end)),
        }
    }

    pub(super) fn secure_peer(&mut self, link: LinkId, dialled: bool, introduction: Introduction) {
        self.push(Item::SecurePeer { link, dialled, introduction });
    }

    pub(super) fn keep_key(&mut self, known: KnownKey) {
        self.push(Item::KeepKey(known));
    }

    /// Serves a link through the server.
    pub(super) fn begin_relay(&mut self, link: LinkId, calls: bool) {
        self.push(Item::BeginRelay { link, calls });
    }

    pub(super) fn feed_relay(&mut self, link: LinkId, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.push(Item::FeedRelay(link, start..self.bytes.len()));
    }

    pub(super) fn end_relay(&mut self, link: LinkId) {
        self.push(Item::EndRelay(link));
    }

    /// Sends bytes of a relay to the server.
    pub(super) fn send_frame(&mut self, number: u64, bytes: &[u8]) {
        let sealed = seal(bytes);
        if let Some(sealed) = Sealed::new(&sealed) {
            self.send(&ClientLine::Relay(RelayLine::Data { number, sealed }));
        }
    }

    pub(super) fn close_peer(&mut self, link: LinkId) {
        self.push(Item::ClosePeer(link));
    }

    pub(super) fn reset_peer(&mut self, link: LinkId) {
        self.push(Item::ResetPeer(link));
    }

    pub(super) fn schedule(&mut self, at: Time) {
        self.push(Item::ScheduleTimeout(at));
    }

    pub(super) fn exit(&mut self, exit: Exit) {
        self.push(Item::Exit(exit));
        self.exited = true;
    }

    /// Nothing follows an exit.
    fn push(&mut self, item: Item) {
        if !self.exited {
            self.items.push(item);
        }
    }
}

/// An effect that owns its data; lines are ranges of the buffer.
enum Item {
    Dial,
    Send(Range<usize>),
    HangUp,
    Show(View),
    Deliver { sequence: u64, mark: Option<Mark>, view: View },
    NoteOpen(u64),
    NoteSettled(u64),
    OpenState(String),
    FindCookie(String),
    KeepCookie(Token),
    Log(Logged),
    LookUp(u64, Query),
    CloseState,
    Listen,
    StopListening,
    MapPort(u64),
    UnmapPort,
    DialPeer(SocketAddr),
    PunchPeer(SocketAddr),
    SendPeer(LinkId, Range<usize>),
    SecurePeer { link: LinkId, dialled: bool, introduction: Introduction },
    KeepKey(KnownKey),
    BeginRelay { link: LinkId, calls: bool },
    FeedRelay(LinkId, Range<usize>),
    EndRelay(LinkId),
    ClosePeer(LinkId),
    ResetPeer(LinkId),
    ScheduleTimeout(Time),
    Exit(Exit),
}

impl Item {
    fn lend<'a>(&'a self, bytes: &'a [u8]) -> Effect<'a> {
        match self {
            Item::Dial => Effect::Dial,
            Item::Send(range) => Effect::Send { bytes: within(bytes, range) },
            Item::HangUp => Effect::HangUp,
            Item::Show(view) => Effect::Show(view),
            Item::Deliver { sequence, mark, view } => {
                Effect::Deliver { sequence: *sequence, mark: mark.as_ref(), view }
            }
            Item::NoteOpen(number) => Effect::NoteOpen { number: *number },
            Item::NoteSettled(number) => Effect::NoteSettled { number: *number },
            Item::OpenState(user) => Effect::OpenState { user },
            Item::FindCookie(user) => Effect::FindCookie { user },
            Item::KeepCookie(cookie) => Effect::KeepCookie { cookie: *cookie },
            Item::Log(logged) => Effect::Log(logged),
            Item::LookUp(line, query) => Effect::LookUp { line: *line, query },
            Item::CloseState => Effect::CloseState,
            Item::Listen => Effect::Listen,
            Item::StopListening => Effect::StopListening,
            Item::MapPort(attempt) => Effect::MapPort { attempt: *attempt },
            Item::UnmapPort => Effect::UnmapPort,
            Item::DialPeer(address) => Effect::DialPeer { address: *address },
            Item::PunchPeer(address) => Effect::PunchPeer { address: *address },
            Item::SendPeer(link, range) => Effect::SendPeer { link: *link, bytes: within(bytes, range) },
            Item::SecurePeer { link, dialled, introduction } => {
                Effect::SecurePeer { link: *link, dialled: *dialled, introduction }
            }
            Item::KeepKey(known) => Effect::KeepKey(known),
            Item::BeginRelay { link, calls } => Effect::BeginRelay { link: *link, calls: *calls },
            Item::FeedRelay(link, range) => Effect::FeedRelay { link: *link, bytes: within(bytes, range) },
            Item::EndRelay(link) => Effect::EndRelay { link: *link },
            Item::ClosePeer(link) => Effect::ClosePeer { link: *link },
            Item::ResetPeer(link) => Effect::ResetPeer { link: *link },
            Item::ScheduleTimeout(at) => Effect::ScheduleTimeout { at: *at },
            Item::Exit(exit) => Effect::Exit(*exit),
        }
    }
}

/// The lines of an item. Its range was made when they were written, and nothing is taken from the buffer
/// before all items are.
fn within<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    bytes.get(range.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_lines_leave_as_one_piece_and_others_keep_their_order() {
        let mut outbox = Outbox::default();
        outbox.begin();
        outbox.send_encoded(b"a\n");
        outbox.send_encoded(b"b\n");
        outbox.note_open(1);
        outbox.send_encoded(b"c\n");
        let effects: Vec<_> = outbox.lend().collect();
        let expected = [
            Effect::Send { bytes: b"a\nb\n" },
            Effect::NoteOpen { number: 1 },
            Effect::Send { bytes: b"c\n" },
        ];
        assert_eq!(effects, expected);
        outbox.begin();
        assert_eq!(outbox.lend().count(), 0);
    }

    #[test]
    fn nothing_follows_an_exit() {
        let mut outbox = Outbox::default();
        outbox.begin();
        outbox.exit(Exit::Done);
        outbox.hang_up();
        assert_eq!(outbox.lend().count(), 1);
    }

    #[test]
    #[should_panic(expected = "not all taken")]
    fn effects_left_behind_trip_an_assertion() {
        let mut outbox = Outbox::default();
        outbox.begin();
        outbox.dial();
        outbox.hang_up();
        assert_eq!(outbox.lend().next(), Some(Effect::Dial));
        outbox.begin();
    }
}
