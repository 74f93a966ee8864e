//! Requests, as they end.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Page;
use wharf_http::Ended;

/// Bounds of the durations, in seconds: from an answer out of memory to a large blob over a slow line.
const DURATIONS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 300.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    method: &'static str,
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: &'static str,
    status: u16,
}

/// How many requests are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Gauge<u64, AtomicU64>);

impl UnderWay {
    /// Now.
    pub(crate) fn count(&self) -> u64 {
        self.0.get()
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Requests {
    total: Family<Answered, Counter>,
    durations: Family<Resource, Histogram>,
    received: Counter,
    sent: Counter,
    under_way: UnderWay,
}

impl Requests {
    pub(super) fn register(page: &mut Page, under_way: UnderWay) -> Self {
        let requests = Self {
            total: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            received: Counter::default(),
            sent: Counter::default(),
            under_way,
        };
        page.register("http_requests", "Requests that have ended", requests.total.clone());
        page.register(
            "http_request_duration_seconds",
            "From the head of a request to the last byte of its answer",
            requests.durations.clone(),
        );
        page.register("http_received_bytes", "Bytes of the bodies of requests", requests.received.clone());
        page.register("http_sent_bytes", "Bytes of the bodies of answers", requests.sent.clone());
        page.register("http_requests_under_way", "Requests under way", requests.under_way.0.clone());
        requests
    }

    pub(super) fn began(&self) {
        self.under_way.0.inc();
    }

    pub(super) fn ended(&self, request: &Ended) {
        let Ended { method, route, status, bytes_in, bytes_out, duration } = *request;
        self.under_way.0.dec();
        self.total.get_or_create(&Answered { method, route, status }).inc();
        self.durations.get_or_create(&Resource { method, route }).observe(duration.as_secs_f64());
        self.received.inc_by(bytes_in);
        self.sent.inc_by(bytes_out);
    }
}
