//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7): one layout, four packets.

use alloc::boxed::Box;

use super::{
    AckProperties, AckPropertiesView, Body, PacketId, PacketType, Parsed, PublishReasonCode,
    ReasonCode, Received, ReleaseReasonCode, Sink, Violation, fail,
};
use crate::codec::PutProperties;

/// Parses an acknowledgement in any of its forms: 2 bytes, 3 bytes, or with properties.
#[inline]
fn parse_ack<R: ReasonCode>(
    body: &[u8],
    accept: fn(Received<R>) -> bool,
) -> Parsed<'_, (PacketId, Received<R>, AckPropertiesView<'_>)> {
    let (rest, id) = PacketId::parse(body)?;
    let [raw, properties @ ..] = rest else {
        return Ok((
            rest,
            (id, Received::from_raw(0), AckPropertiesView::default()),
        ));
    };
    let reason = Received::from_raw(*raw);
    if !accept(reason) {
        return fail(rest, Violation::ReasonCode(*raw));
    }
    if properties.is_empty() {
        return Ok((properties, (id, reason, AckPropertiesView::default())));
    }
    let (rest, properties) = AckPropertiesView::parse(properties)?;
    Ok((rest, (id, reason, properties)))
}

macro_rules! ack_packet {
    ($(#[$doc:meta])* $Name:ident, $View:ident, $Reason:ident, $accept:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Name {
            /// The Packet Identifier of the exchange.
            pub packet_id: PacketId,
            /// The reason code.
            pub reason_code: $Reason,
            /// Properties, if any.
            pub properties: Option<Box<AckProperties>>,
        }

        impl $Name {
            /// With a reason code and no properties.
            #[must_use]
            pub const fn new(packet_id: PacketId, reason_code: $Reason) -> Self {
                Self { packet_id, reason_code, properties: None }
            }

            /// The packet in its shortest form: success, and nothing besides.
            #[inline]
            pub(crate) const fn plain(packet_id: PacketId) -> [u8; 4] {
                let [high, low] = packet_id.get().to_be_bytes();
                [PacketType::$Name.first_byte(), 2, high, low]
            }
        }

        $(#[$doc])*
        ///
        /// A view of what was received.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $View<'a> {
            packet_id: PacketId,
            reason_code: Received<$Reason>,
            properties: AckPropertiesView<'a>,
        }

        impl<'a> $View<'a> {
            #[inline]
            pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
                let (rest, (packet_id, reason_code, properties)) = parse_ack(body, $accept)?;
                Ok((rest, Self { packet_id, reason_code, properties }))
            }

            /// The Packet Identifier of the exchange.
            #[must_use]
            pub const fn packet_id(&self) -> PacketId {
                self.packet_id
            }

            /// The reason code.
            #[must_use]
            pub const fn reason_code(&self) -> Received<$Reason> {
                self.reason_code
            }

            /// The properties.
            #[must_use]
            pub const fn properties(&self) -> AckPropertiesView<'a> {
                self.properties
            }
        }

        impl PutProperties for $Name {
            fn put_properties<S: Sink>(&self, sink: &mut S) {
                if let Some(properties) = &self.properties {
                    properties.put(sink);
                }
            }
        }

        impl Body for $Name {
            #[inline]
            fn first_byte(&self) -> u8 {
                PacketType::$Name.first_byte()
            }

            #[inline]
            fn body<S: Sink>(&self, sink: &mut S) {
                sink.be_u16(self.packet_id.get());
                self.put_short_form(self.reason_code.raw(), sink);
            }
        }

        impl PutProperties for $View<'_> {
            fn put_properties<S: Sink>(&self, sink: &mut S) {
                sink.slice(self.properties.as_bytes());
            }
        }

        impl Body for $View<'_> {
            fn first_byte(&self) -> u8 {
                PacketType::$Name.first_byte()
            }

            fn body<S: Sink>(&self, sink: &mut S) {
                sink.be_u16(self.packet_id.get());
                self.put_short_form(self.reason_code.raw(), sink);
            }
        }
    };
}

/// A failure that the standard does not list is a failure all the same.
fn tabled_or_error<R: ReasonCode>(reason: Received<R>) -> bool {
    reason.tabled().is_some() || reason.is_error()
}

fn tabled<R: ReasonCode>(reason: Received<R>) -> bool {
    reason.tabled().is_some()
}

ack_packet! {
    /// The answer to a PUBLISH of QoS 1 (section 3.4).
    Puback, PubackView, PublishReasonCode, tabled_or_error
}
ack_packet! {
    /// The first answer to a PUBLISH of QoS 2 (section 3.5).
    Pubrec, PubrecView, PublishReasonCode, tabled_or_error
}
ack_packet! {
    /// The answer to a PUBREC (section 3.6).
    Pubrel, PubrelView, ReleaseReasonCode, tabled
}
ack_packet! {
    /// The answer to a PUBREL; it ends an exchange of QoS 2 (section 3.7).
    Pubcomp, PubcompView, ReleaseReasonCode, tabled_or_error
}
