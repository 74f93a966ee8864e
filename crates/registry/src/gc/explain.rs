//! Where the bytes of a digest are, who holds them, and when they may go. It reads and never writes.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, Reference, RepositoryName};
use wharf_store::ListRequest;

use super::Collector;
use super::plan::kind;
use super::report::{page, read};
use crate::blob_record::{self, BlobState};
use crate::core::Core;
use crate::due::Due;
use crate::env::Seconds;
use crate::error::Result;
use crate::key::{Holder, Key};
use crate::repository::{Handle, View};

/// The most holders that are listed, and tags of a manifest.
const MOST_HOLDERS: usize = 1000;
const MOST_TAGS: usize = 100;
/// The most entries of the work list that are searched.
const MOST_ENTRIES: usize = 10_000;
const READ_AT_ONCE: usize = 16;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What was asked about.
    pub digest: Digest,
    /// The blob of this digest, if there is or was one.
    pub blob: Option<BlobFacts>,
    /// Who holds the blob.
    pub holders: Vec<HolderFacts>,
    /// Whether more hold it than are listed.
    pub more_holders: bool,
    /// The manifest of this digest in the repository that was named.
    pub manifest: Option<ManifestFacts>,
    /// Entries of the work list that are about the blob, where nothing needs it. `None` where they were not looked for.
    pub entries: Option<Vec<EntryFacts>>,
    /// What follows, for people.
    pub conclusion: String,
    /// The earliest time at which it may go, in seconds since 1970, where that is known.
    pub goes: Option<Seconds>,
}

/// Where a blob is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobFacts {
    /// `live`, `condemned` or `gone`.
    pub state: String,
    /// The id of its bytes: the object, or file, `data/<generation>`.
    pub generation: String,
    /// Its size in bytes, as it is recorded.
    pub size: u64,
    /// The size of what is stored; `None` where nothing is.
    pub stored: Option<u64>,
}

/// Who holds a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HolderFacts {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest for which it is held; `None` is a lease: it was uploaded or mounted, and no manifest needs it yet.
    pub manifest: Option<Digest>,
    /// Tags of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Whether that counts.
    pub standing: Standing,
    /// Until when, or since when it does not, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Seconds>,
}

/// Whether a hold counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// The manifest is part of its repository.
    Needed,
    /// The lease runs, or the push may still be under way.
    Waiting,
    /// The lease is over, or the push came to nothing or was deleted.
    Lapsed,
}

/// A manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFacts {
    /// The repository.
    pub repository: RepositoryName,
    /// Its media type.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
    /// The id of its bytes: the object, or file, `data/<generation>`.
    pub generation: String,
    /// When it was pushed, in seconds since 1970.
    pub pushed: Seconds,
    /// Its tags.
    pub tags: Vec<String>,
    /// Indexes of the repository that list it.
    pub listed_by: Vec<Digest>,
}

/// An entry of the work list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFacts {
    /// Its kind.
    pub kind: String,
    /// When it is due, in seconds since 1970.
    pub due: Seconds,
}

impl Collector {
    /// Explains a digest: of a blob, or of a manifest where its repository is named.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn explain(&self, digest: &Digest, repository: Option<&RepositoryName>) -> Result<Explanation> {
        let core = &self.core;
        let blob = blob_facts(core, digest).await?;
        let (holders, more_holders) = holders(core, digest).await?;
        let manifest = match repository {
            Some(repository) => manifest_facts(core, repository, digest).await?,
            None => None,
        };
        let is_needed = holders.iter().any(|holder| holder.standing == Standing::Needed);
        let is_there = blob.as_ref().is_some_and(|blob| blob.state != "gone");
        let entries = if is_there && !is_needed { Some(entries_about(core, digest).await?) } else { None };
        let mut explanation = Explanation {
            digest: digest.clone(),
            blob,
            holders,
            more_holders,
            manifest,
            entries,
            conclusion: String::new(),
            goes: None,
        };
        conclude(&mut explanation);
        Ok(explanation)
    }
}

async fn blob_facts(core: &Core, digest: &Digest) -> Result<Option<BlobFacts>> {
    let Some(cell) = blob_record::load(core, digest).await? else { return Ok(None) };
    let state = match cell.value.state {
        BlobState::Live => "live",
        BlobState::Condemned => "condemned",
        BlobState::Gone => "gone",
    };
    Ok(Some(BlobFacts {
        state: state.to_owned(),
        generation: cell.value.generation.to_string(),
        size: cell.value.size,
        stored: core.data.size(&cell.value.generation).await?,
    }))
}

