//! Making the entries of a directory durable, for many at once.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A directory whose callers share their syncs: who comes while one is under way waits for the next, which one of them does for all.
#[derive(Debug)]
pub(super) struct SharedSync {
    directory: PathBuf,
    turns: Mutex<Turns>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Turns {
    is_running: bool,
    begun: u64,
    /// The last one that succeeded.
    succeeded: u64,
}

impl SharedSync {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, turns: Mutex::default(), ended: Condvar::new() }
    }

    pub(super) fn directory(&self) -> &PathBuf {
        &self.directory
    }

    /// Returns when the entries that are there now are durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        let mut turns = self.lock();
        // One that began before now may have missed them.
        let wanted = turns.begun + 1;
        loop {
            if turns.succeeded >= wanted {
                return Ok(());
            }
            if !turns.is_running {
                break;
            }
            turns = self.ended.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
        turns.begun += 1;
        turns.is_running = true;
        drop(turns);
        let result = File::open(&self.directory).and_then(|directory| directory.sync_all());
        let mut turns = self.lock();
        turns.is_running = false;
        if result.is_ok() {
            turns.succeeded = turns.begun;
        }
        drop(turns);
        self.ended.notify_all();
        result
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
