//! A private PostgreSQL: own data directory, own port, own socket directory.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::options::{Auth, Options};
use super::process::{Tied, run};
use super::tls::Authority;
use super::{eventually, free_port};

/// Password of the role `app`.
pub const APP_PASSWORD: &str = "app secret";
const APP_PASSWORD_URL: &str = "app%20secret";

/// A running server. Dropping it stops the server and removes its directory.
pub struct Cluster {
    /// TCP port on 127.0.0.1.
    pub port: u16,
    /// Holds `data/`, the Unix socket, `server.log`, certificates.
    pub dir: PathBuf,
    /// Major version.
    pub version: u32,
    options: Options,
    server: Option<Tied>,
    account: Option<(u32, u32)>,
}

/// A database of a cluster, owned by the non-superuser role `app`.
pub struct Database {
    /// Name.
    pub name: String,
    /// `postgres://app...@127.0.0.1:PORT/NAME`.
    pub url: String,
    /// Socket directory and port, for the superuser.
    socket: (PathBuf, u16),
}

impl Cluster {
    /// Starts one.
    pub fn start(options: Options) -> Cluster {
        let version = options.version.unwrap_or_else(newest);
        let account = account();
        let template = template(version, account);
        let dir = temp_dir(account);
        let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(&template).arg(dir.join("data")).status();
        assert!(copied.unwrap().success(), "copying the template directory");
        let mut cluster = Cluster { port: 0, dir, version, options, server: None, account };
        cluster.configure();
        for _ in 0..5 {
            cluster.port = free_port();
            if cluster.launch() {
                cluster.store_md5();
                return cluster;
            }
        }
        panic!("PostgreSQL did not start:\n{}", cluster.log());
    }

    /// Starts one with default options.
    pub fn plain() -> Cluster {
        Cluster::start(Options::default())
    }

    /// Makes a database owned by `app`.
    pub fn database(&self, name: &str) -> Database {
        self.superuser("postgres", &format!("CREATE DATABASE \"{name}\" OWNER app"));
        self.at(name, self.port)
    }

    /// A database that exists, reached at another port of 127.0.0.1 (a proxy or a relay).
    pub fn at(&self, name: &str, port: u16) -> Database {
        Database { name: name.to_owned(), url: app_url(port, name), socket: (self.dir.clone(), self.port) }
    }

