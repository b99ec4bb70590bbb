//! A stand-in for the store, of the same shape: it keeps mail in memory and forgets everything.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::record::{Mail, Record, RecordNumber, Recovery};
use crate::shell::credentials;
use crate::words::{MessageId, Name, Ticket};

/// Where things are kept, and where answers go.
#[derive(Debug)]
pub struct Options {
    /// The data folder; `None`: memory only.
    pub data: Option<PathBuf>,
    /// The file with the accounts.
    pub credentials: PathBuf,
    /// Takes the answers.
    pub answers: async_channel::Sender<Answer>,
}

/// What the store has to say.
#[derive(Debug, Clone)]
pub enum Answer {
    /// All records up to this one are durable.
    Committed {
        /// The last one.
        upto: RecordNumber,
    },
    /// This record and all later ones of its epoch are not.
    Refused {
        /// The first one refused.
        from: RecordNumber,
    },
    /// Stored mail.
    Mail {
        /// Who asked.
        ticket: Ticket,
        /// In order of ids.
        mail: Vec<Mail>,
        /// Whether more was waiting.
        more: bool,
    },
    /// Nothing can be stored any more; the program must end.
    Failed(String),
}

/// Why the store did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Never, in memory.
    #[error("the store cannot be opened")]
    Failed,
}

/// An open store.
#[derive(Debug)]
pub struct Handle {
    credentials: PathBuf,
    answers: async_channel::Sender<Answer>,
    mail: BTreeMap<Name, BTreeMap<MessageId, Mail>>,
    last: Option<RecordNumber>,
}

/// Opens the store.
///
/// # Errors
/// [`OpenError`].
pub fn open(options: Options) -> Result<(Handle, Recovery), OpenError> {
    let Options { data: _, credentials, answers } = options;
    let handle = Handle { credentials, answers, mail: BTreeMap::new(), last: None };
    Ok((handle, Recovery { boot: 1, ..Recovery::default() }))
}

impl Handle {
    /// Queues a record.
    pub fn persist(&mut self, number: RecordNumber, _epoch: u64, record: Record) {
        self.last = Some(number);
        #[allow(clippy::wildcard_enum_match_arm)]
        match record {
            Record::AccountAdded { name, credential } => {
                if let Err(error) = credentials::append(&self.credentials, &name, &credential) {
                    let _ = self.answers.try_send(Answer::Failed(error.to_string()));
                }
            }
            Record::MailStored { to, mail } => {
                self.mail.entry(to).or_default().insert(mail.id, mail);
            }
            Record::MailRemoved { user, ids } => {
                if let Some(mailbox) = self.mail.get_mut(&user) {
                    mailbox.retain(|id, _| !ids.contains(id));
                }
            }
            _ => {}
        }
    }

    /// Queues a request for mail.
    pub fn load(&mut self, ticket: Ticket, user: Name, from: Option<Name>, after: MessageId, limit: u32) {
        let waiting = self.mail.get(&user).into_iter().flatten();
        let mut waiting = waiting
            .filter(|(id, mail)| **id > after && from.as_ref().is_none_or(|from| mail.from == *from))
            .map(|(_, mail)| mail.clone());
        let mail = waiting.by_ref().take(limit as usize).collect();
        let more = waiting.next().is_some();
        let _ = self.answers.try_send(Answer::Mail { ticket, mail, more });
    }

    /// Hands over all that was queued.
    pub fn wake(&mut self) {
        if let Some(upto) = self.last.take() {
            let _ = self.answers.try_send(Answer::Committed { upto });
        }
    }

    /// Closes the store; all is durable then.
    pub fn close(self) {}
}
