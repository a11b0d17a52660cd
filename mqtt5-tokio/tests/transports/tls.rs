//! TLS: against Mosquitto with certificates of all kinds, against servers that do not speak it, and
//! against a server of rustls that sees what a Mosquitto does not tell.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mqtt5_tokio::proto::session::EndReason;
use mqtt5_tokio::rustls::crypto::ring;
use mqtt5_tokio::rustls::pki_types::pem::PemObject;
use mqtt5_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use mqtt5_tokio::rustls::{ServerConfig, ServerConnection, Stream};
use mqtt5_tokio::{
    Address, Builder, CertificateFault, Client, CloseReason, ConnectError, ConnectionState,
    Culprit, Failure, ReconnectPolicy, Route, RouteError, RouteOptions, Server, Step, TlsError,
    TlsOptions, TlsOptionsError, TransportError, builder,
};

use crate::certificates::{Authority, Identity, SecureMosquitto, Validity};
use crate::drip::Drip;
use crate::servers;
use crate::support::mosquitto::{Config, Mosquitto};
use crate::support::{soon, within_limit};
use crate::traffic::{SHORT, failure, goes_both_ways, transport_error};

const HOST: &str = "127.0.0.1";

fn trusting(url: &str, authority: &Authority) -> Builder {
    let options = TlsOptions::new().roots_pem(&authority.pem);
    builder(url).unwrap().tls(options)
}

/// Connecting has to fail by TLS, for the reason that `is_expected` wants.
async fn fails(builder: Builder, is_expected: impl FnOnce(&TlsError) -> bool) -> Failure {
    let failure = failure(soon(builder.connect()).await.unwrap_err());
    let TransportError::Tls(error) = transport_error(&failure) else {
        panic!("{failure:?}");
    };
    assert!(is_expected(error), "{error:?}: {error}");
    failure
}

fn is_fault(expected: CertificateFault) -> impl FnOnce(&TlsError) -> bool {
    move |error| matches!(error, TlsError::Certificate { fault, .. } if *fault == expected)
}

#[tokio::test]
async fn messages_go_both_ways() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST, "localhost"], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        for url in [broker.url("mqtts", HOST), broker.url("ssl", "localhost")] {
            let client = soon(trusting(&url, &authority).connect()).await.unwrap();
            goes_both_ways(client).await;
        }
    })
    .await;
}

