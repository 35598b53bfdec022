//! From raw values to each room's `Settings`, section by section. Nothing stops at the first fault.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;

use crate::keys::service::Revision;
use crate::keys::settings::{KEY_LIFETIME, LEASE, POOL, Settings as Keys, VALUES_PER_KEY};
use crate::net::settings::{Pem, ServerTls};
use crate::net::target::is_loopback;
use crate::schema::pins::is_column_name;
use crate::session::settings::{AuthMode, Introspection, Limits, Policy, Settings as Session};
use crate::telemetry::log::check_level;
use crate::telemetry::settings::{LogFormat, Settings as Telemetry, Traces};
use crate::telemetry::traces::check_endpoint;

use super::database;
use super::keyserver;
use super::policy;
use super::reader::Reader;
use super::root_key;
use super::{Config, Credentials};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// Everything.
pub(super) fn config(reader: &mut Reader<'_>) -> Config {
    let session = session(reader);
    let audit = policy::audit(reader);
    let keys = keys(reader);
    let root_key = root_key::setting(reader, "keys.root_key", &keys.store);
    Config { session, audit, keys, root_key, telemetry: telemetry(reader), client: client(reader) }
}

/// `[keys]`.
pub(super) fn keys(reader: &mut Reader<'_>) -> Keys {
    let service = keyserver::service(reader);
    let home = reader.environment.home();
    let store = reader.path("keys.store").unwrap_or_else(|| home.join("store").join("keystore.db"));
    let keyset = reader.text("keys.keyset").unwrap_or_else(|| "default".to_owned());
    let values_per_key = reader.number("keys.values_per_key", VALUES_PER_KEY.into(), 1..=65_536);
    let pool = reader.number("keys.pool", POOL as u64, 1..=1_024);
    Keys {
        home,
        service,
        store,
        // Empty: every session must choose.
        keyset: Some(keyset).filter(|keyset| !keyset.is_empty()),
        values_per_key: u32::try_from(values_per_key).unwrap_or(VALUES_PER_KEY),
        key_lifetime: reader.span("keys.key_lifetime", KEY_LIFETIME, SECOND..=24 * HOUR),
        lease: reader.span("keys.lease", LEASE, SECOND..=HOUR),
        pool: usize::try_from(pool).unwrap_or(POOL),
        min_revision: min_revision(reader),
        devices: keyserver::devices(reader),
    }
}

/// `GENERATION.REVISION`.
fn min_revision(reader: &mut Reader<'_>) -> Revision {
    let Some(text) = reader.text("keys.min_revision").filter(|text| !text.is_empty()) else {
        return Revision::default();
    };
    text.parse().unwrap_or_else(|_| {
        let advice = "write GENERATION.REVISION such as \"1.42\", as SHOW columnseal.status tells it";
        reader.fault("keys.min_revision", format!("is {text:?}"), advice);
        Revision::default()
    })
}

fn session(reader: &mut Reader<'_>) -> Session {
    let mut hosts = if reader.has("server.host") { reader.list("server.host") } else { vec!["127.0.0.1".to_owned()] };
    if hosts.is_empty() || hosts.iter().any(|host| host.trim().is_empty()) {
        reader.fault("server.host", "is empty", "name a host name or address to listen on, or several");
        hosts = vec!["127.0.0.1".to_owned()];
    }
    let port = reader.number("server.port", 6432, 0..=65_535);
    let tls = server_tls(reader);
    let local = hosts.iter().all(|host| is_loopback(host.trim_start_matches('[').trim_end_matches(']')));
    let require_tls = reader.flag("server.require_tls").unwrap_or(!local);
    if require_tls && tls.is_none() {
        let why = if local { "is true" } else { "is true by default off loopback" };
        let advice = "set tls.certificate and tls.private_key, or listen on 127.0.0.1";
        reader.fault("server.require_tls", format!("{why} without a certificate"), advice);
    }
    let auth = auth(reader, local, tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()));
    let database = database::target(reader);
    if auth != AuthMode::Passthrough && database.user.is_none() {
        let advice = "name the role that clients are to the database, in database.user or database.url";
        reader.fault("database.user", "is missing: auth.mode is managed", advice);
    }
    let max_connections = reader.number("server.max_connections", 10_000, 1..=1_000_000);
    Session {
        hosts,
        socket_mode: socket_mode(reader),
        port: u16::try_from(port).unwrap_or(6432),
        require_tls,
        max_connections: usize::try_from(max_connections).unwrap_or(10_000),
        shutdown_timeout: reader.span("server.shutdown_timeout", 30 * SECOND, Duration::ZERO..=24 * HOUR),
        limits: limits(reader),
        proxy_protocol: reader.flag("server.proxy_protocol").unwrap_or(false),
        tls,
        auth,
        database,
        policy: policy(reader),
    }
}

