//! Runs seeds: `wharf-sim --seeds 3000`, or one with its trace: `wharf-sim --seed 17 --trace`. With `--broken NoFence` it tells how many seeds
//! find that break.

use std::process::ExitCode;

use clap::Parser;
use wharf_registry::Break;
use wharf_sim::{Kind, Plan, each, run, shrink};

/// Runs the registry's storage protocol in a seeded simulation.
#[derive(Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 3000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Run only this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// No faults and no kills.
    #[arg(long)]
    calm: bool,
    /// Print the trace.
    #[arg(long)]
    trace: bool,
    /// Do this step of the protocol wrong, or `all` one after the other, and count the seeds that find it.
    #[arg(long)]
    broken: Option<String>,
}

#[allow(clippy::print_stdout)] // a program for a terminal
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (faults, kills) = (!arguments.calm, !arguments.calm);
    let plan = Plan { traced: arguments.trace, faults, kills, ..Plan::default() };
    let seeds = arguments.first..arguments.first + arguments.seeds;
    let named = |b: &Break| arguments.broken.as_ref().is_some_and(|name| name == "all" || format!("{b:?}") == *name);
    if let (Some(_), None) = (&arguments.broken, arguments.seed) {
        for broken in Break::ALL.into_iter().filter(named) {
            let total = each(Plan { broken: Some(broken), ..plan }, seeds.clone(), usize::MAX);
            let found: Vec<u64> = total.failed.iter().map(|report| report.seed).collect();
            let duels = found.iter().filter(|seed| Kind::of(**seed) == Kind::Duel).count();
            println!(
                "{broken:?}: {} of {} seeds, {duels} of them duels: {:?}",
                found.len(),
                total.seeds,
                found.first()
            );
        }
        return ExitCode::SUCCESS;
    }
    if let Some(seed) = arguments.seed {
        let plan = Plan { broken: Break::ALL.into_iter().find(named), ..plan };
        let report = run(plan, seed);
        report.trace.iter().for_each(|line| println!("{line}"));
        println!("{:?}", report.violation);
        return shrunk(plan, report.violation.map(|_| seed));
    }
    let total = each(plan, seeds, 1);
    println!(
        "{} seeds, {} store calls, {} operations, {} of them answered; failed: {}",
        total.seeds,
        total.steps,
        total.operations,
        total.succeeded,
        total.failed.len()
    );
    shrunk(plan, total.failed.first().map(|report| report.seed))
}

#[allow(clippy::print_stdout)] // a program for a terminal
fn shrunk(plan: Plan, failed: Option<u64>) -> ExitCode {
    let Some(seed) = failed else { return ExitCode::SUCCESS };
    if let Some(shortest) = shrink(plan, seed) {
        println!("{shortest}");
    }
    ExitCode::FAILURE
}
