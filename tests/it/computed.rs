//! Expressions that the proxy computes of opened values: what the client reads is what plain PostgreSQL computes.

use crate::support::Twin;
use crate::support::raw::{Value, bind_as, describe_statement, every_way, execute, parse, query, sync, two_portals};

const SCHEMA: &str = "
    CREATE TABLE d (id int PRIMARY KEY, e seal.jsonb, k seal.jsonb_eq, j seal.json, plain text);
    CREATE TABLE t (id int PRIMARY KEY, e seal.text, q seal.text_ord, m seal.text_search, v seal.varchar, c seal.bpchar, raw seal.bytea, plain text);
    CREATE TABLE n (id int PRIMARY KEY, s seal.int2, i seal.int4_eq, b seal.int8, d seal.numeric, x seal.float8, f seal.float4, ok seal.bool, o seal.int4_ord, plain int);
    CREATE TABLE m (id int PRIMARY KEY, day seal.date, at seal.timestamp, tz seal.timestamptz_ord, tm seal.time, key seal.uuid, ip seal.inet, iv seal.interval)";

/// Documents of every odd kind.
const DOCUMENTS: &[&str] = &[
    r#"{"a": {"b": {"c": [1, 2.50, {"d": "deep"}]}}, "k": "v", "n": 12, "t": true, "z": null, "": "empty"}"#,
    r#"[1, "two", null, [3, [4]], {"a": 5}, -6.70]"#,
    r#"{"a": [0, 1, 2], "b": {}, "c": [], "n": "34", "t": "yes", "x": -1, "day": "2001-02-03", "key": "6f1d3c5e-1111-4222-8333-444455556666"}"#,
    r#"{"n": "no number", "a": "text", "b": 1e400, "0": "zero", "-1": "minus", "x": 1e2}"#,
    r#"{"a": {"a": {"a": {"a": null}}}, "n": 2147483648, "t": "TRUE", "d": 0.10}"#,
    r#"{"a\"b": "q\"uote", "ä": "日本 😀", "\u00e4b": "tab\tnew\nline \\ / \u0001", "k": "\u2028"}"#,
    r#"{"a": 1, "b": 2, "a": 3, "bb": {"x": 1, "x": 2}}"#,
    r#""just text""#,
    "5",
    "-0.00",
    "null",
    "true",
    "[]",
    "{}",
    "[[], {}, [[]]]",
    r#"  {  "a" :  [ 1 , 2 ]  ,  "k":"v"  }  "#,
    r#"[ "a" , {"b" : [ ] } ]"#,
    r#"{"a": {"b": 1}, "a": {"c": 2}, "x": [1, 2, 3], "y": [5]}"#,
];

fn documents() -> String {
    let escaped = |doc: &&str| format!("'{}'", doc.replace('\'', "''"));
    let row = |(at, doc): (usize, &&str)| {
        let doc = escaped(doc);
        format!("({at}, {doc}, {doc}, {doc}, 'p{at}')")
    };
    let rows: Vec<String> = DOCUMENTS.iter().enumerate().map(row).collect();
    format!("INSERT INTO d VALUES {}, (98, NULL, NULL, NULL, NULL)", rows.join(", "))
}

const ROWS: &str = "
    INSERT INTO t VALUES (1, '', '', '', '', '', '', 'p'), (2, 'a', 'a', 'a', 'a', 'a', '\\x00', 'p'), (3, 'Ada Lovelace', 'Ada Lovelace', 'Ada Lovelace', 'Ada Lovelace', 'Ada  ', '\\x00ff', 'p'),
      (4, '  padded  ', '  padded  ', '  padded  ', '  padded  ', '  padded  ', NULL, 'p'), (5, 'äöü ÄÖÜ ß', 'äöü ÄÖÜ ß', 'äöü ÄÖÜ ß', 'äöü ÄÖÜ ß', 'äöü ', '\\x', 'p'), (6, '日本 😀 x', '日本 😀 x', '日本 😀 x', '日本 😀 x', '日本', NULL, NULL),
      (7, 'a,b,,c,', 'a,b,,c,', 'a,b,,c,', 'a,b,,c,', 'a,b,,c,', NULL, 'p'), (8, 'xxaxxbxx', 'xxaxxbxx', 'xxaxxbxx', 'xxaxxbxx', 'xx  ', NULL, 'p'), (9, E'tab\\tnew\\nline', E'tab\\tnew', E'tab\\t', E'\\n', E'\\t ', NULL, 'p'),
      (10, 'O''Hara \"q\" \\', 'O''Hara', 'O''Hara', 'O''Hara', 'O''Hara', NULL, 'p'), (11, '12', '12', '12', '12', '12', NULL, 'p'), (12, ' 7 ', ' 7 ', ' 7 ', ' 7 ', ' 7 ', NULL, 'p'), (13, 'true', 'true', 'true', 'true', 'true', NULL, 'p'),
      (14, '2001-02-03', '2001-02-03', '2001-02-03', '2001-02-03', '2001-02-03', NULL, 'p'), (15, 'aaaa', 'aaaa', 'aaaa', 'aaaa', 'aaaa', NULL, 'p'), (16, 'ΑΣ Σα', 'ΑΣ Σα', 'ΑΣ', 'ΑΣ', 'ΑΣ', NULL, 'p'), (90, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    INSERT INTO n VALUES (1, 1, 10, 100, 1.50, 0.5, 0.1, true, 5, 7), (2, -5, -7, -7, -2.345, -1.5, 2.5, false, -3, 2), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 32767, 2147483647, 9223372036854775807, 1e30, 1e300, 3e38, true, 2147483647, 1),
      (5, -32768, -2147483648, -9223372036854775808, -1e-30, 1e-300, -1, false, -2147483648, 1), (6, 0, 0, 0, 0.00, 0, -0.0, NULL, 0, 0), (7, 3, 3, 3, 123456789012345678901234567890.123456789, 2.5, 1.5, true, 3, 3), (8, 2, 2, 2, 2.5, 3.5, 0.5, true, 2, 2),
      (9, 9, 9, 9, 'NaN', 'NaN', 'NaN', true, 9, 9), (10, 9, 9, 9, 'inf', 'inf', '-inf', true, 9, 9), (11, 9, 9, 9, -99.995, 1e15, 12345.678, false, 9, 9);
    INSERT INTO m VALUES (1, '2001-02-03', '2001-02-03 04:05:06.789', '2001-02-03 04:05:06.789123+02', '04:05:06', '6f1d3c5e-1111-4222-8333-444455556666', '10.0.0.1/8', '1 day 02:03:04'), (2, '0044-03-15 BC', '0044-03-15 12:13:14 BC', '0044-03-15 01:02:03+00 BC', '23:59', NULL, '::1', '-1 mon'),
      (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 'infinity', 'infinity', '-infinity', '00:00', NULL, NULL, '0'), (5, '2000-01-01', '1999-12-31 23:59:59.999999', '2021-03-28 00:59:59+00', '00:00', NULL, NULL, NULL), (6, '2005-01-01', '2012-12-31', '2021-10-31 00:30:00+00', NULL, NULL, NULL, NULL),
      (7, '2006-01-01', '2020-02-29 12:00', '2021-10-31 01:30:00+00', NULL, NULL, NULL, NULL), (8, '1901-01-01', '0001-01-01', '1969-12-31 23:59:59.5+00', NULL, NULL, NULL, NULL), (9, '0001-12-31 BC', '0100-12-31 BC', '1893-03-31 23:00+00', NULL, NULL, NULL, NULL), (10, '4713-01-01 BC', '290000-06-07', '2000-02-29', NULL, NULL, NULL, NULL)";

