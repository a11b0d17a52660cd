//! What an application decides: configuration, messages, requests.

use alloc::format;
use alloc::vec::Vec;
use core::num::NonZeroU16;

use bytes::Bytes;

use super::choices::Choices;
use crate::codec::{BinaryData, MaximumPacketSize, Utf8String};
use crate::packet::{
    ApplicationMessage, Authentication, Disconnect, DisconnectProperties, DisconnectReasonCode,
    PayloadFormatIndicator, Subscription, SubscriptionIdentifier, UserProperty,
};
use crate::session::{SessionConfig, SubscribeRequest, UnsubscribeRequest};
use crate::{QoS, Topic, TopicFilter};

pub(super) const METHOD: &str = "M";

fn text(text: &'static str) -> Utf8String {
    Utf8String::from_static(text).expect("a string of the protocol")
}

fn user_property() -> UserProperty {
    UserProperty::new("k", "v").expect("strings of the protocol")
}

/// Takes three bytes.
pub(super) fn config(choices: &mut Choices<'_>) -> SessionConfig {
    let [a, b, c] = [choices.byte(), choices.byte(), choices.byte()];
    let pick = |byte: u8, at: u8, all: [u32; 4]| all[usize::from(byte >> at & 3)];
    let maximum = u16::try_from(pick(a, 0, [8, 1, 2, 65_535])).unwrap_or(u16::MAX);
    SessionConfig {
        client_id: text(if b & 1 == 0 { "c" } else { "" }),
        keep_alive: if b & 2 == 0 { 0 } else { 20 },
        session_expiry_interval: pick(a, 2, [300, u32::MAX, 300, 0]),
        session_may_exist: b & 4 != 0,
        receive_maximum: NonZeroU16::new(maximum).unwrap_or(NonZeroU16::MIN),
        receive_excess: if b & 8 == 0 { 0 } else { 600 },
        maximum_packet_size: MaximumPacketSize::new(pick(a, 4, [16 << 20, 1000, 100, 100]))
            .unwrap_or_default(),
        topic_alias_maximum: if b & 16 == 0 { 0 } else { 3 },
        request_problem_information: b & 32 == 0,
        request_response_information: b & 64 != 0,
        authentication: (b & 128 != 0).then(|| Authentication {
            method: text(METHOD),
            data: None,
        }),
        outbound_messages: pick(a, 6, [8192, 8192, 4, 1]) as usize,
        outbound_bytes: if c & 1 == 0 { 64 << 20 } else { 3000 },
        queue_qos0: c & 2 != 0,
        ..SessionConfig::default()
    }
}

/// A message with `number` in its topic, so that it can be told from the others.
pub(super) fn message(number: u32, choices: &mut Choices<'_>) -> ApplicationMessage {
    static PAYLOAD: [u8; 70_000] = [b'p'; 70_000];
    let [a, b] = [choices.byte(), choices.byte()];
    let padding = ["", "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"][usize::from(a >> 7)];
    let topic = Topic::new(&format!("t{number}{padding}")).expect("a topic");
    let size = [0, 1, 20, 100, 0, 1, 20, 4096][usize::from(a >> 4 & 7)];
    let size = if a >> 4 == 7 && b == 0xFF {
        70_000
    } else {
        size
    };
    let mut message = ApplicationMessage::new(topic, Bytes::from_static(&PAYLOAD[..size]))
        .with_qos(qos(a))
        .with_retain(a & 8 != 0);
    if b & 1 != 0 {
        message.properties_mut().message_expiry_interval = Some((b >> 4).into());
    }
    if b & 2 != 0 {
        message
            .properties_mut()
            .user_properties
            .push(user_property());
    }
    if b & 4 != 0 {
        let format = Some(PayloadFormatIndicator::Utf8);
        message.properties_mut().payload_format_indicator = format;
        if b & 8 != 0 {
            message.payload = Bytes::from_static(b"\xFF");
        }
    }
    message
}

fn qos(byte: u8) -> QoS {
    QoS::from_raw(byte & 3).unwrap_or(QoS::AtLeastOnce)
}

fn filters(choices: &mut Choices<'_>) -> Vec<TopicFilter> {
    let count = choices.below(4);
    (0..count)
        .map(|_| choices.one_of(&["a", "a/+", "#", "$share/g/a"]))
        .map(|filter| TopicFilter::new(filter).expect("a filter"))
        .collect()
}

pub(super) fn subscribe(choices: &mut Choices<'_>) -> SubscribeRequest {
    let filters = filters(choices).into_iter();
    let flags = choices.byte();
    SubscribeRequest {
        subscriptions: filters.map(Subscription::new).collect(),
        subscription_identifier: (flags & 1 != 0)
            .then_some(SubscriptionIdentifier::new(7))
            .flatten(),
        user_properties: (flags & 2 != 0).then(user_property).into_iter().collect(),
    }
}

pub(super) fn unsubscribe(choices: &mut Choices<'_>) -> UnsubscribeRequest {
    UnsubscribeRequest {
        filters: filters(choices),
        user_properties: Vec::new(),
    }
}

pub(super) fn disconnect(choices: &mut Choices<'_>) -> Disconnect {
    let flags = choices.byte();
    let codes = DisconnectReasonCode::ALL;
    let mut disconnect = Disconnect::new(codes[usize::from(flags >> 3) % codes.len()]);
    if flags & 1 != 0 {
        disconnect.properties = Some(DisconnectProperties::default().into());
    }
    if let Some(properties) = &mut disconnect.properties {
        properties.session_expiry_interval = Some(u32::from(flags & 2) * 100);
        properties.reason_string = (flags & 4 != 0).then(|| text("why"));
    }
    disconnect
}

pub(super) fn authentication_data(choices: &mut Choices<'_>) -> Option<BinaryData> {
    let size = choices.below(5).checked_sub(1)?;
    BinaryData::new(Bytes::copy_from_slice(choices.bytes(size))).ok()
}
