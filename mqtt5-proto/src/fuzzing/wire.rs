//! What a client may put on the wire: a model of its Packet Identifiers and of what it owes,
//! written from the standard and fed with the packets of both directions.
//!
//! Where the session stops in the middle of what it was given the model cannot tell how much of
//! it counted; what it is not sure of it does not judge.

use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::BytesMut;

use crate::codec::{Encode, FixedHeader};
use crate::packet::{ConnackView, ConnectView, Packet, PacketId, PublishView, QoS, SubscribeView};

/// What the client waits for under a Packet Identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    Puback,
    Pubrec,
    Pubcomp,
    /// For so many filters.
    Suback(usize),
    Unsuback(usize),
}

impl Awaits {
    const fn is_request(self) -> bool {
        matches!(self, Self::Suback(_) | Self::Unsuback(_))
    }
}

/// A Packet Identifier in use by the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    pub(super) id: PacketId,
    pub(super) awaits: Awaits,
    /// The number of the message.
    number: Option<u32>,
    /// Whether it counts to the server's Receive Maximum on this connection, and where its PUBLISH
    /// starts there.
    open: bool,
    start: u64,
    /// Whether bytes of its PUBLISH left on an earlier connection.
    left: bool,
    unsure: bool,
}

/// What the server said in its CONNACK.
#[derive(Clone, Copy, Debug)]
struct Limits {
    receive_maximum: usize,
    packet_size: usize,
    qos: QoS,
    retain: bool,
    wildcard: bool,
    identifier: bool,
    shared: bool,
}

impl Limits {
    fn new(connack: &ConnackView<'_>) -> Self {
        let said = connack.properties();
        Self {
            receive_maximum: said
                .receive_maximum()
                .map_or(0xFFFF, |max| max.get().into()),
            packet_size: said
                .maximum_packet_size()
                .map_or(usize::MAX, |max| max.get() as usize),
            qos: said.maximum_qos().unwrap_or(QoS::ExactlyOnce),
            retain: said.retain_available().unwrap_or(true),
            wildcard: said.wildcard_subscription_available().unwrap_or(true),
            identifier: said.subscription_identifier_available().unwrap_or(true),
            shared: said.shared_subscription_available().unwrap_or(true),
        }
    }
}

/// Acknowledgements that the client owes, in the order in which they may go.
#[derive(Debug, Default)]
struct Owed(VecDeque<(PacketId, bool)>);

impl Owed {
    /// A message came; if an older one is not answered, one answer may do for both.
    fn push(&mut self, id: PacketId) {
        let known = self.make_optional(id);
        self.0.push_back((id, known));
    }

    /// The message may have been answered, or need not be.
    fn make_optional(&mut self, id: PacketId) -> bool {
        let mut known = false;
        for (_, optional) in self.0.iter_mut().filter(|(owed, _)| *owed == id) {
            *optional = true;
            known = true;
        }
        known
    }

    fn pay(&mut self, id: PacketId) {
        while let Some((owed, optional)) = self.0.pop_front() {
            if owed == id {
                return;
            }
            assert!(optional, "{id} is answered before {owed}");
        }
        panic!("an answer to {id}, which was not to be answered");
    }
}

/// What one connection has seen.
#[derive(Debug, Default)]
struct Link {
    connect: bool,
    limits: Option<Limits>,
    /// The reason code of the DISCONNECT.
    disconnect: Option<u8>,
    /// How many bytes were handed out, and how many of them the transport took.
    polled: u64,
    transmitted: u64,
    /// Messages of QoS 0, and where their PUBLISH starts and ends.
    qos0: Vec<(u32, u64, u64)>,
    pubacks: Owed,
    pubrecs: Owed,
    pubcomps: VecDeque<PacketId>,
    /// PUBRELs that may go.
    pubrels: Vec<PacketId>,
}

#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Whose session it is.
    client_id: String,
    uses: Vec<Use>,
    link: Link,
    again: BytesMut,
}

/// How far a message got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Not a byte of it was taken by the transport.
    Nothing,
    Part,
    All,
}

