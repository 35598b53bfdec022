//! No plaintext of an encrypted column leaves the proxy towards the server or into a log: the server logs all it can,
//! the proxy logs all it can too, a relay keeps every byte sent to the server, and all of it is searched.

use std::collections::{BTreeSet, HashMap};

use crate::support::collector::Collector;
use crate::support::raw::{self, Raw};
use crate::support::{Options, ProxyOptions, Twin};

const SCHEMA: &str = "
    CREATE TABLE users (id int PRIMARY KEY, grp int, email seal.text_eq, note seal.text, name seal.varchar_eq NOT NULL, blob seal.bytea_eq,
        doc seal.jsonb, num seal.int8_eq, amount seal.numeric_eq, rank seal.text_ord, day seal.date_ord, CHECK (grp < 100));
    CREATE UNIQUE INDEX users_email ON users (email);
    CREATE TABLE orders (id serial PRIMARY KEY, email seal.text_eq, plain text, tag seal.bpchar_eq);
    INSERT INTO users (id, grp, email, name) VALUES (1, 1, 'known@example.com', 'known');
    INSERT INTO users (id, grp, email, name) VALUES (2, 1, NULL, 'other');";

/// Statements in which `{}` stands for a marker as literal or parameter: covered, refused, and failing ones.
const STATEMENTS: &[&str] = &[
    // Covered.
    "INSERT INTO users (id, email, name) VALUES (100 + {n}, {}, {})",
    "INSERT INTO users (id, email, name, note) VALUES (200 + {n}, {}, {}, {}), (300 + {n}, NULL, {}, {}) RETURNING *",
    "INSERT INTO users (id, email, name) VALUES (1, {}, {}) ON CONFLICT (id) DO UPDATE SET note = {}",
    "INSERT INTO users (id, email, name) VALUES (1, {}, {}) ON CONFLICT (id) DO NOTHING",
    "INSERT INTO orders (email, tag) SELECT email, {} FROM users WHERE email = {}",
    "UPDATE users SET note = {} WHERE email = {}",
    "UPDATE users SET note = COALESCE(note, {}), name = CASE WHEN id = 1 THEN {} ELSE name END",
    "DELETE FROM orders WHERE email = {} RETURNING email",
    "SELECT * FROM users WHERE email = {} OR name = {}",
    "SELECT * FROM users WHERE email IN ({}, {}) AND name NOT IN ({}, {})",
    "SELECT * FROM users WHERE email = ANY (ARRAY[{}, {}])",
    "SELECT id FROM users WHERE email IS DISTINCT FROM {} AND email <> {}",
    "SELECT u.id FROM users u JOIN orders o ON o.email = u.email AND o.email = {}",
    "SELECT id FROM users WHERE email IN (SELECT email FROM orders WHERE email = {})",
    "WITH w AS (INSERT INTO orders (email) VALUES ({}) RETURNING *) SELECT * FROM w WHERE email = {}",
    "WITH w AS (UPDATE users SET note = {} WHERE id = 2 RETURNING *) SELECT note FROM w",
    "SELECT COALESCE(email, {}) FROM users",
    "SELECT id FROM users WHERE email::text = {}",
    "SELECT id FROM users WHERE email = {}::text OR email = CAST({} AS varchar)",
    "UPDATE users SET rank = {} WHERE rank < {} OR rank >= {}",
    "SELECT id, rank FROM users WHERE rank BETWEEN {} AND {} OR rank > ALL (ARRAY[{}]) ORDER BY rank DESC",
    "SELECT max(rank), min(COALESCE(rank, {})) FROM users WHERE {} <= rank GROUP BY grp HAVING max(rank) > {}",
    "SELECT id, rank() OVER (ORDER BY COALESCE(rank, {})) FROM users",
    "SELECT email, count(*) FROM users GROUP BY email HAVING email = {} OR email IN ({}, {})",
    "SELECT COALESCE(email, {}), count(*) FROM users GROUP BY email",
    "SELECT count(*) FROM users GROUP BY COALESCE(email, {})",
    "SELECT DISTINCT email, name FROM users WHERE email = {}",
    "SELECT count(DISTINCT COALESCE(email, {})) FROM users",
    "SELECT email FROM users WHERE email = {} INTERSECT ALL SELECT {}",
    "SELECT email FROM users EXCEPT SELECT {} UNION SELECT {}",
    "SELECT id FROM users WHERE (email, id) = ({}, 1) OR (email, num) IN (({}, 1), ({}, 2))",
    "SELECT id FROM users WHERE (email, id) NOT IN (SELECT email, id FROM orders WHERE email = {} UNION SELECT {}, 1)",
    "SELECT CASE email WHEN {} THEN email ELSE {} END, NULLIF(email, {}) FROM users",
    "SELECT CASE {} WHEN email THEN 1 END FROM users",
    "SELECT email FROM users JOIN (VALUES ({}), ({})) v (email) USING (email)",
    "SELECT email FROM users FULL JOIN orders USING (email) WHERE email = {}",
    "INSERT INTO users (id, email, name) VALUES (900 + {n}, {}, {}) ON CONFLICT (email) DO UPDATE SET note = {} WHERE users.email <> {}",
    "MERGE INTO orders o USING (VALUES ({}, {})) v (e, t) ON o.email = v.e WHEN MATCHED AND o.tag = v.t THEN DELETE WHEN NOT MATCHED THEN INSERT (email, tag) VALUES (v.e, {})",
    "SELECT id FROM users WHERE (rank, id) > ({}, 1) ORDER BY rank, id LIMIT 3",
    "CREATE TABLE made_{n} AS SELECT id, COALESCE(email, {}) AS email FROM users WHERE email = {}",
    "SELECT id, email INTO into_{n} FROM users WHERE email = {}",
    "EXPLAIN (ANALYZE, VERBOSE, FORMAT json) SELECT id FROM users WHERE email = {} OR rank < {}",
    "INSERT INTO orders (email) SELECT * FROM unnest({}::text[])",
    "UPDATE users SET note = u.n FROM unnest({}::text[], {}::text[]) AS u (e, n) WHERE users.email = u.e",
    // Failing in PostgreSQL.
    "SELECT id FROM users WHERE day < {} ORDER BY day",
    "INSERT INTO users (id, name, rank) VALUES (1, 'x', {})",
    "SELECT id, email FROM users WHERE email = {} GROUP BY email",
    "SELECT email FROM users UNION SELECT {}, {}",
    "INSERT INTO users (id, email, name) VALUES (950, {}, {}) ON CONFLICT (name) DO NOTHING",
    "MERGE INTO users USING (VALUES ({})) v (e) ON users.email = v.e WHEN NOT MATCHED THEN INSERT (id, email) VALUES (951, v.e)",
    "INSERT INTO users (id, email, name) VALUES (1, {}, {})",
    "INSERT INTO users (id, email, name) VALUES (700, {}, {}), (701, {}, NULL)",
    "INSERT INTO users (id, email, name, note) VALUES (702, 'known@example.com', {}, {})",
    "INSERT INTO users (id, grp, email, name) VALUES (703, 1000, {}, {})",
    "UPDATE users SET name = NULL, note = {} WHERE id = 1",
    "UPDATE users SET grp = 100, note = {} WHERE id = 1",
    "SELECT nothing FROM users WHERE email = {}",
    "SELECT id FROM users WHERE email == {}",
    "SELECT id FROM users WHERE email = {} AND 1 / (id - id) = 1",
    "SELECT id FROM users WHERE email = {} GROUP BY grp",
    "INSERT INTO users (id, email) VALUES (704, {}, {})",
    "SELECT id FROM users WHERE email = {}::no_such_type",
    "SELECT id FROM users WHERE num = {}",
    "SELECT id FROM users WHERE amount IN ({}, {})",
    "INSERT INTO users (id, name, num) VALUES (705, 'x', {})",
    "INSERT INTO users (id, name, doc) VALUES (706, 'x', {})",
    "INSERT INTO users (id, name, blob) VALUES (707, 'x', '\\x' || {})",
    // Syntax that does not parse.
    "SELECT id FROM users WHERE email = {} AND AND",
    "SELEC id FROM users WHERE email = {}",
    "INSERT INTO users (id, email VALUES (1, {})",
    "UPDATE users SET email = {} WHERE (",
    "SELECT id FROM users WHERE email = {} $$ unfinished",
    "SELECT id FROM users WHERE email = {} /* unfinished",
    // Outside the scope: refused.
    "SELECT id FROM users WHERE upper(email::text) = {}",
    "SELECT id FROM users WHERE upper(email::text) = upper({})",
    "SELECT id FROM users WHERE lower(email) = lower({})",
    "SELECT id FROM users WHERE email LIKE {}",
    "SELECT id FROM users WHERE email ILIKE {} || '%'",
    "SELECT id FROM users WHERE concat(email) = {}",
    "SELECT id FROM users WHERE users::text LIKE {}",
    "SELECT id FROM users WHERE row(email)::text = {}",
    "SELECT id FROM users WHERE md5(email::text) = md5({})",
    "SELECT id FROM users WHERE email || '' = {}",
    "SELECT id FROM users WHERE email > {}",
    "SELECT id FROM users WHERE email BETWEEN {} AND {}",
    "SELECT id FROM users WHERE (email, name) = ({}, {})",
    "SELECT id FROM users WHERE (rank, id) > ({}, 1) ORDER BY rank USING <",
    "SELECT GREATEST(rank, {}), rank || {} FROM users ORDER BY 1",
    "SELECT NULLIF(email, {}) FROM users",
    "SELECT CASE email WHEN {} THEN 1 END FROM users",
    "SELECT id FROM users ORDER BY email = {}",
    "SELECT count(*) FILTER (WHERE email = {}) FROM users",
    "SELECT position({} IN email::text) FROM users",
    "SELECT format('%s %s', email, {}) FROM users",
    "SELECT email FROM users UNION SELECT {}",
    "SELECT * FROM json_populate_recordset(NULL::users, {})",
    "INSERT INTO users (id, name, email) VALUES (800, 'x', lower({}))",
    "INSERT INTO users (id, name, email) VALUES (801, 'x', {} || '@example.com')",
    "UPDATE users SET email = {} || email WHERE id = 1",
    "INSERT INTO users SELECT 802, 1, {}, NULL, 'x'",
    "INSERT INTO users SELECT * FROM (VALUES (803, 1, {}, NULL, 'x')) v",
    "MERGE INTO users USING (VALUES ({})) v (e) ON users.email = v.e WHEN NOT MATCHED THEN INSERT (id, name, email) VALUES (804, {}, v.e)",
    "SELECT id FROM users WHERE ({} = '' OR email = {})",
    "SELECT id FROM users WHERE {} IS NULL OR email = {}",
    "SELECT id FROM users WHERE EXISTS (SELECT FROM (SELECT {} AS e) s WHERE s.e = users.email::text)",
    "WITH p (e) AS (VALUES ({})) SELECT id FROM users, p WHERE users.email = p.e",
    "SELECT id FROM users, (VALUES ({})) p (e) WHERE users.email = p.e",
    "SELECT id FROM users, unnest(ARRAY[{}]) p WHERE users.email = p",
    "DECLARE c CURSOR FOR SELECT id FROM users WHERE email = {}",
    "PREPARE p AS SELECT id FROM users WHERE email = {}",
    "EXPLAIN SELECT id FROM users WHERE email = {}",
    "PREPARE x{n} (text) AS SELECT email FROM users WHERE email = $1; EXPLAIN (ANALYZE, VERBOSE) EXECUTE x{n}({})",
    "EXPLAIN ANALYZE UPDATE users SET note = {} WHERE email = {}",
    "CREATE TABLE copy AS SELECT * FROM users WHERE email = {}",
    "SELECT * INTO copy FROM users WHERE email = {}",
    "CREATE VIEW v AS SELECT * FROM users WHERE email = {}",
    "CREATE INDEX ON users (grp) WHERE email = {}",
    "ALTER TABLE users ALTER email SET DEFAULT {}",
    "ALTER TABLE users ADD CHECK (email <> {})",
    "CREATE TABLE t2 (email seal.text_eq DEFAULT {})",
    "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users WHERE email = '{}''",
    "CREATE POLICY p ON users USING (email = {})",
    "DO 'BEGIN PERFORM 1 FROM users WHERE email = '{}'; END'",
    "COPY (SELECT id FROM users WHERE email = {}) TO STDOUT",
    "SELECT query_to_xml('SELECT id FROM users WHERE email = '{}'', true, true, '')",
    "COMMENT ON COLUMN users.email IS 'mail'; SELECT id FROM users WHERE email = {}",
    // Several in one message; the last fails or is refused.
    "BEGIN; UPDATE users SET note = {} WHERE id = 1; SELECT 1 / 0; SELECT id FROM users WHERE email = {}",
    "SELECT id FROM users WHERE email = {}; SELECT id FROM users WHERE email LIKE {}",
];

