//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10).

use super::{
    Body, PacketId, PacketType, Parsed, QoS, Sink, SubscriptionIdentifier, UserProperty, Violation,
    fail,
};
use crate::codec::{PutProperties, byte, string};
use crate::topic::TopicFilter;

property_view! {
    /// The properties of a SUBSCRIBE (section 3.8.2.1).
    SubscribePropertiesView {
        once 0x0B subscription_identifier: SubscriptionIdentifier, "Subscription Identifier.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

property_view! {
    /// The properties of an UNSUBSCRIBE (section 3.10.2.1).
    UnsubscribePropertiesView {
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

/// When retained messages are sent for a subscription (section 3.8.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RetainHandling {
    /// At every subscribe.
    #[default]
    SendAtSubscribe = 0,
    /// At a subscribe that makes a new subscription.
    SendIfNew = 1,
    /// Never.
    DoNotSend = 2,
}

/// A filter and its options (section 3.8.3). No Local on a shared subscription is a protocol error
/// (`3.8.3-4`) and cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// The filter.
    pub filter: TopicFilter,
    /// The highest QoS to be granted. Default: exactly once.
    pub maximum_qos: QoS,
    no_local: bool,
    /// Whether messages keep the RETAIN flag that they were published with. Default: no.
    pub retain_as_published: bool,
    /// When retained messages are sent. Default: at every subscribe.
    pub retain_handling: RetainHandling,
}

impl Subscription {
    /// At most QoS 2, one's own messages too, retained messages at every subscribe.
    #[must_use]
    pub const fn new(filter: TopicFilter) -> Self {
        Self {
            filter,
            maximum_qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
        }
    }

    /// Whether the client's own messages are left out.
    #[must_use]
    pub fn no_local(&self) -> bool {
        // The filter may have been replaced since.
        self.no_local && self.filter.share_name().is_none()
    }

    /// Leaves out the client's own messages, or not.
    ///
    /// # Errors
    /// [`NoLocalOnShared`] if the filter is of a shared subscription (`3.8.3-4`).
    pub fn set_no_local(&mut self, no_local: bool) -> Result<(), NoLocalOnShared> {
        if no_local && self.filter.share_name().is_some() {
            return Err(NoLocalOnShared);
        }
        self.no_local = no_local;
        Ok(())
    }

    fn options(&self) -> u8 {
        self.maximum_qos as u8
            | u8::from(self.no_local()) << 2
            | u8::from(self.retain_as_published) << 3
            | (self.retain_handling as u8) << 4
    }
}

/// No Local was asked for on a shared subscription, which is a protocol error (`3.8.3-4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No Local cannot be set on a shared subscription")]
pub struct NoLocalOnShared;

/// A SUBSCRIBE to be sent. One without a filter is a protocol error and cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    packet_id: PacketId,
    subscriptions: &'a [Subscription],
    /// Subscription Identifier for all of the filters.
    pub subscription_identifier: Option<SubscriptionIdentifier>,
    /// User Properties, in order.
    pub user_properties: &'a [UserProperty],
}

impl<'a> Subscribe<'a> {
    /// `None` if there is no filter (`3.8.3-2`).
    #[must_use]
    pub const fn new(packet_id: PacketId, subscriptions: &'a [Subscription]) -> Option<Self> {
        if subscriptions.is_empty() {
            return None;
        }
        let user_properties = &[];
        Some(Self {
            packet_id,
            subscriptions,
            subscription_identifier: None,
            user_properties,
        })
    }
}

fn put_user_properties<S: Sink>(properties: &[UserProperty], sink: &mut S) {
    for property in properties {
        sink.byte(0x26);
        super::property::Property::put(property, sink);
    }
}

impl PutProperties for Subscribe<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        if let Some(identifier) = self.subscription_identifier {
            sink.byte(0x0B);
            sink.variable_byte_integer(identifier.get());
        }
        put_user_properties(self.user_properties, sink);
    }
}

impl Body for Subscribe<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.be_u16(self.packet_id.get());
        sink.section(self);
        for subscription in self.subscriptions {
            sink.length_prefixed(subscription.filter.as_bytes());
            sink.byte(subscription.options());
        }
    }
}

/// An UNSUBSCRIBE to be sent. One without a filter is a protocol error and cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    packet_id: PacketId,
    filters: &'a [TopicFilter],
    /// User Properties, in order.
    pub user_properties: &'a [UserProperty],
}

impl<'a> Unsubscribe<'a> {
    /// `None` if there is no filter (`3.10.3-2`).
    #[must_use]
    pub const fn new(packet_id: PacketId, filters: &'a [TopicFilter]) -> Option<Self> {
        if filters.is_empty() {
            return None;
        }
        Some(Self {
            packet_id,
            filters,
            user_properties: &[],
        })
    }
}

impl PutProperties for Unsubscribe<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        put_user_properties(self.user_properties, sink);
    }
}

impl Body for Unsubscribe<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsubscribe.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.be_u16(self.packet_id.get());
        sink.section(self);
        for filter in self.filters {
            sink.length_prefixed(filter.as_bytes());
        }
    }
}

