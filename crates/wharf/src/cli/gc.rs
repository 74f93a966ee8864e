//! `wharf gc`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;
use wharf_oci::{Digest, RepositoryName};
use wharf_registry::{Ages, Explanation, HolderFacts, Standing, Step};

use super::output::{self, ago, bytes, took};
use super::{Source, command};
use crate::control::Order;
use crate::gc::{GcOrder, Process, Status, Summary, Told};

/// Look into the garbage collector, or let it work now
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  wharf gc status config.json
  wharf gc run config.json --dry-run
  wharf gc explain config.json sha256:e3b0c4…

Works beside running servers: over a bucket by itself, on the local disk through the server's control socket.")]
pub(super) struct Gc {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What there is to do, and what was done
    Status(Plain),
    /// Work on everything that is due now
    Run(Run),
    /// Where the bytes of a digest are, who holds them, and when they may go
    Explain(Explain),
}

#[derive(Debug, Args)]
struct Plain {
    #[command(flatten)]
    source: Source,
    /// Print JSON, one value a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Every entry of the work list that is due is decided on, and then acted on: a line each.
What is not due yet (storage.gcDelay) is left alone.")]
struct Run {
    #[command(flatten)]
    plain: Plain,
    /// Only tell what would be done: nothing is written to the store
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
#[command(allow_missing_positional = true)]
struct Explain {
    #[command(flatten)]
    plain: Plain,
    /// Digest of a blob, or of a manifest
    digest: Digest,
    /// Look for a manifest in this repository
    #[arg(long, value_name = "NAME")]
    repository: Option<RepositoryName>,
}

impl Gc {
    pub(super) fn run(self) -> ExitCode {
        match self.what {
            What::Status(plain) => tell(&plain, GcOrder::Status, show::<Status>(status)),
            What::Run(run) => tell(&run.plain, GcOrder::Run { dry_run: run.dry_run }, show::<Told>(told)),
            What::Explain(Explain { plain, digest, repository }) => {
                tell(&plain, GcOrder::Explain { digest, repository }, show::<Explanation>(explanation))
            }
        }
    }
}

fn tell(plain: &Plain, order: GcOrder, for_people: impl FnMut(Value)) -> ExitCode {
    let order = Order::Gc(order);
    if plain.json {
        command::run(&plain.source, order, output::line)
    } else {
        command::run(&plain.source, order, for_people)
    }
}

/// Prints a line that came as JSON.
fn show<T: DeserializeOwned>(print: fn(T)) -> impl FnMut(Value) {
    move |line| match serde_json::from_value(line) {
        Ok(told) => print(told),
        Err(error) => output::error(format!("the running server told something unknown: {error}")),
    }
}

fn status(status: Status) {
    let list = &status.work_list;
    let oldest = list.oldest.map_or_else(|| "nothing".to_owned(), |time| format!("the first {}", ago(time)));
    output::line(format!("Work list: {} entries, {oldest}", list.entries));
    if list.entries > 0 {
        let titles = ["kind", "due >1 day", "due >1 hour", "due", "within 1 hour", "later", "all"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(list.kinds.iter().map(|(kind, ages)| row(kind, ages)));
        output::table(&rows);
    }
    if list.read < list.entries {
        output::line(format!("  (the kind of the first {} entries is known)", list.read));
    }
    let on = if status.enabled { "on" } else { "off" };
    let (delay, interval) = (took(status.delay * 1000), took(status.interval * 1000));
    output::line(format!("Collecting: {on}, every {interval}; things are kept for {delay}"));
    match &status.process {
        Some(process) => history(process),
        None => output::line("Runs: no server was asked; the figures of each one are at its metrics page"),
    }
}

fn row(kind: &str, ages: &Ages) -> Vec<String> {
    let counts = [ages.over_a_day, ages.over_an_hour, ages.due, ages.within_an_hour, ages.later, ages.total()];
    std::iter::once(kind.to_owned()).chain(counts.map(|count| count.to_string())).collect()
}

fn history(process: &Process) {
    let Process { deleted, kept, postponed, errors, .. } = process;
    let freed = bytes(process.bytes);
    output::line(format!(
        "Since the server started: {deleted} deleted, {freed} freed, {kept} kept, {postponed} postponed, {errors} errors"
    ));
    if process.runs.is_empty() {
        return output::line("Runs: none yet");
    }
    let titles = ["run", "took", "entries", "deleted", "freed", "errors"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(process.runs.iter().map(|run| {
        let counts = [run.entries.to_string(), run.deleted.to_string(), bytes(run.bytes), run.errors.to_string()];
        [ago(run.began), took(run.took_ms)].into_iter().chain(counts).collect()
    }));
    output::table(&rows);
}

fn told(told: Told) {
    match told {
        Told::Step(Step { plan, done }) => {
            let action = done.unwrap_or_else(|| format!("{:?}", plan.action).to_lowercase());
            let size = plan.bytes.map(|size| format!(" ({})", bytes(size))).unwrap_or_default();
            let until = plan.until.map(|until| format!(", {}", ago(until))).unwrap_or_default();
            output::line(format!("{action:<8}  {:<8}  {}{size}: {}{until}", plan.kind, plan.subject, plan.why));
        }
        Told::Summary(Summary { dry_run, entries, deleted, bytes: size, kept, postponed }) => {
            let (would, size) = (if dry_run { "would go" } else { "deleted" }, bytes(size));
            output::line(format!("{entries} entries: {deleted} {would} ({size}), {kept} kept, {postponed} postponed"));
        }
    }
}

fn explanation(of: Explanation) {
    output::line(&of.digest);
    let mut rows = Vec::new();
    let mut fact = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    if let Some(blob) = &of.blob {
        let stored = match blob.stored {
            Some(size) => bytes(size),
            None => "nothing is stored there".to_owned(),
        };
        fact("blob", format!("{}, {}", blob.state, bytes(blob.size)));
        fact("bytes", format!("data/{}: {stored}", blob.generation));
    }
    if let Some(manifest) = &of.manifest {
        let place = format!("data/{}: {}", manifest.generation, bytes(manifest.size));
        fact(
            "manifest",
            format!("of {}, {}, pushed {}", manifest.repository, manifest.media_type, ago(manifest.pushed)),
        );
        fact("bytes", place);
        fact("tags", if manifest.tags.is_empty() { "none".to_owned() } else { manifest.tags.join(", ") });
        manifest.listed_by.iter().for_each(|index| fact("listed by", index.to_string()));
    }
    of.holders.iter().for_each(|held| fact("held by", holder(held)));
    if of.more_holders {
        fact("", "and more".to_owned());
    }
    of.entries.iter().flatten().for_each(|entry| fact("work list", format!("{}, due {}", entry.kind, ago(entry.due))));
    output::table(&rows);
    let goes = of.goes.map(|time| format!(" ({})", ago(time))).unwrap_or_default();
    output::line(format!("{}{goes}", of.conclusion));
}

fn holder(held: &HolderFacts) -> String {
    let tags = if held.tags.is_empty() { String::new() } else { format!(" ({})", held.tags.join(", ")) };
    let what = match &held.manifest {
        Some(manifest) => format!("the manifest {manifest}{tags}"),
        None => "a lease".to_owned(),
    };
    let time = held.time.map(|time| format!(", {}", ago(time))).unwrap_or_default();
    let standing = match held.standing {
        Standing::Needed => "needs it",
        Standing::Waiting => "holds it for now",
        Standing::Lapsed => "has lapsed",
    };
    format!("{}: {what}: {standing}{time}", held.repository)
}
