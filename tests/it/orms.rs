//! The applications of tests/orm, each on plain PostgreSQL directly and on encrypted columns through the proxy: what they print must be the same,
//! and what is stored must be ciphertext.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::drivers::{installed, same_lines};
use crate::support::Twin;
use crate::support::process::run;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/orm").join(name)
}

/// Runs an application on both sides. `tables`: of its own, with encrypted columns that hold addresses.
fn same_application(command: &mut Command, tables: &[&str]) {
    let twin = Twin::start();
    let direct = run(command.env("DATABASE_URL", &twin.plain.url), "");
    assert!(direct.out.ends_with("done\n"), "on plain PostgreSQL:\n{}\n{}", direct.out, direct.err);
    let through = run(command.env("DATABASE_URL", &twin.sealed.url).env("SEALED", "1"), "");
    let report = || format!("{}\nproxy log:\n{}", through.err, twin.proxy.log());
    same_lines(&direct.out, &through.out, &report);
    for table in tables {
        let stored = twin.stored(&format!("SELECT t::text FROM {table} AS t"));
        assert!(stored.contains("\\\\x"), "no ciphertext in {table}:\n{stored}");
        for plaintext in ["example.com", "Lovelace"] {
            assert!(!stored.contains(plaintext), "{plaintext} is stored in {table}");
        }
    }
}

fn python(name: &str) -> Command {
    let mut command = Command::new(installed("venv/bin/python"));
    command.arg("-B").arg(folder(name).join("app.py"));
    command
}

fn node(name: &str) -> Command {
    let mut command = Command::new(installed("node.bin"));
    command.env("NODE_MODULES_OF", installed("node/package.json")).arg(folder(name).join("app.mjs"));
    command
}

/// Java with the classes in a folder and Debian's jars.
fn java(classes: &str, jars: &[&str]) -> Command {
    let jars: Vec<String> = jars.iter().map(|jar| format!("/usr/share/java/{jar}.jar")).collect();
    let path = format!("{}:{}", installed(classes).display(), jars.join(":"));
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", &path]);
    command
}

#[test]
fn sqlalchemy_and_alembic() {
    same_application(&mut python("sqlalchemy"), &["customers", "orders"]);
}

#[test]
fn django() {
    same_application(&mut python("django"), &["shop_customer", "shop_order"]);
}

#[test]
fn drizzle() {
    same_application(&mut node("drizzle"), &["customers", "orders"]);
}

#[test]
fn sequelize() {
    same_application(&mut node("sequelize"), &["customers", "orders"]);
}

#[test]
fn prisma() {
    same_application(&mut node("prisma"), &["\"Customer\"", "\"Order\""]);
}

#[test]
fn activerecord() {
    let mut command = Command::new("ruby");
    command.arg(folder("activerecord").join("app.rb"));
    same_application(&mut command, &["customers", "orders"]);
}

#[test]
fn jdbc_and_hikari() {
    let mut command = java("orm", &["postgresql", "HikariCP", "slf4j-api", "slf4j-nop"]);
    same_application(command.arg("Shop"), &["customers", "orders"]);
}

#[test]
fn hibernate() {
    let jars = std::fs::read_to_string(folder("hibernate").join("jars")).unwrap();
    let mut command = java("hibernate", &jars.lines().collect::<Vec<_>>());
    // Its proxies are classes that are made as it runs.
    command.args(["--add-opens", "java.base/java.lang=ALL-UNNAMED", "App"]);
    same_application(&mut command, &["customers", "purchases"]);
}

#[test]
fn knex() {
    same_application(&mut node("knex"), &["customers", "orders"]);
}

#[test]
fn sqlx() {
    same_application(&mut Command::new(installed("rust/debug/with_sqlx")), &["customers", "orders"]);
}

#[test]
fn diesel() {
    same_application(&mut Command::new(installed("rust/debug/with_diesel")), &["customers", "orders"]);
}

#[test]
fn pgx() {
    same_application(&mut Command::new(installed("go/pgx")), &["customers", "orders"]);
}

#[test]
fn gorm() {
    same_application(&mut Command::new(installed("go/gorm")), &["customers", "orders", "notes"]);
}
