//! `tls-server-end-point` (RFC 5929): what of a server's certificate a login by SCRAM is bound to.

use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// Object identifiers of signatures and hashes, by the hash that the certificate is hashed with. MD5 and SHA-1 count as SHA-256.
const SHA256: [&str; 8] = [
    "1.2.840.113549.1.1.4",   // RSA with MD5
    "1.2.840.113549.1.1.5",   // RSA with SHA-1
    "1.2.840.10045.4.1",      // ECDSA with SHA-1
    "1.3.14.3.2.26",          // SHA-1
    "1.2.840.113549.1.1.11",  // RSA with SHA-256
    "1.2.840.10045.4.3.2",    // ECDSA with SHA-256
    "2.16.840.1.101.3.4.2.1", // SHA-256
    "1.2.840.113549.2.5",     // MD5
];
const SHA384: [&str; 3] = ["1.2.840.113549.1.1.12", "1.2.840.10045.4.3.3", "2.16.840.1.101.3.4.2.2"];
const SHA512: [&str; 3] = ["1.2.840.113549.1.1.13", "1.2.840.10045.4.3.4", "2.16.840.1.101.3.4.2.3"];

/// Hash of a certificate (DER) by the hash of its signature. `None` where that names no hash (Ed25519) or one that is not known:
/// then nothing can be bound.
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let algorithm = &parsed.signature_algorithm;
    let name = match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => parameters.hash_algorithm_oid().to_id_string(),
        _ => algorithm.algorithm.to_id_string(),
    };
    let is_in = |names: &[&str]| names.contains(&name.as_str());
    match () {
        () if is_in(&SHA256) => Some(Sha256::digest(certificate).to_vec()),
        () if is_in(&SHA384) => Some(Sha384::digest(certificate).to_vec()),
        () if is_in(&SHA512) => Some(Sha512::digest(certificate).to_vec()),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn bound(algorithm: &'static SignatureAlgorithm) -> Option<usize> {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        end_point(params.self_signed(&key).expect("a certificate").der()).map(|hash| hash.len())
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        assert_eq!(bound(&rcgen::PKCS_ECDSA_P256_SHA256), Some(32));
        assert_eq!(bound(&rcgen::PKCS_ECDSA_P384_SHA384), Some(48));
        assert_eq!(bound(&rcgen::PKCS_RSA_SHA256), Some(32));
        assert_eq!(bound(&rcgen::PKCS_RSA_SHA512), Some(64));
        assert_eq!(bound(&rcgen::PKCS_ED25519), None, "names no hash");
        assert_eq!(end_point(b"no certificate"), None);
    }
}
