//! What went over a link, read by a decoder that shares nothing with the one under test.
//!
//! It looks for two things. How often each message of QoS 2 was *begun*: a sender begins an exchange
//! with a PUBLISH and repeats that, under the same Packet Identifier, until it sends PUBREL; what it
//! publishes after that the receiver has to take for another message (section 4.3.3). And whether
//! the messages of a topic, and at QoS 2 their PUBRELs, were first sent in the order of their
//! numbers (section 4.6).

use std::collections::{BTreeMap, HashMap, HashSet};

use mqtt5_testkit::Direction;

use crate::ledger::Number;

/// All that a link has passed on.
#[derive(Debug, Default)]
pub(crate) struct Wire {
    /// Bytes of a packet that is not whole.
    unread: BTreeMap<(u64, Direction), Vec<u8>>,
    from_client: Exchanges,
    to_client: Exchanges,
}

/// The exchanges of one direction, over all connections.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    /// Those of QoS 2, by Packet Identifier.
    open: HashMap<u16, Open>,
    /// How often each message was begun.
    begun: HashMap<Number, u32>,
    repeated: u64,
    published: Order,
    released: Order,
}

#[derive(Debug)]
struct Open {
    message: Number,
    topic: Vec<u8>,
    released: bool,
}

/// In which order the messages of a topic go.
#[derive(Debug, Default)]
struct Order {
    /// The newest of each topic.
    newest: HashMap<Vec<u8>, Number>,
    /// Those that went for the first time later than a newer one.
    late: HashSet<Number>,
    /// The latest of each topic on one connection, repetitions included.
    latest: HashMap<(u64, Vec<u8>), Number>,
    /// Those that went on one connection after a newer one, or twice.
    crossed: HashSet<Number>,
}

impl Order {
    fn see(&mut self, connection: u64, topic: &[u8], message: Number, is_first: bool) {
        let latest = self.latest.insert((connection, topic.to_vec()), message);
        if latest.is_some_and(|latest| latest >= message) {
            self.crossed.insert(message);
        }
        if is_first {
            let newest = self.newest.insert(topic.to_vec(), message);
            if newest.is_some_and(|newest| newest > message) {
                self.late.insert(message);
            }
        }
    }
}

impl Wire {
    /// Takes note of bytes that were passed on.
    pub(crate) fn see(&mut self, connection: u64, direction: Direction, passed: &[u8]) {
        let key = (connection, direction);
        let mut bytes = self.unread.remove(&key).unwrap_or_default();
        bytes.extend_from_slice(passed);
        let exchanges = match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        };
        let mut rest = &bytes[..];
        while let Some((first, body)) = next_packet(&mut rest) {
            match first {
                0x32 | 0x33 | 0x34 | 0x35 | 0x3A | 0x3B | 0x3C | 0x3D => {
                    exchanges.publish(connection, first & 0x06 == 0x04, body);
                }
                0x62 => exchanges.release(connection, number_of(body)),
                _ => {}
            }
        }
        let rest = rest.to_vec();
        if !rest.is_empty() {
            self.unread.insert(key, rest);
        }
    }

    pub(crate) const fn exchanges(&self, direction: Direction) -> &Exchanges {
        match direction {
            Direction::FromClient => &self.from_client,
            Direction::ToClient => &self.to_client,
        }
    }
}

impl Exchanges {
    fn publish(&mut self, connection: u64, is_qos2: bool, body: &[u8]) {
        let (topic_len, rest) = body.split_at(2);
        let (topic, rest) = rest.split_at(usize::from(number_of(topic_len)));
        let (packet_id, mut rest) = rest.split_at(2);
        let properties = variable_byte_integer(&mut rest).expect("a whole packet");
        let Some(message) = Number::of_payload(&rest[properties..]) else {
            return;
        };
        let is_first = !self.begun.contains_key(&message);
        self.published.see(connection, topic, message, is_first);
        let times = self.begun.entry(message).or_default();
        if !is_qos2 {
            *times = 1;
            return;
        }
        let packet_id = number_of(packet_id);
        let open = self.open.get(&packet_id);
        if open.is_some_and(|open| open.message == message && !open.released) {
            self.repeated += 1;
            return;
        }
        *times += 1;
        let open = Open {
            message,
            topic: topic.to_vec(),
            released: false,
        };
        self.open.insert(packet_id, open);
    }

