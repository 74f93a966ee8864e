//! Group commit: all changes that wait for a repository at one replica become one compare-and-swap of its root.
//!
//! A change is applied to a draft of the root. Whoever loses the race to another replica reads the root again and applies the
//! same changes anew. When the answer to a swap is lost, the root is read: it remembers the ids of its latest commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use wharf_oci::{Digest, RepositoryName, Tag};
use wharf_store::{Put, StoreError, StoreResult, ahead};

use super::entry::{Entry, EntryKey, ManifestEntry, ReferrerEntry, TagEntry};
use super::handle::{CachedRoot, Handle, lock};
use super::root::{REMEMBERED_COMMITS, Root};
use super::tree::{self, Settled};
use super::view;
use crate::breaks::Break;
use crate::core::Core;
use crate::due::{self, Due};
use crate::key::{Id, Key};
use crate::push::TagLimit;
use crate::{backoff::Backoff, record};

/// How many changes one swap may carry.
const MAX_BATCH: usize = 256;

/// How long one batch may be tried.
const PATIENCE: Duration = Duration::from_secs(20);

/// For how many batches a repository counts as one to which others commit, after the last sign of them.
const CONTENDED: u32 = 8;

/// The longest that a batch waits for pushes that are about to join it.
const LONGEST_GATHERING: Duration = Duration::from_millis(100);

/// A change of a repository.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// A manifest with its tags and its referrer entry.
    Push(Box<Push>),
    /// Tags of a manifest that is there.
    SetTags(TagPush),
    /// A tag goes; its manifest stays.
    DeleteTag(Tag),
    /// A manifest goes, with all its tags.
    DeleteManifest(Box<Removal>),
    /// A collector makes every push that looked before begin again, and learns which of these pushes are in the root: the others
    /// never will be.
    Fence(Vec<(Digest, Id)>),
    /// A collector saw that a push is in the root, and tells removals that look meanwhile.
    Keep(Digest, Id),
    /// Changes nothing, so that a swap which is still under way is lost. Answers which of these segments are named.
    Touch(Vec<Id>),
}

/// See [`Change::Push`].
#[derive(Clone, Debug)]
pub(crate) struct Push {
    /// The fence counter of the root that the pusher looked at before it put its holds.
    pub(crate) fence: u64,
    pub(crate) entry: ManifestEntry,
    /// What an index lists: it must be in the repository.
    pub(crate) children: BTreeSet<Digest>,
    /// Its entry with its subject.
    pub(crate) referrer: Option<ReferrerEntry>,
    pub(crate) tags: TagPush,
}

/// See [`Change::SetTags`].
#[derive(Clone, Debug)]
pub(crate) struct TagPush {
    pub(crate) digest: Digest,
    pub(crate) tags: BTreeSet<Tag>,
    pub(crate) limits: BTreeMap<Tag, TagLimit>,
    pub(crate) by: Option<String>,
}

/// See [`Change::DeleteManifest`].
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    pub(crate) digest: Digest,
    /// The push under which it was found; under another one it is another manifest.
    pub(crate) push: Id,
    /// The counter of the root that was looked at before the due entries were put.
    pub(crate) kept: u64,
    pub(crate) children: BTreeSet<Digest>,
    pub(crate) subject: Option<Digest>,
    /// It stays if more tags than this name it.
    pub(crate) most_tags: usize,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// As asked.
    Done,
    /// The manifest had meanwhile been pushed by somebody else; only the tags were set.
    Already,
    /// To [`Change::Fence`] and [`Change::Touch`]: for each that was asked for, whether it is there.
    Present(Vec<bool>),
}

/// Why a change was not done. Except for the last two, it never will be.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// A collector looked in between: the caller has to begin again.
    Fenced,
    /// Children of an index are not in the repository.
    MissingChildren(Vec<Digest>),
    /// The tag or manifest is not in the repository.
    Absent,
    /// An index of the repository lists it.
    ListedBy(Digest),
    /// The pusher may not do this with the tag, which `exists` or does not.
    TagDenied { tag: Tag, exists: bool },
    /// So many tags name the manifest.
    Shared(usize),
    /// Too many other changes; whether this one was done is not known.
    Contended,
    /// The store failed; whether the change was done is not known.
    Store(Arc<StoreError>),
}

type Answer = Result<Committed, Refusal>;

struct Waiting {
    change: Change,
    reply: oneshot::Sender<Answer>,
}

/// Changes that wait, and whether somebody is committing.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Vec<Waiting>,
    running: bool,
}

