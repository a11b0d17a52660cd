//! Giving received messages to the streams that want them, in a client whose transport is memory.

use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use mqtt5_client::bytes::BytesMut;
use mqtt5_client::proto::Instant;
use mqtt5_client::{
    Client, ClientOptions, Clock, CloseReason, Connect, Messages, Timer, Transport,
};

use crate::clients::wire;
use crate::hand::strict;
use crate::samples;
use crate::work::{Contender, Facts, Proof, Side, Work};

/// What lies between client and server.
#[derive(Default)]
struct Wire {
    to_client: BytesMut,
    from_client: Vec<u8>,
}

#[derive(Clone, Default)]
struct Link(Arc<Mutex<Wire>>);

impl Link {
    fn with<T>(&self, use_it: impl FnOnce(&mut Wire) -> T) -> T {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Connect for Link {
    type Transport = Self;
    type Future = Ready<io::Result<Self>>;

    fn connect(&mut self) -> Self::Future {
        ready(Ok(self.clone()))
    }
}

impl Transport for Link {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.with(|wire| {
            let room = buffer.capacity() - buffer.len();
            let size = room.min(wire.to_client.len());
            if size == 0 {
                return Poll::Pending;
            }
            buffer.extend_from_slice(&wire.to_client.split_to(size));
            Poll::Ready(Ok(size))
        })
    }

    fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|wire| wire.from_client.extend_from_slice(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// No time passes.
#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Instant {
        Instant::ZERO
    }
}

impl Timer for Still {
    type Clock = Self;

    fn clock(&self) -> Self {
        *self
    }

    fn reset(&mut self, _: Option<Instant>) {}

    fn poll_expired(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// A connected client with its streams, and the server's side.
struct Subscribed {
    driver: Pin<Box<dyn Future<Output = CloseReason>>>,
    link: Link,
    streams: Vec<Messages>,
    /// A message for each stream.
    packets: Vec<Vec<u8>>,
    next: usize,
    _client: Client,
}

/// Whether the server knows Subscription Identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identifiers {
    Known,
    Unknown,
}

fn topic(number: usize) -> String {
    format!(
        "building/{}/room/{}/temperature",
        number % 100,
        number / 100
    )
}

impl Subscribed {
    fn new(subscriptions: usize, identifiers: Identifiers) -> Self {
        let link = Link::default();
        let options = ClientOptions::new()
            .client_id("bench")
            .outbound_messages(subscriptions + 16);
        let (client, driver) = Client::new(options, link.clone(), Still).expect("legal options");
        let mut new = Self {
            driver: Box::pin(driver),
            link,
            streams: Vec::new(),
            packets: Vec::new(),
            next: 0,
            _client: client.clone(),
        };
        new.drive();
        let connack: &[u8] = match identifiers {
            Identifiers::Known => &[0x20, 3, 0, 0, 0],
            Identifiers::Unknown => &[0x20, 5, 0, 0, 2, 0x29, 0],
        };
        new.link.with(|wire| {
            wire.from_client.clear();
            wire.to_client.extend_from_slice(connack);
        });
        new.drive();
        for number in 0..subscriptions {
            let subscribe = client.subscribe(topic(number));
            new.streams
                .push(subscribe.declare().expect("a legal filter"));
            new.drive();
            new.grant(number);
            new.drive();
        }
        new
    }

    fn drive(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        assert!(self.driver.as_mut().poll(&mut context).is_pending());
    }

    /// Answers the SUBSCRIBE, and makes a message for it.
    fn grant(&mut self, number: usize) {
        let written = self
            .link
            .with(|wire| core::mem::take(&mut wire.from_client));
        let (subscribe, _) = strict::subscribe(&written).expect("a SUBSCRIBE");
        let [high, low] = subscribe.packet_id.to_be_bytes();
        self.link.with(|wire| {
            wire.to_client
                .extend_from_slice(&[0x90, 4, high, low, 0, 0]);
        });
        let mut section = Vec::new();
        if subscribe.identifier != 0 {
            section.push(0x0B);
            let mut left = subscribe.identifier;
            while left >= 0x80 {
                section.push((left & 0x7F) as u8 | 0x80);
                left >>= 7;
            }
            section.push(left as u8);
        }
        let (packet, _) = wire::publish_with(&topic(number), 0, &section, samples::SMALL.len());
        self.packets.push(packet);
    }

