//! CONNECT, sessions, Wills, keep alive and authentication, as packet traces.

// Helpers of tests have no better way to fail one.
#![allow(clippy::unwrap_used, reason = "test support")]

mod support;

use std::num::NonZeroU16;

use mqtt5_proto::QoS;
use mqtt5_proto::codec::MaximumPacketSize;
use mqtt5_proto::packet::{ConnackReasonCode, UserProperty};
use mqtt5_testkit::{AuthenticationScript, Credentials, Restart};
use support::{CONNACK, Lab, RESUMED, bytes, connect, connect_with, resume};

#[test]
fn the_notation_is_what_it_seems() {
    assert_eq!(bytes("C0 |"), [0xC0, 0]);
    assert_eq!(bytes("30 | 0001 'a' 00"), b"\x30\x04\0\x01a\0");
    assert_eq!(bytes(&format!("| {}", "00".repeat(300)))[..2], [0xAC, 2]);
}

#[test]
fn a_plain_connection() {
    let mut lab = Lab::new();
    let a = lab.open();
    lab.feed(a, "10 0E 0004 'MQTT' 05 02 0000 00 0001 'a'");
    lab.expect(a, &["20 03 00 00 00"]);
    lab.feed(a, "C0 00");
    lab.expect(a, &["D0 00"]);
    assert_eq!(lab.broker.connection_of("a"), Some(a));
    lab.feed(a, "E0 00");
    lab.expect(a, &["close"]);
    assert!(!lab.broker.has_session("a"));
    // What comes behind the DISCONNECT is not looked at.
    lab.feed(a, "C0 00");
    lab.quiet();
}

#[test]
fn input_in_single_bytes() {
    let mut lab = Lab::new();
    let a = lab.open();
    for byte in bytes(&connect("a")).iter().chain(&bytes("C0 00")) {
        lab.broker.handle_input(a, &[*byte], lab.now);
    }
    lab.expect(a, &[CONNACK, "D0 00"]);
}

#[test]
fn the_broker_chooses_an_identifier() {
    let mut lab = Lab::new();
    let a = lab.join(&connect(""), "20 | 00 00 0D 12 000A 'assigned-1'");
    let b = lab.join(&connect(""), "20 | 00 00 0D 12 000A 'assigned-2'");
    assert_eq!(lab.broker.connection_of("assigned-1"), Some(a));
    assert_eq!(lab.broker.connection_of("assigned-2"), Some(b));
}

#[test]
fn announced_limits_and_texts() {
    let mut lab = Lab::with(|config| {
        let connack = &mut config.connack;
        connack.receive_maximum = NonZeroU16::new(2);
        connack.maximum_qos = Some(QoS::AtLeastOnce);
        connack.server_keep_alive = Some(7);
        connack.response_information = Some("r".try_into().unwrap());
        connack.user_properties = vec![UserProperty::new("k", "v").unwrap()];
    });
    let limits = "13 0007 21 0002 24 01 26 0001 'k' 0001 'v'";
    lab.join(&connect("a"), &format!("20 | 00 00 0F {limits}"));
    let asked = connect_with(0x02, "19 01", "b");
    let with_information = "20 | 00 00 13 13 0007 1A 0001 'r' 21 0002 24 01 26 0001 'k' 0001 'v'";
    lab.join(&asked, with_information);
    // A client that takes 16 bytes at most gets no User Property.
    let small = connect_with(0x02, "27 00000010", "c");
    lab.join(&small, "20 | 00 00 08 13 0007 21 0002 24 01");
}

