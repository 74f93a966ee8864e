//! The command line.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::compare::{Options, compare};
use crate::failure::Outcome;
use crate::growth::grow;
use crate::limits::Limits;
use crate::workload::{self, Scale};
use crate::{report, scaling};

/// Measures registries beside each other.
///
/// The servers that it starts keep their data below TMPDIR, which should be the disk that counts.
#[derive(Debug, Parser)]
#[command(name = "wharf-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Puts the same loads on several registries, run by run in turn.
    Compare(Compare),
    /// What an operation costs, in calls of the store, against what the registry holds.
    Growth(Growth),
    /// The throughput of one replica and of several, each on a host whose link is limited. Needs root.
    Scaling(Scaling),
    /// What this machine can do: hashing, and writing to the disk.
    Limits,
    /// The workloads of `compare`.
    List,
}

#[derive(Debug, Args)]
struct Compare {
    /// A registry: `name=http://host:port[,pid=N]`, or `[name=]program[:local|nocommit|s3][@path]`, where program is
    /// `wharf`, `docker-registry`, `distribution` or `nginx` (which only serves files). The first is compared with the
    /// others.
    #[arg(long = "peer", default_values = ["wharf", "docker-registry", "nginx"])]
    peers: Vec<String>,
    /// Only workloads of this family, or with this in their name; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// How often each workload is run on each registry, besides one run that does not count.
    #[arg(long, default_value_t = 5)]
    runs: u64,
    /// How long a run goes on.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Store no more tags, images or repositories than this beforehand.
    #[arg(long, default_value_t = 10_000)]
    largest: u64,
    /// Everything so small that it only shows that it works.
    #[arg(long)]
    smoke: bool,
    /// Directory for the report, the figures and the picture.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Growth {
    /// What is measured: it has to keep its data in a bucket.
    #[arg(long, default_value = "wharf:s3")]
    peer: String,
    /// At how many tags, repositories, referrers and images.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000])]
    sizes: Vec<u64>,
    /// Directory for the table and the picture.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct Scaling {
    /// The limit of each replica's link, in megabits a second, in each direction.
    #[arg(long, default_value_t = 100)]
    megabits: u64,
    /// The largest number of replicas.
    #[arg(long, default_value_t = 4)]
    replicas: usize,
    /// How often each number of replicas is measured, besides one round that does not count.
    #[arg(long, default_value_t = 5)]
    rounds: u64,
    /// How long each time.
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Directory for the table, the figures and the picture.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    // One thread: the other cores are the server's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(Arguments::parse().command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            wharf_e2e::say!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Outcome<()> {
    match command {
        Command::Compare(arguments) => {
            let options = arguments.options();
            let comparison = compare(&options).await?;
            print(&report::markdown(&comparison))
        }
        Command::Growth(arguments) => {
            let growth = grow(&arguments.peer, &arguments.sizes).await?;
            report::write_growth(&arguments.out, &growth)?;
            print(&report::growth_table(&growth))
        }
        Command::Scaling(Scaling { megabits, replicas, rounds, seconds, out }) => {
            // It has threads of its own, on the clients' host.
            let scaling = scaling::scale(&scaling::Options { megabits, replicas, rounds, seconds })?;
            scaling::write(&out, &scaling)?;
            print(&scaling::markdown(&scaling))?;
            scaling.check()
        }
        Command::Limits => {
            let limits = Limits::measure(&std::env::temp_dir(), 512 << 20)?;
            print(&(serde_json::to_string_pretty(&limits)? + "\n"))
        }
        Command::List => {
            let all = workload::all(Scale::full(Duration::ZERO, u64::MAX));
            let lines: Vec<String> = all.iter().map(|one| format!("{}: {}\n", one.family, one.name)).collect();
            print(&lines.concat())
        }
    }
}

impl Compare {
    fn options(self) -> Options {
        let length = Duration::from_secs_f64(self.seconds.clamp(0.0, 3600.0));
        let scale = if self.smoke { Scale::smoke() } else { Scale::full(length, self.largest) };
        let Self { peers, only, runs, out, .. } = self;
        Options { peers, only, runs, scale, limits: !self.smoke, out: Some(out) }
    }
}

fn print(text: &str) -> Outcome<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
