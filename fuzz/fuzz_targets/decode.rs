#![no_main]

use allocation_counter::measure;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let taken = measure(|| mqtt5_proto::fuzzing::decode(data));
    // A list of User Properties that doubles takes 48 bytes for one that came, and is there twice.
    assert!(
        taken.bytes_max <= 100 * (data.len() as u64 + 1),
        "{taken:?}"
    );
});
