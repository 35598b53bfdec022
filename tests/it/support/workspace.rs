//! A `COLUMNSEAL_HOME` of one test and the commands run in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cluster::Database;
use super::keyserver::KeyServer;
use super::process::{Output, run};

/// The built binary.
pub const BINARY: &str = env!("CARGO_BIN_EXE_columnseal");

/// A home directory with what `columnseal init` made in it. Removed on drop.
pub struct Workspace {
    dir: tempfile::TempDir,
    /// Where its key server is; embedded where nothing is said.
    service: Vec<(&'static str, String)>,
}

/// What `columnseal client create` printed.
#[derive(Clone)]
pub struct ClientCredentials {
    pub id: String,
    pub key: String,
}

impl Workspace {
    /// An empty one: nothing has been run.
    pub fn empty() -> Workspace {
        Workspace { dir: tempfile::Builder::new().prefix("columnseal-home-").tempdir().unwrap(), service: Vec::new() }
    }

    /// `columnseal init --database URL --yes`: device key, `default` keyset, `seal` schema.
    #[track_caller]
    pub fn init(database: &Database) -> Workspace {
        let workspace = Workspace::empty();
        workspace.columnseal(&["init", "--database", &database.url, "--yes"]).ok();
        workspace
    }

    /// `columnseal init --server URL --bootstrap-token FILE --yes`: this is the first admin of the key server.
    #[track_caller]
    pub fn found(server: &KeyServer, database: Option<&Database>) -> Workspace {
        let workspace = Workspace::far(&server.url(), &server.authority.certificate);
        let token = server.token();
        let mut args = vec!["init", "--bootstrap-token", token.to_str().unwrap(), "--yes"];
        args.extend(database.iter().flat_map(|database| ["--database", &database.url]));
        workspace.columnseal(&args).ok();
        server.wait_ready();
        workspace
    }

    /// An empty one whose commands and proxies ask the key server at `url`.
    pub fn far(url: &str, authority: &Path) -> Workspace {
        let mut workspace = Workspace::empty();
        workspace.service =
            vec![("CS_KEYS__SERVICE", url.to_owned()), ("CS_KEYS__SERVICE_CA", authority.display().to_string())];
        workspace
    }

    /// The same device, asking another key server.
    pub fn through(&self, url: &str, authority: &Path) -> Workspace {
        let other = Workspace::far(url, authority);
        std::fs::create_dir_all(other.home()).unwrap();
        let status = Command::new("cp").arg("-a").arg(self.home().join("device")).arg(other.home()).status().unwrap();
        assert!(status.success(), "cp -a");
        other
    }

    /// `COLUMNSEAL_HOME`.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("cs")
    }

    /// The working directory that commands run in; logs are kept here.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The embedded key store.
    pub fn store(&self) -> PathBuf {
        self.home().join("store/keystore.db")
    }

    /// A command in this workspace, with no setting but its home.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().current_dir(self.dir());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.dir()).env("COLUMNSEAL_HOME", self.home()).env("NO_COLOR", "1");
        command.env("RUST_BACKTRACE", "1").envs(self.service.iter().map(|(k, v)| (k, v)));
        command
    }

    /// Runs `columnseal ARGS` to its end.
    pub fn columnseal(&self, args: &[&str]) -> Output {
        run(&mut self.command(args), "")
    }

    /// `columnseal client create NAME --keyset K...`.
    #[track_caller]
    pub fn client_create(&self, name: &str, keysets: &[&str]) -> ClientCredentials {
        let mut args = vec!["client", "create", name, "--output", "env"];
        for keyset in keysets {
            args.extend(["--keyset", keyset]);
        }
        let out = self.columnseal(&args).ok();
        let value = |key: &str| {
            out.lines().find_map(|l| l.strip_prefix("export ").unwrap_or(l).strip_prefix(key)?.strip_prefix('='))
        };
        let unquoted = |v: &str| v.trim_matches(['\'', '"']).to_owned();
        let (Some(id), Some(key)) = (value("CS_CLIENT_ID"), value("CS_CLIENT_KEY")) else {
            panic!("client create printed no CS_CLIENT_ID= and CS_CLIENT_KEY= lines");
        };
        ClientCredentials { id: unquoted(id), key: unquoted(key) }
    }

    /// `columnseal client revoke ID [KEYSET]`.
    #[track_caller]
    pub fn revoke(&self, client: &ClientCredentials, keyset: Option<&str>) {
        let mut args = vec!["client", "revoke", &client.id];
        args.extend(keyset);
        self.columnseal(&args).ok();
    }

    /// `columnseal client grant ID KEYSET`.
    #[track_caller]
    pub fn grant(&self, client: &ClientCredentials, keyset: &str) {
        self.columnseal(&["client", "grant", &client.id, keyset]).ok();
    }
}
