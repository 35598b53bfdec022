//! Certificates that do not hold, and one that is replaced under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::dashboard::Dashboard;
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

#[test]
fn the_end_of_a_certificate_is_told_in_time() {
    let mut server = KeyServer::start();
    let workspace = Workspace::found(&server, None);
    let dashboard = Dashboard::start(&workspace);
    let mut browser = dashboard.browser();
    assert!(!browser.get("/").body.contains("TLS certificate"), "it ends late");
    let soon = server.authority.issue_until("soon", &["127.0.0.1"], 10);
    std::fs::copy(&soon.key, &server.issued.key).unwrap();
    std::fs::copy(&soon.certificate, &server.issued.certificate).unwrap();
    eventually("the page tells", || {
        let page = browser.get("/").body;
        let (_, item) = page.split_once("The TLS certificate of this key server ")?;
        (item.contains("in 9 days") || item.contains("in 10 days")).then_some(())
    });
    let alerts = concat!(env!("CARGO_MANIFEST_DIR"), "/config/prometheus/alerts.yml");
    let alerts = std::fs::read_to_string(alerts).unwrap();
    let words = alerts.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names: Vec<_> = words.filter(|word| word.starts_with("columnseal_keyserver_")).collect();
    assert_eq!(names, ["columnseal_keyserver_certificate_expiry_timestamp_seconds"]);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let left = (server.metric(names[0]).expect("it is counted") - now) / 86_400.0;
    assert!((8.9..10.1).contains(&left), "{left} days");
    server.restart();
    server.wait_ready();
    eventually("the page tells after a restart", || browser.get("/").body.contains("TLS certificate").then_some(()));
}
