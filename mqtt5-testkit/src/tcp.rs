//! The broker on a loopback port of Tokio, and in memory.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mqtt5_proto::Instant;
use mqtt5_proto::packet::{Disconnect, DisconnectReasonCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time;

use crate::broker::{Action, Broker, ConnectionId, Restart};
use crate::config::Config;
use crate::fault::{Effect, FaultId, When};
use crate::memory::MemoryStream;
use crate::trace::Record;
use crate::unmet::{PATIENCE, Unmet};

/// How long a closed connection is read on, so that no reset destroys what was sent last.
const LINGER: Duration = Duration::from_secs(1);

/// A [`Broker`] that listens on a free port of 127.0.0.1.
///
/// Dropping it ends all of its tasks and connections; [`shutdown`](Self::shutdown) does so with a
/// DISCONNECT.
#[derive(Debug)]
pub struct TestBroker {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Connections that come without a socket.
    opened: mpsc::UnboundedSender<MemoryStream>,
    supervisor: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl TestBroker {
    /// Starts a broker that takes everybody and everything.
    ///
    /// # Errors
    /// If the system has no port left.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Config::default()).await
    }

    /// Starts a broker that behaves as `config` says.
    ///
    /// # Errors
    /// If the system has no port left.
    pub async fn start_with(config: Config) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                broker: Broker::new(config),
                links: BTreeMap::new(),
                accepting: true,
                armed: None,
            }),
            start: time::Instant::now(),
            changed: watch::Sender::new(()),
            earlier: Notify::new(),
        });
        let (stop, stopped) = oneshot::channel();
        let (opened, incoming) = mpsc::unbounded_channel();
        let listening = Listening { listener, incoming };
        let task = tokio::spawn(supervise(listening, Arc::clone(&shared), stopped));
        Ok(Self {
            shared,
            address,
            opened,
            supervisor: Some((stop, task)),
        })
    }

    /// The port. It stays the same for the life of the broker, restarts included.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.address.port()
    }

    /// Address and port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Opens a connection without a socket. Unlike one over TCP it cannot be reset: what cuts it,
    /// such as [`drop_connections`](Self::drop_connections), looks to the client as if the broker had
    /// closed it.
    #[must_use]
    pub fn open(&self) -> MemoryStream {
        let (near, far) = MemoryStream::pair();
        // A broker that is no more drops its end.
        let _ = self.opened.send(far);
        near
    }

    /// Scripts the broker, or looks into it. What the script causes is sent when it returns. The
    /// script must not use this object itself.
    pub fn script<T>(&self, script: impl FnOnce(&mut Broker, Instant) -> T) -> T {
        self.shared.with(script)
    }

    /// Changes how the broker behaves, for connections that are opened from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.script(|broker, _| broker.configure(change));
    }

    /// Lets `effect` happen `when` that comes.
    pub fn add_fault(&self, when: When, effect: Effect) -> FaultId {
        self.script(|broker, _| broker.add_fault(when, effect))
    }

    /// Lets all packets go on that [`Effect::Hold`] holds; returns how many there were.
    pub fn release_held(&self) -> usize {
        self.script(Broker::release_held)
    }

    /// Cuts all connections, as a network failure does.
    pub fn drop_connections(&self) {
        self.script(Broker::cut_all);
    }

    /// Restarts on the same port, which stays bound: all connections are cut, and sessions are
    /// kept or lost.
    pub fn restart(&self, restart: Restart) {
        self.script(|broker, now| broker.restart(restart, now));
    }

    /// Whether new connections are accepted, as they are at first. If not, each is cut at once.
    pub fn accept_connections(&self, accept: bool) {
        self.shared.lock().accepting = accept;
    }

    /// The packets from clients, oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Record> {
        self.script(|broker, _| broker.received().cloned().collect())
    }

    /// Waits until `condition` holds, for up to 10 s. It is asked anew whenever something has
    /// happened, and must not use this object itself.
    ///
    /// # Errors
    /// [`Unmet`] if it did not come true; that tells what went over the wire meanwhile.
    pub async fn wait_for(&self, condition: impl FnMut(&Broker) -> bool) -> Result<(), Unmet> {
        self.wait_for_within(PATIENCE, condition).await
    }

    /// Waits until `condition` holds, for as long as `patience`.
    ///
    /// # Errors
    /// [`Unmet`] if it did not come true; that tells what went over the wire meanwhile.
    pub async fn wait_for_within(
        &self,
        patience: Duration,
        condition: impl FnMut(&Broker) -> bool,
    ) -> Result<(), Unmet> {
        let wait = self.shared.until(condition);
        time::timeout(patience, wait).await.map_err(|_| {
            let records = self.script(|broker, _| broker.records().cloned().collect());
            Unmet::of_broker(patience, records)
        })
    }

    /// Takes leave of all clients with DISCONNECT 0x8B, closes their connections and the port, and
    /// waits for all tasks to end.
    pub async fn shutdown(mut self) {
        if let Some((stop, task)) = self.supervisor.take() {
            // Errors tell that the task has ended already.
            let _ = stop.send(());
            let _ = task.await;
        }
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.supervisor {
            task.abort();
        }
    }
}

