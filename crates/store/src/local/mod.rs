//! A store in a directory of the local disk, for one process.
//!
//! ```text
//! records.redb             the records
//! data/<2 hex>/<id>        data, complete
//! uploads/<id>             uploads in parts, written in place
//! temp/                    data on their way into data/; emptied when the store is opened
//! ```
//!
//! The records are one [`redb`] database. Its lock keeps every other process out of the directory.

mod ahead;
mod backend;
mod committer;
mod data;
mod dirs;
mod error;
mod files;
mod listing;
mod reading;
mod records;
mod slots;
mod table;
mod value;

#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

pub use error::OpenError;

use crate::{Generation, StoreResult};
use committer::Committer;
use error::Fault;
use files::Files;
use slots::Slots;
use table::Table;

/// A store in a directory of the local disk; see the module.
///
/// Dropping it waits for the writes of records that are under way and frees the directory.
#[derive(Debug)]
pub struct LocalStore {
    // The first to go: its thread closes the table.
    committer: Committer,
    table: Arc<Table>,
    files: Arc<Files>,
    slots: Arc<Slots>,
}

impl LocalStore {
    /// Opens the store in the directory `root`, or makes one.
    ///
    /// With `durable`, what was acknowledged survives a loss of power. Without, nothing waits for the disk: what was
    /// acknowledged survives the end of this process, however sudden, **but a loss of power may damage the file of the
    /// records**, and with it everything.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when a process has the directory open already; [`OpenError::Foreign`] when it holds something else, which
    /// opening would clear away.
    pub fn open(root: &Path, durable: bool) -> Result<Self, OpenError> {
        let directory = |source| OpenError::Directory { path: root.to_owned(), source };
        std::fs::create_dir_all(root).map_err(directory)?;
        let path = root.join("records.redb");
        if let Some(found) = foreign(root, &path).map_err(directory)? {
            return Err(OpenError::Foreign { root: root.to_owned(), found });
        }
        let table = Table::open(path.clone(), durable).map_err(|e| match e {
            redb::Error::DatabaseAlreadyOpen => OpenError::InUse { root: root.to_owned() },
            e => OpenError::Records { path, source: Box::new(e) },
        })?;
        let table = Arc::new(table);
        // Only now is it certain that nobody else is at work here.
        let files = Arc::new(Files::open(root, durable).map_err(directory)?);
        let committer = Committer::start(table.clone()).map_err(directory)?;
        Ok(Self { committer, table, files, slots: Arc::default() })
    }

    /// The file in which data stand, open for reading, or `None` where there are no such data.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn open_file(&self, generation: &Generation) -> StoreResult<Option<std::fs::File>> {
        let (files, id) = (self.files.clone(), generation.clone());
        let opened = blocking(move || Ok(files.open_data(&id)?));
        Ok(opened.await.map_err(|fault| fault.of("open", generation))?)
    }
}

/// Runs what may wait for the disk where it holds nobody up.
/// The name of a file in a directory that has files and no records. What a file system itself puts into a fresh one does not count.
fn foreign(root: &Path, records: &Path) -> std::io::Result<Option<String>> {
    if records.exists() {
        return Ok(None);
    }
    let mut names = std::fs::read_dir(root)?.map(|entry| entry.map(|e| e.file_name().to_string_lossy().into_owned()));
    names.find(|name| !matches!(name.as_deref(), Ok("lost+found"))).transpose()
}

async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(f).await?
}
