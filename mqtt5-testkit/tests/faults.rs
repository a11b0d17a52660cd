//! Scripted faults, as packet traces.

mod support;

use std::num::NonZeroUsize;
use std::time::Duration;

use bytes::Bytes;
use mqtt5_proto::packet::{Disconnect, DisconnectReasonCode, Packet, PacketType};
use mqtt5_testkit::{ConnectionId, Direction, Effect, When};
use support::{CONNACK, Lab, RESUMED, bytes, connect, resume};

const PING: &str = "C0 00";
const PONG: &str = "D0 00";

/// A client that gets its own messages on topic `a`.
fn echo() -> (Lab, ConnectionId) {
    let mut lab = Lab::new();
    let a = lab.join(&resume("a"), CONNACK);
    lab.feed(a, "82 | 0001 00 0001 'a' 02");
    lab.expect(a, &["90 | 0001 00 02"]);
    (lab, a)
}

const PUBLISH_1: &str = "32 | 0001 'a' 0001 00";
const PUBACK_1: &str = "40 02 0001";

fn raw(notation: &str) -> Bytes {
    bytes(notation).into()
}

#[test]
fn cuts_around_a_received_packet() {
    let (mut lab, a) = echo();
    let fault = lab
        .broker
        .add_fault(When::received(PacketType::Publish), Effect::CutBefore);
    lab.feed(a, PUBLISH_1);
    lab.expect(a, &["cut"]);
    assert_eq!(lab.broker.struck(fault), 1);
    assert_eq!(lab.broker.unacknowledged("a"), 0);

    let a = lab.join(&resume("a"), RESUMED);
    lab.broker
        .add_fault(When::received(PacketType::Publish), Effect::CutAfter);
    lab.feed(a, PUBLISH_1);
    lab.expect(a, &[PUBLISH_1, PUBACK_1, "cut"]);
    assert_eq!(lab.broker.unacknowledged("a"), 1);
    assert_eq!(lab.broker.connection_of("a"), None);

    let a = lab.open();
    lab.broker
        .add_fault(When::received(PacketType::Pingreq), Effect::CloseAfter);
    lab.feed(a, &resume("a"));
    lab.feed(a, "C0 00 C0 00");
    lab.expect(a, &[RESUMED, "3A | 0001 'a' 0001 00", PONG, "close"]);
}

#[test]
fn cuts_around_a_sent_packet() {
    let (mut lab, a) = echo();
    lab.broker
        .add_fault(When::sent(PacketType::Puback), Effect::CutBefore);
    lab.feed(a, PUBLISH_1);
    lab.expect(a, &[PUBLISH_1, "cut"]);
    let a = lab.open();
    lab.broker
        .add_fault(When::sent(PacketType::Publish), Effect::CutAfter);
    lab.feed(a, &resume("a"));
    lab.expect(a, &[RESUMED, "3A | 0001 'a' 0001 00", "cut"]);
}

#[test]
fn cuts_after_bytes() {
    let mut lab = Lab::new();
    lab.broker
        .add_fault(When::sent_bytes(6).times(2), Effect::CutAfter);
    let a = lab.client("a");
    lab.feed(a, PING);
    lab.expect(a, &["D0", "cut"]);
    // Each connection counts for itself.
    let b = lab.client("b");
    let c = lab.client("c");
    lab.feed(c, PING);
    lab.feed(b, PING);
    lab.expect(c, &["D0", "cut"]);
    lab.expect(b, &[PONG]);

    lab.broker.clear_faults();
    let length = bytes(&connect("d")).len();
    lab.broker.add_fault(
        When::received_bytes(length + 3).client("d"),
        Effect::CutAfter,
    );
    // Counted from the CONNECT on, since before that the client had no name.
    lab.broker
        .add_fault(When::received_bytes(3).client("e"), Effect::CutBefore);
    let d = lab.open();
    lab.feed(d, &connect("d"));
    lab.feed(d, "C0 00 C0 00");
    lab.expect(d, &[CONNACK, PONG, PONG]);
    let e = lab.client("e");
    lab.feed(e, "C0 00 C0 00");
    lab.expect(e, &[PONG, "cut"]);
    lab.broker.add_fault(When::sent_bytes(0), Effect::CutAfter);
    let f = lab.open();
    lab.feed(f, &connect("f"));
    lab.expect(f, &["cut"]);
}

