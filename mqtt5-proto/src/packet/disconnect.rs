//! DISCONNECT (section 3.14).

use alloc::boxed::Box;

use super::{Body, DisconnectReasonCode, PacketType, Parsed, Received, Sink, UserProperty};
use crate::codec::{PutProperties, Utf8String};

property_set! {
    /// The properties of a DISCONNECT (section 3.14.2.2).
    DisconnectPropertiesView, DisconnectProperties {
        once 0x11 session_expiry_interval: u32,
            "Session Expiry Interval in seconds; from a client only (`3.14.2-2`). Absent: \
             unchanged.";
        once 0x1C server_reference: Utf8String,
            "Server Reference: other servers to use, separated by spaces. From a server only.";
        once 0x1F reason_string: Utf8String,
            "Reason String: text for people, to be logged and not parsed.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

/// A DISCONNECT to be sent: the last packet of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disconnect {
    /// Why the connection ends.
    pub reason_code: DisconnectReasonCode,
    /// Properties, if any.
    pub properties: Option<Box<DisconnectProperties>>,
}

impl Disconnect {
    /// With a reason code and no properties.
    #[must_use]
    pub const fn new(reason_code: DisconnectReasonCode) -> Self {
        Self {
            reason_code,
            properties: None,
        }
    }
}

impl PutProperties for Disconnect {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        if let Some(properties) = &self.properties {
            properties.put(sink);
        }
    }
}

impl Body for Disconnect {
    fn first_byte(&self) -> u8 {
        PacketType::Disconnect.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        self.put_short_form(self.reason_code.raw(), sink);
    }
}

/// A DISCONNECT that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisconnectView<'a> {
    reason_code: Received<DisconnectReasonCode>,
    properties: DisconnectPropertiesView<'a>,
}

impl<'a> DisconnectView<'a> {
    pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        let [raw, rest @ ..] = body else {
            let reason_code = Received::from_raw(0);
            let properties = DisconnectPropertiesView::default();
            return Ok((
                body,
                Self {
                    reason_code,
                    properties,
                },
            ));
        };
        let reason_code = Received::from_raw(*raw);
        if rest.is_empty() {
            let properties = DisconnectPropertiesView::default();
            return Ok((
                rest,
                Self {
                    reason_code,
                    properties,
                },
            ));
        }
        let (rest, properties) = DisconnectPropertiesView::parse(rest)?;
        Ok((
            rest,
            Self {
                reason_code,
                properties,
            },
        ))
    }

    /// Why the connection ends.
    #[must_use]
    pub const fn reason_code(&self) -> Received<DisconnectReasonCode> {
        self.reason_code
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> DisconnectPropertiesView<'a> {
        self.properties
    }
}

impl PutProperties for DisconnectView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for DisconnectView<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Disconnect.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        self.put_short_form(self.reason_code.raw(), sink);
    }
}
