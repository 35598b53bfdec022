//! Root keys kept elsewhere, as a user meets them: moto's KMS server, softhsm2, and a server that speaks the contract of
//! Vault's transit engine.

mod awskms;
mod local;
mod pkcs11;
mod transit;
mod vault;

use std::path::PathBuf;
use std::process::Command;

use crate::support::process::{Output, run};
use crate::support::{Cluster, Proxy, ProxyOptions, Workspace};

/// Variables with which a root key is used.
type Env = Vec<(String, String)>;

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A workspace whose store has the usual root key, and a client.
fn workspace() -> Workspace {
    let workspace = Workspace::empty();
    workspace.columnseal(&["init", "--yes"]).ok();
    workspace
}

fn root_file(workspace: &Workspace) -> PathBuf {
    workspace.store().with_file_name("root.key")
}

fn command(workspace: &Workspace, env: &Env, args: &[&str]) -> Command {
    let mut command = workspace.command(args);
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// A command with these variables.
fn columnseal(workspace: &Workspace, env: &Env, args: &[&str]) -> Output {
    run(&mut command(workspace, env, args), "")
}

/// A command that opens the store by this root key.
fn open(workspace: &Workspace, env: &Env, root_key: &str) -> Output {
    columnseal(workspace, env, &["client", "list", "--set", &format!("keys.root_key={root_key}")])
}

/// Opening the store by this root key fails as a root key fails, and says this.
#[track_caller]
fn refused(workspace: &Workspace, env: &Env, root_key: &str, why: &str) {
    let output = open(workspace, env, root_key);
    told(output, why);
}

#[track_caller]
fn told(output: Output, why: &str) {
    assert_eq!(output.code, 4, "{}{}", output.out, output.err);
    assert!(output.err.contains(why), "{why} is not in:\n{}", output.err);
    assert!(output.err.contains("docs/errors.md#root-key"), "{}", output.err);
    assert!(output.err.lines().count() == 4, "{}", output.err);
}

fn rewrap(workspace: &Workspace, env: &Env, to: &str, more: &[&str]) -> Output {
    let args: Vec<&str> = ["store", "rewrap", "--to", to, "--json"].into_iter().chain(more.iter().copied()).collect();
    columnseal(workspace, env, &args)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// From the file to another root key and back to none but it, with every command that is there for it.
#[track_caller]
fn moves_to(workspace: &Workspace, env: &Env, to: &str) {
    let added = json(&rewrap(workspace, env, to, &[]).ok());
    assert_eq!(added["added"], true, "{added}");
    assert_eq!(added["remaining"].as_array().unwrap().len(), 1, "{added}");
    // Both open it.
    open(workspace, env, to).ok();
    workspace.columnseal(&["client", "list"]).ok();
    let again = json(&rewrap(workspace, env, to, &[]).ok());
    assert_eq!(again["added"], false, "{again}");
    let set = format!("keys.root_key={to}");
    let status = json(&columnseal(workspace, env, &["store", "status", "--json", "--set", &set]).ok());
    let keys = status["root_keys"].as_array().unwrap();
    assert_eq!(keys.iter().map(|key| key["configured"].as_bool().unwrap()).collect::<Vec<_>>(), [false, true]);
    let done = json(&rewrap(workspace, env, to, &["--finish"]).ok());
    assert_eq!(done["removed"].as_array().unwrap().len(), 1, "{done}");
    open(workspace, env, to).ok();
    let file = format!("file:{}", root_file(workspace).display());
    refused(workspace, &Env::new(), &file, "is not one that opens this store");
    // Finished is finished, also where the settings still name the old one.
    json(&rewrap(workspace, env, to, &["--finish"]).ok());
}

/// A value written through a proxy whose store opens by `root_key`, and read again after `gone`, which takes away whatever
/// holds the root key.
#[track_caller]
fn serves_without(workspace: &Workspace, env: &Env, root_key: &str, gone: impl FnOnce()) {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let all: Env = env.iter().cloned().chain([("CS_KEYS__ROOT_KEY".to_owned(), root_key.to_owned())]).collect();
    columnseal(workspace, &all, &["db", "install", "--database", &database.url]).ok();
    let made = columnseal(workspace, &all, &["client", "create", "web", "--keyset", "default", "--json"]).ok();
    let made = json(&made);
    let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name}")).to_owned();
    let client = crate::support::workspace::ClientCredentials { id: text("CS_CLIENT_ID"), key: text("CS_CLIENT_KEY") };
    let options = ProxyOptions { env: all };
    let proxy = Proxy::start_with(workspace, &client, &database, &options);
    gone();
    let through = cluster.at("shop", proxy.port);
    through.sql("CREATE TABLE t (v seal.text_eq)");
    through.sql("INSERT INTO t VALUES ('secret value')");
    assert_eq!(through.sql("SELECT v FROM t WHERE v = 'secret value'").trim(), "secret value");
}
