//! Several independent scenarios against one running registry.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Instant;

use futures::FutureExt;

use crate::lab::Lab;
use crate::registry::Registry;

/// A scenario: panics when something is wrong.
pub type Scenario = for<'a> fn(&'a Lab, &'a Registry) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs every scenario, also after one has failed, prints a line for each, and panics at the end if any has failed.
pub async fn run_all(lab: &Lab, registry: &Registry, scenarios: &[(&str, Scenario)]) {
    let mut failed = Vec::new();
    for (name, scenario) in scenarios {
        let begin = Instant::now();
        // The panic's message has been printed by the time it is caught.
        let outcome = AssertUnwindSafe(scenario(lab, registry)).catch_unwind().await;
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        crate::say!("{name} on {}: {verdict} ({:.1} s)", registry.shape(), begin.elapsed().as_secs_f64());
        if outcome.is_err() {
            failed.push(*name);
        }
    }
    assert!(failed.is_empty(), "failed on {}: {}", registry.shape(), failed.join(", "));
}

/// A list of scenarios of async functions, each named after its function.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        [$((stringify!($name), (|lab, registry| Box::pin($name(lab, registry))) as $crate::scenario::Scenario)),+]
    };
}
