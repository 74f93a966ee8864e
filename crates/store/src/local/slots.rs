//! Who may write which upload: claims of families, and one writer at a time for a file.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use crate::{Claim, Family, Generation, StoreError, StoreResult};

/// The file of an upload, once it was opened. It stays open between parts, so that an error of writing back is
/// reported to the sync that follows.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<File>>>>;

/// All claims and files in use.
#[derive(Debug, Default)]
pub(super) struct Slots {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    claimed: HashSet<Family>,
    slots: HashMap<Generation, Slot>,
}

/// The right to write one file. It moves into the task that does the writing, so that it lasts as long as that, even where
/// nobody waits for the task any more.
#[derive(Debug)]
pub(super) struct Held {
    slots: Arc<Slots>,
    generation: Generation,
    guard: Option<OwnedMutexGuard<Option<Arc<File>>>>,
}

/// A claim of a family.
struct Claimed {
    slots: Arc<Slots>,
    family: Family,
}

impl Slots {
    /// See [`crate::Data::claim`].
    pub(super) fn claim(self: &Arc<Self>, family: &Family) -> StoreResult<Claim> {
        if !self.lock().claimed.insert(family.clone()) {
            return Err(StoreError::Busy { what: family.to_string() });
        }
        Ok(Box::new(Claimed { slots: self.clone(), family: family.clone() }))
    }

    /// Waits until nobody writes this file.
    pub(super) async fn hold(self: &Arc<Self>, generation: &Generation) -> Held {
        let slot = self.lock().slots.entry(generation.clone()).or_default().clone();
        // Made before the wait, so that it tidies up where the wait is given up.
        let mut held = Held { slots: self.clone(), generation: generation.clone(), guard: None };
        held.guard = Some(slot.lock_owned().await);
        held
    }

    /// How many files are kept open or waited for.
    #[cfg(test)]
    pub(super) fn in_use(&self) -> usize {
        self.lock().slots.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    pub(super) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// The open file, if there is one.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.guard.as_ref().and_then(|guard| guard.as_ref().cloned())
    }

    /// Keeps the file open for the next, or closes it.
    pub(super) fn keep(&mut self, file: Option<Arc<File>>) {
        if let Some(guard) = &mut self.guard {
            **guard = file;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        // What is in the map and nowhere else is not in use. A claimed family is likely to go on.
        self.guard = None;
        let is_idle = state.slots.get(&self.generation).is_some_and(|slot| Arc::strong_count(slot) == 1);
        if is_idle && !state.claimed.contains(&self.generation.family()) {
            state.slots.remove(&self.generation);
        }
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut state = self.slots.lock();
        state.claimed.remove(&self.family);
        let is_of_family = |generation: &Generation| generation.as_str().starts_with(self.family.as_str());
        state.slots.retain(|generation, slot| !is_of_family(generation) || Arc::strong_count(slot) > 1);
    }
}
