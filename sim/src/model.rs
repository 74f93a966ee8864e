//! What clients were told, as plain registers: which values may be read at a moment, and which no longer.
//!
//! A write that was answered supersedes every write that had ended before it began. A write whose outcome is unknown may take effect
//! at any later time. The model never raises a false alarm; it misses only what depends on the order of writes that overlap.

use std::collections::BTreeMap;

use tokio::time::Instant;
use wharf_oci::Digest;

/// What is observed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Register {
    /// Whether a repository has a manifest.
    Manifest(String, Digest),
    /// What a tag names.
    Tag(String, String),
}

/// A value: for a manifest, its own digest where it is there.
pub type Value = Option<Digest>;

#[derive(Clone, Debug)]
struct Write {
    begun: Instant,
    /// `None` while it runs, and for ever where its outcome is unknown.
    ended: Option<Instant>,
    value: Value,
    /// Whether it certainly took effect. Otherwise it may have, and supersedes nothing.
    is_sure: bool,
}

/// A write under way in the model.
#[derive(Clone, Debug)]
pub struct Pending(Vec<(Register, usize)>);

/// See the module.
#[derive(Debug, Default)]
pub struct Model {
    writes: BTreeMap<Register, Vec<Option<Write>>>,
}

impl Model {
    /// A client begins to write these.
    pub fn begin(&mut self, writes: Vec<(Register, Value)>) -> Pending {
        let begun = Instant::now();
        let mut pending = Vec::new();
        for (register, value) in writes {
            let list = self.writes.entry(register.clone()).or_default();
            list.push(Some(Write { begun, ended: None, value, is_sure: false }));
            pending.push((register, list.len() - 1));
        }
        Pending(pending)
    }

    /// The write was answered. Those that `is_sure` selects took effect; the others may have.
    pub fn done(&mut self, pending: &Pending, is_sure: impl Fn(&Register) -> bool) {
        for (register, at) in &pending.0 {
            if let Some(Some(write)) = self.writes.get_mut(register).and_then(|list| list.get_mut(*at)) {
                write.ended = Some(Instant::now());
                write.is_sure = is_sure(register);
            }
        }
    }

    /// The write was refused for good: it never took effect.
    pub fn refused(&mut self, pending: &Pending) {
        for (register, at) in &pending.0 {
            if let Some(write) = self.writes.get_mut(register).and_then(|list| list.get_mut(*at)) {
                *write = None;
            }
        }
    }

    /// All registers that were ever written.
    pub fn registers(&self) -> Vec<Register> {
        self.writes.keys().cloned().collect()
    }

    /// Whether a read that began at `begun` and ends now may answer `value`.
    pub fn may_read(&self, register: &Register, value: &Value, begun: Instant) -> bool {
        let writes: Vec<&Write> = self.writes.get(register).into_iter().flatten().flatten().collect();
        let superseded_from =
            writes.iter().filter(|w| w.is_sure && w.ended.is_some_and(|ended| ended < begun)).map(|w| w.begun).max();
        let Some(latest) = superseded_from else {
            return value.is_none() || writes.iter().any(|w| w.value == *value);
        };
        let is_current = |w: &&&Write| w.ended.is_none_or(|ended| ended >= latest);
        writes.iter().filter(is_current).any(|w| w.value == *value)
    }
}
