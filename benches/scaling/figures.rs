//! What was measured (`cargo bench --bench scaling -- measure`), as the simulation takes it: a release build of the key server over
//! PostgreSQL, on a machine that was busy with other things.

/// Processor time in nanoseconds, and statements that are sent to PostgreSQL one after the other.
#[derive(Clone, Copy, Default, Debug)]
pub struct Work {
    pub server: u64,
    pub store: u64,
    pub trips: u64,
}

const fn work(server_us: u64, store_us: u64, trips: u64) -> Work {
    Work { server: server_us * 1_000, store: store_us * 1_000, trips }
}

impl Work {
    pub const fn plus(self, more: Work, times: u64) -> Work {
        Work {
            server: self.server + more.server * times,
            store: self.store + more.store * times,
            trips: self.trips + more.trips * times,
        }
    }
}

pub const CONNECTION: Work = work(380, 0, 0);
pub const SERVICE: Work = work(120, 90, 3);
pub const RENEW: Work = work(460, 190, 8);
pub const STATE: Work = work(610, 410, 11);
pub const STATE_KEYSET: Work = work(4, 4, 0);
pub const PINS: Work = work(400, 170, 5);
pub const GRANTS: Work = work(500, 250, 8);
pub const FILL: Work = work(955, 480, 9);
pub const KEY_PROVED: Work = work(54, 0, 0);
pub const TERMS: Work = work(960, 490, 8);
pub const FETCH: Work = work(870, 450, 11);
pub const KEY: Work = work(42, 0, 0);
pub const RECORDS: Work = work(685, 620, 9);
pub const RECORD: Work = work(15, 20, 0);
/// Writing down what is given, but for the rows: its work is in the requests.
pub const APPEND: Work = work(0, 0, 4);
pub const OPEN: Work = work(1_180, 380, 7);
pub const BEAT: Work = work(124, 0, 0);
pub const WAKE: Work = work(2, 4, 0);
pub const LOOK: Work = work(296, 160, 6);
/// Notes of clients that were seen: all that wait at once, and each of them. One alone was measured with 50 and 67 µs; how that divides is an estimate.
pub const NOTE_READ: Work = work(20, 30, 2);
pub const NOTE_READ_EACH: Work = work(20, 25, 1);
/// While it holds the row that changes take turns by.
pub const NOTE_WRITE: Work = work(30, 60, 2);
pub const NOTE_WRITE_EACH: Work = work(30, 42, 2);
/// This and the next are estimates.
pub const POLL: Work = work(150, 80, 3);
pub const OVERVIEW: Work = work(250, 100, 4);
pub const OVERVIEW_CLIENT: Work = work(1, 2, 0);
/// Bytes of memory of a proxy for a keyset of its list, and for one in use.
pub const KEYSET_LISTED: f64 = 410.0;
pub const KEYSET_USED: f64 = 13_824.0;

/// As the page shows them.
pub fn table() -> String {
    let rows = [
        ("connection with TLS", CONNECTION),
        ("lease renewal", RENEW),
        ("state of a client with one keyset", STATE),
        ("each further keyset of it", STATE_KEYSET),
        ("a grant", GRANTS),
        ("new data keys, a request", FILL),
        ("each key of it, proved", KEY_PROVED),
        ("data keys by id, a request", FETCH),
        ("each key of it", KEY),
        ("a term root", TERMS),
        ("records of access, a request", RECORDS),
        ("each record of it", RECORD),
        ("opening an event stream", OPEN),
        ("a heartbeat of a stream", BEAT),
        ("a change that concerns others, each stream", WAKE),
        ("a change that concerns a client, each stream", LOOK),
        ("a change, each client in the store", OVERVIEW_CLIENT),
        ("noting that clients were seen (estimate)", NOTE_WRITE),
        ("each of them (estimate)", NOTE_WRITE_EACH),
    ];
    let row = |(what, Work { server, store, trips }): (&str, Work)| {
        let trips = if trips > 0 { trips.to_string() } else { String::new() };
        format!("| {what} | {} | {} | {trips} |\n", server / 1_000, store / 1_000)
    };
    let head = "| | key server, µs | PostgreSQL, µs | statements |\n|---|---|---|---|\n";
    head.to_owned() + &rows.map(row).concat()
}
