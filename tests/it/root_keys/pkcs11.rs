//! PKCS#11 tokens, in softhsm2.

use std::path::Path;

use super::*;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// softhsm2's tokens of one test.
struct Tokens {
    dir: tempfile::TempDir,
}

impl Tokens {
    /// With token `columnseal` and PIN 4711.
    fn new() -> Tokens {
        assert!(Path::new(MODULE).exists(), "softhsm2 is missing: run tests/root_keys/install.sh");
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("tokens")).unwrap();
        let text = format!(
            "directories.tokendir = {}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("softhsm2.conf"), text).unwrap();
        std::fs::write(dir.path().join("pin"), "4711\n").unwrap();
        let tokens = Tokens { dir };
        tokens.token("columnseal");
        tokens
    }

    fn token(&self, label: &str) {
        let args = ["--init-token", "--free", "--label", label, "--pin", "4711", "--so-pin", "12345678"];
        run(Command::new("softhsm2-util").args(args).envs(self.env()), "").ok();
    }

    /// A new AES key.
    fn key(&self, token: &str, label: &str, id: &str, usage: &[&str]) {
        let mut command = Command::new("pkcs11-tool");
        command.args(["--module", MODULE, "--login", "--pin", "4711", "--token-label", token, "--keygen"]);
        command.args(["--key-type", "AES:32", "--private", "--label", label, "--id", id]).args(usage).envs(self.env());
        run(&mut command, "").ok();
    }

    fn env(&self) -> Env {
        env(&[("SOFTHSM2_CONF", self.dir.path().join("softhsm2.conf").to_str().unwrap())])
    }

    fn uri(&self, path: &str) -> String {
        format!("pkcs11:{path}?module-path={MODULE}&pin-source=file:{}/pin", self.dir.path().display())
    }
}

const ENCRYPT: &[&str] = &["--usage-decrypt"];
const WRAP: &[&str] = &["--usage-wrap"];

#[test]
fn a_store_moves_to_a_key_and_serves_while_the_token_is_gone() {
    let (tokens, workspace) = (Tokens::new(), workspace());
    tokens.key("columnseal", "root", "01", ENCRYPT);
    let uri = tokens.uri("token=columnseal;object=root");
    moves_to(&workspace, &tokens.env(), &uri);
    // By id and type, with the PIN in a variable.
    let mut env = tokens.env();
    env.push(("PIN".into(), "4711".into()));
    let by_id = format!("pkcs11:token=columnseal;id=%01;type=secret-key?module-path={MODULE}&pin-source=env:PIN");
    open(&workspace, &env, &by_id).ok();
    let folder = tokens.dir.path().join("tokens");
    serves_without(&workspace, &env, &uri, || {
        for token in std::fs::read_dir(&folder).unwrap() {
            std::fs::remove_dir_all(token.unwrap().path()).unwrap();
        }
    });
    refused(&workspace, &env, &uri, "no token of that name is in the module");
    std::fs::remove_dir(&folder).unwrap();
    refused(
        &workspace,
        &env,
        &uri,
        "cannot be reached: the module /usr/lib/softhsm/libsofthsm2.so answers GeneralError",
    );
}

#[test]
fn a_key_that_may_only_wrap_is_used_so() {
    let (tokens, workspace) = (Tokens::new(), workspace());
    tokens.key("columnseal", "wrapper", "02", WRAP);
    moves_to(&workspace, &tokens.env(), &tokens.uri("token=columnseal;object=wrapper"));
    tokens.key("columnseal", "other", "03", WRAP);
    let other = tokens.uri("token=columnseal;object=other");
    refused(&workspace, &tokens.env(), &other, "is not one that opens this store");
}

#[test]
fn a_store_moves_from_one_key_to_another_of_the_same_token() {
    let (tokens, workspace) = (Tokens::new(), workspace());
    tokens.key("columnseal", "old", "01", ENCRYPT);
    tokens.key("columnseal", "new", "02", ENCRYPT);
    let (old, new) = (tokens.uri("token=columnseal;object=old"), tokens.uri("token=columnseal;object=new"));
    moves_to(&workspace, &tokens.env(), &old);
    let mut env = tokens.env();
    env.push(("CS_KEYS__ROOT_KEY".into(), old.clone()));
    rewrap(&workspace, &env, &new, &["--finish"]).ok();
    open(&workspace, &tokens.env(), &new).ok();
    refused(&workspace, &tokens.env(), &old, "is not one that opens this store");
}

