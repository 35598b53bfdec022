//! TLS: what each `sslmode` accepts, direct TLS, client certificates, certificates that change.

use std::path::Path;
use std::sync::Arc;

use columnseal::net::dial::{DialError, Dialer, Refusal, Security};
use columnseal::net::settings::{Pem, ServerTls, Target};
use columnseal::session::roles::{Roles, Rule};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConnection, RootCertStore, StreamOwned};

use super::{Certificates, Proxy, With};
use crate::support::cluster::psql;
use crate::support::raw::{Raw, gss_request, startup, tcp};
use crate::support::{Cluster, eventually};

/// A proxy that answers with a certificate of these names, signed by itself, and the certificate's file.
async fn self_signed(cluster: &Cluster, dir: &Path, common: &str, names: &[&str], authority: bool) -> Proxy {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common);
    if authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(dir.join("self.crt"), &pem).unwrap();
    let tls = ServerTls {
        certificate: Pem::Text(pem.into()),
        private_key: Pem::Text(key.serialize_pem().into()),
        client_ca: None,
    };
    Proxy::new(cluster, With { tls: Some(tls), ..With::default() }).await
}

/// Whether a connection of this kind comes about.
async fn dials(host: &str, port: u16, query: &str) -> Result<bool, DialError> {
    let target = Target::parse(&format!("postgres://{host}:{port}?{query}"), None).unwrap();
    let dialer = Dialer::new(target).unwrap();
    dialer.dial(dialer.attempts()[0]).await.map(|dialed| dialed.stream.is_tls())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_checks_what_libpq_checks() {
    let cluster = Cluster::plain();
    let certificates = Certificates::new();
    let stranger = Certificates::new();
    let proxy = Proxy::new(&cluster, With { tls: Some(certificates.tls()), ..With::default() }).await;
    let (ours, theirs) = (certificates.ca(), stranger.ca());
    let with = |mode: &str, ca: &Path| format!("sslmode={mode}&sslrootcert={}", ca.display());
    let port = proxy.port;
    for query in ["sslmode=prefer".into(), "sslmode=require".into(), with("require", &ours), with("prefer", &theirs)] {
        assert!(dials("localhost", port, &query).await.unwrap(), "{query}");
    }
    assert!(!dials("localhost", port, "sslmode=disable").await.unwrap());
    for query in [with("verify-ca", &ours), with("verify-full", &ours)] {
        assert!(dials("localhost", port, &query).await.unwrap(), "{query}");
        assert!(dials("127.0.0.1", port, &query).await.unwrap(), "{query}");
    }
    for query in [with("verify-ca", &theirs), with("verify-full", &theirs), with("require", &theirs)] {
        let refused = dials("localhost", port, &query).await.unwrap_err();
        assert!(matches!(refused.tried[0].1, Refusal::Handshake(_)), "{query}: {refused}");
    }
    // Without TLS at the other end.
    let bare = Proxy::new(&cluster, With::default()).await;
    assert!(!dials("localhost", bare.port, "sslmode=prefer").await.unwrap());
    let refused = dials("localhost", bare.port, "sslmode=require").await.unwrap_err();
    assert!(matches!(refused.tried[0].1, Refusal::NoTls), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_matter_only_to_verify_full() {
    let cluster = Cluster::plain();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("self.crt");
    let with = |mode: &str| format!("sslmode={mode}&sslrootcert={}", root.display());
    // (common name, alternative names, marked as an authority, whether verify-full takes it for localhost)
    let cases: [(&str, &[&str], bool, bool); 7] = [
        ("x", &["localhost"], true, true),
        ("x", &["localhost"], false, true),
        ("localhost", &[], true, true),
        ("localhost", &[], false, true),
        ("localhost", &["elsewhere"], true, false),
        ("elsewhere", &[], true, false),
        ("x", &["elsewhere"], false, false),
    ];
    for (common, names, authority, full) in cases {
        let proxy = self_signed(&cluster, dir.path(), common, names, authority).await;
        let case = format!("{common} {names:?} {authority}");
        assert!(dials("localhost", proxy.port, "sslmode=require").await.unwrap(), "{case}");
        assert!(dials("localhost", proxy.port, &with("verify-ca")).await.unwrap(), "{case}");
        assert_eq!(dials("localhost", proxy.port, &with("verify-full")).await.is_ok(), full, "{case}");
    }
}

#[test]
fn root_certificates_that_cannot_be_used_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let faulty = |content: Option<&str>| {
        let _ = std::fs::remove_file(&file);
        if let Some(text) = content {
            std::fs::write(&file, text).unwrap();
        }
        let target = Target::parse(&format!("postgres://db?sslrootcert={}", file.display()), None).unwrap();
        Dialer::new(target).map(|_| ()).unwrap_err().to_string()
    };
    assert!(faulty(None).contains("ca.pem"));
    assert!(faulty(Some("")).contains("no certificate"));
    assert!(!faulty(Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")).is_empty());
}

/// Opens TLS at once or after SSLRequest, on a thread of its own, and logs in as `app`.
fn direct(port: u16, ca: &Path, alpn: &[&[u8]]) -> Option<Raw> {
    let mut roots = RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut raw = Raw::over(StreamOwned::new(tls, tcp(port)));
    raw.try_send(&gss_request()).ok()?;
    if raw.byte()? != b'N' {
        return None;
    }
    raw.send(&startup(0x0003_0000, &[("user", "app"), ("database", "shop")]));
    (raw.until_ready().last()?.tag == b'Z').then_some(raw)
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_tls_needs_its_name() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let certificates = Certificates::new();
    let proxy = Proxy::new(&cluster, With { tls: Some(certificates.tls()), ..With::default() }).await;
    let mut raw = direct(proxy.port, &certificates.ca(), &[b"postgresql"]).expect("direct TLS is taken");
    assert_eq!(raw.rows("SELECT 1"), ["1"]);
    assert!(direct(proxy.port, &certificates.ca(), &[]).is_none());
    assert!(direct(proxy.port, &certificates.ca(), &[b"http/1.1"]).is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_are_demanded_and_checked() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let certificates = Certificates::new();
    let clients = Certificates::new();
    let good = clients.authority.issue("client", &["client"]);
    let stranger = Certificates::new();
    let bad = stranger.authority.issue("client", &["client"]);
    let tls = ServerTls { client_ca: Some(Pem::Path(clients.ca())), ..certificates.tls() };
    let proxy = Proxy::new(&cluster, With { tls: Some(tls), require_tls: true, ..With::default() }).await;
    let url = format!("{}?sslmode=require", cluster.at("shop", proxy.port).url);
    let show = |issued: &crate::support::tls::Issued| {
        format!("{url}&sslcert={}&sslkey={}", issued.certificate.display(), issued.key.display())
    };
    assert_eq!(psql(&show(&good), "SELECT 1").ok(), "1\n");
    psql(&show(&bad), "SELECT 1").failed();
    psql(&url, "SELECT 1").failed();
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_begins_at_once_where_the_url_says_so() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let certificates = Certificates::new();
    let behind = Proxy::new(&cluster, With { tls: Some(certificates.tls()), ..With::default() }).await;
    let url = |port, more: &str| {
        format!(
            "postgres://localhost:{port}/shop?sslmode=verify-full&sslrootcert={}{more}",
            certificates.ca().display()
        )
    };
    for more in ["", "&sslnegotiation=postgres", "&sslnegotiation=direct"] {
        let proxy = Proxy::before(&url(behind.port, more), With::default()).await;
        assert_eq!(psql(&cluster.at("shop", proxy.port).url, "SELECT 1").ok(), "1\n", "{more}");
    }
    // A server that ends the connection at the first byte of TLS, as PostgreSQL before 17 does.
    let dialer = |port| Dialer::new(Target::parse(&url(port, "&sslnegotiation=direct"), None).unwrap()).unwrap();
    let Err(refused) = dialer(cluster.port).dial(Security::Tls).await else { panic!("not TLS") };
    assert!(matches!(refused.tried[0].1, Refusal::Handshake(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let cluster = super::cluster_with_tls(crate::support::Auth::Trust);
    cluster.database("shop");
    let (clients, stranger) = (Certificates::new(), Certificates::new());
    let (good, own) = (clients.authority.issue("app", &["app"]), stranger.authority.issue("app", &["app"]));
    let ca = cluster.dir.join("clients.crt");
    std::fs::copy(clients.ca(), &ca).unwrap();
    std::fs::set_permissions(&ca, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let hba = "local all all trust\nhostssl all app 127.0.0.1/32 cert\n";
    std::fs::write(cluster.dir.join("data/pg_hba.conf"), hba).unwrap();
    cluster.superuser("postgres", &format!("ALTER SYSTEM SET ssl_ca_file = '{}'", ca.display()));
    cluster.superuser("postgres", "SELECT pg_reload_conf()");
    let url = format!("postgres://app@127.0.0.1:{}/shop?sslmode=require", cluster.port);
    let shown = format!("{url}&sslcert={}&sslkey={}", own.certificate.display(), own.key.display());
    let proxy = Proxy::before(&shown, With::default()).await;
    let through = cluster.at("shop", proxy.port).url;
    psql(&through, "SELECT 1").failed();
    // One that the server takes is put in its place, as when it is renewed.
    std::fs::copy(&good.key, &own.key).unwrap();
    std::fs::copy(&good.certificate, &own.certificate).unwrap();
    eventually("the certificate lets the proxy in", || {
        (psql(&through, "SELECT current_user").out == "app\n").then_some(())
    });
    assert!(columnseal::net::connect::connect(&Target::parse(&shown, None).unwrap(), None).await.is_ok());
    let bare = Proxy::before(&url, With::default()).await;
    let refused = psql(&cluster.at("shop", bare.port).url, "SELECT 1").failed();
    assert!(refused.contains("client certificate"), "{refused}");
    let broken = format!("{url}&sslcert={}&sslkey=/nowhere", own.certificate.display());
    assert!(
        Dialer::new(Target::parse(&broken, None).unwrap()).map(|_| ()).unwrap_err().to_string().contains("/nowhere")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_roles_have_rules_a_certificate_is_of_one_role() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let certificates = Certificates::new();
    let clients = Certificates::new();
    let (app, other) = (clients.authority.issue("app", &["x"]), clients.authority.issue("App", &["app"]));
    let tls = ServerTls { client_ca: Some(Pem::Path(clients.ca())), ..certificates.tls() };
    let roles = Roles::new([("app".to_owned(), Rule::default())]);
    let proxy = Proxy::new(&cluster, With { tls: Some(tls), roles, ..With::default() }).await;
    let url = cluster.at("shop", proxy.port).url;
    let show = |issued: &crate::support::tls::Issued| {
        format!("{url}?sslmode=require&sslcert={}&sslkey={}", issued.certificate.display(), issued.key.display())
    };
    assert_eq!(psql(&show(&app), "SELECT 1").ok(), "1\n");
    let said = psql(&show(&other), "SELECT 1").failed();
    assert!(said.contains("the client's certificate is not that of role \"app\""), "{said}");
    let said = psql(&format!("{url}?sslmode=disable"), "SELECT 1").failed();
    assert!(said.contains("a client certificate is needed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_used_and_a_broken_one_is_not() {
    let cluster = Cluster::plain();
    let certificates = Certificates::new();
    let proxy = Proxy::new(&cluster, With { tls: Some(certificates.tls()), ..With::default() }).await;
    let query = |ca: &Path| format!("sslmode=verify-full&sslrootcert={}", ca.display());
    let old = query(&certificates.ca());
    assert!(dials("localhost", proxy.port, &old).await.unwrap());
    let next = Certificates::new();
    let (certificate, key) = (&certificates.issued.certificate, &certificates.issued.key);
    std::fs::copy(&next.issued.key, key).unwrap();
    std::fs::copy(&next.issued.certificate, certificate).unwrap();
    let new = query(&next.ca());
    let runtime = tokio::runtime::Handle::current();
    let served =
        |query: &str| tokio::task::block_in_place(|| runtime.block_on(dials("localhost", proxy.port, query))).is_ok();
    eventually("the new certificate is served", || served(&new).then_some(()));
    assert!(!served(&old));
    std::fs::write(certificate, "broken").unwrap();
    assert!(served(&new));
    drop(certificates.dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn dialing_ends_in_time_and_names_what_it_tried() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = silent.local_addr().unwrap().port();
    let dead = crate::support::free_port();
    let url = format!(
        "postgres://127.0.0.1:{port},127.0.0.1:{dead},no-such-host.invalid/x?sslmode=require&connect_timeout=2"
    );
    let dialer = Dialer::new(Target::parse(&url, None).unwrap()).unwrap();
    let Err(error) = dialer.dial(Security::Tls).await else { panic!("nobody answers") };
    let said = error.to_string();
    assert_eq!(error.tried.len(), 3, "{said}");
    for part in [format!("127.0.0.1:{port}\": timeout"), format!("127.0.0.1:{dead}\""), "no-such-host.invalid".into()] {
        assert!(said.contains(&part), "{said}");
    }
}
