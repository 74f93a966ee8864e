//! Whether files have changed, asked every few seconds. Notifications of the system would be quicker, and do not work on network
//! file systems, nor through the symbolic links by which Kubernetes swaps a mounted configuration.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Identifies a version of a file; `None` where it is not there.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    /// As they were when somebody was told last.
    told: Vec<Stamp>,
    /// As they were at the last look.
    seen: Vec<Stamp>,
}

impl Watch {
    pub(super) fn new(files: Vec<PathBuf>) -> Self {
        let told: Vec<_> = files.iter().map(|file| stamp(file)).collect();
        Self { files, seen: told.clone(), told }
    }

    /// Watches these files from now on, beginning with how they are now.
    pub(super) fn look_at(&mut self, files: Vec<PathBuf>) {
        if files != self.files {
            *self = Self::new(files);
        }
    }

    /// Waits until a file is another one, and has been so for two looks: it may be being written. May be dropped at any time.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            if self.look() {
                return;
            }
        }
    }

    fn look(&mut self) -> bool {
        let now: Vec<_> = self.files.iter().map(|file| stamp(file)).collect();
        let is_settled = now == self.seen;
        self.seen = now;
        let is_news = is_settled && self.seen != self.told;
        if is_news {
            self.told.clone_from(&self.seen);
        }
        is_news
    }
}

fn stamp(file: &Path) -> Stamp {
    let of = std::fs::metadata(file).ok()?;
    Some((of.dev(), of.ino(), of.mtime(), of.mtime_nsec(), of.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_once_it_has_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("config.json");
        std::fs::write(&file, "1").expect("written");
        let mut watch = Watch::new(vec![file.clone()]);
        assert!(!watch.look());
        std::fs::write(&file, "22").expect("written");
        assert!(!watch.look(), "it may still be being written");
        assert!(watch.look());
        assert!(!watch.look(), "told once");
        // As Kubernetes does it: the link points elsewhere.
        let other = folder.path().join("other.json");
        std::fs::write(&other, "33").expect("written");
        std::fs::rename(&other, &file).expect("renamed");
        assert!(!watch.look() && watch.look());
    }
}
