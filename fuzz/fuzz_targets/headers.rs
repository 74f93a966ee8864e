//! Headers that are read as lists: of hops, of entity tags.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wharf_http::properties::headers(text));
