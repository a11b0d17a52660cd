//! One client identifier's session, across connections (MQTT 5.0 section 4).

mod ack_order;
mod answers;
mod authentication;
mod config;
mod connection;
mod error;
mod event;
mod events;
mod exchange;
mod id_map;
mod inbound;
mod input;
mod keep_alive;
mod lifecycle;
mod limits;
mod messages;
mod outbound;
mod packet_ids;
mod request;
mod transmit;

use alloc::boxed::Box;

pub use config::SessionConfig;
pub use error::{AckError, Refused, Rule};
pub use event::{
    AckToken, Acknowledgement, Challenge, Connected, ConnectionEnd, EndReason, Event, Message,
    OperationId, PublishVerdict, RequestVerdict, Warning,
};
pub use input::InputStatus;
pub use limits::Limits;
pub use request::{SubscribeRequest, UnsubscribeRequest};
pub use transmit::Transmit;

use crate::codec::{Encode, Utf8String};
use crate::packet::{ApplicationMessage, Disconnect, PublishReasonCode, Role};
use crate::time::Instant;

use connection::Connection;
use events::Events;
use inbound::Inbound;
use lifecycle::Identity;
use outbound::Outbound;

/// One client identifier: its operations, the exchanges of both directions, and at most one
/// connection at a time. See the front page of the crate for the order of calls.
pub struct Session {
    config: SessionConfig,
    identity: Identity,
    outbound: Outbound,
    inbound: Inbound,
    connection: Option<Connection>,
    events: Events,
}

/// Says where the session stands. What waits to be sent may hold passwords and is left out.
impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session")
            .field("client_id", self.client_id())
            .field("phase", &self.phase())
            .field("limits", &self.limits())
            .field("pending_operations", &self.pending_operations())
            .field("pending_bytes", &self.pending_bytes())
            .finish_non_exhaustive()
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is none.
    Offline,
    /// CONNECT was sent or is about to be; the CONNACK has not come.
    Connecting,
    /// The server accepted the connection.
    Connected,
    /// The connection is to be closed; nothing more is taken from it.
    Closing,
}

