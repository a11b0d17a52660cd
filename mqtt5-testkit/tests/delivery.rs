//! Messages from client to client, as packet traces.

mod support;

use mqtt5_proto::Topic;
use mqtt5_proto::codec::MaximumPacketSize;
use mqtt5_proto::packet::{
    AckProperties, ApplicationMessage, PublishReasonCode, SubackReasonCode, UserProperty,
};
use mqtt5_testkit::ConnectionId;
use support::{CONNACK, Lab, RESUMED, connect_with, resume};

impl Lab {
    /// Subscribes with packet id 1 and these options, which are to be granted as they are.
    fn subscribed(&mut self, connect: &str, filter: &str, options: u8) -> ConnectionId {
        let id = self.join(connect, CONNACK);
        self.subscribe(id, filter, options);
        id
    }

    fn subscribe(&mut self, id: ConnectionId, filter: &str, options: u8) {
        let length = filter.len();
        self.feed(
            id,
            &format!("82 | 0001 00 {length:04X} '{filter}' {options:02X}"),
        );
        self.expect_first(id, &format!("90 | 0001 00 {:02X}", options & 3));
    }
}

#[test]
fn qos_0() {
    let mut lab = Lab::new();
    let s = lab.subscribed(&resume("s"), "a/+", 2);
    let p = lab.client("p");
    lab.feed(p, "30 | 0003 'a/b' 00 'hi'");
    lab.expect(s, &["30 | 0003 'a/b' 00 'hi'"]);
    // Not kept for who is away.
    lab.close(s);
    lab.feed(p, "30 | 0003 'a/b' 00 'hi'");
    lab.join(&resume("s"), RESUMED);
    lab.quiet();
}

#[test]
fn qos_1_and_resumption() {
    let mut lab = Lab::new();
    let s = lab.subscribed(&resume("s"), "a", 1);
    let p = lab.client("p");
    lab.feed(p, "32 | 0001 'a' 0007 00 '1'");
    lab.expect(p, &["40 02 0007"]);
    lab.expect(s, &["32 | 0001 'a' 0001 00 '1'"]);
    // QoS 2 is lowered to what was granted. DUP of the publisher is not passed on.
    lab.feed(p, "3C | 0001 'a' 0008 00 '2'");
    lab.expect(p, &["50 02 0008"]);
    lab.expect(s, &["32 | 0001 'a' 0002 00 '2'"]);
    lab.feed(p, "62 02 0008");
    lab.expect(p, &["70 02 0008"]);
    lab.close(s);
    lab.feed(p, "32 | 0001 'a' 0009 00 '3'");
    lab.expect(p, &["40 02 0009"]);
    assert_eq!(lab.broker.unacknowledged("s"), 2);
    assert_eq!(lab.broker.queued("s"), 1);
    let s = lab.open();
    lab.feed(s, &resume("s"));
    let first = "3A | 0001 'a' 0001 00 '1'";
    let second = "3A | 0001 'a' 0002 00 '2'";
    lab.expect(s, &[RESUMED, first, second, "32 | 0001 'a' 0003 00 '3'"]);
    lab.feed(s, "40 02 0001 40 03 0002 80 40 04 0003 00 00");
    lab.close(s);
    lab.join(&resume("s"), RESUMED);
    lab.quiet();
}

#[test]
fn qos_2_and_resumption() {
    let mut lab = Lab::new();
    let s = lab.subscribed(&resume("s"), "a", 2);
    let p = lab.join(&resume("p"), CONNACK);
    lab.feed(p, "34 | 0001 'a' 0007 00 '1'");
    lab.expect(p, &["50 02 0007"]);
    lab.expect(s, &["34 | 0001 'a' 0001 00 '1'"]);
    // Neither a repetition on this connection nor one after a resumption is delivered.
    lab.feed(p, "3C | 0001 'a' 0007 00 '1'");
    lab.expect(p, &["50 02 0007"]);
    lab.close(p);
    let p = lab.join(&resume("p"), RESUMED);
    lab.feed(p, "3C | 0001 'a' 0007 00 '1'");
    lab.feed(p, "62 02 0007 62 02 0007");
    lab.expect(p, &["50 02 0007", "70 02 0007", "70 03 0007 92"]);
    // The identifier is free again: a new message.
    lab.feed(p, "34 | 0001 'a' 0007 00 '2'");
    lab.expect(p, &["50 02 0007"]);
    lab.expect(s, &["34 | 0001 'a' 0002 00 '2'"]);

    lab.feed(s, "50 02 0001");
    lab.expect(s, &["62 02 0001"]);
    lab.close(s);
    // The PUBREL goes again, and never the PUBLISH; the other PUBLISH goes with DUP.
    let s = lab.open();
    lab.feed(s, &resume("s"));
    lab.expect(s, &[RESUMED, "62 02 0001", "3C | 0001 'a' 0002 00 '2'"]);
    lab.feed(s, "70 02 0001 50 03 0002 87 50 02 0009 50 03 0009 80");
    lab.expect(s, &["62 03 0009 92"]);
    assert_eq!(lab.broker.unacknowledged("s"), 0);
}

