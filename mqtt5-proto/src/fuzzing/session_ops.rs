//! Any operations of an application, a transport, a clock and a server, in any order.

use alloc::vec::Vec;
use core::time::Duration;

use super::choices::Choices;
use super::client::Client;
use super::{application, server};
use crate::codec::Utf8String;
use crate::packet::{AckProperties, PublishReasonCode};

/// Decodes `data` to operations on a session and carries them out: every operation gets one
/// verdict, the client sends nothing that is not legal, no Packet Identifier is used twice, no
/// limit and no budget is exceeded, and in the end nothing is held.
pub fn session_ops(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut run = Run {
        client: Client::new(application::config(&mut choices)),
        number: 0,
        down: Vec::new(),
        sent: Vec::new(),
    };
    while !choices.is_empty() {
        run.step(&mut choices);
        run.client.check();
    }
    run.client.finish();
}

struct Run {
    client: Client,
    /// The number of the last message.
    number: u32,
    /// Sent by the server, not arrived.
    down: Vec<u8>,
    sent: Vec<u8>,
}

impl Run {
    fn step(&mut self, choices: &mut Choices<'_>) {
        let operation = choices.byte();
        match operation & 0x1F {
            0..=3 => self.publish(choices),
            4 => self.client.subscribe(application::subscribe(choices)),
            5 => self.client.unsubscribe(application::unsubscribe(choices)),
            6..=8 => self.acknowledge(choices),
            9 => drop(
                self.client
                    .session
                    .disconnect(application::disconnect(choices)),
            ),
            10 => {
                let data = application::authentication_data(choices);
                drop(self.client.session.authenticate(data));
            }
            11..=12 => self.poll(),
            13 => self.client.transmit(u64::MAX),
            14 => self.client.transmit(choices.byte().into()),
            15 => self.wait(choices),
            16 => self.close(),
            17 => self.open(),
            18 => self.connect(choices),
            19 => server::connack(choices, &mut self.down),
            20..=22 => server::answer(self.client.wire.uses(), choices, &mut self.down),
            23..=24 => server::publish(choices, &mut self.down),
            25 => server::pubrel(choices, &mut self.down),
            26 => server::other(choices, &mut self.down),
            27 => {
                let count = choices.below(16);
                self.down.extend_from_slice(choices.bytes(count));
            }
            28 => self.deliver(choices.byte().into()),
            29 => self.deliver(usize::MAX),
            30 => self.client.take_events(),
            _ => self.rare(choices),
        }
        // So that a short input can say much.
        if operation & 0x20 != 0 {
            self.deliver(usize::MAX);
        }
        if operation & 0x40 != 0 {
            self.poll();
        }
        if operation & 0x80 != 0 {
            self.client.transmit(u64::MAX);
        }
        if self.client.asked_to_close() && self.client.wire.held() == 0 {
            self.close();
        }
    }

    fn publish(&mut self, choices: &mut Choices<'_>) {
        self.number += 1;
        let message = application::message(self.number, choices);
        self.client.publish(self.number, message);
    }

    fn acknowledge(&mut self, choices: &mut Choices<'_>) {
        let [which, how] = [choices.byte(), choices.byte()];
        let tokens = &self.client.tokens;
        let Some(token) = tokens.get(usize::from(which) % tokens.len().max(1)) else {
            return;
        };
        let codes = PublishReasonCode::ALL;
        let code = codes[usize::from(how & 0x7F).saturating_sub(100) % codes.len()];
        let session = &mut self.client.session;
        // Those of before may have had their answer, or their session is gone.
        let _ = if how & 0x80 == 0 {
            session.acknowledge(*token, code)
        } else {
            let properties = AckProperties {
                reason_string: Utf8String::from_static("a reason that may be too long").ok(),
                user_properties: Vec::new(),
            };
            session.acknowledge_with(*token, code, properties)
        };
    }

    fn poll(&mut self) {
        self.sent.clear();
        self.client.poll(&mut self.sent);
    }

    fn wait(&mut self, choices: &mut Choices<'_>) {
        let time = choices.byte();
        self.client.wait(if time & 0x80 == 0 {
            Duration::from_millis(u64::from(time) * 10)
        } else {
            Duration::from_secs(u64::from(time & 0x7F))
        });
    }

    fn open(&mut self) {
        self.down.clear();
        self.client.open();
    }

    fn close(&mut self) {
        self.down.clear();
        self.client.close();
    }

    /// Opens a connection up to its CONNACK at once.
    fn connect(&mut self, choices: &mut Choices<'_>) {
        self.open();
        self.poll();
        self.client.transmit(u64::MAX);
        server::connack(choices, &mut self.down);
        self.deliver(usize::MAX);
    }

    fn deliver(&mut self, count: usize) {
        let count = count.min(self.down.len());
        self.client.give(&self.down[..count]);
        self.down.drain(..count);
    }

    fn rare(&mut self, choices: &mut Choices<'_>) {
        let now = self.client.now;
        let client = &mut self.client;
        match choices.below(8) {
            0 => client.session.handle_input_paused(now),
            1 => client.session.handle_input_resumed(now),
            2 => client.session.start_clean(),
            3 => client.abandon(),
            4 => client.session.config_mut().queue_qos0 ^= true,
            5 => {
                let id = Utf8String::from_static(choices.one_of(&["c", "d"]));
                client.session.config_mut().client_id = id.unwrap_or_default();
            }
            6 => client.session.config_mut().session_expiry_interval ^= 300,
            _ => client.session.config_mut().outbound_messages += 1,
        }
    }
}