/// What a batch waits for before it begins.
#[derive(Default)]
pub(crate) struct Gathering {
    /// Changes that were announced and do not wait in the queue yet.
    expected: AtomicUsize,
    arrived: Notify,
    /// How long the last swap took, in microseconds.
    swap_micros: AtomicU64,
}

/// A change that was announced by [`Handle::expect`], until it waits in the queue or will not come.
pub(crate) struct Expected(Arc<Handle>);

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.gathering.expected.fetch_sub(1, Ordering::Relaxed);
        self.0.gathering.arrived.notify_one();
    }
}

/// A swap of this batch that may have taken effect: the version that it would have made, its commit id, what it answers.
struct Attempt {
    version: u64,
    commit: Id,
    answers: Vec<Answer>,
    /// Segments that only this attempt wrote.
    segments: Vec<Id>,
}

impl Handle {
    /// Makes a change, together with all others that wait. It goes on when the caller goes away.
    pub(crate) async fn commit(self: &Arc<Self>, core: &Arc<Core>, change: Change) -> Answer {
        self.commit_expected(core, change, None).await
    }

    /// Makes a change that was announced.
    pub(crate) async fn commit_expected(
        self: &Arc<Self>,
        core: &Arc<Core>,
        change: Change,
        expected: Option<Expected>,
    ) -> Answer {
        let (reply, answer) = oneshot::channel();
        let start = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(Waiting { change, reply });
            !std::mem::replace(&mut queue.running, true)
        };
        drop(expected);
        if start {
            core.tasks.spawn(self.clone().run_commits(core.clone()));
        }
        answer.await.unwrap_or(Err(Refusal::Contended))
    }

    /// Announces a change, so that a batch which is about to begin may wait for it.
    pub(crate) fn expect(self: &Arc<Self>) -> Expected {
        self.gathering.expected.fetch_add(1, Ordering::Relaxed);
        Expected(self.clone())
    }

    /// Where others commit to the repository too, each swap may be lost, or make another replica lose its own. So it waits for the
    /// changes that are on their way, as long as four swaps take: about the calls that a push makes before.
    async fn gather(&self) {
        if self.contended.load(Ordering::Relaxed) == 0 {
            return;
        }
        let gathering = &self.gathering;
        let limit = Duration::from_micros(gathering.swap_micros.load(Ordering::Relaxed)).saturating_mul(4);
        let all = async {
            while gathering.expected.load(Ordering::Relaxed) > 0 {
                gathering.arrived.notified().await;
            }
        };
        let _ = tokio::time::timeout(limit.min(LONGEST_GATHERING), all).await;
    }

    async fn run_commits(self: Arc<Self>, core: Arc<Core>) {
        loop {
            self.gather().await;
            let batch: Vec<Waiting> = {
                let mut queue = lock(&self.queue);
                if queue.waiting.is_empty() {
                    queue.running = false;
                    return;
                }
                let n = queue.waiting.len().min(MAX_BATCH);
                queue.waiting.drain(..n).collect()
            };
            let (changes, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|w| (w.change, w.reply)).unzip();
            let answers = self.commit_batch(&core, &changes).await;
            for (reply, answer) in replies.into_iter().zip(answers) {
                let _ = reply.send(answer);
            }
        }
    }

    /// Commits a batch; one answer for each change, in order.
    async fn commit_batch(&self, core: &Arc<Core>, changes: &[Change]) -> Vec<Answer> {
        let mut attempts = Vec::new();
        let tried = tokio::time::timeout(PATIENCE, self.try_batch(core, changes, &mut attempts)).await;
        match tried {
            Ok(Ok(answers)) => answers,
            Ok(Err(refusal)) => changes.iter().map(|_| Err(refusal.clone())).collect(),
            Err(_) => changes.iter().map(|_| Err(Refusal::Contended)).collect(),
        }
    }

    async fn try_batch(
        &self,
        core: &Arc<Core>,
        changes: &[Change],
        attempts: &mut Vec<Attempt>,
    ) -> Result<Vec<Answer>, Refusal> {
        let mut backoff = Backoff::new();
        // The latest known version, or none, is good enough to begin with: when it is old, the swap is lost. Where others commit as well
        // it mostly is old, and to ask first costs less than to lose.
        let known = core.roots.get(&self.name);
        let contended = self.contended.load(Ordering::Relaxed);
        let mut is_current = contended > 0;
        let mut base = if is_current { self.fetch(core).await.map_err(failed)? } else { known.clone() };
        let has_changed = base.as_ref().map(|b| b.root.version) != known.map(|k| k.root.version);
        let contended = if is_current && has_changed { CONTENDED } else { contended.saturating_sub(1) };
        self.contended.store(contended, Ordering::Relaxed);
        loop {
            let known = base.as_ref().map(|b| b.etag.clone());
            let mut draft = base.as_ref().map_or_else(Root::default, |b| Root::clone(&b.root));
            let mut answers = Vec::with_capacity(changes.len());
            let mut touched = false;
            for change in changes {
                let answer = apply(core, &self.name, &mut draft, change, &mut touched).await.map_err(failed)?;
                answers.push(answer);
            }
            if !touched {
                if is_current {
                    return Ok(answers);
                }
                (base, is_current) = (self.fetch(core).await.map_err(failed)?, true);
                continue;
            }
            let commit = core.id();
            let settled = tree::settle(core, &self.name, &mut draft).await.map_err(failed)?;
            let segments = settled.fresh.keys().copied().collect();
            draft.seal(commit, core.now());
            let version = draft.version;
            let late = if core.broken(Break::SegmentsAfterRoot) {
                Some(settled)
            } else {
                write_segments(core, &self.name, version, settled).await.map_err(failed)?;
                None
            };
            attempts.push(Attempt { version: draft.version, commit, answers, segments });
            match self.swap_root(core, known.as_ref(), draft).await {
                Ok(true) if late.is_some() => {
                    write_segments(core, &self.name, version, late.unwrap_or_default()).await.map_err(failed)?;
                    return Ok(attempts.pop().map(|a| a.answers).unwrap_or_default());
                }
                Ok(true) => return Ok(attempts.pop().map(|a| a.answers).unwrap_or_default()),
                Ok(false) => {}
                Err(e) if e.is_transient() => {
                    if core.broken(Break::CommitNotLookedUp) {
                        attempts.clear();
                    }
                    tracing::warn!(repository = %self.name, error = %e, "a commit got no answer; looking it up");
                }
                Err(e) => return Err(failed(e)),
            }
            // Lost, or its answer was. The root knows, unless too many commits came after. It is read after the pause: what was read
            // before would be old by then, and the next swap lost again.
            self.contended.store(CONTENDED, Ordering::Relaxed);
            backoff.pause(core).await;
            base = self.look_up(core, &mut backoff).await?;
            is_current = true;
            let outcome = landed(base.as_ref(), attempts)?;
            self.drop_segments(core, outcome.dead);
            if let Some(answers) = outcome.answers {
                return Ok(answers);
            }
        }
    }

    /// Behind the answer: segments of attempts that can no longer take effect.
    fn drop_segments(&self, core: &Arc<Core>, ids: Vec<Id>) {
        if ids.is_empty() {
            return;
        }
        let (core, name) = (core.clone(), self.name.clone());
        core.clone().tasks.spawn(async move {
            for id in ids {
                if let Err(e) = core.records.delete(&Key::Segment(name.clone(), id).to_string()).await {
                    tracing::debug!(repository = %name, error = %e, "a segment stays for the collector");
                }
            }
        });
    }

    async fn swap_root(&self, core: &Core, known: Option<&wharf_store::ETag>, draft: Root) -> StoreResult<bool> {
        let key = Key::Root(self.name.clone());
        let (path, bytes) = (key.to_string(), record::encode(&key, &draft)?);
        let begin = Instant::now();
        let put = match known {
            _ if core.broken(Break::Unconditional) => Put::Done(core.records.put(&path, bytes).await?),
            Some(etag) => core.records.put_if_match(&path, bytes, etag).await?,
            None => core.records.put_if_absent(&path, bytes).await?,
        };
        let took = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.gathering.swap_micros.store(took, Ordering::Relaxed);
        let Put::Done(etag) = put else { return Ok(false) };
        self.remember(core, &CachedRoot { etag, root: Arc::new(draft) });
        Ok(true)
    }

    /// Reads the root until the store answers.
    async fn look_up(&self, core: &Core, backoff: &mut Backoff) -> Result<Option<CachedRoot>, Refusal> {
        loop {
            match self.fetch(core).await {
                Ok(base) => return Ok(base),
                Err(e) if e.is_transient() && backoff.goes_on() => backoff.pause(core).await,
                Err(e) => return Err(failed(e)),
            }
        }
    }
}

