//! The promises, checked against the store itself.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::TryStreamExt as _;
use tokio::time::Instant;
use wharf_oci::{Digest, Manifest, Reference};
use wharf_registry::{Error, Registry, Repository};
use wharf_store::{Data as _, Generation, Records as _};

use crate::model::{Register, Value};
use crate::work::{IMAGES, REPOSITORIES, SECRET, image, index, secret, sha256};
use crate::world::{Kind, World, lock};

type Checked = Result<(), String>;

/// Checks what must hold at every moment.
///
/// # Errors
/// The promise that is broken, and by what.
pub async fn now(world: &World) -> Checked {
    let observer = world.observer();
    registers(world, &observer).await?;
    for repository in REPOSITORIES {
        let at = repository_of(&observer, repository);
        let mut present = Vec::new();
        let manifests = (0..IMAGES).map(|i| image(i).1).chain([index()]);
        for bytes in manifests {
            let digest = sha256(&bytes);
            if whole(&at, &digest, &bytes).await? {
                present.push(digest);
            }
        }
        referrers(&at, &present).await?;
        if at.blob(&sha256(&secret())).await.is_ok() {
            return Err(format!("P8: {repository} shows a blob that only {SECRET} has"));
        }
    }
    live_blobs(world).await
}

fn repository_of(observer: &Registry, repository: &str) -> Repository {
    let name = repository.parse().unwrap_or_else(|e| panic!("{repository}: {e}"));
    observer.repository(&name)
}

/// Every register has a value that it may have.
async fn registers(world: &World, observer: &Registry) -> Checked {
    let registers = lock(&world.model).registers();
    for register in registers {
        let seen = read(observer, &register).await?;
        if !lock(&world.model).may_read(&register, &seen, Instant::now()) {
            return Err(format!("P1/P2: {register:?} reads as {seen:?}"));
        }
    }
    Ok(())
}

async fn read(observer: &Registry, register: &Register) -> Result<Value, String> {
    let (repository, reference) = match register {
        Register::Manifest(repository, digest) => (repository, Reference::Digest(digest.clone())),
        Register::Tag(repository, tag) => {
            (repository, Reference::Tag(tag.parse().unwrap_or_else(|e| panic!("{tag}: {e}"))))
        }
    };
    match repository_of(observer, repository).manifest(&reference).await {
        Ok(stored) => Ok(Some(stored.digest)),
        Err(Error::ManifestUnknown(_) | Error::NameUnknown(_)) => Ok(None),
        Err(e) => Err(format!("P1: {register:?} cannot be read: {e}")),
    }
}

/// A manifest that is there is whole: its bytes, its blobs, its children. Answers whether it is there.
async fn whole(at: &Repository, digest: &Digest, expected: &Bytes) -> Result<bool, String> {
    let name = at.name();
    let bytes = match at.manifest_with_bytes(&Reference::Digest(digest.clone())).await {
        Ok((_, bytes)) => bytes,
        Err(Error::ManifestUnknown(_) | Error::NameUnknown(_)) => return Ok(false),
        Err(e) => return Err(format!("P1: {name} {digest} cannot be read: {e}")),
    };
    if bytes != *expected {
        return Err(format!("P1: {name} {digest} has other bytes"));
    }
    let manifest = Manifest::parse(&bytes, None).map_err(|e| format!("P1: {name} {digest}: {e}"))?;
    for child in &manifest.children {
        if at.manifest(&Reference::Digest(child.clone())).await.is_err() {
            return Err(format!("P1: {name} {digest} lost its child {child}"));
        }
    }
    for blob in &manifest.blobs {
        let read = async {
            let stored = at.blob(blob).await?;
            let chunks: Vec<Bytes> = at.read_blob(&stored, 0..stored.size).await?.try_collect().await?;
            Ok::<_, Error>(chunks.concat())
        };
        match read.await {
            Ok(bytes) if sha256(&bytes) == *blob => {}
            Ok(_) => return Err(format!("P1: {name} {blob} has other bytes")),
            Err(e) => return Err(format!("P1: {name} {digest} lost its blob {blob}: {e}")),
        }
    }
    Ok(true)
}

/// Image 5 refers to image 0: it is listed exactly while it is there.
async fn referrers(at: &Repository, present: &[Digest]) -> Checked {
    let (subject, referrer) = (sha256(&image(0).1), sha256(&image(5).1));
    let listed = at.referrers(&subject, &[]).await.map_err(|e| format!("P2: referrers: {e}"))?;
    let is_listed = listed.iter().any(|d| d.digest == referrer);
    if is_listed != present.contains(&referrer) {
        return Err(format!("P2: {} lists {referrer} as a referrer: {is_listed}", at.name()));
    }
    Ok(())
}

