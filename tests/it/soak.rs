//! Mixed load with clients that come, go, fail, cancel and vanish, while the server is restarted: afterwards answers are
//! right, and nothing is left over. `COLUMNSEAL_SOAK_SECONDS`: how long; `make soak` runs it for an hour.

use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::differential::random::Random;
use crate::support::raw::{self, Message, Raw};
use crate::support::{PATIENCE, Twin, eventually};

const WORKERS: u64 = 8;
/// Restarts of the server, evenly spread.
const RESTARTS: u32 = 6;

/// What the workers did.
#[derive(Default)]
struct Done {
    connections: AtomicU64,
    right: AtomicU64,
    failed: AtomicU64,
    cancelled: AtomicU64,
    vanished: AtomicU64,
}

/// What the proxy holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory_kib: u64,
    files: usize,
}

fn held(twin: &Twin) -> Held {
    let files = fs::read_dir(format!("/proc/{}/fd", twin.proxy.id())).unwrap().count();
    Held { memory_kib: twin.proxy.memory(), files }
}

/// Waits until every session is over, on both sides.
fn settle(twin: &Twin) -> Held {
    eventually("every session ends", || {
        let (_, metrics) = twin.proxy.http("/metrics")?;
        let open = metrics.lines().filter(|l| l.starts_with("columnseal_connections{"));
        let phases: Vec<bool> = open.map(|l| l.ends_with(" 0")).collect();
        (!phases.is_empty() && phases.iter().all(|none| *none)).then_some(())
    });
    eventually("the server has no session left but the proxy's own", || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'sealed' AND application_name LIKE 'soak%'";
        (twin.direct.superuser(sql) == "0").then_some(())
    });
    held(twin)
}

fn run(port: u16, seconds: u64, done: &Done, seed: u64, mut restart: impl FnMut()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let over = &over;
                scope.spawn(move || {
                    let mut random = Random::new(seed + worker);
                    while !over.load(Ordering::SeqCst) {
                        visit(port, worker, &mut random, done);
                    }
                })
            })
            .collect();
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            thread::sleep(left.min(Duration::from_secs(seconds) / (RESTARTS + 1)));
            if Instant::now() < end {
                restart();
            }
        }
        over.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// One connection, from its login to its end.
