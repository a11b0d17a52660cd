//! Whatever can be built can be written, is read back as the same, and is written as the same
//! bytes again; however a stream of it is cut into pieces.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

mod codec_support;

use std::num::NonZeroU16;

use bytes::BytesMut;
use codec_support::written;
use mqtt5_proto::codec::{
    BinaryData, DecodeError, Decoder, Encode, Frame, MaximumPacketSize, Utf8String,
};
use mqtt5_proto::packet::{
    AckProperties, Auth, AuthProperties, AuthReasonCode, Authentication, Connack,
    ConnackProperties, ConnackReasonCode, Connect, ConnectProperties, Delivery, Disconnect,
    DisconnectProperties, DisconnectReasonCode, MessageProperties, Packet, PayloadFormatIndicator,
    Pingreq, Pingresp, Puback, Pubcomp, Publish, PublishReasonCode, PublishTopic, Pubrec, Pubrel,
    Received, ReceivedPublish, ReleaseReasonCode, RetainHandling, Suback, SubackReasonCode,
    Subscribe, Subscription, SubscriptionIdentifier, TopicAlias, Unsuback, UnsubackReasonCode,
    Unsubscribe, UserProperty, Will,
};
use mqtt5_proto::{PacketId, QoS, Topic, TopicFilter};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

// --- What packets are made of -----------------------------------------------

fn string() -> impl Strategy<Value = Utf8String> {
    prop_oneof![
        4 => "[a-z]{0,10}",
        2 => "[^\0]{0,12}",
        // Around the size that is kept in place.
        1 => "[a-z]{36,41}",
    ]
    .prop_map(|text| Utf8String::new(&text).unwrap())
}

fn binary() -> impl Strategy<Value = BinaryData> {
    vec(any::<u8>(), 0..20).prop_map(|bytes| BinaryData::new(bytes).unwrap())
}

fn topic() -> impl Strategy<Value = Topic> {
    prop_oneof!["[a-z/$]{1,12}", "[^\0+#]{1,12}", "[a-z/]{36,41}"]
        .prop_map(|name| Topic::new(&name).unwrap())
}

fn filter() -> impl Strategy<Value = TopicFilter> {
    (
        of("\\$share/[a-z]{1,4}/"),
        vec(prop_oneof!["[a-z$]{0,4}", Just("+".to_owned())], 1..5),
        any::<bool>(),
    )
        .prop_map(|(share, mut levels, open)| {
            if open || levels == [""] {
                levels.push("#".to_owned());
            }
            let filter = share.unwrap_or_default() + &levels.join("/");
            TopicFilter::new(&filter).unwrap()
        })
}

fn packet_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|id| PacketId::new(id).unwrap())
}