fn twin() -> Twin {
    let twin = Twin::of(SCHEMA);
    twin.both(&documents());
    twin.both(ROWS);
    twin
}

/// One row at a time, so that an error of one hides no other.
fn each(sql: &str, ids: impl Iterator<Item = usize>) -> Vec<(String, Vec<u8>)> {
    ids.map(|id| format!("{sql} WHERE id = {id}")).map(|sql| (sql.clone(), query(&sql))).collect()
}

fn whole(statements: &[&str]) -> Vec<(String, Vec<u8>)> {
    statements.iter().map(|sql| (sql.to_string(), query(sql))).collect()
}

/// Of both types of documents: `COL` stands for the column.
const STEPS: &[&str] = &[
    "COL -> 'a', COL ->> 'a', COL -> 'k', COL ->> 'k', COL -> 'z', COL ->> 'z', COL -> '', COL ->> 'nothing'",
    "COL -> 0, COL -> 1, COL -> -1, COL ->> -1, COL ->> 2, COL -> 99, COL -> -99, COL -> -2147483647, COL ->> 0",
    "COL -> 'a' -> 'b' -> 'c' -> 2 ->> 'd', COL -> 'a' -> 0, COL -> 3 -> 1 -> 0, (COL -> 'a') -> -1, ((COL) -> ('a')) ->> (1)",
    "COL #> '{a,b,c}', COL #>> '{a,b,c,1}', COL #> '{}', COL #>> '{}', COL #> '{a,-1}', COL #>> '{3,1,0}', COL #> '{a,NULL}', COL #> '{y,-1}', COL #> '{a,b}', COL #> '{\"\"}'",
    "COL #> '{a, 1}', COL #> '{a,1x}', COL #> '{0}', COL #> '{-1}', COL #>> '{ -1}', COL #> '{+1}', COL #> ARRAY['a', 'b'], COL #>> ARRAY['k'], COL #> '{2147483648}'",
    "COL -> 'a\"b', COL -> 'ä', COL ->> 'ä', COL ->> 'äb', COL ->> 'a\"b', COL -> NULL, COL ->> NULL, COL #> NULL",
    "COL -> 'a' AS x, (COL -> 'k'), COL -> 'b' \"Q\", COL operator(pg_catalog.->) 'a', COL->'a'->>0, COL -> E'a', COL -> $$a$$",
    "COL -> 'bb' -> 'x', COL -> 'x' ->> -1, COL -> 'n', COL ->> 'n', COL ->> 'b', COL ->> 'd', COL -> 'x'",
];

const JSONB: &[&str] = &[
    "e['a'], e['a']['b']['c'][1], e[0], e[-1], e['a'][-1], e['']['x'], (e)['k'], (e -> 'a')[0], (e['a']) -> 'b', e['n']",
    "jsonb_extract_path(e, 'a', 'b'), jsonb_extract_path_text(e, 'k'), pg_catalog.jsonb_extract_path(e, '3', '1', '0'), jsonb_extract_path_text(e, 'a', '0')",
    "jsonb_typeof(e), jsonb_typeof(e -> 'a'), jsonb_pretty(e), jsonb_pretty(e -> 'a'), jsonb_typeof(e -> 0)",
    "e::text, (e -> 'a')::text, e::json -> 'a', (e -> 'a')::json, length(e ->> 'k'), upper(e ->> 'k'), e ->> 'k' AS k",
    "k -> 'a', k ->> 'k', k #> '{a,b}', e -> 'a', COALESCE(e ->> 'k', 'none'), COALESCE(e -> 'nothing', e -> 'a'), COALESCE(e ->> 'z', k ->> 'k', 'x')",
];

const JSON: &[&str] = &[
    "json_extract_path(j, 'a', 'b'), json_extract_path_text(j, 'k'), json_typeof(j), json_typeof(j -> 'a'), j::jsonb -> 'a', (j -> 'a')::jsonb",
];

