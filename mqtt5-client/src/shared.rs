//! What handles and driver share: one core behind one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::Duration;

use mqtt5_proto::Instant;
use mqtt5_proto::codec::BinaryData;
use mqtt5_proto::packet::{Disconnect, DisconnectProperties};
use mqtt5_proto::session::{
    AckToken, Challenge, Connected, ConnectionEnd, Message, Phase, Session, Transmit,
};

use crate::completions::Completions;
use crate::delivery::SharedExchange;
use crate::errors::{CloseReason, ReauthenticateError, SubscribeError, UnsubscribeError};
use crate::numbers::NumberMap;
use crate::options::{ClientOptions, StallPolicy};
use crate::output::Output;
use crate::requests::Request;
use crate::room::Room;
use crate::routes::Routes;
use crate::slots::{SlotKey, Slots};
use crate::state::StateWatch;
use crate::statistics::Statistics;
use crate::streams::{StreamKey, Streams};
use crate::taps::{Notice, Taps, UnobservedVerdict};
use crate::transport::Clock;
use crate::wake::Wakeups;

/// How many bytes may wait for the transport before no more are made. Answers count too, so that a
/// peer that sends and does not read is not read from for long.
const WINDOW: usize = 128 << 10;

/// Requests that may wait beside as many messages as the options allow.
const REQUEST_RESERVE: usize = 1024;

/// How many small commands are left to the driver to carry on.
const LEFT_TO_DRIVER: usize = 64;

/// How many messages are accepted in a row before the driver has a chance to send them.
const BURST: usize = 256;

/// How to reach the driver.
#[derive(Debug, Default)]
pub(crate) struct DriverLink {
    pub(crate) waker: Option<Waker>,
    /// The driver has nothing to do and looks at the core again only when woken.
    pub(crate) idle: bool,
    /// When it will look at the session's timeouts at the latest; `None`: not at all.
    pub(crate) looks_at: Option<Instant>,
}

/// The client is to end.
#[derive(Debug)]
pub(crate) struct Closing {
    pub(crate) disconnect: Disconnect,
    pub(crate) drain_until: Instant,
    /// The session was told.
    pub(crate) asked: bool,
    /// The session has made a DISCONNECT of it.
    pub(crate) accepted: bool,
    /// The DISCONNECT has reached the transport.
    pub(crate) sent: bool,
}

/// A step of an enhanced authentication, for the driver's authenticator.
#[derive(Debug)]
pub(crate) enum AuthStep {
    /// A re-authentication is to begin.
    Begin,
    Challenge(Box<Challenge>),
    /// The server's yes to a CONNECT; [`Trust::Asked`] until the authenticator has looked at it.
    Succeeded(Option<BinaryData>),
    /// The server's yes to a re-authentication.
    Reauthenticated(Option<BinaryData>),
}

/// Whether the server is what it says it is, as far as the authenticator can tell.
#[derive(Debug, Default)]
pub(crate) enum Trust {
    #[default]
    Given,
    /// The server said yes. Until the authenticator has looked at it, nothing is sent or delivered.
    Asked(Box<Connected>),
    /// For the rest of the connection, nothing that comes is delivered.
    Denied,
}

