//! The parameters of a request.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| wharf_http::properties::query(text));
