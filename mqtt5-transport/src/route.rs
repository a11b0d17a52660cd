//! An address with all that is needed to get there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mqtt5_client::Transport;

use crate::address::{Address, Server};
use crate::error::{Step, TransportError};
use crate::layered::Layered;

/// What the layers between socket and MQTT are to be like. By default: nothing out of the ordinary.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RouteOptions {
    /// TLS. Default: that of [`TlsOptions::new`](crate::TlsOptions::new), if the address asks for
    /// TLS.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::TlsOptions>,
    /// WebSocket. Default: that of [`WebSocketOptions::new`](crate::WebSocketOptions::new), if the
    /// address asks for WebSocket.
    #[cfg(feature = "websocket")]
    pub websocket: Option<crate::WebSocketOptions>,
    /// The proxy to go through. Default: none.
    #[cfg(feature = "proxy")]
    pub proxy: Option<crate::Proxy>,
}

/// What is wrong with an address and the options for its layers. Told before anything is opened.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// This build cannot do it: a feature is off, or the platform has no such thing.
    #[error("this build does not support {0}: see the features of the crate")]
    NotSupported(Address),
    /// Options for a layer that the address does not have. To ignore those for TLS would be to send
    /// in the clear what was meant to be protected.
    #[error("there are options for {layer}, but {address} is without it")]
    NoSuchLayer {
        /// TLS or WebSocket, or the proxy.
        layer: &'static str,
        /// The address.
        address: Address,
    },
    /// The options for TLS.
    #[cfg(feature = "tls")]
    #[error("TLS: {0}")]
    Tls(#[from] crate::TlsOptionsError),
    /// The options for WebSocket.
    #[cfg(feature = "websocket")]
    #[error("WebSocket: {0}")]
    WebSocket(#[from] crate::WebSocketOptionsError),
}

/// The socket that an adapter has to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hop<'a> {
    /// TCP, to the server or to the proxy.
    Tcp(&'a Server),
    /// A stream socket of Unix.
    Unix(&'a Path),
}

/// A way to a server: opened once for every connection. Clones share the memory of how far the
/// last attempt came.
#[derive(Clone, Debug)]
pub struct Route {
    address: Address,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::Handshake>,
    #[cfg(feature = "websocket")]
    websocket: Option<crate::websocket::Handshake>,
    #[cfg(feature = "proxy")]
    proxy: Option<crate::Proxy>,
    progress: Progress,
}

impl Route {
    /// To `address`, with `options` for its layers.
    ///
    /// The roots of the system are read here, if they are wanted.
    ///
    /// # Errors
    /// [`RouteError`].
    #[cfg_attr(
        not(any(feature = "tls", feature = "websocket", feature = "proxy")),
        expect(clippy::needless_pass_by_value, reason = "there are no options")
    )]
    pub fn new(address: Address, options: RouteOptions) -> Result<Self, RouteError> {
        if !address.is_supported() {
            return Err(RouteError::NotSupported(address));
        }
        check_layers(&address, &options)?;
        Ok(Self {
            #[cfg(feature = "tls")]
            tls: match address.server() {
                Some(server) if address.is_secure() => Some(crate::tls::Handshake::new(
                    server,
                    options.tls.unwrap_or_default(),
                )?),
                _ => None,
            },
            #[cfg(feature = "websocket")]
            websocket: match &address {
                Address::WebSocket { server, path } | Address::SecureWebSocket { server, path } => {
                    Some(crate::websocket::Handshake::new(
                        server,
                        path,
                        address.is_secure(),
                        &options.websocket.unwrap_or_default(),
                    )?)
                }
                _ => None,
            },
            #[cfg(feature = "proxy")]
            proxy: options.proxy,
            address,
            progress: Progress::default(),
        })
    }

    /// Where it leads.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// The socket to open; begins an attempt.
    #[must_use]
    pub fn hop(&self) -> Hop<'_> {
        self.progress.set(Step::Reaching);
        #[cfg(feature = "proxy")]
        if let Some(proxy) = &self.proxy {
            return Hop::Tcp(proxy.server());
        }
        match &self.address {
            Address::Tcp(server)
            | Address::Tls(server)
            | Address::WebSocket { server, .. }
            | Address::SecureWebSocket { server, .. } => Hop::Tcp(server),
            Address::Unix(path) => Hop::Unix(path),
        }
    }

    /// Puts on `transport`, which leads to the [`hop`](Self::hop), whatever lies between it and
    /// MQTT: asks the proxy, then does the handshakes of TLS and WebSocket.
    ///
    /// # Errors
    /// [`TransportError`] inside, or what the transport fails by.
    ///
    /// Cancel safe: the transport is dropped with the future.
    pub async fn establish<T: Transport>(&self, transport: T) -> io::Result<Layered<T>> {
        #[cfg(feature = "proxy")]
        let transport = match (&self.proxy, self.address.server()) {
            (Some(proxy), Some(server)) => {
                self.progress.set(Step::Proxy);
                proxy.ask(transport, server).await?
            }
            _ => transport,
        };
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            self.progress.set(Step::Tls);
            let transport = tls.perform(transport).await?;
            #[cfg(feature = "websocket")]
            if let Some(websocket) = &self.websocket {
                self.progress.set(Step::WebSocket);
                let websocket = websocket.perform(transport).await?;
                return Ok(Layered::SecureWebSocket(Box::new(websocket)));
            }
            return Ok(Layered::Tls(Box::new(transport)));
        }
        #[cfg(feature = "websocket")]
        if let Some(websocket) = &self.websocket {
            self.progress.set(Step::WebSocket);
            let websocket = websocket.perform(transport).await?;
            return Ok(Layered::WebSocket(Box::new(websocket)));
        }
        Ok(Layered::Plain(transport))
    }

    /// What an attempt was waiting for that took too long: what
    /// [`Connect::timed_out`](mqtt5_client::Connect::timed_out) is to answer. `None` if not even a
    /// socket was opened.
    #[must_use]
    pub fn timed_out(&self) -> Option<io::Error> {
        let step = self.progress.get();
        let peer = match (step, self.address.server()) {
            (Step::Reaching, _) | (_, None) => return None,
            #[cfg(feature = "proxy")]
            (Step::Proxy, _) => self.proxy.as_ref()?.server().to_string(),
            (_, Some(server)) => server.to_string(),
        };
        Some(TransportError::TimedOut { step, peer }.into())
    }
}

