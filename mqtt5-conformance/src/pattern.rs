//! Bytes to be sent, and patterns of bytes that are expected, in one notation.

use std::collections::BTreeMap;

use crate::wire::Reader;

/// Packet Identifiers that were captured.
pub(crate) type Captures = BTreeMap<String, [u8; 2]>;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Element>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    /// A byte; bits that are not in the mask may be anything.
    Byte { value: u8, mask: u8 },
    /// The Remaining Length that fits.
    Length,
    /// A Packet Identifier: any, other than those of `not`, where the name comes for the first time.
    Id { name: String, not: Vec<String> },
    /// Elements with their length in front, as a Variable Byte Integer.
    Section(Vec<Element>),
    /// A property section that fulfils conditions.
    Properties(Vec<Condition>),
    /// A Reason Code and what may follow it, at the end of a packet, in any of its forms.
    Reason(u8),
    /// Any bytes; sent as `x`.
    Bytes(usize),
    /// All that is left.
    Rest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Has(u8),
    HasValue(u8, Vec<u8>),
    HasNot(u8),
    /// If it is there at all.
    OnlyValue(u8, Vec<u8>),
}

/// Names for the first byte and the Remaining Length.
const NAMES: [(&str, u8); 14] = [
    ("CONNECT", 0x10),
    ("CONNACK", 0x20),
    ("PUBACK", 0x40),
    ("PUBREC", 0x50),
    ("PUBREL", 0x62),
    ("PUBCOMP", 0x70),
    ("SUBSCRIBE", 0x82),
    ("SUBACK", 0x90),
    ("UNSUBSCRIBE", 0xA2),
    ("UNSUBACK", 0xB0),
    ("PINGREQ", 0xC0),
    ("PINGRESP", 0xD0),
    ("DISCONNECT", 0xE0),
    ("AUTH", 0xF0),
];

/// Reads packets that are separated by `separator`.
pub(crate) fn parse_all(text: &str, separator: char) -> Result<Vec<Pattern>, String> {
    let mut scanner = Scanner(text);
    let mut packets = Vec::new();
    loop {
        let elements = scanner.elements(Some(separator))?;
        if elements.is_empty() {
            return Err("there is no packet".to_owned());
        }
        packets.push(Pattern(elements));
        if scanner.0.is_empty() {
            return Ok(packets);
        }
    }
}

impl Pattern {
    /// Reads one packet.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut packets = parse_all(text, '|')?;
        match (packets.pop(), packets.pop()) {
            (Some(packet), None) => Ok(packet),
            _ => Err("only one packet can be here".to_owned()),
        }
    }

    /// The names of the Packet Identifiers in it.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|element| match element {
            Element::Id { name, .. } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether it says of every byte what it is.
    pub(crate) fn is_definite(&self) -> bool {
        fn definite(elements: &[Element]) -> bool {
            elements.iter().all(|element| match element {
                Element::Byte { mask, .. } => *mask == 0xFF,
                Element::Section(inner) => definite(inner),
                Element::Length | Element::Id { .. } | Element::Bytes(_) => true,
                Element::Properties(_) | Element::Reason(_) | Element::Rest => false,
            })
        }
        definite(&self.0)
    }

    /// Whether it is a PINGREQ.
    pub(crate) fn is_pingreq(&self) -> bool {
        self.0.first() == Some(&byte(0xC0))
    }

    /// The bytes of a definite pattern.
    pub(crate) fn build(&self, captures: &Captures) -> Vec<u8> {
        build(&self.0, captures)
    }

    /// Whether `packet` is what is described.
    ///
    /// # Errors
    /// Where it is not.
    pub(crate) fn matches(&self, packet: &[u8], captures: &mut Captures) -> Result<(), String> {
        let mut found = captures.clone();
        let mut reader = Reader(packet);
        for element in &self.0 {
            let at = packet.len() - reader.0.len();
            take(element, &mut reader, &mut found).map_err(|why| format!("byte {at}: {why}"))?;
        }
        if !reader.0.is_empty() {
            return Err(format!("{} bytes too many", reader.0.len()));
        }
        *captures = found;
        Ok(())
    }
}

const fn byte(value: u8) -> Element {
    Element::Byte { value, mask: 0xFF }
}

