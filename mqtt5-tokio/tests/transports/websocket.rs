//! WebSocket (section 6): against Mosquitto, and against servers that are told byte by byte what to
//! say. Numbers are those of RFC 6455.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use mqtt5_tokio::proto::session::EndReason;
use mqtt5_tokio::{
    Address, Builder, Client, CloseReason, ConnectError, ConnectionState, Culprit, Failure,
    ReconnectPolicy, Route, RouteError, RouteOptions, Server as Host, Step, TransportError,
    WebSocketError, WebSocketOptions, WebSocketOptionsError, builder, connect,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tungstenite::handshake::derive_accept_key;

use crate::drip::Drip;
use crate::servers::Server;
use crate::support::mosquitto::{Config, Mosquitto, free_port};
use crate::support::{soon, until, within_limit};
use crate::traffic::{LARGE, SHORT, bytes, failure, goes_both_ways_with, transport_error};

const CONNACK: &[u8] = b"\x20\x03\x00\x00\x00";

/// The largest message that is asked of Mosquitto 2.0.11, which takes seconds to send 100 KB over
/// WebSocket.
const LARGEST: usize = 20_000;

/// A Mosquitto with a listener for WebSocket, to which `lines` go.
struct WebSocketMosquitto {
    broker: Mosquitto,
    address: SocketAddr,
}

impl WebSocketMosquitto {
    async fn start(lines: &[String]) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        // Beside the plain one, without which Mosquitto 2.0.11 does not start; without
        // socket_domain, it would listen on every interface.
        let listener = format!("listener {} {}", address.port(), address.ip());
        let mut config = Config::new()
            .line(&listener)
            .line("protocol websockets")
            .line("socket_domain ipv4");
        for line in lines {
            config = config.line(line);
        }
        let broker = Mosquitto::start(config);
        until(|| std::net::TcpStream::connect(address).is_ok()).await;
        Self { broker, address }
    }
}

/// Connecting has to fail by WebSocket.
async fn fails(builder: Builder) -> (WebSocketError, Failure) {
    let failure = failure(soon(builder.connect()).await.unwrap_err());
    (websocket_error(&failure), failure)
}

fn websocket_error(failure: &Failure) -> WebSocketError {
    match transport_error(failure) {
        TransportError::WebSocket(error) => error.clone(),
        other => panic!("{other:?}"),
    }
}

/// How the only connection of a client ends.
async fn end(client: &Client) -> Failure {
    let mut changes = client.state_changes();
    loop {
        match client.state() {
            ConnectionState::Closed(
                CloseReason::Final(failure) | CloseReason::GaveUp { last: failure, .. },
            ) => return failure,
            ConnectionState::Closed(other) => panic!("{other:?}"),
            _ => soon(changes.changed()).await,
        };
    }
}

/// Reads a request to its end.
async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}

fn field<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let lines = request.lines();
    lines
        .filter_map(|line| line.split_once(": "))
        .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then_some(value))
}

/// Answers a request as it should be, with `fields` besides.
async fn accept_with(stream: &mut TcpStream, fields: &str) -> String {
    let request = read_request(stream).await;
    let accept = derive_accept_key(field(&request, "Sec-WebSocket-Key").unwrap().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         upgrade: WebSocket\r\n\
         Connection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\
         {fields}\r\n"
    );
    stream.write_all(answer.as_bytes()).await.unwrap();
    request
}

async fn accept(stream: &mut TcpStream) -> String {
    accept_with(stream, "Sec-WebSocket-Protocol: mqtt\r\n").await
}

/// Reads a frame of a client: its first byte and its payload (section 5.2).
async fn read_frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let second = stream.read_u8().await.unwrap();
    assert_eq!(second & 0x80, 0x80, "a client masks its frames");
    let length = match second & 0x7F {
        126 => usize::from(stream.read_u16().await.unwrap()),
        127 => usize::try_from(stream.read_u64().await.unwrap()).unwrap(),
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await.unwrap();
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.unwrap();
    for (index, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[index % 4];
    }
    (first, payload)
}