    /// Which stream gets the next message; far from the one before.
    fn next(&mut self) -> usize {
        self.next = (self.next + 7919) % self.streams.len();
        self.next
    }

    /// The server sends `messages`.
    fn send(&mut self, messages: usize) -> Vec<usize> {
        let numbers: Vec<_> = (0..messages).map(|_| self.next()).collect();
        self.link.with(|wire| {
            for number in &numbers {
                wire.to_client.extend_from_slice(&self.packets[*number]);
            }
        });
        numbers
    }

    /// The streams give out what they got: how many.
    fn receive(&mut self, numbers: &[usize]) -> usize {
        let mut context = Context::from_waker(Waker::noop());
        let mut received = 0;
        while self.link.with(|wire| !wire.to_client.is_empty()) {
            self.drive();
        }
        for number in numbers {
            let next = self.streams[*number].next();
            let polled = core::pin::pin!(next).poll(&mut context);
            if let Poll::Ready(Some(message)) = black_box(polled) {
                received += usize::from(message.topic().len() > 10);
            }
        }
        received
    }
}

/// How many messages one run brings.
const MESSAGES: usize = 200;

fn contender(
    name: &'static str,
    side: Side,
    subscriptions: usize,
    identifiers: Identifiers,
) -> Contender {
    let mut kept = None;
    Contender::new(name, side, MESSAGES, move |meter| {
        let subscribed = kept.get_or_insert_with(|| Subscribed::new(subscriptions, identifiers));
        let numbers = subscribed.send(MESSAGES);
        meter.region(|| {
            black_box(subscribed.receive(&numbers));
        });
    })
    .proven_by(move || prove(subscriptions, identifiers))
}

/// Every message comes to the stream of its topic.
fn prove(subscriptions: usize, identifiers: Identifiers) -> Proof {
    let mut subscribed = Subscribed::new(subscriptions, identifiers);
    let mut context = Context::from_waker(Waker::noop());
    let mut proof = Proof::new();
    for _ in 0..MESSAGES {
        let numbers = subscribed.send(1);
        subscribed.drive();
        let next = subscribed.streams[numbers[0]].next();
        let right = match core::pin::pin!(next).poll(&mut context) {
            Poll::Ready(Some(message)) => message.topic() == topic(numbers[0]),
            _ => false,
        };
        proof.push(facts(right));
    }
    proof
}

fn facts(right: bool) -> Facts {
    vec![("right stream", vec![u8::from(right)])]
}

fn contenders(identifiers: Identifiers) -> Vec<Contender> {
    let of = |name, side, subscriptions| contender(name, side, subscriptions, identifiers);
    vec![
        of("ours, 1 subscription", Side::Strict, 1),
        of("ours, 100 subscriptions", Side::Ours, 100).within(2.0),
        of("ours, 10,000 subscriptions", Side::Ours, 10_000).within(2.0),
    ]
}

/// The rows. What they are told against is the same with one subscription.
#[must_use]
pub fn works() -> Vec<Work> {
    let expected = || samples::proof(&facts(true), MESSAGES);
    vec![
        Work::new(
            "routing-identifiers",
            "route a message to its stream, × the time with one subscription",
            "message",
            expected,
            || contenders(Identifiers::Known),
        ),
        Work::new(
            "routing-filters",
            "the same, with a server that knows no Subscription Identifiers",
            "message",
            expected,
            || contenders(Identifiers::Unknown),
        ),
    ]
}
