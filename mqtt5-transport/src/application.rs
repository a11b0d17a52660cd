//! The names that an application may need whatever its runtime. An adapter hands them on, all at
//! once, beside those that name its runtime and the crates that are part of the interface: `bytes`,
//! `proto` and, with TLS, `rustls`.

pub use crate::{
    Address, ConnectError, Layered, Network, Route, RouteError, RouteOptions, Server, Step,
    TransportError, Url, UrlError,
};
#[cfg(feature = "tls")]
pub use crate::{CertificateFault, Tls, TlsError, TlsOptions, TlsOptionsError};
#[cfg(feature = "proxy")]
pub use crate::{Proxy, ProxyError};
#[cfg(feature = "websocket")]
pub use crate::{WebSocket, WebSocketError, WebSocketOptions, WebSocketOptionsError};

pub use mqtt5_client::{
    Authenticator, Client, ClientOptions, CloseReason, Completion, ConnectionInfo, ConnectionState,
    Culprit, DisconnectBuilder, DisconnectError, Driver, Enqueue, Failure, Grant, LoopGuard,
    Message, Messages, NextMessage, NoAnswer, Notice, Observed, Observer, OptionsError, Permit,
    Publish, PublishError, PublishFuture, Published, QoS, ReauthenticateError, ReconnectPolicy,
    Reserve, StallPolicy, StateChanges, Statistics, StreamEnd, Subscribe, SubscribeError, Topic,
    TopicFilter, UnobservedVerdict, UnsubscribeError, WhenFull,
};
