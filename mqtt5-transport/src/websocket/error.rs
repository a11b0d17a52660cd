use std::io::ErrorKind;

/// What WebSocket failed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The server answered the opening handshake as a web server does. With 404 the path of the URL
    /// may be wrong, with 400 or 426 the port is not one for WebSocket, with 401 or 403 the request
    /// lacks a header.
    #[error(
        "the server answered with HTTP {status}{}{reason} and did not switch to WebSocket",
        if .reason.is_empty() { "" } else { " " }
    )]
    Status {
        /// The status code of HTTP.
        status: u16,
        /// The reason phrase beside it.
        reason: String,
    },
    /// What came from the server is not HTTP, and so no WebSocket.
    #[error("the server does not speak HTTP, and so no WebSocket, on this port")]
    NotHttp,
    /// The server closed the connection before the opening handshake was done.
    #[error(
        "the server closed the connection in the WebSocket handshake; does it speak WebSocket on \
         this port?"
    )]
    ClosedInHandshake,
    /// The server switched protocols, but not as WebSocket wants it: a field is missing or wrong.
    #[error("the server's answer to the WebSocket handshake has a missing or wrong {0}")]
    Handshake(&'static str),
    /// The server chose another subprotocol than `mqtt`, or none (`6.0.0-4`).
    #[error(
        "the server did not choose the WebSocket subprotocol mqtt but {}",
        .0.as_deref().unwrap_or("none")
    )]
    Subprotocol(Option<String>),
    /// The server sent a text frame; MQTT travels in binary frames only (`6.0.0-1`). The connection
    /// was closed.
    #[error("the server sent a text frame")]
    TextFrame,
    /// The server closed the WebSocket and said why.
    #[error("the server closed the WebSocket: {code}{}{reason}", if .reason.is_empty() { "" } else { " " })]
    Closed {
        /// The status code (RFC 6455, section 7.4).
        code: u16,
        /// The reason beside it.
        reason: String,
    },
    /// The server broke the rules of WebSocket, or sent a message longer than
    /// [`WebSocketOptions::maximum_message_size`](crate::WebSocketOptions::maximum_message_size).
    #[error("WebSocket: {0}")]
    Protocol(String),
}

impl WebSocketError {
    /// By this the client tells who is at fault.
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::Status { .. } | Self::Closed { .. } => ErrorKind::PermissionDenied,
            Self::NotHttp
            | Self::Handshake(_)
            | Self::Subprotocol(_)
            | Self::TextFrame
            | Self::Protocol(_) => ErrorKind::InvalidData,
            Self::ClosedInHandshake => ErrorKind::UnexpectedEof,
        }
    }
}
