//! Publishes as the application sees them: one verdict each, and a true one.

use std::collections::BTreeMap;

use mqtt5_client::proto::Instant;
use mqtt5_client::proto::packet::Received;
use mqtt5_client::proto::session::{OperationId, PublishVerdict, Rule};
use mqtt5_client::{PublishError, Published};

use super::{Judge, Judged, World, broken};
use crate::universe::{Messages, TOPICS, number_of};

/// How far a message has got, as the wire shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No byte.
    Nothing,
    /// Some bytes, perhaps.
    Part,
    /// All of it.
    Whole,
}

#[derive(Debug)]
pub(super) struct Operation {
    accepted: bool,
    pub(super) accepted_at: Instant,
    /// How many connections had ended by then.
    accepted_after: u64,
    verdict: bool,
    pub(super) seen: Seen,
    /// The answer that came: PUBACK or PUBREC.
    pub(super) answer: Option<u8>,
    /// PUBCOMP.
    pub(super) completion: Option<u8>,
    /// It was on its way when the session ended.
    pub(super) lost: bool,
    /// When the exchange was at the point of PUBREL, the message is not held any more.
    pub(super) released: bool,
    /// A later message has left before it: it must have had its verdict by then.
    pub(super) overtaken: bool,
    qos: u8,
    length: usize,
}

/// What the application was told.
#[derive(Debug)]
pub(crate) enum Told {
    Sent,
    Acknowledged(u8, Option<u8>),
    Refused(u8),
    Rejected(Rule, Option<u32>),
    Expired(Option<u32>),
    NeverSent(Option<u32>),
    Unknown(Option<u32>),
}

impl Told {
    pub(crate) fn of_verdict(verdict: &PublishVerdict) -> Self {
        let number =
            |message: &mqtt5_client::proto::packet::ApplicationMessage| number_of(&message.payload);
        match verdict {
            PublishVerdict::Sent => Self::Sent,
            PublishVerdict::Acknowledged(answer) => Self::Acknowledged(
                answer.reason_code.raw(),
                answer.completion.map(Received::raw),
            ),
            PublishVerdict::Refused(answer) => Self::Refused(answer.reason_code.raw()),
            PublishVerdict::Rejected { rule, message } => Self::Rejected(*rule, number(message)),
            PublishVerdict::Expired { message } => Self::Expired(number(message)),
            PublishVerdict::NeverSent { message } => Self::NeverSent(number(message)),
            PublishVerdict::Unknown { message } => {
                Self::Unknown(message.as_deref().and_then(number))
            }
            _ => Self::Unknown(None),
        }
    }

    /// The message that came back with it.
    const fn number(&self) -> Option<u32> {
        match self {
            Self::Sent | Self::Acknowledged(..) | Self::Refused(_) => None,
            Self::Rejected(_, number)
            | Self::Expired(number)
            | Self::NeverSent(number)
            | Self::Unknown(number) => *number,
        }
    }

    /// `None` if the message was not accepted.
    pub(crate) fn of_result(result: &Result<Published, PublishError>) -> Option<Self> {
        Some(match result {
            Ok(Published::Sent) => Self::Sent,
            Ok(Published::Acknowledged(answer)) => Self::Acknowledged(
                answer.reason_code.raw(),
                answer.completion.map(Received::raw),
            ),
            Ok(_) => Self::Unknown(None),
            Err(error) => {
                let number = error.payload().and_then(|payload| number_of(payload));
                match error {
                    PublishError::Refused(answer) => Self::Refused(answer.reason_code.raw()),
                    PublishError::Rejected { rule, .. } => Self::Rejected(*rule, number),
                    PublishError::Expired { .. } => Self::Expired(number),
                    PublishError::NeverSent { .. } => Self::NeverSent(number),
                    PublishError::Unknown { .. } => Self::Unknown(number),
                    _ => return None,
                }
            }
        })
    }
}

#[derive(Debug, Default)]
pub(crate) struct Operations {
    pub(super) by_number: BTreeMap<u32, Operation>,
    by_id: BTreeMap<OperationId, u32>,
    /// Accepted, and their futures dropped before the identifier could be seen.
    anonymous: Vec<u32>,
    /// Accepted, and their verdict not told.
    pub(super) outstanding: usize,
    /// Payload bytes of those that the client must still hold.
    bytes: usize,
    /// For each QoS, PUBLISHes of which a part was sent that does not tell which they are.
    pub(super) parts: [usize; 3],
    last_id: Option<OperationId>,
}

