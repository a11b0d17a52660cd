#![no_main]

use allocation_counter::measure;
use libfuzzer_sys::fuzz_target;

/// What the body itself holds: its own messages, of 70,000 bytes at most, in some copies.
const OWN: u64 = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let taken = measure(|| mqtt5_proto::fuzzing::broker_bytes(data));
    // Everything comes twice, and is kept, with the events that it led to.
    assert!(
        taken.bytes_max <= OWN + 200 * data.len() as u64,
        "{taken:?}"
    );
});
