//! Vault and OpenBao, against the contract of their transit engine.

use std::process::Stdio;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::transit::{Behaviour, Transit};
use super::*;
use crate::support::tls::Authority;

fn token() -> Env {
    env(&[("VAULT_TOKEN", Transit::TOKEN)])
}

#[test]
fn a_store_moves_to_it_and_serves_while_it_is_sealed() {
    let (vault, workspace) = (Transit::start(&["cs"]), workspace());
    let spec = format!("vault:{}/transit/cs", vault.url);
    moves_to(&workspace, &token(), &spec);
    // Address and token as Vault's own tools take them.
    let file = workspace.dir().join("token");
    std::fs::write(&file, format!("{}\n", Transit::TOKEN)).unwrap();
    let elsewhere =
        env(&[("VAULT_ADDR", &vault.url), ("VAULT_TOKEN_FILE", file.to_str().unwrap()), ("VAULT_NAMESPACE", "team/a")]);
    open(&workspace, &elsewhere, "vault:transit/cs").ok();
    assert_eq!(vault.seen().last().unwrap(), &("team/a".to_owned(), Transit::TOKEN.to_owned()));
    let seal = || vault.behave(Behaviour { sealed: true, ..Default::default() });
    serves_without(&workspace, &token(), &spec, seal);
    refused(&workspace, &token(), &spec, "cannot be reached: status 503: Vault is sealed");
}

#[test]
fn what_is_wrong_is_told() {
    let (vault, workspace) = (Transit::start(&["cs", "other"]), workspace());
    let spec = format!("vault:{}/transit/cs", vault.url);
    rewrap(&workspace, &token(), &spec, &[]).ok();
    let none = Env::new();
    refused(&workspace, &none, &spec, "is missing: neither VAULT_TOKEN nor VAULT_TOKEN_FILE is set");
    let wrong = env(&[("VAULT_TOKEN", "hvs.wrong-token")]);
    let output = open(&workspace, &wrong, &spec);
    assert!(!output.err.contains("hvs.wrong-token"), "{}", output.err);
    told(output, "may not be used by this caller: status 403: 2 errors occurred: * permission denied");
    refused(&workspace, &token(), &format!("vault:{}/transit/other", vault.url), "is not one that opens this store");
    refused(&workspace, &token(), &format!("vault:{}/transit/none", vault.url), "is missing: status 400");
    refused(&workspace, &token(), &format!("vault:{}/none/cs", vault.url), "is missing: status 404");
    refused(&workspace, &token(), "vault:http://vault.example.com/transit/cs", "neither https:// nor on this machine");
    let port = crate::support::free_port();
    refused(&workspace, &token(), &format!("vault:http://127.0.0.1:{port}/transit/cs"), "cannot be reached");
    for (behaviour, why) in [
        (Behaviour { wrong: Some(32), ..Default::default() }, "gave a wrong answer: what it unwrapped does not open"),
        (Behaviour { wrong: Some(31), ..Default::default() }, "what it unwrapped has 31 bytes, not 32"),
        (Behaviour { garbage: Some("<html>"), ..Default::default() }, "gave a wrong answer: decrypt gave no JSON"),
        (Behaviour { garbage: Some("{\"data\":{}}"), ..Default::default() }, "decrypt gave no plaintext"),
        (Behaviour { redirect: Some("http://127.0.0.1:1/".into()), ..Default::default() }, "gave a wrong answer"),
    ] {
        vault.behave(behaviour);
        refused(&workspace, &token(), &spec, why);
    }
    vault.behave(Behaviour::default());
    open(&workspace, &token(), &spec).ok();
}

