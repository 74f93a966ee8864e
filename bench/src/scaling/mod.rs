//! What replicas add up to: throughput with one, two, three and more of them, each on a host of its own whose link is the
//! limit, so that the processors of this machine, on which all of them run, are not.
//!
//! A replica's link carries what it has from the bucket and what it gives to clients. Both directions have the limit, and a pull
//! uses each of them once: from the bucket in, to the client out; a push the other way round. So one replica can give at most
//! its link's rate of either. HAProxy's, the bucket's and the clients' links have no limit.

mod load;
mod plot;
mod report;

use serde::Serialize;
use wharf_e2e::balancer::Balancer;
use wharf_e2e::netns::{Cluster, Host, Hosts, inside};
use wharf_e2e::{Lab, Replica, say};

use crate::failure::{Failure, Outcome};
use load::{Load, Way};

pub(crate) use report::{markdown, write};

/// What three replicas have to give at least, as a multiple of one.
const THREE: f64 = 2.8;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The limit of a replica's link, in megabits a second, in each direction.
    pub megabits: u64,
    /// The largest number of replicas.
    pub replicas: usize,
    /// How often each number of them is measured, in turn.
    pub rounds: u64,
    /// How long each time, in seconds.
    pub seconds: f64,
}

/// The results.
#[derive(Clone, Debug, Serialize)]
pub struct Scaling {
    /// The limit of a replica's link, in megabits a second, in each direction.
    pub megabits: u64,
    /// The mebibytes of blobs, in turn.
    pub blobs: [u64; 4],
    /// How many clients there are for each replica.
    pub clients: usize,
    /// A row for each number of replicas, beginning with one.
    pub rows: Vec<Row>,
    /// What passed the switch.
    pub packets: Packets,
}

/// Some replicas.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// How many.
    pub replicas: usize,
    /// Pulls of all clients together, in megabits a second, each time.
    pub pull: Vec<f64>,
    /// The same of pushes.
    pub push: Vec<f64>,
}

/// Packets that the replicas sent, counted at the switch.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Packets {
    /// To each other.
    pub to_replicas: u64,
    /// To the bucket.
    pub to_bucket: u64,
    /// To the balancer.
    pub to_balancer: u64,
}

/// Measures.
pub fn scale(options: &Options) -> Outcome<Scaling> {
    if options.replicas == 0 || options.rounds == 0 {
        return Err(Failure::Usage("no replicas, or no round".to_owned()));
    }
    let lab = Lab::new("scaling");
    let hosts = Hosts::new(&lab, options.replicas);
    let count = |name, to: &[Host]| hosts.network.count(name, &hosts.replicas, to);
    count("to_replicas", &hosts.replicas);
    count("to_bucket", std::slice::from_ref(&hosts.bucket));
    count("to_balancer", std::slice::from_ref(&hosts.balancer));
    let rows = inside(&hosts.clients, async || rows(&lab, &hosts, options).await)?;
    let packets = |name| hosts.network.packets(name);
    let packets = Packets {
        to_replicas: packets("to_replicas"),
        to_bucket: packets("to_bucket"),
        to_balancer: packets("to_balancer"),
    };
    Ok(Scaling { megabits: options.megabits, blobs: load::SIZES, clients: load::CLIENTS, rows, packets })
}

/// One cluster of all replicas, and a balancer for each number of them, so that all are measured in turn.
async fn rows(lab: &Lab, hosts: &Hosts, options: &Options) -> Outcome<Vec<Row>> {
    let cluster = Cluster::start(lab, hosts, &wharf_e2e::netns::Options::default()).await;
    let addresses: Vec<String> = cluster.replicas.iter().map(Replica::address).collect();
    let (mut balancers, mut rows, mut loads) = (Vec::new(), Vec::new(), Vec::new());
    for replicas in 1..=options.replicas {
        let balancer = Balancer::shipped(&lab.at(hosts.balancer.place()), &addresses[..replicas]).await;
        loads.push(Load::new(&balancer.address(), replicas, options.seconds));
        balancers.push(balancer);
        rows.push(Row { replicas, ..Row::default() });
    }
    load::fill(&balancers[0].address()).await?;
    for host in &hosts.replicas {
        host.limit(options.megabits);
    }
    // The first round warms up, and does not count.
    for round in 0..=options.rounds {
        for (load, row) in loads.iter().zip(&mut rows) {
            let (pull, push) = (load.run(Way::Pull).await?, load.run(Way::Push).await?);
            say!("{round}: {} replicas: pull {pull:.0} Mbit/s, push {push:.0} Mbit/s", row.replicas);
            if round > 0 {
                row.pull.push(pull);
                row.push.push(push);
            }
        }
    }
    Ok(rows)
}

impl Row {
    /// The median of some rounds.
    pub(crate) fn median(values: &[f64]) -> f64 {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        match (sorted.get(low), sorted.get(high)) {
            (Some(low), Some(high)) => f64::midpoint(*low, *high),
            _ => 0.0,
        }
    }
}

impl Scaling {
    /// How many times one replica some give: pull and push.
    pub(crate) fn times(&self, row: &Row) -> (f64, f64) {
        let one = self.rows.first();
        let times = |values: &[f64], one: Option<&Vec<f64>>| {
            Row::median(values) / one.map_or(0.0, |one| Row::median(one)).max(f64::MIN_POSITIVE)
        };
        (times(&row.pull, one.map(|one| &one.pull)), times(&row.push, one.map(|one| &one.push)))
    }

    /// Fails where it does not show what it has to.
    pub fn check(&self) -> Outcome<()> {
        let Packets { to_replicas, to_bucket, to_balancer } = self.packets;
        if to_replicas > 0 || to_bucket == 0 || to_balancer == 0 {
            return Err(Failure::Usage(format!(
                "packets of replicas: {to_replicas} to each other, {to_bucket} to the bucket, {to_balancer} to the balancer"
            )));
        }
        let three = self.rows.iter().find(|row| row.replicas == 3).map(|row| self.times(row));
        match three {
            Some((pull, push)) if pull < THREE || push < THREE => {
                Err(Failure::Usage(format!("three replicas give {pull:.2} (pull) and {push:.2} (push) times one")))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaling(three: f64, to_replicas: u64) -> Scaling {
        let row = |replicas, rate| Row { replicas, pull: vec![rate, 1.0, 1000.0], push: vec![rate; 2] };
        let packets = Packets { to_replicas, to_bucket: 5, to_balancer: 7 };
        Scaling { megabits: 100, blobs: load::SIZES, clients: 1, rows: vec![row(1, 90.0), row(3, three)], packets }
    }

    #[test]
    fn medians_are_compared() {
        assert_eq!(scaling(270.0, 0).times(&scaling(270.0, 0).rows[1]), (3.0, 3.0));
        assert!(scaling(270.0, 0).check().is_ok());
        assert!(scaling(200.0, 0).check().is_err());
        assert!(scaling(270.0, 1).check().is_err());
        assert_eq!(Row::median(&[]), 0.0);
    }
}
