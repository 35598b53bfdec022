//! Reading a database target from libpq's connection strings: URLs and `keyword=value` lists.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::hosts::Wanted;
use super::settings::{ChannelBinding, ClientCertificate, SslMode, Target};

/// PostgreSQL's port.
pub const DEFAULT_PORT: u16 = 5432;
/// Limit for one connection attempt where `connect_timeout` is not given.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A fault of a connection string. Never holds the password.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TargetError {
    /// Neither URL nor keyword list.
    #[error("not a connection string: expected postgres://… or keyword=value pairs")]
    Syntax,
    /// A percent sign that is not followed by two hexadecimal digits, or bytes that are not UTF-8.
    #[error("invalid percent-encoding in the {0} of the database URL")]
    Encoding(&'static str),
    /// A quote or backslash that does not end.
    #[error("unterminated quoted value of \"{0}\"")]
    Quote(String),
    /// A port outside 1..=65535.
    #[error("invalid port \"{0}\"")]
    Port(String),
    /// As many ports as hosts, or one.
    #[error("{ports} ports for {hosts} hosts")]
    PortCount {
        /// Ports given.
        ports: usize,
        /// Hosts given.
        hosts: usize,
    },
    /// A value that its parameter does not take.
    #[error("invalid value \"{value}\" of \"{name}\": {expected}")]
    Value {
        /// Parameter.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// One of two that only work together.
    #[error("\"{0}\" needs \"{1}\" as well")]
    Alone(&'static str, &'static str),
    /// A parameter that this proxy does not know.
    #[error("connection parameter \"{0}\" is not supported")]
    Unknown(String),
}

impl FromStr for SslMode {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        SslMode::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| TargetError::Value {
            name: "sslmode",
            value: text.to_owned(),
            expected: "one of disable, allow, prefer, require, verify-ca, verify-full",
        })
    }
}

impl Target {
    /// Reads a connection string. `tls` holds where the string gives no `sslmode`; without both it is
    /// [`Target::default_sslmode`].
    ///
    /// # Errors
    /// Every fault found.
    pub fn parse(text: &str, tls: Option<SslMode>) -> Result<Target, Vec<TargetError>> {
        let text = text.trim();
        let mut draft = Draft::default();
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        match rest {
            Some(rest) => draft.url(rest),
            None => draft.keywords(text),
        }
        draft.resolve(tls)
    }

    /// `prefer` where every host is this machine, else `verify-full`.
    pub fn default_sslmode(hosts: &[(String, u16)]) -> SslMode {
        if hosts.iter().all(|(host, _)| is_loopback(host)) { SslMode::Prefer } else { SslMode::VerifyFull }
    }
}

