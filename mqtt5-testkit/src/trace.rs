//! What went over the wire.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use mqtt5_proto::Instant;
use mqtt5_proto::codec::DecodeError;
use mqtt5_proto::packet::{Packet, PacketType};

use crate::ConnectionId;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the client to the broker.
    FromClient,
    /// From the broker to the client.
    ToClient,
}

/// One packet that came or left, or bytes that a script sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Instant,
    /// On which connection.
    pub connection: ConnectionId,
    /// Whose connection that was; empty before its CONNECT was taken.
    pub client_id: String,
    /// Which way.
    pub direction: Direction,
    /// The bytes of the packet, fixed header included.
    pub bytes: Bytes,
}

impl Record {
    /// The kind of packet by its first byte; `None` if that names none.
    #[must_use]
    pub fn packet_type(&self) -> Option<PacketType> {
        PacketType::from_raw(self.bytes.first()? >> 4)
    }

    /// The packet.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not one whole and valid packet.
    pub fn packet(&self) -> Result<Packet<'_>, DecodeError> {
        Packet::parse(&self.bytes)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::FromClient => "->",
            Direction::ToClient => "<-",
        };
        let at = self.at.since_start();
        write!(
            f,
            "{at:?} {} {:?} {arrow} ",
            self.connection, self.client_id
        )?;
        // Through the view, which shows no password.
        match self.packet() {
            Ok(packet) => packet.fmt(f),
            Err(error) => write!(f, "{} bytes: {error}", self.bytes.len()),
        }
    }
}

/// More than a test needs and less than a demo that runs for days would pile up.
const LIMIT: usize = 100_000;

/// The latest packets of all connections, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Trace(VecDeque<Record>);

impl Trace {
    pub(crate) fn push(&mut self, record: Record) {
        if self.0.len() == LIMIT {
            self.0.pop_front();
        }
        self.0.push_back(record);
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.0.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
