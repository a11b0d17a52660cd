//! Writing packets: with the checks that ours makes of application values, or without.

use bytes::{BufMut, BytesMut};

/// Whether values are checked: strings for U+0000, topics for wildcards, both for their length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checks {
    /// As ours does.
    Strict,
    /// Not at all.
    Lax,
}

impl Checks {
    #[inline]
    fn text(self, text: &str) -> Option<()> {
        let bytes = text.as_bytes();
        let nul = self == Self::Strict && bytes.iter().fold(false, |nul, byte| nul | (*byte == 0));
        (!nul && bytes.len() <= 0xFFFF).then_some(())
    }

    #[inline]
    fn topic(self, topic: &str) -> Option<()> {
        let bytes = topic.as_bytes();
        let bad = |byte: u8| (byte == 0) | (byte == b'+') | (byte == b'#');
        let bad = self == Self::Strict && bytes.iter().fold(false, |all, byte| all | bad(*byte));
        (!bad && !bytes.is_empty() && bytes.len() <= 0xFFFF).then_some(())
    }
}

#[inline]
fn put_length(out: &mut BytesMut, mut length: usize) {
    loop {
        let low = (length & 0x7F) as u8;
        length >>= 7;
        if length == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}

/// First byte, Remaining Length and the length of a string.
#[inline]
fn put_head(out: &mut BytesMut, first: u8, length: usize, string: usize) {
    out.reserve(5 + length);
    let [high, low] = (string as u16).to_be_bytes();
    if length < 0x80 {
        out.put_slice(&[first, length as u8, high, low]);
    } else {
        out.put_u8(first);
        put_length(out, length);
        out.put_slice(&[high, low]);
    }
}

#[inline]
fn put_prefixed(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u16(bytes.len() as u16);
    out.put_slice(bytes);
}

#[inline]
fn put_named(out: &mut BytesMut, id: u8, bytes: &[u8]) {
    let [high, low] = (bytes.len() as u16).to_be_bytes();
    out.put_slice(&[id, high, low]);
    out.put_slice(bytes);
}

/// A PUBLISH of QoS 0 without properties.
#[inline]
pub fn publish(out: &mut BytesMut, checks: Checks, topic: &str, payload: &[u8]) -> Option<()> {
    checks.topic(topic)?;
    put_head(out, 0x30, 3 + topic.len() + payload.len(), topic.len());
    out.put_slice(topic.as_bytes());
    out.put_u8(0);
    out.put_slice(payload);
    Some(())
}

/// The part of a PUBLISH of QoS 1 or 2 without properties that stands before its payload.
#[inline]
pub fn publish_head(out: &mut BytesMut, first: u8, packet_id: u16, topic: &[u8], payload: usize) {
    put_head(out, first, 5 + topic.len() + payload, topic.len());
    out.put_slice(topic);
    let [high, low] = packet_id.to_be_bytes();
    out.put_slice(&[high, low, 0]);
}

/// What is said of a message beside its payload.
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a> {
    /// Topic Alias.
    pub alias: u16,
    /// Content Type.
    pub content_type: &'a str,
    /// Correlation Data.
    pub correlation: &'a [u8],
    /// User Properties.
    pub user: &'a [(&'a str, &'a str)],
}

/// A PUBLISH of QoS 1 with properties.
#[inline]
pub fn full_publish(
    out: &mut BytesMut,
    checks: Checks,
    topic: &str,
    packet_id: u16,
    properties: &Properties<'_>,
    payload: &[u8],
) -> Option<()> {
    checks.topic(topic)?;
    checks.text(properties.content_type)?;
    let mut section = 3 + 3 + properties.content_type.len() + 3 + properties.correlation.len();
    for (name, value) in properties.user {
        checks.text(name)?;
        checks.text(value)?;
        section += 5 + name.len() + value.len();
    }
    let section_len = if section < 0x80 { 1 } else { 2 };
    let length = 4 + topic.len() + section_len + section + payload.len();
    put_head(out, 0x32, length, topic.len());
    out.put_slice(topic.as_bytes());
    out.put_u16(packet_id);
    put_length(out, section);
    put_named(out, 0x03, properties.content_type.as_bytes());
    put_named(out, 0x09, properties.correlation);
    for (name, value) in properties.user {
        put_named(out, 0x26, name.as_bytes());
        put_prefixed(out, value.as_bytes());
    }
    let [high, low] = properties.alias.to_be_bytes();
    out.put_slice(&[0x23, high, low]);
    out.put_slice(payload);
    Some(())
}

/// A PUBACK that says yes.
#[inline]
pub fn puback(out: &mut BytesMut, packet_id: u16) {
    let [high, low] = packet_id.to_be_bytes();
    out.put_slice(&[0x40, 2, high, low]);
}

/// A CONNECT with a Will of QoS 1, which is retained.
#[derive(Clone, Copy, Debug)]
pub struct Connect<'a> {
    /// Keep Alive in seconds.
    pub keep_alive: u16,
    /// Session Expiry Interval in seconds.
    pub session_expiry: u32,
    /// Receive Maximum.
    pub receive_maximum: u16,
    /// User Properties.
    pub user: &'a [(&'a str, &'a str)],
    /// Client Identifier.
    pub client_id: &'a str,
    /// Will Delay Interval in seconds.
    pub will_delay: u32,
    /// Content Type of the Will.
    pub will_content_type: &'a str,
    /// Topic of the Will.
    pub will_topic: &'a str,
    /// Payload of the Will.
    pub will_payload: &'a [u8],
    /// User Name.
    pub user_name: &'a str,
    /// Password.
    pub password: &'a [u8],
}

/// Writes it.
#[inline]
pub fn connect(out: &mut BytesMut, checks: Checks, connect: &Connect<'_>) -> Option<()> {
    checks.text(connect.client_id)?;
    checks.text(connect.will_content_type)?;
    checks.topic(connect.will_topic)?;
    checks.text(connect.user_name)?;
    let mut section = 5 + 3;
    for (name, value) in connect.user {
        checks.text(name)?;
        checks.text(value)?;
        section += 5 + name.len() + value.len();
    }
    let will_section = 5 + 3 + connect.will_content_type.len();
    let lens = [
        connect.client_id.len(),
        connect.will_topic.len(),
        connect.will_payload.len(),
        connect.user_name.len(),
        connect.password.len(),
    ];
    let integer_len = |value: usize| if value < 0x80 { 1 } else { 2 };
    let length = 10
        + integer_len(section)
        + section
        + integer_len(will_section)
        + will_section
        + lens.iter().map(|len| 2 + len).sum::<usize>();
    put_head(out, 0x10, length, 4);
    let [high, low] = connect.keep_alive.to_be_bytes();
    out.put_slice(&[b'M', b'Q', b'T', b'T', 5, 0b1110_1110, high, low]);
    put_length(out, section);
    out.put_u8(0x11);
    out.put_u32(connect.session_expiry);
    out.put_u8(0x21);
    out.put_u16(connect.receive_maximum);
    for (name, value) in connect.user {
        put_named(out, 0x26, name.as_bytes());
        put_prefixed(out, value.as_bytes());
    }
    put_prefixed(out, connect.client_id.as_bytes());
    put_length(out, will_section);
    out.put_u8(0x18);
    out.put_u32(connect.will_delay);
    put_named(out, 0x03, connect.will_content_type.as_bytes());
    put_prefixed(out, connect.will_topic.as_bytes());
    put_prefixed(out, connect.will_payload);
    put_prefixed(out, connect.user_name.as_bytes());
    put_prefixed(out, connect.password);
    Some(())
}
