use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// What TLS failed by.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The server's certificate, or one that vouches for it, cannot be accepted.
    #[error("the certificate of {server} {fault}")]
    Certificate {
        /// The name by which it was checked.
        server: String,
        /// What is wrong with it.
        fault: CertificateFault,
    },
    /// The server wants a client certificate, and there is none.
    #[error("the server wants a client certificate, and none was given")]
    ClientCertificateMissing,
    /// The server does not accept our client certificate.
    #[error("the server does not accept our client certificate: {}", alert(*.0))]
    ClientCertificate(AlertDescription),
    /// The server broke off with another alert.
    #[error("the server broke off TLS: {}", alert(*.0))]
    Alert(AlertDescription),
    /// What came from the server is not TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// The server closed the connection before the handshake was done. One that does not speak TLS
    /// often does that.
    #[error(
        "the server closed the connection in the TLS handshake; does it speak TLS on this port?"
    )]
    ClosedInHandshake,
    /// Anything else.
    #[error("TLS: {0}")]
    Library(Error),
}

/// What is wrong with a certificate of the server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CertificateFault {
    /// It, or one that vouches for it, is no longer valid.
    Expired {
        /// For how long, by this machine's clock. `None` if that is not known.
        since: Option<Duration>,
    },
    /// It, or one that vouches for it, is not valid yet.
    NotValidYet {
        /// For how long it is not, by this machine's clock. `None` if that is not known.
        until: Option<Duration>,
    },
    /// It is for other names.
    WrongName {
        /// The names it is for, as far as they are known.
        presented: Vec<String>,
    },
    /// None of the trusted authorities vouches for it, or the server does not send all that is
    /// between it and the authority.
    UnknownAuthority,
    /// Anything else.
    Other(CertificateError),
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { since: None } => f.write_str("has expired, or one above it has"),
            Self::Expired { since: Some(since) } => {
                let since = Rough(*since);
                write!(f, "has expired, or one above it has, {since} ago")
            }
            Self::NotValidYet { until: None } => f.write_str("is not valid yet"),
            Self::NotValidYet { until: Some(until) } => {
                let until = Rough(*until);
                write!(
                    f,
                    "is not valid for another {until}; is the clock of this machine right?"
                )
            }
            Self::WrongName { presented } if presented.is_empty() => {
                f.write_str("is not for that name")
            }
            Self::WrongName { presented } => {
                write!(f, "is not for that name but for {}", presented.join(", "))
            }
            Self::UnknownAuthority => f.write_str("is from an authority that is not trusted"),
            Self::Other(error) => write!(f, "cannot be accepted: {error}"),
        }
    }
}

/// A duration that nobody needs to know to the second.
struct Rough(Duration);

impl fmt::Display for Rough {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (count, unit) = match seconds {
            0..120 => (seconds, "s"),
            120..7200 => (seconds / 60, "min"),
            7200..172_800 => (seconds / 3600, "h"),
            _ => (seconds / 86_400, "days"),
        };
        write!(f, "{count} {unit}")
    }
}

impl From<CertificateError> for CertificateFault {
    fn from(error: CertificateError) -> Self {
        let between = |from: UnixTime, to: UnixTime| {
            Some(Duration::from_secs(
                to.as_secs().saturating_sub(from.as_secs()),
            ))
        };
        match error {
            CertificateError::Expired => Self::Expired { since: None },
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                since: between(not_after, time),
            },
            CertificateError::NotValidYet => Self::NotValidYet { until: None },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotValidYet {
                until: between(time, not_before),
            },
            CertificateError::NotValidForName => Self::WrongName {
                presented: Vec::new(),
            },
            CertificateError::NotValidForNameContext { presented, .. } => {
                Self::WrongName { presented }
            }
            CertificateError::UnknownIssuer => Self::UnknownAuthority,
            other => Self::Other(other),
        }
    }
}

impl TlsError {
    pub(super) fn new(error: Error, server: &str, handshaking: bool) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::Certificate {
                server: server.to_owned(),
                fault: error.into(),
            },
            Error::AlertReceived(alert) => Self::of_alert(alert),
            // A record that is none: nothing that begins like this ever was TLS.
            Error::InvalidMessage(_) if handshaking => Self::NotTls,
            other => Self::Library(other),
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as Alert;
        match alert {
            Alert::CertificateRequired | Alert::NoCertificate => Self::ClientCertificateMissing,
            // A server shows its certificate and never judges it: these are about ours.
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA => Self::ClientCertificate(alert),
            other => Self::Alert(other),
        }
    }

    /// By this the client tells who is at fault.
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::ClientCertificateMissing | Self::ClientCertificate(_) | Self::Alert(_) => {
                ErrorKind::PermissionDenied
            }
            Self::Certificate { .. } | Self::NotTls | Self::Library(_) => ErrorKind::InvalidData,
            Self::ClosedInHandshake => ErrorKind::UnexpectedEof,
        }
    }
}

/// What an alert means (RFC 8446, section 6.2).
fn alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let meaning = match alert {
        Alert::HandshakeFailure => {
            "no version or cipher in common, or it wants a client certificate (handshake_failure)"
        }
        Alert::ProtocolVersion => "it wants another version of TLS (protocol_version)",
        Alert::BadCertificate => "it is malformed (bad_certificate)",
        Alert::UnsupportedCertificate => "it is of a wrong kind (unsupported_certificate)",
        Alert::CertificateRevoked => "it was revoked (certificate_revoked)",
        Alert::CertificateExpired => "it has expired (certificate_expired)",
        Alert::CertificateUnknown => "it cannot be used (certificate_unknown)",
        Alert::UnknownCA => "the server does not know its authority (unknown_ca)",
        Alert::AccessDenied => "it allows no access (access_denied)",
        Alert::UnrecognisedName => "it knows no such name (unrecognized_name)",
        Alert::NoApplicationProtocol => {
            "it speaks none of the protocols of ALPN (no_application_protocol)"
        }
        other => return format!("{other:?}"),
    };
    meaning.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_one_thinks_in() {
        for (seconds, text) in [
            (119, "119 s"),
            (120, "2 min"),
            (7199, "119 min"),
            (7200, "2 h"),
            (172_800, "2 days"),
        ] {
            assert_eq!(Rough(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
