//! Reason codes (MQTT 5.0 section 2.4): one enum per legal set.

/// A set of reason codes that a kind of packet may carry.
pub trait ReasonCode: Copy + Eq + core::fmt::Debug + core::fmt::Display {
    /// The member with this value; `None` if the set has none.
    fn from_raw(raw: u8) -> Option<Self>;

    /// The value on the wire.
    fn raw(self) -> u8;

    /// Whether the code tells a failure: 0x80 and above.
    fn is_error(self) -> bool {
        self.raw() >= 0x80
    }
}

/// A reason code as it came: one of the set, or one that the set does not hold.
///
/// Servers send codes that the standard does not list for a packet. Where that is harmless (a
/// failure stays a failure) the raw code is kept; where it is not, decoding refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Received<R> {
    /// A member of the set.
    Tabled(R),
    /// A code that the standard does not list for this packet.
    Untabled(u8),
}

impl<R: ReasonCode> Received<R> {
    pub(crate) fn from_raw(raw: u8) -> Self {
        R::from_raw(raw).map_or(Self::Untabled(raw), Self::Tabled)
    }

    /// The value on the wire.
    #[must_use]
    pub fn raw(self) -> u8 {
        match self {
            Self::Tabled(code) => code.raw(),
            Self::Untabled(raw) => raw,
        }
    }

    /// Whether the code tells a failure: 0x80 and above.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.raw() >= 0x80
    }

    /// The member of the set, if it is one.
    #[must_use]
    pub fn tabled(self) -> Option<R> {
        match self {
            Self::Tabled(code) => Some(code),
            Self::Untabled(_) => None,
        }
    }
}

impl<R> From<R> for Received<R> {
    fn from(code: R) -> Self {
        Self::Tabled(code)
    }
}

impl<R: ReasonCode> PartialEq<R> for Received<R> {
    fn eq(&self, other: &R) -> bool {
        self.raw() == other.raw()
    }
}

impl<R: ReasonCode> core::fmt::Display for Received<R> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tabled(code) => core::fmt::Display::fmt(code, f),
            Self::Untabled(raw) => write!(f, "untabled reason code ({raw:#04x})"),
        }
    }
}