fn qos() -> impl Strategy<Value = QoS> {
    select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn user_properties() -> impl Strategy<Value = Vec<UserProperty>> {
    let pair = (string(), string()).prop_map(|(name, value)| UserProperty { name, value });
    prop_oneof![3 => Just(vec![]), 1 => vec(pair, 0..4)]
}

fn receive_maximum() -> impl Strategy<Value = Option<NonZeroU16>> {
    any::<u16>().prop_map(NonZeroU16::new)
}

fn packet_size_limit() -> impl Strategy<Value = Option<MaximumPacketSize>> {
    any::<u32>().prop_map(MaximumPacketSize::new)
}

fn subscription_identifier() -> impl Strategy<Value = SubscriptionIdentifier> {
    prop_oneof![1..200_u32, 1..=268_435_455_u32]
        .prop_map(|id| SubscriptionIdentifier::new(id).unwrap())
}

fn authentication() -> impl Strategy<Value = Authentication> {
    (string(), of(binary())).prop_map(|(method, data)| Authentication { method, data })
}

fn message_properties() -> impl Strategy<Value = MessageProperties> {
    use PayloadFormatIndicator::{Unspecified, Utf8};
    (
        of(select(vec![Unspecified, Utf8])),
        of(any::<u32>()),
        of(string()),
        of(topic()),
        of(binary()),
        user_properties(),
    )
        .prop_map(
            |(format, expiry, content_type, response_topic, correlation_data, user_properties)| {
                MessageProperties {
                    payload_format_indicator: format,
                    message_expiry_interval: expiry,
                    content_type,
                    response_topic,
                    correlation_data,
                    user_properties,
                }
            },
        )
}

// --- Packets ----------------------------------------------------------------

/// The parts of a packet, owned.
#[derive(Clone, Debug)]
enum Parts {
    Connect(Box<Connect>),
    Connack(Box<Connack>),
    Publish(PublishParts),
    Puback(Puback),
    Pubrec(Pubrec),
    Pubrel(Pubrel),
    Pubcomp(Pubcomp),
    Subscribe(
        PacketId,
        Vec<Subscription>,
        Option<SubscriptionIdentifier>,
        Vec<UserProperty>,
    ),
    Suback(PacketId, Vec<SubackReasonCode>, Option<AckProperties>),
    Unsubscribe(PacketId, Vec<TopicFilter>, Vec<UserProperty>),
    Unsuback(PacketId, Vec<UnsubackReasonCode>, Option<AckProperties>),
    Pingreq,
    Pingresp,
    Disconnect(Disconnect),
    Auth(Auth),
}

#[derive(Clone, Debug)]
struct PublishParts {
    delivery: Delivery,
    retain: bool,
    topic: Option<Topic>,
    alias: TopicAlias,
    with_alias: bool,
    properties: Option<MessageProperties>,
    subscription_identifiers: Vec<SubscriptionIdentifier>,
    payload: Vec<u8>,
}

impl PublishParts {
    fn packet(&self) -> Publish<'_> {
        Publish {
            delivery: self.delivery,
            retain: self.retain,
            topic: match &self.topic {
                None => PublishTopic::Alias(self.alias),
                Some(topic) if self.with_alias => PublishTopic::NameAndAlias(topic, self.alias),
                Some(topic) => PublishTopic::Name(topic),
            },
            properties: self.properties.as_ref(),
            subscription_identifiers: &self.subscription_identifiers,
            payload: &self.payload,
        }
    }
}

fn connect() -> impl Strategy<Value = Connect> {
    let will = (
        topic(),
        binary(),
        qos(),
        any::<bool>(),
        prop_oneof![Just(0), any::<u32>()],
        message_properties(),
    )
        .prop_map(
            |(topic, payload, qos, retain, delay_interval, properties)| {
                Box::new(Will {
                    topic,
                    payload,
                    qos,
                    retain,
                    delay_interval,
                    properties,
                })
            },
        );
    let properties = (
        of(any::<u32>()),
        of(any::<bool>()),
        of(any::<bool>()),
        receive_maximum(),
        of(any::<u16>()),
        user_properties(),
        packet_size_limit(),
    )
        .prop_map(
            |(expiry, problem, response, receive, aliases, user, size)| ConnectProperties {
                session_expiry_interval: expiry,
                request_problem_information: problem,
                request_response_information: response,
                receive_maximum: receive,
                topic_alias_maximum: aliases,
                user_properties: user,
                maximum_packet_size: size,
            },
        );
    (
        any::<bool>(),
        any::<u16>(),
        string(),
        of(will),
        of(string()),
        of(binary()),
        of(authentication()),
        properties,
    )
        .prop_map(
            |(clean_start, keep_alive, client_id, will, user_name, password, authentication, p)| {
                Connect {
                    clean_start,
                    keep_alive,
                    client_id,
                    will,
                    user_name,
                    password,
                    authentication,
                    properties: p,
                }
            },
        )
}

fn connack() -> impl Strategy<Value = Connack> {
    let numbers = (
        of(any::<u32>()),
        of(any::<u16>()),
        receive_maximum(),
        of(any::<u16>()),
        of(select(vec![QoS::AtMostOnce, QoS::AtLeastOnce])),
        packet_size_limit(),
    );
    let strings = (
        of(string()),
        of(authentication()),
        of(string()),
        of(string()),
        of(string()),
        user_properties(),
    );
    let flags = (
        of(any::<bool>()),
        of(any::<bool>()),
        of(any::<bool>()),
        of(any::<bool>()),
    );
    let code = select(ConnackReasonCode::ALL);
    (any::<bool>(), code, numbers, strings, flags).prop_map(
        |(session_present, reason_code, numbers, strings, flags)| {
            let authentication = strings.1;
            Connack {
                session_present: session_present && !reason_code.is_error(),
                reason_code,
                properties: ConnackProperties {
                    session_expiry_interval: numbers.0,
                    assigned_client_identifier: strings.0,
                    server_keep_alive: numbers.1,
                    authentication_method: authentication.as_ref().map(|a| a.method.clone()),
                    authentication_data: authentication.and_then(|a| a.data),
                    response_information: strings.2,
                    server_reference: strings.3,
                    reason_string: strings.4,
                    receive_maximum: numbers.2,
                    topic_alias_maximum: numbers.3,
                    maximum_qos: numbers.4,
                    retain_available: flags.0,
                    user_properties: strings.5,
                    maximum_packet_size: numbers.5,
                    wildcard_subscription_available: flags.1,
                    subscription_identifier_available: flags.2,
                    shared_subscription_available: flags.3,
                },
            }
        },
    )
}

