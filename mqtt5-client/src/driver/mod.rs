//! The driver: a future that moves bytes between transport and core, and connects again.
//!
//! ```text
//!             +-> Waiting --(delay over)--> Opening --(transport)--> Open --+
//!             |      |                         |                      |     |
//!             +------|----------(failed)-------+----------------------|-----+
//!                    +------------------> Finished <------------------+
//! ```
//!
//! A turn does what the stage allows without waiting; the driver takes turns until one has to wait,
//! and gives the other tasks of its thread a chance after some, or when it has read much.

mod authentication;
mod connection;
mod ending;
mod open;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use mqtt5_proto::Instant;
use mqtt5_proto::session::{EndReason, Phase};

use crate::authentication::Authenticator;
use crate::errors::{CloseReason, Failure};
use crate::options::ClientOptions;
use crate::output::Output;
use crate::reconnect::Backoff;
use crate::shared::{Core, Shared};
use crate::state::ConnectionState;
use crate::transport::{Connect, Timer};

use connection::Connection;
use open::handle_opened;

/// How many turns are taken before other tasks get a chance.
const TURNS: usize = 32;

/// How much is read before other tasks get a chance: what is taken at once and dropped can be read
/// into again while it is warm.
const READ_AHEAD: usize = 64 << 10;

/// Runs a client. To be spawned: until it is polled, nothing happens; when it is dropped, every
/// operation and stream of the client ends.
///
/// It is done when the client is closed, and returns why.
#[must_use = "nothing happens before the driver is spawned"]
pub struct Driver<C: Connect, T: Timer> {
    shared: Arc<Shared>,
    connect: C,
    timer: T,
    /// What the timer is set to.
    armed: Option<Instant>,
    authenticator: Option<Box<dyn Authenticator>>,
    backoff: Backoff,
    retry_first_connect: bool,
    /// When the server accepted the current connection.
    connected_at: Option<Instant>,
    ever_connected: bool,
    /// Connecting with Clean Start 1 was tried because of a session that nobody knows.
    clean_tried: bool,
    stage: Stage<C>,
    input: BytesMut,
    /// Bytes read since other tasks had a chance.
    read_ahead: usize,
    writing: Output,
    /// Bytes written and not told to the session.
    untold: usize,
    /// When the session's timeouts are to be looked at.
    looks_at: Option<Instant>,
    /// The last turn left the core without anything to do before this time, if any.
    rested: Option<Option<Instant>>,
}

enum Stage<C: Connect> {
    /// For the next attempt to connect.
    Waiting {
        until: Instant,
    },
    Opening {
        opening: Pin<Box<C::Future>>,
        deadline: Instant,
    },
    Open(Connection<C::Transport>),
    Finished(CloseReason),
}

/// What came of a turn.
enum Turn {
    /// There may be more to do at once.
    Again,
    /// There is nothing to do before a waker is called.
    Wait,
}

impl<C: Connect, T: Timer> Driver<C, T> {
    pub(crate) fn new(shared: Arc<Shared>, options: ClientOptions, connect: C, timer: T) -> Self {
        Self {
            shared,
            connect,
            timer,
            armed: None,
            authenticator: options.authenticator,
            backoff: Backoff::new(options.reconnect),
            retry_first_connect: options.retry_first_connect,
            connected_at: None,
            ever_connected: false,
            clean_tried: false,
            stage: Stage::Waiting {
                until: Instant::ZERO,
            },
            input: BytesMut::new(),
            read_ahead: 0,
            writing: Output::default(),
            untold: 0,
            looks_at: None,
            rested: None,
        }
    }

    /// Sets the timer. Whether it has gone off, at `at` or before: with every packet that is sent,
    /// the next PINGREQ moves away, and to look once too early costs less than to set the timer
    /// each time.
    fn arm(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(at) = at else {
            return false;
        };
        if self.armed.is_none_or(|armed| armed > at) {
            self.timer.reset(Some(at));
            self.armed = Some(at);
        }
        if self.timer.poll_expired(cx).is_pending() {
            return false;
        }
        self.armed = None;
        true
    }

    fn wait_until(&mut self, at: Option<Instant>, cx: &mut Context<'_>) -> Turn {
        if self.arm(at, cx) {
            Turn::Again
        } else {
            Turn::Wait
        }
    }

