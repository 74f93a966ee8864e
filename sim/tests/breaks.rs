//! The simulation is proved: each deliberate break of the protocol is found within a stated number of seeds.

use wharf_registry::Break;
use wharf_sim::{Plan, each};

/// Seeds within which each break has to be found.
const WITHIN: u64 = 1500;

#[test]
#[allow(clippy::print_stdout)] // how many seeds each took is worth reading
fn every_break_is_found() {
    let mut missed = Vec::new();
    for broken in Break::ALL {
        let plan = Plan { broken: Some(broken), ..Plan::default() };
        match each(plan, 0..WITHIN, 1).failed.first() {
            Some(found) => {
                println!("{broken:?}: seed {}: {}", found.seed, found.violation.as_deref().unwrap_or_default());
            }
            None => missed.push(broken),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
