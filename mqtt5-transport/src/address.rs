//! Where the server is, and how it is spoken to: `mqtts://user:password@host:port`.

use std::fmt;
use std::path::PathBuf;

/// The host and port of a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// A name, or an address of IPv4 or IPv6 (without brackets).
    pub host: String,
    /// The port of TCP.
    pub port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where the server is, and what is spoken below MQTT.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// MQTT over TCP: `mqtt://` or `tcp://`, port 1883 by default.
    Tcp(Server),
    /// MQTT over TLS: `mqtts://`, `ssl://` or `tls://`, port 8883 by default.
    Tls(Server),
    /// MQTT over WebSocket: `ws://`, port 80 by default.
    WebSocket {
        /// The server.
        server: Server,
        /// Path and query, which begin with `/`.
        path: String,
    },
    /// MQTT over WebSocket over TLS: `wss://`, port 443 by default.
    SecureWebSocket {
        /// The server.
        server: Server,
        /// Path and query, which begin with `/`.
        path: String,
    },
    /// MQTT over a stream socket of Unix: `unix:/path`.
    Unix(PathBuf),
}

impl Address {
    /// The server; `None` with a Unix socket.
    #[must_use]
    pub const fn server(&self) -> Option<&Server> {
        match self {
            Self::Tcp(server)
            | Self::Tls(server)
            | Self::WebSocket { server, .. }
            | Self::SecureWebSocket { server, .. } => Some(server),
            Self::Unix(_) => None,
        }
    }

    /// Whether TLS is part of it.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::SecureWebSocket { .. })
    }

    /// Whether WebSocket is part of it.
    #[must_use]
    pub const fn is_websocket(&self) -> bool {
        matches!(self, Self::WebSocket { .. } | Self::SecureWebSocket { .. })
    }

    /// Whether this build can do it.
    pub(crate) const fn is_supported(&self) -> bool {
        let tls = cfg!(feature = "tls") || !self.is_secure();
        let websocket = cfg!(feature = "websocket") || !self.is_websocket();
        let unix = cfg!(unix) || !matches!(self, Self::Unix(_));
        tls && websocket && unix
    }

    const fn scheme(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "mqtt",
            Self::Tls(_) => "mqtts",
            Self::WebSocket { .. } => "ws",
            Self::SecureWebSocket { .. } => "wss",
            Self::Unix(_) => "unix",
        }
    }
}

impl From<Server> for Address {
    fn from(server: Server) -> Self {
        Self::Tcp(server)
    }
}

/// As a URL, without user name and password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.scheme();
        match self {
            Self::Tcp(server) | Self::Tls(server) => write!(f, "{scheme}://{server}"),
            // The query is left out: it may hold a signature.
            Self::WebSocket { server, path } | Self::SecureWebSocket { server, path } => {
                let path = path.split('?').next().unwrap_or_default();
                write!(f, "{scheme}://{server}{path}")
            }
            Self::Unix(path) => write!(f, "{scheme}:{}", path.display()),
        }
    }
}

/// What is wrong with a URL. Never tells user name or password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is no `://`.
    #[error("a URL such as mqtt://host:1883 is wanted: there is no scheme")]
    NoScheme,
    /// The scheme is one of MQTT, but this build cannot do it: a feature is off, or the platform
    /// has no such thing.
    #[error("this build does not support {0}: see the features of the crate")]
    NotSupported(String),
    /// The scheme has nothing to do with MQTT.
    #[error("unknown scheme {0}, known are mqtt, mqtts, ws, wss and unix")]
    UnknownScheme(String),
    /// The scheme is not one of a proxy.
    #[error("unknown kind of proxy {0}, known are http and socks5")]
    UnknownProxy(String),
    /// User name or password cannot be told to a proxy of this kind: SOCKS5 takes 1 to 255 bytes of
    /// both, HTTP no colon in the user name.
    #[error("user name or password cannot be told to a proxy of this kind")]
    ProxyCredentials,
    /// There is no host.
    #[error("there is no host")]
    NoHost,
    /// The host cannot be one.
    #[error("the host is malformed")]
    Host,
    /// The port is no number from 1 to 65,535.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// There is a path, a query or a fragment where it has no meaning, or one that cannot be sent.
    #[error("the path, the query or the fragment of the URL has no meaning with its scheme")]
    Path,
    /// The path of a Unix socket does not begin with `/`.
    #[error("a Unix socket is named by its whole path: unix:/run/mosquitto.sock")]
    SocketPath,
    /// A `%` is not followed by two hexadecimal digits, or what is encoded is not UTF-8.
    #[error("malformed percent-encoding in the URL")]
    PercentEncoding,
}

