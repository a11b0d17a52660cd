use std::fmt;

/// The longest message by default: twice our Maximum Packet Size by default.
const MESSAGE_SIZE: usize = 32 << 20;

/// What is sent in the opening handshake, and what is accepted.
///
/// The path and the query are those of the URL.
///
/// ```
/// # use mqtt5_transport::WebSocketOptions;
/// let options = WebSocketOptions::new().header("Authorization", "Bearer secret");
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
///
/// What is wrong with a value is told when the client is made.
#[derive(Clone)]
#[must_use]
pub struct WebSocketOptions {
    pub(super) headers: Vec<(String, String)>,
    pub(super) require_subprotocol: bool,
    pub(super) maximum_message_size: usize,
    fault: Option<WebSocketOptionsError>,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            require_subprotocol: true,
            maximum_message_size: MESSAGE_SIZE,
            fault: None,
        }
    }
}

/// Without the values of the headers.
impl fmt::Debug for WebSocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("WebSocketOptions")
            .field("headers", &headers)
            .field("require_subprotocol", &self.require_subprotocol)
            .field("maximum_message_size", &self.maximum_message_size)
            .finish_non_exhaustive()
    }
}

/// The fields that the handshake itself writes.
const RESERVED: [&str; 8] = [
    "Connection",
    "Content-Length",
    "Host",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "Upgrade",
];

impl WebSocketOptions {
    /// No headers beyond those of the handshake.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header to the request, such as `Authorization`, `Cookie` or `Origin`. Not one of
    /// those that the handshake writes itself.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
        let is_free = !RESERVED
            .iter()
            .any(|reserved| reserved.eq_ignore_ascii_case(&name));
        let is_value = value.chars().all(|c| c == '\t' || !c.is_control());
        if is_token && is_free && is_value {
            self.headers.push((name, value));
        } else {
            self.fault
                .get_or_insert(WebSocketOptionsError::Header(name));
        }
        self
    }

    /// Whether a server that does not choose the subprotocol `mqtt` is refused (`6.0.0-4`); one
    /// that chooses another always is. Default: yes.
    pub const fn require_subprotocol(mut self, require: bool) -> Self {
        self.require_subprotocol = require;
        self
    }

    /// The longest message of WebSocket that is accepted, in bytes: it is held in memory as a
    /// whole, beside the packets in it, and the library makes room for a frame as soon as its length
    /// has come. A longer one ends the connection. Default: 32 MiB, twice the default of our Maximum
    /// Packet Size, as servers may send several packets in one message.
    pub const fn maximum_message_size(mut self, bytes: usize) -> Self {
        self.maximum_message_size = bytes;
        self
    }

    pub(super) fn check(&self) -> Result<(), WebSocketOptionsError> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

/// RFC 9110, section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// What is wrong with [`WebSocketOptions`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebSocketOptionsError {
    /// This header cannot be sent: name or value hold what they must not, or the handshake writes
    /// it itself.
    #[error("the header {0:?} cannot be set")]
    Header(String),
    /// The path does not begin with `/`, or holds what a request cannot.
    #[error("the path is malformed")]
    Path,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_would_break_the_request_are_refused() {
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a:", "a"),
            ("X", "a\r\nY: b"),
            ("X", "a\nb"),
            ("X", "a\0"),
            ("host", "h"),
            ("Upgrade", "h2c"),
            ("sec-websocket-protocol", "mqttv3.1"),
        ] {
            let options = WebSocketOptions::new().header(name, value);
            let expected = WebSocketOptionsError::Header(name.to_owned());
            assert_eq!(options.check(), Err(expected), "{name:?}: {value:?}");
        }
        let options = WebSocketOptions::new()
            .header("Origin", "https://a.example")
            .header("X-Empty", "");
        assert_eq!(options.check(), Ok(()));
    }
}
