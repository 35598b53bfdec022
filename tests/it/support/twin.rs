//! One schema twice: plain in one database, encrypted in another behind a proxy.

use super::raw::{self, Raw};
use super::workspace::ClientCredentials;
use super::{Cluster, Database, Options, Proxy, ProxyOptions, Relay, Workspace, eventually};

/// A cluster with both databases, a workspace and a proxy.
pub struct Twin {
    /// In front of the encrypted database. First, so that it ends before what it uses.
    pub proxy: Proxy,
    /// Between proxy and database.
    pub relay: Relay,
    pub workspace: Workspace,
    /// The proxy's client key.
    pub client: ClientCredentials,
    /// Plain types, reached directly.
    pub plain: Database,
    /// Encrypted types, reached through the proxy.
    pub sealed: Database,
    /// The encrypted database, reached directly.
    pub direct: Database,
    pub cluster: Cluster,
}

impl Twin {
    /// Starts everything.
    #[track_caller]
    pub fn start() -> Twin {
        Twin::start_with(Options::default(), &ProxyOptions::default())
    }

    /// Starts everything, and makes these tables on both.
    #[track_caller]
    pub fn of(ddl: &str) -> Twin {
        let twin = Twin::start();
        twin.create(ddl);
        twin
    }

    /// Starts everything, makes these tables on both, and runs these statements on both.
    #[track_caller]
    pub fn filled(ddl: &str, rows: &str) -> Twin {
        let twin = Twin::of(ddl);
        twin.both(rows);
        twin
    }

    /// Runs the same statements on both.
    #[track_caller]
    pub fn both(&self, sql: &str) {
        for database in [&self.plain, &self.sealed] {
            database.sql(sql);
        }
    }

    /// Starts everything with these options.
    #[track_caller]
    pub fn start_with(options: Options, proxy: &ProxyOptions) -> Twin {
        let cluster = Cluster::start(options);
        let plain = cluster.database("plain");
        let direct = cluster.database("sealed");
        let workspace = Workspace::init(&direct);
        let client = workspace.client_create("twin", &["default"]);
        let relay = Relay::start(cluster.port);
        let proxy = Proxy::start_with(&workspace, &client, &cluster.at("sealed", relay.port), proxy);
        let sealed = cluster.at("sealed", proxy.port);
        Twin { proxy, relay, workspace, client, plain, sealed, direct, cluster }
    }

    /// Runs DDL written with `seal` types on both: through the proxy as it is, and with plain types on the twin.
    #[track_caller]
    pub fn create(&self, ddl: &str) {
        self.sealed.sql(ddl);
        self.plain.sql(&plain(ddl));
    }

    /// Makes a type of JSON with these promoted paths, and waits until the proxy knows it.
    #[track_caller]
    pub fn create_type(&self, name: &str, terms: &str, paths: &[&str]) {
        let mut args = vec!["type", "create", name, "--as", "jsonb", "--terms", terms, "--database", &self.direct.url];
        paths.iter().for_each(|path| args.extend(["--path", path]));
        self.workspace.columnseal(&args).ok();
        let known = format!("SELECT NULL::seal.{name}");
        eventually("the type is known", || self.sealed.psql(&known).out.contains('\n').then_some(()));
    }

    /// A raw connection to each: plain, sealed.
    #[track_caller]
    pub fn raw(&self) -> (Raw, Raw) {
        (self.raw_plain(), self.raw_sealed())
    }

    /// Asks both the same, over connections of their own: see [`raw::same`].
    #[track_caller]
    pub fn same(&self, asked: impl IntoIterator<Item = (String, Vec<u8>)>) {
        let (mut plain, mut sealed) = self.raw();
        raw::same(&mut plain, &mut sealed, asked);
    }

    /// The same, simple queries.
    #[track_caller]
    pub fn same_queries(&self, statements: impl IntoIterator<Item = String>) {
        self.same(statements.into_iter().map(|sql| (sql.clone(), raw::query(&sql))));
    }

    /// A raw connection to the plain twin.
    #[track_caller]
    pub fn raw_plain(&self) -> Raw {
        Raw::connect(self.cluster.port, "plain")
    }

    /// A raw connection through the proxy.
    #[track_caller]
    pub fn raw_sealed(&self) -> Raw {
        Raw::connect(self.proxy.port, "sealed")
    }

    /// Starts another proxy in place of this one, with the same key.
    #[track_caller]
    pub fn restart_proxy(&mut self, options: &ProxyOptions) {
        let database = self.cluster.at("sealed", self.relay.port);
        self.proxy = Proxy::start_with(&self.workspace, &self.client, &database, options);
        self.sealed = self.cluster.at("sealed", self.proxy.port);
    }

    /// What the server holds of a query's result: read directly, as text.
    #[track_caller]
    pub fn stored(&self, sql: &str) -> String {
        self.direct.sql(sql)
    }
}

/// A condition on a table `t`, where NULL is as good as false, and where it is not.
pub fn placed(condition: &str) -> [String; 3] {
    [
        format!("SELECT id FROM t WHERE {condition} ORDER BY id"),
        format!("SELECT id FROM t WHERE NOT ({condition}) ORDER BY id"),
        format!("SELECT id, {condition} FROM t ORDER BY id"),
    ]
}

/// `seal.text_eq` becomes `text`, `seal.int4_ord` becomes `int4`, and so on.
pub fn plain(ddl: &str) -> String {
    let mut out = String::new();
    let mut parts = ddl.split("seal.");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let suffix = ["_eq", "_ord", "_match", "_search", "_paths"].into_iter().find(|suffix| name.ends_with(suffix));
        out.push_str(suffix.and_then(|suffix| name.strip_suffix(suffix)).unwrap_or(name));
        out.push_str(rest);
    }
    out
}
