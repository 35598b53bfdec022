//! Configurations of rustls for both sides, and reading PEM.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use secrecy::ExposeSecret;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::binding::end_point;
use super::settings::{ClientCertificate, Pem, ServerTls, SslMode, Target};
use super::verify::{Check, Verifier};

/// ALPN name of PostgreSQL's protocol.
pub(super) const POSTGRESQL: &[u8] = b"postgresql";
/// ALPN name of HTTP/1.1.
pub(super) const HTTP: &[u8] = b"http/1.1";

/// Certificates or keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A PEM without what it should hold.
    #[error("{what} holds no {wanted} in PEM form")]
    Empty {
        /// Which setting.
        what: &'static str,
        /// What was looked for.
        wanted: &'static str,
    },
    /// No root certificate to check the server against.
    #[error("no root certificates found on this system; name a file with them")]
    NoRoots,
    /// Rustls refuses them.
    #[error("{what}: {source}")]
    Refused {
        /// Which setting.
        what: &'static str,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate of the authority that cannot check others.
    #[error("{what}: {why}")]
    Authority {
        /// Which setting.
        what: &'static str,
        /// Why.
        why: String,
    },
}

/// How much of a server's certificate is checked, where there is TLS.
pub(super) fn check(target: &Target) -> Check {
    match (target.sslmode, &target.sslrootcert) {
        (SslMode::VerifyFull, _) => Check::ChainAndName,
        // With a root certificate at hand `require` checks against it, as libpq does.
        (SslMode::VerifyCa, _) | (SslMode::Require, Some(_)) => Check::Chain,
        (SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require, _) => Check::Nothing,
    }
}

/// Configuration towards servers; `None` where TLS is never used.
pub(super) fn client_config(target: &Target) -> Result<Option<Arc<ClientConfig>>, TlsError> {
    if target.sslmode == SslMode::Disable {
        return Ok(None);
    }
    let check = check(target);
    let roots = match (check, &target.sslrootcert) {
        (Check::Nothing, _) => Vec::new(),
        (_, Some(path)) => certificates(&read_file(path)?, "sslrootcert")?,
        (_, None) => rustls_native_certs::load_native_certs().certs,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = Verifier::new(check, roots, &provider)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Refused { what: "TLS", source })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &target.client_certificate {
        None => config.with_no_client_auth(),
        Some(ClientCertificate { certificate, key }) => {
            let chain = certificates(&read_file(certificate)?, "sslcert")?;
            let key = private_key(&read_file(key)?, "sslkey")?;
            config
                .with_client_auth_cert(chain, key)
                .map_err(|source| TlsError::Refused { what: "sslcert and sslkey", source })?
        }
    };
    config.alpn_protocols = vec![POSTGRESQL.to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Configuration towards HTTPS servers: chain and name are checked, against `roots` (a PEM file) or those of the operating
/// system.
///
/// # Errors
/// The file cannot be read, or there is no root certificate.
pub fn https_client_config(roots: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let what = "service_ca";
    let roots = match roots {
        Some(path) => certificates(&read_file(path)?, what)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Refused { what: "TLS", source })?;
    Ok(builder.with_root_certificates(root_store(roots, what)?).with_no_client_auth())
}

/// What connections from clients are accepted with.
pub(super) struct Served {
    pub(super) config: Arc<ServerConfig>,
    /// `tls-server-end-point` of our certificate.
    pub(super) end_point: Option<Vec<u8>>,
    /// When the first certificate of the chain ends, in milliseconds since 1970.
    pub(super) ends_ms: Option<u64>,
}

/// Configuration towards clients.
pub(super) fn server_config(settings: &ServerTls, alpn: &[u8]) -> Result<Arc<Served>, TlsError> {
    let chain = certificates(&read(&settings.certificate)?, "[tls] certificate")?;
    let end_point = chain.first().and_then(|own| end_point(own));
    let ends_ms = chain.iter().filter_map(|certificate| end_ms(certificate)).min();
    let key = private_key(&read(&settings.private_key)?, "[tls] private_key")?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Refused { what: "TLS", source })?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(ca) => {
            let what = "[tls] client_ca";
            let roots = root_store(certificates(&read(ca)?, what)?, what)?;
            let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|e| TlsError::Authority { what, why: e.to_string() })?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Refused { what: "[tls] certificate and private_key", source })?;
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(Served { config: Arc::new(config), end_point, ends_ms }))
}

/// After this a certificate (DER) does not hold any more, in milliseconds since 1970.
fn end_ms(certificate: &[u8]) -> Option<u64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(parsed.validity().not_after.timestamp()).ok()?.checked_mul(1000)
}

/// The ALPN name was agreed on, as direct TLS demands.
pub(super) fn is_postgresql(alpn: Option<&[u8]>) -> bool {
    alpn == Some(POSTGRESQL)
}

pub(super) fn root_store(roots: Vec<CertificateDer<'static>>, what: &'static str) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let mut refused = None;
    for root in roots {
        if let Err(source) = store.add(root) {
            refused = Some(source);
        }
    }
    match refused {
        Some(source) if store.is_empty() => Err(TlsError::Refused { what, source }),
        _ => Ok(store),
    }
}

fn certificates(pem: &impl ExposeSecret<[u8]>, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose_secret()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Empty { what, wanted: "certificate" }),
    }
}

fn private_key(pem: &impl ExposeSecret<[u8]>, what: &'static str) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem.expose_secret()).map_err(|_| TlsError::Empty { what, wanted: "private key" })
}

fn read(pem: &Pem) -> Result<secrecy::SecretSlice<u8>, TlsError> {
    match pem {
        Pem::Path(path) => read_file(path),
        Pem::Text(text) => Ok(text.expose_secret().as_bytes().to_vec().into()),
    }
}

fn read_file(path: &Path) -> Result<secrecy::SecretSlice<u8>, TlsError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(bytes.into()),
        Err(source) => Err(TlsError::Read { path: path.display().to_string(), source }),
    }
}
