//! One connection: what may cross it at all, and the packets that belong to nobody else.

use std::collections::BTreeSet;

use mqtt5_client::proto::Instant;

use super::{Judge, Judged, World, broken};
use crate::link::Way;
use crate::wire::{self, AckKind, Connect, Fault, Packet, Properties, Property};

/// What the server allows on one connection.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) receive_maximum: usize,
    pub(super) maximum_packet_size: usize,
    pub(super) maximum_qos: u8,
    pub(super) retain: bool,
    pub(super) wildcards: bool,
    pub(super) identifiers: bool,
    pub(super) shared: bool,
    pub(super) keep_alive: u16,
}

impl Limits {
    fn of(properties: &Properties<'_>, asked_keep_alive: u16) -> Self {
        let number = |property| properties.number(property);
        let available = |property| number(property) != Some(0);
        let size = |property, absent: u32| {
            usize::try_from(number(property).unwrap_or(absent)).unwrap_or(usize::MAX)
        };
        Self {
            receive_maximum: size(Property::ReceiveMaximum, 65_535),
            maximum_packet_size: size(Property::MaximumPacketSize, u32::MAX),
            maximum_qos: number(Property::MaximumQoS)
                .and_then(|qos| u8::try_from(qos).ok())
                .unwrap_or(2),
            retain: available(Property::RetainAvailable),
            wildcards: available(Property::WildcardSubscriptionAvailable),
            identifiers: available(Property::SubscriptionIdentifierAvailable),
            shared: available(Property::SharedSubscriptionAvailable),
            keep_alive: number(Property::ServerKeepAlive)
                .and_then(|seconds| u16::try_from(seconds).ok())
                .unwrap_or(asked_keep_alive),
        }
    }

    /// Whether there are messages that may not be sent.
    pub(super) fn restrict_something(&self) -> bool {
        self.maximum_qos < 2 || !self.retain || self.maximum_packet_size < 1 << 28
    }

    /// Whether a message may be sent at all.
    pub(super) const fn take(&self, qos: u8, retain: bool, size: usize) -> bool {
        qos <= self.maximum_qos && (self.retain || !retain) && size <= self.maximum_packet_size
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Opened,
    ConnectSent,
    Connected,
    /// The client has sent DISCONNECT.
    Left,
    /// The server has: it refused, or sent DISCONNECT, or bytes that are no packet.
    Over,
}

#[derive(Debug)]
pub(super) struct Connection {
    phase: Phase,
    up: Vec<u8>,
    down: Vec<u8>,
    pub(super) limits: Option<Limits>,
    clean_start: bool,
    /// Whether the session was resumed.
    pub(super) resumed: bool,
    pub(super) last_sent: Instant,
    /// The same, also when the transport took nothing for a while.
    pub(super) last_wrote: Instant,
    /// When the last PINGREQ was sent.
    pinged: Option<Instant>,
    /// When the transport was last seen to take nothing.
    pub(super) blocked: Option<Instant>,
    /// Packet identifiers of messages that the client has read and not finished.
    pub(super) owed: BTreeSet<u16>,
    /// What the client called wrong about the server.
    accusation: Option<u8>,
    fault: Option<Fault>,
    /// What the broker sends cannot be followed any more.
    garbled: bool,
}

impl Connection {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            phase: Phase::Opened,
            up: Vec::new(),
            down: Vec::new(),
            limits: None,
            clean_start: false,
            resumed: false,
            last_sent: now,
            last_wrote: now,
            pinged: None,
            blocked: None,
            owed: BTreeSet::new(),
            accusation: None,
            fault: None,
            garbled: false,
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    pub(super) const fn has_left(&self) -> bool {
        matches!(self.phase, Phase::Left)
    }

    /// The packet that was not sent to its end.
    pub(super) fn unfinished(&self) -> &[u8] {
        &self.up
    }

    pub(super) const fn fault(&self) -> Option<Fault> {
        self.fault
    }

