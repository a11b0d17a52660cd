//! Flow control and the limits that a CONNACK sets (MQTT 5.0 sections 3.2.2.3 and 4.9), as packet traces.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod session_support;

use mqtt5_proto::packet::{
    AckProperties, Disconnect, DisconnectReasonCode, PublishReasonCode, Subscription,
    SubscriptionIdentifier,
};
use mqtt5_proto::session::{
    EndReason, Phase, PublishVerdict, RequestVerdict, Rule, SessionConfig, SubscribeRequest,
    UnsubscribeRequest, Warning,
};
use mqtt5_proto::{QoS, TopicFilter};
use session_support::*;

/// CONNACK with Receive Maximum 1.
const ONE: &str = "20 06 00 00 03 21 00 01";
/// CONNACK with Receive Maximum 2.
const TWO: &str = "20 06 00 00 03 21 00 02";

fn receiving(receive_maximum: u16) -> Peer {
    let config = SessionConfig {
        receive_maximum: maximum(receive_maximum),
        ..config()
    };
    Peer::connected_with(config, ACCEPTED)
}

fn request(filter: &str) -> SubscribeRequest {
    Subscription::new(TopicFilter::new(filter).unwrap()).into()
}

// --- the server's Receive Maximum -------------------------------------------

#[test]
fn edge_case_127_without_quota_only_qos_1_and_2_publishes_are_held_back() {
    let mut peer = Peer::connected_with(config(), TWO);
    peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.qos2("b");
    peer.qos1("c");
    peer.qos2("d");
    peer.expect("62 02 00 01 | 34 07 00 01 74 00 02 00 62");
    // No quota: all but PUBLISH of QoS 1 and 2 goes.
    peer.qos0("e");
    peer.subscribe(&["a/b"]);
    peer.given("50 02 00 02 | 34 07 00 01 74 00 01 00 66 | 62 02 00 09");
    let token = peer.expect_token("f");
    peer.acknowledge(token);
    peer.expect(
        "62 02 00 02 | 70 03 00 09 92 | 50 02 00 01 | 82 09 00 03 00 00 03 61 2F 62 02 \
         | 30 05 00 01 74 00 65",
    );
    peer.disconnect();
    peer.expect_close("E0 00");
}

#[test]
fn edge_case_128_a_pubrec_gives_no_quota_back_but_its_pubcomp_does() {
    let mut peer = Peer::connected_with(config(), ONE);
    peer.qos2("a");
    peer.qos1("b");
    peer.expect("34 07 00 01 74 00 01 00 61");
    peer.given("50 02 00 01");
    peer.expect("62 02 00 01");
    peer.given("70 02 00 01");
    peer.expect("32 07 00 01 74 00 01 00 62");
}

#[test]
fn edge_case_130_the_pubcomp_of_a_carried_over_exchange_does_not_lift_the_quota() {
    let mut peer = Peer::connected();
    peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01");
    peer.drain();
    for payload in ["b", "c", "d"] {
        peer.qos1(payload);
    }
    peer.reconnect("20 06 01 00 03 21 00 02");
    // The exchange that waits for PUBCOMP counts: one more may go.
    peer.expect("62 02 00 01 | 32 07 00 01 74 00 02 00 62");
    peer.given("70 02 00 01");
    peer.expect("32 07 00 01 74 00 01 00 63");
    peer.expect_nothing();
    peer.given("40 02 00 02");
    peer.expect("32 07 00 01 74 00 02 00 64");
}

#[test]
fn edge_case_212_more_carried_over_exchanges_than_the_quota_leave_none() {
    let mut peer = Peer::connected();
    for payload in ["a", "b", "c"] {
        peer.qos2(payload);
    }
    peer.qos1("d");
    peer.drain();
    peer.given("50 02 00 01 | 50 02 00 02 | 50 02 00 03");
    peer.drain();
    peer.reconnect("20 06 01 00 03 21 00 02");
    peer.expect("62 02 00 01 | 62 02 00 02 | 62 02 00 03");
    peer.given("70 02 00 01");
    peer.expect_nothing();
    peer.given("70 02 00 02");
    peer.expect("3A 07 00 01 74 00 04 00 64");
    peer.qos1("e");
    peer.expect_nothing();
    peer.given("70 02 00 03");
    peer.expect("32 07 00 01 74 00 01 00 65");
}

