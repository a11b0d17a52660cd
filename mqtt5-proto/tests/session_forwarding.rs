//! A message that came in and is published again is a new message (MQTT 5.0 sections 3.3.1.1 and
//! 3.3.4).

mod session_support;

use mqtt5_proto::Topic;
use mqtt5_proto::packet::ApplicationMessage;
use mqtt5_proto::session::SessionConfig;
use session_support::*;

/// QoS 1 or 2 with DUP, topic "t", Packet Identifier 10; Subscription Identifier 1, Topic Alias 3,
/// User Property "k": "v"; payload "a".
const RECEIVED: &str = "13 00 01 74 00 0A 0C 0B 01 23 00 03 26 00 01 6B 00 01 76 61";
/// As the client's own first message: only what belongs to the message itself.
const FORWARDED: &str = "0E 00 01 74 00 01 07 26 00 01 6B 00 01 76 61";

#[test]
fn a_received_message_is_passed_on_without_dup_alias_and_subscription_identifiers() {
    for (received, forwarded) in [("3A", "32"), ("3C", "34")] {
        let config = SessionConfig {
            topic_alias_maximum: 3,
            ..config()
        };
        // Topic Alias Maximum 10 in the CONNACK: the server would take an alias.
        let mut peer = Peer::connected_with(config, "20 06 00 00 03 22 00 0A");
        peer.given(&format!("{received} {RECEIVED}"));
        let message = peer.expect_message("a");
        assert!(message.dup());
        let topic = Topic::new(message.topic()).unwrap();
        let mut copy =
            ApplicationMessage::new(topic, message.payload_bytes()).with_qos(message.qos());
        *copy.properties_mut() = message.properties().to_message_properties();
        peer.publish_message(copy);
        peer.expect(&format!("{forwarded} {FORWARDED}"));
    }
}
