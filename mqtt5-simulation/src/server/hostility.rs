//! A broker that breaks the rules at random.

use bytes::{Bytes, BytesMut};

use super::Server;
use crate::application::Application;
use crate::random::Random;
use crate::scene::Scene;

impl Server {
    /// Whether something else was sent instead of this packet.
    pub(super) fn misbehave(
        &mut self,
        index: usize,
        bytes: &Bytes,
        applications: &mut [Application],
        scene: &mut Scene,
    ) -> bool {
        if !self.random.percent(3) {
            return false;
        }
        let Some(application) = applications.get_mut(self.ends[index].client) else {
            return false;
        };
        scene.tally.hostilities += 1;
        let random = &mut self.random;
        let judge = &mut application.judge;
        let mut link = self.ends[index].link.lock();
        let down = &mut link.down;
        let kind = random.below(10);
        scene.note(format_args!(
            "c{}: the broker breaks the rules, kind {kind}",
            self.ends[index].client
        ));
        if !matches!(kind, 0 | 1 | 5 | 7) {
            judge.taint(None);
        }
        match kind {
            // Bits flip.
            0..2 => {
                let mut corrupt = BytesMut::from(&bytes[..]);
                for _ in 0..random.between(1, 3) {
                    let at = random.below(corrupt.len());
                    corrupt[at] ^= 1 << random.below(8);
                }
                judge.taint(Some(&corrupt));
                down.extend_from_slice(&corrupt);
            }
            // The packet is cut short, and others follow.
            2 => down.extend_from_slice(&bytes[..random.below(bytes.len())]),
            // The packet comes again, out of place.
            3 => {
                down.extend_from_slice(bytes);
                down.extend_from_slice(bytes);
            }
            // Lost, without the link being cut.
            4 => {}
            // Any bytes.
            5 => {
                let count = random.between(1, 40);
                let any: Vec<u8> = (0..count).map(|_| byte(random)).collect();
                judge.taint(Some(&any));
                down.extend_from_slice(&any);
            }
            // A flood.
            6 => flood(down, random),
            // A length that is absurd.
            7 => {
                let first = random.one_of([0x30, 0x32, 0x34, 0x40, 0x90, 0xE0]);
                let header = [first, 0xFF, 0xFF, 0xFF, 0x7F];
                judge.taint(Some(&header));
                down.extend_from_slice(&header);
                down.extend_from_slice(&[0; 100]);
            }
            // A packet that is well-formed and wrong.
            _ => {
                wrong_packet(down, random);
                down.extend_from_slice(bytes);
            }
        }
        true
    }
}

fn byte(random: &mut Random) -> u8 {
    random.next().to_be_bytes()[0]
}

/// Much of what has to be answered.
fn flood(down: &mut BytesMut, random: &mut Random) {
    let id = byte(random);
    let packet: &[u8] = match random.below(5) {
        0 => &[0x62, 2, 1, id],
        1 => &[0x50, 2, 1, id],
        2 => &[0xD0, 0],
        3 => &[0x34, 6, 0, 1, b'a', 1, id, 0],
        _ => &[0x32, 6, 0, 1, b'a', 1, id, 0],
    };
    for number in 0..random.between(100, 30_000) {
        let mut packet = BytesMut::from(packet);
        if packet.len() > 2 && packet[0] != 0xD0 {
            let at = if packet[0] >> 4 == 3 { 5 } else { 2 };
            let id = u16::try_from(number % 60_000 + 1).unwrap_or(1);
            packet[at..at + 2].copy_from_slice(&id.to_be_bytes());
        }
        down.extend_from_slice(&packet);
    }
}

/// Packets with unknown or used identifiers, of the wrong side, or in the wrong order.
fn wrong_packet(down: &mut BytesMut, random: &mut Random) {
    let id = u8::try_from(random.between(1, 6)).unwrap_or(1);
    let code = random.one_of([0, 0, 0x10, 0x80, 0x87, 0x92, 0x01, 0xFF]);
    let first = random.one_of([0x40, 0x50, 0x62, 0x70]);
    let packet: &[u8] = match random.below(16) {
        0..4 => &[first, 3, 0, id, code],
        4 => &[0x20, 3, 0, 0, 0],
        5 => &[0x20, 3, 1, 0x87, 0],
        6 => &[0x90, 4, 0, id, 0, code],
        7 => &[0xB0, 4, 0, id, 0, code],
        8 => &[0x90, 5, 0, id, 0, 0, 0],
        9 => &[0xC0, 0],
        10 => &[0x82, 7, 0, id, 0, 0, 1, b'a', 0],
        11 => &[0x32, 7, 0, 1, b'a', 0, id, 0, b'x'],
        12 => &[0x3C, 7, 0, 1, b'a', 0, id, 0, b'x'],
        13 => &[0x30, 7, 0, 0, 3, 0x23, 0, 9, b'x'],
        14 => &[0xF0, 0],
        _ => &[0x30, 6, 0, 1, b'#', 0, b'x', b'y'],
    };
    down.extend_from_slice(packet);
}