#[test]
fn acknowledgements_of_the_wrong_kind() {
    for (answer, qos) in [
        ("50 02 0001", 1),
        ("70 02 0001", 1),
        ("40 02 0001", 2),
        ("70 02 0001", 2),
        ("50 02 0001 40 02 0001", 2),
        ("50 02 0001 50 03 0001 80", 2),
        ("40 03 0001 10", 1),
        ("40 03 0001 FF", 1),
    ] {
        let mut lab = Lab::new();
        let s = lab.subscribed(&resume("s"), "a", qos);
        let p = lab.client("p");
        lab.feed(p, "34 | 0001 'a' 0007 00");
        lab.feed(s, answer);
        let first = format!("3{} | 0001 'a' 0001 00", qos * 2);
        let release = answer.starts_with("50") && qos == 2;
        let expected: &[&str] = if release {
            &[&first, "62 02 0001", "E0 01 82", "close"]
        } else {
            &[&first, "E0 01 82", "close"]
        };
        lab.expect(s, expected);
    }
}

#[test]
fn the_receive_maximum_of_the_client() {
    let mut lab = Lab::new();
    let two = connect_with(0x00, "11 FFFFFFFF 21 0002", "s");
    let s = lab.subscribed(&two, "#", 2);
    let p = lab.client("p");
    lab.feed(p, "32 | 0001 'a' 0001 00");
    lab.feed(p, "34 | 0001 'b' 0002 00");
    lab.feed(p, "32 | 0001 'c' 0003 00");
    lab.feed(p, "32 | 0001 'd' 0004 00");
    lab.feed(p, "30 | 0001 'e' 00");
    // QoS 0 passes by.
    let b = "34 | 0001 'b' 0002 00";
    lab.expect(s, &["32 | 0001 'a' 0001 00", b, "30 | 0001 'e' 00"]);
    lab.feed(s, "50 02 0002");
    lab.expect(s, &["62 02 0002"]);
    lab.feed(s, "40 02 0001");
    lab.expect(s, &["32 | 0001 'c' 0003 00"]);
    // What waits for PUBCOMP is in flight on the next connection too.
    lab.close(s);
    let s = lab.open();
    lab.feed(s, &two);
    lab.expect(s, &[RESUMED, "62 02 0002", "3A | 0001 'c' 0003 00"]);
    lab.feed(s, "70 02 0002");
    lab.expect(s, &["32 | 0001 'd' 0004 00"]);
    lab.close(s);
    let s = lab.open();
    lab.feed(s, &connect_with(0x00, "11 FFFFFFFF 21 0001", "s"));
    lab.expect(s, &[RESUMED, "3A | 0001 'c' 0003 00"]);
    lab.feed(s, "40 02 0003");
    lab.expect(s, &["3A | 0001 'd' 0004 00"]);
}

#[test]
fn the_maximum_packet_size_of_the_client() {
    let mut lab = Lab::new();
    let small = connect_with(0x00, "11 FFFFFFFF 27 00000009", "s");
    let s = lab.subscribed(&small, "a", 1);
    let p = lab.client("p");
    lab.feed(p, "32 | 0001 'a' 0001 00 'xxx'");
    lab.feed(p, "32 | 0001 'a' 0002 00 'x'");
    lab.feed(p, "32 | 0001 'a' 0003 00 'xx'");
    lab.feed(p, "30 | 0001 'a' 00 'xxx'");
    lab.feed(p, "30 | 0001 'a' 00 'xxxx'");
    // Skipped ones are as good as delivered.
    let x = "32 | 0001 'a' 0002 00 'x'";
    lab.expect(s, &[x, "30 | 0001 'a' 00 'xxx'"]);
    assert_eq!(lab.broker.unacknowledged("s"), 1);
}

