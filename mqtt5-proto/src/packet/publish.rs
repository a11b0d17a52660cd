//! PUBLISH (section 3.3).

use super::property::{Tolerated, UserProperties};
use super::{
    Body, MessageProperties, PacketId, PacketType, Parsed, PayloadFormatIndicator, QoS, Sink,
    SubscriptionIdentifier, TopicAlias, UserProperty, Violation, fail,
};
use crate::codec::{BinaryData, Fault, PutProperties, Utf8String, check_utf8_bytes, has_wildcard};
use crate::topic::Topic;

property_view! {
    /// The properties of a PUBLISH (section 3.3.2.3).
    PublishPropertiesView {
        once 0x01 payload_format_indicator: Tolerated<PayloadFormatIndicator>,
            "Payload Format Indicator; a value that is not legal reads as absent.";
        once 0x02 message_expiry_interval: u32,
            "Message Expiry Interval: how many seconds are left.";
        once 0x03 content_type: Utf8String, "Content Type.";
        once 0x08 response_topic: Tolerated<Topic>,
            "Response Topic; one that is no topic name reads as absent.";
        once 0x09 correlation_data: BinaryData, "Correlation Data.";
        many 0x0B subscription_identifiers: SubscriptionIdentifier,
            "Subscription Identifiers of the subscriptions that the message matched. From a \
             server only.";
        once 0x23 topic_alias: TopicAlias, "Topic Alias.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

impl PublishPropertiesView<'_> {
    /// What belongs to the message itself: all but Topic Alias and Subscription Identifiers.
    #[must_use]
    pub fn to_message_properties(&self) -> MessageProperties {
        MessageProperties {
            payload_format_indicator: self.payload_format_indicator(),
            message_expiry_interval: self.message_expiry_interval(),
            content_type: self
                .content_type()
                .and_then(|text| Utf8String::new(text).ok()),
            response_topic: self.response_topic().and_then(|text| Topic::new(text).ok()),
            correlation_data: self
                .correlation_data()
                .and_then(|data| data.try_into().ok()),
            user_properties: self
                .user_properties()
                .filter_map(|(name, value)| UserProperty::new(name, value).ok())
                .collect::<UserProperties>(),
        }
    }

    /// Whether there is a Payload Format Indicator that is not legal, and so reads as absent.
    #[must_use]
    pub fn has_odd_payload_format(&self) -> bool {
        self.section().has(0x01) && self.payload_format_indicator().is_none()
    }

    /// Whether there is a Response Topic that is no topic name, and so reads as absent.
    #[must_use]
    pub fn has_odd_response_topic(&self) -> bool {
        self.section().has(0x08) && self.response_topic().is_none()
    }
}

/// QoS, Packet Identifier and DUP of a PUBLISH: those three that go together (sections 3.3.1 and
/// 3.3.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce {
        /// The Packet Identifier.
        packet_id: PacketId,
        /// Whether this is a repetition.
        dup: bool,
    },
    /// QoS 2.
    ExactlyOnce {
        /// The Packet Identifier.
        packet_id: PacketId,
        /// Whether this is a repetition.
        dup: bool,
    },
}

impl Delivery {
    /// The QoS.
    #[must_use]
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce { .. } => QoS::AtLeastOnce,
            Self::ExactlyOnce { .. } => QoS::ExactlyOnce,
        }
    }

    /// The Packet Identifier; `None` for QoS 0.
    #[must_use]
    pub const fn packet_id(self) -> Option<PacketId> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce { packet_id, .. } | Self::ExactlyOnce { packet_id, .. } => {
                Some(packet_id)
            }
        }
    }

    /// Whether this is a repetition.
    #[must_use]
    pub const fn dup(self) -> bool {
        match self {
            Self::AtMostOnce => false,
            Self::AtLeastOnce { dup, .. } | Self::ExactlyOnce { dup, .. } => dup,
        }
    }
}

