//! A walk over everything on purpose: what is lost, what is in danger, what nobody will ever free.
//!
//! The collector never walks; it trusts that whoever could leave something behind put an entry on its list before. This walk does not
//! trust: it looks at every record and all data. It runs beside replicas that push, delete and collect, and takes nothing from them:
//! it only reads, unless it is told to repair.
//!
//! # No false alarms
//! Nothing stands still while it is walked, so that a first look proves nothing. Each kind of finding is looked at again in an order
//! that the protocol (`docs/ARCHITECTURE.md`) makes conclusive:
//!
//! - **A manifest in a root lacks something**: its bytes, a hold, the record of a blob, a child. All of that is there before the root
//!   has the manifest, and goes only after the root lets go of it; and a push id never comes back. So if the root has the manifest under
//!   one push id before *and* after the look, it had it during the look, and what was missing then is a finding. A manifest that was
//!   deleted meanwhile is none. (`repositories`)
//! - **A root names a segment that is not there.** A segment's id never comes back to a root either: if a read of the root names
//!   it, the segment is missing after that, and a later read of the root still names it, it was named in between. (`repositories`)
//! - **A hold, a lease, a segment, an unheld blob, a session that nobody will look at.** See `suspect`: work list, root, work list, and
//!   then whether it is still there.
//! - **A condemned blob** is none: collectors condemn, look, and take it back, also where a manifest needs the blob. It is one where
//!   no entry of the work list names the blob and the record is still the same one after that.
//! - **Data that nothing names.** See `data`: first the data are listed, then everything that may name them, in the order in which a
//!   name is passed on.
//! - **Bytes that are missing or damaged** count if the blob's record is the same before and after they were looked at: a collector
//!   deletes bytes only after the record says gone.
//!
//! Where something on the way cannot be read, what depends on it is not judged and counted as skipped: it is no finding, and nothing is
//! repaired by it.
//!
//! # Repairs
//! Only steps of the protocol; see `repair`.
//!
//! # Memory
//! One page of a listing, at most [`FsckOptions::suspects`] suspects, the caches of a registry of its own, and [`FsckOptions::batch`] ids
//! of data, 64 bytes each. For a repository with segments the ids of these, about 50 bytes for 32 KiB of its state. Nothing grows with
//! the number of blobs or repositories.
//!
//! # Going on
//! A walk is a row of steps, each of which looks at a page or a batch. Between two steps it says where it stands ([`Event::Checkpoint`]),
//! and another process can go on from there. A step that was interrupted is done again; it changed nothing.

mod blobs;
mod data;
mod event;
mod holds;
mod repair;
mod repositories;
mod scrub;
mod segments;
mod suspect;
mod unfinished;
mod uploads;
mod work_list;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wharf_oci::Digest;
use wharf_store::{Entry, ListPage, ListRequest, StoreError};

pub use event::{Event, Finding, Kind, Phase, Progress, Repair, Severity, State, Summary};
use suspect::Suspect;

use crate::core::Core;
use crate::env::Seconds;
use crate::error::{Error, Result};
use crate::registry::{Options, Registry};

/// How a walk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FsckOptions {
    /// Whether findings are repaired.
    pub repair: bool,
    /// Whether the bytes of all blobs are read and hashed.
    pub scrub: bool,
    /// How many calls of the store there may be at a time.
    pub at_once: usize,
    /// How many ids of data are compared with everything that may name them in one go. The records of all blobs and the state of all
    /// repositories are read once for each batch.
    pub batch: usize,
    /// How many suspects are collected before they are looked at again. The work list is read twice for that.
    pub suspects: usize,
}

impl Default for FsckOptions {
    fn default() -> Self {
        Self { repair: false, scrub: false, at_once: 16, batch: 500_000, suspects: 5_000 }
    }
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It came to its end.
    Complete(Summary),
    /// It was stopped; the last checkpoint says where.
    Stopped,
}

/// How many keys of a listing are looked at in one step.
const PAGE: usize = 500;
/// How much repository state the walk keeps in memory, in bytes.
const CACHE: u64 = 32 << 20;
/// How many blobs are remembered as live, each some 150 bytes.
const REMEMBERED: usize = 65_536;
/// How often it says how far it is, and where it could go on.
const BEAT: Duration = Duration::from_millis(500);

