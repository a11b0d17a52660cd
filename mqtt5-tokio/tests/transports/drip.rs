//! A link that gives and takes one byte at a time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use mqtt5_client::Connect;
use mqtt5_tokio::{IoTransport, Layered, Route};
use tokio::io::{DuplexStream, copy_bidirectional};
use tokio::net::TcpStream;

/// Along a route, by a link to `address` that holds one byte in each direction.
#[derive(Debug)]
pub(crate) struct Drip {
    pub(crate) route: Route,
    pub(crate) address: SocketAddr,
}

impl Connect for Drip {
    type Transport = Layered<IoTransport<DuplexStream>>;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Transport>> + Send>>;

    fn connect(&mut self) -> Self::Future {
        let (route, address) = (self.route.clone(), self.address);
        Box::pin(async move {
            let mut server = TcpStream::connect(address).await?;
            let (near, mut far) = tokio::io::duplex(1);
            tokio::spawn(async move {
                // Ends with either side.
                let _ = copy_bidirectional(&mut far, &mut server).await;
            });
            route.establish(IoTransport::new(near)).await
        })
    }
}
