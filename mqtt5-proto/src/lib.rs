//! A sans-IO core for MQTT 5.0: the codec and one client's session, without a socket, a clock or
//! randomness. Works without `std` (turn off the default feature `std`).
//!
//! # Which part do I want?
//!
//! - [`codec`] and [`packet`]: bytes to packets and back, for either side of a connection.
//! - [`topic`]: topic names, topic filters and matching.
//! - [`session`]: a client's operations from acceptance to verdict, across connections.
//!
//! # Driving a session
//!
//! A [`Session`] never waits and never calls back. Its methods are of four kinds:
//!
//! | kind | examples | what they are |
//! |---|---|---|
//! | getter | [`limits`](Session::limits), [`phase`](Session::phase) | what holds now |
//! | command | [`publish`](Session::publish), [`acknowledge`](Session::acknowledge) | what the application wants; a misuse is an `Err` that gives back what was passed in |
//! | `handle_…` | [`handle_input`](Session::handle_input), [`handle_timeout`](Session::handle_timeout) | what the world did |
//! | `poll_…` | [`poll_transmit`](Session::poll_transmit), [`poll_event`](Session::poll_event) | what the session wants; taken until `None` |
//!
//! After any command or `handle_…` call:
//!
//! 1. take [`poll_event`](Session::poll_event) until `None`;
//! 2. take [`poll_transmit`](Session::poll_transmit) until `None`, write, and tell
//!    [`handle_transmitted`](Session::handle_transmitted) how many bytes the transport took;
//! 3. arm a timer for [`poll_timeout`](Session::poll_timeout), and call
//!    [`handle_timeout`](Session::handle_timeout) when it fires.
//!
//! A transport's life is told by [`handle_opened`](Session::handle_opened), then any number of
//! [`handle_input`](Session::handle_input), then [`handle_closed`](Session::handle_closed). The
//! session outlives it. [`Transmit::Close`](session::Transmit::Close) asks for the end.
//!
//! ```
//! use bytes::BytesMut;
//! use mqtt5_proto::packet::ApplicationMessage;
//! use mqtt5_proto::session::{Event, PublishVerdict, SessionConfig};
//! use mqtt5_proto::{Instant, Session, Topic};
//!
//! let now = Instant::ZERO;
//! let mut session = Session::new(SessionConfig::default());
//! let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
//!
//! session.handle_opened(now);
//! while session.poll_transmit(&mut output, now).is_some() {}
//! assert_eq!(output[0], 0x10); // the CONNECT
//! session.handle_transmitted(output.split().len(), now);
//!
//! input.extend_from_slice(&[0x20, 0x06, 0x00, 0x00, 0x03, 0x12, 0x00, 0x00]); // the CONNACK
//! session.handle_input(&mut input, now);
//! assert!(matches!(session.poll_event(), Some(Event::Connected(_))));
//!
//! let message = ApplicationMessage::new(Topic::new("a/b")?, "hi");
//! let operation = session.publish(message, now)?;
//! while session.poll_transmit(&mut output, now).is_some() {}
//! assert_eq!(&output[..], [0x30, 8, 0, 3, b'a', b'/', b'b', 0, b'h', b'i']);
//! session.handle_transmitted(output.split().len(), now);
//! let verdict = PublishVerdict::Sent;
//! assert_eq!(session.poll_event(), Some(Event::Published { operation, verdict }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Promises
//!
//! - Every accepted operation gets one verdict: [`session::PublishVerdict`] and
//!   [`session::RequestVerdict`].
//! - The same bytes and instants in give the same bytes and events out.
//! - Nothing that a peer sends causes a panic, or memory beyond the budgets of
//!   [`session::SessionConfig`].
//! - What leaves is valid and in its shortest form. What comes in is checked before any event is
//!   told of it.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod codec;
pub mod packet;
pub mod session;
pub mod topic;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

mod time;

pub use packet::{PacketId, QoS};
pub use session::Session;
pub use time::Instant;
pub use topic::{Topic, TopicFilter};