fn publish() -> impl Strategy<Value = PublishParts> {
    let delivery =
        (0..3_u8, packet_id(), any::<bool>()).prop_map(|(qos, packet_id, dup)| match qos {
            0 => Delivery::AtMostOnce,
            1 => Delivery::AtLeastOnce { packet_id, dup },
            _ => Delivery::ExactlyOnce { packet_id, dup },
        });
    let alias = (1..=u16::MAX).prop_map(|alias| TopicAlias::new(alias).unwrap());
    (
        delivery,
        any::<bool>(),
        of(topic()),
        alias,
        any::<bool>(),
        of(message_properties()),
        vec(subscription_identifier(), 0..3),
        prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 100..300)],
    )
        .prop_map(
            |(delivery, retain, topic, alias, with_alias, properties, ids, payload)| PublishParts {
                delivery,
                retain,
                topic,
                alias,
                with_alias,
                properties,
                subscription_identifiers: ids,
                payload,
            },
        )
}

fn ack_properties() -> impl Strategy<Value = Option<AckProperties>> {
    let properties = (of(string()), user_properties()).prop_map(|(reason, user)| AckProperties {
        reason_string: reason,
        user_properties: user,
    });
    of(properties)
}

macro_rules! ack {
    ($Name:ident, $Reason:ident) => {
        (packet_id(), select($Reason::ALL), ack_properties()).prop_map(
            |(packet_id, reason_code, properties)| {
                Parts::$Name($Name {
                    packet_id,
                    reason_code,
                    properties: properties.map(Box::new),
                })
            },
        )
    };
}

fn subscription() -> impl Strategy<Value = Subscription> {
    use RetainHandling::{DoNotSend, SendAtSubscribe, SendIfNew};
    let handling = select(vec![SendAtSubscribe, SendIfNew, DoNotSend]);
    (filter(), qos(), any::<bool>(), any::<bool>(), handling).prop_map(
        |(filter, qos, no_local, as_published, handling)| {
            let mut subscription = Subscription::new(filter);
            subscription.maximum_qos = qos;
            let shared = subscription.filter.share_name().is_some();
            assert_eq!(
                subscription.set_no_local(no_local).is_err(),
                no_local && shared
            );
            subscription.retain_as_published = as_published;
            subscription.retain_handling = handling;
            subscription
        },
    )
}

fn disconnect() -> impl Strategy<Value = Disconnect> {
    let properties = (
        of(any::<u32>()),
        of(string()),
        of(string()),
        user_properties(),
    )
        .prop_map(|(expiry, reference, reason, user)| {
            Box::new(DisconnectProperties {
                session_expiry_interval: expiry,
                server_reference: reference,
                reason_string: reason,
                user_properties: user,
            })
        });
    (select(DisconnectReasonCode::ALL), of(properties)).prop_map(|(reason_code, properties)| {
        Disconnect {
            reason_code,
            properties,
        }
    })
}

fn auth() -> impl Strategy<Value = Auth> {
    let properties = (of(string()), user_properties()).prop_map(|(reason, user)| AuthProperties {
        reason_string: reason,
        user_properties: user,
    });
    (select(AuthReasonCode::ALL), authentication(), properties).prop_map(
        |(reason_code, authentication, properties)| Auth {
            reason_code,
            authentication,
            properties,
        },
    )
}

