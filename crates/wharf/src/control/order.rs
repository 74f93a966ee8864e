//! What can be ordered.

use serde::{Deserialize, Serialize};

use super::{Context, Failure, Output};
use crate::fsck::FsckOrder;
use crate::gc::GcOrder;

/// A command with what it needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// `wharf gc`
    Gc(GcOrder),
    /// `wharf fsck`
    Fsck(Box<FsckOrder>),
}

impl Order {
    /// Carries it out.
    pub(super) async fn run(&self, context: &Context, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Gc(order) => order.run(context, output).await,
            Self::Fsck(order) => order.run(context, output).await,
        }
    }

    /// Whether it writes to the store.
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::Gc(order) => order.writes(),
            Self::Fsck(order) => order.writes(),
        }
    }
}
