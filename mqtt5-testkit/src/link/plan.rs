//! What happens to a connection, decided at the byte and without I/O.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;

use super::LinkCounters;
use crate::Direction;

/// What happens to one connection over a [`FaultyLink`](crate::FaultyLink). Faults add up.
///
/// `after` counts the bytes of one direction, from the beginning of the connection: a fault strikes
/// as soon as exactly so many have gone, and before the next one goes. 0 is at once.
///
/// ```
/// use mqtt5_testkit::{Direction, LinkPlan};
///
/// // One byte at a time from the start, and after the fifth a reset.
/// let plan = LinkPlan::sound()
///     .in_pieces(Direction::ToClient, 0, 1)
///     .reset(Direction::ToClient, 5);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPlan {
    pub(super) refused: bool,
    from_client: Vec<Fault>,
    to_client: Vec<Fault>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    after: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    End(Ending),
    Stall(Option<Duration>),
    Silence,
    Pieces(NonZeroUsize),
    Delay(Duration),
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    Reset,
}

impl LinkPlan {
    /// Nothing goes wrong.
    #[must_use]
    pub const fn sound() -> Self {
        Self {
            refused: false,
            from_client: Vec::new(),
            to_client: Vec::new(),
        }
    }

    /// The client is refused: its connection is reset as soon as it is there, and the server does
    /// not hear of it. As a plan for a connection that is there already it is a reset.
    #[must_use]
    pub const fn refused() -> Self {
        Self {
            refused: true,
            from_client: Vec::new(),
            to_client: Vec::new(),
        }
    }

    /// Closes the connection in order, towards both sides: each reads all that was passed on to it,
    /// then the end of the stream.
    #[must_use]
    pub fn close(self, direction: Direction, after: u64) -> Self {
        self.with(direction, after, Kind::End(Ending::Close))
    }

    /// Resets the connection (RST), towards both sides, as a network failure does.
    ///
    /// What was passed on before can still be read where a system keeps it, as Linux does. Others
    /// may throw away what was not read.
    #[must_use]
    pub fn reset(self, direction: Direction, after: u64) -> Self {
        self.with(direction, after, Kind::End(Ending::Reset))
    }

    /// Nothing more goes this way, and nothing is lost, until
    /// [`FaultyLink::release_stalled`](crate::FaultyLink::release_stalled): the sender is not read
    /// from, so that it has to stop at some time.
    #[must_use]
    pub fn stall(self, direction: Direction, after: u64) -> Self {
        self.with(direction, after, Kind::Stall(None))
    }

    /// As [`stall`](Self::stall), but for this long at most.
    #[must_use]
    pub fn stall_for(self, direction: Direction, after: u64, pause: Duration) -> Self {
        self.with(direction, after, Kind::Stall(Some(pause)))
    }

    /// Half-open: what is sent this way is taken and lost from here on, as is the end of the stream
    /// or of the connection, while the other direction works.
    ///
    /// With a [`reset`](Self::reset) of the other direction, one side is gone and the other does not
    /// know. Both directions: the peer is dead.
    #[must_use]
    pub fn silence(self, direction: Direction, after: u64) -> Self {
        self.with(direction, after, Kind::Silence)
    }

    /// From here on bytes leave in pieces of at most `size`, each in a segment of its own. 0 counts
    /// as 1. A reader that is slower than the link may still find several at once; with
    /// [`delay`](Self::delay), which holds up every piece, it hardly does.
    #[must_use]
    pub fn in_pieces(self, direction: Direction, after: u64, size: usize) -> Self {
        let size = NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN);
        self.with(direction, after, Kind::Pieces(size))
    }

    /// From here on, whatever has come is passed on so much later.
    #[must_use]
    pub fn delay(self, direction: Direction, after: u64, delay: Duration) -> Self {
        self.with(direction, after, Kind::Delay(delay))
    }

    fn with(mut self, direction: Direction, after: u64, kind: Kind) -> Self {
        match direction {
            Direction::FromClient => &mut self.from_client,
            Direction::ToClient => &mut self.to_client,
        }
        .push(Fault { after, kind });
        self
    }

    /// Its two directions, to be carried out.
    pub(super) fn ways(self) -> (Way, Way) {
        let plan = if self.refused {
            Self::sound().reset(Direction::FromClient, 0)
        } else {
            self
        };
        (Way::new(plan.from_client), Way::new(plan.to_client))
    }
}