    pub(super) fn said(&self, code: u8) -> bool {
        self.accusation == Some(code)
    }
}

impl Judge {
    /// The client's transport took bytes.
    pub(super) fn sent(&mut self, bytes: &[u8], world: &mut World<'_>) -> Judged {
        self.check_silence(world.now)?;
        let Some(connection) = &mut self.connection else {
            return broken("only a link carries bytes", "bytes without a link");
        };
        // What comes from the server is not heard any more once the client has begun to leave.
        // Nor while the client does not look at what it has read.
        let deaf = self.closing || self.tainted || self.asked.pauses_reading;
        if connection.phase == Phase::Left || (connection.phase == Phase::Over && !deaf) {
            return broken(
                "nothing leaves after DISCONNECT",
                format_args!("{bytes:02x?}"),
            );
        }
        connection.last_sent = world.now;
        connection.last_wrote = world.now;
        let mut up = std::mem::take(&mut connection.up);
        up.extend_from_slice(bytes);
        let limit = connection
            .limits
            .as_ref()
            .map_or(usize::MAX, |limits| limits.maximum_packet_size);
        let mut at = 0;
        let result = loop {
            let size = match wire::packet_size(&up[at..], limit) {
                Ok(Some(size)) if up.len() - at >= size => size,
                Ok(_) => break Ok(()),
                Err(fault) => break broken("only valid packets leave", fault.why),
            };
            let packet = &up[at..at + size];
            world.tally.packets_up += 1;
            world
                .trace
                .packet(self.asked.index, Way::Up, packet, world.now);
            let judged = match wire::read(packet) {
                Ok(read) => self.sent_packet(&read, size, world),
                Err(fault) => broken("only valid packets leave", fault.why),
            };
            if let Err(mut violation) = judged {
                violation.detail += &format!("; sent {}", hex(packet));
                break Err(violation);
            }
            at += size;
        };
        up.drain(..at);
        if let Some(connection) = &mut self.connection {
            connection.up = up;
        }
        result
    }

    fn sent_packet(&mut self, packet: &Packet<'_>, size: usize, world: &mut World<'_>) -> Judged {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        match (connection.phase, packet) {
            (Phase::Opened, Packet::Connect(connect)) => {
                connection.phase = Phase::ConnectSent;
                connection.clean_start = connect.clean_start;
                return self.sent_connect(connect, world);
            }
            (_, Packet::Disconnect { code, .. }) => {
                connection.phase = Phase::Left;
                connection.accusation = Some(*code);
                return self.sent_disconnect(*code);
            }
            (Phase::Connected, _) => {}
            (Phase::Over, _) if self.closing || self.asked.pauses_reading => {}
            (phase, _) if self.tainted && phase != Phase::Opened => {}
            _ => return broken("CONNECT first, then nothing before CONNACK", ""),
        }
        match packet {
            Packet::Publish(publish) => self.sent_publish(publish, size, world),
            Packet::Ack {
                kind: AckKind::Pubrel,
                packet_id,
                code,
            } => self.sent_pubrel(*packet_id, *code),
            Packet::Ack {
                kind,
                packet_id,
                code,
            } => {
                if *kind != AckKind::Pubrec || *code >= 0x80 {
                    connection.owed.remove(packet_id);
                }
                self.sent_ack(*kind, *packet_id, *code)
            }
            Packet::Subscribe {
                packet_id,
                properties,
                filters,
            } => {
                let identifier = properties.number(Property::SubscriptionIdentifier);
                self.sent_subscribe(*packet_id, identifier, filters.clone())
            }
            Packet::Unsubscribe { packet_id, filters } => {
                self.sent_unsubscribe(*packet_id, filters.clone())
            }
            Packet::Pingreq => {
                world.tally.pings += 1;
                if connection.pinged.replace(world.now) == Some(world.now) {
                    return broken("one PINGREQ at a time", "two at once");
                }
                Ok(())
            }
            _ => broken("only a client's packets leave", ""),
        }
    }

    fn sent_connect(&mut self, connect: &Connect<'_>, world: &mut World<'_>) -> Judged {
        let number = |property| connect.properties.number(property);
        let asked = &self.asked;
        let expiry = (asked.session_expiry != 0).then_some(asked.session_expiry);
        let receive_maximum =
            (asked.receive_maximum != 65_535).then(|| u32::from(asked.receive_maximum));
        if connect.client_id != asked.client_id
            || connect.keep_alive != asked.keep_alive
            || number(Property::SessionExpiryInterval) != expiry
            || number(Property::ReceiveMaximum) != receive_maximum
            || number(Property::MaximumPacketSize) != Some(asked.maximum_packet_size)
        {
            return broken("CONNECT says what was asked for", "it says something else");
        }
        let may_resume = asked.durable || (self.ever_connected && self.session_kept);
        if connect.clean_start && may_resume && !self.may_start_clean && !self.tainted {
            return broken("the session is kept", "Clean Start 1 without a reason");
        }
        if !connect.clean_start && !may_resume && !self.tainted {
            return broken("Clean Start 0 only with a session", "there is none");
        }
        if connect.clean_start {
            world.tally.clean_starts += 1;
            self.lose_session(world);
        }
        Ok(())
    }

    fn sent_disconnect(&mut self, code: u8) -> Judged {
        if let Some(fault) = self.connection.as_ref().and_then(Connection::fault)
            && code != fault.code
            && !(self.closing && code < 0x80)
        {
            return broken(
                "the peer's fault is named",
                format_args!("{} is {:#04x}, not {code:#04x}", fault.why, fault.code),
            );
        }
        if code >= 0x80 && !self.tainted {
            return broken(
                "an innocent server is not accused",
                format_args!("DISCONNECT {code:#04x}"),
            );
        }
        if code < 0x80 && !self.closing && !self.tainted {
            return broken("DISCONNECT only on request", "nobody asked for it");
        }
        Ok(())
    }

