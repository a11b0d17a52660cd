//! SUBSCRIBE and UNSUBSCRIBE (MQTT 5.0 sections 3.8 to 3.11), as packet traces.

#![allow(clippy::panic, reason = "helpers of tests are no tests to clippy")]

mod session_support;

use mqtt5_proto::packet::{
    Received, RetainHandling, SubackReasonCode, Subscription, SubscriptionIdentifier,
    UnsubackReasonCode, UserProperty,
};
use mqtt5_proto::session::{
    Event, OperationId, RequestVerdict, Rule, SubscribeRequest, UnsubscribeRequest, Warning,
};
use mqtt5_proto::{PacketId, QoS, TopicFilter};
use session_support::*;

#[track_caller]
fn subscribed(peer: &mut Peer, expected: OperationId) -> RequestVerdict<SubackReasonCode> {
    match peer.event() {
        Event::Subscribed { operation, verdict } => {
            assert_eq!(operation, expected);
            verdict
        }
        other => panic!("{other:?} instead of Subscribed"),
    }
}

#[track_caller]
fn unsubscribed(peer: &mut Peer, expected: OperationId) -> RequestVerdict<UnsubackReasonCode> {
    match peer.event() {
        Event::Unsubscribed { operation, verdict } => {
            assert_eq!(operation, expected);
            verdict
        }
        other => panic!("{other:?} instead of Unsubscribed"),
    }
}

#[track_caller]
fn raw<R: mqtt5_proto::packet::ReasonCode>(verdict: &RequestVerdict<R>) -> Vec<u8> {
    match verdict {
        RequestVerdict::Answered { reason_codes, .. } => {
            reason_codes.iter().map(|code| code.raw()).collect()
        }
        other => panic!("{other:?} instead of an answer"),
    }
}

#[test]
fn a_subscribe_is_answered_filter_by_filter() {
    let mut peer = Peer::connected();
    let operation = peer.subscribe(&["a/b", "c", "d"]);
    peer.expect("82 11 00 01 00 00 03 61 2F 62 02 00 01 63 02 00 01 64 02");
    assert_eq!(peer.session.pending_operations(), 1);
    peer.given("90 06 00 01 00 00 01 02");
    assert_eq!(raw(&subscribed(&mut peer, operation)), [0, 1, 2]);
    assert_eq!(peer.session.pending_operations(), 0);
    // The id is free.
    peer.unsubscribe(&["c"]);
    peer.expect("A2 06 00 01 00 00 01 63");
}

#[test]
fn options_identifier_and_user_properties_are_sent() {
    let mut peer = Peer::connected();
    let mut subscription = Subscription::new(TopicFilter::new("#").unwrap());
    subscription.maximum_qos = QoS::AtLeastOnce;
    subscription.set_no_local(true).unwrap();
    subscription.retain_as_published = true;
    subscription.retain_handling = RetainHandling::DoNotSend;
    let request = SubscribeRequest {
        subscriptions: vec![subscription],
        subscription_identifier: SubscriptionIdentifier::new(128),
        user_properties: vec![UserProperty::new("k", "v").unwrap()],
    };
    peer.session.subscribe(request).unwrap();
    peer.expect("82 11 00 01 0A 0B 80 01 26 00 01 6B 00 01 76 00 01 23 2D");
}

#[test]
fn an_unsubscribe_is_answered_filter_by_filter() {
    let mut peer = Peer::connected();
    let operation = peer.unsubscribe(&["a/b", "c"]);
    peer.expect("A2 0B 00 01 00 00 03 61 2F 62 00 01 63");
    peer.given("B0 05 00 01 00 00 87");
    assert_eq!(raw(&unsubscribed(&mut peer, operation)), [0x00, 0x87]);
    assert_eq!(peer.session.pending_operations(), 0);
}

#[test]
fn edge_case_58_a_shared_subscription_is_ended_by_its_whole_name() {
    let mut peer = Peer::connected();
    peer.unsubscribe(&["$share/g/a"]);
    peer.expect("A2 0F 00 01 00 00 0A 24 73 68 61 72 65 2F 67 2F 61");
}

#[test]
fn edge_case_123_an_answer_with_another_number_of_codes_fails_the_operation_only() {
    // None, one, three.
    for answer in [
        "90 03 00 01 00",
        "90 04 00 01 00 00",
        "90 06 00 01 00 00 00 00",
    ] {
        let mut peer = Peer::connected();
        let operation = peer.subscribe(&["a", "b"]);
        peer.drain();
        peer.given(answer);
        let verdict = subscribed(&mut peer, operation);
        assert_eq!(verdict, RequestVerdict::MalformedAnswer);
        // The connection stays, and the id is free.
        peer.unsubscribe(&["c"]);
        peer.expect("A2 06 00 01 00 00 01 63");
    }
    for answer in ["B0 03 00 01 00", "B0 05 00 01 00 00 00"] {
        let mut peer = Peer::connected();
        let operation = peer.unsubscribe(&["a"]);
        peer.drain();
        peer.given(answer);
        let verdict = unsubscribed(&mut peer, operation);
        assert_eq!(verdict, RequestVerdict::MalformedAnswer);
        peer.expect_nothing();
        assert_eq!(peer.session.pending_operations(), 0);
    }
}

