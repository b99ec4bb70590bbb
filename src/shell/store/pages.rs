//! Mail, read page by page.

use std::sync::Arc;

use rusqlite::{Connection, Row, named_params};

use super::failure::Trouble;
use super::names::Names;
use super::rows::id_columns;
use super::writer::Request;
use crate::record::Mail;
use crate::time::Time;
use crate::words::{LoginNumber, MessageId, Name, Origin};

/// One page of a mailbox.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) mail: Vec<Mail>,
    pub(super) more: bool,
}

/// One walk along the key, from an id on.
pub(super) const PAGE: &str = "
    SELECT boot, number, sender, group_name, login, command, sent_at, text FROM mail
    WHERE receiver = :receiver AND (boot, number) > (:boot, :number)
        AND (:sender IS NULL OR sender = :sender)
    ORDER BY boot, number LIMIT :limit";

/// Reads the page that is asked for.
pub(super) fn read(db: &Connection, names: &Names, request: &Request) -> Result<Page, Trouble> {
    let mut page = Page { mail: Vec::new(), more: false };
    let Some(receiver) = names.known(&request.user) else { return Ok(page) };
    let sender = match request.from.as_ref().map(|from| names.known(from)) {
        Some(None) => return Ok(page),
        Some(sender) => sender,
        None => None,
    };
    let limit = request.limit as usize;
    let (boot, number) = id_columns(request.after);
    let mut statement = db.prepare_cached(PAGE)?;
    let mut rows = statement.query(named_params! {
        ":receiver": receiver, ":boot": boot, ":number": number, ":sender": sender,
        ":limit": i64::from(request.limit) + 1,
    })?;
    while let Some(row) = rows.next()? {
        if page.mail.len() == limit {
            page.more = true;
            break;
        }
        page.mail.push(message(row, names)?);
    }
    Ok(page)
}

fn message(row: &Row<'_>, names: &Names) -> Result<Mail, Trouble> {
    let unsigned = |value: i64| value.cast_unsigned();
    let group = match row.get_ref(3)?.as_str_or_null().map_err(|_| Trouble::Unreadable("group of mail"))? {
        Some(group) => Some(Name::new(group).map_err(|_| Trouble::Unreadable("group of mail"))?),
        None => None,
    };
    let origin = match (row.get(4)?, row.get(5)?) {
        (Some(login), Some(number)) => {
            Some(Origin { login: LoginNumber(unsigned(login)), number: unsigned(number) })
        }
        (None, None) => None,
        _ => return Err(Trouble::Unreadable("origin of mail")),
    };
    let text = row.get_ref(7)?.as_str().map_err(|_| Trouble::Unreadable("text of mail"))?;
    Ok(Mail {
        id: MessageId { boot: row.get(0)?, number: unsigned(row.get(1)?) },
        from: names.name(row.get(2)?)?.clone(),
        group,
        origin,
        sent_at: Time(unsigned(row.get(6)?)),
        text: Arc::from(text),
    })
}
