//! The number of files and connections that the system lets this process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For the store's connections and files, and the process itself.
const BESIDE: u64 = 768;

/// Raises the limit as far as may be: shells and systemd set a low one, for programs that break with more.
fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of file descriptors cannot be raised");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// So many connections, or as many as the system allows.
pub(crate) fn connections(wanted: usize) -> usize {
    let Some(limit) = raise() else { return wanted };
    let possible = usize::try_from(limit.saturating_sub(BESIDE).max(limit / 2)).unwrap_or(usize::MAX);
    if wanted > possible {
        tracing::warn!(
            key = "http.maxConnections",
            "the system allows this process {limit} file descriptors, so that {possible} connections are open at most, not \
             {wanted}: raise the limit (LimitNOFILE= of systemd, ulimit -n)"
        );
    }
    wanted.min(possible)
}
