//! What is read from its owner when the page is asked for.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector as OfPage;
use prometheus_client::encoding::DescriptorEncoder;
use wharf_registry::{CacheUsage, Collector, Registry};
use wharf_store::wrap::{CallCount, Counts};

use super::samples::{Labels, Samples, float};

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    /// Memory and caches.
    pub(crate) registry: Registry,
    /// What it collected.
    pub(crate) collector: Collector,
    /// Calls of the store.
    pub(crate) store: Arc<Counts>,
}

impl OfPage for Watched {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = Samples::new(encoder);
        self.store(&mut samples)?;
        self.memory(&mut samples)?;
        self.collector(&mut samples)?;
        self.runs(&mut samples)
    }
}

type Field<T> = (&'static str, fn(&T) -> u64);

/// One sample a store call and field of its counts.
fn of_calls<'a>(calls: &'a [CallCount], of: fn(&CallCount) -> u64) -> impl Iterator<Item = (Labels<1>, f64)> + 'a {
    calls.iter().map(move |call| ([("call", call.operation.name())], float(of(call))))
}

fn of_caches<'a>(caches: &'a [CacheUsage], of: fn(&CacheUsage) -> u64) -> impl Iterator<Item = (Labels<1>, u64)> + 'a {
    caches.iter().map(move |cache| ([("cache", cache.name)], of(cache)))
}

impl Watched {
    fn store(&self, samples: &mut Samples<'_>) -> fmt::Result {
        const OUTCOMES: [Field<CallCount>; 3] =
            [("answered", |c| c.answered), ("failed", |c| c.errors), ("given_up", |c| c.given_up)];
        let calls = self.store.snapshot();
        let ended = calls.iter().flat_map(|call| {
            let of = |(outcome, of): Field<CallCount>| {
                ([("call", call.operation.name()), ("outcome", outcome)], float(of(call)))
            };
            OUTCOMES.map(of)
        });
        samples.counters("store_calls", "Attempts to call the store that have ended", ended)?;
        let time = calls.iter().map(|call| ([("call", call.operation.name())], call.time.as_secs_f64()));
        samples.counters("store_call_seconds", "The time that calls of the store took together", time)?;
        samples.counters("store_sent_bytes", "Bytes of content to the store", of_calls(&calls, |c| c.sent))?;
        samples.counters(
            "store_received_bytes",
            "Bytes of content from the store",
            of_calls(&calls, |c| c.received),
        )?;
        samples.gauge("store_calls_waiting", "Calls of the store that wait for their turn", self.store.waiting())
    }

    fn memory(&self, samples: &mut Samples<'_>) -> fmt::Result {
        let usage = self.registry.usage();
        let used = usage.upload_memory.saturating_sub(usage.upload_memory_free);
        samples.gauge("upload_memory_limit_bytes", "What uploads may hold in memory", usage.upload_memory)?;
        samples.gauge("upload_memory_used_bytes", "What uploads hold in memory", used)?;
        samples.gauge("uploads_waiting", "Uploads that wait for memory", usage.uploads_waiting)?;
        samples.gauge("background_work", "Work that goes on behind answers", usage.tasks)?;
        let caches = &usage.caches;
        samples.gauges("cache_entries", "Entries of a cache", of_caches(caches, |c| c.entries as u64))?;
        samples.gauges(
            "cache_weight",
            "Weight of a cache, in bytes; of blobs, in entries",
            of_caches(caches, |c| c.weight),
        )?;
        samples.gauges("cache_capacity", "What a cache may weigh", of_caches(caches, |c| c.capacity))?;
        const LOOKS: [Field<CacheUsage>; 2] = [("hit", |c| c.hits), ("miss", |c| c.misses)];
        let looks = caches.iter().flat_map(|cache| {
            LOOKS.map(|(outcome, of)| ([("cache", cache.name), ("outcome", outcome)], float(of(cache))))
        });
        samples.counters("cache_lookups", "Looks into a cache", looks)
    }

    fn collector(&self, samples: &mut Samples<'_>) -> fmt::Result {
        let c = self.collector.collected();
        samples.counter("gc_entries", "Entries of the work list that the collector looked at", c.looked_at)?;
        let deleted = [("blob", c.blobs), ("upload", c.uploads), ("push", c.pushes), ("segment", c.segments)]
            .map(labelled("kind"));
        samples.counters("gc_deleted", "What the collector deleted", deleted)?;
        samples.counter("gc_store_calls", "Calls of the store by the collector, about", c.calls)?;
        samples.counter("gc_freed_bytes", "Bytes that the collector freed", c.bytes)?;
        let kept =
            [("needed_by_manifest", c.kept_needed), ("push_committed", c.kept_committed)].map(labelled("reason"));
        samples.counters("gc_kept", "Entries that turned out to be no garbage", kept)?;
        let postponed = [
            ("held", c.postponed_held),
            ("upload_in_use", c.postponed_touched),
            ("upload_expired", c.postponed_expired),
            ("contended", c.postponed_contended),
        ]
        .map(labelled("reason"));
        samples.counters("gc_postponed", "Entries that are looked at again later", postponed)?;
        samples.counter("gc_nothing", "Entries of which nothing was left", c.nothing)?;
        samples.counter("gc_errors", "Entries that stay because the store failed", c.errors)
    }

    fn runs(&self, samples: &mut Samples<'_>) -> fmt::Result {
        let oldest = self.collector.oldest_due().unwrap_or_default();
        samples.gauge(
            "gc_oldest_due_seconds",
            "For how long the oldest entry of the work list has been due, as the last run saw it",
            oldest.as_secs(),
        )?;
        let Some(run) = self.collector.runs().last().copied() else { return Ok(()) };
        samples.gauge("gc_last_run_timestamp_seconds", "When the collector last began a run", run.began)?;
        samples.gauge("gc_last_run_duration_seconds", "How long its last run took", run.took.as_secs_f64())?;
        samples.gauge("gc_last_run_entries", "How many entries it looked at in it", run.looked_at)?;
        samples.gauge("gc_last_run_complete", "Whether it saw the whole list in it", u64::from(run.complete))
    }
}

fn labelled(name: &'static str) -> impl Fn((&'static str, u64)) -> (Labels<1>, f64) {
    move |(value, count)| ([(name, value)], float(count))
}
