use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use proptest::prelude::*;

use super::*;
use crate::{LocalStore, MemoryStore};

const LIMITS: PartLimits = PartLimits { min: 50, target: 80, max_count: 10_000, in_place: false };

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn writer<D: Data + 'static>(store: &Arc<D>, state: Option<WriteState>, seed: u64) -> Writer {
    let mut next = seed;
    let random = move || {
        next += 1;
        next
    };
    Writer::new(store.clone(), Arc::new(Budget::new(1 << 20)), Family::new(7), state, random)
}

/// Writes chunks through one writer each, and the last of them as the end.
async fn write<D: Data + 'static>(store: &Arc<D>, bytes: &[u8], chunks: &[usize], frame: usize) -> WriteState {
    let (mut state, mut at) = (None, 0);
    for (i, len) in chunks.iter().enumerate() {
        let mut writer = writer(store, state.take(), 1000 * i as u64);
        for piece in bytes[at..at + len].chunks(frame) {
            writer.push(Bytes::copy_from_slice(piece)).await.expect("a push");
        }
        at += len;
        let is_last = i + 1 == chunks.len();
        let written = if is_last { writer.finish().await } else { writer.checkpoint().await };
        state = Some(written.expect("a state"));
    }
    state.expect("at least one chunk")
}

async fn read(store: &dyn Data, state: &WriteState) -> Vec<u8> {
    let generation = state.complete(store).await.expect("a whole");
    let stream = store.read(&generation, 0..state.length()).await.expect("a stream");
    let chunks: Vec<Bytes> = stream.try_collect().await.expect("chunks");
    chunks.concat()
}

#[tokio::test]
async fn any_chunking_gives_exactly_the_bytes() {
    for limits in [LIMITS, PartLimits { min: 0, ..LIMITS }] {
        for chunks in [
            vec![0],
            vec![10],
            vec![0, 0],
            vec![10, 0],
            vec![10, 10],
            vec![49, 1, 0],
            vec![20; 30],
            vec![1000],
            vec![1000, 0],
            vec![60, 60, 60],
            vec![131, 7, 300, 0, 49, 50, 51],
        ] {
            for frame in [1, 7, 64, 1000] {
                let store = Arc::new(MemoryStore::with_limits(limits));
                let bytes = pattern(chunks.iter().sum());
                let state = write(&store, &bytes, &chunks, frame).await;
                assert_eq!(state.length(), bytes.len() as u64, "{chunks:?}");
                assert_eq!(read(&*store, &state).await, bytes, "{chunks:?} in frames of {frame}");
                assert_eq!(read(&*store, &state).await, bytes, "completing once more");
            }
        }
    }
}

#[tokio::test]
async fn any_chunking_in_place_gives_exactly_the_bytes() {
    const MIB: usize = 1 << 20;
    let root = tempfile::tempdir().expect("a directory");
    for (n, chunks) in [
        vec![0],
        vec![10],
        vec![10, 0],
        vec![10, 7, 0, 1],
        vec![MIB],
        vec![MIB, MIB + 1],
        vec![MIB + 5, 7, 3 * MIB, 0, 1],
        vec![2 * MIB + 3],
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = pattern(chunks.iter().sum());
        let (mut state, mut at) = (None, 0);
        for (i, len) in chunks.iter().enumerate() {
            // Each chunk finds a store that was opened anew.
            let store = Arc::new(LocalStore::open(root.path(), false).expect("a store"));
            let mut writer = writer(&store, state.take(), (1000 * n + i) as u64);
            for frame in bytes[at..at + len].chunks(300_001) {
                writer.push(Bytes::copy_from_slice(frame)).await.expect("a push");
            }
            at += len;
            let is_last = i + 1 == chunks.len();
            state = Some(if is_last { writer.finish().await } else { writer.checkpoint().await }.expect("a state"));
        }
        let (store, state) =
            (Arc::new(LocalStore::open(root.path(), false).expect("a store")), state.expect("a state"));
        assert!(read(&*store, &state).await == bytes, "{chunks:?}");
        assert!(read(&*store, &state).await == bytes, "completing once more");
    }
}

#[tokio::test]
async fn a_claim_lasts_as_long_as_the_parts_of_a_dropped_writer() {
    let store: Arc<dyn Data> = Arc::new(MemoryStore::with_limits(LIMITS));
    let claim: Arc<Claim> = Arc::new(Box::new(()));
    let budget = Arc::new(Budget::new(1 << 20));
    let mut writer = Writer::new(store, budget, Family::new(1), None, || 1).holding(claim.clone());
    writer.push(Bytes::from(pattern(200))).await.expect("a push");
    assert!(Arc::strong_count(&claim) > 2, "the part on its way holds it as well");
    drop(writer);
    assert!(Arc::strong_count(&claim) > 1, "its task has not noticed yet");
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&claim), 1);
}

#[tokio::test]
async fn a_small_upload_is_one_object() {
    let store = Arc::new(MemoryStore::with_limits(LIMITS));
    let state = write(&store, &pattern(49), &[49, 0], 10).await;
    assert_eq!(store.generations(), [state.complete(store.as_ref()).await.expect("a whole")]);
}

