//! Subscribing (section 3.8): the builder.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;

use mqtt5_proto::codec::DataTypeError;
use mqtt5_proto::packet::{RetainHandling, Subscription, UserProperty};
use mqtt5_proto::topic::FilterError;
use mqtt5_proto::{QoS, TopicFilter};

use crate::answer::Answer;
use crate::client::Client;
use crate::errors::SubscribeError;
use crate::messages::Messages;
use crate::slots::SlotKey;
use crate::streams::{StreamOptions, WhenFull};

/// A subscription that is being put together: [`Client::subscribe`] begins it.
///
/// Awaiting it subscribes and waits for the server's answer; [`declare`](Self::declare) does not
/// wait. Either way messages are routed to the stream from then on.
///
/// Several streams with the same filter share one subscription: the server would replace the one by
/// the other. It is asked for what is enough for all of them, and retained messages that the
/// server sends for the newest come to all.
#[derive(Debug)]
#[must_use = "nothing is subscribed to before this is awaited or declared"]
pub struct Subscribe {
    client: Client,
    filters: Vec<Result<TopicFilter, FilterError>>,
    maximum_qos: QoS,
    no_local: bool,
    retain_as_published: bool,
    retain_handling: RetainHandling,
    user_properties: Vec<UserProperty>,
    fault: Option<DataTypeError>,
    options: StreamOptions,
}

impl Subscribe {
    pub(crate) fn new(client: Client, filters: Vec<Result<TopicFilter, FilterError>>) -> Self {
        Self {
            client,
            filters,
            maximum_qos: QoS::ExactlyOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::SendAtSubscribe,
            user_properties: Vec::new(),
            fault: None,
            options: StreamOptions::default(),
        }
    }

    /// The highest QoS at which messages are to come. Default: exactly once.
    pub const fn qos(mut self, maximum: QoS) -> Self {
        self.maximum_qos = maximum;
        self
    }

    /// Whether this client's own messages are left out; not with a shared subscription (`3.8.3-4`).
    /// Default: no.
    pub const fn no_local(mut self, no_local: bool) -> Self {
        self.no_local = no_local;
        self
    }

    /// Whether messages keep the RETAIN flag that they were published with (section 3.8.3.1).
    /// Default: no.
    pub const fn retain_as_published(mut self, keep: bool) -> Self {
        self.retain_as_published = keep;
        self
    }

    /// When the server sends the retained messages (section 3.8.3.1). Default: at every subscribe,
    /// also when the client subscribes again because the server has lost the session.
    pub const fn retain_handling(mut self, handling: RetainHandling) -> Self {
        self.retain_handling = handling;
        self
    }

    /// Adds a User Property to the SUBSCRIBE (section 3.8.2.1.3).
    pub fn user_property(mut self, name: &str, value: &str) -> Self {
        match UserProperty::new(name, value) {
            Ok(property) => self.user_properties.push(property),
            Err(error) => {
                self.fault.get_or_insert(error);
            }
        }
        self
    }

    /// How many messages of QoS 0 may wait in the stream, at least 1. Default: 1,024.
    pub const fn buffer(mut self, messages: usize) -> Self {
        self.options.messages = if messages == 0 { 1 } else { messages };
        self
    }

    /// How many bytes of messages of QoS 0 may wait in the stream, counted by their packets.
    /// Default: 16 MiB.
    pub const fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.options.bytes = bytes;
        self
    }

    /// What happens to a message of QoS 0 for which there is no room. Default: it is dropped.
    pub const fn when_full(mut self, when_full: WhenFull) -> Self {
        self.options.when_full = when_full;
        self
    }

    /// Messages of QoS 1 and 2 are acknowledged by [`Messages::acknowledge`] and
    /// [`Messages::reject`] alone. Unless set, asking for the next message acknowledges the one
    /// before.
    pub const fn manual_acknowledge(mut self) -> Self {
        self.options.manual = true;
        self
    }

    /// Subscribes without waiting for the answer, which [`Messages::grants`] and
    /// [`Messages::end_reason`] tell. Works without a connection: the stream is there before the
    /// first message of a resumed session arrives.
    ///
    /// # Errors
    /// [`SubscribeError`] if it is known already that it cannot be.
    pub fn declare(self) -> Result<Messages, SubscribeError> {
        self.begin(false).map(|(messages, _)| messages)
    }

    fn begin(self, wants_answer: bool) -> Result<(Messages, Option<SlotKey>), SubscribeError> {
        let subscriptions = self.subscriptions()?;
        if let Some(error) = self.fault {
            return Err(SubscribeError::InvalidUserProperty(error));
        }
        let Self {
            client,
            user_properties,
            options,
            ..
        } = self;
        let (stream, slot, consumer) = client.shared().command(|core, _| {
            core.begin_subscribe(subscriptions, &user_properties, options, wants_answer)
                .map(|(stream, slot)| (stream, slot, core.next_number()))
        })?;
        Ok((
            Messages::new(Arc::clone(client.handle()), stream, consumer),
            slot,
        ))
    }

    fn subscriptions(&self) -> Result<Vec<Subscription>, SubscribeError> {
        let mut subscriptions: Vec<Subscription> = Vec::with_capacity(self.filters.len());
        for filter in &self.filters {
            let mut subscription = Subscription::new(filter.clone()?);
            subscription.maximum_qos = self.maximum_qos;
            subscription.set_no_local(self.no_local)?;
            subscription.retain_as_published = self.retain_as_published;
            subscription.retain_handling = self.retain_handling;
            if !subscriptions
                .iter()
                .any(|other| other.filter == subscription.filter)
            {
                subscriptions.push(subscription);
            }
        }
        Ok(subscriptions)
    }
}

impl IntoFuture for Subscribe {
    type Output = Result<Messages, SubscribeError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// Subscribes, and waits for the answer, over reconnects if need be.
    ///
    /// Cancel safe: if the future is dropped before the answer comes, what the server has done by
    /// then is undone.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let shared = Arc::clone(self.client.shared());
            let (messages, slot) = self.begin(true)?;
            if let Some(slot) = slot {
                Answer::new(shared, |core| &mut core.subscribed, slot).await?;
            }
            Ok(messages)
        })
    }
}