#[test]
fn which_packets() {
    let mut lab = Lab::new();
    let [a, b] = ["a", "b"].map(|id| lab.client(id));
    let ping = |when: When| (when, Effect::Drop);
    let pings = || When::received(PacketType::Pingreq);
    let mut add = |(when, effect)| lab.broker.add_fault(when, effect);
    let faults = [
        add(ping(pings().client("a").nth(2).times(2))),
        add(ping(pings().client("b").nth(4).always())),
        add(ping(
            When::received_any().matching(|packet| matches!(packet, Packet::Subscribe(_))),
        )),
        add(ping(When::sent_any().client("c"))),
    ];
    for _ in 0..5 {
        lab.feed(a, PING);
        lab.feed(b, PING);
    }
    lab.expect(a, &[PONG; 3]);
    lab.expect(b, &[PONG; 3]);
    lab.feed(a, "82 | 0001 00 0001 'a' 02");
    lab.feed(a, "A2 | 0001 00 0001 'a'");
    lab.expect(a, &["B0 | 0001 00 11"]);
    let struck: Vec<_> = faults.map(|fault| lab.broker.struck(fault)).into();
    assert_eq!(struck, [2, 2, 1, 0]);
    lab.broker.remove_fault(faults[1]);
    lab.feed(b, PING);
    lab.expect(b, &[PONG]);
}

#[test]
fn acknowledgements_are_held_and_released() {
    let (mut lab, a) = echo();
    lab.broker
        .add_fault(When::sent(PacketType::Puback).always(), Effect::Hold);
    lab.feed(a, PUBLISH_1);
    lab.feed(a, "32 | 0001 'a' 0002 00");
    lab.feed(a, PING);
    lab.expect(a, &[PUBLISH_1, "32 | 0001 'a' 0002 00", PONG]);
    assert_eq!(lab.broker.held(), 2);
    assert_eq!(lab.broker.release_held(lab.now), 2);
    lab.expect(a, &[PUBACK_1, "40 02 0002"]);
    // What is held dies with the connection.
    lab.feed(a, "32 | 0001 'a' 0003 00");
    lab.close(a);
    assert_eq!(lab.broker.held(), 0);
}

#[test]
fn held_acknowledgements_take_room() {
    let mut lab = Lab::with(|config| {
        config.connack.receive_maximum = std::num::NonZeroU16::new(1);
    });
    let a = lab.join(&connect("a"), "20 | 00 00 [ 21 0001 ]");
    lab.broker
        .add_fault(When::sent(PacketType::Puback), Effect::Hold);
    lab.feed(a, PUBLISH_1);
    lab.broker.release_held(lab.now);
    lab.feed(a, PUBLISH_1);
    lab.expect(a, &["40 03 0001 10", "40 03 0001 10"]);
    lab.broker
        .add_fault(When::sent(PacketType::Puback), Effect::Hold);
    lab.feed(a, PUBLISH_1);
    lab.feed(a, "32 | 0001 'a' 0002 00");
    lab.expect(a, &["E0 01 93", "close"]);
}

#[test]
fn a_received_packet_is_held() {
    let mut lab = Lab::new();
    lab.broker
        .add_fault(When::received(PacketType::Connect), Effect::Hold);
    let a = lab.open();
    lab.feed(a, &connect("a"));
    lab.quiet();
    lab.broker.release_held(lab.now);
    lab.expect(a, &[CONNACK]);
}

#[test]
fn delays() {
    let mut lab = Lab::new();
    let a = lab.client("a");
    let second = Effect::Delay(Duration::from_secs(1));
    lab.broker
        .add_fault(When::sent(PacketType::Puback).always(), second.clone());
    lab.broker
        .add_fault(When::received(PacketType::Pingreq).nth(2), second);
    lab.feed(a, PUBLISH_1);
    lab.advance(Duration::from_millis(500));
    lab.feed(a, "32 | 0001 'a' 0002 00");
    lab.feed(a, PING);
    lab.feed(a, PING);
    lab.expect(a, &[PONG]);
    lab.advance(Duration::from_millis(500));
    lab.expect(a, &["40 03 0001 10"]);
    lab.advance(Duration::from_millis(499));
    lab.quiet();
    lab.advance(Duration::from_millis(1));
    lab.expect(a, &["40 03 0002 10", PONG]);
}

