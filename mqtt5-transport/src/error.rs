use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mqtt5_client::Failure;

/// How far an attempt to connect has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The name is looked up, and a socket opened to the first hop.
    Reaching,
    /// The proxy is asked for a way to the server.
    Proxy,
    /// The handshake of TLS.
    Tls,
    /// The opening handshake of WebSocket.
    WebSocket,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Reaching => "the connection",
            Self::Proxy => "the answer of the proxy",
            Self::Tls => "the TLS handshake",
            Self::WebSocket => "the WebSocket handshake",
        })
    }
}

/// What went wrong between the socket and MQTT.
///
/// It travels inside an [`io::Error`]; [`of`](Self::of) finds it again. Each of them ends one
/// attempt to connect, or one connection, and what follows is up to the
/// [`ReconnectPolicy`](mqtt5_client::ReconnectPolicy): a certificate can be renewed, and a
/// misconfigured server be mended, while a client waits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The name is known, but has no address.
    #[error("the name {host} has no address")]
    NoAddress {
        /// The name that was looked up.
        host: String,
    },
    /// Every address of the name was tried.
    #[error("none of the addresses answers: {}", list(.0))]
    Unreachable(Vec<(SocketAddr, io::Error)>),
    /// The connect timeout was over before this step was.
    #[error("{step} with {peer} was not finished in time")]
    TimedOut {
        /// What was waited for.
        step: Step,
        /// Whom it was with.
        peer: String,
    },
    /// TLS.
    #[cfg(feature = "tls")]
    #[error("{0}")]
    Tls(#[from] crate::TlsError),
    /// WebSocket.
    #[cfg(feature = "websocket")]
    #[error("{0}")]
    WebSocket(#[from] crate::WebSocketError),
    /// The proxy.
    #[cfg(feature = "proxy")]
    #[error("{0}")]
    Proxy(#[from] crate::ProxyError),
}

fn list(attempts: &[(SocketAddr, io::Error)]) -> String {
    let attempts: Vec<_> = attempts
        .iter()
        .map(|(address, error)| format!("{address} ({error})"))
        .collect();
    attempts.join(", ")
}

impl TransportError {
    /// The error inside a failure of a client, if it is one of these.
    #[must_use]
    pub fn of(failure: &Failure) -> Option<&Self> {
        match failure {
            Failure::Network(error) => error.get_ref()?.downcast_ref(),
            _ => None,
        }
    }

    /// By this the client tells who is at fault: see [`Failure::culprit`].
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAddress { .. } => ErrorKind::NotFound,
            Self::Unreachable(attempts) => attempts
                .last()
                .map_or(ErrorKind::NotFound, |(_, error)| error.kind()),
            Self::TimedOut { .. } => ErrorKind::TimedOut,
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.kind(),
            #[cfg(feature = "websocket")]
            Self::WebSocket(error) => error.kind(),
            #[cfg(feature = "proxy")]
            Self::Proxy(error) => error.kind(),
        }
    }
}

impl From<TransportError> for io::Error {
    fn from(error: TransportError) -> Self {
        Self::new(error.kind(), error)
    }
}