#[test]
fn edge_case_124_codes_of_failure_are_an_answer() {
    let mut peer = Peer::connected();
    let operation = peer.subscribe(&["a", "b", "c"]);
    peer.drain();
    peer.given("90 06 00 01 00 00 87 A2");
    assert_eq!(raw(&subscribed(&mut peer, operation)), [0x00, 0x87, 0xA2]);
    peer.expect_nothing();
}

#[test]
fn edge_case_125_messages_may_come_before_the_suback() {
    let mut peer = Peer::connected();
    let operation = peer.subscribe(&["t"]);
    peer.drain();
    peer.given("32 07 00 01 74 00 01 00 61 | 90 04 00 01 00 01");
    let token = peer.expect_token("a");
    assert_eq!(raw(&subscribed(&mut peer, operation)), [1]);
    peer.acknowledge(token);
    peer.expect("40 02 00 01");
}

#[test]
fn edge_case_126_an_unsuback_without_subscription_is_a_success_code() {
    let mut peer = Peer::connected();
    let operation = peer.unsubscribe(&["a"]);
    peer.drain();
    peer.given("B0 04 00 01 00 11");
    let verdict = unsubscribed(&mut peer, operation);
    match &verdict {
        RequestVerdict::Answered { reason_codes, .. } => {
            let code = UnsubackReasonCode::NoSubscriptionExisted;
            assert_eq!(reason_codes[..], [Received::Tabled(code)]);
            assert!(!reason_codes[0].is_error());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_181_untabled_failures_in_suback_and_unsuback_are_kept_raw() {
    let mut peer = Peer::connected();
    let subscribe = peer.subscribe(&["a"]);
    let unsubscribe = peer.unsubscribe(&["a"]);
    peer.drain();
    peer.given("90 04 00 01 00 FE | B0 04 00 02 00 FE");
    assert_eq!(raw(&subscribed(&mut peer, subscribe)), [0xFE]);
    assert_eq!(raw(&unsubscribed(&mut peer, unsubscribe)), [0xFE]);
}

#[test]
fn the_properties_of_an_answer_come_with_it() {
    let mut peer = Peer::connected();
    let operation = peer.subscribe(&["a"]);
    peer.drain();
    peer.given("90 09 00 01 05 1F 00 02 6E 6F 87");
    match subscribed(&mut peer, operation) {
        RequestVerdict::Answered { properties, .. } => {
            assert_eq!(properties.unwrap().reason_string, Some(text("no")));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn edge_case_201_an_acknowledgement_for_the_id_of_a_request_is_a_protocol_error() {
    for answer in [
        "40 02 00 01",
        "50 02 00 01",
        "50 03 00 01 80",
        "70 02 00 01",
    ] {
        let mut peer = Peer::connected();
        peer.subscribe(&["a"]);
        peer.drain();
        peer.given(answer);
        peer.expect_close("E0 01 82");
        let mut peer = Peer::connected();
        peer.unsubscribe(&["a"]);
        peer.drain();
        peer.given(answer);
        peer.expect_close("E0 01 82");
    }
}

#[test]
fn edge_case_202_the_wrong_kind_of_answer_fails_the_operation_and_the_connection_stays() {
    let mut peer = Peer::connected();
    let subscribe = peer.subscribe(&["a"]);
    let unsubscribe = peer.unsubscribe(&["a"]);
    peer.drain();
    peer.given("B0 04 00 01 00 00 | 90 04 00 02 00 00");
    let verdict = subscribed(&mut peer, subscribe);
    assert_eq!(verdict, RequestVerdict::MalformedAnswer);
    let verdict = unsubscribed(&mut peer, unsubscribe);
    assert_eq!(verdict, RequestVerdict::MalformedAnswer);
    peer.expect_nothing();
    assert_eq!(peer.session.pending_operations(), 0);
}

#[test]
fn edge_case_203_an_answer_to_nothing_is_ignored_with_a_warning() {
    let mut peer = Peer::connected();
    peer.given("90 04 00 09 00 00 | B0 04 00 08 00 00");
    let unknown = |id| Warning::UnknownRequest(PacketId::new(id).unwrap());
    assert_eq!(peer.expect_warning(), unknown(9));
    assert_eq!(peer.expect_warning(), unknown(8));
    peer.expect_nothing();
    // Nor does it touch a publish under the same id.
    let operation = peer.qos1("a");
    peer.drain();
    peer.given("90 04 00 01 00 00");
    assert_eq!(peer.expect_warning(), unknown(1));
    peer.given("40 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
}

#[test]
fn a_request_without_a_filter_is_refused() {
    let mut peer = Peer::connected();
    let refused = peer
        .session
        .subscribe(SubscribeRequest::default())
        .unwrap_err();
    assert_eq!(refused.rule, Rule::NoTopicFilter);
    let refused = peer
        .session
        .unsubscribe(UnsubscribeRequest::default())
        .unwrap_err();
    assert_eq!(refused.rule, Rule::NoTopicFilter);
    assert_eq!(peer.session.pending_operations(), 0);
}

#[test]
fn requests_made_offline_go_with_the_next_connection_before_messages() {
    let mut peer = Peer::new(config());
    peer.qos1("a");
    peer.subscribe(&["a"]);
    peer.unsubscribe(&["b"]);
    assert_eq!(peer.session.pending_operations(), 3);
    peer.connect(ACCEPTED);
    peer.expect(
        "82 07 00 01 00 00 01 61 02 | A2 06 00 02 00 00 01 62 | 32 07 00 01 74 00 03 00 61",
    );
}
