//! CONNECT (section 3.1).

use alloc::boxed::Box;

use bytes::Bytes;

use super::auth::authentication;
use super::connect_layout::{
    PROTOCOL_NAME, Parts, VERSION, WillParts, put_delay_interval, will_flags,
};
use super::{
    Authentication, Body, MessageProperties, PacketType, Parsed, PayloadFormatIndicator, QoS, Sink,
    UserProperty, Violation, fail,
};
use crate::codec::{
    BinaryData, MaximumPacketSize, PutProperties, Utf8String, be_u16, binary, byte,
    length_prefixed, string,
};
use crate::topic::Topic;
use core::num::NonZeroU16;

property_view! {
    /// The properties of a CONNECT (section 3.1.2.11).
    ConnectPropertiesView {
        once 0x11 session_expiry_interval: u32, "Session Expiry Interval in seconds.";
        once 0x15 authentication_method: Utf8String, "Authentication Method.";
        secret 0x16 authentication_data: BinaryData, "Authentication Data.";
        once 0x17 request_problem_information: bool, "Request Problem Information.";
        once 0x19 request_response_information: bool, "Request Response Information.";
        once 0x21 receive_maximum: NonZeroU16, "Receive Maximum.";
        once 0x22 topic_alias_maximum: u16, "Topic Alias Maximum.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
        once 0x27 maximum_packet_size: MaximumPacketSize, "Maximum Packet Size.";
    }
}

property_builders! {
    /// The properties of a CONNECT (section 3.1.2.11), but for those of the authentication, which
    /// stand in the CONNECT itself.
    ConnectProperties, ConnectPropertiesRef {
        once 0x11 session_expiry_interval: u32,
            "Session Expiry Interval: how many seconds the session outlives the connection. \
             0xFFFFFFFF: for ever. Default: 0.";
        once 0x17 request_problem_information: bool,
            "Request Problem Information: whether the server may add Reason Strings and User \
             Properties to all of its answers. Default: yes.";
        once 0x19 request_response_information: bool,
            "Request Response Information: whether the server is asked for Response Information. \
             Default: no.";
        once 0x21 receive_maximum: NonZeroU16,
            "Receive Maximum: how many messages of QoS 1 and 2 the server may have in flight. \
             Default: 65,535.";
        once 0x22 topic_alias_maximum: u16,
            "Topic Alias Maximum: how many aliases the server may use. Default: 0.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
        once 0x27 maximum_packet_size: MaximumPacketSize,
            "Maximum Packet Size that the client takes. Default: no limit.";
    }
}

property_view! {
    /// The properties of a Will (section 3.1.3.2).
    WillPropertiesView {
        once 0x01 payload_format_indicator: PayloadFormatIndicator, "Payload Format Indicator.";
        once 0x02 message_expiry_interval: u32, "Message Expiry Interval in seconds.";
        once 0x03 content_type: Utf8String, "Content Type.";
        once 0x08 response_topic: Topic, "Response Topic.";
        once 0x09 correlation_data: BinaryData, "Correlation Data.";
        once 0x18 will_delay_interval: u32, "Will Delay Interval in seconds.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

/// The message that the server publishes when the client goes without a DISCONNECT (section
/// 3.1.2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Will {
    /// Where it goes.
    pub topic: Topic,
    /// What it says.
    pub payload: BinaryData,
    /// Its QoS. Default: at most once.
    pub qos: QoS,
    /// Whether it is published as a retained message. Default: no.
    pub retain: bool,
    /// How many seconds the server waits for the client to come back. Default: 0.
    pub delay_interval: u32,
    /// Its other properties.
    pub properties: MessageProperties,
}

impl Will {
    /// A Will of QoS 0, not retained, without delay and properties.
    #[must_use]
    pub fn new(topic: Topic, payload: BinaryData) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            delay_interval: 0,
            properties: MessageProperties::default(),
        }
    }

    /// Whether the payload is what the Payload Format Indicator says it is (section 3.1.3.2.3).
    #[must_use]
    pub fn payload_fits_format(&self) -> bool {
        self.properties.payload_format_indicator != Some(PayloadFormatIndicator::Utf8)
            || core::str::from_utf8(self.payload.as_ref()).is_ok()
    }

    const fn flags(&self) -> u8 {
        will_flags(self.qos, self.retain)
    }
}

