use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use mqtt5_client::Connect;
use mqtt5_transport::{Hop, Layered, Route, Server, first_to_open};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};

use crate::timer::TokioTimer;
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
            let stream = tokio::net::UnixStream::connect(path).await?;
            Ok(Socket::Unix(IoTransport::new(stream)))
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

async fn open_tcp(Server { host, port }: &Server) -> io::Result<Socket> {
    let addresses = lookup_host((host.as_str(), *port)).await?;
    let stream = open_one_of(host, addresses).await?;
    Ok(Socket::Tcp(IoTransport::new(stream)))
}

async fn open_one_of(
    host: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
) -> io::Result<TcpStream> {
    let stream = first_to_open(host, addresses, TokioTimer::new(), TcpStream::connect).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn nobody() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    }

    /// As long as a test may take.
    async fn soon<F: Future>(future: F) -> F::Output {
        tokio::time::timeout(Duration::from_secs(20), future)
            .await
            .expect("it hangs")
    }

    #[tokio::test]
    async fn the_address_that_answers_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listening = listener.local_addr().unwrap();
        // For documentation (RFC 5737): swallowed, or unreachable.
        let swallowed = "192.0.2.1:9".parse().unwrap();
        let addresses = [swallowed, nobody(), listening];
        let stream = soon(open_one_of("h", addresses)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listening);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn every_address_that_does_not_answer_is_named() {
        let (one, other) = (nobody(), nobody());
        let error = soon(open_one_of("h", [one, other])).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        for address in [one, other] {
            assert!(text.contains(&address.to_string()), "{text}");
        }
    }
}
