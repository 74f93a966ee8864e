//! Compares what is in a bucket with what should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::bucket::Bucket;
use crate::content;
use crate::workload::Held;

/// What a bucket holds beyond what is held; `docs/ARCHITECTURE.md`, "What may stay behind", says when that may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Holds of pushes that no root has.
    pub holds: Vec<String>,
    /// Bytes of manifests that no repository has.
    pub manifests: Vec<String>,
    /// Segments; the repositories of these tests are too small to have any.
    pub segments: Vec<String>,
    /// Records of upload sessions.
    pub sessions: Vec<String>,
    /// Anything else: bytes of blobs, leases, entries of the work list, uploads in parts, keys that nobody knows.
    pub others: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Objects in the bucket.
    pub objects: usize,
    /// Bytes of them.
    pub bytes: u64,
    /// Distinct manifests and blobs that are held.
    pub held: usize,
    /// What is there without being held.
    pub left: Leftovers,
}

impl fmt::Display for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { objects, bytes, held, left } = self;
        write!(
            f,
            "{objects} objects of {} KiB for {held} manifests and blobs that are held; without a claim {} holds, {} manifests, {} \
             segments, {} sessions, {} others",
            bytes >> 10,
            left.holds.len(),
            left.manifests.len(),
            left.segments.len(),
            left.sessions.len(),
            left.others.len(),
        )
    }
}

/// How much the collectors have left to do, now or later.
#[must_use]
pub fn work_list(bucket: &Bucket) -> usize {
    bucket.list("due/").len()
}

/// Looks at every object, and hashes all data, in a directory of its own.
///
/// # Panics
/// When anything that is held is not there, or is there twice.
#[must_use]
pub fn take(bucket: &Bucket, held: &[Arc<Held>], directory: &Path) -> Inventory {
    let objects = bucket.list("");
    let mut found = Inventory { objects: objects.len(), bytes: objects.values().sum(), ..Inventory::default() };
    let mut wanted = Wanted::of(held);
    found.held = wanted.bytes.len();
    found.left.others.extend(bucket.unfinished());

    let data: Vec<&str> = objects.keys().map(String::as_str).filter(|key| key.starts_with("data/")).collect();
    bucket.download(data.iter().copied(), directory);
    for (number, key) in data.iter().enumerate() {
        let path = directory.join(number.to_string());
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        match wanted.bytes.get_mut(&content::digest(&bytes)) {
            Some(copies @ 1..) => *copies -= 1,
            _ if bytes.starts_with(b"{\"") => found.left.manifests.push((*key).to_owned()),
            _ => found.left.others.push((*key).to_owned()),
        }
    }
    for key in objects.keys().filter(|key| !key.starts_with("data/")) {
        sort(key, &mut wanted, &mut found.left);
    }
    wanted.assert_found();
    found
}

/// What has to be there, less what was found of it.
struct Wanted {
    /// How many copies of which digest: a blob has one, a manifest one in each repository.
    bytes: BTreeMap<String, usize>,
    /// Blob, repository and manifest, as they stand in keys.
    holds: BTreeSet<(String, String, String)>,
    roots: BTreeSet<String>,
    blobs: BTreeSet<String>,
}

impl Wanted {
    fn of(held: &[Arc<Held>]) -> Self {
        let mut wanted =
            Self { bytes: BTreeMap::new(), holds: BTreeSet::new(), roots: BTreeSet::new(), blobs: BTreeSet::new() };
        for one in held {
            let (repository, manifest) = (one.repository.replace('/', "!"), in_key(&one.picture.digest));
            *wanted.bytes.entry(one.picture.digest.clone()).or_default() += 1;
            wanted.roots.insert(repository.clone());
            for blob in &one.picture.blobs {
                wanted.bytes.insert(blob.digest.clone(), 1);
                wanted.blobs.insert(in_key(&blob.digest));
                wanted.holds.insert((in_key(&blob.digest), repository.clone(), manifest.clone()));
            }
        }
        wanted
    }

    fn assert_found(&self) {
        let missing: Vec<_> = self.bytes.iter().filter(|(_, copies)| **copies > 0).collect();
        assert!(missing.is_empty(), "held, and not in the bucket: {missing:?}");
        assert!(self.holds.is_empty(), "holds that are not in the bucket: {:?}", self.holds);
        assert!(self.roots.is_empty(), "repositories that are not in the bucket: {:?}", self.roots);
        assert!(self.blobs.is_empty(), "records of blobs that are not in the bucket: {:?}", self.blobs);
    }
}

/// Takes a record off what is wanted, or puts it to what is left.
fn sort(key: &str, wanted: &mut Wanted, left: &mut Leftovers) {
    let parts: Vec<&str> = key.split('/').collect();
    match parts.as_slice() {
        // They are never deleted.
        ["repo", repository] => drop(wanted.roots.remove(*repository)),
        ["blob", digest] => drop(wanted.blobs.remove(*digest)),
        ["hold", blob, repository, "m", manifest, _] => {
            let hold = ((*blob).to_owned(), (*repository).to_owned(), (*manifest).to_owned());
            if !wanted.holds.remove(&hold) {
                left.holds.push(key.to_owned());
            }
        }
        ["segment", ..] => left.segments.push(key.to_owned()),
        ["upload", ..] => left.sessions.push(key.to_owned()),
        _ => left.others.push(key.to_owned()),
    }
}

/// A digest as it stands in a key.
fn in_key(digest: &str) -> String {
    digest.replace(':', "-")
}
