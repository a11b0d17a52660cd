//! A server made of bytes, a clock that stands still, and an executor of one task.

#![allow(
    dead_code,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support; each test binary uses a part of it"
)]

use std::collections::VecDeque;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mqtt5_client::bytes::BytesMut;
use mqtt5_client::proto::Instant;
use mqtt5_client::{
    Client, ClientOptions, Clock, Connect, Driver, Messages, ReconnectPolicy, Subscribe, Timer,
    Transport,
};

/// What happens at the next attempts to connect; after them, all succeed.
pub(crate) enum Dial {
    Refuse,
    Hang,
    /// Until [`Sim::open`].
    Hold,
}

#[derive(Default)]
pub(crate) struct Wire {
    to_client: VecDeque<u8>,
    pub(crate) from_client: Vec<u8>,
    /// How many bytes the client may still write.
    pub(crate) window: Option<usize>,
    /// The most that one read gives.
    pub(crate) piece: Option<usize>,
    pub(crate) server_closed: bool,
    reset: bool,
    /// Writing fails, though there may be something to read.
    pub(crate) broken_pipe: bool,
    pub(crate) client_shut_down: bool,
    pub(crate) client_dropped: bool,
    /// The most that was ever reserved for reading.
    pub(crate) largest_buffer: usize,
    waker: Option<Waker>,
}

#[derive(Default)]
pub(crate) struct Net {
    pub(crate) script: VecDeque<Dial>,
    wires: Vec<Arc<Mutex<Wire>>>,
    pub(crate) dials: usize,
    /// Who waits for [`Sim::open`].
    held: Option<Waker>,
}

pub(crate) struct MemoryConnect(Arc<Mutex<Net>>);

pub(crate) struct MemoryTransport(Arc<Mutex<Wire>>);

impl Connect for MemoryConnect {
    type Transport = MemoryTransport;
    type Future = Pin<Box<dyn Future<Output = io::Result<MemoryTransport>> + Send>>;

    fn connect(&mut self) -> Self::Future {
        let mut net = self.0.lock().unwrap();
        net.dials += 1;
        match net.script.pop_front() {
            Some(Dial::Refuse) => Box::pin(std::future::ready(Err(
                io::ErrorKind::ConnectionRefused.into(),
            ))),
            Some(Dial::Hang) => Box::pin(std::future::pending()),
            Some(Dial::Hold) => {
                let net = Arc::clone(&self.0);
                let mut held = false;
                Box::pin(poll_fn(move |cx| {
                    let mut net = net.lock().unwrap();
                    if held && net.held.is_none() {
                        return Poll::Ready(Ok(net.open()));
                    }
                    held = true;
                    net.held = Some(cx.waker().clone());
                    Poll::Pending
                }))
            }
            None => Box::pin(std::future::ready(Ok(net.open()))),
        }
    }
}

impl Net {
    fn open(&mut self) -> MemoryTransport {
        let wire = Arc::new(Mutex::new(Wire::default()));
        self.wires.push(Arc::clone(&wire));
        MemoryTransport(wire)
    }
}

