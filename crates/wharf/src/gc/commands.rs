//! What `wharf gc` tells, wherever it runs.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use wharf_oci::{Digest, RepositoryName};
use wharf_registry::{Action, Step, WorkList};

use crate::control::{Context, Failure, Output};

/// Entries of the work list that are read to tell their kind.
const MOST_READ: u64 = 10_000;

/// What can be asked of the collector.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GcOrder {
    /// `wharf gc status`
    Status,
    /// `wharf gc run`
    Run {
        /// Only tell what would be done.
        dry_run: bool,
    },
    /// `wharf gc explain`
    Explain {
        /// Of a blob, or of a manifest of the repository.
        digest: Digest,
        /// Where to look for a manifest.
        repository: Option<RepositoryName>,
    },
}

impl GcOrder {
    /// Carries it out.
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Status => status(context, output).await,
            Self::Run { dry_run } => run(context, output, *dry_run).await,
            Self::Explain { digest, repository } => explain(context, output, digest, repository.as_ref()).await,
        }
    }

    /// Whether it writes to the store.
    pub(crate) const fn writes(&self) -> bool {
        matches!(self, Self::Run { dry_run: false })
    }
}

/// What `wharf gc status` tells, in one line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Status {
    /// What there is to do.
    pub(crate) work_list: WorkList,
    /// Whether this process collects.
    pub(crate) enabled: bool,
    /// `storage.gcDelay`, in seconds.
    pub(crate) delay: u64,
    /// `storage.gcInterval`, in seconds.
    pub(crate) interval: u64,
    /// What the process that serves did since it started. Nothing keeps the books of processes that have ended, nor of those on
    /// other machines.
    pub(crate) process: Option<Process>,
}

/// What a process did since it started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Things that it deleted.
    pub(crate) deleted: u64,
    /// Bytes that it freed.
    pub(crate) bytes: u64,
    /// Entries that turned out to be no garbage.
    pub(crate) kept: u64,
    /// Entries that are looked at again.
    pub(crate) postponed: u64,
    /// Entries that stay because the store failed.
    pub(crate) errors: u64,
    /// Its last runs, the latest first.
    pub(crate) runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// In seconds since 1970.
    pub(crate) began: u64,
    /// In milliseconds.
    pub(crate) took_ms: u64,
    /// Entries that it looked at.
    pub(crate) entries: u64,
    /// Things that it deleted.
    pub(crate) deleted: u64,
    /// Bytes that it freed.
    pub(crate) bytes: u64,
    /// Entries that stay because the store failed.
    pub(crate) errors: u64,
}

/// The last line of `wharf gc run`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Whether nothing was done.
    pub(crate) dry_run: bool,
    /// Entries that were looked at.
    pub(crate) entries: u64,
    /// Things that went, or would go.
    pub(crate) deleted: u64,
    /// Their bytes, as far as they are known.
    pub(crate) bytes: u64,
    /// Things that are kept.
    pub(crate) kept: u64,
    /// Things that are looked at again later.
    pub(crate) postponed: u64,
}

/// A line of `wharf gc run`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Told {
    /// What was found, and done.
    Step(Step),
    /// All of it.
    Summary(Summary),
}

/// `wharf gc status`
async fn status(context: &Context, output: &Output) -> Result<(), Failure> {
    let schedule = context.collecting.schedule();
    let status = Status {
        work_list: context.collecting.collector().work_list(MOST_READ).await?,
        enabled: schedule.enabled,
        delay: context.registry.grace().as_secs(),
        interval: schedule.interval.as_secs(),
        process: context.serves.then(|| process(context)),
    };
    output.line(&status).await
}

fn process(context: &Context) -> Process {
    let collected = context.collecting.collector().collected();
    let runs = context.collecting.collector().runs().into_iter().rev().map(|run| Run {
        began: run.began,
        took_ms: u64::try_from(run.took.as_millis()).unwrap_or(u64::MAX),
        entries: run.looked_at,
        deleted: run.deleted,
        bytes: run.bytes,
        errors: run.errors,
    });
    Process {
        deleted: collected.deleted(),
        bytes: collected.bytes,
        kept: collected.kept_needed + collected.kept_committed,
        postponed: collected.postponed(),
        errors: collected.errors,
        runs: runs.collect(),
    }
}

/// `wharf gc run`
async fn run(context: &Context, output: &Output, dry_run: bool) -> Result<(), Failure> {
    let summary = Mutex::new(Summary { dry_run, ..Summary::default() });
    let tell = |step: Step| {
        summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(&step);
        async move { output.line(&Told::Step(step)).await.is_ok() }
    };
    context.collecting.collector().run_told(!dry_run, tell).await?;
    let summary = *summary.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    output.line(&Told::Summary(summary)).await
}

impl Summary {
    fn add(&mut self, step: &Step) {
        self.entries += 1;
        match (step.plan.action, step.done.as_deref()) {
            // What was decided may turn out otherwise.
            (Action::Delete, None | Some("deleted" | "expired")) => {
                self.deleted += 1;
                self.bytes += step.plan.bytes.unwrap_or_default();
            }
            (Action::Keep, _) => self.kept += 1,
            (Action::Wait | Action::Delete, _) => self.postponed += 1,
            (Action::Nothing, _) => {}
        }
    }
}

/// `wharf gc explain`
async fn explain(
    context: &Context,
    output: &Output,
    digest: &Digest,
    repository: Option<&RepositoryName>,
) -> Result<(), Failure> {
    output.line(&context.collecting.collector().explain(digest, repository).await?).await
}
