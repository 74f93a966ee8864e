//! One suite of behaviour that every backend passes: what the traits' documentation promises, asked for.
//!
//! It panics where a promise is broken, and is called from a backend's own tests. Two handles of one store may be given
//! as one that alternates between them; the suite does not care.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use wharf_store::{MemoryStore, suite};
//!
//! let store = Arc::new(MemoryStore::new());
//! suite::records(store.clone(), "suite/1").await;
//! suite::data(store).await;
//! # });
//! ```

mod data;
mod list;
mod race;
mod records;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use rand::RngExt as _;

use crate::{Data, Family, Records};

/// The longest key that the suite tries. Keys are shorter than 1,024 bytes, of which a bucket's root takes up to 128.
const LONGEST_KEY: usize = 1023 - 129;
/// How many writers race.
const RACERS: usize = 32;
const MIB: usize = 1 << 20;

/// Everything that [`Records`] promises, under `prefix`, where nobody else writes. It has no `/` at its end. What was
/// written is removed again.
///
/// # Panics
/// Where a promise is broken, or the store fails.
pub async fn records(store: Arc<dyn Records>, prefix: &str) {
    let at = |name: &str| format!("{prefix}/{name}");
    records::read_after_write(&*store, &at("read")).await;
    records::conditions(&*store, &at("conditions")).await;
    records::changes(&*store, &at("changes")).await;
    records::removal(&*store, &at("removal")).await;
    records::sizes(&*store, &at("sizes")).await;
    records::keys(&*store, &at("keys")).await;
    race::creations(&store, &at("creations")).await;
    race::replacements(&store, &at("replacements")).await;
    race::increments(&store, &at("increments")).await;
    list::whole(&*store, &at("list")).await;
    list::pages(&*store, &at("pages")).await;
    list::folders(&*store, &at("folders")).await;
    list::neighbours(&*store, &at("neighbours")).await;
    list::many(&*store, &at("many")).await;
}

/// Everything that [`Data`] promises. Families are random, and what was written is removed again.
///
/// # Panics
/// Where a promise is broken, or the store fails.
pub async fn data(store: Arc<dyn Data>) {
    data::whole(&*store).await;
    data::ranges(&*store).await;
    data::empty(&*store).await;
    data::absent(&*store).await;
    data::listing(&*store).await;
    data::presigned(&*store).await;
    upload::parts(&*store).await;
    upload::one_small_part(&*store).await;
    upload::wrong_tag(&*store).await;
    upload::twice(&*store).await;
    upload::two_writers(&*store).await;
    upload::given_up(&*store).await;
    upload::unfinished(&*store).await;
}

/// A family that nobody else has.
fn family() -> Family {
    Family::new(rand::rng().random())
}

/// Bytes that differ from those of another seed, and that no store compresses.
fn bytes(len: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

/// The same bytes as a stream delivers them, in pieces of odd sizes.
fn chunks(bytes: &Bytes) -> Vec<Bytes> {
    let (mut rest, mut chunks, mut size) = (bytes.clone(), Vec::new(), 1);
    while !rest.is_empty() {
        chunks.push(rest.split_to(size.min(rest.len())));
        size = (size * 7 + 3).min(100_003);
    }
    chunks
}

/// What is expected of a store, or the test is over.
fn done<T, E: std::fmt::Display>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|e| panic!("{what}: {e}"))
}