impl PutProperties for Will {
    #[inline]
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        self.properties.put(sink);
        put_delay_interval(self.delay_interval, sink);
    }
}

/// A CONNECT to be sent: the first packet of a connection.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// Whether a session that the server may hold is dropped. Default: no.
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 is off. Default: 0.
    pub keep_alive: u16,
    /// Client Identifier; empty lets the server choose one.
    pub client_id: Utf8String,
    /// The Will, if any.
    pub will: Option<Box<Will>>,
    /// User Name, if any.
    pub user_name: Option<Utf8String>,
    /// Password, if any; allowed without a User Name.
    pub password: Option<BinaryData>,
    /// Method and first data of an enhanced authentication, if any (section 4.12).
    pub authentication: Option<Authentication>,
    /// The other properties.
    pub properties: ConnectProperties,
}

impl core::fmt::Debug for Connect {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Connect")
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("authentication", &self.authentication)
            .field("properties", &self.properties)
            .finish()
    }
}

impl PutProperties for Connect {
    #[inline]
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        self.properties.put(sink);
        if let Some(authentication) = &self.authentication {
            authentication.put(sink);
        }
    }
}

impl Body for Connect {
    #[inline]
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    #[inline]
    fn body<S: Sink>(&self, sink: &mut S) {
        let will = self.will.as_deref();
        let parts = Parts {
            flags: u8::from(self.clean_start) << 1 | will.map_or(0, Will::flags),
            keep_alive: self.keep_alive,
            properties: self,
            client_id: self.client_id.as_bytes(),
            will: will.map(|will| WillParts {
                properties: will,
                topic: will.topic.as_bytes(),
                payload: will.payload.as_ref(),
            }),
            user_name: self.user_name.as_ref().map(Utf8String::as_bytes),
            password: self.password.as_ref().map(AsRef::as_ref),
        };
        parts.put(sink);
    }
}

/// A Will that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WillView<'a> {
    qos: QoS,
    retain: bool,
    properties: WillPropertiesView<'a>,
    topic: &'a str,
    payload: &'a [u8],
}

impl<'a> WillView<'a> {
    fn parse(flags: u8, qos: QoS, input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, properties) = WillPropertiesView::parse(input)?;
        let (end, topic) = string(rest)?;
        if topic.is_empty() {
            return fail(rest, Violation::TopicMissing);
        }
        if !Topic::is_valid(topic.as_bytes()) {
            return fail(rest, Violation::WildcardInTopic);
        }
        let (rest, payload) = binary(end)?;
        let retain = flags & 0x20 != 0;
        Ok((
            rest,
            Self {
                qos,
                retain,
                properties,
                topic,
                payload,
            },
        ))
    }

    /// Its QoS.
    #[must_use]
    pub const fn qos(&self) -> QoS {
        self.qos
    }

    /// Whether it is published as a retained message.
    #[must_use]
    pub const fn retain(&self) -> bool {
        self.retain
    }

    /// Its properties.
    #[must_use]
    pub const fn properties(&self) -> WillPropertiesView<'a> {
        self.properties
    }

    /// Where it goes.
    #[must_use]
    pub const fn topic(&self) -> &'a str {
        self.topic
    }

    /// What it says.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// A copy that owns its values; `None` only if a value cannot be owned, which parsing rules
    /// out.
    #[must_use]
    pub fn to_will(&self) -> Option<Will> {
        let properties = self.properties;
        Some(Will {
            topic: Topic::new(self.topic).ok()?,
            payload: BinaryData::new(Bytes::copy_from_slice(self.payload)).ok()?,
            qos: self.qos,
            retain: self.retain,
            delay_interval: properties.will_delay_interval().unwrap_or(0),
            properties: MessageProperties {
                payload_format_indicator: properties.payload_format_indicator(),
                message_expiry_interval: properties.message_expiry_interval(),
                content_type: properties
                    .content_type()
                    .and_then(|text| text.try_into().ok()),
                response_topic: properties
                    .response_topic()
                    .and_then(|text| text.try_into().ok()),
                correlation_data: properties
                    .correlation_data()
                    .and_then(|data| data.try_into().ok()),
                user_properties: properties
                    .user_properties()
                    .filter_map(|(name, value)| UserProperty::new(name, value).ok())
                    .collect(),
            },
        })
    }
}

