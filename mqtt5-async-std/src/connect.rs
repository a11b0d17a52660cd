use std::future::Future;
use std::io;
use std::pin::Pin;

use async_std::net::{TcpStream, ToSocketAddrs};
use futures_io::{AsyncRead, AsyncWrite};
use mqtt5_client::Connect;
use mqtt5_transport::{Hop, Layered, Route, Server, first_to_open};

use crate::timer::AsyncStdTimer;
use crate::transport::{IoTransport, Socket};

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Connects to the server that a URL names: TCP (with `TCP_NODELAY`) or a Unix socket, and what the
/// [`Route`] puts on it.
///
/// Names are looked up anew for every connection, and their addresses tried as
/// [`first_to_open`] does.
#[derive(Clone, Debug)]
pub struct NetworkConnect {
    route: Route,
}

impl NetworkConnect {
    /// Along `route`.
    #[must_use]
    pub const fn new(route: Route) -> Self {
        Self { route }
    }
}

impl Connect for NetworkConnect {
    type Transport = Layered<Socket>;
    type Future = Opening<Self::Transport>;

    fn connect(&mut self) -> Self::Future {
        let route = self.route.clone();
        Box::pin(async move {
            let socket = open(&route).await?;
            route.establish(socket).await
        })
    }

    fn timed_out(&mut self) -> Option<io::Error> {
        self.route.timed_out()
    }
}

async fn open(route: &Route) -> io::Result<Socket> {
    match route.hop() {
        Hop::Tcp(server) => open_tcp(server).await,
        #[cfg(unix)]
        Hop::Unix(path) => {
            let stream = async_std::os::unix::net::UnixStream::connect(path).await?;
            Ok(Socket::Unix(IoTransport::new(stream)))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn open_tcp(Server { host, port }: &Server) -> io::Result<Socket> {
    let addresses = (host.as_str(), *port).to_socket_addrs().await?;
    let stream = first_to_open(host, addresses, AsyncStdTimer::new(), TcpStream::connect).await?;
    stream.set_nodelay(true)?;
    Ok(Socket::Tcp(IoTransport::new(stream)))
}

/// Connects by a function that opens a stream, such as one over a serial line, over QUIC, or
/// through a tunnel.
#[derive(Debug)]
pub struct StreamConnect<F> {
    open: F,
}

impl<F> StreamConnect<F> {
    /// By `open`, which is called for every connection.
    pub const fn new(open: F) -> Self {
        Self { open }
    }
}

impl<F, O, S> Connect for StreamConnect<F>
where
    F: FnMut() -> O,
    O: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Unpin,
{
    type Transport = IoTransport<S>;
    type Future = Opening<Self::Transport>;

    fn connect(&mut self) -> Self::Future {
        let opening = (self.open)();
        Box::pin(async move { Ok(IoTransport::new(opening.await?)) })
    }
}
