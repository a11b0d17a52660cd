//! The runner tells right from wrong: a client that says what a test has it say, and cases that it
//! passes and fails.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "support of tests is no test to clippy"
)]

use std::collections::VecDeque;
use std::time::Duration;

use mqtt5_conformance::{
    Answer, Arguments, Broken, Case, Client, Heard, Instruction, Outcome, Pace, Tells, Told, run,
};

/// Sends its pieces, each at its time, whatever it gets.
#[derive(Default)]
struct Parrot {
    now: Duration,
    wire: VecDeque<(u64, Heard)>,
    told: VecDeque<Told>,
    tells: Tells,
    got: Vec<u8>,
}

impl Parrot {
    /// Opens a connection and sends `packets`, hexadecimal, after a CONNECT.
    fn saying(packets: &[&str]) -> Self {
        let mut parrot = Self::default();
        parrot.wire.push_back((0, Heard::Opened));
        parrot.say(0, "10 0E 0004 4D515454 05 02 0000 00 0001 63");
        for packet in packets {
            parrot.say(0, packet);
        }
        parrot
    }

    fn say(&mut self, at: u64, packet: &str) {
        let digits = packet.replace(' ', "");
        let bytes = mqtt5_conformance::bytes(&format!("hex:{digits}")).expect("digits");
        self.wire.push_back((at, Heard::Bytes(bytes)));
    }
}

impl Client for Parrot {
    fn tells(&self) -> Tells {
        self.tells
    }

    fn pace(&self) -> Pace {
        Pace::default()
    }

    fn instruct(&mut self, _: &Instruction) -> Result<Answer, Broken> {
        Ok(Answer::Done)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        self.got.extend_from_slice(bytes);
        Ok(())
    }

    fn listen(&mut self, deadline: Duration) -> Result<Heard, Broken> {
        let due = self.wire.front().map(|(at, _)| Duration::from_secs(*at));
        if due.is_some_and(|due| due <= deadline) {
            self.now = self.now.max(due.unwrap_or_default());
            return Ok(self.wire.pop_front().expect("there is a front").1);
        }
        self.now = self.now.max(deadline);
        Ok(Heard::Nothing)
    }

    fn told(&mut self, _: Duration) -> Result<Option<Told>, Broken> {
        Ok(self.told.pop_front())
    }

