//! The types of property values.

use core::num::{NonZeroU16, NonZeroU32};

use super::{Borrowed, EncodeError, Property};
use crate::codec::{
    BinaryData, DataTypeError, MAX_VARIABLE_BYTE_INTEGER, MaximumPacketSize, Parsed, Sink,
    Utf8String, Violation, be_u16, be_u32, binary, byte, fail, length_prefixed, string,
    string_bytes, variable_byte_integer,
};
use crate::packet::QoS;
use crate::topic::Topic;

fn skip_bytes(input: &[u8], count: usize) -> Parsed<'_, ()> {
    match input.get(count..) {
        Some(rest) => Ok((rest, ())),
        None => fail(input, Violation::Truncated),
    }
}

macro_rules! plain_property {
    ($type:ty, $parse:expr, $len:expr, $put:ident, $to_wire:expr) => {
        impl Property for $type {
            type View<'a> = Self;

            #[inline]
            fn parse(input: &[u8]) -> Parsed<'_, Self> {
                $parse(input)
            }

            #[inline]
            fn skip(input: &[u8]) -> Parsed<'_, ()> {
                skip_bytes(input, $len)
            }

            fn from_view(view: Self) -> Option<Self> {
                Some(view)
            }

            #[inline]
            fn put<S: Sink>(&self, sink: &mut S) {
                sink.$put($to_wire(*self));
            }
        }

        impl Borrowed for $type {
            #[inline]
            fn accept(_: Self) -> Result<(), EncodeError> {
                Ok(())
            }

            #[inline]
            fn put_view<S: Sink>(view: Self, sink: &mut S) {
                view.put(sink);
            }
        }
    };
}

macro_rules! borrowed_property {
    ($type:ty, |$view:ident: $View:ty, $sink:ident| $accept:expr, $put:expr) => {
        impl Borrowed for $type {
            #[inline]
            fn accept($view: $View) -> Result<(), EncodeError> {
                $accept
            }

            #[inline]
            fn put_view<S: Sink>($view: $View, $sink: &mut S) {
                $put
            }
        }
    };
}

borrowed_property!(
    Utf8String,
    |text: &str, sink| Ok(Utf8String::validate(text)?),
    sink.length_prefixed(text.as_bytes())
);
borrowed_property!(
    Topic,
    |name: &str, sink| Ok(Topic::validate(name)?),
    sink.length_prefixed(name.as_bytes())
);
borrowed_property!(
    BinaryData,
    |data: &[u8], sink| Ok(BinaryData::validate(data)?),
    sink.length_prefixed(data)
);
borrowed_property!(
    UserProperty,
    |pair: (&str, &str), sink| {
        Utf8String::validate(pair.0)?;
        Ok(Utf8String::validate(pair.1)?)
    },
    {
        sink.length_prefixed(pair.0.as_bytes());
        sink.length_prefixed(pair.1.as_bytes());
    }
);

plain_property!(u16, be_u16, 2, be_u16, |v| v);
plain_property!(u32, be_u32, 4, be_u32, |v| v);
plain_property!(bool, boolean, 1, byte, u8::from);
plain_property!(NonZeroU16, non_zero_u16, 2, be_u16, NonZeroU16::get);
plain_property!(
    MaximumPacketSize,
    maximum_packet_size,
    4,
    be_u32,
    MaximumPacketSize::get
);
plain_property!(TopicAlias, topic_alias, 2, be_u16, TopicAlias::get);
plain_property!(PayloadFormatIndicator, payload_format, 1, byte, |v| v as u8);

/// As Maximum QoS.
impl Property for QoS {
    type View<'a> = Self;

    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        maximum_qos(input)
    }

    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        skip_bytes(input, 1)
    }

    fn from_view(view: Self) -> Option<Self> {
        Some(view)
    }

    fn is_writable(&self) -> bool {
        *self != Self::ExactlyOnce
    }

    fn put<S: Sink>(&self, sink: &mut S) {
        sink.byte(*self as u8);
    }
}

