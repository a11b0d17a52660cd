//! A link that hands on one byte at a time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_std::io::{Read, Write};
use async_std::net::TcpStream;
use mqtt5_async_std::{IoTransport, Layered, Route};
use mqtt5_client::Connect;

/// Along a route, to `address`; of every read and write one byte goes through.
#[derive(Debug)]
pub(crate) struct Drip {
    pub(crate) route: Route,
    pub(crate) address: SocketAddr,
}

impl Connect for Drip {
    type Transport = Layered<IoTransport<ByteByByte>>;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Transport>> + Send>>;

    fn connect(&mut self) -> Self::Future {
        let (route, address) = (self.route.clone(), self.address);
        Box::pin(async move {
            let stream = ByteByByte(TcpStream::connect(address).await?);
            route.establish(IoTransport::new(stream)).await
        })
    }
}

#[derive(Debug)]
pub(crate) struct ByteByByte(TcpStream);

impl Read for ByteByByte {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let count = buffer.len().min(1);
        Pin::new(&mut self.0).poll_read(cx, &mut buffer[..count])
    }
}

impl Write for ByteByByte {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = bytes.len().min(1);
        Pin::new(&mut self.0).poll_write(cx, &bytes[..count])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}