    fn cut(&mut self) {
        self.wire.clear();
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn now(&self) -> Duration {
        self.now
    }
}

fn case(steps: &str) -> Case {
    let text = format!("proves: 1.2.3-4\ndo connect\nexpect CONNECT *\n{steps}");
    Case::parse("test", &text).expect("a case")
}

#[track_caller]
fn passes(steps: &str, mut client: Parrot) {
    let outcome = run(&case(steps), &mut client);
    assert_eq!(outcome, Outcome::Passed { not_observable: 0 });
}

/// Fails in this line of the steps, counted from 1, for a reason that holds these words.
#[track_caller]
fn fails(steps: &str, mut client: Parrot, wanted: usize, words: &str) {
    match run(&case(steps), &mut client) {
        Outcome::Failed { line, why, .. } => {
            assert_eq!(line, wanted + 3, "{why}");
            assert!(why.contains(words), "{why}");
        }
        other => panic!("{other:?} and not a failure"),
    }
}

#[test]
fn bytes_are_compared() {
    passes("expect PUBACK 000A", Parrot::saying(&["40 02 000A"]));
    fails(
        "expect PUBACK 000B",
        Parrot::saying(&["40 02 000A"]),
        1,
        "byte 3",
    );
    fails(
        "expect PUBACK 000A",
        Parrot::saying(&["40 03 000A 87"]),
        1,
        "too many",
    );
    fails("expect PUBACK 000A", Parrot::saying(&[]), 1, "nothing came");
    fails(
        "expect nothing",
        Parrot::saying(&["40 02 000A"]),
        1,
        "40 02 00 0A",
    );
    fails("wait 1s", Parrot::saying(&["40 02 000A"]), 1, "after it");
}

#[test]
fn order_counts_but_within_a_line() {
    let both = || Parrot::saying(&["40 02 0001", "50 02 0002"]);
    passes("expect PUBACK 0001\nexpect PUBREC 0002", both());
    passes("expect PUBREC 0002 & PUBACK 0001", both());
    fails(
        "expect PUBREC 0002\nexpect PUBACK 0001",
        both(),
        1,
        "40 02 00 01",
    );
}

#[test]
fn short_and_long_forms_are_one() {
    for form in [
        "40 02 000A",
        "40 03 000A 00",
        "40 04 000A 00 00",
        "40 08 000A 00 04 1F 0001 61",
    ] {
        passes("expect PUBACK 000A <reason 00>", Parrot::saying(&[form]));
        fails(
            "expect PUBACK 000A <reason 87>",
            Parrot::saying(&[form]),
            1,
            "reason code",
        );
    }
}

#[test]
fn identifiers_are_captured() {
    let published = || Parrot::saying(&["32 06 0001 74 0007 00", "62 02 0007", "62 02 0008"]);
    let steps = "expect 32 <length> 't' <id a> {}\nexpect PUBREL <id a>\n";
    passes(&format!("{steps}expect PUBREL <id b not a>"), published());
    fails(
        &format!("{steps}expect PUBREL <id a>"),
        published(),
        3,
        "Packet Identifier",
    );
    let twice = || Parrot::saying(&["62 02 0007", "62 02 0007"]);
    fails(
        "expect PUBREL <id a>\nexpect PUBREL <id b not a>",
        twice(),
        2,
        "in use",
    );

    let mut client = Parrot::saying(&["62 02 1234"]);
    let outcome = run(
        &case("expect PUBREL <id a>\nsend PUBCOMP <id a> 92 {26 'k' ''}"),
        &mut client,
    );
    assert_eq!(outcome, Outcome::Passed { not_observable: 0 });
    assert_eq!(client.got, b"\x70\x0A\x12\x34\x92\x06\x26\x00\x01k\x00\x00");
}

#[test]
fn properties_are_looked_into() {
    let client = || Parrot::saying(&["30 0D 0001 74 09 02 0000003C 03 0001 61"]);
    passes(
        "expect 30 <length> 't' <properties 02=0000003C 03 !01 ?01=01 ?03=000161>",
        client(),
    );
    for (condition, words) in [
        ("02=0000003D", "another value"),
        ("01", "missing"),
        ("!03", "is there"),
        ("?03=000162", "another value"),
    ] {
        let steps = format!("expect 30 <length> 't' <properties {condition}>");
        fails(&steps, client(), 1, words);
    }
}

#[test]
fn every_packet_is_checked() {
    for (packet, words) in [
        ("40 02 0000", "Packet Identifier 0"),
        ("C0 80 00", "longer than it need be"),
        ("60 02 000A", "no client sends"),
        ("36 06 0001 74 0001 00", "no client sends"),
        ("38 04 0001 74 00", "no client sends"),
        ("30 04 0001 2B 00", "no topic name"),
        ("30 05 0002 6100 00", "U+0000"),
        ("30 05 0002 C080 00", "utf-8"),
        ("30 06 0001 74 02 0B 05", "property 0B is not for"),
        ("30 08 0001 74 04 01 00 01 00", "twice"),
        ("30 07 0001 74 03 23 0000", "not allowed"),
        ("30 06 0001 74 05 01 00", "left"),
        ("82 07 0001 00 0001 61 03", "Subscription Options"),
        ("82 08 0001 00 0002 6123 00", "no topic filter"),
        ("82 03 0001 00", "bytes wanted"),
        ("C0 01 00", "too many"),
        ("E0 01 8E", "not for a client"),
        ("F0 02 18 00", "without Authentication Method"),
        (
            "10 0E 0004 4D515454 05 02 0000 00 0001 63",
            "begins with one CONNECT",
        ),
        ("20 03 00 00 00", "no client sends"),
    ] {
        fails("expect 31 *", Parrot::saying(&[packet]), 1, words);
    }
}

#[test]
fn limits_of_the_connack_are_kept() {
    for (limits, packet, words) in [
        ("27 00000005", "30 05 0001 74 00 31", "the server takes 5"),
        ("24 00", "32 06 0001 74 0001 00", "QoS 0"),
        ("25 00", "31 04 0001 74 00", "retained"),
        ("", "30 07 0001 74 03 23 0001", "Topic Aliases"),
        ("22 0001", "30 07 0001 74 03 23 0002", "Topic Aliases"),
        ("28 00", "82 07 0001 00 0001 23 00", "wildcards"),
        (
            "29 00",
            "82 09 0001 02 0B 01 0001 61 00",
            "Subscription Identifiers",
        ),
        (
            "2A 00",
            "82 10 0001 00 000A 2473686172652F672F61 00",
            "shared",
        ),
    ] {
        let steps = format!("send CONNACK 00 00 {{{limits}}}\nexpect 3E *");
        fails(&steps, Parrot::saying(&[packet]), 2, words);
    }
}

#[test]
fn time_counts() {
    let at = |seconds| {
        let mut client = Parrot::saying(&[]);
        client.say(seconds, "C0 00");
        client
    };
    passes("expect PINGREQ within 5s", at(5));
    fails("expect PINGREQ within 5s", at(6), 1, "nothing came");
    fails("expect nothing for 5s\nexpect PINGREQ", at(5), 1, "C0 00");
    passes("expect nothing for 5s\nexpect PINGREQ within 1s", at(6));
}

#[test]
fn pings_are_passed_over_unless_they_matter() {
    let mut client = Parrot::saying(&["C0 00"]);
    let outcome = run(&case("send CONNACK 00 00 {}\nexpect nothing"), &mut client);
    assert_eq!(outcome, Outcome::Passed { not_observable: 0 });
    assert_eq!(client.got[5..], [0xD0, 0x00]);
    // Before the CONNACK there is nothing to be kept alive.
    fails("expect nothing", Parrot::saying(&["C0 00"]), 1, "C0 00");
}

#[test]
fn closing_counts() {
    let closing = || {
        let mut client = Parrot::saying(&[]);
        client.wire.push_back((0, Heard::Closed));
        client
    };
    passes("expect closed", closing());
    passes("may close", closing());
    fails("expect nothing", closing(), 1, "closed");
    fails("wait 1s", closing(), 1, "closed");
    fails("expect closed", Parrot::saying(&[]), 1, "stays open");
    fails(
        "expect closed",
        Parrot::saying(&["40 02 000A"]),
        1,
        "40 02 00 0A",
    );
}

#[test]
fn what_may_come_may_be_missing() {
    let steps = "may PUBACK 000A\nmay PUBACK 000B\nexpect PUBREL 0001";
    passes(steps, Parrot::saying(&["62 02 0001"]));
    passes(steps, Parrot::saying(&["40 02 000B", "62 02 0001"]));
    passes(
        steps,
        Parrot::saying(&["40 02 000A", "40 02 000B", "62 02 0001"]),
    );
    fails(
        steps,
        Parrot::saying(&["40 02 000B", "40 02 000A", "62 02 0001"]),
        3,
        "40",
    );
    fails(
        steps,
        Parrot::saying(&["62 02 0001", "40 02 000A"]),
        3,
        "after it",
    );
}

#[test]
fn what_is_told_is_compared_if_it_is_told() {
    let told = || {
        let mut client = Parrot::saying(&[]);
        client.tells = Tells {
            deliveries: true,
            verdicts: true,
        };
        let message = Arguments::parse("topic=t payload=hex:6869").expect("arguments");
        client.told.push_back(Told::Delivered(message));
        let (name, words) = ("connection".to_owned(), "closed for good".to_owned());
        client.told.push_back(Told::Verdict { name, words });
        client
    };
    passes(
        "delivered payload=hi response_topic=-\nverdict connection closed",
        told(),
    );
    fails("delivered payload=ho", told(), 1, "payload=hex:6869");
    fails("delivered payload=hi qos=1", told(), 1, "delivered was");
    fails("delivered nothing", told(), 1, "delivered was");
    fails("verdict connection refused", told(), 1, "closed for good");

    let mut silent = Parrot::saying(&[]);
    let outcome = run(
        &case("delivered payload=hi\nverdict connection closed"),
        &mut silent,
    );
    assert_eq!(outcome, Outcome::Passed { not_observable: 2 });
}

#[test]
fn mistakes_in_cases_are_told_with_their_line() {
    for (text, line, words) in [
        ("do connect", 0, "proves"),
        ("proves: 1.2.3-4", 0, "no steps"),
        ("proves: 1.2.3", 1, "no statement"),
        ("proves: edge x", 1, "no statement"),
        ("proves: 1.2.3-4\n\ndo dance", 3, "dance"),
        ("proves: 1.2.3-4\ndo publish topic=t", 2, "name is missing"),
        ("proves: 1.2.3-4\ndo publish p1 colour=red", 2, "colour"),
        ("proves: 1.2.3-4\ndo publish p1 topic=hex:0", 2, "hex:0"),
        ("proves: 1.2.3-4\nsend PUBACK 0", 2, "half a byte"),
        ("proves: 1.2.3-4\nsend PUBACK 00XY", 2, "hexadecimal"),
        ("proves: 1.2.3-4\nsend PUBACK *", 2, "definite"),
        ("proves: 1.2.3-4\nsend PUBACK <id p>", 2, "not come yet"),
        ("proves: 1.2.3-4\nexpect 30 <length", 2, "> is missing"),
        ("proves: 1.2.3-4\nexpect 30 {00", 2, "} is missing"),
        ("proves: 1.2.3-4\nexpect PUBACK within soon", 2, "no time"),
        ("proves: 1.2.3-4\nverdict p1 sent", 2, "no operation"),
        ("proves: 1.2.3-4\nstrength: maybe", 2, "no strength"),
    ] {
        let (found, problem) = Case::parse("test", text).expect_err(text);
        assert_eq!(found, line, "{text:?}: {problem}");
        assert!(problem.contains(words), "{text:?}: {problem}");
    }
}
