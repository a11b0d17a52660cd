//! The parts of a packet, owned: what is written and what must be read.

#![allow(dead_code, reason = "no test uses all of it")]

use mqtt5_proto::codec::Utf8String;
use mqtt5_proto::packet::{
    AckProperties, Auth, Connack, Connect, ConnectView, Delivery, Disconnect, MessageProperties,
    Packet, Pingreq, Pingresp, Puback, Pubcomp, Publish, PublishTopic, Pubrec, Pubrel, Received,
    Suback, SubackReasonCode, Subscribe, Subscription, SubscriptionIdentifier, TopicAlias,
    Unsuback, UnsubackReasonCode, Unsubscribe, UserProperty,
};
use mqtt5_proto::{PacketId, Topic, TopicFilter};

use crate::codec_support::written;

/// The parts of a packet, owned.
#[derive(Clone, Debug)]
pub(crate) enum Parts {
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
pub(crate) struct PublishParts {
    pub(crate) delivery: Delivery,
    pub(crate) retain: bool,
    pub(crate) topic: Option<Topic>,
    pub(crate) alias: TopicAlias,
    pub(crate) with_alias: bool,
    pub(crate) properties: Option<MessageProperties>,
    pub(crate) subscription_identifiers: Vec<SubscriptionIdentifier>,
    pub(crate) payload: Vec<u8>,
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

impl Parts {
    pub(crate) fn written(&self) -> Vec<u8> {
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
    pub(crate) fn assert_same(&self, view: &Packet<'_>) {
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

fn assert_connect(parts: &Connect, view: &ConnectView<'_>) {
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
