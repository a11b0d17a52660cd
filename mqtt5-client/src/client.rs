//! The handle.

use std::sync::Arc;

use bytes::Bytes;
use mqtt5_proto::packet::{ApplicationMessage, Disconnect};
use mqtt5_proto::session::{Message, Rule};
use mqtt5_proto::topic::{FilterError, TopicError};
use mqtt5_proto::{Topic, TopicFilter};

use crate::Driver;
use crate::answer::Answer;
use crate::disconnect::DisconnectBuilder;
use crate::errors::{CloseReason, OptionsError, ReauthenticateError};
use crate::messages::Messages;
use crate::options::ClientOptions;
use crate::permit::Reserve;
use crate::publish::Publish;
use crate::shared::{AuthStep, Handle, Shared};
use crate::state::{ConnectionInfo, ConnectionState, StateChanges, connected};
use crate::statistics::Statistics;
use crate::subscribe::Subscribe;
use crate::taps::{Notice, Observer, UnobservedVerdict};
use crate::transport::{Connect, Timer};

/// A handle to a client: cheap to clone, usable from many tasks and threads.
///
/// It stays usable over any number of connections. When the last handle and the last [`Messages`]
/// is dropped, the client ends as by [`disconnect`](Self::disconnect), in the background.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

impl Client {
    /// A client and its driver, which has to be spawned: without it nothing happens.
    ///
    /// # Errors
    /// [`OptionsError`] if the options hold what cannot be sent.
    pub fn new<C: Connect, T: Timer>(
        options: ClientOptions,
        connect: C,
        timer: T,
    ) -> Result<(Self, Driver<C, T>), OptionsError> {
        options.check()?;
        let shared = Shared::new(&options, timer.clock());
        let client = Self {
            handle: Handle::new(&shared),
        };
        Ok((client, Driver::new(shared, options, connect, timer)))
    }

    pub(crate) const fn of(handle: Arc<Handle>) -> Self {
        Self { handle }
    }

    pub(crate) const fn handle(&self) -> &Arc<Handle> {
        &self.handle
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        self.handle.shared()
    }

    /// Begins a message; see [`Publish`] for what can be set and how it is sent.
    ///
    /// A topic that is none is told when the message is published, as
    /// [`PublishError::InvalidTopic`](crate::PublishError::InvalidTopic).
    pub fn publish<T, P>(&self, topic: T, payload: P) -> Publish
    where
        T: TryInto<Topic>,
        TopicError: From<T::Error>,
        P: Into<Bytes>,
    {
        let topic = topic.try_into().map_err(TopicError::from);
        Publish::new(self.clone(), topic, payload.into())
    }

    /// Begins with a whole message, such as one that an error gave back.
    pub fn publish_message(&self, message: ApplicationMessage) -> Publish {
        Publish::of_message(self.clone(), message)
    }

    /// Waits for room for one message in the queue.
    ///
    /// # Errors
    /// [`CloseReason`] if the client is closed.
    ///
    /// Cancel safe: a place in the waiting line, or a permit, is given up with the future.
    pub fn reserve(&self) -> Reserve {
        Reserve::new(self.clone())
    }

    /// Begins a subscription (section 3.8); see [`Subscribe`] for what can be set.
    pub fn subscribe<F>(&self, filter: F) -> Subscribe
    where
        F: TryInto<TopicFilter>,
        FilterError: From<F::Error>,
    {
        self.subscribe_many([filter])
    }

    /// Begins a subscription to several filters at once, with one stream for all of them. Each
    /// filter gets its own answer, told by [`Messages::grants`]; it is an error only if every one
    /// is refused.
    pub fn subscribe_many<F>(&self, filters: impl IntoIterator<Item = F>) -> Subscribe
    where
        F: TryInto<TopicFilter>,
        FilterError: From<F::Error>,
    {
        let filters = filters.into_iter();
        let filters = filters
            .map(|filter| filter.try_into().map_err(FilterError::from))
            .collect();
        Subscribe::new(self.clone(), filters)
    }

