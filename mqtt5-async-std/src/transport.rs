use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

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
    /// What shuts down writing, where the stream's own way would only flush.
    shut_down: Option<fn(&S) -> io::Result<()>>,
}

impl<S> IoTransport<S> {
    /// Of `stream`, which is open.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            read: vec![0; READ].into(),
            shut_down: None,
        }
    }

    /// Of a socket of async-std.
    pub(crate) fn of_socket(socket: S, shut_down: fn(&S) -> io::Result<()>) -> Self {
        Self {
            shut_down: Some(shut_down),
            ..Self::new(socket)
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
        match self.shut_down {
            Some(shut_down) => Poll::Ready(shut_down(&self.stream)),
            None => Pin::new(&mut self.stream).poll_close(cx),
        }
    }
}
