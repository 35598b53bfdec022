//! What is played, and the tables of it.

use std::sync::Mutex;
use std::time::Duration;

use columnseal::keys::ring::ENTRY_BYTES;

use super::figures;
use super::model::demand::{Demand, Load};
use super::model::outcome::Outcome;
use super::model::world::{BEGIN, Disturbance, World};
use super::model::{KINDS, Kind, SECOND, Setting};

/// Before this nothing is counted.
const WARM: u64 = BEGIN + 10 * SECOND;

/// A table in Markdown.
pub struct Table {
    pub title: String,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn text(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let head = self.head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rule = format!("|{}\n", "---|".repeat(head.len()));
        let rows = self.rows.iter().map(|row| line(row)).collect::<String>();
        format!("{}\n\n{}{rule}{rows}", self.title, line(&head))
    }
}

/// A world without disturbances for so many seconds.
pub fn steady(setting: &Setting, seconds: u64) -> Outcome {
    let mut world = World::new(setting);
    world.run(WARM);
    world.count_anew();
    world.run(WARM + seconds * SECOND);
    world.end(WARM)
}

/// A world that is disturbed, until all is well again or this time is over.
pub fn disturbed(setting: &Setting, seconds: u64, what: &[(u64, Disturbance)]) -> Outcome {
    let mut world = World::new(setting);
    world.run(WARM);
    world.count_anew();
    for (after, disturbance) in what {
        world.disturb(WARM + after * SECOND, disturbance.clone());
    }
    let last = WARM + what.iter().map(|(after, _)| after * SECOND).max().unwrap_or(0);
    let (mut well, step) = (None, SECOND / 10);
    let mut at = WARM;
    while at < WARM + seconds * SECOND {
        at += step;
        world.run(at);
        let all = (0..world.proxies.len() as u32).all(|id| world.is_well(id));
        well = if all && at > last {
            well.or(Some(at - last))
        } else if all {
            well
        } else {
            None
        };
    }
    let mut outcome = world.end(WARM);
    outcome.recovered = well;
    outcome
}

fn cores(nanos: u64, seconds: u64) -> String {
    format!("{:.2}", nanos as f64 / 1e9 / seconds as f64)
}

/// Requests a second and processor by kind.
pub fn by_kind(setting: &Setting) -> Table {
    const TIME: u64 = 60;
    let outcome = steady(setting, TIME);
    let name = |kind: Kind| match kind {
        Kind::Service | Kind::State | Kind::Pins => "starts",
        Kind::Renew => "lease renewals",
        Kind::Grants => "keysets opened",
        Kind::Fill => "pools filled",
        Kind::Terms => "term roots",
        Kind::Fetch => "data keys by id",
        Kind::Records => "records of access",
        Kind::Open => "streams opened",
        Kind::Beat => "heartbeats",
        Kind::Look => "clients that something concerns",
        Kind::Note => "clients noted as seen",
        Kind::Poll => "looks for changes",
    };
    let mut rows = Vec::new();
    let (mut done, mut server, mut store) = (0, 0, 0);
    for kind in KINDS {
        let count = outcome.counted(kind);
        (done, server, store) = (done + count.done, server + count.server, store + count.store);
        if count.done > 0 {
            let rate = format!("{:.0}", count.done as f64 / TIME as f64);
            rows.push(vec![name(kind).to_owned(), rate, cores(count.server, TIME), cores(count.store, TIME)]);
        }
    }
    let rate = format!("{:.0}", done as f64 / TIME as f64);
    rows.push(vec!["**all**".into(), rate, cores(server, TIME), cores(store, TIME)]);
    let title = format!("{} proxies, {} replicas, in quiet times", setting.proxies, setting.replicas);
    Table { title, head: vec!["", "a second", "cores of all replicas", "cores of the store"], rows }
}

