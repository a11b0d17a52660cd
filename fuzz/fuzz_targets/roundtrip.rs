#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mqtt5_proto::fuzzing::roundtrip(data));
