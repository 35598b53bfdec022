//! Certificates that do not hold, and one that is replaced under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::tls::{Authority, Issued};
use crate::support::{KeyServer, Workspace, eventually};

/// What a command says of a server with this certificate.
fn says(server: &mut KeyServer, issued: Issued, url: &str) -> String {
    std::fs::copy(&issued.certificate, &server.issued.certificate).unwrap();
    std::fs::copy(&issued.key, &server.issued.key).unwrap();
    server.restart();
    let far = Workspace::far(url, &server.authority.certificate);
    let token = server.token();
    far.columnseal(&["init", "--bootstrap-token", token.to_str().unwrap(), "--yes"]).failed()
}

#[test]
fn a_certificate_that_does_not_hold_is_refused() {
    let mut server = KeyServer::start();
    let url = server.url();
    let expired = server.authority.issue_expired("expired", &["127.0.0.1"]);
    let said = says(&mut server, expired, &url);
    assert!(said.contains("expired"), "{said}");
    let elsewhere = server.authority.issue("elsewhere", &["keys.example.com"]);
    let said = says(&mut server, elsewhere, &url);
    assert!(said.contains("not valid for name"), "{said}");
    let foreign = Authority::new(server.dir(), "foreign-ca").issue("foreign", &["127.0.0.1"]);
    let said = says(&mut server, foreign, &url);
    assert!(said.contains("UnknownIssuer") || said.contains("BadSignature"), "{said}");
    assert!(server.token().exists(), "nobody has used the token");
}

#[test]
fn a_certificate_is_replaced_under_load_without_a_failure() {
    let server = KeyServer::start();
    let workspace = Arc::new(Workspace::found(&server, None));
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = {
        let (workspace, stop, done) = (Arc::clone(&workspace), Arc::clone(&stop), Arc::clone(&done));
        std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                workspace.columnseal(&["keyset", "list"]).ok();
                done.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let fresh = server.authority.issue("fresh", &["127.0.0.1"]);
    std::fs::copy(&fresh.key, &server.issued.key).unwrap();
    std::fs::copy(&fresh.certificate, &server.issued.certificate).unwrap();
    eventually("the certificate is read again", || server.log().contains("TLS certificate read again").then_some(()));
    let before = done.load(Ordering::SeqCst);
    eventually("requests go on", || (done.load(Ordering::SeqCst) > before + 5).then_some(()));
    stop.store(true, Ordering::SeqCst);
    load.join().unwrap();
}
