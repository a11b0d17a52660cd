use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use mqtt5_client::CloseReason;
use mqtt5_transport::{Adapt, NoRuntime, Runtime, Server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;

use crate::timer::TokioTimer;
use crate::transport::IoTransport;

/// Tokio, for what is generic over the runtime.
#[derive(Clone, Copy, Debug)]
pub enum Tokio {}

impl Runtime for Tokio {
    type Timer = TokioTimer;
    type Tcp = IoTransport<TcpStream>;
    #[cfg(unix)]
    type Unix = IoTransport<tokio::net::UnixStream>;

    fn spawn(driver: impl Future<Output = CloseReason> + Send + 'static) -> Result<(), NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        runtime.spawn(driver);
        Ok(())
    }

    async fn look_up(Server { host, port }: &Server) -> io::Result<Vec<SocketAddr>> {
        Ok(lookup_host((host.as_str(), *port)).await?.collect())
    }

    async fn open_tcp(address: SocketAddr) -> io::Result<Self::Tcp> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(IoTransport::new(stream))
    }

    #[cfg(unix)]
    async fn open_unix(path: &Path) -> io::Result<Self::Unix> {
        let stream = tokio::net::UnixStream::connect(path).await?;
        Ok(IoTransport::new(stream))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Adapt<S> for Tokio {
    type Transport = IoTransport<S>;

    fn adapt(stream: S) -> IoTransport<S> {
        IoTransport::new(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mqtt5_transport::first_to_open;
    use tokio::net::TcpListener;

    use super::*;

    async fn open_one_of(
        host: &str,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> io::Result<TcpStream> {
        let opening = first_to_open(host, addresses, TokioTimer::new(), Tokio::open_tcp);
        Ok(opening.await?.0)
    }

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