/// Permissions in octal, as PostgreSQL's `unix_socket_permissions`.
fn socket_mode(reader: &mut Reader<'_>) -> u32 {
    let Some(text) = reader.text("server.socket_mode") else { return 0o777 };
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => mode,
        _ => {
            reader.fault("server.socket_mode", format!("is {text:?}"), "write permissions in octal, such as \"0770\"");
            0o700
        }
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    let mut idle = |key: &str| {
        Some(reader.span(key, Duration::ZERO, Duration::ZERO..=30 * 24 * HOUR)).filter(|span| !span.is_zero())
    };
    let (idle, idle_transaction) = (idle("server.idle_timeout"), idle("server.idle_transaction_timeout"));
    let gathered = reader.number("server.max_aggregate_mib", 256, 1..=1024);
    Limits {
        startup: reader.span("server.startup_timeout", 15 * SECOND, SECOND..=HOUR),
        login: reader.span("server.login_timeout", 60 * SECOND, SECOND..=HOUR),
        idle,
        idle_transaction,
        gathered: usize::try_from(gathered << 20).unwrap_or(usize::MAX),
    }
}

pub(super) fn server_tls(reader: &mut Reader<'_>) -> Option<ServerTls> {
    let certificate = pem(reader, "tls.certificate");
    let private_key = pem(reader, "tls.private_key");
    let client_ca = pem(reader, "tls.client_ca");
    match (certificate, private_key) {
        (Some(certificate), Some(private_key)) => Some(ServerTls { certificate, private_key, client_ca }),
        (None, None) => {
            if client_ca.is_some() {
                let advice = "set tls.certificate and tls.private_key as well";
                reader.fault("tls.client_ca", "is set without a certificate", advice);
            }
            None
        }
        (Some(_), None) => {
            reader.fault("tls.private_key", "is missing", "set it; tls.certificate needs its key");
            None
        }
        (None, Some(_)) => {
            reader.fault("tls.certificate", "is missing", "set it; tls.private_key needs its certificate");
            None
        }
    }
}

/// A PEM in place, or the path of one.
fn pem(reader: &mut Reader<'_>, key: &str) -> Option<Pem> {
    if let Some(path) = reader.file_of(key) {
        // The path is kept, so that a file that changes is read again.
        return Some(Pem::Path(path));
    }
    let value = reader.secret(key)?;
    if value.expose_secret().trim_start().starts_with("-----BEGIN ") {
        return Some(Pem::Text(value));
    }
    let path = match reader.path(key) {
        Some(path) => path,
        None => {
            reader.fault(key, "is no PEM", "write a PEM text or the path of a PEM file");
            return None;
        }
    };
    if !path.is_file() {
        let problem = format!("names {}, which is not a file", path.display());
        reader.fault(key, problem, "write a PEM text or the path of a PEM file");
    }
    Some(Pem::Path(path))
}

/// Off loopback a mode must be chosen, and relaying database logins must be meant: whoever administers the
/// database can make a role, log in through the proxy and read.
fn auth(reader: &mut Reader<'_>, local: bool, client_ca: bool) -> AuthMode {
    let accepted = reader.flag("auth.accept_database_auth").unwrap_or(false);
    let mode = reader.text("auth.mode");
    if reader.has("auth.users") && mode.as_deref() != Some("managed") {
        reader.fault("auth.users", "stands without mode = \"managed\"", "set auth.mode, or remove it");
    }
    match mode.as_deref() {
        None if !local => {
            let advice = "write mode = \"managed\", or \"passthrough\" together with accept_database_auth = true or \
                          tls.client_ca";
            reader.fault("auth.mode", "must be chosen when server.host is not loopback", advice);
        }
        Some("passthrough") if !local && !accepted && !client_ca => {
            let problem = "is passthrough off loopback: whoever administers the database can log in and read";
            let advice =
                "write mode = \"managed\"; or set tls.client_ca, or auth.accept_database_auth = true if that is meant";
            reader.fault("auth.mode", problem, advice);
        }
        None | Some("passthrough") => {}
        Some("managed") => return managed(reader),
        Some(_) => reader.fault("auth.mode", "is not a mode", "write \"passthrough\" or \"managed\""),
    }
    AuthMode::Passthrough
}

fn managed(reader: &mut Reader<'_>) -> AuthMode {
    let users = users(reader).unwrap_or_else(|| {
        let advice = "name the file of users; `columnseal auth add USER` writes it";
        reader.fault("auth.users", "is missing: mode is managed", advice);
        PathBuf::new()
    });
    AuthMode::Managed { users }
}

