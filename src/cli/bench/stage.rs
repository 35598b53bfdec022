//! What the benchmark starts: a PostgreSQL, a workspace, the proxy, PgBouncer where it is installed, and a splice.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use columnseal::config::Environment;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::cli::output::Output;

/// How long a started server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// The database that everything is in.
pub(super) const DATABASE: &str = "postgres";
/// The role of it all, a superuser.
pub(super) const ROLE: &str = "bench";
const PGBOUNCER: &str = "/usr/sbin/pgbouncer";
/// Connections that PostgreSQL allows at least.
const CONNECTIONS: u32 = 600;

/// A way to the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Way {
    /// Straight to PostgreSQL.
    Direct,
    /// A bare copy of bytes.
    Splice,
    /// PgBouncer in session mode.
    Session,
    /// PgBouncer in transaction mode.
    Transaction,
    /// Columnseal.
    Proxy,
}

impl Way {
    pub(super) fn name(self) -> &'static str {
        match self {
            Way::Direct => "direct",
            Way::Splice => "splice",
            Way::Session => "PgBouncer, session",
            Way::Transaction => "PgBouncer, transaction",
            Way::Proxy => "columnseal",
        }
    }
}

/// Where a way is, and the process that serves it.
pub(super) struct Post {
    pub(super) way: Way,
    pub(super) port: u16,
    /// `None`: PostgreSQL itself.
    pub(super) pid: Option<u32>,
}

/// Everything the loads need; what was started ends with it.
pub(super) struct Stage {
    pub(super) posts: Vec<Post>,
    /// Folder for scripts and logs.
    pub(super) dir: PathBuf,
    /// Folder of PostgreSQL's programs.
    pub(super) bin: PathBuf,
    /// Environment of a proxy: its client key and its database.
    pub(super) proxy_env: Vec<(String, String)>,
    /// Where the proxy tells its metrics.
    metrics: u16,
    children: Vec<Child>,
    postgres: bool,
    output: Output,
}

