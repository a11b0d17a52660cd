//! Arbitrary packets with arbitrary legal contents.

use std::num::NonZeroU16;

use mqtt5_proto::codec::{BinaryData, MaximumPacketSize, Utf8String};
use mqtt5_proto::packet::{
    AckProperties, Auth, AuthProperties, AuthReasonCode, Authentication, Connack,
    ConnackProperties, ConnackReasonCode, Connect, ConnectProperties, Delivery, Disconnect,
    DisconnectProperties, DisconnectReasonCode, MessageProperties, PayloadFormatIndicator, Puback,
    Pubcomp, PublishReasonCode, Pubrec, Pubrel, ReleaseReasonCode, RetainHandling,
    SubackReasonCode, Subscription, SubscriptionIdentifier, TopicAlias, UnsubackReasonCode,
    UserProperty, Will,
};
use mqtt5_proto::{PacketId, QoS, Topic, TopicFilter};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::parts::{Parts, PublishParts};

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

/// Around the sizes at which the Remaining Length takes another byte.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let long = (any::<u8>(), 16_100..16_500_usize).prop_map(|(byte, size)| vec![byte; size]);
    prop_oneof![
        20 => vec(any::<u8>(), 0..40),
        20 => vec(any::<u8>(), 100..300),
        1 => long,
    ]
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
        payload(),
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

pub(crate) fn parts() -> impl Strategy<Value = Parts> {
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
