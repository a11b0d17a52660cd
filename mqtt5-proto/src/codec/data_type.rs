//! The data types of MQTT 5.0 section 1.5.

use alloc::{string::String, vec::Vec};
use core::fmt;

use bytes::Bytes;
use nom::{IResult, number::complete as number};

use super::error::{Fault, Violation, fail};
use super::scan::{has_nul, is_plain};

pub(crate) type Parsed<'a, T> = IResult<&'a [u8], T, Fault<'a>>;

/// The largest value of a Variable Byte Integer (section 1.5.5).
pub const MAX_VARIABLE_BYTE_INTEGER: u32 = 268_435_455;

/// How many bytes `value` takes as a Variable Byte Integer: 1 to 4.
#[must_use]
pub const fn variable_byte_integer_len(value: u32) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

pub(crate) fn byte(input: &[u8]) -> Parsed<'_, u8> {
    number::u8(input)
}

pub(crate) fn be_u16(input: &[u8]) -> Parsed<'_, u16> {
    number::be_u16(input)
}

pub(crate) fn be_u32(input: &[u8]) -> Parsed<'_, u32> {
    number::be_u32(input)
}

pub(crate) fn variable_byte_integer(input: &[u8]) -> Parsed<'_, u32> {
    let mut value = 0u32;
    for (index, &byte) in input.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return fail(input, Violation::VariableByteIntegerNotMinimal);
            }
            return Ok((&input[index + 1..], value));
        }
    }
    if input.len() >= 4 {
        return fail(input, Violation::VariableByteIntegerTooLong);
    }
    fail(input, Violation::Truncated)
}

/// The bytes behind a two-byte length.
// By hand: strings are most of what there is to parse, and a combinator costs as much as the work.
#[inline]
pub(crate) fn length_prefixed(input: &[u8]) -> Parsed<'_, &[u8]> {
    let Some((&length, rest)) = input.split_first_chunk() else {
        return fail(input, Violation::Truncated);
    };
    match rest.split_at_checked(u16::from_be_bytes(length).into()) {
        Some((value, rest)) => Ok((rest, value)),
        None => fail(input, Violation::Truncated),
    }
}

#[inline]
pub(crate) fn binary(input: &[u8]) -> Parsed<'_, &[u8]> {
    length_prefixed(input)
}

#[inline]
pub(crate) fn string(input: &[u8]) -> Parsed<'_, &str> {
    let (rest, bytes) = length_prefixed(input)?;
    match check_utf8(bytes) {
        Ok(text) => Ok((rest, text)),
        Err(violation) => fail(input, violation),
    }
}

/// As [`string`], for those who need no `str`.
#[inline]
pub(crate) fn string_bytes(input: &[u8]) -> Parsed<'_, &[u8]> {
    let (rest, bytes) = length_prefixed(input)?;
    match check_utf8_bytes(bytes) {
        Ok(bytes) => Ok((rest, bytes)),
        Err(violation) => fail(input, violation),
    }
}

/// Well-formed UTF-8 without U+0000, as every string of the protocol must be.
#[inline]
pub(crate) fn check_utf8(bytes: &[u8]) -> Result<&str, Violation> {
    let text = core::str::from_utf8(bytes).map_err(|_| Violation::InvalidUtf8)?;
    if has_nul(bytes) {
        Err(Violation::NulInString)
    } else {
        Ok(text)
    }
}

/// Like [`check_utf8`] for those who need no `str`: ASCII, the usual case, is seen in one pass.
#[inline]
pub(crate) fn check_utf8_bytes(bytes: &[u8]) -> Result<&[u8], Violation> {
    if is_plain(bytes) {
        return Ok(bytes);
    }
    check_utf8(bytes).map(str::as_bytes)
}

/// Why text or bytes cannot be a [`Utf8String`] or [`BinaryData`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataTypeError {
    /// Longer than the 65,535 bytes that a two-byte length can tell.
    #[error("longer than 65535 bytes")]
    TooLong,
    /// Holds U+0000 (`1.5.4-2`).
    #[error("holds U+0000")]
    Nul,
    /// Not well-formed UTF-8 (`1.5.4-1`).
    #[error("not well-formed UTF-8")]
    InvalidUtf8,
}