#[test]
fn what_is_wrong_with_token_pin_and_key_is_told() {
    let (tokens, workspace) = (Tokens::new(), workspace());
    tokens.key("columnseal", "root", "01", ENCRYPT);
    let (env, uri) = (tokens.env(), tokens.uri("token=columnseal;object=root"));
    rewrap(&workspace, &env, &uri, &[]).ok();
    let no_module = uri.replace(MODULE, "/usr/lib/none.so");
    refused(&workspace, &env, &no_module, "is missing: there is no module /usr/lib/none.so");
    let text = tokens.dir.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    refused(&workspace, &env, &uri.replace(MODULE, text.to_str().unwrap()), "cannot be loaded");
    refused(&workspace, &env, &tokens.uri("token=none;object=root"), "no token of that name");
    refused(&workspace, &env, &tokens.uri("token=columnseal;object=none"), "no AES key of that name is in the token");
    let public = format!("pkcs11:token=columnseal;object=root?module-path={MODULE}");
    refused(&workspace, &env, &public, "no pin-source is named");
    tokens.key("columnseal", "root", "07", ENCRYPT);
    refused(&workspace, &env, &uri, "several AES keys are of that name: add id=");
    open(&workspace, &env, &tokens.uri("token=columnseal;object=root;id=%01")).ok();
    refused(&workspace, &env, &tokens.uri("token=columnseal;object=root;id=%07"), "is not one that opens this store");
    tokens.token("columnseal");
    refused(&workspace, &env, &uri, "several tokens are of that name");
    std::fs::write(tokens.dir.path().join("pin"), "0000\n").unwrap();
    let lone = Tokens::new();
    lone.key("columnseal", "root", "01", ENCRYPT);
    std::fs::write(lone.dir.path().join("pin"), "0000\n").unwrap();
    refused(&workspace, &lone.env(), &lone.uri("token=columnseal;object=root"), "its PIN is wrong");
    let unset = format!("pkcs11:token=columnseal;object=root?module-path={MODULE}&pin-source=env:PIN");
    assert_eq!(open(&workspace, &env, &unset).code, 3);
    // The file still opens it.
    workspace.columnseal(&["client", "list"]).ok();
}

#[test]
fn the_store_key_is_bound_to_its_service_and_whole() {
    let (tokens, workspace, other) = (Tokens::new(), workspace(), workspace());
    for (label, id, usage) in [("seals", "01", ENCRYPT), ("wraps", "02", WRAP)] {
        tokens.key("columnseal", label, id, usage);
        let uri = tokens.uri(&format!("token=columnseal;object={label}"));
        for workspace in [&workspace, &other] {
            rewrap(workspace, &tokens.env(), &uri, &[]).ok();
        }
        let rows = |workspace: &Workspace| rusqlite::Connection::open(workspace.store()).unwrap();
        let newest = "(SELECT max(id) FROM root_keys)";
        let read = |workspace: &Workspace| -> Vec<u8> {
            let sql = format!("SELECT wrapped FROM root_keys WHERE id = {newest}");
            rows(workspace).query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        let own = read(&workspace);
        let mut altered = own.clone();
        *altered.last_mut().unwrap() ^= 1;
        let mut early = own.clone();
        early[5] ^= 1;
        let cut = own[..own.len() - 1].to_vec();
        for wrong in [read(&other), altered, early, cut, own[..1].to_vec(), Vec::new()] {
            let sql = format!("UPDATE root_keys SET wrapped = ?1 WHERE id = {newest}");
            rows(&workspace).execute(&sql, [wrong]).unwrap();
            refused(&workspace, &tokens.env(), &uri, "is not one that opens this store");
        }
        rows(&workspace).execute(&format!("DELETE FROM root_keys WHERE id = {newest}"), []).unwrap();
    }
}
