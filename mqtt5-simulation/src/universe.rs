//! The topics and filters of the simulated world, and every message that was made in it.

use bytes::Bytes;

/// What is published to.
pub(crate) const TOPICS: [&str; 8] = [
    "a",
    "a/b",
    "a/c",
    "b/x",
    "b/y/z",
    "/",
    "$own/a",
    "refused/x",
];

/// The topic to which the broker lets nobody publish.
pub(crate) const REFUSED_TOPIC: &str = "refused/#";

/// The filter that the broker refuses.
pub(crate) const REFUSED_FILTER: &str = "refused/x";

/// What is subscribed to.
pub(crate) const FILTERS: [&str; 16] = [
    "#",
    "a/#",
    "a/b",
    "+/b",
    "a/+",
    "b/#",
    "b/+/z",
    "+",
    "+/+",
    "$own/#",
    "a",
    "$share/g/a/#",
    "$share/g/#",
    "$share/h/b/+",
    "$share/h/a/b",
    "refused/x",
];

/// Whether a filter matches a topic, word by word (section 4.7).
fn matches(filter: &str, topic: &str) -> bool {
    let filter = match filter.strip_prefix("$share/") {
        Some(shared) => shared.split_once('/').map_or("", |(_, filter)| filter),
        None => filter,
    };
    if topic.starts_with('$') && !filter.starts_with('$') {
        return false;
    }
    let mut levels = topic.split('/');
    let mut wanted = filter.split('/');
    loop {
        match (wanted.next(), levels.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(word), Some(level)) if word == level => {}
            _ => return false,
        }
    }
}

/// Which filters match which topics.
#[derive(Debug)]
pub(crate) struct Matching([[bool; FILTERS.len()]; TOPICS.len()]);

impl Matching {
    pub(crate) fn new() -> Self {
        Self(TOPICS.map(|topic| FILTERS.map(|filter| matches(filter, topic))))
    }

    pub(crate) fn holds(&self, filter: usize, topic: usize) -> bool {
        self.0[topic][filter]
    }
}

/// One message that was made, whoever published it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) topic: usize,
    pub(crate) length: usize,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    /// In seconds.
    pub(crate) expiry: Option<u32>,
}

/// All messages, by the number that their payload begins with.
#[derive(Debug, Default)]
pub(crate) struct Messages(Vec<Made>);

/// The least that a payload needs for its number.
pub(crate) const LEAST_PAYLOAD: usize = 4;

impl Messages {
    /// Takes note of a message; returns its number.
    pub(crate) fn add(&mut self, made: Made) -> u32 {
        self.0.push(made);
        u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Made> {
        self.0.get(usize::try_from(number).ok()?)
    }

    pub(crate) fn payload(&self, number: u32) -> Bytes {
        let length = self.get(number).map_or(LEAST_PAYLOAD, |made| made.length);
        let mut payload = vec![filler(number); length];
        payload[..LEAST_PAYLOAD].copy_from_slice(&number.to_be_bytes());
        Bytes::from(payload)
    }

    /// The number of a payload, if it is that of a message and whole.
    pub(crate) fn check(&self, payload: &[u8]) -> Option<u32> {
        let number = number_of(payload)?;
        let made = self.get(number)?;
        let rest = payload.get(LEAST_PAYLOAD..)?;
        let whole = payload.len() == made.length && rest.iter().all(|byte| *byte == filler(number));
        whole.then_some(number)
    }
}

fn filler(number: u32) -> u8 {
    number.to_be_bytes()[3] ^ 0x5A
}

/// The number that a payload begins with, whole or not.
pub(crate) fn number_of(payload: &[u8]) -> Option<u32> {
    let bytes = payload.first_chunk::<LEAST_PAYLOAD>()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_shows() {
        for (filter, topic, expected) in [
            ("sport/#", "sport", true),
            ("sport/#", "sport/", true),
            ("sport/#", "sports", false),
            ("#", "$SYS/x", false),
            ("+", "finance", true),
            ("+", "/finance", false),
            ("+/+", "/finance", true),
            ("sport/+", "sport", false),
            ("$SYS/#", "$SYS", true),
            ("$share/g/a/#", "a/b", true),
            ("$share/g/#", "$own/a", false),
        ] {
            assert_eq!(matches(filter, topic), expected, "{filter} {topic}");
        }
    }
}
