//! What was acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::picture::Picture;

/// An image whose push was answered 201.
#[derive(Debug)]
pub struct Held {
    /// The repository.
    pub repository: String,
    /// The image.
    pub picture: Picture,
    leaving: AtomicBool,
}

impl Held {
    /// Whether its deletion has begun. From then on it may be there or not.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }
}

/// All images that were acknowledged and not deleted, by repository and digest.
#[derive(Debug, Default)]
pub struct Ledger {
    held: Mutex<BTreeMap<(String, String), Arc<Held>>>,
}

impl Ledger {
    /// Notes a push that was answered 201.
    pub fn add(&self, repository: &str, picture: Picture) -> Arc<Held> {
        let key = (repository.to_owned(), picture.digest.clone());
        let held = Arc::new(Held { repository: repository.to_owned(), picture, leaving: AtomicBool::new(false) });
        self.lock().insert(key, held.clone());
        held
    }

    /// Notes a deletion, before it is asked for.
    pub fn leave(&self, held: &Held) {
        held.leaving.store(true, Ordering::SeqCst);
        self.lock().remove(&(held.repository.clone(), held.picture.digest.clone()));
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Held>> {
        self.lock().values().cloned().collect()
    }

    /// One of them.
    #[must_use]
    pub fn any(&self, random: u64) -> Option<Arc<Held>> {
        let held = self.lock();
        let count = u64::try_from(held.len()).ok().filter(|count| *count > 0)?;
        held.values().nth(usize::try_from(random % count).unwrap_or(0)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(String, String), Arc<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
