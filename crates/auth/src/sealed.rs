//! What a browser keeps for us: encrypted and signed (AES-256-GCM) under a key that all replicas share, so that nobody but a replica
//! can read or make it, and any replica can.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::secret;

/// The longest value that is made or looked at: with its name and attributes it has to fit into a cookie (RFC 6265, 6.1).
pub(crate) const LONGEST: usize = 3800;

/// Seals values of one purpose: what was sealed for another does not open.
pub(crate) struct Sealer {
    key: RandomizedNonceKey,
    purpose: &'static str,
}

impl Sealer {
    /// A sealer for a purpose; `None` only where the library has no such cipher.
    pub(crate) fn new(shared: &[u8], purpose: &'static str) -> Option<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &secret::derive(shared, purpose)).ok()?;
        Some(Self { key, purpose })
    }

    /// A text of letters, digits, `-` and `_`; `None` where it would be too long.
    pub(crate) fn seal(&self, value: &impl Serialize) -> Option<String> {
        let mut sealed = serde_json::to_vec(value).ok()?;
        let nonce = self.key.seal_in_place_append_tag(Aad::from(self.purpose), &mut sealed).ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        Some(BASE64.encode(sealed)).filter(|text| text.len() <= LONGEST)
    }

    /// What was sealed; `None` for anything else.
    pub(crate) fn open<T: DeserializeOwned>(&self, text: &str) -> Option<T> {
        let mut sealed = BASE64.decode(Some(text).filter(|text| text.len() <= LONGEST)?).ok()?;
        let nonce = sealed.split_off(sealed.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(self.purpose), &mut sealed).ok()?;
        serde_json::from_slice(opened).ok()
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer").field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(shared: &[u8], purpose: &'static str) -> Sealer {
        Sealer::new(shared, purpose).unwrap()
    }

    #[test]
    fn another_replica_opens_what_one_has_sealed_and_nobody_else_does() {
        let text = sealer(b"shared", "a").seal(&"lena").unwrap();
        assert_eq!(sealer(b"shared", "a").open::<String>(&text).as_deref(), Some("lena"));
        assert_eq!(sealer(b"shared", "b").open::<String>(&text), None, "another purpose");
        assert_eq!(sealer(b"other", "a").open::<String>(&text), None, "another key");
        assert_eq!(sealer(b"shared", "a").open::<u64>(&text), None, "another form");
        for bad in ["", "a", &text[1..], &text[..text.len() - 4], &format!("{text}AAAA"), "!", &"A".repeat(LONGEST + 1)]
        {
            assert_eq!(sealer(b"shared", "a").open::<String>(bad), None, "{bad}");
        }
        let mut bytes = BASE64.decode(&text).unwrap();
        for i in 0..bytes.len() {
            bytes[i] ^= 1;
            assert_eq!(sealer(b"shared", "a").open::<String>(&BASE64.encode(&bytes)), None, "byte {i}");
            bytes[i] ^= 1;
        }
        assert_eq!(sealer(b"shared", "a").seal(&"x".repeat(LONGEST)), None, "no cookie is as long");
    }

    #[test]
    fn the_same_value_never_looks_the_same() {
        let sealer = sealer(b"shared", "a");
        assert_ne!(sealer.seal(&"lena"), sealer.seal(&"lena"));
        assert!(!sealer.seal(&"lena").unwrap().contains("lena"));
    }
}
