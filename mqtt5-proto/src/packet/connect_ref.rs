//! CONNECT of values that are borrowed (section 3.1).

use core::fmt;

use bytes::BytesMut;

use super::auth::put_authentication;
use super::connect_layout::{Parts, WillParts, put_delay_interval, will_flags};
use super::{Body, ConnectPropertiesRef, EncodeError, MessagePropertiesRef, PacketType, QoS, Sink};
use crate::codec::{BinaryData, Encode, PutProperties, Utf8String};
use crate::topic::Topic;

/// A Will of values that are borrowed; see [`Will`](super::Will).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WillRef<'a> {
    /// Where it goes.
    pub topic: &'a str,
    /// What it says: at most 65,535 bytes.
    pub payload: &'a [u8],
    /// Its QoS. Default: at most once.
    pub qos: QoS,
    /// Whether it is published as a retained message. Default: no.
    pub retain: bool,
    /// How many seconds the server waits for the client to come back. Default: 0.
    pub delay_interval: u32,
    /// Its other properties.
    pub properties: MessagePropertiesRef<'a>,
}

impl<'a> WillRef<'a> {
    /// A Will of QoS 0, not retained, without delay and properties.
    #[must_use]
    pub fn new(topic: &'a str, payload: &'a [u8]) -> Self {
        Self {
            topic,
            payload,
            qos: QoS::AtMostOnce,
            retain: false,
            delay_interval: 0,
            properties: MessagePropertiesRef::default(),
        }
    }

    #[inline]
    fn check(&self) -> Result<(), EncodeError> {
        Topic::validate(self.topic)?;
        BinaryData::validate(self.payload)?;
        self.properties.check()
    }
}

impl PutProperties for WillRef<'_> {
    #[inline]
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        self.properties.put(sink);
        put_delay_interval(self.delay_interval, sink);
    }
}

/// Method and data of an enhanced authentication, borrowed; see
/// [`Authentication`](super::Authentication).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenticationRef<'a> {
    /// Authentication Method, such as the name of a SASL mechanism.
    pub method: &'a str,
    /// Authentication Data, whose content the method defines.
    pub data: Option<&'a [u8]>,
}

impl fmt::Debug for AuthenticationRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationRef")
            .field("method", &self.method)
            .field("data", &self.data.map(|_| "…"))
            .finish()
    }
}

/// A CONNECT to be sent whose values are borrowed: nothing is copied before it is written, and what
/// it says is checked then.
///
/// [`Connect`](super::Connect) is the one for values that are kept, and were checked when they were
/// made.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectRef<'a> {
    /// Whether a session that the server may hold is dropped. Default: no.
    pub clean_start: bool,
    /// Keep Alive in seconds; 0 is off. Default: 0.
    pub keep_alive: u16,
    /// Client Identifier; empty lets the server choose one.
    pub client_id: &'a str,
    /// The Will, if any.
    pub will: Option<&'a WillRef<'a>>,
    /// User Name, if any.
    pub user_name: Option<&'a str>,
    /// Password, if any; allowed without a User Name.
    pub password: Option<&'a [u8]>,
    /// Method and first data of an enhanced authentication, if any (section 4.12).
    pub authentication: Option<AuthenticationRef<'a>>,
    /// The other properties.
    pub properties: ConnectPropertiesRef<'a>,
}

impl ConnectRef<'_> {
    /// Checks the values and appends the packet to `out`; returns its size in bytes. Reserves once,
    /// and writes the shortest legal form.
    ///
    /// # Errors
    /// [`EncodeError`] if a value breaks a rule, or if the packet would be too large; `out` is as
    /// before then.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) -> Result<usize, EncodeError> {
        self.check()?;
        Ok(Checked(self).encode(out)?)
    }

    #[inline]
    fn check(&self) -> Result<(), EncodeError> {
        Utf8String::validate(self.client_id)?;
        if let Some(will) = self.will {
            will.check()?;
        }
        if let Some(user_name) = self.user_name {
            Utf8String::validate(user_name)?;
        }
        if let Some(password) = self.password {
            BinaryData::validate(password)?;
        }
        if let Some(authentication) = self.authentication {
            Utf8String::validate(authentication.method)?;
            BinaryData::validate(authentication.data.unwrap_or_default())?;
        }
        self.properties.check()
    }
}

impl fmt::Debug for ConnectRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRef")
            .field("clean_start", &self.clean_start)
            .field("keep_alive", &self.keep_alive)
            .field("client_id", &self.client_id)
            .field("will", &self.will)
            .field("user_name", &self.user_name)
            .field("password", &self.password.map(|_| "…"))
            .field("authentication", &self.authentication)
            .field("properties", &self.properties)
            .finish()
    }
}

/// Its values may be written.
struct Checked<'a>(&'a ConnectRef<'a>);

impl PutProperties for Checked<'_> {
    #[inline]
    fn put_properties<S: Sink>(&self, sink: &mut S) {
        self.0.properties.put(sink);
        if let Some(authentication) = self.0.authentication {
            let data = authentication.data;
            put_authentication(authentication.method.as_bytes(), data, sink);
        }
    }
}

impl Body for Checked<'_> {
    #[inline]
    fn first_byte(&self) -> u8 {
        PacketType::Connect.first_byte()
    }

    #[inline]
    fn body<S: Sink>(&self, sink: &mut S) {
        let connect = self.0;
        let will = connect.will;
        let will_flags = will.map_or(0, |will| will_flags(will.qos, will.retain));
        let parts = Parts {
            flags: u8::from(connect.clean_start) << 1 | will_flags,
            keep_alive: connect.keep_alive,
            properties: self,
            client_id: connect.client_id.as_bytes(),
            will: will.map(|will| WillParts {
                properties: will,
                topic: will.topic.as_bytes(),
                payload: will.payload,
            }),
            user_name: connect.user_name.map(str::as_bytes),
            password: connect.password,
        };
        parts.put(sink);
    }
}