/// Numbers the markers, so that a find tells where it came from.
struct Markers {
    used: Vec<(String, String)>,
}

impl Markers {
    fn next(&mut self, statement: &str) -> String {
        let marker = format!("Zq{:04}Secret{:04}", self.used.len(), (self.used.len() * 7919) % 10_000);
        self.used.push((marker.clone(), statement.to_owned()));
        marker
    }
}

/// The statement with literals, and the statement with `$n` and its values.
fn both_forms(statement: &str, number: usize, markers: &mut Markers) -> (String, String, Vec<String>) {
    let statement = statement.replace("{n}", &number.to_string());
    // Inside a quoted body quotes are doubled.
    let quote = if statement.contains("'{}'") { "''" } else { "'" };
    let placeholder = if quote == "''" { "'{}'" } else { "{}" };
    let (mut simple, mut extended, mut values) = (String::new(), String::new(), Vec::new());
    for (i, part) in statement.split(placeholder).enumerate() {
        if i > 0 {
            let first = markers.next(&statement);
            simple.push_str(&format!("{quote}{first}{quote}"));
            let second = markers.next(&statement);
            values.push(second);
            extended.push_str(&format!("${i}"));
        }
        simple.push_str(part);
        extended.push_str(part);
    }
    (simple, extended, values)
}

