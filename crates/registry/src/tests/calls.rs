//! What requests cost in calls of the store, held against the tables in `docs/PERFORMANCE.md`: a request that gets
//! dearer, or a table that is out of date, fails here.

use std::collections::BTreeMap;

use wharf_store::wrap::{Counts, Operation, StackOptions, stack};
use wharf_store::{Data, Records};

use super::*;

const MIB: usize = 1 << 20;
/// Distinct blobs of the image: ten layers and a configuration.
const BLOBS: u64 = 11;

/// A bucket that counts.
struct Counted {
    records: Arc<dyn Records>,
    data: Arc<dyn Data>,
    counts: Arc<Counts>,
    env: Arc<TestEnv>,
}

/// Calls that a client waits for, and those behind its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    calls: u64,
    behind: u64,
}

impl Counted {
    fn new() -> Self {
        let limits = PartLimits { min: 5 << 20, target: 8 << 20, max_count: 10_000, in_place: false };
        let store = Arc::new(MemoryStore::with_limits(limits));
        let stack = stack(store.clone(), store, StackOptions::counting());
        Self { records: stack.records, data: stack.data, counts: stack.counts, env: Arc::default() }
    }

    /// A replica that has cached nothing.
    fn cold(&self) -> Registry {
        Registry::with_env(self.records.clone(), self.data.clone(), Options::default(), self.env.clone())
    }

    /// What a bucket would have been called: not at all to sync, and after completing an upload once more for its size.
    fn so_far(&self) -> u64 {
        let of_a_bucket = |operation| match operation {
            Operation::Sync => 0,
            Operation::Complete => 2,
            _ => 1,
        };
        self.counts.snapshot().iter().map(|count| count.calls * of_a_bucket(count.operation)).sum()
    }

    async fn cost<T>(&self, registry: &Registry, request: impl Future<Output = T>) -> (T, Cost) {
        registry.settle().await;
        let begin = self.so_far();
        let answer = request.await;
        let answered = self.so_far();
        registry.settle().await;
        (answer, Cost { calls: answered - begin, behind: self.so_far() - answered })
    }

    async fn calls<T>(&self, registry: &Registry, request: impl Future<Output = T>) -> u64 {
        self.cost(registry, request).await.1.calls
    }
}

/// What was measured, under the names of the rows.
type Measured = BTreeMap<String, u64>;

#[tokio::test]
async fn reading_costs_what_is_documented() {
    let store = Counted::new();
    let warm = store.cold();
    let at = warm.repository(&name("a"));
    let (config, layer) = (put_blob(&at, b"config").await, put_blob(&at, b"layer").await);
    let leased = put_blob(&at, b"leased").await;
    let pushed = at.push_manifest(manifest(image(&config, std::slice::from_ref(&layer)), &["t"])).await;
    let digest = pushed.expect("a push").digest;
    let read = async |at: &Repository| assert_eq!(read_blob(at, &layer).await, b"layer");
    read(&at).await;
    at.manifest_with_bytes(&by_tag("t")).await.expect("a manifest");

    let mut measured = Measured::new();
    let mut set = |row: &str, calls: u64| assert_eq!(measured.insert(row.to_owned(), calls), None, "{row}: twice");
    set("manifest, GET: warm", store.calls(&warm, at.manifest_with_bytes(&by_tag("t"))).await);
    let cold = store.cold();
    let other = cold.repository(&name("a"));
    set("manifest, GET: cold", store.calls(&cold, other.manifest_with_bytes(&by_tag("t"))).await);
    set("manifest, HEAD: warm, cold", store.calls(&warm, at.manifest(&by_tag("t"))).await);
    let cold = store.cold();
    assert_eq!(
        store.calls(&cold, cold.repository(&name("a")).manifest(&by_tag("t"))).await,
        1,
        "also where it is cold"
    );
    set("blob, GET: warm", store.calls(&warm, read(&at)).await);
    let cold = store.cold();
    set("blob, GET: cold", store.calls(&cold, read(&cold.repository(&name("a")))).await);
    set("blob, GET: warm, `redirectBlobURL`", store.calls(&warm, at.blob(&layer)).await);
    set("blob, HEAD: warm", store.calls(&warm, at.blob_for_push(&layer)).await);
    let cold = store.cold();
    let other = cold.repository(&name("a"));
    set("blob, HEAD: cold, and where it is not there", store.calls(&cold, other.blob_for_push(&layer)).await);
    assert_eq!(store.calls(&warm, at.blob_for_push(&sha256(b"nowhere"))).await, 3, "where it is not there");
    set("blob, HEAD: only a lease holds it", store.calls(&warm, at.blob_for_push(&leased)).await);
    set("tags, a page: warm, cold", store.calls(&warm, at.tags(None, 100)).await);
    set("referrers: warm, cold", store.calls(&warm, at.referrers(&digest, &[])).await);
    set("`/readyz`", store.calls(&warm, warm.ping()).await);
    // Answered without the registry.
    set("`/v2/`, `/livez`, `/startupz`", 0);
    compare("| request | | waves | calls | which |", 2, &measured);
}