impl Session {
    /// A session without a connection.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        Self {
            identity: Identity::new(&config),
            config,
            outbound: Outbound::default(),
            inbound: Inbound::default(),
            connection: None,
            events: Events::default(),
        }
    }

    /// Where the connection stands.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.connection
            .as_ref()
            .map_or(Phase::Offline, |connection| connection.phase)
    }

    /// What was agreed on for this connection; `None` before its CONNACK and without one.
    #[must_use]
    pub fn limits(&self) -> Option<&Limits> {
        self.connection.as_ref()?.limits.as_ref()
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// The configuration, to be changed: what goes into the CONNECT takes effect with the next
    /// connection, budgets at once. Another Client Identifier is another session: the old one ends
    /// when the next connection opens.
    pub const fn config_mut(&mut self) -> &mut SessionConfig {
        &mut self.config
    }

    /// The Client Identifier: one's own, or the one that the server assigned. Empty before that.
    #[must_use]
    pub const fn client_id(&self) -> &Utf8String {
        &self.identity.client_id
    }

    /// How many operations were accepted and have no verdict.
    #[must_use]
    pub const fn pending_operations(&self) -> usize {
        self.outbound.operations
    }

    /// How many bytes those operations count to the budget.
    #[must_use]
    pub const fn pending_bytes(&self) -> usize {
        self.outbound.bytes
    }

    /// Whether all is done: no operation without a verdict, no acknowledgement that waits, every
    /// byte taken by the transport.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.outbound.operations == 0
            && self.inbound.is_settled()
            && self.connection.as_ref().is_none_or(|connection| {
                connection.control.is_empty() && connection.polled == connection.transmitted
            })
    }

    /// Publishes a message (section 3.3). Its verdict comes as [`Event::Published`].
    ///
    /// Without a connection, or while it ends by an error, a message of QoS 1 or 2 waits for the next
    /// one; one of QoS 0 too if the configuration says so.
    ///
    /// # Errors
    /// [`Refused`], with the message, if it breaks a limit of the server or of the configuration,
    /// or its payload is not what its Payload Format Indicator says. Nothing was taken then.
    pub fn publish(
        &mut self,
        message: ApplicationMessage,
        now: Instant,
    ) -> Result<OperationId, Refused<ApplicationMessage>> {
        match self.check_publish(&message) {
            Ok((remaining_length, cost)) => {
                let (operation, place) =
                    self.outbound
                        .accept_message(&message, remaining_length, cost, now);
                if let Some(place) = place {
                    *place = messages::Content::Message(message);
                }
                Ok(operation)
            }
            Err(rule) => Err(Refused {
                rule,
                given: message,
            }),
        }
    }

    /// Whether the connection ends by our own wish. One that ends otherwise takes commands as one
    /// that has ended: they wait for the next.
    fn is_leaving(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| connection.end == Some(EndReason::Requested))
    }

    /// The Remaining Length of its PUBLISH, and what it counts to the budget of bytes.
    #[inline]
    fn check_publish(&self, message: &ApplicationMessage) -> Result<(u32, usize), Rule> {
        if !message.payload_fits_format() {
            return Err(Rule::PayloadFormat);
        }
        if self.is_leaving() {
            return Err(Rule::Closing);
        }
        let connected = self.phase() == Phase::Connected;
        if !connected && message.qos == crate::QoS::AtMostOnce && !self.config.queue_qos0 {
            return Err(Rule::NotConnected);
        }
        let remaining_length = limits::remaining_length(message)?;
        if let Some(limits) = self.limits().filter(|_| connected) {
            limits.check_message(message, remaining_length)?;
        }
        let cost = outbound::cost(message);
        let bytes = self.outbound.bytes.saturating_add(cost);
        if self.outbound.operations >= self.config.outbound_messages.min(messages::MAXIMUM)
            || (bytes > self.config.outbound_bytes && self.outbound.operations > 0)
        {
            return Err(Rule::QueueFull);
        }
        Ok((remaining_length, cost))
    }

    /// Subscribes (section 3.8). The verdict comes as [`Event::Subscribed`].
    ///
    /// Without a connection the request waits for the next one. Once sent, it does not outlive its
    /// connection: if that ends before the answer, the verdict is [`RequestVerdict::Unknown`].
    ///
    /// # Errors
    /// [`Refused`], with the request, if it breaks a limit of the server or of the configuration.
    pub fn subscribe(
        &mut self,
        request: SubscribeRequest,
    ) -> Result<OperationId, Refused<SubscribeRequest>> {
        let request = packet_ids::Request::Subscribe(Box::new(request));
        self.request(request)
            .map_err(|(rule, request)| match request {
                packet_ids::Request::Subscribe(given) => Refused {
                    rule,
                    given: *given,
                },
                packet_ids::Request::Unsubscribe(_) => Refused {
                    rule,
                    given: SubscribeRequest::default(),
                },
            })
    }

    /// Unsubscribes (section 3.10). The verdict comes as [`Event::Unsubscribed`].
    ///
    /// Waits for a connection and is bound to it as [`subscribe`](Self::subscribe) is.
    ///
    /// # Errors
    /// [`Refused`], with the request, if it breaks a limit of the server or of the configuration.
    pub fn unsubscribe(
        &mut self,
        request: UnsubscribeRequest,
    ) -> Result<OperationId, Refused<UnsubscribeRequest>> {
        let request = packet_ids::Request::Unsubscribe(Box::new(request));
        self.request(request)
            .map_err(|(rule, request)| match request {
                packet_ids::Request::Unsubscribe(given) => Refused {
                    rule,
                    given: *given,
                },
                packet_ids::Request::Subscribe(_) => Refused {
                    rule,
                    given: UnsubscribeRequest::default(),
                },
            })
    }

    fn request(
        &mut self,
        request: packet_ids::Request,
    ) -> Result<OperationId, (Rule, packet_ids::Request)> {
        let check = || {
            if self.is_leaving() {
                return Err(Rule::Closing);
            }
            if request.filters() == 0 {
                return Err(Rule::NoTopicFilter);
            }
            let connected = self.phase() == Phase::Connected;
            if let Some(limits) = self.limits().filter(|_| connected) {
                transmit::check_request(&request, limits)?;
            }
            if self.outbound.operations >= self.config.outbound_messages {
                return Err(Rule::QueueFull);
            }
            Ok(())
        };
        if let Err(rule) = check() {
            return Err((rule, request));
        }
        let operation = self.outbound.accept();
        self.outbound.requests.push_back((operation, request));
        Ok(operation)
    }

    /// Acknowledges a received message, now or later and in any order: PUBACK or PUBREC leave in
    /// the order in which the messages came (`4.6.0-2`, `4.6.0-3`).
    ///
    /// Given without a connection, the acknowledgement answers the copy that the server sends
    /// again.
    ///
    /// # Errors
    /// [`AckError`] if it has no effect any more; harmless.
    pub fn acknowledge(
        &mut self,
        token: AckToken,
        reason_code: PublishReasonCode,
    ) -> Result<(), AckError> {
        self.answer(token, inbound::Answer::new(reason_code))
    }

    /// As [`acknowledge`](Self::acknowledge), with properties. They are left out if the server
    /// could not take them.
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub fn acknowledge_with(
        &mut self,
        token: AckToken,
        reason_code: PublishReasonCode,
        properties: crate::packet::AckProperties,
    ) -> Result<(), AckError> {
        let properties = Some(Box::new(properties));
        self.answer(
            token,
            inbound::Answer {
                reason_code,
                properties,
            },
        )
    }

    fn answer(&mut self, token: AckToken, answer: inbound::Answer) -> Result<(), AckError> {
        self.inbound.answer(token, answer)?;
        self.flush_answers();
        self.tell_stalls();
        Ok(())
    }

    /// Ends the connection with a DISCONNECT (section 3.14). Acknowledgements that were given go
    /// out before it, nothing after it. Operations without a verdict keep waiting, for the next
    /// connection or for [`abandon`](Self::abandon).
    ///
    /// # Errors
    /// [`Refused`], with the packet, if there is no connection or a client may not send it.
    pub fn disconnect(&mut self, disconnect: Disconnect) -> Result<(), Refused<Disconnect>> {
        match self.put_disconnect(&disconnect) {
            Ok(()) => Ok(()),
            Err(rule) => Err(Refused {
                rule,
                given: disconnect,
            }),
        }
    }

    fn put_disconnect(&mut self, disconnect: &Disconnect) -> Result<(), Rule> {
        let connection = self.connection.as_mut().ok_or(Rule::NotConnected)?;
        if connection.phase == Phase::Closing {
            return Err(Rule::Closing);
        }
        if !disconnect.reason_code.may_send(Role::Client) {
            return Err(Rule::ReasonCode);
        }
        let properties = disconnect.properties.as_deref();
        if properties.is_some_and(|properties| properties.server_reference.is_some()) {
            return Err(Rule::ServerReference);
        }
        let expiry = properties.and_then(|properties| properties.session_expiry_interval);
        if connection.asked.session_expiry_interval == 0 && expiry.is_some_and(|expiry| expiry > 0)
        {
            return Err(Rule::SessionExpiryInterval);
        }
        let mut packet = disconnect.clone();
        if packet.packet_size()? > connection.packet_limit
            && let Some(properties) = &mut packet.properties
        {
            properties.reason_string = None;
            properties.user_properties.clear();
        }
        let (size, limit) = (packet.packet_size()?, connection.packet_limit);
        if size > limit {
            return Err(Rule::MaximumPacketSize { size, limit });
        }
        connection.disconnect_expiry = expiry;
        packet.encode(&mut connection.control)?;
        connection.close(EndReason::Requested, None);
        Ok(())
    }

    /// The next event; `None` if nothing more happened.
    #[inline]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }
}