impl Wire {
    pub(super) fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The reason code of the DISCONNECT that the client sent on this connection.
    pub(super) const fn disconnect(&self) -> Option<u8> {
        self.link.disconnect
    }

    /// The largest packet that the server takes.
    pub(super) fn packet_size(&self) -> usize {
        self.link
            .limits
            .map_or(usize::MAX, |limits| limits.packet_size)
    }

    /// Handed out, and not taken by the transport.
    pub(super) const fn held(&self) -> u64 {
        self.link.polled - self.link.transmitted
    }

    pub(super) fn transmitted(&mut self, bytes: u64) {
        self.link.transmitted += bytes;
    }

    pub(super) fn opened(&mut self) {
        self.link = Link::default();
    }

    /// How many requests had left, at least in part, and have no answer; `None` if that is not
    /// known.
    pub(super) fn closed(&mut self) -> Option<usize> {
        let transmitted = self.link.transmitted;
        let requests = self.uses.iter().filter(|used| used.awaits.is_request());
        let known = !requests.clone().any(|used| used.unsure);
        let left = requests.filter(|used| used.start < transmitted).count();
        // The transport takes nothing any more.
        self.link.polled = transmitted;
        for used in &mut self.uses {
            used.left |= used.open && used.start < transmitted;
            used.open = false;
        }
        self.uses.retain(|used| {
            let begun = used.left || used.unsure || used.awaits == Awaits::Pubcomp;
            begun && !used.awaits.is_request()
        });
        known.then_some(left)
    }

    /// How far message `number` got; `None` if that is not known.
    pub(super) fn reach(&self, number: u32) -> Option<Reach> {
        let transmitted = self.link.transmitted;
        if let Some((_, start, end)) = self.link.qos0.iter().rfind(|sent| sent.0 == number) {
            return Some(if *end <= transmitted {
                Reach::All
            } else if *start < transmitted {
                Reach::Part
            } else {
                Reach::Nothing
            });
        }
        let used = self.uses.iter().find(|used| used.number == Some(number))?;
        if used.unsure {
            None
        } else if used.left || used.open && used.start < transmitted {
            Some(Reach::Part)
        } else {
            Some(Reach::Nothing)
        }
    }

    /// A message that was sent before does not fit this connection. At QoS 1 that ends its
    /// exchange.
    pub(super) fn rejected(&mut self, number: u32) {
        self.uses
            .retain(|used| used.number != Some(number) || used.awaits != Awaits::Puback);
    }

    fn find(&mut self, id: PacketId) -> Option<&mut Use> {
        self.uses.iter_mut().find(|used| used.id == id)
    }

    fn release(&mut self, id: PacketId) {
        self.uses.retain(|used| used.id != id);
    }
}

/// What the server sends.
impl Wire {
    /// The session took in the packets that `bytes` start with. `all` is false if one of them, who
    /// knows which, made it stop: then what they free or end may be in use still.
    pub(super) fn server_bytes(&mut self, mut bytes: &[u8], all: bool) {
        // Whoever speaks before the CONNECT is not heard.
        if !self.link.connect {
            return;
        }
        if !all {
            for used in &mut self.uses {
                used.unsure = true;
            }
        }
        while let Ok(Some(header)) = FixedHeader::parse(bytes)
            && let Some((packet, rest)) = bytes.split_at_checked(header.packet_size())
        {
            match Packet::parse(packet) {
                Ok(packet) => self.server_packet(&packet, all),
                Err(error) => assert!(!all, "{error:?} was taken in"),
            }
            bytes = rest;
        }
    }

