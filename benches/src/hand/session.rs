//! A session that knows only how to publish: a table of what is in flight, and what each waits for.

use bytes::{BufMut, Bytes, BytesMut};

use super::{encode, lax, strict};

/// A message of QoS 1 or 2.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it goes.
    pub topic: Bytes,
    /// What it says.
    pub payload: Bytes,
}

/// What an exchange waits for.
#[derive(Debug)]
enum Slot {
    Free,
    /// A PUBACK.
    Puback(Message),
    /// A PUBREC.
    Pubrec(Message),
    /// A PUBCOMP.
    Pubcomp,
}

/// The table.
#[derive(Debug, Default)]
pub struct Session {
    slots: Vec<Slot>,
    free: Vec<u16>,
    strict: bool,
}

impl Session {
    /// One that checks acknowledgements as ours does, or one that trusts them.
    #[must_use]
    pub fn new(strict: bool) -> Self {
        Self {
            slots: vec![Slot::Free],
            free: Vec::new(),
            strict,
        }
    }

    /// Writes a PUBLISH and keeps the message until it is answered; `None` if there is no Packet
    /// Identifier left.
    #[inline]
    pub fn publish(
        &mut self,
        message: Message,
        exactly_once: bool,
        out: &mut BytesMut,
    ) -> Option<u16> {
        let id = if let Some(id) = self.free.pop() {
            id
        } else {
            let id = u16::try_from(self.slots.len()).ok()?;
            self.slots.push(Slot::Free);
            id
        };
        let first = if exactly_once { 0x34 } else { 0x32 };
        encode::publish_with_id(out, first, id, &message.topic, &message.payload)?;
        *self.slots.get_mut(usize::from(id))? = if exactly_once {
            Slot::Pubrec(message)
        } else {
            Slot::Puback(message)
        };
        Some(id)
    }

    /// Takes an acknowledgement; the Packet Identifier if that was the last of its exchange.
    #[inline]
    pub fn handle(&mut self, input: &[u8], out: &mut BytesMut) -> Option<u16> {
        let first = *input.first()?;
        let id = if self.strict {
            match strict::packet(input)? {
                (strict::Packet::Ack(_, ack), _) => ack.packet_id,
                _ => return None,
            }
        } else {
            lax::ack(input)?.0.0
        };
        let slot = self.slots.get_mut(usize::from(id))?;
        match (first >> 4, &slot) {
            (4, Slot::Puback(_)) | (7, Slot::Pubcomp) => {
                *slot = Slot::Free;
                self.free.push(id);
                Some(id)
            }
            (5, Slot::Pubrec(_)) => {
                *slot = Slot::Pubcomp;
                out.put_u32(0x6202_0000 | u32::from(id));
                None
            }
            _ => None,
        }
    }

    /// What would have to be sent again on another connection.
    pub fn unanswered(&self) -> impl Iterator<Item = &Message> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Puback(message) | Slot::Pubrec(message) => Some(message),
            Slot::Free | Slot::Pubcomp => None,
        })
    }
}