// The identifier is put in by the caller, which alone knows it.
pub(super) const VALUE: Violation = Violation::PropertyValue(0);

fn boolean(input: &[u8]) -> Parsed<'_, bool> {
    match byte(input)? {
        (rest, 0) => Ok((rest, false)),
        (rest, 1) => Ok((rest, true)),
        _ => fail(input, VALUE),
    }
}

fn non_zero_u16(input: &[u8]) -> Parsed<'_, NonZeroU16> {
    let (rest, value) = be_u16(input)?;
    NonZeroU16::new(value).map_or_else(|| fail(input, VALUE), |value| Ok((rest, value)))
}

fn maximum_packet_size(input: &[u8]) -> Parsed<'_, MaximumPacketSize> {
    let (rest, value) = be_u32(input)?;
    MaximumPacketSize::new(value).map_or_else(|| fail(input, VALUE), |value| Ok((rest, value)))
}

fn topic_alias(input: &[u8]) -> Parsed<'_, TopicAlias> {
    let (rest, value) = be_u16(input)?;
    TopicAlias::new(value).map_or_else(
        || fail(input, Violation::TopicAliasInvalid),
        |value| Ok((rest, value)),
    )
}

/// 2 is illegal but sent by some servers: it means what its absence means.
fn maximum_qos(input: &[u8]) -> Parsed<'_, QoS> {
    let (rest, value) = byte(input)?;
    QoS::from_raw(value).map_or_else(|| fail(input, VALUE), |value| Ok((rest, value)))
}

fn payload_format(input: &[u8]) -> Parsed<'_, PayloadFormatIndicator> {
    match byte(input)? {
        (rest, 0) => Ok((rest, PayloadFormatIndicator::Unspecified)),
        (rest, 1) => Ok((rest, PayloadFormatIndicator::Utf8)),
        _ => fail(input, VALUE),
    }
}

impl Property for Utf8String {
    type View<'a> = &'a str;

    #[inline]
    fn parse(input: &[u8]) -> Parsed<'_, &str> {
        string(input)
    }

    #[inline]
    fn check(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = string_bytes(input)?;
        Ok((rest, ()))
    }

    #[inline]
    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = length_prefixed(input)?;
        Ok((rest, ()))
    }

    fn from_view(view: &str) -> Option<Self> {
        Self::new(view).ok()
    }

    #[inline]
    fn put<S: Sink>(&self, sink: &mut S) {
        sink.length_prefixed(self.as_bytes());
    }
}

impl Property for Topic {
    type View<'a> = &'a str;

    fn parse(input: &[u8]) -> Parsed<'_, &str> {
        let (rest, text) = string(input)?;
        if Topic::is_valid(text.as_bytes()) {
            Ok((rest, text))
        } else {
            fail(input, VALUE)
        }
    }

    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        Utf8String::skip(input)
    }

    fn from_view(view: &str) -> Option<Self> {
        Self::new(view).ok()
    }

    fn put<S: Sink>(&self, sink: &mut S) {
        sink.length_prefixed(self.as_bytes());
    }
}

impl Property for BinaryData {
    type View<'a> = &'a [u8];

    #[inline]
    fn parse(input: &[u8]) -> Parsed<'_, &[u8]> {
        binary(input)
    }

    #[inline]
    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = length_prefixed(input)?;
        Ok((rest, ()))
    }

    fn from_view(view: &[u8]) -> Option<Self> {
        Self::try_from(view).ok()
    }

    #[inline]
    fn put<S: Sink>(&self, sink: &mut S) {
        sink.length_prefixed(self.as_bytes());
    }
}

/// A value that any publisher can choose: if it is not legal it reads as absent, and the
/// connection goes on.
#[derive(Debug)]
pub struct Tolerated<T>(core::marker::PhantomData<T>);

impl Property for Tolerated<PayloadFormatIndicator> {
    type View<'a> = PayloadFormatIndicator;

