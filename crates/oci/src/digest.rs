//! Content digests, and the resumable hash behind them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use digest::Digest as _;
use digest::common::hazmat::SerializableState;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Sha256, Sha512};

/// A registered digest algorithm (image-spec, "Descriptors": sha256 and sha512).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-256, the algorithm that every client uses by default.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The algorithm's name as it stands before the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Length of the encoded (hexadecimal) part.
    #[must_use]
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// A fresh hash.
    #[must_use]
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sha256 => Hasher::Sha256(Sha256::new()),
            Self::Sha512 => Hasher::Sha512(Sha512::new()),
        }
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Digest {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }
}

impl FromStr for Algorithm {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(InvalidDigest::Algorithm),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A content digest, `algorithm:hex` (image-spec, "Descriptors", "Digests").
///
/// Only lower-case hexadecimal of the algorithm's exact length is a digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    hex: Box<str>,
}

impl Digest {
    /// The algorithm that made it.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The encoded part, behind the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDigest {
    /// No colon in it.
    #[error("a digest has the form algorithm:hex")]
    Form,
    /// Not a registered algorithm.
    #[error("the digest algorithm must be sha256 or sha512")]
    Algorithm,
    /// Wrong length, or a character that is no lower-case hexadecimal digit.
    #[error("the digest must be 64 (sha256) or 128 (sha512) lower-case hexadecimal digits")]
    Hex,
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (algorithm, hex) = text.split_once(':').ok_or(InvalidDigest::Form)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != algorithm.hex_len() || !hex.bytes().all(is_hex) {
            return Err(InvalidDigest::Hex);
        }
        Ok(Self { algorithm, hex: hex.into() })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A running hash whose state can be saved in one process and taken up in another.
#[derive(Clone)]
pub enum Hasher {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl Hasher {
    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
        }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest of everything taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let hex = match self {
            Self::Sha256(hash) => hex::encode(hash.finalize()),
            Self::Sha512(hash) => hex::encode(hash.finalize()),
        };
        Digest { algorithm, hex: hex.into() }
    }

    /// The state so far, to go on elsewhere with [`Midstate::resume`].
    #[must_use]
    pub fn save(&self) -> Midstate {
        let state = match self {
            Self::Sha256(hash) => hash.serialize().to_vec(),
            Self::Sha512(hash) => hash.serialize().to_vec(),
        };
        let check = crc32fast::hash(&state);
        Midstate { algorithm: self.algorithm(), layout: LAYOUT, state: STANDARD_NO_PAD.encode(state), check }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({})", self.algorithm())
    }
}

/// The layout of sha2 0.11's serialized state; another one gets another number.
const LAYOUT: u8 = 1;

/// A saved hash state. It is trusted: a client never supplies one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Midstate {
    algorithm: Algorithm,
    layout: u8,
    state: String,
    check: u32,
}

/// A saved state that was damaged or written by another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the saved hash state is damaged or of another version")]
pub struct InvalidMidstate;

impl Midstate {
    /// The algorithm of the running hash.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Goes on where [`Hasher::save`] stopped.
    ///
    /// # Errors
    /// When the state does not match its checksum or has an unknown layout: going on would give a wrong digest.
    pub fn resume(&self) -> Result<Hasher, InvalidMidstate> {
        let state = STANDARD_NO_PAD.decode(&self.state).map_err(|_| InvalidMidstate)?;
        if self.layout != LAYOUT || crc32fast::hash(&state) != self.check {
            return Err(InvalidMidstate);
        }
        match self.algorithm {
            Algorithm::Sha256 => {
                let state = state.as_slice().try_into().map_err(|_| InvalidMidstate)?;
                Sha256::deserialize(state).map(Hasher::Sha256).map_err(|_| InvalidMidstate)
            }
            Algorithm::Sha512 => {
                let state = state.as_slice().try_into().map_err(|_| InvalidMidstate)?;
                Sha512::deserialize(state).map(Hasher::Sha512).map_err(|_| InvalidMidstate)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_lower_case_hex_of_the_exact_length() {
        let good = format!("sha256:{}", "0a".repeat(32));
        assert_eq!(good.parse::<Digest>().map(|d| d.to_string()), Ok(good));
        for bad in ["", "sha256", "sha256:", "sha256:abc", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        for (algorithm, hex) in [("sha256", "0A".repeat(32)), ("sha512", "0a".repeat(32)), ("sha256", "0g".repeat(32))]
        {
            assert!(format!("{algorithm}:{hex}").parse::<Digest>().is_err());
        }
    }

    #[test]
    fn a_hash_goes_on_from_its_saved_state_at_any_cut() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for cut in [0, 1, 63, 64, 65, 111, 112, 127, 128, 129, 999, 1000] {
                let mut first = algorithm.hasher();
                first.update(&bytes[..cut]);
                let saved = serde_json::to_string(&first.save()).expect("a state is JSON");
                let saved: Midstate = serde_json::from_str(&saved).expect("and back");
                let mut second = saved.resume().expect("an intact state");
                second.update(&bytes[cut..]);
                assert_eq!(second.finish(), algorithm.digest(&bytes), "{algorithm} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_damaged_state_is_refused() {
        let mut saved = Algorithm::Sha256.hasher().save();
        saved.check ^= 1;
        assert_eq!(saved.resume().err(), Some(InvalidMidstate));
    }
}
