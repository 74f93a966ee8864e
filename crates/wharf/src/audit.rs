//! The file of `log.audit`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;
use wharf_http::{AuditLine, AuditLog};

/// Lines that are written at once.
const BATCH: usize = 256;
/// How often it is said that lines are lost.
const SAY: Duration = Duration::from_secs(60);

/// Why no audit log can be written.
#[derive(Debug, thiserror::Error)]
#[error("log.audit: {path} cannot be opened for appending: {source}")]
pub(crate) struct AuditError {
    path: String,
    source: io::Error,
}

/// An open file, and its name.
struct Log {
    path: PathBuf,
    file: File,
    said: Option<Instant>,
}

/// Opens the file, and writes what comes until nobody is left who could send.
///
/// # Errors
/// Where the file cannot be opened.
pub(crate) fn start(path: &Path) -> Result<AuditLog, AuditError> {
    let failed = |source| AuditError { path: path.display().to_string(), source };
    let log = Log { path: path.to_owned(), file: open(path).map_err(failed)?, said: None };
    let (audit, lines) = AuditLog::new();
    std::thread::Builder::new().name("audit".to_owned()).spawn(move || log.run(lines)).map_err(failed)?;
    Ok(audit)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Log {
    fn run(mut self, mut lines: Receiver<AuditLine>) {
        let mut batch = Vec::with_capacity(BATCH);
        while lines.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut text = Vec::new();
            batch.iter().for_each(|line| text.extend_from_slice(&line.text));
            if let Err(error) = self.write(&text) {
                self.say(&error, batch.len());
            }
            for line in batch.drain(..) {
                // Who waited for it may have left.
                let _ = line.written.send(());
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        if self.is_moved() {
            self.file = open(&self.path)?;
        }
        self.file.write_all(text)
    }

    /// Whether the name stands for another file by now, or for none: logs are rotated by renaming them.
    fn is_moved(&self) -> bool {
        let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
        std::fs::metadata(&self.path).ok().map(place) != self.file.metadata().ok().map(place)
    }

    fn say(&mut self, error: &io::Error, lines: usize) {
        if self.said.is_none_or(|said| said.elapsed() > SAY) {
            self.said = Some(Instant::now());
            tracing::error!(%error, lines, path = %self.path.display(), "lines of the audit log are lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::{mpsc, oneshot};

    use super::*;

    #[tokio::test]
    async fn lines_follow_the_name_of_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let log = Log { path: path.clone(), file: open(&path).expect("opened"), said: None };
        let (sender, lines) = mpsc::channel(4);
        let thread = std::thread::spawn(move || log.run(lines));
        let write = async |text: &str| {
            let (written, waits) = oneshot::channel();
            sender.send(AuditLine { text: text.into(), written }).await.expect("taken");
            waits.await.expect("written");
        };
        write("1\n").await;
        std::fs::rename(&path, folder.path().join("audit.log.1")).expect("rotated");
        write("2\n").await;
        std::fs::remove_dir_all(folder.path()).expect("gone");
        write("3\n").await;
        std::fs::create_dir(folder.path()).expect("back");
        write("4\n").await;
        drop(sender);
        thread.join().expect("it ends with its senders");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "4\n", "it goes on when there is a place again");
    }

    #[test]
    fn a_refusal_names_the_key() {
        let error = start(Path::new("/nowhere/audit.log")).expect_err("no folder").to_string();
        assert!(error.starts_with("log.audit: /nowhere/audit.log cannot be opened for appending: "), "{error}");
    }
}
