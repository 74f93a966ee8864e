//! What a path of a request names.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wharf_http::properties::path(text));
