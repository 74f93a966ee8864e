//! A manifest means the same however its JSON is written, and whether or not the request names its type.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wharf_oci::{Descriptor, Manifest, media_type};

fuzz_target!(|bytes: &[u8]| {
    for declared in
        [media_type::OCI_MANIFEST, media_type::OCI_INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST]
    {
        let Ok(manifest) = Manifest::parse(bytes, Some(declared)) else { continue };
        assert_eq!(manifest.media_type, declared);
        check(bytes, &manifest);
    }
    if let Ok(manifest) = Manifest::parse(bytes, None) {
        check(bytes, &manifest);
    }
    if let Ok(descriptor) = serde_json::from_slice::<Descriptor>(bytes) {
        let json = serde_json::to_string(&descriptor).expect("a descriptor is JSON");
        assert_eq!(serde_json::from_str::<Descriptor>(&json).expect("and back"), descriptor);
    }
});

fn check(bytes: &[u8], manifest: &Manifest) {
    let is_index = [media_type::OCI_INDEX, media_type::DOCKER_LIST].contains(&manifest.media_type.as_str());
    assert!(if is_index { manifest.blobs.is_empty() } else { !manifest.blobs.is_empty() });
    assert!(is_index || manifest.children.is_empty());
    assert_ne!(manifest.artifact_type.as_deref(), Some(""));
    let declared = Some(manifest.media_type.as_str());
    assert_eq!(Manifest::parse(bytes, declared).as_ref(), Ok(manifest));
    // What is never looked at may still be more than a document in memory takes: too deep, or numbers too large.
    let Ok(document) = serde_json::from_slice::<Value>(bytes) else { return };
    let rewritten = serde_json::to_vec(&document).expect("a document is JSON");
    assert_eq!(Manifest::parse(&rewritten, declared).as_ref(), Ok(manifest));
}
