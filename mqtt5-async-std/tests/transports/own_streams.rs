//! Streams of one's own.

use std::future::ready;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_std::net::TcpStream;
use mqtt5_async_std::{ConnectionState, ReconnectPolicy, over};
use mqtt5_testkit::TestBroker;

use crate::support::mosquitto::{Config, Mosquitto};
use crate::support::{soon, until, within_limit};
use crate::traffic::goes_both_ways;

#[tokio::test]
async fn any_stream_will_do() {
    within_limit(async {
        let broker = Arc::new(TestBroker::start().await.unwrap());
        let ours = broker.clone();
        let client = over(move || ready(Ok(ours.open())))
            .reconnect(ReconnectPolicy::fixed(Duration::from_millis(20)));
        let client = soon(client.connect()).await.unwrap();
        broker.drop_connections();
        until(|| matches!(client.state(), ConnectionState::Connected(info) if info.number > 1))
            .await;
        goes_both_ways(client).await;
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
