//! The auditor's view of the database of a server that was killed.

use std::collections::{HashMap, HashSet};
use std::fs;

use rusqlite::Connection;
use support::Place;

use crate::audit::Findings;
use crate::database;
use crate::people::{Life, Typed};

/// One stored message.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    to: String,
    from: String,
    text: String,
    /// Which start of the server has stored it.
    boot: i64,
    /// Of a message to a group: the sender's login and command.
    of_group: Option<(i64, i64)>,
}

/// All stored mail, that of each receiver in order. Read from a copy: the next start is to find what the
/// kill has left.
pub(crate) fn rows(place: &Place) -> Vec<Row> {
    let copy = tempfile::tempdir().expect("a folder");
    let file = copy.path().join("hobnob.db");
    fs::copy(database::path(place), &file).expect("copied");
    let log = place.data().join("hobnob.db-wal");
    if log.exists() {
        fs::copy(log, copy.path().join("hobnob.db-wal")).expect("copied");
    }
    let database = Connection::open(file).expect("a database");
    let sql =
        "SELECT a.name, b.name, text, group_name, login, command, boot FROM mail JOIN names a ON a.id = receiver
         JOIN names b ON b.id = sender ORDER BY receiver, boot, number";
    let mut statement = database.prepare(sql).expect("a query");
    let row = |row: &rusqlite::Row<'_>| {
        let is_of_group = row.get::<_, Option<String>>(3)?.is_some();
        let of_group = if is_of_group { Some((row.get(4)?, row.get(5)?)) } else { None };
        Ok(Row { to: row.get(0)?, from: row.get(1)?, text: row.get(2)?, boot: row.get(6)?, of_group })
    };
    let rows = statement.query_map([], row).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

/// Finds faults within the rows: each text holds a number that rises with every text that a user types.
///
/// A message to a group is settled when its last member has it. If the server dies before, the sender says
/// it again, and it is stored again for those who had it already, even after later messages: their
/// clients know it by its command. So the same command may be there twice, but no other of the same text.
/// A message to one user that was shown, but whose sender did not hear so before the crash, is stored again
/// as well, after later ones; so the order holds within each run of the server.
pub(crate) fn examine(rows: &[Row], findings: &mut Findings) {
    let mut newest: HashMap<(&str, &str, i64), u64> = HashMap::new();
    let mut texts = HashSet::new();
    let mut commands: HashMap<(&str, &str), (i64, i64)> = HashMap::new();
    for row in rows {
        if let Some(command) = row.of_group {
            if *commands.entry((&row.to, &row.text)).or_insert(command) != command {
                findings.doubled.push(format!("stored twice, by two commands: {row:?}"));
            }
            continue;
        }
        let number = row.text.split(' ').nth(1).and_then(|number| number.parse().ok());
        let number: u64 = number.unwrap_or_else(|| panic!("a text without a number: {row:?}"));
        if !texts.insert((&*row.to, &*row.text)) {
            findings.doubled.push(format!("stored twice: {row:?}"));
        } else if let Some(before) = newest.insert((&row.to, &row.from, row.boot), number)
            && before > number
        {
            findings.disordered.push(format!("stored after {before}: {row:?}"));
        }
    }
}

