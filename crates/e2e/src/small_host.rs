//! Processes that get only a share of a processor, as if each stood on a small machine of its own.
//!
//! On one machine the store, the replicas and the clients share its processors, so that a second replica brings nothing
//! with it. A control group for each gives every replica the same fixed share, however many there are.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::replica::Replica;

/// The kernel hands out the share anew after this time, in microseconds: short, so that a request is not held up for long, but
/// it takes no share below a millisecond.
const PERIOD: u64 = 25_000;

/// A control group; the processes in it go back to the machine's own group when it is dropped.
#[derive(Debug)]
pub struct SmallHost {
    group: PathBuf,
    parent: PathBuf,
    quota: PathBuf,
}

impl SmallHost {
    /// Gives a replica so many hundredths of one processor.
    ///
    /// # Errors
    /// Where control groups may not be made: this needs root.
    pub fn of(replica: &Replica, percent: u64) -> io::Result<Self> {
        let quota = PERIOD * percent / 100;
        let name = format!("wharf-e2e-{}", replica.process_id());
        let unified = Path::new("/sys/fs/cgroup");
        let host = if unified.join("cgroup.controllers").exists() {
            // The controller may be on already, and then this changes nothing.
            fs::write(unified.join("cgroup.subtree_control"), "+cpu")?;
            let host = Self::make(unified, &name, "cpu.max")?;
            fs::write(&host.quota, format!("{quota} {PERIOD}"))?;
            host
        } else {
            let host = Self::make(&unified.join("cpu"), &name, "cpu.cfs_quota_us")?;
            fs::write(host.group.join("cpu.cfs_period_us"), PERIOD.to_string())?;
            fs::write(&host.quota, quota.to_string())?;
            host
        };
        fs::write(host.group.join("cgroup.procs"), replica.process_id().to_string())?;
        Ok(host)
    }

    fn make(parent: &Path, name: &str, quota: &str) -> io::Result<Self> {
        let group = parent.join(name);
        fs::create_dir(&group)?;
        Ok(Self { quota: group.join(quota), group, parent: parent.to_owned() })
    }
}

impl Drop for SmallHost {
    fn drop(&mut self) {
        // A group that is left behind, empty, does no harm.
        for process in fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = fs::write(self.parent.join("cgroup.procs"), process);
        }
        let _ = fs::remove_dir(&self.group);
    }
}
