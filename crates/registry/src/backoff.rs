//! Waiting between attempts: longer each time, and never in step with others.

use std::time::Duration;

use crate::core::Core;

const FIRST: Duration = Duration::from_millis(4);
const LONGEST: Duration = Duration::from_millis(500);
/// How many attempts a budget allows.
const ATTEMPTS: u32 = 12;

/// A budget of attempts with growing, random pauses between them.
#[derive(Debug)]
pub(crate) struct Backoff {
    made: u32,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { made: 0 }
    }

    /// Whether the budget allows another attempt.
    pub(crate) const fn goes_on(&self) -> bool {
        self.made < ATTEMPTS
    }

    /// Waits before the next attempt.
    pub(crate) async fn pause(&mut self, core: &Core) {
        let ceiling = FIRST.saturating_mul(1 << self.made.min(7)).min(LONGEST);
        self.made += 1;
        // Random between a quarter of the ceiling and all of it.
        let part = u32::from(core.env.random() as u8) + 85;
        tokio::time::sleep(ceiling * part / 340).await;
    }
}
