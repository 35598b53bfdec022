//! Promoted paths of JSON: parts of documents in every place where a column may stand.

use super::Generator;

/// A path in SQL, its type, what stands there in documents, and what it is compared with.
struct Path {
    written: &'static [&'static str],
    kind: &'static str,
    oid: u32,
    ord: bool,
    parts: &'static [&'static str],
    values: &'static [&'static str],
}

/// No two parts of one path are equal and spelled differently: which of them a group shows is PostgreSQL's choice.
const TOTAL: Path = Path {
    written: &["(x.doc ->> 'total')::numeric", "CAST(x.doc #>> '{total}' AS numeric)"],
    kind: "numeric",
    oid: 1700,
    ord: true,
    parts: &[
        "0",
        "1",
        "-2.50",
        "\" 1.5 \"",
        "99",
        "1e3",
        "\"NaN\"",
        "\"-Infinity\"",
        "12345678901234567890123456789.5",
    ],
    values: &["0.00", "1", "1.0", "-2.5", "50", "1000", "NaN", "Infinity", "12345678901234567890123456789.50"],
};
const NAME: Path = Path {
    written: &[
        "(x.doc -> 'customer' ->> 'name')",
        "(x.doc #>> '{customer,name}')",
        "(x.doc['customer'] ->> 'name')",
        "jsonb_extract_path_text(x.doc, 'customer', 'name')",
        "(x.doc #> '{customer}' ->> 'name')::text",
    ],
    kind: "text",
    oid: 25,
    ord: true,
    parts: &[
        "\"\"",
        "\"Ada\"",
        "\"ada\"",
        "\"Ada Lovelace\"",
        "\"Zoë\"",
        "\"a_b%c\"",
        "7",
        "true",
        "[1, 2]",
        "{\"first\": \"Ada\"}",
    ],
    values: &["", "Ada", "ada", "Ada Lovelace", "B", "7", "true", "[1, 2]", "{\"first\": \"Ada\"}", "~"],
};
const N: Path = Path {
    written: &["(x.doc ->> 'n')::int", "(x.doc ->> 'n')::int4"],
    kind: "int4",
    oid: 23,
    ord: false,
    parts: &["0", "3", "-3", "\"12\"", "2147483647"],
    values: &["0", "3", "-3", "12", "2147483647", "5"],
};
const AT: Path = Path {
    written: &["(x.doc ->> 'at')::timestamptz"],
    kind: "timestamptz",
    oid: 1184,
    ord: true,
    parts: &["\"2001-02-03T04:05:06Z\"", "\"1999-12-31T23:59:59.999999-08:00\"", "\"1950-06-01 00:00:00+05:30\""],
    values: &["2001-02-03 05:05:06+01", "2000-01-01 00:00:00+00", "1950-05-31 18:30:00+00", "infinity"],
};
const DAY: Path = Path {
    written: &["(x.doc ->> 'day')::date"],
    kind: "date",
    oid: 1082,
    ord: true,
    parts: &["\"2020-02-29\"", "\"1969-07-20\"", "\"0001-01-01\""],
    values: &["2020-02-29", "1969-07-21", "2999-12-31", "-infinity"],
};
const U: Path = Path {
    written: &["(x.doc ->> 'u')::uuid"],
    kind: "uuid",
    oid: 2950,
    ord: false,
    parts: &["\"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11\"", "\"00000000000000000000000000000001\""],
    values: &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000001"],
};
const F: Path = Path {
    written: &["(x.doc ->> 'f')::float8", "(x.doc ->> 'f')::double precision"],
    kind: "float8",
    oid: 701,
    ord: true,
    parts: &["0.1", "1e300", "-7"],
    values: &["0.1", "1e300", "0", "-7.0"],
};
const ALL: [&Path; 7] = [&TOTAL, &NAME, &N, &AT, &DAY, &U, &F];

const PATTERNS: &[&str] = &["Ada%", "%da%", "%", "", "_da", "%!%%", "a\\_b%", "%Love%", "%ë", "[1%", "ada"];

impl<'v> Generator<'v> {
    /// Something, JSON null, or nothing.
    fn entry(&mut self, key: &str, parts: &[&str]) -> Option<String> {
        match self.random.below(10) {
            0..6 => Some(format!("\"{key}\": {}", self.random.pick(parts))),
            6 => Some(format!("\"{key}\": null")),
            _ => None,
        }
    }