/// What happens when something goes wrong.
pub fn disturbances(setting: &Setting) -> Table {
    let one = Disturbance::Change(vec![7]);
    let some = |count: usize| Disturbance::Change((0..count.min(setting.proxies) as u32).collect());
    let with = |replicas: usize| Setting { replicas, ..setting.clone() };
    let away = |seconds: u64| vec![(5, Disturbance::Away(true)), (5 + seconds, Disturbance::Away(false))];
    let played: Vec<(String, Setting, u64, Vec<(u64, Disturbance)>)> = vec![
        ("one client is revoked".into(), setting.clone(), 20, vec![(5, one)]),
        ("a keyset of 100 clients is disabled".into(), setting.clone(), 20, vec![(5, some(100))]),
        ("a keyset of 1,000".into(), setting.clone(), 30, vec![(5, some(1_000))]),
        ("a keyset of all".into(), setting.clone(), 60, vec![(5, some(setting.proxies))]),
        (
            "a tenth starts within a minute".into(),
            setting.clone(),
            100,
            vec![(5, Disturbance::Restart(0.1, 60 * SECOND))],
        ),
        ("all start within a minute".into(), setting.clone(), 100, vec![(5, Disturbance::Restart(1.0, 60 * SECOND))]),
        ("all start within a second".into(), setting.clone(), 80, vec![(5, Disturbance::Restart(1.0, SECOND))]),
        ("one of 10 replicas ends".into(), with(10), 40, vec![(5, Disturbance::Kill(0))]),
        ("one of 7 ends".into(), with(7), 60, vec![(5, Disturbance::Kill(0))]),
        ("the store is away for 20 s".into(), setting.clone(), 60, away(20)),
        ("the store is away for 90 s".into(), setting.clone(), 130, away(90)),
        ("the store takes 4 times as long".into(), setting.clone(), 60, vec![(5, Disturbance::Slow(4.0))]),
        ("the store takes 10 times as long".into(), setting.clone(), 60, vec![(5, Disturbance::Slow(10.0))]),
    ];
    let rows = at_once(played, |(name, setting, seconds, what)| {
        let mut outcome = disturbed(&setting, seconds, &what);
        let applied = |share: f64, outcome: &mut Outcome| match outcome.applied.len() {
            0 => "–".to_owned(),
            _ => format!("{:.2}", outcome.applied.share(share)),
        };
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| applied(share, &mut outcome));
        vec![
            name,
            p50,
            p99,
            max,
            format!("{:.2}", outcome.renewals.share(0.99)),
            outcome.lost_streams.to_string(),
            outcome.without_lease.to_string(),
            outcome.recovered.map_or("not".into(), |time| format!("{:.1}", time as f64 / 1e9)),
            scarce(&outcome),
        ]
    });
    let head = vec![
        "",
        "heard p50, s",
        "p99",
        "last",
        "renewal p99, s",
        "streams lost",
        "leases lost",
        "well after, s",
        "most used",
    ];
    Table { title: "Disturbances".into(), head, rows }
}

fn scarce(outcome: &Outcome) -> String {
    let (what, share) = outcome.scarcest();
    format!("{what}, {:.0} %", share * 100.0)
}

/// How cost grows as one thing grows.
pub fn growth(setting: &Setting) -> Table {
    const TIME: u64 = 10;
    let rows = at_once(grown(setting), |(name, setting)| {
        let mut outcome = steady(&setting, TIME);
        let asked = |kind: &&Kind| !matches!(kind, Kind::Beat | Kind::Note | Kind::Poll | Kind::Look);
        let requests = KINDS.iter().filter(asked).map(|kind| outcome.counted(*kind).done).sum::<u64>();
        let counts = KINDS.map(|kind| outcome.counted(kind));
        let (server, store) = counts.iter().fold((0, 0), |sum, count| (sum.0 + count.server, sum.1 + count.store));
        let late = outcome.renewals.share(0.99);
        let holds = late < 1.0 && outcome.without_lease == 0 && outcome.lost_streams == 0;
        vec![
            name,
            format!("{:.0}", requests as f64 / TIME as f64),
            cores(server, TIME),
            cores(store, TIME),
            format!("{late:.2}"),
            if holds { "holds" } else { "**breaks**" }.to_owned(),
            scarce(&outcome),
        ]
    });
    let head = vec!["", "requests a second", "cores of replicas", "of the store", "renewal p99, s", "", "most used"];
    Table { title: "Growth".into(), head, rows }
}