impl Operations {
    pub(super) fn at_rest(&self) -> Judged {
        let owed = self
            .by_number
            .iter()
            .find(|(_, it)| it.accepted && !it.verdict);
        if let Some((number, _)) = owed {
            return broken(
                "every operation gets its verdict",
                format_args!("message {number}"),
            );
        }
        if self.outstanding != 0 || !self.anonymous.is_empty() {
            return broken("every operation gets its verdict", "some have none");
        }
        Ok(())
    }

    /// It has its verdict.
    fn settle(&mut self, number: u32) {
        if let Some(operation) = self.by_number.get_mut(&number) {
            operation.verdict = true;
            self.outstanding -= 1;
            if !operation.released {
                self.bytes -= operation.length;
            }
        }
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Operation> {
        self.by_number.get_mut(&number)
    }

    /// Its PUBREC has come: the client holds it no longer.
    pub(super) fn release(&mut self, number: u32, code: u8) {
        if let Some(operation) = self.by_number.get_mut(&number) {
            operation.answer.get_or_insert(code);
            if !operation.released && !operation.verdict {
                self.bytes -= operation.length;
            }
            operation.released = true;
        }
    }
}

impl Judge {
    /// The application has begun to publish a message.
    pub(crate) fn publishing(&mut self, number: u32, world: &World<'_>) {
        let made = world.messages.get(number);
        let operation = Operation {
            accepted: false,
            accepted_at: world.now,
            accepted_after: self.ended,
            verdict: false,
            seen: Seen::Nothing,
            answer: None,
            completion: None,
            lost: false,
            released: false,
            overtaken: false,
            qos: made.map_or(0, |made| made.qos),
            length: made.map_or(0, |made| made.length),
        };
        self.operations.by_number.insert(number, operation);
    }

    /// The message was not accepted, or its future was dropped before it was.
    pub(crate) fn not_accepted(&mut self, number: u32) -> Judged {
        match self.operations.by_number.remove(&number) {
            Some(operation) if operation.accepted => broken(
                "accepted is accepted",
                format_args!("message {number} was given back"),
            ),
            _ => Ok(()),
        }
    }

    /// The client took the message on. `others`: permits that were given out and not used.
    pub(crate) fn accepted(
        &mut self,
        number: u32,
        id: Option<OperationId>,
        others: usize,
        now: Instant,
    ) -> Judged {
        let operations = &mut self.operations;
        let Some(operation) = operations.by_number.get_mut(&number) else {
            return broken("accepted once", format_args!("message {number}"));
        };
        if operation.accepted {
            return broken("accepted once", format_args!("message {number}"));
        }
        operation.accepted = true;
        operation.accepted_at = now;
        operation.accepted_after = self.ended;
        operations.outstanding += 1;
        operations.bytes += operation.length;
        let alone = operations.bytes == operation.length;
        if let Some(id) = id {
            if operations.last_id.is_some_and(|last| last >= id) {
                return broken("operation numbers rise", format_args!("{id:?}"));
            }
            operations.last_id = Some(id);
            operations.by_id.insert(id, number);
        }
        let asked = &self.asked;
        if operations.outstanding + others > asked.outbound_messages {
            return broken(
                "the outbound count is kept",
                format_args!("{} and {others} permits", operations.outstanding),
            );
        }
        if operations.bytes > asked.outbound_bytes && !alone && !self.tainted {
            return broken("the outbound bytes are kept", operations.bytes);
        }
        self.sending.accepted(number, operation.qos);
        Ok(())
    }

    /// The future of an accepted message was dropped: its verdict comes without a name.
    pub(crate) fn dropped_unnamed(&mut self, number: u32) {
        self.operations.anonymous.push(number);
    }

    /// A verdict that nobody waited for.
    pub(crate) fn told_unobserved(
        &mut self,
        id: OperationId,
        told: &Told,
        world: &mut World<'_>,
    ) -> Judged {
        world.tally.unobserved += 1;
        if let Some(number) = self.operations.by_id.remove(&id) {
            return self.told(number, told, world);
        }
        if self.tainted || self.closing {
            // Which answers the client has still heard is not known, and so nothing tells which
            // operation it is, unless the message comes back.
            let anonymous = &mut self.operations.anonymous;
            let given = anonymous.iter().position(|it| Some(*it) == told.number());
            if !anonymous.is_empty() {
                let number = anonymous.remove(given.unwrap_or(0));
                self.operations.settle(number);
                if given.is_some() {
                    self.sending.told(number);
                }
                return Ok(());
            }
        }
        // One of those that were dropped unnamed: one that it can be true for.
        let candidates = std::mem::take(&mut self.operations.anonymous);
        let mut failure = None;
        for (index, number) in candidates.iter().enumerate() {
            match self.check(*number, told, world.messages, world.now) {
                Ok(()) => {
                    self.operations.anonymous = candidates.clone();
                    self.operations.anonymous.remove(index);
                    return self.told(*number, told, world);
                }
                Err(violation) => failure = Some(violation),
            }
        }
        match failure {
            Some(violation) => Err(violation),
            None => broken(
                "one verdict per operation",
                format_args!("one too many: {told:?}"),
            ),
        }
    }

