//! The server's loop.

use std::collections::BTreeMap;
use std::time::Duration;

use hobnob::server::{Effect, Event};
use hobnob::shell::server::settings::{Limits, Settings};
use hobnob::time::Time;
use hobnob::words::LinkId;

use super::{Tally, Verdict};
use crate::shells::connection::Connection;

/// A closed connection is gone after this: the last output (2 s), the client's close (0.3 s).
const CLOSING: Duration = Duration::from_millis(2_500);
/// The last output is tried for this long, and with few files for as long as others wait for one.
const LAST_WORDS: Duration = Duration::from_secs(2);
const LAST_WORDS_WITH_FEW_FILES: Duration = Duration::from_millis(300);
/// A deadline that is met later than this is late.
const LATE: Duration = Duration::from_millis(10);
/// What a turn after a stall may take.
const SLACK: Duration = Duration::from_millis(100);

/// The links of a running server.
#[derive(Debug)]
pub(super) struct Server {
    limits: Limits,
    last_words: Duration,
    links: BTreeMap<LinkId, Link>,
    /// When the core wants to be called.
    wanted: Option<Time>,
}

#[derive(Debug)]
struct Link {
    connection: usize,
    /// What the core has queued.
    sent: Vec<u8>,
    /// How much of it was compared with what was written.
    compared: usize,
    /// How much of the other end's bytes the core was told.
    heard: usize,
    /// And when all tasks were last at rest.
    rested: usize,
    flushed: usize,
    stream_ended: bool,
    paused: bool,
    closed: Option<Time>,
    lost: bool,
    /// Output waits since then, and nothing was written.
    stalled: Option<(Time, usize)>,
    is_gone: bool,
}

impl Default for Server {
    fn default() -> Server {
        Server::new(Settings::default().limits, false)
    }
}

impl Server {
    pub(super) const fn new(limits: Limits, few_files: bool) -> Server {
        let last_words = if few_files { LAST_WORDS_WITH_FEW_FILES } else { LAST_WORDS };
        Server { limits, last_words, links: BTreeMap::new(), wanted: None }
    }

    pub(super) fn sent(&self, connection: usize) -> Option<&[u8]> {
        let link = self.links.values().find(|link| link.connection == connection && !link.lost)?;
        Some(&link.sent)
    }

    pub(super) fn is_told(
        &mut self,
        event: &Event<'_>,
        connections: &[Connection],
        verdict: &mut Verdict,
        tally: &mut Tally,
    ) {
        let limits = self.limits;
        match event {
            Event::LinkOpened { link, from, .. } => {
                let of = |connection: &Connection| connection.ends[0].address == *from;
                let found = connections.iter().position(of);
                verdict.rule(found.is_some(), "links are connections", || format!("{link:?} from {from}"));
                let fresh = found.map(|connection| self.links.insert(*link, Link::new(connection)));
                verdict.rule(matches!(fresh, Some(None)), "a link opens once", || format!("{link:?}"));
            }
            Event::Received { link, bytes } => {
                let Some(link) = self.links.get_mut(link) else { return };
                link.received(bytes, &connections[link.connection], verdict);
            }
            Event::StreamEnded { link } => {
                tally.ends += 1;
                let Some(link) = self.links.get_mut(link) else { return };
                link.ended(&connections[link.connection], verdict);
            }
            Event::Flushed { link, upto } => {
                let Some(link) = self.links.get_mut(link) else { return };
                let upto = usize::try_from(*upto).expect("bytes in memory");
                let written = connections[link.connection].ends[1].log.len();
                let holds = link.flushed <= upto && upto <= written;
                let before = link.flushed;
                verdict
                    .rule(holds, "what is flushed was written", || format!("{before}, {upto} of {written}"));
                link.flushed = upto;
                tally.several_writes += u64::from(upto > before + 1_460);
            }
            Event::LinkClosed { link } => {
                let Some(link) = self.links.get_mut(link) else { return };
                link.lost(&connections[link.connection], limits, verdict, tally);
            }
            Event::Tick => {
                let late = self.wanted.take().is_some_and(|wanted| verdict.now.since(wanted) > LATE);
                let open = self.links.values().filter(|link| late && link.closed.is_none() && !link.lost);
                open.for_each(|link| link.was_read(&connections[link.connection], verdict));
            }
            _ => {}
        }
    }

