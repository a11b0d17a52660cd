//! The seam to a runtime, beyond that of `mqtt5-client`: its sockets, names and tasks.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use mqtt5_client::{CloseReason, Timer, Transport};

use crate::address::Server;

/// A runtime, for [`Builder`](crate::Builder): all that differs between the adapters. It is a type
/// without values; everything is called by its name.
pub trait Runtime: 'static {
    /// Its alarm. By default not set, with a clock that begins at once; made so outside of the
    /// runtime too.
    type Timer: Timer + Default + Send + 'static;

    /// Its socket of TCP.
    type Tcp: Transport + Send + 'static;

    /// Its stream socket of Unix.
    #[cfg(unix)]
    type Unix: Transport + Send + 'static;

    /// Runs `driver` until it is done, whoever waits for it.
    ///
    /// # Errors
    /// [`NoRuntime`], and the driver is dropped.
    fn spawn(driver: impl Future<Output = CloseReason> + Send + 'static) -> Result<(), NoRuntime>;

    /// The addresses of `server`, without waiting for the thread.
    ///
    /// # Errors
    /// Any error ends the attempt to connect.
    fn look_up(server: &Server) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;

    /// Opens a connection to `address`, with `TCP_NODELAY`: acknowledgements are small, and are not
    /// to wait for one another.
    ///
    /// # Errors
    /// Any error ends the attempt with this address.
    fn open_tcp(address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    /// Opens a connection to the socket at `path`.
    ///
    /// # Errors
    /// Any error ends the attempt to connect.
    #[cfg(unix)]
    fn open_unix(path: &Path) -> impl Future<Output = io::Result<Self::Unix>> + Send;
}

/// A runtime that can make a [`Transport`] of a stream `S`, such as of all that are `AsyncRead` and
/// `AsyncWrite` in its sense.
pub trait Adapt<S>: Runtime {
    /// What is made of it.
    type Transport: Transport;

    /// Makes a transport of `stream`, which is open.
    fn adapt(stream: S) -> Self::Transport;
}

/// Tasks can be spawned only from within the runtime, and this is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this was not called from a task of the runtime")]
pub struct NoRuntime;
