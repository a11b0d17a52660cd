//! A simulated link: bytes move when the world says so, and it can break at any of them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, BytesMut};
use mqtt5_client::{Connect, Transport};

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The client's transport took them.
    Up,
    /// The client read them.
    Down,
}

/// What crossed the client's end of the link, in order, for the judge.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    pub(crate) crossings: Vec<(Way, usize)>,
    pub(crate) bytes: Vec<u8>,
}

impl Tape {
    fn record(&mut self, way: Way, bytes: &[u8]) {
        match self.crossings.last_mut() {
            Some((last, count)) if *last == way => *count += bytes.len(),
            _ => self.crossings.push((way, bytes.len())),
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn clear(&mut self) {
        self.crossings.clear();
        self.bytes.clear();
    }
}

/// One connection between a client and the broker.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// Taken by the client's transport, not arrived at the broker.
    pub(crate) up: BytesMut,
    /// Sent by the broker, not arrived at the client.
    pub(crate) down: BytesMut,
    /// Arrived at the client, not read.
    readable: BytesMut,
    /// How many bytes the transport still takes.
    pub(crate) window: usize,
    /// How many it takes at once, at most.
    pub(crate) piece: usize,
    /// The broker has closed: the client reads the end once all has arrived.
    pub(crate) broker_closed: bool,
    end_arrived: bool,
    /// Broken: reading and writing fail.
    reset: bool,
    /// Writing fails, reading goes on until all is read.
    broken_pipe: bool,
    pub(crate) client_shut_down: bool,
    /// The client has dropped its transport.
    pub(crate) client_gone: bool,
    pub(crate) tape: Tape,
    /// The most that was ever made room for when reading.
    pub(crate) largest_buffer: usize,
    /// The client did what no transport allows.
    pub(crate) misuse: Option<&'static str>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Link {
    fn wake(&mut self) {
        for waker in self.reader.take().into_iter().chain(self.writer.take()) {
            waker.wake();
        }
    }

    /// Moves bytes of the broker to the client.
    pub(crate) fn arrive(&mut self, count: usize) {
        let count = count.min(self.down.len());
        let bytes = self.down.split_to(count);
        if self.readable.is_empty() {
            self.readable = bytes;
        } else {
            self.readable.extend_from_slice(&bytes);
        }
        if self.broker_closed && self.down.is_empty() && !self.end_arrived {
            self.end_arrived = true;
            self.wake();
        }
        if count > 0
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
    }

    /// The transport takes so many bytes more.
    pub(crate) fn widen(&mut self, window: usize, piece: usize) {
        self.window = window;
        self.piece = piece.max(1);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// Breaks, both ways or for writing alone.
    pub(crate) fn break_off(&mut self, readable_first: bool) {
        if readable_first {
            self.broken_pipe = true;
            self.broker_closed = true;
        } else {
            self.reset = true;
        }
        self.wake();
    }

    /// Whether the client is still there and nothing has been broken.
    pub(crate) const fn is_whole(&self) -> bool {
        !self.client_gone && !self.reset && !self.broken_pipe && !self.broker_closed
    }
}

/// A link that both ends hold.
#[derive(Clone, Debug)]
pub(crate) struct SharedLink(Arc<Mutex<Link>>);

impl SharedLink {
    pub(crate) fn new(window: usize, piece: usize) -> Self {
        Self(Arc::new(Mutex::new(Link {
            window,
            piece: piece.max(1),
            ..Link::default()
        })))
    }

    /// Whether both are the same.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The client's end.
#[derive(Debug)]
pub(crate) struct ClientEnd(SharedLink);

impl Transport for ClientEnd {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let mut link = self.0.lock();
        let room = buffer.capacity() - buffer.len();
        if room == 0 {
            link.misuse = Some("read without room");
        }
        link.largest_buffer = link.largest_buffer.max(buffer.capacity());
        if link.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let count = room.min(link.readable.len());
        if count == 0 && !link.end_arrived {
            link.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Link { readable, tape, .. } = &mut *link;
        tape.record(Way::Down, &readable[..count]);
        buffer.extend_from_slice(&readable[..count]);
        readable.advance(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut link = self.0.lock();
        if bytes.is_empty() || link.client_shut_down {
            link.misuse = Some("wrote nothing, or after shutting down");
        }
        if link.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if link.broken_pipe {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let count = bytes.len().min(link.window).min(link.piece);
        if count == 0 {
            link.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        link.window -= count;
        let Link { up, tape, .. } = &mut *link;
        up.extend_from_slice(&bytes[..count]);
        tape.record(Way::Up, &bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let room = {
            let link = self.0.lock();
            link.window.min(link.piece)
        };
        let mut total = 0;
        for slice in slices.iter().filter(|slice| !slice.is_empty()) {
            // A write that has taken something does not wait, and takes no more than one does.
            if total > 0 && total >= room {
                break;
            }
            let rest = slice.get(..slice.len().min(room - total)).unwrap_or(slice);
            match self.poll_write(cx, if rest.is_empty() { slice } else { rest }) {
                Poll::Ready(Ok(count)) => total += count,
                refused if total == 0 => return refused,
                _ => break,
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().client_shut_down = true;
        Poll::Ready(Ok(()))
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        let mut link = self.0.lock();
        link.client_gone = true;
        link.reader = None;
        link.writer = None;
    }
}

/// What the next attempts to connect meet.
#[derive(Debug)]
pub(crate) struct Network {
    /// So many attempts are refused.
    pub(crate) refuse: usize,
    /// Attempts get no answer.
    pub(crate) hang: bool,
    hanging: Option<Waker>,
    pub(crate) window: usize,
    pub(crate) piece: usize,
    /// Opened by the client, not known to the broker.
    pub(crate) opened: Option<SharedLink>,
    pub(crate) dials: u64,
}

impl Network {
    pub(crate) fn new() -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            refuse: 0,
            hang: false,
            hanging: None,
            window: usize::MAX,
            piece: usize::MAX,
            opened: None,
            dials: 0,
        }))
    }

    /// Lets attempts through again.
    pub(crate) fn heal(&mut self) {
        self.refuse = 0;
        self.hang = false;
        self.window = usize::MAX;
        self.piece = usize::MAX;
        if let Some(waker) = self.hanging.take() {
            waker.wake();
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens links for one client.
#[derive(Debug)]
pub(crate) struct Dialer(pub(crate) Arc<Mutex<Network>>);

impl Connect for Dialer {
    type Transport = ClientEnd;
    type Future = Dial;

    fn connect(&mut self) -> Dial {
        lock(&self.0).dials += 1;
        Dial(Arc::clone(&self.0))
    }
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct Dial(Arc<Mutex<Network>>);

impl Future for Dial {
    type Output = io::Result<ClientEnd>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut network = lock(&self.0);
        if network.hang {
            network.hanging = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if network.refuse > 0 {
            network.refuse -= 1;
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        let link = SharedLink::new(network.window, network.piece);
        network.opened = Some(link.clone());
        Poll::Ready(Ok(ClientEnd(link)))
    }
}