#[test]
fn refusals() {
    let mut lab = Lab::with(|config| {
        config.credentials = Credentials::new().with_user("u", "p");
        config.connack.maximum_qos = Some(QoS::AtMostOnce);
        config.connack.retain_available = Some(false);
        config.connack.maximum_packet_size = MaximumPacketSize::new(64);
    });
    let mut refused = |connect: &str, connack: &[&str]| {
        let id = lab.open();
        lab.feed(id, connect);
        lab.expect(id, connack);
        lab.quiet();
    };
    let user = "0001 'u' 0001 'p'";
    refused(&connect("a"), &["20 | 00 86 00", "close"]);
    let wrong = "10 | 0004 'MQTT' 05 C2 0000 00 0001 'a' 0001 'u' 0001 'x'";
    refused(wrong, &["20 | 00 86 00", "close"]);
    let will = "00 0001 'w' 0000";
    let will_qos = format!("10 | 0004 'MQTT' 05 CE 0000 00 0001 'a' {will} {user}");
    refused(&will_qos, &["20 | 00 9B 00", "close"]);
    let will_retain = format!("10 | 0004 'MQTT' 05 E6 0000 00 0001 'a' {will} {user}");
    refused(&will_retain, &["20 | 00 9A 00", "close"]);
    let method = format!("10 | 0004 'MQTT' 05 C2 0000 04 15 0001 'X' 0001 'a' {user}");
    refused(&method, &["20 | 00 8C 00", "close"]);
    let long = "x".repeat(64);
    refused(&connect(&long), &["20 | 00 95 00", "close"]);
    let v4 = "10 | 0004 'MQTT' 04 02 0000 0001 'a'";
    refused(v4, &["20 | 00 84 00", "close"]);
    let reserved_flag = "10 | 0004 'MQTT' 05 03 0000 00 0001 'a'";
    refused(reserved_flag, &["20 | 00 81 00", "close"]);
    let twice = connect_with(0x02, "21 0001 21 0001", "a");
    refused(&twice, &["20 | 00 82 00", "close"]);
    refused("C0 00", &["close"]);
    refused("00 00", &["close"]);
}

#[test]
fn a_configured_refusal_holds_until_it_is_changed() {
    let mut lab = Lab::with(|config| {
        config.refuse = Some(ConnackReasonCode::UseAnotherServer);
        config.connack.server_reference = Some("b:1883".try_into().unwrap());
    });
    let a = lab.open();
    let b = lab.open();
    lab.feed(a, &connect("a"));
    lab.expect(a, &["20 | 00 9C 09 1C 0006 'b:1883'", "close"]);
    lab.broker.configure(|config| *config = Default::default());
    // This connection is older than the change.
    lab.feed(b, &connect("b"));
    lab.expect(b, &["20 | 00 9C 09 1C 0006 'b:1883'", "close"]);
    lab.client("c");
}

#[test]
fn sessions_expire() {
    let mut lab = Lab::new();
    let ten = connect_with(0x00, "11 0000000A", "a");
    let a = lab.join(&ten, CONNACK);
    lab.advance_secs(100);
    lab.close(a);
    lab.advance_secs(9);
    let a = lab.join(&ten, RESUMED);
    lab.close(a);
    lab.advance_secs(10);
    assert!(!lab.broker.has_session("a"));
    let a = lab.join(&ten, CONNACK);

    // A DISCONNECT can change the interval.
    lab.feed(a, "E0 07 00 05 11 00000014");
    lab.expect(a, &["close"]);
    lab.advance_secs(15);
    let a = lab.join(&ten, RESUMED);
    lab.feed(a, "E0 07 00 05 11 00000000");
    lab.expect(a, &["close"]);
    assert!(!lab.broker.has_session("a"));

    // But not from 0 to more.
    let b = lab.client("b");
    lab.feed(b, "E0 07 00 05 11 00000014");
    lab.expect(b, &["E0 01 82", "close"]);
    assert_eq!(lab.broker.poll_timeout(), None);
}

#[test]
fn the_server_overrides_the_expiry() {
    let mut lab = Lab::with(|config| config.connack.session_expiry_interval = Some(5));
    let connack = "20 | 00 00 05 11 00000005";
    let a = lab.join(&resume("a"), connack);
    lab.close(a);
    lab.advance_secs(4);
    let a = lab.join(&resume("a"), "20 | 01 00 05 11 00000005");
    lab.close(a);
    lab.advance_secs(5);
    lab.join(&resume("a"), connack);
}

