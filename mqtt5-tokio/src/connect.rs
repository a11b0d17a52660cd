use std::future::Future;
use std::io;
use std::pin::Pin;

use mqtt5_client::Connect;
use tokio::net::TcpStream;

use crate::transport::IoTransport;
use crate::url::Server;

/// Connects by TCP, with `TCP_NODELAY`.
#[derive(Clone, Debug)]
pub struct TcpConnect {
    server: Server,
}

impl TcpConnect {
    /// To `server`, whose name is looked up anew for every connection.
    #[must_use]
    pub const fn new(server: Server) -> Self {
        Self { server }
    }
}

impl Connect for TcpConnect {
    type Transport = IoTransport<TcpStream>;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Transport>> + Send>>;

    fn connect(&mut self) -> Self::Future {
        let Server { host, port } = self.server.clone();
        Box::pin(async move {
            let stream = TcpStream::connect((host.as_str(), port)).await?;
            stream.set_nodelay(true)?;
            Ok(IoTransport::new(stream))
        })
    }
}
