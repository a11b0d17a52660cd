//! Plays a case against a client.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::case::{Action, Case, Step};
use crate::client::{Answer, Broken, Client, Heard, Tells, Told};
use crate::instruction::{self, Arguments, Instruction, Verb};
use crate::limits::Limits;
use crate::pattern::{Captures, Pattern};
use crate::wire::{Framer, Reader, check_from_client};

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed {
        /// How many steps were not judged because the client does not tell of such things.
        not_observable: usize,
    },
    /// Otherwise.
    Failed {
        /// The step that did not come true.
        step: String,
        /// The number of its line.
        line: usize,
        /// What happened instead.
        why: String,
    },
    /// The case does not apply: the client has no way to do this.
    Unsupported {
        /// What it cannot do, in its own words.
        what: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { not_observable: 0 } => f.write_str("passed"),
            Self::Passed { not_observable } => {
                write!(f, "passed; {not_observable} not observable")
            }
            Self::Failed { step, line, why } => write!(f, "line {line}, {step}: {why}"),
            Self::Unsupported { what } => write!(f, "does not apply: {what}"),
        }
    }
}

/// Plays `case` against `client`, which is new.
pub fn run(case: &Case, client: &mut impl Client) -> Outcome {
    let mut run = Run {
        tells: client.tells(),
        client,
        passes_over_pings: !case.tells_of_pings(),
        wire: Wire::default(),
        captures: Captures::new(),
        awaits_connected: false,
        delivered: VecDeque::new(),
        verdicts: Vec::new(),
        not_observable: 0,
    };
    for step in &case.steps {
        match run.step(step) {
            Ok(()) => {}
            Err(Stop::Failed(why)) => return failed(step, why),
            Err(Stop::Unsupported(what)) => return Outcome::Unsupported { what },
        }
    }
    if let Err(Stop::Failed(why)) = run.finish()
        && let Some(last) = case.steps.last()
    {
        return failed(last, format!("after it: {why}"));
    }
    Outcome::Passed {
        not_observable: run.not_observable,
    }
}

fn failed(step: &Step, why: String) -> Outcome {
    Outcome::Failed {
        step: step.text.clone(),
        line: step.line,
        why,
    }
}

/// Why a case does not go on.
enum Stop {
    Failed(String),
    Unsupported(String),
}

impl From<Broken> for Stop {
    fn from(Broken(why): Broken) -> Self {
        Self::Failed(format!("the client is gone: {why}"))
    }
}

impl From<String> for Stop {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

/// What was heard of the connection and not been expected yet.
#[derive(Default)]
struct Wire {
    open: bool,
    /// A CONNACK with success was sent on it, with these limits.
    accepted: Option<Limits>,
    had_connect: bool,
    framer: Framer,
    packets: VecDeque<Vec<u8>>,
    /// What may come before the next that is expected.
    optional: Vec<Pattern>,
    /// The client may close it at the end of the case.
    may_close: bool,
    /// The client closed it; told after the packets.
    closed: bool,
    /// The session was to end with the connection, so that a DISCONNECT cannot keep it.
    ends_session: bool,
}

/// What comes next from the client.
enum Next {
    Packet(Vec<u8>),
    Closed,
    Nothing,
}

struct Run<'a, C> {
    client: &'a mut C,
    tells: Tells,
    passes_over_pings: bool,
    wire: Wire,
    captures: Captures,
    awaits_connected: bool,
    delivered: VecDeque<Arguments>,
    verdicts: Vec<(String, String)>,
    not_observable: usize,
}