    /// Runs SQL as the superuser; output unaligned, without headers.
    #[track_caller]
    pub fn superuser(&self, database: &str, sql: &str) -> String {
        superuser(&(self.dir.clone(), self.port), database, sql)
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.dir.join("server.log")).unwrap_or_default()).into_owned()
    }

    /// Empties the log.
    pub fn forget_log(&self) {
        File::options().write(true).open(self.dir.join("server.log")).unwrap().set_len(0).unwrap();
    }

    /// The authority that issued the server's certificate, as a PEM file.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("cluster-ca.crt")
    }

    /// Stops the server at once, as a crash would; the data stays.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.stop("QUIT");
        }
    }

    /// Starts a stopped server again, at the same port.
    pub fn restart(&mut self) {
        self.stop();
        assert!(self.launch(), "PostgreSQL did not start again:\n{}", self.log());
    }

    /// A standby that follows this server.
    pub fn standby(&self) -> Cluster {
        self.standby_by(&self.dir.to_string_lossy(), self.port, "postgres")
    }

    /// A standby that reaches this server at a host and port, as this role.
    pub fn standby_by(&self, host: &str, port: u16, role: &str) -> Cluster {
        let dir = temp_dir(self.account);
        let mut copy = Command::new(bin(self.version, "pg_basebackup"));
        copy.arg("-D").arg(dir.join("data")).args(["-h", host]);
        copy.args(["-p", &port.to_string(), "-U", role, "-w", "-c", "fast", "-R"]);
        run_as(&mut copy, self.account);
        let copied = copy.status().unwrap();
        assert!(copied.success(), "pg_basebackup");
        let said = std::fs::read_to_string(dir.join("data/postgresql.auto.conf")).unwrap();
        let follows = said.lines().rfind(|line| line.starts_with("primary_conninfo")).expect("written by -R");
        let options = Options::default().with(follows);
        let mut cluster = Cluster { port: 0, dir, version: self.version, options, server: None, account: self.account };
        cluster.configure();
        for _ in 0..5 {
            cluster.port = free_port();
            if cluster.launch() {
                return cluster;
            }
        }
        panic!("the standby did not start:\n{}", cluster.log());
    }

    fn configure(&self) {
        let mut conf = vec![
            "listen_addresses = '127.0.0.1'".to_owned(),
            format!("unix_socket_directories = '{}'", self.dir.display()),
            "fsync = off".into(),
            "full_page_writes = off".into(),
            "shared_buffers = 16MB".into(),
            "max_connections = 60".into(),
            "autovacuum = off".into(),
            "logging_collector = off".into(),
            "log_line_prefix = '%p %e '".into(),
            "lc_messages = 'C'".into(),
            "timezone = 'UTC'".into(),
        ];
        if self.options.log_everything {
            conf.extend(
                ["log_statement = 'all'", "log_min_duration_statement = 0", "log_parameter_max_length = -1"]
                    .map(String::from),
            );
            conf.extend(
                ["log_parameter_max_length_on_error = -1", "log_error_verbosity = 'verbose'", "log_duration = on"]
                    .map(String::from),
            );
        }
        if self.options.tls {
            self.certificate(&mut conf);
        }
        conf.extend(self.options.conf.iter().cloned());
        std::fs::write(self.dir.join("data/postgresql.auto.conf"), conf.join("\n") + "\n").unwrap();
        let kind = if self.options.tls_only { "hostssl" } else { "host" };
        let method = self.options.auth.method();
        let hba = format!("local all all trust\nlocal replication all trust\n{kind} all app 127.0.0.1/32 {method}\n");
        std::fs::write(self.dir.join("data/pg_hba.conf"), hba).unwrap();
    }

    /// With method md5 a SCRAM verifier would be answered by SCRAM: store an md5 one.
    fn store_md5(&self) {
        if self.options.auth == Auth::Md5 {
            let sql = format!("SET password_encryption = 'md5'; ALTER ROLE app PASSWORD '{APP_PASSWORD}'");
            self.superuser("postgres", &sql);
        }
    }

    fn certificate(&self, conf: &mut Vec<String>) {
        let authority = Authority::new(&self.dir, "cluster-ca");
        let issued = authority.issue("server", &["localhost", "127.0.0.1"]);
        if let Some((uid, gid)) = self.account {
            for path in [&issued.certificate, &issued.key] {
                std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
            }
        }
        conf.push("ssl = on".into());
        conf.push(format!("ssl_cert_file = '{}'", issued.certificate.display()));
        conf.push(format!("ssl_key_file = '{}'", issued.key.display()));
    }

    /// Starts the server at `self.port`; false when it ended at once (the port was taken).
    fn launch(&mut self) -> bool {
        let log = File::options().create(true).append(true).open(self.dir.join("server.log")).unwrap();
        let mut command = Command::new(bin(self.version, "postgres"));
        command.arg("-D").arg(self.dir.join("data")).args(["-p", &self.port.to_string()]);
        command.current_dir(&self.dir).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command.process_group(0);
        run_as(&mut command, self.account);
        let mut server = Tied::spawn(&mut command, "QUIT", Some(&self.dir));
        let up = eventually("PostgreSQL is ready or gone", || {
            if server.exited().is_some() {
                return Some(false);
            }
            // Line 8 of the pid file is the server's state.
            let pid = std::fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap_or_default();
            let mut lines = pid.lines();
            let ours = lines.next().is_some_and(|first| first.trim() == server.id().to_string());
            (ours && lines.nth(6).is_some_and(|state| state.trim() == "ready")).then_some(true)
        });
        if up {
            self.server = Some(server);
        }
        up
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Database {
    /// One that is reached by this URL alone.
    pub fn named(name: &str, url: &str) -> Database {
        Database { name: name.to_owned(), url: url.to_owned(), socket: (PathBuf::new(), 0) }
    }

    /// Connects as `app`, without TLS.
    pub async fn connect(&self) -> tokio_postgres::Client {
        connect(&self.url).await.unwrap_or_else(|e| panic!("{}: {e:?}", self.url))
    }

    /// Runs SQL by psql as `app`: unaligned, no headers, NULL as `∅`, stops at the first error.
    pub fn psql(&self, sql: &str) -> super::process::Output {
        psql(&self.url, sql)
    }

    /// Runs SQL by psql as `app`, which must succeed.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> String {
        self.psql(sql).ok()
    }

    /// Runs SQL directly on the server as the superuser.
    #[track_caller]
    pub fn superuser(&self, sql: &str) -> String {
        superuser(&self.socket, &self.name, sql)
    }
}

/// Connects and drives the connection on a task of its own.
pub async fn connect(url: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(client)
}

/// Runs SQL by psql against any URL.
pub fn psql(url: &str, sql: &str) -> super::process::Output {
    let mut command = Command::new("psql");
    command.env("PGCLIENTENCODING", "UTF8").arg(url);
    command.args(["-X", "-q", "-A", "-t", "-P", "null=∅", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]);
    run(&mut command, sql)
}

fn superuser((dir, port): &(PathBuf, u16), database: &str, sql: &str) -> String {
    let url = format!("postgres://postgres@/{database}?host={}&port={port}", dir.display());
    psql(&url, sql).ok().trim_end().to_owned()
}

fn app_url(port: u16, database: &str) -> String {
    format!("postgres://app:{APP_PASSWORD_URL}@127.0.0.1:{port}/{database}")
}

