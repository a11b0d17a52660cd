//! Bytes to packets and back, in minimal wire form (MQTT 5.0 sections 1.5 and 2).
//!
//! Decoding takes two steps, so that nothing is parsed before it is complete:
//!
//! 1. [`FixedHeader::parse`] looks at the first two to five bytes and tells the size of the
//!    packet. The size can be refused here, before anything is reserved for it.
//! 2. [`Packet::parse`](crate::packet::Packet::parse) reads one whole packet in one pass and
//!    returns a validated view that borrows from it.
//!
//! [`Decoder`] does both over a growing buffer. Encoding is one call of [`Encode::encode`], which
//! counts first, reserves once and then writes.

mod data_type;
mod decoder;
mod encode;
mod error;
mod fixed_header;
mod frame;
mod scan;

pub use data_type::{
    BinaryData, DataTypeError, MAX_VARIABLE_BYTE_INTEGER, Utf8String, variable_byte_integer_len,
};
pub use decoder::{Decoder, MaximumPacketSize};
pub use encode::{Encode, PacketTooLarge};
pub use error::{DecodeError, Violation};
pub use fixed_header::FixedHeader;
pub use frame::Frame;

pub(crate) use data_type::{
    Parsed, be_u16, be_u32, binary, byte, check_utf8_bytes, length_prefixed, string, string_bytes,
    variable_byte_integer,
};
pub(crate) use encode::{Body, PutProperties, Sink, encode_head, packet_size, remaining_length};
pub(crate) use error::{Fault, fail};
pub(crate) use scan::{has_wildcard, is_plain_name};
