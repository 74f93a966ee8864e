//! What holds for every text, over texts that are made from the grammars and over those that are nearly so.

#![allow(clippy::unwrap_used)] // a test may panic

use proptest::prelude::*;
use wharf_oci::{
    Algorithm, ByteRange, ContentRange, Digest, InvalidName, InvalidRange, InvalidReference, Midstate, Reference,
    RepositoryName, Tag,
};

/// The pattern of one component of a name (distribution-spec, "Pulling manifests").
const COMPONENT: &str = r"[a-z0-9]{1,6}((\.|_|__|-{1,4})[a-z0-9]{1,4}){0,3}";

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(COMPONENT, 1..4).prop_map(|components| components.join("/"))
}

fn digest() -> impl Strategy<Value = String> {
    prop_oneof!["sha256:[0-9a-f]{64}", "sha512:[0-9a-f]{128}"]
}

/// A text with one character put in, or put in place of another.
fn spoilt(text: impl Strategy<Value = String>, by: &'static str) -> impl Strategy<Value = String> {
    (text, any::<prop::sample::Index>(), by, any::<bool>()).prop_map(|(text, place, by, replaces)| {
        let place = place.index(text.len());
        format!("{}{by}{}", &text[..place], &text[place + usize::from(replaces)..])
    })
}

/// That a type's text, and its JSON, come back as they were.
macro_rules! is_its_text {
    ($type:ty, $text:expr) => {{
        let text: &str = $text;
        let value: $type = text.parse().unwrap();
        prop_assert_eq!(value.to_string(), text);
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(&json, &format!("\"{text}\""));
        prop_assert_eq!(serde_json::from_str::<$type>(&json).unwrap(), value);
    }};
}

