//! The collector of this process, and what of it can change while it runs.

mod commands;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wharf_registry::{Collector, Load, Pace, Registry, Schedule};
use wharf_store::wrap::Counts;

use crate::config::{Config, Storage};
use crate::metrics::UnderWay;
use crate::reload::{Reload, Switch};

pub(crate) use commands::{GcOrder, Process, Status, Summary, Told};

/// So many requests under way are much.
const MANY_REQUESTS: u64 = 64;
/// Garbage that has been due for so many intervals heeds no load any more.
const PATIENCE: u32 = 4;
/// The shortest such time.
const LEAST_PATIENCE: Duration = Duration::from_secs(600);

/// `storage.gc`, `gcDelay`, `gcInterval` and `gcCallsPerSecond`, as they are in effect.
#[derive(Clone, Debug)]
pub(crate) struct Collecting {
    registry: Registry,
    collector: Collector,
    schedule: Arc<watch::Sender<Schedule>>,
    pace: Arc<Pace>,
}

impl Collecting {
    /// A collector that goes by these settings, not started yet. It heeds the load that `busy` sees.
    pub(crate) fn new(registry: &Registry, storage: &Storage, busy: Busy) -> Self {
        let pace = Arc::new(Pace::new(Box::new(busy)));
        set_pace(&pace, storage);
        let collector = registry.collector().paced(pace.clone());
        let schedule = Arc::new(watch::Sender::new(schedule(storage)));
        Self { registry: registry.clone(), collector, schedule, pace }
    }

    /// Starts it, until `stop`.
    pub(crate) fn start(&self, stop: CancellationToken) {
        let (collector, changes) = (self.collector.clone(), self.schedule.subscribe());
        tokio::spawn(async move { collector.run(changes, stop).await });
    }

    /// The collector itself.
    pub(crate) const fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Its schedule as it is now.
    pub(crate) fn schedule(&self) -> Schedule {
        *self.schedule.borrow()
    }
}

fn schedule(storage: &Storage) -> Schedule {
    Schedule { enabled: storage.gc, interval: storage.gc_interval }
}

fn set_pace(pace: &Pace, storage: &Storage) {
    let patience = storage.gc_interval.saturating_mul(PATIENCE).max(LEAST_PATIENCE);
    pace.set(storage.gc_calls_per_second, patience);
}

impl Reload for Collecting {
    fn keys(&self) -> &'static [&'static str] {
        &["storage.gc", "storage.gcDelay", "storage.gcInterval", "storage.gcCallsPerSecond"]
    }

    fn prepare(&self, config: &Config) -> Result<Switch, String> {
        let (of, storage) = (self.clone(), config.storage.clone());
        Ok(Box::new(move || {
            of.registry.set_grace(storage.gc_delay);
            set_pace(&of.pace, &storage);
            let schedule = schedule(&storage);
            // A schedule that stays the same does not make the collector wait anew.
            of.schedule.send_if_modified(|current| std::mem::replace(current, schedule) != schedule);
        }))
    }
}

/// Sees whether requests need the store.
#[derive(Debug)]
pub(crate) struct Busy {
    /// Calls that wait for their turn.
    pub(crate) store: Arc<Counts>,
    /// Uploads that wait for memory.
    pub(crate) registry: Registry,
    /// Requests.
    pub(crate) requests: UnderWay,
}

impl Load for Busy {
    fn is_high(&self) -> bool {
        self.store.waiting() > 0 || self.requests.count() >= MANY_REQUESTS || self.registry.uploads_waiting() > 0
    }
}