/// How a PUBLISH names its topic (section 3.3.2.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishTopic<'a> {
    /// By name.
    Name(&'a Topic),
    /// By name, which the alias is to stand for from now on.
    NameAndAlias(&'a Topic, TopicAlias),
    /// By an alias that was given a name before on this connection.
    Alias(TopicAlias),
}

/// A PUBLISH to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// QoS, Packet Identifier and DUP.
    pub delivery: Delivery,
    /// RETAIN.
    pub retain: bool,
    /// The topic.
    pub topic: PublishTopic<'a>,
    /// The properties of the message, if any.
    pub properties: Option<&'a MessageProperties>,
    /// Subscription Identifiers: from a server only (`3.3.4-6`).
    pub subscription_identifiers: &'a [SubscriptionIdentifier],
    /// The payload.
    pub payload: &'a [u8],
}

impl PutProperties for Publish<'_> {
    #[inline]
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        if let Some(properties) = self.properties {
            properties.put(sink);
        }
        let alias = match self.topic {
            PublishTopic::NameAndAlias(_, alias) | PublishTopic::Alias(alias) => Some(alias),
            PublishTopic::Name(_) => None,
        };
        put_numbers(self.subscription_identifiers, alias, sink);
    }
}

/// Writes the properties that do not belong to the message.
#[inline]
pub(super) fn put_numbers<S: Sink>(
    identifiers: &[SubscriptionIdentifier],
    alias: Option<TopicAlias>,
    sink: &mut S,
) {
    for identifier in identifiers {
        sink.byte(0x0B);
        sink.variable_byte_integer(identifier.get());
    }
    if let Some(alias) = alias {
        sink.byte(0x23);
        sink.be_u16(alias.get());
    }
}

#[inline]
pub(super) fn first_byte(delivery: Delivery, retain: bool) -> u8 {
    (PacketType::Publish as u8) << 4
        | u8::from(delivery.dup()) << 3
        | (delivery.qos() as u8) << 1
        | u8::from(retain)
}

/// Writes what stands between the fixed header and the payload. An empty `topic` leaves it to an
/// alias.
#[inline]
pub(super) fn put_head<S: Sink, P: PutProperties>(
    topic: &[u8],
    delivery: Delivery,
    properties: Option<&P>,
    sink: &mut S,
) {
    sink.length_prefixed(topic);
    if let Some(id) = delivery.packet_id() {
        sink.be_u16(id.get());
    }
    match properties {
        Some(properties) => sink.section(properties),
        None => sink.byte(0),
    }
}

impl Body for Publish<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        first_byte(self.delivery, self.retain)
    }

    #[inline]
    fn body<S: Sink>(&self, sink: &mut S) {
        let topic = match self.topic {
            PublishTopic::Name(topic) | PublishTopic::NameAndAlias(topic, _) => topic.as_bytes(),
            PublishTopic::Alias(_) => &[],
        };
        // The usual case: no properties.
        let without = matches!(
            self,
            Self {
                properties: None,
                subscription_identifiers: [],
                topic: PublishTopic::Name(_),
                ..
            }
        );
        put_head(topic, self.delivery, (!without).then_some(self), sink);
    }

    #[inline]
    fn tail(&self) -> &[u8] {
        self.payload
    }
}

/// A PUBLISH that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishView<'a> {
    delivery: Delivery,
    retain: bool,
    topic: &'a [u8],
    properties: PublishPropertiesView<'a>,
    payload: &'a [u8],
}

/// The parts of a PUBLISH.
pub(super) struct Parts<'a> {
    pub(super) delivery: Delivery,
    /// Checked to be well-formed.
    pub(super) topic: &'a [u8],
    pub(super) topic_len: u16,
    pub(super) properties: PublishPropertiesView<'a>,
    pub(super) payload: &'a [u8],
}

