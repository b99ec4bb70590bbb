//! Reads mail page by page.

use rusqlite::{Connection, Row};

use super::index::Entry;
use super::known::Known;
use super::names::Names;
use crate::record::Mail;
use crate::shell::store::disk::Trouble;
use crate::time::Time;
use crate::words::{LoginNumber, MessageId, Name, Origin, Text, Ticket};

/// A request for a page of mail.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) ticket: Ticket,
    pub(crate) user: Name,
    pub(crate) from: Option<Name>,
    pub(crate) after: MessageId,
    pub(crate) limit: u32,
}

/// One page of a mailbox.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) mail: Vec<Mail>,
    pub(crate) more: bool,
}

/// Selects a message by its row.
pub(crate) const MESSAGE: &str =
    "SELECT sender, group_name, login, command, sent_at, text FROM mail WHERE id = ?1";

/// Reads the requested page.
pub(crate) fn read(db: &Connection, known: &Known, request: &Request) -> Result<Page, Trouble> {
    let Known { names, index, .. } = known;
    let mut page = Page { mail: Vec::new(), more: false };
    let Some(receiver) = names.known(&request.user) else { return Ok(page) };
    let sender = match request.from.as_ref().map(|from| names.known(from)) {
        Some(None) => return Ok(page),
        Some(sender) => sender,
        None => None,
    };
    let limit = request.limit as usize;
    let mut statement = db.prepare_cached(MESSAGE)?;
    let is_wanted = |entry: &&Entry| sender.is_none_or(|sender| entry.is_from(sender));
    for entry in index.above(receiver, request.after).iter().filter(is_wanted) {
        if page.mail.len() == limit {
            page.more = true;
            break;
        }
        let mut rows = statement.query([entry.row()])?;
        let row = rows.next()?.ok_or(Trouble::Unreadable("index of mail"))?;
        page.mail.push(message(entry.id(), row, names)?);
    }
    Ok(page)
}

fn message(id: MessageId, row: &Row<'_>, names: &Names) -> Result<Mail, Trouble> {
    let unsigned = |value: i64| value.cast_unsigned();
    let group = match row.get_ref(1)?.as_str_or_null().map_err(|_| Trouble::Unreadable("group of mail"))? {
        Some(group) => Some(Name::new(group).map_err(|_| Trouble::Unreadable("group of mail"))?),
        None => None,
    };
    let origin = match (row.get(2)?, row.get(3)?) {
        (Some(login), Some(number)) => {
            Some(Origin { login: LoginNumber(unsigned(login)), number: unsigned(number) })
        }
        (None, None) => None,
        _ => return Err(Trouble::Unreadable("origin of mail")),
    };
    let text =
        row.get_ref(5)?.as_str().ok().and_then(Text::new).ok_or(Trouble::Unreadable("text of mail"))?;
    Ok(Mail {
        id,
        from: names.name(row.get(0)?)?.clone(),
        group,
        origin,
        sent_at: Time(unsigned(row.get(4)?)),
        text: text.into(),
    })
}
