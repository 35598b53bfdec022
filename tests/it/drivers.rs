//! The programs of tests/drivers, each on a plain twin directly and on encrypted columns through the proxy:
//! the output must be the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Twin;
use crate::support::process::run;

/// The table they work on.
pub const PEOPLE: &str = "
    CREATE TABLE people (id int PRIMARY KEY, plain text, email seal.text_eq, name seal.text_eq, age seal.int4_eq,
        big seal.int8_eq, small seal.int2_eq, ok seal.bool_eq, price seal.numeric_eq, ratio seal.float8_eq, born seal.date_eq,
        seen seal.timestamptz_eq, uid seal.uuid_eq, blob seal.bytea_eq, doc seal.jsonb);
    CREATE UNIQUE INDEX people_email ON people (email);
    CREATE INDEX people_age ON people (age);";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers")
}

/// Where `install.sh` puts things.
pub fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp lies in the target directory");
    let found = target.join("drivers").join(path);
    assert!(found.exists(), "{} is missing: run tests/drivers/install.sh", found.display());
    found
}

fn same_output(command: &mut Command) {
    let twin = Twin::start();
    twin.create(PEOPLE);
    let direct = run(command.env("DATABASE_URL", &twin.plain.url), "");
    assert!(direct.out.ends_with("done\n"), "on the plain twin:\n{}\n{}", direct.out, direct.err);
    let through = run(command.env("DATABASE_URL", &twin.sealed.url), "");
    let report = || format!("{}\nproxy log:\n{}", through.err, twin.proxy.log());
    same_lines(&direct.out, &through.out, &report);
    let dump = twin.stored("SELECT people::text FROM people");
    assert!(!dump.contains("example.com"), "plaintext is stored:\n{dump}");
}

/// Compares line by line, so that the first difference is what is shown.
pub fn same_lines(direct: &str, through: &str, report: &dyn Fn() -> String) {
    for (number, (left, right)) in direct.lines().zip(through.lines()).enumerate() {
        assert!(left == right, "line {}\ndirect : {left}\nthrough: {right}\n{}", number + 1, report());
    }
    let (left, right) = (direct.lines().count(), through.lines().count());
    assert!(left == right, "{left} lines directly, {right} through the proxy\n{}", report());
}

/// A program of `tests/drivers`.
fn program(name: &str) -> Command {
    match name {
        "psql" => Command::new(folder().join("psql.sh")),
        "psycopg" | "asyncpg" => {
            let mut command = Command::new(installed("venv/bin/python"));
            command.arg("-B").arg(folder().join(format!("{name}_.py")));
            command
        }
        "node-postgres" => {
            let mut command = Command::new("node");
            command.env("NODE_MODULES_OF", installed("node/package.json")).arg(folder().join("pg.mjs"));
            command
        }
        "pgjdbc" => {
            let path = format!("{}:/usr/share/java/postgresql.jar", installed("java").display());
            let mut command = Command::new("java");
            command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &path, "Main"]);
            command
        }
        other => panic!("no program of {other}"),
    }
}

/// All of them, by the driver's name.
pub fn programs() -> [(&'static str, Command); 5] {
    ["psql", "psycopg", "asyncpg", "node-postgres", "pgjdbc"].map(|name| (name, program(name)))
}

#[test]
fn psql() {
    same_output(&mut program("psql"));
}

#[test]
fn psycopg() {
    same_output(&mut program("psycopg"));
}

#[test]
fn asyncpg() {
    same_output(&mut program("asyncpg"));
}

#[test]
fn node_postgres() {
    same_output(&mut program("node-postgres"));
}

#[test]
fn pgjdbc() {
    same_output(&mut program("pgjdbc"));
}