/// A server that accepts a client and then says `frames`; what the client sends after its CONNECT
/// comes out of the channel.
async fn accepting(frames: &'static [u8]) -> (Server, mpsc::UnboundedReceiver<(u8, Vec<u8>)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let sender = sender.clone();
        async move {
            accept(&mut stream).await;
            let (first, connect) = read_frame(&mut stream).await;
            assert_eq!(
                (first, connect[0]),
                (0x82, 0x10),
                "CONNECT in a binary frame"
            );
            stream.write_all(frames).await.unwrap();
            loop {
                let frame = read_frame(&mut stream).await;
                let close = frame.0 == 0x88;
                sender.send(frame).unwrap();
                if close {
                    return;
                }
            }
        }
    })
    .await;
    (server, receiver)
}

fn once(server: &Server) -> Builder {
    let builder = builder(&server.url("ws")).unwrap();
    builder.reconnect(ReconnectPolicy::never())
}

#[tokio::test]
async fn messages_go_both_ways() {
    within_limit(async {
        let broker = WebSocketMosquitto::start(&[]).await;
        let url = format!("ws://{}/mqtt", broker.address);
        goes_both_ways_with(soon(connect(&url)).await.unwrap(), LARGEST).await;
    })
    .await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn messages_go_both_ways_over_tls() {
    use crate::certificates::{Authority, Validity, files};

    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&["127.0.0.1"], Validity::Now);
        let (_files, lines) = files(&identity, None);
        let broker = WebSocketMosquitto::start(&lines).await;
        let options = mqtt5_tokio::TlsOptions::new().roots_pem(&authority.pem);
        let builder = builder(&format!("wss://{}/mqtt", broker.address)).unwrap();
        goes_both_ways_with(soon(builder.tls(options).connect()).await.unwrap(), LARGEST).await;
    })
    .await;
}