    pub(super) fn wants(&mut self, effect: &Effect<'_>, verdict: &mut Verdict) {
        match effect {
            Effect::Send { link, bytes } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.sent.extend_from_slice(bytes);
                }
            }
            Effect::Close { link } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.closed = Some(verdict.now);
                }
            }
            Effect::ScheduleTimeout { at } => self.wanted = Some(*at),
            Effect::Pause { link } | Effect::Resume { link } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.paused = matches!(effect, Effect::Pause { .. });
                }
            }
            _ => {}
        }
    }

    pub(super) fn rests(
        &mut self,
        connections: &[Connection],
        now: Time,
        frozen_until: Time,
        verdict: &mut Verdict,
    ) {
        let (limits, last_words) = (self.limits, self.last_words);
        for link in self.links.values_mut().filter(|link| !link.is_gone) {
            let connection = &connections[link.connection];
            link.compare(connection, verdict);
            link.rested = link.heard;
            if link.lost {
                link.is_gone = true;
                verdict.rule(!connection.ends[1].is_held, "a lost link is closed", || format!("{link:?}"));
            } else if let Some(closed) = link.closed {
                link.is_closing(closed, frozen_until, last_words, connection, now, verdict);
            } else {
                link.is_open(connection, verdict);
                link.is_not_stalled(connection, limits, now.max(frozen_until), verdict);
            }
        }
    }
}

impl Link {
    const fn new(connection: usize) -> Link {
        Link {
            connection,
            sent: Vec::new(),
            compared: 0,
            heard: 0,
            rested: 0,
            flushed: 0,
            stream_ended: false,
            paused: false,
            closed: None,
            lost: false,
            stalled: None,
            is_gone: false,
        }
    }

    fn received(&mut self, bytes: &[u8], connection: &Connection, verdict: &mut Verdict) {
        let other = &connection.ends[0];
        let are_next = other.log.get(self.heard..other.read).is_some_and(|rest| rest.starts_with(bytes));
        verdict.rule(are_next, "the core gets the bytes that were sent, in order", || {
            format!("{} after {}", String::from_utf8_lossy(bytes), self.heard)
        });
        verdict.rule(!self.stream_ended, "nothing follows the end of a stream", || format!("{bytes:?}"));
        verdict.rule(self.closed.is_none(), "nothing follows a close", || format!("{bytes:?}"));
        self.heard += bytes.len();
    }

    /// A deadline that is met late is met after what could be read.
    fn was_read(&self, connection: &Connection, verdict: &mut Verdict) {
        let unread = connection.ends[0].unread();
        let waits = unread > 0 && self.heard == self.rested && !self.paused && !connection.ends[1].is_broken;
        verdict.rule(!waits, "a late deadline is met after what can be read", || format!("{unread} bytes"));
    }

    fn ended(&mut self, connection: &Connection, verdict: &mut Verdict) {
        let other = &connection.ends[0];
        let is_all = other.is_shut && self.heard == other.log.len();
        verdict.rule(is_all, "the end of a stream comes after all bytes", || {
            format!("{} of {}", self.heard, other.log.len())
        });
        verdict.rule(!self.stream_ended, "the end of a stream is told once", String::new);
        verdict.rule(self.closed.is_none(), "nothing follows a close", || "end of stream".to_owned());
        self.stream_ended = true;
    }

