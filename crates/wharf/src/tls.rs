//! The files of `http.tls`: read at the start, and again whenever they change.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_http::{Tls, TlsError, TlsMaterial, TlsPart, TlsWarning};

use crate::config::TlsFiles;

/// How often the files are looked at. They are followed by name, so that a rename over them and the links of Kubernetes are seen too.
const LOOK: Duration = Duration::from_secs(2);

/// Why connections cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFileError {
    /// A file cannot be read.
    #[error("{key}: {path} cannot be read: {source}{}", hint(.source))]
    Read {
        /// Of the configuration.
        key: &'static str,
        /// As configured.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// What is in it is not usable.
    #[error("{key}: {path} {source}")]
    Unusable {
        /// Of the configuration.
        key: &'static str,
        /// As configured.
        path: String,
        /// What is wrong.
        source: TlsError,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => " (it must be readable by the user that Wharf runs as)",
        _ => "",
    }
}

/// What tells a file from what it was: where it is, how long, and when it was changed.
#[derive(Debug, PartialEq, Eq)]
struct Print(Option<(u64, u64, u64, i64, i64, i64)>);

impl Print {
    fn of(path: &Path) -> Self {
        let print = |m: Metadata| (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec(), m.ctime_nsec());
        Self(std::fs::metadata(path).ok().map(print))
    }
}

/// The contents of all files.
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Contents {
    fn read(files: &TlsFiles) -> Result<Self, TlsFileError> {
        let read = |part| {
            let (key, path) = place(files, part);
            let path = path.unwrap_or(Path::new(""));
            std::fs::read(path).map_err(|source| TlsFileError::Read { key, path: path.display().to_string(), source })
        };
        Ok(Self {
            certificate: read(TlsPart::Certificate)?,
            key: read(TlsPart::Key)?,
            client_ca: files.client_ca.is_some().then(|| read(TlsPart::ClientCa)).transpose()?,
        })
    }

    fn material(&self) -> TlsMaterial<'_> {
        TlsMaterial { certificate: &self.certificate, key: &self.key, client_ca: self.client_ca.as_deref() }
    }
}

/// The key of the configuration, and the file.
fn place(files: &TlsFiles, part: TlsPart) -> (&'static str, Option<&Path>) {
    match part {
        TlsPart::Certificate => ("http.tls.cert", Some(&files.certificate)),
        TlsPart::Key => ("http.tls.key", Some(&files.key)),
        TlsPart::ClientCa => ("http.tls.cacert", files.client_ca.as_deref()),
    }
}

fn unusable(files: &TlsFiles, source: TlsError) -> TlsFileError {
    let (key, path) = place(files, source.part);
    TlsFileError::Unusable { key, path: path.unwrap_or(Path::new("")).display().to_string(), source }
}

fn warn(files: &TlsFiles, warnings: Vec<TlsWarning>) {
    for warning in warnings {
        let (key, path) = place(files, warning.part);
        tracing::warn!(key, "{} {}", path.unwrap_or(Path::new("")).display(), warning.message);
    }
}

/// Reads the files.
///
/// # Errors
/// The first thing that is wrong, with the key and the file.
pub(crate) fn load(files: &TlsFiles) -> Result<Tls, TlsFileError> {
    let contents = Contents::read(files)?;
    let (tls, warnings) = Tls::new(&contents.material()).map_err(|error| unusable(files, error))?;
    warn(files, warnings);
    Ok(tls)
}

/// Reads the files into `tls`, for connections that begin from now on.
fn reload(files: &TlsFiles, tls: &Tls) -> Result<(), TlsFileError> {
    let contents = Contents::read(files)?;
    let warnings = tls.replace(&contents.material()).map_err(|error| unusable(files, error))?;
    warn(files, warnings);
    Ok(())
}

fn prints(files: &TlsFiles) -> Vec<Print> {
    let paths = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    paths.into_iter().flatten().map(|path| Print::of(path)).collect()
}

/// Follows the files until the process stops. What cannot be used is said, and what was stays: whoever replaces a certificate and
/// its key writes two files, and between the two they do not fit.
pub(crate) async fn watch(files: TlsFiles, tls: Tls, stop: CancellationToken) {
    let mut known = prints(&files);
    let mut failing: Option<String> = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let (of, into) = (files.clone(), tls.clone());
        let before = std::mem::take(&mut known);
        let looked = tokio::task::spawn_blocking(move || {
            let now = prints(&of);
            let changed = now != before;
            (now, changed.then(|| reload(&of, &into)))
        });
        let Ok((now, outcome)) = looked.await else { return };
        known = now;
        match outcome {
            Some(Ok(())) => {
                failing = None;
                tracing::info!("the files of http.tls have changed: new connections get the new ones");
            }
            Some(Err(error)) => failing = Some(error.to_string()),
            // Said only when it lasts: the second file may just be on its way.
            None => {
                if let Some(error) = failing.take() {
                    tracing::error!(%error, "the files of http.tls have changed and cannot be used: connections keep the old ones");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn files(folder: &Path) -> TlsFiles {
        let path = |name: &str| -> PathBuf { folder.join(name) };
        TlsFiles { certificate: path("c.pem"), key: path("k.pem"), client_ca: None }
    }

    #[test]
    fn a_refusal_names_key_and_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path());
        let missing = load(&files).expect_err("nothing there").to_string();
        assert!(
            missing
                .starts_with(&format!("http.tls.cert: {}/c.pem cannot be read: No such file", folder.path().display())),
            "{missing}"
        );
        for path in [&files.certificate, &files.key] {
            std::fs::write(path, "").expect("written");
        }
        let empty = load(&files).expect_err("empty").to_string();
        assert!(empty.ends_with("c.pem has no certificate in it: it is empty"), "{empty}");
    }

    #[test]
    fn a_change_is_seen_however_it_is_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = files(folder.path());
        let mut known = prints(&files);
        let mut changed = || {
            let now = prints(&files);
            let changed = now != known;
            known = now;
            changed
        };
        std::fs::write(&files.certificate, "1").expect("written");
        assert!(changed());
        assert!(!changed());
        std::fs::write(folder.path().join("new"), "2").expect("written");
        std::fs::rename(folder.path().join("new"), &files.certificate).expect("renamed");
        assert!(changed(), "a rename over it");
        std::fs::rename(&files.certificate, folder.path().join("data")).expect("renamed");
        std::os::unix::fs::symlink("data", &files.certificate).expect("linked");
        // The same file by another way: whether that counts as a change depends on the grain of the file system's clock.
        let _ = changed();
        std::fs::write(folder.path().join("data2"), "3").expect("written");
        std::fs::remove_file(&files.certificate).expect("removed");
        std::os::unix::fs::symlink("data2", &files.certificate).expect("linked");
        assert!(changed(), "a link that points elsewhere");
    }
}
