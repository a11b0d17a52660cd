use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::BytesMut;
use mqtt5_client::Transport;

/// A transport of an adapter, with what a [`Route`](crate::Route) has put on it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Layered<T> {
    /// Nothing.
    Plain(T),
    /// TLS.
    #[cfg(feature = "tls")]
    Tls(Box<crate::Tls<T>>),
    /// WebSocket.
    #[cfg(feature = "websocket")]
    WebSocket(Box<crate::WebSocket<T>>),
    /// WebSocket on TLS.
    #[cfg(all(feature = "tls", feature = "websocket"))]
    SecureWebSocket(Box<crate::WebSocket<crate::Tls<T>>>),
}

macro_rules! each {
    ($layered:expr, $transport:ident => $call:expr) => {
        match $layered {
            Layered::Plain($transport) => $call,
            #[cfg(feature = "tls")]
            Layered::Tls($transport) => $call,
            #[cfg(feature = "websocket")]
            Layered::WebSocket($transport) => $call,
            #[cfg(all(feature = "tls", feature = "websocket"))]
            Layered::SecureWebSocket($transport) => $call,
        }
    };
}

impl<T: Transport> Transport for Layered<T> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        each!(self, transport => transport.poll_read(cx, buffer))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, transport => transport.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, transport => transport.poll_write_vectored(cx, slices))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, transport => transport.poll_flush(cx))
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, transport => transport.poll_close(cx))
    }
}