#[tokio::test]
async fn messages_go_both_ways_by_tls_1_2() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &["tls_version tlsv1.2"]);
        // To Mosquitto that is the oldest version it takes; the client takes no other.
        let provider = Arc::new(ring::default_provider());
        let mut roots = mqtt5_tokio::rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
            .unwrap();
        let config = mqtt5_tokio::rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&mqtt5_tokio::rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let options = TlsOptions::from_rustls(Arc::new(config));
        let builder = builder(&broker.url("mqtts", HOST)).unwrap().tls(options);
        goes_both_ways(soon(builder.connect()).await.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn an_authority_that_is_not_known() {
    within_limit(async {
        let identity = Authority::new("stranger").server(&[HOST], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let url = broker.url("mqtts", HOST);
        let home = Authority::new("home");
        let fault = is_fault(CertificateFault::UnknownAuthority);
        let failure = fails(trusting(&url, &home), fault).await;
        assert_eq!(failure.culprit(), Culprit::Peer);
        assert_eq!(
            failure.to_string(),
            "the certificate of 127.0.0.1 is from an authority that is not trusted"
        );
        // The system does not know it either, and its own are not added to those given.
        let fault = is_fault(CertificateFault::UnknownAuthority);
        fails(builder(&url).unwrap(), fault).await;
        let both = TlsOptions::new().roots_pem(&home.pem).system_roots();
        let fault = is_fault(CertificateFault::UnknownAuthority);
        fails(builder(&url).unwrap().tls(both), fault).await;
    })
    .await;
}

#[tokio::test]
async fn a_certificate_that_is_over_and_one_that_is_not_yet() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST], Validity::Over);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let builder = trusting(&broker.url("mqtts", HOST), &authority);
        let year = Duration::from_secs(365 * 86_400);
        let failure = fails(builder, |error| {
            matches!(error, TlsError::Certificate {
                server,
                fault: CertificateFault::Expired { since: Some(since) },
            } if server == HOST && *since > 20 * year)
        })
        .await;
        assert!(failure.to_string().contains("has expired"), "{failure}");

        let identity = authority.server(&[HOST], Validity::NotYet);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let builder = trusting(&broker.url("mqtts", HOST), &authority);
        let failure = fails(builder, |error| {
            matches!(error, TlsError::Certificate {
                fault: CertificateFault::NotValidYet { until: Some(until) },
                ..
            } if *until > 500 * year)
        })
        .await;
        assert!(failure.to_string().contains("clock"), "{failure}");
    })
    .await;
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&["a.example", "b.example"], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let url = broker.url("mqtts", HOST);
        let failure = fails(trusting(&url, &authority), |error| {
            matches!(error, TlsError::Certificate {
                fault: CertificateFault::WrongName { presented },
                ..
            } if presented.len() == 2)
        })
        .await;
        let text = failure.to_string();
        for name in [HOST, "a.example", "b.example"] {
            assert!(text.contains(name), "{text}");
        }
        // Whoever knows better can say so.
        let options = TlsOptions::new()
            .roots_pem(&authority.pem)
            .server_name("b.example");
        let client = builder(&url).unwrap().tls(options).connect();
        goes_both_ways(soon(client).await.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn client_certificates() {
    within_limit(async {
        let authority = Authority::new("home");
        let clients = Authority::new("members");
        let identity = authority.server(&[HOST], Validity::Now);
        let lines = ["use_identity_as_username true"];
        let broker = SecureMosquitto::start(&identity, Some(&clients), &lines);
        let url = broker.url("mqtts", HOST);

        let options = |member: &Identity| {
            TlsOptions::new()
                .roots_pem(&authority.pem)
                .client_certificate_pem(&member.chain, &member.key)
        };
        let member = options(&clients.client("heinz"));
        let client = soon(builder(&url).unwrap().tls(member).connect());
        goes_both_ways(client.await.unwrap()).await;
        assert!(broker.broker.log().contains("u'heinz'"));

        let failure = fails(trusting(&url, &authority), |error| {
            matches!(error, TlsError::ClientCertificateMissing)
        })
        .await;
        assert_eq!(failure.culprit(), Culprit::Server);

        let stranger = options(&Authority::new("strangers").client("heinz"));
        let failure = fails(builder(&url).unwrap().tls(stranger), |error| {
            matches!(error, TlsError::ClientCertificate(_))
        })
        .await;
        let text = failure.to_string();
        assert!(text.contains("our client certificate"), "{text}");
        assert!(text.contains("does not know its authority"), "{text}");
    })
    .await;
}

/// A certificate may be renewed: the policy decides how long that is waited for.
#[tokio::test]
async fn a_bad_certificate_is_met_by_the_reconnection_policy() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST], Validity::Over);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let policy = ReconnectPolicy {
            max_attempts: Some(3),
            ..ReconnectPolicy::fixed(Duration::from_millis(10))
        };
        let client = trusting(&broker.url("mqtts", HOST), &authority)
            .reconnect(policy)
            .start()
            .unwrap();
        let mut changes = client.state_changes();
        let mut waits = 0;
        let reason = loop {
            match soon(changes.changed()).await {
                Some(ConnectionState::Waiting { cause, .. }) => {
                    assert!(matches!(transport_error(&cause), TransportError::Tls(_)));
                    waits += 1;
                }
                Some(ConnectionState::Closed(reason)) => break reason,
                Some(_) => {}
                None => panic!("it ended without a reason"),
            }
        };
        assert!(waits > 0);
        let CloseReason::GaveUp { attempts: 3, last } = reason else {
            panic!("{reason:?}");
        };
        assert!(matches!(transport_error(&last), TransportError::Tls(_)));
    })
    .await;
}

