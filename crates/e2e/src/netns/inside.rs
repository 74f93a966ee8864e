//! The test itself on a host.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::host::Host;

/// Runs a future on a host, to its end: its connections come from there, and so do those of the programs that its threads start
/// by themselves ([`crate::tools`]).
///
/// # Panics
/// When the future does.
pub fn inside<T: Send>(host: &Host, work: impl AsyncFnOnce() -> T + Send) -> T {
    let namespace = PathBuf::from("/run/netns").join(host.namespace());
    let outcome = thread::scope(|scope| {
        // A namespace is a thread's own: the runtime gets threads that have never been elsewhere.
        let thread = scope.spawn(|| {
            enter(&namespace);
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = runtime.worker_threads(4).enable_all().on_thread_start(move || enter(&namespace)).build();
            runtime.unwrap_or_else(|error| panic!("runtime: {error}")).block_on(work())
        });
        thread.join()
    });
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn enter(namespace: &std::path::Path) {
    let file = File::open(namespace).unwrap_or_else(|error| panic!("{}: {error}", namespace.display()));
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .unwrap_or_else(|error| panic!("{}: {error}", namespace.display()));
}