/// What became of the attempts so far.
#[derive(Default)]
struct Landed {
    /// The answers of the one that took effect, if one did.
    answers: Option<Vec<Answer>>,
    /// Segments of those that never will.
    dead: Vec<Id>,
}

/// Looks the attempts up in the root.
///
/// # Errors
/// When an attempt can no longer be looked up.
fn landed(now: Option<&CachedRoot>, attempts: &mut Vec<Attempt>) -> Result<Landed, Refusal> {
    let Some(root) = now.map(|n| &n.root) else { return Ok(Landed::default()) };
    if let Some(at) = attempts.iter().position(|a| root.commits.contains(&a.commit)) {
        let answers = Some(attempts.swap_remove(at).answers);
        return Ok(Landed { answers, dead: Vec::new() });
    }
    let forgotten = |a: &Attempt| root.version >= a.version + REMEMBERED_COMMITS as u64;
    if attempts.iter().any(forgotten) {
        return Err(Refusal::Contended);
    }
    // Where its version was made by somebody else, an attempt cannot take effect any more.
    let (alive, dead): (Vec<_>, Vec<_>) = std::mem::take(attempts).into_iter().partition(|a| root.version < a.version);
    *attempts = alive;
    Ok(Landed { answers: None, dead: dead.into_iter().flat_map(|a| a.segments).collect() })
}