    fn server_packet(&mut self, packet: &Packet<'_>, sure: bool) {
        match packet {
            Packet::Connack(connack) => self.connack(connack, sure),
            Packet::Publish(publish) => self.owe(publish),
            Packet::Pubrel(release) => {
                self.link.pubrecs.make_optional(release.packet_id());
                self.link.pubcomps.push_back(release.packet_id());
            }
            Packet::Pubrec(ack) if !ack.reason_code().is_error() => {
                self.link.pubrels.push(ack.packet_id());
                if sure {
                    self.received(ack.packet_id());
                }
            }
            _ if !sure => {}
            Packet::Puback(ack) => self.acknowledged(ack.packet_id(), Awaits::Puback),
            Packet::Pubrec(ack) => self.acknowledged(ack.packet_id(), Awaits::Pubrec),
            Packet::Pubcomp(ack) => self.acknowledged(ack.packet_id(), Awaits::Pubcomp),
            Packet::Suback(ack) => self.answered(ack.packet_id()),
            Packet::Unsuback(ack) => self.answered(ack.packet_id()),
            _ => {}
        }
    }

    fn connack(&mut self, connack: &ConnackView<'_>, sure: bool) {
        if connack.reason_code().raw() != 0 || self.link.limits.is_some() {
            return;
        }
        self.link.limits = Some(Limits::new(connack));
        if sure && !connack.session_present() {
            self.uses.clear();
        }
        if let Some(assigned) = connack.properties().assigned_client_identifier()
            && self.client_id.is_empty()
        {
            assigned.clone_into(&mut self.client_id);
        }
        for used in &mut self.uses {
            let released = used.awaits == Awaits::Pubcomp;
            used.open = released;
            if released || used.unsure {
                self.link.pubrels.push(used.id);
            }
        }
    }

    fn received(&mut self, id: PacketId) {
        if let Some(used) = self.find(id)
            && used.awaits == Awaits::Pubrec
        {
            used.awaits = Awaits::Pubcomp;
            used.open = true;
            // The server has it, whatever the transport says.
            used.left = true;
        }
    }

    fn acknowledged(&mut self, id: PacketId, awaits: Awaits) {
        if self.find(id).is_some_and(|used| used.awaits == awaits) {
            self.release(id);
        }
    }

    fn answered(&mut self, id: PacketId) {
        if self.find(id).is_some_and(|used| used.awaits.is_request()) {
            self.release(id);
        }
    }

    fn owe(&mut self, publish: &PublishView<'_>) {
        let Some(id) = publish.delivery().packet_id() else {
            return;
        };
        // A message of the other QoS under the same identifier is forgotten.
        if publish.delivery().qos() == QoS::AtLeastOnce {
            self.link.pubrecs.make_optional(id);
            self.link.pubacks.push(id);
        } else {
            self.link.pubacks.make_optional(id);
            self.link.pubrecs.push(id);
        }
    }
}

