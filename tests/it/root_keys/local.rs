//! File and environment variable.

use super::*;

#[test]
fn a_variable_opens_the_store_of_the_file_and_takes_over() {
    let workspace = workspace();
    let digits = std::fs::read_to_string(root_file(&workspace)).unwrap();
    open(&workspace, &env(&[("ROOT", digits.trim())]), "env:ROOT").ok();
    let named = env(&[("ROOT_FILE", root_file(&workspace).to_str().unwrap())]);
    open(&workspace, &named, "env:ROOT").ok();
    moves_to(&workspace, &env(&[("ROOT", &"ab".repeat(32))]), "env:ROOT");
}

#[test]
fn what_is_wrong_with_it_is_told() {
    let workspace = workspace();
    let none = Env::new();
    refused(&workspace, &none, "env:ROOT", "is missing: neither ROOT nor ROOT_FILE is set");
    refused(&workspace, &env(&[("ROOT", "5ec2e7")]), "env:ROOT", "cannot be used: it is neither 64");
    refused(&workspace, &env(&[("ROOT", &"cd".repeat(32))]), "env:ROOT", "is not one that opens this store");
    refused(&workspace, &none, "file:none.key", "is missing: there is no such file");
    for wrong in ["root.key", "gcpkms:x", "env:", "vault:cs", "pkcs11:token=x", "vault:transit/cs"] {
        let output = open(&workspace, &none, wrong);
        assert_eq!(output.code, 3, "{wrong}: {}", output.err);
        assert!(output.err.contains("keys.root_key"), "{}", output.err);
    }
    let output = open(&workspace, &none, "pkcs11:token=t;object=o?module-path=/m&pin-value=47114711");
    assert!(output.code == 3 && !output.err.contains("47114711"), "{}", output.err);
    // Nothing of it has changed the store.
    workspace.columnseal(&["client", "list"]).ok();
}

#[test]
fn a_store_can_be_made_under_another_root_key() {
    let workspace = Workspace::empty();
    let held = env(&[("ROOT", &"ab".repeat(32)), ("CS_KEYS__ROOT_KEY", "env:ROOT")]);
    let missing = env(&[("CS_KEYS__ROOT_KEY", "env:ROOT")]);
    told(columnseal(&workspace, &missing, &["init", "--yes"]), "is missing");
    columnseal(&workspace, &held, &["init", "--yes"]).ok();
    assert!(!root_file(&workspace).exists());
    columnseal(&workspace, &held, &["client", "list"]).ok();
    refused(&workspace, &Env::new(), &format!("file:{}", root_file(&workspace).display()), "there is no such file");
}
