//! What an operation costs against what the registry holds, counted between Wharf and its bucket. Counts do not depend on
//! the machine, so that this may run beside other work.

use std::time::Duration;

use serde::Serialize;
use wharf_e2e::{Lab, say};

use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::peer::{self, Peer};
use crate::protocol;
use crate::start::Stage;
use crate::workload::many;

/// Operations of which the mean is taken.
const SAMPLES: u64 = 10;
/// Nothing has passed for so long: what is done behind the answers is done.
const QUIET: Duration = Duration::from_millis(250);
const REPOSITORY: &str = "bench/growth";

/// One operation at one size.
#[derive(Clone, Debug, Serialize)]
pub struct Growth {
    /// What grows.
    pub of: &'static str,
    /// What is done.
    pub operation: &'static str,
    /// How many there are.
    pub stored: u64,
    /// Calls of the store.
    pub calls: f64,
    /// Bytes to the store.
    pub up: f64,
    /// Bytes from the store.
    pub down: f64,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Tags,
    Repositories,
    Referrers,
    Images,
}

impl Subject {
    const ALL: [Self; 4] = [Self::Tags, Self::Repositories, Self::Referrers, Self::Images];

    const fn name(self) -> &'static str {
        match self {
            Self::Tags => "tags of a repository",
            Self::Repositories => "repositories",
            Self::Referrers => "referrers of a manifest",
            Self::Images => "images of a repository",
        }
    }

    /// What is measured, the last ones change something.
    const fn operations(self) -> &'static [Act] {
        match self {
            Self::Tags => &[Act::Pull, Act::HeadManifest, Act::ListTags, Act::Push, Act::Retag, Act::Delete],
            Self::Repositories => &[Act::Pull, Act::Catalog, Act::PushBlob, Act::Push],
            Self::Referrers => &[Act::Pull, Act::ListReferrers, Act::Refer],
            Self::Images => &[Act::HeadBlob, Act::HeadMissing, Act::Push],
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Pull,
    HeadManifest,
    HeadBlob,
    HeadMissing,
    ListTags,
    Catalog,
    ListReferrers,
    PushBlob,
    Push,
    Retag,
    Refer,
    Delete,
}

impl Act {
    const fn name(self) -> &'static str {
        match self {
            Self::Pull => "manifest GET by tag",
            Self::HeadManifest => "manifest HEAD by tag",
            Self::HeadBlob => "blob HEAD",
            Self::HeadMissing => "blob HEAD, not there",
            Self::ListTags => "100 tags",
            Self::Catalog => "100 repositories",
            Self::ListReferrers => "all referrers",
            Self::PushBlob => "blob push",
            Self::Push => "manifest push",
            Self::Retag => "tag moved",
            Self::Refer => "referrer push",
            Self::Delete => "tag DELETE",
        }
    }
}

/// Fills a registry step by step, and measures after each. The peer is given as on the command line and has to be started
/// over a bucket.
pub async fn grow(peer: &str, sizes: &[u64]) -> Outcome<Vec<Growth>> {
    let lab = Lab::new("growth");
    let specs = peer::specs(&[peer.to_owned()])?;
    let mut all = Vec::new();
    for subject in Subject::ALL {
        let stage = Stage::start(&lab, &specs).await?;
        let mut grown = Grown::new(&stage.peers[0], subject).await?;
        for size in sizes {
            grown.fill(*size).await?;
            for act in subject.operations() {
                let row = grown.measure(*act).await?;
                say!(
                    "{} of {}: {}, {:.1} calls, {:.0} bytes",
                    row.of,
                    row.stored,
                    row.operation,
                    row.calls,
                    row.up + row.down
                );
                all.push(row);
            }
        }
    }
    Ok(all)
}

struct Grown<'a> {
    peer: &'a Peer,
    subject: Subject,
    at: Connection,
    config: Blob,
    layer: Blob,
    /// What referrers refer to.
    root: bytes::Bytes,
    stored: u64,
    done: u64,
}

impl<'a> Grown<'a> {
    async fn new(peer: &'a Peer, subject: Subject) -> Outcome<Self> {
        let mut at = peer.connect().await?;
        let (config, layer) = (Blob::new(100), Blob::new(100));
        for blob in [&config, &layer] {
            protocol::push_whole(&mut at, REPOSITORY, blob).await?;
        }
        let root = protocol::manifest(&config, std::slice::from_ref(&layer));
        protocol::push_manifest(&mut at, REPOSITORY, "root", root.clone()).await?;
        Ok(Self { peer, subject, at, config, layer, root, stored: 0, done: 0 })
    }