#[test]
fn properties_are_passed_on() {
    let mut lab = Lab::new();
    let s = lab.subscribed(&resume("s"), "#", 1);
    let p = lab.client("p");
    let properties = "01 01 02 0000000A 03 0001 't' 08 0001 'r' 09 0001 'c' \
                      26 0001 'b' 0001 '1' 26 0001 'a' 0001 '2' 26 0001 'b' 0001 '1'";
    lab.feed(p, &format!("31 | 0001 'a' [ {properties} ] 'x'"));
    lab.expect(s, &[&format!("30 | 0001 'a' [ {properties} ] 'x'")]);
    lab.close(s);
    lab.feed(p, &format!("32 | 0001 'a' 0001 [ {properties} ] 'x'"));
    lab.feed(p, "32 | 0001 'a' 0002 [ 02 00000003 ]");
    // 3.5 s of the 10 s are over: 7 s are left, rounded up. The 3 s are over.
    lab.advance(std::time::Duration::from_millis(3500));
    let s = lab.open();
    lab.feed(s, &resume("s"));
    let left = properties.replace("0000000A", "00000007");
    lab.expect(s, &[RESUMED, &format!("32 | 0001 'a' 0001 [ {left} ] 'x'")]);
}

#[test]
fn retained_messages() {
    let mut lab = Lab::new();
    let p = lab.client("p");
    lab.feed(p, "31 | 0001 'a' 00 'old'");
    lab.feed(p, "31 | 0001 'a' 00 'new'");
    lab.feed(p, "31 | 0001 'b' 00 'x'");
    lab.feed(p, "31 | 0001 'b' 00");
    lab.feed(p, "31 | 0001 'c' [ 02 00000005 ] 'x'");
    lab.feed(p, "31 | 0004 '$SYS' 00 'x'");
    lab.advance_secs(2);
    let s = lab.subscribed(&resume("s"), "#", 0);
    let c = "31 | 0001 'c' [ 02 00000003 ] 'x'";
    lab.expect(s, &["31 | 0001 'a' 00 'new'", c]);
    lab.advance_secs(3);
    // Again for Retain Handling 0, not for 1 and 2, and for 1 if the subscription is new.
    lab.subscribe(s, "#", 0);
    lab.expect(s, &["31 | 0001 'a' 00 'new'"]);
    lab.subscribe(s, "#", 0x10);
    lab.subscribe(s, "a", 0x20);
    lab.quiet();
    lab.subscribe(s, "+", 0x10);
    lab.expect(s, &["31 | 0001 'a' 00 'new'"]);
    // Not for shared subscriptions.
    lab.subscribe(s, "$share/g/a", 0);
    lab.quiet();
    // No Local holds for them too.
    lab.subscribe(p, "a", 0x04);
    lab.quiet();
}

#[test]
fn retain_as_published() {
    let mut lab = Lab::new();
    let plain = lab.subscribed(&resume("plain"), "a", 0);
    let kept = lab.subscribed(&resume("kept"), "a", 0x08);
    let p = lab.client("p");
    lab.feed(p, "31 | 0001 'a' 00");
    lab.expect(plain, &["30 | 0001 'a' 00"]);
    lab.expect(kept, &["31 | 0001 'a' 00"]);
    lab.feed(p, "30 | 0001 'a' 00");
    lab.expect(plain, &["30 | 0001 'a' 00"]);
    lab.expect(kept, &["30 | 0001 'a' 00"]);
}

