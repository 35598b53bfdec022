//! The OpenAPI document against the running server: schemathesis sends what the document allows and what it does not,
//! signed by a client key, and checks every answer.

use std::path::Path;
use std::process::Command;

use crate::support::process::run;
use crate::support::{KeyServer, Workspace};

#[test]
fn answers_are_as_the_document_says() {
    let server = KeyServer::start_with(&[
        ("CS_KEYSERVER__CLIENT_RATE", "100000"),
        ("CS_KEYSERVER__FAILURE_RATE", "100000"),
        // A connection may rest while schemathesis thinks, on a busy machine for longer than the default.
        ("CS_KEYSERVER__REQUEST_TIMEOUT", "60s"),
    ]);
    let workspace = Workspace::found(&server, None);
    let client = workspace.client_create("fuzz", &["default"]);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("tmp lies in the target directory");
    let python = target.join("drivers/venv/bin/python");
    assert!(python.exists(), "{} is missing: run tests/drivers/install.sh", python.display());
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers/openapi.py");
    let mut command = Command::new("timeout");
    command.arg("180").arg(python).arg("-B").arg(program).current_dir(server.dir());
    command.env("URL", server.url()).env("CA", &server.authority.certificate).env("CS_CLIENT_ID", &client.id);
    command.env("CS_CLIENT_KEY", &client.key);
    let output = run(&mut command, "");
    assert!(output.code == 0, "{}\n{}\nserver log:\n{}", output.out, output.err, server.log());
    assert!(!server.log().contains("internal error"), "{}", server.log());
}
