//! A raw server, and the deadlines of the suite.

mod by_hand;

pub(crate) use by_hand::{ManualTime, PipeServer, by_hand, pipe};

use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use mqtt5_testkit::TestBroker;
use mqtt5_tokio::proto::packet::ApplicationMessage;
use mqtt5_tokio::{
    Builder, Client, CloseReason, ConnectionState, Message, Messages, QoS, ReconnectPolicy, Topic,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// How long a whole test may take: a hang fails by name instead of holding everything up.
const LIMIT: Duration = Duration::from_secs(30);

/// How long one step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// CONNACK: success, no session, no properties.
pub(crate) const NEW_SESSION: &str = "20 03 00 00 00";

/// CONNACK: success, the session goes on, no properties.
pub(crate) const RESUMED: &str = "20 03 01 00 00";

pub(crate) const QOS_0: QoS = QoS::AtMostOnce;
pub(crate) const QOS_1: QoS = QoS::AtLeastOnce;
pub(crate) const QOS_2: QoS = QoS::ExactlyOnce;

/// Runs a test to its end, or fails it. All of its tasks end with the runtime.
#[track_caller]
pub(crate) fn run(test: impl Future<Output = ()>) {
    run_on(tokio::runtime::Builder::new_current_thread(), test);
}

/// As [`run`], on two threads.
#[track_caller]
pub(crate) fn run_on_two_threads(test: impl Future<Output = ()>) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2);
    run_on(builder, test);
}

#[track_caller]
fn run_on(mut builder: tokio::runtime::Builder, test: impl Future<Output = ()>) {
    let runtime = builder.enable_all().build().unwrap();
    let ended = runtime.block_on(async { timeout(LIMIT, test).await.is_ok() });
    assert!(ended, "the test did not end within {LIMIT:?}");
}

/// Waits for something that has to come.
#[track_caller]
pub(crate) fn soon<F: IntoFuture>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    let future = future.into_future();
    async move {
        match timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing came within {PATIENCE:?}, awaited at {caller}"),
        }
    }
}

/// Lets every task that can run do so. For a check that something does *not* happen, beside a
/// barrier on the wire wherever there can be one.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Polls once.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Bytes from hexadecimal digits; white space does not count.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    assert_eq!(digits.len() % 2, 0, "{text}");
    let pairs = digits
        .chunks_exact(2)
        .map(|pair| std::str::from_utf8(pair).unwrap());
    pairs
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect()
}

/// Hexadecimal digits of bytes.
pub(crate) fn show(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let separator = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{separator}{byte:02X}");
    }
    text
}

/// A packet: first byte, Remaining Length, body. Written by hand, so that an error of the codec
/// cannot hide itself.
pub(crate) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut rest = body.len();
    loop {
        let digit = u8::try_from(rest % 128).unwrap();
        rest /= 128;
        if rest == 0 {
            bytes.push(digit);
            break;
        }
        bytes.push(digit | 0x80);
    }
    bytes.extend_from_slice(body);
    bytes
}