#[test]
fn overlapping_subscriptions_and_identifiers() {
    let mut lab = Lab::new();
    let s = lab.join(&resume("s"), CONNACK);
    lab.feed(s, "82 | 0001 [ 0B 01 ] 0001 '#' 00");
    lab.feed(s, "82 | 0002 [ 0B 8001 ] 0001 '+' 01 0001 'a' 00");
    lab.feed(s, "82 | 0003 00 0002 '/#' 02");
    let acks = ["90 | 0001 00 00", "90 | 0002 00 01 00", "90 | 0003 00 02"];
    lab.expect(s, &acks);
    let p = lab.client("p");
    lab.feed(p, "34 | 0001 'a' 0001 00");
    lab.expect(s, &["32 | 0001 'a' 0001 [ 0B 01 0B 8001 0B 8001 ]"]);
    lab.feed(p, "30 | 0001 '/' 00");
    lab.expect(s, &["30 | 0001 '/' [ 0B 01 ]"]);
    // Subscribing again replaces the identifier.
    lab.feed(s, "82 | 0004 00 0001 'a' 00");
    lab.feed(s, "A2 | 0005 00 0001 '+' 0001 '+'");
    lab.expect(s, &["90 | 0004 00 00", "B0 | 0005 00 00 11"]);
    lab.feed(p, "30 | 0001 'a' 00");
    lab.expect(s, &["30 | 0001 'a' [ 0B 01 ]"]);
}

#[test]
fn no_local() {
    let mut lab = Lab::new();
    let s = lab.subscribed(&resume("s"), "a", 0x04);
    lab.feed(s, "32 | 0001 'a' 0001 00");
    lab.expect(s, &["40 03 0001 10"]);
    lab.subscribe(s, "a", 0x00);
    lab.feed(s, "30 | 0001 'a' 00");
    lab.expect(s, &["30 | 0001 'a' 00"]);
}

#[test]
fn shared_subscriptions_go_round() {
    let mut lab = Lab::new();
    let filter = "$share/g/a/#";
    let [x, y, z] = ["x", "y", "z"].map(|id| lab.subscribed(&resume(id), filter, 1));
    let other = lab.subscribed(&resume("other"), "$share/h/+", 0);
    let p = lab.client("p");
    let message = "30 | 0001 'a' 00";
    for turn in [x, y, z, x] {
        lab.feed(p, message);
        lab.expect(turn, &[message]);
        lab.expect(other, &[message]);
        lab.quiet();
    }
    // Those who are there go first.
    lab.close(y);
    lab.feed(p, message);
    lab.expect(z, &[message]);
    lab.close(z);
    lab.close(x);
    lab.close(other);
    lab.feed(p, "32 | 0001 'a' 0001 00");
    lab.expect(p, &["40 02 0001"]);
    assert_eq!(lab.broker.queued("x"), 1);
}

#[test]
fn reasons_of_the_broker() {
    let mut lab = Lab::new();
    let filter = |text: &str| text.try_into().unwrap();
    lab.broker
        .refuse_publish(filter("no/#"), PublishReasonCode::NotAuthorized);
    lab.broker
        .refuse_subscribe(filter("no/#"), SubackReasonCode::QuotaExceeded);
    let p = lab.client("p");
    lab.feed(p, "32 | 0001 'a' 0001 00");
    lab.feed(p, "34 | 0001 'a' 0002 00");
    lab.expect(p, &["40 03 0001 10", "50 03 0002 10"]);
    lab.feed(p, "32 | 0001 'a' 0001 [ 01 01 ] FF");
    lab.expect(p, &["40 03 0001 99"]);
    // Of a refused message nothing stays: the same identifier is a new one.
    let refused = "34 | 0004 'no/x' 0003 00";
    lab.feed(p, refused);
    lab.feed(p, refused);
    lab.feed(p, "62 02 0003");
    lab.expect(p, &["50 03 0003 87", "50 03 0003 87", "70 03 0003 92"]);
    lab.feed(p, "82 | 0004 00 0004 'no/x' 01 0004 'no/#' 01 0001 'a' 01");
    lab.expect(p, &["90 | 0004 00 97 97 01"]);
    // The identifier of a QoS 2 message that is not released is in use.
    lab.feed(p, "82 | 0002 00 0001 'b' 01");
    lab.expect(p, &["90 | 0002 00 91"]);
    lab.broker.clear_refusals();
    lab.feed(p, "34 | 0004 'no/x' 0003 00");
    lab.expect(p, &["50 03 0003 10"]);
}