#[tokio::test]
async fn servers_that_do_not_speak_tls() {
    within_limit(async {
        let home = Authority::new("home");
        let plain = Mosquitto::start(Config::new());
        let url = format!("mqtts://{}", plain.address());
        fails(trusting(&url, &home), |error| {
            matches!(error, TlsError::ClosedInHandshake | TlsError::NotTls)
        })
        .await;

        let closing = servers::Server::closing().await;
        fails(trusting(&closing.url("mqtts"), &home), |error| {
            matches!(error, TlsError::ClosedInHandshake)
        })
        .await;

        for answer in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            // CONNACK of MQTT 5.
            b"\x20\x03\x00\x00\x00",
            &[0; 64],
        ] {
            let server = servers::Server::saying(answer).await;
            let failure = fails(trusting(&server.url("mqtts"), &home), |error| {
                matches!(error, TlsError::NotTls)
            })
            .await;
            assert_eq!(failure.culprit(), Culprit::Peer);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_says_a_word() {
    within_limit(async {
        let server = servers::Server::silent().await;
        let builder = trusting(&server.url("mqtts"), &Authority::new("home"));
        let client = soon(builder.connect_timeout(SHORT).connect()).await;
        let failure = failure(client.unwrap_err());
        assert_eq!(failure.culprit(), Culprit::Network);
        let TransportError::TimedOut { step, peer } = transport_error(&failure) else {
            panic!("{failure:?}");
        };
        assert_eq!(*step, Step::Tls);
        assert_eq!(*peer, server.address.to_string());
    })
    .await;
}

#[tokio::test]
async fn bytes_that_come_one_by_one() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST], Validity::Now);
        let broker = SecureMosquitto::start(&identity, None, &[]);
        let mut options = RouteOptions::default();
        options.tls = Some(TlsOptions::new().roots_pem(&authority.pem));
        let address = Address::Tls(Server {
            host: HOST.to_owned(),
            port: broker.broker.port(),
        });
        let client = Builder::with(Drip {
            route: Route::new(address, options).unwrap(),
            address: broker.broker.address(),
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
async fn what_is_wrong_with_the_options_is_told_before_anything_is_opened() {
    let authority = Authority::new("home");
    let one = authority.client("one");
    let other = authority.client("other");
    let fault = |options: TlsOptions| {
        let builder = builder("mqtts://127.0.0.1:1").unwrap();
        match builder.tls(options).start().unwrap_err() {
            ConnectError::Route(RouteError::Tls(fault)) => fault,
            other => panic!("{other:?}"),
        }
    };
    type Fault = TlsOptionsError;
    let new = TlsOptions::new;
    assert!(matches!(fault(new().roots_pem("")), Fault::RootsPem(_)));
    let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
    assert!(matches!(fault(new().roots_pem(broken)), Fault::RootsPem(_)));
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(
        fault(new().roots_pem(no_certificate)),
        Fault::Root(_)
    ));
    assert!(matches!(
        fault(new().client_certificate_pem("", &one.key)),
        Fault::ClientCertificatePem(_)
    ));
    assert!(matches!(
        fault(new().client_certificate_pem(&one.chain, &one.chain)),
        Fault::ClientKeyPem(_)
    ));
    assert!(matches!(
        fault(new().client_certificate_pem(&one.chain, &other.key)),
        Fault::Identity(_)
    ));
    assert_eq!(fault(new().alpn([""])), Fault::Alpn);
    let name = Fault::ServerName("a b".to_owned());
    assert_eq!(fault(new().server_name("a b")), name);

    let plain = builder("mqtt://127.0.0.1:1").unwrap();
    let error = plain.tls(new()).start().unwrap_err();
    assert!(
        matches!(
            &error,
            ConnectError::Route(RouteError::NoSuchLayer { layer: "TLS", .. })
        ),
        "{error:?}"
    );
    let options = new().client_certificate_pem(&one.chain, &one.key);
    let key: String = one.key.lines().nth(1).unwrap().chars().take(20).collect();
    assert!(!format!("{options:?}").contains(&key));
}

/// A server of rustls that accepts one connection, reads its CONNECT, and does what it is told.
fn serve<V: Send + 'static>(
    identity: &Identity,
    serve: impl FnOnce(&mut ServerConnection, &mut TcpStream, Vec<u8>) -> io::Result<V> + Send + 'static,
) -> (u16, JoinHandle<io::Result<V>>) {
    let chain = vec![CertificateDer::from_pem_slice(identity.chain.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"mqtt".to_vec()];
    let listener = TcpListener::bind((HOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = thread::spawn(move || {
        let (mut socket, _) = listener.accept()?;
        let mut session = ServerConnection::new(Arc::new(config)).unwrap();
        let mut connect = vec![0; 1024];
        let count = Stream::new(&mut session, &mut socket).read(&mut connect)?;
        connect.truncate(count);
        serve(&mut session, &mut socket, connect)
    });
    (port, thread)
}

async fn served<V: Send + 'static>(server: JoinHandle<io::Result<V>>) -> V {
    let served = tokio::task::spawn_blocking(|| server.join().unwrap());
    soon(served).await.unwrap().unwrap()
}

const CONNACK: &[u8] = b"\x20\x03\x00\x00\x00";

/// What a server saw of one connection.
struct Seen {
    name: Option<String>,
    alpn: Option<Vec<u8>>,
    /// The bytes that were sent, up to close_notify.
    sent: Vec<u8>,
}

#[tokio::test]
async fn name_and_protocol_are_told_and_closing_is_said() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&["broker.example"], Validity::Now);
        let (port, server) = serve(&identity, |session, socket, mut sent| {
            let mut stream = Stream::new(session, socket);
            stream.write_all(CONNACK)?;
            // An error if the stream ends without close_notify.
            stream.read_to_end(&mut sent)?;
            Ok(Seen {
                name: session.server_name().map(str::to_owned),
                alpn: session.alpn_protocol().map(<[u8]>::to_vec),
                sent,
            })
        });
        let options = TlsOptions::new()
            .roots_pem(&authority.pem)
            .server_name("broker.example")
            .alpn(["mqtt"]);
        let url = format!("mqtts://{HOST}:{port}");
        let client = soon(builder(&url).unwrap().tls(options).connect());
        soon(client.await.unwrap().disconnect()).await.unwrap();
        let seen = served(server).await;
        assert_eq!(seen.name.as_deref(), Some("broker.example"));
        assert_eq!(seen.alpn.as_deref(), Some(&b"mqtt"[..]));
        assert_eq!(seen.sent[0], 0x10, "CONNECT");
        // Reason 0, and Session Expiry Interval 0 in place of the 300 s of the CONNECT.
        let disconnect = b"\xE0\x07\x00\x05\x11\x00\x00\x00\x00";
        assert!(seen.sent.ends_with(disconnect), "{:02x?}", seen.sent);
    })
    .await;
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
            _ => {}
        }
        soon(changes.changed()).await;
    }
}

