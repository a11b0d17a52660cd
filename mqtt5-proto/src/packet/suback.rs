//! SUBACK and UNSUBACK (sections 3.9 and 3.11): one layout, two packets.

use super::{
    AckProperties, AckPropertiesView, Body, PacketId, PacketType, Parsed, ReasonCode, Received,
    Sink, SubackReasonCode, UnsubackReasonCode, Violation, fail, untabled,
};
use crate::codec::{Fault, PutProperties};

macro_rules! answer_packet {
    ($(#[$doc:meta])* $Name:ident, $View:ident, $Reason:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $Name<'a> {
            /// The Packet Identifier of the request.
            pub packet_id: PacketId,
            /// One reason code per filter, in order.
            pub reason_codes: &'a [$Reason],
            /// Properties, if any.
            pub properties: Option<&'a AckProperties>,
        }

        impl PutProperties for $Name<'_> {
            fn put_properties<S: Sink>(&self, sink: &mut S) {
                if let Some(properties) = self.properties {
                    properties.put(sink);
                }
            }
        }

        impl Body for $Name<'_> {
            fn first_byte(&self) -> u8 {
                PacketType::$Name.first_byte()
            }

            fn body<S: Sink>(&self, sink: &mut S) {
                sink.be_u16(self.packet_id.get());
                sink.section(self);
                for code in self.reason_codes {
                    sink.byte(code.raw());
                }
            }
        }

        $(#[$doc])*
        ///
        /// A view of what was received.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $View<'a> {
            packet_id: PacketId,
            properties: AckPropertiesView<'a>,
            codes: &'a [u8],
        }

        impl<'a> $View<'a> {
            pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
                let (rest, packet_id) = PacketId::parse(body)?;
                let (codes, properties) = AckPropertiesView::parse(rest)?;
                for (index, &raw) in codes.iter().enumerate() {
                    // A failure that the standard does not list is a failure all the same.
                    if raw < 0x80 && $Reason::from_raw(raw).is_none() {
                        return fail(&codes[index..], Violation::ReasonCode(raw));
                    }
                }
                Ok((&codes[codes.len()..], Self { packet_id, properties, codes }))
            }

            /// What is read leniently although the standard forbids it.
            pub(super) fn tolerated(&self) -> Option<Fault<'a>> {
                if self.codes.is_empty() {
                    return Some(Fault { at: self.codes, violation: Violation::Truncated });
                }
                self.codes.iter().enumerate().find_map(|(index, &raw)| {
                    untabled(Received::<$Reason>::from_raw(raw), self.codes, index)
                })
            }

            /// The Packet Identifier of the request.
            #[must_use]
            pub const fn packet_id(&self) -> PacketId {
                self.packet_id
            }

            /// The properties.
            #[must_use]
            pub const fn properties(&self) -> AckPropertiesView<'a> {
                self.properties
            }

            /// One reason code per filter, in order. A wrong number of them fails the request and
            /// not the connection, so any number parses.
            pub fn reason_codes(
                &self,
            ) -> impl ExactSizeIterator<Item = Received<$Reason>> + use<'a> {
                self.codes.iter().map(|&raw| Received::from_raw(raw))
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
                sink.section(self);
                sink.slice(self.codes);
            }
        }
    };
}

answer_packet! {
    /// The answer to a SUBSCRIBE (section 3.9).
    Suback, SubackView, SubackReasonCode
}
answer_packet! {
    /// The answer to an UNSUBSCRIBE (section 3.11).
    Unsuback, UnsubackView, UnsubackReasonCode
}