#[test]
fn problem_information() {
    let mut lab = Lab::with(|config| {
        config.ack_properties = Some(AckProperties {
            reason_string: Some("why".try_into().unwrap()),
            user_properties: vec![UserProperty::new("k", "v").unwrap()],
        });
    });
    let properties = "[ 1F 0003 'why' 26 0001 'k' 0001 'v' ]";
    let p = lab.client("p");
    lab.feed(p, "32 | 0001 'a' 0001 00");
    lab.feed(p, "A2 | 0002 00 0001 'a'");
    let puback = format!("40 | 0001 10 {properties}");
    lab.expect(p, &[&puback, &format!("B0 | 0002 {properties} 11")]);
    for limit in ["17 00", "27 00000010"] {
        let p = lab.join(&connect_with(0x02, limit, "q"), CONNACK);
        lab.feed(p, "32 | 0001 'a' 0001 00");
        lab.feed(p, "A2 | 0002 00 0001 'a'");
        lab.expect(p, &["40 03 0001 10", "B0 | 0002 00 11"]);
        lab.feed(p, "E0 00");
        lab.expect(p, &["close"]);
    }
}

#[test]
fn topic_aliases_of_the_client() {
    let mut lab = Lab::with(|config| config.connack.topic_alias_maximum = Some(2));
    let connack = "20 | 00 00 03 22 0002";
    let s = lab.join(&support::connect("s"), connack);
    lab.subscribe(s, "#", 0);
    lab.feed(s, "30 | 0001 'a' [ 23 0002 ]");
    lab.feed(s, "30 | 0000 [ 23 0002 ]");
    lab.feed(s, "30 | 0001 'b' [ 23 0002 ]");
    lab.feed(s, "30 | 0000 [ 23 0002 ]");
    let (a, b) = ("30 | 0001 'a' 00", "30 | 0001 'b' 00");
    lab.expect(s, &[a, a, b, b]);
    lab.feed(s, "30 | 0000 [ 23 0001 ]");
    lab.expect(s, &["E0 01 82", "close"]);
    for alias in ["0000", "0003"] {
        let s = lab.join(&support::connect("s"), connack);
        lab.feed(s, &format!("30 | 0001 'a' [ 23 {alias} ]"));
        lab.expect(s, &["E0 01 94", "close"]);
    }
}

#[test]
fn topic_aliases_of_the_broker() {
    let mut lab = Lab::with(|config| config.use_topic_aliases = true);
    let two = connect_with(0x00, "11 FFFFFFFF 22 0002", "s");
    let s = lab.subscribed(&two, "#", 1);
    let p = lab.client("p");
    for topic in ["a", "a", "b", "c", "b", "a"] {
        lab.feed(p, &format!("30 | 0001 '{topic}' 00"));
    }
    let expected = [
        "30 | 0001 'a' [ 23 0001 ]",
        "30 | 0000 [ 23 0001 ]",
        "30 | 0001 'b' [ 23 0002 ]",
        "30 | 0001 'c' [ 23 0001 ]",
        "30 | 0000 [ 23 0002 ]",
        "30 | 0001 'a' [ 23 0002 ]",
    ];
    lab.expect(s, &expected);
    // The next connection starts anew.
    lab.feed(p, "32 | 0001 'a' 0001 00");
    lab.expect(s, &["32 | 0000 0001 [ 23 0002 ]"]);
    lab.close(s);
    let s = lab.open();
    lab.feed(s, &two);
    lab.expect(s, &[RESUMED, "3A | 0001 'a' 0001 [ 23 0001 ]"]);
}

#[test]
fn messages_of_the_script() {
    let mut lab = Lab::new();
    let s = lab.subscribed(&resume("s"), "a", 1);
    let message = ApplicationMessage::new(Topic::new("a").unwrap(), "x");
    assert_eq!(lab.broker.publish(message, lab.now), 1);
    lab.expect(s, &["30 | 0001 'a' 00 'x'"]);
    lab.broker.lose_session("s");
    let message = ApplicationMessage::new(Topic::new("a").unwrap(), "x");
    assert_eq!(lab.broker.publish(message, lab.now), 0);
    // The connection goes on.
    lab.subscribe(s, "a", 1);
}

