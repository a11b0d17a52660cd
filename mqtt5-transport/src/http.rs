//! The head of an HTTP/1.1 response.

use std::io;

use bytes::{Buf, BytesMut};
use httparse::{EMPTY_HEADER, Response, Status};
use mqtt5_client::Transport;

use crate::io::read_more;

/// The longest head that is waited for.
const LONGEST: usize = 16 << 10;

/// How many fields a head may have.
const FIELDS: usize = 64;

/// Status and fields of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) reason: String,
    fields: Vec<(String, String)>,
}

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// What came is no HTTP/1.
    NotHttp,
    /// The peer closed the connection.
    Closed,
    /// Longer than anybody needs.
    TooLong,
    /// Reading failed.
    Io(io::Error),
}

impl Head {
    /// The values of a field, in their order, with commas between them.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

/// Reads a head. What comes behind it is left in `buffer`.
pub(crate) async fn read_head<T: Transport>(
    transport: &mut T,
    buffer: &mut BytesMut,
) -> Result<Head, HeadError> {
    loop {
        if let Some((length, head)) = parse(buffer)? {
            buffer.advance(length);
            return Ok(head);
        }
        if buffer.len() > LONGEST {
            return Err(HeadError::TooLong);
        }
        match read_more(transport, buffer).await {
            Ok(0) => return Err(HeadError::Closed),
            Ok(_) => {}
            Err(error) => return Err(HeadError::Io(error)),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Option<(usize, Head)>, HeadError> {
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut response = Response::new(&mut fields);
    let length = match response.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooLong),
        Err(_) => return Err(HeadError::NotHttp),
    };
    let fields = response
        .headers
        .iter()
        .map(|field| {
            let value = String::from_utf8_lossy(field.value).into_owned();
            (field.name.to_owned(), value)
        })
        .collect();
    let head = Head {
        status: response.code.unwrap_or_default(),
        reason: response.reason.unwrap_or_default().to_owned(),
        fields,
    };
    Ok(Some((length, head)))
}