macro_rules! reason_codes {
    (
        $(#[$doc:meta])*
        $Name:ident { $($(#[$default:meta])? $Member:ident = $raw:literal, $text:literal;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each member is documented from its text")]
        pub enum $Name {
            $($(#[$default])? #[doc = concat!($text, " (`", stringify!($raw), "`).")] $Member = $raw,)*
        }

        impl ReasonCode for $Name {
            #[inline]
            fn from_raw(raw: u8) -> Option<Self> {
                match raw {
                    $($raw => Some(Self::$Member),)*
                    _ => None,
                }
            }

            #[inline]
            fn raw(self) -> u8 {
                self as u8
            }
        }

        impl $Name {
            /// Every member, in the order of their values.
            pub const ALL: &'static [Self] = &[$(Self::$Member,)*];

            /// The value on the wire.
            #[must_use]
            pub const fn raw(self) -> u8 {
                self as u8
            }

            /// Whether the code tells a failure: 0x80 and above.
            #[must_use]
            pub const fn is_error(self) -> bool {
                self as u8 >= 0x80
            }
        }

        impl core::fmt::Display for $Name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let text = match self { $(Self::$Member => $text,)* };
                write!(f, "{text} ({:#04x})", *self as u8)
            }
        }
    };
}

reason_codes! {
    /// The answer of a server to a CONNECT (section 3.2.2.2).
    ConnackReasonCode {
        #[default] Success = 0x00, "success";
        UnspecifiedError = 0x80, "unspecified error";
        MalformedPacket = 0x81, "malformed packet";
        ProtocolError = 0x82, "protocol error";
        ImplementationSpecificError = 0x83, "implementation specific error";
        UnsupportedProtocolVersion = 0x84, "unsupported protocol version";
        ClientIdentifierNotValid = 0x85, "client identifier not valid";
        BadUserNameOrPassword = 0x86, "bad user name or password";
        NotAuthorized = 0x87, "not authorized";
        ServerUnavailable = 0x88, "server unavailable";
        ServerBusy = 0x89, "server busy";
        Banned = 0x8A, "banned";
        BadAuthenticationMethod = 0x8C, "bad authentication method";
        TopicNameInvalid = 0x90, "topic name invalid";
        PacketTooLarge = 0x95, "packet too large";
        QuotaExceeded = 0x97, "quota exceeded";
        PayloadFormatInvalid = 0x99, "payload format invalid";
        RetainNotSupported = 0x9A, "retain not supported";
        QoSNotSupported = 0x9B, "QoS not supported";
        UseAnotherServer = 0x9C, "use another server";
        ServerMoved = 0x9D, "server moved";
        ConnectionRateExceeded = 0x9F, "connection rate exceeded";
    }
}

reason_codes! {
    /// The answer to a PUBLISH: in PUBACK for QoS 1, in PUBREC for QoS 2 (sections 3.4.2.1 and
    /// 3.5.2.1).
    PublishReasonCode {
        #[default] Success = 0x00, "success";
        NoMatchingSubscribers = 0x10, "no matching subscribers";
        UnspecifiedError = 0x80, "unspecified error";
        ImplementationSpecificError = 0x83, "implementation specific error";
        NotAuthorized = 0x87, "not authorized";
        TopicNameInvalid = 0x90, "topic name invalid";
        PacketIdentifierInUse = 0x91, "packet identifier in use";
        QuotaExceeded = 0x97, "quota exceeded";
        PayloadFormatInvalid = 0x99, "payload format invalid";
    }
}

reason_codes! {
    /// The reason code of PUBREL and PUBCOMP (sections 3.6.2.1 and 3.7.2.1).
    ReleaseReasonCode {
        #[default] Success = 0x00, "success";
        PacketIdentifierNotFound = 0x92, "packet identifier not found";
    }
}

reason_codes! {
    /// The answer to one filter of a SUBSCRIBE (section 3.9.3).
    SubackReasonCode {
        #[default] GrantedQoS0 = 0x00, "granted QoS 0";
        GrantedQoS1 = 0x01, "granted QoS 1";
        GrantedQoS2 = 0x02, "granted QoS 2";
        UnspecifiedError = 0x80, "unspecified error";
        ImplementationSpecificError = 0x83, "implementation specific error";
        NotAuthorized = 0x87, "not authorized";
        TopicFilterInvalid = 0x8F, "topic filter invalid";
        PacketIdentifierInUse = 0x91, "packet identifier in use";
        QuotaExceeded = 0x97, "quota exceeded";
        SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
        SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
        WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
    }
}

reason_codes! {
    /// The answer to one filter of an UNSUBSCRIBE (section 3.11.3).
    UnsubackReasonCode {
        #[default] Success = 0x00, "success";
        NoSubscriptionExisted = 0x11, "no subscription existed";
        UnspecifiedError = 0x80, "unspecified error";
        ImplementationSpecificError = 0x83, "implementation specific error";
        NotAuthorized = 0x87, "not authorized";
        TopicFilterInvalid = 0x8F, "topic filter invalid";
        PacketIdentifierInUse = 0x91, "packet identifier in use";
    }
}

reason_codes! {
    /// Why a connection ends (section 3.14.2.1). Some members are for one side alone:
    /// [`DisconnectReasonCode::may_send`].
    DisconnectReasonCode {
        #[default] NormalDisconnection = 0x00, "normal disconnection";
        DisconnectWithWillMessage = 0x04, "disconnect with Will Message";
        UnspecifiedError = 0x80, "unspecified error";
        MalformedPacket = 0x81, "malformed packet";
        ProtocolError = 0x82, "protocol error";
        ImplementationSpecificError = 0x83, "implementation specific error";
        NotAuthorized = 0x87, "not authorized";
        ServerBusy = 0x89, "server busy";
        ServerShuttingDown = 0x8B, "server shutting down";
        BadAuthenticationMethod = 0x8C, "bad authentication method";
        KeepAliveTimeout = 0x8D, "keep alive timeout";
        SessionTakenOver = 0x8E, "session taken over";
        TopicFilterInvalid = 0x8F, "topic filter invalid";
        TopicNameInvalid = 0x90, "topic name invalid";
        ReceiveMaximumExceeded = 0x93, "receive maximum exceeded";
        TopicAliasInvalid = 0x94, "topic alias invalid";
        PacketTooLarge = 0x95, "packet too large";
        MessageRateTooHigh = 0x96, "message rate too high";
        QuotaExceeded = 0x97, "quota exceeded";
        AdministrativeAction = 0x98, "administrative action";
        PayloadFormatInvalid = 0x99, "payload format invalid";
        RetainNotSupported = 0x9A, "retain not supported";
        QoSNotSupported = 0x9B, "QoS not supported";
        UseAnotherServer = 0x9C, "use another server";
        ServerMoved = 0x9D, "server moved";
        SharedSubscriptionsNotSupported = 0x9E, "shared subscriptions not supported";
        ConnectionRateExceeded = 0x9F, "connection rate exceeded";
        MaximumConnectTime = 0xA0, "maximum connect time";
        SubscriptionIdentifiersNotSupported = 0xA1, "subscription identifiers not supported";
        WildcardSubscriptionsNotSupported = 0xA2, "wildcard subscriptions not supported";
    }
}

reason_codes! {
    /// The step of an authentication (section 3.15.2.1). A server sends `Success` and
    /// `ContinueAuthentication`, a client `ContinueAuthentication` and `ReAuthenticate`.
    AuthReasonCode {
        #[default] Success = 0x00, "success";
        ContinueAuthentication = 0x18, "continue authentication";
        ReAuthenticate = 0x19, "re-authenticate";
    }
}

/// A side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The side that sends the CONNECT.
    Client,
    /// The side that answers it.
    Server,
}

impl DisconnectReasonCode {
    /// Whether `role` may send this code in a DISCONNECT (`3.14.2-1`).
    #[must_use]
    pub const fn may_send(self, role: Role) -> bool {
        match role {
            Role::Client => matches!(
                self as u8,
                0x00 | 0x04 | 0x80..=0x83 | 0x90 | 0x93..=0x99
            ),
            Role::Server => !matches!(self as u8, 0x04 | 0x8C),
        }
    }
}
