//! What the application tells the client to do.

use std::fmt;

/// An instruction, such as `publish p1 topic=a/b qos=1 payload=hi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub verb: Verb,
    /// What verdicts call it.
    pub name: Option<String>,
    /// With what.
    pub arguments: Arguments,
}

/// What a client can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Open a connection and send a CONNECT.
    Connect,
    /// Open another connection, with the same settings, after the one before has ended.
    Reconnect,
    /// Publish a message.
    Publish,
    /// Subscribe.
    Subscribe,
    /// Unsubscribe.
    Unsubscribe,
    /// Acknowledge a message that was delivered.
    Acknowledge,
    /// Authenticate again.
    Authenticate,
    /// Send a DISCONNECT.
    Disconnect,
}

const VERBS: [(&str, Verb, &[&str]); 8] = [
    (
        "connect",
        Verb::Connect,
        &[
            "client_id",
            "clean_start",
            "keep_alive",
            "session_expiry",
            "receive_maximum",
            "maximum_packet_size",
            "topic_alias_maximum",
            "request_problem_information",
            "request_response_information",
            "user_name",
            "password",
            "will_topic",
            "will_payload",
            "will_qos",
            "will_retain",
            "will_delay",
            "authentication_method",
            "authentication_data",
            "authentication_answer",
            "puback",
            "pubrec",
        ],
    ),
    ("reconnect", Verb::Reconnect, &[]),
    (
        "publish",
        Verb::Publish,
        &[
            "topic",
            "qos",
            "retain",
            "payload",
            "message_expiry",
            "payload_format",
            "content_type",
            "response_topic",
            "correlation_data",
            "user_property",
        ],
    ),
    (
        "subscribe",
        Verb::Subscribe,
        &[
            "filter",
            "qos",
            "no_local",
            "retain_as_published",
            "retain_handling",
            "identifier",
        ],
    ),
    ("unsubscribe", Verb::Unsubscribe, &["filter"]),
    (
        "acknowledge",
        Verb::Acknowledge,
        &["message", "reason", "reason_string", "user_property"],
    ),
    ("authenticate", Verb::Authenticate, &[]),
    (
        "disconnect",
        Verb::Disconnect,
        &["reason", "session_expiry", "reason_string", "user_property"],
    ),
];

/// What `connect` means unless told otherwise. A client is always told all of it.
const CONNECT_DEFAULTS: [(&str, &str); 4] = [
    ("client_id", "c"),
    ("clean_start", "1"),
    ("keep_alive", "0"),
    ("session_expiry", "0"),
];

impl Verb {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        VERBS
            .iter()
            .find(|(_, verb, _)| *verb == self)
            .map_or("", |(word, ..)| word)
    }

    /// Whether it is something that verdicts tell about.
    const fn is_operation(self) -> bool {
        matches!(self, Self::Publish | Self::Subscribe | Self::Unsubscribe)
    }
}

impl Instruction {
    /// Reads an instruction.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let Some((_, verb, keys)) = VERBS.iter().find(|(known, ..)| *known == word) else {
            return Err(format!("no instruction: {word:?}"));
        };
        let (name, rest) = if verb.is_operation() {
            let (name, rest) = rest.trim().split_once(' ').ok_or("a name is missing")?;
            if name.contains('=') {
                return Err("a name is missing".to_owned());
            }
            (Some(name.to_owned()), rest)
        } else {
            (None, rest)
        };
        let mut arguments = Arguments::parse(rest)?;
        if let Some((key, _)) = arguments
            .0
            .iter()
            .find(|(key, _)| !keys.contains(&key.as_str()))
        {
            return Err(format!("{word} has no argument {key:?}"));
        }
        if *verb == Verb::Connect {
            for (key, value) in CONNECT_DEFAULTS {
                if arguments.get(key).is_none() {
                    arguments.0.push((key.to_owned(), value.to_owned()));
                }
            }
        }
        Ok(Self {
            verb: *verb,
            name,
            arguments,
        })
    }
}

/// As it is told to a client program.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb.word())?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, "{}", self.arguments)
    }
}

/// Keys and values, in order; a key may come more than once.
///
/// A value has no spaces. It stands for itself, as text, unless it is `hex:` and bytes, or `size:`
/// and a number: so many times the letter `x`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments(pub Vec<(String, String)>);

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

impl Arguments {
    /// Reads `key=value` separated by spaces.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split_whitespace()
            .map(|word| {
                let (key, value) = word
                    .split_once('=')
                    .ok_or_else(|| format!("{word:?} is not key=value"))?;
                if bytes(value).is_none() {
                    return Err(format!("what is {value:?}?"));
                }
                Ok((key.to_owned(), value.to_owned()))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Adds a value, as text where it can be.
    pub fn add(&mut self, key: &str, value: &[u8]) {
        let text = std::str::from_utf8(value).ok();
        let plain = text.filter(|text| {
            text.bytes().all(|byte| byte.is_ascii_graphic())
                && !text.starts_with("hex:")
                && !text.starts_with("size:")
                && *text != "-"
        });
        let value = plain.map_or_else(
            || {
                value
                    .iter()
                    .fold("hex:".to_owned(), |text, byte| format!("{text}{byte:02X}"))
            },
            str::to_owned,
        );
        self.0.push((key.to_owned(), value));
    }

    /// The values of `key`, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of `key` as a number; `0x` in front makes it hexadecimal.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<u64> {
        let value = self.get(key)?;
        match value.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => value.parse().ok(),
        }
    }

    /// The first value of `key` as bytes.
    #[must_use]
    pub fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        bytes(self.get(key)?)
    }
}

/// The bytes that a value stands for; `None` if it is neither text nor one of the other notations.
#[must_use]
pub fn bytes(value: &str) -> Option<Vec<u8>> {
    if let Some(size) = value.strip_prefix("size:") {
        return Some(vec![b'x'; size.parse().ok()?]);
    }
    let Some(digits) = value.strip_prefix("hex:") else {
        return Some(value.as_bytes().to_vec());
    };
    if digits.len() % 2 != 0 || !digits.is_ascii() {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}