#[test]
fn takeover() {
    let mut lab = Lab::new();
    let old = lab.join(&resume("a"), CONNACK);
    let new = lab.join(&resume("a"), RESUMED);
    lab.expect(old, &["E0 01 8E", "close"]);
    // The driver may say so late.
    lab.close(old);
    assert_eq!(lab.broker.connection_of("a"), Some(new));
    // Clean Start drops what the older connection had.
    let newer = lab.client("a");
    lab.expect(new, &["E0 01 8E", "close"]);
    lab.close(newer);
    assert!(!lab.broker.has_session("a"));
}

#[test]
fn restarts() {
    let mut lab = Lab::new();
    let a = lab.join(&resume("a"), CONNACK);
    lab.broker.restart(Restart::KeepSessions, lab.now);
    lab.expect(a, &["cut"]);
    let a = lab.join(&resume("a"), RESUMED);
    lab.broker.restart(Restart::LoseSessions, lab.now);
    lab.expect(a, &["cut"]);
    lab.join(&resume("a"), CONNACK);
}

#[test]
fn keep_alive() {
    let mut lab = Lab::new();
    let a = lab.join("10 | 0004 'MQTT' 05 02 000A 00 0001 'a'", CONNACK);
    lab.advance_secs(14);
    lab.feed(a, "C0 00");
    lab.expect(a, &["D0 00"]);
    lab.advance_secs(14);
    lab.quiet();
    // Sending does not count, nor do half packets.
    lab.feed(a, "C0");
    lab.advance_secs(1);
    lab.expect(a, &["E0 01 8D", "close"]);

    lab.broker
        .configure(|config| config.connack.server_keep_alive = Some(2));
    let b = lab.join(&connect("b"), "20 | 00 00 03 13 0002");
    lab.advance_secs(3);
    lab.expect(b, &["E0 01 8D", "close"]);
}

const SUBSCRIBE_ALL: &str = "82 | 0001 00 0001 '#' 0A";
const SUBACK_2: &str = "90 | 0001 00 02";

/// CONNECT with a Will of QoS 1, retained, that has all properties.
fn with_will(delay: u32, expiry: u32) -> String {
    format!(
        "10 | 0004 'MQTT' 05 2C 0000 [ 11 {expiry:08X} ] 0001 'w' \
         [ 01 01 02 0000003C 03 0001 't' 08 0001 'r' 09 0001 'c' 18 {delay:08X} \
         26 0001 'k' 0001 'v' ] 0001 'd' 0003 'bye'"
    )
}

const WILL: &str = "33 | 0001 'd' 0001 [ 01 01 02 0000003C 03 0001 't' 08 0001 'r' 09 0001 'c' \
                    26 0001 'k' 0001 'v' ] 'bye'";

fn lab_with_watcher() -> (Lab, mqtt5_testkit::ConnectionId) {
    let mut lab = Lab::new();
    let watcher = lab.client("watcher");
    lab.feed(watcher, SUBSCRIBE_ALL);
    lab.expect(watcher, &[SUBACK_2]);
    (lab, watcher)
}

#[test]
fn a_will_is_published_when_the_link_fails() {
    let (mut lab, watcher) = lab_with_watcher();
    let w = lab.join(&with_will(0, 0), CONNACK);
    lab.close(w);
    lab.expect(watcher, &[WILL]);
    assert!(lab.broker.retained("d").is_some());
}

#[test]
fn a_will_is_discarded_by_a_normal_disconnect_only() {
    let (mut lab, watcher) = lab_with_watcher();
    let w = lab.join(&with_will(0, 0), CONNACK);
    lab.feed(w, "E0 00");
    lab.expect(w, &["close"]);
    lab.quiet();
    let w = lab.join(&with_will(0, 0), CONNACK);
    lab.feed(w, "E0 01 04");
    lab.expect(w, &["close"]);
    lab.expect(watcher, &[WILL]);
}

