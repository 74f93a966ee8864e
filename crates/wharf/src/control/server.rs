//! The socket of a process that serves.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use wharf_http::{Local, Pieces};

use super::{Context, Order, Piece, begin, socket};
use crate::config::Place;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

/// Serves the control socket of a local store until `stop`. Without one, commands need the server to be stopped: that is worth a
/// warning and no reason not to serve.
pub(crate) fn serve(context: Context, stop: CancellationToken) {
    let Place::Local { root, .. } = &context.storage.place else { return };
    let path = socket(root);
    match listen(&path) {
        Ok(listener) => {
            let server = wharf_http::serve_local(listener, Arc::new(Server { context }), stop);
            tokio::spawn(async move {
                server.await;
                // Whoever comes after finds nobody rather than a refusal.
                let _ = std::fs::remove_file(path);
            });
        }
        Err(error) => {
            tracing::warn!(%error, path = %path.display(), "no control socket: commands such as wharf gc find this store in use");
        }
    }
}

/// A socket that from its first moment only its owner may connect to: its mode is set before anybody could be accepted. The store
/// is open, so that whatever was left at the path is nobody's.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(StdListener::from(socket))
}

struct Server {
    context: Context,
}

impl Local for Server {
    fn ask(&self, path: &str, body: &[u8]) -> Option<Pieces> {
        if path != super::client::PATH {
            return None;
        }
        let pieces = match serde_json::from_slice::<Order>(body) {
            Ok(order) => {
                tracing::info!(?order, "a command on the control socket");
                begin(order, self.context.clone())
            }
            // Another version may know other commands.
            Err(error) => failed(format!("the running server does not know this command: {error}")),
        };
        let lines = futures::stream::unfold(pieces, |mut pieces| async move {
            let piece = pieces.recv().await?;
            let mut line = serde_json::to_vec(&piece).ok()?;
            line.push(b'\n');
            Some((Bytes::from(line), pieces))
        });
        Some(Box::pin(lines))
    }
}

fn failed(why: String) -> tokio::sync::mpsc::Receiver<Piece> {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    // There is room for one, and nobody closed it.
    let _ = sender.try_send(Piece::Failed(why));
    receiver
}
