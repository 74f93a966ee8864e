//! A test's place.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::place::Place;

/// A directory for the data, configurations and logs of one test, and the test's turn on the machine.
///
/// Tests measure time, memory and bytes, so that one runs at a time, whichever test process it is in. The directory
/// goes with the lab, unless `WHARF_E2E_KEEP` is set.
#[derive(Debug)]
pub struct Lab {
    directory: Option<TempDir>,
    path: PathBuf,
    place: Place,
    _turn: Option<File>,
}

impl Lab {
    /// Waits for the test's turn and makes its directory.
    #[must_use]
    pub fn new(test: &str) -> Self {
        let turn = take_turn();
        crate::say!("\n    {test}:");
        // Lower case throughout: Podman takes the path of an image layout for a repository name.
        let directory = tempfile::Builder::new()
            .prefix(&format!("wharf-{test}-{}", std::process::id()))
            .rand_bytes(0)
            .tempdir()
            .unwrap_or_else(|error| panic!("no directory for {test}: {error}"));
        let path = directory.path().to_owned();
        Self { directory: Some(directory), path, place: Place::default(), _turn: Some(turn) }
    }

    /// The same lab for what is started elsewhere. To be dropped before the lab itself.
    #[must_use]
    pub fn at(&self, place: Place) -> Self {
        Self { directory: None, path: self.path.clone(), place, _turn: None }
    }

    /// Where what is started runs.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new directory in it.
    #[must_use]
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// A path for a log.
    #[must_use]
    pub fn log(&self, name: &str) -> PathBuf {
        self.path.join(format!("{name}.log"))
    }

    /// Writes a file and answers its path.
    #[must_use]
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path.join(name);
        std::fs::write(&path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::env::var_os("WHARF_E2E_KEEP").is_some()
            && let Some(directory) = self.directory.take()
        {
            crate::say!("kept: {}", directory.keep().display());
        }
    }
}

fn take_turn() -> File {
    let path = std::env::temp_dir().join("wharf-e2e-turn");
    let turn = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if turn.try_lock().is_err() {
        crate::say!("(waiting for the turn of another test on this machine)");
        let begin = std::time::Instant::now();
        while turn.try_lock().is_err() {
            assert!(begin.elapsed() < Duration::from_secs(3600), "{} is held for an hour", path.display());
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    turn
}
