//! Deliberate breaks of the storage protocol, for the simulation to prove that it would find them.
//!
//! Only with the feature `breaks`; otherwise [`Core::broken`] is always false and the compiler removes what it guards.

use crate::core::Core;

/// One step of the protocol done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Break {
    /// A collector calls old holds dead without fencing their repositories.
    NoFence,
    /// A fenced push is committed again under its old push id.
    RetryUnderOldPush,
    /// A push looks at the blobs before it puts its holds.
    HoldAfterLook,
    /// The bytes are deleted before the record says gone.
    DataBeforeGone,
    /// The gone record is deleted.
    GoneDeleted,
    /// A collector does not look at the holds again after it condemned.
    NoSecondLook,
    /// An upload's commit does not look at its session again.
    NoSessionLook,
    /// An ended upload drops its bytes though the blob's record names them.
    OwnBytesDropped,
    /// All pushes carry the same id.
    SharedPushId,
    /// A deletion takes the holds before it swaps the root.
    HoldsBeforeRoot,
    /// A condemned blob is taken without swapping it back to live.
    NoRescue,
    /// A deletion puts its due entries after the swap.
    DueAfterSwap,
    /// A commit whose answer was lost is taken for one that never happened.
    CommitNotLookedUp,
    /// A root is written without its condition.
    Unconditional,
    /// A strict read joins one that is already running.
    JoinsRunningRead,
    /// A session is written without its condition.
    SessionUnconditional,
    /// A deletion does not notice that a collector took its due entries off the list.
    KeptIgnored,
    /// The new segments are written after the root that names them.
    SegmentsAfterRoot,
}

impl Break {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::NoFence,
        Self::RetryUnderOldPush,
        Self::HoldAfterLook,
        Self::DataBeforeGone,
        Self::GoneDeleted,
        Self::NoSecondLook,
        Self::NoSessionLook,
        Self::OwnBytesDropped,
        Self::SharedPushId,
        Self::HoldsBeforeRoot,
        Self::NoRescue,
        Self::DueAfterSwap,
        Self::CommitNotLookedUp,
        Self::Unconditional,
        Self::JoinsRunningRead,
        Self::SessionUnconditional,
        Self::KeptIgnored,
        Self::SegmentsAfterRoot,
    ];
}

impl Core {
    /// Whether this step is to be done wrong.
    #[inline]
    #[cfg_attr(not(feature = "breaks"), allow(clippy::unused_self))]
    pub(crate) fn broken(&self, step: Break) -> bool {
        #[cfg(feature = "breaks")]
        return self.options.broken == Some(step);
        #[cfg(not(feature = "breaks"))]
        {
            let _ = step;
            false
        }
    }
}
