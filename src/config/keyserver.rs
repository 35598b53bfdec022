//! `[keyserver]`, and where clients find a key server.

use std::time::Duration;

use secrecy::ExposeSecret;

use crate::keys::settings::{Server, Service};
use crate::keyserver::settings::{CLIENT_RATE, MAX_CONNECTIONS, REQUEST_TIMEOUT, Settings};
use crate::keyserver::store::spec::StoreSpec;
use crate::net::target::is_loopback;

use super::KeyServerConfig;
use super::reader::Reader;
use super::resolve::{HOUR, SECOND, server_tls, telemetry};
use super::root_key;

/// Most key servers of one workspace that a client is told of.
const MAX_SERVERS: usize = 16;

/// Everything that a key server needs.
pub(super) fn config(reader: &mut Reader<'_>) -> KeyServerConfig {
    KeyServerConfig { server: settings(reader), telemetry: telemetry(reader) }
}

fn settings(reader: &mut Reader<'_>) -> Settings {
    let listen = listen(reader);
    let tls = server_tls(reader);
    if tls.is_none() && !is_loopback(listen.0.trim_matches(['[', ']'])) {
        let advice = "set tls.certificate and tls.private_key, or listen on 127.0.0.1";
        reader.fault("keyserver.listen", "is not loopback, and there is no certificate", advice);
    }
    let store = store(reader);
    // What has no place beside a database lies in the home.
    let home = reader.environment.home().join("store").join("keystore.db");
    let path = store.path().unwrap_or(&home);
    let beside = path.with_file_name("bootstrap.token");
    let root_key = root_key::setting(reader, "keyserver.root_key", path);
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let rate = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Settings {
        bootstrap_token: reader.path("keyserver.bootstrap_token").unwrap_or(beside),
        listen,
        store,
        root_key,
        tls,
        devices: devices(reader),
        max_body: size(reader.number("keyserver.max_body", 1 << 20, 1024..=1 << 26)),
        max_connections: size(reader.number("keyserver.max_connections", MAX_CONNECTIONS.into(), 1..=1_000_000)),
        request_timeout: reader.span("keyserver.request_timeout", REQUEST_TIMEOUT, SECOND..=600 * SECOND),
        shutdown_timeout: reader.span("keyserver.shutdown_timeout", 30 * SECOND, Duration::ZERO..=HOUR),
        dashboard: reader.flag("keyserver.dashboard").unwrap_or(true),
        session: reader.span("keyserver.session", 15 * 60 * SECOND, SECOND..=24 * HOUR),
        client_rate: rate(reader.number("keyserver.client_rate", CLIENT_RATE.into(), 1..=1_000_000)),
        failure_rate: rate(reader.number("keyserver.failure_rate", 20, 1..=1_000_000)),
    }
}

/// `[keyserver] devices`, of an embedded key service as well.
pub(super) fn devices(reader: &mut Reader<'_>) -> bool {
    reader.choice("keyserver.devices", &[("allow", true), ("refuse", false)]).unwrap_or(true)
}

fn listen(reader: &mut Reader<'_>) -> (String, u16) {
    let default = ("127.0.0.1".to_owned(), 8443);
    let Some(text) = reader.text("keyserver.listen") else { return default };
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts {
        Some((host, port)) if !host.is_empty() => (host.trim_matches(['[', ']']).to_owned(), port),
        _ => {
            let advice = "write a host and port such as \"127.0.0.1:8443\"";
            reader.fault("keyserver.listen", format!("is {text:?}"), advice);
            default
        }
    }
}

fn store(reader: &mut Reader<'_>) -> StoreSpec {
    let default = StoreSpec::Sqlite(reader.environment.home().join("store").join("keystore.db"));
    let Some(text) = reader.secret("keyserver.store") else { return default };
    match text.expose_secret().parse() {
        Ok(StoreSpec::Sqlite(path)) => StoreSpec::Sqlite(reader.base("keyserver.store").join(path)),
        Ok(postgres) => postgres,
        Err(_) => {
            reader.fault("keyserver.store", "is not a store", "write sqlite:PATH or postgres://USER@HOST/DATABASE");
            default
        }
    }
}

/// `[keys] service` and `service_ca`.
pub(super) fn service(reader: &mut Reader<'_>) -> Service {
    let ca = reader.path("keys.service_ca");
    if let Some(path) = ca.as_ref().filter(|path| !path.is_file()) {
        let problem = format!("names {}, which is not a file", path.display());
        reader.fault("keys.service_ca", problem, "write the path of a PEM file");
    }
    let Some(text) = reader.text("keys.service").filter(|service| service != "embedded") else {
        return Service::Embedded;
    };
    let urls: Vec<String> =
        text.split(',').map(|url| url.trim().trim_end_matches('/').to_owned()).filter(|url| !url.is_empty()).collect();
    let advice = "write \"embedded\", or https://HOST:PORT of one or several key servers, with commas between them";
    match urls.iter().map(|url| fault(url)).find_map(Result::err) {
        Some(problem) => reader.fault("keys.service", problem, advice),
        None if urls.is_empty() || urls.len() > MAX_SERVERS => {
            reader.fault("keys.service", "names no key server, or too many", advice);
        }
        None => {}
    }
    Service::Server(Server { urls, ca })
}

/// What is wrong with the address of a key server.
fn fault(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").ok_or("is not a key service")?;
    let port = rest.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    let (host, port) = port.map_or((rest, None), |(host, port)| (host, Some(port)));
    let plain = !host.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']);
    if !plain || port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(format!("has {url:?}, which is not scheme, host and port alone"));
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(host.trim_matches(['[', ']'])) => Ok(()),
        "http" => Err("is plain http off loopback: whoever listens sees which keys are asked for".to_owned()),
        _ => Err("is not a key service".to_owned()),
    }
}
