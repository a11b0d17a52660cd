use std::io;

use bytes::BytesMut;
use data_encoding::BASE64;
use mqtt5_client::Transport;

use super::{Credentials, ProxyError};
use crate::address::Server;
use crate::http::{Head, HeadError, read_head};
use crate::io::write_all;

pub(super) async fn ask<T: Transport>(
    transport: &mut T,
    server: &Server,
    credentials: Option<&Credentials>,
) -> io::Result<()> {
    write_all(transport, request(server, credentials).as_bytes()).await?;
    let mut arrived = BytesMut::new();
    let head = read_head(transport, &mut arrived)
        .await
        .map_err(|error| match error {
            HeadError::NotHttp | HeadError::TooLong => ProxyError::NotAProxy("HTTP").into(),
            HeadError::Closed => ProxyError::Closed.into(),
            HeadError::Io(error) => error,
        })?;
    match head.status {
        407 if !takes_basic(&head) => Err(ProxyError::Authentication.into()),
        200..=299 if arrived.is_empty() => Ok(()),
        200..=299 => Err(ProxyError::Excess.into()),
        407 if credentials.is_none() => Err(ProxyError::CredentialsMissing.into()),
        407 => Err(ProxyError::Credentials.into()),
        status => Err(ProxyError::Refused {
            server: server.clone(),
            reason: format!("HTTP {status} {}", head.reason)
                .trim_end()
                .to_owned(),
        }
        .into()),
    }
}

/// Whether Basic is among the ways to authenticate; a proxy that names none is taken at its word.
fn takes_basic(head: &Head) -> bool {
    head.field("Proxy-Authenticate").is_none_or(|ways| {
        ways.split([',', ' '])
            .any(|way| way.eq_ignore_ascii_case("Basic"))
    })
}

fn request(server: &Server, credentials: Option<&Credentials>) -> String {
    let mut request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n");
    if let Some(Credentials {
        user_name,
        password,
    }) = credentials
    {
        let both = [user_name.as_slice(), b":", password].concat();
        request.push_str("Proxy-Authorization: Basic ");
        BASE64.encode_append(&both, &mut request);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}