fn variable(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7F).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn build(elements: &[Element], captures: &Captures) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        match element {
            Element::Byte { value, .. } => bytes.push(*value),
            Element::Length => {
                let rest = build(&elements[index + 1..], captures);
                bytes.extend(variable(rest.len()));
                bytes.extend(rest);
                return bytes;
            }
            Element::Id { name, .. } => {
                bytes.extend(captures.get(name).copied().unwrap_or_default());
            }
            Element::Section(inner) => {
                let inner = build(inner, captures);
                bytes.extend(variable(inner.len()));
                bytes.extend(inner);
            }
            Element::Bytes(count) => bytes.extend(std::iter::repeat_n(b'x', *count)),
            Element::Properties(_) | Element::Reason(_) | Element::Rest => {}
        }
    }
    bytes
}

fn take(element: &Element, reader: &mut Reader<'_>, captures: &mut Captures) -> Result<(), String> {
    match element {
        Element::Byte { value, mask } => {
            let found = reader.byte()?;
            if found & mask != value & mask {
                return Err(format!("{found:02X} instead of {value:02X}"));
            }
        }
        Element::Length => {
            let length = reader.variable()?;
            if length != reader.0.len() {
                return Err("the Remaining Length is wrong".to_owned());
            }
        }
        Element::Id { name, not } => {
            let found = [reader.byte()?, reader.byte()?];
            match captures.get(name) {
                Some(known) if *known != found => {
                    return Err(format!(
                        "Packet Identifier {found:02X?} instead of {known:02X?}"
                    ));
                }
                Some(_) => {}
                None if not.iter().any(|other| captures.get(other) == Some(&found)) => {
                    return Err(format!("Packet Identifier {found:02X?} is in use"));
                }
                None => {
                    captures.insert(name.clone(), found);
                }
            }
        }
        Element::Section(inner) => {
            let length = reader.variable()?;
            let mut section = Reader(reader.take(length)?);
            for element in inner {
                take(element, &mut section, captures)?;
            }
            if !section.0.is_empty() {
                return Err("the property section holds more".to_owned());
            }
        }
        Element::Properties(conditions) => {
            let properties = reader.properties()?;
            for condition in conditions {
                condition.check(&properties)?;
            }
        }
        Element::Reason(wanted) => {
            let found = if reader.0.is_empty() {
                0
            } else {
                reader.byte()?
            };
            if found != *wanted {
                return Err(format!("reason code {found:02X} instead of {wanted:02X}"));
            }
            if !reader.0.is_empty() {
                reader.properties()?;
            }
        }
        Element::Bytes(count) => {
            reader.take(*count)?;
        }
        Element::Rest => reader.0 = &[],
    }
    Ok(())
}

