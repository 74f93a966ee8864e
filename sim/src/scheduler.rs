//! Chance: one seed decides every delay, every fault and every choice.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use crate::turns::{ANSWER, Turns};

/// What a fault does to a store call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The call never takes effect, and fails.
    LostRequest,
    /// The call takes effect, and fails.
    LostReply,
    /// The call fails, and takes effect later.
    Late(Duration),
}

/// See the module.
#[derive(Debug)]
pub struct Scheduler {
    rng: Mutex<ChaCha8Rng>,
    begun: Instant,
    healed: AtomicBool,
    faults: bool,
    steps: AtomicU64,
    late: AtomicU64,
    kills: AtomicU64,
    lost: AtomicU64,
    /// In a duel: whose turn it is.
    turns: Mutex<Option<Arc<Turns>>>,
    trace: Option<Mutex<Vec<String>>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    /// A scheduler for one run. Must be made inside the runtime whose time it uses.
    #[must_use]
    pub fn new(seed: u64, faults: bool, traced: bool) -> Self {
        Self {
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            begun: Instant::now(),
            healed: AtomicBool::new(false),
            faults,
            steps: AtomicU64::new(0),
            late: AtomicU64::new(0),
            kills: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            turns: Mutex::default(),
            trace: traced.then(Mutex::default),
        }
    }

    /// A number below `n`.
    pub fn below(&self, n: u64) -> u64 {
        lock(&self.rng).random_range(0..n)
    }

    /// True in `percent` of all cases.
    pub fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub fn pick<'a, T>(&self, items: &'a [T]) -> &'a T {
        #[allow(clippy::cast_possible_truncation)] // below a length
        &items[self.below(items.len() as u64) as usize]
    }

    /// Random bits.
    pub fn bits(&self) -> u128 {
        lock(&self.rng).random()
    }

    /// How long a store call takes: mostly little, now and then long enough for everything else to happen in between.
    pub fn delay(&self) -> Duration {
        match self.below(40) {
            0 => Duration::from_millis(1000 + self.below(20_000)),
            1..4 => Duration::from_millis(50 + self.below(500)),
            _ => Duration::from_millis(1 + self.below(12)),
        }
    }

    /// What happens to the next store call.
    pub fn fault(&self, is_write: bool) -> Fault {
        if !self.faults || self.healed.load(Ordering::Relaxed) {
            return Fault::None;
        }
        match self.below(200) {
            0 => Fault::LostRequest,
            1 | 2 => Fault::LostReply,
            3 if is_write => {
                self.is_late();
                Fault::Late(Duration::from_millis(self.below(120_000)))
            }
            _ => Fault::None,
        }
    }

    /// From now on calls take turns, or no longer.
    pub fn take_turns(&self, turns: Option<Arc<Turns>>) {
        *lock(&self.turns) = turns;
    }

    /// Waits for the turn of a call, where calls take turns, or for as long as it takes. Answers what happens to it.
    pub async fn turn(&self, replica: usize, is_write: bool, key: &str) -> Fault {
        let turns = lock(&self.turns).clone();
        match turns {
            Some(turns) => turns.wait(replica, is_write, key, 1 + self.below(1000)).await,
            None => {
                tokio::time::sleep(self.delay()).await;
                self.fault(is_write)
            }
        }
    }

    /// Lets an answer wait, so that others may go on between a call's effect and its answer.
    pub async fn answer(&self, replica: usize, key: &str) {
        let turns = lock(&self.turns).clone();
        match turns {
            // Elsewhere nobody can tell a slow answer from a slow caller.
            Some(turns) if key.starts_with("repo/") => drop(turns.wait(replica, false, ANSWER, 0).await),
            Some(_) => {}
            None => tokio::time::sleep(self.delay() / 4).await,
        }
    }

    /// Lets a write that got no answer wait until it lands.
    pub async fn land(&self, replica: usize, delay: Duration) {
        let turns = lock(&self.turns).clone();
        match turns {
            Some(turns) => drop(turns.wait(replica, true, "", 1 + self.below(1000)).await),
            None => tokio::time::sleep(delay).await,
        }
    }

    /// Counts a write that takes effect late.
    pub fn is_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that was lost on purpose.
    pub fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers were lost on purpose.
    pub fn losses(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Counts a killed replica.
    pub fn killed(&self) {
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// How many replicas were killed.
    pub fn kills(&self) -> u64 {
        self.kills.load(Ordering::Relaxed)
    }

    /// How many writes took effect late.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// No more faults from now on.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// Whether [`Scheduler::heal`] was called.
    pub fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    /// Counts a step, and notes it where the run is traced.
    pub fn note(&self, line: impl FnOnce() -> String) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if let Some(trace) = &self.trace {
            lock(trace).push(format!("{:>10.3}s  {}", self.begun.elapsed().as_secs_f64(), line()));
        }
    }

    /// How many steps there were.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// The trace so far.
    pub fn trace(&self) -> Vec<String> {
        self.trace.as_ref().map(|trace| lock(trace).clone()).unwrap_or_default()
    }
}
