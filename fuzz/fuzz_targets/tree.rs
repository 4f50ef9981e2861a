//! `cargo fuzz run tree`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| refguard_fuzz::tree(data));
