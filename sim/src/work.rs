//! What clients do, and what the model is told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::TryStreamExt as _;
use tokio::time::Instant;
use wharf_oci::{Algorithm, Digest, Manifest, Reference, RepositoryName, Tag, media_type};
use wharf_registry::{Chunk, Error, ManifestPush, Registry, Repository, Result};

use crate::check;
use crate::model::{Register, Value};
use crate::world::{World, lock};

/// The repositories that clients work in.
pub const REPOSITORIES: [&str; 2] = ["a", "b/c"];
/// The repository whose one blob nobody else may see.
pub const SECRET: &str = "secret";
/// The tags that clients set.
pub const TAGS: [&str; 3] = ["t0", "t1", "latest"];

/// One client.
pub struct Client {
    pub(crate) world: Arc<World>,
    id: u64,
    /// Which replica it reaches; `None` where each request reaches another.
    replica: Option<usize>,
}

/// What came back: an answer, or nothing in time.
type Answered<T> = Option<Result<T>>;

/// The content of blob `i`: some small, some of several parts.
#[must_use]
pub fn content(i: usize) -> Bytes {
    let len = [12, 40, 70, 200, 330][i % 5];
    Bytes::from((0..len).map(|at| (at * 7 + i * 31) as u8).collect::<Vec<u8>>())
}

/// The blob that only [`SECRET`] has.
#[must_use]
pub fn secret() -> Bytes {
    Bytes::from_static(b"nobody else may read this")
}

/// The digest of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Algorithm::Sha256.digest(bytes)
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// Image `i`: which blobs it has, and its manifest. Some share layers, some refer to another.
#[must_use]
pub fn image(i: usize) -> (Vec<usize>, Bytes) {
    let blobs = match i % 6 {
        0 => vec![0, 3],
        1 => vec![0, 4],
        2 => vec![1, 3, 4],
        3 => vec![2],
        4 => vec![1],
        _ => vec![0],
    };
    let digests: Vec<Digest> = blobs.iter().map(|b| sha256(&content(*b))).collect();
    let subject = (i % 6 == 5).then(|| sha256(&image(0).1));
    (blobs, manifest(&digests, subject.as_ref()))
}

/// How many images there are.
pub const IMAGES: usize = 6;

fn manifest(blobs: &[Digest], subject: Option<&Digest>) -> Bytes {
    let part = |digest: &Digest| serde_json::json!({"mediaType": "application/x", "digest": digest, "size": 1});
    let mut document = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": part(&blobs[0]),
        "layers": blobs[1..].iter().map(part).collect::<Vec<_>>(),
    });
    if let Some(subject) = subject {
        document["subject"] = part(subject);
    }
    document.to_string().into()
}

/// An index of images 3 and 4.
#[must_use]
pub fn index() -> Bytes {
    let part = |i| serde_json::json!({"mediaType": media_type::OCI_MANIFEST, "digest": sha256(&image(i).1), "size": 1});
    serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [part(3), part(4)],
    })
    .to_string()
    .into()
}

