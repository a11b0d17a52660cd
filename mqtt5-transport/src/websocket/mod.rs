//! WebSocket by tungstenite (section 6 of MQTT 5.0, RFC 6455).

mod error;
mod handshake;
mod options;
mod stream;

pub use error::WebSocketError;
pub use options::{WebSocketOptions, WebSocketOptionsError};
pub use stream::WebSocket;

pub(crate) use handshake::Handshake;
