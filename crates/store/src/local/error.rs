//! The errors of the local store, and the one way out of them.

use std::io;
use std::path::PathBuf;

use crate::StoreError;

/// Why a local store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory open, or this one has it open already.
    #[error("the storage directory {} is in use by another process", root.display())]
    InUse {
        /// The directory.
        root: PathBuf,
    },
    /// The directory has files, and none of them are the records of a store: it belongs to something else.
    #[error(
        "the storage directory {} holds files of something else ({found} among them): name an empty directory, or one that does not \
         exist yet",
        root.display()
    )]
    Foreign {
        /// The directory.
        root: PathBuf,
        /// The name of one of the files.
        found: String,
    },
    /// The directory or something in it cannot be made or read.
    #[error("cannot use the storage directory: {}: {source}", path.display())]
    Directory {
        /// What it is about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of the records cannot be opened.
    #[error("cannot open the records in {}: {source}", path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Box<redb::Error>,
    },
}

/// What went wrong in a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Records(#[from] Box<redb::Error>),
    /// The transaction that several writes shared failed.
    #[error("{0}")]
    Shared(std::sync::Arc<str>),
    #[error("the store is closed")]
    Closed,
    #[error("the task ended: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A [`Fault`] and the call that it happened in.
#[derive(Debug)]
pub(super) struct LocalError {
    pub(super) operation: &'static str,
    pub(super) what: String,
    pub(super) fault: Fault,
}

impl Fault {
    /// Names the call.
    pub(super) fn of(self, operation: &'static str, what: impl ToString) -> LocalError {
        LocalError { operation, what: what.to_string(), fault: self }
    }

    /// From any of the database's errors.
    pub(super) fn records(error: impl Into<redb::Error>) -> Self {
        Self::Records(Box::new(error.into()))
    }
}

impl From<LocalError> for StoreError {
    fn from(error: LocalError) -> Self {
        let LocalError { operation, what, fault } = error;
        match fault {
            Fault::Io(e) if e.kind() == io::ErrorKind::PermissionDenied => Self::refused(operation, what, e),
            Fault::Records(e) if matches!(*e, redb::Error::Corrupted(_)) => Self::corrupt(what, e.to_string()),
            fault => Self::unavailable(operation, what, fault),
        }
    }
}
