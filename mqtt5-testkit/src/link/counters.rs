//! What a link has seen and done.

use super::plan::Ending;
use crate::Direction;

/// What has happened on a [`FaultyLink`](crate::FaultyLink) since it was made. Of a fault, each
/// strike counts: once per connection and direction for which a plan has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinkCounters {
    /// Connections that clients have opened, refused ones included.
    pub attempts: u64,
    /// Connections that are there now: of which at least one socket is open.
    pub open: u64,
    /// Connections that were let through, but the server could not be reached.
    pub unreachable: u64,
    /// Connections that were refused, by plan or by
    /// [`accept_connections`](crate::FaultyLink::accept_connections).
    pub refused: u64,
    /// Connections that the link has closed in order.
    pub closed: u64,
    /// Connections that the link has reset.
    pub reset: u64,
    /// Directions that were stalled.
    pub stalled: u64,
    /// Directions that were silenced.
    pub silenced: u64,
    /// Directions whose bytes went in pieces.
    pub in_pieces: u64,
    /// Directions whose bytes were delayed.
    pub delayed: u64,
    /// Bytes that were passed on from clients to the server.
    pub bytes_from_client: u64,
    /// Bytes that were passed on from the server to clients.
    pub bytes_to_client: u64,
    /// Bytes that were taken and lost.
    pub bytes_lost: u64,
    /// Writes that it took to pass on the bytes of both directions.
    pub pieces: u64,
}

impl LinkCounters {
    /// How many faults have struck in all.
    #[must_use]
    pub const fn faults(&self) -> u64 {
        self.refused
            + self.closed
            + self.reset
            + self.stalled
            + self.silenced
            + self.in_pieces
            + self.delayed
    }

    pub(super) const fn count_ending(&mut self, ending: Ending) {
        match ending {
            Ending::Close => self.closed += 1,
            Ending::Reset => self.reset += 1,
        }
    }

    pub(super) fn count_passed(&mut self, direction: Direction, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match direction {
            Direction::FromClient => self.bytes_from_client += count,
            Direction::ToClient => self.bytes_to_client += count,
        }
        self.pieces += 1;
    }

    pub(super) fn count_lost(&mut self, count: usize) {
        self.bytes_lost += u64::try_from(count).unwrap_or(u64::MAX);
    }
}
