//! Commands that work on an open store: in the command's own process, or in the process that serves.
//!
//! Over a bucket a command opens the store itself: replicas do not disturb each other. A directory of the local disk belongs to one
//! process. If that is a running `wharf serve`, the command asks it over the socket `control.sock` in the directory (mode 0600),
//! and the very same function runs there.
//!
//! # Adding a command
//! 1. Give [`Order`] a variant with what the command needs to know (it travels as JSON), as `GcOrder` in `gc/commands.rs`.
//! 2. Write its `async fn run(&self, &Context, &Output) -> Result<(), Failure>`, which does the work over [`Context::registry`] or
//!    [`Context::stores`] and tells of it with [`Output::line`], in any serialisable type: one line for each thing that a reader
//!    may want to see at once; and `writes`, which says whether it writes. Name both in `order.rs`.
//! 3. In `cli/`, make the order, and give it to [`perform`] with a closure that prints each line: through
//!    `cli/output.rs` for people, as it came for `--json`.
//!
//! The work ends when the client goes away ([`Output::line`] fails then; ask [`Output::is_closed`] where lines are rare) or the
//! server stops. It must be of a kind that may be cut off at any moment.

mod client;
mod order;
mod server;

pub(crate) use client::{CommandError, perform};
pub(crate) use order::Order;
pub(crate) use server::serve;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wharf_registry::Registry;
use wharf_store::wrap::Stack;

use crate::config::Storage;
use crate::gc::Collecting;

/// Where the control socket of a directory is.
fn socket(root: &Path) -> PathBuf {
    root.join("control.sock")
}

/// What a command may use.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The registry over the open store.
    pub(crate) registry: Registry,
    /// Its collector; in a process that serves, the one that runs there.
    pub(crate) collecting: Collecting,
    /// The store itself, with everything around it.
    #[allow(dead_code, reason = "for commands that look at the store itself")]
    pub(crate) stores: Stack,
    /// As configured.
    pub(crate) storage: Storage,
    /// Whether this is the process that serves.
    pub(crate) serves: bool,
}

/// A piece of an answer, one line of JSON each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Piece {
    /// What the command tells.
    Line(serde_json::Value),
    /// It could not be done.
    Failed(String),
    /// It is done. An answer without this or a failure broke off.
    Done,
}

/// Where a command tells of its work.
#[derive(Clone, Debug)]
pub(crate) struct Output(mpsc::Sender<Piece>);

/// Why a command failed, for people.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Nobody listens any more.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("nobody listens any more")]
pub(crate) struct Closed;

/// Pieces that may wait for a slow reader.
const AHEAD: usize = 64;

impl Output {
    /// Tells something. Waits for a reader that is slow.
    pub(crate) async fn line(&self, line: &impl Serialize) -> Result<(), Failure> {
        let value = serde_json::to_value(line)?;
        Ok(self.0.send(Piece::Line(value)).await.map_err(|_| Closed)?)
    }

    /// Whether the reader went away.
    #[allow(dead_code, reason = "for commands that tell little")]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// Begins to carry out an order. Dropping the receiver ends it.
fn begin(order: Order, context: Context) -> mpsc::Receiver<Piece> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let output = Output(sender.clone());
        let done = tokio::select! {
            done = order.run(&context, &output) => done,
            () = sender.closed() => return,
        };
        let last = match done {
            Ok(()) => Piece::Done,
            Err(Failure(why)) => Piece::Failed(why),
        };
        // Nobody may be there any more to hear it.
        let _ = sender.send(last).await;
    });
    receiver
}
