//! Receiving (MQTT 5.0 section 4.3) and the order of acknowledgements (section 4.6).

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod session_support;

use mqtt5_proto::packet::{AckProperties, PublishReasonCode, UserProperty};
use mqtt5_proto::session::{AckError, Event, InputStatus, SessionConfig, Warning};
use mqtt5_proto::{PacketId, QoS};
use session_support::*;

fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

// --- QoS 0 and 1 ------------------------------------------------------------

#[test]
fn qos_0_is_delivered_and_not_answered() {
    let mut peer = Peer::connected();
    peer.given("31 08 00 03 61 2F 62 00 68 69");
    let message = peer.expect_message("hi");
    assert_eq!(message.topic(), "a/b");
    assert_eq!(message.qos(), QoS::AtMostOnce);
    assert!(message.retain());
    assert!(!message.dup());
    assert_eq!(message.token(), None);
    assert_eq!(message.packet_size(), 10);
    peer.expect_nothing();
}

#[test]
fn qos_1_is_answered_with_puback_when_the_application_acknowledges() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.expect_nothing();
    peer.acknowledge(token);
    assert!(!peer.session.is_settled());
    peer.expect("40 02 00 0A");
    assert!(peer.session.is_settled());
    assert_eq!(
        peer.session.acknowledge(token, PublishReasonCode::Success),
        Err(AckError::NotAwaited)
    );
    peer.expect_nothing();
}

#[test]
fn a_refusal_is_sent_in_its_shortest_form() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    let code = PublishReasonCode::NotAuthorized;
    peer.session.acknowledge(token, code).unwrap();
    peer.expect("40 03 00 0A 87");
}

#[test]
fn an_acknowledgement_may_carry_properties() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    let properties = AckProperties {
        reason_string: Some(text("no")),
        user_properties: vec![UserProperty::new("k", "v").unwrap()],
    };
    let code = PublishReasonCode::QuotaExceeded;
    peer.session
        .acknowledge_with(token, code, properties)
        .unwrap();
    peer.expect("40 10 00 0A 97 0C 1F 00 02 6E 6F 26 00 01 6B 00 01 76");
}

#[test]
fn a_client_may_not_say_that_there_were_no_subscribers() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    assert_eq!(
        peer.session
            .acknowledge(token, PublishReasonCode::NoMatchingSubscribers),
        Err(AckError::ReasonCode)
    );
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn edge_case_105_qos_1_with_dup_whose_id_was_acknowledged_is_a_new_message() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
    peer.given("3A 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn edge_case_106_dup_on_a_message_never_seen_proves_nothing() {
    let mut peer = Peer::connected();
    peer.given("3A 07 00 01 74 00 0A 00 61 | 3C 07 00 01 74 00 0B 00 62");
    assert!(peer.expect_message("a").dup());
    assert!(peer.expect_message("b").dup());
}

#[test]
fn edge_case_195_qos_1_repeated_with_its_puback_owed_is_delivered_once_and_answered_once() {
    for repeat in ["32 07 00 01 74 00 0A 00 61", "3A 07 00 01 74 00 0A 00 61"] {
        let mut peer = Peer::connected();
        peer.given("32 07 00 01 74 00 0A 00 61");
        let token = peer.expect_token("a");
        peer.given(repeat);
        peer.expect_no_event();
        peer.expect_nothing();
        peer.acknowledge(token);
        peer.expect("40 02 00 0A");
        peer.expect_nothing();
    }
}

// --- QoS 2 ------------------------------------------------------------------

#[test]
fn qos_2_is_delivered_once_and_finished_by_pubrel() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.expect_nothing();
    peer.acknowledge(token);
    peer.expect("50 02 00 0A");
    peer.given("62 02 00 0A");
    peer.expect("70 02 00 0A");
    peer.expect_no_event();
}

#[test]
fn edge_case_95_pubrel_for_an_unknown_id_is_answered_with_pubcomp_not_found() {
    let mut peer = Peer::connected();
    peer.given("62 02 00 0A");
    peer.expect("70 03 00 0A 92");
    peer.expect_no_event();
}

