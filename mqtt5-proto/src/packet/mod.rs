//! The 15 packets: views of what came in (`…View`), builders of what goes out.
//!
//! A view is validated when it is made and borrows from the bytes of its packet; reading it costs
//! no allocation. A builder is written by [`Encode`](crate::codec::Encode). Views can be written
//! too, in minimal form.
//!
//! PUBLISH and CONNECT have a second builder (`…Ref`), of values that are borrowed: for those who
//! write them from values that they hold anyway, as a server or a gateway does, without a copy and
//! without an allocation. What it holds is checked when it is written.

// First, because the others use its macros.
#[macro_use]
pub(crate) mod property;

mod ack;
mod auth;
mod connack;
mod connect;
mod connect_layout;
mod connect_ref;
mod disconnect;
mod message;
mod ping;
mod publish;
mod publish_ref;
mod reason;
mod received_publish;
mod suback;
mod subscribe;

use core::num::NonZeroU16;

pub use ack::{Puback, PubackView, Pubcomp, PubcompView, Pubrec, PubrecView, Pubrel, PubrelView};
pub use auth::{Auth, AuthProperties, AuthPropertiesView, AuthView, Authentication};
pub use connack::{Connack, ConnackProperties, ConnackPropertiesView, ConnackView};
pub use connect::{
    Connect, ConnectProperties, ConnectPropertiesRef, ConnectPropertiesView, ConnectView, Will,
    WillPropertiesView, WillView,
};
pub use connect_ref::{AuthenticationRef, ConnectRef, WillRef};
pub use disconnect::{Disconnect, DisconnectProperties, DisconnectPropertiesView, DisconnectView};
pub use message::{ApplicationMessage, MessageProperties, MessagePropertiesRef};
pub use ping::{Pingreq, Pingresp};
pub use property::{
    AckProperties, AckPropertiesView, PayloadFormatIndicator, SubscriptionIdentifier, TopicAlias,
    UserProperty,
};
pub use publish::{Delivery, Publish, PublishPropertiesView, PublishTopic, PublishView};
pub use publish_ref::PublishRef;
pub use reason::{
    AuthReasonCode, ConnackReasonCode, DisconnectReasonCode, PublishReasonCode, ReasonCode,
    Received, ReleaseReasonCode, Role, SubackReasonCode, UnsubackReasonCode,
};
pub use received_publish::ReceivedPublish;
pub use suback::{Suback, SubackView, Unsuback, UnsubackView};
pub use subscribe::{
    NoLocalOnShared, RetainHandling, Subscribe, SubscribePropertiesView, SubscribeView,
    Subscription, SubscriptionView, Unsubscribe, UnsubscribePropertiesView, UnsubscribeView,
};

use crate::codec::{
    Body, DataTypeError, DecodeError, Fault, FixedHeader, PacketTooLarge, Parsed, Sink, Violation,
    be_u16, fail,
};
use crate::topic::TopicError;

/// Why a packet of borrowed values cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A topic name breaks a rule of section 4.7.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// A string or binary data cannot be written.
    #[error(transparent)]
    Data(#[from] DataTypeError),
    /// The packet is larger than the protocol can tell.
    #[error(transparent)]
    PacketTooLarge(#[from] PacketTooLarge),
}

/// How often a message is to arrive (section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QoS {
    /// QoS 0: at most once; sent once and not acknowledged.
    #[default]
    AtMostOnce = 0,
    /// QoS 1: at least once; acknowledged, may come more than once.
    AtLeastOnce = 1,
    /// QoS 2: exactly once.
    ExactlyOnce = 2,
}

