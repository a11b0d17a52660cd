//! Certificates made for one test, and brokers that show them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

use crate::support::mosquitto::{Config, Directory, Mosquitto, write_private};

/// Vouches for certificates.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Validity {
    Now,
    Over,
    NotYet,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn server(&self, names: &[&str], validity: Validity) -> Identity {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        match validity {
            Validity::Now => {}
            Validity::Over => {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }
            Validity::NotYet => {
                params.not_before = date_time_ymd(2901, 1, 1);
                params.not_after = date_time_ymd(2902, 1, 1);
            }
        }
        self.sign(&params)
    }

    pub(crate) fn client(&self, name: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity {
            chain: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

/// A Mosquitto with TLS.
pub(crate) struct SecureMosquitto {
    pub(crate) broker: Mosquitto,
    // After the broker, which reads from it.
    _files: Directory,
}

impl SecureMosquitto {
    /// Shows `identity`. With `clients`, wants certificates from that authority. `lines` go to the
    /// listener.
    pub(crate) fn start(identity: &Identity, clients: Option<&Authority>, lines: &[&str]) -> Self {
        let (files, own) = files(identity, clients);
        let lines = own.iter().map(String::as_str).chain(lines.iter().copied());
        let config = lines.fold(Config::new(), Config::line);
        Self {
            broker: Mosquitto::start(config),
            _files: files,
        }
    }

    pub(crate) fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.broker.port())
    }
}

/// The lines of a listener with TLS, and what they name.
pub(crate) fn files(identity: &Identity, clients: Option<&Authority>) -> (Directory, Vec<String>) {
    let files = Directory::create();
    let file = |option: &str, contents: &str| {
        let path = files.file(option);
        write_private(&path, contents);
        format!("{option} {}", path.display())
    };
    let mut lines = vec![
        file("certfile", &identity.chain),
        file("keyfile", &identity.key),
    ];
    if let Some(clients) = clients {
        lines.push(file("cafile", &clients.pem));
        lines.push("require_certificate true".to_owned());
    }
    (files, lines)
}