proptest! {
    #[test]
    fn a_name_is_its_text(text in name()) {
        is_its_text!(RepositoryName, &text);
    }

    #[test]
    fn a_character_beyond_the_grammar_spoils_a_name(text in spoilt(name(), r"[^a-z0-9._/-]")) {
        prop_assert_eq!(text.parse::<RepositoryName>(), Err(InvalidName::Grammar));
    }

    #[test]
    fn separators_stand_between_letters(left in name(), between in r"(\.\.|___|\._|-\.|_-|//|/\.|-/|\.\./)", right in name()) {
        for text in [format!("{left}{between}{right}"), format!("{between}{right}"), format!("{left}{between}")] {
            prop_assert_eq!(text.parse::<RepositoryName>(), Err(InvalidName::Grammar));
        }
    }

    #[test]
    fn a_name_of_any_text_has_sane_components(text in r"[a-c0._/-]{0,12}|\PC{0,12}") {
        if let Ok(name) = text.parse::<RepositoryName>() {
            prop_assert_eq!(name.as_str(), &text);
            let is_alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            prop_assert!(name.as_str().split('/').all(|c| c.starts_with(is_alnum) && c.ends_with(is_alnum)));
        }
    }

    #[test]
    fn a_name_has_a_longest_length(length in 1usize..600) {
        let parsed = "a".repeat(length).parse::<RepositoryName>();
        prop_assert_eq!(parsed.err(), (length > 250).then_some(InvalidName::Length));
    }

    #[test]
    fn a_tag_is_its_text(text in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
        is_its_text!(Tag, &text);
        prop_assert_eq!(text.parse(), Ok(Reference::Tag(text.parse().unwrap())));
    }

    #[test]
    fn what_is_no_tag_is_refused(
        text in prop_oneof![
            spoilt("[a-zA-Z0-9_]{1,9}".boxed(), "[^a-zA-Z0-9._:-]"),
            "[.-][a-z]{0,5}",
            "[a-z]{129,140}",
        ]
    ) {
        prop_assert_eq!(text.parse::<Tag>(), Err(InvalidReference::Tag));
        prop_assert_eq!(text.parse::<Reference>(), Err(InvalidReference::Tag));
    }

    #[test]
    fn a_digest_is_its_text(text in digest()) {
        is_its_text!(Digest, &text);
        prop_assert_eq!(text.parse(), Ok(Reference::Digest(text.parse().unwrap())));
        prop_assert!(text.parse::<Tag>().is_err() && text.parse::<RepositoryName>().is_err());
    }

    #[test]
    fn a_character_beyond_the_grammar_spoils_a_digest(text in spoilt(digest(), "[^a-z0-9:]"), cut in 0usize..70) {
        prop_assert!(text.parse::<Digest>().is_err());
        let zeros = format!("sha256:{}", "0".repeat(cut)).parse::<Digest>();
        prop_assert_eq!(zeros.is_ok(), cut == 64);
    }

    #[test]
    fn a_reference_with_a_colon_is_judged_as_a_digest(text in "[a-z0-9]{0,8}:[a-z0-9:]{0,8}") {
        let digest = text.parse::<Digest>().map(Reference::Digest).map_err(InvalidReference::Digest);
        prop_assert_eq!(text.parse::<Reference>(), digest);
    }

    #[test]
    fn a_hash_goes_on_from_any_cut(bytes in prop::collection::vec(any::<u8>(), 0..600), cut: prop::sample::Index) {
        let (before, after) = bytes.split_at(cut.index(bytes.len() + 1));
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut hasher = algorithm.hasher();
            hasher.update(before);
            let saved: Midstate = serde_json::from_str(&serde_json::to_string(&hasher.save()).unwrap()).unwrap();
            let mut hasher = saved.resume().unwrap();
            prop_assert_eq!(hasher.save(), saved);
            hasher.update(after);
            prop_assert_eq!(hasher.finish(), algorithm.digest(&bytes));
        }
    }

    #[test]
    fn a_damaged_state_never_gives_a_wrong_digest(
        bytes in prop::collection::vec(any::<u8>(), 0..300), place: prop::sample::Index, damage: u8,
    ) {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut hasher = algorithm.hasher();
            hasher.update(&bytes);
            let mut saved = serde_json::to_vec(&hasher.save()).unwrap();
            let place = place.index(saved.len());
            saved[place] = damage;
            let resumed = serde_json::from_slice::<Midstate>(&saved).ok().and_then(|state| state.resume().ok());
            if let Some(resumed) = resumed {
                prop_assert_eq!(resumed.finish(), algorithm.digest(&bytes));
            }
        }
    }

    #[test]
    fn a_range_is_what_both_have(first in 0u64..50, last in 0u64..50, size in 0u64..50) {
        let within = |text: String| text.parse::<ByteRange>().unwrap().within(size);
        let bytes = |wanted: &dyn Fn(u64) -> bool| {
            let found: Vec<u64> = (0..size).filter(|byte| wanted(*byte)).collect();
            found.first().zip(found.last()).map(|(first, last)| *first..*last + 1).ok_or(InvalidRange::Unsatisfiable)
        };
        prop_assert_eq!(within(format!("bytes={first}-{last}")), bytes(&|b| (first..=last).contains(&b)));
        prop_assert_eq!(within(format!("Bytes= {first}-")), bytes(&|b| b >= first));
        prop_assert_eq!(within(format!("bytes=-{last}")), bytes(&|b| b + last >= size));
    }

    #[test]
    fn a_range_of_any_numbers_lies_within(first: u64, last: u64, size: u64) {
        for range in [ByteRange::FromTo(first, last), ByteRange::From(first), ByteRange::Last(last)] {
            match range.within(size) {
                Ok(part) => prop_assert!(part.start < part.end && part.end <= size),
                Err(why) => prop_assert_eq!(why, InvalidRange::Unsatisfiable),
            }
        }
    }

    #[test]
    fn a_chunk_has_its_ends_in_order(first: u64, last: u64, total: u64) {
        let expected = if first <= last { Ok(ContentRange { first, last }) } else { Err(InvalidRange::Form) };
        prop_assert_eq!(format!("{first}-{last}").parse(), expected);
        prop_assert_eq!(format!("bytes {first}-{last}/{total}").parse(), expected);
        prop_assert!(expected.is_err() || expected.unwrap().length() > 0);
    }

    #[test]
    fn no_range_is_too_strange(text in r"(bytes)?[= ]?[0-9+*, /-]{0,24}|\PC{0,12}") {
        if let Ok(ByteRange::FromTo(first, last)) = text.parse() {
            prop_assert_eq!(format!("bytes={first}-{last}").parse(), Ok(ByteRange::FromTo(first, last)));
        }
        if let Ok(range) = text.parse::<ContentRange>() {
            prop_assert!(range.first <= range.last);
            prop_assert!(!text.contains(['+', '*', ',']) || text.contains('/'));
        }
    }
}