#[test]
fn bytes_of_the_script() {
    let mut lab = Lab::new();
    let a = lab.client("a");
    let ping = |effect| (When::received(PacketType::Pingreq), effect);
    let pong = |effect| (When::sent(PacketType::Pingresp), effect);
    for ((when, effect), expected) in [
        (ping(Effect::Replace(raw("01"))), &["01"][..]),
        (ping(Effect::SendBefore(raw("02"))), &["02", PONG]),
        (ping(Effect::SendAfter(raw("03"))), &[PONG, "03"]),
        (pong(Effect::Replace(raw("04"))), &["04"]),
        (pong(Effect::SendBefore(raw("05"))), &["05", PONG]),
        (pong(Effect::SendAfter(raw("06"))), &[PONG, "06"]),
        (ping(Effect::Drop), &[]),
        (ping(Effect::Duplicate { dup: false }), &[PONG, PONG]),
        (pong(Effect::Duplicate { dup: true }), &[PONG, PONG]),
    ] {
        lab.broker.add_fault(when, effect);
        lab.feed(a, PING);
        lab.expect(a, expected);
    }
    // Effects add up.
    lab.broker.add_fault(
        When::received(PacketType::Pingreq),
        Effect::Replace(raw("07")),
    );
    lab.broker
        .add_fault(When::received(PacketType::Pingreq), Effect::CloseAfter);
    lab.broker.send_raw(a, raw("08"), lab.now);
    lab.feed(a, PING);
    lab.expect(a, &["08", "07", "close"]);
    let b = lab.client("b");
    let busy = Disconnect::new(DisconnectReasonCode::ServerBusy);
    lab.broker.disconnect(b, &busy, lab.now);
    lab.expect(b, &["E0 01 89", "close"]);
}

#[test]
fn a_publish_comes_twice() {
    for (qos, dup, second) in [
        (1, true, "3A | 0001 'a' 0001 00"),
        (1, false, "32 | 0001 'a' 0001 00"),
        (0, true, "30 | 0001 'a' 00"),
    ] {
        let (mut lab, a) = echo();
        lab.broker
            .add_fault(When::sent(PacketType::Publish), Effect::Duplicate { dup });
        if qos == 0 {
            lab.feed(a, "30 | 0001 'a' 00");
            lab.expect(a, &["30 | 0001 'a' 00", second]);
        } else {
            lab.feed(a, PUBLISH_1);
            lab.expect(a, &[PUBLISH_1, second, PUBACK_1]);
        }
    }
}

#[test]
fn lies_about_the_session() {
    let mut lab = Lab::new();
    lab.broker.add_fault(
        When::sent(PacketType::Connack),
        Effect::SessionPresent(true),
    );
    let a = lab.join(&resume("a"), RESUMED);
    lab.close(a);
    lab.broker.add_fault(
        When::sent(PacketType::Connack),
        Effect::SessionPresent(false),
    );
    let a = lab.join(&resume("a"), CONNACK);
    lab.close(a);
    lab.broker
        .add_fault(When::received(PacketType::Connect), Effect::LoseSession);
    let a = lab.join(&resume("a"), CONNACK);
    lab.close(a);
    lab.join(&resume("a"), RESUMED);
}

#[test]
fn stops_reading() {
    let mut lab = Lab::new();
    let a = lab.join("10 | 0004 'MQTT' 05 02 0001 00 0001 'a'", CONNACK);
    lab.broker
        .add_fault(When::received(PacketType::Pingreq), Effect::StopReading);
    lab.feed(a, "C0 00 C0 00");
    lab.expect(a, &[PONG]);
    assert!(!lab.broker.wants_input(a));
    // It cannot hold the silence of a client against it that it does not listen to.
    lab.advance_secs(10);
    lab.feed(a, PING);
    lab.quiet();
    lab.broker.resume_reading(a, lab.now);
    assert!(lab.broker.wants_input(a));
    lab.expect(a, &[PONG, PONG]);
}

#[test]
fn small_pieces() {
    let mut lab = Lab::with(|config| config.piece_size = NonZeroUsize::new(2));
    let a = lab.open();
    lab.feed(a, &connect("a"));
    lab.expect(a, &["20 03", "00 00", "00"]);
}

#[test]
fn records() {
    let mut lab = Lab::new();
    let a = lab.open();
    lab.feed(a, "10 | 0004 'MQTT' 05 42 0000 00 0001 'a' 0006 'secret'");
    lab.feed(a, PING);
    let found: Vec<_> = lab
        .broker
        .records()
        .map(|record| {
            (
                record.direction,
                record.client_id.as_str(),
                record.packet_type(),
            )
        })
        .collect();
    let from = |packet_type| (Direction::FromClient, "a", Some(packet_type));
    let to = |packet_type| (Direction::ToClient, "a", Some(packet_type));
    let expected = [
        from(PacketType::Connect),
        to(PacketType::Connack),
        from(PacketType::Pingreq),
        to(PacketType::Pingresp),
    ];
    assert_eq!(found, expected);
    assert_eq!(lab.broker.count_received(PacketType::Pingreq), 1);
    let text = format!("{:?}", lab.broker.records().collect::<Vec<_>>());
    assert!(
        text.contains("Connack") && !text.contains("secret"),
        "{text}"
    );
}
