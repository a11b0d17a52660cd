//! What follows from the session's events.

use std::sync::Arc;

use mqtt5_proto::Instant;
use mqtt5_proto::session::{Connected, ConnectionEnd, Event, OperationId, PublishVerdict};

use crate::errors::{CloseReason, ReauthenticateError};
use crate::options::StallPolicy;
use crate::shared::{AuthStep, Core, Trust};
use crate::state::{ConnectionInfo, ConnectionState};
use crate::streams::StreamEnd;
use crate::taps::{Notice, UnobservedVerdict};

impl Core {
    /// Handles all events, up to one that the authenticator has to look at; whether there were any.
    pub(crate) fn drain_events(&mut self) -> bool {
        let mut any = false;
        while !matches!(self.trust, Trust::Asked(_))
            && let Some(event) = self.session.poll_event()
        {
            any = true;
            self.handle_event(event);
        }
        any
    }

    #[inline]
    fn handle_event(&mut self, event: Event) {
        match event {
            Event::Message(_) if matches!(self.trust, Trust::Denied) => {}
            Event::Message(message) => self.route(message),
            Event::Published { operation, verdict } => self.handle_published(operation, verdict),
            Event::Connected(connected) if self.has_authenticator => {
                let data = connected.properties.authentication_data.clone();
                self.auth_steps.push_back(AuthStep::Succeeded(data));
                self.trust = Trust::Asked(connected);
            }
            Event::Connected(connected) => self.handle_connected(*connected),
            Event::Disconnected(end) => self.handle_disconnected(end),
            Event::Subscribed { operation, verdict } => self.handle_subscribed(operation, verdict),
            Event::Unsubscribed { operation, verdict } => {
                self.handle_unsubscribed(operation, &verdict);
            }
            Event::Challenge(challenge) => {
                self.auth_steps.push_back(AuthStep::Challenge(challenge));
            }
            Event::Reauthenticated(last) => {
                self.auth_steps
                    .push_back(AuthStep::Reauthenticated(last.data));
            }
            Event::AcksStalled {
                qos,
                first,
                waiting,
            } => {
                self.notices.push(
                    &Notice::AcksStalled {
                        qos,
                        first,
                        waiting,
                    },
                    &mut self.wakeups,
                );
                if self.stall_policy == StallPolicy::Refuse {
                    self.refuse_stalled(first);
                }
            }
            Event::Warning(warning) => {
                self.notices
                    .push(&Notice::Warning(warning), &mut self.wakeups);
            }
            // The enum may grow by what needs no answer.
            _ => {}
        }
    }

    #[inline]
    fn handle_published(&mut self, operation: OperationId, verdict: PublishVerdict) {
        match verdict {
            PublishVerdict::Sent | PublishVerdict::Acknowledged(_) => {
                self.statistics.publishes_succeeded += 1;
            }
            _ => self.statistics.publishes_failed += 1,
        }
        let unobserved = self
            .completions
            .resolve(operation, verdict, &mut self.wakeups);
        if let Some(verdict) = unobserved {
            self.tell_unobserved(&UnobservedVerdict { operation, verdict });
        }
        self.room.wake_first(&mut self.wakeups);
    }

    /// A verdict that nobody waits for.
    pub(crate) fn tell_unobserved(&mut self, unobserved: &UnobservedVerdict) {
        self.statistics.verdicts_unobserved += 1;
        self.observed_verdicts.push(unobserved, &mut self.wakeups);
    }

    /// The authenticator believes the server's yes to the CONNECT.
    pub(crate) fn trust_server(&mut self) {
        if let Trust::Asked(connected) = std::mem::take(&mut self.trust) {
            self.handle_connected(*connected);
        }
    }

    fn handle_connected(&mut self, connected: Connected) {
        let Connected {
            session_present,
            session_lost,
            properties,
        } = connected;
        self.statistics.connections += 1;
        let again = self.statistics.connections > 1;
        let lost = session_lost || (again && !session_present);
        if lost {
            self.statistics.sessions_lost += 1;
            self.lose_exchanges();
            self.notices.push(&Notice::SessionLost, &mut self.wakeups);
            self.restore_routes();
        }
        let Some(limits) = self.session.limits() else {
            return;
        };
        let info = ConnectionInfo {
            number: self.statistics.connections,
            session_present,
            session_lost: lost,
            sessions_lost: self.statistics.sessions_lost,
            client_id: self.session.client_id().clone(),
            limits: limits.clone(),
            properties,
        };
        self.state.set(
            ConnectionState::Connected(Arc::new(info)),
            &mut self.wakeups,
        );
    }

    fn handle_disconnected(&mut self, end: Box<ConnectionEnd>) {
        self.connection_end = Some(end);
        self.auth_steps.clear();
        self.trust = Trust::Given;
        self.finish_reauthentication(Err(ReauthenticateError::Disconnected));
    }

    pub(crate) fn finish_reauthentication(&mut self, result: Result<(), ReauthenticateError>) {
        if let Some(slot) = self.reauthentication.take() {
            // Whoever dropped the future does not want to know.
            let _ = self
                .reauthenticated
                .resolve(slot, result, &mut self.wakeups);
        }
    }

    /// The transport is gone: what was made for it is too.
    pub(crate) fn handle_transport_gone(&mut self, now: Instant) {
        self.session.handle_closed(now);
        self.output.clear();
        self.outstanding = 0;
        self.transport_closing = false;
        self.last_words = false;
        self.paused = false;
        if matches!(self.trust, Trust::Asked(_)) {
            self.trust = Trust::Denied;
        }
        self.drain_events();
    }

    /// The end. Everything that waits is answered.
    pub(crate) fn close(&mut self, reason: &CloseReason, now: Instant) {
        self.closed = Some(reason.clone());
        self.session.abandon(now);
        self.drain_events();
        self.send_retries();
        let unknown = PublishVerdict::Unknown { message: None };
        self.completions.resolve_all(&unknown, &mut self.wakeups);
        for stream in self.streams.values_mut() {
            stream.finish_stream(StreamEnd::Closed(reason.clone()), &mut self.wakeups);
        }
        self.finish_reauthentication(Err(ReauthenticateError::Closed(reason.clone())));
        self.room.wake_all(&mut self.wakeups);
        self.observed_messages.close(&mut self.wakeups);
        self.observed_verdicts.close(&mut self.wakeups);
        self.notices.close(&mut self.wakeups);
        self.state
            .set(ConnectionState::Closed(reason.clone()), &mut self.wakeups);
        self.output.clear();
        // It may hold the task of the driver, and that holds us.
        self.wakeups.discard(self.driver.waker.take());
    }
}