impl<'a> Parts<'a> {
    // The head is cut by hand: here the combinators cost as much as the work.
    #[inline]
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Result<Self, nom::Err<Fault<'a>>> {
        let Some((&length, rest)) = body.split_first_chunk() else {
            return fail(body, Violation::Truncated);
        };
        let topic_len = u16::from_be_bytes(length);
        let Some((topic, rest)) = rest.split_at_checked(usize::from(topic_len)) else {
            return fail(body, Violation::Truncated);
        };
        if let Err(violation) = check_utf8_bytes(topic) {
            return fail(body, violation);
        }
        let (rest, delivery) = match flags >> 1 & 0b11 {
            0 => (rest, Delivery::AtMostOnce),
            qos => {
                let (rest, packet_id) = PacketId::parse(rest)?;
                let dup = flags & 0b1000 != 0;
                let delivery = if qos == 1 {
                    Delivery::AtLeastOnce { packet_id, dup }
                } else {
                    Delivery::ExactlyOnce { packet_id, dup }
                };
                (rest, delivery)
            }
        };
        let (payload, properties) = match rest {
            // The usual case: no properties.
            [0, payload @ ..] => (payload, PublishPropertiesView::default()),
            _ => PublishPropertiesView::parse(rest)?,
        };
        if topic_len == 0 && !properties.section().has(0x23) {
            return fail(body, Violation::TopicMissing);
        }
        Ok(Self {
            delivery,
            topic,
            topic_len,
            properties,
            payload,
        })
    }
}

pub(super) const fn retain(flags: u8) -> bool {
    flags & 1 != 0
}

impl<'a> PublishView<'a> {
    #[inline]
    pub(super) fn parse(flags: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        // The payload takes all that is left.
        Ok((&[], Self::new(flags, body)?))
    }

    #[inline]
    pub(super) fn new(flags: u8, body: &'a [u8]) -> Result<Self, nom::Err<Fault<'a>>> {
        let parts = Parts::parse(flags, body)?;
        Ok(Self {
            delivery: parts.delivery,
            retain: retain(flags),
            topic: parts.topic,
            properties: parts.properties,
            payload: parts.payload,
        })
    }

    /// QoS, Packet Identifier and DUP.
    #[must_use]
    pub const fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// RETAIN.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// The topic name; empty if a Topic Alias stands for it. Costs a UTF-8 check;
    /// [`topic_bytes`](Self::topic_bytes) does not.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        core::str::from_utf8(self.topic).unwrap_or_default()
    }

    /// The bytes of the topic name; empty if a Topic Alias stands for it.
    #[must_use]
    pub const fn topic_bytes(&self) -> &'a [u8] {
        self.topic
    }

    /// Whether the topic is a topic name, or left out in favour of an alias; not so if it holds a
    /// wildcard.
    #[inline]
    #[must_use]
    pub fn has_valid_topic(&self) -> bool {
        self.topic.is_empty() || !has_wildcard(self.topic)
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> PublishPropertiesView<'a> {
        self.properties
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// What any publisher could have put in, and the standard forbids.
    pub(super) fn tolerated(&self, body: &'a [u8]) -> Option<Fault<'a>> {
        let properties = self.properties;
        let bad = |id, odd: bool| {
            let at = properties.locate(id).filter(|_| odd)?;
            let violation = Violation::PropertyValue(id);
            Some(Fault { at, violation })
        };
        if !self.has_valid_topic() {
            let violation = Violation::WildcardInTopic;
            return Some(Fault {
                at: body,
                violation,
            });
        }
        bad(0x01, properties.has_odd_payload_format())
            .or_else(|| bad(0x08, properties.has_odd_response_topic()))
    }
}

impl PutProperties for PublishView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for PublishView<'_> {
    fn first_byte(&self) -> u8 {
        first_byte(self.delivery, self.retain)
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        put_head(self.topic, self.delivery, Some(self), sink);
    }

    fn tail(&self) -> &[u8] {
        self.payload
    }
}