/// What all tasks of one broker share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    start: time::Instant,
    changed: watch::Sender<()>,
    /// A timeout comes earlier than the supervisor knows.
    earlier: Notify,
}

#[derive(Debug)]
struct State {
    broker: Broker,
    links: BTreeMap<ConnectionId, Link>,
    accepting: bool,
    /// The timeout that the supervisor waits for.
    armed: Option<Instant>,
}

/// The way to the task of a connection.
#[derive(Debug)]
struct Link {
    actions: mpsc::UnboundedSender<Action>,
    /// A cut is among the actions, perhaps behind what the client does not read.
    cut: Arc<Notify>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A script that panicked has failed its test; the others' tasks go on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Broker, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = work(&mut state.broker, self.now());
        state.dispatch();
        let due = state.broker.poll_timeout();
        let is_earlier = due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed));
        drop(state);
        if is_earlier {
            self.earlier.notify_one();
        }
        self.changed.send_replace(());
        result
    }

    /// The timeout that the supervisor is to wait for.
    fn arm(&self) -> Option<time::Instant> {
        let mut state = self.lock();
        state.armed = state.broker.poll_timeout();
        let armed = state.armed?;
        Some(self.start + armed.since_start())
    }

    async fn until(&self, mut condition: impl FnMut(&Broker) -> bool) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.mark_unchanged();
            if condition(&self.lock().broker) {
                return;
            }
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }
}

impl State {
    /// Passes the broker's output on to the tasks.
    fn dispatch(&mut self) {
        while let Some((id, action)) = self.broker.poll_output() {
            let Some(link) = self.links.get(&id) else {
                continue;
            };
            let is_cut = action == Action::Cut;
            let is_last = is_cut || action == Action::Close;
            // A task that has ended needs no action.
            let _ = link.actions.send(action);
            if is_cut {
                link.cut.notify_one();
            }
            if is_last {
                self.links.remove(&id);
            }
        }
    }
}

/// Where connections come from.
struct Listening {
    listener: TcpListener,
    incoming: mpsc::UnboundedReceiver<MemoryStream>,
}

async fn supervise(
    mut listening: Listening,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    loop {
        let due = shared.arm();
        let timeout = async {
            match due {
                Some(due) => time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = listening.listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                Err(_) => tokio::task::yield_now().await,
            },
            Some(stream) = listening.incoming.recv() => {
                connections.spawn(serve(stream, Arc::clone(&shared)));
            }
            () = timeout => shared.with(Broker::handle_timeout),
            () = shared.earlier.notified() => {}
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            _ = &mut stopped => break,
        }
    }
    drop(listening);
    shared.with(|broker, now| {
        let all: Vec<_> = broker.connections().map(|(id, _)| id).collect();
        for id in all {
            let reason = DisconnectReasonCode::ServerShuttingDown;
            broker.disconnect(id, &Disconnect::new(reason), now);
        }
    });
    // A client that does not read is not waited for.
    let all_ended = async { while connections.join_next().await.is_some() {} };
    let _ = time::timeout(2 * LINGER, all_ended).await;
}

