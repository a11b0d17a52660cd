//! Publishing (section 3.3): the builder, acceptance, and the verdict.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use mqtt5_proto::codec::{BinaryData, DataTypeError, Utf8String};
use mqtt5_proto::packet::{
    ApplicationMessage, MessageProperties, PayloadFormatIndicator, UserProperty,
};
use mqtt5_proto::session::Rule;
use mqtt5_proto::topic::TopicError;
use mqtt5_proto::{QoS, Topic};

use crate::client::Client;
use crate::completion::{Completion, PublishFuture};
use crate::completions::Accepted;
use crate::errors::PublishError;
use crate::permit::Permit;
use crate::shared::Core;
use crate::transport::Clock;

/// A message that is being put together: [`Client::publish`] begins it.
///
/// Awaiting it publishes and waits for the verdict. [`enqueue`](Self::enqueue) and
/// [`try_enqueue`](Self::try_enqueue) do not wait for that.
#[derive(Debug)]
#[must_use = "nothing is published before this is awaited or enqueued"]
pub struct Publish {
    client: Client,
    topic: Result<Topic, TopicError>,
    payload: Bytes,
    qos: QoS,
    retain: bool,
    properties: Option<Box<MessageProperties>>,
    fault: Option<(&'static str, DataTypeError)>,
    permit: Option<Permit>,
}

impl Publish {
    pub(crate) fn new(client: Client, topic: Result<Topic, TopicError>, payload: Bytes) -> Self {
        Self {
            client,
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            properties: None,
            fault: None,
            permit: None,
        }
    }

    pub(crate) fn of_message(client: Client, message: ApplicationMessage) -> Self {
        let ApplicationMessage {
            topic,
            payload,
            qos,
            retain,
            properties,
        } = message;
        Self {
            qos,
            retain,
            properties,
            ..Self::new(client, Ok(topic), payload)
        }
    }

    pub(crate) fn with_permit(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }

    fn properties(&mut self) -> &mut MessageProperties {
        self.properties.get_or_insert_default()
    }

    fn checked<T, E>(&mut self, property: &'static str, value: Result<T, E>) -> Option<T>
    where
        DataTypeError: From<E>,
    {
        match value {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault.get_or_insert((property, error.into()));
                None
            }
        }
    }

    /// How often the message is to arrive (section 4.3). Default: at most once.
    pub const fn qos(mut self, qos: QoS) -> Self {
        self.qos = qos;
        self
    }

    /// Whether the server keeps the message for later subscribers (section 3.3.1.3). Default: no.
    pub const fn retain(mut self, retain: bool) -> Self {
        self.retain = retain;
        self
    }

    /// Says that the payload is UTF-8 text (section 3.3.2.3.2). That is checked when the message is
    /// accepted.
    pub fn utf8(self) -> Self {
        self.payload_format_indicator(PayloadFormatIndicator::Utf8)
    }

    /// Payload Format Indicator (section 3.3.2.3.2). Default: unspecified.
    pub fn payload_format_indicator(mut self, format: PayloadFormatIndicator) -> Self {
        self.properties().payload_format_indicator = Some(format);
        self
    }

    /// Message Expiry Interval (section 3.3.2.3.3), rounded up to whole seconds, up to 136 years:
    /// how long the message is worth something, time spent waiting in this client included.
    /// Default: for ever.
    pub fn message_expiry_interval(mut self, interval: Duration) -> Self {
        let seconds = interval
            .as_secs()
            .saturating_add(u64::from(interval.subsec_nanos() > 0));
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        self.properties().message_expiry_interval = Some(seconds);
        self
    }

    /// Content Type (section 3.3.2.3.9), such as a MIME type. Default: none.
    pub fn content_type<S>(mut self, content_type: S) -> Self
    where
        S: TryInto<Utf8String>,
        DataTypeError: From<S::Error>,
    {
        let content_type = self.checked("Content Type", content_type.try_into());
        self.properties().content_type = content_type;
        self
    }

    /// Response Topic (section 3.3.2.3.5): where an answer is to go. Default: none.
    pub fn response_topic<T>(mut self, topic: T) -> Self
    where
        T: TryInto<Topic>,
        TopicError: From<T::Error>,
    {
        match topic.try_into().map_err(TopicError::from) {
            Ok(topic) => self.properties().response_topic = Some(topic),
            // Given back like a topic that is none.
            Err(error) => self.topic = Err(error),
        }
        self
    }

    /// Correlation Data (section 3.3.2.3.6): what an answer is to carry back, up to 65,535 bytes.
    /// Default: none.
    pub fn correlation_data<B>(mut self, data: B) -> Self
    where
        B: TryInto<BinaryData>,
        DataTypeError: From<B::Error>,
    {
        let data = self.checked("Correlation Data", data.try_into());
        self.properties().correlation_data = data;
        self
    }

    /// Adds a User Property (section 3.3.2.3.7). Names may repeat, and the order is kept.
    pub fn user_property(mut self, name: &str, value: &str) -> Self {
        if let Some(property) = self.checked("User Property", UserProperty::new(name, value)) {
            self.properties().user_properties.push(property);
        }
        self
    }

    /// Waits until the message is accepted: there is room for it in the queue. What becomes of it
    /// then is told by the [`Completion`].
    ///
    /// Now and then, after a few hundred messages in a row, other tasks get a chance first although
    /// there is room: the driver, to send what was accepted.
    ///
    /// # Errors
    /// [`PublishError`] if it cannot be accepted; nothing was sent then.
    ///
    /// Cancel safe: a message that was not accepted is dropped with the future and never sent, and
    /// its place in the waiting line goes to the next.
    #[must_use = "nothing is published before this is awaited"]
    #[inline]
    pub const fn enqueue(self) -> Enqueue {
        Enqueue {
            draft: Some(self),
            place: None,
        }
    }

