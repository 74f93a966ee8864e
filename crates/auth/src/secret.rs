//! Keys and marks (HMAC-SHA-256).

use aws_lc_rs::hmac;

/// A key that nobody else has.
pub(crate) fn fresh_key() -> hmac::Key {
    let random: [u8; 32] = rand::random();
    hmac::Key::new(hmac::HMAC_SHA256, &random)
}

/// A key for one purpose, from the one that all replicas share.
pub(crate) fn derive(shared: &[u8], purpose: &str) -> [u8; 32] {
    bytes(&hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, shared), purpose.as_bytes()))
}

/// A mark of some parts, which cannot be taken for one of other parts.
pub(crate) fn mark(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    bytes(&context.sign())
}

/// A mark that is short enough for a token.
pub(crate) fn short_mark(key: &hmac::Key, parts: &[&[u8]]) -> String {
    hex::encode(&mark(key, parts)[..12])
}

fn bytes(tag: &hmac::Tag) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// The time of day in seconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp()).unwrap_or(0)
}
