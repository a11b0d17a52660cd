//! The exchanges of QoS 1 and 2 (MQTT 5.0 section 4.3) as one table, blind to roles.
//!
//! ```text
//!            the side that sends the message          the side that receives it
//!
//! QoS 1      AwaitPuback                              (unknown)
//!               │  ──── PUBLISH ────────────────────▶    │ deliver
//!               │                                      Owed1
//!               │  ◀──────────────────── PUBACK ────     │ the application acknowledges
//!             done                                    (unknown)
//!
//! QoS 2      AwaitPubrec                              (unknown)
//!               │  ──── PUBLISH ────────────────────▶    │ deliver
//!               │                                      Owed2
//!               │  ◀──────────────────── PUBREC ────     │ the application acknowledges
//!            AwaitPubcomp                             AwaitPubrel
//!               │  ──── PUBREL ─────────────────────▶    │
//!               │  ◀─────────────────── PUBCOMP ────     │
//!             done                                    (unknown)
//! ```
//!
//! The tables say what to do when a packet arrives; what the application and resumptions do is
//! told by [`outbound`](super::outbound) and [`inbound`](super::inbound).

/// Where the sender of a message stands.
#[allow(clippy::enum_variant_names, reason = "each says what is awaited")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    AwaitPuback,
    AwaitPubrec,
    AwaitPubcomp,
}

/// What a sender gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToSender {
    Puback,
    /// A PUBREC of success.
    Pubrec,
    /// A PUBREC of 0x80 or above.
    PubrecFailure,
    Pubcomp,
}

/// What a sender does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SenderStep {
    /// The exchange is over.
    Finish,
    /// Drop the payload, send PUBREL, wait for PUBCOMP.
    Release,
    /// Send PUBREL again; nothing changes.
    ReleaseAgain,
    /// There is no such exchange: PUBREL with 0x92.
    ReleaseUnknown,
    /// There is no such exchange, and nothing to say.
    Ignore,
    /// The peer confuses exchanges, and this one would hang: end the connection.
    Violation,
}

pub(super) const fn sender(state: Option<Sender>, packet: ToSender) -> SenderStep {
    use {Sender::*, SenderStep::*, ToSender::*};
    match (state, packet) {
        (Some(AwaitPuback), Puback)
        | (Some(AwaitPubrec), PubrecFailure)
        | (Some(AwaitPubcomp), Pubcomp) => Finish,
        (Some(AwaitPubrec), Pubrec) => Release,
        (Some(AwaitPubcomp), Pubrec) => ReleaseAgain,
        (None, Pubrec) => ReleaseUnknown,
        (None, Puback | PubrecFailure | Pubcomp) => Ignore,
        (Some(AwaitPuback), Pubrec | PubrecFailure | Pubcomp)
        | (Some(AwaitPubrec), Puback | Pubcomp)
        | (Some(AwaitPubcomp), Puback | PubrecFailure) => Violation,
    }
}

/// Where the receiver of a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// QoS 1: delivered, PUBACK owed.
    Owed1,
    /// QoS 2: delivered, PUBREC owed.
    Owed2,
    /// QoS 2: PUBREC sent, PUBREL awaited.
    AwaitPubrel,
}

/// What a receiver gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToReceiver {
    /// A PUBLISH of QoS 1, and whether it came first on this connection for its exchange and with
    /// DUP, so that it can only be the repetition of what is owed.
    Publish1 {
        resent: bool,
        dup: bool,
    },
    Publish2,
    Pubrel,
}

/// What a receiver does then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReceiverStep {
    /// A new message.
    Deliver,
    /// A new message; what stood under its Packet Identifier is forgotten without a word.
    Supersede,
    /// A new message; what stood under its Packet Identifier is forgotten with a warning.
    SupersedeStale,
    /// A copy of a message that the application has: no delivery, the answer that is owed answers
    /// it.
    AwaitApplication,
    /// A copy of a message that was answered: PUBREC again.
    AnswerAgain,
    /// PUBCOMP; the exchange is over.
    Complete,
    /// PUBCOMP with 0x92; the message stays delivered, its acknowledgement has no effect any more.
    CompleteEarly,
    /// PUBCOMP with 0x92: there is no such exchange.
    CompleteUnknown,
}

pub(super) const fn receiver(state: Option<Receiver>, packet: ToReceiver) -> ReceiverStep {
    use {Receiver::*, ReceiverStep::*, ToReceiver::*};
    match (state, packet) {
        (None, Publish1 { .. } | Publish2) => Deliver,
        // Without DUP this is not the message that a resumption owes us (`3.3.1-1`).
        (
            Some(Owed1),
            Publish1 {
                resent: true,
                dup: false,
            },
        ) => Supersede,
        (Some(Owed1), Publish1 { .. }) | (Some(Owed2), Publish2) => AwaitApplication,
        (Some(AwaitPubrel), Publish2) => AnswerAgain,
        (Some(Owed2 | AwaitPubrel), Publish1 { .. }) | (Some(Owed1), Publish2) => SupersedeStale,
        (Some(AwaitPubrel), Pubrel) => Complete,
        (Some(Owed2), Pubrel) => CompleteEarly,
        (None | Some(Owed1), Pubrel) => CompleteUnknown,
    }
}
