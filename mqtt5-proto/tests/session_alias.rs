//! Topic aliases of the server (MQTT 5.0 section 3.3.2.3.4), as packet traces.

mod session_support;

use mqtt5_proto::session::{SessionConfig, Warning};
use session_support::*;

/// Topic Alias Maximum `maximum` announced.
fn announcing(maximum: u16) -> Peer {
    let config = SessionConfig {
        topic_alias_maximum: maximum,
        ..config()
    };
    Peer::connected_with(config, ACCEPTED)
}

/// Topic "t", alias 3, payload "a"; and the same without the topic, payload "b".
const SET: &str = "30 08 00 01 74 03 23 00 03 61";
const USE: &str = "30 07 00 00 03 23 00 03 62";

#[test]
fn an_alias_stands_for_the_topic_it_came_with() {
    let mut peer = announcing(3);
    peer.given(SET);
    assert_eq!(peer.expect_message("a").topic(), "t");
    peer.given(USE);
    assert_eq!(peer.expect_message("b").topic(), "t");
}

#[test]
fn edge_case_143_alias_0_or_above_the_maximum_is_refused() {
    announcing(3).expect_violation("30 08 00 01 74 03 23 00 00 61", 0x94);
    announcing(3).expect_violation("30 08 00 01 74 03 23 00 04 61", 0x94);
    announcing(3).expect_violation("30 07 00 00 03 23 00 04 61", 0x94);
}

#[test]
fn edge_case_144_without_aliases_announced_every_alias_is_refused() {
    announcing(0).expect_violation("30 08 00 01 74 03 23 00 01 61", 0x94);
}

#[test]
fn edge_case_145_an_alias_that_stands_for_nothing_is_a_protocol_error() {
    announcing(3).expect_violation(USE, 0x82);
    // Nor does a lower one that was set fill the ones below it.
    let mut peer = announcing(3);
    peer.given(SET);
    peer.expect_message("a");
    peer.expect_violation("30 07 00 00 03 23 00 02 62", 0x82);
}

#[test]
fn an_empty_topic_without_alias_is_a_protocol_error() {
    announcing(3).expect_violation("30 04 00 00 00 61", 0x82);
}

#[test]
fn edge_case_146_a_new_topic_replaces_the_old_one() {
    let mut peer = announcing(3);
    peer.given(SET);
    peer.expect_message("a");
    peer.given("30 08 00 01 75 03 23 00 03 63");
    assert_eq!(peer.expect_message("c").topic(), "u");
    peer.given(USE);
    assert_eq!(peer.expect_message("b").topic(), "u");
}

#[test]
fn edge_case_149_the_alias_of_a_repeated_message_is_set() {
    let mut peer = announcing(3);
    peer.given("34 07 00 01 74 00 0A 00 61");
    let token = peer.expect_token("a");
    peer.acknowledge(token);
    peer.expect("50 02 00 0A");
    // The repetition carries alias 3 for topic "u".
    peer.given("3C 0A 00 01 75 00 0A 03 23 00 03 61");
    peer.expect_no_event();
    peer.expect("50 02 00 0A");
    peer.given(USE);
    assert_eq!(peer.expect_message("b").topic(), "u");
}

#[test]
fn edge_case_151_all_of_65535_aliases_are_taken() {
    let mut peer = announcing(u16::MAX);
    for alias in ["00 01", "12 34", "FF FF"] {
        peer.given(&format!("30 08 00 01 74 03 23 {alias} 61"));
        peer.expect_message("a");
        peer.given(&format!("30 07 00 00 03 23 {alias} 62"));
        assert_eq!(peer.expect_message("b").topic(), "t");
    }
}

#[test]
fn edge_case_188_an_alias_for_a_topic_with_a_wildcard_is_set_and_its_messages_are_refused() {
    let mut peer = announcing(3);
    // Topic "#", alias 3
    peer.given("30 08 00 01 23 03 23 00 03 61");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.given("32 09 00 00 00 0A 03 23 00 03 62");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.expect("40 03 00 0A 90");
    peer.given("34 09 00 00 00 0B 03 23 00 03 62");
    assert_eq!(peer.expect_warning(), Warning::WildcardInTopic);
    peer.expect("50 03 00 0B 90");
    // Until it stands for something else.
    peer.given(SET);
    peer.expect_message("a");
    peer.given(USE);
    peer.expect_message("b");
}

#[test]
fn edge_case_147_aliases_are_gone_with_their_connection() {
    let mut peer = announcing(3);
    peer.given(SET);
    peer.expect_message("a");
    peer.reconnect(RESUMED);
    peer.expect_violation(USE, 0x82);
}

#[test]
fn edge_case_150_the_servers_aliases_are_not_ours_and_we_use_none() {
    // Topic Alias Maximum 10 in the CONNACK.
    let config = SessionConfig {
        topic_alias_maximum: 3,
        ..config()
    };
    let mut peer = Peer::connected_with(config, "20 06 00 00 03 22 00 0A");
    peer.given(SET);
    peer.expect_message("a");
    peer.qos0("a");
    peer.qos0("b");
    peer.expect("30 05 00 01 74 00 61 | 30 05 00 01 74 00 62");
}

#[test]
fn a_resent_message_may_come_with_an_alias_of_the_new_connection() {
    let mut peer = announcing(3);
    peer.given("32 07 00 01 74 00 0A 00 61");
    peer.expect_token("a");
    peer.reconnect(RESUMED);
    peer.given(SET);
    peer.expect_message("a");
    peer.given("3A 09 00 00 00 0A 03 23 00 03 61");
    peer.expect_no_event();
    peer.expect_nothing();
}
