//! `root_key`: what is written, with the secrets and addresses that its kind takes from the environment.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use crate::keyserver::root_key::pkcs11_uri::{PinSource, Pkcs11Uri};
use crate::keyserver::root_key::settings::{AwsCredentials, AwsKms, Pkcs11, Source, Spec, Vault};

use super::reader::Reader;

const ADVICE: &str =
    "write file:PATH, env:NAME, awskms:KEY, vault:URL/MOUNT/KEY or pkcs11:token=…;object=…?module-path=…";

/// The root key of `key`, by default the file beside the store.
pub(super) fn setting(reader: &mut Reader<'_>, key: &str, store: &Path) -> Source {
    let beside = || Source::File(store.with_file_name("root.key"));
    let Some(text) = reader.text(key) else { return beside() };
    let base = reader.base(key);
    resolve(reader, key, &text, &base).unwrap_or_else(beside)
}

/// One written as `text`; relative paths count from `base`.
pub(super) fn resolve(reader: &mut Reader<'_>, key: &str, text: &str, base: &Path) -> Option<Source> {
    match Spec::parse(text) {
        Ok(Spec::File(path)) => Some(Source::File(base.join(path))),
        Ok(Spec::Environment(name)) => {
            let value = reader.secret_variable(&name);
            Some(Source::Environment { name, value })
        }
        Ok(Spec::AwsKms(id)) => Some(Source::AwsKms(aws(reader, id))),
        Ok(Spec::Vault(address, mount, name)) => vault(reader, key, address, mount, name).map(Source::Vault),
        Ok(Spec::Pkcs11(uri)) => Some(Source::Pkcs11(pkcs11(reader, key, uri))),
        Err(problem) => {
            reader.fault(key, problem, ADVICE);
            None
        }
    }
}

/// The first of these variables that is set.
fn variable(reader: &Reader<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| reader.environment.variable(name)).map(str::to_owned)
}

fn aws(reader: &mut Reader<'_>, key: String) -> AwsKms {
    let id = variable(reader, &["AWS_ACCESS_KEY_ID"]);
    let secret = reader.secret_variable("AWS_SECRET_ACCESS_KEY");
    let session = reader.secret_variable("AWS_SESSION_TOKEN");
    AwsKms {
        key,
        region: variable(reader, &["AWS_REGION", "AWS_DEFAULT_REGION"]),
        endpoint: variable(reader, &["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"]),
        credentials: id.zip(secret).map(|(id, secret)| AwsCredentials { id, secret, session }),
    }
}

fn vault(reader: &mut Reader<'_>, key: &str, address: Option<String>, mount: String, name: String) -> Option<Vault> {
    let address = address.or_else(|| variable(reader, &["VAULT_ADDR", "BAO_ADDR"]));
    let Some(address) = address else {
        reader.fault(key, "names no address and VAULT_ADDR is not set", "write vault:https://HOST:PORT/MOUNT/KEY");
        return None;
    };
    let token = match reader.secret_variable("VAULT_TOKEN") {
        Some(token) => Some(token),
        None => reader.secret_variable("BAO_TOKEN"),
    };
    Some(Vault {
        address: address.trim_end_matches('/').to_owned(),
        mount,
        key: name,
        namespace: variable(reader, &["VAULT_NAMESPACE", "BAO_NAMESPACE"]),
        token: token.filter(|token| !token.expose_secret().is_empty()),
        ca: variable(reader, &["VAULT_CACERT", "BAO_CACERT"]).map(PathBuf::from),
    })
}

fn pkcs11(reader: &mut Reader<'_>, key: &str, uri: Pkcs11Uri) -> Pkcs11 {
    let pin = match &uri.pin {
        None => None,
        Some(PinSource::File(path)) => reader.secret_file(key, path),
        Some(PinSource::Variable(name)) => {
            let pin = reader.secret_variable(name);
            if pin.is_none() {
                reader.fault(key, format!("takes its PIN from {name}, which is not set"), "set it, or name a file");
            }
            pin
        }
    };
    Pkcs11 { uri, pin }
}
