use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use mqtt5_client::Transport;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::error::TlsError;
use super::stream::Tls;
use crate::address::Server;
use crate::error::TransportError;

/// Whom to trust, and who we are: TLS 1.2 and 1.3.
///
/// ```
/// # use mqtt5_transport::TlsOptions;
/// # fn run(ca: &[u8], chain: &[u8], key: &[u8]) {
/// // Certificates of an authority of one's own, and one for this client.
/// let options = TlsOptions::new()
///     .roots_pem(ca)
///     .client_certificate_pem(chain, key);
/// # drop(options);
/// # }
/// ```
///
/// What is wrong with a value is told when the client is made.
#[derive(Clone, Default)]
#[must_use]
pub struct TlsOptions {
    roots: Vec<CertificateDer<'static>>,
    system_roots: bool,
    identity: Option<Identity>,
    server_name: Option<String>,
    alpn: Vec<Vec<u8>>,
    rustls: Option<Arc<ClientConfig>>,
    fault: Option<TlsOptionsError>,
}

#[derive(Clone)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

/// Without the key.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("roots", &self.roots.len())
            .field("system_roots", &self.system_roots)
            .field("client_certificate", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("alpn", &self.alpn.len())
            .field("rustls", &self.rustls.is_some())
            .finish_non_exhaustive()
    }
}

impl TlsOptions {
    /// The server's certificate is checked by the roots that the system trusts and the name in the
    /// URL; there is no client certificate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all but the server's name from a configuration of rustls, for what the other setters
    /// cannot say, such as revocation lists. Those for roots, client certificate and ALPN have no
    /// effect then.
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        Self {
            rustls: Some(config),
            ..Self::default()
        }
    }

    /// Trusts the certificates in `pem`, and no longer those of the system. Can be called several
    /// times.
    pub fn roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        match certificates(pem.as_ref()) {
            Ok(roots) => self.roots.extend(roots),
            Err(reason) => self.fail(TlsOptionsError::RootsPem(reason)),
        }
        self
    }

    /// Trusts what the system trusts besides the certificates of
    /// [`roots_pem`](Self::roots_pem).
    pub const fn system_roots(mut self) -> Self {
        self.system_roots = true;
        self
    }

    /// Shows the server a certificate of ours: `chain` begins with it, and holds those between it
    /// and an authority that the server knows; `key` is its private key, as PKCS #8, PKCS #1 or
    /// SEC1.
    pub fn client_certificate_pem(
        mut self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        let chain = certificates(chain.as_ref()).map_err(TlsOptionsError::ClientCertificatePem);
        let key = PrivateKeyDer::from_pem_slice(key.as_ref())
            .map_err(|error| TlsOptionsError::ClientKeyPem(error.to_string()));
        match (chain, key) {
            (Ok(chain), Ok(key)) => {
                let key = Arc::new(key);
                self.identity = Some(Identity { chain, key });
            }
            (Err(fault), _) | (_, Err(fault)) => self.fail(fault),
        }
        self
    }

    /// The name that the server's certificate has to hold, and that is asked for (SNI), in place of
    /// the host of the URL: a name of DNS or an address.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The protocols offered by ALPN, the best first, each 1 to 255 bytes; some servers want `mqtt`
    /// on port 443. Default: none.
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        if self
            .alpn
            .iter()
            .any(|name| !(1..=255).contains(&name.len()))
        {
            self.fail(TlsOptionsError::Alpn);
        }
        self
    }

    fn fail(&mut self, fault: TlsOptionsError) {
        self.fault.get_or_insert(fault);
    }

    fn into_config(self) -> Result<Arc<ClientConfig>, TlsOptionsError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if let Some(config) = self.rustls {
            return Ok(config);
        }
        let mut roots = RootCertStore::empty();
        for root in &self.roots {
            roots
                .add(root.clone())
                .map_err(|error| TlsOptionsError::Root(error.to_string()))?;
        }
        if self.system_roots || self.roots.is_empty() {
            add_system_roots(&mut roots)?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsOptionsError::Rustls(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match self.identity {
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain, key.clone_key())
                .map_err(|error| TlsOptionsError::Identity(error.to_string()))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn;
        Ok(Arc::new(config))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("there is no certificate in it".to_owned());
    }
    Ok(certificates)
}

/// A system may hold certificates that nobody can use; only if none can is it an error.
fn add_system_roots(roots: &mut RootCertStore) -> Result<(), TlsOptionsError> {
    let found = rustls_native_certs::load_native_certs();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsOptionsError::NoSystemRoots(reasons.join("; ")));
    }
    Ok(())
}

/// What is wrong with [`TlsOptions`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsOptionsError {
    /// The certificates to trust are no PEM, or there is none.
    #[error("the certificates to trust cannot be read: {0}")]
    RootsPem(String),
    /// A certificate to trust cannot be used.
    #[error("a certificate to trust cannot be used: {0}")]
    Root(String),
    /// The system has no certificates to trust. In a minimal container, install its package of them
    /// (`ca-certificates`), or give those of the server's authority.
    #[error("the system has no certificates to trust{colon}{0}", colon = if .0.is_empty() { "" } else { ": " })]
    NoSystemRoots(String),
    /// The client certificate is no PEM, or there is none.
    #[error("the client certificate cannot be read: {0}")]
    ClientCertificatePem(String),
    /// The key of the client certificate is no PEM, or there is none.
    #[error("the key of the client certificate cannot be read: {0}")]
    ClientKeyPem(String),
    /// Client certificate and key cannot be used, or do not belong together.
    #[error("client certificate and key cannot be used together: {0}")]
    Identity(String),
    /// The name of the server is neither a name of DNS nor an address.
    #[error("{0:?} is no name that a certificate could hold")]
    ServerName(String),
    /// A protocol for ALPN is not 1 to 255 bytes long.
    #[error("a protocol for ALPN has 1 to 255 bytes")]
    Alpn,
    /// Something else that the TLS library objects to.
    #[error("{0}")]
    Rustls(String),
}

/// All that is needed to begin TLS with one server.
#[derive(Clone)]
pub(crate) struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Handshake {
    pub(crate) fn new(server: &Server, options: TlsOptions) -> Result<Self, TlsOptionsError> {
        let name = options.server_name.as_ref().unwrap_or(&server.host);
        let name = ServerName::try_from(name.clone())
            .map_err(|_| TlsOptionsError::ServerName(name.clone()))?;
        Ok(Self {
            config: options.into_config()?,
            name,
        })
    }

    pub(crate) async fn perform<T: Transport>(&self, transport: T) -> io::Result<Tls<T>> {
        let session = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(|error| TransportError::from(TlsError::Library(error)))?;
        let mut tls = Tls::new(session, transport, self.name.to_str().into_owned());
        poll_fn(|cx| tls.poll_handshake(cx)).await?;
        Ok(tls)
    }
}
