//! What `wharf fsck` does, wherever it runs.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wharf_registry::fsck::{FsckOptions, State};

use crate::control::{Context, Failure, Output};

/// Events that may wait for a slow reader.
const WAITING: usize = 64;

/// A walk to make, from a state on.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct FsckOrder {
    /// Whether findings are repaired.
    pub(crate) repair: bool,
    /// Whether the bytes of all blobs are read and hashed.
    pub(crate) scrub: bool,
    /// How many calls of the store there may be at a time.
    pub(crate) at_once: usize,
    /// How many ids of data are compared with all names in one go.
    pub(crate) batch: usize,
    /// Where it begins.
    pub(crate) state: State,
}

impl fmt::Debug for FsckOrder {
    /// Without the suspects, of which there may be thousands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { repair, scrub, at_once, batch, state } = self;
        write!(
            f,
            "Fsck {{ repair: {repair}, scrub: {scrub}, at_once: {at_once}, batch: {batch}, from: {} }}",
            state.phase
        )
    }
}

impl FsckOrder {
    /// Walks, and tells every event as a line.
    pub(crate) async fn run(&self, context: &Context, output: &Output) -> Result<(), Failure> {
        let options = FsckOptions {
            repair: self.repair,
            scrub: self.scrub,
            at_once: self.at_once,
            batch: self.batch,
            ..FsckOptions::default()
        };
        let (events, mut heard) = mpsc::channel(WAITING);
        // Cancelled by the walk itself, when the lines have nobody to go to.
        let stop = CancellationToken::new();
        let tell = async move {
            while let Some(event) = heard.recv().await {
                output.line(&event).await?;
            }
            Ok::<_, Failure>(())
        };
        let walk = context.registry.fsck(options, self.state.clone(), events, stop);
        let (walked, told) = tokio::join!(walk, tell);
        told?;
        walked?;
        Ok(())
    }

    /// Whether it writes to the store.
    pub(crate) const fn writes(&self) -> bool {
        self.repair
    }
}
