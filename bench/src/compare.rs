//! Several peers under the same workloads, run by run in turn.

use std::path::PathBuf;

use serde::Serialize;
use wharf_e2e::{Lab, say};

use crate::failure::{Failure, Outcome};
use crate::limits::Limits;
use crate::measure::{self, Figures, Ratio, medians};
use crate::peer::{Peer, Spec};
use crate::start::Stage;
use crate::workload::{self, Bound, Load, Scale, Workload};
use crate::{peer, report};

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Options {
    /// How peers are given on the command line; the first is what the others are compared with.
    pub peers: Vec<String>,
    /// Only workloads whose family or name contains one of these; all if there is none.
    pub only: Vec<String>,
    /// How often each workload is run on each peer.
    pub runs: u64,
    /// How large everything is.
    pub scale: Scale,
    /// Whether what the machine can do is measured too.
    pub limits: bool,
    /// Where the results are written after each workload.
    pub out: Option<PathBuf>,
}

/// All results.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// The peers' names.
    pub peers: Vec<String>,
    /// How often each workload was run on each peer.
    pub runs: u64,
    /// What the machine can do.
    pub limits: Option<Limits>,
    /// A row for each workload and peer.
    pub rows: Vec<Row>,
}

/// One peer under one workload.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The workload's family.
    pub family: &'static str,
    /// The workload.
    pub workload: String,
    /// Whether bytes count, rather than requests.
    pub in_bytes: bool,
    /// The peer.
    pub peer: String,
    /// The medians of its runs.
    pub figures: Figures,
    /// Rate of the first peer, divided by this one's. More is better for the first.
    pub rate: Option<Ratio>,
    /// Processor time of an operation of the first peer, divided by this one's. Less is better for the first.
    pub cpu: Option<Ratio>,
    /// The 99th percentile of the first peer, divided by this one's. Less is better for the first.
    pub p99: Option<Ratio>,
    /// The rate as a part of what the machine can do, where that is known.
    pub of_limit: Option<f64>,
    /// Each run.
    pub each: Vec<Figures>,
    /// Why there are no figures.
    pub failed: Option<String>,
}

/// Measures, and prints a line for each run.
pub async fn compare(options: &Options) -> Outcome<Comparison> {
    let specs = peer::specs(&options.peers)?;
    if specs.is_empty() || options.runs == 0 {
        return Err(Failure::Usage("no peer, or no run".to_owned()));
    }
    let lab = Lab::new("bench");
    let limits = if options.limits { Some(Limits::measure(lab.path(), options.scale.mebibyte * 512)?) } else { None };
    let peers = specs.iter().map(|spec| spec.name().to_owned()).collect();
    let mut comparison = Comparison { peers, runs: options.runs, limits, rows: Vec::new() };
    for workload in workload::all(options.scale).iter().filter(|workload| wanted(options, workload)) {
        let rows = Box::pin(one(&lab, &specs, workload, options.runs, limits)).await?;
        comparison.rows.extend(rows);
        if let Some(directory) = &options.out {
            report::write(directory, &comparison)?;
        }
    }
    Ok(comparison)
}

/// Whether a workload was asked for.
pub(crate) fn wanted(options: &Options, workload: &Workload) -> bool {
    let is_named = |text: &String| workload.family == text || workload.name.contains(text.as_str());
    options.only.is_empty() || options.only.iter().any(is_named)
}

/// A peer under one workload.
struct Contender {
    load: Box<dyn Load>,
    runs: Vec<Figures>,
    failed: Option<Failure>,
}

async fn one(lab: &Lab, specs: &[Spec], workload: &Workload, runs: u64, limits: Option<Limits>) -> Outcome<Vec<Row>> {
    say!("{}: {}", workload.family, workload.name);
    let reads = workload.load().only_reads();
    let specs: Vec<Spec> = specs.iter().filter(|spec| reads || !spec.is_files()).cloned().collect();
    let mut stage = Stage::start(lab, &specs).await?;
    let mut contenders = Vec::new();
    for peer in &stage.peers {
        let mut load = workload.load();
        let failed = load.prepare(peer).await.err();
        contenders.push(Contender { load, runs: Vec::new(), failed });
    }
    // The first run of each warms it up, and does not count.
    for run in 0..=runs {
        for index in order(stage.peers.len(), run) {
            turn(&stage.peers[index], workload, &mut contenders[index], run).await;
        }
    }
    for peer in &mut stage.peers {
        peer.assert_alive();
    }
    Ok(rows(workload, &stage.peers, &contenders, limits))
}

/// A B B A: who was first in one run is last in the next, so that what drifts favours nobody.
fn order(peers: usize, run: u64) -> Vec<usize> {
    if run.is_multiple_of(2) { (0..peers).collect() } else { (0..peers).rev().collect() }
}

async fn turn(peer: &Peer, workload: &Workload, contender: &mut Contender, run: u64) {
    if contender.failed.is_some() {
        return;
    }
    let figures = async {
        contender.load.ready(workload.most).await?;
        measure::run(peer, workload, contender.load.as_ref(), run).await
    };
    match figures.await {
        Ok(_) if run == 0 => {}
        Ok(figures) => {
            say!("  {run} {}: {}", peer.name(), report::line(workload.in_bytes, &figures));
            contender.runs.push(figures);
        }
        Err(failure) => {
            say!("  {run} {}: {failure}", peer.name());
            contender.failed = Some(failure);
        }
    }
}

fn rows(workload: &Workload, peers: &[Peer], contenders: &[Contender], limits: Option<Limits>) -> Vec<Row> {
    let first = &contenders[0].runs;
    let files = peers.iter().position(Peer::is_files).map(|index| medians(&contenders[index].runs).rate);
    let row = |(index, (peer, contender)): (usize, (&Peer, &Contender))| {
        let figures = medians(&contender.runs);
        let ratio = |figure: fn(&Figures) -> Option<f64>| {
            let pairs = first.iter().zip(&contender.runs).filter_map(|(a, b)| figure(a).zip(figure(b)));
            if index == 0 { None } else { Ratio::of(pairs) }
        };
        let limit = match workload.bound {
            Bound::HashOrDisk => limits.map(|limits| figures.bytes_rate / limits.hash.min(limits.disk)),
            Bound::Files => files.filter(|rate| *rate > 0.0).map(|rate| figures.rate / rate),
            Bound::None => None,
        };
        Row {
            family: workload.family,
            workload: workload.name.clone(),
            in_bytes: workload.in_bytes,
            peer: peer.name().to_owned(),
            figures,
            rate: ratio(|run| Some(run.rate)),
            cpu: ratio(|run| run.cpu_operation),
            p99: ratio(|run| Some(run.p99)),
            of_limit: limit.filter(|_| !contender.runs.is_empty()),
            each: contender.runs.clone(),
            failed: contender.failed.as_ref().map(ToString::to_string),
        }
    };
    peers.iter().zip(contenders).enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_first_is_last() {
        assert_eq!((order(3, 0), order(3, 1)), (vec![0, 1, 2], vec![2, 1, 0]));
    }
}
