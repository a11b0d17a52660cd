//! Where the server is: `mqtt://user:password@host:port`.

use std::fmt;

/// The port of MQTT over TCP.
const DEFAULT_PORT: u16 = 1883;

/// The address of a server.
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

/// What is wrong with a URL. Never tells user name or password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// There is no `://`.
    #[error("a URL such as mqtt://host:1883 is wanted: there is no scheme")]
    NoScheme,
    /// The scheme is one of MQTT, but this build cannot do it.
    #[error("this build does not support {0}://, only mqtt://")]
    NotSupported(String),
    /// The scheme has nothing to do with MQTT.
    #[error("unknown scheme {0}://, only mqtt:// is supported")]
    UnknownScheme(String),
    /// There is no host.
    #[error("there is no host")]
    NoHost,
    /// The host cannot be one.
    #[error("the host is malformed")]
    Host,
    /// The port is no number from 1 to 65,535.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// There is a path, a query or a fragment, which have no meaning here.
    #[error("a path, a query or a fragment has no meaning with mqtt://")]
    Path,
    /// A `%` is not followed by two hexadecimal digits, or what is encoded is not UTF-8.
    #[error("malformed percent-encoding in user name or password")]
    PercentEncoding,
}

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) server: Server,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<Vec<u8>>,
}

impl Url {
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::NoScheme)?;
        check_scheme(scheme)?;
        let authority = match rest.split_once(['/', '?', '#']) {
            None => rest,
            Some((authority, "")) if rest.ends_with('/') => authority,
            Some(_) => return Err(UrlError::Path),
        };
        // The last one: a password may hold an `@` that somebody forgot to encode.
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (user_name, password) = match user {
            Some(user) => parse_user(user)?,
            None => (None, None),
        };
        Ok(Self {
            server: parse_address(address)?,
            user_name,
            password,
        })
    }
}

fn check_scheme(scheme: &str) -> Result<(), UrlError> {
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "mqtt" | "tcp" => Ok(()),
        "mqtts" | "ssl" | "tls" | "ws" | "wss" | "unix" | "quic" => {
            Err(UrlError::NotSupported(scheme))
        }
        _ => Err(UrlError::UnknownScheme(scheme)),
    }
}

type User = (Option<String>, Option<Vec<u8>>);

fn parse_user(user: &str) -> Result<User, UrlError> {
    let (name, password) = match user.split_once(':') {
        Some((name, password)) => (name, Some(decode(password)?)),
        None => (user, None),
    };
    let name = String::from_utf8(decode(name)?).map_err(|_| UrlError::PercentEncoding)?;
    // A password without a user name is legal in MQTT.
    Ok(((!name.is_empty()).then_some(name), password))
}

fn decode(text: &str) -> Result<Vec<u8>, UrlError> {
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

fn parse_address(address: &str) -> Result<Server, UrlError> {
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
        None | Some("") => DEFAULT_PORT,
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

    fn parse(url: &str) -> Result<(String, u16, Option<String>, Option<String>), UrlError> {
        let Url {
            server,
            user_name,
            password,
        } = Url::parse(url)?;
        let password = password.map(|password| String::from_utf8(password).unwrap());
        Ok((server.host, server.port, user_name, password))
    }

    fn host(
        host: &str,
        port: u16,
    ) -> Result<(String, u16, Option<String>, Option<String>), UrlError> {
        Ok((host.to_owned(), port, None, None))
    }

    #[test]
    fn host_and_port() {
        assert_eq!(parse("mqtt://localhost:1884"), host("localhost", 1884));
        assert_eq!(parse("MQTT://localhost"), host("localhost", 1883));
        assert_eq!(parse("tcp://10.0.0.1:/"), host("10.0.0.1", 1883));
        assert_eq!(parse("mqtt://[::1]:5"), host("::1", 5));
        assert_eq!(parse("mqtt://[fe80::1]"), host("fe80::1", 1883));
        assert_eq!(parse("mqtt://h:0"), Err(UrlError::Port));
        assert_eq!(parse("mqtt://h:65536"), Err(UrlError::Port));
        assert_eq!(parse("mqtt://h:+1"), Err(UrlError::Port));
        assert_eq!(parse("mqtt://::1"), Err(UrlError::NoHost));
        assert_eq!(parse("mqtt://[::1"), Err(UrlError::Host));
        assert_eq!(parse("mqtt://[::1]x"), Err(UrlError::Host));
        assert_eq!(parse("mqtt://[h]"), Err(UrlError::Host));
        assert_eq!(parse("mqtt://a b"), Err(UrlError::Host));
        assert_eq!(parse("mqtt://"), Err(UrlError::NoHost));
        assert_eq!(parse("mqtt://:1883"), Err(UrlError::NoHost));
    }

    #[test]
    fn user_and_password() {
        let user = |user: Option<&str>, password: Option<&str>| {
            Ok((
                "h".to_owned(),
                1883,
                user.map(str::to_owned),
                password.map(str::to_owned),
            ))
        };
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
    fn schemes() {
        assert_eq!(parse("localhost:1883"), Err(UrlError::NoScheme));
        assert_eq!(
            parse("mqtts://h"),
            Err(UrlError::NotSupported("mqtts".to_owned()))
        );
        assert_eq!(
            parse("wss://h/mqtt"),
            Err(UrlError::NotSupported("wss".to_owned()))
        );
        assert_eq!(
            parse("http://h"),
            Err(UrlError::UnknownScheme("http".to_owned()))
        );
    }

    #[test]
    fn what_has_no_meaning_is_not_ignored() {
        assert_eq!(parse("mqtt://h/"), host("h", 1883));
        for bad in [
            "mqtt://h/a",
            "mqtt://h?a",
            "mqtt://h/?a",
            "mqtt://h#",
            "mqtt://h//",
        ] {
            assert_eq!(parse(bad), Err(UrlError::Path), "{bad}");
        }
    }
}
