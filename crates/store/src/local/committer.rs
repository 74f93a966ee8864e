//! One thread that makes the writes of all callers durable, many in one transaction.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use redb::{Durability, ReadableTable as _, Table as OpenTable};
use tokio::sync::{mpsc, oneshot};

use super::ahead::Ahead;
use super::error::Fault;
use super::table::{LAST_VERSION, NUMBERS, RECORDS, Table};
use super::value;

/// The most writes in one transaction.
const MOST_WRITES: usize = 2048;
/// After so many bytes no further write joins a transaction.
const MOST_BYTES: usize = 16 << 20;
/// How many writes wait for the next transaction before their callers do.
const WAITING: usize = 4096;

/// What a write wants.
#[derive(Debug)]
pub(super) enum Change {
    /// Writes where the condition holds.
    Put(Condition, Bytes),
    Delete,
}

/// When a write must be on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sync {
    /// Before it is answered.
    Now,
    /// Before any later write is: see [`crate::ahead`].
    WithNext,
}

/// What must be true for a put.
#[derive(Debug)]
pub(super) enum Condition {
    None,
    Absent,
    Version(u64),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written(u64),
    Deleted,
    Lost,
}

/// A write on its way to the committer.
#[derive(Debug)]
struct Write {
    key: String,
    change: Change,
    sync: Sync,
    answer: oneshot::Sender<Result<Outcome, Fault>>,
}

/// The committer's thread. Dropping it ends the thread after what it has under way.
#[derive(Debug)]
pub(super) struct Committer {
    writes: Option<mpsc::Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    /// Starts the thread. It closes the table when it ends.
    pub(super) fn start(table: Arc<Table>) -> std::io::Result<Self> {
        let (writes, queue) = mpsc::channel(WAITING);
        let thread = std::thread::Builder::new().name("records".into()).spawn(move || run(&table, queue))?;
        Ok(Self { writes: Some(writes), thread: Some(thread) })
    }

    /// Makes a change and waits until it is done, and as durable as wanted.
    pub(super) async fn write(&self, key: &str, change: Change, sync: Sync) -> Result<Outcome, Fault> {
        let (answer, answered) = oneshot::channel();
        let writes = self.writes.as_ref().ok_or(Fault::Closed)?;
        writes.send(Write { key: key.to_owned(), change, sync, answer }).await.map_err(|_| Fault::Closed)?;
        answered.await.unwrap_or(Err(Fault::Closed))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        drop(self.writes.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes records has panicked");
        }
    }
}

fn run(table: &Table, mut queue: mpsc::Receiver<Write>) {
    let (mut is_open, mut ahead) = (true, Ahead::default());
    while let Some(first) = queue.blocking_recv() {
        let batch = take_batch(first, &mut queue);
        let ready = if is_open { Ok(()) } else { reopen(table, &mut ahead) };
        let result = ready.and_then(|()| commit(table, &batch, &mut ahead));
        // A database that failed a write refuses everything, reads too, until it is opened again.
        is_open = result.is_ok()
            || reopen(table, &mut ahead).inspect_err(|error| tracing::error!(%error, "no records")).is_ok();
        answer(batch, result);
    }
    if !ahead.is_empty()
        && let Err(error) = commit(table, &VecDeque::new(), &mut ahead)
    {
        tracing::error!(%error, "the last records could not be made durable");
    }
    table.close();
}

fn reopen(table: &Table, ahead: &mut Ahead) -> Result<(), Fault> {
    table.reopen(ahead).map_err(Fault::records)?;
    ahead.clear();
    Ok(())
}

/// The first write with those that wait behind it.
fn take_batch(first: Write, queue: &mut mpsc::Receiver<Write>) -> VecDeque<Write> {
    let mut bytes = first.size();
    let mut batch = VecDeque::from([first]);
    while batch.len() < MOST_WRITES && bytes < MOST_BYTES {
        let Ok(write) = queue.try_recv() else { break };
        bytes += write.size();
        batch.push_back(write);
    }
    batch
}

fn answer(batch: VecDeque<Write>, result: Result<Vec<Outcome>, Fault>) {
    match result {
        Ok(outcomes) => {
            for (write, outcome) in batch.into_iter().zip(outcomes) {
                // A caller that has gone does not want to know.
                let _ = write.answer.send(Ok(outcome));
            }
        }
        Err(fault) => {
            let text: Arc<str> = fault.to_string().into();
            tracing::error!(error = %text, writes = batch.len(), "records could not be written");
            for write in batch {
                let _ = write.answer.send(Err(Fault::Shared(text.clone())));
            }
        }
    }
}

/// Applies the writes in order and commits them together.
fn commit(table: &Table, batch: &VecDeque<Write>, ahead: &mut Ahead) -> Result<Vec<Outcome>, Fault> {
    let may_wait = !batch.is_empty() && batch.iter().all(|write| write.sync == Sync::WithNext) && !ahead.is_full();
    let (outcomes, done) = table.with(|database| {
        let mut transaction = database.begin_write().map_err(Fault::records)?;
        transaction.set_quick_repair(true);
        if may_wait {
            transaction.set_durability(Durability::None).map_err(Fault::records)?;
        }
        let (mut outcomes, mut done) = (Vec::with_capacity(batch.len()), Ahead::default());
        {
            let mut records = transaction.open_table(RECORDS).map_err(Fault::records)?;
            let mut numbers = transaction.open_table(NUMBERS).map_err(Fault::records)?;
            let mut version = numbers.get(LAST_VERSION).map_err(Fault::records)?.map_or(0, |last| last.value());
            for write in batch {
                outcomes.push(apply(&mut records, &mut version, write, &mut done)?);
            }
            numbers.insert(LAST_VERSION, version).map_err(Fault::records)?;
        }
        // When this returns, the transaction is on the disk, and with it all before it; unless it may wait.
        transaction.commit().map_err(Fault::records)?;
        Ok((outcomes, done))
    })?;
    match may_wait {
        true => ahead.extend(done),
        false => ahead.clear(),
    }
    Ok(outcomes)
}

fn apply(
    records: &mut OpenTable<'_, &'static str, &'static [u8]>,
    last_version: &mut u64,
    write: &Write,
    done: &mut Ahead,
) -> Result<Outcome, Fault> {
    let key = write.key.as_str();
    let (condition, bytes) = match &write.change {
        Change::Put(condition, bytes) => (condition, bytes),
        Change::Delete => {
            *last_version += 1;
            records.remove(key).map_err(Fault::records)?;
            done.push(*last_version, key, None);
            return Ok(Outcome::Deleted);
        }
    };
    if !matches!(condition, Condition::None) {
        let current = records.get(key).map_err(Fault::records)?;
        let holds = match condition {
            Condition::Version(known) => current.is_some_and(|found| value::version(found.value()) == Some(*known)),
            _ => current.is_none(),
        };
        if !holds {
            return Ok(Outcome::Lost);
        }
    }
    *last_version += 1;
    let value = value::encode(*last_version, bytes);
    records.insert(key, value.as_slice()).map_err(Fault::records)?;
    done.push(*last_version, key, Some(value));
    Ok(Outcome::Written(*last_version))
}

impl Write {
    fn size(&self) -> usize {
        self.key.len()
            + match &self.change {
                Change::Put(_, bytes) => bytes.len(),
                Change::Delete => 0,
            }
    }
}
