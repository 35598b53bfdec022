//! `columnseal proxy` as a process.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use super::cluster::Database;
use super::process::Tied;
use super::workspace::{ClientCredentials, Workspace};
use super::{eventually, free_port};

/// Settings of a proxy beside the credentials and the database.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// Further environment, such as `("CS_LOG__LEVEL", "debug")`.
    pub env: Vec<(String, String)>,
}

impl ProxyOptions {
    /// Adds a variable.
    pub fn with(mut self, key: &str, value: &str) -> ProxyOptions {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }
}

/// A running proxy. Dropping it ends it.
pub struct Proxy {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Port of `/metrics`, `/healthz`, `/readyz`.
    pub metrics_port: u16,
    /// Standard output and error.
    log: PathBuf,
    database: String,
    process: Tied,
}

impl Proxy {
    /// Starts one in front of `database` with a new client key for keyset `default`, and waits until it is ready.
    #[track_caller]
    pub fn start(workspace: &Workspace, database: &Database) -> Proxy {
        let client = workspace.client_create("test", &["default"]);
        Proxy::start_with(workspace, &client, database, &ProxyOptions::default())
    }

    /// Starts one with this client key and waits until it is ready.
    #[track_caller]
    pub fn start_with(
        workspace: &Workspace,
        client: &ClientCredentials,
        database: &Database,
        options: &ProxyOptions,
    ) -> Proxy {
        for _ in 0..5 {
            let mut proxy = Proxy::launch(workspace, client, database, options);
            match proxy.wait_ready() {
                None => return proxy,
                Some(status) => {
                    let log = proxy.log();
                    let taken = log.contains("in use");
                    assert!(taken, "the proxy ended at start ({status}):\n{log}");
                }
            }
        }
        panic!("no free port in five tries");
    }

    /// Starts one without waiting: it may be about to fail.
    pub fn launch(
        workspace: &Workspace,
        client: &ClientCredentials,
        database: &Database,
        options: &ProxyOptions,
    ) -> Proxy {
        let (port, metrics_port) = (free_port(), free_port());
        let path = workspace.dir().join(format!("proxy-{port}.log"));
        let log = File::create(&path).unwrap();
        let mut command = workspace.command(&["proxy"]);
        command
            .env("CS_CLIENT_ID", &client.id)
            .env("CS_CLIENT_KEY", &client.key)
            .env("CS_DATABASE__URL", &database.url)
            .env("CS_SERVER__PORT", port.to_string())
            .env("CS_METRICS__LISTEN", format!("127.0.0.1:{metrics_port}"))
            .envs(options.env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        let process = Tied::spawn(&mut command, "KILL", None);
        Proxy { port, metrics_port, log: path, database: database.name.clone(), process }
    }

    /// The database as clients see it through this proxy.
    pub fn database(&self, of: &super::Cluster) -> Database {
        of.at(&self.database, self.port)
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until `/readyz` says 200; the exit status if it ended before.
    pub fn wait_ready(&mut self) -> Option<ExitStatus> {
        eventually("the proxy is ready or gone", || {
            if let Some(status) = self.process.exited() {
                return Some(Some(status));
            }
            (self.http("/readyz")?.0 == 200).then_some(None)
        })
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// Whether it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Sends it a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// Most resident memory that it has had, in KiB.
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// GET on the metrics listener: status and body.
    pub fn http(&self, path: &str) -> Option<(u16, String)> {
        http_get(self.metrics_port, path)
    }
}

/// A plain HTTP/1.0 GET; `None` when nothing answers.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Some((status, body.to_owned()))
}
