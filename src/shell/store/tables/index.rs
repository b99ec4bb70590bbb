//! Index of stored mail: the rows of each mailbox.
//!
//! Messages are appended to the table in order of arrival, so a batch for many receivers fills a few pages.
//! If the table were ordered by mailbox, nearly every message would touch a page of its own, and pages are
//! the cost of a commit. This index finds the rows of a mailbox. It is kept in memory only, 24 bytes a
//! message plus the spare capacity of vectors, and rebuilt at start by the scan that counts the mail.

use std::collections::HashMap;

use crate::words::MessageId;

/// A message: its id, its row, and the number of its sender, so that a page of one sender can be read without
/// touching mail of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    number: u64,
    row: i64,
    // Next to each other to avoid the padding that a `MessageId` would have.
    boot: u32,
    sender: u32,
}

const _: () = assert!(size_of::<Entry>() == 24, "ARCHITECTURE.md names this size");

impl Entry {
    pub(crate) const fn new(id: MessageId, row: i64, sender: u32) -> Entry {
        Entry { number: id.number, row, boot: id.boot, sender }
    }

    pub(crate) const fn id(&self) -> MessageId {
        MessageId { boot: self.boot, number: self.number }
    }

    pub(crate) const fn row(&self) -> i64 {
        self.row
    }

    /// Whether the sender is the user of this number.
    pub(crate) fn is_from(&self, sender: i64) -> bool {
        i64::from(self.sender) == sender
    }
}

/// The mailboxes that are not empty, by the number of their user.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// In order of ids.
    mailboxes: HashMap<i64, Vec<Entry>>,
    /// Changes of the current transaction.
    undo: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Added(i64, MessageId),
    Removed(i64, Vec<Entry>),
}

impl Index {
    /// Adds a message; `false` if the mailbox has one of that id.
    #[must_use]
    pub(crate) fn add(&mut self, user: i64, entry: Entry) -> bool {
        let added = self.read(user, entry);
        if added {
            self.undo.push(Change::Added(user, entry.id()));
        }
        added
    }

    /// [`add`](Self::add)s a message that the database holds already.
    #[must_use]
    pub(crate) fn read(&mut self, user: i64, entry: Entry) -> bool {
        let mailbox = self.mailboxes.entry(user).or_default();
        // Usually it is the newest.
        let at = match mailbox.last() {
            Some(last) if last.id() >= entry.id() => match search(mailbox, entry.id()) {
                Ok(_) => return false,
                Err(at) => at,
            },
            Some(_) | None => mailbox.len(),
        };
        mailbox.insert(at, entry);
        true
    }

    /// Removes messages; ids that are not in the mailbox are ignored. Returns their rows.
    pub(crate) fn remove(&mut self, user: i64, ids: &[MessageId]) -> Vec<i64> {
        let mut removed = Vec::new();
        let Some(mailbox) = self.mailboxes.get_mut(&user) else { return Vec::new() };
        // Usually a mailbox is emptied from one end, with consecutive ids.
        let follows =
            |a: &MessageId, b: &MessageId| a.boot == b.boot && a.number.checked_add(1) == Some(b.number);
        for run in ids.chunk_by(follows) {
            let (first, last) = (run[0], run[run.len() - 1]);
            let from = mailbox.partition_point(|entry| entry.id() < first);
            let to = mailbox.partition_point(|entry| entry.id() <= last);
            removed.extend(mailbox.drain(from..to));
        }
        if mailbox.is_empty() {
            self.mailboxes.remove(&user);
        }
        self.forget(user, removed)
    }

    /// Removes a mailbox. Returns its rows.
    pub(crate) fn remove_all(&mut self, user: i64) -> Vec<i64> {
        let removed = self.mailboxes.remove(&user).unwrap_or_default();
        self.forget(user, removed)
    }

    /// The messages of a mailbox with ids above `id`, in order.
    pub(crate) fn above(&self, user: i64, id: MessageId) -> &[Entry] {
        let mailbox = self.mailboxes.get(&user).map_or(&[][..], Vec::as_slice);
        mailbox.get(mailbox.partition_point(|entry| entry.id() <= id)..).unwrap_or_default()
    }

    /// Keeps the changes of the transaction: it was committed.
    pub(crate) fn committed(&mut self) {
        self.undo.clear();
    }

    /// Drops the changes of the transaction: it was rolled back.
    pub(crate) fn rolled_back(&mut self) {
        while let Some(change) = self.undo.pop() {
            match change {
                Change::Added(user, id) => {
                    let mailbox = self.mailboxes.entry(user).or_default();
                    if let Ok(at) = search(mailbox, id) {
                        mailbox.remove(at);
                    }
                    if mailbox.is_empty() {
                        self.mailboxes.remove(&user);
                    }
                }
                Change::Removed(user, entries) => {
                    let mailbox = self.mailboxes.entry(user).or_default();
                    mailbox.extend(entries);
                    mailbox.sort_unstable_by_key(|entry| entry.id());
                }
            }
        }
    }

