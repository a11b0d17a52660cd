//! Room that is reserved before there is a message.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use mqtt5_proto::Topic;
use mqtt5_proto::packet::ApplicationMessage;
use mqtt5_proto::topic::TopicError;

use crate::client::Client;
use crate::errors::CloseReason;
use crate::publish::Publish;

/// Room for one message, from [`Client::reserve`]. Dropped unused, the room is free again.
///
/// It reserves a message, not bytes: if those are used up, publishing waits for them.
#[derive(Debug)]
pub struct Permit {
    client: Client,
}

impl Permit {
    /// As [`Client::publish`], with the room that was reserved.
    pub fn publish<T, P>(self, topic: T, payload: P) -> Publish
    where
        T: TryInto<Topic>,
        TopicError: From<T::Error>,
        P: Into<Bytes>,
    {
        self.client.publish(topic, payload).with_permit(self)
    }

    /// As [`Client::publish_message`], with the room that was reserved.
    pub fn publish_message(self, message: ApplicationMessage) -> Publish {
        self.client.publish_message(message).with_permit(self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.client.shared().run(|core| {
            core.room.reserved -= 1;
            core.room.wake_first(&mut core.wakeups);
        });
    }
}

/// Waits for room for one message; from [`Client::reserve`].
#[derive(Debug)]
#[must_use = "nothing is reserved before this is awaited"]
pub struct Reserve {
    client: Client,
    number: Option<u64>,
}

impl Reserve {
    pub(crate) const fn new(client: Client) -> Self {
        Self {
            client,
            number: None,
        }
    }
}

impl Future for Reserve {
    type Output = Result<Permit, CloseReason>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { client, number } = &mut *self;
        let outcome = client.shared().run(|core| {
            if core.is_closed() || core.closing.is_some() {
                return Poll::Ready(Err(core.closed.clone().unwrap_or(CloseReason::Requested)));
            }
            if core.room.is_turn(*number) && core.has_room() {
                core.room.reserved += 1;
                if let Some(number) = number.take() {
                    core.room.leave(number, &mut core.wakeups);
                }
                return Poll::Ready(Ok(()));
            }
            let number = *number.get_or_insert_with(|| core.next_number());
            core.room.wait(number, false, cx, &mut core.wakeups);
            Poll::Pending
        });
        outcome.map(|granted| {
            granted.map(|()| Permit {
                client: client.clone(),
            })
        })
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.client
                .shared()
                .run(|core| core.room.leave(number, &mut core.wakeups));
        }
    }
}
