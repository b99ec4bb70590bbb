//! The store, seen from the server's side.

mod agreement;
mod crash;
mod damage;
#[cfg(feature = "sim")]
mod lane;
mod log;
mod model;
mod order;
mod purge;
mod refusal;
mod round_trip;
mod sequences;
mod side_doors;
mod versions;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_channel::Receiver;

use super::{Answer, CloseError, Handle, OpenError, Options, open_adjusted};
use crate::record::{Digest, Fact, Mail, Record, RecordNumber, Recovery, Suspect};
use crate::time::Time;
use crate::words::{LoginNumber, MessageId, Name, Origin, Ticket};

/// When every test begins: within the first second, so that boot numbers count from 1.
const START: Time = Time(700_000);

/// An open store, driven as the state task drives it.
struct Rig {
    handle: Handle,
    answers: Receiver<Answer>,
    recovery: Recovery,
    number: u64,
    epoch: u64,
}

fn options(data: Option<&Path>) -> (Options, Receiver<Answer>) {
    let (sender, answers) = async_channel::unbounded();
    let options = Options {
        data: data.map(Path::to_path_buf),
        credentials: PathBuf::from("credentials.txt"),
        answers: sender,
        started: START,
        add_account: Box::new(|_, _| Ok(())),
    };
    (options, answers)
}

impl Rig {
    fn open(data: &Path) -> Rig {
        Rig::try_open(data).unwrap()
    }

    fn try_open(data: &Path) -> Result<Rig, OpenError> {
        Rig::with(options(Some(data)), |_| Ok(()))
    }

    fn with(
        (options, answers): (Options, Receiver<Answer>),
        adjust: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> Result<Rig, OpenError> {
        let (handle, recovery) = open_adjusted(options, adjust)?;
        Ok(Rig { handle, answers, recovery, number: 0, epoch: 0 })
    }

    /// Queues a record; its number.
    fn persist(&mut self, record: Record) -> RecordNumber {
        self.number += 1;
        self.handle.persist(RecordNumber(self.number), self.epoch, record);
        RecordNumber(self.number)
    }

    /// Stores records in one batch and waits for them.
    fn store(&mut self, records: impl IntoIterator<Item = Record>) {
        let mut last = None;
        for record in records {
            last = Some(self.persist(record));
        }
        self.handle.wake(START);
        if let Some(upto) = last {
            while self.next() != (Answer::Committed { upto }) {}
        }
    }

    /// Reads one page and waits for it.
    fn page(&mut self, user: &str, from: Option<&str>, after: MessageId, limit: u32) -> (Vec<Mail>, bool) {
        self.handle.load(Ticket(77), name(user), from.map(name), after, limit);
        self.handle.wake(START);
        let answer = self.next();
        let Answer::Mail { ticket: Ticket(77), mail, more } = answer else { panic!("no page: {answer:?}") };
        (mail, more)
    }

    fn next(&self) -> Answer {
        self.answers.recv_blocking().unwrap()
    }
}

fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

fn id(boot: u32, number: u64) -> MessageId {
    MessageId { boot, number }
}

fn mail(number: u64, from: &str, text: &str) -> Mail {
    Mail {
        id: id(1, number),
        from: name(from),
        group: None,
        origin: Some(Origin { login: LoginNumber(3), number }),
        sent_at: Time(START.0 + number),
        text: text.parse().unwrap(),
    }
}

fn mail_to(to: &str, number: u64, from: &str, text: &str) -> Record {
    Record::MailStored { to: name(to), mail: mail(number, from, text) }
}

fn failures(suspect: Suspect, count: u32, locked_until: Option<Time>) -> Record {
    Record::Fact(Fact::Failures { suspect, count, locked_until, since_login: count })
}