#[tokio::test]
async fn chunks_above_the_smallest_part_leave_no_pieces() {
    let store = Arc::new(MemoryStore::with_limits(LIMITS));
    let state = write(&store, &pattern(5 * 50), &[50; 5], 9).await;
    assert!(store.generations().is_empty(), "parts only");
    assert_eq!(read(&*store, &state).await, pattern(250));
}

#[tokio::test]
async fn two_writers_of_one_state_do_not_mix() {
    let store = Arc::new(MemoryStore::with_limits(LIMITS));
    let mut first = writer(&store, None, 0);
    first.push(Bytes::from(pattern(200))).await.expect("a push");
    let base = first.checkpoint().await.expect("a state");
    let mut states = Vec::new();
    for (seed, fill) in [(100, b'a'), (200, b'b')] {
        let mut racing = writer(&store, Some(base.clone()), seed);
        racing.push(Bytes::from(vec![fill; 300])).await.expect("a push");
        states.push((fill, racing.finish().await.expect("a state")));
    }
    // The parts of the second replaced those of the first at the store: completing the first must not give the second's bytes.
    let (_, lost) = &states[0];
    assert!(lost.complete(store.as_ref()).await.is_err());
    let (fill, won) = &states[1];
    assert_eq!(read(&*store, won).await, [pattern(200), vec![*fill; 300]].concat());
}

#[tokio::test]
async fn a_sweep_leaves_only_what_serves() {
    let store = Arc::new(MemoryStore::with_limits(LIMITS));
    let state = write(&store, &pattern(400), &[20, 20, 360], 10).await;
    let mut loser = writer(&store, None, 9000);
    loser.push(Bytes::from(pattern(300))).await.expect("a push");
    loser.checkpoint().await.expect("a state");
    let keep = state.complete(store.as_ref()).await.expect("a whole");
    sweep(store.as_ref(), &Family::new(7), Some(&keep)).await.expect("a sweep");
    assert_eq!((store.generations(), store.open_uploads()), (vec![keep], 0));
}

#[tokio::test(start_paused = true)]
async fn writers_wait_for_memory_and_none_waits_for_ever() {
    let store: Arc<dyn Data> = Arc::new(MemoryStore::with_limits(LIMITS));
    let budget = Arc::new(Budget::new(1));
    let writer = |n| Writer::new(store.clone(), budget.clone(), Family::new(n), None, || 1);
    let mut first = writer(1);
    first.push(Bytes::from_static(b"x")).await.expect("the first has it all");
    let mut second = writer(2);
    let refused = second.push(Bytes::from_static(b"x")).await;
    assert!(refused.is_err_and(|e| e.is_transient()));
    drop(first);
    assert!(second.push(Bytes::from_static(b"y")).await.is_err(), "the stream has a hole");
    assert!(second.checkpoint().await.is_err());
    writer(3).push(Bytes::from_static(b"x")).await.expect("freed memory serves the next");
    assert_eq!(budget.free(), budget.total());
}

#[tokio::test(start_paused = true)]
async fn small_writers_pass_large_ones() {
    let limits = PartLimits { min: 5 << 20, target: 8 << 20, ..LIMITS };
    let store: Arc<dyn Data> = Arc::new(MemoryStore::with_limits(limits));
    let budget = Arc::new(Budget::new(32 << 20));
    let writer = |n| Writer::new(store.clone(), budget.clone(), Family::new(n), None, || 1);
    let (mut first, mut second, mut small) = (writer(1), writer(2), writer(3));
    first.push(Bytes::from(vec![0; 1 << 20])).await.expect("a whole holding");
    assert_eq!(budget.free(), (32 - 13) << 20);
    second.push(Bytes::from_static(b"x")).await.expect("a small holding");
    small.push(Bytes::from_static(b"x")).await.expect("a small holding");
    assert_eq!(budget.free(), (32 - 13 - 1) << 20);
    let grown = second.push(Bytes::from(vec![0; 1 << 20])).await;
    assert!(grown.is_err_and(|e| e.is_transient()), "a second whole one does not fit");
    drop((first, second));
    small.push(Bytes::from(vec![0; 1 << 20])).await.expect("it grows");
    assert_eq!(budget.free(), (32 - 13) << 20, "and gives the small holding back");
    drop(small);
    assert_eq!(budget.free(), budget.total());
}

