//! The protocol keeps its promises in every seed, one seed gives one trace, and a seed that fails is shortened.

use wharf_registry::Break;
use wharf_sim::{Plan, each, run, shrink};

/// How many seeds, unless `WHARF_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 3000;

#[test]
#[allow(clippy::print_stdout)] // how much was simulated is worth reading
fn no_seed_breaks_a_promise() {
    let seeds = std::env::var("WHARF_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let total = each(Plan::default(), 0..seeds, 1);
    if let Some(failed) = total.failed.first() {
        let shortest = shrink(Plan::default(), failed.seed).map(|shortest| shortest.to_string());
        panic!("seed {}: {:?}\n{}", failed.seed, failed.violation, shortest.unwrap_or_default());
    }
    println!(
        "{} seeds, {} store calls, {} operations, {} of them answered",
        total.seeds, total.steps, total.operations, total.succeeded
    );
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
    let total = each(Plan { faults: false, kills: false, ..Plan::default() }, 0..100, 1);
    assert!(total.failed.is_empty(), "{:?}", total.failed);
}

#[test]
fn a_seed_that_fails_is_shortened() {
    let plan = Plan { broken: Some(Break::HoldsBeforeRoot), traced: true, ..Plan::default() };
    let failed = each(plan, 0..100, 1).failed.swap_remove(0);
    let shortest = shrink(plan, failed.seed).expect("it fails again");
    assert!(shortest.report.violation.is_some());
    assert!(shortest.report.trace.len() * 2 < failed.trace.len(), "{shortest}");
}
