//! `wharf fsck --repair` beside everything else: no seed accuses anybody, and none breaks a promise by it.

use wharf_sim::{Plan, run};

/// How many seeds, unless `WHARF_SIM_SEEDS` says otherwise.
const SEEDS: u64 = 400;

#[test]
#[allow(clippy::print_stdout)] // how much was simulated is worth reading
fn walks_break_no_promise() {
    let seeds = std::env::var("WHARF_SIM_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(SEEDS);
    let mut steps = 0;
    for seed in 0..seeds {
        let report = run(Plan { walks: true, ..Plan::default() }, seed);
        assert_eq!(report.violation, None, "seed {seed}");
        steps += report.steps;
    }
    println!("{seeds} seeds with walks, {steps} store calls");
}

#[test]
fn without_faults_nobody_is_accused() {
    let plan = Plan { faults: false, kills: false, walks: true, ..Plan::default() };
    for seed in (0..200).step_by(2) {
        let report = run(plan, seed);
        assert_eq!(report.violation, None, "seed {seed}");
    }
}