/// What a URL says.
///
/// | URL | what | default port |
/// |---|---|---|
/// | `mqtt://host`, `tcp://` | TCP | 1883 |
/// | `mqtts://host`, `ssl://`, `tls://` | TLS (feature `tls`) | 8883 |
/// | `ws://host/path` | WebSocket (feature `websocket`) | 80 |
/// | `wss://host/path` | WebSocket over TLS (features `websocket` and `tls`) | 443 |
/// | `unix:/path` | a stream socket of Unix | |
///
/// User name and password, as in `mqtts://user:password@host`, may be percent-encoded; they are for
/// MQTT, with WebSocket too. So may the path of a Unix socket. A WebSocket URL without a path asks
/// for `/`; many servers want `/mqtt`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    /// Where the server is.
    pub address: Address,
    /// The user name for MQTT, decoded.
    pub user_name: Option<String>,
    /// The password for MQTT, decoded.
    pub password: Option<Vec<u8>>,
}

/// Without the password.
impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Url")
            .field("address", &self.address)
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

impl Url {
    /// Reads a URL such as `mqtts://user:password@host:8883`, `wss://host/mqtt` or `unix:/path`.
    ///
    /// # Errors
    /// [`UrlError`], also if this build cannot do what the URL asks for.
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once(':').ok_or(UrlError::NoScheme)?;
        let scheme = scheme.to_ascii_lowercase();
        let parsed = if scheme == "unix" {
            Self {
                address: Address::Unix(parse_socket_path(rest)?),
                user_name: None,
                password: None,
            }
        } else {
            let rest = rest.strip_prefix("//").ok_or(UrlError::NoScheme)?;
            Self::parse_network(&scheme, rest)?
        };
        if !parsed.address.is_supported() {
            return Err(UrlError::NotSupported(scheme));
        }
        Ok(parsed)
    }

    fn parse_network(scheme: &str, rest: &str) -> Result<Self, UrlError> {
        let default_port = match scheme {
            "mqtt" | "tcp" => 1883,
            "mqtts" | "ssl" | "tls" => 8883,
            "ws" => 80,
            "wss" => 443,
            _ => return Err(UrlError::UnknownScheme(scheme.to_owned())),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let Authority {
            user_name,
            password,
            server,
        } = Authority::parse(authority, default_port)?;
        let address = match scheme {
            "ws" | "wss" => {
                let path = websocket_path(path)?;
                if scheme == "ws" {
                    Address::WebSocket { server, path }
                } else {
                    Address::SecureWebSocket { server, path }
                }
            }
            _ if !matches!(path, "" | "/") => return Err(UrlError::Path),
            "mqtt" | "tcp" => Address::Tcp(server),
            _ => Address::Tls(server),
        };
        Ok(Self {
            address,
            user_name,
            password,
        })
    }
}

/// `user:password@host:port`.
pub(crate) struct Authority {
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) server: Server,
}

impl Authority {
    pub(crate) fn parse(authority: &str, default_port: u16) -> Result<Self, UrlError> {
        // The last one: a password may hold an `@` that somebody forgot to encode.
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        let (user_name, password) = match user {
            Some(user) => parse_user(user)?,
            None => (None, None),
        };
        Ok(Self {
            user_name,
            password,
            server: parse_server(server, default_port)?,
        })
    }
}

/// Path and query as they go into the request.
fn websocket_path(path: &str) -> Result<String, UrlError> {
    // What goes into the request line must not end it.
    if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UrlError::Path);
    }
    Ok(if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    })
}

