//! A session of rustls over a transport.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, IoSlice, Write};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use mqtt5_client::Transport;
use rustls::ClientConnection;

use super::error::TlsError;
use crate::error::TransportError;

/// How much is read from the transport at a time: a little more than the longest record.
const CHUNK: usize = 18 << 10;

/// TLS on a transport.
pub struct Tls<T> {
    session: ClientConnection,
    transport: T,
    /// What came and was not looked at by the session.
    arrived: BytesMut,
    /// The name by which the server was checked.
    server: String,
    /// What the session ended by. What the peer said before is read first.
    broken: Option<TlsError>,
    closing: bool,
}

impl<T: fmt::Debug> fmt::Debug for Tls<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server", &self.server)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Tls<T> {
    pub(super) fn new(session: ClientConnection, transport: T, server: String) -> Self {
        Self {
            session,
            transport,
            arrived: BytesMut::new(),
            server,
            broken: None,
            closing: false,
        }
    }

    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let written = self.poll_drain(cx);
            if !self.session.is_handshaking() {
                ready!(written)?;
                return self.transport.poll_flush(cx);
            }
            // Not if writing failed: the server may have said why, and reading tells.
            if matches!(written, Poll::Ready(Ok(())))
                && let Poll::Ready(Err(error)) = self.transport.poll_flush(cx)
            {
                return Poll::Ready(Err(error));
            }
            match ready!(self.poll_feed(cx)) {
                Ok(0) => return Poll::Ready(Err(tls(TlsError::ClosedInHandshake))),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    return Poll::Ready(Err(tls(TlsError::ClosedInHandshake)));
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
            if let Some(error) = self.broken.take() {
                return Poll::Ready(Err(tls(error)));
            }
        }
    }

    /// Writes what the session has for the peer.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.session.wants_write() {
            let mut pipe = Pipe {
                transport: &mut self.transport,
                cx,
            };
            match self.session.write_tls(&mut pipe) {
                Ok(0) => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the session more to look at, read from the transport if need be. 0 if the peer has
    /// shut down writing.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.arrived.is_empty() {
            self.arrived.reserve(CHUNK);
            ready!(self.transport.poll_read(cx, &mut self.arrived))?;
        }
        // At the end of the stream this tells the session so.
        let taken = self.session.read_tls(&mut self.arrived.as_ref())?;
        self.arrived.advance(taken);
        if let Err(error) = self.session.process_new_packets() {
            let handshaking = self.session.is_handshaking();
            let error = TlsError::new(error, &self.server, handshaking);
            self.broken = Some(error);
            // The alert that tells the peer why. It goes at once or not at all.
            let _ = self.poll_drain(cx);
        }
        Poll::Ready(Ok(taken))
    }
}

impl<T: Transport> Transport for Tls<T> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut reader = self.session.reader();
            match reader.fill_buf() {
                Ok(plain) => {
                    let room = buffer.capacity() - buffer.len();
                    let count = plain.len().min(room);
                    buffer.extend_from_slice(plain.get(..count).unwrap_or_default());
                    reader.consume(count);
                    return Poll::Ready(Ok(count));
                }
                // Without close_notify. MQTT has its own DISCONNECT, and takes any end without one
                // as a lost connection.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Poll::Ready(Ok(0));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            if let Some(error) = self.broken.take() {
                return Poll::Ready(Err(tls(error)));
            }
            ready!(self.poll_feed(cx))?;
            // Answers to the peer's wishes, such as new keys.
            if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        // Takes as much as the session's buffer holds, which is empty.
        let count = self.session.writer().write_vectored(slices)?;
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.transport.poll_flush(cx)
    }

    /// Says close_notify first (RFC 8446, section 6.1).
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.closing {
            self.closing = true;
            self.session.send_close_notify();
        }
        ready!(self.poll_drain(cx))?;
        self.transport.poll_close(cx)
    }
}

fn tls(error: TlsError) -> io::Error {
    TransportError::Tls(error).into()
}

/// A transport in the terms of the standard library, for one poll.
struct Pipe<'a, 'b, T> {
    transport: &'a mut T,
    cx: &'a mut Context<'b>,
}

impl<T: Transport> Write for Pipe<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_block(self.transport.poll_write(self.cx, bytes))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        or_block(self.transport.poll_write_vectored(self.cx, slices))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_block(self.transport.poll_flush(self.cx))
    }
}

fn or_block<V>(polled: Poll<io::Result<V>>) -> io::Result<V> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}