#[test]
fn edge_case_131_receive_maximum_is_65535_again_if_the_next_connack_has_none() {
    let mut peer = Peer::connected_with(config(), ONE);
    for payload in ["a", "b"] {
        peer.qos1(payload);
    }
    peer.expect("32 07 00 01 74 00 01 00 61");
    peer.reconnect(RESUMED);
    peer.expect("3A 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
}

#[test]
fn an_answer_that_comes_twice_gives_no_quota_twice() {
    let mut peer = Peer::connected_with(config(), TWO);
    for payload in ["a", "b", "c", "d"] {
        peer.qos1(payload);
    }
    peer.expect("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.given("40 02 00 01 | 40 02 00 01 | 70 02 00 09");
    peer.expect("32 07 00 01 74 00 01 00 63");
}

// --- our own Receive Maximum ------------------------------------------------

#[test]
fn edge_case_132_more_messages_than_our_receive_maximum_end_the_connection() {
    let mut peer = receiving(2);
    peer.given("32 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62");
    peer.expect_token("a");
    peer.expect_token("b");
    // QoS 0 does not count.
    peer.given("30 05 00 01 74 00 63");
    peer.expect_message("c");
    peer.expect_violation("32 07 00 01 74 00 03 00 64", 0x93);
}

#[test]
fn messages_beyond_our_receive_maximum_are_tolerated_up_to_the_configured_bytes() {
    let config = SessionConfig {
        receive_maximum: maximum(1),
        // Each counts 256 bytes at least: room for just two.
        receive_excess: 512,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61");
    let first = peer.expect_token("a");
    peer.given("32 07 00 01 74 00 02 00 62");
    // Told once.
    assert_eq!(peer.expect_warning(), Warning::ReceiveMaximumExceeded);
    let second = peer.expect_token("b");
    peer.given("32 07 00 01 74 00 03 00 63");
    let third = peer.expect_token("c");
    // The excess is free again with the messages that made it.
    for token in [first, second, third] {
        peer.acknowledge(token);
    }
    peer.expect("40 02 00 01 | 40 02 00 02 | 40 02 00 03");
    for (id, text) in [(4, "d"), (5, "e"), (6, "f")] {
        let payload = format!("{:02X}", text.as_bytes()[0]);
        peer.given(&format!("32 07 00 01 74 00 {id:02X} 00 {payload}"));
        peer.expect_token(text);
    }
    peer.expect_violation("32 07 00 01 74 00 07 00 67", 0x93);
}

#[test]
fn copies_beyond_our_receive_maximum_count_on_the_next_connection_too() {
    let config = SessionConfig {
        receive_maximum: maximum(1),
        receive_excess: 512,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.events();
    peer.reconnect(RESUMED);
    // The second copy takes 256 bytes of the excess, as its message did: there is room for one more.
    peer.given("3A 07 00 01 74 00 01 00 61 | 3A 07 00 01 74 00 02 00 62");
    peer.given("32 07 00 01 74 00 03 00 63");
    peer.expect_violation_after_events("32 07 00 01 74 00 04 00 64", 0x93);
}

#[test]
fn a_message_counts_until_its_puback_or_pubcomp() {
    let mut peer = receiving(1);
    peer.given("32 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("40 02 00 01");
    peer.given("34 07 00 01 74 00 02 00 62");
    let token = peer.expect_token("b");
    peer.acknowledge(token);
    peer.given("62 02 00 02");
    peer.expect("50 02 00 02 | 70 02 00 02");
    peer.given("34 07 00 01 74 00 02 00 63");
    let token = peer.expect_token("c");
    peer.acknowledge(token);
    peer.expect("50 02 00 02");
    // The PUBREC alone is not the end.
    peer.expect_violation("32 07 00 01 74 00 03 00 64", 0x93);
}

#[test]
fn edge_case_134_a_message_refused_with_pubrec_counts_no_more() {
    let mut peer = receiving(1);
    peer.given("34 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    let code = PublishReasonCode::QuotaExceeded;
    peer.session.acknowledge(token, code).unwrap();
    peer.expect("50 03 00 01 97");
    peer.given("34 07 00 01 74 00 02 00 62");
    peer.expect_message("b");
}

#[test]
fn an_answer_that_waits_for_its_turn_still_counts() {
    let mut peer = receiving(2);
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.acknowledge(second);
    peer.events();
    peer.expect_violation("32 07 00 01 74 00 03 00 63", 0x93);
}

#[test]
fn edge_case_133_a_repeated_publish_counts_once() {
    let mut peer = receiving(2);
    peer.given("32 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62");
    peer.given("32 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62");
    peer.given("3A 07 00 01 74 00 01 00 61 | 3C 07 00 01 74 00 02 00 62");
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.expect_no_event();
    peer.acknowledge(second);
    // And once the PUBREC was sent.
    peer.given("3C 07 00 01 74 00 02 00 62");
    peer.expect("50 02 00 02 | 50 02 00 02");
}

#[test]
fn edge_case_132_each_pubcomp_for_an_earlier_connection_allows_one_more() {
    let mut peer = receiving(1);
    peer.given("34 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("50 02 00 01");
    peer.reconnect(RESUMED);
    peer.given("32 07 00 01 74 00 02 00 62");
    peer.expect_token("b");
    // By the letter of section 4.9 this PUBCOMP gives the server a unit that it never took.
    peer.given("62 02 00 01");
    peer.expect("70 02 00 01");
    peer.given("32 07 00 01 74 00 03 00 63");
    peer.expect_token("c");
    peer.expect_violation("32 07 00 01 74 00 04 00 64", 0x93);
}

#[test]
fn a_pubcomp_for_this_connection_allows_no_more() {
    let mut peer = receiving(1);
    peer.given("34 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.given("62 02 00 01");
    peer.expect("50 02 00 01 | 70 02 00 01");
    peer.given("34 07 00 01 74 00 02 00 62");
    peer.expect_violation_after_events("32 07 00 01 74 00 03 00 63", 0x93);
}

#[test]
fn pubrels_for_nothing_do_not_lift_our_receive_maximum() {
    // On a new session there is no exchange of an earlier connection.
    let mut peer = receiving(1);
    peer.given("62 02 00 07 | 62 02 00 08 | 32 07 00 01 74 00 01 00 61");
    peer.drain();
    peer.expect_violation_after_events("32 07 00 01 74 00 02 00 62", 0x93);
    // On a resumed one there are not more of them than we ever allowed at a time.
    let mut peer = receiving(1);
    peer.reconnect(RESUMED);
    peer.given("62 02 00 07 | 62 02 00 08 | 62 02 00 09");
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.drain();
    peer.expect_violation_after_events("32 07 00 01 74 00 03 00 63", 0x93);
}

#[test]
fn ids_of_an_earlier_connection_count_once_their_publish_is_sent_again() {
    let mut peer = receiving(2);
    peer.given("34 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62");
    peer.events();
    peer.reconnect(RESUMED);
    peer.given("34 07 00 01 74 00 03 00 63 | 3C 07 00 01 74 00 01 00 61");
    peer.expect_token("c");
    peer.expect_no_event();
    peer.expect_violation("3C 07 00 01 74 00 02 00 62", 0x93);
}

#[test]
fn a_packet_found_bad_leaves_the_ack_of_the_one_before_it_alone() {
    // Edge case 170: the PUBACK goes out, and then the DISCONNECT.
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.given("20 03 00 00 00");
    peer.expect_close("40 02 00 01 | E0 01 82");
}

// --- refusals at the command ------------------------------------------------

#[test]
fn edge_case_135_qos_and_retain_above_the_servers_limits_are_refused_and_cost_nothing() {
    // Maximum QoS 0
    let mut peer = Peer::connected_with(config(), "20 05 00 00 02 24 00");
    let given = message(QoS::AtLeastOnce, "a");
    let refused = peer.session.publish(given.clone(), peer.now).unwrap_err();
    let maximum = QoS::AtMostOnce;
    assert_eq!(refused.rule, Rule::MaximumQoS { maximum });
    assert_eq!(refused.given, given);
    // Retain Available 0
    let mut peer = Peer::connected_with(config(), "20 05 00 00 02 25 00");
    let given = message(QoS::AtMostOnce, "a").with_retain(true);
    let refused = peer.session.publish(given, peer.now).unwrap_err();
    assert_eq!(refused.rule, Rule::RetainAvailable);
    peer.expect_nothing();
    peer.expect_no_event();
    assert_eq!(peer.session.pending_operations(), 0);
}

#[test]
fn edge_case_135_what_was_accepted_offline_is_rejected_with_its_message() {
    let mut peer = Peer::new(config());
    let high = peer.qos2("a");
    let fits = peer.qos1("b");
    peer.connect("20 05 00 00 02 24 01");
    peer.expect("32 07 00 01 74 00 01 00 62");
    match peer.expect_verdict(high) {
        PublishVerdict::Rejected { rule, message } => {
            let maximum = QoS::AtLeastOnce;
            assert_eq!(rule, Rule::MaximumQoS { maximum });
            assert_eq!(&message.payload[..], b"a");
        }
        other => panic!("{other:?}"),
    }
    peer.given("40 02 00 01");
    peer.expect_acknowledged(fits, 0x00);
}

#[test]
fn edge_case_136_maximum_qos_does_not_bind_subscriptions() {
    let mut peer = Peer::connected_with(config(), "20 05 00 00 02 24 00");
    peer.subscribe(&["a/b"]);
    peer.expect("82 09 00 01 00 00 03 61 2F 62 02");
}

#[test]
fn edge_case_137_subscriptions_that_the_server_does_not_take_are_refused() {
    let mut identified = request("a");
    identified.subscription_identifier = SubscriptionIdentifier::new(1);
    for (connack, given, rule) in [
        (
            "20 05 00 00 02 28 00",
            request("a/#"),
            Rule::WildcardSubscriptionAvailable,
        ),
        (
            "20 05 00 00 02 28 00",
            request("$share/g/+"),
            Rule::WildcardSubscriptionAvailable,
        ),
        (
            "20 05 00 00 02 29 00",
            identified.clone(),
            Rule::SubscriptionIdentifierAvailable,
        ),
        (
            "20 05 00 00 02 2A 00",
            request("$share/g/a"),
            Rule::SharedSubscriptionAvailable,
        ),
    ] {
        let mut peer = Peer::connected_with(config(), connack);
        let refused = peer.session.subscribe(given.clone()).unwrap_err();
        assert_eq!(refused.rule, rule);
        assert_eq!(refused.given, given);
        peer.expect_nothing();
        assert_eq!(peer.session.pending_operations(), 0);
        // Accepted offline, it is rejected then.
        let mut peer = Peer::new(config());
        let operation = peer.session.subscribe(given).unwrap();
        peer.connect(connack);
        peer.expect_nothing();
        assert_eq!(
            peer.event(),
            mqtt5_proto::session::Event::Subscribed {
                operation,
                verdict: RequestVerdict::Rejected { rule }
            }
        );
        assert_eq!(peer.session.pending_operations(), 0);
    }
}

#[test]
fn what_one_limit_does_not_concern_is_sent() {
    let mut identified = request("a");
    identified.subscription_identifier = SubscriptionIdentifier::new(1);
    let plain = (request("a"), "82 07 00 01 00 00 01 61 02");
    let wildcard = (request("+"), "82 07 00 01 00 00 01 2B 02");
    let shared = (
        request("$share/g/a"),
        "82 10 00 01 00 00 0A 24 73 68 61 72 65 2F 67 2F 61 02",
    );
    let identified = (identified, "82 09 00 01 02 0B 01 00 01 61 02");
    // Without Wildcard Subscription, Subscription Identifier, Shared Subscription, and with all.
    for (connack, sent) in [
        ("20 05 00 00 02 28 00", vec![&plain, &shared, &identified]),
        ("20 05 00 00 02 29 00", vec![&plain, &wildcard, &shared]),
        ("20 05 00 00 02 2A 00", vec![&plain, &wildcard, &identified]),
        (ACCEPTED, vec![&plain, &wildcard, &shared, &identified]),
    ] {
        for (given, bytes) in sent {
            let mut peer = Peer::connected_with(config(), connack);
            peer.session.subscribe(given.clone()).unwrap();
            peer.expect(bytes);
        }
    }
}

#[test]
fn edge_case_138_a_packet_over_the_servers_maximum_is_refused_before_it_takes_an_id() {
    // Maximum Packet Size 9
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 09");
    let rule = Rule::MaximumPacketSize { size: 10, limit: 9 };
    let given = message(QoS::AtLeastOnce, "aa");
    let refused = peer.session.publish(given.clone(), peer.now).unwrap_err();
    assert_eq!((refused.rule, refused.given), (rule, given));
    let refused = peer.session.subscribe(request("ab/")).unwrap_err();
    let rule = Rule::MaximumPacketSize { size: 11, limit: 9 };
    assert_eq!((refused.rule, refused.given), (rule, request("ab/")));
    let given = UnsubscribeRequest::from(TopicFilter::new("abc").unwrap());
    let refused = peer.session.unsubscribe(given.clone()).unwrap_err();
    let rule = Rule::MaximumPacketSize { size: 10, limit: 9 };
    assert_eq!((refused.rule, refused.given), (rule, given));
    // What is as large as the limit goes.
    peer.qos1("a");
    peer.subscribe(&["a"]);
    peer.unsubscribe(&["ab"]);
    peer.expect(
        "82 07 00 01 00 00 01 61 02 | A2 07 00 02 00 00 02 61 62 | 32 07 00 01 74 00 03 00 61",
    );
}

#[test]
fn one_message_that_can_never_be_sent_does_not_hold_up_the_next() {
    let mut peer = Peer::new(config());
    let large = peer.qos1("aaaa");
    let small = peer.qos1("b");
    peer.connect("20 08 00 00 05 27 00 00 00 09");
    peer.expect("32 07 00 01 74 00 01 00 62");
    assert!(matches!(
        peer.expect_verdict(large),
        PublishVerdict::Rejected { .. }
    ));
    peer.given("40 02 00 01");
    peer.expect_acknowledged(small, 0x00);
}

#[test]
fn edge_case_139_an_acknowledgement_over_the_servers_maximum_goes_without_its_properties() {
    // Maximum Packet Size 11: the PUBACK just fits.
    for (limit, answer) in [
        ("0B", "40 09 00 01 87 05 1F 00 02 6E 6F"),
        ("0A", "40 03 00 01 87"),
    ] {
        let connack = format!("20 08 00 00 05 27 00 00 00 {limit}");
        let mut peer = Peer::connected_with(config(), &connack);
        peer.given("32 07 00 01 74 00 01 00 61");
        let token = peer.expect_token("a");
        let properties = AckProperties {
            reason_string: Some(text("no")),
            ..AckProperties::default()
        };
        let code = PublishReasonCode::NotAuthorized;
        peer.session
            .acknowledge_with(token, code, properties)
            .unwrap();
        peer.expect(answer);
    }
}

#[test]
fn at_a_maximum_of_four_bytes_acknowledgements_go_without_their_codes() {
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 04");
    peer.given("32 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62 | 62 02 00 09");
    let code = PublishReasonCode::NotAuthorized;
    for payload in ["a", "b"] {
        let token = peer.expect_token(payload);
        peer.session.acknowledge(token, code).unwrap();
    }
    peer.expect("70 02 00 09 | 40 02 00 01 | 50 02 00 02");
    // PUBREL with 0x92 would be five bytes.
    peer.given("62 02 00 02 | 50 02 00 08");
    peer.expect("70 02 00 02");
}

#[test]
fn at_a_maximum_of_five_bytes_acknowledgements_have_room_for_their_codes() {
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 05");
    peer.given("32 07 00 01 74 00 01 00 61");
    let token = peer.expect_token("a");
    let code = PublishReasonCode::NotAuthorized;
    peer.session.acknowledge(token, code).unwrap();
    peer.expect("40 03 00 01 87");
    peer.given("62 02 00 09");
    peer.expect("70 03 00 09 92");
}

#[test]
fn a_disconnect_over_the_servers_maximum_goes_without_its_text_or_is_refused() {
    let mut packet = Disconnect::new(DisconnectReasonCode::DisconnectWithWillMessage);
    let properties = packet.properties.get_or_insert_default();
    properties.reason_string = Some(text("no"));
    properties.session_expiry_interval = Some(1);
    // Maximum Packet Size 14: it fits to the byte.
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 0E");
    peer.session.disconnect(packet.clone()).unwrap();
    peer.expect_close("E0 0C 04 0A 11 00 00 00 01 1F 00 02 6E 6F");
    // 9: without the text it fits.
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 09");
    peer.session.disconnect(packet.clone()).unwrap();
    peer.expect_close("E0 07 04 05 11 00 00 00 01");
    // 8: not even so.
    let mut peer = Peer::connected_with(config(), "20 08 00 00 05 27 00 00 00 08");
    let refused = peer.session.disconnect(packet.clone()).unwrap_err();
    assert_eq!(refused.rule, Rule::MaximumPacketSize { size: 9, limit: 8 });
    assert_eq!(refused.given, packet);
    assert_eq!(peer.session.phase(), Phase::Connected);
    peer.expect_nothing();
}

// --- our own Maximum Packet Size --------------------------------------------

#[test]
fn a_packet_over_our_maximum_is_refused_as_soon_as_its_size_is_known() {
    let config = SessionConfig {
        maximum_packet_size: mqtt5_proto::codec::MaximumPacketSize::new(16).unwrap(),
        ..config()
    };
    let mut peer = Peer::connected_with(config.clone(), ACCEPTED);
    // 16 bytes are taken.
    peer.given("30 0E 00 01 74 00 61 61 61 61 61 61 61 61 61 61");
    peer.expect_message("aaaaaaaaaa");
    // The header of a packet of 17 is enough.
    peer.expect_violation("30 0F", 0x95);
    let mut peer = Peer::connected_with(config, ACCEPTED);
    match peer.expect_violation("30 FF FF FF 7F", 0x95) {
        EndReason::Violation(error) => assert_eq!(error.offset, 1),
        other => panic!("{other:?}"),
    }
}
