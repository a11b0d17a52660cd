//! What both sides agreed on for one connection (sections 3.2.2.3 and 4.9).

use alloc::boxed::Box;
use core::num::NonZeroU16;

use super::{Rule, SessionConfig, SubscribeRequest};
use crate::codec::{self, MaximumPacketSize, Utf8String, packet_size};
use crate::packet::{ApplicationMessage, ConnackProperties, Delivery, PacketId, Publish, QoS};

/// What holds on the current connection. Nothing is carried over from an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many messages of QoS 1 and 2 we may have in flight.
    pub receive_maximum: NonZeroU16,
    /// The largest packet that the server takes.
    pub maximum_packet_size: MaximumPacketSize,
    /// The highest QoS to publish at.
    pub maximum_qos: QoS,
    /// Whether the server keeps retained messages.
    pub retain_available: bool,
    /// Whether filters may have wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether subscriptions may have identifiers.
    pub subscription_identifier_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: bool,
    /// How many Topic Aliases the server would take. None are used.
    pub topic_alias_maximum: u16,
    /// Keep Alive in seconds; 0 is off.
    pub keep_alive: u16,
    /// How many seconds the session outlives the connection; `u32::MAX`: for ever.
    pub session_expiry_interval: u32,
    /// A basis for the names of response topics.
    pub response_information: Option<Box<Utf8String>>,
}

/// What a CONNECT asked for that its CONNACK is measured by. The configuration may have been
/// changed since.
#[derive(Debug)]
pub(super) struct Asked {
    keep_alive: u16,
    pub(super) session_expiry_interval: u32,
    response_information: bool,
    pub(super) authentication_method: Option<Utf8String>,
}

impl Asked {
    pub(super) fn new(config: &SessionConfig) -> Self {
        let authentication = config.authentication.as_ref();
        Self {
            keep_alive: config.keep_alive,
            session_expiry_interval: config.session_expiry_interval,
            response_information: config.request_response_information,
            authentication_method: authentication.map(|asked| asked.method.clone()),
        }
    }
}

impl Limits {
    pub(super) fn negotiate(asked: &Asked, connack: &ConnackProperties) -> Self {
        Self {
            receive_maximum: connack.receive_maximum.unwrap_or(NonZeroU16::MAX),
            maximum_packet_size: connack
                .maximum_packet_size
                .unwrap_or(MaximumPacketSize::PROTOCOL)
                .min(MaximumPacketSize::PROTOCOL),
            maximum_qos: connack.maximum_qos.unwrap_or(QoS::ExactlyOnce),
            retain_available: connack.retain_available.unwrap_or(true),
            wildcard_subscription_available: connack
                .wildcard_subscription_available
                .unwrap_or(true),
            subscription_identifier_available: connack
                .subscription_identifier_available
                .unwrap_or(true),
            shared_subscription_available: connack.shared_subscription_available.unwrap_or(true),
            topic_alias_maximum: connack.topic_alias_maximum.unwrap_or(0),
            keep_alive: connack.server_keep_alive.unwrap_or(asked.keep_alive),
            session_expiry_interval: connack
                .session_expiry_interval
                .unwrap_or(asked.session_expiry_interval),
            response_information: if asked.response_information {
                connack.response_information.clone().map(Box::new)
            } else {
                None
            },
        }
    }

    #[inline]
    pub(super) fn check_size(&self, size: usize) -> Result<(), Rule> {
        let limit = self.maximum_packet_size.get() as usize;
        if size > limit {
            Err(Rule::MaximumPacketSize { size, limit })
        } else {
            Ok(())
        }
    }

    /// Whether `message` may be sent; measured in its full form, topic without alias.
    #[inline]
    pub(super) fn check_message(
        &self,
        message: &ApplicationMessage,
        remaining_length: u32,
    ) -> Result<(), Rule> {
        if message.qos > self.maximum_qos {
            return Err(Rule::MaximumQoS {
                maximum: self.maximum_qos,
            });
        }
        if message.retain && !self.retain_available {
            return Err(Rule::RetainAvailable);
        }
        self.check_size(packet_size(remaining_length))
    }

    pub(super) fn check_subscribe(&self, request: &SubscribeRequest) -> Result<(), Rule> {
        if request.subscription_identifier.is_some() && !self.subscription_identifier_available {
            return Err(Rule::SubscriptionIdentifierAvailable);
        }
        for subscription in &request.subscriptions {
            let filter = &subscription.filter;
            if !self.wildcard_subscription_available && filter.has_wildcard() {
                return Err(Rule::WildcardSubscriptionAvailable);
            }
            if !self.shared_subscription_available && filter.share_name().is_some() {
                return Err(Rule::SharedSubscriptionAvailable);
            }
        }
        Ok(())
    }
}

/// The Remaining Length of the PUBLISH that carries `message`. The Packet Identifier does not
/// change it.
#[inline]
pub(super) fn remaining_length(message: &ApplicationMessage) -> Result<u32, Rule> {
    if message.properties.is_some() {
        return remaining_length_with_properties(message);
    }
    // The usual case, of which the compiler makes a sum of two lengths.
    let publish = Publish {
        properties: None,
        ..message.to_publish(delivery(message.qos, FIRST_ID, false))
    };
    Ok(codec::remaining_length(&publish)?)
}

#[inline(never)]
fn remaining_length_with_properties(message: &ApplicationMessage) -> Result<u32, Rule> {
    let publish = message.to_publish(delivery(message.qos, FIRST_ID, false));
    Ok(codec::remaining_length(&publish)?)
}

pub(super) const FIRST_ID: PacketId = match PacketId::new(1) {
    Some(id) => id,
    // Decided when this is compiled.
    None => unreachable!(),
};

pub(super) const fn delivery(qos: QoS, packet_id: PacketId, dup: bool) -> Delivery {
    match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { packet_id, dup },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { packet_id, dup },
    }
}
