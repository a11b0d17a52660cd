//! Bytes that nobody would send: the broker answers or closes, and never panics.

mod support;

use std::time::Duration;

use mqtt5_testkit::{Effect, When};
use support::{Lab, bytes, connect_with, resume};

/// A generator of our own, so that a failure repeats itself (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap_or(0)
    }
}

#[test]
fn any_bytes() {
    let connects = [
        resume("a"),
        connect_with(0x02, "21 0001 22 0003 27 00000020", "a"),
        connect_with(0x00, "11 00000005", "b"),
    ];
    let packets = [
        "82 | 0001 [ 0B 05 ] 0001 '#' 0E 000A '$share/g/a' 01",
        "A2 | 0002 00 0001 '#'",
        "30 | 0001 'a' [ 02 00000003 ] 'x'",
        "33 | 0001 'a' 0003 00 'x'",
        "34 | 0001 'b' 0004 [ 23 0001 ] 'x'",
        "3C | 0000 0004 [ 23 0001 ] 'x'",
        "62 02 0004",
        "40 02 0001",
        "50 02 0001",
        "70 02 0001",
        "C0 00",
        "E0 00",
        "F0 | 19 [ 15 0001 'X' ]",
    ];
    let mut random = Random(1);
    for _ in 0..2_000 {
        let mut lab = Lab::with(|config| {
            config.use_topic_aliases = true;
            config.connack.topic_alias_maximum = Some(1);
        });
        lab.broker.add_fault(
            When::sent_any().nth(9),
            Effect::Delay(Duration::from_secs(1)),
        );
        lab.broker
            .add_fault(When::received_bytes(200).always(), Effect::CutAfter);
        for _ in 0..4 {
            let id = lab.open();
            let mut input = bytes(&connects[random.below(connects.len())]);
            for _ in 0..random.below(20) {
                let mut packet = bytes(packets[random.below(packets.len())]);
                if random.below(4) == 0 {
                    let at = random.below(packet.len());
                    packet[at] = u8::try_from(random.below(256)).unwrap();
                }
                input.extend(packet);
            }
            for piece in input.chunks(1 + random.below(input.len())) {
                lab.broker.handle_input(id, piece, lab.now);
            }
            lab.advance_secs(random.below(4) as u64);
            while lab.broker.poll_output().is_some() {}
        }
    }
}
