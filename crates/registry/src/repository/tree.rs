//! The state of a repository as an ordered map: recent changes in the root over a tree of immutable segments.
//!
//! Reading looks into the root first and then down the tree. When the root's recent changes grow over a limit, those of the leaf
//! that has the most of them are merged into a new copy of that leaf ([`settle`]): a push rewrites a root of bounded size, and
//! now and then one leaf and the inner segments above it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use wharf_oci::RepositoryName;
use wharf_store::{StoreError, StoreResult};

use super::entry::{Entry, EntryKey};
use super::root::Root;
use super::segment::{self, Child, Segment, child_for};
use crate::core::Core;
use crate::key::Id;

/// Limits of the tree's pieces, in bytes and in children.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Recent changes above this are settled ...
    pub recent_high: usize,
    /// ... until they are below this.
    pub recent_low: usize,
    /// A leaf above this is split.
    pub leaf: usize,
    /// A root or an inner segment with more children is split.
    pub fanout: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self { recent_high: 16 << 10, recent_low: 15 << 10, leaf: 16 << 10, fanout: 128 }
    }
}

/// A place in the tree: a leaf, and where the next one begins.
struct Place {
    leaf: Option<Arc<Segment>>,
    /// Keys from here on are in another leaf; `None` where this is the last.
    end: Option<EntryKey>,
}

/// The leaf in which `key` would be.
async fn find(core: &Core, name: &RepositoryName, root: &Root, key: &str) -> StoreResult<Place> {
    let mut end: Option<EntryKey> = None;
    let Some(first) = root.children.first() else { return Ok(Place { leaf: None, end }) };
    if key < first.first.as_str() {
        return Ok(Place { leaf: None, end: Some(first.first.clone()) });
    }
    let step = |children: &[Child], end: &mut Option<EntryKey>| {
        let at = child_for(children, key);
        if let Some(next) = children.get(at + 1) {
            *end = Some(next.first.clone());
        }
        children.get(at).map(|c| c.id)
    };
    let mut id = step(&root.children, &mut end);
    while let Some(this) = id {
        let segment = segment::load(core, name, this).await?;
        match &*segment {
            Segment::Leaf(_) => return Ok(Place { leaf: Some(segment), end }),
            Segment::Inner(children) => id = step(children, &mut end),
        }
    }
    Err(StoreError::corrupt(name, "an inner segment has no children"))
}

/// The entry behind a key.
pub(crate) async fn get(core: &Core, name: &RepositoryName, root: &Root, key: &EntryKey) -> StoreResult<Option<Entry>> {
    if let Some(recent) = root.recent.get(key) {
        return Ok(recent.clone());
    }
    let place = find(core, name, root, key.as_str()).await?;
    Ok(place.leaf.as_deref().and_then(|leaf| match leaf {
        Segment::Leaf(entries) => entries.binary_search_by(|(k, _)| k.cmp(key)).ok().map(|at| entries[at].1.clone()),
        Segment::Inner(_) => None,
    }))
}