/// Each may fail on some documents.
const FAILING: &[&str] = &[
    "(e ->> 'n')::int",
    "(e ->> 'n')::bigint",
    "(e ->> 'n')::numeric",
    "(e ->> 'n')::numeric(10, 2)",
    "(e ->> 'n')::float8",
    "(e ->> 't')::boolean",
    "(e ->> 'day')::date",
    "(e ->> 'key')::uuid",
    "(e ->> 'k')::varchar",
    "CAST(e ->> 'n' AS smallint)",
    "(e ->> 'x')::int + 1",
    "jsonb_array_length(e)",
    "jsonb_array_length(e -> 'a')",
    "json_array_length(j)",
    "(e ->> 'a')::jsonb",
    "(e ->> 'day')::timestamptz",
];

#[test]
fn documents_are_read_in_part() {
    let twin = twin();
    let all = (0..DOCUMENTS.len()).chain([98]);
    let mut asked = Vec::new();
    for list in STEPS {
        for column in ["e", "j"] {
            let list = list.replace("COL", column);
            asked.extend(each(&format!("SELECT id, {list} FROM d"), all.clone()));
        }
    }
    for list in JSONB.iter().chain(JSON).chain(FAILING) {
        asked.extend(each(&format!("SELECT {list} FROM d"), all.clone()));
    }
    twin.same(asked);
}

/// What may differ between text and varchar is told apart. `COL` stands for the column.
const TEXTS: &[&str] = &[
    "lower(COL), upper(COL), length(COL), char_length(COL), character_length(COL), octet_length(COL), reverse(COL)",
    "trim(COL), trim(both from COL), trim(leading 'x' from COL), trim(trailing 'xb' from COL), trim(both ' x' from COL), ltrim(COL), rtrim(COL), btrim(COL, 'xb'), ltrim(COL, ''), rtrim(COL, ' ')",
    "left(COL, 3), left(COL, -2), left(COL, 0), right(COL, 2), right(COL, -1), right(COL, 0), left(COL, 100), right(COL, -100)",
    "substr(COL, 2), substr(COL, 2, 3), substring(COL from 2 for 3), substring(COL from 3), substring(COL for 2), substring(COL, -1, 4), substr(COL, 100), substr(COL, 1, 0), substr(COL, 2147483647, 2147483647)",
    "replace(COL, 'x', '--'), replace(COL, '', 'y'), replace(COL, 'aa', 'b'), replace(COL, 'ä', ''), translate(COL, 'axä', 'AX'), translate(COL, '', 'x')",
    "split_part(COL, ',', 1), split_part(COL, ',', 2), split_part(COL, ',', -1), split_part(COL, 'aa', -2), split_part(COL, '', 1), split_part(COL, ' ', 2), split_part(COL, 'xx', 9)",
    "strpos(COL, 'a'), position('xx' in COL), strpos(COL, ''), position('😀' in COL), strpos(COL, 'zz')",
    "lpad(COL, 5), rpad(COL, 5, 'xy'), lpad(COL, 3, 'ab'), lpad(COL, 8, ''), rpad(COL, -1), lpad(COL, 7, 'äö')",
    "lower(COL) AS l, (upper((COL))), lower(upper(left(COL, 2))), length(trim(COL)), pg_catalog.lower(COL), left(replace(COL, 'a', 'b'), 2), lower(COL)::varchar, length(lower(COL)) + 1",
    "COALESCE(lower(COL), 'none'), COALESCE(upper(COL), lower(COL), 'x'), lower(COALESCE(COL, 'NONE')), COALESCE(left(COL, 1), NULL), lower(CASE WHEN id > 3 THEN COL END), upper(COALESCE(COL, $$q$$)) AS u",
    "lower(COL) FROM t WHERE id < 3; SELECT replace(COL, NULL, 'x'), left(COL, NULL), lower(COL::text), substr(COL, 2::smallint)",
];

#[test]
fn texts_are_computed_with() {
    let twin = twin();
    let ids = (1..17).chain([90]);
    let mut asked = Vec::new();
    for list in TEXTS {
        for column in ["e", "v", "c", "m"] {
            // COALESCE of a bpchar and a text is one of texts.
            if column == "e" || !list.contains("COALESCE") {
                asked.extend(each(&format!("SELECT id, {} FROM t", list.replace("COL", column)), ids.clone()));
            }
        }
    }
    for list in [
        "starts_with(e, 'a'), starts_with(v, ''), octet_length(raw), length(raw), octet_length(c), length(c)",
        "replace(e, v, 'new'), strpos(e, v), position(v in e), position(e in v), starts_with(e, q), left(e, 2), split_part(e, q, 1), lpad(e, 30, v), trim(both v from e)",
        "e::int",
        "e::numeric",
        "e::bool",
        "e::date",
        "v::int + 1",
        "e::jsonb",
        "q::int8, q::float8",
        "split_part(e, ',', 0)",
        "substr(e, 1, -1)",
        "lower(NULL), lower('X'), lower(plain), upper(e)",
        "concat(e, '!'), lower(v)",
    ] {
        asked.extend(each(&format!("SELECT {list} FROM t"), ids.clone()));
    }
    twin.same(asked);
}

/// Each may fail.
const FORMATTED: &[&str] = &[
    "format('%s', e), format('<%s|%s>', e, v), format('%2$s %1$s %2$s %s', e, v, q), format('%%', e), format('100%% of %s', e), format('', e)",
    "format('%10s|', e), format('%-10s|', e), format('%2$-8s|%1$3s|', e, v), format('%--12s|', e), format('%0s|%-0s|', e, v), format('%05s|', e)",
    "format('%s %s', e, 'given'), format('%s %s', e, NULL), format(NULL, e), format('é%s日', e), format('%s', e) AS line, format('%s', e)::varchar",
    "format('%s %s', plain, e), format(plain, e), format(e, 'x'), format(v, q), format('%s', lower(e)), upper(format('%s!', e)), length(format('%5s', e))",
    "pg_catalog.format('%s', COALESCE(e, 'none')), COALESCE(format(NULL, e), 'none'), format('%s', raw), format('%s', format('(%s)', e)), format(E'%s\\n', e)",
    "format('%', e)",
    "format('%s %s', e)",
    "format('%3$s', e)",
    "format('%0$s', e)",
    "format('%d', e)",
    "format('%1$', e)",
    "format('%1', e)",
    "format('%-', e)",
    "format('%2147483648s', e)",
    "format('%é', e)",
];

