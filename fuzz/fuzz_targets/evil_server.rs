#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| hobnob::sim::targets::evil_server(input));
