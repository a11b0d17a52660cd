//! What a peer can do wrong in a packet, with the reason code that answers it.

use crate::packet::PacketType;

/// A rule of MQTT 5.0 that received bytes break.
///
/// [`Violation::reason_code`] tells the code for the DISCONNECT (or CONNACK) that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// Packet type 0 is reserved (section 2.1.2).
    #[error("packet type 0 is reserved")]
    ReservedPacketType,
    /// The flags of the fixed header differ from the tabled value (`2.1.3-1`).
    #[error("the flags of the fixed header are not those of the packet type")]
    FixedHeaderFlags,
    /// Both QoS bits of a PUBLISH or a Will are set (`3.3.1-4`, `3.1.2-12`).
    #[error("QoS 3 does not exist")]
    QoS3,
    /// A PUBLISH of QoS 0 with DUP (`3.3.1-2`).
    #[error("DUP is set on a PUBLISH of QoS 0")]
    DupOnQoS0,
    /// A Variable Byte Integer of more than four bytes (section 1.5.5).
    #[error("a Variable Byte Integer takes more than four bytes")]
    VariableByteIntegerTooLong,
    /// A Variable Byte Integer that is not in its shortest form (`1.5.5-1`).
    #[error("a Variable Byte Integer is not in its shortest form")]
    VariableByteIntegerNotMinimal,
    /// A field runs over the end of the packet or of the property section.
    #[error("a field runs over the end of its packet or property section")]
    Truncated,
    /// Bytes are left over after the last field.
    #[error("bytes are left over after the last field")]
    TrailingBytes,
    /// A string is not well-formed UTF-8 (`1.5.4-1`).
    #[error("a string is not well-formed UTF-8")]
    InvalidUtf8,
    /// A string holds U+0000 (`1.5.4-2`).
    #[error("a string holds U+0000")]
    NulInString,
    /// A property that does not exist or does not belong in this packet (section 2.2.2.2).
    #[error("property {0:#04x} does not exist or does not belong here")]
    PropertyNotAllowed(u8),
    /// A property that may stand once stands twice (section 2.2.2.2).
    #[error("property {0:#04x} stands more than once")]
    DuplicateProperty(u8),
    /// A property has a value that it may not have.
    #[error("property {0:#04x} has a value that is not allowed")]
    PropertyValue(u8),
    /// Topic Alias 0 or above the announced maximum (`3.3.2-8`, section 3.3.4).
    #[error("the Topic Alias is 0 or above the Topic Alias Maximum")]
    TopicAliasInvalid,
    /// A topic that is empty, with no Topic Alias or one that stands for nothing (section 3.3.4).
    #[error("the topic is empty and no Topic Alias stands for one")]
    TopicMissing,
    /// A topic name with a wildcard (`3.3.2-2`).
    #[error("a topic name holds a wildcard")]
    WildcardInTopic,
    /// A topic filter that breaks the rules of section 4.7 or 4.8.
    #[error("a topic filter breaks the rules of section 4.7 or 4.8")]
    TopicFilterInvalid,
    /// Packet Identifier 0 (`2.2.1-3`).
    #[error("the Packet Identifier is 0")]
    PacketIdZero,
    /// A packet larger than the announced Maximum Packet Size (`3.1.2-24`, `3.2.2-15`).
    #[error("the packet is larger than the announced Maximum Packet Size")]
    PacketTooLarge,
    /// A reason code that does not belong in this packet.
    #[error("reason code {0:#04x} does not belong here")]
    ReasonCode(u8),
    /// A SUBSCRIBE or UNSUBSCRIBE without a filter (`3.8.3-2`, `3.10.3-2`).
    #[error("there is no topic filter")]
    NoTopicFilter,
    /// The reserved bits of the Subscription Options are set (`3.8.3-5`).
    #[error("reserved bits of the Subscription Options are set")]
    SubscriptionOptionsReserved,
    /// QoS 3 or Retain Handling 3 in the Subscription Options (section 3.8.3.1).
    #[error("the Subscription Options hold QoS 3 or Retain Handling 3")]
    SubscriptionOptions,
    /// No Local on a shared subscription (`3.8.3-4`).
    #[error("No Local is set on a shared subscription")]
    NoLocalOnShared,
    /// The protocol name is not `MQTT` (`3.1.2-1`).
    #[error("the protocol name is not MQTT")]
    ProtocolName,
    /// The protocol version is not 5 (`3.1.2-2`).
    #[error("protocol version {0} is not 5")]
    ProtocolVersion(u8),
    /// The reserved bit of the Connect Flags is set (`3.1.2-3`).
    #[error("the reserved bit of the Connect Flags is set")]
    ConnectFlagsReserved,
    /// Will QoS or Will Retain without a Will (`3.1.2-11`, `3.1.2-13`).
    #[error("Will QoS or Will Retain is set without a Will")]
    WillFlagsWithoutWill,
    /// Bits 7 to 1 of the Connect Acknowledge Flags are set (`3.2.2-1`).
    #[error("reserved bits of the Connect Acknowledge Flags are set")]
    ConnackFlagsReserved,
    /// A CONNACK that refuses and tells of a session (`3.2.2-6`).
    #[error("a refusal says that there is a session")]
    SessionPresentInRefusal,
    /// Authentication Data without an Authentication Method (section 3.1.2.11.10).
    #[error("there is Authentication Data but no Authentication Method")]
    AuthenticationDataWithoutMethod,
    /// An AUTH without an Authentication Method (section 3.15.2.2.2).
    #[error("an AUTH has no Authentication Method")]
    AuthenticationMethodMissing,
    /// The Authentication Method differs from that of the CONNECT (`4.12.0-5`).
    #[error("the Authentication Method is not that of the CONNECT")]
    AuthenticationMethodMismatch,
    /// A packet that may not come in this phase of the connection or from this side.
    #[error("the packet may not come in this phase or from this side")]
    UnexpectedPacket,
    /// An acknowledgement of another kind than the exchange waits for.
    #[error("the acknowledgement is not of the kind that its exchange waits for")]
    WrongAcknowledgement,
    /// More QoS 1 and 2 messages in flight than the announced Receive Maximum (`3.3.4-9`).
    #[error("more messages are in flight than the announced Receive Maximum allows")]
    ReceiveMaximumExceeded,
    /// A Reason String or User Property though Request Problem Information was 0 (`3.1.2-29`).
    #[error("problem information was sent though it was not requested")]
    UnrequestedProblemInformation,
}

