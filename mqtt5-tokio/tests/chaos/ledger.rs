//! What was done and what has come: the facts that are judged in the end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use mqtt5_tokio::{PublishError, Published, QoS};

/// The number of a message, which its payload begins with. No two messages have the same, and those
/// of one publisher have rising ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Number(u64);

impl Number {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A payload of this many bytes besides, which are as the number says.
    pub(crate) fn payload(self, filler: usize) -> Vec<u8> {
        let mut payload = self.0.to_be_bytes().to_vec();
        payload.resize(payload.len() + filler, self.filler());
        payload
    }

    pub(crate) fn of_payload(payload: &[u8]) -> Option<Self> {
        let (number, _) = payload.split_first_chunk()?;
        Some(Self(u64::from_be_bytes(*number)))
    }

    fn filler(self) -> u8 {
        self.0.to_le_bytes()[0]
    }
}

/// What a publish came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Sent,
    Acknowledged,
    /// Not accepted in the first place.
    NotAccepted,
    NeverSent,
    Unknown,
    /// One that nothing here can give rise to.
    Odd,
}

impl Verdict {
    pub(crate) const fn of(result: &Result<Published, PublishError>) -> Self {
        match result {
            Ok(Published::Sent) => Self::Sent,
            Ok(Published::Acknowledged(_)) => Self::Acknowledged,
            Err(PublishError::NotAccepted { .. } | PublishError::Closed { .. }) => {
                Self::NotAccepted
            }
            Err(PublishError::NeverSent { .. }) => Self::NeverSent,
            Err(PublishError::Unknown { .. }) => Self::Unknown,
            _ => Self::Odd,
        }
    }
}

/// A publish, and what its publisher was told of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publish {
    pub(crate) qos: QoS,
    /// Whether its client has lived to the end of the run.
    pub(crate) lasting: bool,
    pub(crate) verdict: Verdict,
}

/// The publishes of one direction.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    publishes: Mutex<BTreeMap<Number, Publish>>,
}

impl Ledger {
    pub(crate) fn enter(&self, number: Number, publish: Publish) {
        let before = self.publishes.lock().unwrap().insert(number, publish);
        assert!(before.is_none(), "two verdicts for {number:?}: {before:?}");
    }

    pub(crate) fn publishes(&self) -> BTreeMap<Number, Publish> {
        self.publishes.lock().unwrap().clone()
    }
}

/// The messages that a consumer was given.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    times: HashMap<Number, u32>,
    /// The newest message of each topic.
    newest: HashMap<String, Number>,
    out_of_order: HashSet<Number>,
    wrong: Vec<String>,
}

impl Arrivals {
    /// Takes a message in; whether it is the first time.
    pub(crate) fn enter(&mut self, topic: &str, payload: &[u8]) -> bool {
        let Some(number) = Number::of_payload(payload) else {
            self.wrong.push(format!("not ours: {topic} {payload:?}"));
            return false;
        };
        if payload[8..].iter().any(|byte| *byte != number.filler()) {
            self.wrong.push(format!("damaged: {topic} {payload:?}"));
        }
        let times = self.times.entry(number).or_default();
        *times += 1;
        if *times > 1 {
            return false;
        }
        if let Some(newest) = self.newest.insert(topic.to_owned(), number)
            && newest > number
        {
            self.out_of_order.insert(number);
        }
        true
    }

    pub(crate) fn times(&self, number: Number) -> u32 {
        self.times.get(&number).copied().unwrap_or(0)
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = Number> {
        self.times.keys().copied()
    }

    /// The messages that came later than a newer one of their topic.
    pub(crate) const fn out_of_order(&self) -> &HashSet<Number> {
        &self.out_of_order
    }

    pub(crate) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub(crate) fn total(&self) -> u64 {
        self.times.values().map(|times| u64::from(*times)).sum()
    }
}
