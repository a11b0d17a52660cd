//! PUBLISH of values that are borrowed (section 3.3).

use bytes::BytesMut;

use super::publish::{first_byte, put_head, put_numbers};
use super::{
    Body, Delivery, EncodeError, MessagePropertiesRef, Sink, SubscriptionIdentifier, TopicAlias,
};
use crate::codec::{Encode, PutProperties};
use crate::topic::Topic;

/// A PUBLISH to be sent whose values are borrowed: nothing is copied before it is written, and what
/// it says is checked then.
///
/// [`Publish`](super::Publish) is the one for values that are kept, and were checked when they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishRef<'a> {
    /// QoS, Packet Identifier and DUP.
    pub delivery: Delivery,
    /// RETAIN.
    pub retain: bool,
    /// The topic name; empty if the alias is to stand for it.
    pub topic: &'a str,
    /// Topic Alias, if any: for `topic` from now on, or for the name that it was given before on
    /// this connection.
    pub topic_alias: Option<TopicAlias>,
    /// The properties of the message, if any.
    pub properties: Option<&'a MessagePropertiesRef<'a>>,
    /// Subscription Identifiers: from a server only (`3.3.4-6`).
    pub subscription_identifiers: &'a [SubscriptionIdentifier],
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> PublishRef<'a> {
    /// A PUBLISH of QoS 0, not retained, without properties.
    #[must_use]
    pub const fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            delivery: Delivery::AtMostOnce,
            retain: false,
            topic,
            topic_alias: None,
            properties: None,
            subscription_identifiers: &[],
            payload,
        }
    }

    /// Checks the values and appends the packet to `out`; returns its size in bytes. Reserves once,
    /// and writes the shortest legal form.
    ///
    /// # Errors
    /// [`EncodeError`] if a value breaks a rule, if there is neither topic nor alias, or if the
    /// packet would be too large; `out` is as before then.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) -> Result<usize, EncodeError> {
        Ok(self.checked()?.encode(out)?)
    }

    /// As [`encode`](Self::encode), but without the payload, which the caller sends behind it from
    /// where it lies. Returns the size of the whole packet.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    #[inline]
    pub fn encode_without_payload(&self, out: &mut BytesMut) -> Result<usize, EncodeError> {
        Ok(self.checked()?.encode_without_payload(out)?)
    }

    #[inline]
    fn checked(&self) -> Result<Checked<'_>, EncodeError> {
        if !self.topic.is_empty() || self.topic_alias.is_none() {
            Topic::validate(self.topic)?;
        }
        if let Some(properties) = self.properties {
            properties.check()?;
        }
        Ok(Checked(self))
    }
}

/// Its values may be written.
struct Checked<'a>(&'a PublishRef<'a>);

impl PutProperties for Checked<'_> {
    #[inline]
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        if let Some(properties) = self.0.properties {
            properties.put(sink);
        }
        put_numbers(self.0.subscription_identifiers, self.0.topic_alias, sink);
    }
}

impl Body for Checked<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        first_byte(self.0.delivery, self.0.retain)
    }

    #[inline]
    fn body<S: Sink>(&self, sink: &mut S) {
        let PublishRef {
            topic, delivery, ..
        } = self.0;
        let without = self.0.properties.is_none()
            && self.0.subscription_identifiers.is_empty()
            && self.0.topic_alias.is_none();
        put_head(
            topic.as_bytes(),
            *delivery,
            (!without).then_some(self),
            sink,
        );
    }

    #[inline]
    fn tail(&self) -> &[u8] {
        self.0.payload
    }
}
