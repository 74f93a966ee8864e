//! A panic in a handler ends that request and nothing else.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

/// The handler panicked; the log has the message.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Runs a handler.
pub(crate) async fn guard<F: Future>(handler: F) -> Result<F::Output, Panicked> {
    // What the handler shares with others is behind locks and atomics of its own, and its own state ends with it.
    AssertUnwindSafe(handler).catch_unwind().await.map_err(|payload| {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
        tracing::error!(panic = text, "a handler panicked");
        Panicked
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_caught() {
        assert!(matches!(guard(async { 1 }).await, Ok(1)));
        assert!(guard(async { panic!("on purpose") }).await.is_err());
    }
}
