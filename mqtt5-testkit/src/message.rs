//! A message on its way through the broker.

use std::sync::Arc;
use std::time::Duration;

use mqtt5_proto::packet::{ApplicationMessage, MessageProperties, SubscriptionIdentifier};
use mqtt5_proto::{Instant, QoS};

/// A message that the broker has taken over, with the time at which it did.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) message: Arc<ApplicationMessage>,
    /// The Client Identifier of the publisher, for No Local.
    pub(crate) from: Option<Arc<str>>,
    pub(crate) since: Instant,
}

impl Stored {
    pub(crate) fn new(message: ApplicationMessage, from: Option<&str>, now: Instant) -> Self {
        Self {
            message: Arc::new(message),
            from: from.map(Arc::from),
            since: now,
        }
    }

    fn expiry(&self) -> Option<u32> {
        self.message.properties.as_ref()?.message_expiry_interval
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        self.expiry().is_some_and(|seconds| {
            now.saturating_since(self.since) >= Duration::from_secs(seconds.into())
        })
    }

    /// The properties with the Message Expiry Interval that is left (`3.3.2-6`), in whole seconds
    /// rounded up.
    pub(crate) fn properties(&self, now: Instant) -> Option<Box<MessageProperties>> {
        let mut properties = self.message.properties.clone()?;
        if let Some(interval) = &mut properties.message_expiry_interval {
            let waited = now.saturating_since(self.since).as_secs();
            *interval = interval.saturating_sub(u32::try_from(waited).unwrap_or(u32::MAX));
        }
        Some(properties)
    }
}

/// One copy of a message, for one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) stored: Stored,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) identifiers: Vec<SubscriptionIdentifier>,
}
