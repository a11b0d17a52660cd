//! Decoding without checks, but for those that keep it within the packet.

/// The start of the body and the size of the packet.
#[inline]
fn header(input: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *input.get(1 + index)?;
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((2 + index, 2 + index + length));
        }
    }
    None
}

#[inline]
fn be_u16(input: &[u8]) -> Option<(u16, &[u8])> {
    let (bytes, rest) = input.split_first_chunk()?;
    Some((u16::from_be_bytes(*bytes), rest))
}

#[inline]
fn prefixed(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = be_u16(input)?;
    rest.split_at_checked(usize::from(len))
}

#[inline]
fn section(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *input.get(index)?;
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return input.get(1 + index..)?.split_at_checked(length);
        }
    }
    None
}

/// A PUBLISH, cut into pieces.
#[derive(Debug)]
pub struct Publish<'a> {
    /// The first byte.
    pub first: u8,
    /// The Packet Identifier, or 0.
    pub packet_id: u16,
    /// The topic.
    pub topic: &'a [u8],
    /// The property section.
    pub properties: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

/// A PUBLISH, and its size.
#[inline]
#[must_use]
pub fn publish(input: &[u8]) -> Option<(Publish<'_>, usize)> {
    let (start, size) = header(input)?;
    let body = input.get(start..size)?;
    let first = *input.first()?;
    let (topic, mut rest) = prefixed(body)?;
    let mut packet_id = 0;
    if first & 0b110 != 0 {
        (packet_id, rest) = be_u16(rest)?;
    }
    let (properties, payload) = section(rest)?;
    let publish = Publish {
        first,
        packet_id,
        topic,
        properties,
        payload,
    };
    Some((publish, size))
}

/// The properties of a PUBLISH.
#[derive(Debug, Default)]
pub struct Properties<'a> {
    /// Topic Alias.
    pub alias: u16,
    /// Content Type.
    pub content_type: &'a [u8],
    /// Correlation Data.
    pub correlation: &'a [u8],
    /// User Properties, as many as there is room for.
    pub user: [(&'a [u8], &'a [u8]); 4],
    /// How many.
    pub users: usize,
}

/// Cuts the property section of a PUBLISH.
#[inline]
#[must_use]
pub fn properties(mut left: &[u8]) -> Option<Properties<'_>> {
    let mut found = Properties::default();
    while let [id, value @ ..] = left {
        left = match id {
            0x01 => value.get(1..)?,
            0x02 => value.get(4..)?,
            0x03 => {
                let (text, rest) = prefixed(value)?;
                found.content_type = text;
                rest
            }
            0x08 => prefixed(value)?.1,
            0x09 => {
                let (data, rest) = prefixed(value)?;
                found.correlation = data;
                rest
            }
            0x0B => section(value)?.1,
            0x23 => {
                let (alias, rest) = be_u16(value)?;
                found.alias = alias;
                rest
            }
            0x26 => {
                let (name, rest) = prefixed(value)?;
                let (text, rest) = prefixed(rest)?;
                if let Some(user) = found.user.get_mut(found.users) {
                    *user = (name, text);
                    found.users += 1;
                }
                rest
            }
            _ => return None,
        };
    }
    Some(found)
}

/// Packet Identifier and reason code of an acknowledgement, and its size.
#[inline]
#[must_use]
pub fn ack(input: &[u8]) -> Option<((u16, u8), usize)> {
    let (start, size) = header(input)?;
    let body = input.get(start..size)?;
    let (packet_id, rest) = be_u16(body)?;
    Some(((packet_id, rest.first().copied().unwrap_or(0)), size))
}

/// A CONNECT, cut into pieces.
#[derive(Debug)]
pub struct Connect<'a> {
    /// The flags.
    pub flags: u8,
    /// Keep Alive in seconds.
    pub keep_alive: u16,
    /// The property section.
    pub properties: &'a [u8],
    /// Client Identifier.
    pub client_id: &'a [u8],
    /// Property section, topic and payload of the Will.
    pub will: Option<(&'a [u8], &'a [u8], &'a [u8])>,
    /// User Name.
    pub user_name: Option<&'a [u8]>,
    /// Password.
    pub password: Option<&'a [u8]>,
}

/// A CONNECT, and its size.
#[inline]
#[must_use]
pub fn connect(input: &[u8]) -> Option<(Connect<'_>, usize)> {
    let (start, size) = header(input)?;
    let body = input.get(start..size)?;
    let flags = *body.get(7)?;
    let (keep_alive, rest) = be_u16(body.get(8..)?)?;
    let (properties, rest) = section(rest)?;
    let (client_id, mut rest) = prefixed(rest)?;
    let mut will = None;
    if flags & 0x04 != 0 {
        let (properties, left) = section(rest)?;
        let (topic, left) = prefixed(left)?;
        let (payload, left) = prefixed(left)?;
        will = Some((properties, topic, payload));
        rest = left;
    }
    let mut optional = |present: bool| -> Option<Option<&[u8]>> {
        if !present {
            return Some(None);
        }
        let (bytes, left) = prefixed(rest)?;
        rest = left;
        Some(Some(bytes))
    };
    let connect = Connect {
        flags,
        keep_alive,
        properties,
        client_id,
        will,
        user_name: optional(flags & 0x80 != 0)?,
        password: optional(flags & 0x40 != 0)?,
    };
    Some((connect, size))
}

/// Packet Identifier, property section, entries and their number of a SUBSCRIBE, and its size.
#[inline]
#[must_use]
#[allow(clippy::type_complexity, reason = "a packet cut into pieces")]
pub fn subscribe(input: &[u8]) -> Option<((u16, &[u8], &[u8], usize), usize)> {
    let (start, size) = header(input)?;
    let (packet_id, rest) = be_u16(input.get(start..size)?)?;
    let (properties, entries) = section(rest)?;
    let mut count = 0;
    let mut left = entries;
    while !left.is_empty() {
        left = prefixed(left)?.1.get(1..)?;
        count += 1;
    }
    Some(((packet_id, properties, entries, count), size))
}
