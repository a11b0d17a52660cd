//! Habits of real brokers that the standard allows, or that clients have to live with.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Server;
use crate::application::Application;
use crate::scene::Scene;
use crate::settings::Mode;
use crate::wire::{self, Packet};

impl Server {
    /// Sends a packet of the broker, early, late, in another form, or twice.
    pub(super) fn send_packet(
        &mut self,
        index: usize,
        bytes: Bytes,
        applications: &mut [Application],
        scene: &mut Scene,
    ) {
        let Some(first) = bytes.first().copied() else {
            return;
        };
        let packet_type = first >> 4;
        if packet_type == 2
            && let Ok(Packet::Connack {
                session_present,
                code: 0,
                ..
            }) = wire::read(&bytes)
            && let Some(application) = applications.get_mut(self.ends[index].client)
        {
            application.judge.answered(session_present);
        }
        let is_answer = matches!(packet_type, 4 | 5 | 7 | 9 | 11 | 13);
        let mut bytes = bytes;
        if !self.calm {
            if self.random.percent(self.oddity)
                && let Some(odd) = long_form(&bytes)
            {
                scene.tally.odd_forms += 1;
                bytes = odd;
            }
            if is_answer && self.random.percent(self.lateness) {
                let delay = Duration::from_millis(self.random.one_of([1, 20, 400]));
                let end = &mut self.ends[index];
                end.late.push_back((scene.now() + delay, bytes));
                return;
            }
        }
        let end = &self.ends[index];
        // Whoever counts strictly may take the copy of an answered message for one too many.
        let tolerant = !self.calm
            && applications
                .get(end.client)
                .is_some_and(|application| application.settings.tolerant);
        if end.link.lock().client_gone {
            return;
        }
        if self.mode == Mode::Hostile
            && !self.calm
            && self.misbehave(index, &bytes, applications, scene)
        {
            return;
        }
        let mut link = self.ends[index].link.lock();
        link.down.extend_from_slice(&bytes);
        // A message of QoS 1 or 2 comes twice (against `4.4.0-1`, but it happens).
        if packet_type == 3 && first & 6 != 0 && tolerant && self.random.percent(self.doubling) {
            scene.tally.duplicated += 1;
            let mut copy = BytesMut::from(&bytes[..]);
            copy[0] |= 8;
            link.down.extend_from_slice(&copy);
        }
    }
}

/// An acknowledgement with its reason code and an empty list of properties written out.
fn long_form(bytes: &[u8]) -> Option<Bytes> {
    match *bytes {
        [first, 2, high, low] if (4..8).contains(&(first >> 4)) => {
            Some(Bytes::copy_from_slice(&[first, 4, high, low, 0, 0]))
        }
        [first, 3, high, low, code] if (4..8).contains(&(first >> 4)) => {
            Some(Bytes::copy_from_slice(&[first, 4, high, low, code, 0]))
        }
        [0xE0, 0] => Some(Bytes::from_static(&[0xE0, 2, 0, 0])),
        _ => None,
    }
}

/// Has the broker believe in a larger Receive Maximum than the client's.
pub(super) fn raise_receive_maximum(connect: &mut [u8], asked: u16) {
    let [high, low] = asked.to_be_bytes();
    let property = [0x21, high, low];
    let found = connect.windows(3).position(|window| window == property);
    if let Some(at) = found
        && let Some(value) = connect.get_mut(at + 1..at + 3)
    {
        value.copy_from_slice(&asked.saturating_mul(3).saturating_add(5).to_be_bytes());
    }
}

/// Where the Keep Alive of a CONNECT is, behind its fixed header: behind protocol name, version and
/// flags.
const KEEP_ALIVE: std::ops::Range<usize> = 8..10;

/// Has the broker believe that the client promises nothing.
pub(super) fn drop_keep_alive(connect: &mut [u8]) {
    let length = connect.iter().skip(1).position(|byte| byte & 0x80 == 0);
    let body = length.and_then(|last| connect.get_mut(last + 2..));
    if let Some(keep_alive) = body.and_then(|body| body.get_mut(KEEP_ALIVE)) {
        keep_alive.fill(0);
    }
}
