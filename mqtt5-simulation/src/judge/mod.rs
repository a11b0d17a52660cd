//! The judge: sees both directions of every link and what the application sees, and knows nothing
//! else. It is simpler than what it judges: it follows numbers of messages and packet identifiers
//! through lists, and never decides what is to be sent, only whether what was sent may be.

mod connection;
mod deadlines;
mod operations;
mod receiving;
mod sending;
mod streams;
mod subscriptions;

use std::fmt;

use mqtt5_client::proto::Instant;

use crate::link::{Tape, Way};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::universe::{Matching, Messages};
use crate::wire::{self, Fault};
use connection::Connection;
pub(crate) use operations::Told;
pub(crate) use streams::StreamId;

/// A promise that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which promise.
    pub what: &'static str,
    /// By what.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.detail)
    }
}

pub(crate) type Judged<T = ()> = Result<T, Violation>;

/// Breaks off with a violation.
pub(crate) fn broken<T>(what: &'static str, detail: impl fmt::Display) -> Judged<T> {
    Err(Violation {
        what,
        detail: detail.to_string(),
    })
}

/// What the client under judgement was told to be.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) index: usize,
    pub(crate) durable: bool,
    pub(crate) session_expiry: u32,
    pub(crate) keep_alive: u16,
    pub(crate) ping_timeout: u16,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet_size: u32,
    pub(crate) outbound_messages: usize,
    pub(crate) outbound_bytes: usize,
    pub(crate) queue_qos0: bool,
    pub(crate) refuses_stalled: bool,
    /// It does not hold more than twice its Receive Maximum.
    pub(crate) gives_up: bool,
    /// Its streams may stop it from reading, and so from noticing that a link is dead.
    pub(crate) pauses_reading: bool,
    pub(crate) client_id: &'static str,
}

/// What all judges of a world share.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub(crate) messages: &'a Messages,
    pub(crate) matching: &'a Matching,
    pub(crate) tally: &'a mut Tally,
    pub(crate) trace: &'a mut Trace,
    pub(crate) now: Instant,
}

/// Judges one client, from its making to its end.
#[derive(Debug)]
pub(crate) struct Judge {
    asked: Asked,
    connection: Option<Connection>,
    operations: operations::Operations,
    sending: sending::Sending,
    receiving: receiving::Receiving,
    streams: streams::Streams,
    subscriptions: subscriptions::Subscriptions,
    /// A connection was accepted before.
    ever_connected: bool,
    /// How many connections have ended.
    ended: u64,
    /// The session that the server has outlives a connection.
    session_kept: bool,
    /// The client may drop its session by itself.
    may_start_clean: bool,
    /// The broker has broken the rules towards this client: what it says is no measure any more.
    pub(crate) tainted: bool,
    /// What the client has to find wrong first.
    expected: Option<Fault>,
    /// The server has begun a new session, and the client has not read that.
    new_session_unread: bool,
    /// The application has asked for the end of the client.
    pub(crate) closing: bool,
    /// Whether the last connection ended by a DISCONNECT of the client.
    left: Option<bool>,
}

impl Judge {
    pub(crate) fn new(asked: Asked) -> Self {
        Self {
            may_start_clean: asked.session_expiry == 0,
            asked,
            connection: None,
            operations: operations::Operations::default(),
            sending: sending::Sending::default(),
            receiving: receiving::Receiving::default(),
            streams: streams::Streams::default(),
            subscriptions: subscriptions::Subscriptions::default(),
            ever_connected: false,
            ended: 0,
            session_kept: false,
            tainted: false,
            expected: None,
            new_session_unread: false,
            closing: false,
            left: None,
        }
    }

    /// The broker breaks the rules towards this client now, by these bytes at the start of a packet,
    /// if they are at one. Only the first fault is certain to be the one that the client meets.
    pub(crate) fn taint(&mut self, bytes: Option<&[u8]>) {
        let limit = usize::try_from(self.asked.maximum_packet_size).unwrap_or(usize::MAX);
        let fault = bytes.and_then(|bytes| wire::packet_size(bytes, limit).err());
        self.expected = fault.filter(|_| !self.tainted);
        self.tainted = true;
    }

    /// The server answers a CONNECT. A client that does not get to read that its session is new
    /// takes the next connection, which resumes the new one, for a resumption of its own: no client
    /// can know better, since sessions have no names.
    pub(crate) const fn answered(&mut self, session_present: bool) {
        if !session_present {
            self.new_session_unread = true;
        }
    }

    /// The client has opened a link.
    pub(crate) fn opened(&mut self, world: &World<'_>) -> Judged {
        if self.connection.is_some() {
            return broken("one connection at a time", "a second link was opened");
        }
        self.connection = Some(Connection::new(world.now));
        Ok(())
    }

    /// Judges what crossed the client's end of its link.
    pub(crate) fn play(&mut self, tape: &Tape, world: &mut World<'_>) -> Judged {
        let mut at = 0;
        for (way, count) in &tape.crossings {
            let bytes = &tape.bytes[at..at + count];
            at += count;
            match way {
                Way::Up => self.sent(bytes, world)?,
                Way::Down => self.read(bytes, world)?,
            }
        }
        Ok(())
    }

    /// The client has let go of its link.
    pub(crate) fn closed(&mut self, world: &mut World<'_>) -> Judged {
        let Some(connection) = self.connection.take() else {
            return Ok(());
        };
        self.ended += 1;
        self.left = Some(connection.has_left());
        self.sending.closed(&connection, &mut self.operations);
        self.receiving.closed();
        if let Some(fault) = connection.fault() {
            world.tally.faults_answered += 1;
            if connection.said(fault.code) {
                world.tally.faults_named += 1;
            }
        }
        Ok(())
    }

    /// The session is over, on the server or by the client's own doing.
    fn lose_session(&mut self, world: &mut World<'_>) {
        world.tally.sessions_lost += 1;
        self.sending.lose_session(&mut self.operations);
        self.receiving.lose_session();
        self.subscriptions.lose_session();
    }

    /// Whether the client's DISCONNECT is known to have left; `None` if it had no connection.
    pub(crate) const fn says_it_left(&self) -> Option<bool> {
        self.left
    }

    /// The client is no more.
    pub(crate) fn at_end(&self) -> Judged {
        if self.connection.is_some() {
            return broken("the link goes with the client", "it is still there");
        }
        self.operations.at_rest()
    }

    /// How many operations wait for their verdict.
    pub(crate) const fn outstanding(&self) -> usize {
        self.operations.outstanding
    }

    /// Nothing may be owed any more.
    pub(crate) fn at_rest(&self, lenient: bool, world: &World<'_>) -> Judged {
        self.operations.at_rest()?;
        if self.tainted {
            return Ok(());
        }
        self.sending.at_rest()?;
        self.subscribed_at_rest()?;
        self.receiving.at_rest(lenient, world)
    }
}
