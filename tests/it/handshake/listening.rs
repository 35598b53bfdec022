//! Where a proxy listens: several addresses, names, and Unix sockets.

use std::net::{Ipv6Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use columnseal::session::listen::{Listener, bind};

use super::{Proxy, With};
use crate::support::Cluster;
use crate::support::cluster::psql;

fn hosts(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn several_addresses_share_a_port() {
    let cluster = Cluster::plain();
    cluster.database("shop");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().display().to_string();
    let mut all = vec!["127.0.0.1", "localhost", folder.as_str(), "127.0.0.2"];
    if has_ipv6() {
        all.extend(["::1", "[::1]"]);
    }
    let with = With { hosts: Some(hosts(&all)), socket_mode: Some(0o700), ..With::default() };
    let proxy = Proxy::new(&cluster, with).await;
    let mut reached = vec!["127.0.0.1".to_owned(), "127.0.0.2".to_owned(), folder.replace('/', "%2F")];
    if has_ipv6() {
        reached.push("[::1]".to_owned());
    }
    for host in reached {
        let url = format!("postgres://app@{host}:{}/shop", proxy.port);
        assert_eq!(psql(&url, "SELECT 1").ok(), "1\n", "{host}");
    }
    let socket = dir.path().join(format!(".s.PGSQL.{}", proxy.port));
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left there");
    // A socket that is listened on is not taken away.
    let taken = bind(&hosts(&[&folder]), proxy.port, 0o777).await.map(|_| ()).unwrap_err();
    assert_eq!((taken.0, taken.1.kind()), (folder.clone(), std::io::ErrorKind::AddrInUse));
    proxy.shutdown.cancel();
    proxy.task.await.unwrap();
    assert!(!socket.exists());
    // One that nobody listens on any more is.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists() && bind(&hosts(&[&folder]), proxy.port, 0o777).await.is_ok());
}

#[tokio::test]
async fn all_addresses_of_the_machine_are_a_star() {
    let listeners = bind(&hosts(&["*"]), 0, 0o777).await.unwrap();
    let port = listeners.iter().find_map(Listener::port).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_ok() && TcpStream::connect(("127.0.0.3", port)).is_ok());
    assert_eq!(TcpStream::connect((Ipv6Addr::LOCALHOST, port)).is_ok(), has_ipv6());
    drop(listeners);
    if has_ipv6() {
        // One for IPv6 takes IPv4 as well, as it does in containers.
        let listeners = bind(&hosts(&["::"]), 0, 0o777).await.unwrap();
        let port = listeners.iter().find_map(Listener::port).unwrap();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_ok());
    }
    let unknown = bind(&hosts(&["127.0.0.1", "no-such-host.invalid"]), 0, 0o777).await.map(|_| ()).unwrap_err();
    assert_eq!(unknown.0, "no-such-host.invalid");
}