#[test]
fn a_delayed_will() {
    let (mut lab, watcher) = lab_with_watcher();
    let w = lab.join(&with_will(10, 100), CONNACK);
    lab.close(w);
    lab.advance_secs(9);
    lab.quiet();
    // The client is back in time.
    let w = lab.join(&with_will(10, 100), RESUMED);
    lab.advance_secs(20);
    lab.close(w);
    lab.advance_secs(10);
    lab.expect(watcher, &[WILL]);
    lab.advance_secs(90);
    lab.quiet();
    assert!(!lab.broker.has_session("w"));
}

#[test]
fn a_delayed_will_comes_with_the_end_of_the_session() {
    let (mut lab, watcher) = lab_with_watcher();
    let w = lab.join(&with_will(100, 10), CONNACK);
    lab.close(w);
    lab.advance_secs(10);
    lab.expect(watcher, &[WILL]);
    let w = lab.join(&with_will(100, 100), CONNACK);
    lab.close(w);
    // Clean Start ends the old session.
    lab.client("w");
    lab.expect(watcher, &[&WILL.replacen("0001 [", "0002 [", 1)]);
}

fn script() -> AuthenticationScript {
    AuthenticationScript::new("X")
        .unwrap()
        .expect_initial("hi")
        .challenge("1?", "1!")
        .challenge("2?", "2!")
        .finally("ok")
}

#[test]
fn enhanced_authentication() {
    let mut lab = Lab::with(|config| config.authentication = Some(script()));
    let start = connect_with(0x02, "15 0001 'X' 16 0002 'hi'", "a");
    let auth = |data: &str| format!("F0 | 18 09 15 0001 'X' 16 0002 '{data}'");
    let begin = |lab: &mut Lab| {
        let id = lab.open();
        lab.feed(id, &start);
        lab.expect(id, &[&auth("1?")]);
        id
    };
    let a = begin(&mut lab);
    lab.feed(a, &auth("1!"));
    lab.expect(a, &[&auth("2?")]);
    lab.feed(a, &auth("2!"));
    lab.expect(a, &["20 | 00 00 09 15 0001 'X' 16 0002 'ok'"]);

    // Again, on the live connection; other packets pass meanwhile.
    lab.feed(a, "F0 | 19 09 15 0001 'X' 16 0002 'hi'");
    lab.expect(a, &[&auth("1?")]);
    lab.feed(a, "C0 00");
    lab.expect(a, &["D0 00"]);
    lab.feed(a, &auth("1!"));
    lab.feed(a, &auth("2!"));
    let done = "F0 | 00 09 15 0001 'X' 16 0002 'ok'";
    lab.expect(a, &[&auth("2?"), done]);
    lab.feed(a, "F0 | 19 09 15 0001 'X' 16 0002 'ho'");
    lab.expect(a, &["E0 01 87", "close"]);

    let b = begin(&mut lab);
    lab.feed(b, &auth("??"));
    lab.expect(b, &["20 | 00 87 00", "close"]);
    let c = begin(&mut lab);
    lab.feed(c, "F0 | 18 09 15 0001 'Y' 16 0002 '1!'");
    lab.expect(c, &["20 | 00 82 00", "close"]);
    let d = begin(&mut lab);
    lab.feed(d, "C0 00");
    lab.expect(d, &["20 | 00 82 00", "close"]);
    let e = begin(&mut lab);
    lab.feed(e, "E0 00");
    lab.expect(e, &["close"]);
    let f = lab.open();
    lab.feed(f, &connect_with(0x02, "15 0001 'Y'", "a"));
    lab.expect(f, &["20 | 00 8C 00", "close"]);
    // Without a method there is nothing to authenticate again.
    let g = lab.client("g");
    lab.feed(g, "F0 | 19 04 15 0001 'X'");
    lab.expect(g, &["E0 01 82", "close"]);
    lab.quiet();
}
