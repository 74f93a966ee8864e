//! Bytes of a file that nobody has read yet.
//!
//! [`map`] gives a range of a file as [`Bytes`], which are passed through streams, bodies and the HTTP library like any other. Who writes
//! them to a socket at last asks [`place_of`] where they lie, and lets the kernel send them from there; so they never enter the
//! program's memory. Whoever reads them all the same (TLS does) reads the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

/// Where bytes lie in a file.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file.
    pub file: Arc<File>,
    /// Of the first byte.
    pub offset: u64,
}

/// What is mapped at the moment, by address. It is never locked across I/O.
static MAPPED: Mutex<BTreeMap<usize, Known>> = Mutex::new(BTreeMap::new());
/// How many entries that has, so that who has no file to serve need not lock it.
static COUNT: AtomicUsize = AtomicUsize::new(0);

struct Known {
    len: usize,
    place: Place,
}

/// A mapped range; known by its address while it lives.
struct Mapped(Mmap);

/// A range of a file as bytes. The file must have them, and nobody may change or shorten it while they live: who reads behind the end
/// of a file that was shortened is killed by the system (SIGBUS). Removing its name is harmless.
///
/// # Errors
/// When the system refuses.
pub fn map(file: &Arc<File>, offset: u64, len: usize) -> io::Result<Bytes> {
    if len == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the mapping is read only. That the file does not change while it lives is the caller's duty, which is documented above:
    // data in the store is written once, and a file of data is not written to after it got its name.
    #[allow(unsafe_code, reason = "a mapping of a file can only be asked for so; this module is about nothing else")]
    let mapped = unsafe { MmapOptions::new().offset(offset).len(len).map(&**file)? };
    let known = Known { len, place: Place { file: file.clone(), offset } };
    mappings().insert(mapped.as_ptr().addr(), known);
    COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(Bytes::from_owner(Mapped(mapped)))
}

/// Where bytes lie that are part of what [`map`] gave; `None` for all others.
#[must_use]
pub fn place_of(bytes: &[u8]) -> Option<Place> {
    if COUNT.load(Ordering::Relaxed) == 0 || bytes.is_empty() {
        return None;
    }
    let begin = bytes.as_ptr().addr();
    let mappings = mappings();
    let (start, known) = mappings.range(..=begin).next_back()?;
    let within = begin - start;
    let place = known.place.clone();
    (within + bytes.len() <= known.len).then(|| Place { offset: place.offset + within as u64, ..place })
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        mappings().remove(&self.0.as_ptr().addr());
        COUNT.fetch_sub(1, Ordering::Relaxed);
    }
}

fn mappings() -> MutexGuard<'static, BTreeMap<usize, Known>> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn file(content: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(content).expect("written");
        Arc::new(file)
    }

    #[test]
    fn bytes_know_where_they_lie() {
        let content: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        let file = file(&content);
        let bytes = map(&file, 5000, 90_000).expect("mapped");
        assert_eq!(bytes, content[5000..95_000]);
        assert_eq!(place_of(&bytes).map(|place| place.offset), Some(5000));
        let part = bytes.slice(70_000..);
        drop(bytes);
        assert_eq!(place_of(&part).map(|place| place.offset), Some(75_000));
        assert_eq!(part, content[75_000..95_000]);
    }

    #[test]
    fn other_bytes_lie_nowhere() {
        let bytes = map(&file(&[7; 8192]), 0, 8192).expect("mapped");
        let copy = bytes.to_vec();
        assert!(place_of(&copy).is_none());
        assert!(place_of(b"").is_none());
    }

    #[test]
    fn what_is_dropped_is_forgotten() {
        // Of this file alone: other tests map files at the same time, at addresses that this one may have had.
        let file = file(&[7; 8192]);
        let bytes = map(&file, 0, 8192).expect("mapped");
        let part = bytes.slice(4096..);
        drop(bytes);
        assert!(knows(&file), "a part of it still lives");
        drop(part);
        assert!(!knows(&file));
    }

    fn knows(file: &Arc<File>) -> bool {
        mappings().values().any(|known| Arc::ptr_eq(&known.place.file, file))
    }
}
