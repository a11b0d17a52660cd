//! Messages of WebSocket as a stream of bytes, over a transport.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use mqtt5_client::Transport;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{
    CloseFrame, Message, Role, WebSocketConfig, WebSocketContext, frame::Utf8Bytes,
};

use super::error::WebSocketError;
use crate::error::TransportError;

/// How much is read from the transport at a time.
const CHUNK: usize = 16 << 10;

/// The longest frame that is sent: it is copied to be masked.
const FRAME: usize = 64 << 10;

/// How many frames without a byte for MQTT are read before other tasks get a chance.
const EMPTY_FRAMES: usize = 32;

/// WebSocket on a transport. Packets lie across and within its frames as they come (`6.0.0-2`).
pub struct WebSocket<T> {
    context: WebSocketContext,
    link: Link<T>,
    /// What came in the last message and was not taken.
    message: Bytes,
    /// Something was accepted that the transport did not take.
    unsent: bool,
    closing: bool,
    ended: bool,
}

struct Link<T> {
    transport: T,
    /// What came and was not looked at.
    arrived: BytesMut,
}

impl<T: fmt::Debug> fmt::Debug for WebSocket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("transport", &self.link.transport)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> WebSocket<T> {
    /// After the opening handshake; `arrived` came behind it.
    pub(super) fn new(transport: T, arrived: BytesMut, maximum_message_size: usize) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(CHUNK)
            // Nothing waits for more to come.
            .write_buffer_size(0)
            .max_write_buffer_size(2 * FRAME)
            .max_message_size(Some(maximum_message_size))
            .max_frame_size(Some(maximum_message_size));
        Self {
            context: WebSocketContext::new(Role::Client, Some(config)),
            link: Link { transport, arrived },
            message: Bytes::new(),
            unsent: false,
            closing: false,
            ended: false,
        }
    }

    /// The next message that is not for MQTT to ignore. `None` when the WebSocket is closed.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        for _ in 0..EMPTY_FRAMES {
            let mut pipe = Pipe {
                link: &mut self.link,
                cx,
            };
            match self.context.read(&mut pipe) {
                Ok(Message::Binary(bytes)) if bytes.is_empty() => {}
                Ok(Message::Binary(bytes)) => return Poll::Ready(Ok(Some(bytes))),
                Ok(Message::Text(_)) => {
                    self.say_close(CloseCode::Unsupported, cx);
                    return Poll::Ready(Err(fail(WebSocketError::TextFrame)));
                }
                Ok(Message::Close(frame)) => {
                    // The answer goes at once or not at all.
                    let _ = self.poll_context_flush(cx);
                    if let Some(error) = frame.as_ref().and_then(complaint) {
                        return Poll::Ready(Err(fail(error)));
                    }
                }
                // A pong is on its way already.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Err(error) => return self.poll_ended(error, cx),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// What it means that there is no message.
    fn poll_ended(
        &mut self,
        error: Error,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Bytes>>> {
        let code = match error {
            Error::Io(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
            Error::Io(error) => return Poll::Ready(Err(error)),
            // Even without a Close frame: MQTT has its own DISCONNECT, and takes any end without
            // one as a lost connection.
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return Poll::Ready(Ok(None));
            }
            Error::Capacity(_) => CloseCode::Size,
            _ => CloseCode::Protocol,
        };
        self.say_close(code, cx);
        let error = WebSocketError::Protocol(error.to_string());
        Poll::Ready(Err(fail(error)))
    }

    /// Tells the peer why the connection ends. It goes at once or not at all.
    fn say_close(&mut self, code: CloseCode, cx: &mut Context<'_>) {
        self.closing = true;
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(""),
        };
        let mut pipe = Pipe {
            link: &mut self.link,
            cx,
        };
        let _ = self.context.close(&mut pipe, Some(frame));
    }

    fn poll_context_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = Pipe {
            link: &mut self.link,
            cx,
        };
        match self.context.flush(&mut pipe) {
            Ok(()) => {
                self.unsent = false;
                Poll::Ready(Ok(()))
            }
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(of_writing(error))),
        }
    }

    fn send(&mut self, payload: Bytes, cx: &mut Context<'_>) -> io::Result<()> {
        let mut pipe = Pipe {
            link: &mut self.link,
            cx,
        };
        match self.context.write(&mut pipe, Message::Binary(payload)) {
            Ok(()) => Ok(()),
            // Taken, but not sent.
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                self.unsent = true;
                Ok(())
            }
            Err(error) => Err(of_writing(error)),
        }
    }
}

impl<T: Transport> Transport for WebSocket<T> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        if self.message.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(0));
            }
            match ready!(self.poll_message(cx))? {
                Some(message) => self.message = message,
                None => {
                    self.ended = true;
                    return Poll::Ready(Ok(0));
                }
            }
        }
        let room = buffer.capacity() - buffer.len();
        let count = self.message.len().min(room);
        buffer.extend_from_slice(&self.message.split_to(count));
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    /// One frame of as many slices as fit.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.unsent {
            ready!(self.poll_context_flush(cx))?;
        }
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut payload = BytesMut::with_capacity(total.min(FRAME));
        for slice in slices {
            let room = FRAME - payload.len();
            payload.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        let count = payload.len();
        self.send(payload.freeze(), cx)?;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_context_flush(cx)
    }

    /// Says Close first (RFC 6455, section 5.5.1).
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            self.say_close(CloseCode::Normal, cx);
        }
        if !self.ended {
            match self.poll_context_flush(cx) {
                Poll::Pending => return Poll::Pending,
                // If the peer has closed first there is nothing to be flushed.
                Poll::Ready(_) => {}
            }
        }
        self.link.transport.poll_close(cx)
    }
}

/// What a peer complains of by its Close frame.
fn complaint(frame: &CloseFrame) -> Option<WebSocketError> {
    match frame.code {
        CloseCode::Normal | CloseCode::Away | CloseCode::Status => None,
        code => Some(WebSocketError::Closed {
            code: code.into(),
            reason: frame.reason.as_str().to_owned(),
        }),
    }
}

fn fail(error: WebSocketError) -> io::Error {
    TransportError::WebSocket(error).into()
}

fn of_writing(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        // The peer has closed, or we have.
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::SendAfterClosing) => ErrorKind::BrokenPipe.into(),
        error => fail(WebSocketError::Protocol(error.to_string())),
    }
}

/// A link in the terms of the standard library, for one poll.
struct Pipe<'a, 'b, T> {
    link: &'a mut Link<T>,
    cx: &'a mut Context<'b>,
}

impl<T: Transport> Read for Pipe<'_, '_, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Link { transport, arrived } = self.link;
        if arrived.is_empty() {
            arrived.reserve(CHUNK);
            or_block(transport.poll_read(self.cx, arrived))?;
        }
        let count = arrived.len().min(buffer.len());
        arrived
            .split_to(count)
            .copy_to_slice(buffer.get_mut(..count).ok_or(ErrorKind::InvalidInput)?);
        Ok(count)
    }
}

impl<T: Transport> Write for Pipe<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_block(self.link.transport.poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_block(self.link.transport.poll_flush(self.cx))
    }
}

fn or_block<V>(polled: Poll<io::Result<V>>) -> io::Result<V> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}