fn visit(port: u16, worker: u64, random: &mut Random, done: &Done) -> Option<()> {
    done.connections.fetch_add(1, Ordering::Relaxed);
    if random.chance(3) {
        // Nonsense, or nothing.
        let mut stream = Raw::over(raw::tcp(port));
        let _ = stream.try_send(&random.next().to_be_bytes()[..random.below(8)]);
        return None;
    }
    let mut raw = Raw::over(raw::tcp(port));
    let name = format!("soak{worker}");
    let hello = raw::startup(0x0003_0000, &[("user", "app"), ("database", "sealed"), ("application_name", &name)]);
    ask(&mut raw, &hello)?;
    for _ in 0..random.below(30) {
        let bytes = statement(worker, random);
        if random.chance(2) {
            // Gone without a word, with answers on the way.
            let _ = raw.try_send(&bytes[..random.below(bytes.len())]);
            done.vanished.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if random.chance(3) {
            cancel(port, &mut raw)?;
            done.cancelled.fetch_add(1, Ordering::Relaxed);
        }
        let failed = ask(&mut raw, &bytes)?.iter().any(|m| m.tag == b'E');
        if failed {
            done.failed.fetch_add(1, Ordering::Relaxed);
            ask(&mut raw, &raw::query("ROLLBACK"))?;
        }
        if random.chance(20) {
            check(&mut raw, worker, random, done)?;
        }
    }
    let _ = raw.try_send(&raw::terminate());
    Some(())
}

/// Sends, and reads to ReadyForQuery. `None`: the connection ended.
fn ask(raw: &mut Raw, bytes: &[u8]) -> Option<Vec<Message>> {
    raw.try_send(bytes).ok()?;
    let asked = Instant::now();
    whole(raw.until_ready(), asked)
}

/// Answers up to ReadyForQuery. `None`: the connection ended. One that stays open and says nothing is stuck.
fn whole(answers: Vec<Message>, asked: Instant) -> Option<Vec<Message>> {
    let whole = answers.last().is_some_and(|m| m.tag == b'Z');
    assert!(whole || asked.elapsed() < PATIENCE, "a connection is stuck");
    whole.then_some(answers)
}

/// A statement that would sleep is cancelled.
fn cancel(port: u16, raw: &mut Raw) -> Option<()> {
    let (pid, key) = raw.key.clone()?;
    raw.try_send(&raw::query("SELECT pg_sleep(60) FROM notes LIMIT 1")).ok()?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let again = scope.spawn(|| {
            // It may come before the statement, and then cancels nothing.
            while !ended.load(Ordering::SeqCst) {
                if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
                    let _ = Raw::over(stream).try_send(&raw::cancel_request(pid, &key));
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        let asked = Instant::now();
        let answers = raw.until_ready();
        ended.store(true, Ordering::SeqCst);
        again.join().unwrap();
        whole(answers, asked)
    })?;
    // A cancel request that is still on its way.
    ask(raw, &raw::query("SELECT 1")).map(drop)
}

/// Rows of this worker are its own.
fn id(worker: u64, random: &mut Random) -> String {
    (worker * 1000 + random.next() % 200).to_string()
}

fn statement(worker: u64, random: &mut Random) -> Vec<u8> {
    let (id, text) = (id(worker, random), format!("person{}@example.com", random.next() % 1000));
    let put = "INSERT INTO notes VALUES ($1, $2, $3, 'plain') ON CONFLICT (id) DO UPDATE SET secret = excluded.secret";
    let values = [Some(id.as_str()), Some(text.as_str()), Some("42")];
    match random.below(12) {
        0..3 => raw::extended(put, &values),
        3 => raw::extended(
            "SELECT * FROM notes WHERE secret = $1 OR age > $2 ORDER BY age, id LIMIT 50",
            &[Some(&text), Some("41")],
        ),
        4 => raw::query(&format!("SELECT id, secret FROM notes WHERE secret LIKE '%{}%'", &text[..8])),
        5 => {
            let name = format!("n{}", random.next() % 5000);
            [
                raw::close_statement(&name),
                raw::parse(&name, "SELECT secret, count(*) FROM notes WHERE age = $1 GROUP BY secret", &[]),
                raw::bind("", &name, &[Some("42")]),
                raw::execute("", 0),
                raw::sync(),
            ]
            .concat()
        }
        6 => raw::query(&format!(
            "BEGIN; DECLARE c CURSOR FOR SELECT secret FROM notes ORDER BY age; FETCH 5 FROM c; DELETE FROM notes WHERE id = {id}; COMMIT"
        )),
        7 => raw::query("SELECT initcap(secret) FROM notes"),
        8 => raw::query(&format!("SELECT 1 / ({id} - {id}) FROM notes")),
        9 => raw::query("COPY notes (id, secret) TO STDOUT"),
        10 => {
            let rows = format!("{id}\t{text}\t1\tplain\n");
            [raw::query("COPY notes FROM STDIN"), raw::message(b'd', rows.as_bytes()), raw::message(b'c', b"")].concat()
        }
        _ => raw::extended("SELECT $1::text, repeat('x', 10000)", &[Some(&text)]),
    }
}

/// What is stored comes back.
fn check(raw: &mut Raw, worker: u64, random: &mut Random, done: &Done) -> Option<()> {
    let (id, text) = (id(worker, random), format!("checked {}", random.next()));
    let put = "INSERT INTO notes (id, secret, age) VALUES ($1, $2, 7) ON CONFLICT (id) DO UPDATE SET secret = excluded.secret";
    let answers = ask(raw, &raw::extended(put, &[Some(&id), Some(&text)]))?;
    if answers.iter().any(|m| m.tag == b'E') {
        return Some(());
    }
    let answers =
        ask(raw, &raw::extended("SELECT secret FROM notes WHERE id = $1 AND secret = $2", &[Some(&id), Some(&text)]))?;
    if answers.iter().any(|m| m.tag == b'E') {
        return Some(());
    }
    let rows: Vec<_> = answers.iter().filter(|m| m.tag == b'D').map(|m| m.values()).collect();
    assert_eq!(rows, [[Some(text.into_bytes())]]);
    done.right.fetch_add(1, Ordering::Relaxed);
    Some(())
}

#[test]
fn nothing_is_left_over_after_mixed_load() {
    let seconds: u64 = std::env::var("COLUMNSEAL_SOAK_SECONDS").map_or(16, |s| s.parse().unwrap());
    let mut twin = Twin::start();
    twin.create("CREATE TABLE notes (id int PRIMARY KEY, secret seal.text_search, age seal.int4_ord, label text)");
    twin.sealed.sql("INSERT INTO notes VALUES (-1, 'one', 1, 'l')");
    // An hour of it would not fit into memory.
    twin.relay.forget();
    let done = Done::default();
    let port = twin.proxy.port;
    run(port, seconds / 4, &done, 1, || {});
    let before = settle(&twin);
    run(port, seconds - seconds / 4, &done, 1_000_000, || twin.cluster.restart());
    let after = settle(&twin);
    let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
    let told = format!(
        "{} connections, {} checks right, {} statements failed, {} cancelled, {} vanished; before {before:?}, after {after:?}",
        count(&done.connections),
        count(&done.right),
        count(&done.failed),
        count(&done.cancelled),
        count(&done.vanished),
    );
    eprintln!("{told}");
    for counted in [&done.connections, &done.right, &done.failed, &done.cancelled, &done.vanished] {
        assert!(count(counted) > 0, "{told}");
    }
    assert!(after.files <= before.files + 4, "files are left open: {told}");
    assert!(after.memory_kib <= before.memory_kib + before.memory_kib / 4 + 8 * 1024, "memory grows: {told}");
    assert_eq!(twin.sealed.sql("SELECT id, secret, age FROM notes WHERE secret = 'one'"), "-1|one|1\n");
}
