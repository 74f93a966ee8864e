//! Layers around a store that fails as it is told.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::*;
use crate::{Family, LocalStore, MemoryStore, Put, StoreError, suite};

/// What becomes of an attempt. After the last step everything succeeds.
#[derive(Clone, Copy, Debug)]
enum Step {
    Succeed,
    /// It has no effect.
    Fail,
    /// It takes effect, but the answer is lost.
    LoseAnswer,
    Refuse,
    Hang,
    /// A read that succeeds and breaks off after so many chunks.
    BreakOff(usize),
    /// A read that ends too early, as if that were all.
    EndEarly(usize),
    /// A read that stops after so many chunks.
    Stall(usize),
}

/// A layer next to the store, in the place of the network.
#[derive(Debug, Default)]
struct Script {
    steps: Mutex<VecDeque<Step>>,
    reading: Mutex<Option<Step>>,
    attempts: AtomicUsize,
    at_a_time: AtomicUsize,
    most_at_a_time: AtomicUsize,
    takes: Duration,
}

fn failure() -> StoreError {
    StoreError::unavailable("test", "key", "as told")
}

impl Layer for Script {
    async fn around<'a, T, F>(&'a self, _call: Call<'a>, attempt: F) -> StoreResult<T>
    where
        T: Answer,
        F: Fn() -> BoxFuture<'a, StoreResult<T>> + Send + Sync,
    {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let now = self.at_a_time.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_a_time.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        self.at_a_time.fetch_sub(1, Ordering::SeqCst);
        let step = self.steps.lock().unwrap().pop_front().unwrap_or(Step::Succeed);
        *self.reading.lock().unwrap() = Some(step);
        match step {
            Step::Fail => Err(failure()),
            Step::LoseAnswer => attempt().await.and(Err(failure())),
            Step::Refuse => Err(StoreError::refused("test", "key", "as told")),
            Step::Hang => std::future::pending().await,
            _ => attempt().await,
        }
    }

    fn stream(self: Arc<Self>, _reading: Reading, stream: DataStream) -> DataStream {
        let chunks = stream.flat_map(|chunk| {
            let bytes = chunk.unwrap();
            let chunks: Vec<_> = bytes.chunks(10).map(Bytes::copy_from_slice).collect();
            futures::stream::iter(chunks.into_iter().map(Ok))
        });
        match self.reading.lock().unwrap().take() {
            Some(Step::BreakOff(after)) => chunks.take(after).chain(futures::stream::iter([Err(failure())])).boxed(),
            Some(Step::EndEarly(after)) => chunks.take(after).boxed(),
            Some(Step::Stall(after)) => chunks.take(after).chain(futures::stream::pending()).boxed(),
            _ => chunks.boxed(),
        }
    }
}

struct Setup {
    script: Arc<Script>,
    stack: Stack,
}

fn setup_with(script: Script, options: StackOptions) -> Setup {
    let memory = Arc::new(MemoryStore::new());
    let script = Arc::new(script);
    let records: Arc<dyn Records> = Arc::new(Wrapped::new(memory.clone() as Arc<dyn Records>, script.clone()));
    let data: Arc<dyn Data> = Arc::new(Wrapped::new(memory as Arc<dyn Data>, script.clone()));
    Setup { script, stack: stack(records, data, options) }
}

fn setup(steps: &[Step]) -> Setup {
    let script = Script { steps: Mutex::new(steps.iter().copied().collect()), ..Script::default() };
    setup_with(script, StackOptions::default())
}

impl Setup {
    fn attempts(&self) -> usize {
        self.script.attempts.load(Ordering::SeqCst)
    }

    fn then(&self, steps: &[Step]) {
        self.script.steps.lock().unwrap().extend(steps);
    }

    /// Data of 100 bytes.
    async fn data(&self) -> Generation {
        let generation = Family::new(1).first();
        let bytes: Bytes = (0..100).collect();
        self.stack.data.put(&generation, vec![bytes]).await.unwrap();
        generation
    }

    async fn read(&self, generation: &Generation) -> StoreResult<Vec<u8>> {
        let chunks: Vec<Bytes> = self.stack.data.read(generation, 5..95).await?.try_collect().await?;
        Ok(chunks.concat())
    }
}