    /// A document that fits the paths, or NULL; at times none that has any.
    fn deal(&mut self) -> String {
        let odd =
            ["NULL", "'[]'", "'7'", "'null'", "'[{\"total\": 1}]'", "'{\"customer\": [{\"name\": \"x\"}], \"n\": 3}'"];
        if self.random.chance(8) {
            return (*self.random.pick(&odd)).to_owned();
        }
        let mut entries = Vec::new();
        for (key, path) in [("total", &TOTAL), ("n", &N), ("at", &AT), ("day", &DAY), ("u", &U), ("f", &F)] {
            entries.extend(self.entry(key, path.parts));
        }
        let name = match self.random.chance(30) {
            true => format!("\"name\": {}", serde_json::to_string(self.short_text()).expect("a text")),
            false => self.entry("name", NAME.parts).unwrap_or_default(),
        };
        let customer = format!("{{{name}}}");
        entries.extend(self.entry("customer", &[&customer]));
        entries.extend(self.entry("other", &["1", "\"a\"", "{\"n\": 3}"]));
        let document = format!("{{{}}}", entries.join(", "));
        self.given_as(&document, "jsonb", super::documents::JSONB)
    }

    fn path(&mut self, alias: &str, path: &Path) -> String {
        self.random.pick(path.written).replace("x.", &format!("{alias}."))
    }

