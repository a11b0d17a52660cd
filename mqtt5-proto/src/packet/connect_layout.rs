//! What stands in a CONNECT, and in which order (section 3.1).

use super::{QoS, Sink};
use crate::codec::PutProperties;

pub(super) const PROTOCOL_NAME: &[u8] = b"MQTT";
pub(super) const VERSION: u8 = 5;

/// What stands behind the fixed header of a CONNECT, `P` and `W` being those that write its
/// properties and its Will's.
pub(super) struct Parts<'a, P, W> {
    /// The Connect Flags but for User Name and Password.
    pub(super) flags: u8,
    pub(super) keep_alive: u16,
    pub(super) properties: &'a P,
    pub(super) client_id: &'a [u8],
    pub(super) will: Option<WillParts<'a, W>>,
    pub(super) user_name: Option<&'a [u8]>,
    pub(super) password: Option<&'a [u8]>,
}

pub(super) struct WillParts<'a, W> {
    pub(super) properties: &'a W,
    pub(super) topic: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl<P: PutProperties, W: PutProperties> Parts<'_, P, W> {
    #[inline]
    pub(super) fn put<S: Sink>(&self, sink: &mut S) {
        sink.length_prefixed(PROTOCOL_NAME);
        sink.byte(VERSION);
        sink.byte(
            self.flags
                | u8::from(self.password.is_some()) << 6
                | u8::from(self.user_name.is_some()) << 7,
        );
        sink.be_u16(self.keep_alive);
        sink.section(self.properties);
        sink.length_prefixed(self.client_id);
        if let Some(will) = &self.will {
            sink.section(will.properties);
            sink.length_prefixed(will.topic);
            sink.length_prefixed(will.payload);
        }
        for field in [self.user_name, self.password].into_iter().flatten() {
            sink.length_prefixed(field);
        }
    }
}

/// Those of the Connect Flags that tell of a Will.
pub(super) const fn will_flags(qos: QoS, retain: bool) -> u8 {
    0x04 | (qos as u8) << 3 | (retain as u8) << 5
}

#[inline]
pub(super) fn put_delay_interval<S: Sink>(seconds: u32, sink: &mut S) {
    if seconds != 0 {
        sink.byte(0x18);
        sink.be_u32(seconds);
    }
}