    fn release(&mut self, connection: u64, packet_id: u16) {
        let Some(open) = self.open.get_mut(&packet_id) else {
            return;
        };
        let is_first = !open.released && self.begun[&open.message] == 1;
        open.released = true;
        self.released
            .see(connection, &open.topic, open.message, is_first);
    }

    /// The messages that were sent, or released, for the first time later than a newer one of their
    /// topic.
    pub(crate) fn late(&self) -> impl Iterator<Item = Number> {
        self.published.late.union(&self.released.late).copied()
    }

    /// The messages that were sent, or released, after a newer one of their topic on one connection,
    /// or twice on one.
    pub(crate) fn crossed(&self) -> impl Iterator<Item = Number> {
        let crossed = self.published.crossed.union(&self.released.crossed);
        crossed.copied()
    }

    /// How often an exchange was begun for this message.
    pub(crate) fn begun(&self, message: Number) -> u32 {
        self.begun.get(&message).copied().unwrap_or(0)
    }

    /// The messages for which more than one was.
    pub(crate) fn begun_again(&self) -> impl Iterator<Item = Number> {
        let again = self.begun.iter().filter(|(_, times)| **times > 1);
        again.map(|(message, _)| *message)
    }

    /// How often a PUBLISH was repeated within its exchange.
    pub(crate) const fn repeated(&self) -> u64 {
        self.repeated
    }
}

/// The first byte and the body of the next packet, if it is whole.
fn next_packet<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let len = variable_byte_integer(&mut rest)?;
    let (body, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some((*first, body))
}

fn variable_byte_integer(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for place in 0..4 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    panic!("a length of more than four bytes");
}

fn number_of(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// Messages 1 to 3 of a topic, at QoS 2 or 1, under the Packet Identifier that is their number.
fn publish(qos: u8, number: u8) -> [u8; 16] {
    let first = 0x30 | qos << 1;
    [
        first, 14, 0, 1, b't', 0, number, 0, 0, 0, 0, 0, 0, 0, 0, number,
    ]
}

const fn pubrel(packet_id: u8) -> [u8; 4] {
    [0x62, 2, 0, packet_id]
}

fn numbers(found: impl Iterator<Item = Number>) -> Vec<Number> {
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found
}

fn number(number: u8) -> Number {
    Number::of_payload(&[0, 0, 0, 0, 0, 0, 0, number]).unwrap()
}

#[test]
fn a_publish_after_its_pubrel_is_begun_again_and_one_before_is_repeated() {
    let mut wire = Wire::default();
    let packets = [
        &publish(2, 1)[..],
        &publish(2, 1),
        &pubrel(1),
        &publish(2, 1),
    ]
    .concat();
    // A connection that breaks in the middle of a packet says nothing about it.
    wire.see(1, Direction::ToClient, &packets[..10]);
    for byte in &packets {
        wire.see(2, Direction::ToClient, &[*byte]);
    }
    let exchanges = wire.exchanges(Direction::ToClient);
    assert_eq!((exchanges.begun(number(1)), exchanges.repeated()), (2, 1));
    assert_eq!(numbers(exchanges.begun_again()), [number(1)]);
    let other_way = wire.exchanges(Direction::FromClient);
    assert_eq!(other_way.begun(number(1)), 0);
}

#[test]
fn order_is_that_of_first_sending_and_that_of_each_connection() {
    for qos in [1, 2] {
        let mut wire = Wire::default();
        let mut see = |connection, number| {
            wire.see(connection, Direction::FromClient, &publish(qos, number));
        };
        see(1, 1);
        see(1, 3);
        // In order on their connection, and yet the second of them is late.
        see(2, 1);
        see(2, 2);
        see(2, 3);
        // Repeated in another order.
        see(3, 3);
        see(3, 1);
        let exchanges = wire.exchanges(Direction::FromClient);
        assert_eq!(numbers(exchanges.late()), [number(2)]);
        assert_eq!(numbers(exchanges.crossed()), [number(1)]);
    }
    let mut wire = Wire::default();
    let packets = [&publish(2, 1)[..], &publish(2, 2), &pubrel(2), &pubrel(1)].concat();
    wire.see(1, Direction::FromClient, &packets);
    let exchanges = wire.exchanges(Direction::FromClient);
    assert_eq!(numbers(exchanges.late()), [number(1)]);
    assert_eq!(numbers(exchanges.crossed()), [number(1)]);
}
