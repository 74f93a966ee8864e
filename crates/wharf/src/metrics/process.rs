//! The process itself, where the system tells (Linux).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::samples::Samples;

/// See the module.
#[derive(Debug)]
pub(super) struct Process {
    started: u64,
}

impl Default for Process {
    fn default() -> Self {
        Self { started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()) }
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples = Samples::new(encoder);
        samples.gauge("process_start_timestamp_seconds", "When the process started", self.started)?;
        if let Some(bytes) = resident() {
            samples.gauge("process_resident_bytes", "Memory of the process", bytes)?;
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            samples.gauge("process_open_files", "File descriptors in use", open.count())?;
        }
        Ok(())
    }
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
