//! Where the stores of tests are.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::store::spec::StoreSpec;
use super::support::{Cluster, Database, Options};

/// A kind of store.
pub(super) trait Kind: Send + Sync {
    /// A place for one store.
    fn new() -> Self;
    /// Its name.
    fn spec(&self, home: &Path) -> StoreSpec;
    /// Runs SQL behind the engine's back.
    fn sql(&self, home: &Path, sql: &str);
    /// Asks for a number behind the engine's back.
    fn number(&self, home: &Path, sql: &str) -> i64;
    /// Deletes the store.
    fn lose(&self, home: &Path);
    /// Bytes in hex, as the database writes them.
    fn bytes(hex: &str) -> String;
    /// A column with one bit changed.
    fn flipped(column: &str) -> String;
}

/// A file in the home.
pub(super) struct Sqlite;

/// A database of a server that all tests of the process share.
pub(super) struct Postgres(Database);

impl Kind for Sqlite {
    fn new() -> Self {
        Self
    }

    fn spec(&self, home: &Path) -> StoreSpec {
        StoreSpec::Sqlite(home.join("store").join("keystore.db"))
    }

    fn sql(&self, home: &Path, sql: &str) {
        let spec = self.spec(home);
        let connection = rusqlite::Connection::open(spec.path().expect("a file")).expect("open");
        connection.execute_batch(sql).expect("sql");
    }

    fn number(&self, home: &Path, sql: &str) -> i64 {
        let spec = self.spec(home);
        let connection = rusqlite::Connection::open(spec.path().expect("a file")).expect("open");
        connection.query_row(sql, [], |row| row.get(0)).expect("a number")
    }

    fn lose(&self, home: &Path) {
        std::fs::remove_dir_all(home.join("store")).expect("remove");
    }

    fn bytes(hex: &str) -> String {
        format!("x'{hex}'")
    }

    fn flipped(column: &str) -> String {
        let half = format!("(length({column}) / 2)");
        let byte = format!("substr(hex({column}), {half} * 2 - 1, 2)");
        let swapped = format!("CASE {byte} WHEN 'AA' THEN 'AB' ELSE 'AA' END");
        format!("unhex(substr(hex({column}), 1, {half} * 2 - 2) || {swapped} || substr(hex({column}), {half} * 2 + 1))")
    }
}

impl Kind for Postgres {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        Self(cluster().database(&format!("keys{}", NEXT.fetch_add(1, Ordering::Relaxed))))
    }

    fn spec(&self, _: &Path) -> StoreSpec {
        StoreSpec::Postgres(self.0.url.clone().into())
    }

    fn sql(&self, _: &Path, sql: &str) {
        self.0.sql(sql);
    }

    fn number(&self, _: &Path, sql: &str) -> i64 {
        self.0.sql(sql).trim().parse().expect("a number")
    }

    fn lose(&self, _: &Path) {
        self.0.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    }

    fn bytes(hex: &str) -> String {
        format!("'\\x{hex}'")
    }

    fn flipped(column: &str) -> String {
        format!("set_byte({column}, length({column}) / 2, get_byte({column}, length({column}) / 2) # 1)")
    }
}

/// The server. It ends with the process.
pub(super) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(Options::default().with("max_connections = 400")))
}
