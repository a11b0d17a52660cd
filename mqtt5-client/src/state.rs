//! The state of the connection as a value that can be watched.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use mqtt5_proto::codec::Utf8String;
use mqtt5_proto::packet::ConnackProperties;
use mqtt5_proto::session::Limits;

use crate::errors::{CloseReason, Failure};
use crate::shared::Handle;
use crate::wake::{Waiting, Wakeups};

/// Where the connection stands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The transport is being opened, or the CONNACK has not come.
    Connecting {
        /// How many attempts failed before this one.
        failed: u32,
    },
    /// The server accepted the connection.
    Connected(Arc<ConnectionInfo>),
    /// There is no connection; the next attempt comes after a delay.
    Waiting {
        /// How many attempts in a row have failed.
        failed: u32,
        /// The delay, from the moment of this state on.
        delay: Duration,
        /// Why there is no connection.
        cause: Failure,
    },
    /// The client is closed for good.
    Closed(CloseReason),
}

impl ConnectionState {
    /// Whether there is a connection that the server accepted.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected(_))
    }
}

/// What the server said in its CONNACK (section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The how manieth connection of this client it is, from 1 on.
    pub number: u64,
    /// Whether the server went on with the session.
    pub session_present: bool,
    /// Whether there had been a session that the server did not have any more: the client
    /// subscribes again by itself, but messages may have been missed.
    pub session_lost: bool,
    /// How many times that has happened to this client. A watcher that sees only the latest state
    /// can tell from it.
    pub sessions_lost: u64,
    /// The Client Identifier: one's own, or the one that the server assigned.
    pub client_id: Utf8String,
    /// What was agreed on for this connection.
    pub limits: Limits,
    /// The properties of the CONNACK as they came.
    pub properties: ConnackProperties,
}

/// The current state, and who waits for the next.
#[derive(Debug)]
pub(crate) struct StateWatch {
    state: ConnectionState,
    version: u64,
    waiting: Waiting,
}

impl Default for StateWatch {
    fn default() -> Self {
        let state = ConnectionState::Connecting { failed: 0 };
        Self {
            state,
            version: 0,
            waiting: Waiting::default(),
        }
    }
}

impl StateWatch {
    pub(crate) const fn get(&self) -> &ConnectionState {
        &self.state
    }

    pub(crate) fn set(&mut self, state: ConnectionState, wakeups: &mut Wakeups) {
        self.state = state;
        self.version += 1;
        wakeups.wake_all(&mut self.waiting);
    }

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn wait(&mut self, watcher: u64, cx: &Context<'_>, wakeups: &mut Wakeups) {
        self.waiting.store(watcher, cx, wakeups);
    }

    pub(crate) fn forget(&mut self, watcher: u64, wakeups: &mut Wakeups) {
        self.waiting.remove(watcher, wakeups);
    }
}

/// Tells changes of the connection's state, from
/// [`Client::state_changes`](crate::Client::state_changes).
///
/// States that came and went between two looks are not told: only the latest is. Ends after
/// [`ConnectionState::Closed`] was told. It does not keep the client alive.
#[derive(Debug)]
pub struct StateChanges {
    shared: Arc<crate::shared::Shared>,
    watcher: u64,
    seen: u64,
    ended: bool,
}

impl StateChanges {
    pub(crate) fn new(handle: &Handle) -> Self {
        let shared = Arc::clone(handle.shared());
        let (watcher, seen) = shared.run(|core| (core.next_number(), core.state.version()));
        Self {
            shared,
            watcher,
            seen,
            ended: false,
        }
    }

    /// The next state; `None` once the client is closed and that was told.
    ///
    /// Cancel safe: a change that was not returned is told by the next call.
    pub async fn changed(&mut self) -> Option<ConnectionState> {
        poll_fn(|cx| self.poll_changed(cx)).await
    }

    fn poll_changed(&mut self, cx: &Context<'_>) -> Poll<Option<ConnectionState>> {
        let Self {
            shared,
            watcher,
            seen,
            ended,
        } = self;
        if *ended {
            return Poll::Ready(None);
        }
        let state = shared.run(|core| {
            if core.state.version() == *seen {
                core.state.wait(*watcher, cx, &mut core.wakeups);
                // A watcher made after the end sees no change, but has to end.
                let state = core.state.get();
                return matches!(state, ConnectionState::Closed(_)).then(|| state.clone());
            }
            *seen = core.state.version();
            Some(core.state.get().clone())
        });
        let Some(state) = state else {
            return Poll::Pending;
        };
        *ended = matches!(state, ConnectionState::Closed(_));
        Poll::Ready(Some(state))
    }
}

impl Stream for StateChanges {
    type Item = ConnectionState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_changed(cx)
    }
}

impl Drop for StateChanges {
    fn drop(&mut self) {
        self.shared
            .run(|core| core.state.forget(self.watcher, &mut core.wakeups));
    }
}

/// Waits for a connection, or for the end of the client.
pub(crate) async fn connected(handle: &Handle) -> Result<Arc<ConnectionInfo>, CloseReason> {
    let mut changes = StateChanges::new(handle);
    let mut state = handle.shared().run(|core| core.state.get().clone());
    loop {
        match state {
            ConnectionState::Connected(info) => return Ok(info),
            ConnectionState::Closed(reason) => return Err(reason),
            ConnectionState::Connecting { .. } | ConnectionState::Waiting { .. } => {}
        }
        state = match changes.changed().await {
            Some(state) => state,
            None => return Err(CloseReason::DriverDropped),
        };
    }
}
