//! Properties: which there are, where they may be, and what they hold.

use super::{Fault, Reader, malformed};

/// The properties that the simulation looks at; the others are only checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    MessageExpiryInterval = 0x02,
    SubscriptionIdentifier = 0x0B,
    SessionExpiryInterval = 0x11,
    ServerKeepAlive = 0x13,
    ReceiveMaximum = 0x21,
    TopicAlias = 0x23,
    MaximumQoS = 0x24,
    RetainAvailable = 0x25,
    MaximumPacketSize = 0x27,
    WildcardSubscriptionAvailable = 0x28,
    SubscriptionIdentifierAvailable = 0x29,
    SharedSubscriptionAvailable = 0x2A,
}

/// A bit for each identifier that a packet may have.
pub(crate) type Allowed = u64;

const fn set(identifiers: &[u8]) -> Allowed {
    let mut allowed = 0;
    let mut index = 0;
    while index < identifiers.len() {
        allowed |= 1 << identifiers[index];
        index += 1;
    }
    allowed
}

pub(crate) const CONNECT: Allowed = set(&[0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27]);
pub(crate) const WILL: Allowed = set(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26]);
pub(crate) const CONNACK: Allowed = set(&[
    0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29,
    0x2A,
]);
pub(crate) const PUBLISH: Allowed = set(&[0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26]);
pub(crate) const ACK: Allowed = set(&[0x1F, 0x26]);
pub(crate) const SUBSCRIBE: Allowed = set(&[0x0B, 0x26]);
pub(crate) const UNSUBSCRIBE: Allowed = set(&[0x26]);
pub(crate) const DISCONNECT: Allowed = set(&[0x11, 0x1C, 0x1F, 0x26]);
pub(crate) const AUTH: Allowed = set(&[0x15, 0x16, 0x1F, 0x26]);

const MAY_REPEAT: Allowed = set(&[0x0B, 0x26]);

/// What a property holds, as far as it is a number.
fn value(identifier: u8, reader: &mut Reader<'_>) -> Result<u32, Fault> {
    Ok(match identifier {
        0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2A => reader.byte()?.into(),
        0x13 | 0x21 | 0x22 | 0x23 => reader.u16()?.into(),
        0x02 | 0x11 | 0x18 | 0x27 => reader.u32()?,
        0x0B => reader.variable()?,
        0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => {
            reader.string()?;
            0
        }
        0x09 | 0x16 => {
            reader.binary()?;
            0
        }
        0x26 => {
            reader.string()?;
            reader.string()?;
            0
        }
        _ => return Err(malformed("unknown property")),
    })
}

/// The properties of one packet, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Properties<'a>(&'a [u8]);

impl<'a> Properties<'a> {
    pub(crate) fn check(bytes: &'a [u8], allowed: Allowed) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let mut seen: Allowed = 0;
        while !reader.is_empty() {
            let identifier = reader.byte()?;
            let bit = 1u64.checked_shl(identifier.into()).unwrap_or(0);
            if bit & allowed == 0 {
                return Err(malformed("a property that may not be there"));
            }
            if seen & bit & !MAY_REPEAT != 0 {
                return Err(Fault {
                    code: 0x82,
                    ..malformed("a property twice")
                });
            }
            seen |= bit;
            let number = value(identifier, &mut reader)?;
            if number == 0 && matches!(identifier, 0x0B | 0x21 | 0x27) {
                return Err(Fault {
                    code: 0x82,
                    ..malformed("a property that may not be 0")
                });
            }
        }
        Ok(Self(bytes))
    }

    /// All that have a number of this kind.
    pub(crate) fn numbers(&self, wanted: Property) -> impl Iterator<Item = u32> + use<'a> {
        let mut reader = Reader::new(self.0);
        std::iter::from_fn(move || {
            while !reader.is_empty() {
                let identifier = reader.byte().ok()?;
                let number = value(identifier, &mut reader).ok()?;
                if identifier == wanted as u8 {
                    return Some(number);
                }
            }
            None
        })
    }

    pub(crate) fn number(&self, wanted: Property) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        self.numbers(wanted).next()
    }
}

impl std::fmt::Display for Properties<'_> {
    /// Identifiers and numbers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut reader = Reader::new(self.0);
        f.write_str("[")?;
        while let Ok(identifier) = reader.byte() {
            let number = value(identifier, &mut reader).unwrap_or(0);
            write!(f, "{identifier:02x}={number} ")?;
        }
        f.write_str("]")
    }
}
