use std::io;
use std::net::IpAddr;

use bytes::{Buf, BytesMut};
use mqtt5_client::Transport;

use super::{Credentials, ProxyError};
use crate::address::Server;
use crate::io::{read_more, write_all};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NOTHING_ACCEPTABLE: u8 = 0xFF;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

pub(super) async fn ask<T: Transport>(
    transport: &mut T,
    server: &Server,
    credentials: Option<&Credentials>,
) -> io::Result<()> {
    let request = request(server)?;
    let mut arrived = BytesMut::new();
    agree(transport, &mut arrived, credentials).await?;
    write_all(transport, &request).await?;
    let [version, reply, _, kind] = read(transport, &mut arrived).await?;
    check_version(version)?;
    if reply != 0 {
        return Err(ProxyError::Refused {
            server: server.clone(),
            reason: meaning(reply),
        }
        .into());
    }
    // The address by which the proxy connects, which nobody needs.
    let bound = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => {
            let [length] = read(transport, &mut arrived).await?;
            usize::from(length)
        }
        _ => return Err(ProxyError::NotAProxy("SOCKS5").into()),
    };
    for _ in 0..bound + 2 {
        let [_] = read(transport, &mut arrived).await?;
    }
    if arrived.is_empty() {
        Ok(())
    } else {
        Err(ProxyError::Excess.into())
    }
}

/// Agrees on a way to authenticate, and does it.
async fn agree<T: Transport>(
    transport: &mut T,
    arrived: &mut BytesMut,
    credentials: Option<&Credentials>,
) -> io::Result<()> {
    let greeting: &[u8] = match credentials {
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
        None => &[VERSION, 1, NO_AUTHENTICATION],
    };
    write_all(transport, greeting).await?;
    let [version, method] = read(transport, arrived).await?;
    check_version(version)?;
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => Ok(()),
        (USER_AND_PASSWORD, Some(credentials)) => {
            write_all(transport, &authentication(credentials)).await?;
            let [_, status] = read(transport, arrived).await?;
            if status == 0 {
                Ok(())
            } else {
                Err(ProxyError::Credentials.into())
            }
        }
        (NOTHING_ACCEPTABLE, None) => Err(ProxyError::CredentialsMissing.into()),
        (NOTHING_ACCEPTABLE, Some(_)) => Err(ProxyError::Credentials.into()),
        _ => Err(ProxyError::NotAProxy("SOCKS5").into()),
    }
}

/// RFC 1929, section 2. The lengths were checked.
fn authentication(credentials: &Credentials) -> Vec<u8> {
    let mut bytes = vec![1];
    for text in [&credentials.user_name, &credentials.password] {
        bytes.extend(u8::try_from(text.len()));
        bytes.extend_from_slice(text);
    }
    bytes
}

/// RFC 1928, section 4.
fn request(server: &Server) -> Result<Vec<u8>, ProxyError> {
    let mut bytes = vec![VERSION, CONNECT, 0];
    match server.host.parse() {
        Ok(IpAddr::V4(address)) => {
            bytes.push(IPV4);
            bytes.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            bytes.push(IPV6);
            bytes.extend(address.octets());
        }
        Err(_) => {
            let length = u8::try_from(server.host.len()).map_err(|_| ProxyError::NameTooLong)?;
            bytes.extend([NAME, length]);
            bytes.extend_from_slice(server.host.as_bytes());
        }
    }
    bytes.extend(server.port.to_be_bytes());
    Ok(bytes)
}

async fn read<T: Transport, const N: usize>(
    transport: &mut T,
    arrived: &mut BytesMut,
) -> io::Result<[u8; N]> {
    while arrived.len() < N {
        if read_more(transport, arrived).await? == 0 {
            return Err(ProxyError::Closed.into());
        }
    }
    let mut bytes = [0; N];
    arrived.copy_to_slice(&mut bytes);
    Ok(bytes)
}

fn check_version(version: u8) -> Result<(), ProxyError> {
    if version == VERSION {
        Ok(())
    } else {
        Err(ProxyError::NotAProxy("SOCKS5"))
    }
}

/// RFC 1928, section 6.
fn meaning(reply: u8) -> String {
    let meaning = match reply {
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "time to live expired",
        7 => "command not supported",
        8 => "type of address not supported",
        other => return format!("SOCKS5 reply {other}"),
    };
    meaning.to_owned()
}
