//! What happened, to be read; and a number that stands for all of it.

use std::fmt::Arguments;

use mqtt5_client::proto::Instant;

use crate::link::Way;
use crate::wire::{self, Packet};

/// Keeps lines only if asked to; the digest is always kept.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Option<Vec<String>>,
    digest: u64,
}

impl Trace {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self {
            lines: keeps_lines.then(Vec::new),
            digest: 0xCBF2_9CE4_8422_2325,
        }
    }

    /// Mixes a number into the digest.
    pub(crate) const fn mix(&mut self, number: u64) {
        self.digest = (self.digest.rotate_left(5) ^ number).wrapping_mul(0x0000_0100_0000_01B3);
    }

    fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn line(&mut self, at: Instant, line: Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12.6} {line}", at.since_start().as_secs_f64()));
        }
    }

    pub(crate) fn packet(&mut self, client: usize, way: Way, packet: &[u8], at: Instant) {
        self.mix_bytes(packet);
        if self.lines.is_some() {
            let arrow = match way {
                Way::Up => "->",
                Way::Down => "<-",
            };
            let text = describe(packet);
            self.line(at, format_args!("c{client} {arrow} {text}"));
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// A packet in a few words.
fn describe(bytes: &[u8]) -> String {
    let packet = match wire::read(bytes) {
        Ok(packet) => packet,
        Err(fault) => return format!("({}) {bytes:02x?}", fault.why),
    };
    match packet {
        Packet::Connect(connect) => format!(
            "CONNECT {} clean start {} keep alive {} {}",
            connect.client_id,
            u8::from(connect.clean_start),
            connect.keep_alive,
            connect.properties
        ),
        Packet::Connack {
            session_present,
            code,
            properties,
        } => format!(
            "CONNACK {code:#04x} session present {} {properties}",
            u8::from(session_present)
        ),
        Packet::Publish(publish) => format!(
            "PUBLISH qos {} dup {} retain {} id {} {:?} {} message {:?} ({} bytes)",
            publish.qos,
            u8::from(publish.dup),
            u8::from(publish.retain),
            publish.packet_id,
            publish.topic,
            publish.properties,
            crate::universe::number_of(publish.payload),
            publish.payload.len()
        ),
        Packet::Ack {
            kind,
            packet_id,
            code,
        } => format!("{kind:?} id {packet_id} {code:#04x}").to_uppercase(),
        Packet::Subscribe {
            packet_id,
            properties,
            filters,
        } => format!(
            "SUBSCRIBE id {packet_id} {properties} {:?}",
            filters.collect::<Vec<_>>()
        ),
        Packet::Suback { packet_id, codes } => format!("SUBACK id {packet_id} {codes:02x?}"),
        Packet::Unsubscribe { packet_id, filters } => {
            format!(
                "UNSUBSCRIBE id {packet_id} {:?}",
                filters.collect::<Vec<_>>()
            )
        }
        Packet::Unsuback { packet_id, codes } => format!("UNSUBACK id {packet_id} {codes:02x?}"),
        Packet::Pingreq => "PINGREQ".into(),
        Packet::Pingresp => "PINGRESP".into(),
        Packet::Disconnect { code, properties } => format!("DISCONNECT {code:#04x} {properties}"),
        Packet::Auth => "AUTH".into(),
    }
}
