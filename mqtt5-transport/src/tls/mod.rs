//! TLS by rustls, with the cryptography of ring.

mod error;
mod options;
mod stream;

pub use error::{CertificateFault, TlsError};
pub use options::{TlsOptions, TlsOptionsError};
pub use stream::Tls;

pub(crate) use options::Handshake;
