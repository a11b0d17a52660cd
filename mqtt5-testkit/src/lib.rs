//! A scripted MQTT 5 broker that runs inside a test. Not for production: it trusts its users, keeps
//! everything in memory and bounds nothing.
//!
//! It does what the standard asks of a server — QoS 0 to 2 with resumption, sessions, Wills,
//! retained messages, shared subscriptions, limits, enhanced authentication — and answers what
//! breaks the standard with the reason code that the standard names, so that a client that passes
//! against it keeps the rules. And it fails on demand.
//!
//! # On a loopback port
//!
//! [`TestBroker`] listens on a free port. A [`Config`] says what it offers and demands; a fault is
//! added as [`When`] it strikes and what its [`Effect`] is; [`TestBroker::script`] reaches all the
//! rest. Nothing in a test need sleep: [`TestBroker::wait_for`] waits for a condition.
//!
//! ```
//! use mqtt5_proto::packet::PacketType;
//! use mqtt5_testkit::{Effect, TestBroker, When};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = TestBroker::start().await?;
//! println!("listening on {}", broker.url());
//!
//! // The second PINGREQ will cost the connection.
//! let fault = broker.add_fault(When::received(PacketType::Pingreq).nth(2), Effect::CloseAfter);
//!
//! // Here a client of yours would connect to `broker.url()`.
//! let mut client = tokio::net::TcpStream::connect(broker.address()).await?;
//! client.write_all(b"\x10\x0E\0\x04MQTT\x05\x02\0\0\0\0\x01c").await?; // CONNECT
//! client.write_all(b"\xC0\0\xC0\0").await?; // PINGREQ, twice
//!
//! broker.wait_for(|broker| broker.struck(fault) == 1).await?;
//! let mut answer = Vec::new();
//! client.read_to_end(&mut answer).await?;
//! assert_eq!(answer, b"\x20\x03\0\0\0\xD0\0\xD0\0"); // CONNACK, PINGRESP, PINGRESP
//! assert_eq!(broker.received().len(), 3);
//! drop(client);
//! broker.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Without I/O
//!
//! [`Broker`] takes bytes and instants and returns bytes; the same input always has the same
//! output. For tests on a virtual clock, and for transports of one's own:
//!
//! ```
//! use mqtt5_proto::Instant;
//! use mqtt5_testkit::{Action, Broker, Config};
//!
//! let mut broker = Broker::new(Config::default());
//! let client = broker.connection_opened(Instant::ZERO);
//! broker.handle_input(client, b"\x10\x0E\0\x04MQTT\x05\x02\0\0\0\0\x01c", Instant::ZERO);
//! let connack = Action::Send(b"\x20\x03\0\0\0"[..].into());
//! assert_eq!(broker.poll_output(), Some((client, connack)));
//! assert_eq!(broker.poll_output(), None);
//! ```

mod broker;
mod config;
mod connection;
mod fault;
mod message;
mod retained;
mod session;
mod tcp;
mod trace;

pub use broker::{Action, Broker, ConnectionId, Restart};
pub use config::{AuthenticationScript, Config, Credentials};
pub use fault::{Effect, FaultId, When};
pub use tcp::{TestBroker, Unmet};
pub use trace::{Direction, Record};