    fn parse(input: &[u8]) -> Parsed<'_, PayloadFormatIndicator> {
        payload_format(input)
    }

    fn check(input: &[u8]) -> Parsed<'_, ()> {
        Self::skip(input)
    }

    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        skip_bytes(input, 1)
    }

    fn from_view(_: PayloadFormatIndicator) -> Option<Self> {
        None
    }

    fn put<S: Sink>(&self, _: &mut S) {}
}

impl Property for Tolerated<Topic> {
    type View<'a> = &'a str;

    fn parse(input: &[u8]) -> Parsed<'_, &str> {
        Topic::parse(input)
    }

    fn check(input: &[u8]) -> Parsed<'_, ()> {
        Utf8String::check(input)
    }

    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        Utf8String::skip(input)
    }

    fn from_view(_: &str) -> Option<Self> {
        None
    }

    fn put<S: Sink>(&self, _: &mut S) {}
}

/// Whether a payload is text (section 3.3.2.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum PayloadFormatIndicator {
    /// Unspecified bytes.
    #[default]
    Unspecified = 0,
    /// UTF-8 text.
    Utf8 = 1,
}

/// A number that stands for a topic on one connection (section 3.3.2.3.4); never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicAlias(NonZeroU16);

impl TopicAlias {
    /// `None` for 0.
    #[must_use]
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Self(value)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

/// A number that a client gives to a subscription and gets back with its messages (section
/// 3.8.2.1.2): 1 to 268,435,455.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionIdentifier(NonZeroU32);

impl SubscriptionIdentifier {
    /// `None` for 0 and above 268,435,455.
    #[must_use]
    pub const fn new(value: u32) -> Option<Self> {
        match NonZeroU32::new(value) {
            Some(value) if value.get() <= MAX_VARIABLE_BYTE_INTEGER => Some(Self(value)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl Property for SubscriptionIdentifier {
    type View<'a> = Self;

    fn parse(input: &[u8]) -> Parsed<'_, Self> {
        let (rest, value) = variable_byte_integer(input)?;
        Self::new(value).map_or_else(|| fail(input, VALUE), |value| Ok((rest, value)))
    }

    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = variable_byte_integer(input)?;
        Ok((rest, ()))
    }

    fn from_view(view: Self) -> Option<Self> {
        Some(view)
    }

    fn put<S: Sink>(&self, sink: &mut S) {
        sink.variable_byte_integer(self.get());
    }
}

/// A name and a value for the application's own use (section 3.3.2.3.7). Names may repeat, and the
/// order is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct UserProperty {
    /// The name.
    pub name: Utf8String,
    /// The value.
    pub value: Utf8String,
}

impl UserProperty {
    /// Checks and copies both strings.
    ///
    /// # Errors
    /// [`DataTypeError`] if one of them cannot be a [`Utf8String`].
    #[inline]
    pub fn new(name: &str, value: &str) -> Result<Self, DataTypeError> {
        Ok(Self {
            name: Utf8String::new(name)?,
            value: Utf8String::new(value)?,
        })
    }
}

impl Property for UserProperty {
    type View<'a> = (&'a str, &'a str);

    #[inline]
    fn parse(input: &[u8]) -> Parsed<'_, (&str, &str)> {
        let (rest, name) = string(input)?;
        let (rest, value) = string(rest)?;
        Ok((rest, (name, value)))
    }

    #[inline]
    fn check(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = string_bytes(input)?;
        let (rest, _) = string_bytes(rest)?;
        Ok((rest, ()))
    }

    #[inline]
    fn skip(input: &[u8]) -> Parsed<'_, ()> {
        let (rest, _) = length_prefixed(input)?;
        let (rest, _) = length_prefixed(rest)?;
        Ok((rest, ()))
    }

    fn from_view((name, value): (&str, &str)) -> Option<Self> {
        Self::new(name, value).ok()
    }

    #[inline]
    fn put<S: Sink>(&self, sink: &mut S) {
        sink.length_prefixed(self.name.as_bytes());
        sink.length_prefixed(self.value.as_bytes());
    }
}
