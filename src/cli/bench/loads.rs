//! What is done over and over, as scripts of pgbench.

use super::pgbench::Script;
use super::stage::Stage;

/// A load of the section `wire`.
pub(super) struct WireLoad {
    pub(super) name: &'static str,
    pub(super) protocol: &'static str,
    pub(super) statements: u32,
    script: Text,
}

enum Text {
    BuiltIn(&'static str),
    Own(&'static str),
}

const ACCOUNT: &str = "\\set aid random(1, 100000 * :scale)\n";
const TEN_SELECTS: &str = "\
\\set a random(1, 100000 * :scale)\n\\set b random(1, 100000 * :scale)\n\\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :a;\nSELECT abalance FROM pgbench_accounts WHERE aid = :b;
SELECT abalance FROM pgbench_accounts WHERE aid = :a;\nSELECT abalance FROM pgbench_accounts WHERE aid = :b;
SELECT abalance FROM pgbench_accounts WHERE aid = :a;\nSELECT abalance FROM pgbench_accounts WHERE aid = :b;
SELECT abalance FROM pgbench_accounts WHERE aid = :a;\nSELECT abalance FROM pgbench_accounts WHERE aid = :b;
SELECT abalance FROM pgbench_accounts WHERE aid = :a;\nSELECT abalance FROM pgbench_accounts WHERE aid = :b;
\\endpipeline\n";
const TPCB_PIPELINE: &str = "\
\\set aid random(1, 100000 * :scale)\n\\set bid random(1, 1 * :scale)\n\\set tid random(1, 10 * :scale)
\\set delta random(-5000, 5000)\n\\startpipeline\nBEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;\n\\endpipeline\n";

/// pgbench's select-only and TPC-B, in each protocol and pipelined.
pub(super) const WIRE: [WireLoad; 8] = [
    WireLoad::built_in("select, simple", "simple", "select-only", 1),
    WireLoad::built_in("select, extended", "extended", "select-only", 1),
    WireLoad::built_in("select, prepared", "prepared", "select-only", 1),
    WireLoad { name: "select, pipeline of 10", protocol: "prepared", statements: 10, script: Text::Own(TEN_SELECTS) },
    WireLoad::built_in("TPC-B, simple", "simple", "tpcb-like", 7),
    WireLoad::built_in("TPC-B, extended", "extended", "tpcb-like", 7),
    WireLoad::built_in("TPC-B, prepared", "prepared", "tpcb-like", 7),
    WireLoad { name: "TPC-B, pipeline", protocol: "prepared", statements: 7, script: Text::Own(TPCB_PIPELINE) },
];

impl WireLoad {
    const fn built_in(name: &'static str, protocol: &'static str, script: &'static str, statements: u32) -> WireLoad {
        WireLoad { name, protocol, statements, script: Text::BuiltIn(script) }
    }

    /// Prepared statements are sent by name, which PgBouncer 1.18 keeps in session mode alone.
    pub(super) fn names_statements(&self) -> bool {
        self.protocol == "prepared"
    }

    /// The script, written where it is no built-in.
    pub(super) fn script(&self, stage: &Stage) -> Result<Script, String> {
        match self.script {
            Text::BuiltIn(name) => Ok(Script::BuiltIn(name)),
            Text::Own(text) => file(stage, text),
        }
    }
}

/// One lookup with a connection of its own.
pub(super) fn connect(stage: &Stage) -> Result<Script, String> {
    file(stage, &format!("{ACCOUNT}SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n"))
}

/// A load of the section `columns`: `{t}` is the table, `:n` a row.
pub(super) struct ColumnLoad {
    pub(super) name: &'static str,
    pub(super) protocol: &'static str,
    sql: &'static str,
    /// It reads every row.
    pub(super) whole: bool,
    /// One client alone runs it: what a statement takes where none waits for another.
    pub(super) alone: bool,
    /// It searches text.
    pub(super) searches: bool,
}

/// The lookup of one client.
pub(super) const LOOKUP_ALONE: &str = "lookup, 1 client";
const LOOKUP: &str = "SELECT email, name FROM {t} WHERE account = :n";

/// Loads of encrypted columns and of plain ones.
pub(super) const COLUMNS: [ColumnLoad; 10] = [
    ColumnLoad::new("row by plain key", "SELECT note FROM {t} WHERE id = :n"),
    ColumnLoad::new("lookup", LOOKUP),
    ColumnLoad { alone: true, ..ColumnLoad::new(LOOKUP_ALONE, LOOKUP) },
    ColumnLoad::new("range of 100", "SELECT id, age FROM {t} WHERE age BETWEEN :n AND :m"),
    ColumnLoad::new("first 20 by order", "SELECT id, email FROM {t} WHERE age >= :n ORDER BY age LIMIT 20"),
    ColumnLoad::new(
        "join of 100",
        "SELECT count(*) FROM {t} a JOIN {t}_more b ON b.account = a.account WHERE a.id BETWEEN :n AND :m",
    ),
    ColumnLoad {
        protocol: "simple",
        searches: true,
        ..ColumnLoad::new("LIKE", "SELECT id, bio FROM {t} WHERE bio LIKE '%y :n o%'")
    },
    ColumnLoad {
        whole: true,
        alone: true,
        ..ColumnLoad::new("group by", "SELECT grp, count(*) FROM {t} GROUP BY grp")
    },
    ColumnLoad {
        whole: true,
        alone: true,
        ..ColumnLoad::new("sort", "SELECT count(*) FROM (SELECT id FROM {t} ORDER BY age, id OFFSET 0) s")
    },
    ColumnLoad::new("insert", "INSERT INTO {t}_new VALUES (:n, :n, 'person@example.com', 'A Person')"),
];

impl ColumnLoad {
    const fn new(name: &'static str, sql: &'static str) -> ColumnLoad {
        ColumnLoad { name, protocol: "prepared", sql, whole: false, alone: false, searches: false }
    }

    /// The script over a table with so many rows.
    pub(super) fn script(&self, stage: &Stage, table: &str, rows: u32) -> Result<Script, String> {
        let sql = self.sql.replace("{t}", table);
        let numbers = if self.whole { "" } else { "\\set m :n + 99\n" };
        file(stage, &format!("\\set n random(1, {rows})\n{numbers}{sql};\n"))
    }
}

fn file(stage: &Stage, text: &str) -> Result<Script, String> {
    let path = stage.dir.join("script.sql");
    std::fs::write(&path, text).map_err(|e| e.to_string())?;
    Ok(Script::File(path))
}
