//! The model is proved: each step of the protocol done wrong is caught by one of its scenarios.

use std::any::Any;
use std::fmt::Debug;

use wharf_model::{Scenario, Size, blobs, chunks, commits};

/// Catches all of these, and tells by which scenario and after how many states.
#[allow(clippy::print_stdout)] // what caught each is worth reading
fn catches<B: Copy + Debug + Any>(scenarios: &[Scenario], all: &[B]) {
    let mut missed = Vec::new();
    for broken in all {
        let small = scenarios.iter().filter(|scenario| scenario.size == Size::Small);
        let caught = small.map(|scenario| (scenario, scenario.explore_broken(*broken, usize::MAX)));
        match caught.filter_map(|(scenario, explored)| Some((scenario, explored.states, explored.violation?))).next() {
            Some((scenario, states, violation)) => {
                println!("{broken:?}: {states} states of \"{}\": {}", scenario.name, violation.what);
            }
            None => missed.push(broken),
        }
    }
    assert!(missed.is_empty(), "no scenario catches {missed:?}");
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