    /// The messages that no other stream claims: above all those of a durable session whose streams
    /// were not declared yet. All calls share one stream, as its clones do.
    ///
    /// Without such a stream, messages of QoS 1 and 2 that nobody claims are held in a durable
    /// session, unless they match one of the last 256 filters that were unsubscribed; all others are
    /// discarded and counted, and acknowledged.
    #[must_use]
    pub fn messages(&self) -> Messages {
        let (key, consumer) = self.shared().run(|core| {
            let key = core.unclaimed;
            if let Some(stream) = core.streams.get_mut(&key) {
                stream.consumers += 1;
            }
            (key, core.next_number())
        });
        Messages::new(Arc::clone(&self.handle), key, consumer)
    }

    /// A tap on every message that comes in, without a duty to acknowledge. Holds the latest
    /// `capacity` messages that were not taken, at least one.
    #[must_use]
    pub fn observe(&self, capacity: usize) -> Observer<Message> {
        Observer::new(self.shared(), capacity)
    }

    /// The verdicts of publishes whose completion was dropped. Holds the latest `capacity` that
    /// were not taken, at least one.
    #[must_use]
    pub fn verdicts(&self, capacity: usize) -> Observer<UnobservedVerdict> {
        Observer::new(self.shared(), capacity)
    }

    /// What an operator might want to know: see [`Notice`]. Holds the latest `capacity` that were
    /// not taken, at least one.
    #[must_use]
    pub fn notices(&self, capacity: usize) -> Observer<Notice> {
        Observer::new(self.shared(), capacity)
    }

    /// Where the connection stands.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        self.shared().run(|core| core.state.get().clone())
    }

    /// Changes of [`state`](Self::state) from now on.
    #[must_use]
    pub fn state_changes(&self) -> StateChanges {
        StateChanges::new(&self.handle)
    }

    /// Waits until there is a connection; at once if there is one.
    ///
    /// # Errors
    /// [`CloseReason`] if there can never be one again.
    ///
    /// Cancel safe.
    pub async fn connected(&self) -> Result<Arc<ConnectionInfo>, CloseReason> {
        connected(&self.handle).await
    }

    /// Counters.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.shared().run(|core| core.statistics)
    }

    /// Ends the client: waits for operations to finish, at most for the drain timeout, sends
    /// DISCONNECT (section 3.14), closes the connection, and gives every operation its verdict. See
    /// [`DisconnectBuilder`] for what can be set. Other handles and streams end with it.
    pub fn disconnect(&self) -> DisconnectBuilder {
        DisconnectBuilder::new(self.clone())
    }

    /// Authenticates again on the running connection (section 4.12.1), by the
    /// [`Authenticator`](crate::Authenticator) of the options.
    ///
    /// # Errors
    /// [`ReauthenticateError`]; if the server says no, it ends the connection.
    ///
    /// Cancel safe: dropping the future does not stop the authentication.
    pub async fn reauthenticate(&self) -> Result<(), ReauthenticateError> {
        let slot = self.shared().run(|core| {
            if let Some(reason) = core.closed.clone() {
                return Err(ReauthenticateError::Closed(reason));
            }
            if !core.has_authenticator || core.reauthentication.is_some() {
                return Err(ReauthenticateError::NotAccepted(Rule::Authentication));
            }
            if core.session.limits().is_none() {
                return Err(ReauthenticateError::NotAccepted(Rule::NotConnected));
            }
            let slot = core.reauthenticated.insert();
            core.reauthentication = Some(slot);
            core.auth_steps.push_back(AuthStep::Begin);
            core.wake_driver();
            Ok(slot)
        })?;
        Answer::new(
            Arc::clone(self.shared()),
            |core| &mut core.reauthenticated,
            slot,
        )
        .await
    }

    /// The DISCONNECT that [`disconnect`](Self::disconnect) sends unless told otherwise.
    pub(crate) fn ordinary_disconnect(&self) -> Disconnect {
        self.shared().run(|core| core.ordinary_disconnect())
    }
}

const _: () = {
    const fn is_send_and_sync<T: Send + Sync + Clone>() {}
    const fn is_send<T: Send>() {}
    is_send_and_sync::<Client>();
    is_send_and_sync::<Messages>();
    is_send::<crate::Completion>();
    is_send::<crate::PublishFuture>();
    is_send::<crate::Enqueue>();
    is_send::<StateChanges>();
    is_send::<Observer<Message>>();
};