/// A Unix socket directory, `localhost` or a loopback address.
pub fn is_loopback(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[derive(Default)]
struct Draft {
    hosts: Vec<String>,
    ports: Vec<String>,
    name: Option<String>,
    user: Option<String>,
    password: Option<String>,
    sslmode: Option<SslMode>,
    sslrootcert: Option<PathBuf>,
    system_roots: bool,
    sslcert: Option<PathBuf>,
    sslkey: Option<PathBuf>,
    direct_tls: bool,
    channel_binding: ChannelBinding,
    passfile: Option<PathBuf>,
    timeout: Option<Duration>,
    wanted: Wanted,
    balanced: bool,
    faults: Vec<TargetError>,
}

impl Draft {
    fn url(&mut self, rest: &str) {
        let (head, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = head.split_once('/').unwrap_or((head, ""));
        let (userinfo, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        self.user = self.decoded("user", user);
        self.password = self.decoded("password", password);
        self.name = self.decoded("database name", path);
        if !hosts.is_empty() {
            for host in hosts.split(',') {
                self.host_and_port(host);
            }
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Some(name), Some(value)) = (self.decode("query", name), self.decode("query", value)) {
                self.parameter(&name, value);
            }
        }
    }

    fn host_and_port(&mut self, text: &str) {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((v6, port)) => (v6, port.strip_prefix(':').unwrap_or(port)),
            None => text.split_once(':').unwrap_or((text, "")),
        };
        if let Some(host) = self.decode("host", host) {
            self.hosts.push(host);
            self.ports.push(port.to_owned());
        }
    }

    fn keywords(&mut self, text: &str) {
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let Some((name, tail)) = rest.split_once('=') else {
                self.faults.push(TargetError::Syntax);
                return;
            };
            let name = name.trim_end();
            if name.is_empty() || name.contains(char::is_whitespace) {
                self.faults.push(TargetError::Syntax);
                return;
            }
            let Some((value, tail)) = keyword_value(tail.trim_start()) else {
                self.faults.push(TargetError::Quote(name.to_owned()));
                return;
            };
            self.parameter(name, value);
            rest = tail.trim_start();
        }
    }

    fn parameter(&mut self, name: &str, value: String) {
        match name {
            "host" => self.hosts = list(&value),
            "port" => self.ports = list(&value),
            "dbname" => self.name = some(value),
            "user" => self.user = some(value),
            "password" => self.password = some(value),
            "sslmode" => self.sslmode(&value),
            // As drivers for Java spell it; libpq takes it in URLs too.
            "ssl" if value == "true" => self.sslmode = Some(SslMode::Require),
            "sslrootcert" if value == "system" => self.system_roots = true,
            "sslrootcert" => self.sslrootcert = some(value).map(PathBuf::from),
            "sslcert" => self.sslcert = some(value).map(PathBuf::from),
            "sslkey" => self.sslkey = some(value).map(PathBuf::from),
            "passfile" => self.passfile = some(value).map(PathBuf::from),
            "sslnegotiation" => match value.as_str() {
                "postgres" => self.direct_tls = false,
                "direct" => self.direct_tls = true,
                _ => self.value("sslnegotiation", value, "postgres or direct"),
            },
            "channel_binding" => match value.as_str() {
                "disable" => self.channel_binding = ChannelBinding::Disable,
                "prefer" => self.channel_binding = ChannelBinding::Prefer,
                "require" => self.channel_binding = ChannelBinding::Require,
                _ => self.value("channel_binding", value, "one of disable, prefer, require"),
            },
            "connect_timeout" => self.connect_timeout(value),
            "target_session_attrs" => match Wanted::named(&value) {
                Some(wanted) => self.wanted = wanted,
                None => {
                    let expected = "one of any, read-write, read-only, primary, standby, prefer-standby";
                    self.value("target_session_attrs", value, expected);
                }
            },
            "load_balance_hosts" => match value.as_str() {
                "disable" => self.balanced = false,
                "random" => self.balanced = true,
                _ => self.value("load_balance_hosts", value, "disable or random"),
            },
            other => self.faults.push(TargetError::Unknown(other.to_owned())),
        }
    }

    fn value(&mut self, name: &'static str, value: String, expected: &'static str) {
        self.faults.push(TargetError::Value { name, value, expected });
    }

    fn sslmode(&mut self, value: &str) {
        match value.parse() {
            Ok(mode) => self.sslmode = Some(mode),
            Err(fault) => self.faults.push(fault),
        }
    }

    fn connect_timeout(&mut self, value: String) {
        match value.parse::<i64>() {
            // Zero and less wait for ever; one is taken for two, as libpq does.
            Ok(seconds) if seconds <= 0 => self.timeout = Some(Duration::MAX),
            Ok(seconds) => self.timeout = Some(Duration::from_secs(seconds.max(2).unsigned_abs())),
            Err(_) => self.faults.push(TargetError::Value {
                name: "connect_timeout",
                value,
                expected: "a whole number of seconds",
            }),
        }
    }

    fn decode(&mut self, part: &'static str, text: &str) -> Option<String> {
        let decoded = decode(text);
        if decoded.is_none() {
            self.faults.push(TargetError::Encoding(part));
        }
        decoded
    }

    fn decoded(&mut self, part: &'static str, text: &str) -> Option<String> {
        self.decode(part, text).and_then(some)
    }

    fn resolve(mut self, tls: Option<SslMode>) -> Result<Target, Vec<TargetError>> {
        let hosts = self.hosts_and_ports();
        let client_certificate = match (self.sslcert.take(), self.sslkey.take()) {
            (Some(certificate), Some(key)) => Some(ClientCertificate { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                self.faults.push(TargetError::Alone("sslcert", "sslkey"));
                None
            }
            (None, Some(_)) => {
                self.faults.push(TargetError::Alone("sslkey", "sslcert"));
                None
            }
        };
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        let fallback = || match self.system_roots {
            true => SslMode::VerifyFull,
            false => Target::default_sslmode(&hosts),
        };
        let sslmode = self.sslmode.or(tls).unwrap_or_else(fallback);
        if self.direct_tls && matches!(sslmode, SslMode::Disable | SslMode::Allow | SslMode::Prefer) {
            return Err(vec![TargetError::Alone("sslnegotiation=direct", "sslmode=require, verify-ca or verify-full")]);
        }
        Ok(Target {
            sslmode,
            hosts,
            name: self.name,
            user: self.user,
            password: self.password.map(Into::into),
            sslrootcert: self.sslrootcert,
            client_certificate,
            direct_tls: self.direct_tls,
            channel_binding: self.channel_binding,
            passfile: self.passfile,
            wanted: self.wanted,
            balanced: self.balanced,
            connect_timeout: self.timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
        })
    }

    fn hosts_and_ports(&mut self) -> Vec<(String, u16)> {
        let mut hosts = std::mem::take(&mut self.hosts);
        if hosts.is_empty() {
            hosts.push(String::new());
        }
        let ports: Vec<u16> = std::mem::take(&mut self.ports).iter().map(|p| self.port(p)).collect();
        if ports.len() > 1 && ports.len() != hosts.len() {
            self.faults.push(TargetError::PortCount { ports: ports.len(), hosts: hosts.len() });
        }
        let shared = if ports.len() == 1 { ports[0] } else { DEFAULT_PORT };
        let port_of = |i: usize| {
            if ports.len() == 1 { shared } else { ports.get(i).copied().unwrap_or(shared) }
        };
        let named = |host: String| {
            if host.is_empty() { "127.0.0.1".to_owned() } else { host }
        };
        hosts.into_iter().enumerate().map(|(i, host)| (named(host), port_of(i))).collect()
    }

    fn port(&mut self, text: &str) -> u16 {
        match text.parse() {
            _ if text.is_empty() => DEFAULT_PORT,
            Ok(port) if port > 0 => port,
            _ => {
                self.faults.push(TargetError::Port(text.to_owned()));
                DEFAULT_PORT
            }
        }
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(|item| item.trim().to_owned()).collect()
}

/// Percent-decodes; a stray percent sign, a NUL or what is not UTF-8 is a fault.
fn decode(text: &str) -> Option<String> {
    let hex = |rest: &str| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit);
    if text.split('%').skip(1).any(|rest| !hex(rest)) {
        return None;
    }
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    (!decoded.contains('\0')).then(|| decoded.into_owned())
}

/// The value at the start of `text`, quoted or not, and what follows it. `None`: a quote does not end.
fn keyword_value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices();
    if quoted {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            c if !quoted && c.is_whitespace() => return Some((value, &text[at..])),
            c => value.push(c),
        }
    }
    (!quoted).then_some((value, ""))
}