fn body(bytes: &[u8]) -> futures::stream::Iter<std::vec::IntoIter<std::result::Result<Bytes, std::io::Error>>> {
    futures::stream::iter(bytes.chunks(37).map(|c| Ok(Bytes::copy_from_slice(c))).collect::<Vec<_>>())
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn got<T>(answer: Answered<Option<T>>) -> bool {
    matches!(answer, Some(Ok(Some(_))))
}

impl Client {
    /// A client of this world.
    #[must_use]
    pub fn new(world: Arc<World>, id: u64) -> Self {
        Self { world, id, replica: None }
    }

    /// A client all of whose requests reach one replica.
    #[must_use]
    pub fn at_replica(world: Arc<World>, id: u64, replica: usize) -> Self {
        Self { world, id, replica: Some(replica) }
    }

    /// The same client, through another replica.
    pub(crate) fn through(&self, replica: usize) -> Self {
        Self { world: self.world.clone(), id: self.id, replica: Some(replica) }
    }

    /// Does what the plan says, and checks the world after each thing.
    pub async fn work(&self) {
        if self.id == 0 {
            self.upload(SECRET, &secret()).await;
        }
        for _ in 0..self.world.plan.operations {
            if self.world.is_over() {
                return;
            }
            let succeeded = self.one().await;
            self.world.operations.fetch_add(1, Ordering::Relaxed);
            self.world.succeeded.fetch_add(u64::from(succeeded), Ordering::Relaxed);
            if let Err(violation) = check::now(&self.world).await {
                self.world.violated(violation);
            }
            tokio::time::sleep(self.world.scheduler.delay()).await;
        }
    }

    async fn one(&self) -> bool {
        let chance = &self.world.scheduler;
        let repository = *chance.pick(&REPOSITORIES);
        #[allow(clippy::cast_possible_truncation)] // a small number
        let i = chance.below(IMAGES as u64) as usize;
        match chance.below(20) {
            0..8 => self.push_image(repository, i).await,
            8 => self.push_index(repository).await,
            9..12 => self.delete_digest(repository, &sha256(&image(i).1)).await,
            12 => self.delete_tag(repository, TAGS[i % TAGS.len()]).await,
            13 => self.delete_blob(repository, &sha256(&content(i))).await,
            14 => self.race_chunks(repository).await,
            15 => self.finish_twice(repository, &content(i)).await,
            16 => self.pry(repository).await,
            _ => self.pull(repository, chance.pick::<&str>(&TAGS)).await,
        }
    }

    fn at(&self, repository: &str) -> Repository {
        let replica: Registry = self.registry();
        replica.repository(&name(repository))
    }

    fn registry(&self) -> Registry {
        match self.replica {
            Some(replica) => self.world.replica_at(replica),
            None => self.world.replica(),
        }
    }

    /// Waits for an answer, and says what it was.
    async fn ask<T>(&self, what: String, call: impl Future<Output = Result<T>>) -> Answered<T> {
        self.world.scheduler.note(|| format!("client {}: {what} ...", self.id));
        let answer = tokio::time::timeout(self.world.patience(), call).await.ok();
        self.world.scheduler.note(|| match &answer {
            None => format!("client {}: {what}: no answer", self.id),
            Some(Ok(_)) => format!("client {}: {what}: done", self.id),
            Some(Err(e)) => format!("client {}: {what}: {e}", self.id),
        });
        answer
    }

    async fn ensure_blob(&self, repository: &str, bytes: &Bytes) -> bool {
        let digest = sha256(bytes);
        let chance = &self.world.scheduler;
        if chance.chance(60) {
            let at = self.at(repository);
            if let Some(Ok(_)) = self.ask(format!("HEAD {repository} {digest}"), at.blob_for_push(&digest)).await {
                return true;
            }
        }
        if chance.chance(30) {
            let at = self.at(repository);
            let other = REPOSITORIES.iter().find(|r| **r != repository).map(|r| name(r));
            let from = if chance.chance(50) { other.as_ref() } else { None };
            let mount = at.mount(&digest, from, &|_| true);
            if let Some(Ok(Some(_))) = self.ask(format!("mount {repository} {digest}"), mount).await {
                return true;
            }
        }
        for _ in 0..3 {
            if self.upload(repository, bytes).await {
                return true;
            }
        }
        false
    }

    pub(crate) async fn head(&self, repository: &str, bytes: &Bytes) -> bool {
        let (at, digest) = (self.at(repository), sha256(bytes));
        matches!(self.ask(format!("HEAD {repository} {digest}"), at.blob_for_push(&digest)).await, Some(Ok(_)))
    }

    pub(crate) async fn mount(&self, repository: &str, bytes: &Bytes) -> bool {
        let (at, digest) = (self.at(repository), sha256(bytes));
        let mount = at.mount(&digest, None, &|_| true);
        got(self.ask(format!("mount {repository} {digest}"), mount).await)
    }

    /// A collector works once on everything that is due.
    pub(crate) async fn collect(&self) -> bool {
        let collector = self.registry().collector();
        let answer = tokio::time::timeout(self.world.patience(), collector.run_once()).await;
        matches!(answer, Ok(Ok(_)))
    }

    pub(crate) async fn upload(&self, repository: &str, bytes: &Bytes) -> bool {
        let digest = sha256(bytes);
        if self.world.scheduler.chance(50) {
            let at = self.at(repository);
            let upload = at.upload_blob(&digest, None, body(bytes));
            return matches!(self.ask(format!("upload {repository} {digest}"), upload).await, Some(Ok(_)));
        }
        let at = self.at(repository);
        let Some(Ok(upload)) = self.ask(format!("POST {repository}"), at.start_upload(Algorithm::Sha256)).await else {
            return false;
        };
        let mut offset = 0;
        #[allow(clippy::cast_possible_truncation)] // small numbers
        while (offset as usize) < bytes.len() {
            let at = self.at(repository);
            let len = (30 + self.world.scheduler.below(90)).min(bytes.len() as u64 - offset);
            let part = bytes.slice(offset as usize..(offset + len) as usize);
            let append = at.append(&upload, Chunk { start: Some(offset), length: Some(len) }, body(&part));
            match self.ask(format!("PATCH {repository} {upload} at {offset}"), append).await {
                Some(Ok(status)) => offset = status.offset,
                Some(Err(Error::UploadUnknown)) => return false,
                _ => match self.ask(format!("GET {upload}"), self.at(repository).upload_status(&upload)).await {
                    Some(Ok(status)) => offset = status.offset,
                    _ => return false,
                },
            }
        }
        for _ in 0..3 {
            let at = self.at(repository);
            let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(b""));
            match self.ask(format!("PUT {repository} {upload} {digest}"), finish).await {
                Some(Ok(_)) => return true,
                Some(Err(e)) if e.is_definite() => return false,
                _ => {}
            }
        }
        false
    }

    pub(crate) async fn push(&self, repository: &str, bytes: Bytes, tags: &[&str]) -> bool {
        let digest = sha256(&bytes);
        let mut writes = vec![(Register::Manifest(repository.into(), digest.clone()), Some(digest.clone()))];
        writes.extend(tags.iter().map(|t| (Register::Tag(repository.into(), (*t).into()), Some(digest.clone()))));
        let pending = lock(&self.world.model).begin(writes);
        let push = ManifestPush {
            bytes,
            media_type: None,
            digest: None,
            tags: tags.iter().map(|t| tag(t)).collect::<BTreeSet<_>>(),
            limits: BTreeMap::new(),
            by: None,
        };
        let at = self.at(repository);
        let answer = self.ask(format!("push {repository} {digest} as {tags:?}"), at.push_manifest(push)).await;
        let mut model = lock(&self.world.model);
        match answer {
            Some(Ok(_)) => model.done(&pending, |_| true),
            Some(Err(e)) if e.is_definite() => model.refused(&pending),
            _ => return false,
        }
        true
    }

    async fn push_image(&self, repository: &str, i: usize) -> bool {
        let (blobs, manifest) = image(i);
        for blob in blobs {
            if !self.ensure_blob(repository, &content(blob)).await {
                return false;
            }
        }
        let tags: Vec<&str> = TAGS.iter().copied().filter(|_| self.world.scheduler.chance(40)).collect();
        self.push(repository, manifest, &tags).await
    }

    async fn push_index(&self, repository: &str) -> bool {
        self.push_image(repository, 3).await;
        self.push_image(repository, 4).await;
        self.push(repository, index(), &["latest"]).await
    }

    pub(crate) async fn delete_digest(&self, repository: &str, digest: &Digest) -> bool {
        let target = Register::Manifest(repository.into(), digest.clone());
        let pending = {
            let mut model = lock(&self.world.model);
            let tags = TAGS.iter().map(|t| (Register::Tag(repository.into(), (*t).into()), None));
            let writes: Vec<(Register, Value)> = std::iter::once((target.clone(), None)).chain(tags).collect();
            model.begin(writes)
        };
        let at = self.at(repository);
        let reference = Reference::Digest(digest.clone());
        let answer = self.ask(format!("DELETE {repository} {digest}"), at.delete_manifest(&reference)).await;
        let mut model = lock(&self.world.model);
        match answer {
            // Which tags went with it is for the manifest to say.
            Some(Ok(())) => model.done(&pending, |register| *register == target),
            Some(Err(e)) if e.is_definite() => model.refused(&pending),
            _ => return false,
        }
        true
    }

    pub(crate) async fn delete_tag(&self, repository: &str, text: &str) -> bool {
        let pending = lock(&self.world.model).begin(vec![(Register::Tag(repository.into(), text.into()), None)]);
        let at = self.at(repository);
        let reference = Reference::Tag(tag(text));
        let answer = self.ask(format!("DELETE {repository} {text}"), at.delete_manifest(&reference)).await;
        let mut model = lock(&self.world.model);
        match answer {
            Some(Ok(())) => model.done(&pending, |_| true),
            Some(Err(e)) if e.is_definite() => model.refused(&pending),
            _ => return false,
        }
        true
    }

    pub(crate) async fn delete_blob(&self, repository: &str, digest: &Digest) -> bool {
        let at = self.at(repository);
        matches!(self.ask(format!("DELETE {repository} blob {digest}"), at.delete_blob(digest)).await, Some(Ok(())))
    }

    /// Two replicas take a chunk at the same offset: one wins, and the blob is one of the two, never a mixture.
    pub(crate) async fn race_chunks(&self, repository: &str) -> bool {
        let at = self.at(repository);
        let Some(Ok(upload)) = self.ask(format!("POST {repository}"), at.start_upload(Algorithm::Sha256)).await else {
            return false;
        };
        let chunk = |fill: u8| {
            let (at, upload) = (self.at(repository), upload.clone());
            async move {
                let append = at.append(&upload, Chunk { start: Some(0), length: None }, body(&[fill; 150]));
                self.ask(format!("PATCH {repository} {upload} with {fill}"), append).await
            }
        };
        let (a, b) = futures::future::join(chunk(1), chunk(2)).await;
        if matches!((&a, &b), (Some(Ok(_)), Some(Ok(_)))) {
            self.world.violated(format!("P3: two chunks at one offset of {upload} were both taken"));
        }
        for fill in [1u8, 2] {
            let at = self.at(repository);
            let digest = sha256(&[fill; 150]);
            let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(b""));
            if let Some(Ok(_)) = self.ask(format!("PUT {repository} {upload} {digest}"), finish).await {
                return true;
            }
        }
        false
    }

    /// A client that got no answer asks another replica while the first is still at it.
    pub(crate) async fn finish_twice(&self, repository: &str, bytes: &Bytes) -> bool {
        let at = self.at(repository);
        let Some(Ok(upload)) = self.ask(format!("POST {repository}"), at.start_upload(Algorithm::Sha256)).await else {
            return false;
        };
        let digest = sha256(bytes);
        let finish = || {
            let (at, upload, digest) = (self.at(repository), upload.clone(), digest.clone());
            async move {
                tokio::time::sleep(self.world.scheduler.delay()).await;
                let finish = at.finish_upload(&upload, &digest, Chunk::default(), body(bytes));
                matches!(self.ask(format!("PUT {repository} {upload} {digest}"), finish).await, Some(Ok(_)))
            }
        };
        let (a, b) = futures::future::join(finish(), finish()).await;
        a || b
    }

    /// Tries to get at a blob that another repository has.
    async fn pry(&self, repository: &str) -> bool {
        let digest = sha256(&secret());
        let may_read = |name: &RepositoryName| name.as_str() != SECRET;
        let (at, from) = (self.at(repository), name(SECRET));
        let got = [
            self.ask(format!("GET {repository} secret"), at.blob(&digest)).await.is_some_and(|r| r.is_ok()),
            self.ask(format!("HEAD {repository} secret"), at.blob_for_push(&digest)).await.is_some_and(|r| r.is_ok()),
            got(self.ask("mount secret from".into(), at.mount(&digest, Some(&from), &may_read)).await),
            got(self.ask("mount secret".into(), at.mount(&digest, None, &may_read)).await),
        ];
        let stolen = manifest(&[digest], None);
        if got.contains(&true) || self.push_stolen(repository, stolen).await {
            self.world.violated(format!("P8: {repository} got at a blob that only {SECRET} has"));
        }
        true
    }

    async fn push_stolen(&self, repository: &str, bytes: Bytes) -> bool {
        let push = ManifestPush {
            bytes,
            media_type: None,
            digest: None,
            tags: BTreeSet::new(),
            limits: BTreeMap::new(),
            by: None,
        };
        let at = self.at(repository);
        matches!(self.ask(format!("push {repository} with a secret blob"), at.push_manifest(push)).await, Some(Ok(_)))
    }

    /// Reads a tag strictly and then pulls the image whole.
    pub(crate) async fn pull(&self, repository: &str, text: &str) -> bool {
        let begun = Instant::now();
        let at = self.at(repository);
        let reference = Reference::Tag(tag(text));
        let answer = self.ask(format!("GET {repository} {text}"), at.manifest_with_bytes(&reference)).await;
        let (seen, bytes) = match answer {
            Some(Ok((stored, bytes))) => (Some(stored.digest), bytes),
            Some(Err(Error::ManifestUnknown(_) | Error::NameUnknown(_))) => (None, Bytes::new()),
            _ => return false,
        };
        let register = Register::Tag(repository.into(), text.into());
        if !lock(&self.world.model).may_read(&register, &seen, begun) {
            self.world.violated(format!("P2: {repository} {text} was read as {seen:?}, which was superseded before"));
        }
        let Some(digest) = seen else { return true };
        let Ok(manifest) = Manifest::parse(&bytes, None) else {
            self.world.violated(format!("P1: {digest} is not the manifest that was pushed"));
            return false;
        };
        for blob in &manifest.blobs {
            if let Some(Err(Error::BlobUnknown(_))) = self.read_blob(repository, blob).await {
                let register = Register::Manifest(repository.into(), digest.clone());
                if !lock(&self.world.model).may_read(&register, &None, begun) {
                    self.world.violated(format!("P1: {repository} {digest} lost its blob {blob} while it was pulled"));
                }
            }
        }
        true
    }

    async fn read_blob(&self, repository: &str, digest: &Digest) -> Answered<()> {
        let at = self.at(repository);
        let read = async {
            let blob = at.blob(digest).await?;
            let chunks: Vec<Bytes> = at.read_blob(&blob, 0..blob.size).await?.try_collect().await?;
            if sha256(&chunks.concat()) != *digest {
                self.world.violated(format!("P1: {repository} {digest} has other bytes"));
            }
            Ok(())
        };
        self.ask(format!("GET {repository} {digest}"), read).await
    }
}