    /// Publishes if there is room at once.
    ///
    /// # Errors
    /// [`PublishError`] with the message; [`PublishError::is_full`] if there is no room.
    pub fn try_enqueue(self) -> Result<Completion, PublishError> {
        let Draft {
            client,
            permit,
            message,
        } = self.build()?;
        let shared = client.shared();
        let accepted = shared.submit(|core| {
            if permit.is_none() && (!core.room.is_turn(None) || !core.has_room()) {
                return Err(not_accepted(Rule::QueueFull, message));
            }
            core.accept(message, shared.clock())
        });
        drop(permit);
        accepted.map(|accepted| Completion::new(shared, accepted))
    }

    #[inline]
    fn build(self) -> Result<Draft, PublishError> {
        let topic = match self.topic {
            Ok(topic) => topic,
            Err(error) => {
                let payload = self.payload;
                return Err(PublishError::InvalidTopic { error, payload });
            }
        };
        let message = ApplicationMessage {
            topic,
            payload: self.payload,
            qos: self.qos,
            retain: self.retain,
            properties: self.properties,
        };
        if let Some((property, error)) = self.fault {
            let message = Box::new(message);
            return Err(PublishError::InvalidProperty {
                property,
                error,
                message,
            });
        }
        Ok(Draft {
            client: self.client,
            permit: self.permit,
            message,
        })
    }
}

/// A message that can be published.
struct Draft {
    client: Client,
    permit: Option<Permit>,
    message: ApplicationMessage,
}

fn not_accepted(rule: Rule, message: ApplicationMessage) -> PublishError {
    PublishError::NotAccepted {
        rule,
        message: Box::new(message),
    }
}

impl IntoFuture for Publish {
    type Output = Result<Published, PublishError>;
    type IntoFuture = PublishFuture;

    /// Publishes, and waits for the verdict.
    ///
    /// Cancel safe: before acceptance the message is dropped with the future and never sent; after
    /// it the operation runs to its end, and its verdict goes to
    /// [`Client::verdicts`].
    fn into_future(self) -> PublishFuture {
        PublishFuture::new(self.enqueue())
    }
}

/// A message was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// QoS 0: the transport took all of its bytes.
    Sent,
    /// QoS 1 and 2: the server has it. The reason code tells if nobody has subscribed to it.
    Acknowledged(mqtt5_proto::session::Acknowledgement),
}

impl Core {
    /// Whether one more message may be on its way.
    pub(crate) fn has_room(&self) -> bool {
        let used = self.session.pending_operations() + self.completions.done() + self.room.reserved;
        used < self.room.maximum
    }

    /// Takes a message on, if the session does.
    pub(crate) fn accept(
        &mut self,
        message: ApplicationMessage,
        clock: &dyn Clock,
    ) -> Result<Accepted, PublishError> {
        if let Some(reason) = self.closed.clone() {
            return Err(PublishError::Closed {
                reason,
                message: Box::new(message),
            });
        }
        if self.closing.is_some() {
            return Err(not_accepted(Rule::Closing, message));
        }
        let properties = message.properties.as_ref();
        if properties.is_some_and(|properties| properties.message_expiry_interval.is_some()) {
            self.timeouts_changed = true;
            self.now = clock.now();
        }
        match self.session.publish(message, self.now) {
            Ok(operation) => {
                self.statistics.publishes_accepted += 1;
                Ok(self.completions.insert(operation))
            }
            Err(refused) => Err(not_accepted(refused.rule, refused.given)),
        }
    }
}

/// Waits until a message is accepted; from [`Publish::enqueue`].
#[derive(Debug)]
#[must_use = "nothing is published before this is awaited"]
pub struct Enqueue {
    draft: Option<Publish>,
    place: Option<Place>,
}

/// A place in the waiting line, which is left when this is dropped.
#[derive(Debug)]
struct Place {
    client: Client,
    number: u64,
}

impl Future for Enqueue {
    type Output = Result<Completion, PublishError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(draft) = self.draft.take() else {
            return Poll::Pending;
        };
        let Draft {
            client,
            permit,
            message,
        } = match draft.build() {
            Ok(draft) => draft,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let shared = client.shared();
        let number = self.place.as_ref().map(|place| place.number);
        let outcome = shared.submit(|core| {
            let over = core.is_closed() || core.closing.is_some();
            let turn = permit.is_some() || (core.room.is_turn(number) && core.has_room());
            if turn && !over && core.takes_a_breath() {
                core.wakeups.wake(Some(cx.waker().clone()));
                return Err((message, number));
            }
            let message = if turn || over {
                match core.accept(message, shared.clock()) {
                    Err(PublishError::NotAccepted {
                        rule: Rule::QueueFull,
                        message,
                    }) => *message,
                    done => return Ok(done),
                }
            } else {
                message
            };
            let number = number.unwrap_or_else(|| core.next_number());
            core.room
                .wait(number, permit.is_some(), cx, &mut core.wakeups);
            Err((message, Some(number)))
        });
        match outcome {
            Ok(accepted) => {
                self.place = None;
                Poll::Ready(accepted.map(|accepted| Completion::new(shared, accepted)))
            }
            Err((message, number)) => {
                let draft = Publish::of_message(client.clone(), message);
                if let Some(number) = number {
                    // Made only once: dropping a second one would leave the line.
                    self.place.get_or_insert_with(|| Place { client, number });
                }
                self.draft = Some(Publish { permit, ..draft });
                Poll::Pending
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let number = self.number;
        self.client
            .shared()
            .run(|core| core.room.leave(number, &mut core.wakeups));
    }
}