async fn holders(core: &Arc<Core>, digest: &Digest) -> Result<(Vec<HolderFacts>, bool)> {
    let request = ListRequest { prefix: &Key::holds(digest), after: None, fold: false, limit: MOST_HOLDERS };
    let page = core.records.list(request).await?;
    let mut views: BTreeMap<RepositoryName, Option<View>> = BTreeMap::new();
    let mut found = Vec::new();
    for key in page.entries.iter().filter_map(|entry| entry.key.parse().ok()) {
        let Key::Hold(_, repository, holder) = key else { continue };
        if !views.contains_key(&repository) {
            views.insert(repository.clone(), Handle::of(core, &repository).view(core).await?);
        }
        let view = views.get(&repository).and_then(Option::as_ref);
        found.push(holder_facts(core, repository.clone(), view, holder).await?);
    }
    Ok((found, page.next.is_some()))
}

async fn holder_facts(
    core: &Core,
    repository: RepositoryName,
    view: Option<&View>,
    holder: Holder,
) -> Result<HolderFacts> {
    let until = |time: Seconds| if time > core.now() { Standing::Waiting } else { Standing::Lapsed };
    let (manifest, push) = match holder {
        Holder::Lease { due, .. } => {
            let (manifest, tags, standing, time) = (None, Vec::new(), until(due), Some(due));
            return Ok(HolderFacts { repository, manifest, tags, standing, time });
        }
        Holder::Push { manifest, push } => (manifest, push),
    };
    if let Some(view) = view
        && view.manifest(&manifest).await?.is_some_and(|entry| entry.push == push)
    {
        let tags = view.tags_of(&manifest, MOST_TAGS).await?;
        return Ok(HolderFacts { repository, manifest: Some(manifest), tags, standing: Standing::Needed, time: None });
    }
    let time = push.made() + core.grace().as_secs();
    Ok(HolderFacts { repository, manifest: Some(manifest), tags: Vec::new(), standing: until(time), time: Some(time) })
}

async fn manifest_facts(core: &Arc<Core>, name: &RepositoryName, digest: &Digest) -> Result<Option<ManifestFacts>> {
    let Some(view) = Handle::of(core, name).view(core).await? else { return Ok(None) };
    let Some((_, entry)) = view.resolve(&Reference::Digest(digest.clone())).await? else { return Ok(None) };
    Ok(Some(ManifestFacts {
        repository: name.clone(),
        media_type: entry.media_type,
        size: entry.size,
        generation: entry.generation.to_string(),
        pushed: entry.at,
        tags: view.tags_of(digest, MOST_TAGS).await?,
        listed_by: view.listed_by(digest, MOST_HOLDERS).await?,
    }))
}

/// Searches the beginning of the work list.
async fn entries_about(core: &Arc<Core>, digest: &Digest) -> Result<Vec<EntryFacts>> {
    let (mut found, mut after, mut searched) = (Vec::new(), None::<String>, 0);
    loop {
        let (places, next) = page(core, after.as_deref()).await?;
        searched += places.len();
        let mut dues = futures::stream::iter(places)
            .map(|place| async move { (place, read(core, place).await) })
            .buffered(READ_AT_ONCE);
        while let Some((place, due)) = dues.next().await {
            if let Some(due) = due?.filter(|due| is_about(due, digest)) {
                found.push(EntryFacts { kind: kind(&due).to_owned(), due: place.time });
            }
        }
        match next {
            Some(next) if searched < MOST_ENTRIES => after = Some(next),
            _ => return Ok(found),
        }
    }
}

fn is_about(due: &Due, about: &Digest) -> bool {
    match due {
        Due::Blob(digest) | Due::Lease { digest, .. } => digest == about,
        Due::Push { blobs, .. } => blobs.contains(about),
        Due::Upload { .. } | Due::Segments { .. } => false,
    }
}

fn conclude(of: &mut Explanation) {
    let count = |standing| of.holders.iter().filter(|holder| holder.standing == standing).count();
    let (needed, waiting) = (count(Standing::Needed), count(Standing::Waiting));
    let held = of.holders.iter().filter(|holder| holder.standing == Standing::Waiting).filter_map(|holder| holder.time);
    let latest = held.max();
    let first = of.entries.iter().flatten().map(|entry| entry.due).min();
    let is_gone = of.blob.as_ref().is_some_and(|blob| blob.state == "gone");
    (of.conclusion, of.goes) = match (&of.blob, &of.manifest) {
        (None, Some(_)) => ("a manifest: it stays until somebody deletes it".to_owned(), None),
        (None, None) => {
            let text =
                "there is no blob of this digest, nor ever was. If it is that of a manifest, name its repository";
            (text.to_owned(), None)
        }
        _ if is_gone => ("it has gone; the record stays for the next upload of this digest".to_owned(), None),
        _ if needed > 0 => {
            let who = if needed == 1 { "a manifest needs" } else { "manifests need" };
            (format!("{who} it: it may go storage.gcDelay after the last of them is deleted"), None)
        }
        _ if waiting > 0 => {
            ("no manifest needs it yet: it may go when the last lease or push has lapsed".to_owned(), latest)
        }
        _ if first.is_some() => {
            ("nobody holds it: it goes at the first collection after its entry is due".to_owned(), first)
        }
        _ => {
            let text = "nobody holds it, and none of the first entries of the work list is about it: see wharf fsck";
            (text.to_owned(), None)
        }
    };
}
