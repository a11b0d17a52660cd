//! A small decoder of the simulation's own, so that what one codec gets wrong in both directions
//! cannot hide. It reads whole packets as strictly as the standard writes them.

mod property;
mod read;

pub(crate) use property::{Properties, Property};
pub(crate) use read::Reader;

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The reason code that fits.
    pub(crate) code: u8,
    pub(crate) why: &'static str,
    /// Found in the fixed header: there can be no other opinion about the code.
    pub(crate) in_header: bool,
}

pub(crate) const fn malformed(why: &'static str) -> Fault {
    Fault {
        code: 0x81,
        why,
        in_header: false,
    }
}

const fn bad_header(code: u8, why: &'static str) -> Fault {
    Fault {
        code,
        why,
        in_header: true,
    }
}

/// The four acknowledgements of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckKind {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

#[derive(Clone, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) dup: bool,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) topic: &'a str,
    /// 0 at QoS 0.
    pub(crate) packet_id: u16,
    pub(crate) properties: Properties<'a>,
    pub(crate) payload: &'a [u8],
}

#[derive(Clone, Debug)]
pub(crate) struct Connect<'a> {
    pub(crate) clean_start: bool,
    pub(crate) keep_alive: u16,
    pub(crate) client_id: &'a str,
    pub(crate) properties: Properties<'a>,
}

#[derive(Clone, Debug)]
pub(crate) enum Packet<'a> {
    Connect(Connect<'a>),
    Connack {
        session_present: bool,
        code: u8,
        properties: Properties<'a>,
    },
    Publish(Publish<'a>),
    Ack {
        kind: AckKind,
        packet_id: u16,
        code: u8,
    },
    Subscribe {
        packet_id: u16,
        properties: Properties<'a>,
        filters: Filters<'a>,
    },
    Suback {
        packet_id: u16,
        codes: &'a [u8],
    },
    Unsubscribe {
        packet_id: u16,
        filters: Filters<'a>,
    },
    Unsuback {
        packet_id: u16,
        codes: &'a [u8],
    },
    Pingreq,
    Pingresp,
    Disconnect {
        code: u8,
        properties: Properties<'a>,
    },
    Auth,
}

/// The filters of a SUBSCRIBE, with their options, or of an UNSUBSCRIBE.
#[derive(Clone, Debug)]
pub(crate) struct Filters<'a> {
    rest: Reader<'a>,
    with_options: bool,
}

impl<'a> Iterator for Filters<'a> {
    type Item = (&'a str, u8);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let filter = self.rest.string().ok()?;
        let options = if self.with_options {
            self.rest.byte().ok()?
        } else {
            0
        };
        Some((filter, options))
    }
}

/// The flags that the type of a packet asks for; `None` for PUBLISH, which has flags of its own.
const fn fixed_flags(packet_type: u8) -> Option<u8> {
    match packet_type {
        3 => None,
        6 | 8 | 10 => Some(2),
        _ => Some(0),
    }
}

/// How many bytes the packet at the start of `bytes` has; `None` if that cannot be known yet.
/// `limit`: the receiver's Maximum Packet Size.
pub(crate) fn packet_size(bytes: &[u8], limit: usize) -> Result<Option<usize>, Fault> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let packet_type = first >> 4;
    if packet_type == 0 {
        return Err(bad_header(0x81, "packet type 0"));
    }
    let flags = first & 15;
    let flags_fit = match fixed_flags(packet_type) {
        Some(fixed) => flags == fixed,
        None => flags & 6 != 6 && (flags & 8 == 0 || flags & 6 != 0),
    };
    if !flags_fit {
        return Err(bad_header(0x81, "flags of the fixed header"));
    }
    let mut length = 0usize;
    for index in 0..4 {
        let Some(&byte) = bytes.get(1 + index) else {
            return Ok(None);
        };
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(bad_header(0x81, "padded Remaining Length"));
            }
            let size = 2 + index + length;
            if size > limit {
                return Err(bad_header(0x95, "larger than the Maximum Packet Size"));
            }
            return Ok(Some(size));
        }
    }
    Err(bad_header(0x81, "Remaining Length of more than four bytes"))
}

/// Reads one whole packet.
pub(crate) fn read(packet: &[u8]) -> Result<Packet<'_>, Fault> {
    let Some(&first) = packet.first() else {
        return Err(malformed("nothing"));
    };
    let header = 1 + packet
        .iter()
        .skip(1)
        .position(|byte| byte & 0x80 == 0)
        .map_or(0, |last| last + 1);
    let mut body = Reader::new(packet.get(header..).unwrap_or_default());
    let read = read_body(first, &mut body)?;
    if !body.is_empty() {
        return Err(malformed("bytes behind the last field"));
    }
    Ok(read)
}