#[tokio::test(start_paused = true)]
async fn large_writers_take_turns() {
    const EACH: usize = 100 << 10;
    let limits = PartLimits { min: 4 << 10, target: 8 << 10, ..LIMITS };
    let store = Arc::new(MemoryStore::with_limits(limits));
    // Room for two of eight.
    let budget = Arc::new(Budget::new(24 << 10));
    let ends = (0..8).map(|n| {
        let mut writer = Writer::new(store.clone(), budget.clone(), Family::new(n), None, || 1);
        tokio::spawn(async move {
            for frame in pattern(EACH).chunks(1000) {
                writer.push(Bytes::copy_from_slice(frame)).await.expect("its turn comes");
                // Slower than the others would wait for: each upload takes longer than a writer's patience.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            writer.finish().await.expect("a state")
        })
    });
    for end in ends.collect::<Vec<_>>() {
        assert_eq!(read(&*store, &end.await.expect("a writer")).await, pattern(EACH));
    }
    assert_eq!(budget.free(), budget.total());
}

#[tokio::test]
async fn parts_grow_within_the_budget() {
    assert_eq!(part_size(LIMITS, u64::MAX, 1), 80);
    assert_eq!(part_size(LIMITS, u64::MAX, 1001), 160);
    assert_eq!(part_size(LIMITS, 400, 10_000), 100);
    let store = Arc::new(MemoryStore::with_limits(PartLimits { min: 4096, target: 4096, ..LIMITS }));
    let budget = Arc::new(Budget::new(1 << 20));
    let mut growing = Writer::new(store.clone(), budget.clone(), Family::new(1), None, || 1);
    growing.next_number = 1000;
    growing.push(Bytes::from(vec![0; 8192])).await.expect("a push");
    growing.arrive(0).await.expect("a part");
    assert_eq!((growing.part_size, growing.held.as_ref().map(|held| held.bytes)), (8192, Some(12288)));
    assert_eq!(budget.total() - budget.free(), 12288);
}

#[tokio::test]
async fn a_client_that_sends_little_at_a_time_makes_no_large_state() {
    let limits = PartLimits { min: 1 << 20, ..LIMITS };
    let store = Arc::new(MemoryStore::with_limits(limits));
    let mut state = None;
    for n in 0..1000 {
        let mut writer = writer(&store, state.take(), 100_000 + n);
        writer.push(Bytes::copy_from_slice(&[(n % 251) as u8])).await.expect("a push");
        state = Some(writer.checkpoint().await.expect("a state"));
    }
    let state = state.expect("a state");
    assert!(state.pieces.len() < MANY_PIECES + 10, "{} pieces", state.pieces.len());
    let state = writer(&store, Some(state), 9).finish().await.expect("a state");
    assert_eq!(read(&*store, &state).await, pattern(1000));
}

/// Chunks of a stream, by their sizes, and the size of the frames that they come in.
fn chunkings() -> impl Strategy<Value = (Vec<usize>, usize)> {
    let size = prop_oneof![0..50usize, 50..131usize, 131..600usize];
    (proptest::collection::vec(size, 1..12), 1..200usize)
}

proptest! {
    #[test]
    fn any_chunking((chunks, frame) in chunkings(), has_least in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let limits = PartLimits { min: if has_least { 50 } else { 0 }, ..LIMITS };
            let store = Arc::new(MemoryStore::with_limits(limits));
            let bytes = pattern(chunks.iter().sum());
            let state = write(&store, &bytes, &chunks, frame).await;
            assert_eq!(state.length(), bytes.len() as u64);
            assert_eq!(read(&*store, &state).await, bytes);
            let small = chunks.iter().any(|chunk| (1..50).contains(chunk));
            if !small || !has_least {
                assert_eq!(store.written(), bytes.len() as u64, "every byte is written once");
            }
            let keep = state.complete(store.as_ref()).await.expect("a whole");
            sweep(store.as_ref(), &Family::new(7), Some(&keep)).await.expect("a sweep");
            assert_eq!((store.generations(), store.open_uploads()), (vec![keep], 0));
        });
    }

    #[test]
    fn racing_writers_never_mix(
        base in 0..400usize,
        lengths in (0..600usize, 0..600usize),
        frame in 1..200usize,
        turns in proptest::collection::vec(any::<bool>(), 0..40),
        second_wins in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let store = Arc::new(MemoryStore::with_limits(LIMITS));
            let mut before = writer(&store, None, 0);
            before.push(Bytes::from(pattern(base))).await.expect("a push");
            let before = before.checkpoint().await.expect("a state");
            let make = |fill: u8, len: usize| {
                let whole = [pattern(base), vec![fill; len]].concat();
                let frames: VecDeque<Bytes> = whole[base..].chunks(frame).map(Bytes::copy_from_slice).collect();
                (writer(&store, Some(before.clone()), 1000 * u64::from(fill)), frames, whole)
            };
            let mut racers = [make(b'a', lengths.0), make(b'b', lengths.1)];
            for turn in turns {
                let (writer, frames, _) = &mut racers[usize::from(turn)];
                if let Some(frame) = frames.pop_front() {
                    writer.push(frame).await.expect("a push");
                }
            }
            let mut ends = Vec::new();
            for (mut writer, frames, whole) in racers {
                for frame in frames {
                    writer.push(frame).await.expect("a push");
                }
                ends.push((writer.finish().await.expect("a state"), whole));
            }
            // One of them gets on record, and only that one is completed: with its own bytes, or not at all.
            let (state, whole) = &ends[usize::from(second_wins)];
            if state.complete(store.as_ref()).await.is_ok() {
                assert_eq!(&read(&*store, state).await, whole);
            }
        });
    }
}
