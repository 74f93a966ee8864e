//! The file of the records: opening it, and opening it again after it failed.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use redb::{Builder, Database, DatabaseError, ReadOnlyTable, ReadableDatabase as _, TableDefinition, TableHandle as _};

use super::ahead::Ahead;
use super::backend::UnsyncedFile;
use super::error::Fault;

/// Key to version (8 bytes, little endian) and value.
pub(super) const RECORDS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("records");
/// Numbers of the store itself.
pub(super) const NUMBERS: TableDefinition<'static, &str, u64> = TableDefinition::new("numbers");
/// In [`NUMBERS`]: the last version that was given to a record.
pub(super) const LAST_VERSION: &str = "last-version";

/// How much of the file is kept in memory, in bytes.
const CACHE: usize = 64 << 20;

/// The database in its file. After a failed write it answers nothing more and has to be opened again.
#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    durable: bool,
    database: RwLock<Option<Database>>,
}

impl Table {
    pub(super) fn open(path: PathBuf, durable: bool) -> Result<Self, redb::Error> {
        let table = Self { path, durable, database: RwLock::new(None) };
        table.reopen(&Ahead::default())?;
        Ok(table)
    }

    /// Closes the database and opens it again, with what was written `ahead`.
    pub(super) fn reopen(&self, ahead: &Ahead) -> Result<(), redb::Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        drop(database.take());
        let opened = self.load()?;
        make_tables(&opened)?;
        ahead.repeat(&opened)?;
        *database = Some(opened);
        Ok(())
    }

    /// Closes the database. Every later call fails.
    pub(super) fn close(&self) {
        drop(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn load(&self) -> Result<Database, DatabaseError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE);
        if self.durable {
            return builder.create(&self.path);
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        builder.create_with_backend(UnsyncedFile::new(file)?)
    }

    /// Does something with the open database.
    pub(super) fn with<T>(&self, f: impl FnOnce(&Database) -> Result<T, Fault>) -> Result<T, Fault> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        f(database.as_ref().ok_or(Fault::Closed)?)
    }

    /// The records as they stand now.
    pub(super) fn snapshot(&self) -> Result<ReadOnlyTable<&'static str, &'static [u8]>, Fault> {
        self.with(|database| {
            let transaction = database.begin_read().map_err(Fault::records)?;
            transaction.open_table(RECORDS).map_err(Fault::records)
        })
    }
}

/// Makes the tables of a new database, which may also be one that failed before it had them.
fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let has_records = database.begin_read()?.list_tables()?.any(|table| table.name() == RECORDS.name());
    if !has_records {
        let mut transaction = database.begin_write()?;
        transaction.set_quick_repair(true);
        transaction.open_table(RECORDS)?;
        transaction.open_table(NUMBERS)?;
        transaction.commit()?;
    }
    Ok(())
}
