//! Reading the configuration again.

use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Page;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    outcome: &'static str,
}

/// Counts how often the configuration was read again, and whether the last one was accepted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reloads {
    total: Family<Ended, Counter>,
    accepted: Gauge<u64, AtomicU64>,
    time: Gauge<u64, AtomicU64>,
}

impl Reloads {
    /// The configuration of the start was accepted.
    pub(crate) fn new() -> Self {
        let reloads = Self::default();
        reloads.accepted.set(1);
        reloads.time.set(now());
        reloads
    }

    /// A configuration was read, and accepted or refused.
    pub(crate) fn ended(&self, accepted: bool) {
        let outcome = if accepted { "accepted" } else { "refused" };
        self.total.get_or_create(&Ended { outcome }).inc();
        self.accepted.set(u64::from(accepted));
        if accepted {
            self.time.set(now());
        }
    }

    pub(super) fn register(&self, page: &mut Page) {
        page.register("config_reloads", "How often the configuration was read again", self.total.clone());
        page.register(
            "config_last_reload_accepted",
            "Whether the configuration that was read last is the one in effect",
            self.accepted.clone(),
        );
        page.register(
            "config_last_accepted_timestamp_seconds",
            "When the configuration in effect was read",
            self.time.clone(),
        );
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
