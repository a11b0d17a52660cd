use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_std::net::TcpStream;
#[cfg(unix)]
use async_std::os::unix::net::UnixStream;
use bytes::BytesMut;
use futures_io::{AsyncRead, AsyncWrite};
use mqtt5_client::Transport;

/// How much is read at once.
const READ: usize = 16 << 10;

/// Any stream of `futures-io` as a [`Transport`].
#[derive(Debug)]
pub struct IoTransport<S> {
    stream: S,
    /// Reading goes through here: these streams fill only memory that has been written before.
    read: Box<[u8]>,
}

impl<S> IoTransport<S> {
    /// Of `stream`, which is open.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            read: vec![0; READ].into(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for IoTransport<S> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let room = READ.min(buffer.capacity() - buffer.len());
        let read = self.read.get_mut(..room).unwrap_or_default();
        let count = ready!(Pin::new(&mut self.stream).poll_read(cx, read))?;
        buffer.extend_from_slice(read.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// A socket of async-std.
#[derive(Debug)]
#[non_exhaustive]
pub enum Socket {
    /// TCP.
    Tcp(IoTransport<TcpStream>),
    /// A stream socket of Unix.
    #[cfg(unix)]
    Unix(IoTransport<UnixStream>),
}

macro_rules! each {
    ($socket:expr, $stream:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($stream) => $call,
            #[cfg(unix)]
            Socket::Unix($stream) => $call,
        }
    };
}

impl Transport for Socket {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_read(cx, buffer))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, stream => stream.poll_flush(cx))
    }

    /// These streams themselves would only flush.
    fn poll_close(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(each!(self, transport => transport.stream.shutdown(Shutdown::Write)))
    }
}
