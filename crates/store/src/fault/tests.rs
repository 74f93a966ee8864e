use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt as _, TryStreamExt as _};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::time::{Instant, sleep};

use super::*;
use crate::wrap::{Stack, StackOptions, stack};
use crate::{Family, MemoryStore, Put, suite};

fn seeded(seed: u64) -> impl Fn() -> u64 + Send + Sync + 'static {
    let rng = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
    move || rng.lock().expect("nobody panics").next_u64()
}

/// A store in memory, a bad network before it, and all layers before that.
fn behind(plan: FaultPlan, seed: u64) -> (Arc<MemoryStore>, Stack) {
    let (store, fault) = (Arc::new(MemoryStore::new()), Fault::new(plan, seeded(seed)));
    let stack = stack(fault.records(store.clone()), fault.data(store.clone()), StackOptions::default());
    (store, stack)
}

#[tokio::test(start_paused = true)]
async fn the_layers_pass_the_suite_over_a_network_that_loses_requests() {
    let plan =
        FaultPlan { delay: Duration::from_millis(20), lost_requests: 30, broken_streams: 200, ..FaultPlan::default() };
    for seed in 0..3 {
        let (store, stack) = behind(plan, seed);
        suite::records(stack.records.clone(), "suite").await;
        suite::data(stack.data.clone()).await;
        assert!(store.keys().is_empty() && store.generations().is_empty() && store.open_uploads() == 0);
        assert!(stack.counts.snapshot().iter().any(|count| count.errors > 0), "requests were lost");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_goes_on_where_it_stopped() {
    let plan = FaultPlan { lost_requests: 50, broken_streams: 500, ..FaultPlan::default() };
    let generation = Family::new(1).first();
    let bytes: Bytes = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
    for seed in 0..20 {
        let (store, stack) = behind(plan, seed);
        Data::put(store.as_ref(), &generation, vec![bytes.clone()]).await.expect("a put");
        let stream = stack.data.read(&generation, 3..399_998).await.expect("a stream");
        assert!(stream.try_collect::<Vec<_>>().await.expect("bytes").concat() == bytes[3..399_998]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conditional_write_may_lose_to_itself() {
    let plan = FaultPlan { lost_replies: 500, ..FaultPlan::default() };
    let (mut own, mut done) = (0, 0);
    for seed in 0..40 {
        let (store, stack) = behind(plan, seed);
        match stack.records.put_if_absent("a", Bytes::from_static(b"mine")).await.expect("an answer") {
            Put::Lost => own += 1,
            Put::Done(_) => done += 1,
        }
        assert_eq!(store.keys(), ["a"]);
    }
    assert!(own > 5 && done > 5, "{own} {done}");
}

/// What a caller of the layers must know: an attempt that was not answered may come after the one that was.
#[tokio::test(start_paused = true)]
async fn a_write_may_take_effect_once_more_after_it_was_answered() {
    let plan = FaultPlan { late_writes: 500, lateness: Duration::from_secs(60), ..FaultPlan::default() };
    let mut returned = 0;
    for seed in 0..40 {
        let (store, stack) = behind(plan, seed);
        stack.records.put("a", Bytes::new()).await.expect("an answer");
        Records::delete(store.as_ref(), "a").await.expect("removed, by someone with a good network");
        sleep(Duration::from_secs(120)).await;
        returned += store.keys().len();
    }
    assert!(returned > 5, "{returned}");
}

#[tokio::test(start_paused = true)]
async fn late_writes_land_later() {
    let plan = FaultPlan { late_writes: 1000, lateness: Duration::from_secs(60), ..FaultPlan::default() };
    let store = Arc::new(MemoryStore::new());
    let faulty = Fault::new(plan, seeded(3)).records(store.clone());
    assert!(faulty.put("a", Bytes::new()).await.is_err_and(|e| e.is_transient()));
    assert!(store.keys().is_empty());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(store.keys(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn dropped_writes_land_or_do_not() {
    let delay = Duration::from_secs(10);
    for (survivors, landed) in [(0, 0), (1000, 20)] {
        let plan = FaultPlan { delay, survivors, ..FaultPlan::default() };
        let store = Arc::new(MemoryStore::new());
        let faulty = Fault::new(plan, seeded(4)).records(store.clone());
        for n in 0..20 {
            assert!(faulty.put(&format!("a/{n}"), Bytes::new()).now_or_never().is_none());
        }
        assert_eq!(store.keys().len(), 0);
        sleep(Duration::from_secs(30)).await;
        assert_eq!(store.keys().len(), landed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    /// The same seed gives the same run, to the millisecond.
    #[test]
    fn runs_repeat(seed in any::<u64>()) {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
            runtime.expect("a runtime").block_on(async {
                let plan = FaultPlan {
                    delay: Duration::from_millis(300),
                    lost_requests: 100,
                    lost_replies: 100,
                    late_writes: 100,
                    lateness: Duration::from_secs(30),
                    survivors: 500,
                    broken_streams: 100,
                };
                let store = Arc::new(MemoryStore::new());
                let faulty = Fault::new(plan, seeded(seed)).records(store.clone());
                let begun = Instant::now();
                let writes = (0..20).map(|n| {
                    let faulty = faulty.clone();
                    async move {
                        let put = faulty.put_if_absent(&format!("a/{}", n % 7), Bytes::from(vec![n])).await;
                        format!("{n} {:?} {put:?}", begun.elapsed())
                    }
                });
                let trace = futures::future::join_all(writes).await;
                sleep(Duration::from_secs(60)).await;
                let mut left = Vec::new();
                for key in store.keys() {
                    left.push(store.get(&key).await.expect("a record"));
                }
                (trace, left)
            })
        };
        prop_assert_eq!(run(), run());
    }
}