/// A PUBLISH without properties. `id` is `None` at QoS 0.
pub(crate) fn publish(flags: u8, topic: &str, id: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    if let Some(id) = id {
        body.extend_from_slice(&id.to_be_bytes());
    }
    body.push(0);
    body.extend_from_slice(payload);
    packet(0x30 | flags, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP with success, by its first byte.
pub(crate) fn ack(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

/// The Packet Identifier of an acknowledgement, a SUBSCRIBE or an UNSUBSCRIBE.
pub(crate) fn id_of(packet: &[u8]) -> u16 {
    assert!(packet[1] < 128);
    u16::from_be_bytes([packet[2], packet[3]])
}

/// The Packet Identifier of a short PUBLISH.
pub(crate) fn publish_id(packet: &[u8]) -> u16 {
    assert!(packet[1] < 128 && packet[0] >> 4 == 3);
    let at = 4 + usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// Whether the Clean Start flag of a CONNECT is set.
pub(crate) fn is_clean(connect: &[u8]) -> bool {
    let at = connect
        .windows(4)
        .position(|window| window == b"MQTT")
        .unwrap();
    connect[at + 5] & 0x02 != 0
}

/// A server whose every byte the test writes.
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// A client of this server with an identifier, that reconnects at once and sends no pings.
    pub(crate) fn builder(&self) -> Builder {
        quick(&self.url())
    }

    pub(crate) async fn accept(&self) -> Link<TcpStream> {
        let (stream, _) = soon(self.listener.accept()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Link(stream)
    }

    /// Accepts, reads the CONNECT and answers it. The CONNECT is the second of what it returns.
    pub(crate) async fn answer(&self, connack: &str) -> (Link<TcpStream>, Vec<u8>) {
        let mut link = self.accept().await;
        let connect = link.packet().await;
        assert_eq!(connect[0], 0x10, "no CONNECT: {}", show(&connect));
        link.send(connack).await;
        (link, connect)
    }

    /// A client, and the link to it, connected by `connack`.
    pub(crate) async fn connect(&self, connack: &str) -> (Client, Link<TcpStream>) {
        self.connect_by(self.builder(), connack).await
    }

    pub(crate) async fn connect_by(
        &self,
        builder: Builder,
        connack: &str,
    ) -> (Client, Link<TcpStream>) {
        let client = builder.start().unwrap();
        let (link, _) = self.answer(connack).await;
        soon(client.connected()).await.unwrap();
        (client, link)
    }
}

/// Connection attempts of this client to this address follow at once, and no ping disturbs.
pub(crate) fn quick(url: &str) -> Builder {
    mqtt5_tokio::builder(url)
        .unwrap()
        .client_id("c")
        .keep_alive(Duration::ZERO)
        .reconnect(ReconnectPolicy::fixed(Duration::from_millis(1)))
}

/// The server's end of one connection.
pub(crate) struct Link<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// The next packet of the client, whole.
    #[track_caller]
    pub(crate) fn packet(&mut self) -> impl Future<Output = Vec<u8>> {
        let read = soon(self.read_packet());
        async { read.await.expect("the client closed the connection") }
    }

    async fn read_packet(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![self.0.read_u8().await?];
        let (mut length, mut factor) = (0, 1);
        loop {
            let digit = self.0.read_u8().await?;
            bytes.push(digit);
            length += usize::from(digit & 0x7F) * factor;
            factor *= 128;
            if digit & 0x80 == 0 {
                break;
            }
        }
        let start = bytes.len();
        bytes.resize(start + length, 0);
        self.0.read_exact(&mut bytes[start..]).await?;
        Ok(bytes)
    }

    /// The next packet is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, packet: impl Wire) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        let expected = show(&packet.bytes());
        let read = self.packet();
        async move { assert_eq!(show(&read.await), expected, "at {caller}") }
    }

    /// The next packet is of the kind that begins with this byte.
    #[track_caller]
    pub(crate) fn expect_kind(&mut self, first: u8) -> impl Future<Output = Vec<u8>> {
        let caller = std::panic::Location::caller();
        let read = self.packet();
        async move {
            let packet = read.await;
            assert_eq!(packet[0], first, "{} at {caller}", show(&packet));
            packet
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl Wire) {
        soon(self.0.write_all(&bytes.bytes())).await.unwrap();
        soon(self.0.flush()).await.unwrap();
    }

    /// All that the client sends until it closes; then closes as well, so that it need not wait.
    #[track_caller]
    pub(crate) fn rest(mut self) -> impl Future<Output = Vec<u8>> {
        soon(async move {
            let mut rest = Vec::new();
            // A reset is an end as well.
            let _ = self.0.read_to_end(&mut rest).await;
            rest
        })
    }

    /// Reads a SUBSCRIBE and grants `codes`.
    pub(crate) async fn grant(&mut self, codes: &str) -> Vec<u8> {
        let subscribe = self.expect_kind(0x82).await;
        let mut body = subscribe[2..4].to_vec();
        body.push(0);
        body.extend_from_slice(&hex(codes));
        self.send(packet(0x90, &body)).await;
        subscribe
    }
}

/// What can be sent: bytes, or hexadecimal digits.
pub(crate) trait Wire {
    fn bytes(self) -> Vec<u8>;
}

impl Wire for &str {
    fn bytes(self) -> Vec<u8> {
        hex(self)
    }
}

impl Wire for Vec<u8> {
    fn bytes(self) -> Vec<u8> {
        self
    }
}

impl Wire for &[u8] {
    fn bytes(self) -> Vec<u8> {
        self.to_vec()
    }
}

/// Subscribes while the link grants.
pub(crate) async fn subscribed(
    client: &Client,
    link: &mut Link<TcpStream>,
    filter: &'static str,
) -> Messages {
    let subscribe = async { client.subscribe(filter).await.unwrap() };
    let (messages, _) = soon(async { tokio::join!(subscribe, link.grant("02")) }).await;
    messages
}

/// The next message, which has to come.
#[track_caller]
pub(crate) fn next(messages: &mut Messages) -> impl Future<Output = Message> {
    let next = soon(messages.next());
    async { next.await.expect("the stream ended") }
}

/// The payload of the next message, as text.
#[track_caller]
pub(crate) fn next_text(messages: &mut Messages) -> impl Future<Output = String> {
    let next = next(messages);
    async { text(&next.await) }
}

pub(crate) fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.payload()).into_owned()
}

/// Nothing but this barrier is on the wire: whatever the client would send by now, comes before it.
#[track_caller]
pub(crate) fn nothing_else(
    client: &Client,
    link: &mut Link<TcpStream>,
) -> impl Future<Output = ()> {
    let sent = soon(client.publish("barrier", ""));
    let seen = link.expect(publish(0x0, "barrier", None, b""));
    async {
        sent.await.unwrap();
        seen.await;
    }
}

/// Waits for a state.
#[track_caller]
pub(crate) fn until(
    client: &Client,
    mut wanted: impl FnMut(&ConnectionState) -> bool,
) -> impl Future<Output = ConnectionState> {
    let mut changes = client.state_changes();
    let now = client.state();
    soon(async move {
        let mut state = now;
        while !wanted(&state) {
            state = changes.changed().await.expect("the client closed");
        }
        state
    })
}

/// Waits for the end of the client.
#[track_caller]
pub(crate) fn closed(client: &Client) -> impl Future<Output = CloseReason> {
    let state = until(client, |state| matches!(state, ConnectionState::Closed(_)));
    async {
        match state.await {
            ConnectionState::Closed(reason) => reason,
            _ => unreachable!(),
        }
    }
}

/// A client of the test broker with an identifier, that reconnects at once.
pub(crate) fn client_of(broker: &TestBroker) -> Builder {
    quick(&broker.url())
}

/// Publishes from nowhere.
pub(crate) fn inject(broker: &TestBroker, topic: &str, payload: &str, qos: QoS) {
    let topic = Topic::new(topic).unwrap();
    let message = ApplicationMessage::new(topic, payload.to_owned()).with_qos(qos);
    broker.script(|broker, now| broker.publish(message, now));
}
