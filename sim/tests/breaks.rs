//! The simulation is proved: each deliberate break of the protocol is found within a stated number of seeds.

use wharf_registry::Break;
use wharf_sim::{Plan, run};

/// Seeds within which each break has to be found. The greatest number that one needed when this was written is well below.
const WITHIN: u64 = 1500;

/// The first seed that finds a break.
fn found_by(broken: Break) -> Option<(u64, String)> {
    let plan = Plan { broken: Some(broken), ..Plan::default() };
    (0..WITHIN).find_map(|seed| run(plan, seed).violation.map(|violation| (seed, violation)))
}

#[test]
#[allow(clippy::print_stdout)] // how many seeds each took is worth reading
fn every_break_is_found() {
    let mut missed = Vec::new();
    for broken in Break::ALL {
        match found_by(broken) {
            Some((seed, violation)) => println!("{broken:?}: seed {seed}: {violation}"),
            None => missed.push(broken),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
