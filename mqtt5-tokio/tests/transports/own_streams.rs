//! Streams of one's own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mqtt5_tokio::{ConnectionState, ReconnectPolicy, over};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;

use crate::support::mosquitto::{Config, Mosquitto};
use crate::support::{soon, until, within_limit};
use crate::traffic::goes_both_ways;

#[tokio::test]
async fn any_stream_will_do() {
    within_limit(async {
        let broker = Mosquitto::start(Config::new());
        let address = broker.address();
        let client = over(move || async move {
            let mut server = TcpStream::connect(address).await?;
            let (near, mut far) = tokio::io::duplex(4096);
            tokio::spawn(async move { copy_bidirectional(&mut far, &mut server).await });
            Ok(near)
        });
        goes_both_ways(soon(client.connect()).await.unwrap()).await;
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_opened_anew_for_every_connection() {
    within_limit(async {
        let mut broker = Mosquitto::start(Config::new());
        let address = broker.address();
        let opened = Arc::new(AtomicUsize::new(0));
        let counter = opened.clone();
        let client = over(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            TcpStream::connect(address)
        })
        .reconnect(ReconnectPolicy::fixed(Duration::from_millis(20)));
        let client = soon(client.connect()).await.unwrap();
        assert_eq!(opened.load(Ordering::Relaxed), 1);
        broker.restart();
        until(|| matches!(client.state(), ConnectionState::Connected(info) if info.number > 1))
            .await;
        assert!(opened.load(Ordering::Relaxed) > 1);
    })
    .await;
}

#[tokio::test]
async fn an_error_of_the_function_is_told_as_it_is() {
    within_limit(async {
        let client = over(|| async { Err::<TcpStream, _>(io::Error::other("no carrier")) });
        let error = soon(client.connect()).await.unwrap_err();
        assert_eq!(error.to_string(), "no carrier");
    })
    .await;
}
