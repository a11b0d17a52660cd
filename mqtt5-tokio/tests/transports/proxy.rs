//! Proxies: HTTP CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929), by hand.

use std::net::SocketAddr;

use mqtt5_tokio::{
    Address, Builder, ConnectError, Culprit, Failure, Proxy, ProxyError, Route, RouteError,
    RouteOptions, Server as Host, Step, TransportError, builder,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::drip::Drip;
use crate::servers::Server;
use crate::support::mosquitto::{Config, Mosquitto};
use crate::support::{soon, within_limit};
use crate::traffic::{SHORT, failure, goes_both_ways, transport_error};

/// A proxy in front of `target`, whatever it is asked for; what it is asked comes out of the
/// channel.
struct Watched {
    proxy: Server,
    asked: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Watched {
    async fn http(target: SocketAddr) -> Self {
        let (sender, asked) = mpsc::unbounded_channel();
        let proxy = Server::start(move |mut stream| {
            let sender = sender.clone();
            async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                sender.send(request).unwrap();
                let answer = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 here\r\n\r\n";
                lead(stream, target, answer).await;
            }
        })
        .await;
        Self { proxy, asked }
    }

    /// Wants user name and password if they are offered.
    async fn socks5(target: SocketAddr) -> Self {
        let (sender, asked) = mpsc::unbounded_channel();
        let proxy = Server::start(move |mut stream| {
            let sender = sender.clone();
            async move {
                let methods = read(&mut stream, 2).await;
                assert_eq!(methods[0], 5);
                let methods = read(&mut stream, methods[1].into()).await;
                if methods.contains(&2) {
                    stream.write_all(b"\x05\x02").await.unwrap();
                    let mut credentials = read(&mut stream, 2).await;
                    let user = read(&mut stream, credentials[1].into()).await;
                    credentials.extend(user);
                    let length = stream.read_u8().await.unwrap();
                    credentials.push(length);
                    credentials.extend(read(&mut stream, length.into()).await);
                    sender.send(credentials).unwrap();
                    stream.write_all(b"\x01\x00").await.unwrap();
                } else {
                    stream.write_all(b"\x05\x00").await.unwrap();
                }
                let mut request = read(&mut stream, 5).await;
                let rest = match request[3] {
                    1 => 5,
                    3 => usize::from(request[4]) + 2,
                    4 => 17,
                    other => panic!("address of type {other}"),
                };
                request.extend(read(&mut stream, rest).await);
                sender.send(request).unwrap();
                lead(stream, target, b"\x05\x00\x00\x03\x04here\x04\x38").await;
            }
        })
        .await;
        Self { proxy, asked }
    }

    fn url(&self, start: &str) -> String {
        format!("{start}{}", self.proxy.address)
    }
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

async fn lead(mut stream: TcpStream, target: SocketAddr, answer: &[u8]) {
    let mut server = TcpStream::connect(target).await.unwrap();
    stream.write_all(answer).await.unwrap();
    // Ends with either side.
    let _ = copy_bidirectional(&mut stream, &mut server).await;
}

fn through(url: &str, proxy: &str) -> Builder {
    let proxy = Proxy::parse(proxy).unwrap();
    builder(url).unwrap().proxy(proxy)
}

#[tokio::test]
async fn http_connect() {
    within_limit(async {
        let broker = Mosquitto::start(Config::new());
        let mut watched = Watched::http(broker.address()).await;
        // A name that only the proxy knows.
        let builder = through("mqtt://broker.invalid", &watched.url("http://"));
        goes_both_ways(soon(builder.connect()).await.unwrap()).await;
        let asked = soon(watched.asked.recv()).await.unwrap();
        let expected = "CONNECT broker.invalid:1883 HTTP/1.1\r\nHost: broker.invalid:1883\r\n\r\n";
        assert_eq!(String::from_utf8(asked).unwrap(), expected);

        let builder = through("mqtt://[::1]:5", &watched.url("http://heinz:secret@"));
        goes_both_ways(soon(builder.connect()).await.unwrap()).await;
        let asked = String::from_utf8(soon(watched.asked.recv()).await.unwrap()).unwrap();
        assert!(asked.starts_with("CONNECT [::1]:5 HTTP/1.1\r\n"), "{asked}");
        let credentials = "Proxy-Authorization: Basic aGVpbno6c2VjcmV0\r\n";
        assert!(asked.contains(credentials), "{asked}");
    })
    .await;
}

#[tokio::test]
async fn socks5() {
    within_limit(async {
        let broker = Mosquitto::start(Config::new());
        let mut watched = Watched::socks5(broker.address()).await;
        let requests: [(&str, &[u8]); 3] = [
            (
                "mqtt://broker.invalid",
                b"\x05\x01\x00\x03\x0Ebroker.invalid\x07\x5B",
            ),
            (
                "mqtt://10.1.2.3:5",
                b"\x05\x01\x00\x01\x0A\x01\x02\x03\x00\x05",
            ),
            (
                "mqtt://[::1]:5",
                b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x05",
            ),
        ];
        for (url, request) in requests {
            let builder = through(url, &watched.url("socks5://"));
            goes_both_ways(soon(builder.connect()).await.unwrap()).await;
            assert_eq!(soon(watched.asked.recv()).await.unwrap(), request);
        }
        let builder = through("mqtt://10.1.2.3:5", &watched.url("socks5://heinz:secret@"));
        goes_both_ways(soon(builder.connect()).await.unwrap()).await;
        let credentials = soon(watched.asked.recv()).await.unwrap();
        assert_eq!(credentials, b"\x01\x05heinz\x06secret");
    })
    .await;
}

#[tokio::test]
async fn bytes_that_come_one_by_one() {
    within_limit(async {
        let broker = Mosquitto::start(Config::new());
        for (kind, watched) in [
            ("http", Watched::http(broker.address()).await),
            ("socks5", Watched::socks5(broker.address()).await),
        ] {
            let url = watched.url(&format!("{kind}://heinz:secret@"));
            let mut options = RouteOptions::default();
            options.proxy = Some(Proxy::parse(&url).unwrap());
            let address = Address::Tcp(Host {
                host: "broker.invalid".to_owned(),
                port: 1883,
            });
            let client = Builder::with(Drip {
                route: Route::new(address, options).unwrap(),
                address: watched.proxy.address,
            });
            let client = soon(client.connect()).await.unwrap();
            soon(client.disconnect()).await.unwrap();
        }
    })
    .await;
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn tls_behind_a_proxy_is_with_the_server() {
    use crate::certificates::{Authority, SecureMosquitto, Validity};

    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&["broker.invalid"], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let watched = Watched::socks5(broker.broker.address()).await;
        let options = mqtt5_tokio::TlsOptions::new().roots_pem(&authority.pem);
        let builder = through("mqtts://broker.invalid", &watched.url("socks5://"));
        goes_both_ways(soon(builder.tls(options).connect()).await.unwrap()).await;
    })
    .await;
}

/// Connecting has to fail by the proxy.
async fn fails(proxy: &Server, start: &str) -> (ProxyError, Failure) {
    let url = format!("{start}{}", proxy.address);
    let client = through("mqtt://broker.invalid", &url).connect();
    let failure = failure(soon(client).await.unwrap_err());
    let TransportError::Proxy(error) = transport_error(&failure) else {
        panic!("{failure:?}");
    };
    (error.clone(), failure)
}

fn refused(reason: &str) -> ProxyError {
    ProxyError::Refused {
        server: Host {
            host: "broker.invalid".to_owned(),
            port: 1883,
        },
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn http_proxies_that_do_not_do_it() {
    within_limit(async {
        let with_user = "http://heinz:secret@";
        let cases: [(&[u8], &str, ProxyError, Culprit); 8] = [
            (
                b"HTTP/1.1 403 Forbidden\r\n\r\n",
                "http://",
                refused("HTTP 403 Forbidden"),
                Culprit::Server,
            ),
            (
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                "http://",
                ProxyError::CredentialsMissing,
                Culprit::Server,
            ),
            (
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
                with_user,
                ProxyError::Credentials,
                Culprit::Server,
            ),
            (
                b"HTTP/1.1 407 A\r\nProxy-Authenticate: Negotiate, basic realm=here\r\n\r\n",
                with_user,
                ProxyError::Credentials,
                Culprit::Server,
            ),
            (
                b"HTTP/1.1 407 A\r\nProxy-Authenticate: Digest realm=here\r\n\r\n",
                with_user,
                ProxyError::Authentication,
                Culprit::Server,
            ),
            (
                b"\x05\xFF",
                "http://",
                ProxyError::NotAProxy("HTTP"),
                Culprit::Peer,
            ),
            (
                b"HTTP/1.1 200 OK\r\n\r\n\x20",
                "http://",
                ProxyError::Excess,
                Culprit::Peer,
            ),
            (b"", "http://", ProxyError::Closed, Culprit::Network),
        ];
        for (answer, start, expected, culprit) in cases {
            let proxy = if answer.is_empty() {
                Server::closing().await
            } else {
                Server::saying(answer).await
            };
            let (error, failure) = fails(&proxy, start).await;
            assert_eq!((error, failure.culprit()), (expected, culprit));
            assert!(!failure.to_string().contains("secret"));
        }
    })
    .await;
}

/// Answers what comes with one after the other.
async fn answering(answers: &'static [&'static [u8]]) -> Server {
    Server::start(move |mut stream: TcpStream| async move {
        let mut buffer = [0; 1024];
        for answer in answers {
            if !matches!(stream.read(&mut buffer).await, Ok(1..)) {
                return;
            }
            stream.write_all(answer).await.unwrap();
        }
        while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
    })
    .await
}

#[tokio::test]
async fn socks5_proxies_that_do_not_do_it() {
    within_limit(async {
        let with_user = "socks5://heinz:secret@";
        let cases: [(&'static [&'static [u8]], &str, ProxyError); 9] = [
            (&[b"\x05\xFF"], "socks5://", ProxyError::CredentialsMissing),
            (&[b"\x05\xFF"], with_user, ProxyError::Credentials),
            (
                &[b"\x05\x02", b"\x01\x01"],
                with_user,
                ProxyError::Credentials,
            ),
            // A method that was not offered.
            (&[b"\x05\x02"], "socks5://", ProxyError::NotAProxy("SOCKS5")),
            // SOCKS4, and HTTP.
            (&[b"\x00\x5B"], "socks5://", ProxyError::NotAProxy("SOCKS5")),
            (
                &[b"HTTP/1.1 400 Bad"],
                "socks5://",
                ProxyError::NotAProxy("SOCKS5"),
            ),
            (
                &[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"],
                "socks5://",
                refused("connection refused"),
            ),
            (
                &[b"\x05\x00", b"\x05\x63\x00\x01\0\0\0\0\0\0"],
                "socks5://",
                refused("SOCKS5 reply 99"),
            ),
            (
                &[b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0\x20"],
                "socks5://",
                ProxyError::Excess,
            ),
        ];
        for (answers, start, expected) in cases {
            let proxy = answering(answers).await;
            let (error, _) = fails(&proxy, start).await;
            assert_eq!(error, expected, "{answers:02x?}");
        }
        let closing = Server::closing().await;
        let (error, failure) = fails(&closing, "socks5://").await;
        assert_eq!(
            (error, failure.culprit()),
            (ProxyError::Closed, Culprit::Network)
        );
    })
    .await;
}

#[tokio::test]
async fn a_proxy_that_never_says_a_word() {
    within_limit(async {
        let proxy = Server::silent().await;
        for kind in ["http", "socks5"] {
            let builder = through("mqtt://broker.invalid", &proxy.url(kind));
            let client = soon(builder.connect_timeout(SHORT).connect()).await;
            let failure = failure(client.unwrap_err());
            let TransportError::TimedOut { step, peer } = transport_error(&failure) else {
                panic!("{failure:?}");
            };
            assert_eq!(*step, Step::Proxy);
            assert_eq!(*peer, proxy.address.to_string());
        }
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn there_is_no_proxy_to_a_unix_socket() {
    let client = through("unix:/nowhere", "socks5://127.0.0.1:1").start();
    let error = client.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Route(RouteError::NoSuchLayer { .. })),
        "{error:?}"
    );
}