/// All state but transport and timer.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) session: Session,
    pub(crate) output: Output,
    /// Bytes made and not told to the session as transmitted.
    pub(crate) outstanding: usize,
    /// The session has said all and wants the transport closed.
    pub(crate) transport_closing: bool,
    /// Something was said while closing: the peer should have the time to read it.
    pub(crate) last_words: bool,
    pub(crate) driver: DriverLink,
    pub(crate) wakeups: Wakeups,
    numbers: u64,
    /// A message was accepted that expires.
    pub(crate) timeouts_changed: bool,
    /// How many commands the driver has to carry on.
    left_to_driver: usize,
    /// How many messages were accepted since the driver has looked.
    pub(crate) burst: usize,
    /// When the clock was read last. Near enough for what does not depend on the time.
    pub(crate) now: Instant,

    pub(crate) completions: Completions,
    pub(crate) room: Room,

    pub(crate) requests: NumberMap<u64, Request>,
    /// Requests that the session could not take yet.
    pub(crate) retries: VecDeque<Request>,
    pub(crate) subscribed: Slots<Result<(), SubscribeError>>,
    pub(crate) unsubscribed: Slots<Result<(), UnsubscribeError>>,

    pub(crate) routes: Routes,
    pub(crate) streams: Streams,
    /// Streams that may ask to pause reading.
    pub(crate) pausing: Vec<StreamKey>,
    pub(crate) paused: bool,
    /// The stream of messages that no other claims.
    pub(crate) unclaimed: StreamKey,
    pub(crate) exchanges: HashMap<AckToken, SharedExchange>,
    pub(crate) targets: Vec<StreamKey>,
    pub(crate) durable: bool,
    pub(crate) stall_policy: StallPolicy,

    pub(crate) observed_messages: Taps<Message>,
    pub(crate) observed_verdicts: Taps<UnobservedVerdict>,
    pub(crate) notices: Taps<Notice>,
    pub(crate) state: StateWatch,
    pub(crate) statistics: Statistics,

    pub(crate) has_authenticator: bool,
    pub(crate) auth_steps: VecDeque<AuthStep>,
    pub(crate) trust: Trust,
    pub(crate) reauthentication: Option<SlotKey>,
    pub(crate) reauthenticated: Slots<Result<(), ReauthenticateError>>,

    pub(crate) connection_end: Option<Box<ConnectionEnd>>,
    pub(crate) closing: Option<Closing>,
    pub(crate) closed: Option<CloseReason>,
}

impl Core {
    fn new(options: &ClientOptions) -> Self {
        let mut config = options.session.clone();
        let maximum = config.outbound_messages;
        config.outbound_messages = maximum.saturating_add(REQUEST_RESERVE);
        let mut core = Self {
            session: Session::new(config),
            output: Output::default(),
            outstanding: 0,
            transport_closing: false,
            last_words: false,
            driver: DriverLink::default(),
            wakeups: Wakeups::default(),
            numbers: 0,
            timeouts_changed: false,
            left_to_driver: 0,
            burst: 0,
            now: Instant::ZERO,
            completions: Completions::default(),
            room: Room::new(maximum),
            requests: NumberMap::default(),
            retries: VecDeque::new(),
            subscribed: Slots::default(),
            unsubscribed: Slots::default(),
            routes: Routes::default(),
            streams: Streams::default(),
            pausing: Vec::new(),
            paused: false,
            unclaimed: 0,
            exchanges: HashMap::new(),
            targets: Vec::new(),
            durable: options.durable,
            stall_policy: options.stall_policy,
            observed_messages: Taps::default(),
            observed_verdicts: Taps::default(),
            notices: Taps::default(),
            state: StateWatch::default(),
            statistics: Statistics::default(),
            has_authenticator: options.authenticator.is_some(),
            auth_steps: VecDeque::new(),
            trust: Trust::Given,
            reauthentication: None,
            reauthenticated: Slots::default(),
            connection_end: None,
            closing: None,
            closed: None,
        };
        core.unclaimed = core.add_stream(options.unclaimed);
        core
    }

    /// A number that nothing else has.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Whether operations end now instead of waiting for another connection.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Takes what the session wants to send, as far as it may wait.
    fn pump(&mut self, now: Instant) {
        // A peer that does not read does not hold up the end.
        while !self.transport_closing
            && (self.outstanding < WINDOW || self.session.phase() == Phase::Closing)
        {
            let session = &mut self.session;
            let mut more = true;
            let closing = &mut self.transport_closing;
            let added = self
                .output
                .append(|tail| match session.poll_transmit(tail, now) {
                    Some(Transmit::Payload(payload)) => Some(payload),
                    Some(Transmit::Buffered) => None,
                    Some(Transmit::Close) => {
                        *closing = true;
                        None
                    }
                    None => {
                        more = false;
                        None
                    }
                });
            self.outstanding += added;
            self.last_words |= added > 0 && self.session.phase() == Phase::Closing;
            if !more {
                return;
            }
        }
    }

    /// Carries on whatever follows from a command or from input: events, requests that can go now,
    /// bytes to send.
    pub(crate) fn advance(&mut self, now: Instant) {
        self.left_to_driver = 0;
        self.now = now;
        loop {
            self.drain_events();
            if matches!(self.trust, Trust::Asked(_)) {
                return;
            }
            self.send_retries();
            self.pump(now);
            if !self.drain_events() {
                return;
            }
        }
    }

