//! Publishing at QoS 0 and 1 (MQTT 5.0 section 4.3), as packet traces.

mod session_support;

use bytes::Bytes;
use mqtt5_proto::packet::{PublishReasonCode, Received};
use mqtt5_proto::session::{Event, PublishVerdict};
use mqtt5_proto::{PacketId, QoS};
use session_support::*;

#[test]
fn qos_0_is_sent_once_and_its_verdict_comes_when_the_transport_took_the_last_byte() {
    let mut peer = Peer::connected();
    let operation = peer.qos0("a");
    peer.expect_held("30 05 00 01 74 00 61");
    peer.transmit(6);
    peer.expect_no_event();
    assert_eq!(peer.session.pending_operations(), 1);
    peer.transmit(1);
    assert_eq!(peer.expect_verdict(operation), PublishVerdict::Sent);
    assert_eq!(peer.session.pending_operations(), 0);
    assert_eq!(peer.session.pending_bytes(), 0);
    peer.expect_nothing();
}

#[test]
fn qos_1_is_finished_by_its_puback() {
    let mut peer = Peer::connected();
    let operation = peer.qos1("a");
    peer.expect("32 07 00 01 74 00 01 00 61");
    peer.expect_no_event();
    peer.given("40 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
    peer.expect_nothing();
    assert_eq!(peer.session.pending_operations(), 0);
    assert_eq!(peer.session.pending_bytes(), 0);
    assert!(peer.session.is_settled());
}

#[test]
fn retain_and_properties_are_sent() {
    let mut peer = Peer::connected();
    let mut sent = message(QoS::AtLeastOnce, "a").with_retain(true);
    sent.properties_mut().content_type = Some(text("x"));
    peer.publish_message(sent);
    peer.expect("33 0B 00 01 74 00 01 04 03 00 01 78 61");
}

#[test]
fn edge_case_93_a_puback_without_subscribers_is_a_success() {
    let mut peer = Peer::connected();
    let operation = peer.qos1("a");
    peer.drain();
    peer.given("40 03 00 01 10");
    peer.expect_acknowledged(operation, 0x10);
}

#[test]
fn edge_case_94_a_failed_puback_ends_the_exchange_frees_id_and_quota_and_is_never_resent() {
    // Receive Maximum 1
    let mut peer = Peer::connected_with(config(), "20 06 00 00 03 21 00 01");
    let refused = peer.qos1("a");
    let next = peer.qos1("b");
    peer.expect("32 07 00 01 74 00 01 00 61");
    peer.given("40 03 00 01 87");
    peer.expect_refused(refused, 0x87);
    peer.expect("32 07 00 01 74 00 01 00 62");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(next, 0x00);
    peer.reconnect(RESUMED);
    peer.expect_nothing();
}

#[test]
fn edge_case_181_an_untabled_failure_in_a_puback_fails_the_operation_with_the_raw_code() {
    let mut peer = Peer::connected();
    let operation = peer.qos1("a");
    peer.drain();
    peer.given("40 03 00 01 92");
    match peer.expect_verdict(operation) {
        PublishVerdict::Refused(ack) => assert_eq!(ack.reason_code, Received::Untabled(0x92)),
        other => panic!("{other:?}"),
    }
    peer.expect_nothing();
}

#[test]
fn the_properties_of_a_puback_come_with_the_verdict() {
    let mut peer = Peer::connected();
    let operation = peer.qos1("a");
    peer.drain();
    peer.given("40 09 00 01 87 05 1F 00 02 6E 6F");
    match peer.expect_verdict(operation) {
        PublishVerdict::Refused(ack) => {
            assert_eq!(ack.reason_code, PublishReasonCode::NotAuthorized);
            assert_eq!(ack.completion, None);
            let properties = ack.properties.unwrap();
            assert_eq!(properties.reason_string, Some(text("no")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_100_a_puback_for_an_unknown_id_is_ignored() {
    let mut peer = Peer::connected();
    peer.given("40 02 00 09");
    peer.expect_no_event();
    peer.expect_nothing();
    // A second one for an exchange that is over, as well.
    let operation = peer.qos1("a");
    peer.drain();
    peer.given("40 02 00 01 | 40 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
    peer.expect_no_event();
    peer.expect_nothing();
}

#[test]
fn edge_case_101_a_pubrec_for_a_qos_1_exchange_is_a_protocol_error() {
    for answer in ["50 02 00 01", "50 03 00 01 87"] {
        let mut peer = Peer::connected();
        peer.qos1("a");
        peer.drain();
        peer.expect_violation(answer, 0x82);
    }
}

#[test]
fn edge_case_101_a_pubcomp_for_a_qos_1_exchange_is_a_protocol_error() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.drain();
    peer.expect_violation("70 02 00 01", 0x82);
}

#[test]
fn edge_case_107_an_overdue_acknowledgement_is_never_a_reason_to_resend() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.expect("32 07 00 01 74 00 01 00 61");
    peer.wait_seconds(100_000);
    peer.expect_nothing();
    peer.expect_no_event();
}

#[test]
fn messages_of_all_qos_leave_in_the_order_of_the_commands() {
    let mut peer = Peer::connected();
    peer.qos1("a");
    peer.qos0("b");
    peer.qos2("c");
    peer.qos0("d");
    peer.expect(
        "32 07 00 01 74 00 01 00 61 | 30 05 00 01 74 00 62 \
         | 34 07 00 01 74 00 02 00 63 | 30 05 00 01 74 00 64",
    );
}

#[test]
fn freed_ids_are_used_again_first_in_first_out() {
    let mut peer = Peer::connected();
    for payload in ["a", "b", "c"] {
        peer.qos1(payload);
    }
    peer.expect(
        "32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62 | 32 07 00 01 74 00 03 00 63",
    );
    peer.given("40 02 00 02 | 40 02 00 01");
    peer.qos1("d");
    peer.qos1("e");
    peer.qos1("f");
    peer.expect(
        "32 07 00 01 74 00 02 00 64 | 32 07 00 01 74 00 01 00 65 | 32 07 00 01 74 00 04 00 66",
    );
}

/// The ids of the QoS 1 messages of one-byte payloads in `sent`.
fn ids(sent: &[u8]) -> Vec<u16> {
    assert_eq!(sent.len() % 9, 0);
    sent.chunks(9)
        .map(|packet| {
            assert_eq!(packet[..5], [0x32, 0x07, 0x00, 0x01, 0x74]);
            u16::from_be_bytes([packet[5], packet[6]])
        })
        .collect()
}

#[test]
fn edge_cases_115_and_116_with_65535_ids_in_use_the_next_waits_and_zero_is_never_used() {
    let config = mqtt5_proto::session::SessionConfig {
        outbound_messages: 70_000,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    for _ in 0..65_540 {
        peer.qos1("x");
    }
    let sent = ids(&peer.drain());
    assert!(sent.iter().copied().eq(1..=65_535));
    // A request needs an id too.
    peer.subscribe(&["a/b"]);
    peer.expect_nothing();
    // The one that becomes free is the next that is used.
    peer.given("40 02 12 34");
    peer.events();
    peer.expect("82 09 12 34 00 00 03 61 2F 62 02");
    peer.given("40 02 00 07");
    assert_eq!(ids(&peer.drain()), [7]);
    peer.given("40 02 FF FF | 40 02 00 01");
    assert_eq!(ids(&peer.drain()), [65_535, 1]);
}

#[test]
fn after_65535_messages_ids_go_round_and_skip_the_one_in_use() {
    let mut peer = Peer::connected();
    peer.qos1("x");
    assert_eq!(ids(&peer.drain()), [1]);
    for _ in 0..66_000 {
        let operation = peer.qos1("x");
        let sent = ids(&peer.drain());
        assert!(sent[0] > 1, "0 is no id, and 1 is in use");
        let id = PacketId::new(sent[0]).unwrap();
        let [high, low] = id.get().to_be_bytes();
        peer.given_bytes(&[0x40, 0x02, high, low]);
        peer.expect_acknowledged(operation, 0x00);
    }
}

#[test]
fn a_large_payload_is_handed_out_uncopied_behind_its_header() {
    let mut peer = Peer::connected();
    let payload = Bytes::from(vec![0x78; 5000]);
    let message = mqtt5_proto::packet::ApplicationMessage::new(
        mqtt5_proto::Topic::new("t").unwrap(),
        payload.clone(),
    )
    .with_qos(QoS::AtLeastOnce);
    let operation = peer.publish_message(message);
    let mut out = bytes::BytesMut::new();
    let transmit = peer.session.poll_transmit(&mut out, peer.now);
    // Remaining Length 3 + 2 + 1 + 5000 = 5006
    assert_eq!(out[..], hex("32 8E 27 00 01 74 00 01 00"));
    match transmit {
        Some(mqtt5_proto::session::Transmit::Payload(bytes)) => {
            assert_eq!(bytes.as_ptr(), payload.as_ptr());
            assert_eq!(bytes.len(), 5000);
        }
        other => panic!("{other:?}"),
    }
    // The transport takes the header and a part of the payload.
    peer.session.handle_transmitted(9 + 100, peer.now);
    assert!(!peer.session.is_settled());
    peer.session.handle_transmitted(4900, peer.now);
    peer.given("40 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
    assert!(peer.session.is_settled());
}

#[test]
fn the_verdict_of_a_large_qos_0_message_waits_for_the_end_of_its_payload() {
    let mut peer = Peer::connected();
    let operation = peer.qos0(&"x".repeat(5000));
    let mut want = hex("30 8C 27 00 01 74 00");
    want.extend_from_slice(&[b'x'; 5000]);
    let next = peer.qos0("b");
    want.extend_from_slice(&hex("30 05 00 01 74 00 62"));
    let mut sent = Vec::new();
    let mut out = bytes::BytesMut::new();
    while let Some(transmit) = peer.session.poll_transmit(&mut out, peer.now) {
        sent.extend_from_slice(&out.split());
        if let mqtt5_proto::session::Transmit::Payload(payload) = transmit {
            sent.extend_from_slice(&payload);
        }
    }
    assert_eq!(sent, want);
    peer.session.handle_transmitted(7 + 4999, peer.now);
    peer.expect_no_event();
    peer.session.handle_transmitted(1, peer.now);
    assert_eq!(peer.expect_verdict(operation), PublishVerdict::Sent);
    peer.expect_no_event();
    peer.session.handle_transmitted(7, peer.now);
    assert_eq!(peer.expect_verdict(next), PublishVerdict::Sent);
}

#[test]
fn operation_ids_rise_and_are_never_used_twice() {
    let mut peer = Peer::connected();
    let mut last = peer.qos0("a");
    for _ in 0..3 {
        for next in [peer.qos1("a"), peer.subscribe(&["a"]), peer.qos2("a")] {
            assert!(next > last);
            last = next;
        }
        peer.cut();
        peer.open();
        peer.drain();
        peer.given(ACCEPTED);
        peer.drain();
    }
}

#[test]
fn qos_0_that_left_in_part_when_the_connection_broke_may_have_been_delivered() {
    let mut peer = Peer::connected();
    let sent = peer.qos0("a");
    let cut = peer.qos0("b");
    let unsent = peer.qos0("c");
    peer.expect_held("30 05 00 01 74 00 61 | 30 05 00 01 74 00 62 | 30 05 00 01 74 00 63");
    peer.transmit(8);
    assert_eq!(peer.expect_verdict(sent), PublishVerdict::Sent);
    peer.cut();
    expect_unknown(peer.expect_verdict(cut), "b");
    expect_never_sent(peer.expect_verdict(unsent), "c");
    peer.expect_disconnected();
    assert_eq!(peer.session.pending_bytes(), 0);
}

#[test]
fn qos_0_waits_for_the_next_connection_if_it_is_to_be_queued() {
    let config = mqtt5_proto::session::SessionConfig {
        queue_qos0: true,
        ..config()
    };
    let mut peer = Peer::new(config);
    let first = peer.qos0("a");
    peer.connect(ACCEPTED);
    peer.expect_held("30 05 00 01 74 00 61");
    let second = peer.qos0("b");
    // Nothing left: both go again, in order.
    peer.reconnect(ACCEPTED);
    peer.expect("30 05 00 01 74 00 61 | 30 05 00 01 74 00 62");
    assert_eq!(peer.expect_verdict(first), PublishVerdict::Sent);
    assert_eq!(peer.expect_verdict(second), PublishVerdict::Sent);
}

#[test]
fn qos_0_without_a_connection_is_refused_unless_it_is_to_be_queued() {
    let mut peer = Peer::new(config());
    let given = message(QoS::AtMostOnce, "a");
    let refused = peer.session.publish(given.clone(), peer.now).unwrap_err();
    assert_eq!(refused.rule, mqtt5_proto::session::Rule::NotConnected);
    assert_eq!(refused.given, given);
    assert_eq!(peer.session.pending_operations(), 0);
}

#[test]
fn edge_case_189_a_payload_that_is_not_the_utf8_it_claims_to_be_is_refused_at_the_command() {
    let mut peer = Peer::connected();
    let mut given = message(QoS::AtLeastOnce, "");
    given.payload = Bytes::from_static(&[0xC3, 0x28]);
    given.properties_mut().payload_format_indicator =
        Some(mqtt5_proto::packet::PayloadFormatIndicator::Utf8);
    let refused = peer.session.publish(given.clone(), peer.now).unwrap_err();
    assert_eq!(refused.rule, mqtt5_proto::session::Rule::PayloadFormat);
    assert_eq!(refused.given, given);
    peer.expect_nothing();
    assert_eq!(peer.session.pending_operations(), 0);
}

#[test]
fn one_message_that_expired_does_not_hold_up_the_next() {
    let mut peer = Peer::new(config());
    let expired = peer.publish_message(expiring(QoS::AtLeastOnce, "a", 1));
    let next = peer.qos1("b");
    peer.now = peer.now + core::time::Duration::from_secs(2);
    peer.connect(ACCEPTED);
    peer.expect("32 07 00 01 74 00 01 00 62");
    expect_expired(peer.expect_verdict(expired), "a");
    peer.given("40 02 00 01");
    peer.expect_acknowledged(next, 0x00);
}

#[test]
fn what_expired_and_would_not_fit_has_expired() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut peer = Peer::new(config());
        let expired = peer.publish_message(expiring(qos, "a", 1));
        peer.now = peer.now + core::time::Duration::from_secs(1);
        // Maximum QoS 0
        peer.connect("20 05 00 00 02 24 00");
        peer.expect_nothing();
        expect_expired(peer.expect_verdict(expired), "a");
    }
}

#[test]
fn edge_case_215_what_waited_goes_out_with_what_is_left_of_its_expiry_rounded_up() {
    let mut peer = Peer::new(config());
    peer.publish_message(expiring(QoS::AtLeastOnce, "a", 10));
    peer.wait(core::time::Duration::from_millis(3_500));
    peer.connect(ACCEPTED);
    // 6.5 s are left: 7
    peer.expect("32 0C 00 01 74 00 01 05 02 00 00 00 07 61");
}

#[test]
fn edge_case_215_a_queued_message_expires_on_the_timer_and_is_handed_back() {
    let mut peer = Peer::new(config());
    let operation = peer.publish_message(expiring(QoS::ExactlyOnce, "a", 10));
    let later = peer.publish_message(expiring(QoS::AtLeastOnce, "b", 20));
    assert_eq!(
        peer.session.poll_timeout(),
        Some(peer.now + core::time::Duration::from_secs(10))
    );
    peer.wait(core::time::Duration::from_millis(9_999));
    peer.expect_no_event();
    peer.wait(core::time::Duration::from_millis(1));
    expect_expired(peer.expect_verdict(operation), "a");
    peer.expect_no_event();
    peer.wait_seconds(10);
    expect_expired(peer.expect_verdict(later), "b");
    assert_eq!(peer.session.pending_operations(), 0);
    assert_eq!(peer.session.pending_bytes(), 0);
    assert_eq!(peer.session.poll_timeout(), None);
}

#[test]
fn a_message_with_the_longest_expiry_does_not_overflow_the_clock() {
    let mut peer = Peer::new(config());
    peer.now = mqtt5_proto::Instant::from_start(core::time::Duration::MAX);
    peer.publish_message(expiring(QoS::AtLeastOnce, "a", u32::MAX));
    peer.open();
    peer.drain();
    peer.given(ACCEPTED);
    assert!(matches!(peer.event(), Event::Connected(_)));
}
