//! The model is proved: each step of the protocol done wrong is caught by one of its small scenarios.

use std::any::Any;
use std::fmt::Debug;

use wharf_model::{Scenario, Size, Violation, blobs, chunks, commits};

/// Most breaks need far fewer states; only if all scenarios miss one they are explored wholly.
const FIRST: usize = 30_000;

/// Catches all of these, and tells by which scenario and after how many states.
#[allow(clippy::print_stdout)] // what caught each is worth reading
fn catches<B: Copy + Debug + Any>(scenarios: &[Scenario], all: &[B]) {
    let mut missed = Vec::new();
    for broken in all {
        match caught(scenarios, *broken, FIRST).or_else(|| caught(scenarios, *broken, usize::MAX)) {
            Some((name, states, violation)) => {
                println!("{broken:?}: {states} states of \"{name}\": {}", violation.what)
            }
            None => missed.push(broken),
        }
    }
    assert!(missed.is_empty(), "no scenario catches {missed:?}");
}

fn caught<B: Copy + Any>(scenarios: &[Scenario], broken: B, most: usize) -> Option<(&str, usize, Violation)> {
    scenarios.iter().filter(|scenario| scenario.size == Size::Small).find_map(|scenario| {
        let explored = scenario.explore_broken(broken, most);
        explored.violation.map(|violation| (scenario.name, explored.states, violation))
    })
}

#[test]
fn breaks_around_one_digest_are_caught() {
    catches(&blobs::scenarios(), &blobs::Broken::ALL);
}

#[test]
fn breaks_of_a_commit_are_caught() {
    catches(&commits::scenarios(), &commits::Broken::ALL);
}

#[test]
fn breaks_of_an_upload_are_caught() {
    catches(&chunks::scenarios(), &chunks::Broken::ALL);
}
