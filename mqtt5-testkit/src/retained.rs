//! Retained messages (section 3.3.1.3).

use std::collections::BTreeMap;

use mqtt5_proto::packet::ApplicationMessage;
use mqtt5_proto::{Instant, Topic, TopicFilter};

use crate::message::Stored;

/// The latest retained message of each topic.
#[derive(Debug, Default)]
pub(crate) struct Retained(BTreeMap<Topic, Stored>);

impl Retained {
    /// Keeps a message that was published with RETAIN; an empty payload clears (`3.3.1-6`).
    pub(crate) fn store(&mut self, stored: &Stored) {
        let topic = &stored.message.topic;
        if stored.message.payload.is_empty() {
            self.0.remove(topic);
        } else {
            self.0.insert(topic.clone(), stored.clone());
        }
    }

    /// The messages that `filter` matches, by topic.
    pub(crate) fn matching(&mut self, filter: &TopicFilter, now: Instant) -> Vec<Stored> {
        self.0.retain(|_, stored| !stored.is_expired(now));
        self.0
            .iter()
            .filter(|(topic, _)| filter.matches(topic.as_str()))
            .map(|(_, stored)| stored.clone())
            .collect()
    }

    pub(crate) fn get(&self, topic: &str) -> Option<&ApplicationMessage> {
        self.0.get(topic).map(|stored| &*stored.message)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