#[tokio::test]
async fn writing_costs_what_is_documented() {
    let store = Counted::new();
    let mut measured = Measured::new();
    uploads(&store, &mut measured).await;
    mounts(&store, &mut measured).await;
    manifests(&store, &mut measured).await;
    compare("| request | waves | calls | which |", 1, &measured);
}

async fn uploads(store: &Counted, measured: &mut Measured) {
    let registry = store.cold();
    let at = registry.repository(&name("uploads"));
    let start = at.start_upload(Algorithm::Sha256);
    let (upload, post) = store.cost(&registry, start).await;
    let (upload, post) = (upload.expect("a session"), post.calls);
    measured.insert("POST, begins an upload".to_owned(), post);
    let small = at.append(&upload, Chunk::default(), body(b"small"));
    let patch = store.calls(&registry, small).await;
    measured.insert("PATCH of less than 5 MiB".to_owned(), patch);
    let digest = sha256(b"small");
    let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(b""));
    let put = store.calls(&registry, finish).await;
    measured.insert("PUT without a body after one small PATCH".to_owned(), put);
    measured.insert("**small blob: POST, PATCH, PUT**".to_owned(), post + patch + put);

    let large = vec![1_u8; 6 * MIB];
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    let whole = Sized(&large);
    let first = store.calls(&registry, at.append(&upload, Chunk::default(), whole.frames())).await;
    measured.insert("PATCH of 5 to 13 MiB, the first".to_owned(), first);
    let further = store.calls(&registry, at.append(&upload, Chunk::default(), whole.frames())).await;
    measured.insert("PATCH of 5 to 13 MiB, a further one".to_owned(), further);
    let digest = sha256(&[large.clone(), large.clone()].concat());
    let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(b""));
    measured.insert("PUT without a body after multipart".to_owned(), store.calls(&registry, finish).await);

    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    let digest = sha256(b"new");
    let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(b"new"));
    let new = store.calls(&registry, finish).await;
    measured.insert("PUT with a small body (below 13 MiB), the blob is new".to_owned(), new);
    measured.insert("**small blob: POST, PUT**".to_owned(), post + new);
    let upload = at.start_upload(Algorithm::Sha256).await.expect("a session");
    let digest = sha256(b"new");
    let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(b"new"));
    measured.insert("the same, the blob is there already".to_owned(), store.calls(&registry, finish).await);
    let digest = sha256(b"whole");
    let whole = at.upload_blob(&digest, Some(5), body(b"whole"));
    let row = "**small blob: POST with the digest and the body**".to_owned();
    measured.insert(row, store.calls(&registry, whole).await);
}

async fn mounts(store: &Counted, measured: &mut Measured) {
    let registry = store.cold();
    let from = name("from");
    let digest = put_blob(&registry.repository(&from), b"mounted").await;
    let mount = async |to: &str, digest: &Digest, from: Option<&RepositoryName>| {
        let registry = store.cold();
        let at = registry.repository(&name(to));
        let request = async {
            match at.mount(digest, from, &|_| true).await.expect("an answer") {
                Some(_) => true,
                None => at.start_upload(Algorithm::Sha256).await.is_err(),
            }
        };
        let (found, cost) = store.cost(&registry, request).await;
        (found, cost.calls)
    };
    let found = mount("to", &digest, Some(&from)).await;
    assert!(found.0);
    measured.insert("mount with `from`, found".to_owned(), found.1);
    let missing = mount("to", &sha256(b"nowhere"), Some(&from)).await;
    assert!(!missing.0);
    measured.insert("the same, not found, an upload begins".to_owned(), missing.1);
    let without = mount("other", &digest, None).await;
    assert!(without.0);
    measured.insert("mount without `from`".to_owned(), without.1 - found.1);
}

