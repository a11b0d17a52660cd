use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;

use mqtt5_client::Connect;

use crate::attempts::first_to_open;
use crate::layered::Layered;
use crate::route::{Hop, Route};
use crate::runtime::{Adapt, Runtime};
use crate::socket::Socket;

type Opening<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// Connects to the server that a URL names: TCP (with `TCP_NODELAY`) or a Unix socket, and what the
/// [`Route`] puts on it.
///
/// Names are looked up anew for every connection, and their addresses tried as
/// [`first_to_open`] does.
#[derive(Clone, Debug)]
pub struct NetworkConnect<R> {
    route: Route,
    runtime: PhantomData<fn() -> R>,
}

impl<R> NetworkConnect<R> {
    /// Along `route`.
    #[must_use]
    pub const fn new(route: Route) -> Self {
        Self {
            route,
            runtime: PhantomData,
        }
    }
}

impl<R: Runtime> Connect for NetworkConnect<R> {
    type Transport = Layered<Socket<R>>;
    type Future = Opening<Self::Transport>;

    fn connect(&mut self) -> Self::Future {
        let route = self.route.clone();
        Box::pin(async move {
            let socket = open::<R>(&route).await?;
            route.establish(socket).await
        })
    }

    fn timed_out(&mut self) -> Option<io::Error> {
        self.route.timed_out()
    }
}

async fn open<R: Runtime>(route: &Route) -> io::Result<Socket<R>> {
    match route.hop() {
        Hop::Tcp(server) => {
            let addresses = R::look_up(server).await?;
            let timer = R::Timer::default();
            let stream = first_to_open(&server.host, addresses, timer, R::open_tcp).await?;
            Ok(Socket::Tcp(stream))
        }
        #[cfg(unix)]
        Hop::Unix(path) => Ok(Socket::Unix(R::open_unix(path).await?)),
        #[cfg(not(unix))]
        Hop::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Connects by a function that opens a stream, such as one over a serial line, over QUIC, or
/// through a tunnel.
#[derive(Debug)]
pub struct StreamConnect<R, F> {
    open: F,
    runtime: PhantomData<fn() -> R>,
}

impl<R, F> StreamConnect<R, F> {
    /// By `open`, which is called for every connection.
    pub const fn new(open: F) -> Self {
        Self {
            open,
            runtime: PhantomData,
        }
    }
}

impl<R, F, O, S> Connect for StreamConnect<R, F>
where
    R: Adapt<S>,
    F: FnMut() -> O,
    O: Future<Output = io::Result<S>> + Send + 'static,
{
    type Transport = R::Transport;
    type Future = Opening<Self::Transport>;

    fn connect(&mut self) -> Self::Future {
        let opening = (self.open)();
        Box::pin(async move { Ok(R::adapt(opening.await?)) })
    }
}