    fn lost(&mut self, connection: &Connection, limits: Limits, verdict: &mut Verdict, tally: &mut Tally) {
        let waiting = self.sent.len() - connection.ends[1].log.len();
        let most = limits.output_bytes + hobnob::server::OTHERS_BYTES;
        let too_much = limits.output_bytes != 0 && waiting > most;
        let patience = Duration::from_secs(limits.output_stall_secs);
        let since = self.stalled.map_or(verdict.now, |(since, _)| since);
        let too_long = waiting > 0 && limits.output_stall_secs != 0 && verdict.now.since(since) >= patience;
        tally.cut += u64::from(too_much || too_long);
        // A client that ends as soon as it is connected leaves the greeting unread.
        let [client, server] = &connection.ends;
        let left = !client.is_held && client.log.is_empty() && server.read < server.log.len();
        let broken = server.is_broken && (connection.fault.is_some() || left);
        verdict.rule(too_much || too_long || broken, "a link is lost for a reason", || {
            format!("{waiting} bytes wait since {} us", since.0)
        });
        verdict.rule(self.closed.is_none(), "nothing follows a close", || "lost".to_owned());
        self.lost = true;
    }

    /// What was written is what the core queued.
    fn compare(&mut self, connection: &Connection, verdict: &mut Verdict) {
        let written = &connection.ends[1].log;
        let same = written.len() <= self.sent.len()
            && written[self.compared..] == self.sent[self.compared..written.len()];
        verdict.rule(same, "what the core queues is written, in order", || {
            format!("{} of {}", written.len(), self.sent.len())
        });
        self.compared = written.len().min(self.sent.len());
    }

    fn is_open(&self, connection: &Connection, verdict: &mut Verdict) {
        let (there, here) = (&connection.ends[0], &connection.ends[1]);
        let (written, sent) = (here.log.len(), self.sent.len());
        if here.is_broken {
            return;
        }
        verdict.rule(here.is_held, "an open link has a socket", || format!("{self:?}"));
        verdict.rule(self.flushed == written, "what has left is told", || {
            format!("{} of {written}", self.flushed)
        });
        let waits = written < sent && connection.is_writable(1);
        verdict.rule(!waits, "what can be written does not wait", || format!("{written} of {sent}"));
        verdict.rule(self.heard == there.read, "what is read is told", || {
            format!("{} of {}", self.heard, there.read)
        });
        let unread = there.unread() > 0 && !self.paused;
        verdict.rule(!unread, "what can be read does not wait", || format!("{} bytes", there.unread()));
        let end = there.is_end_arrived && there.unread() == 0 && !self.stream_ended;
        verdict.rule(!end, "the end of a stream is told", String::new);
    }

    fn is_not_stalled(&mut self, connection: &Connection, limits: Limits, now: Time, verdict: &mut Verdict) {
        let written = connection.ends[1].log.len();
        let waiting = self.sent.len() - written;
        self.stalled = match self.stalled {
            _ if waiting == 0 => None,
            Some((since, at)) if at == written => Some((since, at)),
            _ => Some((now, written)),
        };
        let most = limits.output_bytes + hobnob::server::OTHERS_BYTES;
        let too_much = limits.output_bytes != 0 && waiting > most;
        verdict.rule(!too_much, "no more waits than output_bytes", || format!("{waiting}"));
        let patience = Duration::from_secs(limits.output_stall_secs) + SLACK;
        let since = self.stalled.map_or(now, |(since, _)| since);
        let too_long = limits.output_stall_secs != 0 && now.since(since) > patience;
        verdict
            .rule(!too_long, "a stalled reader is cut", || format!("{waiting} bytes since {} us", since.0));
    }

    fn is_closing(
        &mut self,
        closed: Time,
        frozen_until: Time,
        last_words: Duration,
        connection: &Connection,
        now: Time,
        verdict: &mut Verdict,
    ) {
        let here = &connection.ends[1];
        let begun = closed.max(frozen_until);
        if here.is_held {
            verdict.rule(now.since(begun) <= CLOSING, "a closed link is gone soon", || format!("{self:?}"));
            return;
        }
        self.is_gone = true;
        let left = self.sent.len() - here.log.len();
        // Whoever has let go of the connection reads nothing more.
        let excused = here.is_broken || !connection.ends[0].is_held || now.since(closed) >= last_words;
        verdict.rule(left == 0 || excused, "what was queued leaves before the close", || {
            format!("{left} bytes")
        });
    }
}