#[test]
fn what_breaks_the_rules() {
    let cases = [
        // The broker's limits.
        ("34 | 0001 'a' 0001 00", "9B"),
        ("31 | 0001 'a' 00", "9A"),
        ("32 | 0001 'a' 0001 00 'xxxxxxxxxxxxxxxxxxxxxxxx'", "95"),
        ("82 | 0001 00 0001 '#' 00", "A2"),
        ("82 | 0001 00 000A '$share/g/a' 00", "9E"),
        ("82 | 0001 [ 0B 01 ] 0001 'a' 00", "A1"),
        ("30 | 0001 'a' [ 23 0001 ]", "94"),
        // The standard's.
        ("30 | 0000 00", "82"),
        ("30 | 0001 '+' 00", "82"),
        ("30 | 0001 'a' [ 0B 01 ]", "82"),
        ("30 | 0001 'a' [ 01 02 ]", "82"),
        ("30 | 0001 'a' [ 08 0001 '#' ]", "82"),
        ("30 | 0001 'a' [ 11 00000000 ]", "81"),
        ("32 | 0001 'a' 0000 00", "82"),
        ("36 | 0001 'a' 0001 00", "81"),
        ("38 | 0001 'a' 00", "81"),
        ("30 | 0002 EDA0 00", "81"),
        ("82 | 0001 00", "82"),
        ("82 | 0001 00 0002 'a#' 00", "82"),
        ("82 | 0001 00 0001 'a' 03", "82"),
        ("82 | 0001 00 0001 'a' 40", "81"),
        ("82 | 0001 00 000A '$share/g/a' 04", "82"),
        ("80 | 0001 00 0001 'a' 00", "81"),
        ("A2 | 0001 00", "82"),
        ("60 02 0001", "81"),
        ("C0 01 00", "81"),
        ("C0 80 00", "81"),
        ("30 80 80 80 80", "81"),
        ("10 | 0004 'MQTT' 05 02 0000 00 0001 'x'", "82"),
        ("20 03 00 00 00", "82"),
        ("90 | 0001 00 00", "82"),
        ("B0 | 0001 00 00", "82"),
        ("D0 00", "82"),
        ("F0 00", "82"),
        ("F0 | 19 [ 15 0001 'X' ]", "82"),
        ("00 00", "81"),
        ("E0 01 8E", "82"),
        ("E0 | 00 [ 1C 0001 'x' ]", "82"),
    ];
    for (packet, reason) in cases {
        let mut lab = Lab::with(|config| {
            let connack = &mut config.connack;
            connack.maximum_qos = Some(mqtt5_proto::QoS::AtLeastOnce);
            connack.retain_available = Some(false);
            connack.maximum_packet_size = MaximumPacketSize::new(30);
            connack.wildcard_subscription_available = Some(false);
            connack.subscription_identifier_available = Some(false);
            connack.shared_subscription_available = Some(false);
        });
        let a = lab.open();
        lab.feed(a, &support::connect("a"));
        let connack = "20 | 00 00 [ 24 01 25 00 27 0000001E 28 00 29 00 2A 00 ]";
        lab.expect(a, &[connack]);
        lab.feed(a, packet);
        lab.feed(a, "C0 00");
        println!("{packet}");
        lab.expect(a, &[&format!("E0 01 {reason}"), "close"]);
    }
}

#[test]
fn the_receive_maximum_of_the_broker() {
    let mut lab = Lab::with(|config| {
        config.connack.receive_maximum = std::num::NonZeroU16::new(1);
    });
    let connack = "20 | 00 00 [ 21 0001 ]";
    let a = lab.join(&support::connect("a"), connack);
    // A PUBREC does not give room, a PUBCOMP does; a repetition counts once.
    lab.feed(a, "34 | 0001 'a' 0001 00");
    lab.feed(a, "3C | 0001 'a' 0001 00");
    lab.feed(a, "62 02 0001");
    lab.feed(a, "34 | 0001 'a' 0002 00");
    let answers = ["50 03 0001 10", "50 02 0001", "70 02 0001", "50 03 0002 10"];
    lab.expect(a, &answers);
    lab.feed(a, "32 | 0001 'a' 0003 00");
    lab.expect(a, &["E0 01 93", "close"]);
}
