//! A broker that costs as little as can be, so that the client is what is measured: it keeps
//! nothing, routes nothing, and answers all packets of one read by one write.
//!
//! Prints the port on which it listens, and ends when its standard input does.

#![allow(
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    reason = "the port is its output, and lengths are small"
)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use benches::clients::wire;

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A client that goes away is no fault.
                let _ = Connection::new(stream).serve();
            });
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    /// How much of `input` is filled.
    filled: usize,
    out: Vec<u8>,
    receive_maximum: usize,
    flood: Option<Flood>,
}

/// What is sent to a subscriber.
struct Flood {
    packet: Vec<u8>,
    id_at: usize,
    qos: u8,
    left: usize,
    in_flight: usize,
    next_id: u16,
}

/// How much is put together for one write.
const CHUNK: usize = 128 << 10;

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: vec![0; 1 << 20],
            filled: 0,
            out: Vec::with_capacity(2 * CHUNK),
            receive_maximum: 0,
            flood: None,
        }
    }

    fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            let read = self.stream.read(&mut self.input[self.filled..])?;
            if read == 0 {
                return Ok(());
            }
            self.filled += read;
            self.answer();
            self.send()?;
            while self.flood() {
                self.send()?;
            }
            self.send()?;
        }
    }

    fn send(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }

    /// Answers all that is whole.
    fn answer(&mut self) {
        let mut at = 0;
        while let Some((start, size)) = wire::cut(&self.input[at..self.filled]) {
            let packet = &self.input[at..at + size];
            let body = &packet[start..];
            match packet[0] >> 4 {
                1 => {
                    self.receive_maximum = usize::from(wire::receive_maximum(packet));
                    // Assigned Client Identifier, in case none came.
                    self.out
                        .extend_from_slice(b"\x20\x0A\x00\x00\x07\x12\x00\x04null");
                }
                3 => publish(packet[0], body, &mut self.out),
                4 => {
                    if let Some(flood) = &mut self.flood {
                        flood.in_flight -= 1;
                    }
                }
                6 => self.out.extend_from_slice(&[0x70, 2, body[0], body[1]]),
                8 => {
                    self.out.extend_from_slice(&[
                        0x90,
                        4,
                        body[0],
                        body[1],
                        0,
                        body[size - start - 1],
                    ]);
                    self.flood = Flood::new(body);
                }
                12 => self.out.extend_from_slice(&[0xD0, 0]),
                _ => {}
            }
            at += size;
        }
        self.input.copy_within(at..self.filled, 0);
        self.filled -= at;
    }

    /// Puts together what the subscriber gets next. Whether there is more that it can take.
    fn flood(&mut self) -> bool {
        let Some(flood) = &mut self.flood else {
            return false;
        };
        while flood.left > 0 && self.out.len() < CHUNK {
            if flood.qos > 0 {
                if flood.in_flight == self.receive_maximum {
                    return false;
                }
                flood.in_flight += 1;
                flood.next_id = flood.next_id.checked_add(1).unwrap_or(1);
                let id = flood.next_id.to_be_bytes();
                flood.packet[flood.id_at..flood.id_at + 2].copy_from_slice(&id);
            }
            flood.left -= 1;
            self.out.extend_from_slice(&flood.packet);
        }
        flood.left > 0
    }
}

fn publish(first: u8, body: &[u8], out: &mut Vec<u8>) {
    let answer = match first >> 1 & 3 {
        1 => 0x40,
        2 => 0x50,
        _ => return,
    };
    let id_at = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
    out.extend_from_slice(&[answer, 2, body[id_at], body[id_at + 1]]);
}

impl Flood {
    /// From the body of a SUBSCRIBE of one filter; its Subscription Identifier, if it has one, goes
    /// into the messages.
    fn new(body: &[u8]) -> Option<Self> {
        let section = usize::from(body[2]);
        let identifier = &body[3..3 + section];
        let filter = &body[5 + section..body.len() - 1];
        let (qos, size, left) = wire::parse_flood(core::str::from_utf8(filter).ok()?)?;
        let topic = core::str::from_utf8(filter).ok()?;
        let (packet, id_at) = wire::publish_with(topic, qos, identifier, size);
        Some(Self {
            packet,
            id_at,
            qos,
            left,
            in_flight: 0,
            next_id: 0,
        })
    }
}
