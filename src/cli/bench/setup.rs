//! What the benchmark starts: a PostgreSQL of its own where none is given, a workspace, and the proxy.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a started server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything the loads need; what was started ends with it.
pub(super) struct Stage {
    /// URL of the database itself.
    pub(super) direct: String,
    /// URL of the same database through the proxy.
    pub(super) proxy: String,
    children: Vec<Child>,
    postgres: Option<PathBuf>,
    dir: PathBuf,
}

impl Stage {
    /// Starts what is missing.
    ///
    /// # Errors
    /// What could not be started, in words.
    pub(super) async fn start(database: Option<&str>) -> Result<Stage, String> {
        let dir = std::env::temp_dir().join(format!("columnseal-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        let mut stage =
            Stage { direct: String::new(), proxy: String::new(), children: Vec::new(), postgres: None, dir };
        stage.direct = match database {
            Some(url) => url.to_owned(),
            None => stage.start_postgres().await?,
        };
        stage.start_proxy().await?;
        Ok(stage)
    }

    async fn start_postgres(&mut self) -> Result<String, String> {
        let bin = newest_postgres().ok_or("no PostgreSQL server is installed; give one with --database URL")?;
        let port = free_port()?;
        let data = self.dir.join("postgres");
        let root = rustix::process::geteuid().is_root();
        if root {
            run(Command::new("chown").arg("postgres").arg(&self.dir))?;
        }
        run(as_postgres(root, &bin.join("initdb")).args(["-A", "trust", "-U", "bench", "-D"]).arg(&data))?;
        let options = format!("-p {port} -k {} -c listen_addresses=127.0.0.1", self.dir.display());
        run(as_postgres(root, &bin.join("pg_ctl"))
            .args(["-w", "-D"])
            .arg(&data)
            .args(["-o", &options, "-l"])
            .arg(self.dir.join("postgres.log"))
            .arg("start"))?;
        self.postgres = Some(bin);
        Ok(format!("postgres://bench@127.0.0.1:{port}/postgres"))
    }

    async fn start_proxy(&mut self) -> Result<(), String> {
        let exe = std::env::current_exe().map_err(|e| e.to_string())?;
        let home = self.dir.join("home");
        let port = free_port()?;
        let command = |args: &[&str]| {
            let mut command = Command::new(&exe);
            command
                .args(args)
                .env("COLUMNSEAL_HOME", &home)
                .env("CS_DATABASE__URL", &self.direct)
                .current_dir(&self.dir);
            command
        };
        run(&mut command(&["init", "--database", &self.direct, "--yes", "--quiet"]))?;
        let made = command(&["client", "create", "bench", "--keyset", "default", "--output", "env", "--quiet"]);
        let printed = output(made)?;
        let mut proxy = command(&["proxy"]);
        for line in printed.lines() {
            if let Some((name, value)) = line.split_once('=') {
                proxy.env(name, value);
            }
        }
        proxy.env("CS_SERVER__PORT", port.to_string()).env("CS_METRICS__LISTEN", "").env("CS_LOG__LEVEL", "warn");
        let child = proxy.stdout(Stdio::null()).spawn().map_err(|e| format!("cannot start the proxy: {e}"))?;
        self.children.push(child);
        self.proxy = with_port(&self.direct, port)?;
        let started = Instant::now();
        while tokio_postgres::connect(&self.proxy, tokio_postgres::NoTls).await.is_err() {
            if started.elapsed() > PATIENCE {
                return Err("the proxy did not come up; its log is above".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(bin) = &self.postgres {
            let root = rustix::process::geteuid().is_root();
            let _ = run(as_postgres(root, &bin.join("pg_ctl"))
                .args(["-m", "immediate", "-D"])
                .arg(self.dir.join("postgres"))
                .arg("stop"));
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// The same URL at another port of this machine.
fn with_port(url: &str, port: u16) -> Result<String, String> {
    let (scheme, rest) = url.split_once("://").ok_or("the database must be given as postgres://…")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let user = authority.rsplit_once('@').map(|(user, _)| format!("{user}@")).unwrap_or_default();
    Ok(format!("{scheme}://{user}127.0.0.1:{port}/{path}"))
}

pub(super) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|e| format!("no free port: {e}"))?;
    listener.local_addr().map(|a| a.port()).map_err(|e| e.to_string())
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

/// PostgreSQL refuses to run as root.
fn as_postgres(root: bool, program: &Path) -> Command {
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    command.stdout(Stdio::null());
    let status = command.status().map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{:?} failed: {status}", command.get_program())) }
}

fn output(mut command: Command) -> Result<String, String> {
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| format!("cannot run {:?}: {e}", command.get_program()))?;
    if !out.status.success() {
        return Err(format!("{:?} failed: {}", command.get_program(), out.status));
    }
    String::from_utf8(out.stdout).map_err(|e| e.to_string())
}