/// Every live blob's bytes exist and have its digest. Answers the generations that serve, by their blobs as keys spell them.
async fn serving(world: &World) -> Result<BTreeMap<String, Generation>, String> {
    let mut generations = BTreeMap::new();
    for key in world.store.keys().into_iter().filter(|key| key.starts_with("blob/")) {
        let record = json(world, &key).await?;
        if record["state"] == "gone" {
            continue;
        }
        let text = record["gen"].as_str().unwrap_or_default();
        let generation: Generation = text.parse().map_err(|e| format!("{key}: {e}"))?;
        let size = record["size"].as_u64().unwrap_or_default();
        let read = async {
            let chunks: Vec<Bytes> = world.store.read(&generation, 0..size).await?.try_collect().await?;
            Ok::<_, wharf_store::StoreError>(chunks.concat())
        };
        let bytes = read.await.map_err(|e| format!("P1: {key} is {} without bytes: {e}", record["state"]))?;
        let blob = key.trim_start_matches("blob/");
        if sha256(&bytes).to_string() != blob.replacen('-', ":", 1) {
            return Err(format!("P3/P4: {key} has other bytes"));
        }
        generations.insert(blob.to_owned(), generation);
    }
    Ok(generations)
}

async fn live_blobs(world: &World) -> Checked {
    serving(world).await.map(drop)
}

async fn json(world: &World, key: &str) -> Result<serde_json::Value, String> {
    let record = world.store.get(key).await.map_err(|e| e.to_string())?.ok_or_else(|| format!("{key} is gone"))?;
    serde_json::from_slice(&record.value).map_err(|e| format!("{key}: {e}"))
}

/// Checks what must hold when everything has come to rest: nothing is left that nobody claims, beyond what the design admits. A write
/// that lands after its collection leaves what it wrote; a push that dies after its due entry came up leaves empty holds and its own
/// few kilobytes; a replica that dies between two calls may leave an upload's record without bytes, or a segment.
///
/// # Errors
/// What is left.
pub async fn at_rest(world: &World) -> Checked {
    let serving = serving(world).await?;
    let mut needed = BTreeSet::new();
    let mut held = BTreeSet::new();
    let observer = world.observer();
    let mut segments = BTreeSet::new();
    for repository in REPOSITORIES {
        let at = repository_of(&observer, repository);
        let manifests = (0..IMAGES).map(|i| image(i).1).chain([index()]);
        for bytes in manifests {
            let reference = Reference::Digest(sha256(&bytes));
            if let Ok(Some(stored)) = at.claims(&reference).await {
                needed.insert(stored.generation);
                let blobs = stored.holds.iter().filter_map(|hold| hold.split('/').nth(1));
                needed.extend(blobs.filter_map(|blob| serving.get(blob)).cloned());
                held.extend(stored.holds);
            }
        }
        segments.extend(at.segments().await.map_err(|e| e.to_string())?);
    }
    let keys = world.store.keys();
    let of = |kind: &'static str| keys.iter().filter(move |key| key.starts_with(kind)).cloned();
    let unneeded = world.store.generations().into_iter().filter(|g| !needed.contains(g)).map(|g| g.to_string());
    let (of_uploads, of_pushes): (Vec<String>, Vec<String>) = unneeded.partition(|g| g.contains('.'));
    // A request whose answer was lost stops where it is, as if its replica had died.
    let (late, kills) = (world.scheduler.late(), world.scheduler.kills() + world.scheduler.losses());
    let mut rest = lock(&world.rest);
    let (late, kills) =
        (late - std::mem::replace(&mut rest.late, late), kills - std::mem::replace(&mut rest.kills, kills));
    let known = &mut rest.left;
    let mut at_most = |allowed, what, left: &mut dyn Iterator<Item = String>| at_most(known, allowed, what, left);
    let unfinished = (0..world.store.open_uploads()).map(|i| format!("unfinished upload {i}"));
    at_most(0, "due entries", &mut of("due/"))?;
    at_most(late + kills, "upload sessions", &mut of("upload/"))?;
    at_most(late + kills, "segments", &mut of("segment/").filter(|key| !segments.contains(key)))?;
    at_most(late + kills, "manifests", &mut of_pushes.into_iter())?;
    if world.kind != Kind::Wild {
        at_most(late, "bytes of uploads", &mut of_uploads.into_iter().chain(unfinished))?;
    }
    if late + kills == 0 {
        at_most(0, "holds", &mut of("hold/").filter(|key| !held.contains(key)))?;
    }
    Ok(())
}

/// What was left when the world last came to rest, and what had gone wrong by then. It may still be left.
#[derive(Debug, Default)]
pub struct Rest {
    late: u64,
    kills: u64,
    left: BTreeSet<String>,
}

fn at_most(known: &mut BTreeSet<String>, allowed: u64, what: &str, left: &mut dyn Iterator<Item = String>) -> Checked {
    let left: Vec<String> = left.filter(|left| known.insert(left.clone())).collect();
    if left.len() as u64 > allowed {
        return Err(format!("P5: {} {what} are left where {allowed} may be: {left:?}", left.len()));
    }
    Ok(())
}
