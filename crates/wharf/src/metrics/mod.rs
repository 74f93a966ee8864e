//! Figures for Prometheus and its like, in the OpenMetrics text format.
//!
//! `http` and `registry` know no library of metrics. What happens is told to [`Figures`] as it happens ([`requests`]); what *is*
//! (counters of the store, the collector, memory, caches) is read from its owner when the page is asked for ([`state`]). A label
//! never carries a word that a client chose: the number of series is bounded.

mod process;
mod reloads;
mod requests;
mod samples;
mod state;

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry as Page;
use wharf_http::{Ended, Metrics};

pub(crate) use self::reloads::Reloads;
pub(crate) use self::requests::UnderWay;
pub(crate) use self::state::Watched;

use self::process::Process;
use self::requests::Requests;

/// All figures of the process.
pub(crate) struct Figures {
    page: Page,
    requests: Requests,
}

impl Figures {
    /// Figures of what is watched.
    pub(crate) fn new(watched: Watched, reloads: &Reloads, under_way: UnderWay) -> Self {
        let mut page = Page::with_prefix("wharf");
        page.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let requests = Requests::register(&mut page, under_way);
        reloads.register(&mut page);
        page.register_collector(Box::new(watched));
        page.register_collector(Box::new(Process::default()));
        Self { page, requests }
    }
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

impl Metrics for Figures {
    fn began(&self) {
        self.requests.began();
    }

    fn ended(&self, request: &Ended) {
        self.requests.ended(request);
    }

    fn page(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.page).is_err() {
            // Writing to a string does not fail.
            tracing::error!("the figures cannot be written down");
        }
        text
    }

    fn content_type(&self) -> &'static str {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    }
}

/// Shared by the server and whoever else wants to know how much there is to do.
pub(crate) type Shared = Arc<Figures>;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wharf_registry::{Options, Registry};
    use wharf_store::MemoryStore;
    use wharf_store::wrap::{StackOptions, stack};

    use super::*;

    fn figures() -> (Registry, Figures) {
        let memory = Arc::new(MemoryStore::default());
        let stores = stack(memory.clone(), memory, StackOptions::default());
        let registry = Registry::new(stores.records.clone(), stores.data.clone(), Options::default());
        let watched = Watched { registry: registry.clone(), collector: registry.collector(), store: stores.counts };
        (registry, Figures::new(watched, &Reloads::new(), UnderWay::default()))
    }

    #[tokio::test]
    async fn the_page_has_what_happened_and_what_is() {
        let (registry, figures) = figures();
        figures.began();
        figures.began();
        let ended = Ended {
            method: "GET",
            route: "blob",
            status: 200,
            bytes_in: 1,
            bytes_out: 7,
            duration: Duration::from_millis(20),
        };
        figures.ended(&ended);
        registry.ping().await.expect("the store answers");
        registry.collector().run_once().await.expect("a run");
        let page = figures.page();
        for line in [
            "wharf_http_requests_total{method=\"GET\",route=\"blob\",status=\"200\"} 1",
            "wharf_http_request_duration_seconds_bucket{le=\"0.025\",method=\"GET\",route=\"blob\"} 1",
            "wharf_http_sent_bytes_total 7",
            "wharf_http_requests_under_way 1",
            "wharf_store_calls_total{call=\"get\",outcome=\"answered\"} 1.0",
            "wharf_store_calls_total{call=\"list\",outcome=\"answered\"} 1.0",
            "wharf_upload_memory_used_bytes 0",
            "wharf_cache_lookups_total{cache=\"roots\",outcome=\"miss\"} 0.0",
            "wharf_gc_deleted_total{kind=\"blob\"} 0.0",
            "wharf_gc_oldest_due_seconds 0",
            "wharf_gc_last_run_entries 0",
            "wharf_config_last_reload_accepted 1",
            "# EOF",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn every_figure_is_described_once() {
        let page = figures().1.page();
        let mut described: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let count = described.len();
        described.sort_unstable();
        described.dedup();
        assert!(described.len() == count && count > 25, "{page}");
    }
}