    fn turn_waiting(&mut self, until: Instant, cx: &mut Context<'_>) -> Turn {
        let now = self.shared.now();
        let (close, timeout) = self.shared.run(|core| offline(core, cx, now));
        if close {
            self.finish(&CloseReason::Requested);
            return Turn::Again;
        }
        if until > now {
            return self.wait_until(earlier(Some(until), timeout), cx);
        }
        let failed = self.backoff.failed();
        let timeout = self.shared.run(|core| {
            core.state
                .set(ConnectionState::Connecting { failed }, &mut core.wakeups);
            core.session.config().connect_timeout
        });
        let opening = Box::pin(self.connect.connect());
        self.stage = Stage::Opening {
            opening,
            deadline: now + timeout,
        };
        Turn::Again
    }

    fn turn_opening(&mut self, cx: &mut Context<'_>) -> Turn {
        let now = self.shared.now();
        let (close, timeout) = self.shared.run(|core| offline(core, cx, now));
        let Stage::Opening { opening, deadline } = &mut self.stage else {
            return Turn::Again;
        };
        let deadline = *deadline;
        if close {
            self.finish(&CloseReason::Requested);
            return Turn::Again;
        }
        match opening.as_mut().poll(cx) {
            Poll::Ready(Ok(transport)) => {
                self.opened(transport, deadline);
                Turn::Again
            }
            Poll::Ready(Err(error)) => {
                self.failed(error.into(), None);
                Turn::Again
            }
            Poll::Pending if deadline <= now => {
                let waited_for = self.connect.timed_out();
                self.failed(waited_for.map_or(Failure::TimedOut, Failure::from), None);
                Turn::Again
            }
            Poll::Pending => self.wait_until(earlier(Some(deadline), timeout), cx),
        }
    }

    /// The server has until `deadline` to accept.
    fn opened(&mut self, transport: C::Transport, deadline: Instant) {
        let data = self
            .authenticator
            .as_mut()
            .and_then(|authenticator| authenticator.begin());
        let now = self.shared.now();
        self.shared.run(|core| {
            if let Some(authentication) = &mut core.session.config_mut().authentication {
                authentication.data = data;
            }
            handle_opened(core, now, deadline);
            core.advance(now);
        });
        self.input.clear();
        self.writing.clear();
        self.untold = 0;
        self.looks_at = Some(Instant::ZERO);
        self.stage = Stage::Open(Connection::new(transport));
    }

    fn finish(&mut self, reason: &CloseReason) {
        // The transport, or the attempt to open one, goes first.
        self.stage = Stage::Finished(reason.clone());
        let now = self.shared.now();
        self.shared.run(|core| {
            core.handle_transport_gone(now);
            core.close(reason, now);
        });
    }
}

/// What there is to do without a connection: whether the client is to be closed now, and when to
/// look again.
fn offline(core: &mut Core, cx: &Context<'_>, now: Instant) -> (bool, Option<Instant>) {
    core.wakeups.store(&mut core.driver.waker, cx);
    core.driver.idle = false;
    core.session.handle_timeout(now);
    core.advance(now);
    let close = core
        .closing
        .as_ref()
        .is_some_and(|closing| closing.drain_until <= now || core.session.is_settled());
    let drain_until = core.closing.as_ref().map(|closing| closing.drain_until);
    core.driver.looks_at = core.session.poll_timeout();
    (close, earlier(drain_until, core.driver.looks_at))
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

impl<C: Connect + Unpin, T: Timer> Future for Driver<C, T> {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        this.read_ahead = 0;
        // Whoever has woken the driver may have something for it.
        this.rested = None;
        for _ in 0..TURNS {
            if this.read_ahead >= READ_AHEAD {
                break;
            }
            let turn = match &mut this.stage {
                Stage::Waiting { until } => {
                    let until = *until;
                    this.turn_waiting(until, cx)
                }
                Stage::Opening { .. } => this.turn_opening(cx),
                Stage::Open(_) => this.turn_open(cx),
                Stage::Finished(reason) => return Poll::Ready(reason.clone()),
            };
            if matches!(turn, Turn::Wait) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C: Connect, T: Timer> Drop for Driver<C, T> {
    fn drop(&mut self) {
        if !matches!(self.stage, Stage::Finished(_)) {
            self.finish(&CloseReason::DriverDropped);
        }
    }
}

impl<C: Connect, T: Timer> std::fmt::Debug for Driver<C, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = match &self.stage {
            Stage::Waiting { .. } => "waiting",
            Stage::Opening { .. } => "opening",
            Stage::Open(_) => "open",
            Stage::Finished(_) => "finished",
        };
        f.debug_struct("Driver")
            .field("stage", &stage)
            .finish_non_exhaustive()
    }
}

/// Whether the session waits for its connection to be closed, by its own wish.
fn is_closing(core: &Core) -> bool {
    core.session.phase() == Phase::Closing
}

/// Whether a connection ended because we wanted it to.
const fn is_requested(reason: &EndReason) -> bool {
    matches!(reason, EndReason::Requested)
}
