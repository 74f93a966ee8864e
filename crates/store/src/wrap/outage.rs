//! Notices that the store does not answer at all.
//!
//! A request makes several calls, and what follows on a failure are calls too. If each of them were repeated for its full time, a client
//! would wait for minutes for the answer that the first call could have given. So when nothing was answered for as long as a single
//! call is repeated, calls fail at once, but for one attempt in a while, which finds out when the store is back.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How often an attempt is made while the store is away.
const TRIAL: Duration = Duration::from_millis(500);
/// So many attempts in a row; one may have met a bad connection.
const ATTEMPTS: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Outage {
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When an attempt was answered last, whatever the answer.
    answered: Option<Instant>,
    /// Since when no attempt was answered; `None` where the last one was.
    since: Option<Instant>,
    /// How many attempts that was.
    attempts: u32,
    /// When one of them was made last, or ended.
    tried: Option<Instant>,
}

impl State {
    fn is_outage(&self, patience: Duration) -> bool {
        self.attempts >= ATTEMPTS && self.since.is_some_and(|since| since.elapsed() > patience)
    }
}

impl Outage {
    /// Nothing answered for `patience` is an outage.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, state: Mutex::default() }
    }

    /// An attempt was answered.
    pub(super) fn answered(&self) {
        *self.lock() = State { answered: Some(Instant::now()), ..State::default() };
    }

    /// An attempt that began then was not.
    pub(super) fn not_answered(&self, begun: Instant) {
        let mut state = self.lock();
        let since = state.answered.map_or(begun, |answered| answered.max(begun));
        state.since.get_or_insert(since);
        state.attempts = state.attempts.saturating_add(1);
        state.tried = Some(Instant::now());
    }

    /// Whether the store is away.
    pub(super) fn is_on(&self) -> bool {
        self.lock().is_outage(self.patience)
    }

    /// Whether an attempt may be made: always, but seldom while the store is away.
    pub(super) fn admits(&self) -> bool {
        let mut state = self.lock();
        if !state.is_outage(self.patience) {
            return true;
        }
        let is_time = state.tried.is_none_or(|tried| tried.elapsed() >= TRIAL);
        if is_time {
            state.tried = Some(Instant::now());
        }
        is_time
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
