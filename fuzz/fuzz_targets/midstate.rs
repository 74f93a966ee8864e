//! A saved hash goes on to the right digest, and never from a state that was damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_oci::{Algorithm, Midstate};

fuzz_target!(|input: (usize, usize, u8, &[u8])| {
    let (cut, place, damage, bytes) = input;
    // Whatever it is, it is no panic.
    if let Ok(state) = serde_json::from_slice::<Midstate>(bytes)
        && let Ok(hasher) = state.resume()
    {
        assert_eq!(hasher.save(), state);
    }
    let (before, after) = bytes.split_at(cut % (bytes.len() + 1));
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let mut hasher = algorithm.hasher();
        hasher.update(before);
        let mut saved = serde_json::to_vec(&hasher.save()).expect("a state is JSON");
        assert_eq!(goes_on(&saved, after), Some(algorithm.digest(bytes)));
        let place = place % saved.len();
        saved[place] = damage;
        let found = goes_on(&saved, after);
        assert!(found.is_none() || found == Some(algorithm.digest(bytes)));
    }
});

fn goes_on(saved: &[u8], after: &[u8]) -> Option<wharf_oci::Digest> {
    let mut hasher = serde_json::from_slice::<Midstate>(saved).ok()?.resume().ok()?;
    hasher.update(after);
    Some(hasher.finish())
}
