//! The root: the whole state of a repository, as far as it fits into one bounded record.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::entry::{Entry, EntryKey};
use super::segment::Child;
use crate::env::Seconds;
use crate::key::Id;

/// How many commits a root remembers. A commit whose outcome is unknown can be looked up as long as fewer came after it.
pub(crate) const REMEMBERED_COMMITS: usize = 64;

/// The layout of roots and segments that this version writes.
const FORMAT: u8 = 1;

/// The state of a repository.
///
/// It changes only by compare-and-swap, is never deleted, and counts its versions, so that no two of its values have the same
/// bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Root {
    format: u8,
    /// Counts the commits.
    pub(crate) version: u64,
    /// Counts the fences: a push that looked before one must look again.
    pub(crate) fence: u64,
    /// Counts the times that a collector found a blob needed and went away: a removal whose due entries it may have taken off the
    /// list has to put them again.
    pub(crate) kept: u64,
    /// Ids of the latest commits, the newest last.
    pub(crate) commits: VecDeque<Id>,
    /// When it last changed.
    pub(crate) changed: Seconds,
    /// Changes that no segment has yet; `None` takes an entry of a segment away.
    pub(crate) recent: BTreeMap<EntryKey, Option<Entry>>,
    /// The segments, in order of their first keys; empty in a small repository.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) children: Vec<Child>,
}

impl Default for Root {
    fn default() -> Self {
        Self {
            format: FORMAT,
            version: 0,
            fence: 0,
            kept: 0,
            commits: VecDeque::new(),
            changed: 0,
            recent: BTreeMap::new(),
            children: Vec::new(),
        }
    }
}

impl Root {
    /// Whether this version of the program understands it.
    pub(crate) const fn is_known_format(&self) -> bool {
        self.format == FORMAT
    }

    /// Sets or takes away an entry.
    pub(crate) fn set(&mut self, key: EntryKey, entry: Option<Entry>) {
        if entry.is_none() && self.children.is_empty() {
            self.recent.remove(&key);
        } else {
            self.recent.insert(key, entry);
        }
    }

    /// Closes a draft: the next version, made by this commit.
    pub(crate) fn seal(&mut self, commit: Id, now: Seconds) {
        self.version += 1;
        self.changed = now;
        self.commits.push_back(commit);
        while self.commits.len() > REMEMBERED_COMMITS {
            self.commits.pop_front();
        }
    }

    /// About how many bytes the record takes.
    pub(crate) fn weight(&self) -> usize {
        128 + 36 * self.commits.len() + self.recent_weight() + 130 * self.children.len()
    }

    /// About how many bytes the unsettled changes take.
    pub(crate) fn recent_weight(&self) -> usize {
        self.recent.iter().map(|(key, entry)| Entry::weight(key, entry.as_ref())).sum()
    }
}