#[test]
fn nothing_is_made_or_kept_under_a_key_that_is_not_right() {
    let (vault, workspace) = (Transit::start(&["cs"]), workspace());
    let to = |key: &str| format!("vault:{}/transit/{key}", vault.url);
    let rewrap = |key: &str| columnseal(&workspace, &token(), &["store", "rewrap", "--to", &to(key)]);
    // A mistyped name would make a key of that name.
    told(rewrap("sc"), "is missing");
    assert_eq!(vault.keys(), ["cs"]);
    for (behaviour, why) in [
        (Behaviour { kind: Some("rsa-4096"), ..Default::default() }, "cannot be used: its type \"rsa-4096\""),
        (Behaviour { wrong: Some(32), ..Default::default() }, "it unwraps other bytes than it wrapped"),
    ] {
        vault.behave(behaviour);
        told(rewrap("cs"), why);
    }
    let connection = rusqlite::Connection::open(workspace.store()).unwrap();
    let rows: i64 = connection.query_row("SELECT count(*) FROM root_keys", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    // A token that may encrypt and decrypt and nothing else is enough.
    vault.behave(Behaviour { no_read: true, ..Default::default() });
    moves_to(&workspace, &token(), &to("cs"));
}

#[test]
fn the_store_key_is_bound_to_its_service() {
    let (vault, workspace, other) = (Transit::start(&["cs"]), workspace(), workspace());
    let spec = format!("vault:{}/transit/cs", vault.url);
    for workspace in [&workspace, &other] {
        rewrap(workspace, &token(), &spec, &[]).ok();
    }
    let rows = |workspace: &Workspace| rusqlite::Connection::open(workspace.store()).unwrap();
    let foreign: Vec<u8> =
        rows(&other).query_row("SELECT wrapped FROM root_keys WHERE kind = 'vault'", [], |row| row.get(0)).unwrap();
    for wrapped in
        [foreign, Vec::new(), b"vault:v1:".to_vec(), b"vault:v1:AAAA".to_vec(), vec![0xff; 9], vec![b'a'; 5000]]
    {
        rows(&workspace).execute("UPDATE root_keys SET wrapped = ?1 WHERE kind = 'vault'", [wrapped]).unwrap();
        refused(&workspace, &token(), &spec, "is not one that opens this store");
    }
}

#[test]
fn tls_is_checked() {
    let workspace = workspace();
    let authority = Authority::new(workspace.dir(), "authority");
    let issued = authority.issue("vault", &["127.0.0.1"]);
    let chain = CertificateDer::pem_file_iter(&issued.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&issued.key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let vault = Transit::with_tls(&["cs"], Arc::new(config));
    let spec = format!("vault:{}/transit/cs", vault.url);
    let mut trusting = token();
    trusting.push(("VAULT_CACERT".into(), authority.certificate.to_str().unwrap().to_owned()));
    moves_to(&workspace, &trusting, &spec);
    refused(&workspace, &token(), &spec, "cannot be reached");
    let stranger = Authority::new(workspace.dir(), "stranger");
    let mut strange = token();
    strange.push(("VAULT_CACERT".into(), stranger.certificate.to_str().unwrap().to_owned()));
    refused(&workspace, &strange, &spec, "cannot be reached");
    assert!(vault.seen().iter().all(|(_, shown)| shown == Transit::TOKEN));
    let mut missing = token();
    missing.push(("VAULT_CACERT".into(), "none.pem".into()));
    refused(&workspace, &missing, &spec, "cannot be used: the certificates in");
}

/// Kills a rewrap while it waits for `operation`.
fn kill_at(workspace: &Workspace, vault: &Transit, operation: &'static str, more: &[&str]) {
    vault.behave(Behaviour { hangs_at: Some(operation), ..Default::default() });
    let to = format!("vault:{}/transit/cs", vault.url);
    let args: Vec<&str> = ["store", "rewrap", "--to", &to].into_iter().chain(more.iter().copied()).collect();
    let mut command = command(workspace, &token(), &args);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    vault.hangs();
    child.kill().unwrap();
    child.wait().unwrap();
    vault.behave(Behaviour::default());
}

#[test]
fn a_rewrap_that_is_killed_leaves_a_store_that_opens_and_is_completed_by_the_next() {
    let (vault, workspace) = (Transit::start(&["cs"]), workspace());
    let spec = format!("vault:{}/transit/cs", vault.url);
    for operation in ["keys", "encrypt", "decrypt"] {
        kill_at(&workspace, &vault, operation, &["--finish"]);
        workspace.columnseal(&["client", "list"]).ok();
    }
    rewrap(&workspace, &token(), &spec, &[]).ok();
    kill_at(&workspace, &vault, "decrypt", &["--finish"]);
    workspace.columnseal(&["client", "list"]).ok();
    open(&workspace, &token(), &spec).ok();
    let done = json(&rewrap(&workspace, &token(), &spec, &["--finish"]).ok());
    assert_eq!(done["remaining"].as_array().unwrap().len(), 0, "{done}");
    open(&workspace, &token(), &spec).ok();
}
