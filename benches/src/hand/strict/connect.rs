//! CONNECT.

use super::{be_u16, be_u32, cut, data, once, packet_id, section, text, topic};

/// The Will of a CONNECT.
#[derive(Debug)]
pub struct Will<'a> {
    /// Its property section.
    pub properties: &'a [u8],
    /// Its topic.
    pub topic: &'a str,
    /// Its payload.
    pub payload: &'a [u8],
}

/// A CONNECT.
#[derive(Debug)]
pub struct Connect<'a> {
    /// The flags.
    pub flags: u8,
    /// Keep Alive in seconds.
    pub keep_alive: u16,
    /// The property section.
    pub properties: &'a [u8],
    /// Client Identifier.
    pub client_id: &'a str,
    /// The Will.
    pub will: Option<Will<'a>>,
    /// User Name.
    pub user_name: Option<&'a str>,
    /// Password.
    pub password: Option<&'a [u8]>,
}

fn connect_properties(section: &[u8]) -> Option<()> {
    let mut left = section;
    let mut present = 0;
    while let [id, value @ ..] = left {
        left = match id {
            0x26 => {
                left = text(text(value)?.1)?.1;
                continue;
            }
            0x11 => be_u32(value)?.1,
            0x27 => be_u32(value).filter(|(size, _)| *size != 0)?.1,
            0x21 => packet_id(value)?.1,
            0x22 => be_u16(value)?.1,
            0x17 | 0x19 => {
                if *value.first()? > 1 {
                    return None;
                }
                &value[1..]
            }
            0x15 => text(value)?.1,
            0x16 => data(value)?.1,
            _ => return None,
        };
        once(&mut present, *id)?;
    }
    // Authentication Data comes with a method.
    (present & 1 << 0x16 == 0 || present & 1 << 0x15 != 0).then_some(())
}

fn will_properties(section: &[u8]) -> Option<()> {
    let mut left = section;
    let mut present = 0;
    while let [id, value @ ..] = left {
        left = match id {
            0x26 => {
                left = text(text(value)?.1)?.1;
                continue;
            }
            0x01 => {
                if *value.first()? > 1 {
                    return None;
                }
                &value[1..]
            }
            0x02 | 0x18 => be_u32(value)?.1,
            0x03 => text(value)?.1,
            0x08 => topic(value).filter(|(topic, _)| !topic.is_empty())?.1,
            0x09 => data(value)?.1,
            _ => return None,
        };
        once(&mut present, *id)?;
    }
    Some(())
}

/// A CONNECT, and its size.
#[inline]
#[must_use]
pub fn connect(input: &[u8]) -> Option<(Connect<'_>, usize)> {
    let (first, body, size) = cut(input)?;
    let (head, rest) = body.split_first_chunk::<8>()?;
    let flags = head[7];
    let no_will = flags & 0x04 == 0;
    if first != 0x10
        || head[..7] != *b"\x00\x04MQTT\x05"
        || flags & 1 != 0
        || flags & 0x18 == 0x18
        || (no_will && flags & 0x38 != 0)
    {
        return None;
    }
    let (keep_alive, rest) = be_u16(rest)?;
    let (properties, rest) = section(rest)?;
    connect_properties(properties)?;
    let (client_id, mut rest) = text(rest)?;
    let mut will = None;
    if !no_will {
        let (properties, left) = section(rest)?;
        will_properties(properties)?;
        let (topic, left) = topic(left).filter(|(topic, _)| !topic.is_empty())?;
        let (payload, left) = data(left)?;
        will = Some(Will {
            properties,
            topic,
            payload,
        });
        rest = left;
    }
    let (mut user_name, mut password) = (None, None);
    if flags & 0x80 != 0 {
        let (name, left) = text(rest)?;
        user_name = Some(name);
        rest = left;
    }
    if flags & 0x40 != 0 {
        let (bytes, left) = data(rest)?;
        password = Some(bytes);
        rest = left;
    }
    let connect = Connect {
        flags,
        keep_alive,
        properties,
        client_id,
        will,
        user_name,
        password,
    };
    rest.is_empty().then_some((connect, size))
}