    /// Has the driver look at the core.
    pub(crate) fn wake_driver(&mut self) {
        self.driver.idle = false;
        self.driver.looks_at = Some(Instant::ZERO);
        self.wakeups.wake(self.driver.waker.clone());
    }

    /// Carries on after a command: what the driver has to know, it is told.
    pub(crate) fn carry_on(&mut self, now: Instant) {
        self.advance(now);
        let unsent = !self.output.is_empty() || self.transport_closing;
        if (self.driver.idle && unsent) || self.is_overslept() {
            self.wake_driver();
        }
    }

    /// Has the driver carry on after a command, unless it will look at the core anyway. So that no
    /// more waits for it than fits into a cache, the command does it itself now and then.
    #[inline]
    pub(crate) fn leave_to_driver(&mut self, clock: &dyn Clock) {
        if self.driver.idle || self.is_overslept() {
            self.wake_driver();
        }
        self.left_to_driver += 1;
        if self.left_to_driver == LEFT_TO_DRIVER {
            self.advance(clock.now());
        }
    }

    /// Whether who publishes is to give the driver a chance first.
    pub(crate) const fn takes_a_breath(&mut self) -> bool {
        self.burst += 1;
        let long = self.burst > BURST;
        if long {
            self.burst = 0;
        }
        long
    }

    /// Whether the driver would look too late, as far as it knows now.
    fn is_overslept(&mut self) -> bool {
        if !std::mem::take(&mut self.timeouts_changed) {
            return false;
        }
        let Some(timeout) = self.session.poll_timeout() else {
            return false;
        };
        self.driver
            .looks_at
            .is_none_or(|looks_at| timeout < looks_at)
    }

    /// The client is to end, unless it is ending already.
    pub(crate) fn begin_close(&mut self, disconnect: Disconnect, drain_until: Instant) {
        if self.closing.is_none() && self.closed.is_none() {
            self.closing = Some(Closing {
                disconnect,
                drain_until,
                asked: false,
                accepted: false,
                sent: false,
            });
            self.room.wake_all(&mut self.wakeups);
        }
        self.wake_driver();
    }

    /// The DISCONNECT for an ordinary end: a session that is not durable ends with it.
    pub(crate) fn ordinary_disconnect(&self) -> Disconnect {
        let mut disconnect = Disconnect::default();
        if !self.durable && self.session.config().session_expiry_interval > 0 {
            disconnect.properties = Some(Box::new(DisconnectProperties {
                session_expiry_interval: Some(0),
                ..DisconnectProperties::default()
            }));
        }
        disconnect
    }
}

/// The core and its lock.
pub(crate) struct Shared {
    core: Mutex<Core>,
    clock: Box<dyn Clock>,
    drain_timeout: Duration,
}

impl Shared {
    pub(crate) fn new(options: &ClientOptions, clock: impl Clock) -> Arc<Self> {
        Arc::new(Self {
            core: Mutex::new(Core::new(options)),
            clock: Box::new(clock),
            drain_timeout: options.drain_timeout,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) const fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    /// Does something with the core, then calls the wakers that it left.
    #[inline]
    pub(crate) fn run<R>(&self, work: impl FnOnce(&mut Core) -> R) -> R {
        // Whoever panicked under the lock has left the core whole: each step of it is.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = work(&mut core);
        let wakeups = core.wakeups.take();
        drop(core);
        if let Some(wakeups) = wakeups {
            wakeups.run();
        }
        result
    }

    /// As [`run`](Self::run), for a small command, one of many: the driver carries it on.
    #[inline]
    pub(crate) fn submit<R>(&self, work: impl FnOnce(&mut Core) -> R) -> R {
        self.run(|core| {
            let result = work(core);
            core.leave_to_driver(&*self.clock);
            result
        })
    }

    /// As [`run`](Self::run), for what may make something to send.
    pub(crate) fn command<R>(&self, work: impl FnOnce(&mut Core, Instant) -> R) -> R {
        let now = self.now();
        self.run(|core| {
            let result = work(core, now);
            core.carry_on(now);
            result
        })
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// Keeps the client alive. When the last handle goes, the client ends in the background.
#[derive(Debug)]
pub(crate) struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    pub(crate) fn new(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
        })
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let drain_until = self.shared.now() + self.shared.drain_timeout;
        self.shared.run(|core| {
            let disconnect = core.ordinary_disconnect();
            core.begin_close(disconnect, drain_until);
        });
    }
}