/// What the client sends.
impl Wire {
    /// The client handed out `bytes`: whole packets, legal and in their shortest form.
    pub(super) fn client_bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let header = FixedHeader::parse(bytes).expect("a header that is legal");
            let size = header.expect("a whole header").packet_size();
            let (packet, rest) = bytes.split_at_checked(size).expect("a whole packet");
            let view = Packet::parse_strict(packet).expect("a packet that is legal");
            self.again.clear();
            view.encode(&mut self.again).expect("it fits: it was read");
            assert_eq!(self.again, packet, "not in the shortest form");
            assert!(size <= self.packet_size(), "{view:?}: {size} bytes");
            self.client_packet(&view, size as u64);
            bytes = rest;
        }
    }

    fn client_packet(&mut self, packet: &Packet<'_>, size: u64) {
        assert_eq!(self.link.disconnect, None, "{packet:?} behind DISCONNECT");
        let first = matches!(packet, Packet::Connect(_));
        assert_ne!(self.link.connect, first, "{packet:?}");
        let connected = self.link.limits.is_some();
        match packet {
            Packet::Connect(connect) => self.connect(connect),
            Packet::Auth(_) => {}
            Packet::Disconnect(disconnect) => {
                self.link.disconnect = Some(disconnect.reason_code().raw());
            }
            _ => assert!(connected, "{packet:?} before the CONNACK"),
        }
        match packet {
            Packet::Publish(publish) => self.publish(publish, size),
            Packet::Puback(ack) => self.link.pubacks.pay(ack.packet_id()),
            Packet::Pubrec(ack) => self.link.pubrecs.pay(ack.packet_id()),
            Packet::Pubcomp(ack) => {
                assert_eq!(self.link.pubcomps.pop_front(), Some(ack.packet_id()));
            }
            Packet::Pubrel(ack) => self.pubrel(ack.packet_id()),
            Packet::Subscribe(subscribe) => self.subscribe(subscribe),
            Packet::Unsubscribe(unsubscribe) => {
                let awaits = Awaits::Unsuback(unsubscribe.filters().count());
                self.take(unsubscribe.packet_id(), awaits, None);
            }
            Packet::Connect(_) | Packet::Pingreq(_) | Packet::Disconnect(_) | Packet::Auth(_) => {}
            other => panic!("a client does not send {other:?}"),
        }
        self.link.polled += size;
    }

    fn connect(&mut self, connect: &ConnectView<'_>) {
        self.link.connect = true;
        if connect.clean_start() || connect.client_id() != self.client_id {
            self.uses.clear();
        }
        connect.client_id().clone_into(&mut self.client_id);
    }

    fn pubrel(&mut self, id: PacketId) {
        let may = self.link.pubrels.iter().position(|may| *may == id);
        self.link
            .pubrels
            .remove(may.expect("a PUBREC before PUBREL"));
    }

    fn publish(&mut self, publish: &PublishView<'_>, size: u64) {
        let limits = self.link.limits.expect("connected");
        let delivery = publish.delivery();
        assert!(delivery.qos() <= limits.qos);
        assert!(limits.retain || !publish.retain());
        let number = number_of(publish.topic());
        let start = self.link.polled;
        let Some(id) = delivery.packet_id() else {
            return self.link.qos0.push((number, start, start + size));
        };
        let open = self.uses.iter().filter(|used| used.open && !used.unsure);
        let open = open.filter(|used| !used.awaits.is_request()).count();
        assert!(open < limits.receive_maximum, "above the Receive Maximum");
        let awaits = match delivery.qos() {
            QoS::ExactlyOnce => Awaits::Pubrec,
            _ => Awaits::Puback,
        };
        if delivery.dup() {
            let used = self.find(id).expect("a repetition of something");
            if !used.unsure {
                assert_eq!((used.awaits, used.number), (awaits, Some(number)));
                assert!(used.left, "a repetition of what never left");
                assert!(!used.open, "a repetition on the same connection");
            }
            (used.open, used.start) = (true, start);
        } else {
            self.take(id, awaits, Some(number));
        }
    }

    fn subscribe(&mut self, subscribe: &SubscribeView<'_>) {
        let limits = self.link.limits.expect("connected");
        let identifier = subscribe.properties().subscription_identifier();
        assert!(limits.identifier || identifier.is_none());
        for subscription in subscribe.subscriptions() {
            let filter = subscription.filter();
            assert!(limits.wildcard || !filter.contains(['+', '#']));
            assert!(limits.shared || !filter.starts_with("$share/"));
        }
        let awaits = Awaits::Suback(subscribe.subscriptions().count());
        self.take(subscribe.packet_id(), awaits, None);
    }

    /// The client takes a new Packet Identifier.
    fn take(&mut self, id: PacketId, awaits: Awaits, number: Option<u32>) {
        if let Some(used) = self.find(id) {
            assert!(used.unsure, "{id} is in use: {used:?}");
        }
        self.release(id);
        let twin = |used: &Use| number.is_some() && used.number == number && !used.unsure;
        assert!(
            !self.uses.iter().any(twin),
            "sent under a second identifier"
        );
        self.uses.push(Use {
            id,
            awaits,
            number,
            open: true,
            start: self.link.polled,
            left: false,
            unsure: false,
        });
    }
}

/// The number of a message stands in its topic, behind one letter.
pub(super) fn number_of(topic: &str) -> u32 {
    let digits = topic.get(1..).and_then(|rest| rest.split('/').next());
    digits
        .and_then(|digits| digits.parse().ok())
        .expect("a message of ours")
}

/// Whether `code` may stand in a DISCONNECT that a client sends for a violation.
pub(super) const fn is_violation_code(code: u8) -> bool {
    matches!(code, 0x81 | 0x82 | 0x93 | 0x94 | 0x95)
}
