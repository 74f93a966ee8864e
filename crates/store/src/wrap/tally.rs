//! How many calls a piece of work makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static CALLS: Arc<AtomicU64>;
}

/// Does some work, and answers with its result how many attempts to call a store it made: those that it awaited itself, through the
/// layers of [`super::stack`]. What a task of its own did for it is not among them.
pub async fn tally<F: Future>(work: F) -> (F::Output, u64) {
    let calls = Arc::new(AtomicU64::new(0));
    let output = CALLS.scope(calls.clone(), work).await;
    (output, calls.load(Ordering::Relaxed))
}

/// An attempt is made.
pub(super) fn count() {
    // Most work is not tallied.
    let _ = CALLS.try_with(|calls| calls.fetch_add(1, Ordering::Relaxed));
}
