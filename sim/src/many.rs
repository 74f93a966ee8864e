//! Many seeds, on all processors.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::scheduler::lock;
use crate::world::{Plan, Report, run};

/// What seeds came to.
#[derive(Clone, Debug, Default)]
pub struct Total {
    /// How many were run.
    pub seeds: u64,
    /// Store calls.
    pub steps: u64,
    /// Operations of clients.
    pub operations: u64,
    /// How many of them were answered.
    pub succeeded: u64,
    /// Those that broke a promise, the first seed first.
    pub failed: Vec<Report>,
}

impl Total {
    fn add(&mut self, report: Report) {
        self.seeds += 1;
        self.steps += report.steps;
        self.operations += report.operations;
        self.succeeded += report.succeeded;
        if report.violation.is_some() {
            self.failed.push(report);
        }
    }
}

/// Runs seeds in their order until so many have failed.
#[must_use]
pub fn each(plan: Plan, seeds: Range<u64>, failures: usize) -> Total {
    let next = AtomicU64::new(seeds.start);
    let total = Mutex::new(Total::default());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end || lock(&total).failed.len() >= failures {
            return;
        }
        let report = run(plan, seed);
        lock(&total).add(report);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let mut total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    total.failed.sort_by_key(|report| report.seed);
    total
}
