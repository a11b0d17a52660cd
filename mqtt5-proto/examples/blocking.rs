//! MQTT over a blocking socket, with no runtime at all: subscribes, publishes, prints what comes back,
//! and leaves.
//!
//! ```sh
//! cargo run -p mqtt5-testkit --example with_broker -- cargo run -p mqtt5-proto --example blocking
//! ```
//!
//! runs it against the test broker; `MQTT_ADDRESS=host:port` against one of yours.

#![allow(
    clippy::print_stdout,
    reason = "it is an example that shows what happens"
)]

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use mqtt5_proto::packet::{ApplicationMessage, Disconnect, PublishReasonCode, Subscription};
use mqtt5_proto::session::{EndReason, Event, InputStatus, Phase, SessionConfig, Transmit};
use mqtt5_proto::{QoS, Session, Topic, TopicFilter};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::var("MQTT_ADDRESS").unwrap_or_else(|_| "localhost:1883".to_owned());
    let mut socket = TcpStream::connect(address)?;
    let start = Instant::now();
    let now = || mqtt5_proto::Instant::from_start(start.elapsed());
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let mut application = Application::default();
    let mut session = Session::new(SessionConfig::default());

    session.handle_opened(now());
    loop {
        let status = session.handle_input(&mut input, now());

        let mut closing = false;
        while let Some(transmit) = session.poll_transmit(&mut output, now()) {
            match transmit {
                Transmit::Buffered => {}
                Transmit::Payload(payload) => output.extend_from_slice(&payload),
                Transmit::Close => {
                    closing = true;
                    break;
                }
            }
        }
        socket.write_all(&output)?;
        session.handle_transmitted(output.split().len(), now());
        if closing {
            close(&mut socket)?;
            session.handle_closed(now());
        }

        if let Some(event) = session.poll_event() {
            // What the application answers is to leave before anything is waited for.
            application.handle(event, &mut session, now())?;
        } else if let InputStatus::NeedMore { .. } = status {
            let wait = session.poll_timeout().map(|at| at.saturating_since(now()));
            match read(&mut socket, &mut input, wait)? {
                Come::Bytes => {}
                Come::Nothing => session.handle_timeout(now()),
                Come::End => session.handle_closed(now()),
            }
        } else if status == InputStatus::Closed {
            return Ok(());
        }
    }
}

/// What the program is for: it wants a message of its own back.
#[derive(Default)]
struct Application {
    received: bool,
    acknowledged: bool,
}

impl Application {
    fn handle(
        &mut self,
        event: Event,
        session: &mut Session,
        now: mqtt5_proto::Instant,
    ) -> Result<(), Box<dyn Error>> {
        match event {
            Event::Connected(_) => {
                session.subscribe(Subscription::new(TopicFilter::new("socks/+")?).into())?;
            }
            Event::Subscribed { verdict, .. } => {
                println!("subscribed: {verdict:?}");
                let message = ApplicationMessage::new(Topic::new("socks/left")?, "found");
                session.publish(message.with_qos(QoS::AtLeastOnce), now)?;
            }
            Event::Message(message) => {
                println!(
                    "received {}: {:?}",
                    message.topic(),
                    message.payload_bytes()
                );
                if let Some(token) = message.token() {
                    session.acknowledge(token, PublishReasonCode::Success)?;
                }
                self.received = true;
            }
            Event::Published { verdict, .. } => {
                println!("published: {verdict:?}");
                self.acknowledged = true;
            }
            Event::Disconnected(end) if end.reason != EndReason::Requested => {
                return Err(end.reason.into());
            }
            _ => {}
        }
        if self.received && self.acknowledged && session.phase() == Phase::Connected {
            session.disconnect(Disconnect::default())?;
        }
        Ok(())
    }
}

enum Come {
    Bytes,
    Nothing,
    End,
}

/// Sleeps until bytes come, or for as long as `wait`.
fn read(socket: &mut TcpStream, input: &mut BytesMut, wait: Option<Duration>) -> io::Result<Come> {
    // To a socket, 0 is for ever.
    socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_millis(1))))?;
    let mut chunk = [0; 4096];
    match socket.read(&mut chunk) {
        Ok(0) => Ok(Come::End),
        Ok(count) => {
            input.extend_from_slice(&chunk[..count]);
            Ok(Come::Bytes)
        }
        // Which of both it is depends on the system.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Ok(Come::Nothing)
        }
        Err(error) => Err(error),
    }
}

/// Lets the DISCONNECT arrive: closing with bytes unread could destroy it on its way.
fn close(socket: &mut TcpStream) -> io::Result<()> {
    socket.shutdown(Shutdown::Write)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    while matches!(socket.read(&mut [0; 4096]), Ok(1..)) {}
    Ok(())
}
