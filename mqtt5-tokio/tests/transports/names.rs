//! Names that have several addresses, or none.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::Path;

use mqtt5_tokio::{Culprit, Server, Tokio, TransportError};
use mqtt5_transport::{Builder, NoRuntime, Runtime};

use crate::support::mosquitto::{Config, Mosquitto};
use crate::support::{soon, within_limit};
use crate::traffic::{failure, goes_both_ways, transport_error};

/// Tokio, with names that are lists of their addresses.
enum Lists {}

impl Runtime for Lists {
    type Timer = <Tokio as Runtime>::Timer;
    type Tcp = <Tokio as Runtime>::Tcp;
    #[cfg(unix)]
    type Unix = <Tokio as Runtime>::Unix;

    fn spawn(
        driver: impl Future<Output = mqtt5_tokio::CloseReason> + Send + 'static,
    ) -> Result<(), NoRuntime> {
        Tokio::spawn(driver)
    }

    async fn look_up(server: &Server) -> io::Result<Vec<SocketAddr>> {
        let addresses = server.host.split_whitespace();
        Ok(addresses
            .map(|address| SocketAddr::new(address.parse().unwrap(), server.port))
            .collect())
    }

    fn open_tcp(address: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send {
        Tokio::open_tcp(address)
    }

    #[cfg(unix)]
    fn open_unix(path: &Path) -> impl Future<Output = io::Result<Self::Unix>> + Send {
        Tokio::open_unix(path)
    }
}

fn builder(addresses: &str, port: u16) -> Builder<Lists> {
    let host = addresses.to_owned();
    Builder::new(Server { host, port })
}

#[tokio::test]
async fn the_address_at_which_the_server_listens_is_found() {
    within_limit(async {
        let broker = Mosquitto::start(Config::new());
        let port = broker.address().port();
        // The first two are for documentation (RFC 3849, RFC 5737): swallowed, or unreachable.
        let builder = builder("2001:db8::1 192.0.2.1 127.0.0.1", port);
        goes_both_ways(soon(builder.connect()).await.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn a_name_without_an_address() {
    within_limit(async {
        let failure = failure(soon(builder("", 1883).connect()).await.unwrap_err());
        assert_eq!(failure.culprit(), Culprit::Network);
        let error = transport_error(&failure);
        assert!(
            matches!(error, TransportError::NoAddress { host } if host.is_empty()),
            "{error}"
        );
    })
    .await;
}