/// `unix:/path` and `unix:///path`.
fn parse_socket_path(rest: &str) -> Result<PathBuf, UrlError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(UrlError::SocketPath);
    }
    let path = String::from_utf8(percent_decode(path)?).map_err(|_| UrlError::PercentEncoding)?;
    Ok(PathBuf::from(path))
}

type User = (Option<String>, Option<Vec<u8>>);

fn parse_user(user: &str) -> Result<User, UrlError> {
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(percent_decode(password)?)),
        None => (user, None),
    };
    let name = String::from_utf8(percent_decode(name)?).map_err(|_| UrlError::PercentEncoding)?;
    // A password without a user name is legal in MQTT.
    Ok(((!name.is_empty()).then_some(name), password))
}

fn percent_decode(text: &str) -> Result<Vec<u8>, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(UrlError::PercentEncoding);
        };
        bytes.push(high << 4 | low);
    }
    Ok(bytes)
}

fn digit(byte: Option<u8>) -> Option<u8> {
    match byte? {
        byte @ b'0'..=b'9' => Some(byte - b'0'),
        byte @ b'a'..=b'f' => Some(byte - b'a' + 10),
        byte @ b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn parse_server(address: &str, default_port: u16) -> Result<Server, UrlError> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        host.parse::<std::net::Ipv6Addr>()
            .map_err(|_| UrlError::Host)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(UrlError::Host),
        }
    } else {
        let (host, port) = match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        };
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '%') {
            return Err(UrlError::Host);
        }
        (host, port)
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let port = match port {
        None | Some("") => default_port,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(UrlError::Port)?,
        Some(_) => return Err(UrlError::Port),
    };
    Ok(Server {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(host: &str, port: u16) -> Server {
        Server {
            host: host.to_owned(),
            port,
        }
    }

    fn address(url: &str) -> Result<Address, UrlError> {
        Url::parse(url).map(|url| url.address)
    }

    fn tcp(host: &str, port: u16) -> Result<Address, UrlError> {
        Ok(Address::Tcp(server(host, port)))
    }

    #[test]
    fn host_and_port() {
        assert_eq!(address("mqtt://localhost:1884"), tcp("localhost", 1884));
        assert_eq!(address("MQTT://localhost"), tcp("localhost", 1883));
        assert_eq!(address("tcp://10.0.0.1:/"), tcp("10.0.0.1", 1883));
        assert_eq!(address("mqtt://[::1]:5"), tcp("::1", 5));
        assert_eq!(address("mqtt://[fe80::1]"), tcp("fe80::1", 1883));
        for (url, error) in [
            ("mqtt://h:0", UrlError::Port),
            ("mqtt://h:65536", UrlError::Port),
            ("mqtt://h:+1", UrlError::Port),
            ("mqtt://::1", UrlError::NoHost),
            ("mqtt://[::1", UrlError::Host),
            ("mqtt://[::1]x", UrlError::Host),
            ("mqtt://[h]", UrlError::Host),
            ("mqtt://a b", UrlError::Host),
            ("mqtt://", UrlError::NoHost),
            ("mqtt://:1883", UrlError::NoHost),
        ] {
            assert_eq!(address(url), Err(error), "{url}");
        }
    }

    #[test]
    fn user_and_password() {
        let parse = |url: &str| {
            let url = Url::parse(url)?;
            let password = url
                .password
                .map(|password| String::from_utf8(password).unwrap());
            Ok((url.user_name, password))
        };
        let user = |user: Option<&str>, password: Option<&str>| {
            Ok((user.map(str::to_owned), password.map(str::to_owned)))
        };
        assert_eq!(parse("mqtt://h"), user(None, None));
        assert_eq!(parse("mqtt://heinz@h"), user(Some("heinz"), None));
        assert_eq!(parse("mqtt://heinz:pw@h"), user(Some("heinz"), Some("pw")));
        assert_eq!(parse("mqtt://heinz:@h"), user(Some("heinz"), Some("")));
        assert_eq!(parse("mqtt://:pw@h"), user(None, Some("pw")));
        assert_eq!(
            parse("mqtt://a%40b:%3a%2F%c3%bc@h"),
            user(Some("a@b"), Some(":/ü"))
        );
        assert_eq!(parse("mqtt://a:b:c@d@h"), user(Some("a"), Some("b:c@d")));
        for bad in [
            "mqtt://%@h",
            "mqtt://%4@h",
            "mqtt://%zz@h",
            "mqtt://%ff@h",
            "mqtt://a:%@h",
        ] {
            assert_eq!(parse(bad), Err(UrlError::PercentEncoding), "{bad}");
        }
    }

    #[test]
    fn debug_does_not_tell_the_password() {
        let url = Url::parse("mqtt://heinz:secret@h").unwrap();
        assert!(!format!("{url:?}").contains("secret"));
    }

    #[test]
    fn schemes() {
        for bad in ["localhost", "localhost:1883", "mqtt:h", "mqtt:/h"] {
            assert_eq!(address(bad), Err(UrlError::NoScheme), "{bad}");
        }
        assert_eq!(
            address("http://h"),
            Err(UrlError::UnknownScheme("http".to_owned()))
        );
    }

    #[test]
    fn secure_if_the_feature_is_on() {
        for scheme in ["mqtts", "ssl", "tls"] {
            let expected = if cfg!(feature = "tls") {
                Ok(Address::Tls(server("h", 8883)))
            } else {
                Err(UrlError::NotSupported(scheme.to_owned()))
            };
            assert_eq!(address(&format!("{scheme}://h")), expected);
        }
    }

    #[test]
    fn websocket_if_the_feature_is_on() {
        let expected = |server: Server, path: &str| {
            if cfg!(feature = "websocket") {
                let path = path.to_owned();
                Ok(Address::WebSocket { server, path })
            } else {
                Err(UrlError::NotSupported("ws".to_owned()))
            }
        };
        assert_eq!(address("ws://h"), expected(server("h", 80), "/"));
        assert_eq!(address("ws://h/mqtt"), expected(server("h", 80), "/mqtt"));
        assert_eq!(
            address("ws://h:8083/a/b?c=d"),
            expected(server("h", 8083), "/a/b?c=d")
        );
        assert_eq!(address("ws://h?c=d"), expected(server("h", 80), "/?c=d"));
        for bad in ["ws://h/a#b", "ws://h/a b", "ws://h/a\r\nX: y", "ws://h/ü"] {
            assert_eq!(address(bad), Err(UrlError::Path), "{bad}");
        }
        let secure = address("wss://h/mqtt");
        if cfg!(all(feature = "websocket", feature = "tls")) {
            let path = "/mqtt".to_owned();
            let server = server("h", 443);
            assert_eq!(secure, Ok(Address::SecureWebSocket { server, path }));
        } else {
            assert_eq!(secure, Err(UrlError::NotSupported("wss".to_owned())));
        }
    }

    #[cfg(unix)]
    #[test]
    fn unix_sockets() {
        let path = |path: &str| Ok(Address::Unix(PathBuf::from(path)));
        assert_eq!(address("unix:/run/a.sock"), path("/run/a.sock"));
        assert_eq!(address("unix:///run/a.sock"), path("/run/a.sock"));
        assert_eq!(address("unix:/run/a%20b"), path("/run/a b"));
        assert_eq!(address("unix:a.sock"), Err(UrlError::SocketPath));
        assert_eq!(address("unix://a.sock"), Err(UrlError::SocketPath));
        assert_eq!(address("unix:/a%"), Err(UrlError::PercentEncoding));
    }

    #[test]
    fn what_has_no_meaning_is_not_ignored() {
        assert_eq!(address("mqtt://h/"), tcp("h", 1883));
        for bad in [
            "mqtt://h/a",
            "mqtt://h?a",
            "mqtt://h/?a",
            "mqtt://h#",
            "mqtt://h//",
        ] {
            assert_eq!(address(bad), Err(UrlError::Path), "{bad}");
        }
    }

    #[test]
    fn an_address_reads_like_its_url_without_secrets() {
        let path = "/mqtt?signature=secret".to_owned();
        let server = server("::1", 443);
        let address = Address::SecureWebSocket { server, path };
        assert_eq!(address.to_string(), "wss://[::1]:443/mqtt");
    }
}
