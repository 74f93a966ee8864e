//! What the collector of this process did.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Done, Outcome, Wait};
use crate::env::Seconds;

/// How many runs are remembered.
const RUNS: usize = 32;

/// What collectors of this process did since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Entries of the work list that were looked at.
    pub looked_at: u64,
    /// Blobs whose last holder was gone.
    pub blobs: u64,
    /// Upload sessions that had expired or ended.
    pub uploads: u64,
    /// Pushes that never became part of their repository, and manifests that were deleted.
    pub pushes: u64,
    /// Segments that no root named any more.
    pub segments: u64,
    /// Bytes that were freed. Those of manifests and segments, some kilobytes each, are not counted.
    pub bytes: u64,
    /// Blobs that a manifest needs.
    pub kept_needed: u64,
    /// Pushes that are part of their repository.
    pub kept_committed: u64,
    /// Entries of which nothing was left.
    pub nothing: u64,
    /// Entries that were put off because a lease or a young push holds the blob.
    pub postponed_held: u64,
    /// Upload sessions that were put off because somebody wrote to them not long ago.
    pub postponed_touched: u64,
    /// Upload sessions that expired, and are looked at once more.
    pub postponed_expired: u64,
    /// Entries that stay because others changed the same things meanwhile.
    pub postponed_contended: u64,
    /// Entries that stay because the store failed.
    pub errors: u64,
    /// Calls of the store that all of it took, about: what other requests shared is not counted.
    pub calls: u64,
}

impl Collected {
    /// Everything that was deleted.
    #[must_use]
    pub const fn deleted(&self) -> u64 {
        self.blobs + self.uploads + self.pushes + self.segments
    }

    /// Entries that are looked at again.
    #[must_use]
    pub const fn postponed(&self) -> u64 {
        self.postponed_held + self.postponed_touched + self.postponed_expired + self.postponed_contended
    }
}

/// One run over what was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// When it began, in seconds since 1970.
    pub began: u64,
    /// How long it took.
    pub took: Duration,
    /// How many entries it looked at.
    pub looked_at: u64,
    /// What was deleted meanwhile.
    pub deleted: u64,
    /// Bytes that were freed meanwhile.
    pub bytes: u64,
    /// Entries that stay because the store failed.
    pub errors: u64,
    /// Whether it saw the whole list.
    pub complete: bool,
}

impl Run {
    /// The run between two states of the books.
    pub(super) const fn since(
        before: &Collected,
        after: &Collected,
        began: u64,
        took: Duration,
        complete: bool,
    ) -> Self {
        Self {
            began,
            took,
            looked_at: after.looked_at - before.looked_at,
            deleted: after.deleted() - before.deleted(),
            bytes: after.bytes - before.bytes,
            errors: after.errors - before.errors,
            complete,
        }
    }
}

/// The books of a process.
#[derive(Debug, Default)]
pub(crate) struct Account(Mutex<Books>);

#[derive(Debug, Default)]
struct Books {
    collected: Collected,
    runs: VecDeque<Run>,
    /// The time of the oldest entry that is due, as it was last seen.
    oldest: Option<Seconds>,
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters what became of an entry, and how many calls that took; `None` where the store failed.
    pub(crate) fn enter(&self, outcome: Option<Outcome>, calls: u64) {
        let mut books = self.lock();
        let c = &mut books.collected;
        c.looked_at += 1;
        c.calls += calls;
        match outcome {
            None => c.errors += 1,
            Some(Outcome::Again) => c.postponed_contended += 1,
            Some(Outcome::Later(_, Wait::Held)) => c.postponed_held += 1,
            Some(Outcome::Later(_, Wait::Touched)) => c.postponed_touched += 1,
            Some(Outcome::Later(_, Wait::Expired { bytes })) => {
                c.postponed_expired += 1;
                c.bytes += bytes;
            }
            Some(Outcome::Finished(Done::Blob { bytes })) => {
                c.blobs += 1;
                c.bytes += bytes;
            }
            Some(Outcome::Finished(Done::Upload { bytes })) => {
                c.uploads += 1;
                c.bytes += bytes;
            }
            Some(Outcome::Finished(Done::Push)) => c.pushes += 1,
            Some(Outcome::Finished(Done::Segments(count))) => c.segments += count,
            Some(Outcome::Finished(Done::Needed)) => c.kept_needed += 1,
            Some(Outcome::Finished(Done::Committed)) => c.kept_committed += 1,
            Some(Outcome::Finished(Done::Nothing)) => c.nothing += 1,
        }
    }

    /// What was entered so far.
    pub(crate) fn collected(&self) -> Collected {
        self.lock().collected
    }

    /// A run is over.
    pub(crate) fn ran(&self, run: Run) {
        let mut books = self.lock();
        if books.runs.len() == RUNS {
            books.runs.pop_front();
        }
        books.runs.push_back(run);
    }

    /// The last runs, the latest last.
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.lock().runs.iter().copied().collect()
    }

    /// The oldest entry that is due, as it is seen now.
    pub(crate) fn saw_oldest(&self, time: Option<Seconds>) {
        self.lock().oldest = time;
    }

    /// See [`Account::saw_oldest`].
    pub(crate) fn oldest(&self) -> Option<Seconds> {
        self.lock().oldest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_tell_what_became_of_every_entry() {
        let account = Account::default();
        let outcomes = [
            None,
            Some(Outcome::Again),
            Some(Outcome::Later(9, Wait::Expired { bytes: 3 })),
            Some(Outcome::Finished(Done::Blob { bytes: 4 })),
            Some(Outcome::Finished(Done::Segments(2))),
            Some(Outcome::Finished(Done::Needed)),
        ];
        outcomes.into_iter().for_each(|outcome| account.enter(outcome, 2));
        let collected = account.collected();
        assert_eq!((collected.looked_at, collected.calls, collected.errors, collected.kept_needed), (6, 12, 1, 1));
        assert_eq!((collected.deleted(), collected.bytes, collected.postponed()), (3, 7, 2));
    }

    #[test]
    fn only_the_last_runs_are_remembered() {
        let account = Account::default();
        let run =
            |began| Run { began, took: Duration::ZERO, looked_at: 0, deleted: 0, bytes: 0, errors: 0, complete: true };
        (0..100).for_each(|began| account.ran(run(began)));
        assert_eq!((account.runs().len(), account.runs().last().map(|run| run.began)), (RUNS, Some(99)));
    }
}