fn value() -> Bytes {
    Bytes::from_static(b"value")
}

#[tokio::test(start_paused = true)]
async fn what_fails_in_passing_is_repeated() {
    let setup = setup(&[Step::Fail, Step::Fail, Step::LoseAnswer]);
    let etag = setup.stack.records.put("key", value()).await.unwrap();
    assert_eq!(setup.stack.records.get("key").await.unwrap().unwrap().etag, etag);
    let count = setup.stack.counts.one(Operation::Put);
    assert_eq!((count.calls, count.errors, count.sent), (4, 3, 20));
    assert_eq!(setup.stack.counts.one(Operation::Get).received, 5);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_not_repeated() {
    let setup = setup(&[Step::Refuse]);
    let refused = setup.stack.records.get("key").await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })));
    assert_eq!(setup.attempts(), 1);
    let absent = setup.stack.data.read(&Family::new(1).first(), 0..1).await;
    assert!(matches!(absent, Err(StoreError::NotFound { .. })));
    let count = setup.stack.counts.one(Operation::Read);
    assert_eq!((count.calls, count.errors), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_conditional_put_may_lose_against_itself() {
    let setup = setup(&[Step::LoseAnswer]);
    assert_eq!(setup.stack.records.put_if_absent("key", value()).await.unwrap(), Put::Lost);
    assert_eq!(setup.stack.records.get("key").await.unwrap().unwrap().value, value());
}

#[tokio::test(start_paused = true)]
async fn retries_end_when_the_time_is_over() {
    let setup = setup(&[Step::Fail; 1000]);
    let begun = Instant::now();
    assert!(setup.stack.records.get("key").await.is_err_and(|e| e.is_transient()));
    assert!(begun.elapsed() > Duration::from_secs(15) && begun.elapsed() <= Duration::from_secs(20));
    assert!((10..30).contains(&setup.attempts()), "{}", setup.attempts());
}

#[tokio::test(start_paused = true)]
async fn retries_end_when_the_budget_is_spent() {
    let pause = Duration::from_millis(1);
    let retries = Retries { minimum: 0, first_pause: pause, longest_pause: pause, ..Retries::default() };
    let script = Script { steps: Mutex::new([Step::Fail; 5000].into()), ..Script::default() };
    let setup = setup_with(script, StackOptions { retries: Some(retries), ..StackOptions::default() });
    for _ in 0..1000 {
        assert!(setup.stack.records.get("key").await.is_err());
    }
    // What was saved up, and a tenth of the calls.
    let retried = setup.attempts() - 1000;
    assert!((190..=201).contains(&retried), "{retried}");
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_calls_fail_at_once() {
    let setup = setup(&[Step::Hang; 3]);
    assert!(setup.stack.records.get("key").await.is_err());
    let begun = Instant::now();
    assert!(setup.stack.data.size(&Family::new(1).first()).await.is_err());
    let attempts = setup.attempts();
    for _ in 0..1000 {
        assert!(setup.stack.records.get("key").await.is_err_and(|e| e.is_transient()));
    }
    assert_eq!(setup.attempts(), attempts);
    // One deadline: of the attempt that found it still away.
    assert!(begun.elapsed() <= Duration::from_secs(11), "{:?}", begun.elapsed());
    // It is back, and one attempt finds it out for all.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..100 {
        setup.stack.records.get("key").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_some_calls_is_not_away() {
    let steps = std::iter::repeat_n([Step::Hang, Step::Succeed], 20).flatten().collect();
    let setup = setup_with(Script { steps: Mutex::new(steps), ..Script::default() }, StackOptions::default());
    for _ in 0..20 {
        setup.stack.records.get("key").await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_given_up() {
    let setup = setup(&[Step::Hang]);
    let begun = Instant::now();
    setup.stack.records.put("key", value()).await.unwrap();
    assert!(begun.elapsed() >= Deadlines::default().call);
    let count = setup.stack.counts.one(Operation::Put);
    assert_eq!((count.calls, count.errors, count.given_up), (2, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_large_part_gets_more_time() {
    let options = StackOptions { retries: None, limits: None, ..StackOptions::default() };
    let script = Script { takes: Duration::from_secs(20), ..Script::default() };
    let setup = setup_with(script, options);
    let generation = Family::new(1).first();
    let small = setup.stack.data.put(&generation, vec![value()]).await;
    assert!(small.is_err_and(|e| e.is_transient()));
    setup.stack.data.put(&generation, vec![Bytes::from(vec![0; 8 << 20])]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_read_that_breaks_off_goes_on() {
    let setup = setup(&[]);
    let generation = setup.data().await;
    let expected: Vec<u8> = (5..95).collect();
    let breaks = [Step::BreakOff(3), Step::Fail, Step::Stall(2), Step::EndEarly(1), Step::BreakOff(0), Step::Hang];
    setup.then(&breaks);
    assert_eq!(setup.read(&generation).await.unwrap(), expected);
    let count = setup.stack.counts.one(Operation::Read);
    assert_eq!((count.calls, count.received), (7, 90));
    // The stall and the hang; the end that came too early was not waited for.
    assert_eq!((count.errors, count.given_up), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_read_behind_the_end_is_damaged_data() {
    let setup = setup(&[]);
    let generation = setup.data().await;
    let chunks: StoreResult<Vec<Bytes>> =
        setup.stack.data.read(&generation, 50..200).await.unwrap().try_collect().await;
    assert!(matches!(chunks, Err(StoreError::Corrupt { .. })), "{chunks:?}");
    setup.then(&[Step::BreakOff(3), Step::Refuse]);
    let refused = setup.read(&generation).await;
    assert!(matches!(refused, Err(StoreError::Refused { .. })));
}

#[tokio::test(start_paused = true)]
async fn only_so_many_at_a_time_and_reads_only_until_they_begin() {
    let script = Script { takes: Duration::from_millis(10), ..Script::default() };
    let limits = Limits { records: 3, data: 2, patience: Duration::from_secs(1) };
    let setup = setup_with(script, StackOptions { limits: Some(limits), ..StackOptions::default() });
    let puts = (0..50).map(|i| {
        let records = setup.stack.records.clone();
        tokio::spawn(async move { records.put(&format!("key/{i}"), value()).await.unwrap() })
    });
    futures::future::join_all(puts).await;
    assert_eq!(setup.script.most_at_a_time.load(Ordering::SeqCst), 3);

    let generation = setup.data().await;
    let mut under_way = Vec::new();
    for _ in 0..10 {
        let mut stream = setup.stack.data.read(&generation, 5..95).await.unwrap();
        stream.next().await.unwrap().unwrap();
        under_way.push(stream);
    }
    drop(under_way);
    assert_eq!(setup.stack.counts.one(Operation::Read).given_up, 10);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_for_a_turn_is_told() {
    let limits = Limits { records: 1, data: 1, patience: Duration::from_secs(1) };
    let script = Script { steps: Mutex::new([Step::Hang].into()), ..Script::default() };
    let setup = setup_with(script, StackOptions { limits: Some(limits), retries: None, ..StackOptions::default() });
    let records = setup.stack.records.clone();
    let hanging = tokio::spawn(async move { records.get("key").await });
    tokio::time::sleep(Duration::from_millis(1)).await;
    let refused = setup.stack.records.get("key").await.unwrap_err();
    assert!(refused.to_string().contains("too many"), "{refused}");
    assert_eq!(setup.attempts(), 1);
    assert!(hanging.await.unwrap().is_err());
    setup.stack.records.get("key").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_backend_passes_the_suite_behind_all_layers() {
    let root = tempfile::tempdir().unwrap();
    let local = Arc::new(LocalStore::open(root.path(), false).unwrap());
    let memory = Arc::new(MemoryStore::new());
    for stack in [
        stack(local.clone(), local.clone(), StackOptions::default()),
        stack(local.clone(), local, StackOptions::counting()),
        stack(memory.clone(), memory, StackOptions::default()),
    ] {
        suite::records(stack.records, "suite").await;
        suite::data(stack.data).await;
        let counts = stack.counts.snapshot();
        assert!(counts.iter().all(|count| count.calls > 0), "{counts:?}");
        assert!(counts.iter().all(|count| count.given_up == 0), "{counts:?}");
        let unexpected = counts.iter().filter(|count| count.errors > 0 && count.operation != Operation::Complete);
        assert_eq!(unexpected.count(), 0, "{counts:?}");
    }
}
