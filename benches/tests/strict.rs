//! The strict code written by hand refuses exactly what ours refuses: without that, ratios to it
//! would mean nothing.

use benches::hand::strict;
use benches::samples;
use mqtt5_proto::packet::Packet;

fn ours(packet: &[u8]) -> bool {
    match Packet::parse(packet) {
        Ok(Packet::Publish(publish)) => publish.has_valid_topic(),
        other => other.is_ok(),
    }
}

/// Whether all of `packet` is one packet that is legal.
fn by_hand(packet: &[u8]) -> bool {
    let size = match packet[0] >> 4 {
        1 => strict::connect(packet).map(|(_, size)| size),
        8 => strict::subscribe(packet).map(|(_, size)| size),
        _ => strict::packet(packet).map(|(_, size)| size),
    };
    size == Some(packet.len())
}

#[test]
fn both_refuse_the_same_of_all_packets_with_one_byte_changed() {
    let mut packets: Vec<_> = samples::mixture().into_iter().map(|(p, _)| p).collect();
    packets.push(samples::connect());
    packets.push(samples::subscribe());
    packets.push(samples::packet(0x40, &[0, 1, 0x80, 0]));
    packets.push(samples::packet(
        0x40,
        &[0, 1, 0, 6, 0x1F, 0, 3, b'w', b'h', b'y'],
    ));
    let mut refused = 0;
    for packet in packets {
        assert!(ours(&packet) && by_hand(&packet), "{packet:02x?}");
        for index in 0..packet.len() {
            for value in 0..=u8::MAX {
                let mut changed = packet.clone();
                changed[index] = value;
                if changed[0] >> 4 != packet[0] >> 4 {
                    continue;
                }
                let legal = ours(&changed);
                assert_eq!(by_hand(&changed), legal, "{changed:02x?}, byte {index}");
                refused += u32::from(!legal);
            }
        }
    }
    assert!(refused > 10_000, "only {refused} were refused");
}

#[test]
fn both_refuse_packets_that_are_cut_short() {
    for (packet, _) in samples::mixture() {
        for len in 1..packet.len() {
            assert!(!ours(&packet[..len]) && !by_hand(&packet[..len]));
        }
    }
}

#[test]
fn both_refuse_strings_that_are_none() {
    for topic in ["\0", "a\0b", "+", "a/#", "abcdefgh+", "abcdefghijklmno\0"] {
        let len = u8::try_from(topic.len()).unwrap_or(u8::MAX);
        let body = [&[0, len], topic.as_bytes(), &[0]].concat();
        let packet = samples::packet(0x30, &body);
        assert!(!ours(&packet) && !by_hand(&packet), "{topic:?}");
        assert!(strict::plain_publish(&packet).is_none(), "{topic:?}");
    }
    let surrogate = samples::packet(0x30, &[0, 3, 0xED, 0xA0, 0x80, 0]);
    assert!(!ours(&surrogate) && !by_hand(&surrogate));
    assert!(strict::plain_publish(&surrogate).is_none());
    let text = samples::packet(0x30, b"\x00\x05gr\xC3\xBCn\x00");
    assert!(ours(&text) && by_hand(&text) && strict::plain_publish(&text).is_some());
}
