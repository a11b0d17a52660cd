//! AUTH (section 3.15).

use super::{
    AuthReasonCode, Body, PacketType, Parsed, ReasonCode, Sink, UserProperty, Violation, fail,
};
use crate::codec::{BinaryData, Fault, PutProperties, Utf8String};

property_view! {
    /// The properties of an AUTH (section 3.15.2.2).
    AuthPropertiesView {
        once 0x15 authentication_method: Utf8String, "Authentication Method.";
        secret 0x16 authentication_data: BinaryData, "Authentication Data.";
        once 0x1F reason_string: Utf8String,
            "Reason String: text for people, to be logged and not parsed.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

property_builder! {
    /// The properties of an AUTH (section 3.15.2.2), but for method and data, which are in
    /// [`Auth::authentication`].
    AuthProperties {
        once 0x1F reason_string: Utf8String,
            "Reason String: text for people, to be logged and not parsed.";
        many 0x26 user_properties: UserProperty, "User Properties, in order.";
    }
}

/// Method and data of an enhanced authentication (section 4.12): data never stands alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// Authentication Method, such as the name of a SASL mechanism.
    pub method: Utf8String,
    /// Authentication Data, whose content the method defines.
    pub data: Option<BinaryData>,
}

impl core::fmt::Debug for Authentication {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Authentication")
            .field("method", &self.method)
            .field("data", &self.data.as_ref().map(|_| "…"))
            .finish()
    }
}

impl Authentication {
    pub(super) fn put<S: Sink>(&self, sink: &mut S) {
        let data = self.data.as_ref().map(AsRef::as_ref);
        put_authentication(self.method.as_bytes(), data, sink);
    }
}

pub(super) fn put_authentication<S: Sink>(method: &[u8], data: Option<&[u8]>, sink: &mut S) {
    sink.byte(0x15);
    sink.length_prefixed(method);
    if let Some(data) = data {
        sink.byte(0x16);
        sink.length_prefixed(data);
    }
}

pub(super) fn authentication(method: Option<&str>, data: Option<&[u8]>) -> Option<Authentication> {
    Some(Authentication {
        method: Utf8String::new(method?).ok()?,
        data: data.and_then(|data| data.try_into().ok()),
    })
}

/// An AUTH to be sent: a step of an enhanced authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Which step.
    pub reason_code: AuthReasonCode,
    /// Method and data; an AUTH without a method is a protocol error.
    pub authentication: Authentication,
    /// The other properties.
    pub properties: AuthProperties,
}

impl PutProperties for Auth {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        self.authentication.put(sink);
        self.properties.put(sink);
    }
}

impl Body for Auth {
    fn first_byte(&self) -> u8 {
        PacketType::Auth.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        sink.byte(self.reason_code.raw());
        sink.section(self);
    }
}

/// An AUTH that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthView<'a> {
    reason_code: AuthReasonCode,
    properties: AuthPropertiesView<'a>,
}

impl<'a> AuthView<'a> {
    pub(super) fn parse(_: u8, body: &'a [u8]) -> Parsed<'a, Self> {
        let [raw, rest @ ..] = body else {
            let properties = AuthPropertiesView::default();
            return Ok((
                body,
                Self {
                    reason_code: AuthReasonCode::Success,
                    properties,
                },
            ));
        };
        let Some(reason_code) = AuthReasonCode::from_raw(*raw) else {
            return fail(body, Violation::ReasonCode(*raw));
        };
        if rest.is_empty() {
            return Ok((
                rest,
                Self {
                    reason_code,
                    properties: AuthPropertiesView::default(),
                },
            ));
        }
        let (end, properties) = AuthPropertiesView::parse(rest)?;
        if properties.section().has(0x16) && !properties.section().has(0x15) {
            return fail(rest, Violation::AuthenticationDataWithoutMethod);
        }
        Ok((
            end,
            Self {
                reason_code,
                properties,
            },
        ))
    }

    /// What is read leniently although the standard forbids it.
    pub(super) fn tolerated(&self, body: &'a [u8]) -> Option<Fault<'a>> {
        self.method().is_none().then_some(Fault {
            at: body,
            violation: Violation::AuthenticationMethodMissing,
        })
    }

    /// Which step.
    #[must_use]
    pub const fn reason_code(&self) -> AuthReasonCode {
        self.reason_code
    }

    /// The properties.
    #[must_use]
    pub const fn properties(&self) -> AuthPropertiesView<'a> {
        self.properties
    }

    /// The Authentication Method. An AUTH without one parses, and is a protocol error (section
    /// 3.15.2.2.2).
    #[must_use]
    pub fn method(&self) -> Option<&'a str> {
        self.properties.authentication_method()
    }

    /// The Authentication Data, if any.
    #[must_use]
    pub fn data(&self) -> Option<&'a [u8]> {
        self.properties.authentication_data()
    }
}

impl PutProperties for AuthView<'_> {
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        sink.slice(self.properties.as_bytes());
    }
}

impl Body for AuthView<'_> {
    fn first_byte(&self) -> u8 {
        PacketType::Auth.first_byte()
    }

    fn body<S: Sink>(&self, sink: &mut S) {
        self.put_short_form(self.reason_code.raw(), sink);
    }
}
