//! MQTT in the super-loop of a small device: one turn after the other, none of which waits.
//!
//! ```sh
//! cargo run -p mqtt5-testkit --example with_broker -- cargo run -p mqtt5-proto --example super_loop
//! ```
//!
//! runs it against the test broker; `MQTT_ADDRESS=host:port` against one of yours.
//!
//! [`Device`] is the firmware. It needs `core`, `alloc` and a [`Board`], and no `std`; with
//! `default-features = false`, neither does the core. [`desk`] stands in for the hardware, so that
//! it can be run without any.

#![allow(
    clippy::print_stdout,
    reason = "it is an example that shows what happens"
)]

use core::time::Duration;

use bytes::{Buf, BytesMut};
use mqtt5_proto::packet::{ApplicationMessage, PublishReasonCode, Subscription};
use mqtt5_proto::session::{Event, Message, SessionConfig, Transmit};
use mqtt5_proto::{Instant, QoS, Session, Topic, TopicFilter};

/// What the firmware needs of its board.
trait Board {
    /// Milliseconds since it was switched on.
    fn millis(&self) -> u64;

    /// Whether the modem has a connection to the server. If not, it tries to get one. When one has
    /// ended, it says so before it speaks of the next.
    fn is_linked(&mut self) -> bool;

    /// Takes what the modem has received. Returns how much that was; often nothing.
    fn receive(&mut self, buffer: &mut [u8]) -> usize;

    /// Gives bytes to the modem. Returns how many it had room for.
    fn send(&mut self, bytes: &[u8]) -> usize;

    /// Has the modem end the connection.
    fn hang_up(&mut self);

    /// Whether the button was pressed since this was last asked.
    fn was_pressed(&mut self) -> bool;

    fn set_led(&mut self, on: bool);
}

/// A lamp that anybody can switch, by a message or at its button.
struct Device {
    session: Session,
    linked: bool,
    lit: bool,
    input: BytesMut,
    output: BytesMut,
}

const TOPIC: &str = "desk/lamp";

impl Device {
    fn new() -> Self {
        let config = SessionConfig {
            keep_alive: 30,
            // Memory is scarce: what the device holds at most.
            outbound_messages: 8,
            outbound_bytes: 1024,
            ..SessionConfig::default()
        };
        Self {
            session: Session::new(config),
            linked: false,
            lit: false,
            input: BytesMut::with_capacity(256),
            output: BytesMut::with_capacity(256),
        }
    }

    /// One turn of the loop.
    fn turn(&mut self, board: &mut impl Board) {
        let now = Instant::from_start(Duration::from_millis(board.millis()));
        self.follow_link(board, now);
        self.receive(board, now);
        if self.session.poll_timeout().is_some_and(|due| due <= now) {
            self.session.handle_timeout(now);
        }
        while let Some(event) = self.session.poll_event() {
            self.heed(event, board);
        }
        if board.was_pressed() {
            self.ask_for(!self.lit, now);
        }
        self.send(board, now);
    }

    /// Connections come and go; the session stays.
    fn follow_link(&mut self, board: &mut impl Board, now: Instant) {
        let linked = board.is_linked();
        if linked == self.linked {
            return;
        }
        self.linked = linked;
        self.input.clear();
        self.output.clear();
        if linked {
            self.session.handle_opened(now);
        } else {
            self.session.handle_closed(now);
        }
    }

    fn receive(&mut self, board: &mut impl Board, now: Instant) {
        let mut chunk = [0; 64];
        let count = board.receive(&mut chunk);
        self.input.extend_from_slice(&chunk[..count]);
        // What it leaves in the buffer, it takes in a later turn.
        self.session.handle_input(&mut self.input, now);
    }

    fn heed(&mut self, event: Event, board: &mut impl Board) {
        match event {
            // A server that still has the session has its subscription too.
            Event::Connected(connected) if !connected.session_present => self.subscribe(),
            Event::Message(message) => self.switch(&message, board),
            _ => {}
        }
    }

    fn subscribe(&mut self) {
        if let Ok(filter) = TopicFilter::new(TOPIC) {
            // Refused only if the queue is full, which it is not on a new connection.
            let _ = self.session.subscribe(Subscription::new(filter).into());
        }
    }

