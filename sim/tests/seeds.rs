//! The protocol keeps its promises in every seed, and one seed gives one trace.

use wharf_sim::{Plan, run, shrink};

/// How many seeds, unless `WHARF_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 3000;

#[test]
#[allow(clippy::print_stdout)] // how much was simulated is worth reading
fn no_seed_breaks_a_promise() {
    let seeds = std::env::var("WHARF_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let (mut steps, mut operations, mut succeeded) = (0, 0, 0);
    for seed in 0..seeds {
        let report = run(Plan::default(), seed);
        if let Some(violation) = report.violation {
            let trace = shrink(Plan::default(), seed).map(|(_, shortest)| shortest.trace.join("\n"));
            panic!("seed {seed}: {violation}\n{}", trace.unwrap_or_default());
        }
        steps += report.steps;
        operations += report.operations;
        succeeded += report.succeeded;
    }
    println!("{seeds} seeds, {steps} store calls, {operations} operations, {succeeded} of them answered");
}

#[test]
fn one_seed_gives_one_trace() {
    let plan = Plan { traced: true, ..Plan::default() };
    for seed in 0..20 {
        let (first, second) = (run(plan, seed), run(plan, seed));
        assert!(first.trace == second.trace, "seed {seed} differs from itself");
    }
}

#[test]
fn without_faults_nothing_at_all_is_left() {
    let plan = Plan { faults: false, kills: false, ..Plan::default() };
    for seed in 0..100 {
        let report = run(plan, seed);
        assert_eq!(report.violation, None, "seed {seed}");
    }
}
