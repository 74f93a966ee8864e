//! Runs seeds: `wharf-sim --seeds 3000`, or one with its trace: `wharf-sim --seed 17 --trace`.

use std::process::ExitCode;

use clap::Parser;
use wharf_sim::{Plan, run, shrink};

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
}

#[allow(clippy::print_stdout)] // a program for a terminal
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = match arguments.seed {
        Some(seed) => seed..seed + 1,
        None => arguments.first..arguments.first + arguments.seeds,
    };
    let (faults, kills) = (!arguments.calm, !arguments.calm);
    let plan = Plan { traced: arguments.trace, faults, kills, ..Plan::default() };
    let (mut count, mut steps, mut operations, mut succeeded) = (0u64, 0, 0, 0);
    for seed in seeds {
        let report = run(plan, seed);
        count += 1;
        steps += report.steps;
        operations += report.operations;
        succeeded += report.succeeded;
        if arguments.trace {
            report.trace.iter().for_each(|line| println!("{line}"));
        }
        if let Some(violation) = report.violation {
            println!("seed {seed} fails: {violation}");
            if let Some((plan, shortest)) = shrink(plan, seed) {
                println!("the shortest run of it has {} clients with {} operations:", plan.clients, plan.operations);
                shortest.trace.iter().for_each(|line| println!("  {line}"));
            }
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{count} seeds, {steps} store calls, {operations} operations, {succeeded} of them answered: no promise broken"
    );
    ExitCode::SUCCESS
}
