//! Slow hashes of passwords, away from the threads that serve requests.
//!
//! At most half of the processors compute hashes at a time, so that pulls go on whoever tries passwords, and only so many
//! requests may wait for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sha_crypt::PasswordVerifier as _;
use tokio::sync::Semaphore;

use crate::caller::Password;

/// How many logins may wait, and how long.
const MOST_WAITING: usize = 256;
const PATIENCE: Duration = Duration::from_secs(20);

/// Too many passwords are being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many logins wait for their passwords to be checked")]
pub struct Busy;

/// A hash in one of the forms that are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hash(Arc<str>);

impl Hash {
    /// bcrypt, or SHA-256 or SHA-512 crypt, as zot.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let is_known = match text.as_bytes() {
            [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', ..] => text.parse::<bcrypt::HashParts>().is_ok(),
            [b'$', b'5' | b'6', b'$', ..] => sha_crypt::PasswordHashRef::new(text).is_ok(),
            _ => false,
        };
        is_known.then(|| Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// How much work it is, roughly: a power of two.
    pub(crate) fn cost(&self) -> u32 {
        self.0.parse::<bcrypt::HashParts>().map_or(4, |parts| parts.get_cost())
    }

    fn matches(&self, password: &[u8]) -> bool {
        if self.0.starts_with("$2") {
            return bcrypt::verify(password, &self.0).unwrap_or(false);
        }
        let hash = sha_crypt::PasswordHashRef::new(&self.0);
        hash.is_ok_and(|hash| sha_crypt::ShaCrypt::default().verify_password(password, hash).is_ok())
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Hasher {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Default for Hasher {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self { permits: Arc::new(Semaphore::new((processors / 2).max(1))), waiting: AtomicUsize::new(0) }
    }
}

impl Hasher {
    /// Whether the password has this hash. `known` is asked once more when it is this request's turn: what ran before may
    /// have answered it.
    pub(crate) async fn verify(
        &self,
        hash: Hash,
        password: Password,
        known: impl Fn() -> bool + Send,
    ) -> Result<bool, Busy> {
        let _place = self.place().ok_or(Busy)?;
        let permit = tokio::time::timeout(PATIENCE, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| Busy)?.map_err(|_| Busy)?;
        if known() {
            return Ok(true);
        }
        let work = tokio::task::spawn_blocking(move || {
            // A client that leaves does not make room for another before its hash is done.
            let _permit = permit;
            hash.matches(password.as_bytes())
        });
        Ok(work.await.unwrap_or(false))
    }

    fn place(&self) -> Option<Place<'_>> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.waiting);
        (before < MOST_WAITING).then_some(place)
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_other_programs_match() {
        // The last two were made by `openssl passwd`.
        for (hash, password) in [
            (bcrypt::hash("s3cr3t", 4).unwrap(), "s3cr3t"),
            (bcrypt::hash("s3cr3t", 4).unwrap().replace("$2b$", "$2y$"), "s3cr3t"),
            ("$5$saltsalt$bzwDEsDTjsQEZfriU/PmpIczsdZAgt64mFd8n9.JN9D".to_owned(), "s3cr3t"),
            (
                "$6$saltsalt$9RCzQpw081WGeK3mcWoX80W9GPZfKv49diTYqxkySopsNM50xSTDBTpgGXEQIrMuxjvAnmOnyTpa46zqy.fYR1"
                    .to_owned(),
                "s3cr3t",
            ),
        ] {
            let parsed = Hash::new(&hash).unwrap_or_else(|| panic!("{hash}"));
            assert!(parsed.matches(password.as_bytes()), "{hash}");
            assert!(!parsed.matches(b"other"), "{hash}");
        }
    }

    #[test]
    fn weak_and_broken_hashes_are_none() {
        for bad in ["", "plain", "$apr1$x$y", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "$2y$05$short", "$1$x$y"] {
            assert_eq!(Hash::new(bad), None, "{bad}");
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_told_so() {
        let hasher = Arc::new(Hasher::default());
        hasher.waiting.store(MOST_WAITING, Ordering::Relaxed);
        let hash = Hash::new(&bcrypt::hash("x", 4).unwrap()).unwrap();
        assert_eq!(hasher.verify(hash.clone(), Password::new(b"x"), || false).await, Err(Busy));
        hasher.waiting.store(0, Ordering::Relaxed);
        assert_eq!(hasher.verify(hash, Password::new(b"x"), || false).await, Ok(true));
    }
}
