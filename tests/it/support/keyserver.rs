//! `columnseal keyserver` as a process, with a certificate of an authority of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use super::process::Tied;
use super::proxy::http_get;
use super::tls::{Authority, Issued};
use super::workspace::Workspace;
use super::{eventually, free_port};

/// A running key server. Dropping it ends it.
pub struct KeyServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Port of `/metrics`, `/healthz`, `/readyz`.
    pub metrics_port: u16,
    /// What issued its certificate.
    pub authority: Authority,
    pub issued: Issued,
    /// Keeps store, certificates and log; it is the server's `COLUMNSEAL_HOME` too.
    home: Workspace,
    env: Vec<(String, String)>,
    plain: bool,
    process: Tied,
}

impl KeyServer {
    /// Starts one with an empty store, and waits until it answers.
    #[track_caller]
    pub fn start() -> KeyServer {
        KeyServer::start_with(&[])
    }

    /// Starts one with further environment.
    #[track_caller]
    pub fn start_with(env: &[(&str, &str)]) -> KeyServer {
        KeyServer::launch(env, false)
    }

    /// Starts one without TLS, so that what goes over the wire can be read.
    #[track_caller]
    pub fn start_plain() -> KeyServer {
        KeyServer::launch(&[], true)
    }

    /// As [`start_plain`](Self::start_plain), with further environment.
    #[track_caller]
    pub fn start_plain_with(env: &[(&str, &str)]) -> KeyServer {
        KeyServer::launch(env, true)
    }

    #[track_caller]
    fn launch(env: &[(&str, &str)], plain: bool) -> KeyServer {
        let home = Workspace::empty();
        let authority = Authority::new(home.dir(), "key-server-ca");
        let issued = authority.issue("key-server", &["localhost", "127.0.0.1"]);
        let env: Vec<(String, String)> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (port, metrics_port) = (free_port(), free_port());
        let certificate = (!plain).then_some(&issued);
        let process = launch(&home, certificate, (port, metrics_port), &env);
        let mut server = KeyServer { port, metrics_port, authority, issued, home, env, plain, process };
        server.wait_up();
        server
    }

    /// A second one on the same store.
    #[track_caller]
    pub fn replica(&self) -> Replica {
        let ports = (free_port(), free_port());
        let process = launch(&self.home, self.certificate(), ports, &self.env);
        eventually("the replica answers", || http_get(ports.1, "/healthz").filter(|(status, _)| *status == 200));
        Replica { port: ports.0, process }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.stop("KILL");
    }

    /// Starts it again on the same port.
    #[track_caller]
    pub fn restart(&mut self) {
        self.process.stop("KILL");
        self.process = launch(&self.home, self.certificate(), (self.port, self.metrics_port), &self.env);
        self.wait_up();
    }

    #[track_caller]
    fn wait_up(&mut self) {
        eventually("the key server answers", || {
            if let Some(status) = self.process.exited() {
                panic!("the key server ended at start ({status}):\n{}", self.log());
            }
            http_get(self.metrics_port, "/healthz").filter(|(status, _)| *status == 200)
        });
    }

    /// Waits until it has a workspace and can read it.
    #[track_caller]
    pub fn wait_ready(&self) {
        eventually("the key server is ready", || {
            http_get(self.metrics_port, "/readyz").filter(|(status, _)| *status == 200)
        });
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", if self.plain { "http" } else { "https" }, self.port)
    }

    fn certificate(&self) -> Option<&Issued> {
        (!self.plain).then_some(&self.issued)
    }

    /// The file with the token for the first admin.
    pub fn token(&self) -> PathBuf {
        self.home.home().join("store/bootstrap.token")
    }

    /// Where it keeps everything.
    pub fn dir(&self) -> &Path {
        self.home.dir()
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends it a signal, as `kill` names it.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The most that it may write to any file from now on, in bytes; none: no limit.
    pub fn limit_files(&self, bytes: Option<u32>) {
        let most = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let mut prlimit = std::process::Command::new("prlimit");
        prlimit.arg(format!("--pid={}", self.process.id())).arg(format!("--fsize={most}:unlimited"));
        assert!(prlimit.status().unwrap().success(), "prlimit is part of every Debian");
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self) -> ExitStatus {
        self.process.wait()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir().join("keyserver.log")).unwrap_or_default()).into_owned()
    }

    /// A metric's value, labels and all as it stands in front of it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let page = http_get(self.metrics_port, "/metrics")?.1;
        page.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }
}

/// A second key server on the store of a first. Dropping it ends it.
pub struct Replica {
    pub port: u16,
    process: Tied,
}

impl Replica {
    /// Kills it.
    pub fn kill(&mut self) {
        self.process.stop("KILL");
    }
}

fn launch(home: &Workspace, issued: Option<&Issued>, (port, metrics): (u16, u16), env: &[(String, String)]) -> Tied {
    let log = File::options().create(true).append(true).open(home.dir().join("keyserver.log")).unwrap();
    let mut command = home.command(&["keyserver"]);
    command
        .env("CS_KEYSERVER__LISTEN", format!("127.0.0.1:{port}"))
        .env("CS_METRICS__LISTEN", format!("127.0.0.1:{metrics}"))
        .envs(env.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    if let Some(issued) = issued {
        command.env("CS_TLS__CERTIFICATE", &issued.certificate).env("CS_TLS__PRIVATE_KEY", &issued.key);
    }
    Tied::spawn(&mut command, "KILL", None)
}