    /// The client has read bytes.
    pub(super) fn read(&mut self, bytes: &[u8], world: &mut World<'_>) -> Judged {
        let Some(connection) = &mut self.connection else {
            return broken("only a link carries bytes", "bytes without a link");
        };
        let over = matches!(connection.phase, Phase::Left | Phase::Over);
        if over || connection.garbled {
            return Ok(());
        }
        let mut down = std::mem::take(&mut connection.down);
        down.extend_from_slice(bytes);
        let limit = usize::try_from(self.asked.maximum_packet_size).unwrap_or(usize::MAX);
        let mut at = 0;
        loop {
            let fault = match wire::packet_size(&down[at..], limit) {
                Ok(Some(size)) if down.len() - at >= size => {
                    let packet = &down[at..at + size];
                    at += size;
                    world.tally.packets_down += 1;
                    world
                        .trace
                        .packet(self.asked.index, Way::Down, packet, world.now);
                    match wire::read(packet) {
                        Ok(read) => {
                            self.read_packet(&read, size, world)
                                .map_err(|mut violation| {
                                    violation.detail += &format!("; read {}", hex(packet));
                                    violation
                                })?;
                            continue;
                        }
                        Err(fault) => fault,
                    }
                }
                Ok(_) => break,
                Err(fault) => fault,
            };
            if !self.tainted {
                return broken("the broker keeps the rules", fault.why);
            }
            let Some(connection) = &mut self.connection else {
                return Ok(());
            };
            if self.expected == Some(fault) {
                connection.phase = Phase::Over;
                connection.fault = Some(fault);
            } else {
                connection.garbled = true;
            }
            return Ok(());
        }
        down.drain(..at);
        if let Some(connection) = &mut self.connection {
            connection.down = down;
        }
        Ok(())
    }

    fn read_packet(&mut self, packet: &Packet<'_>, size: usize, world: &mut World<'_>) -> Judged {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        // What comes after the end of all talk is not heard.
        if matches!(connection.phase, Phase::Left | Phase::Over) {
            return Ok(());
        }
        match packet {
            Packet::Connack {
                session_present,
                code,
                properties,
            } => self.read_connack(*session_present, *code, properties, world),
            Packet::Publish(publish) => {
                if publish.qos > 0 {
                    connection.owed.insert(publish.packet_id);
                }
                self.read_publish(publish, size, world)
            }
            Packet::Ack {
                kind,
                packet_id,
                code,
            } => self.read_ack(*kind, *packet_id, *code, world),
            Packet::Suback { packet_id, codes } | Packet::Unsuback { packet_id, codes } => {
                self.read_answer(*packet_id, codes);
                Ok(())
            }
            Packet::Disconnect { code, .. } => {
                connection.phase = Phase::Over;
                // The loop guard counts these: it may drop the session in the end.
                self.may_start_clean |= matches!(
                    code,
                    0x81 | 0x82 | 0x8F | 0x90 | 0x93..=0x95 | 0x99..=0x9B | 0x9E | 0xA1 | 0xA2
                );
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_connack(
        &mut self,
        session_present: bool,
        code: u8,
        properties: &Properties<'_>,
        world: &mut World<'_>,
    ) -> Judged {
        let Some(connection) = &mut self.connection else {
            return Ok(());
        };
        if connection.phase != Phase::ConnectSent {
            return if self.tainted {
                Ok(())
            } else {
                broken(
                    "the broker keeps the rules",
                    "a CONNACK that nobody asked for",
                )
            };
        }
        if code != 0 {
            connection.phase = Phase::Over;
            return Ok(());
        }
        let limits = Limits::of(properties, self.asked.keep_alive);
        connection.phase = Phase::Connected;
        connection.resumed = session_present;
        // No ping could have left before.
        connection.last_sent = world.now;
        connection.limits = Some(limits.clone());
        self.ever_connected = true;
        let expiry = properties.number(Property::SessionExpiryInterval);
        self.session_kept = expiry.unwrap_or(self.asked.session_expiry) > 0;
        self.may_start_clean = !self.session_kept;
        world.tally.connections += 1;
        self.limit_streams();
        if std::mem::take(&mut self.new_session_unread) && session_present {
            world.tally.deceived += 1;
            self.tainted = true;
        }
        if session_present {
            world.tally.sessions_resumed += 1;
            self.sending.resume(&limits);
        } else {
            self.lose_session(world);
        }
        Ok(())
    }
}

/// Bytes to look at, not too many.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in bytes.iter().take(48) {
        let _ = write!(out, "{byte:02x} ");
    }
    if bytes.len() > 48 {
        let _ = write!(out, "… ({} bytes)", bytes.len());
    }
    out
}