impl Violation {
    /// The reason code of the DISCONNECT or CONNACK that answers this violation.
    #[must_use]
    pub const fn reason_code(self) -> u8 {
        match self {
            Self::ReservedPacketType
            | Self::FixedHeaderFlags
            | Self::QoS3
            | Self::DupOnQoS0
            | Self::VariableByteIntegerTooLong
            | Self::VariableByteIntegerNotMinimal
            | Self::Truncated
            | Self::TrailingBytes
            | Self::InvalidUtf8
            | Self::NulInString
            | Self::PropertyNotAllowed(_)
            | Self::SubscriptionOptionsReserved
            | Self::ConnectFlagsReserved
            | Self::WillFlagsWithoutWill
            | Self::ConnackFlagsReserved => 0x81,
            Self::ProtocolName | Self::ProtocolVersion(_) => 0x84,
            Self::ReceiveMaximumExceeded => 0x93,
            Self::TopicAliasInvalid => 0x94,
            Self::PacketTooLarge => 0x95,
            Self::DuplicateProperty(_)
            | Self::PropertyValue(_)
            | Self::TopicMissing
            | Self::WildcardInTopic
            | Self::TopicFilterInvalid
            | Self::PacketIdZero
            | Self::ReasonCode(_)
            | Self::NoTopicFilter
            | Self::SubscriptionOptions
            | Self::NoLocalOnShared
            | Self::SessionPresentInRefusal
            | Self::AuthenticationDataWithoutMethod
            | Self::AuthenticationMethodMissing
            | Self::AuthenticationMethodMismatch
            | Self::UnexpectedPacket
            | Self::WrongAcknowledgement
            | Self::UnrequestedProblemInformation => 0x82,
        }
    }
}

/// A peer's violation: which rule, in which packet, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{violation} (in {}, at byte {offset})", packet_name(*.packet))]
pub struct DecodeError {
    /// The rule that was broken.
    pub violation: Violation,
    /// The kind of packet; `None` if the first byte names none.
    pub packet: Option<PacketType>,
    /// Where in the packet, counted in bytes from the start of its fixed header.
    pub offset: usize,
}

impl DecodeError {
    /// The reason code of the DISCONNECT or CONNACK that answers this error.
    #[must_use]
    pub const fn reason_code(&self) -> u8 {
        self.violation.reason_code()
    }
}

fn packet_name(packet: Option<PacketType>) -> &'static str {
    packet.map_or("an unknown packet", PacketType::name)
}

/// A violation together with the input at which it was seen; becomes a [`DecodeError`] once the
/// start of the packet is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault<'a> {
    pub at: &'a [u8],
    pub violation: Violation,
}

impl Fault<'_> {
    pub(crate) fn in_packet(self, packet: &[u8], packet_type: PacketType) -> DecodeError {
        // Every `at` is a part of `packet`; the difference of addresses is its offset.
        let offset = (self.at.as_ptr() as usize).saturating_sub(packet.as_ptr() as usize);
        DecodeError {
            violation: self.violation,
            packet: Some(packet_type),
            offset: offset.min(packet.len()),
        }
    }
}

impl<'a> From<nom::Err<Fault<'a>>> for Fault<'a> {
    fn from(error: nom::Err<Fault<'a>>) -> Self {
        match error {
            nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
            // Only the streaming parsers of nom answer so, and none is used here.
            nom::Err::Incomplete(_) => Fault {
                at: &[],
                violation: Violation::Truncated,
            },
        }
    }
}

impl<'a> nom::error::ParseError<&'a [u8]> for Fault<'a> {
    fn from_error_kind(at: &'a [u8], _: nom::error::ErrorKind) -> Self {
        Fault {
            at,
            violation: Violation::Truncated,
        }
    }

    fn append(_: &'a [u8], _: nom::error::ErrorKind, other: Self) -> Self {
        other
    }
}

pub(crate) const fn fail<T>(at: &[u8], violation: Violation) -> Result<T, nom::Err<Fault<'_>>> {
    Err(nom::Err::Error(Fault { at, violation }))
}