impl QoS {
    /// `None` above 2.
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        match raw {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A Packet Identifier (section 2.2.1): 1 to 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketId(NonZeroU16);

impl PacketId {
    /// `None` for 0.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, value) = be_u16(input)?;
        match Self::new(value) {
            Some(id) => Ok((rest, id)),
            None => fail(input, Violation::PacketIdZero),
        }
    }
}

impl core::fmt::Display for PacketId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// The kind of a packet (section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names of the protocol")]
pub enum PacketType {
    Connect = 1,
    Connack = 2,
    Publish = 3,
    Puback = 4,
    Pubrec = 5,
    Pubrel = 6,
    Pubcomp = 7,
    Subscribe = 8,
    Suback = 9,
    Unsubscribe = 10,
    Unsuback = 11,
    Pingreq = 12,
    Pingresp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// The type with this number; `None` for 0 and above 15.
    #[inline]
    #[must_use]
    pub const fn from_raw(raw: u8) -> Option<Self> {
        Some(match raw {
            1 => Self::Connect,
            2 => Self::Connack,
            3 => Self::Publish,
            4 => Self::Puback,
            5 => Self::Pubrec,
            6 => Self::Pubrel,
            7 => Self::Pubcomp,
            8 => Self::Subscribe,
            9 => Self::Suback,
            10 => Self::Unsubscribe,
            11 => Self::Unsuback,
            12 => Self::Pingreq,
            13 => Self::Pingresp,
            14 => Self::Disconnect,
            15 => Self::Auth,
            _ => return None,
        })
    }

    /// The flags that the fixed header must have; those of a PUBLISH vary (section 2.1.3).
    #[must_use]
    pub const fn reserved_flags(self) -> u8 {
        match self {
            Self::Pubrel | Self::Subscribe | Self::Unsubscribe => 0b0010,
            _ => 0,
        }
    }

    /// The name as the standard writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Connack => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::Puback => "PUBACK",
            Self::Pubrec => "PUBREC",
            Self::Pubrel => "PUBREL",
            Self::Pubcomp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::Suback => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Unsuback => "UNSUBACK",
            Self::Pingreq => "PINGREQ",
            Self::Pingresp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    pub(crate) const fn first_byte(self) -> u8 {
        (self as u8) << 4 | self.reserved_flags()
    }
}

impl core::fmt::Display for PacketType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! packets {
    ($($Variant:ident($View:ty),)*) => {
        /// A received packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the names of the protocol")]
        pub enum Packet<'a> {
            $($Variant($View),)*
        }

        impl Packet<'_> {
            /// The kind of packet.
            #[must_use]
            pub const fn packet_type(&self) -> PacketType {
                match self { $(Self::$Variant(_) => PacketType::$Variant,)* }
            }
        }

        impl Body for Packet<'_> {
            fn first_byte(&self) -> u8 {
                match self { $(Self::$Variant(packet) => packet.first_byte(),)* }
            }

            fn body<S: Sink>(&self, sink: &mut S) {
                match self { $(Self::$Variant(packet) => packet.body(sink),)* }
            }

            fn tail(&self) -> &[u8] {
                match self { $(Self::$Variant(packet) => packet.tail(),)* }
            }
        }

        #[inline]
        fn parse_body<'a>(header: FixedHeader, body: &'a [u8]) -> Parsed<'a, Packet<'a>> {
            match header.packet_type() {
                $(PacketType::$Variant => {
                    let (rest, packet) = <$View>::parse(header.flags(), body)?;
                    Ok((rest, Packet::$Variant(packet)))
                })*
            }
        }
    };
}

