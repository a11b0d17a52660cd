//! A tiny broker for the simulation, with an encoder and a decoder of its own: it shares nothing
//! with the code under test. It panics if the client does what it must not.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests are no tests to clippy"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// All of `whole`, or a part of it.
    pub(crate) fn part(&mut self, whole: usize) -> usize {
        if self.percent(50) {
            whole
        } else {
            self.below(whole + 1)
        }
    }

    /// True this often in a hundred times.
    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }
}

/// A packet of `first` byte and `body`.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7F).unwrap();
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            break;
        }
        bytes.push(low | 0x80);
    }
    bytes.extend_from_slice(body);
    bytes
}

/// Cuts the first whole packet off: its first byte and its body.
pub(crate) fn cut_packet(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (mut length, mut shift, mut at) = (0_usize, 0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7F) << shift;
        shift += 7;
        at += 1;
        assert!(at <= 5, "the length takes more than four bytes");
        if byte & 0x80 == 0 {
            assert!(byte != 0 || at == 2, "the length is not minimal");
            break;
        }
    }
    if bytes.len() < at + length {
        return None;
    }
    let body = bytes[at..at + length].to_vec();
    let first = bytes[0];
    bytes.drain(..at + length);
    Some((first, body))
}

pub(crate) fn two(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

/// A PUBLISH for topic "t" without properties: what its payload counts.
pub(crate) struct Published {
    pub(crate) qos: u8,
    pub(crate) dup: bool,
    pub(crate) id: u16,
    pub(crate) number: u32,
}

impl Published {
    pub(crate) fn read(first: u8, body: &[u8]) -> Self {
        assert_eq!(body[..3], [0x00, 0x01, 0x74], "the topic");
        let qos = first >> 1 & 3;
        let (id, rest) = if qos > 0 {
            (two(&body[3..5]), &body[5..])
        } else {
            (0, &body[3..])
        };
        assert_eq!(rest[0], 0, "no properties");
        assert!(qos == 0 || id > 0, "the packet id is 0");
        Self {
            qos,
            dup: first & 8 != 0,
            id,
            number: u32::from_be_bytes([rest[1], rest[2], rest[3], rest[4]]),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Puback,
    Pubrec,
    Pubcomp,
}

struct Outgoing {
    number: u32,
    state: State,
}

#[derive(Default)]
pub(crate) struct Broker {
    // What outlives a connection.
    has_session: bool,
    next_id: u16,
    outgoing: BTreeMap<u16, Outgoing>,
    /// The order of first sending.
    order: Vec<u16>,
    /// QoS 2 ids of the client that are not released, and what they stand for.
    incoming: BTreeMap<u16, u32>,
    /// What waits because the client's Receive Maximum is used up.
    queue: VecDeque<(u8, u32)>,
    // What does not.
    connected: bool,
    input: Vec<u8>,
    /// Answers that are not given yet.
    replies: VecDeque<Vec<u8>>,
    /// Ids of the client that count to our Receive Maximum.
    open: BTreeSet<u16>,
    receive_maximum: usize,
    /// Ids sent on this connection that wait for PUBACK, and for PUBREC, in order.
    await_puback: VecDeque<u16>,
    await_pubrec: VecDeque<u16>,
    // What the simulation wants to know.
    /// Messages of the client: how often each was taken.
    pub(crate) taken: BTreeMap<u32, u32>,
    /// Messages to the client that an ended session may have swallowed.
    pub(crate) lost: BTreeSet<u32>,
    released: BTreeSet<u32>,
    pub(crate) resumed: u32,
}

const CLIENT_RECEIVE_MAXIMUM: usize = 8;

impl Broker {
    /// Nothing is under way to the client or from it.
    pub(crate) fn is_idle(&self) -> bool {
        self.outgoing.is_empty()
            && self.queue.is_empty()
            && self.replies.is_empty()
            && self.input.is_empty()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected
    }

    pub(crate) fn closed(&mut self) {
        self.connected = false;
        self.input.clear();
        self.replies.clear();
        self.open.clear();
        self.await_puback.clear();
        self.await_pubrec.clear();
    }

    /// A message for the client.
    pub(crate) fn publish(&mut self, qos: u8, number: u32) {
        if self.has_session || self.connected {
            self.queue.push_back((qos, number));
        } else {
            self.lost.insert(number);
        }
    }

    fn drop_session(&mut self) {
        let outgoing = core::mem::take(&mut self.outgoing);
        self.lost
            .extend(outgoing.values().map(|message| message.number));
        let queue = core::mem::take(&mut self.queue);
        self.lost.extend(queue.iter().map(|(_, number)| *number));
        self.order.clear();
        self.incoming.clear();
    }

    /// Bytes of the client; what is answered goes to `replies`.
    pub(crate) fn read(&mut self, bytes: &[u8], random: &mut Random) {
        self.input.extend_from_slice(bytes);
        while let Some((first, body)) = cut_packet(&mut self.input) {
            assert!(
                self.connected || first == 0x10,
                "{first:02X} before CONNECT"
            );
            // A session counts once the client is known to know of it: were the CONNACK lost that
            // tells of a new one, "session present" would mislead the client the next time.
            self.has_session |= first != 0x10;
            match first >> 4 {
                1 => self.connect(&body, random),
                3 => self.take(&Published::read(first, &body), random),
                4 => self.puback(&body),
                5 => self.pubrec(&body),
                6 => {
                    assert_eq!(first, 0x62);
                    self.pubrel(two(&body));
                }
                7 => self.pubcomp(&body),
                8 => self.reply(0x90, &[body[0], body[1], 0, 1]),
                10 => self.reply(0xB0, &[body[0], body[1], 0, 0]),
                14 => {
                    assert!(self.input.is_empty(), "bytes behind the DISCONNECT");
                    self.connected = false;
                }
                _ => panic!("the client sent {first:02X}"),
            }
        }
    }

    fn reply(&mut self, first: u8, body: &[u8]) {
        self.replies.push_back(packet(first, body));
    }

    fn connect(&mut self, body: &[u8], random: &mut Random) {
        assert!(!self.connected);
        assert_eq!(body[..7], [0, 4, b'M', b'Q', b'T', b'T', 5]);
        let clean_start = body[7] & 2 != 0;
        if random.percent(5) {
            // Server unavailable
            return self.reply(0x20, &[0, 0x88, 0]);
        }
        if clean_start || !self.has_session || random.percent(10) {
            self.drop_session();
            self.has_session = false;
        }
        self.connected = true;
        self.receive_maximum = 1 + random.below(6);
        let maximum = u8::try_from(self.receive_maximum).unwrap();
        let present = u8::from(self.has_session);
        self.resumed += u32::from(present);
        self.reply(0x20, &[present, 0, 3, 0x21, 0, maximum]);
        for id in self.order.clone() {
            let message = &self.outgoing[&id];
            let [high, low] = id.to_be_bytes();
            let (state, number) = (message.state, message.number);
            match state {
                State::Pubcomp => self.reply(0x62, &[high, low]),
                _ => self.send(id, state, number, true),
            }
        }
    }

    fn send(&mut self, id: u16, state: State, number: u32, dup: bool) {
        let [high, low] = id.to_be_bytes();
        let mut body = vec![0, 1, b't', high, low, 0];
        body.extend_from_slice(&number.to_be_bytes());
        let first = if state == State::Puback {
            self.await_puback.push_back(id);
            0x32
        } else {
            self.await_pubrec.push_back(id);
            0x34
        };
        self.reply(first | if dup { 8 } else { 0 }, &body);
    }

    /// Sends what the client's Receive Maximum allows, and gives some of the answers.
    pub(crate) fn write(&mut self, random: &mut Random, all: bool) -> Vec<u8> {
        while self.connected && self.outgoing.len() < CLIENT_RECEIVE_MAXIMUM {
            let Some((qos, number)) = self.queue.pop_front() else {
                break;
            };
            let state = if qos == 1 {
                State::Puback
            } else {
                State::Pubrec
            };
            loop {
                self.next_id = self.next_id % 20 + 1;
                if !self.outgoing.contains_key(&self.next_id) {
                    break;
                }
            }
            let id = self.next_id;
            self.outgoing.insert(id, Outgoing { number, state });
            self.order.push(id);
            self.send(id, state, number, false);
        }
        let count = if all {
            self.replies.len()
        } else {
            random.part(self.replies.len())
        };
        let bytes: Vec<u8> = self.replies.drain(..count).flatten().collect();
        let mut sent = bytes.clone();
        while let Some((first, body)) = cut_packet(&mut sent) {
            // From here on the client may know that the exchange is over.
            let refused = first == 0x50 && body.len() > 2;
            if first == 0x40 || first == 0x70 || refused {
                self.open.remove(&two(&body));
            }
        }
        bytes
    }

    // --- messages of the client ---------------------------------------------

    fn take(&mut self, message: &Published, random: &mut Random) {
        if message.qos == 0 {
            *self.taken.entry(message.number).or_default() += 1;
            return;
        }
        assert!(
            !self.released.contains(&message.number),
            "PUBLISH {} again after its PUBREL",
            message.number
        );
        self.open.insert(message.id);
        assert!(
            self.open.len() <= self.receive_maximum,
            "{:?} are above Receive Maximum {}",
            self.open,
            self.receive_maximum
        );
        let [high, low] = message.id.to_be_bytes();
        let refused = random.percent(10);
        if message.qos == 1 {
            assert!(!self.incoming.contains_key(&message.id), "the id is in use");
            if refused && !message.dup {
                return self.reply(0x40, &[high, low, 0x87]);
            }
            *self.taken.entry(message.number).or_default() += 1;
            return self.reply(0x40, &[high, low]);
        }
        match self.incoming.get(&message.id) {
            Some(number) => assert_eq!(*number, message.number, "the id is in use"),
            None if refused => return self.reply(0x50, &[high, low, 0x97]),
            None => {
                self.incoming.insert(message.id, message.number);
                *self.taken.entry(message.number).or_default() += 1;
            }
        }
        self.reply(0x50, &[high, low]);
    }

    fn pubrel(&mut self, id: u16) {
        let [high, low] = id.to_be_bytes();
        match self.incoming.remove(&id) {
            Some(number) => {
                self.released.insert(number);
                self.reply(0x70, &[high, low]);
            }
            None => self.reply(0x70, &[high, low, 0x92]),
        }
    }

    // --- messages to the client ---------------------------------------------

    fn puback(&mut self, body: &[u8]) {
        let id = two(body);
        assert_eq!(
            self.await_puback.pop_front(),
            Some(id),
            "the order of PUBACKs"
        );
        let message = self.outgoing.remove(&id).unwrap();
        assert!(message.state == State::Puback);
        self.order.retain(|other| *other != id);
    }

    fn pubrec(&mut self, body: &[u8]) {
        let id = two(body);
        assert_eq!(
            self.await_pubrec.pop_front(),
            Some(id),
            "the order of PUBRECs"
        );
        if body.len() > 2 && body[2] >= 0x80 {
            self.outgoing.remove(&id);
            self.order.retain(|other| *other != id);
            return;
        }
        let message = self.outgoing.get_mut(&id).unwrap();
        message.state = State::Pubcomp;
        self.reply(0x62, &body[..2]);
    }

    fn pubcomp(&mut self, body: &[u8]) {
        let id = two(body);
        if let Some(message) = self.outgoing.get(&id) {
            assert!(message.state == State::Pubcomp);
            self.outgoing.remove(&id);
            self.order.retain(|other| *other != id);
        }
    }
}
