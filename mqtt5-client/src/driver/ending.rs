//! The end of a connection, and what comes after it.

use mqtt5_proto::Instant;
use mqtt5_proto::session::{ConnectionEnd, EndReason};

use super::open::tell_transmitted;
use super::{Driver, Stage, is_requested};
use crate::classes::{EndClass, of_end};
use crate::errors::{CloseReason, Failure};
use crate::reconnect::LoopGuard;
use crate::state::ConnectionState;
use crate::transport::{Connect, Timer};

/// After this many ends in a row at the same packet of the same session, it cannot be helped.
const HOPELESS: u32 = 3;

impl<C: Connect, T: Timer> Driver<C, T> {
    /// The connection is over, by whatever side.
    pub(super) fn closed(&mut self) {
        let unauthenticated = self.authentication_failure();
        let now = self.shared.now();
        // The transport is dropped here.
        let stage = std::mem::replace(&mut self.stage, Stage::Waiting { until: now });
        let error = match stage {
            Stage::Open(connection) => connection.error,
            _ => None,
        };
        let untold = std::mem::take(&mut self.untold);
        let end = self.shared.run(|core| {
            tell_transmitted(core, untold, now);
            core.handle_transport_gone(now);
            core.connection_end.take()
        });
        self.input.clear();
        self.writing.clear();
        if let Some(connected_at) = self.connected_at.take() {
            self.backoff
                .handle_lasted(now.saturating_since(connected_at));
        }
        if let Some(reason) = unauthenticated {
            return self.finish(&reason);
        }
        let failure = match (end.as_deref(), error) {
            (
                Some(ConnectionEnd {
                    reason: EndReason::TransportClosed,
                    ..
                })
                | None,
                Some(error),
            ) => error.into(),
            (Some(end), _) => Failure::Ended(Box::new(end.reason.clone())),
            (None, None) => Failure::Ended(Box::new(EndReason::TransportClosed)),
        };
        self.failed(failure, end.as_deref());
    }

    /// Decides what comes after a connection, or after an attempt to open one (`end` is `None`
    /// then).
    pub(super) fn failed(&mut self, failure: Failure, end: Option<&ConnectionEnd>) {
        let now = self.shared.now();
        let closing = self.shared.run(|core| {
            let asked = core.closing.as_ref().is_some_and(|closing| closing.asked);
            asked || (core.closing.is_some() && core.session.is_settled())
        });
        let requested = end.is_some_and(|end| is_requested(&end.reason));
        if closing || requested {
            return self.finish(&CloseReason::Requested);
        }
        if !end.is_some_and(|end| end.was_connected) {
            self.backoff.handle_failed();
        }
        if let Some(reason) = self.no_use(&failure, end) {
            return self.finish(&reason);
        }
        match self.backoff.next_delay() {
            Some(delay) => self.wait(failure, delay, now),
            None => {
                let attempts = self.backoff.failed();
                let reason = if attempts == 0 {
                    CloseReason::Final(failure)
                } else {
                    CloseReason::GaveUp {
                        attempts,
                        last: failure,
                    }
                };
                self.finish(&reason);
            }
        }
    }

    /// Why there is no use in another attempt, if so.
    fn no_use(&mut self, failure: &Failure, end: Option<&ConnectionEnd>) -> Option<CloseReason> {
        let unknown_session =
            end.is_some_and(|end| end.reason == EndReason::UnexpectedSessionPresent);
        if unknown_session {
            // The next attempt starts clean; if that does not help, nothing does.
            let tried = std::mem::replace(&mut self.clean_tried, true);
            return tried.then(|| CloseReason::Final(failure.clone()));
        }
        if !self.ever_connected && !self.retry_first_connect {
            return Some(CloseReason::Final(failure.clone()));
        }
        let end = end?;
        match of_end(&end.reason, end.was_connected) {
            EndClass::Final | EndClass::Elsewhere { permanent: true } => {
                return Some(CloseReason::Final(failure.clone()));
            }
            // The session is not to blame: a busy or restarting server must not cost it.
            EndClass::Retry | EndClass::Elsewhere { .. } => return None,
            EndClass::RetryGuarded => {}
        }
        if end.repeated >= HOPELESS {
            match self.backoff.loop_guard() {
                LoopGuard::Stop => return Some(CloseReason::LoopGuard(failure.clone())),
                LoopGuard::CleanStart => self.shared.run(|core| core.session.start_clean()),
            }
        }
        None
    }

    fn wait(&mut self, cause: Failure, delay: std::time::Duration, now: Instant) {
        self.stage = Stage::Waiting { until: now + delay };
        let failed = self.backoff.failed();
        self.shared.run(|core| {
            core.state.set(
                ConnectionState::Waiting {
                    failed,
                    delay,
                    cause,
                },
                &mut core.wakeups,
            );
        });
    }
}