impl Registry {
    /// Walks everything, from `state` on, and says on `events` what it finds. Stops between two calls of the store when `stop` is
    /// cancelled or nobody listens any more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn fsck(
        &self,
        options: FsckOptions,
        state: State,
        events: mpsc::Sender<Event>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<Ended>> {
        let walk = Walk {
            core: Arc::new(own_core(&self.core)),
            seen_live: Cache::new(REMEMBERED),
            options,
            events,
            stop,
            bytes: AtomicU64::new(state.summary.bytes),
        };
        async move {
            let ended = Run { walk: &walk, state, said: Instant::now() }.go().await;
            walk.core.tasks.close();
            walk.core.tasks.wait().await;
            ended
        }
        .boxed()
    }
}

/// The same stores with caches of their own: what a server remembers may no longer be there, and a walk must not push it out.
fn own_core(core: &Core) -> Core {
    let options = Options { grace: core.grace(), cache_memory: CACHE, upload_memory: 0, ..core.options.clone() };
    Core::new(core.records.clone(), core.data.clone(), core.env.clone(), options)
}

/// What every step uses.
pub(crate) struct Walk {
    core: Arc<Core>,
    options: FsckOptions,
    events: mpsc::Sender<Event>,
    stop: CancellationToken,
    /// Blobs that were seen live since the walk began. Most manifests share theirs with others.
    seen_live: Cache<Digest, ()>,
    /// Bytes that were read and hashed.
    bytes: AtomicU64,
}

/// What one step saw.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// How many things were looked at.
    checked: u64,
    /// What is wrong for certain.
    findings: Vec<Kind>,
    /// What looks wrong.
    suspects: Vec<Suspect>,
    /// What could not be judged.
    skipped: Vec<String>,
}

impl Looked {
    fn finding(kind: Kind) -> Self {
        Self { findings: vec![kind], ..Self::default() }
    }

    fn suspect(suspect: Suspect) -> Self {
        Self { suspects: vec![suspect], ..Self::default() }
    }

    fn add(&mut self, other: Self) {
        self.checked += other.checked;
        self.findings.extend(other.findings);
        self.suspects.extend(other.suspects);
        self.skipped.extend(other.skipped);
    }
}

/// A step that was made.
struct Step {
    looked: Looked,
    to: To,
    /// Which part of the phase is done, where that can be told.
    share: Option<f64>,
}

/// Where a phase goes after a step.
enum To {
    /// On, after this key.
    Next(Option<String>),
    /// It is over.
    End,
}

impl From<Option<String>> for To {
    /// As a listing says it.
    fn from(next: Option<String>) -> Self {
        next.map_or(Self::End, |next| Self::Next(Some(next)))
    }
}

/// One walk as it goes.
struct Run<'a> {
    walk: &'a Walk,
    state: State,
    said: Instant,
}

impl Run<'_> {
    async fn go(&mut self) -> Result<Ended> {
        while self.state.phase != Phase::Done {
            let stop = self.walk.stop.clone();
            // A step only reads, so that it may be dropped anywhere.
            let step = tokio::select! {
                biased;
                () = stop.cancelled() => {
                    self.checkpoint().await;
                    return Ok(Ended::Stopped);
                }
                step = self.walk.step(&mut self.state) => step?,
            };
            self.take(step).await;
        }
        self.checkpoint().await;
        let summary = self.state.summary.clone();
        self.walk.say(Event::Done(summary.clone())).await;
        Ok(Ended::Complete(summary))
    }

    /// Takes in what a step saw, and goes where it says.
    async fn take(&mut self, step: Step) {
        let Step { looked, to, share } = step;
        let phase = self.state.phase;
        *self.state.summary.checked.entry(phase).or_default() += looked.checked;
        self.state.summary.bytes = self.walk.bytes.load(Ordering::Relaxed);
        for reason in looked.skipped {
            self.state.summary.skipped += 1;
            self.walk.say(Event::Skipped { reason }).await;
        }
        let has_found = !looked.findings.is_empty();
        for kind in looked.findings {
            *self.state.summary.findings.entry(kind.name().to_owned()).or_default() += 1;
            self.state.summary.lost += u64::from(kind.severity() == Severity::Lost);
            let finding = self.walk.treat(kind, self.state.summary.lost == 0).await;
            self.walk.say(Event::Finding(finding)).await;
        }
        self.state.suspects.extend(looked.suspects);
        let is_over = matches!(to, To::End);
        // What was found is not found again by whoever goes on from here.
        let is_due = is_over || has_found || self.said.elapsed() >= BEAT;
        if is_due {
            let share = if is_over { Some(1.0) } else { share };
            self.walk.say(Event::Progress(self.walk.progress(&self.state, share))).await;
        }
        match to {
            To::Next(after) => self.state.after = after,
            To::End => (self.state.after, self.state.phase) = (None, phase.next()),
        }
        if is_due {
            self.checkpoint().await;
            self.said = Instant::now();
        }
    }

    async fn checkpoint(&self) {
        self.walk.say(Event::Checkpoint(self.state.clone())).await;
    }
}

