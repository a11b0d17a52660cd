//! The little of the protocol that a broker and a raw socket need which know what is coming.

use crate::samples;

/// Where the clients publish.
pub const TOPIC: &str = "bench/clients/topic";

/// A subscription to this filter makes the null broker send: QoS, size of the payload, how many.
#[must_use]
pub fn flood_filter(qos: u8, size: usize, count: usize) -> String {
    format!("flood/{qos}/{size}/{count}")
}

/// What such a filter asks for.
#[must_use]
pub fn parse_flood(filter: &str) -> Option<(u8, usize, usize)> {
    let mut parts = filter.strip_prefix("flood/")?.split('/');
    let qos = parts.next()?.parse().ok()?;
    let size = parts.next()?.parse().ok()?;
    Some((qos, size, parts.next()?.parse().ok()?))
}

/// A PUBLISH to `topic` without properties; see [`publish_with`].
#[must_use]
pub fn publish(topic: &str, qos: u8, payload: usize) -> (Vec<u8>, usize) {
    publish_with(topic, qos, &[], payload)
}

/// A PUBLISH to `topic` with a property section of less than 128 bytes, its Packet Identifier 0 if
/// it has one, and where that stands.
#[must_use]
pub fn publish_with(topic: &str, qos: u8, section: &[u8], payload: usize) -> (Vec<u8>, usize) {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    if qos > 0 {
        body.extend_from_slice(&[0, 0]);
    }
    body.push(section.len() as u8);
    body.extend_from_slice(section);
    body.extend(samples::payload(payload));
    let packet = samples::packet(0x30 | qos << 1, &body);
    let id_at = packet.len() - payload - section.len() - 3;
    (packet, id_at)
}

/// A CONNECT without properties, with a clean start and without Keep Alive.
#[must_use]
pub fn connect(client_id: &str) -> Vec<u8> {
    let mut body = b"\x00\x04MQTT\x05\x02\x00\x00\x00".to_vec();
    body.extend((client_id.len() as u16).to_be_bytes());
    body.extend_from_slice(client_id.as_bytes());
    samples::packet(0x10, &body)
}

/// A SUBSCRIBE of one filter.
#[must_use]
pub fn subscribe(filter: &str, qos: u8) -> Vec<u8> {
    let mut body = vec![0, 1, 0];
    body.extend((filter.len() as u16).to_be_bytes());
    body.extend_from_slice(filter.as_bytes());
    body.push(qos);
    samples::packet(0x82, &body)
}

/// Start of the body and size of the packet at the start of `input`; `None` if it is not whole.
#[must_use]
pub fn cut(input: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for index in 0..4 {
        let byte = *input.get(1 + index)?;
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let size = 2 + index + length;
            return (input.len() >= size).then_some((2 + index, size));
        }
    }
    None
}

/// The Receive Maximum of a CONNECT.
#[must_use]
pub fn receive_maximum(connect: &[u8]) -> u16 {
    use crate::hand::strict;
    let Some((connect, _)) = strict::connect(connect) else {
        return u16::MAX;
    };
    let mut left = connect.properties;
    while let [id, value @ ..] = left {
        let skip = match id {
            0x21 => return u16::from_be_bytes([value[0], value[1]]),
            0x11 | 0x27 => 4,
            0x22 => 2,
            0x17 | 0x19 => 1,
            _ => break,
        };
        left = &value[skip..];
    }
    u16::MAX
}
