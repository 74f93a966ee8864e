//! Names, tags and references against the regular expressions of the specification (distribution-spec, "Pulling manifests").

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use regex::Regex;
use wharf_oci::{Digest, InvalidName, InvalidReference, Reference, RepositoryName, Tag};

static NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\A[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\z").expect("a pattern")
});
static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\z").expect("a pattern"));

fuzz_target!(|text: &str| {
    match text.parse::<RepositoryName>() {
        Ok(name) => {
            assert!(NAME.is_match(text));
            assert_eq!(name.to_string(), text);
            let json = serde_json::to_string(&name).expect("a name is JSON");
            assert_eq!(serde_json::from_str::<RepositoryName>(&json).expect("and back"), name);
        }
        Err(InvalidName::Length) => assert!(text.len() > 250),
        Err(InvalidName::Grammar) => assert!(!NAME.is_match(text)),
    }
    let tag = text.parse::<Tag>();
    assert_eq!(tag.is_ok(), TAG.is_match(text));
    if let Ok(tag) = &tag {
        assert_eq!(tag.as_str(), text);
    }
    match text.parse::<Reference>() {
        Ok(reference) => {
            assert_eq!(reference.to_string(), text);
            match reference {
                Reference::Tag(found) => assert_eq!(Ok(found), tag),
                Reference::Digest(found) => assert_eq!(Ok(found), text.parse::<Digest>()),
            }
        }
        Err(InvalidReference::Tag) => assert!(tag.is_err() && !text.contains(':')),
        Err(InvalidReference::Digest(why)) => assert_eq!(text.parse::<Digest>(), Err(why)),
    }
});
