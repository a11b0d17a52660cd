//! Runtime-neutral MQTT 5 client.
//!
//! [`Client`] is the handle, [`Driver`] the future that does the work. Neither knows a runtime: a
//! crate such as `mqtt5-tokio` brings a [`Connect`], a [`Timer`], and spawns the driver. Applications
//! use such a crate; this one is for its author.
//!
//! # Promises
//!
//! - Every accepted operation ends in exactly one verdict, also when the session is lost, the client
//!   is closed, or the driver is dropped. No await hangs for ever.
//! - Everything is cancel safe: before a message is accepted it is dropped with its future and never
//!   sent; after that the operation runs to its end, whoever listens.
//! - Handles and streams outlive reconnects. Subscriptions that the server has lost are made again,
//!   and the application can see that it happened ([`ConnectionInfo::session_lost`]).
//! - Memory is bounded, whatever the server does and however slow the application is.
//!
//! # A runtime of your own
//!
//! ```
//! # use mqtt5_client::{Client, ClientOptions, Clock, Connect, Timer, Transport};
//! # use mqtt5_client::bytes::BytesMut;
//! # use mqtt5_client::proto::Instant;
//! # use std::{future::{ready, Ready}, io, task::{Context, Poll}};
//! # #[derive(Clone, Copy)]
//! # struct MyClock;
//! # impl Clock for MyClock { fn now(&self) -> Instant { Instant::ZERO } }
//! # struct MyTimer;
//! # impl Timer for MyTimer {
//! #     type Clock = MyClock;
//! #     fn clock(&self) -> MyClock { MyClock }
//! #     fn reset(&mut self, _: Option<Instant>) {}
//! #     fn poll_expired(&mut self, _: &mut Context<'_>) -> Poll<()> { Poll::Pending }
//! # }
//! # struct MyStream;
//! # impl Transport for MyStream {
//! #     fn poll_read(&mut self, _: &mut Context<'_>, _: &mut BytesMut)
//! #         -> Poll<io::Result<usize>> { Poll::Ready(Ok(0)) }
//! #     fn poll_write(&mut self, _: &mut Context<'_>, bytes: &[u8])
//! #         -> Poll<io::Result<usize>> { Poll::Ready(Ok(bytes.len())) }
//! #     fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> { Poll::Ready(Ok(())) }
//! #     fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> { Poll::Ready(Ok(())) }
//! # }
//! # fn spawn(_: impl Future<Output = mqtt5_client::CloseReason> + Send + 'static) {}
//! struct MyConnect;
//!
//! impl Connect for MyConnect {
//!     type Transport = MyStream; // implements `Transport`
//!     type Future = Ready<io::Result<MyStream>>;
//!
//!     fn connect(&mut self) -> Self::Future {
//!         ready(Ok(MyStream))
//!     }
//! }
//!
//! let (client, driver) = Client::new(ClientOptions::new(), MyConnect, MyTimer)?;
//! spawn(driver);
//! # Ok::<(), mqtt5_client::OptionsError>(())
//! ```

mod answer;
mod authentication;
mod classes;
mod client;
mod completion;
mod completions;
mod delivery;
mod disconnect;
mod driver;
mod errors;
mod events;
mod filter_tree;
mod jitter;
mod messages;
mod numbers;
mod options;
mod output;
mod permit;
mod publish;
mod reconnect;
mod requests;
mod room;
mod routes;
mod setters;
mod shared;
mod slots;
mod state;
mod statistics;
mod streams;
mod subscribe;
mod taps;
mod transport;
mod wake;

pub use authentication::{Authenticator, NoAnswer};
pub use client::Client;
pub use completion::{Completion, PublishFuture};
pub use disconnect::DisconnectBuilder;
pub use driver::Driver;
pub use errors::{
    CloseReason, Culprit, DisconnectError, Failure, OptionsError, PublishError,
    ReauthenticateError, SubscribeError, UnsubscribeError,
};
pub use messages::{Messages, NextMessage};
pub use options::{ClientOptions, StallPolicy};
pub use permit::{Permit, Reserve};
pub use publish::{Enqueue, Publish, Published};
pub use reconnect::{LoopGuard, ReconnectPolicy};
pub use state::{ConnectionInfo, ConnectionState, StateChanges};
pub use statistics::Statistics;
pub use streams::{Grant, StreamEnd, WhenFull};
pub use subscribe::Subscribe;
pub use taps::{Notice, Observed, Observer, UnobservedVerdict};
pub use transport::{Clock, Connect, Timer, Transport};

pub use bytes;
pub use mqtt5_proto as proto;
#[doc(no_inline)]
pub use mqtt5_proto::session::Message;
#[doc(no_inline)]
pub use mqtt5_proto::{QoS, Topic, TopicFilter};
