//! AWS KMS, against moto's server.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::*;
use crate::support::process::Tied;
use crate::support::{eventually, free_port};

/// moto's server. Its state ends with it.
struct Moto {
    url: String,
    process: Tied,
}

impl Moto {
    fn start(env: &[(&str, &str)]) -> Moto {
        let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let program = target.join("root_keys/venv/bin/moto_server");
        assert!(program.exists(), "{} is missing: run tests/root_keys/install.sh", program.display());
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Moto { url: format!("http://127.0.0.1:{port}"), process: Tied::spawn(&mut command, "KILL", None) };
        eventually("moto answers", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        moto
    }

    /// What `action` answers, asked as an administrator of the keys would.
    fn call(&self, action: &str, body: Value) -> Value {
        let authorization =
            "AWS4-HMAC-SHA256 Credential=AK/20260101/eu-central-1/kms/aws4_request, SignedHeaders=host, Signature=0";
        let mut answer = ureq::post(&self.url)
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", format!("TrentService.{action}"))
            .header("Authorization", authorization)
            .send(body.to_string())
            .unwrap_or_else(|e| panic!("{action}: {e}"));
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap_or(Value::Null)
    }

    /// A new key; its ARN.
    fn key(&self) -> String {
        self.call("CreateKey", json!({}))["KeyMetadata"]["Arn"].as_str().unwrap().to_owned()
    }

    fn env(&self) -> Env {
        env(&[
            ("AWS_ENDPOINT_URL_KMS", &self.url),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ])
    }
}

fn without(env: &Env, names: &[&str]) -> Env {
    env.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect()
}

#[test]
fn a_store_moves_to_it_and_serves_while_it_is_down() {
    let (mut moto, workspace) = (Moto::start(&[]), workspace());
    let key = moto.key();
    moto.call("CreateAlias", json!({ "AliasName": "alias/columnseal", "TargetKeyId": key }));
    moves_to(&workspace, &moto.env(), "awskms:alias/columnseal");
    // By another name of the same key, whose ARN says the region.
    open(&workspace, &without(&moto.env(), &["AWS_REGION"]), &format!("awskms:{key}")).ok();
    let env = moto.env();
    serves_without(&workspace, &env, "awskms:alias/columnseal", || moto.process.stop("KILL"));
    refused(&workspace, &env, "awskms:alias/columnseal", "cannot be reached");
}

#[test]
fn a_new_store_can_lie_under_it() {
    let (moto, workspace) = (Moto::start(&[]), Workspace::empty());
    let mut env = moto.env();
    env.push(("CS_KEYS__ROOT_KEY".to_owned(), format!("awskms:{}", moto.key())));
    columnseal(&workspace, &env, &["init", "--yes"]).ok();
    assert!(!root_file(&workspace).exists(), "no key lies beside the store");
    columnseal(&workspace, &env, &["client", "create", "web", "--keyset", "default"]).ok();
}

#[test]
fn what_is_wrong_with_the_key_is_told() {
    let (moto, workspace) = (Moto::start(&[]), workspace());
    let (key, other) = (moto.key(), moto.key());
    let spec = format!("awskms:{key}");
    rewrap(&workspace, &moto.env(), &spec, &[]).ok();
    refused(&workspace, &moto.env(), "awskms:alias/none", "is missing: NotFoundException");
    // AWS says IncorrectKeyException, and then it is not one that opens this store; moto says this.
    refused(
        &workspace,
        &moto.env(),
        &format!("awskms:{other}"),
        "may not be used by this caller: AccessDeniedException",
    );
    // moto's own calls take ids only.
    let id = key.rsplit('/').next().unwrap();
    moto.call("DisableKey", json!({ "KeyId": id }));
    refused(&workspace, &moto.env(), &spec, "is disabled: its state is Disabled");
    moto.call("EnableKey", json!({ "KeyId": id }));
    open(&workspace, &moto.env(), &spec).ok();
    moto.call("ScheduleKeyDeletion", json!({ "KeyId": id }));
    refused(&workspace, &moto.env(), &spec, "is disabled: its state is PendingDeletion");
    let signing = moto.call("CreateKey", json!({ "KeyUsage": "SIGN_VERIFY", "KeySpec": "ECC_NIST_P256" }));
    let signing = format!("awskms:{}", signing["KeyMetadata"]["Arn"].as_str().unwrap());
    told(rewrap_text(&workspace, &moto.env(), &signing), "it is no symmetric key");
    // The file still opens it.
    workspace.columnseal(&["client", "list"]).ok();
}

fn rewrap_text(workspace: &Workspace, env: &Env, to: &str) -> crate::support::process::Output {
    columnseal(workspace, env, &["store", "rewrap", "--to", to])
}

#[test]
fn the_store_key_is_bound_to_its_service() {
    let (moto, workspace, other) = (Moto::start(&[]), workspace(), workspace());
    let spec = format!("awskms:{}", moto.key());
    rewrap(&workspace, &moto.env(), &spec, &[]).ok();
    rewrap(&other, &moto.env(), &spec, &[]).ok();
    let rows = |workspace: &Workspace| rusqlite::Connection::open(workspace.store()).unwrap();
    let foreign: Vec<u8> =
        rows(&other).query_row("SELECT wrapped FROM root_keys WHERE kind = 'awskms'", [], |row| row.get(0)).unwrap();
    rows(&workspace).execute("UPDATE root_keys SET wrapped = ?1 WHERE kind = 'awskms'", [foreign]).unwrap();
    refused(&workspace, &moto.env(), &spec, "is not one that opens this store");
    for wrapped in [Vec::new(), vec![0; 40]] {
        rows(&workspace).execute("UPDATE root_keys SET wrapped = ?1 WHERE kind = 'awskms'", [wrapped]).unwrap();
        let output = open(&workspace, &moto.env(), &spec);
        assert_eq!(output.code, 4, "{}", output.err);
    }
}

#[test]
fn missing_region_address_and_credentials_are_told() {
    let (moto, workspace) = (Moto::start(&[]), workspace());
    let spec = format!("awskms:{}", moto.key());
    rewrap(&workspace, &moto.env(), &spec, &[]).ok();
    let bare = without(&moto.env(), &["AWS_REGION"]);
    told(rewrap_text(&workspace, &bare, "awskms:alias/x"), "no AWS region is known");
    let anonymous = without(&moto.env(), &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
    refused(&workspace, &anonymous, &spec, "may not be used by this caller");
    let mut clear = without(&moto.env(), &["AWS_ENDPOINT_URL_KMS"]);
    clear.push(("AWS_ENDPOINT_URL_KMS".into(), "http://kms.example.com".into()));
    refused(&workspace, &clear, &spec, "neither https:// nor on this machine");
}

#[test]
fn a_caller_without_rights_is_told_so() {
    // moto checks credentials after its first request, CreateKey.
    let (moto, workspace) = (Moto::start(&[("INITIAL_NO_AUTH_ACTION_COUNT", "1")]), workspace());
    let spec = format!("awskms:{}", moto.key());
    let output = rewrap_text(&workspace, &moto.env(), &spec);
    told(output, "may not be used by this caller");
    workspace.columnseal(&["client", "list"]).ok();
}
