//! `cargo fuzz run condition`
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| refguard_fuzz::condition(data));
