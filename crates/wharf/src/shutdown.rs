//! Stopping: the first signal drains, the second does not wait.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::service_manager;

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Every request had its answer.
    Drained,
    /// Requests were still running when their time was over.
    TimedOut,
    /// A second signal came.
    Forced,
}

/// The signals that stop a process: SIGTERM and SIGINT.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    stop: CancellationToken,
}

impl Signals {
    /// Takes the signals over from the system's defaults.
    ///
    /// # Errors
    /// Where the system does not allow it.
    pub(crate) fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: CancellationToken::new(),
        })
    }

    /// Cancelled by the first signal: be not ready, take no new connections, end the ones that are idle.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a server that ends by itself some time after [`Signals::stop`], and gives it that long.
    ///
    /// # Errors
    /// The server's own.
    pub(crate) async fn run<E>(
        mut self,
        server: impl Future<Output = Result<(), E>>,
        drain: Duration,
    ) -> Result<Ended, E> {
        tokio::pin!(server);
        tokio::select! {
            ended = &mut server => return ended.map(|()| Ended::Drained),
            name = self.next() => tracing::info!("{name}: no longer ready; running requests have {drain:?}"),
        }
        service_manager::stopping();
        self.stop.cancel();
        tokio::select! {
            ended = &mut server => ended.map(|()| Ended::Drained),
            () = tokio::time::sleep(drain) => Ok(Ended::TimedOut),
            _ = self.next() => Ok(Ended::Forced),
        }
    }

    /// The name of the next signal.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use rustix::process::{self, getpid, kill_process};

    use super::*;

    fn interrupt() {
        kill_process(getpid(), process::Signal::INT).expect("a signal to this process");
    }

    /// One test, because every listener of a process hears every signal.
    #[tokio::test]
    async fn a_signal_drains_and_a_second_one_does_not_wait() {
        let long = Duration::from_secs(60);
        let signals = Signals::install().expect("installed");
        let stop = signals.stop();
        interrupt();
        let graceful = async move {
            stop.cancelled().await;
            Ok::<(), Infallible>(())
        };
        assert_eq!(signals.run(graceful, long).await, Ok(Ended::Drained));

        let signals = Signals::install().expect("installed");
        interrupt();
        let stuck = pending::<Result<(), Infallible>>();
        assert_eq!(signals.run(stuck, Duration::from_millis(1)).await, Ok(Ended::TimedOut));

        let signals = Signals::install().expect("installed");
        let stop = signals.stop();
        interrupt();
        let stuck = async move {
            stop.cancelled().await;
            interrupt();
            pending::<Result<(), Infallible>>().await
        };
        assert_eq!(signals.run(stuck, long).await, Ok(Ended::Forced));

        let signals = Signals::install().expect("installed");
        assert_eq!(signals.run(async { Err("broken") }, long).await, Err("broken"));
    }
}
