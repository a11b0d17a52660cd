//! Tells what a stream delivers, and acknowledges it at once or when told.

use std::sync::{Arc, Mutex, PoisonError};

use mqtt5_tokio::proto::packet::{AckProperties, PublishReasonCode};
use mqtt5_tokio::{Message, Messages, QoS, UnsubscribeError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::words;

/// What a stream is told.
pub(crate) enum Command {
    Acknowledge(Message, PublishReasonCode, AckProperties),
    /// With the name of the operation.
    Unsubscribe(String),
}

/// A message, and the stream that it is acknowledged to.
type Held = (UnboundedSender<Command>, Message);

#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) acknowledges_qos1: bool,
    pub(crate) acknowledges_qos2: bool,
    /// All that was delivered, by any stream.
    delivered: Arc<Mutex<Vec<Held>>>,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            acknowledges_qos1: true,
            acknowledges_qos2: true,
            delivered: Arc::default(),
        }
    }
}

impl Consumer {
    pub(crate) const fn is_manual(&self) -> bool {
        !(self.acknowledges_qos1 && self.acknowledges_qos2)
    }

    pub(crate) fn held(&self, index: usize) -> Option<Held> {
        let delivered = self
            .delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        delivered.get(index).cloned()
    }

    pub(crate) async fn consume(
        self,
        mut messages: Messages,
        sender: UnboundedSender<Command>,
        mut commands: UnboundedReceiver<Command>,
    ) {
        loop {
            tokio::select! {
                Some(command) = commands.recv() => match command {
                    Command::Acknowledge(message, reason, properties) => {
                        let _ = messages.reject_with(&message, reason, properties);
                    }
                    Command::Unsubscribe(name) => return unsubscribe(messages, &name).await,
                },
                message = messages.next() => match message {
                    Some(message) => self.deliver(&messages, &sender, &message),
                    None => return,
                },
            }
        }
    }

    fn deliver(&self, messages: &Messages, sender: &UnboundedSender<Command>, message: &Message) {
        let mut delivered = self
            .delivered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        delivered.push((sender.clone(), message.clone()));
        println!("delivered{}", words::message(message));
        let at_once = match message.qos() {
            QoS::AtMostOnce => false,
            QoS::AtLeastOnce => self.acknowledges_qos1,
            QoS::ExactlyOnce => self.acknowledges_qos2,
        };
        if at_once {
            let _ = messages.acknowledge(message);
        }
    }
}

async fn unsubscribe(messages: Messages, name: &str) {
    let words = match messages.unsubscribe().await {
        Ok(()) => "answered".to_owned(),
        Err(UnsubscribeError::Refused(code)) => format!("answered 0x{:02X}", code.raw()),
        Err(UnsubscribeError::MalformedAnswer) => "malformed-answer".to_owned(),
        Err(_) => "unknown".to_owned(),
    };
    println!("verdict {name} {words}");
}