#[cfg_attr(
    not(any(feature = "tls", feature = "websocket", feature = "proxy")),
    expect(
        clippy::unnecessary_wraps,
        unused_variables,
        reason = "there are no options"
    )
)]
fn check_layers(address: &Address, options: &RouteOptions) -> Result<(), RouteError> {
    #[cfg(any(feature = "tls", feature = "websocket", feature = "proxy"))]
    let unused = |layer| RouteError::NoSuchLayer {
        layer,
        address: address.clone(),
    };
    #[cfg(feature = "tls")]
    if options.tls.is_some() && !address.is_secure() {
        return Err(unused("TLS"));
    }
    #[cfg(feature = "websocket")]
    if options.websocket.is_some() && !address.is_websocket() {
        return Err(unused("WebSocket"));
    }
    #[cfg(feature = "proxy")]
    if options.proxy.is_some() && address.server().is_none() {
        return Err(unused("a proxy"));
    }
    Ok(())
}

/// How far the last attempt came.
#[derive(Clone, Debug, Default)]
struct Progress(Arc<AtomicU8>);

const STEPS: [Step; 4] = [Step::Reaching, Step::Proxy, Step::Tls, Step::WebSocket];

impl Progress {
    fn set(&self, step: Step) {
        let index = STEPS.iter().position(|known| *known == step);
        let index = index.and_then(|index| u8::try_from(index).ok());
        // It orders nothing else: the attempt and who asks for it are one task.
        self.0.store(index.unwrap_or_default(), Ordering::Relaxed);
    }

    fn get(&self) -> Step {
        let index = usize::from(self.0.load(Ordering::Relaxed));
        STEPS.get(index).copied().unwrap_or(Step::Reaching)
    }
}
