//! A client by a pipe and a clock that only the test moves.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt5_tokio::proto::Instant;
use mqtt5_tokio::{Client, ClientOptions, IoTransport, ReconnectPolicy};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use super::{Link, NEW_SESSION, soon};

/// A clock that only the test moves.
#[derive(Clone, Default)]
pub(crate) struct ManualTime(Arc<Mutex<TimeState>>);

#[derive(Default)]
struct TimeState {
    now: Duration,
    alarm: Option<Instant>,
    waker: Option<Waker>,
}

impl ManualTime {
    /// Moves the clock, and lets the alarm go off if it is due.
    pub(crate) fn advance(&self, by: Duration) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.now += by;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl mqtt5_client::Clock for ManualTime {
    fn now(&self) -> Instant {
        Instant::from_start(self.0.lock().unwrap().now)
    }
}

impl mqtt5_client::Timer for ManualTime {
    type Clock = Self;

    fn clock(&self) -> Self {
        self.clone()
    }

    fn reset(&mut self, at: Option<Instant>) {
        self.0.lock().unwrap().alarm = at;
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state
            .alarm
            .is_some_and(|at| at <= Instant::from_start(state.now))
        {
            return Poll::Ready(());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Connects to a test in the same process, through a pipe of so many bytes in each direction: what
/// was written beyond them the other side has read.
pub(crate) struct Pipe {
    bytes: usize,
    links: mpsc::UnboundedSender<DuplexStream>,
}

/// Where the pipes of a client end.
pub(crate) struct PipeServer(pub(crate) mpsc::UnboundedReceiver<DuplexStream>);

pub(crate) fn pipe(bytes: usize) -> (Pipe, PipeServer) {
    let (links, accepted) = mpsc::unbounded_channel();
    (Pipe { bytes, links }, PipeServer(accepted))
}

impl mqtt5_client::Connect for Pipe {
    type Transport = IoTransport<DuplexStream>;
    type Future = std::future::Ready<io::Result<Self::Transport>>;

    fn connect(&mut self) -> Self::Future {
        let (near, far) = tokio::io::duplex(self.bytes);
        // A test that has gone needs no connection.
        let _ = self.links.send(far);
        std::future::ready(Ok(IoTransport::new(near)))
    }
}

impl PipeServer {
    pub(crate) async fn answer(&mut self, connack: &str) -> Link<DuplexStream> {
        let mut link = Link(soon(self.0.recv()).await.unwrap());
        assert_eq!(link.packet().await[0], 0x10);
        link.send(connack).await;
        link
    }
}

/// A client by a pipe and a clock set by hand, connected.
pub(crate) async fn by_hand(
    bytes: usize,
    options: ClientOptions,
) -> (Client, PipeServer, Link<DuplexStream>, ManualTime) {
    let time = ManualTime::default();
    let (pipe, mut server) = pipe(bytes);
    let options = options
        .client_id("c")
        .reconnect(ReconnectPolicy::fixed(Duration::ZERO));
    let (client, driver) = Client::new(options, pipe, time.clone()).unwrap();
    tokio::spawn(driver);
    let link = server.answer(NEW_SESSION).await;
    soon(client.connected()).await.unwrap();
    (client, server, link, time)
}
