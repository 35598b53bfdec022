//! `[database]`: a libpq URL, or its parts.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::net::hosts::Wanted;
use crate::net::settings::{ChannelBinding, SslMode, Target};
use crate::net::target::{DEFAULT_CONNECT_TIMEOUT, DEFAULT_PORT, TargetError};

use super::reader::Reader;

/// Keys that may not stand beside `url`.
const PARTS: [&str; 4] = ["database.host", "database.port", "database.name", "database.user"];

/// The database, from `url` or from its parts.
pub(super) fn target(reader: &mut Reader<'_>) -> Target {
    let tls = reader.choice("database.tls", &SslMode::ALL.map(|mode| (mode.name(), mode)));
    let mut target = match reader.secret("database.url") {
        Some(url) => from_url(reader, &url, tls),
        None => from_parts(reader, tls),
    };
    if let Some(root) = reader.path("database.root_certificate") {
        target.sslrootcert = Some(root);
    }
    if let Some(path) = target.sslrootcert.as_deref().filter(|path| !path.is_file()) {
        let problem = format!("names {}, which is not a file", path.display());
        reader.fault("database.root_certificate", problem, "name a PEM file of root certificates");
    }
    if target.wanted != Wanted::Any && target.user.is_none() {
        let advice = "name database.user: the proxy's own connection looks what each host is";
        reader.fault("database.url", "has target_session_attrs without a user", advice);
    }
    let limit = Duration::from_secs(1)..=Duration::from_secs(600);
    target.connect_timeout = reader.span("database.connect_timeout", target.connect_timeout, limit);
    target
}

fn from_parts(reader: &mut Reader<'_>, tls: Option<SslMode>) -> Target {
    let host = reader.text("database.host").unwrap_or_else(|| "127.0.0.1".to_owned());
    if host.trim().is_empty() {
        reader.fault("database.host", "is empty", "name a host, an address or a socket directory");
    }
    let port = reader.number("database.port", u64::from(DEFAULT_PORT), 1..=65_535);
    let hosts = vec![(host, u16::try_from(port).unwrap_or(DEFAULT_PORT))];
    Target {
        sslmode: tls.unwrap_or_else(|| Target::default_sslmode(&hosts)),
        hosts,
        name: reader.text("database.name"),
        user: reader.text("database.user"),
        password: reader.secret("database.password"),
        sslrootcert: None,
        client_certificate: None,
        direct_tls: false,
        channel_binding: ChannelBinding::default(),
        passfile: None,
        wanted: Wanted::Any,
        balanced: false,
        connect_timeout: DEFAULT_CONNECT_TIMEOUT,
    }
}

fn from_url(reader: &mut Reader<'_>, url: &SecretString, tls: Option<SslMode>) -> Target {
    for key in PARTS {
        if reader.has(key) {
            reader.fault(key, "stands beside database.url", "write it into the URL, or remove the URL");
        }
    }
    let mut target = match Target::parse(url.expose_secret(), tls) {
        Ok(target) => target,
        Err(faults) => {
            for fault in faults {
                let advice = "write postgres://user@host:5432/name?sslmode=verify-full";
                reader.fault("database.url", told(&fault), advice);
            }
            from_parts(reader, tls)
        }
    };
    // The password may stand apart from the URL, so that the URL is no secret.
    if let Some(password) = reader.secret("database.password") {
        if target.password.is_some() {
            reader.fault("database.password", "is given twice", "remove it here or from database.url");
        }
        target.password = Some(password);
    }
    target
}

/// A fault of a URL without any value of it: a slip in writing may put the password anywhere.
fn told(fault: &TargetError) -> String {
    match fault {
        TargetError::Syntax => "is not a connection string".to_owned(),
        TargetError::Encoding(part) => format!("has an invalid percent-encoding in its {part}"),
        TargetError::Quote(_) => "has a quote that does not end".to_owned(),
        TargetError::Port(_) => "has a port that is not from 1 to 65535".to_owned(),
        TargetError::PortCount { ports, hosts } => format!("has {ports} ports for {hosts} hosts"),
        TargetError::Value { name, expected, .. } => format!("has an unusable value of {name} ({expected})"),
        TargetError::Alone(one, other) => format!("has {one}, which needs {other} as well"),
        TargetError::Unknown(name) if is_word(name) => format!("has a parameter that is not supported ({name})"),
        TargetError::Unknown(_) => "has a parameter that is not supported".to_owned(),
    }
}

/// Short and in small letters, as parameter names are.
fn is_word(name: &str) -> bool {
    name.len() <= 32 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_urls_hold_nothing_of_them() {
        for bad in [
            "",
            "mysql://geheim",
            "postgres://u:Geheim1@h:0/x",
            "postgres://u:Geheim/1@h:5432/x",
            "postgres://u:Geheim1%zz@h/x",
            "postgres://u:p@h/x?sslmode=Geheim1",
            "postgres://u:p@h/x?Geheim1=1",
        ] {
            let faults = Target::parse(bad, None).err();
            for fault in faults.into_iter().flatten() {
                assert!(!told(&fault).to_lowercase().contains("geheim"), "{}", told(&fault));
            }
        }
    }
}
