//! What this machine can do at best.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::failure::Outcome;
use crate::measure::middle;

const BLOCK: usize = 1 << 20;
const ROUNDS: usize = 3;
const SYNCS: usize = 50;

/// Medians of several rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Limits {
    /// SHA-256 by one core, bytes a second.
    pub hash: f64,
    /// A file written and made durable, bytes a second.
    pub disk: f64,
    /// A small file made durable, seconds.
    pub sync: f64,
}

impl Limits {
    /// Measures, with files of this size in the directory.
    pub fn measure(directory: &Path, size: u64) -> Outcome<Self> {
        let block = wharf_e2e::Content::new(1, BLOCK as u64).all();
        let path = directory.join("limits");
        let hash = median(|| {
            let mut hash = Sha256::new();
            for _ in 0..size.div_ceil(BLOCK as u64) {
                hash.update(&block);
            }
            std::hint::black_box(hash.finalize());
            Ok(())
        })?;
        let disk = median(|| {
            let mut file = File::create(&path)?;
            for _ in 0..size.div_ceil(BLOCK as u64) {
                file.write_all(&block)?;
            }
            Ok(file.sync_all()?)
        })?;
        std::fs::remove_file(&path)?;
        let sync = median(|| {
            for _ in 0..SYNCS {
                let mut file = File::create(&path)?;
                file.write_all(&block[..4096])?;
                file.sync_all()?;
            }
            Ok(())
        })?;
        std::fs::remove_file(&path)?;
        let size = size.next_multiple_of(BLOCK as u64) as f64;
        Ok(Self { hash: size / hash, disk: size / disk, sync: sync / SYNCS as f64 })
    }
}

/// How many seconds something takes.
fn median(mut what: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        what()?;
        times.push(begin.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(middle(&times).unwrap_or_default())
}