fn run_all(raw: &mut Raw, port: u16, markers: &mut Markers) {
    for (number, statement) in STATEMENTS.iter().enumerate() {
        let (simple, extended, values) = both_forms(statement, number, markers);
        raw.query(&simple);
        raw.query("ROLLBACK");
        if statement.contains("'{}'") {
            continue; // a body that is one string has no place for a parameter
        }
        let bytes: Vec<raw::Value<'_>> = values.iter().map(|v| Some(v.as_bytes())).collect();
        for (format, declared) in [(0, 0), (1, 25), (1, 1043), (0, 705)] {
            let oids: Vec<u32> = values.iter().map(|_| declared).collect();
            let bind = raw::bind_as("", "", &[format], &bytes, &[1]);
            let parts =
                [raw::parse("", &extended, &oids), bind, raw::describe_portal(""), raw::execute("", 0), raw::sync()];
            let answers = raw.ask(&parts.concat());
            if answers.last().is_none_or(|m| m.tag != b'Z') {
                panic!("the connection ended at {extended}: {answers:?}");
            }
            raw.query("ROLLBACK");
        }
    }
    // What a client does wrong on the protocol's side.
    let marker = markers.next("a Bind with too many values");
    let mut other = Raw::connect(port, "sealed");
    let two = raw::bind("", "", &[Some(&marker), Some(&marker)]);
    let parse = raw::parse("", "SELECT id FROM users WHERE email = $1", &[]);
    other.ask(&[parse, two, raw::execute("", 0), raw::sync()].concat());
    let marker = markers.next("a Bind to no statement");
    other.ask(&[raw::bind("", "missing", &[Some(&marker)]), raw::sync()].concat());
    let marker = markers.next("a string whose end a setting decides");
    other.query("SET standard_conforming_strings = off");
    other.query(&format!(r"SELECT id FROM users WHERE email = 'x\' OR {marker} = \'y'"));
    let marker = markers.next("a Query without its end");
    let _ = other.try_send(&raw::message(b'Q', format!("SELECT id FROM users WHERE email = '{marker}'").as_bytes()));
    other.until_ready();
}