#[test]
fn texts_are_formatted() {
    let twin = twin();
    let mut asked = Vec::new();
    for list in FORMATTED {
        asked.extend(each(&format!("SELECT {list} FROM t"), [2, 3, 5, 10, 90].into_iter()));
    }
    for list in [
        "format('%s %s %s %s %s %s', s, i, b, d, x, f), format('%8s|%-8s|', i, d), format('%s of %s', i, plain)",
        "format('%s', s + i), format('%s: %s', 'n', d)",
    ] {
        asked.extend(each(&format!("SELECT {list} FROM n"), 1..12));
    }
    for list in [
        "format('%s %s %s', day, at, tz), format('%s', tm), format('%s', key), format('[%12s]', iv)",
        "format('%s: %s', extract(year FROM day), date_trunc('day', at)), format(NULL, day), format('%-12s|', day)",
    ] {
        asked.extend(each(&format!("SELECT {list} FROM m"), 1..11));
    }
    asked.extend(each(
        "SELECT format('%s: %s', e ->> 'k', e -> 'a'), format('%s', e), format('%s', j) FROM d",
        0..DOCUMENTS.len(),
    ));
    asked.extend(whole(&["SET datestyle = 'German'; SET timezone = 'Asia/Kolkata'; SELECT format('%s %s', day, tz) FROM m ORDER BY id; RESET ALL"]));
    asked.extend(every_way("SELECT format('%s <%s>', e, $1::text) FROM t ORDER BY id", "mail", &[2, 1, 0]));
    asked.extend(every_way("SELECT format($1, e, v) FROM t ORDER BY id", "%2$s, %1$s", &[2, 1, 0]));
    twin.same(asked);
}

const NUMBERS: &[&str] = &[
    "s + 1::int2",
    "s + 1",
    "s * s",
    "i + 1",
    "i - 1",
    "1 - i",
    "i * 2",
    "i / 2",
    "i % 4",
    "i / -1",
    "i % -1",
    "i / 0",
    "i % 0",
    "-i",
    "- s",
    "+ 1",
    "@ i",
    "@(-i)",
    "-b",
    "b + 1",
    "b * 2",
    "i + b",
    "s + i",
    "b - s",
    "i + d",
    "d + 1",
    "d - 0.005",
    "d * 2",
    "d * d",
    "d / 3",
    "d / 7.00",
    "1 / d",
    "d % 0.7",
    "d % 3",
    "mod(i, 3)",
    "mod(d, 0.3)",
    "mod(b, i)",
    "abs(i)",
    "abs(s)",
    "abs(b)",
    "abs(d)",
    "round(d)",
    "round(d, 2)",
    "round(d, -1)",
    "round(i, -1)",
    "trunc(d)",
    "trunc(d, 1)",
    "trunc(d, 40)",
    "ceil(d)",
    "ceiling(d)",
    "floor(d)",
    "sign(d)",
    "i * '3'",
    "'3' - i",
    "d + '1.50'",
    "i + 5000000000",
    "i + 1.5",
    "i + NULL",
    "(i + 1) * (s - 2) / 3",
    "i + i + i",
    "d - i * 2 + b",
    "round(d * 1.19, 2)",
    "i + (-3)",
    "i - -3",
    "COALESCE(i + 1, 0)",
    "COALESCE(i * 2, 7) AS twice",
    "s::int",
    "i::int2",
    "b::int",
    "b::int2",
    "d::int",
    "d::bigint",
    "d::smallint",
    "i::numeric",
    "i::numeric(12, 3)",
    "d::numeric(10, 1)",
    "d::numeric(4)",
    "i::float8",
    "d::float8",
    "d::real",
    "x::int",
    "x::numeric",
    "f::float8",
    "x::real",
    "f::int8",
    "i::text",
    "d::text",
    "ok::int",
    "i::bool",
    "ok::text",
    "i::text::int + 1",
    "i::int8 * 2",
    "(i + 1)::text",
    "length(i::text)",
    "left(d::text, 3)",
    "o + plain - plain",
    "i::varchar",
    "abs(i::int8)",
    "(i * 2)::numeric(20, 2)",
];

const MOMENTS: &[&str] = &[
    "day::timestamp",
    "day::timestamptz",
    "at::date",
    "tz::date",
    "tz::timestamp",
    "at::timestamptz",
    "day::text",
    "tz::text",
    "key::text",
    "ip::text",
    "tm::text",
    "iv::text",
    "left(tz::text, 10)",
    "at::text::date",
    "extract(year from day), extract(month from at), extract(day from tz), extract(hour from tz), extract(quarter from day), extract(week from day), extract(isoyear from at), extract(dow from tz), extract(isodow from day), extract(doy from at)",
    "extract(second from at), extract(milliseconds from tz), extract(microseconds from at), extract(minute from tz), extract(epoch from at), extract(epoch from tz), extract(epoch from day), extract(julian from day)",
    "extract(century from day), extract(millennium from at), extract(decade from tz), extract(decade from day), extract('year' from at), EXTRACT(YEAR FROM tz) AS y, extract(isoyear from tz)",
    "extract(hour from day)",
    "date_part('year', day), date_part('second', at), date_part('milliseconds', tz), date_part('epoch', tz), date_part('epoch', day), date_part('week', tz), date_part('hour', day), date_part('dow', at), date_part('month', day)",
    "date_trunc('month', tz), date_trunc('day', tz), date_trunc('hour', tz), date_trunc('minute', at), date_trunc('year', at), date_trunc('week', at), date_trunc('quarter', tz), date_trunc('decade', at), date_trunc('second', at)",
    "date_trunc('century', at)",
    "date_trunc('millennium', at), date_trunc('millennium', tz)",
    "date_trunc('milliseconds', at), date_trunc('microseconds', tz), date_trunc('MONTH', day), date_trunc('day', day)",
    "date_trunc('century', tz), date_trunc('week', day)",
    "date_trunc('month', tz)::date",
    "extract(year from tz)::int + 1",
    "round(extract(epoch from at), 2)",
];