/// How a connection ends.
enum End {
    Close,
    Cut,
    /// The client has gone.
    Gone,
}

/// What a client is connected by.
trait Stream: AsyncRead + AsyncWrite + Unpin {
    /// Has every write leave at once. Without this a one-byte piece would wait for the next.
    fn send_at_once(&self) {}

    /// Has closing look like a failure of the network, as far as that can be.
    fn close_by_reset(&self) {}
}

impl Stream for TcpStream {
    fn send_at_once(&self) {
        let _ = self.set_nodelay(true);
    }

    fn close_by_reset(&self) {
        let _ = self.set_zero_linger();
    }
}

impl Stream for MemoryStream {}

async fn serve<S: Stream>(stream: S, shared: Arc<Shared>) {
    if !shared.lock().accepting {
        stream.close_by_reset();
        return;
    }
    stream.send_at_once();
    let (sender, mut actions) = mpsc::unbounded_channel();
    let cut = Arc::new(Notify::new());
    let id = {
        let mut state = shared.lock();
        let id = state.broker.connection_opened(shared.now());
        let link = Link {
            actions: sender,
            cut: Arc::clone(&cut),
        };
        state.links.insert(id, link);
        id
    };
    shared.changed.send_replace(());
    let (mut reader, mut writer) = tokio::io::split(stream);
    let end = tokio::select! {
        biased;
        end = write(&mut writer, &mut actions, &cut) => end,
        () = read(&mut reader, id, &shared) => {
            // The client may have closed its side only.
            actions.close();
            write(&mut writer, &mut actions, &cut).await;
            End::Gone
        }
    };
    if matches!(end, End::Close) {
        let _ = writer.shutdown().await;
        let _ = time::timeout(LINGER, discard(&mut reader)).await;
    }
    let stream = reader.unsplit(writer);
    if matches!(end, End::Cut) {
        stream.close_by_reset();
    }
    drop(stream);
    shared.lock().links.remove(&id);
    shared.with(|broker, now| broker.connection_closed(id, now));
}

/// Does what the broker says, until it says to stop.
async fn write<S: Stream>(
    writer: &mut WriteHalf<S>,
    actions: &mut mpsc::UnboundedReceiver<Action>,
    cut: &Notify,
) -> End {
    while let Some(action) = actions.recv().await {
        match action {
            Action::Close => return End::Close,
            Action::Cut => return End::Cut,
            Action::Send(bytes) => tokio::select! {
                // What the client reads goes out before the cut.
                biased;
                written = writer.write_all(&bytes) => {
                    if written.is_err() {
                        return End::Gone;
                    }
                }
                () = cut.notified() => return End::Cut,
            },
        }
    }
    End::Gone
}

/// Passes on what the client sends, until it stops.
async fn read<S: Stream>(reader: &mut ReadHalf<S>, id: ConnectionId, shared: &Shared) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        if !shared.lock().broker.wants_input(id) {
            shared.until(|broker| broker.wants_input(id)).await;
        }
        let Ok(count @ 1..) = reader.read(&mut buffer).await else {
            return;
        };
        let Some(bytes) = buffer.get(..count) else {
            return;
        };
        shared.with(|broker, now| broker.handle_input(id, bytes, now));
    }
}

async fn discard<S: Stream>(reader: &mut ReadHalf<S>) {
    let mut buffer = [0; 1024];
    while let Ok(1..) = reader.read(&mut buffer).await {}
}