impl PutProperties for WillView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

/// A CONNECT that was received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ConnectView<'a> {
    flags: u8,
    keep_alive: u16,
    properties: ConnectPropertiesView<'a>,
    client_id: &'a str,
    will: Option<WillView<'a>>,
    user_name: Option<&'a str>,
    password: Option<&'a [u8]>,
}

impl<'a> ConnectView<'a> {
    pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, name) = length_prefixed(body)?;
        if name != PROTOCOL_NAME {
            return fail(body, Violation::ProtocolName);
        }
        let (after_version, version) = byte(rest)?;
        if version != VERSION {
            return fail(rest, Violation::ProtocolVersion(version));
        }
        let (rest, flags) = byte(after_version)?;
        if flags & 1 != 0 {
            return fail(after_version, Violation::ConnectFlagsReserved);
        }
        let has_will = flags & 0x04 != 0;
        if !has_will && flags & 0x38 != 0 {
            return fail(after_version, Violation::WillFlagsWithoutWill);
        }
        let Some(will_qos) = QoS::from_raw(flags >> 3 & 0b11) else {
            return fail(after_version, Violation::QoS3);
        };
        let (before_properties, keep_alive) = be_u16(rest)?;
        let (rest, properties) = ConnectPropertiesView::parse(before_properties)?;
        if properties.section().has(0x16) && !properties.section().has(0x15) {
            return fail(
                before_properties,
                Violation::AuthenticationDataWithoutMethod,
            );
        }
        let (rest, client_id) = string(rest)?;
        let (rest, will) = optional(has_will, rest, |input| {
            WillView::parse(flags, will_qos, input)
        })?;
        let (rest, user_name) = optional(flags & 0x80 != 0, rest, string)?;
        let (rest, password) = optional(flags & 0x40 != 0, rest, binary)?;
        let view = Self {
            flags,
            keep_alive,
            properties,
            client_id,
            will,
            user_name,
            password,
        };
        Ok((rest, view))
    }

    /// Whether a session that the server holds is to be dropped.
    #[must_use]
    pub const fn clean_start(&self) -> bool {
        self.flags & 0x02 != 0
    }

    /// Keep Alive in seconds; 0 is off.
    #[must_use]
    pub const fn keep_alive(&self) -> u16 {
        self.keep_alive
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> ConnectPropertiesView<'a> {
        self.properties
    }

    /// Client Identifier; empty asks the server to choose one.
    #[must_use]
    pub const fn client_id(&self) -> &'a str {
        self.client_id
    }

    /// The Will, if any.
    #[must_use]
    pub const fn will(&self) -> Option<WillView<'a>> {
        self.will
    }

    /// User Name, if any.
    #[must_use]
    pub const fn user_name(&self) -> Option<&'a str> {
        self.user_name
    }

    /// Password, if any.
    #[must_use]
    pub const fn password(&self) -> Option<&'a [u8]> {
        self.password
    }

    /// Method and data of an enhanced authentication, if the client asks for one.
    #[must_use]
    pub fn authentication(&self) -> Option<Authentication> {
        let properties = self.properties;
        authentication(
            properties.authentication_method(),
            properties.authentication_data(),
        )
    }
}

fn optional<'a, T>(
    present: bool,
    input: &'a [u8],
    parse: impl FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Parsed<'a, Option<T>> {
    if !present {
        return Ok((input, None));
    }
    let (rest, value) = parse(input)?;
    Ok((rest, Some(value)))
}

impl core::fmt::Debug for ConnectView<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ConnectView")
            .field("clean_start", &self.clean_start())
            .field("keep_alive", &self.keep_alive)
            .field("properties", &self.properties)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| "…"))
            .finish()
    }
}

impl PutProperties for ConnectView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for ConnectView<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        let parts = Parts {
            flags: self.flags,
            keep_alive: self.keep_alive,
            properties: self,
            client_id: self.client_id.as_bytes(),
            will: self.will.as_ref().map(|will| WillParts {
                properties: will,
                topic: will.topic.as_bytes(),
                payload: will.payload,
            }),
            user_name: self.user_name.map(str::as_bytes),
            password: self.password,
        };
        parts.put(sink);
    }
}