    /// Stores until there are so many.
    async fn fill(&mut self, size: u64) -> Outcome<()> {
        let first = self.stored;
        let this = &*self;
        many(self.peer, size.saturating_sub(first), async |at, number| {
            let number = first + number;
            let manifest = |config: &Blob| protocol::manifest(config, &[]);
            match this.subject {
                Subject::Tags => push(at, REPOSITORY, &tag(number), manifest(&this.config)).await,
                Subject::Repositories => {
                    let repository = format!("bench/repository-{number}");
                    protocol::push_whole(at, &repository, &this.config).await?;
                    push(at, &repository, "root", manifest(&this.config)).await
                }
                Subject::Referrers => this.refer(at).await,
                Subject::Images => {
                    let layer = Blob::new(64);
                    protocol::push_whole(at, REPOSITORY, &layer).await?;
                    push(at, REPOSITORY, &tag(number), protocol::manifest(&this.config, &[layer])).await
                }
            }
        })
        .await?;
        self.stored = self.stored.max(size);
        Ok(())
    }

    async fn refer(&self, at: &mut Connection) -> Outcome<()> {
        let manifest = protocol::manifest_with(&self.config, &[], Some(&self.root));
        let digest = wharf_e2e::content::digest(&manifest);
        push(at, REPOSITORY, &digest, manifest).await
    }

    async fn measure(&mut self, act: Act) -> Outcome<Growth> {
        self.act(act).await?;
        let before = quiet(self.peer).await?;
        for _ in 0..SAMPLES {
            self.act(act).await?;
        }
        let passed = quiet(self.peer).await?.since(before);
        let mean = |sum: u64| sum as f64 / SAMPLES as f64;
        Ok(Growth {
            of: self.subject.name(),
            operation: act.name(),
            stored: self.stored,
            calls: mean(passed.requests),
            up: mean(passed.up),
            down: mean(passed.down),
        })
    }

    /// Once.
    async fn act(&mut self, act: Act) -> Outcome<()> {
        self.done += 1;
        let at = &mut self.at;
        // Spread over what there is.
        let some = (self.done * 7_919) % self.stored.max(1);
        let manifest = || protocol::manifest(&self.config, std::slice::from_ref(&self.layer));
        match act {
            Act::Pull if self.subject == Subject::Repositories => {
                let path = protocol::manifest_path(&format!("bench/repository-{some}"), "root");
                protocol::get(at, &path).await.map(drop)
            }
            Act::Pull if self.subject == Subject::Tags => {
                protocol::get(at, &protocol::manifest_path(REPOSITORY, &tag(some))).await.map(drop)
            }
            Act::Pull => protocol::get(at, &protocol::manifest_path(REPOSITORY, "root")).await.map(drop),
            Act::HeadManifest => protocol::head(at, &protocol::manifest_path(REPOSITORY, &tag(some))).await,
            Act::HeadBlob => protocol::head(at, &protocol::blob_path(REPOSITORY, self.layer.digest())).await,
            Act::HeadMissing => {
                let missing = Blob::new(64);
                protocol::head_missing(at, &protocol::blob_path(REPOSITORY, missing.digest())).await
            }
            Act::ListTags => protocol::get(at, &format!("/v2/{REPOSITORY}/tags/list?n=100")).await.map(drop),
            Act::Catalog => protocol::get(at, "/v2/_catalog?n=100").await.map(drop),
            Act::ListReferrers => {
                let digest = wharf_e2e::content::digest(&self.root);
                protocol::get(at, &format!("/v2/{REPOSITORY}/referrers/{digest}")).await.map(drop)
            }
            Act::PushBlob => protocol::push_whole(at, REPOSITORY, &Blob::new(100)).await.map(drop),
            Act::Push => push(at, REPOSITORY, &format!("new-{}", self.done), manifest()).await,
            Act::Retag => push(at, REPOSITORY, "moved", self.root.clone()).await,
            Act::Refer => {
                let manifest = protocol::manifest_with(&self.config, &[], Some(&self.root));
                let digest = wharf_e2e::content::digest(&manifest);
                push(at, REPOSITORY, &digest, manifest).await
            }
            Act::Delete => {
                let name = format!("gone-{}", self.done);
                push(at, REPOSITORY, &name, self.root.clone()).await?;
                protocol::delete_manifest(at, REPOSITORY, &name).await.map(drop)
            }
        }
    }
}

async fn push(at: &mut Connection, repository: &str, reference: &str, manifest: bytes::Bytes) -> Outcome<()> {
    protocol::push_manifest(at, repository, reference, manifest).await.map(drop)
}

fn tag(number: u64) -> String {
    format!("v{number}")
}

/// What has passed, once nothing passes any more.
async fn quiet(peer: &Peer) -> Outcome<wharf_e2e::proxy::Traffic> {
    let missing = || Failure::Usage("growth is counted over a bucket: give a peer such as wharf:s3".to_owned());
    let mut before = peer.traffic().ok_or_else(missing)?;
    loop {
        tokio::time::sleep(QUIET).await;
        let now = peer.traffic().ok_or_else(missing)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}
