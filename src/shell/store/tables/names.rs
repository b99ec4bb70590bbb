//! The table of names. Other tables refer to names by number.

use std::collections::HashMap;

use rusqlite::Connection;

use crate::shell::store::disk::Trouble;
use crate::words::Name;

/// The table in memory, indexed both ways. Bounded, because only names of accounts are in it.
#[derive(Debug, Default)]
pub(crate) struct Names {
    ids: HashMap<Name, i64>,
    names: HashMap<i64, Name>,
    /// Inserted by the current transaction.
    fresh: Vec<i64>,
}

impl Names {
    /// Reads the table.
    pub(crate) fn read(db: &Connection) -> Result<Names, Trouble> {
        let mut names = Names::default();
        let mut statement = db.prepare("SELECT id, name FROM names")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(1)?.as_str().map_err(|_| Trouble::Unreadable("name"))?;
            let name = Name::new(name).map_err(|_| Trouble::Unreadable("name"))?;
            names.remember(row.get(0)?, name);
        }
        Ok(names)
    }

    /// The number of a name, if it is in the table.
    pub(crate) fn known(&self, name: &Name) -> Option<i64> {
        self.ids.get(name).copied()
    }

    /// The name of a number that another table refers to.
    pub(crate) fn name(&self, id: i64) -> Result<&Name, Trouble> {
        self.names.get(&id).ok_or(Trouble::Unreadable("reference to a name"))
    }

    /// The number of a name, which is inserted if it is new.
    pub(crate) fn number(&mut self, db: &Connection, name: &Name) -> rusqlite::Result<i64> {
        if let Some(id) = self.known(name) {
            return Ok(id);
        }
        db.prepare_cached("INSERT INTO names (name) VALUES (?1)")?.execute([name.as_str()])?;
        let id = db.last_insert_rowid();
        self.remember(id, name.clone());
        self.fresh.push(id);
        Ok(id)
    }

    /// Keeps the changes of the transaction: it was committed.
    pub(crate) fn committed(&mut self) {
        self.fresh.clear();
    }

    /// Drops the changes of the transaction: it was rolled back.
    pub(crate) fn rolled_back(&mut self) {
        for id in self.fresh.drain(..) {
            if let Some(name) = self.names.remove(&id) {
                self.ids.remove(&name);
            }
        }
    }

    fn remember(&mut self, id: i64, name: Name) {
        self.ids.insert(name.clone(), id);
        self.names.insert(id, name);
    }
}