/// A value of the right type converts to itself without fail.
impl From<core::convert::Infallible> for DataTypeError {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

const INLINE: usize = 38;

/// Up to 38 bytes are kept in place, so that usual topics cost no allocation.
#[derive(Clone)]
enum Text {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
}

/// A UTF-8 Encoded String (section 1.5.4): at most 65,535 bytes, without U+0000.
///
/// Cloning never allocates: short strings are kept in place, long ones are shared.
#[derive(Clone)]
pub struct Utf8String(Text);

impl Utf8String {
    /// Checks and copies `text`.
    ///
    /// # Errors
    /// [`DataTypeError`] if `text` is longer than 65,535 bytes or holds U+0000.
    #[inline]
    pub fn new(text: &str) -> Result<Self, DataTypeError> {
        check_string(text)?;
        Ok(Self::copy_from(text))
    }

    /// Whether `text` can be one.
    #[inline]
    pub(crate) fn validate(text: &str) -> Result<(), DataTypeError> {
        check_string(text)
    }

    /// Of `text` that was checked.
    #[inline]
    pub(crate) fn copy_from(text: &str) -> Self {
        Self::inline(text)
            .unwrap_or_else(|| Self(Text::Shared(Bytes::copy_from_slice(text.as_bytes()))))
    }

    /// Checks `text` and keeps it without copying.
    ///
    /// # Errors
    /// [`DataTypeError`] if `text` is longer than 65,535 bytes or holds U+0000.
    pub fn from_static(text: &'static str) -> Result<Self, DataTypeError> {
        check_string(text)?;
        Ok(Self(Text::Shared(Bytes::from_static(text.as_bytes()))))
    }

    #[inline]
    fn inline(text: &str) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).ok()?;
        Some(Self(Text::Inline { len, bytes }))
    }

    /// The bytes of the string.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Shared(bytes) => bytes,
        }
    }

    /// The string. Costs a UTF-8 check; [`as_bytes`](Self::as_bytes) does not.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Whether the string is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }
}

#[inline]
fn check_string(text: &str) -> Result<(), DataTypeError> {
    if text.len() > usize::from(u16::MAX) {
        Err(DataTypeError::TooLong)
    } else if has_nul(text.as_bytes()) {
        Err(DataTypeError::Nul)
    } else {
        Ok(())
    }
}

impl Default for Utf8String {
    fn default() -> Self {
        Self(Text::Shared(Bytes::new()))
    }
}

impl PartialEq for Utf8String {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Utf8String {}

impl PartialEq<str> for Utf8String {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Utf8String {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl core::hash::Hash for Utf8String {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl PartialOrd for Utf8String {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Utf8String {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl core::borrow::Borrow<str> for Utf8String {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8String {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for Utf8String {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Utf8String {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

impl TryFrom<&str> for Utf8String {
    type Error = DataTypeError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl TryFrom<&String> for Utf8String {
    type Error = DataTypeError;

    fn try_from(text: &String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl TryFrom<String> for Utf8String {
    type Error = DataTypeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        check_string(&text)?;
        Ok(Self::inline(&text).unwrap_or_else(|| Self(Text::Shared(Bytes::from(text)))))
    }
}

impl TryFrom<Bytes> for Utf8String {
    type Error = DataTypeError;

    fn try_from(bytes: Bytes) -> Result<Self, Self::Error> {
        let text = core::str::from_utf8(&bytes).map_err(|_| DataTypeError::InvalidUtf8)?;
        check_string(text)?;
        Ok(Self::inline(text).unwrap_or(Self(Text::Shared(bytes))))
    }
}

/// Binary Data (section 1.5.6): at most 65,535 bytes of any content.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinaryData(Bytes);

impl BinaryData {
    /// Keeps `bytes` without copying.
    ///
    /// # Errors
    /// [`DataTypeError::TooLong`] above 65,535 bytes.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, DataTypeError> {
        let bytes = bytes.into();
        Self::validate(&bytes)?;
        Ok(Self(bytes))
    }

    /// Whether `bytes` can be one.
    #[inline]
    pub(crate) fn validate(bytes: &[u8]) -> Result<(), DataTypeError> {
        if bytes.len() > usize::from(u16::MAX) {
            return Err(DataTypeError::TooLong);
        }
        Ok(())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl AsRef<[u8]> for BinaryData {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for BinaryData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

macro_rules! binary_from {
    ($($from:ty),*) => {$(
        impl TryFrom<$from> for BinaryData {
            type Error = DataTypeError;

            fn try_from(bytes: $from) -> Result<Self, Self::Error> {
                Self::new(bytes)
            }
        }
    )*};
}
binary_from!(Bytes, Vec<u8>, String);

impl TryFrom<&[u8]> for BinaryData {
    type Error = DataTypeError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Self::new(Bytes::copy_from_slice(bytes))
    }
}

impl TryFrom<&str> for BinaryData {
    type Error = DataTypeError;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(Bytes::copy_from_slice(text.as_bytes()))
    }
}