/// Each marker in every form it could be seen in. One pass for each way in which a form begins: there are thousands of markers.
fn search(place: &str, hay: &[u8], markers: &Markers) -> Vec<String> {
    let text = String::from_utf8_lossy(hay).to_lowercase();
    let mut forms = HashMap::new();
    for (marker, statement) in &markers.used {
        let plain = marker.to_lowercase();
        for form in [hex::encode(marker), hex::encode(&plain), plain] {
            forms.insert(form, (marker, statement));
        }
    }
    let heads: BTreeSet<&str> = forms.keys().map(|form| &form[..2]).collect();
    let lengths: BTreeSet<usize> = forms.keys().map(String::len).collect();
    let places = heads.iter().flat_map(|head| text.match_indices(head)).map(|(at, _)| at);
    let seen = places.flat_map(|at| lengths.iter().filter_map(move |length| Some((at, at.checked_add(*length)?))));
    let found = seen.filter_map(|(from, to)| forms.get(text.get(from..to)?));
    let found: BTreeSet<String> =
        found.map(|(marker, statement)| format!("{place}: {marker} of {statement}")).collect();
    found.into_iter().collect()
}

#[test]
fn no_plaintext_reaches_the_server_or_a_log() {
    let options = Options::logged().with("track_activity_query_size = 65536");
    let collector = Collector::start();
    let proxy = ProxyOptions::default()
        .with("CS_LOG__LEVEL", "trace")
        .with("CS_LOG__SLOW_STATEMENT", "1us")
        .with("CS_TRACES__ENDPOINT", &collector.url)
        .with("CS_AUDIT__SINK", "file:access.jsonl");
    let mut twin = Twin::start_with(options, &proxy);
    twin.sealed.sql(SCHEMA);
    let mut markers = Markers { used: Vec::new() };
    let mut raw = twin.raw_sealed();
    run_all(&mut raw, twin.proxy.port, &mut markers);
    assert_eq!(raw.rows("SELECT id FROM users WHERE email = 'known@example.com'"), ["1"], "the connection still works");

    let mut found = search("server log", twin.cluster.log().as_bytes(), &markers);
    found.extend(search("bytes sent to the server", &twin.relay.sent(), &markers));
    found.extend(search("bytes from the server", &twin.relay.received(), &markers));
    let activity = twin.direct.superuser("SELECT string_agg(query, E'\\n') FROM pg_stat_activity");
    found.extend(search("pg_stat_activity", activity.as_bytes(), &markers));
    let dump = twin.direct.superuser("SELECT string_agg(u::text, '') FROM users u");
    found.extend(search("the table", dump.as_bytes(), &markers));
    let metrics = twin.proxy.http("/metrics").map(|(_, body)| body).unwrap_or_default();
    found.extend(search("metrics", metrics.as_bytes(), &markers));
    twin.proxy.signal("TERM");
    twin.proxy.wait_exit();
    let access = std::fs::read_to_string(twin.workspace.dir().join("access.jsonl")).unwrap();
    assert!(access.lines().count() > 10, "what was run is recorded");
    let slow = twin.proxy.log().matches("slow statement").count();
    assert!(slow > 100 && collector.spans().len() > 100, "{slow} slow statements, {} spans", collector.spans().len());
    found.extend(search("proxy log", twin.proxy.log().as_bytes(), &markers));
    found.extend(search("spans", collector.text().as_bytes(), &markers));
    found.extend(search("records of data access", access.as_bytes(), &markers));
    assert!(found.is_empty(), "{} finds:\n{}", found.len(), found.join("\n"));
}

