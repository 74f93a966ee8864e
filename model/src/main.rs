//! Explores all scenarios, or those whose names contain the arguments.

use std::process::ExitCode;
use std::time::Instant;

use wharf_model::all;

#[allow(clippy::print_stdout)] // a program for a terminal
fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut outcome = ExitCode::SUCCESS;
    println!("{:>10} {:>6} {:>8}", "states", "depth", "seconds");
    for scenario in all().into_iter().filter(|s| wanted.is_empty() || wanted.iter().any(|w| s.name.contains(w))) {
        let begun = Instant::now();
        let explored = scenario.explore(usize::MAX);
        println!(
            "{:>10} {:>6} {:>8.1}  {}",
            explored.states,
            explored.depth,
            begun.elapsed().as_secs_f64(),
            scenario.name
        );
        if let Some(violation) = explored.violation {
            println!("{violation}");
            outcome = ExitCode::FAILURE;
        }
    }
    outcome
}