#[test]
fn numbers_and_moments_are_computed_with() {
    let twin = twin();
    let mut asked = Vec::new();
    for expression in NUMBERS.iter().filter(|e| **e != "+ 1" && !e.contains("plain")) {
        asked.extend(each(&format!("SELECT {expression} FROM n"), 1..12));
    }
    for zone in ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"] {
        asked.extend(whole(&[&format!("SET timezone = '{zone}'"), "SET datestyle = 'German'"]));
        for expression in MOMENTS {
            asked.extend(each(&format!("SELECT {expression} FROM m"), 1..11));
        }
    }
    twin.same(asked);
}

/// Where such a column may stand.
const SHAPES: &[&str] = &[
    "SELECT * FROM (SELECT id, e -> 'a' AS x, e ->> 'k' FROM d) q ORDER BY id",
    "SELECT q.x, q.id FROM (SELECT id, lower(e) AS x FROM t) q ORDER BY id",
    "WITH q AS (SELECT id, i % 7 AS next, COALESCE(i / 2, 0) AS twice FROM n) SELECT n.id, q.next, q.twice FROM n LEFT JOIN q ON q.id = n.id AND n.id < 4 ORDER BY n.id",
    "SELECT n.id, l.up FROM n LEFT JOIN LATERAL (SELECT COALESCE(upper(e), 'none') AS up FROM t WHERE t.id = n.id) l ON n.id <> 2 ORDER BY n.id",
    "SELECT id, (SELECT e -> 'k' FROM d WHERE d.id = n.id), (SELECT lower(e) AS low FROM t WHERE t.id = n.id) FROM n ORDER BY id",
    "SELECT a.id, a.e ->> 'k', lower(b.e) FROM d a JOIN t b ON a.id = b.id ORDER BY a.id",
    "SELECT lower(q), count(*) FROM t GROUP BY q ORDER BY q",
    "SELECT o % 5, sum(id) FROM n GROUP BY o ORDER BY o",
    "SELECT lower(max(q)), max(o) + 1, min(o) - 1 FROM t, n",
    "SELECT id, e -> 'a', plain FROM d ORDER BY plain DESC NULLS LAST LIMIT 3 OFFSET 1",
    "SELECT e ->> 'k' FROM d WHERE k = '5'",
    "SELECT id, lower(e), e, upper(e) FROM t WHERE q = 'a'",
    "INSERT INTO d (id, e) VALUES (50, '{\"a\": {\"b\": 1}}') RETURNING id, e -> 'a', e #>> '{a,b}', (e #>> '{a,b}')::int + 1",
    "UPDATE d SET e = '{\"a\": 2}' WHERE id = 50 RETURNING e ->> 'a', jsonb_typeof(e)",
    "WITH gone AS (DELETE FROM d WHERE id = 50 RETURNING id, e -> 'a' AS a) SELECT * FROM gone",
    "BEGIN; DECLARE c CURSOR FOR SELECT id, e -> 'a', e ->> 'k' FROM d ORDER BY id; FETCH 2 FROM c; FETCH ALL FROM c; COMMIT",
    "BEGIN; DECLARE c BINARY CURSOR FOR SELECT e -> 'a', (e ->> 'x')::int, lower(e ->> 'k') FROM d WHERE id IN (0, 2) ORDER BY id; FETCH 2 FROM c; COMMIT",
    "PREPARE s (text, int) AS SELECT e -> $1, e ->> $2 FROM d WHERE id < 3 ORDER BY id; EXECUTE s ('a', 1); EXECUTE s ('k', -1); EXECUTE s (NULL, 0)",
    "COPY (SELECT id, e -> 'a', lower(e ->> 'k') AS k FROM d ORDER BY id) TO STDOUT",
    "COPY (SELECT id, e -> 'a' AS a FROM d ORDER BY id) TO STDOUT (FORMAT csv, HEADER)",
    "COPY (SELECT e -> 'a', i + 1 FROM d JOIN n USING (id) WHERE id < 3 ORDER BY id) TO STDOUT (FORMAT binary)",
    "SELECT e -> 'a' FROM d WHERE false; SELECT lower(e) FROM t LIMIT 0",
    "SELECT e -> 'a', e -> 'a' FROM d WHERE id = 0; SELECT e ->> 'n' FROM d WHERE id = 3",
    "SELECT i + o, d * i, lower(e) FROM n JOIN t USING (id) ORDER BY id LIMIT 2",
    "SELECT e -> 'a' /* why */ -> 'b' -- so\n FROM d WHERE id = 0",
    "SELECT left(e, 'x') FROM t",
    "SELECT e -> 'a' #> '{x' FROM d",
];

#[test]
fn shapes() {
    let twin = twin();
    twin.same(whole(SHAPES));
}

const BESIDE: &str = "
    CREATE DOMAIN small AS int;
    CREATE TABLE p (id int PRIMARY KEY, i seal.int4, b seal.int8, d seal.numeric, e seal.text, v seal.varchar, j seal.jsonb, day seal.date, ok seal.bool,
      pi int, ps int2, pb int8, pd numeric(12, 4), pe text, pv varchar(9), pc char(5), pday date, pat timestamp, ptz timestamptz, pok bool, pf float8, pj jsonb, pdom small)";

