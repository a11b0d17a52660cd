//! The client's side of the opening handshake (RFC 6455, section 4.1).
//!
//! By hand, because what the library offers for it wants a blocking stream and takes only
//! `Connection: Upgrade` to the letter, where proxies add `keep-alive`.

use std::fmt::Write as _;
use std::io;

use bytes::BytesMut;
use mqtt5_client::Transport;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::error::WebSocketError;
use super::options::{WebSocketOptions, WebSocketOptionsError};
use super::stream::WebSocket;
use crate::address::Server;
use crate::error::TransportError;
use crate::http::{Head, HeadError, read_head};
use crate::io::write_all;

/// The name of MQTT among the subprotocols (`6.0.0-3`).
const SUBPROTOCOL: &str = "mqtt";

/// All that is needed to begin WebSocket with one server.
#[derive(Clone)]
pub(crate) struct Handshake {
    /// The request, but for the key and what ends it.
    request: String,
    require_subprotocol: bool,
    maximum_message_size: usize,
}

/// Without the request: it may hold secrets.
impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

impl Handshake {
    pub(crate) fn new(
        server: &Server,
        path: &str,
        secure: bool,
        options: &WebSocketOptions,
    ) -> Result<Self, WebSocketOptionsError> {
        options.check()?;
        if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(WebSocketOptionsError::Path);
        }
        Ok(Self {
            request: request(server, path, secure, options),
            require_subprotocol: options.require_subprotocol,
            maximum_message_size: options.maximum_message_size,
        })
    }

    pub(crate) async fn perform<T: Transport>(&self, mut transport: T) -> io::Result<WebSocket<T>> {
        let key = generate_key();
        let request = format!("{}Sec-WebSocket-Key: {key}\r\n\r\n", self.request);
        let mut arrived = BytesMut::new();
        // If writing fails, reading does so too, or tells why.
        let _ = write_all(&mut transport, request.as_bytes()).await;
        let head = read_head(&mut transport, &mut arrived)
            .await
            .map_err(of_head)?;
        self.check(&head, &key).map_err(TransportError::from)?;
        Ok(WebSocket::new(
            transport,
            arrived,
            self.maximum_message_size,
        ))
    }

    fn check(&self, head: &Head, key: &str) -> Result<(), WebSocketError> {
        if head.status != 101 {
            return Err(WebSocketError::Status {
                status: head.status,
                reason: head.reason.clone(),
            });
        }
        if !has_token(head, "Upgrade", "websocket") {
            return Err(WebSocketError::Handshake("Upgrade"));
        }
        if !has_token(head, "Connection", "upgrade") {
            return Err(WebSocketError::Handshake("Connection"));
        }
        if head.field("Sec-WebSocket-Accept") != Some(derive_accept_key(key.as_bytes())) {
            return Err(WebSocketError::Handshake("Sec-WebSocket-Accept"));
        }
        if head.field("Sec-WebSocket-Extensions").is_some() {
            // None was offered.
            return Err(WebSocketError::Handshake("Sec-WebSocket-Extensions"));
        }
        match head.field("Sec-WebSocket-Protocol") {
            Some(chosen) if chosen == SUBPROTOCOL => Ok(()),
            None if !self.require_subprotocol => Ok(()),
            other => Err(WebSocketError::Subprotocol(other)),
        }
    }
}

fn request(server: &Server, path: &str, secure: bool, options: &WebSocketOptions) -> String {
    let default_port = if secure { 443 } else { 80 };
    let host = if server.port == default_port {
        let host = server.to_string();
        let port = format!(":{default_port}");
        host.strip_suffix(&port).unwrap_or(&host).to_owned()
    } else {
        server.to_string()
    };
    let mut request = format!(
        "GET {path} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n"
    );
    for (name, value) in &options.headers {
        // Writing to a string does not fail.
        let _ = write!(request, "{name}: {value}\r\n");
    }
    request
}

fn has_token(head: &Head, field: &str, token: &str) -> bool {
    head.field(field).is_some_and(|value| {
        value
            .split(',')
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    })
}

fn of_head(error: HeadError) -> io::Error {
    let error = match error {
        HeadError::NotHttp => WebSocketError::NotHttp,
        HeadError::Closed => WebSocketError::ClosedInHandshake,
        HeadError::TooLong => WebSocketError::Handshake("length: it is too long"),
        HeadError::Io(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            WebSocketError::ClosedInHandshake
        }
        HeadError::Io(error) => return error,
    };
    TransportError::from(error).into()
}
