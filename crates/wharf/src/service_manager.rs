//! What the service manager is told, by systemd's protocol. Without one, nothing happens.

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Requests are answered from now on.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again, until [`ready`] is said once more.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "no time for the service manager"),
    }
}

/// A signal came: running requests end, and the process with them.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Shows that tasks still run, twice in each of the service manager's periods, until the process stops. Ends at once where
/// nobody asks.
///
/// The clock is that of the tasks, so that it falls silent when all threads are stuck. The message has a thread of its own,
/// so that a service manager that is stuck itself holds up nothing here.
pub(crate) async fn watchdog(stop: CancellationToken) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval(period / 2);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let _ = tokio::task::spawn_blocking(|| tell(&[NotifyState::Watchdog])).await;
    }
}

/// One that cannot be reached is no reason to stop serving.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager does not hear");
    }
}
