//! What is async-std's own under the client: that no other runtime is there, and its timer.

// A helper of a test that cannot do its work has no better way to fail it than to panic.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

#[path = "../../mqtt5-tokio/tests/support/mod.rs"]
mod support;

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use async_std::task;
use mqtt5_async_std::bytes::BytesMut;
use mqtt5_async_std::proto::Instant;
use mqtt5_async_std::{AsyncStdTimer, NetworkConnect, Route, RouteOptions, builder, connect};
use mqtt5_client::{Clock, Connect, Timer, Transport};
use mqtt5_transport::Url;

/// Runs a test to its end, or fails it.
fn run(test: impl Future<Output = ()>) {
    let limited = async_std::future::timeout(Duration::from_secs(30), test);
    task::block_on(limited).expect("the test did not end");
}

/// Says CONNACK (no properties) to each connection, and reads it to its end.
fn serve(connections: usize) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            let mut connect = [0; 1024];
            assert!(stream.read(&mut connect).unwrap() > 0);
            assert_eq!(connect[0], 0x10);
            stream.write_all(b"\x20\x03\x00\x00\x00").unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            // One DISCONNECT, whatever its properties.
            assert_eq!(rest[0], 0xE0);
            assert_eq!(usize::from(rest[1]) + 2, rest.len(), "{rest:?}");
        }
    });
    (url, server)
}

#[test]
fn no_other_runtime_is_needed() {
    let (url, server) = serve(2);
    run(async {
        let client = connect(&url).await.unwrap();
        client.disconnect().await.unwrap();
    });
    // Nor any at all to begin.
    let client = builder(&url).unwrap().start().unwrap();
    run(async {
        client.connected().await.unwrap();
        client.disconnect().await.unwrap();
    });
    server.join().unwrap();
}

/// Reads to the end, and only then answers.
fn answer_after_the_end(mut stream: impl Read + Write) {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    stream.write_all(&all).unwrap();
}

/// What a transport reads after it was closed.
async fn close_and_read(url: &str) -> BytesMut {
    let address = Url::parse(url).unwrap().address;
    let route = Route::new(address, RouteOptions::default()).unwrap();
    let mut transport = NetworkConnect::new(route).connect().await.unwrap();
    let written = poll_fn(|cx| transport.poll_write(cx, b"bye")).await;
    assert_eq!(written.unwrap(), 3);
    poll_fn(|cx| transport.poll_close(cx)).await.unwrap();
    let mut buffer = BytesMut::with_capacity(16);
    while poll_fn(|cx| transport.poll_read(cx, &mut buffer))
        .await
        .unwrap()
        > 0
    {}
    buffer
}

#[test]
fn closing_shuts_down_writing_and_reading_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || answer_after_the_end(listener.accept().unwrap().0));
    run(async { assert_eq!(close_and_read(&url).await, b"bye"[..]) });
    server.join().unwrap();
}

#[cfg(unix)]
#[test]
fn closing_a_unix_socket_does_so_too() {
    let directory = support::mosquitto::Directory::create();
    let path = directory.file("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || answer_after_the_end(listener.accept().unwrap().0));
    let url = format!("unix:{}", path.display());
    run(async { assert_eq!(close_and_read(&url).await, b"bye"[..]) });
    server.join().unwrap();
}

#[test]
fn the_alarm_goes_off_when_its_time_has_come_and_not_before() {
    let mut timer = AsyncStdTimer::new();
    let clock = timer.clock();
    for millis in [0, 1, 20] {
        let at = clock.now() + Duration::from_millis(millis);
        timer.reset(Some(at));
        task::block_on(poll_fn(|cx| timer.poll_expired(cx)));
        assert!(clock.now() >= at);
    }
}

#[test]
fn an_alarm_that_was_taken_back_or_lies_beyond_all_time_stays_silent() {
    let mut timer = AsyncStdTimer::new();
    let soon = timer.clock().now() + Duration::from_millis(1);
    for never in [None, Some(Instant::from_start(Duration::MAX))] {
        timer.reset(Some(soon));
        timer.reset(never);
        // It is another alarm, set later, that tells when the first would have gone off.
        let mut later = AsyncStdTimer::new();
        later.reset(Some(later.clock().now() + Duration::from_millis(20)));
        task::block_on(poll_fn(|cx| {
            assert!(timer.poll_expired(cx).is_pending());
            later.poll_expired(cx)
        }));
        assert!(timer.clock().now() > soon);
    }
}
