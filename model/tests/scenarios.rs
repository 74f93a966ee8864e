//! The protocol keeps its promises in every order of every small scenario.

use wharf_model::{Size, all};

#[test]
#[allow(clippy::print_stdout)] // how much was explored is worth reading
fn no_order_of_a_small_scenario_breaks_a_promise() {
    for scenario in all().into_iter().filter(|scenario| scenario.size == Size::Small) {
        let explored = scenario.explore(usize::MAX);
        println!("{:>9} states, {:>3} deep: {}", explored.states, explored.depth, scenario.name);
        if let Some(violation) = explored.violation {
            panic!("{}: {violation}", scenario.name);
        }
        assert!(explored.is_complete, "{}", scenario.name);
    }
}
