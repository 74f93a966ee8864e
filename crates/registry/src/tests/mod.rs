//! The registry over the store in memory: what a client relies on, through several replicas of it.

mod blobs;
mod calls;
mod collect;
mod cost;
mod fsck;
mod inspect;
mod manifests;
mod secrets;
mod segments;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use time::OffsetDateTime;
use wharf_oci::{Algorithm, Digest, Reference, RepositoryName, Tag, media_type};
use wharf_store::{MemoryStore, PartLimits};

use crate::repository::Shape;
use crate::*;

/// A clock that only moves when it is told to.
#[derive(Debug, Default)]
pub(crate) struct TestEnv {
    seconds: AtomicU64,
    random: AtomicU64,
}

impl Env for TestEnv {
    fn now(&self) -> OffsetDateTime {
        let seconds = 1_700_000_000 + self.seconds.load(Ordering::SeqCst);
        OffsetDateTime::from_unix_timestamp(seconds as i64).expect("a time")
    }

    fn random(&self) -> u128 {
        let n = u128::from(self.random.fetch_add(1, Ordering::SeqCst)) + 1;
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }
}

/// Several replicas over one store.
pub(crate) struct Cluster {
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) env: Arc<TestEnv>,
    pub(crate) replicas: Vec<Registry>,
}

pub(crate) const GRACE: Duration = Duration::from_secs(100);

impl Cluster {
    pub(crate) fn new(replicas: usize) -> Self {
        Self::shaped(replicas, Shape::default())
    }

    pub(crate) fn shaped(replicas: usize, shape: Shape) -> Self {
        let limits = PartLimits { min: 50, target: 80, max_count: 10_000, in_place: false };
        let store = Arc::new(MemoryStore::with_limits(limits));
        let env = Arc::new(TestEnv::default());
        let options = Options { grace: GRACE, shape, ..Options::default() };
        let replica = |_| Registry::with_env(store.clone(), store.clone(), options.clone(), env.clone());
        Self { replicas: (0..replicas).map(replica).collect(), store, env }
    }

    /// The repository at a replica.
    pub(crate) fn at(&self, replica: usize, repository: &str) -> Repository {
        self.replicas[replica % self.replicas.len()].repository(&name(repository))
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.env.seconds.fetch_add(time.as_secs(), Ordering::SeqCst);
    }

    /// Lets all grace times pass and collects until nothing is left to do.
    pub(crate) async fn collect_all(&self) {
        for _ in 0..6 {
            for replica in &self.replicas {
                replica.settle().await;
            }
            self.pass(GRACE * 2);
            self.replicas[0].collector().run_once().await.expect("a collection");
        }
    }

    /// Keys of the store that begin with this.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        self.store.keys().into_iter().filter(|key| key.starts_with(prefix)).collect()
    }
}

pub(crate) fn name(text: &str) -> RepositoryName {
    text.parse().expect("a name")
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

pub(crate) fn by_tag(text: &str) -> Reference {
    Reference::Tag(tag(text))
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Algorithm::Sha256.digest(bytes)
}

pub(crate) type Frames = futures::stream::Iter<std::vec::IntoIter<std::result::Result<Bytes, std::io::Error>>>;

/// A body in small frames.
pub(crate) fn body(bytes: &[u8]) -> Frames {
    let frames: Vec<_> = bytes.chunks(13).map(|frame| Ok(Bytes::copy_from_slice(frame))).collect();
    futures::stream::iter(frames)
}

pub(crate) async fn put_blob(repository: &Repository, bytes: &[u8]) -> Digest {
    let digest = sha256(bytes);
    repository.upload_blob(&digest, Some(bytes.len() as u64), body(bytes)).await.expect("a blob");
    digest
}

pub(crate) fn image(config: &Digest, layers: &[Digest]) -> Bytes {
    image_of(config, layers, None)
}

pub(crate) fn image_of(config: &Digest, layers: &[Digest], subject: Option<&Digest>) -> Bytes {
    let layers: Vec<_> = layers
        .iter()
        .map(|digest| serde_json::json!({"mediaType": "application/x-layer", "digest": digest, "size": 1}))
        .collect();
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": "application/x-config", "digest": config, "size": 1},
        "layers": layers,
    });
    if let Some(subject) = subject {
        document["subject"] = serde_json::json!({"mediaType": "x", "digest": subject, "size": 1});
    }
    document.to_string().into()
}

pub(crate) fn index(children: &[Digest]) -> Bytes {
    let manifests: Vec<_> = children
        .iter()
        .map(|digest| serde_json::json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 1}))
        .collect();
    let document = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests,
    });
    document.to_string().into()
}

pub(crate) fn manifest(bytes: Bytes, tags: &[&str]) -> ManifestPush {
    let tags: BTreeSet<Tag> = tags.iter().map(|text| tag(text)).collect();
    ManifestPush { bytes, media_type: None, digest: None, tags, limits: BTreeMap::new(), by: None }
}

/// Pushes an image of one config and one layer.
pub(crate) async fn push_image(repository: &Repository, content: &str, tags: &[&str]) -> Digest {
    let config = put_blob(repository, format!("config of {content}").as_bytes()).await;
    let layer = put_blob(repository, format!("layer of {content}").as_bytes()).await;
    repository.push_manifest(manifest(image(&config, &[layer]), tags)).await.expect("a push").digest
}

pub(crate) async fn read_blob(repository: &Repository, digest: &Digest) -> Vec<u8> {
    use futures::TryStreamExt as _;
    let blob = repository.blob(digest).await.expect("a blob");
    let stream = repository.read_blob(&blob, 0..blob.size).await.expect("a stream");
    let chunks: Vec<Bytes> = stream.try_collect().await.expect("chunks");
    chunks.concat()
}
