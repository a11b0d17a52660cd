//! What the broker offers and demands.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;

use bytes::Bytes;
use mqtt5_proto::QoS;
use mqtt5_proto::codec::Utf8String;
use mqtt5_proto::packet::{AckProperties, ConnackProperties, ConnackReasonCode};

/// How the broker behaves towards connections that are opened from now on.
///
/// By default it takes everybody and everything, and its CONNACK carries no property.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The properties of the CONNACK. The broker keeps to what it announces here: it refuses what
    /// is above a limit, and takes Server Keep Alive and Session Expiry Interval as valid.
    ///
    /// An Assigned Client Identifier is sent only to a client that asks for one (and made up if
    /// none is given here), Response Information only to one that requested it, and method and
    /// data of an authentication come from [`authentication`](Self::authentication).
    pub connack: ConnackProperties,
    /// Refuses every CONNECT with this code.
    pub refuse: Option<ConnackReasonCode>,
    /// Who may connect.
    pub credentials: Credentials,
    /// The enhanced authentication for a CONNECT that names its method. Another method is refused
    /// with 0x8C; a CONNECT without a method goes by [`credentials`](Self::credentials) alone.
    pub authentication: Option<AuthenticationScript>,
    /// The script of a re-authentication. Default: that of the authentication.
    pub reauthentication: Option<AuthenticationScript>,
    /// Grants at most this QoS to a subscription. Default: the Maximum QoS of the CONNACK.
    pub maximum_granted_qos: Option<QoS>,
    /// Uses Topic Aliases as far as the client allows them; when all are used the oldest gets a
    /// new topic.
    pub use_topic_aliases: bool,
    /// Sends in pieces of at most this many bytes.
    pub piece_size: Option<NonZeroUsize>,
    /// What the broker adds to each PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK, unless
    /// the client did not request problem information or the packet gets too large by it.
    pub ack_properties: Option<AckProperties>,
    /// Keeps no record of the packets that come and leave: for long runs that look at the wire
    /// themselves.
    pub no_records: bool,
}

/// User names and passwords. Empty: everybody may connect, whatever they say.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, Bytes>);

impl Credentials {
    /// Everybody may connect.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Lets this user in, and nobody who is not named.
    #[must_use]
    pub fn with_user(mut self, name: impl Into<String>, password: impl Into<Bytes>) -> Self {
        self.0.insert(name.into(), password.into());
        self
    }

    pub(crate) fn accept(&self, name: Option<&str>, password: Option<&[u8]>) -> bool {
        self.0.is_empty()
            || name
                .and_then(|name| self.0.get(name))
                .is_some_and(|expected| Some(&expected[..]) == password)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The broker's side of an enhanced authentication (section 4.12), step by step.
///
/// ```
/// use mqtt5_testkit::AuthenticationScript;
///
/// let script = AuthenticationScript::new("SCRAM-X")?
///     .expect_initial("client-first")
///     .challenge("server-first", "client-final")
///     .finally("server-final");
/// # Ok::<(), mqtt5_proto::codec::DataTypeError>(())
/// ```
#[derive(Clone)]
pub struct AuthenticationScript {
    pub(crate) method: Utf8String,
    pub(crate) initial: Option<Bytes>,
    pub(crate) steps: Vec<Step>,
    pub(crate) final_data: Option<Bytes>,
}

#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) challenge: Bytes,
    pub(crate) response: Bytes,
}

impl AuthenticationScript {
    /// A method that lets everybody in who names it, without a challenge.
    ///
    /// # Errors
    /// [`DataTypeError`](mqtt5_proto::codec::DataTypeError) if `method` cannot be a string of the
    /// protocol.
    pub fn new(method: &str) -> Result<Self, mqtt5_proto::codec::DataTypeError> {
        Ok(Self {
            method: Utf8String::new(method)?,
            initial: None,
            steps: Vec::new(),
            final_data: None,
        })
    }

    /// What the Authentication Data of the CONNECT, or of the AUTH that starts a
    /// re-authentication, must be.
    #[must_use]
    pub fn expect_initial(mut self, data: impl Into<Bytes>) -> Self {
        self.initial = Some(data.into());
        self
    }

    /// One more step: an AUTH with `challenge`, to be answered by an AUTH with `response`. Another
    /// answer is refused with 0x87.
    #[must_use]
    pub fn challenge(mut self, challenge: impl Into<Bytes>, response: impl Into<Bytes>) -> Self {
        self.steps.push(Step {
            challenge: challenge.into(),
            response: response.into(),
        });
        self
    }

    /// The Authentication Data of the CONNACK, or of the AUTH that ends a re-authentication.
    #[must_use]
    pub fn finally(mut self, data: impl Into<Bytes>) -> Self {
        self.final_data = Some(data.into());
        self
    }
}

impl fmt::Debug for AuthenticationScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationScript")
            .field("method", &self.method)
            .field("steps", &self.steps.len())
            .finish_non_exhaustive()
    }
}