    fn switch(&mut self, message: &Message, board: &mut impl Board) {
        self.lit = message.payload() == b"on";
        board.set_led(self.lit);
        if let Some(token) = message.token() {
            // Fails only for a session that the server has lost, and then nobody waits for it.
            let _ = self.session.acknowledge(token, PublishReasonCode::Success);
        }
    }

    /// The lamp obeys messages alone, so that all who watch the topic see the same.
    fn ask_for(&mut self, lit: bool, now: Instant) {
        if let Ok(topic) = Topic::new(TOPIC) {
            let payload = if lit { "on" } else { "off" };
            let message = ApplicationMessage::new(topic, payload).with_qos(QoS::AtLeastOnce);
            // Without a connection it waits for the next; with a full queue, the press is lost.
            let _ = self.session.publish(message, now);
        }
    }

    fn send(&mut self, board: &mut impl Board, now: Instant) {
        let mut closing = false;
        while let Some(transmit) = self.session.poll_transmit(&mut self.output, now) {
            match transmit {
                Transmit::Buffered => {}
                Transmit::Payload(payload) => self.output.extend_from_slice(&payload),
                Transmit::Close => {
                    closing = true;
                    break;
                }
            }
        }
        let taken = board.send(&self.output);
        self.output.advance(taken);
        self.session.handle_transmitted(taken, now);
        if closing && self.output.is_empty() {
            board.hang_up();
        }
    }
}

fn main() {
    let mut board = desk::Desk::new();
    let mut device = Device::new();
    // On a real board this is `loop`.
    while !board.has_seen_enough() {
        device.turn(&mut board);
    }
}

/// A board that exists only on the desk: its modem is a socket, its lamp the terminal.
mod desk {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;
    use std::time::Instant;

    use super::Board;

    pub(super) struct Desk {
        address: String,
        start: Instant,
        modem: Option<TcpStream>,
        has_ended: bool,
        /// How often the button was pressed, and how often the lamp followed.
        presses: u32,
        switched: u32,
    }

    impl Desk {
        pub(super) fn new() -> Self {
            let address = std::env::var("MQTT_ADDRESS");
            Self {
                address: address.unwrap_or_else(|_| "localhost:1883".to_owned()),
                start: Instant::now(),
                modem: None,
                has_ended: false,
                presses: 0,
                switched: 0,
            }
        }

        pub(super) fn has_seen_enough(&self) -> bool {
            self.switched == 4
        }
    }

    impl Board for Desk {
        fn millis(&self) -> u64 {
            self.start
                .elapsed()
                .as_millis()
                .try_into()
                .unwrap_or(u64::MAX)
        }

        fn is_linked(&mut self) -> bool {
            if !std::mem::take(&mut self.has_ended) && self.modem.is_none() {
                let modem = TcpStream::connect(&self.address);
                self.modem = modem
                    .ok()
                    .filter(|modem| modem.set_nonblocking(true).is_ok());
            }
            self.modem.is_some()
        }

        fn receive(&mut self, buffer: &mut [u8]) -> usize {
            // Instead of sleeping until an interrupt.
            thread::yield_now();
            match self.modem.as_mut().map(|modem| modem.read(buffer)) {
                Some(Ok(0)) => {
                    self.hang_up();
                    0
                }
                Some(Ok(count)) => count,
                _ => 0,
            }
        }

        fn send(&mut self, bytes: &[u8]) -> usize {
            match self.modem.as_mut().map(|modem| modem.write(bytes)) {
                Some(Ok(count)) => count,
                _ => 0,
            }
        }

        fn hang_up(&mut self) {
            self.modem = None;
            self.has_ended = true;
        }

        /// Somebody presses as soon as the lamp has followed.
        fn was_pressed(&mut self) -> bool {
            let presses = self.presses == self.switched;
            self.presses += u32::from(presses);
            presses
        }

        fn set_led(&mut self, on: bool) {
            println!("the lamp is {}", if on { "on" } else { "off" });
            self.switched += 1;
            if self.switched == 2 {
                println!("somebody trips over the cable");
                self.hang_up();
            }
        }
    }
}
