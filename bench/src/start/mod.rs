//! Starting the peers that this program knows. Each gets a directory, or a bucket's prefix, of its own.

mod distribution;
mod nginx;
mod wharf;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use wharf_e2e::bucket::Bucket;
use wharf_e2e::process::Process;
use wharf_e2e::proxy::Proxy;
use wharf_e2e::seaweed::Seaweed;
use wharf_e2e::{Lab, wait};

use crate::client::{Connection, Payload};
use crate::failure::{Failure, Outcome};
use crate::peer::{Peer, Spec};

/// A program that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Wharf,
    DockerRegistry,
    Distribution,
    Nginx,
}

/// Where it keeps its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A directory, durably where there is a choice.
    Local,
    /// A directory, without waiting for the disk.
    NoCommit,
    /// A bucket of SeaweedFS, behind a proxy that counts.
    S3,
}

impl FromStr for Program {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "wharf" => Ok(Self::Wharf),
            "docker-registry" => Ok(Self::DockerRegistry),
            "distribution" => Ok(Self::Distribution),
            "nginx" => Ok(Self::Nginx),
            _ => Err(()),
        }
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "local" => Ok(Self::Local),
            "nocommit" => Ok(Self::NoCommit),
            "s3" => Ok(Self::S3),
            _ => Err(()),
        }
    }
}

/// Peers that run, each over an empty store. Dropping it ends them; what they stored is removed.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) peers: Vec<Peer>,
    _store: Option<Seaweed>,
    _data: Data,
}

/// A directory that goes when its users are gone: the last field of its owner.
#[derive(Debug)]
struct Data(PathBuf);

impl Drop for Data {
    fn drop(&mut self) {
        // The lab removes what is left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What a program is started with.
pub(super) struct Order<'a> {
    lab: &'a Lab,
    name: &'a str,
    program: Option<&'a Path>,
    place: Place,
    /// Its directory, which exists.
    directory: PathBuf,
    bucket: Option<Bucket>,
}

impl Stage {
    /// Starts all of them.
    pub(crate) async fn start(lab: &Lab, specs: &[Spec]) -> Outcome<Self> {
        let needs_store = specs.iter().any(|spec| matches!(spec, Spec::Program { place: Place::S3, .. }));
        let data = Data(lab.directory("data"));
        // SeaweedFS keeps its data in the lab itself.
        let _ = std::fs::remove_dir_all(lab.path().join("seaweed"));
        let store = if needs_store { Some(Seaweed::start(lab).await) } else { None };
        let mut peers = Vec::new();
        for spec in specs {
            let peer = start(lab, &data.0, store.as_ref(), spec).await?;
            peers.push(peer);
        }
        Ok(Self { peers, _store: store, _data: data })
    }
}

async fn start(lab: &Lab, data: &Path, store: Option<&Seaweed>, spec: &Spec) -> Outcome<Peer> {
    let Spec::Program { name, program, place, path } = spec else { return Ok(Peer::running(spec)) };
    let directory = data.join(name);
    std::fs::create_dir_all(&directory)?;
    let proxy = match store {
        Some(store) if *place == Place::S3 => Some(Proxy::start(&store.address()).await),
        _ => None,
    };
    let bucket = store.zip(proxy.as_ref()).map(|(store, proxy)| store.bucket_at(proxy.address()));
    let order = Order { lab, name, program: path.as_deref(), place: *place, directory: directory.clone(), bucket };
    let (process, address) = match program {
        Program::Wharf => wharf::start(&order),
        Program::DockerRegistry => distribution::start(&order, "docker-registry"),
        Program::Distribution => distribution::start(&order, "registry"),
        Program::Nginx => nginx::start(&order),
    }?;
    let files = (*program == Program::Nginx).then_some(directory);
    let mut peer = Peer::started(name, address, process, proxy, files);
    answers(&mut peer).await;
    Ok(peer)
}

/// Waits until it answers anything.
async fn answers(peer: &mut Peer) {
    let address = peer.address().to_owned();
    wait::until(&format!("{} answers", peer.name()), wait::START, async || {
        peer.assert_alive();
        let Ok(mut connection) = Connection::open(&address).await else { return false };
        connection.send(http::Method::GET, "/v2/", &[], Payload::Empty).await.is_ok()
    })
    .await;
}

/// The bucket of a peer that needs one.
fn bucket<'a>(order: &'a Order<'_>) -> Outcome<&'a Bucket> {
    order.bucket.as_ref().ok_or_else(|| Failure::Usage(format!("{}: no bucket", order.name)))
}

fn launch(order: &Order<'_>, command: &std::process::Command) -> Process {
    Process::start(order.name, command, &order.lab.log(order.name))
}