#[test]
fn edge_case_98_pubrel_not_found_is_answered_and_forgets_the_id() {
    let mut peer = Peer::connected();
    peer.given("62 03 00 0A 92");
    peer.expect("70 03 00 0A 92");
    peer.given("34 07 00 01 74 00 0B 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.drain();
    peer.given("62 03 00 0B 92");
    peer.expect("70 02 00 0B");
    peer.given("62 02 00 0B");
    peer.expect("70 03 00 0B 92");
}

#[test]
fn edge_case_102_qos_2_with_a_remembered_id_is_answered_again_and_not_delivered() {
    for repeat in ["34 07 00 01 74 00 0A 00 61", "3C 07 00 01 74 00 0A 00 61"] {
        let mut peer = Peer::connected();
        peer.given("34 07 00 01 74 00 0A 00 61");
        let token = peer.expect_token("a");
        peer.acknowledge(token);
        peer.expect("50 02 00 0A");
        peer.given(repeat);
        peer.expect("50 02 00 0A");
        peer.expect_no_event();
        peer.given("62 02 00 0A");
        peer.expect("70 02 00 0A");
    }
}

#[test]
fn edge_case_103_qos_2_with_the_id_after_pubcomp_is_a_new_message_even_with_dup() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.given("62 02 00 0A");
    peer.expect("50 02 00 0A | 70 02 00 0A");
    peer.given("3C 07 00 01 74 00 0A 00 62");
    peer.expect_message("b");
}

#[test]
fn edge_case_104_qos_2_with_the_id_after_a_failed_pubrec_is_a_new_message() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    let code = PublishReasonCode::QuotaExceeded;
    peer.session.acknowledge(token, code).unwrap();
    peer.expect("50 03 00 0A 97");
    peer.given("34 07 00 01 74 00 0A 00 62");
    peer.expect_message("b");
    // The id was not remembered: a PUBREL for it would find nothing, but now it is the new one's.
    peer.given("62 02 00 0A");
    peer.expect("70 03 00 0A 92");
}

#[test]
fn edge_case_193_qos_2_repeated_before_the_application_acknowledged_is_not_answered_yet() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.given("3C 07 00 01 74 00 0A 00 61 | 34 07 00 01 74 00 0A 00 61");
    peer.expect_nothing();
    peer.expect_no_event();
    peer.acknowledge(token);
    peer.expect("50 02 00 0A");
}

#[test]
fn edge_case_194_pubrel_while_the_pubrec_is_owed_ends_the_exchange_and_the_late_ack_is_dropped() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.given("62 02 00 0A");
    peer.expect("70 03 00 0A 92");
    assert_eq!(peer.expect_warning(), Warning::ReleasedEarly(id(10)));
    assert_eq!(
        peer.session.acknowledge(token, PublishReasonCode::Success),
        Err(AckError::NotAwaited)
    );
    peer.expect_nothing();
}

#[test]
fn a_message_released_early_holds_up_no_other() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 01 00 61 | 34 07 00 01 74 00 02 00 62");
    peer.expect_token("a");
    let second = peer.expect_token("b");
    peer.acknowledge(second);
    peer.expect_nothing();
    peer.given("62 02 00 01");
    peer.expect("70 03 00 01 92 | 50 02 00 02");
}

#[test]
fn edge_case_192_qos_1_with_a_remembered_qos_2_id_is_new_and_the_stale_id_is_forgotten() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let stale = peer.expect_token("a");
    peer.given("32 07 00 01 74 00 0A 00 62");
    assert_eq!(peer.expect_warning(), Warning::PacketIdReused(id(10)));
    let token = peer.expect_token("b");
    assert_eq!(
        peer.session.acknowledge(stale, PublishReasonCode::Success),
        Err(AckError::NotAwaited)
    );
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
    peer.given("62 02 00 0A");
    peer.expect("70 03 00 0A 92");
}

#[test]
fn edge_case_192_the_same_once_the_pubrec_was_sent() {
    let mut peer = Peer::connected();
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.drain();
    peer.given("32 07 00 01 74 00 0A 00 62");
    assert_eq!(peer.expect_warning(), Warning::PacketIdReused(id(10)));
    peer.expect_token("b");
    peer.given("62 02 00 0A");
    peer.expect("70 03 00 0A 92");
}

#[test]
fn qos_2_with_an_id_whose_puback_is_owed_is_new_and_the_older_token_is_dead() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let stale = peer.expect_token("a");
    peer.given("34 07 00 01 74 00 0A 00 62");
    assert_eq!(peer.expect_warning(), Warning::PacketIdReused(id(10)));
    let token = peer.expect_token("b");
    assert_eq!(
        peer.session.acknowledge(stale, PublishReasonCode::Success),
        Err(AckError::NotAwaited)
    );
    peer.acknowledge(token);
    peer.expect("50 02 00 0A");
}

#[test]
fn pubrel_for_the_id_of_a_qos_1_message_finds_nothing_and_harms_nothing() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.given("62 02 00 0A");
    peer.expect("70 03 00 0A 92");
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn edge_case_121_a_received_message_that_has_expired_is_finished_all_the_same() {
    let mut peer = Peer::connected();
    // Message Expiry Interval 1
    peer.given("34 0C 00 01 74 00 0A 05 02 00 00 00 01 61");
    let token = peer.expect_token("a");
    peer.wait_seconds(60);
    peer.acknowledge(token);
    peer.expect("50 02 00 0A");
    peer.given("62 02 00 0A");
    peer.expect("70 02 00 0A");
}

