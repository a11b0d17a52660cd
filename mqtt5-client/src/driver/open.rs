//! A turn with an open transport.

use std::task::Context;
use std::time::Duration;

use bytes::BytesMut;
use mqtt5_proto::Instant;
use mqtt5_proto::packet::Disconnect;
use mqtt5_proto::session::{InputStatus, Rule};

use super::connection::Connection;
use super::{Driver, Stage, Turn, earlier, is_closing};
use crate::output::Output;
use crate::shared::{Closing, Core};
use crate::transport::{Connect, Timer, Transport};

/// How long the peer may take to close after we have said all.
const LINGER: Duration = Duration::from_secs(1);

/// How long the last words may take to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often input is handed to the session under one lock. Each time it takes a bounded number of
/// packets.
const FEEDS: usize = 4;

/// What the core says after a turn.
struct Synced {
    /// There may be more to read.
    more_input: bool,
    progress: bool,
    timeout: Option<Instant>,
    accepted: bool,
    has_auth_steps: bool,
    said_all: bool,
    /// The connection is to be closed without a word.
    nothing_said: bool,
    /// The core has nothing for the driver, and wakes it when it has.
    idle: bool,
}

impl<C: Connect, T: Timer> Driver<C, T> {
    pub(super) fn turn_open(&mut self, cx: &mut Context<'_>) -> Turn {
        let rested = self.rested.take();
        let Stage::Open(connection) = &mut self.stage else {
            return Turn::Again;
        };
        if connection.lingering {
            return self.turn_lingering(cx);
        }
        self.untold += connection.write(&mut self.writing, cx);
        let read = connection.read(&mut self.input, cx);
        self.read_ahead += read;
        if let Some(at) = rested
            && self.untold == 0
            && read == 0
            && connection.is_whole()
        {
            return self.wait_until(at, cx);
        }
        let now = self.shared.now();
        let due = self.looks_at.is_some_and(|at| at <= now);
        let (input, writing) = (&mut self.input, &mut self.writing);
        let untold = std::mem::take(&mut self.untold);
        let mut synced = self.shared.run(|core| {
            core.wakeups.store(&mut core.driver.waker, cx);
            core.burst = 0;
            tell_transmitted(core, untold, now);
            // First what has come: it may be the answer whose time has run out since.
            connection.fed = feed(core, connection, input, now);
            if due {
                core.session.handle_timeout(now);
            }
            sync(core, connection, writing, now)
        });
        if !synced.nothing_said {
            self.untold = connection.write(writing, cx);
        }
        if self.untold > 0 && writing.is_empty() && !connection.blocked {
            // Mostly that was all: another look at the core, and not another turn.
            let untold = std::mem::take(&mut self.untold);
            synced = self.shared.run(|core| {
                tell_transmitted(core, untold, now);
                sync(core, connection, writing, now)
            });
        }
        synced.more_input = connection.fed || read > 0;
        self.looks_at = synced.timeout;
        if synced.accepted && self.connected_at.is_none() {
            self.connected_at = Some(now);
            self.ever_connected = true;
            self.clean_tried = false;
            self.backoff.handle_connected();
        }
        if synced.has_auth_steps {
            self.authenticate();
        }
        self.after_sync(&synced, now, cx)
    }

    fn after_sync(&mut self, synced: &Synced, now: Instant, cx: &mut Context<'_>) -> Turn {
        let Stage::Open(connection) = &mut self.stage else {
            return Turn::Again;
        };
        if self.untold > 0 {
            return Turn::Again;
        }
        let all_written = synced.said_all && self.writing.is_empty();
        if all_written {
            self.shared.run(|core| {
                if let Some(closing) = &mut core.closing {
                    closing.sent = closing.accepted;
                }
            });
        }
        let late = connection.close_by.is_some_and(|at| at <= now);
        let read_all = connection.ended && !connection.blocked;
        let over = late || synced.nothing_said || (read_all && !synced.said_all);
        if connection.error.is_some() || over {
            self.closed();
            return Turn::Again;
        }
        if all_written && connection.is_flushed() {
            connection.lingering = true;
            connection.close_by = Some(now + LINGER);
            return Turn::Again;
        }
        if synced.progress || synced.has_auth_steps {
            return Turn::Again;
        }
        let at = earlier(synced.timeout, connection.close_by);
        if at.is_some_and(|at| at <= now) {
            return Turn::Again;
        }
        if synced.more_input {
            // If there is no more, the core need not be asked again.
            self.rested = synced.idle.then_some(at);
            return Turn::Again;
        }
        self.wait_until(at, cx)
    }