impl Condition {
    fn check(&self, properties: &[(u8, &[u8])]) -> Result<(), String> {
        let values = |wanted: u8| properties.iter().filter(move |(id, _)| *id == wanted);
        match self {
            Self::Has(id) if values(*id).next().is_none() => {
                Err(format!("property {id:02X} is missing"))
            }
            Self::HasValue(id, value)
                if !values(*id).any(|(_, found)| *found == value.as_slice()) =>
            {
                Err(format!("property {id:02X} is missing or has another value"))
            }
            Self::OnlyValue(id, value)
                if values(*id).any(|(_, found)| *found != value.as_slice()) =>
            {
                Err(format!("property {id:02X} has another value"))
            }
            Self::HasNot(id) if values(*id).next().is_some() => {
                Err(format!("property {id:02X} is there"))
            }
            _ => Ok(()),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (id, value) = match text.split_once('=') {
            Some((id, value)) => (id, Some(value)),
            None => (text, None),
        };
        let digits = id.trim_start_matches(['!', '?']);
        let mark = &id[..id.len() - digits.len()];
        let id = u8::from_str_radix(digits, 16).map_err(|_| format!("no property: {id:?}"))?;
        let value = match value {
            None => None,
            Some(value) => {
                let bytes = crate::bytes(&format!("hex:{value}"));
                Some(bytes.ok_or_else(|| format!("no bytes: {value:?}"))?)
            }
        };
        match (mark, value) {
            ("!", None) => Ok(Self::HasNot(id)),
            ("", None) => Ok(Self::Has(id)),
            ("", Some(value)) => Ok(Self::HasValue(id, value)),
            ("?", Some(value)) => Ok(Self::OnlyValue(id, value)),
            _ => Err(format!("no condition: {text:?}")),
        }
    }
}

/// Takes elements off the front of a line.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    /// The elements up to the separator, the end of a section, or the end of the line.
    fn elements(&mut self, separator: Option<char>) -> Result<Vec<Element>, String> {
        let mut elements = Vec::new();
        loop {
            self.0 = self.0.trim_start();
            let Some(next) = self.0.chars().next() else {
                return if separator.is_none() {
                    Err("a } is missing".to_owned())
                } else {
                    Ok(elements)
                };
            };
            let rest = &self.0[next.len_utf8()..];
            match next {
                _ if Some(next) == separator => {
                    self.0 = rest;
                    return Ok(elements);
                }
                '}' if separator.is_none() => {
                    self.0 = rest;
                    return Ok(elements);
                }
                '{' => {
                    self.0 = rest;
                    elements.push(Element::Section(self.elements(None)?));
                }
                '\'' => {
                    let text = self.until('\'')?;
                    let length = u16::try_from(text.len()).map_err(|error| error.to_string())?;
                    elements.extend(length.to_be_bytes().map(byte));
                    elements.extend(text.bytes().map(byte));
                }
                '"' => elements.extend(self.until('"')?.bytes().map(byte)),
                '<' => {
                    let text = self.until('>')?;
                    elements.push(special(text)?);
                }
                '*' => {
                    self.0 = rest;
                    elements.push(Element::Rest);
                }
                _ => self.word(&mut elements)?,
            }
        }
    }

    /// What stands between the delimiter at the front and the next `end`.
    fn until(&mut self, end: char) -> Result<&'a str, String> {
        let (text, rest) = self.0[1..]
            .split_once(end)
            .ok_or_else(|| format!("a {end} is missing"))?;
        self.0 = rest;
        Ok(text)
    }

    /// A name, or digits.
    fn word(&mut self, elements: &mut Vec<Element>) -> Result<(), String> {
        let end = self
            .0
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '?');
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        if word.is_empty() {
            return Err(format!("what is {:?}?", self.0));
        }
        self.0 = rest;
        if let Some((_, first)) = NAMES.iter().find(|(name, _)| *name == word) {
            elements.extend([byte(*first), Element::Length]);
            return Ok(());
        }
        if word.len() % 2 != 0 {
            return Err(format!("half a byte in {word:?}"));
        }
        for pair in word.as_bytes().chunks(2) {
            let (mut value, mut mask) = (0, 0);
            for digit in pair {
                let digit = char::from(*digit);
                let known = u8::from(digit != '?') * 0x0F;
                let found = if digit == '?' {
                    Some(0)
                } else {
                    digit.to_digit(16)
                };
                let found = found.ok_or_else(|| format!("{word:?} is not hexadecimal"))?;
                value = value << 4 | u8::try_from(found).unwrap_or_default();
                mask = mask << 4 | known;
            }
            elements.push(Element::Byte { value, mask });
        }
        Ok(())
    }
}

/// What stands in angle brackets.
fn special(text: &str) -> Result<Element, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Ok(match words.as_slice() {
        ["length"] => Element::Length,
        ["id", name] => Element::Id {
            name: (*name).to_owned(),
            not: Vec::new(),
        },
        ["id", name, "not", others @ ..] if !others.is_empty() => Element::Id {
            name: (*name).to_owned(),
            not: others.iter().map(|other| (*other).to_owned()).collect(),
        },
        ["reason", code] => {
            let code = u8::from_str_radix(code, 16);
            Element::Reason(code.map_err(|_| format!("no reason code: {text:?}"))?)
        }
        ["properties", conditions @ ..] => Element::Properties(
            conditions
                .iter()
                .map(|condition| Condition::parse(condition))
                .collect::<Result<_, _>>()?,
        ),
        [count, "bytes"] => {
            Element::Bytes(count.parse().map_err(|_| format!("no number: {count:?}"))?)
        }
        _ => return Err(format!("what is <{text}>?")),
    })
}
