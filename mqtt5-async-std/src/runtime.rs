use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::path::Path;

use async_std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use async_std::os::unix::net::UnixStream;
use futures_io::{AsyncRead, AsyncWrite};
use mqtt5_client::CloseReason;
use mqtt5_transport::{Adapt, NoRuntime, Runtime, Server};

use crate::timer::AsyncStdTimer;
use crate::transport::IoTransport;

/// async-std, for what is generic over the runtime. Its tasks can be spawned from anywhere.
#[derive(Clone, Copy, Debug)]
pub enum AsyncStd {}

impl Runtime for AsyncStd {
    type Timer = AsyncStdTimer;
    type Tcp = IoTransport<TcpStream>;
    #[cfg(unix)]
    type Unix = IoTransport<UnixStream>;

    fn spawn(driver: impl Future<Output = CloseReason> + Send + 'static) -> Result<(), NoRuntime> {
        // Left to itself: it ends with the client.
        async_std::task::spawn(driver);
        Ok(())
    }

    async fn look_up(Server { host, port }: &Server) -> io::Result<Vec<SocketAddr>> {
        Ok((host.as_str(), *port).to_socket_addrs().await?.collect())
    }

    async fn open_tcp(address: SocketAddr) -> io::Result<Self::Tcp> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let shut_down = |stream: &TcpStream| stream.shutdown(Shutdown::Write);
        Ok(IoTransport::of_socket(stream, shut_down))
    }

    #[cfg(unix)]
    async fn open_unix(path: &Path) -> io::Result<Self::Unix> {
        let stream = UnixStream::connect(path).await?;
        let shut_down = |stream: &UnixStream| stream.shutdown(Shutdown::Write);
        Ok(IoTransport::of_socket(stream, shut_down))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Adapt<S> for AsyncStd {
    type Transport = IoTransport<S>;

    fn adapt(stream: S) -> IoTransport<S> {
        IoTransport::new(stream)
    }
}