impl Stage {
    /// Starts everything, for so many clients at once.
    ///
    /// # Errors
    /// What could not be started, in words.
    pub(super) async fn start(clients: u32, output: Output) -> Result<Stage, String> {
        let dir = std::env::temp_dir().join(format!("columnseal-bench-{}", std::process::id()));
        // A folder of its own: PostgreSQL's account is to own it.
        std::fs::create_dir(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        let bin = newest_postgres().ok_or("no PostgreSQL server is installed")?;
        let mut stage = Stage {
            posts: Vec::new(),
            dir,
            bin,
            proxy_env: Vec::new(),
            metrics: free_port()?,
            children: Vec::new(),
            postgres: false,
            output,
        };
        // Each PgBouncer keeps what it has opened.
        let connections = clients.saturating_mul(4).saturating_add(100).max(CONNECTIONS);
        let direct = stage.start_postgres(connections)?;
        stage.posts.push(Post { way: Way::Direct, port: direct, pid: None });
        let listen = free_port()?;
        stage
            .spawn(Way::Splice, listen, own()?.args(["bench", "splice", &listen.to_string(), &direct.to_string()]))
            .await?;
        for (way, mode) in [(Way::Session, "session"), (Way::Transaction, "transaction")] {
            if Path::new(PGBOUNCER).exists() {
                let (port, mut command) = stage.pgbouncer(mode, direct, clients.max(CONNECTIONS / 2))?;
                stage.spawn(way, port, &mut command).await?;
            }
        }
        stage.found(direct)?;
        let port = free_port()?;
        let mut command = stage.proxy(port, direct)?;
        command.env("CS_METRICS__LISTEN", format!("127.0.0.1:{}", stage.metrics));
        stage.spawn(Way::Proxy, port, &mut command).await?;
        Ok(stage)
    }

    /// The port of a way that was started.
    pub(super) fn port(&self, way: Way) -> Option<u16> {
        self.posts.iter().find(|post| post.way == way).map(|post| post.port)
    }

    /// The process of a way that was started.
    pub(super) fn pid(&self, way: Way) -> Option<u32> {
        self.posts.iter().find(|post| post.way == way).and_then(|post| post.pid)
    }

    /// A connection by a way.
    pub(super) async fn connect(&self, way: Way) -> Result<Client, String> {
        let port = self.port(way).ok_or_else(|| format!("{} is not there", way.name()))?;
        let (client, connection) = tokio_postgres::connect(&url(port), NoTls).await.map_err(|e| say(&e))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Runs statements by a way.
    pub(super) async fn execute(&self, way: Way, sql: &str) -> Result<(), String> {
        self.connect(way).await?.batch_execute(sql).await.map_err(|e| say(&e))
    }

    /// Runs a command of psql by a way.
    pub(super) fn psql(&self, way: Way, command: &str) -> Result<(), String> {
        let port = self.port(way).ok_or_else(|| format!("{} is not there", way.name()))?;
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", command]).arg(url(port));
        output(psql).map(drop)
    }

    /// A file of so many lines, numbered from 1.
    pub(super) fn file(&self, name: &str, lines: u32, line: &dyn Fn(u32) -> String) -> Result<PathBuf, String> {
        let path = self.dir.join(name);
        let failed = |e: std::io::Error| format!("cannot write {}: {e}", path.display());
        let mut file = std::io::BufWriter::new(std::fs::File::create(&path).map_err(failed)?);
        for n in 1..=lines {
            file.write_all(line(n).as_bytes()).map_err(failed)?;
        }
        file.flush().map_err(failed)?;
        Ok(path)
    }

    /// Bytes that passed between the proxy and PostgreSQL, both ways, since it started.
    pub(super) fn upstream_bytes(&self) -> Result<f64, String> {
        let failed = |e: std::io::Error| format!("the proxy's metrics cannot be read: {e}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).map_err(failed)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").map_err(failed)?;
        let mut page = String::new();
        stream.read_to_string(&mut page).map_err(failed)?;
        let of = |name: &str| {
            let start = format!("columnseal_bytes_{name}_total{{side=\"server\"}} ");
            page.lines().find_map(|line| line.strip_prefix(&start)?.parse::<f64>().ok())
        };
        of("received")
            .zip(of("sent"))
            .map(|(received, sent)| received + sent)
            .ok_or("no bytes in the metrics".to_owned())
    }

    /// The first value that a query gives, read directly.
    pub(super) async fn number(&self, sql: &str) -> Result<f64, String> {
        let row = self.connect(Way::Direct).await?.query_one(sql, &[]).await.map_err(|e| say(&e))?;
        row.try_get(0).map_err(|e| say(&e))
    }

    /// Every row that a query gives by a way, as text, sorted.
    pub(super) async fn rows(&self, way: Way, sql: &str) -> Result<Vec<Vec<Option<String>>>, String> {
        let answer = self.connect(way).await?.simple_query(sql).await.map_err(|e| say(&e))?;
        let row = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|n| row.get(n).map(str::to_owned)).collect()),
            _ => None,
        };
        let mut rows: Vec<Vec<Option<String>>> = answer.iter().filter_map(row).collect();
        rows.sort();
        Ok(rows)
    }

    /// Makes pg_trgm usable, where PostgreSQL has it.
    pub(super) async fn trigrams(&self) -> Result<bool, String> {
        let found = "SELECT count(*)::float8 FROM pg_available_extensions WHERE name = 'pg_trgm'";
        if self.number(found).await? == 0.0 {
            return Ok(false);
        }
        self.execute(Way::Direct, "CREATE EXTENSION IF NOT EXISTS pg_trgm").await?;
        Ok(true)
    }

    /// Says on standard error what is being done.
    pub(super) fn tell(&self, text: &str) {
        self.output.note(text);
    }

    /// Removes a file that [`Stage::file`] made, for the room that it takes.
    pub(super) fn remove(&self, file: &Path) {
        let _ = std::fs::remove_file(file);
    }

    fn start_postgres(&mut self, connections: u32) -> Result<u16, String> {
        let port = free_port()?;
        let data = self.dir.join("postgres");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&self.dir))?;
        }
        run(self
            .as_postgres("initdb")
            .args(["-A", "trust", "-U", ROLE, "--locale=C.UTF-8", "-E", "UTF8", "-D"])
            .arg(&data))?;
        let conf = [
            "listen_addresses=127.0.0.1",
            "shared_buffers=1GB",
            "max_wal_size=4GB",
            "maintenance_work_mem=512MB",
            "synchronous_commit=off",
            "autovacuum=off",
        ]
        .map(|line| format!("-c {line} "))
        .concat();
        let options = format!("-p {port} -k {} -c max_connections={connections} {conf}", self.dir.display());
        let log = self.dir.join("postgres.log");
        run(self
            .as_postgres("pg_ctl")
            .args(["-w", "-D"])
            .arg(&data)
            .args(["-o", &options, "-l"])
            .arg(log)
            .arg("start"))?;
        self.postgres = true;
        Ok(port)
    }

    /// PostgreSQL refuses to run as root.
    fn as_postgres(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        if !is_root() {
            return Command::new(path);
        }
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(path);
        command
    }

    /// A PgBouncer before a port, with so many connections to it.
    pub(super) fn pgbouncer(&self, mode: &str, target: u16, pool: u32) -> Result<(u16, Command), String> {
        let port = free_port()?;
        let path = self.dir.join(format!("pgbouncer-{port}.ini"));
        let conf = format!(
            "[databases]\n* = host=127.0.0.1 port={target} user={ROLE}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = any\npool_mode = {mode}\nmax_client_conn = 20000\ndefault_pool_size = {pool}\nunix_socket_dir =\n\
             ignore_startup_parameters = extra_float_digits\nlog_connections = 0\nlog_disconnections = 0\n"
        );
        std::fs::write(&path, conf).map_err(|e| e.to_string())?;
        let mut command = match is_root() {
            true => {
                // Not runuser, which would be the process that is measured.
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--", PGBOUNCER]);
                command
            }
            false => Command::new(PGBOUNCER),
        };
        command.arg("-q").arg(path);
        Ok((port, command))
    }

    /// A workspace over the database, and a client key.
    fn found(&mut self, direct: u16) -> Result<(), String> {
        let home = self.dir.join("home");
        let command = |args: &[&str]| -> Result<Command, String> {
            let mut command = own()?;
            command.args(args).env("COLUMNSEAL_HOME", &home).current_dir(&self.dir);
            Ok(command)
        };
        run(&mut command(&["init", "--database", &url(direct), "--yes", "--quiet"])?)?;
        let printed =
            output(command(&["client", "create", "bench", "--keyset", "default", "--output", "env", "--quiet"])?)?;
        let keys = printed.lines().filter_map(|line| line.split_once('='));
        self.proxy_env = keys.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.proxy_env.push(("COLUMNSEAL_HOME".to_owned(), home.display().to_string()));
        Ok(())
    }

    /// A proxy at `port`, before the database at `target`.
    pub(super) fn proxy(&self, port: u16, target: u16) -> Result<Command, String> {
        let mut command = own()?;
        command.arg("proxy").current_dir(&self.dir).envs(self.proxy_env.iter().map(|(k, v)| (k, v)));
        command.env("CS_DATABASE__URL", url(target)).env("CS_SERVER__PORT", port.to_string());
        command.env("CS_SERVER__MAX_CONNECTIONS", "20000").env("CS_METRICS__LISTEN", "").env("CS_LOG__LEVEL", "warn");
        Ok(command)
    }

    async fn spawn(&mut self, way: Way, port: u16, command: &mut Command) -> Result<(), String> {
        let pid = self.keep(command)?;
        answers(port, way.name()).await?;
        self.posts.push(Post { way, port, pid: Some(pid) });
        Ok(())
    }

    /// Starts a process that ends with the stage; its pid.
    pub(super) fn keep(&mut self, command: &mut Command) -> Result<u32, String> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = child.spawn().map_err(|e| format!("cannot start {:?}: {e}", command.get_program()))?;
        let pid = child.id();
        self.children.push(child);
        Ok(pid)
    }

    /// Ends a process that was started by [`Stage::keep`].
    pub(super) fn end(&mut self, pid: u32) {
        for mut child in self.children.extract_if(.., |child| child.id() == pid) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if self.postgres {
            let data = self.dir.join("postgres");
            let _ = run(self.as_postgres("pg_ctl").args(["-m", "immediate", "-D"]).arg(data).arg("stop"));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Waits until a session can be opened.
pub(super) async fn answers(port: u16, name: &str) -> Result<(), String> {
    let started = Instant::now();
    while tokio_postgres::connect(&url(port), NoTls).await.is_err() {
        if started.elapsed() > PATIENCE {
            return Err(format!("{name} did not come up; its log is above"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Of the database at a port of this machine.
pub(super) fn url(port: u16) -> String {
    format!("postgres://{ROLE}@127.0.0.1:{port}/{DATABASE}")
}

pub(super) fn say(e: &tokio_postgres::Error) -> String {
    match e.as_db_error() {
        Some(db) => format!("{} ({})", db.message(), db.code().code()),
        None => e.to_string(),
    }
}

pub(super) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free port: {e}"))?;
    listener.local_addr().map(|a| a.port()).map_err(|e| e.to_string())
}

/// This program, with no setting of the caller's.
fn own() -> Result<Command, String> {
    let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
    for name in Environment::of_process().own_names() {
        command.env_remove(name);
    }
    Ok(command)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn newest_postgres() -> Option<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((version, bin))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin)
}

/// Runs a program to its end.
///
/// # Errors
/// It cannot be run, or fails.
pub(super) fn run(command: &mut Command) -> Result<(), String> {
    command.stdout(Stdio::null());
    let status = command.status().map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{:?} failed: {status}", command.get_program())) }
}

/// Runs a program to its end; what it prints.
///
/// # Errors
/// It cannot be run, or fails.
pub(super) fn output(mut command: Command) -> Result<String, String> {
    let name = format!("{:?}", command.get_program());
    let out = command.stderr(Stdio::piped()).output().map_err(|e| format!("cannot run {name}: {e}"))?;
    let said = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() {
        return Err(format!("{name} failed: {}\n{}", out.status, said.trim()));
    }
    String::from_utf8(out.stdout).map_err(|e| e.to_string())
}