/// What one direction of a connection may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes may go.
    Pass(usize),
    /// So many bytes are taken and lost.
    Lose(usize),
    /// Nothing goes before this time; `None`: before something changes.
    Wait(Option<Instant>),
    /// The connection ends.
    End(Ending),
}

/// One direction of a connection: how far it is, and what is ahead.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Those that have not struck, by their place.
    faults: VecDeque<Fault>,
    /// How many bytes have gone, or were lost.
    gone: u64,
    silent: bool,
    piece: Option<NonZeroUsize>,
    delay: Duration,
    /// Nothing goes before; `None` inside: not before it is released.
    stalled: Option<Option<Instant>>,
    /// When the bytes at hand may go.
    due: Option<Instant>,
    ended: Option<Ending>,
}

impl Way {
    fn new(mut faults: Vec<Fault>) -> Self {
        // Stable: of several at one byte, the first that was asked for strikes first.
        faults.sort_by_key(|fault| fault.after);
        Self {
            faults: faults.into(),
            ..Self::default()
        }
    }

    /// Lets all faults strike that are due, and tells what may happen then.
    pub(super) fn step(&mut self, now: Instant, counters: &mut LinkCounters) -> Step {
        loop {
            if let Some(ending) = self.ended {
                return Step::End(ending);
            }
            match self.stalled {
                Some(Some(until)) if until <= now => self.stalled = None,
                Some(until) => return Step::Wait(until),
                None => {}
            }
            let Some(fault) = self.faults.pop_front_if(|next| next.after <= self.gone) else {
                break;
            };
            self.strike(fault.kind, now, counters);
        }
        let ahead = self.faults.front().map(|next| next.after - self.gone);
        let ahead = ahead.map_or(usize::MAX, |ahead| {
            usize::try_from(ahead).unwrap_or(usize::MAX)
        });
        if self.silent {
            return Step::Lose(ahead);
        }
        match self.due {
            Some(due) if due > now => Step::Wait(Some(due)),
            _ => Step::Pass(ahead.min(self.piece.map_or(usize::MAX, NonZeroUsize::get))),
        }
    }

    fn strike(&mut self, kind: Kind, now: Instant, counters: &mut LinkCounters) {
        match kind {
            Kind::End(ending) => {
                counters.count_ending(ending);
                self.ended = Some(ending);
            }
            Kind::Stall(pause) => {
                counters.stalled += 1;
                self.stalled = Some(pause.map(|pause| now + pause));
            }
            Kind::Silence => {
                counters.silenced += 1;
                self.silent = true;
            }
            Kind::Pieces(size) => {
                counters.in_pieces += 1;
                self.piece = Some(size);
            }
            Kind::Delay(delay) => {
                counters.delayed += 1;
                self.delay = delay;
            }
        }
    }

    /// Takes note that bytes have come from the sender.
    pub(super) fn handle_taken(&mut self, now: Instant) {
        self.due = (self.delay > Duration::ZERO).then(|| now + self.delay);
    }

    /// Takes note that so many bytes have gone, or were lost.
    pub(super) fn handle_gone(&mut self, count: usize) {
        self.gone += u64::try_from(count).unwrap_or(u64::MAX);
    }

    /// Whether neither bytes nor the end of anything get through.
    pub(super) const fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Ends the connection, whatever is ahead.
    pub(super) const fn end(&mut self, ending: Ending) {
        self.ended = Some(ending);
    }

    pub(super) const fn release(&mut self) {
        self.stalled = None;
    }
}
