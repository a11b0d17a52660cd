//! What is left out of packets that the server could not take (MQTT 5.0 section 3.1.2.11.4): their
//! Reason Strings and User Properties.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

mod session_support;

use mqtt5_proto::packet::{
    AckProperties, Disconnect, DisconnectReasonCode, PublishReasonCode, UserProperty,
};
use session_support::*;

/// Reason String "no".
const REASON: &str = "1F 00 02 6E 6F";
/// User Property "k": "v".
const USER: &str = "26 00 01 6B 00 01 76";

fn explained(reason: bool, user: bool) -> AckProperties {
    AckProperties {
        reason_string: reason.then(|| text("no")),
        user_properties: match user {
            true => vec![UserProperty::new("k", "v").unwrap()],
            false => vec![],
        },
    }
}

/// CONNACK with this Maximum Packet Size.
fn accepting(limit: u8) -> String {
    format!("20 08 00 00 05 27 00 00 00 {limit:02X}")
}

/// An acknowledgement with these properties goes out as `whole` where the server takes that many
/// bytes, and as `bare` where it takes one less.
#[track_caller]
fn answered(publish: &str, properties: &AckProperties, whole: &str, bare: &str) {
    let size = u8::try_from(hex(whole).len()).unwrap();
    for (limit, answer) in [(size, whole), (size - 1, bare)] {
        let mut peer = Peer::connected_with(config(), &accepting(limit));
        peer.given(publish);
        let token = peer.expect_token("a");
        let code = PublishReasonCode::NotAuthorized;
        peer.session
            .acknowledge_with(token, code, properties.clone())
            .unwrap();
        peer.expect(answer);
    }
}

#[test]
fn a_puback_over_the_servers_maximum_goes_without_reason_string_and_user_property() {
    let publish = "32 07 00 01 74 00 01 00 61";
    let bare = "40 03 00 01 87";
    let reason = format!("40 09 00 01 87 05 {REASON}");
    answered(publish, &explained(true, false), &reason, bare);
    let user = format!("40 0B 00 01 87 07 {USER}");
    answered(publish, &explained(false, true), &user, bare);
    let both = format!("40 10 00 01 87 0C {REASON} {USER}");
    answered(publish, &explained(true, true), &both, bare);
}

#[test]
fn a_pubrec_over_the_servers_maximum_goes_without_reason_string_and_user_property() {
    let publish = "34 07 00 01 74 00 02 00 61";
    let bare = "50 03 00 02 87";
    let reason = format!("50 09 00 02 87 05 {REASON}");
    answered(publish, &explained(true, false), &reason, bare);
    let user = format!("50 0B 00 02 87 07 {USER}");
    answered(publish, &explained(false, true), &user, bare);
    let both = format!("50 10 00 02 87 0C {REASON} {USER}");
    answered(publish, &explained(true, true), &both, bare);
}

#[test]
fn a_disconnect_over_the_servers_maximum_goes_without_reason_string_and_user_property() {
    for (reason, user, whole) in [
        (true, false, format!("E0 07 04 05 {REASON}")),
        (false, true, format!("E0 09 04 07 {USER}")),
        (true, true, format!("E0 0E 04 0C {REASON} {USER}")),
    ] {
        let size = u8::try_from(hex(&whole).len()).unwrap();
        for (limit, sent) in [(size, whole.as_str()), (size - 1, "E0 01 04")] {
            let mut packet = Disconnect::new(DisconnectReasonCode::DisconnectWithWillMessage);
            let properties = packet.properties.get_or_insert_default();
            let AckProperties {
                reason_string,
                user_properties,
            } = explained(reason, user);
            properties.reason_string = reason_string;
            properties.user_properties = user_properties;
            let mut peer = Peer::connected_with(config(), &accepting(limit));
            peer.session.disconnect(packet).unwrap();
            peer.expect_close(sent);
        }
    }
}

/// Exchanges of both directions that were begun where there was more room: at the smallest Maximum
/// Packet Size that a client can live with, PUBREL and PUBCOMP are four bytes.
#[test]
fn pubrel_and_pubcomp_fit_into_the_smallest_maximum() {
    let mut peer = Peer::connected();
    let operation = peer.qos2("a");
    peer.drain();
    peer.given("50 02 00 01 | 34 07 00 01 74 00 09 00 62");
    let token = peer.expect_token("b");
    peer.acknowledge(token);
    peer.expect("62 02 00 01 | 50 02 00 09");
    peer.reconnect("20 08 01 00 05 27 00 00 00 04");
    peer.expect("62 02 00 01");
    peer.given("62 02 00 09");
    peer.expect("70 02 00 09");
    peer.given("70 02 00 01");
    peer.expect_acknowledged(operation, 0x00);
}
