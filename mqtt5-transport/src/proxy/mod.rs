//! Proxies: HTTP CONNECT (RFC 9110, section 9.3.6) and SOCKS5 (RFC 1928, RFC 1929).

mod http_connect;
mod socks5;

use std::fmt;
use std::io::{self, ErrorKind};

use mqtt5_client::Transport;

use crate::address::{Authority, Server, UrlError};
use crate::error::TransportError;

/// A proxy that the connection goes through. It looks up the server's name itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    server: Server,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    HttpConnect,
    Socks5,
}

#[derive(Clone, PartialEq, Eq)]
struct Credentials {
    user_name: Vec<u8>,
    password: Vec<u8>,
}

/// Without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("kind", &self.kind)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Proxy {
    /// Reads a URL such as `http://user:password@host:3128` (HTTP CONNECT, port 80 by default) or
    /// `socks5://user:password@host` (SOCKS5, port 1080 by default; `socks5h` is the same, since the
    /// name is always looked up by the proxy). User name and password may be percent-encoded; with
    /// SOCKS5 both are to be 1 to 255 bytes long.
    ///
    /// # Errors
    /// [`UrlError`].
    ///
    /// ```
    /// # use mqtt5_transport::Proxy;
    /// let proxy = Proxy::parse("socks5://heinz:secret@proxy.example")?;
    /// assert!(!format!("{proxy:?}").contains("secret"));
    /// # Ok::<(), mqtt5_transport::UrlError>(())
    /// ```
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let (kind, default_port) = match scheme.as_str() {
            "http" => (Kind::HttpConnect, 80),
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            _ => return Err(UrlError::UnknownProxy(scheme)),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(UrlError::Path);
        }
        let Authority {
            user_name,
            password,
            server,
        } = Authority::parse(authority, default_port)?;
        let credentials = (user_name.is_some() || password.is_some()).then(|| Credentials {
            user_name: user_name.unwrap_or_default().into_bytes(),
            password: password.unwrap_or_default(),
        });
        let proxy = Self {
            kind,
            server,
            credentials,
        };
        if proxy.can_say_credentials() {
            Ok(proxy)
        } else {
            Err(UrlError::ProxyCredentials)
        }
    }

    /// Where the proxy is.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    fn can_say_credentials(&self) -> bool {
        let Some(Credentials {
            user_name,
            password,
        }) = &self.credentials
        else {
            return true;
        };
        match self.kind {
            // Behind the first colon all is password (RFC 7617, section 2).
            Kind::HttpConnect => !user_name.contains(&b':'),
            Kind::Socks5 => [user_name, password]
                .iter()
                .all(|text| (1..=255).contains(&text.len())),
        }
    }

    /// Has the proxy connect to `server`. The transport leads there afterwards.
    pub(crate) async fn ask<T: Transport>(
        &self,
        mut transport: T,
        server: &Server,
    ) -> io::Result<T> {
        let credentials = self.credentials.as_ref();
        match self.kind {
            Kind::HttpConnect => {
                http_connect::ask(&mut transport, server, credentials).await?;
            }
            Kind::Socks5 => socks5::ask(&mut transport, server, credentials).await?,
        }
        Ok(transport)
    }
}

/// What a proxy failed by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// What came is not what a proxy of this kind says.
    #[error("the proxy does not speak {0} on this port")]
    NotAProxy(&'static str),
    /// The proxy closed the connection instead of answering.
    #[error("the proxy closed the connection instead of answering")]
    Closed,
    /// The proxy wants credentials, and there are none.
    #[error("the proxy wants credentials, and none were given")]
    CredentialsMissing,
    /// The proxy does not accept the credentials.
    #[error("the proxy does not accept the credentials")]
    Credentials,
    /// The proxy wants credentials in a way that is not known here, such as Digest or Negotiate.
    #[error("the proxy does not take credentials by Basic authentication")]
    Authentication,
    /// The proxy does not connect to the server.
    #[error("the proxy does not connect to {server}: {reason}")]
    Refused {
        /// The server that was asked for.
        server: Server,
        /// What the proxy says about it.
        reason: String,
    },
    /// The server's name is longer than 255 bytes, which SOCKS5 cannot say.
    #[error("the name of the server is too long for SOCKS5")]
    NameTooLong,
    /// The proxy said more than it was asked. A server of MQTT, TLS or HTTP never speaks first.
    #[error("the proxy said more than it was asked")]
    Excess,
}

impl ProxyError {
    /// By this the client tells who is at fault.
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAProxy(_) | Self::Excess => ErrorKind::InvalidData,
            Self::Closed => ErrorKind::UnexpectedEof,
            Self::CredentialsMissing
            | Self::Credentials
            | Self::Authentication
            | Self::Refused { .. } => ErrorKind::PermissionDenied,
            Self::NameTooLong => ErrorKind::InvalidInput,
        }
    }
}

impl From<ProxyError> for io::Error {
    fn from(error: ProxyError) -> Self {
        TransportError::Proxy(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let server = |url: &str| Proxy::parse(url).map(|proxy| proxy.server().to_string());
        assert_eq!(server("http://h"), Ok("h:80".to_owned()));
        assert_eq!(server("http://h:3128/"), Ok("h:3128".to_owned()));
        assert_eq!(server("SOCKS5://[::1]"), Ok("[::1]:1080".to_owned()));
        assert_eq!(server("socks5h://u:p@h"), Ok("h:1080".to_owned()));
        assert_eq!(server("h:1080"), Err(UrlError::NoScheme));
        let unknown = UrlError::UnknownProxy("https".to_owned());
        assert_eq!(server("https://h"), Err(unknown));
        assert_eq!(server("http://h/a"), Err(UrlError::Path));
        for bad in ["socks5://u@h", "socks5://:p@h", "http://a%3ab:c@h"] {
            assert_eq!(server(bad), Err(UrlError::ProxyCredentials), "{bad}");
        }
        let long = format!("socks5://u:{}@h", "p".repeat(256));
        assert_eq!(server(&long), Err(UrlError::ProxyCredentials));
    }
}