/// Holds the rows against what everybody was told and shown, once everybody has gone: whatever is
/// confirmed was shown or is there, and nothing is there that was refused or never typed.
pub(crate) fn compare(rows: &[Row], lives: &[Life], findings: &mut Findings) {
    let there: HashSet<(&str, &str)> = rows.iter().map(|row| (&*row.to, &*row.text)).collect();
    let shown: HashSet<(&str, &str)> = lives
        .iter()
        .flat_map(|life| life.objects.iter().map(move |object| (&*life.user, object)))
        .filter(|(_, object)| object["type"] == "message")
        .filter_map(|(user, object)| Some((user, object["text"].as_str()?)))
        .collect();
    let mut may_be_there: HashMap<&str, &Typed> = HashMap::new();
    for life in lives {
        for (index, typed) in life.typed.iter().enumerate() {
            let line = index + 1;
            let result = life.objects.iter().find(|o| o["type"] == "result" && o["line"] == line);
            let is_refused =
                result.is_some_and(|result| result["ok"] == false && result["error"] != "outcome_unknown");
            let (Typed::Message { text, .. } | Typed::Group { text, .. }) = typed else { continue };
            if !is_refused {
                may_be_there.insert(text, typed);
            }
            if let Typed::Message { to, text } = typed
                && result.is_some_and(|result| result["ok"] == true)
                && !there.contains(&(&**to, &**text))
                && !shown.contains(&(&**to, &**text))
            {
                findings.lost.push(format!("neither shown nor stored: {typed:?} {result:?}"));
            }
        }
    }
    // Of what is still to be shown, the order is that of all starts together.
    let unseen = |row: &&Row| row.of_group.is_none() && !shown.contains(&(&*row.to, &*row.text));
    let as_of_one: Vec<Row> = rows.iter().filter(unseen).map(|row| Row { boot: 0, ..row.clone() }).collect();
    examine(&as_of_one, findings);
    for row in rows {
        let is_right = match may_be_there.get(&*row.text) {
            Some(Typed::Message { to, .. }) => *to == row.to,
            Some(Typed::Group { .. }) => true,
            Some(Typed::Broadcast { .. } | Typed::Torn { .. } | Typed::Command(_)) | None => false,
        };
        if !is_right {
            findings.invented.push(format!("stored, but refused or never typed: {row:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(text: &str) -> Row {
        Row { to: "luke".into(), from: "hans".into(), text: text.into(), boot: 1, of_group: None }
    }

    fn group_row(text: &str, command: i64) -> Row {
        Row { of_group: Some((1, command)), ..row(text) }
    }

    fn hans(error: Option<&str>) -> Life {
        let typed = ["hans 1", "hans 2"].map(|text| Typed::Message { to: "luke".into(), text: text.into() });
        let result = |line| match error {
            Some(error) => json!({"type": "result", "line": line, "ok": false, "error": error}),
            None => json!({"type": "result", "line": line, "ok": true, "status": "stored"}),
        };
        Life { user: "hans".into(), killed: false, typed: typed.into(), objects: vec![result(1), result(2)] }
    }

    fn luke(text: &str) -> Life {
        let message = json!({"type": "message", "from": "hans", "text": text});
        Life { user: "luke".into(), killed: false, typed: Vec::new(), objects: vec![message] }
    }

    #[test]
    fn rows_that_are_doubled_or_out_of_order_are_found() {
        let mut findings = Findings::default();
        examine(&[row("hans 1"), row("hans 2")], &mut findings);
        assert_eq!(findings.faults().len(), 0);
        examine(&[row("hans 2"), row("hans 2")], &mut findings);
        assert_eq!(findings.doubled.len(), 1);
        examine(&[row("hans 2"), row("hans 1")], &mut findings);
        assert_eq!(findings.disordered.len(), 1);
        examine(&[row("hans 2"), Row { boot: 2, ..row("hans 1") }], &mut findings);
        assert_eq!(findings.disordered.len(), 1, "shown before the crash, and known");
        compare(&[row("hans 2"), Row { boot: 2, ..row("hans 1") }], &[hans(None)], &mut findings);
        assert_eq!(findings.disordered.len(), 2, "never shown");
        compare(
            &[row("hans 2"), Row { boot: 2, ..row("hans 1") }],
            &[hans(None), luke("hans 1")],
            &mut findings,
        );
        assert_eq!(findings.disordered.len(), 2);
        examine(&[group_row("hans 1", 1), row("hans 2"), group_row("hans 1", 1)], &mut findings);
        assert_eq!(findings.faults().len(), 3, "a repeat to a group is known by its command");
        examine(&[group_row("hans 1", 1), group_row("hans 1", 2)], &mut findings);
        assert_eq!(findings.doubled.len(), 2);
    }

    #[test]
    fn what_is_confirmed_is_shown_or_there() {
        let mut findings = Findings::default();
        compare(&[row("hans 2")], &[hans(None), luke("hans 1")], &mut findings);
        assert_eq!(findings.faults().len(), 0);
        compare(&[row("hans 2")], &[hans(None)], &mut findings);
        assert_eq!(findings.lost.len(), 1);
    }

    #[test]
    fn what_was_refused_or_never_typed_is_not_there() {
        let mut findings = Findings::default();
        compare(&[row("hans 2")], &[hans(Some("storage_unavailable"))], &mut findings);
        assert_eq!(findings.invented.len(), 1);
        compare(&[row("hans 3")], &[hans(None), luke("hans 1"), luke("hans 2")], &mut findings);
        assert_eq!((findings.invented.len(), findings.lost.len()), (2, 0));
        compare(&[row("hans 1")], &[hans(Some("outcome_unknown"))], &mut findings);
        assert_eq!(findings.invented.len(), 2);
    }
}
