//! Scenarios by name, whatever they are about.

use std::any::Any;

use crate::explore::{Explorable, Explored, explore};

/// How long a scenario takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Seconds.
    Small,
    /// Up to minutes.
    Large,
}

/// Explores a scenario, with a break or none, up to so many states.
type Run = dyn Fn(&dyn Any, usize) -> Explored + Send + Sync;

/// A small case.
pub struct Scenario {
    /// What happens in it.
    pub name: &'static str,
    /// How long it takes.
    pub size: Size,
    run: Box<Run>,
}

impl Scenario {
    /// A scenario of a model that is made with a break or without.
    pub(crate) fn new<B: Copy + 'static, E: Explorable>(
        name: &'static str,
        size: Size,
        model: impl Fn(Option<B>) -> E + Send + Sync + 'static,
    ) -> Self {
        let run = move |broken: &dyn Any, most| explore(&model(broken.downcast_ref::<B>().copied()), most);
        Self { name, size, run: Box::new(run) }
    }

    /// Explores it, up to so many states.
    #[must_use]
    pub fn explore(&self, most: usize) -> Explored {
        (self.run)(&(), most)
    }

    /// Explores it with a step of the protocol done wrong.
    #[must_use]
    pub fn explore_broken(&self, broken: impl Any, most: usize) -> Explored {
        (self.run)(&broken, most)
    }
}