#[tokio::test]
async fn an_end_without_close_notify_is_a_lost_connection() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST], Validity::Now);
        let (port, server) = serve(&identity, |session, socket, _| {
            Stream::new(session, socket).write_all(CONNACK)
        });
        let client = trusting(&format!("mqtts://{HOST}:{port}"), &authority)
            .reconnect(ReconnectPolicy::never())
            .start()
            .unwrap();
        let failure = end(&client).await;
        let expected = Some(&EndReason::TransportClosed);
        assert_eq!(failure.end_reason(), expected, "{failure:?}");
        served(server).await;
    })
    .await;
}

#[tokio::test]
async fn what_came_before_a_broken_record_still_counts() {
    within_limit(async {
        let authority = Authority::new("home");
        let identity = authority.server(&[HOST], Validity::Now);
        let (port, server) = serve(&identity, |session, socket, _| {
            // CONNACK, a message, and a record that nobody made, in one write.
            session.writer().write_all(CONNACK)?;
            session.writer().write_all(b"\x30\x05\x00\x01a\x001")?;
            let mut bytes = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut bytes)?;
            }
            bytes.extend_from_slice(b"\x17\x03\x03\x00\x20");
            bytes.extend_from_slice(&[7; 32]);
            socket.write_all(&bytes)?;
            // Not closed before the client has done so.
            while !matches!(socket.read(&mut [0; 1024]), Ok(0) | Err(_)) {}
            Ok(())
        });
        let client = trusting(&format!("mqtts://{HOST}:{port}"), &authority)
            .reconnect(ReconnectPolicy::never())
            .start()
            .unwrap();
        let mut messages = client.messages();
        assert_eq!(soon(messages.next()).await.unwrap().payload(), b"1");
        let failure = end(&client).await;
        let TransportError::Tls(error) = transport_error(&failure) else {
            panic!("{failure:?}");
        };
        assert!(matches!(error, TlsError::Library(_)), "{error:?}");
        assert_eq!(failure.culprit(), Culprit::Peer);
        served(server).await;
    })
    .await;
}