impl Transport for MemoryTransport {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        let room = buffer.capacity() - buffer.len();
        assert!(room > 0, "read without room");
        wire.largest_buffer = wire.largest_buffer.max(buffer.capacity());
        if wire.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let piece = wire.piece.unwrap_or(usize::MAX);
        let count = room.min(piece).min(wire.to_client.len());
        if count == 0 && !wire.server_closed {
            wire.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buffer.extend(wire.to_client.drain(..count));
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.0.lock().unwrap();
        assert!(!bytes.is_empty() && !wire.client_shut_down);
        if wire.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.broken_pipe {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = wire
            .window
            .map_or(bytes.len(), |window| window.min(bytes.len()));
        if count == 0 {
            wire.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        wire.window = wire.window.map(|window| window - count);
        wire.from_client.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().unwrap().client_shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryTransport {
    fn drop(&mut self) {
        self.0.lock().unwrap().client_dropped = true;
    }
}

#[derive(Clone)]
pub(crate) struct StillClock(Arc<AtomicU64>);

impl Clock for StillClock {
    fn now(&self) -> Instant {
        Instant::from_start(Duration::from_nanos(self.0.load(Ordering::SeqCst)))
    }
}

pub(crate) struct StillTimer {
    clock: StillClock,
    at: Option<Instant>,
    shared: Arc<Mutex<Option<Instant>>>,
}

impl Timer for StillTimer {
    type Clock = StillClock;

    fn clock(&self) -> StillClock {
        self.clock.clone()
    }

    fn reset(&mut self, at: Option<Instant>) {
        self.at = at;
        *self.shared.lock().unwrap() = at;
    }

    fn poll_expired(&mut self, _: &mut Context<'_>) -> Poll<()> {
        if self.at.is_some_and(|at| at <= self.clock.now()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// A waker that can be looked at.
#[derive(Default)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Polls once; nobody is woken.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The result of a future that is ready.
pub(crate) fn now<F: IntoFuture>(future: F) -> F::Output {
    match poll(pin!(future.into_future())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

/// Whether a future that is made for this waits.
pub(crate) fn waits<F: IntoFuture>(future: F) -> bool {
    poll(pin!(future.into_future())).is_pending()
}

pub(crate) struct Sim {
    driver: Option<Pin<Box<Driver<MemoryConnect, StillTimer>>>>,
    flag: Arc<Flag>,
    pub(crate) net: Arc<Mutex<Net>>,
    clock: StillClock,
    alarm: Arc<Mutex<Option<Instant>>>,
    pub(crate) reason: Option<mqtt5_client::CloseReason>,
}

/// Options with a Client Identifier and a fixed delay of one second.
pub(crate) fn options() -> ClientOptions {
    ClientOptions::new()
        .client_id("c")
        .keep_alive(Duration::ZERO)
        .reconnect(ReconnectPolicy::fixed(Duration::from_secs(1)))
}

pub(crate) const CONNACK: &[u8] = &[0x20, 3, 0, 0, 0];
pub(crate) const CONNACK_RESUMED: &[u8] = &[0x20, 3, 1, 0, 0];

impl Sim {
    /// A client whose driver was not polled.
    pub(crate) fn new(options: ClientOptions) -> (Client, Self) {
        let net = Arc::new(Mutex::new(Net::default()));
        let clock = StillClock(Arc::new(AtomicU64::new(1_000_000_000)));
        let alarm = Arc::new(Mutex::new(None));
        let timer = StillTimer {
            clock: clock.clone(),
            at: None,
            shared: Arc::clone(&alarm),
        };
        let connect = MemoryConnect(Arc::clone(&net));
        let (client, driver) = Client::new(options, connect, timer).unwrap();
        let driver = Some(Box::pin(driver));
        (
            client,
            Self {
                driver,
                flag: Flag::new(),
                net,
                clock,
                alarm,
                reason: None,
            },
        )
    }

    /// A client that is connected, with a CONNACK that says nothing.
    pub(crate) fn connected(options: ClientOptions) -> (Client, Self) {
        Self::connected_by(options, CONNACK)
    }

    pub(crate) fn connected_by(options: ClientOptions, connack: &[u8]) -> (Client, Self) {
        let (client, mut sim) = Self::new(options);
        sim.run();
        assert_eq!(sim.packets()[0][0], 0x10);
        sim.send(connack);
        assert!(client.state().is_connected());
        (client, sim)
    }

    /// Polls the driver until it waits.
    pub(crate) fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..10_000 {
            let Some(driver) = &mut self.driver else {
                return;
            };
            match driver.as_mut().poll(&mut cx) {
                Poll::Ready(reason) => {
                    self.reason = Some(reason);
                    self.driver = None;
                    return;
                }
                Poll::Pending if !self.flag.take() => return,
                Poll::Pending => {}
            }
        }
        panic!("the driver never rests");
    }

    /// Polls the driver once. Whether it is to be polled again at once.
    pub(crate) fn run_once(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.flag));
        let driver = self.driver.as_mut().expect("a driver");
        let polled = driver.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        self.flag.take()
    }

    /// The server sends; the client has not looked.
    pub(crate) fn lay(&mut self, bytes: &[u8]) {
        self.wire().lock().unwrap().to_client.extend(bytes);
    }

    /// Polls the driver only if it was woken, as a runtime would.
    pub(crate) fn settle(&mut self) {
        if self.flag.take() {
            self.run();
        }
    }

    pub(crate) fn drop_driver(&mut self) {
        self.driver = None;
    }

    pub(crate) fn wire(&self) -> Arc<Mutex<Wire>> {
        Arc::clone(
            self.net
                .lock()
                .unwrap()
                .wires
                .last()
                .expect("no connection yet"),
        )
    }

    pub(crate) fn dials(&self) -> usize {
        self.net.lock().unwrap().dials
    }

    /// The attempt that was held succeeds.
    pub(crate) fn open(&mut self) {
        let waker = self.net.lock().unwrap().held.take();
        waker.expect("no attempt is held").wake();
        self.settle();
    }

    /// The whole packets that the client has sent, taken.
    pub(crate) fn packets(&mut self) -> Vec<Vec<u8>> {
        self.settle();
        let wire = self.wire();
        let mut wire = wire.lock().unwrap();
        let mut packets = Vec::new();
        let mut rest = &wire.from_client[..];
        while let Some(size) = packet_size(rest) {
            packets.push(rest[..size].to_vec());
            rest = &rest[size..];
        }
        wire.from_client = rest.to_vec();
        packets
    }

    fn wake_wire(&mut self) {
        let waker = self.wire().lock().unwrap().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
        self.settle();
    }

    /// The server sends, and the client does what follows.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.lay(bytes);
        self.wake_wire();
    }

    /// How many bytes the client has not read.
    pub(crate) fn unread(&self) -> usize {
        self.wire().lock().unwrap().to_client.len()
    }

    /// The server closes.
    pub(crate) fn close(&mut self) {
        self.wire().lock().unwrap().server_closed = true;
        self.wake_wire();
    }

    /// The connection breaks.
    pub(crate) fn reset(&mut self) {
        self.wire().lock().unwrap().reset = true;
        self.wake_wire();
    }

    /// The server reads this many bytes at most from now on; `None`: all.
    pub(crate) fn set_window(&mut self, window: Option<usize>) {
        self.wire().lock().unwrap().window = window;
        self.wake_wire();
    }

    /// Time passes, alarm by alarm.
    pub(crate) fn advance(&mut self, duration: Duration) {
        let end = self.clock.now() + duration;
        for _ in 0..10_000 {
            let alarm = *self.alarm.lock().unwrap();
            let next = alarm.map_or(end, |at| at.max(self.clock.now()).min(end));
            let nanos = u64::try_from(next.since_start().as_nanos()).unwrap();
            self.clock.0.store(nanos, Ordering::SeqCst);
            if alarm.is_some_and(|at| at <= next) {
                self.run();
            }
            if next == end
                && alarm.is_none_or(|at| at > end || *self.alarm.lock().unwrap() == alarm)
            {
                return;
            }
        }
        panic!("time does not pass");
    }

    /// Time passes while nothing runs.
    pub(crate) fn suspend(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap();
        self.clock.0.fetch_add(nanos, Ordering::SeqCst);
    }

    /// After a connection was cut: the next attempt comes, and the server accepts with `connack`.
    /// Returns the CONNECT.
    pub(crate) fn reconnect(&mut self, connack: &[u8]) -> Vec<u8> {
        self.advance(Duration::from_secs(1));
        let packets = self.packets();
        assert_eq!(packets.len(), 1, "{packets:x?}");
        self.send(connack);
        packets.into_iter().next().unwrap()
    }
}

/// The size of the packet at the start of `bytes`, if it is whole.
fn packet_size(bytes: &[u8]) -> Option<usize> {
    let (mut length, mut shift, mut at) = (0usize, 0, 1);
    loop {
        let byte = *bytes.get(at)?;
        length |= usize::from(byte & 0x7F) << shift;
        (shift, at) = (shift + 7, at + 1);
        if byte & 0x80 == 0 {
            return (bytes.len() >= at + length).then_some(at + length);
        }
    }
}

/// A packet of less than 128 bytes.
pub(crate) fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    assert!(body.len() < 128);
    let mut packet = vec![first, u8::try_from(body.len()).unwrap()];
    packet.extend(body);
    packet
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes
}

/// A PUBLISH with Subscription Identifiers below 128.
pub(crate) fn publish(qos: u8, id: u8, topic: &str, identifiers: &[u8], payload: &str) -> Vec<u8> {
    let id = if qos == 0 { vec![] } else { vec![0, id] };
    let properties: Vec<u8> = identifiers.iter().flat_map(|id| [0x0B, *id]).collect();
    let length = [u8::try_from(properties.len()).unwrap()];
    packet(
        0x30 | qos << 1,
        &[&text(topic), &id, &length, &properties, payload.as_bytes()],
    )
}

/// A SUBSCRIBE with one filter.
pub(crate) fn subscribe(id: u8, identifier: u8, filter: &str, options: u8) -> Vec<u8> {
    packet(
        0x82,
        &[&[0, id, 2, 0x0B, identifier], &text(filter), &[options]],
    )
}

pub(crate) fn unsubscribe(id: u8, filter: &str) -> Vec<u8> {
    packet(0xA2, &[&[0, id, 0], &text(filter)])
}

pub(crate) fn suback(id: u8, code: u8) -> Vec<u8> {
    vec![0x90, 4, 0, id, 0, code]
}

pub(crate) fn unsuback(id: u8, code: u8) -> Vec<u8> {
    vec![0xB0, 4, 0, id, 0, code]
}

pub(crate) fn puback(id: u8) -> Vec<u8> {
    vec![0x40, 2, 0, id]
}

/// Subscribes, and has the server grant QoS 2 under these numbers.
pub(crate) fn granted(sim: &mut Sim, subscribe: Subscribe, id: u8) -> Messages {
    let mut subscribing = pin!(subscribe.into_future());
    assert!(poll(subscribing.as_mut()).is_pending());
    assert_eq!(sim.packets().len(), 1);
    sim.send(&suback(id, 2));
    let Poll::Ready(Ok(messages)) = poll(subscribing) else {
        panic!("not granted")
    };
    messages
}