// --- order ------------------------------------------------------------------

#[test]
fn edge_case_117_pubacks_leave_in_the_order_of_the_messages() {
    let mut peer = Peer::connected();
    peer.given(
        "32 07 00 01 74 00 03 00 61 | 32 07 00 01 74 00 01 00 62 | 32 07 00 01 74 00 02 00 63",
    );
    let [a, b, c] = ["a", "b", "c"].map(|payload| peer.expect_token(payload));
    peer.acknowledge(c);
    peer.acknowledge(b);
    peer.expect_nothing();
    assert!(!peer.session.is_settled());
    peer.acknowledge(a);
    peer.expect("40 02 00 03 | 40 02 00 01 | 40 02 00 02");
}

#[test]
fn the_first_answer_counts_also_while_it_waits_for_its_turn() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    let [a, b] = ["a", "b"].map(|payload| peer.expect_token(payload));
    let code = PublishReasonCode::NotAuthorized;
    peer.session.acknowledge(b, code).unwrap();
    assert_eq!(
        peer.session.acknowledge(b, PublishReasonCode::Success),
        Err(AckError::NotAwaited)
    );
    peer.acknowledge(a);
    peer.expect("40 02 00 01 | 40 03 00 02 87");
}

#[test]
fn edge_case_117_pubrecs_leave_in_the_order_of_the_messages_and_do_not_wait_for_pubacks() {
    let mut peer = Peer::connected();
    peer.given(
        "34 07 00 01 74 00 03 00 61 | 32 07 00 01 74 00 01 00 62 | 34 07 00 01 74 00 02 00 63",
    );
    let [a, b, c] = ["a", "b", "c"].map(|payload| peer.expect_token(payload));
    peer.acknowledge(c);
    peer.expect_nothing();
    // Between QoS 1 and 2 there is no order.
    peer.acknowledge(b);
    peer.expect("40 02 00 01");
    let code = PublishReasonCode::UnspecifiedError;
    peer.session.acknowledge(a, code).unwrap();
    peer.expect("50 03 00 03 80 | 50 02 00 02");
}

