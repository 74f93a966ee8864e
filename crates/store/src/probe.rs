//! Tries out a store before anything depends on it.
//!
//! Every check is a promise of [`crate::Records`] or [`crate::Data`] without which Wharf would lose something. They run
//! side by side, under `scratch/<nonce>/` and a family of their own, and what they wrote is removed again.

mod checks;

use std::fmt;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::{Data, Family, Records, StoreError};

/// How many writers race.
const RACERS: usize = 2;

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The store keeps the promise.
    Passed,
    /// It does not, or the check could not be made; this is why.
    Failed(String),
    /// The backend has no such thing.
    NotOffered,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// A record is read, and read as changed, after it was written, written over and removed.
    ReadAfterWrite,
    /// A record is listed after it was written, and not after it was removed.
    ListAfterWrite,
    /// A write where there must be no record.
    PutIfAbsent,
    /// As [`Check::PutIfAbsent`], two at once, of which one is done.
    PutIfAbsentRace,
    /// A write over a version.
    PutIfMatch,
    /// As [`Check::PutIfMatch`], two at once, of which one is done.
    PutIfMatchRace,
    /// An upload in parts makes the whole, and is refused with a part that was never sent.
    Multipart,
    /// A part of the data is read.
    RangedRead,
    /// A client without credentials reads by a URL.
    PresignedUrl,
}

impl Check {
    /// Whether two processes would overwrite each other's work without it.
    const fn is_conditional(self) -> bool {
        matches!(self, Self::PutIfAbsent | Self::PutIfAbsentRace | Self::PutIfMatch | Self::PutIfMatchRace)
    }

    /// Whether Wharf works without it.
    const fn is_optional(self) -> bool {
        matches!(self, Self::PresignedUrl)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadAfterWrite => "read after write",
            Self::ListAfterWrite => "list after write",
            Self::PutIfAbsent => "put if absent",
            Self::PutIfAbsentRace => "put if absent, two at once",
            Self::PutIfMatch => "put if match",
            Self::PutIfMatchRace => "put if match, two at once",
            Self::Multipart => "multipart upload",
            Self::RangedRead => "ranged read",
            Self::PresignedUrl => "presigned URL",
        })
    }
}

/// A check that was made.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What it is about.
    pub check: Check,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// Whether the store gave no answer, so that the same check may pass another time.
    pub is_transient: bool,
}

/// All checks that were made.
#[derive(Clone, Debug)]
pub struct Probe {
    /// In the order of [`Check`].
    pub findings: Vec<Finding>,
    /// How long all took together.
    pub took: Duration,
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// It did not answer; it may another time.
    #[error("the store does not answer: {check}: {reason}")]
    Unavailable {
        /// What was tried.
        check: Check,
        /// What happened.
        reason: String,
    },
    /// Two replicas would overwrite each other's work.
    #[error(
        "the store does not keep conditional writes, without which replicas overwrite each other's work: {check}: \
         {reason}; use a store that has If-None-Match and If-Match, or, if no other process ever uses this one, set \
         storage.singleReplica: true"
    )]
    Unconditional {
        /// What was tried.
        check: Check,
        /// What happened.
        reason: String,
    },
    /// Something else that Wharf cannot do without.
    #[error("the store cannot be used: {check}: {reason}")]
    Unusable {
        /// What was tried.
        check: Check,
        /// What happened.
        reason: String,
    },
}