    /// A verdict for a message.
    pub(crate) fn told(&mut self, number: u32, told: &Told, world: &mut World<'_>) -> Judged {
        self.check(number, told, world.messages, world.now)?;
        world.tally.verdict(told);
        let operations = &mut self.operations;
        operations.settle(number);
        if let Some(operation) = operations.by_number.get_mut(&number)
            && operation.seen == Seen::Nothing
            && matches!(told, Told::Unknown(_))
        {
            let parts = &mut operations.parts[usize::from(operation.qos)];
            *parts = parts.saturating_sub(1);
        }
        self.sending.told(number);
        Ok(())
    }

    /// Whether the verdict is true.
    fn check(&self, number: u32, told: &Told, messages: &Messages, now: Instant) -> Judged {
        let Some(operation) = self.operations.by_number.get(&number) else {
            return broken(
                "a verdict needs an operation",
                format_args!("message {number}"),
            );
        };
        if operation.verdict || !operation.accepted {
            return broken(
                "one verdict per operation",
                format_args!("message {number}: {told:?}"),
            );
        }
        let made = messages.get(number);
        let names = |given: &Option<u32>| given.is_none_or(|given| given == number);
        // Taken out of the way; or it is the one of which a part was sent.
        let explained = matches!(
            told,
            Told::Rejected(..) | Told::Expired(_) | Told::Unknown(_)
        );
        // A server that lies acknowledges what it has not had, and such a message is not sent again.
        let deceived = self.tainted && matches!(told, Told::Acknowledged(..) | Told::Refused(_));
        if operation.overtaken && operation.seen == Seen::Nothing && !explained && !deceived {
            return broken(
                "messages leave in their order",
                format_args!("message {number}"),
            );
        }
        let true_one = match told {
            Told::Sent => operation.qos == 0 && operation.seen == Seen::Whole,
            Told::Acknowledged(code, completion) => {
                *code < 0x80
                    && (self.tainted || operation.answer == Some(*code))
                    && (self.tainted || operation.completion == *completion)
                    && operation.qos > 0
                    && (operation.qos == 2) == completion.is_some()
            }
            Told::Refused(code) => {
                *code >= 0x80 && (self.tainted || operation.answer == Some(*code))
            }
            Told::Rejected(rule, given) => {
                given.is_some() && names(given) && self.is_rejected(*rule, number, messages)
            }
            Told::Expired(given) => {
                let expiry = made.and_then(|made| made.expiry).map(u64::from);
                let lived = now.saturating_since(operation.accepted_at);
                given.is_some()
                    && names(given)
                    && operation.seen == Seen::Nothing
                    && expiry.is_some_and(|expiry| lived.as_secs() >= expiry)
            }
            Told::NeverSent(given) => {
                let cut = operation.accepted_after < self.ended;
                given.is_some()
                    && names(given)
                    && operation.seen == Seen::Nothing
                    && (self.closing || self.tainted || (operation.qos == 0 && cut))
            }
            Told::Unknown(given) => {
                let part = self.operations.parts[usize::from(operation.qos)] > 0;
                // Acknowledged by a lie before it could leave, and given up as delivered in part.
                let deceived = self.tainted && operation.qos == 2 && given.is_none();
                let left = operation.seen != Seen::Nothing || part || deceived;
                let over = operation.lost
                    || self.closing
                    || self.tainted
                    || self.may_start_clean
                    || part
                    || operation.qos == 0 && operation.seen == Seen::Part;
                let held = given.is_some() || operation.released;
                names(given) && left && over && (held || self.tainted)
            }
        };
        if true_one {
            return Ok(());
        }
        broken(
            "the verdict is true",
            format_args!("message {number}: {told:?}, but {operation:?}"),
        )
    }

    /// Whether the limits that were announced last forbid the message.
    fn is_rejected(&self, rule: Rule, number: u32, messages: &Messages) -> bool {
        let Some(made) = messages.get(number) else {
            return false;
        };
        let Some(limits) = self.connection.as_ref().and_then(|it| it.limits.as_ref()) else {
            // Told late, after its connection.
            return true;
        };
        match rule {
            Rule::MaximumQoS { .. } => made.qos > limits.maximum_qos,
            Rule::RetainAvailable => made.retain && !limits.retain,
            // Fixed header, topic, identifier, properties.
            Rule::MaximumPacketSize { .. } => {
                made.length + TOPICS[made.topic].len() + 15 > limits.maximum_packet_size
            }
            _ => false,
        }
    }
}
