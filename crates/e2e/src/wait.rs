//! Bounded waits.

use std::time::{Duration, Instant};

/// How long a part may take to start.
pub const START: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` holds, and answers how long that took; panics after `limit` with `what`.
pub async fn until<F>(what: &str, limit: Duration, mut condition: F) -> Duration
where
    F: AsyncFnMut() -> bool,
{
    let begin = Instant::now();
    while !condition().await {
        assert!(begin.elapsed() < limit, "waited {limit:?} in vain: {what}");
        tokio::time::sleep(PAUSE).await;
    }
    begin.elapsed()
}