impl Probe {
    /// Whether Wharf can work with this store; `single_replica` says that no other process uses it.
    ///
    /// # Errors
    /// The gravest of what was found: a store that does not answer before one that answers wrongly, and a general fault before
    /// one of conditional writes, which may only follow from it.
    pub fn verdict(&self, single_replica: bool) -> Result<(), ProbeFailure> {
        let failed: Vec<_> = self.findings.iter().filter_map(Finding::failure).collect();
        let counts = |finding: &Finding| {
            !finding.check.is_optional() && !(single_replica && finding.check.is_conditional() && !finding.is_transient)
        };
        let counted = || failed.iter().filter(|(finding, _)| counts(finding));
        if let Some((finding, reason)) = counted().find(|(finding, _)| finding.is_transient) {
            return Err(ProbeFailure::Unavailable { check: finding.check, reason: (*reason).to_owned() });
        }
        if let Some((finding, reason)) = counted().find(|(finding, _)| !finding.check.is_conditional()) {
            return Err(ProbeFailure::Unusable { check: finding.check, reason: (*reason).to_owned() });
        }
        match counted().next() {
            Some((finding, reason)) => {
                Err(ProbeFailure::Unconditional { check: finding.check, reason: (*reason).to_owned() })
            }
            None => Ok(()),
        }
    }
}

impl Finding {
    fn failure(&self) -> Option<(&Self, &str)> {
        match &self.outcome {
            Outcome::Failed(reason) => Some((self, reason)),
            Outcome::NotOffered => (!self.check.is_optional()).then_some((self, "the backend does not offer it")),
            Outcome::Passed => None,
        }
    }
}

/// One line a check, for people.
impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, outcome, took, .. } in &self.findings {
            let outcome = match outcome {
                Outcome::Passed => "passed",
                Outcome::Failed(reason) => reason,
                Outcome::NotOffered => "not offered",
            };
            writeln!(f, "{:<24} {:>5} ms  {outcome}", check.to_string(), took.as_millis())?;
        }
        Ok(())
    }
}

/// How a check ends early.
#[derive(Debug)]
enum Fault {
    /// The store answered something wrong.
    Wrong(String),
    /// It failed.
    Store(StoreError),
    /// There is no such thing.
    NotOffered,
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A check passes when it returns.
type Checked = Result<(), Fault>;

/// Refuses with a reason unless a promise was kept.
fn expect(kept: bool, reason: impl FnOnce() -> String) -> Checked {
    if kept { Ok(()) } else { Err(Fault::Wrong(reason())) }
}

async fn timed(check: Check, checked: impl Future<Output = Checked>) -> Finding {
    let start = Instant::now();
    let checked = checked.await;
    let took = start.elapsed();
    let is_transient = matches!(&checked, Err(Fault::Store(e)) if e.is_transient());
    let outcome = match checked {
        Ok(()) => Outcome::Passed,
        Err(Fault::Wrong(reason)) => Outcome::Failed(reason),
        Err(Fault::Store(e)) => Outcome::Failed(e.to_string()),
        Err(Fault::NotOffered) => Outcome::NotOffered,
    };
    Finding { check, outcome, took, is_transient }
}

/// Makes every check. `nonce` is random, so that two processes that probe at once do not meet.
///
/// It has no deadline of its own; whoever calls it gives one, or wraps the store.
pub async fn probe(records: &dyn Records, data: &dyn Data, nonce: u128) -> Probe {
    let start = Instant::now();
    let root = format!("scratch/{nonce:032x}");
    let at = |name: &str| format!("{root}/{name}");
    let family = Family::new(nonce);
    let findings = futures::join!(
        timed(Check::ReadAfterWrite, checks::read_after_write(records, at("read"))),
        timed(Check::ListAfterWrite, checks::list_after_write(records, at("list"))),
        timed(Check::PutIfAbsent, checks::put_if_absent(records, at("absent"))),
        timed(Check::PutIfAbsentRace, checks::put_if_absent_race(records, at("absent-race"))),
        timed(Check::PutIfMatch, checks::put_if_match(records, at("match"))),
        timed(Check::PutIfMatchRace, checks::put_if_match_race(records, at("match-race"))),
        timed(Check::Multipart, checks::multipart(data, family.other(1))),
        timed(Check::RangedRead, checks::ranged_read(data, family.other(2))),
        timed(Check::PresignedUrl, checks::presigned_url(data, family.other(3))),
    );
    let (a, b, c, d, e, f, g, h, i) = findings;
    Probe { findings: vec![a, b, c, d, e, f, g, h, i], took: start.elapsed() }
}

#[cfg(test)]
mod tests;
