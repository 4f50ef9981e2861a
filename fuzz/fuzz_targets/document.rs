//! `cargo fuzz run document`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| refguard_fuzz::document(data));
