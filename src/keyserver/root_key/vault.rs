//! A root key in the transit engine of HashiCorp Vault or OpenBao: the key never leaves it. An AEAD key, bound to the
//! service by its associated data.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use crate::crypto::secret::Key32;
use crate::keys::RootKeyFault;

use super::settings::Vault as Settings;
use super::{Binding, Kind, RootKey, exact, private_address, told};

/// For one call.
const CALL: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(3);
/// Longest answer that is read.
const MAX_ANSWER: u64 = 64 * 1024;
/// Longest wrapped store key that is sent.
const MAX_WRAPPED: usize = 4096;
/// Kinds of transit keys that bind associated data.
const AEAD: [&str; 4] = ["aes256-gcm96", "aes128-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];

/// A key of a transit engine.
pub(super) struct Vault {
    settings: Settings,
    agent: Agent,
}

impl Vault {
    pub(super) fn new(settings: &Settings) -> Result<Self, RootKeyFault> {
        private_address(&settings.address)?;
        if settings.token.is_none() {
            return Err(RootKeyFault::Missing("neither VAULT_TOKEN nor VAULT_TOKEN_FILE is set".to_owned()));
        }
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(trusted(settings)?)
            .build();
        // Whatever it answers is read here; a redirect would carry the token elsewhere.
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(CALL))
            .timeout_connect(Some(CONNECT))
            .http_status_as_error(false)
            .max_redirects(0);
        if settings.address.starts_with("http://") {
            // What is on this machine does not go through a proxy.
            config = config.proxy(None);
        }
        Ok(Self { settings: settings.clone(), agent: config.build().new_agent() })
    }

    /// What `operation` answers.
    fn ask(&self, operation: &str, body: Option<&Value>) -> Result<Value, RootKeyFault> {
        let Settings { address, mount, key, namespace, token, .. } = &self.settings;
        let url = format!("{address}/v1/{mount}/{operation}/{key}");
        let mut headers = vec![("X-Vault-Request", "true")];
        headers.extend(token.as_ref().map(|token| ("X-Vault-Token", token.expose_secret())));
        headers.extend(namespace.as_ref().map(|namespace| ("X-Vault-Namespace", namespace.as_str())));
        let sent = match body {
            None => headers
                .into_iter()
                .fold(self.agent.get(&url), |request, (name, value)| request.header(name, value))
                .call(),
            Some(body) => {
                let text = Zeroizing::new(body.to_string());
                let request = self.agent.post(&url).header("Content-Type", "application/json");
                headers
                    .into_iter()
                    .fold(request, |request, (name, value)| request.header(name, value))
                    .send(text.as_str())
            }
        };
        let mut answer = sent.map_err(|error| unreachable(&error))?;
        let status = answer.status().as_u16();
        let mut text = Zeroizing::new(Vec::new());
        let read = answer.body_mut().as_reader().take(MAX_ANSWER).read_to_end(&mut text);
        read.map_err(|error| RootKeyFault::Unreachable(told(&error.to_string())))?;
        let value: Option<Value> = serde_json::from_slice(&text).ok();
        match (status, value) {
            (200, Some(value)) => Ok(value),
            (200, None) => Err(RootKeyFault::BadAnswer(format!("{operation} gave no JSON"))),
            (_, value) => Err(refused(status, value.as_ref())),
        }
    }

    /// The key is there and is an AEAD key. To encrypt with a name that is not there would make a key of that name. The
    /// right to read the key's description is not needed.
    fn check(&self) -> Result<(), RootKeyFault> {
        let described = match self.ask("keys", None) {
            Ok(described) => described,
            Err(RootKeyFault::Denied(_)) => return Ok(()),
            Err(fault) => return Err(fault),
        };
        let kind = described.pointer("/data/type").and_then(Value::as_str).unwrap_or_default();
        if AEAD.contains(&kind) {
            return Ok(());
        }
        Err(RootKeyFault::Malformed(format!("its type {:?} is none of {}", told(kind), AEAD.join(", "))))
    }
}

