//! Of packets of the codec written by hand.

use crate::hand::{lax, strict};
use crate::work::Facts;

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("text")
}

/// Of a PUBLISH.
#[must_use]
pub fn publish(publish: &strict::Publish<'_>) -> Facts {
    let qos = publish.first >> 1 & 3;
    let topic = publish.topic.as_bytes();
    let mut facts = super::publish(qos, topic, publish.payload, Some(publish.packet_id));
    let Some(properties) = &publish.properties else {
        return facts;
    };
    let has = |id: u8| properties.present & 1 << id != 0;
    super::properties(
        &mut facts,
        has(0x23).then_some(properties.alias),
        has(0x03).then_some(properties.content_type),
        has(0x09).then_some(properties.correlation),
        strict::user_properties(properties.section),
    );
    facts
}

/// Of a PUBLISH that was cut without checks.
#[must_use]
pub fn lax_publish(publish: &lax::Publish<'_>) -> Facts {
    let qos = publish.first >> 1 & 3;
    let mut facts = super::publish(qos, publish.topic, publish.payload, Some(publish.packet_id));
    let properties = lax::properties(publish.properties).expect("properties");
    super::properties(
        &mut facts,
        (properties.alias != 0).then_some(properties.alias),
        (!properties.content_type.is_empty()).then(|| text(properties.content_type)),
        (!properties.correlation.is_empty()).then_some(properties.correlation),
        properties.user[..properties.users]
            .iter()
            .map(|(name, value)| (text(name), text(value))),
    );
    facts
}

/// Of any packet that a client receives.
#[must_use]
pub fn packet(packet: &strict::Packet<'_>) -> Facts {
    match packet {
        strict::Packet::Publish(view) => publish(view),
        strict::Packet::Ack(kind, ack) => super::ack(*kind, ack.packet_id, ack.reason),
        strict::Packet::Suback(id, codes) => super::suback(*id, codes.iter().copied()),
        strict::Packet::Pingresp => vec![("packet", vec![13])],
    }
}

/// The value of a property that may come once: a number or, behind its length, text.
fn find(section: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut left = section;
    while let [id, value @ ..] = left {
        let prefixed = |value: &[u8]| 2 + usize::from(u16::from_be_bytes([value[0], value[1]]));
        let (skip, len) = match id {
            0x11 | 0x18 => (0, 4),
            0x21 => (0, 2),
            0x26 => {
                let name = prefixed(value);
                (0, name + prefixed(&value[name..]))
            }
            _ => (2, prefixed(value)),
        };
        if *id == wanted {
            return Some(&value[skip..len]);
        }
        left = &value[len..];
    }
    None
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// Of the CONNECT of the samples.
#[must_use]
pub fn connect(connect: &strict::Connect<'_>) -> Facts {
    let will = connect.will.as_ref().expect("a Will");
    parts(
        connect.flags,
        connect.keep_alive,
        connect.properties,
        connect.client_id.as_bytes(),
        (will.properties, will.topic.as_bytes(), will.payload),
        connect.user_name.unwrap_or_default().as_bytes(),
        connect.password.unwrap_or_default(),
    )
}

/// Of the CONNECT of the samples, cut without checks.
#[must_use]
pub fn lax_connect(connect: &lax::Connect<'_>) -> Facts {
    parts(
        connect.flags,
        connect.keep_alive,
        connect.properties,
        connect.client_id,
        connect.will.expect("a Will"),
        connect.user_name.unwrap_or_default(),
        connect.password.unwrap_or_default(),
    )
}

fn parts(
    flags: u8,
    keep_alive: u16,
    properties: &[u8],
    client_id: &[u8],
    will: (&[u8], &[u8], &[u8]),
    user_name: &[u8],
    password: &[u8],
) -> Facts {
    super::Connect {
        client_id,
        clean_start: flags & 2 != 0,
        keep_alive,
        session_expiry: find(properties, 0x11).map(number),
        receive_maximum: find(properties, 0x21).map(|bytes| number(bytes) as u16),
        user: strict::user_properties(properties).collect(),
        will_topic: will.1,
        will_payload: will.2,
        will_qos: flags >> 3 & 3,
        will_retain: flags & 0x20 != 0,
        will_delay: find(will.0, 0x18).map(number),
        will_content_type: find(will.0, 0x03).map(text),
        user_name,
        password,
    }
    .facts()
}

/// Of the SUBSCRIBE of the samples.
#[must_use]
pub fn subscribe(packet_id: u16, identifier: u32, mut entries: &[u8]) -> Facts {
    let mut filters = Vec::new();
    while !entries.is_empty() {
        let (entry, rest) = strict::entry(entries).expect("a filter");
        filters.push(entry);
        entries = rest;
    }
    super::subscribe(packet_id, identifier, filters)
}
