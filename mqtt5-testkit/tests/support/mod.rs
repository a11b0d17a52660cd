//! Packet traces: bytes in, bytes out, on a clock that the test moves.

// Each test binary compiles all of this and uses a part of it.
#![allow(dead_code, clippy::unwrap_used, reason = "test support")]

use std::collections::BTreeMap;
use std::time::Duration;

use mqtt5_proto::Instant;
use mqtt5_testkit::{Action, Broker, Config, ConnectionId};

/// Bytes from hex digits and `'text'`. `|` stands for the number of bytes behind it, and
/// `[ … ]` for what is inside and the number of its bytes before it.
pub(crate) fn bytes(notation: &str) -> Vec<u8> {
    if let Some((before, behind)) = notation.split_once('|') {
        return [bytes(before), counted(bytes(behind))].concat();
    }
    if let Some((before, rest)) = notation.split_once('[') {
        let (inside, behind) = rest.split_once(']').unwrap();
        return [bytes(before), counted(bytes(inside)), bytes(behind)].concat();
    }
    let mut all = Vec::new();
    for (index, part) in notation.split('\'').enumerate() {
        if index % 2 == 1 {
            all.extend(part.as_bytes());
            continue;
        }
        let digits: String = part.split_whitespace().collect();
        assert!(digits.len().is_multiple_of(2), "odd digits in {notation}");
        for at in (0..digits.len()).step_by(2) {
            all.push(u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
        }
    }
    all
}

/// Puts a Variable Byte Integer before `bytes`.
fn counted(bytes: Vec<u8>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut length = bytes.len();
    loop {
        let more = if length > 0x7F { 0x80 } else { 0 };
        all.push(u8::try_from(length & 0x7F).unwrap() | more);
        length >>= 7;
        if length == 0 {
            break;
        }
    }
    all.extend(bytes);
    all
}

/// `bytes`, for people.
fn shown(bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    hex.join(" ")
}

/// CONNECT with Clean Start 1.
pub(crate) fn connect(client_id: &str) -> String {
    connect_with(0x02, "", client_id)
}

/// CONNECT with Clean Start 0 and a session that never expires.
pub(crate) fn resume(client_id: &str) -> String {
    connect_with(0x00, "11 FFFFFFFF", client_id)
}

/// CONNECT with these flags and properties.
pub(crate) fn connect_with(flags: u8, properties: &str, client_id: &str) -> String {
    let id_length = client_id.len();
    format!("10 | 0004 'MQTT' 05 {flags:02X} 0000 [ {properties} ] {id_length:04X} '{client_id}'")
}

pub(crate) const CONNACK: &str = "20 | 00 00 00";
pub(crate) const RESUMED: &str = "20 | 01 00 00";

/// A broker on a virtual clock.
pub(crate) struct Lab {
    pub(crate) broker: Broker,
    pub(crate) now: Instant,
    output: BTreeMap<ConnectionId, Vec<String>>,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        configure(&mut config);
        Self {
            broker: Broker::new(config),
            now: Instant::ZERO,
            output: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self) -> ConnectionId {
        self.broker.connection_opened(self.now)
    }

    /// A connection whose CONNECT was answered as expected.
    pub(crate) fn join(&mut self, connect: &str, connack: &str) -> ConnectionId {
        let id = self.open();
        self.feed(id, connect);
        self.expect(id, &[connack]);
        id
    }

    pub(crate) fn client(&mut self, client_id: &str) -> ConnectionId {
        self.join(&connect(client_id), CONNACK)
    }

    pub(crate) fn feed(&mut self, id: ConnectionId, notation: &str) {
        self.broker.handle_input(id, &bytes(notation), self.now);
    }

    pub(crate) fn close(&mut self, id: ConnectionId) {
        self.broker.connection_closed(id, self.now);
    }

    /// Moves the clock, and stops at each timeout on the way.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.broker.poll_timeout()
            && due <= end
        {
            self.now = self.now.max(due);
            self.broker.handle_timeout(self.now);
            let next = self.broker.poll_timeout();
            assert!(next.is_none_or(|next| next > due), "stuck at {due:?}");
        }
        self.now = end;
    }

    pub(crate) fn advance_secs(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    fn drain(&mut self) {
        while let Some((id, action)) = self.broker.poll_output() {
            let text = match action {
                Action::Send(bytes) => shown(&bytes),
                Action::Close => "close".to_owned(),
                Action::Cut => "cut".to_owned(),
            };
            self.output.entry(id).or_default().push(text);
        }
    }

    /// What the broker did with a connection since the last look: packets, `close`, `cut`.
    #[track_caller]
    pub(crate) fn expect(&mut self, id: ConnectionId, expected: &[&str]) {
        self.drain();
        let expected: Vec<_> = expected
            .iter()
            .map(|text| match *text {
                "close" | "cut" => (*text).to_owned(),
                notation => shown(&bytes(notation)),
            })
            .collect();
        let found = self.output.remove(&id).unwrap_or_default();
        assert_eq!(found, expected);
    }

    /// The next of what the broker did with a connection; more may follow.
    #[track_caller]
    pub(crate) fn expect_first(&mut self, id: ConnectionId, expected: &str) {
        self.drain();
        let found = self.output.remove(&id).unwrap_or_default();
        let (first, rest) = found.split_first().unwrap();
        assert_eq!(*first, shown(&bytes(expected)));
        if !rest.is_empty() {
            self.output.insert(id, rest.to_vec());
        }
    }

    #[track_caller]
    pub(crate) fn quiet(&mut self) {
        self.drain();
        assert!(self.output.is_empty(), "{:?}", self.output);
    }
}
