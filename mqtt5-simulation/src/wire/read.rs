//! Fields, one after the other.

use super::property::{Allowed, Properties};
use super::{Fault, malformed};

#[derive(Clone, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(malformed("a field runs over the end"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(crate) fn variable(&mut self) -> Result<u32, Fault> {
        let mut number = 0;
        for index in 0..4 {
            let byte = self.byte()?;
            number |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                if byte == 0 && index > 0 {
                    break;
                }
                return Ok(number);
            }
        }
        Err(malformed("Variable Byte Integer"))
    }

    pub(crate) fn packet_id(&mut self) -> Result<u16, Fault> {
        match self.u16()? {
            0 => Err(Fault {
                code: 0x82,
                ..malformed("Packet Identifier 0")
            }),
            id => Ok(id),
        }
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    pub(crate) fn string(&mut self) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| malformed("UTF-8"))?;
        if text.contains('\0') {
            return Err(malformed("U+0000"));
        }
        Ok(text)
    }

    pub(crate) fn properties(&mut self, allowed: Allowed) -> Result<Properties<'a>, Fault> {
        let length = self.variable()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        Properties::check(self.take(length)?, allowed)
    }

    /// Properties that may be left out together with their length, at the end of a packet.
    pub(crate) fn short_properties(&mut self, allowed: Allowed) -> Result<Properties<'a>, Fault> {
        if self.is_empty() {
            return Ok(Properties::default());
        }
        self.properties(allowed)
    }
}
