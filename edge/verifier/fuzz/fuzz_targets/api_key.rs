#![no_main]

#[path = "../../tests/fuzzing/mod.rs"]
#[allow(dead_code, reason = "each target runs one of the bodies")]
mod fuzzing;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzzing::api_key(bytes));
