//! A scripted MQTT 5 broker that runs inside a test, and a link that fails on demand. Not for
//! production: they trust their users, keep everything in memory and bound nothing.
//!
//! The broker does what the standard asks of a server — QoS 0 to 2 with resumption, sessions, Wills,
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
//! # Without a socket
//!
//! [`TestBroker::open`] gives a connection to the same broker in memory: a stream of Tokio, and of
//! `futures-io`, for clients that take a stream of one's own.
//!
//! # A link that fails
//!
//! [`FaultyLink`] stands between a client and any TCP server, be it this broker, a real one, or no
//! broker at all, and does to the bytes what networks do: it closes or resets a connection after
//! exactly so many bytes, stalls, delays, cuts to pieces, loses what goes one way while the other
//! works (half-open), and refuses connections. A [`LinkPlan`] says what happens to one connection,
//! [`FaultyLink::script`] takes a plan for each, and [`RandomPlans`] makes them without end, from a
//! seed that brings them back.
//!
//! ```
//! use mqtt5_testkit::{Direction, FaultyLink, LinkPlan, RandomPlans, TestBroker};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::net::TcpStream;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = TestBroker::start().await?;
//! let link = FaultyLink::to(broker.address()).await?;
//! println!("clients connect to {}", link.url());
//!
//! // The first connection ends within the CONNACK, the second one is sound.
//! let cut = LinkPlan::sound().close(Direction::ToClient, 2);
//! link.script([cut, LinkPlan::sound()]);
//! for expected in [&b"\x20\x03"[..], b"\x20\x03\0\0\0"] {
//!     // Here a client of yours would connect to `link.url()`.
//!     let mut client = TcpStream::connect(link.address()).await?;
//!     client.write_all(b"\x10\x0E\0\x04MQTT\x05\x02\0\0\0\0\x01c\xE0\0").await?;
//!     let mut answer = Vec::new();
//!     client.read_to_end(&mut answer).await?;
//!     assert_eq!(answer, expected);
//! }
//! link.wait_for(|seen| seen.closed == 1 && seen.open == 0).await?;
//!
//! // From now on, whatever chance brings; `{link:?}` shows the seed.
//! link.script(RandomPlans::new(7));
//! link.shutdown().await;
//! # broker.shutdown().await;
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
mod link;
mod memory;
mod message;
mod retained;
mod session;
mod tcp;
mod trace;
mod unmet;

pub use broker::{Action, Broker, ConnectionId, Restart};
pub use config::{AuthenticationScript, Config, Credentials};
pub use fault::{Effect, FaultId, When};
pub use link::{FaultyLink, LinkCounters, LinkPlan, Passed, RandomPlans};
pub use memory::MemoryStream;
pub use tcp::TestBroker;
pub use trace::{Direction, Record};
pub use unmet::Unmet;
