//! Lists of any length: short ones leave at once, long ones as the output drains.

use alloc::string::String;
use alloc::vec::Vec;

use super::ServerState;
use super::accounts::UserId;
use super::commands::Asker;
use super::links::Waits;
use crate::planted::{self, Planted};
use crate::record::RecordNumber;
use crate::wire::{Answer, ServerLine, Words};
use crate::words::LinkId;

/// Words of a list in one line, in bytes.
const LINE_BYTES: usize = 3_800;
/// A list up to this size leaves at once; a longer one in pieces of it.
const PIECE_BYTES: usize = 32 * 1024;
/// Long lists that may wait on one link; with more its input waits.
const WAITING_LISTS: usize = 4;

/// What waits on a link until the lists before it have left.
#[derive(Debug, Clone)]
pub(super) enum Waiting {
    /// A list.
    List(Listing),
    /// A logout. It is the last: nothing more is obeyed.
    Logout(Asker),
}

/// A list that could not leave at once.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    lines: Vec<u8>,
    next: usize,
}

impl Listing {
    /// The next whole lines, as many as a piece holds, but at least one.
    fn piece(&mut self) -> &[u8] {
        let from = self.next;
        let full = (from + PIECE_BYTES).min(self.lines.len());
        let end = match memchr::memrchr(b'\n', &self.lines[from..full]) {
            Some(at) => from + at + 1,
            None => memchr::memchr(b'\n', &self.lines[full..]).map_or(self.lines.len(), |at| full + at + 1),
        };
        self.next = end;
        &self.lines[from..end]
    }

    fn is_sent(&self) -> bool {
        self.next >= self.lines.len()
    }
}

/// Joins words to lines that fit on the wire.
pub(super) fn word_lines(words: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= LINE_BYTES => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(String::from(*word)),
        }
    }
    lines
}

impl ServerState {
    /// Lists users, sorted by name, and says how many they are.
    pub(super) fn list_users(
        &mut self,
        asker: Asker,
        users: Vec<UserId>,
        answer: fn(u64) -> Answer<'static>,
    ) {
        let mut lines = Vec::new();
        for line in word_lines(&self.accounts.sorted_names(&users)) {
            if let Some(users) = Words::new(&line) {
                ServerLine::Users { number: asker.number, users }.encode(&mut lines);
            }
        }
        ServerLine::Done { number: asker.number, answer: answer(users.len() as u64) }.encode(&mut lines);
        self.list(&asker, lines);
    }

    /// Sends the lines of a list, at once or by and by.
    pub(super) fn list(&mut self, asker: &Asker, lines: Vec<u8>) {
        let Some(id) = self.asker_link(asker) else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        // Whoever asks for lists faster than he reads them has to wait for them, however short.
        let idle = link.listings.is_empty() && link.queued() - link.flushed <= PIECE_BYTES as u64;
        if lines.len() <= PIECE_BYTES && idle {
            let written = self.outbox.write(|out| out.extend_from_slice(&lines));
            self.queue(id, RecordNumber(0), written);
            return;
        }
        link.listings.push_back(Waiting::List(Listing { lines, next: 0 }));
        self.continue_listings(id);
    }

    /// Sends the next pieces while most of those before have left. What is left then decides whether the
    /// link is read: also when the last piece was the one that fills what may be under way.
    pub(super) fn continue_listings(&mut self, id: LinkId) {
        while let Some(link) = self.links.get_mut(&id) {
            let busy = link.in_flight() > PIECE_BYTES as u64 || !link.held.is_empty();
            let written = match link.listings.front_mut() {
                Some(&mut Waiting::Logout(asker)) => {
                    if self.owes_mail(asker.user) {
                        break;
                    }
                    return self.log_out(asker);
                }
                Some(Waiting::List(listing)) if !busy => {
                    let piece = listing.piece();
                    let written = self.outbox.write(|out| out.extend_from_slice(piece));
                    if listing.is_sent() {
                        link.listings.pop_front();
                    }
                    written
                }
                Some(Waiting::List(_)) | None => break,
            };
            self.queue(id, RecordNumber(0), written);
        }
        let Some(link) = self.links.get(&id) else { return };
        // Who leaves is read, because he acknowledges.
        let ends = matches!(link.listings.back(), Some(Waiting::Logout(_)));
        let forgotten = planted::is(Planted::ListsFillUp) && link.in_flight() > PIECE_BYTES as u64;
        if !ends && link.listings.len() > WAITING_LISTS {
            self.wait(id, Waits::LISTING);
        } else if !forgotten {
            self.wait_no_more(id, Waits::LISTING);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn words_share_lines_and_none_is_too_long() {
        let words: Vec<String> = (0..2_000).map(|n| alloc::format!("user{n}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let lines = word_lines(&words);
        assert!(lines.len() < 10 && lines.iter().all(|line| line.len() <= LINE_BYTES));
        let back: Vec<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
        assert_eq!(back, words);
        assert!(word_lines(&[]).is_empty());
    }

    #[test]
    fn pieces_end_at_line_ends_and_add_up() {
        let lines: Vec<u8> = (0..9_000).flat_map(|n| alloc::format!("line {n}\n").into_bytes()).collect();
        let mut listing = Listing { lines: lines.clone(), next: 0 };
        let mut sent = vec![];
        while !listing.is_sent() {
            let piece = listing.piece();
            assert!(piece.len() <= PIECE_BYTES && piece.ends_with(b"\n"));
            sent.extend_from_slice(piece);
        }
        assert_eq!(sent, lines);
    }
}