/// One filter and its options, as received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriptionView<'a> {
    filter: &'a str,
    options: u8,
}

impl<'a> SubscriptionView<'a> {
    fn parse(input: &'a [u8]) -> Parsed<'a, Self> {
        let (at, filter) = filter(input)?;
        let (rest, options) = byte(at)?;
        if options & 0xC0 != 0 {
            return fail(at, Violation::SubscriptionOptionsReserved);
        }
        if options & 0x03 == 3 || options >> 4 == 3 {
            return fail(at, Violation::SubscriptionOptions);
        }
        let view = Self { filter, options };
        if view.no_local() && filter.starts_with("$share/") {
            return fail(at, Violation::NoLocalOnShared);
        }
        Ok((rest, view))
    }

    /// The filter.
    #[must_use]
    pub const fn filter(&self) -> &'a str {
        self.filter
    }

    /// The highest QoS to be granted.
    #[must_use]
    pub const fn maximum_qos(&self) -> QoS {
        match self.options & 0x03 {
            0 => QoS::AtMostOnce,
            1 => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        }
    }

    /// Whether the client's own messages are left out.
    #[must_use]
    pub const fn no_local(&self) -> bool {
        self.options & 0x04 != 0
    }

    /// Whether messages keep the RETAIN flag that they were published with.
    #[must_use]
    pub const fn retain_as_published(&self) -> bool {
        self.options & 0x08 != 0
    }

    /// When retained messages are sent.
    #[must_use]
    pub const fn retain_handling(&self) -> RetainHandling {
        match self.options >> 4 & 0x03 {
            0 => RetainHandling::SendAtSubscribe,
            1 => RetainHandling::SendIfNew,
            _ => RetainHandling::DoNotSend,
        }
    }
}

fn filter(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, filter) = string(input)?;
    if TopicFilter::is_valid(filter.as_bytes()) {
        Ok((rest, filter))
    } else {
        fail(input, Violation::TopicFilterInvalid)
    }
}

/// Checks entries up to the end of the packet, of which there must be one at least.
fn check_entries<'a, T>(payload: &'a [u8], parse: fn(&'a [u8]) -> Parsed<'a, T>) -> Parsed<'a, ()> {
    if payload.is_empty() {
        return fail(payload, Violation::NoTopicFilter);
    }
    let mut rest = payload;
    while !rest.is_empty() {
        (rest, _) = parse(rest)?;
    }
    Ok((rest, ()))
}

/// Entries that were checked before.
fn entries<'a, T>(
    payload: &'a [u8],
    parse: fn(&'a [u8]) -> Parsed<'a, T>,
) -> impl Iterator<Item = T> + Clone {
    let mut rest = payload;
    core::iter::from_fn(move || {
        let (left, entry) = parse(rest).ok()?;
        rest = left;
        Some(entry)
    })
}

/// A SUBSCRIBE that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscribeView<'a> {
    packet_id: PacketId,
    properties: SubscribePropertiesView<'a>,
    payload: &'a [u8],
}

impl<'a> SubscribeView<'a> {
    pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, packet_id) = PacketId::parse(body)?;
        let (payload, properties) = SubscribePropertiesView::parse(rest)?;
        let (rest, ()) = check_entries(payload, SubscriptionView::parse)?;
        Ok((
            rest,
            Self {
                packet_id,
                properties,
                payload,
            },
        ))
    }

    /// The Packet Identifier.
    #[must_use]
    pub const fn packet_id(&self) -> PacketId {
        self.packet_id
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> SubscribePropertiesView<'a> {
        self.properties
    }

    /// The filters, in order.
    pub fn subscriptions(&self) -> impl Iterator<Item = SubscriptionView<'a>> + use<'a> {
        entries(self.payload, SubscriptionView::parse)
    }
}

impl PutProperties for SubscribeView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for SubscribeView<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Subscribe.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.be_u16(self.packet_id.get());
        sink.section(self);
        sink.slice(self.payload);
    }
}

/// An UNSUBSCRIBE that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnsubscribeView<'a> {
    packet_id: PacketId,
    properties: UnsubscribePropertiesView<'a>,
    payload: &'a [u8],
}

impl<'a> UnsubscribeView<'a> {
    pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, packet_id) = PacketId::parse(body)?;
        let (payload, properties) = UnsubscribePropertiesView::parse(rest)?;
        let (rest, ()) = check_entries(payload, filter)?;
        Ok((
            rest,
            Self {
                packet_id,
                properties,
                payload,
            },
        ))
    }

    /// The Packet Identifier.
    #[must_use]
    pub const fn packet_id(&self) -> PacketId {
        self.packet_id
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> UnsubscribePropertiesView<'a> {
        self.properties
    }

    /// The filters, in order.
    pub fn filters(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        entries(self.payload, filter)
    }
}

impl PutProperties for UnsubscribeView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for UnsubscribeView<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Unsubscribe.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.be_u16(self.packet_id.get());
        sink.section(self);
        sink.slice(self.payload);
    }
}
