//! What drivers send, recorded and sent again: on plain tables the answers through the proxy are those of PostgreSQL, byte for byte.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::drivers::{PEOPLE, programs};
use crate::support::process::run;
use crate::support::twin::plain;
use crate::support::{Cluster, Database, Proxy, Relay, Workspace, raw};

/// A cluster as all the others are: what is made in the same order has the same OIDs.
fn cluster() -> (Cluster, Database, Workspace) {
    let cluster = Cluster::plain();
    let database = cluster.database("shop");
    let workspace = Workspace::init(&database);
    // So that statements are judged.
    database.sql("CREATE TABLE sealed (id int, secret seal.text_eq)");
    (cluster, database, workspace)
}

fn renew(database: &Database) {
    database.sql("DROP TABLE IF EXISTS people");
    database.sql(&plain(PEOPLE));
}

/// A connection's bytes without the requests for encryption before them, which are answered by a byte each.
fn after_requests(mut bytes: &[u8]) -> &[u8] {
    for request in [raw::ssl_request(), raw::gss_request(), raw::ssl_request()] {
        bytes = bytes.strip_prefix(&request[..]).unwrap_or(bytes);
    }
    bytes
}

/// Sends everything at once; what comes back, without process id and key.
fn replay(port: u16, sent: &[u8]) -> Vec<u8> {
    let mut stream = raw::tcp(port);
    let mut writes = stream.try_clone().unwrap();
    let mut answers = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            writes.write_all(sent).unwrap();
            writes.shutdown(Shutdown::Write).unwrap();
        });
        stream.read_to_end(&mut answers).unwrap();
    });
    let key = answers.windows(5).position(|w| w == [b'K', 0, 0, 0, 12]).expect("a login");
    answers.drain(key + 5..key + 13);
    answers
}

#[test]
fn recorded_sessions_of_drivers_get_the_same_bytes() {
    let (recording, database, _) = cluster();
    let mut recorded = Vec::new();
    for (name, mut program) in programs() {
        renew(&database);
        let relay = Relay::start(recording.port);
        let through = recording.at("shop", relay.port);
        let output = run(program.env("DATABASE_URL", &through.url), "");
        assert!(output.out.ends_with("done\n"), "{name}:\n{}\n{}", output.out, output.err);
        recorded.extend(relay.connections().into_iter().map(|bytes| (name, bytes)));
    }
    let (direct, direct_database, _) = cluster();
    let (_behind, behind_database, workspace) = cluster();
    let proxy = Proxy::start(&workspace, &behind_database);
    let (mut last, mut compared) = ("", 0);
    for (name, sent) in &recorded {
        if last != *name {
            [&direct_database, &behind_database].into_iter().for_each(renew);
            last = name;
        }
        let sent = after_requests(sent);
        let (expected, got) = (replay(direct.port, sent), replay(proxy.port, sent));
        let at = expected.iter().zip(&got).take_while(|(a, b)| a == b).count();
        let around = |bytes: &[u8]| bytes[at.saturating_sub(60)..bytes.len().min(at + 60)].escape_ascii().to_string();
        assert!(expected == got, "{name}, byte {at}\ndirect : {}\nthrough: {}", around(&expected), around(&got));
        compared += got.len();
    }
    assert!(recorded.len() >= 5 && compared > 20_000, "{} sessions, {compared} bytes", recorded.len());
}