fn parts() -> impl Strategy<Value = Parts> {
    let answers = prop_oneof![
        ack!(Puback, PublishReasonCode),
        ack!(Pubrec, PublishReasonCode),
        ack!(Pubrel, ReleaseReasonCode),
        ack!(Pubcomp, ReleaseReasonCode),
    ];
    let subscribe = (
        packet_id(),
        vec(subscription(), 1..4),
        of(subscription_identifier()),
        user_properties(),
    )
        .prop_map(|(id, filters, identifier, user)| {
            Parts::Subscribe(id, filters, identifier, user)
        });
    let suback = (
        packet_id(),
        vec(select(SubackReasonCode::ALL), 1..5),
        ack_properties(),
    )
        .prop_map(|(id, codes, properties)| Parts::Suback(id, codes, properties));
    let unsubscribe = (packet_id(), vec(filter(), 1..4), user_properties())
        .prop_map(|(id, filters, user)| Parts::Unsubscribe(id, filters, user));
    let unsuback = (
        packet_id(),
        vec(select(UnsubackReasonCode::ALL), 1..5),
        ack_properties(),
    )
        .prop_map(|(id, codes, properties)| Parts::Unsuback(id, codes, properties));
    prop_oneof![
        4 => answers,
        4 => publish().prop_map(Parts::Publish),
        4 => prop_oneof![subscribe, suback, unsubscribe, unsuback],
        1 => connect().prop_map(|connect| Parts::Connect(Box::new(connect))),
        1 => connack().prop_map(|connack| Parts::Connack(Box::new(connack))),
        1 => prop_oneof![Just(Parts::Pingreq), Just(Parts::Pingresp)],
        1 => disconnect().prop_map(Parts::Disconnect),
        1 => auth().prop_map(Parts::Auth),
    ]
}

impl Parts {
    fn written(&self) -> Vec<u8> {
        match self {
            Self::Connect(packet) => written(&**packet),
            Self::Connack(packet) => written(&**packet),
            Self::Publish(parts) => written(&parts.packet()),
            Self::Puback(packet) => written(packet),
            Self::Pubrec(packet) => written(packet),
            Self::Pubrel(packet) => written(packet),
            Self::Pubcomp(packet) => written(packet),
            Self::Subscribe(id, subscriptions, identifier, user) => {
                let mut packet = Subscribe::new(*id, subscriptions).unwrap();
                packet.subscription_identifier = *identifier;
                packet.user_properties = user;
                written(&packet)
            }
            Self::Suback(packet_id, codes, properties) => written(&Suback {
                packet_id: *packet_id,
                reason_codes: codes,
                properties: properties.as_ref(),
            }),
            Self::Unsubscribe(id, filters, user) => {
                let mut packet = Unsubscribe::new(*id, filters).unwrap();
                packet.user_properties = user;
                written(&packet)
            }
            Self::Unsuback(packet_id, codes, properties) => written(&Unsuback {
                packet_id: *packet_id,
                reason_codes: codes,
                properties: properties.as_ref(),
            }),
            Self::Pingreq => written(&Pingreq),
            Self::Pingresp => written(&Pingresp),
            Self::Disconnect(packet) => written(packet),
            Self::Auth(packet) => written(packet),
        }
    }

