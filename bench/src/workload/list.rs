//! Lists: tags, repositories, referrers.

use async_trait::async_trait;

use super::{Load, Scale, Turn, Workload, many};
use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::peer::Peer;
use crate::protocol;

const REPOSITORY: &str = "bench/lists";

#[derive(Clone, Copy)]
enum Of {
    /// A page of 100.
    Tags,
    /// A page of 100.
    Repositories,
    /// All that refer to one subject.
    Referrers,
}

pub(super) fn all(scale: Scale) -> Vec<Workload> {
    let mut workloads = Vec::new();
    let lists: [(&str, Of, &[u64]); 3] = [
        ("100 tags out of", Of::Tags, &[100, 1_000, 10_000]),
        ("100 repositories out of", Of::Repositories, &[100, 1_000, 10_000]),
        ("all referrers, ", Of::Referrers, &[10, 100, 1_000]),
    ];
    for (name, of, counts) in lists {
        for count in scale.counts(counts) {
            let make = move || List { of, count, path: String::new() };
            workloads.push(Workload::new(scale, "list", &format!("{} {count}", name.trim_end()), make));
        }
    }
    workloads
}

struct List {
    of: Of,
    count: u64,
    path: String,
}

#[async_trait(?Send)]
impl Load for List {
    async fn prepare(&mut self, peer: &Peer) -> Outcome<()> {
        let config = Blob::new(100);
        let mut at = peer.connect().await?;
        protocol::push_whole(&mut at, REPOSITORY, &config).await?;
        let subject = protocol::manifest(&config, &[]);
        let digest = wharf_e2e::content::digest(&subject);
        protocol::push_manifest(&mut at, REPOSITORY, "subject", subject.clone()).await?;
        let of = self.of;
        many(peer, self.count, async |at, number| match of {
            Of::Tags => {
                let manifest = protocol::manifest(&config, &[]);
                protocol::push_manifest(at, REPOSITORY, &format!("v{number}"), manifest).await.map(drop)
            }
            Of::Repositories => {
                let repository = format!("bench/repository-{number}");
                protocol::push_whole(at, &repository, &config).await?;
                let manifest = protocol::manifest(&config, &[]);
                protocol::push_manifest(at, &repository, "latest", manifest).await.map(drop)
            }
            Of::Referrers => {
                let manifest = protocol::manifest_with(&config, &[], Some(&subject));
                let digest = wharf_e2e::content::digest(&manifest);
                protocol::push_manifest(at, REPOSITORY, &digest, manifest).await.map(drop)
            }
        })
        .await?;
        self.path = match of {
            Of::Tags => format!("/v2/{REPOSITORY}/tags/list?n=100"),
            Of::Repositories => "/v2/_catalog?n=100".to_owned(),
            Of::Referrers => format!("/v2/{REPOSITORY}/referrers/{digest}"),
        };
        self.check(&mut at).await
    }

    async fn operate(&self, at: &mut Connection, _: Turn) -> Outcome<u64> {
        protocol::get(at, &self.path).await
    }
}

impl List {
    /// An empty list is quick.
    async fn check(&self, at: &mut Connection) -> Outcome<()> {
        let (field, least) = match self.of {
            Of::Tags => ("tags", self.count.min(100)),
            Of::Repositories => ("repositories", self.count.min(100)),
            Of::Referrers => ("manifests", self.count),
        };
        let list: serde_json::Value = serde_json::from_slice(&protocol::read(at, &self.path).await?)?;
        let length = list[field].as_array().map_or(0, Vec::len) as u64;
        if length < least {
            return Err(Failure::Usage(format!("{}: {length} of {least}", self.path)));
        }
        Ok(())
    }
}
