//! One run, and what several come to.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;

use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::peer::Peer;
use crate::workload::{Load, Turn, Workload};

/// What one run of a workload on one peer came to, or the medians of several.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Figures {
    /// Operations that ended well.
    pub operations: f64,
    /// Operations a second.
    pub rate: f64,
    /// Content that moved, in bytes a second.
    pub bytes_rate: f64,
    /// Half of the operations took at most so many seconds.
    pub p50: f64,
    /// Of a hundred operations 99 took at most so many seconds.
    pub p99: f64,
    /// Processor seconds of the server for an operation.
    pub cpu_operation: Option<f64>,
    /// Processor seconds of the server for a GiB of content.
    pub cpu_gib: Option<f64>,
    /// Peak of the server's resident memory, in bytes.
    pub peak: Option<f64>,
    /// Calls of the store for an operation.
    pub store_calls: Option<f64>,
    /// Bytes to the store for an operation.
    pub store_up: Option<f64>,
    /// Bytes from the store for an operation.
    pub store_down: Option<f64>,
}

/// The median of the ratios of runs beside each other, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// The median.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Ratio {
    /// Of pairs of figures, the first divided by the second. None where there is no pair.
    #[must_use]
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Option<Self> {
        let ratios = pairs.into_iter().filter(|(_, below)| *below > 0.0).map(|(above, below)| above / below);
        let ratios = sorted(ratios.collect());
        let (low, high) = (*ratios.first()?, *ratios.last()?);
        Some(Self { median: middle(&ratios)?, low, high })
    }
}

/// Runs a workload once.
pub(crate) async fn run(peer: &Peer, workload: &Workload, load: &dyn Load, run: u64) -> Outcome<Figures> {
    let mut connections = Vec::new();
    for _ in 0..workload.connections {
        connections.push(peer.connect().await?);
    }
    if let Some(usage) = peer.usage() {
        usage.reset_peak();
    }
    let (cpu, traffic) = (peer.usage().map(|usage| usage.cpu()), peer.traffic());
    let begin = Instant::now();
    let pace = Pace { begin, length: workload.length, most: workload.most, begun: std::cell::Cell::new(0) };
    let tasks = connections.iter_mut().map(|connection| client(connection, load, run, &pace));
    let clients = join_all(tasks).await.into_iter().collect::<Outcome<Vec<_>>>()?;
    let elapsed = begin.elapsed().as_secs_f64();

    let samples = sorted(clients.iter().flat_map(|client| &client.samples).map(Duration::as_secs_f64).collect());
    let bytes = clients.iter().map(|client| client.bytes).sum::<u64>() as f64;
    let operations = samples.len() as f64;
    if samples.is_empty() {
        return Err(Failure::Usage(format!("{}: nothing was done", workload.name)));
    }
    let cpu = peer.usage().zip(cpu).map(|(usage, before)| usage.cpu().saturating_sub(before).as_secs_f64());
    let traffic = peer.traffic().zip(traffic).map(|(now, before)| now.since(before));
    Ok(Figures {
        operations,
        rate: operations / elapsed,
        bytes_rate: bytes / elapsed,
        p50: quantile(&samples, 0.50),
        p99: quantile(&samples, 0.99),
        cpu_operation: cpu.map(|cpu| cpu / operations),
        cpu_gib: cpu.filter(|_| bytes > 0.0).map(|cpu| cpu / (bytes / f64::from(1 << 30))),
        peak: peer.usage().map(|usage| usage.peak() as f64),
        store_calls: traffic.map(|traffic| traffic.requests as f64 / operations),
        store_up: traffic.map(|traffic| traffic.up as f64 / operations),
        store_down: traffic.map(|traffic| traffic.down as f64 / operations),
    })
}

/// How many operations a run has: as many as fit into its time, one at least.
struct Pace {
    begin: Instant,
    length: Duration,
    most: u64,
    begun: std::cell::Cell<u64>,
}

impl Pace {
    /// The number of the next operation.
    fn next(&self) -> Option<u64> {
        let number = self.begun.get();
        let over = number >= self.most || (number > 0 && self.begin.elapsed() >= self.length);
        self.begun.set(number + u64::from(!over));
        (!over).then_some(number)
    }
}

struct Client {
    samples: Vec<Duration>,
    bytes: u64,
}

async fn client(at: &mut Connection, load: &dyn Load, run: u64, pace: &Pace) -> Outcome<Client> {
    let mut client = Client { samples: Vec::new(), bytes: 0 };
    while let Some(number) = pace.next() {
        let begin = Instant::now();
        client.bytes += load.operate(at, Turn { run, number }).await?;
        client.samples.push(begin.elapsed());
    }
    Ok(client)
}

/// The medians of several runs, each figure for itself.
pub(crate) fn medians(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> Option<f64>| middle(&sorted(runs.iter().filter_map(figure).collect()));
    let certain = |figure: fn(&Figures) -> Option<f64>| of(figure).unwrap_or_default();
    Figures {
        operations: certain(|run| Some(run.operations)),
        rate: certain(|run| Some(run.rate)),
        bytes_rate: certain(|run| Some(run.bytes_rate)),
        p50: certain(|run| Some(run.p50)),
        p99: certain(|run| Some(run.p99)),
        cpu_operation: of(|run| run.cpu_operation),
        cpu_gib: of(|run| run.cpu_gib),
        peak: of(|run| run.peak),
        store_calls: of(|run| run.store_calls),
        store_up: of(|run| run.store_up),
        store_down: of(|run| run.store_down),
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The median of sorted values.
pub(crate) fn middle(values: &[f64]) -> Option<f64> {
    let upper = *values.get(values.len() / 2)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(upper, values[values.len() / 2 - 1]) })
}

/// Of sorted values, of which there is one at least.
fn quantile(values: &[f64], part: f64) -> f64 {
    // A rank between one and the length.
    let rank = (part * values.len() as f64).ceil() as usize;
    values[rank.clamp(1, values.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        assert_eq!(middle(&[]), None);
        assert_eq!(middle(&[1.0, 2.0, 9.0]), Some(2.0));
        assert_eq!(middle(&[1.0, 2.0, 4.0, 9.0]), Some(3.0));
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&hundred, 0.5), quantile(&hundred, 0.99)), (50.0, 99.0));
        assert_eq!(quantile(&[7.0], 0.99), 7.0);
    }

    #[test]
    fn ratios_are_of_pairs() {
        let ratio = Ratio::of([(2.0, 1.0), (9.0, 3.0), (4.0, 1.0)]);
        assert_eq!(ratio, Some(Ratio { median: 3.0, low: 2.0, high: 4.0 }));
        assert_eq!(Ratio::of([(1.0, 0.0)]), None);
    }
}
