//! The client on a runtime for which there is no adapter: smol.
//!
//! ```sh
//! cargo run -p mqtt5-testkit --example with_broker -- cargo run -p mqtt5-client --example smol
//! ```
//!
//! runs it against the test broker; `MQTT_ADDRESS=host:port` against one of yours. All that smol has
//! to bring is here: a [`Connect`] that opens a stream, a [`Transport`] over it, a [`Timer`] with its
//! [`Clock`], and a call to spawn the driver.

#![allow(
    clippy::print_stdout,
    reason = "it is an example that shows what happens"
)]

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use mqtt5_client::bytes::BytesMut;
use mqtt5_client::proto::Instant;
use mqtt5_client::{Client, ClientOptions, Clock, Connect, QoS, Timer, Transport};
use smol::io::{AsyncRead, AsyncWrite};
use smol::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("MQTT_ADDRESS").unwrap_or_else(|_| "localhost:1883".to_owned());
    smol::block_on(async {
        let connect = ToAddress { address };
        let options = ClientOptions::new().client_id("smol");
        let (client, driver) = Client::new(options, connect, SmolTimer::new())?;
        smol::spawn(driver).detach();
        client.connected().await?;

        let mut socks = client.subscribe("socks/+/status").await?;
        for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
            let verdict = client
                .publish("socks/right/status", "missing")
                .qos(qos)
                .await?;
            println!("published at {qos:?}: {verdict:?}");
            let message = socks.next().await.ok_or("the stream has ended")?;
            println!("received {} at {:?}", message.topic(), message.qos());
        }
        client.disconnect().await?;
        Ok(())
    })
}

/// Opens a TCP stream for each connection.
struct ToAddress {
    address: String,
}

impl Connect for ToAddress {
    type Transport = SmolStream;
    type Future = Pin<Box<dyn Future<Output = io::Result<SmolStream>> + Send>>;

    fn connect(&mut self) -> Self::Future {
        let address = self.address.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            // Acknowledgements are small, and are not to wait for one another.
            stream.set_nodelay(true)?;
            Ok(SmolStream(stream))
        })
    }
}

struct SmolStream(TcpStream);

impl Transport for SmolStream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        // Safe Rust reads into memory that has been written before.
        let mut read = [0; 4096];
        let room = read.len().min(buffer.capacity() - buffer.len());
        let read = read.get_mut(..room).unwrap_or_default();
        let count = ready!(Pin::new(&mut self.0).poll_read(cx, read))?;
        buffer.extend_from_slice(read.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Time since the client was made.
#[derive(Clone, Copy)]
struct SinceStart(std::time::Instant);

impl Clock for SinceStart {
    fn now(&self) -> Instant {
        Instant::from_start(self.0.elapsed())
    }
}

struct SmolTimer {
    clock: SinceStart,
    alarm: smol::Timer,
}

impl SmolTimer {
    fn new() -> Self {
        Self {
            clock: SinceStart(std::time::Instant::now()),
            alarm: smol::Timer::never(),
        }
    }
}

impl Timer for SmolTimer {
    type Clock = SinceStart;

    fn clock(&self) -> SinceStart {
        self.clock
    }

    fn reset(&mut self, at: Option<Instant>) {
        match at.and_then(|at| self.clock.0.checked_add(at.since_start())) {
            Some(at) => self.alarm.set_at(at),
            None => self.alarm = smol::Timer::never(),
        }
    }

    fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.alarm).poll(cx).map(drop)
    }
}
