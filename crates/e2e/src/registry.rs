//! A registry as its clients see it, with everything behind it.

use crate::balancer::Balancer;
use crate::client::Client;
use crate::lab::Lab;
use crate::proxy::Proxy;
use crate::replica::{Replica, Storage};
use crate::seaweed::Seaweed;

/// A running registry in one of the two shapes in which Wharf is run.
#[derive(Debug)]
pub enum Registry {
    /// One process over local disk.
    Local(Box<Replica>),
    /// Several processes over one bucket, behind a balancer.
    Cluster(Box<Cluster>),
}

/// Replicas over one bucket.
#[derive(Debug)]
pub struct Cluster {
    /// Sends each request to the next replica.
    pub balancer: Balancer,
    /// The processes.
    pub replicas: Vec<Replica>,
    /// Counts what passes between the replicas and the store.
    pub proxy: Proxy,
    /// The store.
    pub store: Seaweed,
}

impl Registry {
    /// One process over an empty directory.
    pub async fn local(lab: &Lab) -> Self {
        let storage = Storage::Local(lab.directory("registry"));
        Self::Local(Box::new(Replica::start(lab, "wharf", &storage).await))
    }

    /// `replicas` processes over an empty bucket, behind a balancer.
    pub async fn cluster(lab: &Lab, replicas: usize) -> Self {
        Self::Cluster(Box::new(Cluster::start(lab, replicas).await))
    }

    /// `host:port` for clients.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Local(replica) => replica.address(),
            Self::Cluster(cluster) => cluster.balancer.address(),
        }
    }

    /// The processes.
    pub fn replicas(&mut self) -> &mut [Replica] {
        match self {
            Self::Local(replica) => std::slice::from_mut(replica),
            Self::Cluster(cluster) => &mut cluster.replicas,
        }
    }

    /// A client of the registry's address.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new([self.address()])
    }

    /// The name of the shape, for messages.
    #[must_use]
    pub fn shape(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Cluster(_) => "cluster",
        }
    }
}

impl Cluster {
    /// `replicas` processes over an empty bucket, behind a balancer.
    pub async fn start(lab: &Lab, replicas: usize) -> Self {
        Self::configured(lab, replicas, &serde_json::Value::Null).await
    }

    /// The same with more keys in the configuration of each.
    pub async fn configured(lab: &Lab, replicas: usize, more: &serde_json::Value) -> Self {
        let store = Seaweed::start(lab).await;
        let proxy = Proxy::start(&store.address()).await;
        let storage = Storage::S3(store.bucket_at(proxy.address()));
        let mut running = Vec::new();
        for index in 0..replicas {
            running.push(Replica::configured(lab, &format!("wharf-{index}"), &storage, more).await);
        }
        let addresses: Vec<String> = running.iter().map(Replica::address).collect();
        let balancer = Balancer::start(lab, &addresses).await;
        Self { balancer, replicas: running, proxy, store }
    }

    /// A client that sends each request to the next replica itself, past the balancer.
    #[must_use]
    pub fn alternating(&self) -> Client {
        Client::new(self.replicas.iter().map(Replica::address))
    }

    /// A client of one replica.
    #[must_use]
    pub fn client_of(&self, replica: usize) -> Client {
        Client::new([self.replicas[replica].address()])
    }
}
