//! Properties (MQTT 5.0 section 2.2.2): one table per property set.
//!
//! From a table come the builder (`…Properties`), the view of what was received
//! (`…PropertiesView`), validation, length and writing. An identifier that is not in the table of
//! a packet is an error by construction.

// First, because the others use its macros.
#[macro_use]
mod table;
mod section;
mod values;

use alloc::vec::Vec;

pub(crate) use section::Section;
pub(crate) use values::Tolerated;
pub use values::{PayloadFormatIndicator, SubscriptionIdentifier, TopicAlias, UserProperty};

use super::EncodeError;
use crate::codec::{Parsed, Sink, Utf8String};

/// A type that stands in a property table.
pub trait Property: Sized {
    /// What a view returns for it.
    type View<'a>;

    /// Reads and checks the value at the start of `input`.
    fn parse(input: &[u8]) -> Parsed<'_, Self::View<'_>>;

    /// Checks the value at the start of `input` as far as the connection depends on it.
    fn check(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = Self::parse(input)?;
        Ok((rest, ()))
    }

    /// Steps over a value that was checked before.
    fn skip(input: &[u8]) -> Parsed<'_, ()>;

    fn from_view(view: Self::View<'_>) -> Option<Self>;

    /// Whether the value may be written; if not, its absence says the same.
    fn is_writable(&self) -> bool {
        true
    }

    fn put<S: Sink>(&self, sink: &mut S);
}

/// A type that stands in a table whose values can be borrowed: those are what a view returns.
pub(crate) trait Borrowed: Property {
    /// Whether the value may be written.
    fn accept(view: Self::View<'_>) -> Result<(), EncodeError>;

    fn put_view<S: Sink>(view: Self::View<'_>, sink: &mut S);
}

property_set! {
    /// What an acknowledgement can say beside its reason code: the properties of PUBACK, PUBREC,
    /// PUBREL, PUBCOMP, SUBACK and UNSUBACK.
    AckPropertiesView, AckProperties {
        once 0x1F reason_string: Utf8String,
            "Reason String: text for people, to be logged and not parsed.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

pub(crate) type UserProperties = Vec<UserProperty>;