const BESIDE_ROWS: &str = "
    INSERT INTO p VALUES (1, 2, 3, 4.50, 'one two', 'one', '{\"a\": {\"b\": 5}, \"k\": \"v\"}', '2001-02-03', true,
      7, 8, 9, 10.1234, 'two', 'a', 'k', '2002-01-01', '2002-03-04 05:06', '2003-01-01 00:00+00', false, 1.5, '{\"x\": 1}', 3),
      (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 1, 1, 'äö 日本', 'k', 'a', 'infinity', '1999-01-01', '-infinity', true, 1, '1', 1),
      (3, -1, -1, -1, 'äöü', 'ä', '{}', '0044-03-15 BC', false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
      (4, 5, 5, 'NaN', '', '', '[1, 2]', 'infinity', NULL, 0, 0, 0, 'NaN', '', '', '', '2000-01-01', '2000-01-01', '2000-01-01', NULL, 0, 'null', 0)";

/// Values of plain columns beside encrypted ones.
const PLAIN: &[&str] = &[
    "SELECT id, i + pi, pi + i, i * ps, b - pb, d * pd, pd * d, pi * d, i + pi * 2, pi * 2 + i, (i + pi) * pb, -pi + i, pi::int8 + i, i::numeric * pd FROM p WHERE id < 4 ORDER BY id",
    "SELECT i + pi AS x, (SELECT max(id) FROM p q WHERE q.id = p.pi) FROM p WHERE id < 3 ORDER BY id",
    "SELECT replace(e, pe, 'x'), left(e, pi), left(pe, i), strpos(e, pe), strpos(pe, e), replace(pv, e, pv), starts_with(e, pe), lpad(e, 20, pe) FROM p WHERE id <> 4 ORDER BY id",
    "SELECT j -> pe, j -> pi, j ->> pv, j -> 'a' ->> 'b', j ->> pi FROM p ORDER BY id",
    "SELECT COALESCE(e, pe), COALESCE(pe, e), COALESCE(lower(e), pe), COALESCE(i, pi), COALESCE(pi, i, 5), COALESCE(d, pd), COALESCE(i, pb), COALESCE(ps, i, pd), COALESCE(i + 1, 1.5), COALESCE(i + 1, 7::int8), COALESCE(v, pe), COALESCE(pv, e), COALESCE(day, pday), COALESCE(ok, pok), COALESCE(v, pv) FROM p ORDER BY id",
    "SELECT COALESCE(e, pe) AS name, COALESCE(upper(pe), e) FROM p ORDER BY id DESC",
    "SELECT date_trunc(pe, day) FROM p WHERE id = 3",
    "SELECT q.x, q.pi FROM (SELECT i + pi AS x, pi FROM p WHERE id < 4) q ORDER BY q.pi",
    "SELECT l.x FROM p o CROSS JOIN LATERAL (SELECT o.i + n.pi AS x FROM p n WHERE n.id = o.id) l WHERE o.id < 4 ORDER BY o.id",
    "SELECT o.i * n.pi FROM p o LEFT JOIN p n ON n.id = o.id + 1 ORDER BY o.id",
    "SELECT o.i * n.pi FROM p o LEFT JOIN p n ON n.id = o.id + 1 AND n.id > 99 ORDER BY o.id",
    "UPDATE p SET pi = pi + 1 WHERE id = 1 RETURNING i + pi, e",
    "INSERT INTO p (id, i, pi) VALUES (9, 4, 5) RETURNING i * pi, COALESCE(e, pe)",
    "SELECT i / pi FROM p WHERE id = 4",
    "SELECT i + missing FROM p",
    "WITH w AS (SELECT id, i + pi AS x FROM p WHERE id < 4) SELECT x FROM w ORDER BY id",
    "SELECT e || ' ' || pe, i + pi FROM p WHERE id < 4 ORDER BY id",
];

#[test]
fn plain_columns_stand_beside() {
    let twin = Twin::filled(BESIDE, BESIDE_ROWS);
    twin.same(whole(PLAIN));
    let mut asked = Vec::new();
    for (sql, value) in [
        ("SELECT i + pi + $1 FROM p WHERE id < 4 ORDER BY id", "3"),
        ("SELECT COALESCE(e, pe, $1), COALESCE(d, pd) FROM p ORDER BY id", "none"),
        ("SELECT replace(pe, $1, e), left(e, pi) FROM p WHERE id < 4 ORDER BY id", "o"),
    ] {
        asked.extend(every_way(sql, value, &[2, 1, 0]));
    }
    twin.same(asked);
}

#[test]
fn both_protocols_and_formats() {
    let twin = twin();
    let mut asked = Vec::new();
    for (sql, value) in [
        ("SELECT id, e -> $1, e ->> 'k', j -> 'a' FROM d ORDER BY id", "a"),
        ("SELECT e #> $1, e #>> $1 FROM d ORDER BY id", "{a,b}"),
        ("SELECT e -> $1::int, j ->> $1::int FROM d ORDER BY id", "-1"),
        ("SELECT e[$1], e['a'][0] FROM d ORDER BY id", "a"),
        ("SELECT lower(e), left(v, $1), length(e) FROM t ORDER BY id", "2"),
        ("SELECT replace(e, $1, ''), upper(v) FROM t ORDER BY id", "a"),
        ("SELECT i * $1, round(d, 2), d::text FROM n WHERE id IN (1, 2, 3, 6) ORDER BY id", "3"),
        ("SELECT d + $1, -i, i::int8, ok::int, d::numeric(40, 2) FROM n WHERE id < 4 ORDER BY id", "1.50"),
        ("SELECT date_trunc($1, tz), extract(epoch from at), date_part('year', day) FROM m ORDER BY id", "month"),
        ("SELECT (e ->> $1)::int FROM d WHERE id IN (0, 2) ORDER BY id", "n"),
        ("SELECT COALESCE(lower(e), $1), lower(COALESCE(e, 'X')) FROM t ORDER BY id", "none"),
        ("SELECT left(e, $1) FROM t", "no number"),
    ] {
        asked.extend(every_way(sql, value, &[2, 1, 0]));
    }
    asked.push(two_portals("SELECT e -> $1 FROM d ORDER BY id", ["0", "-1"]));
    asked.push(two_portals("SELECT left(e, $1) FROM t ORDER BY id", ["1", "-1"]));
    for (sql, oids, value) in [
        ("SELECT i + $1 FROM n WHERE id = 1", &[20][..], Some(&7i64.to_be_bytes()[..])),
        ("SELECT i + $1 FROM n WHERE id = 1", &[21], Some(&7i16.to_be_bytes())),
        ("SELECT e -> $1 FROM d ORDER BY id", &[23], Some(&1i32.to_be_bytes())),
        ("SELECT e -> $1 FROM d ORDER BY id", &[1043], Some(b"a")),
        ("SELECT e -> $1 FROM d ORDER BY id", &[25], None),
        (
            "SELECT e #> $1 FROM d ORDER BY id",
            &[1009],
            Some(b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x01\0\0\0\x01\0\0\0\x01a"),
        ),
    ] {
        let value: Value<'_> = value;
        let bytes = [
            parse("p", sql, oids),
            describe_statement("p"),
            bind_as("", "p", &[1], &[value], &[1]),
            execute("", 0),
            sync(),
        ];
        asked.push((format!("{sql} with {oids:?}"), bytes.concat()));
    }
    twin.same(asked);
}

/// An error comes as in PostgreSQL, and what the statement did is undone.
#[test]
fn errors_fail_the_statement_and_its_transaction() {
    let twin = twin();
    let (mut plain, mut sealed) = twin.raw();
    for sql in [
        "SELECT (e ->> 'n')::int FROM d WHERE id = 3",
        "SELECT i / 0 FROM n WHERE id = 1",
        "SELECT i + 1 FROM n WHERE id = 4",
        "SELECT b::int FROM n WHERE id = 4",
        "SELECT e::uuid FROM t WHERE id = 3",
        "SELECT jsonb_array_length(e) FROM d WHERE id = 0",
    ] {
        let (want, got) = (plain.error(sql), sealed.error(sql));
        assert_eq!(want.code, got.code, "{sql}");
        assert!(!format!("{got:?}").contains("no number") && !format!("{got:?}").contains("Ada"), "{got:?}");
    }
    for raw in [&mut plain, &mut sealed] {
        let failing = "INSERT INTO d (id, e) VALUES (60, '{\"n\": \"x\"}') RETURNING (e ->> 'n')::int";
        assert_eq!(raw.error(failing).code, "22P02");
        assert_eq!(raw.rows("SELECT count(*) FROM d WHERE id = 60"), ["0"], "what it wrote is undone");
        raw.query("BEGIN");
        assert_eq!(raw.error(failing).code, "22P02");
        assert_eq!(raw.error("SELECT 1").code, "25P02");
        raw.query("ROLLBACK");
        assert_eq!(raw.rows("SELECT count(*) FROM d WHERE id = 60"), ["0"]);
    }
}

/// What may differ from PostgreSQL, what would be sent in plain, and every other use.
#[test]
fn other_uses_are_refused() {
    let twin = twin();
    twin.sealed.sql("CREATE TABLE kept (v int8, d numeric, j jsonb, x text)");
    let mut raw = twin.raw_sealed();
    for sql in [
        "SELECT id FROM t WHERE reverse(e) = 'x'",
        "SELECT id FROM d ORDER BY e -> 'a'",
        "SELECT e -> 'a' AS x FROM d ORDER BY x",
        "SELECT e -> 'a' FROM d ORDER BY 1",
        "SELECT DISTINCT e -> 'a' FROM d",
        "SELECT e ->> 'a', count(*) FROM d GROUP BY 1",
        "SELECT e ->> 'a', count(*) FROM d GROUP BY e ->> 'a'",
        "SELECT e -> 'a' FROM d UNION ALL SELECT e -> 'b' FROM d",
        "SELECT e -> 'a' FROM d UNION SELECT '1'",
        "SELECT array_agg(lower(e)) FROM t",
        "SELECT json_agg(e -> 'a') FROM d",
        "SELECT json_build_object('a', lower(e)) FROM t",
        "SELECT row_to_json(q) FROM (SELECT lower(e) AS x FROM t) q",
        "SELECT lower(e) OVER () FROM t",
        "SELECT q.x || 'a' FROM (SELECT lower(e) AS x FROM t) q",
        "SELECT lower(q.x) FROM (SELECT lower(e) AS x FROM t) q",
        "SELECT q.x FROM (SELECT lower(e) AS x FROM t) q WHERE q.x = 'a'",
        "INSERT INTO kept (j) SELECT e -> 'a' FROM d",
        "INSERT INTO d (id, e) SELECT 70, e -> 'a' FROM d WHERE id = 0",
        "INSERT INTO kept (v) VALUES ((SELECT i + 1 FROM n WHERE id = 1))",
        "UPDATE kept SET x = (SELECT lower(e) FROM t WHERE id = 1)",
        "UPDATE n SET i = i + 1",
        "CREATE TABLE made AS SELECT e -> 'a' AS a FROM d",
        "CREATE VIEW made AS SELECT e -> 'a' AS a FROM d",
        "CREATE MATERIALIZED VIEW made AS SELECT lower(e) FROM t",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT lower(e) FROM t'",
        "SELECT lower(e) = 'a' FROM t",
        "SELECT CASE WHEN lower(e) = 'a' THEN 1 END FROM t",
        "SELECT i + now()::text::int FROM n",
        "SELECT i + (SELECT max(plain) FROM n) FROM n",
        "SELECT i + y.v FROM n, (SELECT 1 AS v) y",
        "SELECT i + g FROM n, generate_series(1, 2) g",
        "SELECT COALESCE(e, plain, 1) FROM t",
        "SELECT id FROM t WHERE COALESCE(e, plain) = 'a'",
        "SELECT id FROM t ORDER BY COALESCE(e, plain)",
        "INSERT INTO kept (x) SELECT COALESCE(e, plain) FROM t",
        "SELECT i + 1.5::float8 FROM n",
        "SELECT x + 1 FROM n",
        "SELECT x * f FROM n",
        "SELECT sqrt(d) FROM n",
        "SELECT initcap(e) FROM t",
        "SELECT to_char(tz, 'YYYY') FROM m",
        "SELECT to_char(i, '999') FROM n",
        "SELECT day + 1 FROM m",
        "SELECT at - at FROM m",
        "SELECT age(tz) FROM m",
        "SELECT iv * 2 FROM m",
        "SELECT tz AT TIME ZONE 'UTC' FROM m",
        "SELECT date_trunc('month', iv) FROM m",
        "SELECT extract(timezone from tz) FROM m WHERE id = 1",
        "SELECT date_trunc('fortnight', tz) FROM m WHERE id = 1",
        "SELECT substring(e from 'a.c') FROM t",
        "SELECT substring(e, $1) FROM t",
        "SELECT regexp_replace(e, 'a', 'b') FROM t",
        "SELECT e ~ 'a' FROM t",
        "SELECT format('%s', c) FROM t",
        "SELECT format('%s', ok) FROM n",
        "SELECT format('%s', ip) FROM m",
        "SELECT format('%s', e, $1) FROM t",
        "SELECT format('%s %s', e, 1.50) FROM t",
        "SELECT format('%L', e) FROM t WHERE id = 2",
        "SELECT format('%I', e) FROM t WHERE id = 2",
        "SELECT format('%*s', 5, e) FROM t",
        "SELECT format('%*s', '5', e) FROM t WHERE id = 2",
        "SELECT format('%s', VARIADIC ARRAY[e]) FROM t",
        "SELECT e - 'a' FROM d",
        "SELECT e || '{}' FROM d",
        "SELECT e #- '{a}' FROM d",
        "SELECT e @> '{}' FROM d",
        "SELECT jsonb_set(e, '{a}', '1') FROM d",
        "SELECT jsonb_array_elements(e) FROM d",
        "SELECT jsonb_path_query_first(e, '$.a') FROM d",
        "SELECT e[0:1] FROM d",
        "SELECT (e ->> 'n')::int[] FROM d",
        "SELECT (e ->> 'n')::varchar(3) FROM d",
        "SELECT (e -> 'n')::int FROM d",
        "SELECT ceil(i) FROM n",
        "SELECT COALESCE(day, at) FROM m",
        "SELECT e -> $1::int, j ->> $1 FROM d",
        "SELECT left(e, $1), lpad(e, 9, $1) FROM t",
        "SELECT GREATEST(i + 1, 2) FROM n",
        "SELECT lower(e), id FROM t WHERE plain = lower('q') AND upper('q') = upper(e)",
        "EXPLAIN VERBOSE SELECT e -> 'a' || 'b' FROM d",
    ] {
        let error = raw.error(sql);
        assert!(matches!(&*error.code, "0A000" | "42P02" | "42P18"), "{sql}: {error:?}");
    }
    assert_eq!(raw.rows("SELECT e ->> 'k' FROM d WHERE id = 0"), ["v"]);
}

/// Neither values nor what is given beside them reach the server.
#[test]
fn the_server_sees_no_value_and_no_constant() {
    let twin = Twin::start();
    twin.sealed.sql("CREATE TABLE t (id int, s seal.text, e seal.jsonb, i seal.int4)");
    twin.direct.superuser("ALTER SYSTEM SET log_statement = 'all'; SELECT pg_reload_conf()");
    twin.sealed.sql("INSERT INTO t VALUES (1, 'Xyzzy plugh', '{\"magic\": \"Xyzzy\", \"n\": 777123}', 777123)");
    let mut raw = twin.raw_sealed();
    for (sql, want) in [
        ("SELECT replace(s, 'plugh', 'Frobozz') FROM t", "Xyzzy Frobozz"),
        ("SELECT e ->> 'magic', e #> '{magic}', (e ->> 'n')::int + 888321 FROM t", "1665444"),
        ("SELECT i * 3, COALESCE(lower(s), 'grue'), strpos(s, 'plugh') FROM t", "xyzzy plugh"),
        ("SELECT sum(i::int8 * 888321), max(strpos(s, 'plugh')) FROM t", "690334680483"),
        ("UPDATE t SET id = 2 RETURNING upper(s), left(s, 3)", "XYZZY PLUGH"),
    ] {
        let answer = raw.query(sql);
        assert!(answer.contains(want), "{sql}: {answer}");
    }
    let bytes = [
        parse("", "SELECT replace(s, $1, $2) FROM t", &[]),
        bind_as("", "", &[], &[Some(b"plugh"), Some(b"Frotz")], &[]),
        execute("", 0),
        sync(),
    ];
    assert!(crate::support::raw::transcript(&raw.ask(&bytes.concat())).contains("Xyzzy Frotz"));
    let seen = [twin.relay.sent(), twin.cluster.log().into_bytes()].concat();
    let seen = String::from_utf8_lossy(&seen).to_lowercase();
    for word in ["xyzzy", "plugh", "frobozz", "frotz", "magic", "grue", "777123", "888321"] {
        assert!(!seen.contains(word), "{word} reached the server");
    }
}