fn failed(error: StoreError) -> Refusal {
    Refusal::Store(Arc::new(error))
}

/// Writes new segments before the root that names them, and a due entry before both: should the root never name the new ones,
/// or no longer name the old ones, the collector finds them.
async fn write_segments(core: &Core, name: &RepositoryName, version: u64, settled: Settled) -> StoreResult<()> {
    if settled.fresh.is_empty() && settled.replaced.is_empty() {
        return Ok(());
    }
    let ids = settled.fresh.keys().copied().chain(settled.replaced).collect();
    ahead(due::put(core, Due::Segments { repository: name.clone(), version, ids })).await?;
    let writes = settled.fresh.iter().map(|(id, segment)| {
        let key = Key::Segment(name.clone(), *id);
        async move { record::create(core.records.as_ref(), &key, &**segment).await.map(drop) }
    });
    ahead(futures::future::try_join_all(writes)).await?;
    for (id, segment) in settled.fresh {
        core.segments.insert(id, segment);
    }
    Ok(())
}

/// Applies one change to a draft, wholly or not at all.
async fn apply(
    core: &Core,
    name: &RepositoryName,
    draft: &mut Root,
    change: &Change,
    touched: &mut bool,
) -> StoreResult<Answer> {
    match change {
        Change::Push(push) => apply_push(core, name, draft, push, touched).await,
        Change::SetTags(tags) => apply_tags(core, name, draft, tags, touched).await,
        Change::DeleteTag(tag) => {
            let key = EntryKey::tag(tag);
            let Some(Entry::Tag(entry)) = tree::get(core, name, draft, &key).await? else {
                return Ok(Err(Refusal::Absent));
            };
            draft.set(EntryKey::tag_of(&entry.manifest, tag), None);
            draft.set(key, None);
            *touched = true;
            Ok(Ok(Committed::Done))
        }
        Change::DeleteManifest(removal) => apply_removal(core, name, draft, removal, touched).await,
        Change::Fence(pushes) => {
            let mut present = Vec::with_capacity(pushes.len());
            for (digest, push) in pushes {
                let entry = view::manifest(core, name, draft, digest).await?;
                present.push(entry.is_some_and(|entry| entry.push == *push));
            }
            draft.fence += 1;
            *touched = true;
            Ok(Ok(Committed::Present(present)))
        }
        Change::Keep(digest, push) => match view::manifest(core, name, draft, digest).await? {
            Some(entry) if entry.push == *push => {
                draft.kept += 1;
                *touched = true;
                Ok(Ok(Committed::Done))
            }
            _ => Ok(Err(Refusal::Absent)),
        },
        Change::Touch(segments) => {
            let named = tree::named(core, name, draft).await?;
            *touched = true;
            Ok(Ok(Committed::Present(segments.iter().map(|id| named.contains(id)).collect())))
        }
    }
}

