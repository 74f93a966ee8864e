//! A digest is its text: nothing else is one, and it comes back as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wharf_oci::Digest;

fuzz_target!(|text: &str| {
    let json = serde_json::to_string(text).expect("a text is JSON");
    let from_json = serde_json::from_str::<Digest>(&json).ok();
    let digest = text.parse::<Digest>().ok();
    assert_eq!(digest, from_json);
    let Some(digest) = digest else { return };
    assert_eq!(digest.to_string(), text);
    assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
    assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), text);
    assert!(digest.hex().bytes().all(|b| b"0123456789abcdef".contains(&b)));
    assert_eq!(serde_json::to_string(&digest).expect("a digest is JSON"), json);
});
