//! What an application publishes, as a PUBLISH or as a Will.

use alloc::boxed::Box;

use bytes::Bytes;

use super::{Delivery, PayloadFormatIndicator, Publish, PublishTopic, QoS, UserProperty};
use crate::codec::{BinaryData, Utf8String};
use crate::topic::Topic;

property_builders! {
    /// The properties of an application message, in a PUBLISH (section 3.3.2.3) or in a Will
    /// (section 3.1.3.2).
    MessageProperties, MessagePropertiesRef {
        once 0x01 payload_format_indicator: PayloadFormatIndicator,
            "Payload Format Indicator: whether the payload is UTF-8 text. Default: unspecified.";
        once 0x02 message_expiry_interval: u32,
            "Message Expiry Interval in seconds. Default: never expires.";
        once 0x03 content_type: Utf8String, "Content Type, such as a MIME type.";
        once 0x08 response_topic: Topic, "Response Topic: where an answer is to go.";
        once 0x09 correlation_data: BinaryData,
            "Correlation Data: what an answer is to carry back.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

/// An application message: what is published, before it has a Packet Identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationMessage {
    /// Where it goes.
    pub topic: Topic,
    /// What it says. May be empty.
    pub payload: Bytes,
    /// How often it is to arrive. Default: at most once.
    pub qos: QoS,
    /// Whether the server keeps it for later subscribers. Default: no.
    pub retain: bool,
    /// Properties, if any; boxed because most messages have none.
    pub properties: Option<Box<MessageProperties>>,
}

impl ApplicationMessage {
    /// A message of QoS 0, not retained, without properties.
    #[must_use]
    pub fn new(topic: Topic, payload: impl Into<Bytes>) -> Self {
        Self {
            topic,
            payload: payload.into(),
            qos: QoS::AtMostOnce,
            retain: false,
            properties: None,
        }
    }

    /// With this QoS.
    #[must_use]
    pub const fn with_qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// With or without RETAIN.
    #[must_use]
    pub const fn with_retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// The properties, made if there were none.
    pub fn properties_mut(&mut self) -> &mut MessageProperties {
        self.properties.get_or_insert_default()
    }

    /// The PUBLISH that carries this message, with its full topic name.
    #[must_use]
    pub fn to_publish(&self, delivery: Delivery) -> Publish<'_> {
        Publish {
            delivery,
            retain: self.retain,
            topic: PublishTopic::Name(&self.topic),
            properties: self.properties.as_deref(),
            subscription_identifiers: &[],
            payload: &self.payload,
        }
    }

    /// Whether the payload is what the Payload Format Indicator says it is (section 3.3.2.3.2).
    #[must_use]
    pub fn payload_fits_format(&self) -> bool {
        let format = self
            .properties
            .as_ref()
            .and_then(|p| p.payload_format_indicator);
        format != Some(PayloadFormatIndicator::Utf8) || core::str::from_utf8(&self.payload).is_ok()
    }
}