/// Every major version at hand, oldest first: Debian's packages, and directories of binaries that
/// `COLUMNSEAL_TEST_PG_DIRS` lists with colons between.
pub fn versions() -> Vec<u32> {
    let mut found: Vec<u32> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|dir| dir.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect())
        .unwrap_or_default();
    found.retain(|v| packaged(*v).join("initdb").exists());
    found.extend(listed().keys());
    found.sort_unstable();
    found.dedup();
    found
}

fn newest() -> u32 {
    if let Ok(version) = std::env::var("COLUMNSEAL_TEST_PG") {
        return version.parse().expect("COLUMNSEAL_TEST_PG is a major version");
    }
    let packaged = versions().into_iter().rfind(|v| packaged(*v).exists());
    packaged.expect("PostgreSQL is installed: apt-get install postgresql")
}

fn bin(version: u32, name: &str) -> PathBuf {
    listed().get(&version).cloned().unwrap_or_else(|| packaged(version)).join(name)
}

fn packaged(version: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/postgresql/{version}/bin"))
}

/// Directories of binaries named by the environment, by major version.
fn listed() -> &'static BTreeMap<u32, PathBuf> {
    static LISTED: OnceLock<BTreeMap<u32, PathBuf>> = OnceLock::new();
    LISTED.get_or_init(|| {
        let dirs = std::env::var_os("COLUMNSEAL_TEST_PG_DIRS").unwrap_or_default();
        let version = |dir: &PathBuf| {
            let said = Command::new(dir.join("postgres")).arg("--version").output().unwrap().stdout;
            let said = String::from_utf8(said).unwrap();
            let number = said.rsplit(' ').next().and_then(|v| v.split(|c: char| !c.is_ascii_digit()).next());
            number.unwrap().parse().unwrap_or_else(|_| panic!("{}: {said}", dir.display()))
        };
        std::env::split_paths(&dirs).filter(|d| !d.as_os_str().is_empty()).map(|dir| (version(&dir), dir)).collect()
    })
}

/// The account that the server runs as: `postgres` when we are root, which PostgreSQL refuses.
pub fn account() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|l| l.starts_with("postgres:")).expect("Debian's package makes user postgres");
    let mut fields = line.split(':').skip(2).map(|f| f.parse::<u32>().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

pub fn run_as(command: &mut Command, account: Option<(u32, u32)>) {
    if let Some((uid, gid)) = account {
        command.uid(uid).gid(gid);
    }
}

pub fn temp_dir(account: Option<(u32, u32)>) -> PathBuf {
    let dir = tempfile::Builder::new().prefix("columnseal-pg-").tempdir().unwrap().keep();
    if let Some((uid, gid)) = account {
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&dir, mode).unwrap();
    }
    dir
}

/// A freshly initialised data directory of this version, made once and kept with the build.
fn template(version: u32, account: Option<(u32, u32)>) -> PathBuf {
    let base = build_dir().join("tmp");
    std::fs::create_dir_all(&base).unwrap();
    let lock = File::create(base.join("postgres-template.lock")).unwrap();
    lock.lock().unwrap();
    let binary = bin(version, "postgres").metadata().expect("this PostgreSQL version is installed");
    let stamp = std::os::unix::fs::MetadataExt::mtime(&binary);
    let owner = account.map_or(0, |(uid, _)| uid);
    let ready = base.join(format!("postgres-template-1-{version}-{stamp}-{owner}"));
    if !ready.exists() {
        let work = temp_dir(account);
        initialise(version, account, &work.join("data"));
        let half = ready.with_extension("half");
        let _ = std::fs::remove_dir_all(&half);
        let copied = Command::new("cp").arg("-a").arg(work.join("data")).arg(&half).status().unwrap();
        assert!(copied.success(), "copying the template");
        std::fs::rename(&half, &ready).unwrap();
        let _ = std::fs::remove_dir_all(&work);
    }
    ready
}

/// Where the build is: tests of the library know it by their own place in it alone.
fn build_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).expect("tests lie in target/PROFILE/deps").to_owned()
}

fn initialise(version: u32, account: Option<(u32, u32)>, data: &Path) {
    let mut initdb = Command::new(bin(version, "initdb"));
    initdb.arg("-D").arg(data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]);
    initdb.args(["--wal-segsize=1", "--no-sync", "--no-instructions"]).current_dir("/");
    run_as(&mut initdb, account);
    run(&mut initdb, "").ok();
    // The role is made by a single-user server.
    let mut single = Command::new(bin(version, "postgres"));
    single.args(["--single", "-D"]).arg(data).arg("postgres").current_dir("/");
    run_as(&mut single, account);
    run(&mut single, &format!("CREATE ROLE app LOGIN PASSWORD '{APP_PASSWORD}'\n")).ok();
}
