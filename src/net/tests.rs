//! Connection strings as libpq reads them.

use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::settings::{ChannelBinding, SslMode, Target};
use super::target::TargetError;

fn parse(text: &str) -> Target {
    Target::parse(text, None).unwrap_or_else(|faults| panic!("{text}: {faults:?}"))
}

fn faults(text: &str) -> Vec<TargetError> {
    Target::parse(text, None).err().unwrap_or_default()
}

fn hosts(text: &str) -> Vec<(String, u16)> {
    parse(text).hosts
}

fn pair(host: &str, port: u16) -> (String, u16) {
    (host.to_owned(), port)
}

#[test]
fn urls() {
    let target = parse("postgres://app:p%40ss%3Aw@db.example.com:6000/sh%6fp?sslmode=require&connect_timeout=3");
    assert_eq!(target.hosts, [pair("db.example.com", 6000)]);
    assert_eq!((target.name.as_deref(), target.user.as_deref()), (Some("shop"), Some("app")));
    assert_eq!(target.password.as_ref().map(|p| p.expose_secret()), Some("p@ss:w"));
    assert_eq!((target.sslmode, target.connect_timeout), (SslMode::Require, Duration::from_secs(3)));
    assert_eq!(parse("postgresql://u:a@b@h/").password.map(|p| p.expose_secret().to_owned()).as_deref(), Some("a@b"));
    let bare = parse("postgres://");
    assert_eq!((bare.hosts, bare.name, bare.user), (vec![pair("127.0.0.1", 5432)], None, None));
}

#[test]
fn several_hosts_and_kinds_of_hosts() {
    assert_eq!(hosts("postgres://a,b:6,[::1]:7/x"), [pair("a", 5432), pair("b", 6), pair("::1", 7)]);
    assert_eq!(hosts("postgres://%2Fvar%2Frun%2Fpostgresql/x"), [pair("/var/run/postgresql", 5432)]);
    assert_eq!(hosts("postgres:///x?host=/tmp&port=9"), [pair("/tmp", 9)]);
    assert_eq!(hosts("host=a,b port=1,2"), [pair("a", 1), pair("b", 2)]);
    assert_eq!(hosts("host=a,b port=7"), [pair("a", 7), pair("b", 7)]);
    assert_eq!(hosts("postgres://[fe80::1]"), [pair("fe80::1", 5432)]);
}

#[test]
fn keywords() {
    let target = parse("  host = localhost  port=\t'' ");
    assert_eq!(target.hosts, [pair("localhost", 5432)]);
    let target = parse(r"dbname='a b' user=x\ y password='\'q\\' sslrootcert=/ca.pem sslmode=verify-ca");
    assert_eq!((target.name.as_deref(), target.user.as_deref()), (Some("a b"), Some("x y")));
    assert_eq!(target.password.map(|p| p.expose_secret().to_owned()).as_deref(), Some(r"'q\"));
    assert_eq!(target.sslmode, SslMode::VerifyCa);
    assert_eq!(parse("").hosts, [pair("127.0.0.1", 5432)]);
}

#[test]
fn tls_depends_on_where_the_server_is() {
    for (text, mode) in [
        ("postgres://localhost", SslMode::Prefer),
        ("postgres://127.8.8.8,[::1]", SslMode::Prefer),
        ("host=/tmp", SslMode::Prefer),
        ("postgres://localhost,db", SslMode::VerifyFull),
        ("postgres://10.0.0.1", SslMode::VerifyFull),
        ("postgres://127.evil.example", SslMode::VerifyFull),
        ("postgres://localhost?sslrootcert=system", SslMode::VerifyFull),
        ("postgres://db?ssl=true", SslMode::Require),
    ] {
        assert_eq!(parse(text).sslmode, mode, "{text}");
    }
    let given = |text| Target::parse(text, Some(SslMode::Require)).map(|t| t.sslmode);
    assert_eq!(given("postgres://localhost"), Ok(SslMode::Require));
    assert_eq!(given("postgres://localhost?sslmode=disable"), Ok(SslMode::Disable));
}

#[test]
fn every_fault_is_reported() {
    let found = faults("postgres://u:p%zz@h:0,i:70000,j/x?sslmode=maybe&foo=1&connect_timeout=soon&port=1,2");
    assert!(found.contains(&TargetError::Encoding("password")));
    assert!(found.contains(&TargetError::Unknown("foo".into())));
    assert!(found.iter().any(|f| matches!(f, TargetError::Value { name: "sslmode", .. })));
    assert!(found.iter().any(|f| matches!(f, TargetError::Value { name: "connect_timeout", .. })));
    assert!(found.contains(&TargetError::PortCount { ports: 2, hosts: 3 }));
    let text: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(!text.join(" ").contains("p%zz"), "{text:?}");
}

#[test]
fn what_is_no_connection_string_is_refused() {
    for (text, fault) in [
        ("mysql://h/x", TargetError::Syntax),
        ("localhost", TargetError::Syntax),
        ("host", TargetError::Syntax),
        ("=x", TargetError::Syntax),
        ("a b=c", TargetError::Syntax),
        ("user='it''s'", TargetError::Syntax),
        ("host='x", TargetError::Quote("host".into())),
        ("postgres://h:0", TargetError::Port("0".into())),
        ("postgres://h:65536", TargetError::Port("65536".into())),
        ("postgres://h:5432x", TargetError::Port("5432x".into())),
        ("postgres://h%2", TargetError::Encoding("host")),
        ("postgres://h/%ff", TargetError::Encoding("database name")),
        ("postgres://h/%00", TargetError::Encoding("database name")),
        ("hostaddr=1.2.3.4", TargetError::Unknown("hostaddr".into())),
    ] {
        assert!(faults(text).contains(&fault), "{text}: {:?}", faults(text));
    }
    assert!(!faults("postgres://h?target_session_attrs=master").is_empty());
    assert!(!faults("postgres://h?load_balance_hosts=yes").is_empty());
    assert!(faults("postgres://a,b?target_session_attrs=read-write&load_balance_hosts=random").is_empty());
    assert!(faults("postgres://h?target_session_attrs=any").is_empty());
}

#[test]
fn logins_and_certificates_of_our_own() {
    let bare = parse("postgres://h");
    assert_eq!((bare.channel_binding, bare.direct_tls), (ChannelBinding::Prefer, false));
    assert!(bare.client_certificate.is_none() && bare.passfile.is_none());
    let full = parse(
        "postgres://h?sslcert=/c&sslkey=/k&channel_binding=require&sslnegotiation=direct&sslmode=require&passfile=/p",
    );
    assert_eq!((full.channel_binding, full.direct_tls), (ChannelBinding::Require, true));
    let certificate = full.client_certificate.expect("both are given");
    assert_eq!((certificate.certificate.as_path(), certificate.key.as_path()), (Path::new("/c"), Path::new("/k")));
    assert_eq!(full.passfile.as_deref(), Some(Path::new("/p")));
    assert_eq!(parse("postgres://h?channel_binding=disable").channel_binding, ChannelBinding::Disable);
    for bad in [
        "postgres://h?sslcert=/c",
        "postgres://h?sslkey=/k",
        "postgres://h?channel_binding=yes",
        "postgres://h?sslnegotiation=x",
        "postgres://127.0.0.1?sslnegotiation=direct",
        "postgres://h?sslnegotiation=direct&sslmode=prefer",
    ] {
        assert!(!faults(bad).is_empty(), "{bad}");
    }
}
