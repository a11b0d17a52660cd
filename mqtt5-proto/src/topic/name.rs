use alloc::string::String;
use core::fmt;

use crate::codec::{DataTypeError, Utf8String, has_wildcard, is_plain_name};

/// A topic name (section 4.7): at least one character, at most 65,535 bytes, without U+0000 and
/// without the wildcards `+` and `#`.
///
/// Topics are compared byte by byte, case included (`4.7.3-4`). Up to 38 bytes are kept in place;
/// cloning never allocates.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Utf8String);

/// Why text cannot be a [`Topic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TopicError {
    /// The text is empty (`4.7.3-1`).
    #[error("a topic name has at least one character")]
    Empty,
    /// The text holds `+` or `#` (`3.3.2-2`).
    #[error("a topic name holds no wildcard (`+` or `#`)")]
    Wildcard,
    /// The text cannot be a string of the protocol at all (`4.7.3-2`, `4.7.3-3`).
    #[error("not a string of the protocol: {0}")]
    String(#[from] DataTypeError),
}

/// A `Topic` converts to itself without fail.
impl From<core::convert::Infallible> for TopicError {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

impl Topic {
    /// Checks and copies `name`.
    ///
    /// # Errors
    /// [`TopicError`] if `name` breaks a rule of section 4.7.
    #[inline]
    pub fn new(name: &str) -> Result<Self, TopicError> {
        Self::validate(name)?;
        Ok(Self(Utf8String::copy_from(name)))
    }

    /// Whether `name` is a topic name.
    #[inline]
    pub(crate) fn validate(name: &str) -> Result<(), TopicError> {
        if !name.is_empty() && name.len() <= usize::from(u16::MAX) && is_plain_name(name) {
            return Ok(());
        }
        // One of the two says what is wrong.
        check(name.as_bytes())?;
        Ok(Utf8String::validate(name)?)
    }

    /// Checks `name` and keeps it without copying.
    ///
    /// # Errors
    /// [`TopicError`] if `name` breaks a rule of section 4.7.
    pub fn from_static(name: &'static str) -> Result<Self, TopicError> {
        check(name.as_bytes())?;
        Ok(Self(Utf8String::from_static(name)?))
    }

    /// Whether `name` is a topic name, its length and U+0000 aside.
    #[inline]
    pub(crate) fn is_valid(name: &[u8]) -> bool {
        check(name).is_ok()
    }

    /// The name. Costs a UTF-8 check; [`as_bytes`](Self::as_bytes) does not.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[inline]
fn check(name: &[u8]) -> Result<(), TopicError> {
    if name.is_empty() {
        Err(TopicError::Empty)
    } else if has_wildcard(name) {
        Err(TopicError::Wildcard)
    } else {
        Ok(())
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl AsRef<str> for Topic {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl core::borrow::Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<Topic> for Utf8String {
    fn from(topic: Topic) -> Self {
        topic.0
    }
}

impl TryFrom<Utf8String> for Topic {
    type Error = TopicError;

    fn try_from(name: Utf8String) -> Result<Self, TopicError> {
        check(name.as_bytes())?;
        Ok(Self(name))
    }
}

impl TryFrom<&Topic> for Topic {
    type Error = TopicError;

    fn try_from(topic: &Topic) -> Result<Self, TopicError> {
        Ok(topic.clone())
    }
}

impl TryFrom<&str> for Topic {
    type Error = TopicError;

    fn try_from(name: &str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl TryFrom<&String> for Topic {
    type Error = TopicError;

    fn try_from(name: &String) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl TryFrom<String> for Topic {
    type Error = TopicError;

    fn try_from(name: String) -> Result<Self, TopicError> {
        check(name.as_bytes())?;
        Ok(Self(Utf8String::try_from(name)?))
    }
}

impl core::str::FromStr for Topic {
    type Err = TopicError;

    fn from_str(name: &str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}