    fn forget(&mut self, user: i64, removed: Vec<Entry>) -> Vec<i64> {
        let rows = removed.iter().map(Entry::row).collect();
        if !removed.is_empty() {
            self.undo.push(Change::Removed(user, removed));
        }
        rows
    }
}

fn search(mailbox: &[Entry], id: MessageId) -> Result<usize, usize> {
    mailbox.binary_search_by_key(&id, |entry| entry.id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(boot: u32, number: u64) -> MessageId {
        MessageId { boot, number }
    }

    fn entry(id: MessageId, row: i64) -> Entry {
        Entry::new(id, row, 3)
    }

    /// Messages 1 to 9 of boot 1 and 1 to 3 of boot 2, in rows that tell them apart.
    fn filled() -> Index {
        let mut index = Index::default();
        let ids = (1..=9).map(|number| id(1, number)).chain((1..=3).map(|number| id(2, number)));
        for id in ids {
            assert!(index.add(7, entry(id, row(id))));
        }
        index.committed();
        index
    }

    fn row(id: MessageId) -> i64 {
        i64::from(id.boot) * 100 + id.number.cast_signed()
    }

    fn rows(index: &Index, user: i64, above: MessageId) -> Vec<i64> {
        let entries = index.above(user, above);
        assert!(entries.iter().all(|entry| entry.row == row(entry.id())));
        entries.iter().map(Entry::row).collect()
    }

    #[test]
    fn a_mailbox_is_in_order_whatever_came_first() {
        let mut index = filled();
        assert_eq!(index.remove(7, &[id(1, 5)]), [105]);
        assert!(index.add(7, entry(id(1, 5), 105)));
        assert_eq!(rows(&index, 7, id(1, 3)), [104, 105, 106, 107, 108, 109, 201, 202, 203]);
        assert_eq!(rows(&index, 7, id(1, u64::MAX)), [201, 202, 203]);
        assert!(rows(&index, 7, id(2, 3)).is_empty());
        assert!(rows(&index, 8, id(0, 0)).is_empty());
    }

    #[test]
    fn an_id_is_there_once() {
        let mut index = filled();
        for taken in [id(1, 1), id(1, 9), id(2, 3)] {
            assert!(!index.add(7, entry(taken, 999)));
        }
        assert_eq!(rows(&index, 7, id(0, 0)).len(), 12);
        assert!(index.add(8, entry(id(1, 1), 101)), "ids are a receiver's own");
    }

    #[test]
    fn what_is_not_there_is_not_removed() {
        let mut index = filled();
        assert_eq!(
            index.remove(7, &[id(1, 8), id(1, 9), id(1, 10), id(2, 0), id(2, 2), id(1, 1)]),
            [108, 109, 202, 101]
        );
        assert!(index.remove(7, &[id(1, 8), id(3, 1)]).is_empty());
        assert!(index.remove(8, &[id(1, 1)]).is_empty());
        assert_eq!(rows(&index, 7, id(0, 0)), [102, 103, 104, 105, 106, 107, 201, 203]);
    }

    #[test]
    fn a_transaction_that_is_undone_leaves_nothing() {
        let mut index = filled();
        let before = rows(&index, 7, id(0, 0));
        assert_eq!(index.remove(7, &[id(1, 4), id(2, 2)]), [104, 202]);
        assert!(index.add(7, entry(id(2, 4), 204)));
        assert!(index.add(8, entry(id(2, 1), 201)));
        assert_eq!(index.remove(7, &[id(2, 4)]), [204]);
        assert_eq!(index.remove_all(7).len(), 10);
        assert!(index.add(7, entry(id(2, 2), 777)));
        index.rolled_back();
        assert_eq!(rows(&index, 7, id(0, 0)), before);
        assert_eq!(index.mailboxes.len(), 1);
        // And it is undone once.
        index.rolled_back();
        assert_eq!(rows(&index, 7, id(0, 0)), before);
    }

    #[test]
    fn an_empty_mailbox_takes_no_room() {
        let mut index = filled();
        assert_eq!(index.remove_all(7).len(), 12);
        assert!(index.mailboxes.is_empty());
        assert!(index.add(7, entry(id(1, 1), 101)));
        assert_eq!(index.remove(7, &[id(1, 1)]), [101]);
        assert!(index.mailboxes.is_empty());
    }
}