/// The file of users.
pub(super) fn users(reader: &mut Reader<'_>) -> Option<PathBuf> {
    reader.path("auth.users")
}

fn policy(reader: &mut Reader<'_>) -> Policy {
    let encrypted = reader.list("policy.encrypted");
    check_names(reader, "policy.encrypted", &encrypted, is_column_name, "schema.table.column");
    let trusted_functions = reader.list("policy.trusted_functions");
    check_names(reader, "policy.trusted_functions", &trusted_functions, is_function_name, "schema.function");
    let scopes = [("session", true), ("startup", false)];
    let keyset_by_sql = reader.choice("policy.keyset_scope", &scopes).unwrap_or(true);
    let modes = Introspection::ALL.map(|mode| (mode.name(), mode));
    let introspection = reader.choice("policy.introspection", &modes).unwrap_or_default();
    let choices = [("refuse", false), ("adopt", true)];
    let adopt_unsigned_types = reader.choice("policy.unsigned_types", &choices).unwrap_or(false);
    Policy {
        encrypted,
        trusted_functions,
        keyset_by_sql,
        introspection,
        adopt_unsigned_types,
        roles: policy::roles(reader),
    }
}

/// A list in which one item cannot be read would protect less than it says.
fn check_names(reader: &mut Reader<'_>, key: &str, items: &[String], is_name: fn(&str) -> bool, form: &str) {
    for item in items.iter().filter(|item| !is_name(item)) {
        reader.fault(key, format!("has {item:?}"), format!("write every item as {form}"));
    }
}

fn is_function_name(item: &str) -> bool {
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    item.split('.').count() == 2 && item.split('.').all(word)
}

pub(super) fn telemetry(reader: &mut Reader<'_>) -> Telemetry {
    let level = reader.text("log.level").unwrap_or_else(|| "info".to_owned());
    if let Err(why) = check_level(&level) {
        let advice = "write error, warn, info, debug or trace, or a filter such as \"columnseal::session=debug,info\"";
        reader.fault("log.level", why, advice);
    }
    let choices = [("auto", None), ("pretty", Some(LogFormat::Pretty)), ("json", Some(LogFormat::Json))];
    let terminal = if reader.environment.on_terminal() { LogFormat::Pretty } else { LogFormat::Json };
    let format = reader.choice("log.format", &choices).flatten().unwrap_or(terminal);
    let slow = reader.span("log.slow_statement", Duration::ZERO, Duration::ZERO..=24 * HOUR);
    let slow_statement = Some(slow).filter(|slow| !slow.is_zero());
    Telemetry { level, format, slow_statement, traces: traces(reader), listen: metrics_address(reader) }
}

fn traces(reader: &mut Reader<'_>) -> Option<Traces> {
    let sample = reader.share("traces.sample", 1.0);
    let endpoint = reader.text("traces.endpoint").filter(|text| !text.is_empty() && text != "off")?;
    match check_endpoint(&endpoint) {
        Ok(endpoint) => Some(Traces { endpoint, sample }),
        Err(why) => {
            let advice = "write the URL where the collector takes OTLP over HTTP, such as \"http://127.0.0.1:4318\"";
            reader.fault("traces.endpoint", why.to_string(), advice);
            None
        }
    }
}

fn metrics_address(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let text = reader.text("metrics.listen").unwrap_or_else(|| "127.0.0.1:9930".to_owned());
    if text.is_empty() || text == "off" {
        return None;
    }
    let address = text.parse().ok();
    if address.is_none() {
        let advice = "write an address and port such as \"127.0.0.1:9930\", or \"off\"";
        reader.fault("metrics.listen", format!("is {text:?}"), advice);
    }
    address
}

/// `CS_CLIENT_ID` and `CS_CLIENT_KEY`: both or neither.
fn client(reader: &mut Reader<'_>) -> Option<Credentials> {
    let id = reader.secret_variable("CS_CLIENT_ID").map(|id| id.expose_secret().to_owned());
    let key = reader.secret_variable("CS_CLIENT_KEY");
    let advice = "set both as `columnseal client create` printed them";
    match (id, key) {
        (Some(id), Some(key)) => {
            if uuid::Uuid::try_parse(&id).is_err() {
                reader.fault("CS_CLIENT_ID", "is not a uuid", advice);
            }
            Some(Credentials { id, key })
        }
        (None, None) => None,
        (Some(_), None) => {
            reader.fault("CS_CLIENT_KEY", "is missing beside CS_CLIENT_ID", advice);
            None
        }
        (None, Some(_)) => {
            reader.fault("CS_CLIENT_ID", "is missing beside CS_CLIENT_KEY", advice);
            None
        }
    }
}