#[tokio::test]
async fn bytes_that_come_one_by_one() {
    within_limit(async {
        let broker = WebSocketMosquitto::start(&[]).await;
        let address = Address::WebSocket {
            server: Host {
                host: "127.0.0.1".to_owned(),
                port: broker.address.port(),
            },
            path: "/mqtt".to_owned(),
        };
        let client = Builder::with(Drip {
            route: Route::new(address, RouteOptions::default()).unwrap(),
            address: broker.address,
        });
        let client = soon(client.connect()).await.unwrap();
        let mut socks = soon(client.subscribe("socks")).await.unwrap();
        soon(client.publish("socks", vec![7; 30_000]))
            .await
            .unwrap();
        assert_eq!(soon(socks.next()).await.unwrap().payload(), [7; 30_000]);
        soon(client.disconnect()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_large_message_goes_out_in_many_frames() {
    within_limit(async {
        let broker = WebSocketMosquitto::start(&[]).await;
        let plain = format!("mqtt://{}", broker.broker.address());
        let plain = soon(connect(&plain)).await.unwrap();
        let mut socks = soon(plain.subscribe("socks")).await.unwrap();
        let url = format!("ws://{}", broker.address);
        let client = soon(connect(&url)).await.unwrap();
        let large = bytes(LARGE);
        soon(client.publish("socks", large.clone())).await.unwrap();
        let message = soon(socks.next()).await.unwrap();
        assert!(message.payload() == large, "{}", message.payload().len());
    })
    .await;
}

#[tokio::test]
async fn a_large_message_comes_in_one_frame() {
    within_limit(async {
        let server = Server::start(async |mut stream: TcpStream| {
            accept(&mut stream).await;
            read_frame(&mut stream).await;
            // CONNACK, and a PUBLISH of 2,097,157 bytes with four for its length.
            stream
                .write_all(b"\x82\x05\x20\x03\x00\x00\x00")
                .await
                .unwrap();
            stream
                .write_all(b"\x82\x7F\x00\x00\x00\x00\x00\x20\x00\x05")
                .await
                .unwrap();
            stream
                .write_all(b"\x30\x80\x80\x80\x01\x00\x01a\x00")
                .await
                .unwrap();
            stream.write_all(&vec![7; 2_097_148]).await.unwrap();
            while stream.read_u8().await.is_ok() {}
        })
        .await;
        let client = once(&server).start().unwrap();
        let mut messages = client.messages();
        let message = soon(messages.next()).await.unwrap();
        assert!(message.payload() == vec![7; 2_097_148]);
    })
    .await;
}

/// `6.0.0-3`.
#[tokio::test]
async fn what_the_handshake_asks_for() {
    within_limit(async {
        let (sender, mut requests) = mpsc::unbounded_channel();
        let server = Server::start(move |mut stream| {
            let sender = sender.clone();
            async move {
                sender.send(accept(&mut stream).await).unwrap();
            }
        })
        .await;
        let options = WebSocketOptions::new()
            .header("Authorization", "Bearer secret")
            .header("Origin", "https://socks.example");
        let url = format!("ws://{}/mqtt/v5?drawer=top", server.address);
        let client = builder(&url).unwrap().websocket(options);
        soon(client.connect()).await.unwrap_err();
        let request = soon(requests.recv()).await.unwrap();
        let first = request.lines().next();
        assert_eq!(first, Some("GET /mqtt/v5?drawer=top HTTP/1.1"));
        for (name, value) in [
            ("Host", server.address.to_string().as_str()),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "mqtt"),
            ("Authorization", "Bearer secret"),
            ("Origin", "https://socks.example"),
        ] {
            assert_eq!(field(&request, name), Some(value), "{request}");
        }
        // 16 bytes in base64 (section 4.1).
        assert_eq!(field(&request, "Sec-WebSocket-Key").unwrap().len(), 24);
    })
    .await;
}

/// `6.0.0-2`, edge case 46: CONNACK over four frames, one of them empty and two of them one
/// message, with a ping in between; then two messages in one frame.
#[tokio::test]
async fn packets_lie_across_and_within_frames() {
    within_limit(async {
        let (server, mut frames) = accepting(
            b"\x82\x01\x20\
              \x82\x00\
              \x02\x02\x03\x00\
              \x89\x02hi\
              \x80\x02\x00\x00\
              \x82\x0E\x30\x05\x00\x01a\x001\x30\x05\x00\x01a\x002",
        )
        .await;
        let client = once(&server).start().unwrap();
        // Before anything comes: what nobody wants is discarded.
        let mut messages = client.messages();
        for expected in [b"1", b"2"] {
            assert_eq!(soon(messages.next()).await.unwrap().payload(), expected);
        }
        let pong = soon(frames.recv()).await.unwrap();
        assert_eq!(pong, (0x8A, b"hi".to_vec()));
        soon(client.disconnect()).await.unwrap();
        let (first, disconnect) = soon(frames.recv()).await.unwrap();
        assert_eq!((first, disconnect[0]), (0x82, 0xE0));
        // Close with 1000: normal (section 7.4.1).
        let close = soon(frames.recv()).await.unwrap();
        assert_eq!(close, (0x88, vec![0x03, 0xE8]));
    })
    .await;
}

/// `6.0.0-1`, edge case 47.
#[tokio::test]
async fn a_text_frame_closes_the_connection() {
    within_limit(async {
        let (server, mut frames) = accepting(b"\x82\x05\x20\x03\x00\x00\x00\x81\x02hi").await;
        let client = once(&server).start().unwrap();
        let failure = end(&client).await;
        assert_eq!(websocket_error(&failure), WebSocketError::TextFrame);
        assert_eq!(failure.culprit(), Culprit::Peer);
        // Close with 1003: unsupported data (section 7.4.1).
        let close = soon(frames.recv()).await.unwrap();
        assert_eq!(close, (0x88, vec![0x03, 0xEB]));
    })
    .await;
}

#[tokio::test]
async fn frames_that_break_the_rules_close_the_connection() {
    within_limit(async {
        let too_long = b"\x82\x05\x20\x03\x00\x00\x00\x82\x7F\x00\x00\x00\x00\x40\x00\x00\x00";
        for (frames, code) in [
            // Masked by a server.
            (&b"\x82\x80abcd"[..], 1002_u16),
            // A reserved bit.
            (b"\xC2\x01\x20", 1002),
            // A continuation of nothing.
            (b"\x80\x01\x20", 1002),
            // A ping in fragments.
            (b"\x09\x01a", 1002),
            // 1 GiB.
            (too_long, 1009),
        ] {
            let (server, mut received) = accepting(frames).await;
            let client = once(&server).start().unwrap();
            let failure = end(&client).await;
            let error = websocket_error(&failure);
            assert!(matches!(error, WebSocketError::Protocol(_)), "{error}");
            assert_eq!(failure.culprit(), Culprit::Peer);
            let close = soon(received.recv()).await.unwrap();
            assert_eq!(close, (0x88, code.to_be_bytes().to_vec()), "{frames:02x?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_may_be_as_long_as_the_options_say() {
    within_limit(async {
        let (server, _frames) = accepting(b"\x82\x05\x20\x03\x00\x00\x00").await;
        let limit = |bytes| {
            let options = WebSocketOptions::new().maximum_message_size(bytes);
            once(&server).websocket(options).connect()
        };
        soon(limit(CONNACK.len())).await.unwrap();
        let failure = failure(soon(limit(CONNACK.len() - 1)).await.unwrap_err());
        let error = websocket_error(&failure);
        assert!(matches!(error, WebSocketError::Protocol(_)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_the_server_closes_with_is_told() {
    within_limit(async {
        let (server, mut frames) =
            accepting(b"\x82\x05\x20\x03\x00\x00\x00\x88\x09\x03\xF0go away").await;
        let client = once(&server).start().unwrap();
        let failure = end(&client).await;
        let expected = WebSocketError::Closed {
            code: 1008,
            reason: "go away".to_owned(),
        };
        assert_eq!(websocket_error(&failure), expected);
        assert_eq!(failure.culprit(), Culprit::Server);
        let (first, close) = soon(frames.recv()).await.unwrap();
        assert_eq!((first, &close[..2]), (0x88, &[0x03, 0xF0][..]));

        // 1000 and no code at all say no more than that it is over.
        for close in [
            &b"\x82\x05\x20\x03\x00\x00\x00\x88\x02\x03\xE8"[..],
            b"\x82\x05\x20\x03\x00\x00\x00\x88\x00",
        ] {
            let (server, _frames) = accepting(close).await;
            let client = once(&server).start().unwrap();
            let failure = end(&client).await;
            let reason = failure.end_reason();
            assert_eq!(reason, Some(&EndReason::TransportClosed), "{failure:?}");
        }
    })
    .await;
}

/// `6.0.0-4`, edge case 219.
#[tokio::test]
async fn a_server_that_does_not_choose_mqtt() {
    within_limit(async {
        for (fields, chosen) in [
            ("", None),
            ("Sec-WebSocket-Protocol: mqttv3.1\r\n", Some("mqttv3.1")),
        ] {
            let server = Server::start(async move |mut stream: TcpStream| {
                accept_with(&mut stream, fields).await;
            })
            .await;
            let (error, failure) = fails(builder(&server.url("ws")).unwrap()).await;
            let expected = WebSocketError::Subprotocol(chosen.map(str::to_owned));
            assert_eq!(error, expected);
            assert_eq!(failure.culprit(), Culprit::Peer);
        }
    })
    .await;
}

#[tokio::test]
async fn no_subprotocol_is_accepted_if_told_so() {
    within_limit(async {
        let server = Server::start(async |mut stream: TcpStream| {
            accept_with(&mut stream, "").await;
            read_frame(&mut stream).await;
            let connack = [&b"\x82\x05"[..], CONNACK].concat();
            stream.write_all(&connack).await.unwrap();
            while stream.read_u8().await.is_ok() {}
        })
        .await;
        let options = WebSocketOptions::new().require_subprotocol(false);
        let client = builder(&server.url("ws")).unwrap().websocket(options);
        soon(client.connect()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn answers_that_are_no_websocket() {
    within_limit(async {
        let cases: [(&[u8], WebSocketError); 6] = [
            (
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
                WebSocketError::Status {
                    status: 404,
                    reason: "Not Found".to_owned(),
                },
            ),
            (
                b"HTTP/1.0 200 OK\r\n\r\n<html>",
                WebSocketError::Status {
                    status: 200,
                    reason: "OK".to_owned(),
                },
            ),
            (
                b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
                WebSocketError::Handshake("Upgrade"),
            ),
            (
                b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\n\r\n",
                WebSocketError::Handshake("Connection"),
            ),
            (
                b"HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                WebSocketError::Handshake("Sec-WebSocket-Accept"),
            ),
            // CONNACK of MQTT 3.1.1.
            (b"\x20\x02\x00\x01", WebSocketError::NotHttp),
        ];
        for (answer, expected) in cases {
            let server = Server::saying(answer).await;
            let (error, _) = fails(builder(&server.url("ws")).unwrap()).await;
            assert_eq!(error, expected);
        }

        let closing = Server::closing().await;
        let (error, failure) = fails(builder(&closing.url("ws")).unwrap()).await;
        assert_eq!(error, WebSocketError::ClosedInHandshake);
        assert_eq!(failure.culprit(), Culprit::Network);

        let plain = Mosquitto::start(Config::new());
        let url = format!("ws://{}", plain.address());
        let (error, _) = fails(builder(&url).unwrap()).await;
        let expected = [WebSocketError::ClosedInHandshake, WebSocketError::NotHttp];
        assert!(expected.contains(&error), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_without_end_is_not_waited_for() {
    within_limit(async {
        let server = Server::start(async |mut stream: TcpStream| {
            let _ = stream.write_all(b"HTTP/1.1 101 S\r\nX: ").await;
            while stream.write_all(&[b'a'; 1024]).await.is_ok() {}
        })
        .await;
        let builder = builder(&server.url("ws")).unwrap();
        let (error, _) = fails(builder.connect_timeout(Duration::from_secs(60))).await;
        assert!(matches!(error, WebSocketError::Handshake(_)), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_says_a_word() {
    within_limit(async {
        let server = Server::silent().await;
        let builder = builder(&server.url("ws")).unwrap();
        let client = soon(builder.connect_timeout(SHORT).connect()).await;
        let failure = failure(client.unwrap_err());
        assert_eq!(failure.culprit(), Culprit::Network);
        assert!(
            matches!(
                transport_error(&failure),
                TransportError::TimedOut {
                    step: Step::WebSocket,
                    ..
                }
            ),
            "{failure:?}"
        );
    })
    .await;
}

/// The other way round: MQTT where HTTP is spoken.
#[tokio::test]
async fn http_where_mqtt_is_wanted() {
    within_limit(async {
        let server = Server::saying(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let client = soon(connect(&server.url("mqtt"))).await;
        let failure = failure(client.unwrap_err());
        assert_eq!(failure.culprit(), Culprit::Peer);
    })
    .await;
}

#[tokio::test]
async fn what_is_wrong_with_the_options_is_told_before_anything_is_opened() {
    let options = WebSocketOptions::new().header("Host", "h");
    let builder_ = builder("ws://127.0.0.1:1").unwrap();
    match builder_.websocket(options).start().unwrap_err() {
        ConnectError::Route(RouteError::WebSocket(WebSocketOptionsError::Header(name))) => {
            assert_eq!(name, "Host");
        }
        other => panic!("{other:?}"),
    }
    let plain = builder("mqtt://127.0.0.1:1").unwrap();
    let error = plain
        .websocket(WebSocketOptions::new())
        .start()
        .unwrap_err();
    let layer = "WebSocket";
    assert!(
        matches!(&error, ConnectError::Route(RouteError::NoSuchLayer { layer: l, .. }) if *l == layer),
        "{error:?}"
    );
}