    /// Whether `view` says what these parts say, value by value.
    fn assert_same(&self, view: &Packet<'_>) {
        match (self, view) {
            (Self::Connect(parts), Packet::Connect(view)) => assert_connect(parts, view),
            (Self::Connack(parts), Packet::Connack(view)) => {
                assert_eq!(view.session_present(), parts.session_present);
                assert_eq!(view.reason_code(), parts.reason_code);
                assert_eq!(view.properties().to_owned(), parts.properties);
            }
            (Self::Publish(parts), Packet::Publish(view)) => {
                assert_eq!(view.delivery(), parts.delivery);
                assert_eq!(view.retain(), parts.retain);
                assert!(view.has_valid_topic());
                assert_eq!(view.topic(), parts.topic.as_ref().map_or("", Topic::as_str));
                assert_eq!(view.payload(), parts.payload);
                let properties = view.properties();
                assert_eq!(
                    properties.to_message_properties(),
                    parts.properties.clone().unwrap_or_default()
                );
                let alias = parts.with_alias || parts.topic.is_none();
                assert_eq!(properties.topic_alias(), alias.then_some(parts.alias));
                let identifiers = properties.subscription_identifiers();
                assert!(identifiers.eq(parts.subscription_identifiers.iter().copied()));
            }
            (Self::Puback(parts), Packet::Puback(view)) => {
                assert_eq!(view.packet_id(), parts.packet_id);
                assert_eq!(view.reason_code(), parts.reason_code);
                let properties = parts.properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), *properties);
            }
            (Self::Pubrec(parts), Packet::Pubrec(view)) => {
                assert_eq!(view.packet_id(), parts.packet_id);
                assert_eq!(view.reason_code(), parts.reason_code);
                let properties = parts.properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), *properties);
            }
            (Self::Pubrel(parts), Packet::Pubrel(view)) => {
                assert_eq!(view.packet_id(), parts.packet_id);
                assert_eq!(view.reason_code(), parts.reason_code);
                let properties = parts.properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), *properties);
            }
            (Self::Pubcomp(parts), Packet::Pubcomp(view)) => {
                assert_eq!(view.packet_id(), parts.packet_id);
                assert_eq!(view.reason_code(), parts.reason_code);
                let properties = parts.properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), *properties);
            }
            (Self::Subscribe(id, parts, identifier, user), Packet::Subscribe(view)) => {
                assert_eq!(view.packet_id(), *id);
                assert_eq!(view.properties().subscription_identifier(), *identifier);
                assert_pairs(view.properties().user_properties(), user);
                assert_eq!(view.subscriptions().count(), parts.len());
                for (view, parts) in view.subscriptions().zip(parts) {
                    assert_eq!(view.filter(), parts.filter.as_str());
                    assert_eq!(view.maximum_qos(), parts.maximum_qos);
                    assert_eq!(view.no_local(), parts.no_local());
                    assert_eq!(view.retain_as_published(), parts.retain_as_published);
                    assert_eq!(view.retain_handling(), parts.retain_handling);
                }
            }
            (Self::Suback(id, codes, properties), Packet::Suback(view)) => {
                assert_eq!(view.packet_id(), *id);
                let received: Vec<_> = view.reason_codes().filter_map(Received::tabled).collect();
                assert_eq!(received, *codes);
                let properties = properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), properties);
            }
            (Self::Unsubscribe(id, filters, user), Packet::Unsubscribe(view)) => {
                assert_eq!(view.packet_id(), *id);
                assert!(view.filters().eq(filters.iter().map(TopicFilter::as_str)));
                assert_pairs(view.properties().user_properties(), user);
            }
            (Self::Unsuback(id, codes, properties), Packet::Unsuback(view)) => {
                assert_eq!(view.packet_id(), *id);
                let received: Vec<_> = view.reason_codes().filter_map(Received::tabled).collect();
                assert_eq!(received, *codes);
                let properties = properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), properties);
            }
            (Self::Pingreq, Packet::Pingreq(_)) | (Self::Pingresp, Packet::Pingresp(_)) => {}
            (Self::Disconnect(parts), Packet::Disconnect(view)) => {
                assert_eq!(view.reason_code(), parts.reason_code);
                let properties = parts.properties.clone().unwrap_or_default();
                assert_eq!(view.properties().to_owned(), *properties);
            }
            (Self::Auth(parts), Packet::Auth(view)) => {
                assert_eq!(view.reason_code(), parts.reason_code);
                assert_eq!(view.method(), Some(parts.authentication.method.as_str()));
                let data = parts.authentication.data.as_ref();
                assert_eq!(view.data(), data.map(AsRef::as_ref));
                let reason = parts.properties.reason_string.as_ref();
                let properties = view.properties();
                assert_eq!(properties.reason_string(), reason.map(Utf8String::as_str));
                assert_pairs(
                    properties.user_properties(),
                    &parts.properties.user_properties,
                );
            }
            (parts, view) => panic!("{parts:?} became {view:?}"),
        }
    }
}

fn assert_pairs<'a>(view: impl Iterator<Item = (&'a str, &'a str)>, parts: &'a [UserProperty]) {
    let parts = parts.iter().map(|p| (p.name.as_str(), p.value.as_str()));
    assert!(view.eq(parts));
}