    fn turn_lingering(&mut self, cx: &mut Context<'_>) -> Turn {
        let now = self.shared.now();
        let Stage::Open(connection) = &mut self.stage else {
            return Turn::Again;
        };
        let close_by = connection.close_by;
        let late = close_by.is_none_or(|at| at <= now);
        if late || connection.linger(&mut self.input, cx).is_ready() {
            self.closed();
            return Turn::Again;
        }
        self.shared
            .run(|core| core.wakeups.store(&mut core.driver.waker, cx));
        self.wait_until(close_by, cx)
    }
}

/// The session counts its time from here on, but the limit is that of the whole attempt: what
/// opening the transport has taken is not given again.
pub(super) fn handle_opened(core: &mut Core, now: Instant, deadline: Instant) {
    let whole = core.session.config().connect_timeout;
    core.session.config_mut().connect_timeout = deadline.saturating_since(now);
    core.session.handle_opened(now);
    core.session.config_mut().connect_timeout = whole;
}

/// The transport took bytes.
pub(super) fn tell_transmitted(core: &mut Core, bytes: usize, now: Instant) {
    if bytes > 0 {
        core.outstanding = core.outstanding.saturating_sub(bytes);
        core.session.handle_transmitted(bytes, now);
    }
}

/// Hands input to the session. Whether that led anywhere.
fn feed<T: Transport>(
    core: &mut Core,
    connection: &mut Connection<T>,
    input: &mut BytesMut,
    now: Instant,
) -> bool {
    let paused = core.wants_pause();
    if paused != connection.paused {
        connection.paused = paused;
        connection.blocked |= !input.is_empty();
        core.paused = paused;
        if paused {
            core.session.handle_input_paused(now);
        } else {
            core.session.handle_input_resumed(now);
        }
        // Whether to read has changed.
        return true;
    }
    if paused || (input.is_empty() && !connection.blocked) {
        return false;
    }
    let before = input.len();
    let was_blocked = connection.blocked;
    for _ in 0..FEEDS {
        let status = core.session.handle_input(input, now);
        connection.blocked = true;
        match status {
            InputStatus::EventsWaiting => {
                core.advance(now);
                if core.wants_pause() {
                    break;
                }
            }
            // Goes on when the transport has taken something.
            InputStatus::OutputFull => break,
            InputStatus::NeedMore { missing } => {
                connection.missing = missing;
                connection.blocked = false;
                break;
            }
            InputStatus::Closed => {
                connection.missing = 0;
                connection.blocked = false;
                break;
            }
        }
    }
    // Without a packet taken, too: nothing was read while it was blocked, and nobody would wake us.
    input.len() != before || (was_blocked && !connection.blocked)
}

/// Everything but input: the end of the client, what is to be sent, and when to look again.
fn sync<T>(
    core: &mut Core,
    connection: &mut Connection<T>,
    writing: &mut Output,
    now: Instant,
) -> Synced {
    core.advance(now);
    let mut progress = ask_to_close(core, now);
    if is_closing(core) && connection.close_by.is_none() {
        connection.close_by = Some(now + LAST_WORDS);
    }
    if writing.is_empty() && !core.output.is_empty() {
        std::mem::swap(writing, &mut core.output);
        progress = true;
    }
    let drain_until = core
        .closing
        .as_ref()
        .filter(|closing| !closing.asked)
        .map(|closing| closing.drain_until);
    let more = progress || (connection.fed && connection.blocked);
    core.driver.idle = !more && writing.is_empty() && connection.error.is_none();
    // Asked for only before a rest.
    core.driver.looks_at = if progress {
        Some(Instant::ZERO)
    } else {
        core.session.poll_timeout()
    };
    Synced {
        more_input: false,
        idle: core.driver.idle,
        progress,
        timeout: earlier(core.driver.looks_at, drain_until),
        accepted: core.state.get().is_connected(),
        has_auth_steps: !core.auth_steps.is_empty(),
        said_all: core.transport_closing && core.output.is_empty(),
        nothing_said: core.transport_closing && !core.last_words,
    }
}

/// Sends the DISCONNECT once everything is finished, or has had its time. Whether it was sent now.
fn ask_to_close(core: &mut Core, now: Instant) -> bool {
    let settled = core.session.is_settled();
    let Some(Closing {
        disconnect,
        drain_until,
        asked,
        accepted,
        ..
    }) = &mut core.closing
    else {
        return false;
    };
    if *asked || (!settled && *drain_until > now) {
        return false;
    }
    *asked = true;
    let mut result = core.session.disconnect(disconnect.clone());
    if let Err(Rule::MaximumPacketSize { .. }) = result.as_ref().map_err(|refused| refused.rule) {
        // Better without its properties than not at all: that would publish the Will.
        result = core
            .session
            .disconnect(Disconnect::new(disconnect.reason_code));
    }
    // Refused only if the connection is ending already, or cannot take the packet.
    *accepted = result.is_ok();
    if !*accepted && !is_closing(core) {
        core.transport_closing = true;
    }
    core.advance(now);
    true
}
