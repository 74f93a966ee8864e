//! What was written and is not on the disk yet: see [`crate::ahead`].

use redb::{Database, ReadableDatabase as _};

use super::table::{LAST_VERSION, NUMBERS, RECORDS};

/// So many bytes wait for a write that takes them to the disk with it; more go by themselves.
const MOST_BYTES: usize = 4 << 20;

/// Writes since the last one that is durable, in their order.
///
/// They were answered, and are in the database as long as it is open. Should a later write fail, the database is opened again as it
/// stands on the disk, and they are done once more before anyone sees it.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    writes: Vec<Done>,
    /// Of the last of them.
    version: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Done {
    key: String,
    /// As it stands in the table; `None` for a delete.
    value: Option<Vec<u8>>,
}

impl Ahead {
    pub(super) fn push(&mut self, version: u64, key: &str, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len) + size_of::<Done>();
        self.writes.push(Done { key: key.to_owned(), value });
        self.version = version;
    }

    pub(super) fn extend(&mut self, later: Self) {
        self.version = self.version.max(later.version);
        self.bytes += later.bytes;
        self.writes.extend(later.writes);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES
    }

    /// Does the writes once more in a database that was opened again, unless they are in it. All are, or none: what reached the disk
    /// after them took them along.
    pub(super) fn repeat(&self, database: &Database) -> Result<(), redb::Error> {
        if self.is_empty() {
            return Ok(());
        }
        let numbers = database.begin_read()?.open_table(NUMBERS)?;
        let reached = redb::ReadableTable::get(&numbers, LAST_VERSION)?.map_or(0, |version| version.value());
        if reached >= self.version {
            return Ok(());
        }
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        {
            let mut records = transaction.open_table(RECORDS)?;
            for Done { key, value } in &self.writes {
                match value {
                    Some(value) => records.insert(key.as_str(), value.as_slice())?,
                    None => records.remove(key.as_str())?,
                };
            }
            transaction.open_table(NUMBERS)?.insert(LAST_VERSION, self.version)?;
        }
        Ok(transaction.commit()?)
    }
}
