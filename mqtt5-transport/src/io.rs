//! Reading and writing for handshakes: in turn, one side at a time.

use std::future::poll_fn;
use std::io;

use bytes::BytesMut;
use mqtt5_client::Transport;

/// How much is made room for.
const CHUNK: usize = 4 << 10;

/// Reads once, to the end of `buffer`; 0 if the peer has shut down writing.
pub(crate) async fn read_more<T: Transport>(
    transport: &mut T,
    buffer: &mut BytesMut,
) -> io::Result<usize> {
    buffer.reserve(CHUNK);
    poll_fn(|cx| transport.poll_read(cx, buffer)).await
}

/// Writes all of `bytes`, and sees to it that they leave.
pub(crate) async fn write_all<T: Transport>(transport: &mut T, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| transport.poll_write(cx, bytes)).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(count..).unwrap_or_default();
    }
    poll_fn(|cx| transport.poll_flush(cx)).await
}
