use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;

use super::*;
use crate::MemoryStore;

const LIMITS: PartLimits = PartLimits { min: 50, target: 80, max_count: 10_000, in_place: false };

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn writer(store: &Arc<MemoryStore>, state: Option<WriteState>, seed: u64) -> Writer {
    let mut next = seed;
    let random = move || {
        next += 1;
        next
    };
    Writer::new(store.clone(), Arc::new(Budget::new(1 << 20)), Family::new(7), state, random)
}

/// Writes chunks through one writer each, and the last of them as the end.
async fn write(store: &Arc<MemoryStore>, bytes: &[u8], chunks: &[usize], frame: usize) -> WriteState {
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

async fn read(store: &MemoryStore, state: &WriteState) -> Vec<u8> {
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
                assert_eq!(read(&store, &state).await, bytes, "{chunks:?} in frames of {frame}");
                assert_eq!(read(&store, &state).await, bytes, "completing once more");
            }
        }
    }
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
    assert_eq!(read(&store, &state).await, pattern(250));
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
    assert_eq!(read(&store, won).await, [pattern(200), vec![*fill; 300]].concat());
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
    second.push(Bytes::from_static(b"x")).await.expect("freed memory serves the next");
}
