//! How a root key is named, with what is needed to use it. Shown by `Display` without secrets.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use super::pkcs11_uri::Pkcs11Uri;

/// A root key as settings name it.
#[derive(Clone, Debug)]
pub enum Source {
    /// `file:PATH`.
    File(PathBuf),
    /// `env:NAME`.
    Environment {
        /// The variable.
        name: String,
        /// Its value, or the content of the file that `NAME_FILE` names.
        value: Option<SecretString>,
    },
    /// `awskms:KEY`.
    AwsKms(AwsKms),
    /// `vault:URL/MOUNT/KEY`.
    Vault(Vault),
    /// `pkcs11:…`.
    Pkcs11(Pkcs11),
}

/// A key in AWS KMS.
#[derive(Clone, Debug)]
pub struct AwsKms {
    /// Its ARN, id or `alias/…`.
    pub key: String,
    /// Unset: that of the ARN, or what the AWS settings of this machine say.
    pub region: Option<String>,
    /// Instead of the region's own.
    pub endpoint: Option<String>,
    /// Unset: those of the AWS profile, web identity, container or instance.
    pub credentials: Option<AwsCredentials>,
}

/// An access key.
#[derive(Clone, Debug)]
pub struct AwsCredentials {
    /// Its id.
    pub id: String,
    /// The key.
    pub secret: SecretString,
    /// Of temporary credentials.
    pub session: Option<SecretString>,
}

/// A key of a transit engine.
#[derive(Clone, Debug)]
pub struct Vault {
    /// `https://HOST:PORT`.
    pub address: String,
    /// Where the engine is mounted, usually `transit`.
    pub mount: String,
    /// Name of the key.
    pub key: String,
    /// `X-Vault-Namespace`.
    pub namespace: Option<String>,
    /// The token.
    pub token: Option<SecretString>,
    /// PEM file of certificates to trust instead of the operating system's.
    pub ca: Option<PathBuf>,
}

/// A key in a token.
#[derive(Clone, Debug)]
pub struct Pkcs11 {
    /// Module, token and key.
    pub uri: Pkcs11Uri,
    /// The user's PIN.
    pub pin: Option<SecretString>,
}

/// A root key as it is written, before anything it refers to is looked up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spec {
    /// Path.
    File(String),
    /// Variable.
    Environment(String),
    /// ARN, id or alias.
    AwsKms(String),
    /// Address if written, mount, key.
    Vault(Option<String>, String, String),
    /// URI.
    Pkcs11(Pkcs11Uri),
}

impl Spec {
    /// Reads `KIND:…`; the error completes "root_key …".
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((kind, rest)) = text.split_once(':') else {
            return Err("has no kind".to_owned());
        };
        if kind == "pkcs11" {
            return Pkcs11Uri::parse(rest).map(Self::Pkcs11);
        }
        if rest.is_empty() || rest.chars().any(char::is_control) {
            return Err(format!("names nothing after {kind}:"));
        }
        match kind {
            "file" => Ok(Self::File(rest.to_owned())),
            "env" if is_variable(rest) => Ok(Self::Environment(rest.to_owned())),
            "env" => Err("does not name an environment variable".to_owned()),
            "awskms" if rest.contains(char::is_whitespace) => Err("has a space in its key".to_owned()),
            "awskms" => Ok(Self::AwsKms(rest.to_owned())),
            "vault" => vault(rest),
            _ => Err("is of no kind that is known".to_owned()),
        }
    }
}

fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// `[http(s)://HOST[:PORT]/]MOUNT/KEY`; the mount may have several parts.
fn vault(text: &str) -> Result<Spec, String> {
    let form = || "is not vault:https://HOST:PORT/MOUNT/KEY".to_owned();
    let (address, path) = match text.split_once("://") {
        None => (None, text),
        Some((scheme @ ("http" | "https"), rest)) => {
            let (host, path) = rest.split_once('/').ok_or_else(form)?;
            if host.is_empty() || host.contains('@') {
                return Err(form());
            }
            (Some(format!("{scheme}://{host}")), path)
        }
        Some(_) => return Err(form()),
    };
    let (mount, key) = path.rsplit_once('/').ok_or_else(form)?;
    let plain = |part: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !matches!(part, "" | "." | "..") && part.chars().all(good)
    };
    if !plain(key) || !mount.split('/').all(plain) {
        return Err("has a part of its path that is not made of letters, digits, '-', '_' and '.'".to_owned());
    }
    Ok(Spec::Vault(address, mount.to_owned(), key.to_owned()))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Environment { name, .. } => write!(f, "env:{name}"),
            Self::AwsKms(kms) => write!(f, "awskms:{}", kms.key),
            Self::Vault(vault) => write!(f, "vault:{}/{}/{}", vault.address, vault.mount, vault.key),
            Self::Pkcs11(token) => write!(f, "{}", token.uri),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        let vault = |address: Option<&str>, mount: &str, key: &str| {
            Spec::Vault(address.map(str::to_owned), mount.to_owned(), key.to_owned())
        };
        for (text, spec) in [
            ("file:/etc/root.key", Spec::File("/etc/root.key".into())),
            ("file:C:odd", Spec::File("C:odd".into())),
            ("env:ROOT_KEY", Spec::Environment("ROOT_KEY".into())),
            ("awskms:alias/columnseal", Spec::AwsKms("alias/columnseal".into())),
            ("awskms:arn:aws:kms:eu-central-1:1:key/x", Spec::AwsKms("arn:aws:kms:eu-central-1:1:key/x".into())),
            ("vault:https://v:8200/transit/cs", vault(Some("https://v:8200"), "transit", "cs")),
            ("vault:https://[::1]:8200/a/b/cs", vault(Some("https://[::1]:8200"), "a/b", "cs")),
            ("vault:transit/cs", vault(None, "transit", "cs")),
        ] {
            assert_eq!(Spec::parse(text), Ok(spec), "{text}");
        }
    }

    #[test]
    fn what_is_no_root_key_is_refused() {
        for text in [
            "",
            "root.key",
            "/etc/root.key",
            "file:",
            "env:",
            "env:1A",
            "env:A B",
            "env:A=B",
            "awskms:",
            "awskms:a b",
            "gcpkms:x",
            "FILE:/x",
            "vault:",
            "vault:cs",
            "vault:ftp://v/transit/cs",
            "vault:https://v",
            "vault:https:///t/k",
            "vault:https://v/cs",
            "vault:https://u:p@v/transit/cs",
            "vault:https://v/transit/",
            "vault:https://v//cs",
            "vault:https://v/../cs",
            "vault:https://v/transit/a?b",
            "vault:https://v/transit/a%2fb",
            "file:a\nb",
            "pkcs11:",
        ] {
            assert!(Spec::parse(text).is_err(), "{text}");
        }
    }
}
