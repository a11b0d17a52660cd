//! What a subscribe and an unsubscribe ask for.

use alloc::vec::Vec;

use crate::packet::{
    PacketId, Subscribe, Subscription, SubscriptionIdentifier, Unsubscribe, UserProperty,
};
use crate::topic::TopicFilter;

/// What a SUBSCRIBE asks for (section 3.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeRequest {
    /// Filters and their options; one at least.
    pub subscriptions: Vec<Subscription>,
    /// Subscription Identifier for all of them. Default: none.
    pub subscription_identifier: Option<SubscriptionIdentifier>,
    /// User Properties, in order.
    pub user_properties: Vec<UserProperty>,
}

impl SubscribeRequest {
    pub(super) fn to_packet(&self, packet_id: PacketId) -> Option<Subscribe<'_>> {
        let mut packet = Subscribe::new(packet_id, &self.subscriptions)?;
        packet.subscription_identifier = self.subscription_identifier;
        packet.user_properties = &self.user_properties;
        Some(packet)
    }
}

impl From<Subscription> for SubscribeRequest {
    fn from(subscription: Subscription) -> Self {
        Self {
            subscriptions: Vec::from([subscription]),
            ..Self::default()
        }
    }
}

/// What an UNSUBSCRIBE asks for (section 3.10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnsubscribeRequest {
    /// The filters, as they were subscribed to; one at least.
    pub filters: Vec<TopicFilter>,
    /// User Properties, in order.
    pub user_properties: Vec<UserProperty>,
}

impl UnsubscribeRequest {
    pub(super) fn to_packet(&self, packet_id: PacketId) -> Option<Unsubscribe<'_>> {
        let mut packet = Unsubscribe::new(packet_id, &self.filters)?;
        packet.user_properties = &self.user_properties;
        Some(packet)
    }
}

impl From<TopicFilter> for UnsubscribeRequest {
    fn from(filter: TopicFilter) -> Self {
        Self {
            filters: Vec::from([filter]),
            user_properties: Vec::new(),
        }
    }
}