impl<C: Client> Run<'_, C> {
    fn step(&mut self, step: &Step) -> Result<(), Stop> {
        match &step.action {
            Action::Do(instruction) => self.instruct(instruction),
            Action::Send { packets, bytewise } => self.send(packets, *bytewise),
            Action::Expect { packets, within } => self.expect(packets, *within),
            Action::May(packet) => {
                self.wire.optional.push(packet.clone());
                Ok(())
            }
            Action::MayClose => {
                self.wire.may_close = true;
                Ok(())
            }
            Action::ExpectClosed { within, pings } => self.expect_closed(*within, *pings),
            Action::ExpectNothing { lasting } => self.expect_nothing(*lasting),
            Action::Wait(time) => {
                self.client.wait(*time);
                Ok(())
            }
            Action::Cut => {
                self.client.cut();
                self.wire = Wire::default();
                Ok(())
            }
            Action::Delivered(wanted) => self.expect_delivery(wanted),
            Action::DeliveredNothing => self.expect_no_delivery(),
            Action::Verdict { name, words } => self.expect_verdict(name, words),
        }
    }

    /// A case ends with silence.
    fn finish(&mut self) -> Result<(), Stop> {
        if !self.wire.open {
            return Ok(());
        }
        let result = self.expect_nothing(Duration::ZERO);
        if self.wire.closed && self.wire.may_close {
            return Ok(());
        }
        result
    }

    fn patience(&self, within: Option<Duration>) -> Duration {
        self.client.now() + within.unwrap_or_default() + self.client.pace().patience
    }

    // --- to the client ------------------------------------------------------

    fn instruct(&mut self, instruction: &Instruction) -> Result<(), Stop> {
        let begins = matches!(instruction.verb, Verb::Connect | Verb::Reconnect);
        if !begins {
            self.await_connected()?;
        }
        match self.client.instruct(instruction)? {
            Answer::Done => {}
            Answer::Refused => {
                if let Some(name) = &instruction.name {
                    self.verdicts.push((name.clone(), "not-sent".to_owned()));
                }
            }
            Answer::Unsupported(what) => return Err(Stop::Unsupported(what)),
        }
        Ok(())
    }

    /// A client that has not read its CONNACK yet may refuse what it would do a moment later.
    fn await_connected(&mut self) -> Result<(), Stop> {
        let deadline = self.patience(None);
        while self.awaits_connected && self.hear(deadline)? {}
        self.awaits_connected = false;
        Ok(())
    }

    fn send(&mut self, packets: &[Pattern], bytewise: bool) -> Result<(), Stop> {
        let mut bytes = Vec::new();
        for packet in packets {
            let packet = packet.build(&self.captures);
            if packet.first() == Some(&0x20) && packet.get(3) == Some(&0) {
                self.wire.accepted = Some(Limits::of_connack(&packet));
                self.awaits_connected = true;
            }
            bytes.extend(packet);
        }
        if bytewise {
            for byte in bytes {
                self.client.write(&[byte])?;
            }
        } else {
            self.client.write(&bytes)?;
        }
        Ok(())
    }

    // --- from its connection ------------------------------------------------

    fn next(&mut self, deadline: Duration) -> Result<Next, Stop> {
        loop {
            while let Some(packet) = self.wire.packets.pop_front() {
                if packet == [0xC0, 0x00] && self.passes_over_pings && self.wire.accepted.is_some()
                {
                    self.client.write(&[0xD0, 0x00])?;
                } else if !self.is_optional(&packet) {
                    return Ok(Next::Packet(packet));
                }
            }
            if self.wire.closed {
                return Ok(Next::Closed);
            }
            match self.client.listen(deadline)? {
                Heard::Opened => {
                    self.wire = Wire {
                        open: true,
                        ..Wire::default()
                    };
                }
                Heard::Bytes(bytes) => self.take_bytes(&bytes)?,
                Heard::Closed => {
                    self.wire.closed = true;
                    if !self.wire.framer.left().is_empty() {
                        let left = hex(self.wire.framer.left());
                        return Err(Stop::Failed(format!("closed inside of a packet: {left}")));
                    }
                }
                Heard::Nothing => return Ok(Next::Nothing),
            }
        }
    }

    /// Every packet is checked by itself and by the server's limits, whatever the case is about.
    fn take_bytes(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.wire.framer.push(bytes);
        while let Some(packet) = self.wire.framer.next()? {
            let limits = self.wire.accepted.as_ref();
            check_from_client(&packet)
                .and_then(|()| limits.map_or(Ok(()), |limits| limits.check(&packet)))
                .map_err(|fault| format!("the client sent {}: {fault}", hex(&packet)))?;
            let is_connect = packet.first() == Some(&0x10);
            if is_connect == self.wire.had_connect {
                let fault = "a connection begins with one CONNECT";
                return Err(Stop::Failed(format!(
                    "the client sent {}: {fault}",
                    hex(&packet)
                )));
            }
            if is_connect {
                self.wire.ends_session = session_expiry(&packet).is_none_or(is_zero);
            } else if packet.first() == Some(&0xE0)
                && self.wire.ends_session
                && !session_expiry(&packet).is_none_or(is_zero)
            {
                let fault = "the session was to end with the connection (section 3.14.2.2.2)";
                return Err(Stop::Failed(format!(
                    "the client sent {}: {fault}",
                    hex(&packet)
                )));
            }
            self.wire.had_connect = true;
            self.wire.packets.push_back(packet);
        }
        Ok(())
    }

    fn expect(&mut self, packets: &[Pattern], within: Option<Duration>) -> Result<(), Stop> {
        let deadline = self.patience(within);
        let mut open: Vec<&Pattern> = packets.iter().collect();
        while !open.is_empty() {
            let packet = match self.next(deadline)? {
                Next::Packet(packet) => packet,
                Next::Closed => return Err(Stop::Failed("the client closed".to_owned())),
                Next::Nothing => return Err(Stop::Failed("nothing came".to_owned())),
            };
            let mut mismatch = String::new();
            let found = open.iter().position(|wanted| {
                let matched = wanted.matches(&packet, &mut self.captures);
                matched.map_err(|why| mismatch = why).is_ok()
            });
            let Some(found) = found else {
                let packet = hex(&packet);
                return Err(Stop::Failed(format!(
                    "the client sent {packet}; {mismatch}"
                )));
            };
            open.remove(found);
        }
        self.wire.optional.clear();
        Ok(())
    }

    /// Whether the packet is one that may come. Those before it do not come any more.
    fn is_optional(&mut self, packet: &[u8]) -> bool {
        let Self { wire, captures, .. } = self;
        let mut optional = wire.optional.iter();
        let found = optional.position(|wanted| wanted.matches(packet, captures).is_ok());
        if let Some(found) = found {
            wire.optional.drain(..=found);
        }
        found.is_some()
    }

    fn expect_closed(&mut self, within: Option<Duration>, pings: bool) -> Result<(), Stop> {
        let deadline = self.patience(within);
        let next = loop {
            match self.next(deadline)? {
                Next::Packet(packet) if pings && packet == [0xC0, 0x00] => {}
                next => break next,
            }
        };
        match next {
            Next::Closed => {
                self.wire = Wire::default();
                Ok(())
            }
            Next::Packet(packet) => Err(format!("the client sent {}", hex(&packet)).into()),
            Next::Nothing => Err(Stop::Failed("the connection stays open".to_owned())),
        }
    }

    fn expect_nothing(&mut self, lasting: Duration) -> Result<(), Stop> {
        let deadline = self.client.now() + lasting.max(self.client.pace().silence);
        match self.next(deadline)? {
            Next::Nothing => Ok(()),
            Next::Packet(packet) => Err(format!("the client sent {}", hex(&packet)).into()),
            Next::Closed => Err(Stop::Failed("the client closed".to_owned())),
        }
    }

    // --- what it tells ------------------------------------------------------

    /// Takes what the client tells next; false if there is nothing until the deadline.
    fn hear(&mut self, deadline: Duration) -> Result<bool, Stop> {
        match self.client.told(deadline)? {
            None => return Ok(false),
            Some(Told::Connected) => self.awaits_connected = false,
            Some(Told::Delivered(message)) => self.delivered.push_back(message),
            Some(Told::Verdict { name, words }) => self.verdicts.push((name, words)),
        }
        Ok(true)
    }

    fn expect_delivery(&mut self, wanted: &Arguments) -> Result<(), Stop> {
        if !self.tells.deliveries {
            self.not_observable += 1;
            return Ok(());
        }
        let deadline = self.patience(None);
        while self.delivered.is_empty() && self.hear(deadline)? {}
        let Some(message) = self.delivered.pop_front() else {
            return Err(Stop::Failed("no message was delivered".to_owned()));
        };
        same_message(wanted, &message).map_err(Stop::Failed)
    }

    fn expect_no_delivery(&mut self) -> Result<(), Stop> {
        if !self.tells.deliveries {
            self.not_observable += 1;
            return Ok(());
        }
        let deadline = self.client.now() + self.client.pace().silence;
        while self.delivered.is_empty() && self.hear(deadline)? {}
        match self.delivered.front() {
            None => Ok(()),
            Some(message) => Err(Stop::Failed(format!("delivered was {message}"))),
        }
    }

    fn expect_verdict(&mut self, name: &str, words: &str) -> Result<(), Stop> {
        if !self.tells.verdicts {
            self.not_observable += 1;
            return Ok(());
        }
        let deadline = self.patience(None);
        let found = loop {
            if let Some(found) = self.verdicts.iter().position(|(known, _)| known == name) {
                break self.verdicts.remove(found).1;
            }
            if !self.hear(deadline)? {
                return Err(Stop::Failed("no verdict came".to_owned()));
            }
        };
        let mut told = found.split_whitespace();
        if words
            .split_whitespace()
            .all(|word| told.next() == Some(word))
        {
            Ok(())
        } else {
            Err(Stop::Failed(format!("the verdict is {found}")))
        }
    }
}

