//! Topic names and filters inside packets.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use codec_support::{
    hex, id, publish, publish_with, refusal, refused, tolerated, with_properties, written,
};
use mqtt5_proto::codec::{BinaryData, DataTypeError, Utf8String, Violation};
use mqtt5_proto::packet::{
    ApplicationMessage, Delivery, NoLocalOnShared, Packet, Subscribe, Subscription, TopicAlias,
};
use mqtt5_proto::{Topic, TopicFilter};

#[test]
fn edge_case_48_a_wildcard_in_a_topic_is_told_and_not_refused() {
    // Edge cases 187 and 188: what a careless broker lets through costs one message only.
    for (topic, alias) in [("2B", ""), ("23", ""), ("2B", "23 00 01")] {
        let bytes = with_properties(0x30, &format!("00 01 {topic}"), alias, "");
        assert!(!publish(&hex(&bytes)).has_valid_topic());
        tolerated(&bytes, 0x82, Violation::WildcardInTopic, 2);
    }
    assert!(publish(&hex(&publish_with(""))).has_valid_topic());
    assert!(publish(&hex("30 06 00 00 03 23 00 01")).has_valid_topic());
}

#[test]
fn edge_case_49_an_empty_topic_needs_an_alias() {
    refused("30 03 00 00 00", 0x82, Violation::TopicMissing, 2);
    refused(
        "32 07 00 00 00 01 02 0B 01",
        0x82,
        Violation::TopicMissing,
        2,
    );
    refused("30 05 00 00 02 01 01", 0x82, Violation::TopicMissing, 2);
    refused(
        "30 06 00 00 03 23 00 00",
        0x94,
        Violation::TopicAliasInvalid,
        6,
    );
    assert_eq!(TopicAlias::new(0), None);
}

#[test]
fn edge_case_50_filters_that_are_none() {
    for filter in ["61 23", "61 2F 23 2F 62", "61 2B", ""] {
        let len = hex(filter).len();
        let body = format!("00 {len:02X} {filter}");
        let subscribe = with_properties(0x82, "00 01", "", &format!("{body} 00"));
        refused(&subscribe, 0x82, Violation::TopicFilterInvalid, 5);
        let unsubscribe = with_properties(0xA2, "00 01", "", &body);
        refused(&unsubscribe, 0x82, Violation::TopicFilterInvalid, 5);
    }
    refused("82 03 00 01 00", 0x82, Violation::NoTopicFilter, 5);
    refused("A2 03 00 01 00", 0x82, Violation::NoTopicFilter, 5);
    // The second of two.
    refused(
        "82 0B 00 01 00 00 01 61 00 00 01 61 40",
        0x81,
        Violation::SubscriptionOptionsReserved,
        12,
    );
}

#[test]
fn edge_case_58_a_shared_subscription_is_told_with_its_full_name() {
    let filters = [TopicFilter::new("$share/g/a").unwrap()];
    let unsubscribe = mqtt5_proto::packet::Unsubscribe::new(id(1), &filters).unwrap();
    let bytes = written(&unsubscribe);
    assert!(bytes.ends_with(b"\0\x0A$share/g/a"));
}

#[test]
fn edge_case_59_no_local_and_shared_subscriptions_exclude_each_other() {
    let bytes = hex("82 10 00 01 00 00 0A 24 73 68 61 72 65 2F 67 2F 61 04");
    let error = refusal(&bytes);
    assert_eq!(
        (error.violation, error.offset),
        (Violation::NoLocalOnShared, 17)
    );
    assert_eq!(error.reason_code(), 0x82);

    let mut subscription = Subscription::new(TopicFilter::new("$share/g/a").unwrap());
    assert_eq!(subscription.set_no_local(true), Err(NoLocalOnShared));
    // Nor by way of another filter.
    let shared = core::mem::replace(&mut subscription.filter, TopicFilter::new("a").unwrap());
    subscription.set_no_local(true).unwrap();
    assert!(subscription.no_local());
    subscription.filter = shared;
    assert!(!subscription.no_local());
    let bytes = written(&Subscribe::new(id(1), &[subscription]).unwrap());
    Packet::parse_strict(&bytes).unwrap();
}

#[test]
fn edge_case_60_what_is_too_long_is_refused_and_never_cut() {
    let longest = "a".repeat(65_535);
    let message = ApplicationMessage::new(Topic::new(&longest).unwrap(), "");
    let bytes = written(&message.to_publish(Delivery::AtMostOnce));
    assert_eq!(bytes.len(), 1 + 3 + 2 + 65_535 + 1);
    assert_eq!(publish(&bytes).topic(), longest);

    let too_long = "a".repeat(65_536);
    let error = DataTypeError::TooLong;
    assert_eq!(Utf8String::new(&too_long), Err(error));
    assert_eq!(Utf8String::try_from(too_long.clone()), Err(error));
    assert_eq!(BinaryData::new(too_long.clone()), Err(error));
    assert!(Topic::new(&too_long).is_err() && TopicFilter::new(&too_long).is_err());
    // Bytes count, not characters.
    assert_eq!(Utf8String::new(&"\u{e9}".repeat(32_768)), Err(error));
}