#[test]
fn a_stall_is_told_at_half_of_the_receive_maximum_and_once() {
    let config = SessionConfig {
        receive_maximum: maximum(4),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61");
    let a = peer.expect_token("a");
    peer.given("32 07 00 01 74 00 02 00 62 | 32 07 00 01 74 00 03 00 63");
    let b = peer.expect_token("b");
    let c = peer.expect_token("c");
    peer.acknowledge(b);
    match peer.event() {
        Event::AcksStalled {
            qos,
            first,
            waiting,
        } => {
            assert_eq!((qos, first, waiting), (QoS::AtLeastOnce, a, 3));
        }
        other => panic!("{other:?}"),
    }
    peer.acknowledge(c);
    peer.expect_no_event();
    peer.acknowledge(a);
    peer.expect("40 02 00 01 | 40 02 00 02 | 40 02 00 03");
    peer.expect_no_event();
}

#[test]
fn a_stall_of_qos_2_names_the_message_of_qos_2() {
    let config = SessionConfig {
        receive_maximum: maximum(4),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61");
    peer.expect_token("a");
    peer.given("34 07 00 01 74 00 02 00 62 | 34 07 00 01 74 00 03 00 63");
    let b = peer.expect_token("b");
    let c = peer.expect_token("c");
    peer.acknowledge(c);
    match peer.event() {
        Event::AcksStalled {
            qos,
            first,
            waiting,
        } => assert_eq!((qos, first, waiting), (QoS::ExactlyOnce, b, 2)),
        other => panic!("{other:?}"),
    }
    peer.acknowledge(b);
    peer.expect("50 02 00 02 | 50 02 00 03");
}

#[test]
fn a_stall_behind_the_next_message_is_told_when_the_first_has_cleared() {
    let config = SessionConfig {
        receive_maximum: maximum(4),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.given("32 07 00 01 74 00 03 00 63 | 32 07 00 01 74 00 04 00 64");
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|payload| peer.expect_token(payload));
    peer.acknowledge(c);
    peer.acknowledge(d);
    assert!(matches!(peer.event(), Event::AcksStalled { first, .. } if first == a));
    peer.acknowledge(a);
    peer.expect("40 02 00 01");
    match peer.event() {
        Event::AcksStalled { first, waiting, .. } => assert_eq!((first, waiting), (b, 3)),
        other => panic!("{other:?}"),
    }
    peer.acknowledge(b);
    peer.expect("40 02 00 02 | 40 02 00 03 | 40 02 00 04");
    peer.expect_no_event();
}

#[test]
fn a_slow_application_that_acknowledges_in_order_is_no_stall() {
    let config = SessionConfig {
        receive_maximum: maximum(4),
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 74 00 02 00 62");
    peer.given("32 07 00 01 74 00 03 00 63 | 32 07 00 01 74 00 04 00 64");
    let [a, ..] = ["a", "b", "c", "d"].map(|payload| peer.expect_token(payload));
    peer.acknowledge(a);
    peer.expect("40 02 00 01");
    peer.given("32 07 00 01 74 00 01 00 65");
    peer.expect_message("e");
    peer.expect_no_event();
}

// --- messages that are odd --------------------------------------------------

#[test]
fn edge_case_120_a_message_that_nobody_subscribed_to_is_delivered_and_acknowledged() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("40 02 00 0A");
}

#[test]
fn edge_case_185_an_unknown_payload_format_is_delivered_as_unspecified_with_a_warning() {
    let mut peer = Peer::connected();
    peer.given("30 07 00 01 74 02 01 02 61");
    assert_eq!(peer.expect_warning(), Warning::PayloadFormatIndicator);
    let message = peer.expect_message("a");
    assert_eq!(message.properties().payload_format_indicator(), None);
    peer.expect_nothing();
}

#[test]
fn edge_case_186_a_bad_response_topic_is_left_out_with_a_warning() {
    // Response Topic "+", and an empty one.
    for bytes in [
        "32 0B 00 01 74 00 0A 04 08 00 01 2B 61",
        "32 0A 00 01 74 00 0A 03 08 00 00 61",
    ] {
        let mut peer = Peer::connected();
        peer.given(bytes);
        assert_eq!(peer.expect_warning(), Warning::ResponseTopic);
        let message = peer.expect_message("a");
        assert_eq!(message.properties().response_topic(), None);
        peer.acknowledge(message.token().unwrap());
        peer.expect("40 02 00 0A");
    }
}

#[test]
fn edge_case_187_a_wildcard_in_the_topic_is_refused_without_delivery_and_without_closing() {
    let mut peer = Peer::connected();
    // Topics "#" and "+"
    peer.given("30 05 00 01 23 00 61");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.expect_nothing();
    peer.given("32 07 00 01 23 00 0A 00 61");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.expect("40 03 00 0A 90");
    peer.given("34 07 00 01 2B 00 0B 00 61");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.expect("50 03 00 0B 90");
    peer.expect_no_event();
    // The id was not remembered.
    peer.given("34 07 00 01 74 00 0B 00 62");
    peer.expect_message("b");
}

#[test]
fn the_refusal_of_a_wildcard_waits_for_its_turn() {
    let mut peer = Peer::connected();
    peer.given("32 07 00 01 74 00 01 00 61 | 32 07 00 01 23 00 02 00 62");
    let token = peer.expect_token("a");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.expect_nothing();
    peer.acknowledge(token);
    peer.expect("40 02 00 01 | 40 03 00 02 90");
}

#[test]
fn edge_case_189_a_received_payload_is_not_checked_against_its_format() {
    let mut peer = Peer::connected();
    peer.given("30 07 00 01 74 02 01 01 FF");
    match peer.event() {
        Event::Message(message) => assert_eq!(message.payload(), [0xFF]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_191_a_subscription_identifier_that_was_never_used_is_delivered() {
    let mut peer = Peer::connected();
    // Identifiers 1 and 128
    peer.given("30 0A 00 01 74 05 0B 01 0B 80 01 61");
    let message = peer.expect_message("a");
    let ids: Vec<u32> = message
        .properties()
        .subscription_identifiers()
        .map(mqtt5_proto::packet::SubscriptionIdentifier::get)
        .collect();
    assert_eq!(ids, [1, 128]);
}

#[test]
fn user_properties_of_a_publish_are_allowed_without_request_problem_information() {
    let config = SessionConfig {
        request_problem_information: false,
        ..config()
    };
    let mut peer = Peer::connected_with(config, ACCEPTED);
    peer.given("30 0C 00 01 74 07 26 00 01 6B 00 01 76 61");
    peer.expect_message("a");
}

#[test]
fn packets_in_pieces_of_every_size_give_the_same_events_and_answers() {
    let stream = hex(
        "30 08 00 03 61 2F 62 00 68 69 | 32 07 00 01 74 00 0A 00 61 | 34 07 00 01 74 00 0B 00 62 \
         | 62 02 00 0B | 30 05 00 01 74 00 63",
    );
    for size in 1..stream.len() {
        let mut peer = Peer::connected();
        for piece in stream.chunks(size) {
            assert!(matches!(
                peer.given_bytes(piece),
                InputStatus::NeedMore { missing: 1.. }
            ));
        }
        peer.expect_message("hi");
        let token = peer.expect_token("a");
        peer.acknowledge(token);
        peer.expect_token("b");
        peer.expect_warning();
        peer.expect_message("c");
        peer.expect("70 03 00 0B 92 | 40 02 00 0A");
    }
}
