//! CONNACK (section 3.2).

use core::num::NonZeroU16;

use super::{
    Body, ConnackReasonCode, PacketType, Parsed, QoS, Received, Sink, UserProperty, Violation,
    fail, untabled,
};
use crate::codec::{BinaryData, Fault, MaximumPacketSize, PutProperties, Utf8String, byte};

property_set! {
    /// The properties of a CONNACK (section 3.2.2.3).
    ConnackPropertiesView, ConnackProperties {
        once 0x11 session_expiry_interval: u32,
            "Session Expiry Interval in seconds. Absent: as the client asked.";
        once 0x12 assigned_client_identifier: Utf8String,
            "Assigned Client Identifier: the identifier that the server chose.";
        once 0x13 server_keep_alive: u16,
            "Server Keep Alive in seconds; it replaces the client's. 0 is off.";
        once 0x15 authentication_method: Utf8String, "Authentication Method.";
        secret 0x16 authentication_data: BinaryData, "Authentication Data.";
        once 0x1A response_information: Utf8String,
            "Response Information: a basis for the names of response topics.";
        once 0x1C server_reference: Utf8String,
            "Server Reference: other servers to use, separated by spaces.";
        once 0x1F reason_string: Utf8String,
            "Reason String: text for people, to be logged and not parsed.";
        once 0x21 receive_maximum: NonZeroU16,
            "Receive Maximum: how many messages of QoS 1 and 2 the client may have in flight. \
             Default: 65,535.";
        once 0x22 topic_alias_maximum: u16,
            "Topic Alias Maximum: how many aliases the client may use. Default: 0.";
        once 0x24 maximum_qos: QoS, "Maximum QoS that the client may publish at. Default: 2.";
        once 0x25 retain_available: bool, "Whether the server keeps retained messages. Default: yes.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
        once 0x27 maximum_packet_size: MaximumPacketSize,
            "Maximum Packet Size that the server takes. Default: no limit.";
        once 0x28 wildcard_subscription_available: bool,
            "Whether the server takes filters with wildcards. Default: yes.";
        once 0x29 subscription_identifier_available: bool,
            "Whether the server takes Subscription Identifiers. Default: yes.";
        once 0x2A shared_subscription_available: bool,
            "Whether the server takes shared subscriptions. Default: yes.";
    }
}

/// A CONNACK to be sent: the answer to a CONNECT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connack {
    /// Whether the server goes on with a session that it held; must be `false` in a refusal
    /// (`3.2.2-6`), and is written so.
    pub session_present: bool,
    /// The verdict.
    pub reason_code: ConnackReasonCode,
    /// Properties.
    pub properties: ConnackProperties,
}

impl PutProperties for Connack {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        self.properties.put(sink);
    }
}

impl Body for Connack {
    fn first_byte(&self) -> u8 {
        PacketType::Connack.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.byte(u8::from(
            self.session_present && !self.reason_code.is_error(),
        ));
        sink.byte(self.reason_code.raw());
        sink.section(self);
    }
}

/// A CONNACK that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnackView<'a> {
    session_present: bool,
    reason_code: Received<ConnackReasonCode>,
    properties: ConnackPropertiesView<'a>,
}

impl<'a> ConnackView<'a> {
    pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, flags) = byte(body)?;
        if flags & 0xFE != 0 {
            return fail(body, Violation::ConnackFlagsReserved);
        }
        let (rest, raw) = byte(rest)?;
        let session_present = flags & 1 != 0;
        let reason_code = Received::from_raw(raw);
        // A server of MQTT 3.1.1 refuses without a Property Length.
        if rest.is_empty() && matches!(raw, 1..=5 | 0x80..) {
            let properties = ConnackPropertiesView::default();
            return Ok((
                rest,
                Self {
                    session_present,
                    reason_code,
                    properties,
                },
            ));
        }
        let (rest, properties) = ConnackPropertiesView::parse(rest)?;
        Ok((
            rest,
            Self {
                session_present,
                reason_code,
                properties,
            },
        ))
    }

    /// Whether the server goes on with a session that it held.
    #[must_use]
    pub const fn session_present(&self) -> bool {
        self.session_present
    }

    /// The verdict.
    #[must_use]
    pub const fn reason_code(&self) -> Received<ConnackReasonCode> {
        self.reason_code
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> ConnackPropertiesView<'a> {
        self.properties
    }

    /// Whether the answer is one of MQTT 3.1.1, whose refusals have the codes 1 to 5.
    #[must_use]
    pub fn is_v3(&self) -> bool {
        matches!(self.reason_code.raw(), 1..=5)
    }

    /// What is read leniently although the standard forbids it.
    pub(super) fn tolerated(&self, body: &'a [u8]) -> Option<Fault<'a>> {
        let properties = self.properties;
        // Behind flags and reason code; empty if a server of MQTT 3.1.1 answers.
        let behind = body.get(2..).unwrap_or_default();
        let (at, violation) = if let Some(fault) = untabled(self.reason_code, body, 1) {
            return Some(fault);
        } else if behind.is_empty() {
            (behind, Violation::Truncated)
        } else if self.session_present && self.reason_code.is_error() {
            (body, Violation::SessionPresentInRefusal)
        } else if properties.maximum_qos() == Some(QoS::ExactlyOnce) {
            (properties.locate(0x24)?, Violation::PropertyValue(0x24))
        } else if properties.section().has(0x16) && !properties.section().has(0x15) {
            (behind, Violation::AuthenticationDataWithoutMethod)
        } else {
            return None;
        };
        Some(Fault { at, violation })
    }
}

impl PutProperties for ConnackView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for ConnackView<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Connack.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.byte(u8::from(self.session_present));
        sink.byte(self.reason_code.raw());
        sink.section(self);
    }
}