fn read_body<'a>(first: u8, body: &mut Reader<'a>) -> Result<Packet<'a>, Fault> {
    Ok(match first >> 4 {
        1 => read_connect(body)?,
        2 => {
            let flags = body.byte()?;
            if flags > 1 {
                return Err(malformed("flags of the CONNACK"));
            }
            Packet::Connack {
                session_present: flags == 1,
                code: body.byte()?,
                properties: body.properties(property::CONNACK)?,
            }
        }
        3 => Packet::Publish(read_publish(first, body)?),
        4 => read_ack(AckKind::Puback, body)?,
        5 => read_ack(AckKind::Pubrec, body)?,
        6 => read_ack(AckKind::Pubrel, body)?,
        7 => read_ack(AckKind::Pubcomp, body)?,
        8 => {
            let packet_id = body.packet_id()?;
            let properties = body.properties(property::SUBSCRIBE)?;
            let filters = read_filters(body, true)?;
            Packet::Subscribe {
                packet_id,
                properties,
                filters,
            }
        }
        9 => {
            let (packet_id, codes) = read_codes(body)?;
            Packet::Suback { packet_id, codes }
        }
        10 => {
            let packet_id = body.packet_id()?;
            body.properties(property::UNSUBSCRIBE)?;
            let filters = read_filters(body, false)?;
            Packet::Unsubscribe { packet_id, filters }
        }
        11 => {
            let (packet_id, codes) = read_codes(body)?;
            Packet::Unsuback { packet_id, codes }
        }
        12 => Packet::Pingreq,
        13 => Packet::Pingresp,
        14 => {
            let code = if body.is_empty() { 0 } else { body.byte()? };
            let properties = body.short_properties(property::DISCONNECT)?;
            Packet::Disconnect { code, properties }
        }
        _ => {
            if !body.is_empty() {
                body.byte()?;
            }
            body.short_properties(property::AUTH)?;
            Packet::Auth
        }
    })
}

fn read_connect<'a>(body: &mut Reader<'a>) -> Result<Packet<'a>, Fault> {
    if body.string()? != "MQTT" || body.byte()? != 5 {
        return Err(malformed("protocol name or version"));
    }
    let flags = body.byte()?;
    let keep_alive = body.u16()?;
    let properties = body.properties(property::CONNECT)?;
    let client_id = body.string()?;
    let has_will = flags & 4 != 0;
    if flags & 1 != 0 || flags & 0x18 == 0x18 || (!has_will && flags & 0x38 != 0) {
        return Err(malformed("flags of the CONNECT"));
    }
    if has_will {
        body.properties(property::WILL)?;
        check_topic(body.string()?)?;
        body.binary()?;
    }
    if flags & 0x80 != 0 {
        body.string()?;
    }
    if flags & 0x40 != 0 {
        body.binary()?;
    }
    Ok(Packet::Connect(Connect {
        clean_start: flags & 2 != 0,
        keep_alive,
        client_id,
        properties,
    }))
}

fn check_topic(topic: &str) -> Result<(), Fault> {
    if topic.is_empty() || topic.contains(['#', '+']) {
        return Err(malformed("topic name"));
    }
    Ok(())
}

fn read_publish<'a>(first: u8, body: &mut Reader<'a>) -> Result<Publish<'a>, Fault> {
    let topic = body.string()?;
    let qos = first >> 1 & 3;
    let packet_id = if qos > 0 { body.packet_id()? } else { 0 };
    let properties = body.properties(property::PUBLISH)?;
    if !topic.is_empty() || properties.number(Property::TopicAlias).is_none() {
        check_topic(topic)?;
    }
    Ok(Publish {
        dup: first & 8 != 0,
        qos,
        retain: first & 1 != 0,
        topic,
        packet_id,
        properties,
        payload: body.rest(),
    })
}

fn read_ack<'a>(kind: AckKind, body: &mut Reader<'a>) -> Result<Packet<'a>, Fault> {
    let packet_id = body.packet_id()?;
    let code = if body.is_empty() { 0 } else { body.byte()? };
    body.short_properties(property::ACK)?;
    Ok(Packet::Ack {
        kind,
        packet_id,
        code,
    })
}

fn read_filters<'a>(body: &mut Reader<'a>, with_options: bool) -> Result<Filters<'a>, Fault> {
    let filters = Filters {
        rest: body.clone(),
        with_options,
    };
    if body.is_empty() {
        return Err(malformed("no topic filter"));
    }
    while !body.is_empty() {
        let filter = body.string()?;
        check_filter(filter)?;
        if with_options {
            let options = body.byte()?;
            let no_local_on_shared = options & 4 != 0 && filter.starts_with("$share/");
            if options & 0xC0 != 0 || options & 3 == 3 || options >> 4 == 3 || no_local_on_shared {
                return Err(malformed("subscription options"));
            }
        }
    }
    Ok(filters)
}

fn check_filter(filter: &str) -> Result<(), Fault> {
    let levels = filter.split('/');
    let last = levels.clone().count();
    let fits = levels.enumerate().all(|(index, level)| match level {
        "#" => index + 1 == last,
        "+" => true,
        level => !level.contains(['#', '+']),
    });
    if filter.is_empty() || !fits {
        return Err(malformed("topic filter"));
    }
    Ok(())
}

fn read_codes<'a>(body: &mut Reader<'a>) -> Result<(u16, &'a [u8]), Fault> {
    let packet_id = body.packet_id()?;
    body.properties(property::ACK)?;
    Ok((packet_id, body.rest()))
}

#[cfg(test)]
mod tests;
