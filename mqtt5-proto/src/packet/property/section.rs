//! The property section of a received packet.

use super::Property;
use super::values::VALUE;
use crate::codec::{Fault, Parsed, Violation, fail, variable_byte_integer};

/// The checked bytes of a property section, and which identifiers are in it.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Section<'a> {
    pub(crate) bytes: &'a [u8],
    pub(super) present: u64,
}

/// How to check and how to step over the value of a property; `None` for one not in the table.
type ValueStep = for<'a> fn(u8, &'a [u8]) -> Option<Parsed<'a, ()>>;

impl<'a> Section<'a> {
    /// Reads a Property Length and checks what it spans against a table.
    #[inline]
    pub(crate) fn parse(input: &'a [u8], repeatable: u64, check: ValueStep) -> Parsed<'a, Self> {
        let (rest, length) = match input {
            // The usual case, without the loop.
            [length @ 0..=0x7F, rest @ ..] => (rest, usize::from(*length)),
            _ => {
                let (rest, length) = variable_byte_integer(input)?;
                (rest, length as usize)
            }
        };
        let Some((bytes, rest)) = rest.split_at_checked(length) else {
            return fail(input, Violation::Truncated);
        };
        let mut present = 0;
        let mut left = bytes;
        while let [id, value @ ..] = left {
            let Some(step) = check(*id, value) else {
                return fail(left, Violation::PropertyNotAllowed(*id));
            };
            let bit = 1u64 << (id & 63);
            if present & bit & !repeatable != 0 {
                return fail(left, Violation::DuplicateProperty(*id));
            }
            present |= bit;
            left = match step {
                Ok((left, ())) => left,
                Err(error) => return Err(named(error, *id)),
            };
        }
        Ok((rest, Self { bytes, present }))
    }

    /// The whole of `bytes`, which passed [`parse`](Self::parse) before.
    pub(crate) const fn checked(bytes: &'a [u8], present: u64) -> Self {
        Self { bytes, present }
    }

    pub(crate) const fn present(self) -> u64 {
        self.present
    }

    /// The Property Length.
    pub(crate) fn len(self) -> u32 {
        // It came as a Variable Byte Integer, so that it fits.
        u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)
    }

    /// From the value of the property `wanted` to the end, if it is there.
    pub(crate) fn locate(self, wanted: u8, skip: ValueStep) -> Option<&'a [u8]> {
        let mut left = self.bytes;
        while let [id, value @ ..] = left {
            if *id == wanted {
                return Some(value);
            }
            (left, ()) = skip(*id, value)?.ok()?;
        }
        None
    }

    #[inline]
    pub(crate) const fn has(self, id: u8) -> bool {
        self.present & (1 << id) != 0
    }

    #[inline]
    pub(crate) fn find<T: Property>(self, wanted: u8, skip: ValueStep) -> Option<T::View<'a>> {
        if !self.has(wanted) {
            return None;
        }
        self.all::<T>(wanted, skip).next()
    }

    pub(crate) fn all<T: Property>(
        self,
        wanted: u8,
        skip: ValueStep,
    ) -> impl Iterator<Item = T::View<'a>> + Clone {
        let mut left = if self.has(wanted) { self.bytes } else { &[] };
        core::iter::from_fn(move || {
            while let [id, value @ ..] = left {
                if *id == wanted
                    && let Ok((rest, view)) = T::parse(value)
                {
                    left = rest;
                    return Some(view);
                }
                (left, ()) = skip(*id, value)?.ok()?;
            }
            None
        })
    }
}

fn named(error: nom::Err<Fault<'_>>, id: u8) -> nom::Err<Fault<'_>> {
    let mut fault = Fault::from(error);
    if fault.violation == VALUE {
        fault.violation = Violation::PropertyValue(id);
    }
    nom::Err::Error(fault)
}