packets! {
    Connect(ConnectView<'a>),
    Connack(ConnackView<'a>),
    Publish(PublishView<'a>),
    Puback(PubackView<'a>),
    Pubrec(PubrecView<'a>),
    Pubrel(PubrelView<'a>),
    Pubcomp(PubcompView<'a>),
    Subscribe(SubscribeView<'a>),
    Suback(SubackView<'a>),
    Unsubscribe(UnsubscribeView<'a>),
    Unsuback(UnsubackView<'a>),
    Pingreq(Pingreq),
    Pingresp(Pingresp),
    Disconnect(DisconnectView<'a>),
    Auth(AuthView<'a>),
}

impl<'a> Packet<'a> {
    /// Reads one whole packet, fixed header included, in one pass.
    ///
    /// What any publisher could push through a careless broker does not make a packet bad: a
    /// Payload Format Indicator or Response Topic that is not legal reads as absent, and a topic
    /// name with a wildcard is told by [`PublishView::has_valid_topic`].
    /// [`parse_strict`](Self::parse_strict) refuses these too.
    ///
    /// # Errors
    /// [`DecodeError`] names the rule that `packet` breaks and the offset of the offending field;
    /// also if `packet` holds less or more than one packet.
    #[inline]
    pub fn parse(packet: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, body) = split_header(packet)?;
        let error = |fault: Fault<'_>| fault.in_packet(packet, header.packet_type());
        if header.packet_type() == PacketType::Publish {
            // Most packets are of this kind, and it takes all of the body.
            return match PublishView::new(header.flags(), body) {
                Ok(publish) => Ok(Self::Publish(publish)),
                Err(fault) => Err(error(Fault::from(fault))),
            };
        }
        let (rest, view) = parse_body(header, body).map_err(|fault| error(Fault::from(fault)))?;
        if !rest.is_empty() {
            return Err(error(Fault {
                at: rest,
                violation: Violation::TrailingBytes,
            }));
        }
        Ok(view)
    }

    /// Like [`parse`](Self::parse), but refuses all that the standard forbids: for servers and for
    /// testing peers.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); also for
    /// - a PUBLISH with an illegal Payload Format Indicator, Response Topic or topic name,
    /// - a CONNACK with Maximum QoS 2, with a session in a refusal, with Authentication Data but
    ///   no method, or without a Property Length,
    /// - a reason code that the standard does not list for the packet, and a SUBACK or UNSUBACK
    ///   without any,
    /// - an AUTH without an Authentication Method.
    pub fn parse_strict(packet: &'a [u8]) -> Result<Self, DecodeError> {
        let view = Self::parse(packet)?;
        let (_, body) = split_header(packet)?;
        let fault = match &view {
            Self::Publish(publish) => publish.tolerated(body),
            Self::Connack(connack) => connack.tolerated(body),
            Self::Puback(puback) => untabled(puback.reason_code(), body, 2),
            Self::Pubrec(pubrec) => untabled(pubrec.reason_code(), body, 2),
            Self::Pubcomp(pubcomp) => untabled(pubcomp.reason_code(), body, 2),
            Self::Disconnect(disconnect) => untabled(disconnect.reason_code(), body, 0),
            Self::Suback(suback) => suback.tolerated(),
            Self::Unsuback(unsuback) => unsuback.tolerated(),
            Self::Auth(auth) => auth.tolerated(body),
            _ => None,
        };
        match fault {
            None => Ok(view),
            Some(fault) => Err(fault.in_packet(packet, view.packet_type())),
        }
    }
}

/// The fixed header and what follows it, of exactly one packet.
#[inline]
fn split_header(packet: &[u8]) -> Result<(FixedHeader, &[u8]), DecodeError> {
    let error = |violation, packet_type, offset| {
        Err(DecodeError {
            violation,
            packet: packet_type,
            offset,
        })
    };
    let Some(header) = FixedHeader::parse(packet)? else {
        let packet_type = packet
            .first()
            .and_then(|first| PacketType::from_raw(first >> 4));
        return error(Violation::Truncated, packet_type, packet.len());
    };
    let packet_type = Some(header.packet_type());
    if packet.len() < header.packet_size() {
        return error(Violation::Truncated, packet_type, packet.len());
    }
    if packet.len() > header.packet_size() {
        return error(Violation::TrailingBytes, packet_type, header.packet_size());
    }
    let body = packet.get(header.header_len()..).unwrap_or_default();
    Ok((header, body))
}

/// The fault of a code that is not in the table of its packet, and stands at `start` of `body`.
fn untabled<R: ReasonCode>(code: Received<R>, body: &[u8], start: usize) -> Option<Fault<'_>> {
    code.tabled().is_none().then(|| Fault {
        at: body.get(start..).unwrap_or_default(),
        violation: Violation::ReasonCode(code.raw()),
    })
}