    /// One of the values of text that may stand at a path with `ord`.
    fn short_text(&mut self) -> &'v str {
        let short: Vec<&'v str> =
            self.values.of("text").values.iter().map(|v| v.text.as_str()).filter(|text| text.len() <= 64).collect();
        let picked: &&'v str = self.random.pick(&short);
        picked
    }

    fn at_path(&mut self, path: &Path) -> String {
        if path.kind == "text" && self.random.chance(30) {
            let text = self.short_text();
            return self.given(text);
        }
        let value = *self.random.pick(path.values);
        self.given_as(value, path.kind, path.oid)
    }

    fn ordered_path(&mut self) -> &'static Path {
        let ordered: Vec<&'static Path> = ALL.into_iter().filter(|p| p.ord).collect();
        let picked: &&'static Path = self.random.pick(&ordered);
        picked
    }

    /// A condition on documents that are known as `alias`.
    fn on_path(&mut self, alias: &str, depth: usize) -> String {
        if depth > 0 && self.random.chance(40) {
            let (left, right) = (self.on_path(alias, depth - 1), self.on_path(alias, depth - 1));
            return match self.random.below(3) {
                0 => format!("({left} AND {right})"),
                1 => format!("({left} OR {right})"),
                _ => format!("(NOT ({left}) OR {alias}.grp = 1)"),
            };
        }
        let path: &Path = ALL[self.random.below(ALL.len())];
        let (part, value, other) = (self.path(alias, path), self.at_path(path), self.at_path(path));
        let pattern = *self.random.pick(PATTERNS);
        match self.random.below(16) {
            0..3 => format!("{part} {} {value}", self.random.pick(&["=", "<>"])),
            3 => format!("{part} IN ({value}, {other})"),
            4 => format!("{part} IS {}NULL", self.random.pick(&["", "NOT "])),
            5 => format!("{part} IS DISTINCT FROM {value}"),
            6 => format!("{part} = ANY (ARRAY[{value}, {other}]::{}[])", path.kind),
            7 | 8 if path.ord => format!("{part} {} {value}", self.random.pick(&["<", "<=", ">", ">="])),
            9 if path.ord => format!("{part} {}BETWEEN {value} AND {other}", self.random.pick(&["", "NOT "])),
            10 if path.ord => format!("({part}, {alias}.id) > ({value}, {})", self.random.below(9)),
            11 => {
                let operator = *self.random.pick(&["LIKE", "NOT LIKE", "ILIKE"]);
                format!("{} {operator} {} ESCAPE '!'", self.path(alias, &NAME), self.given(pattern))
            }
            12 => format!("lower({}) = {}", self.path(alias, &NAME), self.given("ada")),
            13 => format!("{alias}.doc @> {}", self.given_as("{\"total\": 1}", "jsonb", super::documents::JSONB)),
            14 => format!("{alias}.doc ->> 'total' = {}", self.given("1")),
            _ => format!("{alias}.doc ? 'n'"),
        }
    }

    /// Rows to begin with, or some more.
    pub(super) fn deals(&mut self) -> (String, bool) {
        let mut rows = Vec::new();
        for _ in 0..8 {
            let (id, grp) = (self.id(), self.random.below(3));
            rows.push(format!("({id}, {grp}, {})", self.deal()));
        }
        (format!("INSERT INTO j (id, grp, doc) VALUES {}", rows.join(", ")), false)
    }

    /// Reads.
    pub(super) fn promoted(&mut self) -> (String, bool) {
        let (ordered, other) = (self.ordered_path(), ALL[self.random.below(ALL.len())]);
        let grouped = *self.random.pick(&[&NAME, &N, &DAY, &U]);
        let (o, p, g) = (self.path("x", ordered), self.path("x", other), self.path("x", grouped));
        let (total, value, n) = (self.path("x", &TOTAL), self.at_path(ordered), self.random.below(3));
        let (up, condition) = (self.direction(), self.on_path("x", 2));
        // A later one is written as the first, or PostgreSQL does not take them for one.
        let sql = match self.random.below(19) {
            0 | 1 => format!("SELECT x.* FROM j x WHERE {condition} ORDER BY x.id"),
            2 => format!("SELECT id FROM j x WHERE {condition} ORDER BY {o}{up}, id LIMIT 4 OFFSET {n}"),
            3 => format!("SELECT id, {o} AS k, {p} FROM j x WHERE {condition} ORDER BY k{up}, id"),
            4 => format!(
                "SELECT {g} AS k, count(*), min({total}), max({total}) FROM j x GROUP BY {g} ORDER BY count(*), min(id)"
            ),
            5 => format!("SELECT DISTINCT {g} AS k, grp FROM j x WHERE {condition}"),
            6 => format!(
                "SELECT grp, sum({total}), avg({total}), count({p}), count(DISTINCT {g}) FROM j x WHERE {condition} GROUP BY grp ORDER BY grp"
            ),
            7 => {
                let (left, right) = (self.path("x", grouped), self.path("y", grouped));
                let kind = *self.random.pick(&["JOIN", "LEFT JOIN", "RIGHT JOIN"]);
                format!(
                    "SELECT x.id, y.id, {left} FROM j x {kind} j y ON {left} = {right} AND y.grp = {n} ORDER BY 1, 2"
                )
            }
            8 => {
                let (left, right) = (self.path("x", ordered), self.path("y", ordered));
                format!("SELECT x.id, y.id FROM j x JOIN j y ON {left} < {right} WHERE {condition} ORDER BY 1, 2")
            }
            9 => format!("SELECT id FROM (SELECT id, {o} AS k FROM j x) s WHERE k >= {value} ORDER BY k{up}, id"),
            10 => format!(
                "WITH w AS (SELECT x.id, x.doc FROM j x WHERE {condition}) SELECT x.id, {p} FROM w x WHERE {o} < {value} ORDER BY 1"
            ),
            11 => format!(
                "SELECT id, rank() OVER (ORDER BY {o}{up}), lag({p}) OVER (PARTITION BY grp ORDER BY {o}, id) FROM j x ORDER BY id"
            ),
            12 => {
                let (left, right) = (self.path("x", grouped), self.path("y", grouped));
                let inner = self.on_path("y", 0);
                match self.random.chance(50) {
                    true => format!(
                        "SELECT id FROM j x WHERE {left} IN (SELECT {right} FROM j y WHERE {inner}) ORDER BY id"
                    ),
                    false => format!(
                        "SELECT id FROM j x WHERE EXISTS (SELECT FROM j y WHERE {right} = {left} AND y.id <> x.id AND {inner}) ORDER BY id"
                    ),
                }
            }
            13 => format!("SELECT id, {condition} AS c, COALESCE({o}, {value}) FROM j x ORDER BY id"),
            14 => format!(
                "SELECT id, GREATEST({o}, {value}), CASE WHEN {o} > {value} THEN 'large' ELSE 'small' END FROM j x ORDER BY id"
            ),
            15 => format!("SELECT array_agg(id ORDER BY {o}{up}, id) FROM j x WHERE {condition}"),
            16 => format!("SELECT DISTINCT ON ({o}) {o} AS k, id FROM j x ORDER BY {o}{up}, id"),
            17 => format!("SELECT json_build_object('id', id, 'part', {p}), row_to_json(x) FROM j x ORDER BY id"),
            _ => format!("SELECT {g} FROM j x WHERE grp = 1 UNION SELECT {g} FROM j x WHERE grp = {n}"),
        };
        let ordered = sql.contains("ORDER BY") && !sql.contains("UNION");
        (sql, ordered)
    }

    /// Writes.
    pub(super) fn promoted_write(&mut self) -> (String, bool) {
        let (deal, condition, id) = (self.deal(), self.on_path("x", 1), self.id());
        let sql = match self.random.below(7) {
            0 => return self.deals(),
            1 => format!("UPDATE j x SET doc = {deal} WHERE {condition} RETURNING x.id, x.doc"),
            2 => format!("UPDATE j x SET grp = grp + 1 WHERE {condition} RETURNING x.id, x.grp"),
            3 => format!("DELETE FROM j x WHERE {condition} AND x.grp = 1 RETURNING x.*"),
            4 => format!(
                "INSERT INTO j (id, doc) VALUES ({}, {deal}) ON CONFLICT (id) DO UPDATE SET doc = excluded.doc RETURNING id, doc",
                self.random.below(9)
            ),
            5 => format!(
                "INSERT INTO j (id, grp, doc) SELECT x.id + {id} * 1000, x.grp, x.doc FROM j x WHERE x.id < 1000 AND {condition} ON CONFLICT DO NOTHING RETURNING id, doc"
            ),
            _ => format!(
                "UPDATE j x SET doc = y.doc FROM j y WHERE y.id = x.id + 1 AND {condition} RETURNING x.id, x.doc"
            ),
        };
        (sql, false)
    }
}