#[test]
fn the_search_finds_what_is_sent_plain() {
    let twin = Twin::start_with(Options::logged(), &ProxyOptions::default());
    twin.sealed.sql("CREATE TABLE notes (id int, p text)");
    let mut markers = Markers { used: Vec::new() };
    let marker = markers.next("a plain column");
    let mut raw = twin.raw_sealed();
    raw.ask(&raw::extended("INSERT INTO notes VALUES (1, $1)", &[Some(&marker)]));
    for (place, hay) in [("log", twin.cluster.log().into_bytes()), ("relay", twin.relay.sent())] {
        assert_eq!(search(place, &hay, &markers).len(), 1, "{place}");
    }
    assert!(search("proxy log", twin.proxy.log().as_bytes(), &markers).is_empty(), "parameters are never logged");
}

#[test]
fn errors_of_the_server_do_not_show_terms_or_envelopes() {
    let twin = Twin::start();
    twin.sealed.sql(SCHEMA);
    let mut raw = twin.raw_sealed();
    let stored = twin.stored("SELECT (email).eq, encode((email).c, 'hex') FROM users WHERE id = 1");
    let terms: Vec<&str> = stored.trim().split('|').collect();
    for sql in [
        "INSERT INTO users (id, email, name) VALUES (900, 'known@example.com', 'x')",
        "INSERT INTO users (id, email, name) VALUES (901, 'new@example.com', NULL)",
        "INSERT INTO users (id, grp, email, name) VALUES (902, 1000, 'new@example.com', 'x')",
        "UPDATE users SET name = NULL WHERE email = 'known@example.com'",
        "UPDATE users SET grp = 500 WHERE email = 'known@example.com'",
    ] {
        let error = raw.error(sql);
        assert!(error.code.starts_with("23"), "{sql}: {error:?}");
        for (field, text) in &error.all {
            for term in &terms {
                assert!(!text.contains(term), "{sql}: field {field} shows stored bytes: {text}");
            }
            assert!(!text.contains("known@example.com") && !text.contains("new@example.com"), "{sql}: {field} {text}");
            assert!(!text.contains(").eq"), "{sql}: field {field} names a term: {text}");
        }
    }
}