async fn apply_push(
    core: &Core,
    name: &RepositoryName,
    draft: &mut Root,
    push: &Push,
    touched: &mut bool,
) -> StoreResult<Answer> {
    let digest = &push.tags.digest;
    if view::manifest(core, name, draft, digest).await?.is_some() {
        let answer = apply_tags(core, name, draft, &push.tags, touched).await?;
        return Ok(answer.map(|_| Committed::Already));
    }
    if draft.fence != push.fence {
        return Ok(Err(Refusal::Fenced));
    }
    let mut missing = Vec::new();
    for child in &push.children {
        if view::manifest(core, name, draft, child).await?.is_none() {
            missing.push(child.clone());
        }
    }
    if !missing.is_empty() {
        return Ok(Err(Refusal::MissingChildren(missing)));
    }
    if let Some(denied) = denied_tag(core, name, draft, &push.tags).await? {
        return Ok(Err(denied));
    }
    for child in &push.children {
        draft.set(EntryKey::listed_by(child, digest), Some(Entry::Mark));
    }
    if let (Some(subject), Some(referrer)) = (&push.entry.subject, &push.referrer) {
        draft.set(EntryKey::referrer(subject, digest), Some(Entry::Referrer(referrer.clone())));
    }
    draft.set(EntryKey::manifest(digest), Some(Entry::Manifest(push.entry.clone())));
    *touched = true;
    apply_tags(core, name, draft, &push.tags, touched).await
}

async fn apply_tags(
    core: &Core,
    name: &RepositoryName,
    draft: &mut Root,
    push: &TagPush,
    touched: &mut bool,
) -> StoreResult<Answer> {
    if view::manifest(core, name, draft, &push.digest).await?.is_none() {
        return Ok(Err(Refusal::Absent));
    }
    if let Some(denied) = denied_tag(core, name, draft, push).await? {
        return Ok(Err(denied));
    }
    for tag in &push.tags {
        let key = EntryKey::tag(tag);
        if let Some(Entry::Tag(old)) = tree::get(core, name, draft, &key).await?
            && old.manifest != push.digest
        {
            draft.set(EntryKey::tag_of(&old.manifest, tag), None);
        }
        let entry = TagEntry { manifest: push.digest.clone(), at: core.now(), by: push.by.clone() };
        draft.set(key, Some(Entry::Tag(entry)));
        draft.set(EntryKey::tag_of(&push.digest, tag), Some(Entry::Mark));
        *touched = true;
    }
    Ok(Ok(Committed::Done))
}

/// The first tag with which the pusher may not do what it asks for. A tag that names the manifest already may always be set again.
async fn denied_tag(core: &Core, name: &RepositoryName, draft: &Root, push: &TagPush) -> StoreResult<Option<Refusal>> {
    for (tag, limit) in push.limits.iter().filter(|(tag, _)| push.tags.contains(*tag)) {
        let there = match tree::get(core, name, draft, &EntryKey::tag(tag)).await? {
            Some(Entry::Tag(entry)) => Some(entry.manifest),
            _ => None,
        };
        let exists = there.is_some();
        let denied = match limit {
            TagLimit::OnlyNew => there.is_some_and(|manifest| manifest != push.digest),
            TagLimit::OnlyExisting => !exists,
        };
        if denied {
            return Ok(Some(Refusal::TagDenied { tag: tag.clone(), exists }));
        }
    }
    Ok(None)
}

async fn apply_removal(
    core: &Core,
    name: &RepositoryName,
    draft: &mut Root,
    removal: &Removal,
    touched: &mut bool,
) -> StoreResult<Answer> {
    let digest = &removal.digest;
    match view::manifest(core, name, draft, digest).await? {
        Some(entry) if entry.push == removal.push => {}
        _ => return Ok(Err(Refusal::Absent)),
    }
    if draft.kept != removal.kept && !core.broken(Break::KeptIgnored) {
        return Ok(Err(Refusal::Fenced));
    }
    let listing = tree::scan(core, name, draft, &EntryKey::all_listing(digest), None, 1).await?;
    if let Some((key, _)) = listing.first() {
        return Ok(Err(Refusal::ListedBy(view::last(name, key)?)));
    }
    let tags = tree::scan(core, name, draft, &EntryKey::all_tags_of(digest), None, usize::MAX).await?;
    if tags.len() > removal.most_tags {
        return Ok(Err(Refusal::Shared(tags.len())));
    }
    for (key, _) in tags {
        draft.set(EntryKey::tag(&view::last(name, &key)?), None);
        draft.set(key, None);
    }
    for child in &removal.children {
        draft.set(EntryKey::listed_by(child, digest), None);
    }
    if let Some(subject) = &removal.subject {
        draft.set(EntryKey::referrer(subject, digest), None);
    }
    draft.set(EntryKey::manifest(digest), None);
    *touched = true;
    Ok(Ok(Committed::Done))
}
