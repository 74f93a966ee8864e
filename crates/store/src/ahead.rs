//! Writes that need not be durable by themselves, because a later one is waited for.

tokio::task_local! {
    static AHEAD: ();
}

/// Makes the records that `work` writes durable with the next write at the latest, instead of each by itself.
///
/// Answered, such a write is seen by everyone, as always; and whenever a record that was written later is durable, so is
/// this one. Only a crash of the store's process, or a loss of power, may take back the last of them. So it is for a write
/// that the same request follows up with another, before it answers: on a disk that saves the wait for it. Stores that
/// make every write durable at once take no notice.
///
/// It holds for writes that the task of the caller makes, not for those of tasks that it spawns.
pub async fn ahead<F: Future>(work: F) -> F::Output {
    AHEAD.scope((), work).await
}

/// Whether the current task is within [`ahead`].
pub(crate) fn is_ahead() -> bool {
    AHEAD.try_with(|()| ()).is_ok()
}