impl Walk {
    /// Makes the next step.
    async fn step(&self, state: &mut State) -> Result<Step> {
        if state.suspects.len() >= self.options.suspects || state.phase == Phase::Confirm {
            return self.clear_suspects(state).await;
        }
        let after = state.after.as_deref();
        match state.phase {
            Phase::Repositories => self.repositories(state).await,
            Phase::Segments => self.segments(after).await,
            Phase::Blobs => self.blobs(after).await,
            Phase::Holds => self.holds(after).await,
            Phase::Uploads => self.uploads(after).await,
            Phase::Unfinished => self.unfinished(after).await,
            Phase::Data => self.data(after, state).await,
            Phase::Scrub if self.options.scrub => self.scrub(after, state).await,
            Phase::Scrub | Phase::Confirm | Phase::Done => {
                Ok(Step { looked: Looked::default(), to: To::End, share: None })
            }
        }
    }

    /// Looks again at all suspects. They leave the state only once that is done.
    async fn clear_suspects(&self, state: &mut State) -> Result<Step> {
        let mut looked = self.confirm(state.suspects.clone()).await?;
        looked.suspects.clear();
        state.suspects.clear();
        // In the middle of a phase, it goes on where it stood.
        let to = if state.phase == Phase::Confirm { To::End } else { To::Next(state.after.clone()) };
        Ok(Step { looked, to, share: None })
    }

    /// Looks at each of these, some at a time. What cannot be read is skipped.
    async fn each<'a, T, F, Fut>(&'a self, items: Vec<T>, looked: &mut Looked, look: F) -> Result<()>
    where
        F: Fn(T) -> Fut,
        Fut: Future<Output = Result<Looked>> + Send + 'a,
    {
        // Boxed, since the compiler cannot tell otherwise that a future made by a closure may be sent.
        let looks: Vec<BoxFuture<'a, Result<Looked>>> = items.into_iter().map(|item| look(item).boxed()).collect();
        let mut all = futures::stream::iter(looks).buffer_unordered(self.options.at_once.max(1));
        while let Some(one) = all.next().await {
            match one {
                Ok(one) => looked.add(one),
                Err(e) => looked.skipped.push(unreadable(e)?),
            }
        }
        Ok(())
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<ListPage> {
        Ok(self.core.records.list(ListRequest { prefix, after, fold: false, limit }).await?)
    }

    /// Whether something that was made at this time is older than the grace time.
    fn is_old(&self, made: Seconds) -> bool {
        made + self.core.grace().as_secs() < self.core.now()
    }

    fn progress(&self, state: &State, share: Option<f64>) -> Progress {
        Progress {
            phase: state.phase,
            checked: state.summary.checked.get(&state.phase).copied().unwrap_or(0),
            share,
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// In the middle of a long step: how far it is, if anybody has time for it.
    fn murmur(&self, state: &State, share: Option<f64>) {
        let _ = self.events.try_send(Event::Progress(self.progress(state, share)));
    }

    async fn say(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            self.stop.cancel();
        }
    }
}

/// Why something could not be judged; an error where it is the store that fails.
fn unreadable(error: Error) -> Result<String> {
    match error {
        Error::Store(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) | Error::Contended(_) => {
            Ok(error.to_string())
        }
        other => Err(other),
    }
}

/// Which part of an order by random hexadecimal digits comes before these.
fn share_of(hex: &str) -> Option<f64> {
    let digits = hex.get(..8)?;
    u32::from_str_radix(digits, 16).ok().map(|n| f64::from(n) / f64::from(u32::MAX))
}

/// The first key of a page that cannot be understood.
fn foreign(entries: &[Entry]) -> Option<String> {
    entries.iter().find(|entry| entry.key.parse::<crate::key::Key>().is_err()).map(|entry| entry.key.clone())
}

/// The keys of a page that can be understood.
fn keys(entries: &[Entry]) -> impl Iterator<Item = crate::key::Key> + '_ {
    entries.iter().filter_map(|entry| entry.key.parse().ok())
}
