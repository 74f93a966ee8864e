//! What a process has used, from `/proc`.

use std::fs;
use std::time::Duration;

/// The kernel's unit of a process's time; the same on every architecture that Wharf runs on.
const TICKS_A_SECOND: u64 = 100;

/// A process and its children, as long as they run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    id: u32,
}

impl Usage {
    /// Of this process.
    pub(crate) fn new(id: u32) -> Self {
        Self { id }
    }

    /// Processor time so far.
    pub(crate) fn cpu(self) -> Duration {
        let ticks: u64 = self.family().into_iter().filter_map(ticks).sum();
        Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
    }

    /// From here on the peak is measured anew. What cannot be reset, like another user's process, keeps its peak.
    pub(crate) fn reset_peak(self) {
        for id in self.family() {
            let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
        }
    }

    /// The peak of its resident memory since then, in bytes.
    pub(crate) fn peak(self) -> u64 {
        self.family().into_iter().filter_map(peak).sum()
    }

    fn family(self) -> Vec<u32> {
        let mut all = vec![self.id];
        let mut next = 0;
        while let Some(id) = all.get(next) {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|id| id.parse::<u32>().ok()));
            next += 1;
        }
        all
    }
}

/// User and system time: fields 14 and 15, counted behind the name, which may contain spaces.
fn ticks(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let fields = text.rsplit_once(')')?.1.split_whitespace().collect::<Vec<_>>();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

fn peak(id: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(value.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_something() {
        let own = Usage::new(std::process::id());
        let begin = own.cpu();
        let mut sum = 0_u64;
        while own.cpu() < begin + Duration::from_millis(20) {
            sum = std::hint::black_box(sum + 1);
        }
        own.reset_peak();
        assert!(own.peak() > 100 << 10);
    }
}
