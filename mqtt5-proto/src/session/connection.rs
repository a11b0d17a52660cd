//! One connection of a session. Nothing of it outlives it.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::BytesMut;

use super::keep_alive::KeepAlive;
use super::limits::Asked;
use super::{EndReason, Limits, Phase};
use crate::codec::{DecodeError, Decoder, Encode, Violation};
use crate::packet::{
    Disconnect, DisconnectReasonCode, PacketId, PacketType, ReasonCode, Role, TopicAlias,
};
use crate::time::Instant;

/// What happens when the transport has taken the bytes up to `end`.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) what: Marked,
}

#[derive(Debug)]
pub(super) enum Marked {
    /// So many PUBACKs and failed PUBRECs are sent.
    Acks(usize),
    /// Our DISCONNECT is sent.
    Disconnect,
}

/// Where an enhanced authentication stands (section 4.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AuthState {
    /// None was asked for in the CONNECT.
    None,
    /// It is the server's turn.
    AwaitServer,
    /// It is the application's turn.
    AwaitApplication,
    /// Authenticated; a re-authentication may begin.
    Done,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) phase: Phase,
    pub(super) clean_start: bool,
    pub(super) asked: Asked,
    /// Whether the server may send problem information everywhere.
    pub(super) problem_information: bool,
    pub(super) receive_maximum: usize,
    pub(super) sent_client_id: bool,
    pub(super) decoder: Decoder,
    pub(super) limits: Option<Limits>,
    /// The server's Maximum Packet Size in bytes. It holds even for the DISCONNECT that answers a
    /// bad CONNACK, when there are no limits to live with.
    pub(super) packet_limit: usize,
    pub(super) keep_alive: Option<KeepAlive>,
    pub(super) connect_deadline: Instant,
    pub(super) resumed: bool,
    /// Packets that are not held up by anything: acknowledgements, CONNECT, PINGREQ and the like.
    pub(super) control: BytesMut,
    /// How many bytes were handed out, and how many of them the transport took.
    pub(super) polled: u64,
    pub(super) transmitted: u64,
    /// When the transport took bytes last.
    pub(super) last_sent: Instant,
    pub(super) marks: VecDeque<Mark>,
    pub(super) marked_acks: usize,
    aliases: Vec<Option<Arc<str>>>,
    alias_maximum: u16,
    pub(super) auth: AuthState,
    pub(super) end: Option<EndReason>,
    pub(super) close_told: bool,
    /// The Session Expiry Interval of our DISCONNECT, and whether that left.
    pub(super) disconnect_expiry: Option<u32>,
    pub(super) disconnect_sent: bool,
    /// What the last packet that came in was about.
    pub(super) last_packet: Option<(PacketType, Option<PacketId>)>,
    /// Bytes that lay in the input when it was looked at last.
    pub(super) input_left: usize,
}

impl Connection {
    pub(super) fn new(config: &super::SessionConfig, clean_start: bool, now: Instant) -> Self {
        Self {
            phase: Phase::Connecting,
            clean_start,
            asked: Asked::new(config),
            problem_information: config.request_problem_information,
            receive_maximum: config.receive_maximum.get().into(),
            sent_client_id: false,
            decoder: Decoder::new(config.maximum_packet_size),
            limits: None,
            packet_limit: usize::MAX,
            keep_alive: None,
            connect_deadline: now + config.connect_timeout,
            resumed: false,
            control: BytesMut::new(),
            polled: 0,
            transmitted: 0,
            last_sent: now,
            marks: VecDeque::new(),
            marked_acks: 0,
            aliases: Vec::new(),
            alias_maximum: config.topic_alias_maximum,
            auth: match config.authentication {
                Some(_) => AuthState::AwaitServer,
                None => AuthState::None,
            },
            end: None,
            close_told: false,
            disconnect_expiry: None,
            disconnect_sent: false,
            last_packet: None,
            input_left: 0,
        }
    }

    /// The connection is to end, after a DISCONNECT with `code` if there is one.
    pub(super) fn close(&mut self, reason: EndReason, code: Option<DisconnectReasonCode>) {
        if self.end.is_some() {
            return;
        }
        self.end = Some(reason);
        self.phase = Phase::Closing;
        if let Some(code) = code {
            // Two or three bytes always fit, but for a server that announced an absurd limit.
            let packet = Disconnect::new(code);
            if packet
                .packet_size()
                .is_ok_and(|size| size <= self.packet_limit)
            {
                let _ = packet.encode(&mut self.control);
            }
        }
    }

    /// The connection is to end without another word: what waits is not sent any more.
    pub(super) fn close_silently(&mut self, reason: EndReason) {
        if self.end.is_none() {
            self.close(reason, None);
            self.control.clear();
        }
    }

    /// The peer broke a rule: the connection ends, with a DISCONNECT once it was accepted.
    pub(super) fn close_for(&mut self, error: DecodeError) {
        if self.phase != Phase::Connected {
            return self.close_silently(EndReason::Violation(error));
        }
        let code = DisconnectReasonCode::from_raw(error.reason_code())
            .filter(|code| code.may_send(Role::Client))
            .unwrap_or(DisconnectReasonCode::ProtocolError);
        self.close(EndReason::Violation(error), Some(code));
    }

    /// As [`close_for`](Self::close_for), for a rule about the packet as a whole.
    pub(super) fn violation(&mut self, packet: PacketType, violation: Violation) {
        self.close_for(DecodeError {
            violation,
            packet: Some(packet),
            offset: 0,
        });
    }

    /// The topic that `alias` stands for from now on, or stands for if `topic` is empty.
    pub(super) fn resolve_alias(
        &mut self,
        alias: TopicAlias,
        topic: &str,
    ) -> Result<Option<Arc<str>>, Violation> {
        if alias.get() > self.alias_maximum {
            return Err(Violation::TopicAliasInvalid);
        }
        let index = usize::from(alias.get()) - 1;
        if topic.is_empty() {
            let mapped = self.aliases.get(index).cloned().flatten();
            return mapped.map(Some).ok_or(Violation::TopicMissing);
        }
        if self.aliases.len() <= index {
            self.aliases.resize(index + 1, None);
        }
        if let Some(slot) = self.aliases.get_mut(index) {
            *slot = Some(Arc::from(topic));
        }
        Ok(None)
    }
}