async fn manifests(store: &Counted, measured: &mut Measured) {
    let registry = store.cold();
    let at = registry.repository(&name("manifests"));
    let mut blobs = Vec::new();
    for number in 0..BLOBS {
        blobs.push(put_blob(&at, format!("blob {number}").as_bytes()).await);
    }
    let document = image(&blobs[0], &blobs[1..]);
    // The first push makes the repository.
    let (pushed, first) = store.cost(&registry, at.push_manifest(manifest(document, &["first"]))).await;
    pushed.expect("a push");
    let document = image(&blobs[1], &blobs[..]);
    let (pushed, push) = store.cost(&registry, at.push_manifest(manifest(document.clone(), &["t"]))).await;
    let digest = pushed.expect("a push").digest;
    assert_eq!(first, push, "the first push to a repository costs as much as any other");
    measured.insert("**manifest push**".to_owned(), push.calls);
    measured.insert("the same, 10 layers and a config".to_owned(), push.calls);
    let parent = at.push_manifest(manifest(index(std::slice::from_ref(&digest)), &["i"]));
    let (parent, cost) = store.cost(&registry, parent).await;
    let parent = parent.expect("an index").digest;
    measured.insert("the same, an index (no blobs)".to_owned(), cost.calls);
    let retag = at.push_manifest(manifest(document, &["u"]));
    measured.insert("retag: push of a manifest that is there".to_owned(), store.calls(&registry, retag).await);
    measured.insert("tag, DELETE".to_owned(), store.calls(&registry, at.delete_manifest(&by_tag("u"))).await);
    at.delete_manifest(&Reference::Digest(parent)).await.expect("a deletion");
    let (gone, deletion) = store.cost(&registry, at.delete_manifest(&Reference::Digest(digest))).await;
    gone.expect("a deletion");
    measured.insert("manifest, DELETE".to_owned(), deletion.calls);

    let behind = Measured::from([
        ("a manifest push".to_owned(), push.behind),
        ("a manifest deletion".to_owned(), deletion.behind),
    ]);
    for (row, calls) in &behind {
        let documented = documented("| after | calls |", 1);
        assert_eq!(documented.get(row), Some(calls), "behind the answer: {row}");
    }
}

/// A body that is not cut into tiny frames.
struct Sized<'a>(&'a [u8]);

impl Sized<'_> {
    fn frames(&self) -> Frames {
        let frames: Vec<_> = self.0.chunks(MIB).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
        futures::stream::iter(frames)
    }
}

/// Each row of the table was measured, and is what was measured.
fn compare(head: &str, names: usize, measured: &Measured) {
    let documented = documented(head, names);
    assert_eq!(measured, &documented, "measured, and what docs/PERFORMANCE.md says");
}

/// The calls in a table of the documentation, by the row's name: its first cells. Rows without a number are left out.
fn documented(head: &str, names: usize) -> Measured {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/PERFORMANCE.md");
    let text = std::fs::read_to_string(path).expect("the documentation");
    let rows = text.lines().skip_while(|line| *line != head).skip(2).take_while(|line| line.starts_with('|'));
    let at = head.split('|').position(|cell| cell.trim() == "calls").expect("a column of calls");
    let mut subject = String::new();
    let mut all = Measured::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if !cells[1].is_empty() {
            cells[1].clone_into(&mut subject);
        }
        let label =
            if names == 1 || cells[2].is_empty() { subject.clone() } else { format!("{subject}: {}", cells[2]) };
        if let Some(calls) = sum(cells[at]) {
            all.insert(label, calls);
        }
    }
    assert!(!all.is_empty(), "no table: {head}");
    all
}

/// Reads `3B + 4`; what is in brackets is about something else, and what comes behind a colon says which calls they are.
fn sum(cell: &str) -> Option<u64> {
    let cell = cell.split(['(', ':']).next().unwrap_or(cell);
    let terms = cell.split('+').map(str::trim).filter(|term| !term.is_empty());
    let values = terms.map(|term| match term.strip_suffix('B') {
        Some("") => Some(BLOBS),
        Some(times) => times.parse::<u64>().ok().map(|times| times * BLOBS),
        None => term.parse().ok(),
    });
    values.collect::<Option<Vec<u64>>>().filter(|values| !values.is_empty()).map(|values| values.iter().sum())
}