/// Whether `message` is all that is `wanted`; `-` wants a key to be absent.
fn same_message(wanted: &Arguments, message: &Arguments) -> Result<(), String> {
    for (index, (key, value)) in wanted.0.iter().enumerate() {
        let earlier = wanted
            .0
            .iter()
            .take(index)
            .filter(|(known, _)| known == key)
            .count();
        let mut found = message
            .0
            .iter()
            .filter(|(known, _)| known == key)
            .skip(earlier);
        let found = found.next().map(|(_, found)| found);
        let same = match found {
            None => value == "-",
            Some(found) => instruction::bytes(found) == instruction::bytes(value),
        };
        if !same {
            return Err(format!("delivered was {message}"));
        }
    }
    Ok(())
}

/// The Session Expiry Interval of a valid CONNECT or DISCONNECT.
fn session_expiry(packet: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(packet);
    reader.byte().ok()?;
    reader.variable().ok()?;
    let before = if packet.first() == Some(&0x10) { 10 } else { 1 };
    reader.take(before).ok()?;
    let properties = reader.properties().ok()?;
    let expiry = properties.iter().find(|(id, _)| *id == 0x11);
    expiry.map(|(_, value)| *value)
}

fn is_zero(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == 0)
}

/// Bytes for people, cut where nobody would read on.
fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 64;
    let mut text: Vec<String> = bytes
        .iter()
        .take(SHOWN)
        .map(|byte| format!("{byte:02X}"))
        .collect();
    if bytes.len() > SHOWN {
        text.push(format!("… ({} bytes)", bytes.len()));
    }
    text.join(" ")
}
