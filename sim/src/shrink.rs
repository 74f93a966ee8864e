//! The shortest run of a seed that still fails.

use crate::script::Script;
use crate::world::{Kind, Plan, Report, run, run_script};

/// A failing run from which nothing more can be taken away, or nothing more was tried.
#[derive(Clone, Debug)]
pub struct Shortest {
    /// What it consists of.
    pub what: String,
    /// Its outcome, with the trace.
    pub report: Report,
}

impl std::fmt::Display for Shortest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let violation = self.report.violation.as_deref().unwrap_or_default();
        writeln!(f, "the shortest run of seed {} that fails has {}", self.report.seed, self.what)?;
        self.report.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "  {violation}")
    }
}

/// Takes away whatever can be taken away; `None` where the seed does not fail.
#[must_use]
pub fn shrink(plan: Plan, seed: u64) -> Option<Shortest> {
    let plan = Plan { traced: true, ..plan };
    match Kind::of(seed) {
        Kind::Duel => shrink_duel(plan, seed),
        Kind::Wide | Kind::Wild => shrink_wide(plan, seed),
    }
}

/// Rounds, actors, operations, changes of the order, faults: one at a time, as long as it still fails.
fn shrink_duel(plan: Plan, seed: u64) -> Option<Shortest> {
    let mut script = Script::of(seed, !plan.faults || !plan.kills);
    let mut report = run_script(plan, seed, &script);
    report.violation.as_ref()?;
    while let Some((smaller, fails)) = script.smaller().into_iter().find_map(|smaller| {
        let report = run_script(plan, seed, &smaller);
        report.violation.is_some().then_some((smaller, report))
    }) {
        (script, report) = (smaller, fails);
    }
    let rounds: Vec<String> = script.rounds.iter().map(|round| format!("\n  {round:?}")).collect();
    Some(Shortest { what: format!("{} rounds:{}", rounds.len(), rounds.concat()), report })
}

/// Fewer operations, fewer clients, no faults, no kills.
fn shrink_wide(plan: Plan, seed: u64) -> Option<Shortest> {
    let mut shortest: Option<Shortest> = None;
    for (faults, kills) in [(false, false), (false, plan.kills), (plan.faults, false), (plan.faults, plan.kills)] {
        for clients in 1..=plan.clients {
            let smaller = |operations| Plan { clients, operations, faults, kills, ..plan };
            let fails = (1..=plan.operations).map(|n| (n, run(smaller(n), seed))).find(|(_, r)| r.violation.is_some());
            let Some((operations, report)) = fails else { continue };
            if shortest.as_ref().is_none_or(|s| report.trace.len() < s.report.trace.len()) {
                let what = format!("{clients} clients, {operations} operations each, faults: {faults}, kills: {kills}");
                shortest = Some(Shortest { what, report });
            }
        }
        if shortest.is_some() {
            return shortest;
        }
    }
    None
}
