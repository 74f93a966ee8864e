//! The command's side: open the store, or ask the process that has it open.

use std::io;
use std::path::Path;

use futures::StreamExt as _;
use serde_json::Value;
use wharf_store::OpenError;

use super::{Context, Order, Piece, begin, socket};
use crate::config::{Place, Storage};
use crate::gc::{Busy, Collecting};
use crate::metrics::UnderWay;
use crate::store::{self, StartError};

/// Where orders are posted to.
pub(super) const PATH: &str = "/orders";
/// The longest line of an answer.
const LONGEST_LINE: usize = 16 << 20;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It was, and could not be done.
    #[error("{0}")]
    Failed(String),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StartError),
    /// There is no store.
    #[error("{0} has no registry: nothing was ever stored there")]
    Nothing(String),
    /// Another process has it open and does not listen.
    #[error("{place} is in use by another process, which does not answer at {socket}: {source}")]
    Unreachable {
        /// The directory.
        place: String,
        /// The socket.
        socket: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another process may be writing to the bucket, and conditional writes do not guard the two from each other.
    #[error(
        "storage.singleReplica is set: no other process may write to this store. The process that serves collects by itself"
    )]
    Single,
    /// The answer ended before it was over.
    #[error("the process that serves broke off: it may have been stopped")]
    BrokeOff,
}

/// Carries out an order, and gives each line that it tells to `show`.
///
/// # Errors
/// Why it was not done.
pub(crate) async fn perform(storage: &Storage, order: Order, show: impl FnMut(Value)) -> Result<(), CommandError> {
    if let Place::Local { root, .. } = &storage.place
        && !root.join("records.redb").exists()
    {
        return Err(CommandError::Nothing(root.display().to_string()));
    }
    if storage.single_replica && order.writes() && matches!(storage.place, Place::Remote(_)) {
        return Err(CommandError::Single);
    }
    match (store::connect(&storage.place), &storage.place) {
        (Ok(stores), _) => {
            let registry = store::registry(&stores, storage);
            // Nobody else's requests pass here.
            let busy = Busy { store: stores.counts.clone(), registry: registry.clone(), requests: UnderWay::default() };
            let collecting = Collecting::new(&registry, storage, busy);
            let context = Context { registry, collecting, stores, storage: storage.clone(), serves: false };
            here(order, context, show).await
        }
        (Err(StartError::Local(OpenError::InUse { .. })), Place::Local { root, .. }) => there(root, &order, show).await,
        (Err(error), _) => Err(error.into()),
    }
}

async fn here(order: Order, context: Context, mut show: impl FnMut(Value)) -> Result<(), CommandError> {
    let registry = context.registry.clone();
    let mut pieces = begin(order, context);
    let mut ended = Err(CommandError::BrokeOff);
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Line(line) => show(line),
            Piece::Failed(why) => ended = Err(CommandError::Failed(why)),
            Piece::Done => ended = Ok(()),
        }
    }
    registry.settle().await;
    ended
}

async fn there(root: &Path, order: &Order, mut show: impl FnMut(Value)) -> Result<(), CommandError> {
    let path = socket(root);
    let unreachable = |source| CommandError::Unreachable {
        place: root.display().to_string(),
        socket: path.display().to_string(),
        source,
    };
    let body = serde_json::to_vec(order).map_err(|error| unreachable(error.into()))?;
    let (status, mut answer) = wharf_http::ask_local(&path, PATH, body.into()).await.map_err(unreachable)?;
    if status != 200 {
        return Err(CommandError::Failed(format!("the running server answered {status}: is it of another version?")));
    }
    let mut rest = Vec::new();
    while let Some(bytes) = answer.next().await {
        rest.extend_from_slice(&bytes.map_err(|_| CommandError::BrokeOff)?);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            match serde_json::from_slice(&line).map_err(|_| CommandError::BrokeOff)? {
                Piece::Line(line) => show(line),
                Piece::Failed(why) => return Err(CommandError::Failed(why)),
                Piece::Done => return Ok(()),
            }
        }
        if rest.len() > LONGEST_LINE {
            return Err(CommandError::BrokeOff);
        }
    }
    Err(CommandError::BrokeOff)
}
