//! A cluster, each part on a host of its own.

use serde_json::Value;

use super::host::Host;
use super::network::Network;
use crate::balancer::Balancer;
use crate::lab::Lab;
use crate::place::Clock;
use crate::replica::{Replica, Storage};
use crate::seaweed::Seaweed;
use crate::toxiproxy::Toxiproxy;

/// The hosts of a cluster, on which nothing runs yet.
#[derive(Debug)]
pub struct Hosts {
    /// The clients' host, on which the test itself is to run: see [`super::inside`].
    pub clients: Host,
    /// HAProxy's host.
    pub balancer: Host,
    /// The S3 server's host.
    pub bucket: Host,
    /// The replicas' hosts.
    pub replicas: Vec<Host>,
    /// The switch.
    pub network: Network,
}

impl Hosts {
    /// Hosts for so many replicas.
    #[must_use]
    pub fn new(lab: &Lab, replicas: usize) -> Self {
        let mut network = Network::new(lab);
        Self {
            clients: network.host("clients"),
            balancer: network.host("balancer"),
            bucket: network.host("bucket"),
            replicas: (1..=replicas).map(|number| network.host(&format!("replica{number}"))).collect(),
            network,
        }
    }
}

/// What is special about a cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// More keys of the replicas' configuration.
    pub settings: Value,
    /// Clocks of replicas, by their numbers.
    pub clocks: Vec<(usize, Clock)>,
    /// Whether the S3 server serves whoever asks: then it does not look at clocks either.
    pub is_open: bool,
    /// Whether something stands before the S3 server, on its host, that can make it slow.
    pub may_be_slow: bool,
}

/// A running cluster. To be dropped before its hosts.
#[derive(Debug)]
pub struct Cluster {
    /// HAProxy, as `deploy/haproxy` configures it.
    pub balancer: Balancer,
    /// Wharf, in the order of the hosts.
    pub replicas: Vec<Replica>,
    /// See [`Options::may_be_slow`].
    pub slow: Option<Toxiproxy>,
    /// The S3 server.
    pub store: Seaweed,
}

impl Cluster {
    /// Starts it. To be called on the clients' host.
    pub async fn start(lab: &Lab, hosts: &Hosts, options: &Options) -> Self {
        let at_bucket = lab.at(hosts.bucket.place());
        let store = match options.is_open {
            true => Seaweed::start_open(&at_bucket).await,
            false => Seaweed::start(&at_bucket).await,
        };
        let slow = match options.may_be_slow {
            true => Some(Toxiproxy::start(&at_bucket, &store.address()).await),
            false => None,
        };
        let endpoint = slow.as_ref().map_or_else(|| store.address(), Toxiproxy::address);
        let storage = Storage::S3(store.bucket_at(&endpoint));
        let mut replicas = Vec::new();
        for (number, host) in hosts.replicas.iter().enumerate() {
            let clock = options.clocks.iter().find(|(of, _)| *of == number);
            let place = clock.map_or_else(|| host.place(), |(_, clock)| host.place().with_clock(clock.clone()));
            replicas.push(Replica::configured(&lab.at(place), host.name(), &storage, &options.settings).await);
        }
        let addresses: Vec<String> = replicas.iter().map(Replica::address).collect();
        let balancer = Balancer::shipped(&lab.at(hosts.balancer.place()), &addresses).await;
        Self { balancer, replicas, slow, store }
    }
}
