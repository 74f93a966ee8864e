//! What can be ordered.

use serde::{Deserialize, Serialize};

use super::{Context, Failure, Output};
use crate::gc::GcOrder;

/// A command with what it needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// `wharf gc`
    Gc(GcOrder),
}

impl Order {
    /// Carries it out.
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Gc(order) => order.run(context, output).await,
        }
    }

    /// Whether it writes to the store.
    pub(super) const fn writes(&self) -> bool {
        match self {
            Self::Gc(order) => order.writes(),
        }
    }
}