/// At most `limit` entries whose keys begin with `prefix` and come after `after`, in order.
pub(crate) async fn scan(
    core: &Core,
    name: &RepositoryName,
    root: &Root,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> StoreResult<Vec<(EntryKey, Entry)>> {
    let mut found = Vec::new();
    let mut from: Box<str> = after.filter(|a| *a >= prefix).unwrap_or(prefix).into();
    loop {
        let Place { leaf, end } = find(core, name, root, &from).await?;
        let inside = |key: &EntryKey| end.as_ref().is_none_or(|end| key < end);
        let mut merged: BTreeMap<&EntryKey, Option<&Entry>> = BTreeMap::new();
        if let Some(Segment::Leaf(entries)) = leaf.as_deref() {
            let start = entries.partition_point(|(k, _)| k.as_str() < &*from);
            let wanted = entries[start..].iter().take_while(|(k, _)| k.as_str().starts_with(prefix));
            merged.extend(wanted.map(|(k, e)| (k, Some(e))));
        }
        let recent =
            root.recent.range::<str, _>((Bound::Included(&*from), Bound::Unbounded)).take_while(|(k, _)| inside(k));
        merged.extend(recent.take_while(|(k, _)| k.as_str().starts_with(prefix)).map(|(k, e)| (k, e.as_ref())));
        for (key, entry) in merged {
            if after.is_some_and(|after| key.as_str() <= after) {
                continue;
            }
            if let Some(entry) = entry {
                found.push((key.clone(), entry.clone()));
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
        match end {
            Some(end) if end.as_str().starts_with(prefix) => from = end.as_str().into(),
            _ => return Ok(found),
        }
    }
}

/// The ids of all segments that a root names, itself or through inner segments.
pub(crate) async fn named(core: &Core, name: &RepositoryName, root: &Root) -> StoreResult<BTreeSet<Id>> {
    let mut named = BTreeSet::new();
    let mut level: Vec<Id> = root.children.iter().map(|c| c.id).collect();
    while let Some(first) = level.first() {
        // All segments of a level are of one kind, so that leaves, but for one, need not be read.
        let is_leaves = matches!(&*segment::load(core, name, *first).await?, Segment::Leaf(_));
        named.extend(level.iter().copied());
        let mut below = Vec::new();
        for id in level.drain(..).filter(|_| !is_leaves) {
            if let Segment::Inner(children) = &*segment::load(core, name, id).await? {
                below.extend(children.iter().map(|c| c.id));
            }
        }
        level = below;
    }
    Ok(named)
}

/// What settling a root made and left behind.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// New segments: to be written before the root that names them.
    pub(crate) fresh: BTreeMap<Id, Arc<Segment>>,
    /// Segments that the new root no longer names.
    pub(crate) replaced: Vec<Id>,
}

/// Moves recent changes into segments until few enough are left.
pub(crate) async fn settle(core: &Core, name: &RepositoryName, root: &mut Root) -> StoreResult<Settled> {
    let shape = core.options.shape;
    let mut settled = Settled::default();
    if root.recent_weight() <= shape.recent_high {
        return Ok(settled);
    }
    while root.recent_weight() > shape.recent_low {
        let path = heaviest_leaf(core, name, root, &settled).await?;
        settle_leaf(core, name, root, &mut settled, path).await?;
    }
    Ok(settled)
}

/// The way to a leaf: the children of each level and which of them to take; empty where there is no segment yet. `end` is where
/// the next leaf begins.
struct Path {
    levels: Vec<(Vec<Child>, usize)>,
    start: Option<EntryKey>,
    end: Option<EntryKey>,
}

async fn load(core: &Core, name: &RepositoryName, settled: &Settled, id: Id) -> StoreResult<Arc<Segment>> {
    match settled.fresh.get(&id) {
        Some(segment) => Ok(segment.clone()),
        None => segment::load(core, name, id).await,
    }
}

async fn path_to(
    core: &Core,
    name: &RepositoryName,
    root: &Root,
    settled: &Settled,
    key: &EntryKey,
) -> StoreResult<Path> {
    let mut path = Path { levels: Vec::new(), start: None, end: None };
    let mut children = root.children.clone();
    while !children.is_empty() {
        let at = child_for(&children, key.as_str());
        if let Some(next) = children.get(at + 1) {
            path.end = Some(next.first.clone());
        }
        if at > 0 {
            path.start = Some(children[at].first.clone());
        }
        let segment = load(core, name, settled, children[at].id).await?;
        path.levels.push((children, at));
        children = match &*segment {
            Segment::Leaf(_) => break,
            Segment::Inner(children) => children.clone(),
        };
    }
    Ok(path)
}

/// The leaf to which most of the recent changes belong, by weight.
async fn heaviest_leaf(core: &Core, name: &RepositoryName, root: &Root, settled: &Settled) -> StoreResult<Path> {
    let mut heaviest: Option<(usize, Path)> = None;
    let mut current: Option<(usize, Path)> = None;
    for (key, entry) in &root.recent {
        let weight = Entry::weight(key, entry.as_ref());
        match &mut current {
            Some((sum, path)) if path.end.as_ref().is_none_or(|end| key < end) => *sum += weight,
            _ => {
                heaviest = heavier(heaviest, current.take());
                current = Some((weight, path_to(core, name, root, settled, key).await?));
            }
        }
    }
    let heaviest = heavier(heaviest, current).map(|(_, path)| path);
    heaviest.ok_or_else(|| StoreError::corrupt(name, "no recent changes to settle"))
}

fn heavier(a: Option<(usize, Path)>, b: Option<(usize, Path)>) -> Option<(usize, Path)> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// Merges the recent changes that belong to one leaf into a new copy of it.
async fn settle_leaf(
    core: &Core,
    name: &RepositoryName,
    root: &mut Root,
    settled: &mut Settled,
    path: Path,
) -> StoreResult<()> {
    let mut entries: BTreeMap<EntryKey, Entry> = BTreeMap::new();
    if let Some((children, at)) = path.levels.last()
        && let Segment::Leaf(old) = &*load(core, name, settled, children[*at].id).await?
    {
        entries.extend(old.iter().cloned());
    }
    let belongs = |key: &EntryKey| {
        path.start.as_ref().is_none_or(|start| key >= start) && path.end.as_ref().is_none_or(|end| key < end)
    };
    let (mine, rest) = std::mem::take(&mut root.recent).into_iter().partition(|(k, _)| belongs(k));
    root.recent = rest;
    let mine: BTreeMap<EntryKey, Option<Entry>> = mine;
    for (key, entry) in mine {
        match entry {
            Some(entry) => drop(entries.insert(key, entry)),
            None => drop(entries.remove(&key)),
        }
    }
    let shape = core.options.shape;
    let leaves = split(entries.into_iter().collect(), shape.leaf, |(k, e)| Entry::weight(k, Some(e)));
    let mut replacement: Vec<Child> =
        leaves.into_iter().map(|entries| keep(core, settled, entries[0].0.clone(), Segment::Leaf(entries))).collect();
    for (depth, (mut children, at)) in path.levels.into_iter().enumerate().rev() {
        let old = children.splice(at..=at, replacement).next();
        if let Some(old) = old
            && settled.fresh.remove(&old.id).is_none()
        {
            settled.replaced.push(old.id);
        }
        replacement = if depth == 0 { children } else { grouped(core, settled, children) };
    }
    while replacement.len() > shape.fanout {
        replacement = grouped(core, settled, replacement);
    }
    root.children = replacement;
    Ok(())
}

/// Inner segments over these children.
fn grouped(core: &Core, settled: &mut Settled, children: Vec<Child>) -> Vec<Child> {
    let groups = split(children, core.options.shape.fanout, |_| 1);
    groups.into_iter().map(|g| keep(core, settled, g[0].first.clone(), Segment::Inner(g))).collect()
}

fn keep(core: &Core, settled: &mut Settled, first: EntryKey, segment: Segment) -> Child {
    let id = core.id();
    settled.fresh.insert(id, Arc::new(segment));
    Child { first, id }
}

/// Cuts a list into non-empty runs of about equal weight, none heavier than `most` unless a single item is.
fn split<T>(items: Vec<T>, most: usize, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let total: usize = items.iter().map(&weight).sum();
    let share = total.div_ceil(total.div_ceil(most).max(1));
    let mut runs: Vec<Vec<T>> = Vec::new();
    let mut filled = 0;
    for item in items {
        let w = weight(&item);
        match runs.last_mut() {
            Some(run) if filled + w <= share => {
                filled += w;
                run.push(item);
            }
            _ => {
                filled = w;
                runs.push(vec![item]);
            }
        }
    }
    runs
}
