//! What is measured.

use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;
use wharf_e2e::content;
use wharf_e2e::ports::Port;
use wharf_e2e::process::Process;
use wharf_e2e::proxy::{Proxy, Traffic};

use crate::blob::Blob;
use crate::client::Connection;
use crate::failure::{Failure, Outcome};
use crate::protocol;
use crate::start::{Place, Program};
use crate::usage::Usage;

/// How a peer is given on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spec {
    /// `name=http://host:port[,pid=N]`: it runs already.
    Running {
        /// What the table calls it.
        name: String,
        /// `host:port`.
        address: String,
        /// Its process, if it is on this machine.
        process: Option<u32>,
    },
    /// `[name=]program[:local|nocommit|s3][@path]`: it is started, anew for each workload.
    Program {
        /// What the table calls it.
        name: String,
        /// The kind of program.
        program: Program,
        /// Where it keeps its data.
        place: Place,
        /// The program's file, where it is not the installed one.
        path: Option<PathBuf>,
    },
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: neither name=http://host:port[,pid=N] nor [name=]program[:place][@path]");
        let (name, what) = text.split_once('=').filter(|(name, _)| !name.contains(['@', ':'])).unzip();
        let what: &str = what.unwrap_or(text);
        if let Some(rest) = what.strip_prefix("http://") {
            let (address, process) = rest.split_once(",pid=").unzip();
            let address = address.unwrap_or(rest).trim_end_matches('/').to_owned();
            let process = process.map(str::parse).transpose().map_err(|_| wrong())?;
            return Ok(Self::Running { name: name.unwrap_or(&address).to_owned(), address, process });
        }
        let (what, path) = what.split_once('@').map_or((what, None), |(what, path)| (what, Some(path.into())));
        let (program, place) = what.split_once(':').unwrap_or((what, "local"));
        let default = if place == "local" { program.to_owned() } else { format!("{program}-{place}") };
        let name = name.map_or(default, ToOwned::to_owned);
        let (program, place) = (program.parse().map_err(|()| wrong())?, place.parse().map_err(|()| wrong())?);
        Ok(Self::Program { name, program, place, path })
    }
}

impl Spec {
    /// What the table calls it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Running { name, .. } | Self::Program { name, .. } => name,
        }
    }

    /// Whether it only serves files.
    pub(crate) fn is_files(&self) -> bool {
        matches!(self, Self::Program { program: Program::Nginx, .. })
    }
}

/// A registry that runs, or a server of files that takes the place of one.
#[derive(Debug)]
pub(crate) struct Peer {
    name: String,
    address: String,
    usage: Option<Usage>,
    store: Option<Proxy>,
    files: Option<PathBuf>,
    // The port is given back when the process is gone.
    process: Option<(Process, Port)>,
}

impl Peer {
    /// One that somebody else has started.
    pub(crate) fn running(spec: &Spec) -> Self {
        let (address, usage) = match spec {
            Spec::Running { address, process, .. } => (address.clone(), process.map(Usage::new)),
            Spec::Program { .. } => (String::new(), None),
        };
        Self { name: spec.name().to_owned(), address, usage, store: None, files: None, process: None }
    }

    /// One that this program has started.
    pub(crate) fn started(
        name: &str,
        port: Port,
        process: Process,
        store: Option<Proxy>,
        files: Option<PathBuf>,
    ) -> Self {
        let usage = Some(Usage::new(process.id()));
        Self { name: name.to_owned(), address: port.address(), usage, store, files, process: Some((process, port)) }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What passed between it and its store.
    pub(crate) fn traffic(&self) -> Option<Traffic> {
        self.store.as_ref().map(Proxy::traffic)
    }

    /// Whether it only serves files.
    pub(crate) fn is_files(&self) -> bool {
        self.files.is_some()
    }

    /// Panics, with its log, if it has ended.
    pub(crate) fn assert_alive(&mut self) {
        if let Some((process, _)) = &mut self.process {
            process.assert_alive();
        }
    }

    pub(crate) async fn connect(&self) -> Outcome<Connection> {
        Connection::open(&self.address).await
    }

    /// Stores a blob, by whatever way there is.
    pub(crate) async fn store_blob(&self, at: &mut Connection, repository: &str, blob: &Blob) -> Outcome<()> {
        let Some(root) = &self.files else {
            return protocol::push_whole(at, repository, blob).await.map(drop);
        };
        let directory = root.join("v2").join(repository).join("blobs");
        std::fs::create_dir_all(&directory)?;
        let mut file = std::fs::File::create(directory.join(blob.digest()))?;
        for piece in blob.pieces(0, blob.size()) {
            std::io::Write::write_all(&mut file, &piece)?;
        }
        Ok(())
    }

    /// Stores a manifest under a tag; answers its digest.
    pub(crate) async fn store_manifest(
        &self,
        at: &mut Connection,
        repository: &str,
        tag: &str,
        bytes: Bytes,
    ) -> Outcome<String> {
        let digest = content::digest(&bytes);
        match &self.files {
            None => drop(protocol::push_manifest(at, repository, tag, bytes).await?),
            Some(root) => {
                let directory = root.join("v2").join(repository).join("manifests");
                std::fs::create_dir_all(&directory)?;
                for name in [tag, &digest] {
                    std::fs::write(directory.join(name), &bytes)?;
                }
            }
        }
        Ok(digest)
    }
}

/// Reads all specs, or says which is wrong.
pub(crate) fn specs(texts: &[String]) -> Outcome<Vec<Spec>> {
    let specs: Vec<Spec> = texts.iter().map(|text| text.parse().map_err(Failure::Usage)).collect::<Outcome<_>>()?;
    for (index, spec) in specs.iter().enumerate() {
        if specs[..index].iter().any(|earlier| earlier.name() == spec.name()) {
            return Err(Failure::Usage(format!(
                "two peers are called {}: give one a name, as in other=…",
                spec.name()
            )));
        }
    }
    Ok(specs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_read() {
        let spec = |text: &str| text.parse::<Spec>();
        let running = |name: &str, address: &str, process| {
            Ok(Spec::Running { name: name.to_owned(), address: address.to_owned(), process })
        };
        assert_eq!(spec("zot=http://127.0.0.1:5000,pid=7"), running("zot", "127.0.0.1:5000", Some(7)));
        assert_eq!(spec("http://127.0.0.1:5000/"), running("127.0.0.1:5000", "127.0.0.1:5000", None));
        let program = |name: &str, program, place, path: Option<&str>| {
            Ok(Spec::Program { name: name.to_owned(), program, place, path: path.map(PathBuf::from) })
        };
        assert_eq!(spec("wharf"), program("wharf", Program::Wharf, Place::Local, None));
        assert_eq!(spec("wharf:s3"), program("wharf-s3", Program::Wharf, Place::S3, None));
        assert_eq!(spec("old=wharf:nocommit@/a/b"), program("old", Program::Wharf, Place::NoCommit, Some("/a/b")));
        for wrong in ["", "other", "wharf:elsewhere", "x=http://h:1,pid=y"] {
            assert!(spec(wrong).is_err(), "{wrong}");
        }
        assert!(specs(&["wharf".to_owned(), "wharf".to_owned()]).is_err());
    }
}
