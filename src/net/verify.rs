//! Checking a server's certificate by libpq's `sslmode`.
//!
//! Where libpq and rustls differ, libpq holds: a self-signed certificate that is itself the given root is
//! accepted although it is marked as an authority, and a certificate without names of the newer kind is
//! known by its common name. Version 1 certificates pass only where nothing is checked.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::{FromDer, GeneralName};

use super::tls::{TlsError, root_store};

/// How much of a certificate is checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Check {
    /// Nothing: only listeners are kept out (`prefer`, `require`).
    Nothing,
    /// Issued by a root (`verify-ca`).
    Chain,
    /// And for this host (`verify-full`).
    ChainAndName,
}

/// Verifier of one [`Check`].
#[derive(Debug)]
pub(super) struct Verifier {
    check: Check,
    /// `None` exactly where nothing is checked.
    chain: Option<Arc<WebPkiServerVerifier>>,
    roots: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    pub(super) fn new(
        check: Check,
        roots: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let chain = match check {
            Check::Nothing => None,
            _ if roots.is_empty() => return Err(TlsError::NoRoots),
            _ => Some(chain_verifier(roots.clone(), provider)?),
        };
        Ok(Verifier { check, chain, roots, provider: Arc::clone(provider) })
    }

    /// Nobody was identified, and nothing will be bound to the certificate: so there is nothing that a signature could prove.
    fn is_nobodys(&self, certificate: &CertificateDer<'_>) -> bool {
        self.check == Check::Nothing && !is_readable(certificate)
    }

    /// The certificate is one of the roots itself and valid now.
    fn is_valid_root(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> bool {
        let valid = |cert: X509Certificate<'_>| {
            i64::try_from(now.as_secs()).is_ok_and(|now| {
                cert.validity.not_before.timestamp() <= now && now <= cert.validity.not_after.timestamp()
            })
        };
        self.roots.iter().any(|root| root == certificate)
            && X509Certificate::from_der(certificate).is_ok_and(|(_, cert)| valid(cert))
    }
}

fn chain_verifier(
    roots: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsError> {
    let what = "sslrootcert";
    let store = Arc::new(root_store(roots, what)?);
    WebPkiServerVerifier::builder_with_provider(store, Arc::clone(provider))
        .build()
        .map_err(|e| TlsError::Authority { what, why: e.to_string() })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // The name is checked after the chain, so a wrong name means that the chain holds.
        match chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Ok(verified) => return Ok(verified),
            Err(e) if is_wrong_name(&e) => {}
            Err(_) if self.is_valid_root(end_entity, now) => {}
            Err(e) => return Err(e),
        }
        match self.check {
            Check::ChainAndName => verify_name(end_entity, server_name),
            Check::Chain | Check::Nothing => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_nobodys(cert) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if self.is_nobodys(cert) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Rustls can read it, so that signatures of its key are verified whatever the mode. A login may be bound to no other certificate:
/// whoever shows it need not have its key.
pub(super) fn is_readable(certificate: &CertificateDer<'_>) -> bool {
    ParsedCertificate::try_from(certificate).is_ok()
}

fn is_wrong_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
    )
}

/// By the alternative names or, where there are none, by the common name.
fn verify_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<ServerCertVerified, Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    match rustls::client::verify_server_name(&parsed, name) {
        Err(e) if is_wrong_name(&e) && common_name_matches(certificate, name) => {}
        other => other?,
    }
    Ok(ServerCertVerified::assertion())
}

fn common_name_matches(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> bool {
    let Ok((_, cert)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let named = |names: &[GeneralName<'_>]| {
        names.iter().any(|n| matches!(n, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
    };
    match cert.subject_alternative_name() {
        Ok(None) => {}
        Ok(Some(san)) if !named(&san.value.general_names) => {}
        _ => return false,
    }
    let mut names = cert.subject().iter_common_name();
    match (names.next().map(|cn| cn.as_str()), names.next()) {
        (Some(Ok(common)), None) => name_matches(common, &name.to_str()),
        _ => false,
    }
}

/// Equal but for case, or `*.` for exactly one first label.
fn name_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        None => pattern.eq_ignore_ascii_case(host),
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(label, rest)| !label.is_empty() && rest.contains('.') && parent.eq_ignore_ascii_case(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names() {
        assert!(name_matches("db.example.com", "DB.example.com"));
        assert!(name_matches("*.example.com", "db.example.com"));
        for (pattern, host) in [
            ("*.example.com", "example.com"),
            ("*.example.com", "a.b.example.com"),
            ("*.com", "example.com"),
            ("*", "localhost"),
            ("db", "db.example.com"),
            ("", "db"),
        ] {
            assert!(!name_matches(pattern, host), "{pattern} {host}");
        }
    }
}