/// Memory of proxies by how many keysets they have, after an hour.
pub fn memory(setting: &Setting) -> Table {
    let world = World::new(&Setting { proxies: 0, ..setting.clone() });
    let mib = |bytes: f64| format!("{:.1}", bytes / f64::from(1 << 20));
    let row = |((share, size), demand): (&(f64, usize), &Demand)| {
        let listed = *size as f64 * figures::KEYSET_LISTED;
        let used = demand.used as f64 * figures::KEYSET_USED;
        let cached = demand.cached as f64 * f64::from(ENTRY_BYTES);
        let share = format!("{:.0} %", share * 100.0);
        vec![size.to_string(), share, demand.used.to_string(), demand.cached.to_string(), mib(listed + used + cached)]
    };
    let rows = setting.sizes.iter().zip(&world.demands).map(row).collect();
    let head = vec!["keysets granted", "of all proxies", "in use", "data keys kept", "MiB for them"];
    Table { title: "Memory of a proxy for keys, after an hour".into(), head, rows }
}

/// A small world, which plays in a moment.
pub fn small() -> Table {
    let sizes = vec![(0.9, 10), (0.1, 100)];
    let setting = Setting { proxies: 200, sizes, replicas: 2, ..Setting::default() };
    let all = Disturbance::Change((0..setting.proxies as u32).collect());
    let what = [(5, all), (10, Disturbance::Kill(0))];
    let mut outcome = disturbed(&setting, 20, &what);
    let events = outcome.events.to_string();
    let heard = format!("{:.3}", outcome.applied.share(1.0));
    let well = outcome.recovered.map_or("not".into(), |time| format!("{:.1}", time as f64 / 1e9));
    let rows = vec![vec![events, heard, outcome.lost_streams.to_string(), well]];
    let head = vec!["events", "last heard, s", "streams lost", "well after, s"];
    Table { title: "200 proxies, 2 replicas: a keyset of all is disabled, then a replica ends".into(), head, rows }
}

/// Worlds that differ in one thing.
fn grown(setting: &Setting) -> Vec<(String, Setting)> {
    let mut all = Vec::new();
    for (proxies, replicas) in
        [(1_000, 1), (2_000, 1), (3_000, 1), (10_000, 5), (10_000, 10), (10_000, 20), (20_000, 20), (30_000, 40)]
    {
        all.push((format!("{proxies} proxies, {replicas} replicas"), Setting { proxies, replicas, ..setting.clone() }));
    }
    all.push(("no statements".into(), Setting { active: 0.0, ..setting.clone() }));
    let load = |name: String, load: Load| (name, Setting { load, ..setting.clone() });
    for statements in [1.0, 20.0] {
        all.push(load(format!("{statements} statements a second"), Load { statements, ..setting.load }));
    }
    for rows in [1, 20] {
        all.push(load(format!("{rows} rows a statement"), Load { rows, ..setting.load }));
    }
    for writers in [1, 20] {
        all.push(load(format!("{writers} proxies write under a keyset"), Load { writers, ..setting.load }));
    }
    for size in [1, 100, 1_000] {
        all.push((format!("{size} keysets each"), Setting { sizes: vec![(1.0, size)], ..setting.clone() }));
    }
    for lease in [10, 300] {
        all.push((format!("lease {lease} s"), Setting { lease: Duration::from_secs(lease), ..setting.clone() }));
    }
    for (trip, commit) in [(100_u32, 500_u32), (500, 2_000), (1_000, 5_000)] {
        let name = format!("store {} ms away, commit {} ms", f64::from(trip) / 1e3, f64::from(commit) / 1e3);
        let (trip, commit) = (Duration::from_micros(trip.into()), Duration::from_micros(commit.into()));
        all.push((name, Setting { trip, commit, ..setting.clone() }));
    }
    all
}

/// Plays worlds on all cores; what came of them, in order.
fn at_once<T: Send>(worlds: Vec<T>, play: impl Fn(T) -> Vec<String> + Sync) -> Vec<Vec<String>> {
    let count = worlds.len();
    let waiting = Mutex::new(worlds.into_iter().enumerate());
    let played = Mutex::new(vec![Vec::new(); count]);
    let work = || {
        loop {
            let next = waiting.lock().expect("nothing panics with this lock").next();
            let Some((at, world)) = next else { break };
            let row = play(world);
            played.lock().expect("nothing panics with this lock")[at] = row;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    played.into_inner().expect("nothing panics with this lock")
}