impl RootKey for Vault {
    fn kind(&self) -> Kind {
        Kind::Vault
    }

    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        self.check()?;
        let plaintext = Zeroizing::new(STANDARD.encode(key.as_bytes()));
        let mut body = json!({ "plaintext": *plaintext, "associated_data": STANDARD.encode(binding.bytes()) });
        let answer = self.ask("encrypt", Some(&body));
        wipe(&mut body, "/plaintext");
        let answer = answer?;
        let wrapped = answer.pointer("/data/ciphertext").and_then(Value::as_str);
        let wrapped = wrapped.filter(|text| text.starts_with("vault:v") && text.len() <= MAX_WRAPPED);
        wrapped
            .map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| RootKeyFault::BadAnswer("encrypt gave no ciphertext".to_owned()))
    }

    fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault> {
        let ciphertext = std::str::from_utf8(wrapped).ok().filter(|text| text.len() <= MAX_WRAPPED);
        let ciphertext = ciphertext.ok_or(RootKeyFault::Wrong)?;
        let body = json!({ "ciphertext": ciphertext, "associated_data": STANDARD.encode(binding.bytes()) });
        let mut answer = self.ask("decrypt", Some(&body))?;
        let plaintext = answer.pointer("/data/plaintext").and_then(Value::as_str);
        let bytes = plaintext.and_then(|text| STANDARD.decode(text).ok()).map(Zeroizing::new);
        wipe(&mut answer, "/data/plaintext");
        exact(&bytes.ok_or_else(|| RootKeyFault::BadAnswer("decrypt gave no plaintext".to_owned()))?)
    }
}

/// Certificates of the settings' file, or of the operating system.
fn trusted(settings: &Settings) -> Result<RootCerts, RootKeyFault> {
    let certificates: Vec<CertificateDer<'static>> = match &settings.ca {
        None => rustls_native_certs::load_native_certs().certs,
        Some(path) => {
            let unread =
                |why: String| RootKeyFault::Malformed(format!("the certificates in {}: {why}", path.display()));
            let read = CertificateDer::pem_file_iter(path).map_err(|e| unread(e.to_string()))?;
            let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|e| unread(e.to_string()))?;
            if certificates.is_empty() {
                return Err(unread("there is none".to_owned()));
            }
            certificates
        }
    };
    let certificates: Vec<Certificate<'static>> =
        certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    Ok(RootCerts::Specific(Arc::new(certificates)))
}

fn unreachable(error: &ureq::Error) -> RootKeyFault {
    RootKeyFault::Unreachable(told(&error.to_string()))
}

/// What a status other than 200 means. 404 is also the answer of an engine that is not mounted; a sealed Vault says 503.
fn refused(status: u16, answer: Option<&Value>) -> RootKeyFault {
    let errors = answer.and_then(|value| value.get("errors")).and_then(Value::as_array);
    let said: Vec<&str> = errors.into_iter().flatten().filter_map(Value::as_str).collect();
    let said = told(&said.join("; "));
    let why = if said.is_empty() { format!("status {status}") } else { format!("status {status}: {said}") };
    match status {
        404 => RootKeyFault::Missing(why),
        400 if said.contains("key not found") => RootKeyFault::Missing(why),
        400 if ["authentication failed", "invalid ciphertext"].iter().any(|sign| said.contains(sign)) => {
            RootKeyFault::Wrong
        }
        400 if said.contains("disallowed by policy") => RootKeyFault::Disabled(why),
        400 => RootKeyFault::Malformed(why),
        401 | 403 => RootKeyFault::Denied(why),
        429 | 472 | 473 | 500.. => RootKeyFault::Unreachable(why),
        _ => RootKeyFault::BadAnswer(why),
    }
}

/// Wipes a text within a JSON value.
fn wipe(value: &mut Value, pointer: &str) {
    if let Some(Value::String(text)) = value.pointer_mut(pointer) {
        zeroize::Zeroize::zeroize(text);
    }
}
