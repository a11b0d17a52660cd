//! What the tests of the codec share: bytes as hexadecimal text, and short ways to say "these bytes
//! are refused for this reason".

#![allow(dead_code, reason = "no test uses all of it")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test a panic is the verdict"
)]

use bytes::BytesMut;
use mqtt5_proto::PacketId;
use mqtt5_proto::codec::{DecodeError, Encode, Utf8String, Violation};
use mqtt5_proto::packet::{ConnackView, Packet, PublishView};

/// The bytes of `text`: hexadecimal numbers, spaces ignored.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).unwrap())
        .collect();
    assert_eq!(digits.len() % 2, 0, "half a byte in {text:?}");
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

/// What `packet` is written as; its size must have been told rightly.
pub(crate) fn written(packet: &impl Encode) -> Vec<u8> {
    let mut out = BytesMut::from(&b"before"[..]);
    let size = packet.encode(&mut out).unwrap();
    assert_eq!(&out[..6], b"before");
    assert_eq!(packet.packet_size(), Ok(size));
    assert_eq!(out.len(), 6 + size);
    out[6..].to_vec()
}

/// `packet` is written as `bytes`, which are legal in every respect and read back as the same.
#[track_caller]
pub(crate) fn written_as(packet: &impl Encode, bytes: &str) {
    let bytes = hex(bytes);
    assert_eq!(written(packet), bytes);
    let view = Packet::parse_strict(&bytes).unwrap();
    assert_eq!(written(&view), bytes);
}

/// `bytes` mean the same as the shorter `canonical`, and are written so.
#[track_caller]
pub(crate) fn also_accepted(bytes: &str, canonical: &str) {
    let (bytes, canonical) = (hex(bytes), hex(canonical));
    let view = Packet::parse_strict(&bytes).unwrap();
    assert_eq!(view, Packet::parse(&canonical).unwrap());
    assert_eq!(written(&view), canonical);
}

#[track_caller]
pub(crate) fn refusal(bytes: &[u8]) -> DecodeError {
    match Packet::parse(bytes) {
        Ok(packet) => panic!("{bytes:02X?} was taken as {packet:?}"),
        Err(error) => error,
    }
}

/// `bytes` are refused at `offset`.
#[track_caller]
pub(crate) fn refused(bytes: &str, code: u8, violation: Violation, offset: usize) {
    let error = refusal(&hex(bytes));
    assert_eq!(
        (error.violation, error.offset),
        (violation, offset),
        "{bytes}"
    );
    assert_eq!(error.reason_code(), code, "{bytes}");
}

/// `bytes` are read by clients but refused by strict readers.
#[track_caller]
pub(crate) fn tolerated(bytes: &str, code: u8, violation: Violation, offset: usize) {
    let bytes = hex(bytes);
    Packet::parse(&bytes).unwrap();
    let error = Packet::parse_strict(&bytes).unwrap_err();
    assert_eq!((error.violation, error.offset), (violation, offset));
    assert_eq!(error.reason_code(), code);
}

#[track_caller]
pub(crate) fn publish(bytes: &[u8]) -> PublishView<'_> {
    match Packet::parse(bytes) {
        Ok(Packet::Publish(publish)) => publish,
        other => panic!("no PUBLISH: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn connack(bytes: &[u8]) -> ConnackView<'_> {
    match Packet::parse(bytes) {
        Ok(Packet::Connack(connack)) => connack,
        other => panic!("no CONNACK: {other:?}"),
    }
}

/// A packet of `first` byte and `body`.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    while length > 0x7F {
        bytes.push(u8::try_from(length & 0x7F).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(body);
    bytes
}

pub(crate) fn id(value: u16) -> PacketId {
    PacketId::new(value).unwrap()
}

pub(crate) fn text(text: &str) -> Utf8String {
    Utf8String::new(text).unwrap()
}

/// A PUBLISH of QoS 0 to `t` with this property section.
pub(crate) fn publish_with(properties: &str) -> String {
    with_properties(0x30, "00 01 74", properties, "")
}

pub(crate) fn with_properties(first: u8, before: &str, properties: &str, after: &str) -> String {
    let properties = hex(properties);
    let mut body = hex(before);
    body.extend(packet(0, &properties).split_off(1));
    body.extend(hex(after));
    packet(first, &body)
        .iter()
        .map(|byte| format!("{byte:02X} "))
        .collect()
}

pub(crate) fn connack_with(properties: &str) -> String {
    with_properties(0x20, "00 00", properties, "")
}

pub(crate) fn connect_with(properties: &str) -> String {
    with_properties(0x10, "00 04 4D 51 54 54 05 02 00 00", properties, "00 00")
}

/// A CONNECT with a Will that has these properties.
pub(crate) fn will_with(properties: &str) -> String {
    let connect = "00 04 4D 51 54 54 05 06 00 00 00 00 00";
    with_properties(0x10, connect, properties, "00 01 77 00 00")
}
