//! Writing packets: with the checks that ours makes of application values, or without.

use bytes::{BufMut, BytesMut};

use super::strict::{none, not_in_topic, zero};

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
        let legal = self == Self::Lax || none(bytes, zero);
        (legal && bytes.len() <= 0xFFFF).then_some(())
    }

    #[inline]
    fn topic(self, topic: &str) -> Option<()> {
        let bytes = topic.as_bytes();
        let legal = self == Self::Lax || none(bytes, not_in_topic);
        (legal && !bytes.is_empty() && bytes.len() <= 0xFFFF).then_some(())
    }
}

/// The rest of the room that was made for a packet. Writing there needs one comparison, where
/// appending to a buffer needs several.
struct Writer<'a>(&'a mut [u8]);

impl<'a> Writer<'a> {
    /// Room for a packet with this Remaining Length, and its fixed header written; `None` if it is
    /// larger than any packet here.
    #[inline]
    fn new(out: &'a mut BytesMut, first: u8, length: usize) -> Option<Self> {
        let start = out.len();
        let header = 1 + integer_len(length);
        out.resize(start + header + length, 0);
        let mut new = Self(&mut out[start..]);
        new.array([first]);
        new.integer(length)?;
        Some(new)
    }

    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        if let Some((to, rest)) = core::mem::take(&mut self.0).split_first_chunk_mut() {
            *to = bytes;
            self.0 = rest;
        }
    }

    #[inline]
    fn slice(&mut self, bytes: &[u8]) {
        if let Some((to, rest)) = core::mem::take(&mut self.0).split_at_mut_checked(bytes.len()) {
            to.copy_from_slice(bytes);
            self.0 = rest;
        }
    }

    #[inline]
    fn be_u16(&mut self, value: u16) {
        self.array(value.to_be_bytes());
    }

    #[inline]
    fn prefixed(&mut self, bytes: &[u8]) {
        self.be_u16(bytes.len() as u16);
        self.slice(bytes);
    }

    #[inline]
    fn named(&mut self, id: u8, bytes: &[u8]) {
        self.array([id]);
        self.prefixed(bytes);
    }

    #[inline]
    fn integer(&mut self, value: usize) -> Option<()> {
        let low = |shift: u32| (value >> shift) as u8;
        match value {
            0..0x80 => self.array([low(0)]),
            0x80..0x4000 => self.array([low(0) | 0x80, low(7)]),
            0x4000..0x20_0000 => self.array([low(0) | 0x80, low(7) | 0x80, low(14)]),
            _ => return None,
        }
        Some(())
    }
}

#[inline]
const fn integer_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        _ => 3,
    }
}

/// A PUBLISH of QoS 0 without properties.
#[inline]
pub fn publish(out: &mut BytesMut, checks: Checks, topic: &str, payload: &[u8]) -> Option<()> {
    checks.topic(topic)?;
    let length = 3 + topic.len() + payload.len();
    let mut writer = Writer::new(out, 0x30, length)?;
    writer.prefixed(topic.as_bytes());
    writer.array([0]);
    writer.slice(payload);
    Some(())
}

/// A PUBLISH of QoS 1 or 2 without properties, whose topic was checked before.
#[inline]
pub fn publish_with_id(
    out: &mut BytesMut,
    first: u8,
    packet_id: u16,
    topic: &[u8],
    payload: &[u8],
) -> Option<()> {
    let mut writer = Writer::new(out, first, 5 + topic.len() + payload.len())?;
    writer.prefixed(topic);
    writer.be_u16(packet_id);
    writer.array([0]);
    writer.slice(payload);
    Some(())
}

/// What stands before the payload of a PUBLISH of QoS 0, which is to follow from where it lies.
#[inline]
pub fn publish_head(out: &mut BytesMut, topic: &[u8], payload: usize) -> Option<()> {
    let head = 3 + topic.len();
    let length = head + payload;
    let start = out.len();
    out.resize(start + 1 + integer_len(length) + head, 0);
    let mut writer = Writer(&mut out[start..]);
    writer.array([0x30]);
    writer.integer(length)?;
    writer.prefixed(topic);
    writer.array([0]);
    Some(())
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
    let length = 4 + topic.len() + integer_len(section) + section + payload.len();
    let mut writer = Writer::new(out, 0x32, length)?;
    writer.prefixed(topic.as_bytes());
    writer.be_u16(packet_id);
    writer.integer(section)?;
    writer.named(0x03, properties.content_type.as_bytes());
    writer.named(0x09, properties.correlation);
    for (name, value) in properties.user {
        writer.named(0x26, name.as_bytes());
        writer.prefixed(value.as_bytes());
    }
    writer.array([0x23]);
    writer.be_u16(properties.alias);
    writer.slice(payload);
    Some(())
}

/// A PUBACK that says yes.
#[inline]
pub fn puback(out: &mut BytesMut, packet_id: u16) {
    out.put_u32(0x4002_0000 | u32::from(packet_id));
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
    let length = 10
        + integer_len(section)
        + section
        + integer_len(will_section)
        + will_section
        + lens.iter().map(|len| 2 + len).sum::<usize>();
    let mut writer = Writer::new(out, 0x10, length)?;
    writer.array(*b"\x00\x04MQTT\x05\xEE");
    writer.be_u16(connect.keep_alive);
    writer.integer(section)?;
    writer.array([0x11]);
    writer.array(connect.session_expiry.to_be_bytes());
    writer.array([0x21]);
    writer.be_u16(connect.receive_maximum);
    for (name, value) in connect.user {
        writer.named(0x26, name.as_bytes());
        writer.prefixed(value.as_bytes());
    }
    writer.prefixed(connect.client_id.as_bytes());
    writer.integer(will_section)?;
    writer.array([0x18]);
    writer.array(connect.will_delay.to_be_bytes());
    writer.named(0x03, connect.will_content_type.as_bytes());
    writer.prefixed(connect.will_topic.as_bytes());
    writer.prefixed(connect.will_payload);
    writer.prefixed(connect.user_name.as_bytes());
    writer.prefixed(connect.password);
    Some(())
}