fn assert_connect(parts: &Connect, view: &mqtt5_proto::packet::ConnectView<'_>) {
    assert_eq!(view.clean_start(), parts.clean_start);
    assert_eq!(view.keep_alive(), parts.keep_alive);
    assert_eq!(view.client_id(), parts.client_id.as_str());
    let will = view.will().map(|will| will.to_will().unwrap());
    assert_eq!(will, parts.will.as_deref().cloned());
    assert_eq!(
        view.user_name(),
        parts.user_name.as_ref().map(Utf8String::as_str)
    );
    assert_eq!(view.password(), parts.password.as_ref().map(AsRef::as_ref));
    assert_eq!(view.authentication(), parts.authentication);
    let (view, parts) = (view.properties(), &parts.properties);
    assert_eq!(
        view.session_expiry_interval(),
        parts.session_expiry_interval
    );
    assert_eq!(
        view.request_problem_information(),
        parts.request_problem_information
    );
    assert_eq!(
        view.request_response_information(),
        parts.request_response_information
    );
    assert_eq!(view.receive_maximum(), parts.receive_maximum);
    assert_eq!(view.topic_alias_maximum(), parts.topic_alias_maximum);
    assert_pairs(view.user_properties(), &parts.user_properties);
    assert_eq!(view.maximum_packet_size(), parts.maximum_packet_size);
}

/// The packets of a stream, then how it ended: with so many bytes left over, or with an error.
fn frames(pieces: &[&[u8]]) -> (Vec<Frame>, Result<usize, DecodeError>) {
    let mut decoder = Decoder::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.next_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(buffer.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_the_same(parts in parts()) {
        let bytes = parts.written();
        let view = Packet::parse_strict(&bytes).unwrap();
        parts.assert_same(&view);
        prop_assert_eq!(written(&view), &bytes[..]);
        let mut head = BytesMut::new();
        prop_assert_eq!(view.encode_without_payload(&mut head), Ok(bytes.len()));
        prop_assert!(bytes.starts_with(&head));

        let received = ReceivedPublish::new(Frame::copy_from(&bytes));
        let Packet::Publish(view) = view else {
            prop_assert!(received.is_err());
            return Ok(());
        };
        let received = received.unwrap();
        prop_assert_eq!(&bytes[head.len()..], view.payload());
        prop_assert_eq!(received.topic(), view.topic());
        prop_assert_eq!(received.delivery(), view.delivery());
        prop_assert_eq!(received.retain(), view.retain());
        prop_assert_eq!(received.properties(), view.properties());
        prop_assert_eq!(
            received.properties().to_message_properties(),
            view.properties().to_message_properties()
        );
        prop_assert_eq!(received.properties().topic_alias(), view.properties().topic_alias());
        prop_assert_eq!(received.payload(), view.payload());
        prop_assert_eq!(received.payload_bytes(), view.payload());
        prop_assert_eq!(received.packet_size(), bytes.len());
    }

    #[test]
    fn a_packet_that_is_cut_is_refused_and_one_that_goes_on_too(parts in parts(), at in any::<prop::sample::Index>()) {
        let mut bytes = parts.written();
        let cut = &bytes[..at.index(bytes.len())];
        prop_assert_eq!(Packet::parse(cut).unwrap_err().offset, cut.len());
        bytes.push(0);
        prop_assert!(Packet::parse(&bytes).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_may_be_cut_anywhere(packets in vec(parts(), 1..6)) {
        let packets: Vec<_> = packets.iter().map(Parts::written).collect();
        let stream = packets.concat();
        let whole = frames(&[&stream]);
        prop_assert_eq!(whole.1, Ok(0));
        prop_assert!(whole.0.iter().map(Frame::as_slice).eq(packets.iter().map(|p| &p[..])));
        prop_assert_eq!(frames(&stream.chunks(1).collect::<Vec<_>>()), whole.clone());
        for at in 0..=stream.len() {
            let (first, second) = stream.split_at(at);
            prop_assert_eq!(frames(&[first, second]), whole.clone());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in vec(any::<u8>(), 0..80), fit in any::<bool>()) {
        if fit && bytes.len() >= 2 {
            bytes[1] = u8::try_from(bytes.len() - 2).unwrap();
        }
        match Packet::parse(&bytes) {
            Ok(view) => {
                let again = written(&view);
                prop_assert!(again.len() <= bytes.len() || view.packet_type().name() == "CONNACK");
                prop_assert_eq!(Packet::parse(&again).unwrap(), view);
            }
            Err(error) => prop_assert!(error.offset <= bytes.len()),
        }
    }

    #[test]
    fn any_bytes_are_the_same_stream_however_they_come(bytes in vec(any::<u8>(), 0..40)) {
        prop_assert_eq!(frames(&bytes.chunks(1).collect::<Vec<_>>()), frames(&[&bytes]));
    }
}
