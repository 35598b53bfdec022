//! Makes scripts: the same text for both sides, only the tables' types differ.

mod aggregates;
mod arrays;
mod computed;
mod documents;
mod equality;
mod formulas;
mod hostile;
mod order;
mod paths;
mod search;

use super::random::Random;
use super::replay::{Mode, Step};
use super::values::{Pool, Values};
use crate::support::Twin;

/// The tables, as the proxy sees them.
const SCHEMA: &str = "
    CREATE TABLE a (id int PRIMARY KEY, grp int, t seal.text_eq, i seal.int4_eq, n seal.numeric_eq, s seal.text,
        req seal.text_eq NOT NULL);
    CREATE TABLE b (id int PRIMARY KEY, grp int, t seal.text_eq, i seal.int4_eq, u seal.uuid_eq, z seal.timestamptz_eq, p text);
    CREATE UNIQUE INDEX b_u ON b (u);
    CREATE INDEX a_t ON a (t);
    CREATE TABLE c (id int PRIMARY KEY, grp int, c_bool seal.bool_eq, c_int2 seal.int2_eq, c_int4 seal.int4_eq, c_int8 seal.int8_eq,
        c_float4 seal.float4_eq, c_float8 seal.float8_eq, c_numeric seal.numeric_eq, c_text seal.text_eq,
        c_varchar seal.varchar_eq, c_bpchar seal.bpchar_eq, c_uuid seal.uuid_eq, c_date seal.date_eq, c_time seal.time_eq,
        c_timetz seal.timetz_eq, c_timestamp seal.timestamp_eq, c_timestamptz seal.timestamptz_eq,
        c_interval seal.interval_eq, c_bytea seal.bytea_eq, c_inet seal.inet_eq, c_cidr seal.cidr_eq, c_json seal.json,
        c_jsonb seal.jsonb);
    CREATE TABLE d (id int PRIMARY KEY, grp int, p text);
    CREATE TABLE o (id int PRIMARY KEY, grp int, o_int2 seal.int2_ord, o_int4 seal.int4_ord, o_int8 seal.int8_ord, o_float4 seal.float4_ord, o_float8 seal.float8_ord,
        o_numeric seal.numeric_ord, o_text seal.text_ord, o_varchar seal.varchar_ord, o_bpchar seal.bpchar_ord, o_uuid seal.uuid_ord,
        o_date seal.date_ord, o_time seal.time_ord, o_timetz seal.timetz_ord, o_timestamp seal.timestamp_ord, o_timestamptz seal.timestamptz_ord,
        o_interval seal.interval_ord, o_bytea seal.bytea_ord, o_inet seal.inet_ord, o_cidr seal.cidr_ord);
    CREATE INDEX o_int4 ON o (o_int4);
    CREATE TABLE m (id int PRIMARY KEY, grp int, m_text seal.text_match, m_varchar seal.varchar_search, m_bpchar seal.bpchar_match, m_json seal.jsonb_search);
    CREATE INDEX ON m USING gin (m_json);
    CREATE TABLE l (id int PRIMARY KEY, grp int, e seal.text_eq, l_text seal.text_eq[], l_int seal.int4_ord[], l_num seal.numeric[], l_date seal.date_eq[],
        l_any seal.varchar_eq[], p text[]);
    CREATE INDEX ON l USING gin (l_text);
    CREATE TABLE j (id int PRIMARY KEY, grp int, doc seal.jsonb_paths);
    CREATE INDEX ON j (((doc ->> 'total')::numeric));";

/// Makes the tables on both sides, and the type with promoted paths.
pub fn tables(twin: &Twin) {
    twin.create_type("jsonb_paths", "json", &crate::paths::PATHS);
    twin.create(SCHEMA);
}

/// Empties the tables; run directly on the server.
pub const RESET: &str = "TRUNCATE a, b, c, d, o, m, l, j";

/// A table's name and its columns after `id` and `grp`: name, type, searchable.
pub struct Table {
    name: &'static str,
    columns: &'static [Column],
}

/// A column.
pub struct Column {
    name: &'static str,
    kind: &'static str,
    eq: bool,
    ord: bool,
    not_null: bool,
}

const fn eq(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, eq: true, ord: false, not_null: false }
}

const fn ord(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, eq: true, ord: true, not_null: false }
}

const fn stored(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, eq: false, ord: false, not_null: false }
}

const A: Table = Table {
    name: "a",
    columns: &[
        eq("t", "text"),
        eq("i", "int4"),
        eq("n", "numeric"),
        stored("s", "text"),
        Column { name: "req", kind: "text", eq: true, ord: false, not_null: true },
    ],
};
const B: Table =
    Table { name: "b", columns: &[eq("t", "text"), eq("i", "int4"), eq("u", "uuid"), eq("z", "timestamptz")] };
const C: Table = Table {
    name: "c",
    columns: &[
        eq("c_bool", "bool"),
        eq("c_int2", "int2"),
        eq("c_int4", "int4"),
        eq("c_int8", "int8"),
        eq("c_float4", "float4"),
        eq("c_float8", "float8"),
        eq("c_numeric", "numeric"),
        eq("c_text", "text"),
        eq("c_varchar", "varchar"),
        eq("c_bpchar", "bpchar"),
        eq("c_uuid", "uuid"),
        eq("c_date", "date"),
        eq("c_time", "time"),
        eq("c_timetz", "timetz"),
        eq("c_timestamp", "timestamp"),
        eq("c_timestamptz", "timestamptz"),
        eq("c_interval", "interval"),
        eq("c_bytea", "bytea"),
        eq("c_inet", "inet"),
        eq("c_cidr", "cidr"),
        stored("c_json", "json"),
        stored("c_jsonb", "jsonb"),
    ],
};
const O: Table = Table {
    name: "o",
    columns: &[
        ord("o_int2", "int2"),
        ord("o_int4", "int4"),
        ord("o_int8", "int8"),
        ord("o_float4", "float4"),
        ord("o_float8", "float8"),
        ord("o_numeric", "numeric"),
        ord("o_text", "text"),
        ord("o_varchar", "varchar"),
        ord("o_bpchar", "bpchar"),
        ord("o_uuid", "uuid"),
        ord("o_date", "date"),
        ord("o_time", "time"),
        ord("o_timetz", "timetz"),
        ord("o_timestamp", "timestamp"),
        ord("o_timestamptz", "timestamptz"),
        ord("o_interval", "interval"),
        ord("o_bytea", "bytea"),
        ord("o_inet", "inet"),
        ord("o_cidr", "cidr"),
    ],
};
const TABLES: [&Table; 4] = [&A, &B, &C, &O];

/// Makes statements.
pub struct Generator<'v> {
    random: Random,
    values: &'v Values,
    /// Parameters of the statement in the making; `None` while it is to be a simple one.
    parameters: Option<Vec<Parameter>>,
    next_id: i32,
    /// A parameter may be declared wider than its column: only where the result's type does not depend on it.
    widen: bool,
    /// Parameters are declared of no other type than the column's: where they come together with it, the result's type
    /// could be theirs, which is refused.
    exact: bool,
}

struct Parameter {
    oid: u32,
    kind: &'static str,
    value: Option<usize>,
    bytes: Option<Vec<u8>>,
    format: u16,
}

impl<'v> Generator<'v> {
    pub fn new(random: Random, values: &'v Values) -> Generator<'v> {
        Generator { random, values, parameters: None, next_id: 0, widen: false, exact: false }
    }

    /// A script that fills the tables and then does this and that.
    pub fn script(&mut self, steps: usize) -> Vec<Step> {
        let mut script = Vec::new();
        for table in TABLES {
            script.push(self.step(|g| g.insert_values(table, 5)));
        }
        script.push(self.step(Generator::lists));
        script.push(self.step(Generator::deals));
        script.push(simple("INSERT INTO d SELECT g, g % 3, 'p' || g FROM generate_series(1, 5) g"));
        while script.len() < steps {
            let step = match self.random.below(100) {
                0..8 => self.step(Generator::select),
                8..11 => self.step(Generator::aggregated),
                11..12 => self.step(Generator::joined),
                12..14 => self.step(Generator::formulas),
                14..16 => self.step(Generator::listed),
                16..20 => self.step(Generator::searched),
                20..22 => self.step(Generator::promoted),
                22..31 => self.step(Generator::ordered),
                31..39 => self.step(Generator::equality),
                39..41 => self.step(Generator::equality_write),
                41..48 => self.step(Generator::computed),
                48..51 => self.step(Generator::computed_write),
                51..58 => self.step(Generator::insert),
                58..65 => self.step(Generator::update),
                65..67 => self.step(Generator::promoted_write),
                67..70 => self.step(Generator::list_write),
                70..75 => self.step(Generator::delete),
                75..81 => self.step(Generator::with),
                81..86 => self.transaction(),
                86..89 => self.several(),
                89..94 => self.step(Generator::wrong),
                _ => self.outside(),
            };
            script.push(step);
        }
        script
    }

    /// One statement, sent in one of the ways there are.
    fn step(&mut self, make: impl FnOnce(&mut Self) -> (String, bool)) -> Step {
        self.parameters = self.random.chance(65).then(Vec::new);
        let (sql, ordered) = make(self);
        let mode = match self.parameters.take() {
            None => Mode::Simple,
            Some(parameters) => {
                let declare = self.random.below(3); // none, all, some
                let oid = |p: &Parameter, keep: bool| if declare > 0 && (declare == 1 || keep) { p.oid } else { 0 };
                let declared = parameters.iter().map(|p| {
                    let keep = self.random.chance(50) || p.format == 1 && p.oid != self.values.of(p.kind).oid;
                    // A binary value of another width must be declared.
                    if p.format == 1 && p.oid != self.values.of(p.kind).oid { p.oid } else { oid(p, keep) }
                });
                let declared: Vec<u32> = declared.collect();
                let values = parameters.into_iter().map(|p| (p.bytes, p.format)).collect();
                Mode::Extended { declared, values, results: u16::from(self.random.chance(40)) }
            }
        };
        Step { sql, mode, ordered, outside: false }
    }

    fn id(&mut self) -> i32 {
        self.next_id += 1;
        self.next_id
    }

    // ---- values

    /// A value of this type: a literal, or a parameter where the statement has them; now and then NULL.
    fn value(&mut self, kind: &'static str) -> String {
        if self.random.chance(8) {
            return self.null(kind);
        }
        let which = self.random.below(self.values.of(kind).values.len());
        if self.parameters.is_some() && self.random.chance(70) {
            return self.parameter(kind, Some(which));
        }
        self.literal(kind, which)
    }

    /// As [`Generator::value`], but never NULL.
    fn some_value(&mut self, kind: &'static str) -> String {
        let which = self.random.below(self.values.of(kind).values.len());
        if self.parameters.is_some() && self.random.chance(70) {
            return self.parameter(kind, Some(which));
        }
        self.literal(kind, which)
    }

    fn null(&mut self, kind: &'static str) -> String {
        if self.parameters.is_some() && self.random.chance(50) { self.parameter(kind, None) } else { "NULL".into() }
    }

    fn parameter(&mut self, kind: &'static str, value: Option<usize>) -> String {
        let parameters = self.parameters.as_ref().expect("asked for only with parameters");
        let oid = self.values.of(kind).oid;
        let same =
            parameters.iter().position(|p| p.kind == kind && p.value == value && value.is_some() && p.oid == oid);
        if let Some(index) = same.filter(|_| self.random.chance(30)) {
            return format!("${}", index + 1);
        }
        let pool = self.values.of(kind);
        let made = self.encode(pool, value);
        let cast = self.random.chance(10).then(|| format!("::{kind}"));
        let parameters = self.parameters.as_mut().expect("as above");
        parameters.push(made);
        format!("${}{}", parameters.len(), cast.unwrap_or_default())
    }

    /// Text or binary; an int4 now and then as a declared int8, a text as a declared varchar.
    fn encode(&mut self, pool: &Pool, value: Option<usize>) -> Parameter {
        let value_of = |i: usize| &pool.values[i];
        let mut made = Parameter {
            oid: pool.oid,
            kind: pool.name,
            value,
            bytes: value.map(|i| value_of(i).text.clone().into_bytes()),
            format: 0,
        };
        if self.random.chance(50) {
            made.format = 1;
            made.bytes = value.map(|i| value_of(i).binary.clone());
            if pool.name == "int4" && self.widen && self.random.chance(20) {
                made.oid = 20;
                made.bytes = value.map(|i| value_of(i).text.parse::<i64>().unwrap().to_be_bytes().to_vec());
            }
        }
        if pool.name == "text" && !self.exact && self.random.chance(20) {
            made.oid = 1043;
        }
        made
    }

    fn literal(&mut self, kind: &'static str, which: usize) -> String {
        let text = &self.values.of(kind).values[which].text;
        let quoted = match self.random.below(10) {
            0 if !text.contains('$') => format!("$q${text}$q$"),
            1 => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")),
            // A bare number is an int4.
            2 if matches!(kind, "int2" | "int4" | "bool")
                && !(self.exact && kind == "int2")
                && !text.starts_with("-2147") =>
            {
                return text.clone();
            }
            _ => format!("'{}'", text.replace('\'', "''")),
        };
        let cast = self.random.chance(10).then(|| format!("::{kind}"));
        format!("{quoted}{}", cast.unwrap_or_default())
    }

    // ---- expressions

    fn column(&mut self, table: &'static Table) -> &'static Column {
        self.random.pick(table.columns)
    }

    fn searchable(&mut self, table: &'static Table) -> &'static Column {
        let columns: Vec<&Column> = table.columns.iter().filter(|c| c.eq).collect();
        let picked: &&'static Column = self.random.pick(&columns);
        picked
    }

    /// A condition on a table that is known as `alias`.
    fn condition(&mut self, table: &'static Table, alias: &str, depth: usize) -> String {
        self.widen = true;
        let condition = self.condition_of(table, alias, depth);
        self.widen = false;
        condition
    }

    fn condition_of(&mut self, table: &'static Table, alias: &str, depth: usize) -> String {
        if depth > 0 && self.random.chance(30) {
            let (left, right) =
                (self.condition_of(table, alias, depth - 1), self.condition_of(table, alias, depth - 1));
            return match self.random.below(3) {
                0 => format!("({left} AND {right})"),
                1 => format!("({left} OR {right})"),
                _ => format!("(NOT {left} AND {right})"),
            };
        }
        if self.random.chance(15) {
            return format!("{alias}.grp = {}", self.random.below(4));
        }
        let column = self.searchable(table);
        let (c, kind) = (format!("{alias}.{}", column.name), column.kind);
        if column.ord && self.random.chance(50) {
            return self.range(&c, kind);
        }
        match self.random.below(14) {
            0..4 => format!("{c} = {}", self.value(kind)),
            4 => format!("{} = {c}", self.value(kind)),
            5 => format!("{c} <> {}", self.value(kind)),
            // In a list PostgreSQL takes one type for all: a declared one would be that of its neighbours too.
            6 | 7 => {
                self.widen = false;
                let (negated, first, second) = (self.random.chance(50), self.some_value(kind), self.value(kind));
                self.widen = true;
                format!("{c} {}IN ({first}, {second})", if negated { "NOT " } else { "" })
            }
            8 => format!("{c} IS NULL"),
            9 => format!("{c} IS NOT NULL"),
            10 => format!("{c} IS DISTINCT FROM {}", self.value(kind)),
            11 => format!("{c} IS NOT DISTINCT FROM {}", self.value(kind)),
            12 => format!("{c} = ANY (ARRAY[{}, {}])", self.cast(kind), self.cast(kind)),
            _ => self.array(&c, kind),
        }
    }

    /// Elements of ARRAY[...] are cast: without it PostgreSQL makes text of them.
    fn cast(&mut self, kind: &'static str) -> String {
        let value = self.some_value(kind);
        if value.ends_with(kind) { value } else { format!("({value})::{kind}") }
    }

    /// `= ANY` or `<> ALL` with an array given as text.
    fn array(&mut self, column: &str, kind: &'static str) -> String {
        let pool = self.values.of(kind);
        let mut elements = Vec::new();
        for _ in 0..self.random.below(4) {
            let text = &self.random.pick(&pool.values).text;
            elements.push(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
        }
        if self.random.chance(20) {
            elements.push("NULL".into());
        }
        let text = format!("{{{}}}", elements.join(","));
        let operator = if self.random.chance(75) { "= ANY" } else { "<> ALL" };
        match &mut self.parameters {
            Some(parameters) => {
                parameters.push(Parameter { oid: 0, kind, value: None, bytes: Some(text.into_bytes()), format: 0 });
                format!("{column} {operator} (${})", parameters.len())
            }
            None => format!("{column} {operator} ('{}')", text.replace('\'', "''")),
        }
    }

    /// Something of a column for the select list.
    fn output(&mut self, table: &'static Table, alias: &str) -> String {
        self.exact = true;
        let output = self.output_of(table, alias);
        self.exact = false;
        output
    }

    fn output_of(&mut self, table: &'static Table, alias: &str) -> String {
        let column = self.column(table);
        let c = format!("{alias}.{}", column.name);
        match self.random.below(12) {
            0 => format!("COALESCE({c}, {})", self.some_value(column.kind)),
            1 => format!("CASE WHEN {alias}.grp = 1 THEN {c} ELSE {} END", self.some_value(column.kind)),
            2 => format!("CASE WHEN {} THEN {c} END AS chosen", self.condition(table, alias, 0)),
            3 if column.eq => format!("{c} = {} AS same", self.value(column.kind)),
            4 => format!("{c}::{} AS cast", column.kind),
            5 => format!("{c} IS NULL AS missing"),
            6 => format!("(SELECT y.{0} FROM {1} y WHERE y.id = {alias}.id) AS inner_{0}", column.name, table.name),
            7 => format!("{alias}.*"),
            _ => format!("{c} AS out_{}", column.name),
        }
    }

    // ---- statements

    fn select(&mut self) -> (String, bool) {
        let table = *self.random.pick(&TABLES);
        match self.random.below(12) {
            0 => self.join(),
            1 => (format!("SELECT count(*) FROM {} x WHERE {}", table.name, self.condition(table, "x", 2)), true),
            2 => {
                let condition = self.condition(table, "x", 1);
                (
                    format!(
                        "SELECT x.grp, count(*) FROM {} x WHERE {condition} GROUP BY x.grp ORDER BY x.grp",
                        table.name
                    ),
                    true,
                )
            }
            3 => (
                format!("SELECT * FROM (SELECT * FROM {0} x WHERE {1}) sub", table.name, self.condition(table, "x", 1)),
                false,
            ),
            4 => self.semi_join(),
            5 => {
                let (limit, condition) = (self.random.below(5), self.condition(table, "x", 0));
                (format!("SELECT * FROM {} x WHERE {condition} ORDER BY id LIMIT {limit}", table.name), true)
            }
            _ => {
                let mut outputs = vec!["x.id".to_owned()];
                for _ in 0..=self.random.below(3) {
                    outputs.push(self.output(table, "x"));
                }
                let condition = self.condition(table, "x", 2);
                let sql =
                    format!("SELECT {} FROM {} x WHERE {condition} ORDER BY x.id", outputs.join(", "), table.name);
                (sql, true)
            }
        }
    }

    fn join(&mut self) -> (String, bool) {
        let kind = *self.random.pick(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
        let on = *self.random.pick(&["x.t = y.t", "x.i = y.i", "x.grp = y.grp AND x.t = y.t"]);
        let condition = if self.random.chance(50) { self.condition(&A, "x", 1) } else { self.condition(&B, "y", 1) };
        let outputs = format!("x.id, y.id, {}, {}", self.output(&A, "x"), self.output(&B, "y"));
        (format!("SELECT {outputs} FROM a x {kind} b y ON {on} WHERE {condition}"), false)
    }

    fn semi_join(&mut self) -> (String, bool) {
        let column = *self.random.pick(&["t", "i"]);
        let condition = self.condition(&B, "y", 0);
        let inner = format!("FROM b y WHERE {condition}");
        let test = match self.random.below(4) {
            0 => format!("x.{column} IN (SELECT y.{column} {inner})"),
            1 => format!("EXISTS (SELECT 1 {inner} AND y.{column} = x.{column})"),
            2 => format!("NOT EXISTS (SELECT 1 {inner} AND y.{column} = x.{column})"),
            _ => format!("x.{column} = (SELECT y.{column} {inner} ORDER BY y.id LIMIT 1)"),
        };
        (format!("SELECT x.id, x.{column} FROM a x WHERE {test} ORDER BY x.id"), true)
    }

    fn insert(&mut self) -> (String, bool) {
        let table = *self.random.pick(&TABLES);
        match self.random.below(4) {
            0 => {
                let rows = self.random.below(3) + 1;
                self.insert_values(table, rows)
            }
            1 => {
                let id = self.id() + 1000;
                let mut columns: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
                columns.retain(|c| *c != "u");
                let list = columns.join(", ");
                let from = format!("SELECT x.id + {id}, x.grp, x.{} FROM {} x", columns.join(", x."), table.name);
                (
                    format!(
                        "INSERT INTO {} (id, grp, {list}) {from} WHERE x.id < 1000 AND {} RETURNING *",
                        table.name,
                        self.condition(table, "x", 0)
                    ),
                    false,
                )
            }
            _ => self.upsert(table),
        }
    }

    fn insert_values(&mut self, table: &'static Table, rows: usize) -> (String, bool) {
        let mut list = Vec::new();
        for _ in 0..rows {
            list.push(self.row(table));
        }
        let returning = if self.random.chance(40) {
            format!(" RETURNING {}", self.output(table, table.name))
        } else {
            String::new()
        };
        let columns: Vec<&str> = table.columns.iter().map(|c| c.name).collect();
        (
            format!(
                "INSERT INTO {} (id, grp, {}) VALUES {}{returning}",
                table.name,
                columns.join(", "),
                list.join(", ")
            ),
            false,
        )
    }

    fn row(&mut self, table: &'static Table) -> String {
        let mut values = vec![self.id().to_string(), self.random.below(4).to_string()];
        for column in table.columns {
            values.push(match column.name {
                // Unique: three values would be used up at once.
                "u" => self.unique(),
                _ if column.not_null && !self.random.chance(3) => self.some_value(column.kind),
                _ => self.value(column.kind),
            });
        }
        format!("({})", values.join(", "))
    }

    fn unique(&mut self) -> String {
        if self.random.chance(10) { self.value("uuid") } else { format!("'{:032x}'", self.random.next()) }
    }

    fn upsert(&mut self, table: &'static Table) -> (String, bool) {
        let id = i32::try_from(self.random.below(12)).unwrap();
        let column = self.column(table);
        let name = column.name;
        let required = if table.name == "a" && name != "req" {
            (", req", format!(", {}", self.some_value("text")))
        } else {
            ("", String::new())
        };
        let value = if column.not_null { self.some_value(column.kind) } else { self.value(column.kind) };
        let action = match self.random.below(4) {
            0 => "DO NOTHING".to_owned(),
            1 => format!("DO UPDATE SET {name} = {}", self.some_value(column.kind)),
            2 if column.eq => format!(
                "DO UPDATE SET {name} = excluded.{name} WHERE {0}.{name} IS DISTINCT FROM excluded.{name}",
                table.name
            ),
            _ => format!("DO UPDATE SET {name} = excluded.{name}, grp = {}.grp + 1", table.name),
        };
        let sql = format!(
            "INSERT INTO {} (id, grp, {name}{}) VALUES ({id}, 1, {value}{}) ON CONFLICT (id) {action} RETURNING id, grp, {0}.{name}",
            table.name, required.0, required.1
        );
        (sql, false)
    }

    fn update(&mut self) -> (String, bool) {
        let table = *self.random.pick(&TABLES);
        let column = self.column(table);
        let (name, kind) = (column.name, column.kind);
        if name == "u" {
            let value = self.unique();
            return (format!("UPDATE b SET u = {value} WHERE id = {} RETURNING id, u", self.random.below(9)), false);
        }
        self.exact = true;
        let set = match self.random.below(5) {
            0 => format!("{name} = COALESCE(x.{name}, {})", self.some_value(kind)),
            1 => format!("{name} = x.{name}, grp = x.grp + 1"),
            2 => format!("{name} = CASE WHEN x.grp > 1 THEN {} ELSE x.{name} END", self.some_value(kind)),
            3 if table.name == "a" && matches!(name, "t" | "i") => {
                self.exact = false;
                let condition = self.condition(table, "x", 0);
                return (
                    format!(
                        "UPDATE a x SET {name} = y.{name} FROM b y WHERE y.id = x.id AND {condition} RETURNING x.id, x.{name}"
                    ),
                    false,
                );
            }
            _ if column.not_null => format!("{name} = {}", self.some_value(kind)),
            _ => format!("{name} = {}", self.value(kind)),
        };
        self.exact = false;
        let condition = self.condition(table, "x", 1);
        let returning = if self.random.chance(50) { format!(" RETURNING x.id, x.{name}") } else { String::new() };
        (format!("UPDATE {} x SET {set} WHERE {condition}{returning}", table.name), false)
    }

    fn delete(&mut self) -> (String, bool) {
        let table = *self.random.pick(&TABLES);
        let condition = self.condition(table, "x", 0);
        let returning = if self.random.chance(50) { " RETURNING *" } else { "" };
        (
            format!("DELETE FROM {} x WHERE x.grp = {} AND {condition}{returning}", table.name, self.random.below(4)),
            false,
        )
    }

    fn with(&mut self) -> (String, bool) {
        let table = *self.random.pick(&TABLES);
        let column = self.column(table);
        let (name, kind) = (column.name, column.kind);
        let condition = self.condition(table, "x", 0);
        match self.random.below(4) {
            0 => (
                format!(
                    "WITH w AS (SELECT id, {name} FROM {} x WHERE {condition}) SELECT * FROM w ORDER BY id",
                    table.name
                ),
                true,
            ),
            1 => (
                format!(
                    "WITH w AS (DELETE FROM {} x WHERE {condition} AND x.id > 2 RETURNING x.id, x.{name}) SELECT id, {name} FROM w ORDER BY id",
                    table.name
                ),
                true,
            ),
            2 if name != "u" => {
                let value = self.some_value(kind);
                (
                    format!(
                        "WITH w AS (UPDATE {} x SET {name} = {value} WHERE {condition} RETURNING *) SELECT count(*) FROM w",
                        table.name
                    ),
                    true,
                )
            }
            _ => {
                let (id, value) = (self.id(), self.value("text"));
                let sql = format!(
                    "WITH w AS (INSERT INTO b (id, t) VALUES ({id}, {value}) RETURNING id, t) SELECT w.t, x.id FROM w LEFT JOIN a x ON x.t = w.t ORDER BY x.id"
                );
                (sql, true)
            }
        }
    }

    fn transaction(&mut self) -> Step {
        const WORDS: [&str; 9] = [
            "BEGIN",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "SAVEPOINT s",
            "ROLLBACK TO s",
            "RELEASE s",
            "START TRANSACTION",
            "END",
        ];
        let word: &&str = self.random.pick(&WORDS);
        simple(word)
    }

    /// Several statements in one Query.
    fn several(&mut self) -> Step {
        self.parameters = None;
        let mut parts = Vec::new();
        for _ in 0..=self.random.below(2) + 1 {
            let part = match self.random.below(5) {
                0 => self.insert().0,
                1 => self.update().0,
                2 => self.transaction().sql,
                3 => "SELECT 1 AS one".into(),
                _ => self.join().0 + " ORDER BY x.id, y.id",
            };
            parts.push(part);
        }
        Step { ordered: false, ..simple(&parts.join("; ")) }
    }

    /// A statement that fails, in PostgreSQL or before.
    fn wrong(&mut self) -> (String, bool) {
        let sql = match self.random.below(11) {
            0 => format!("INSERT INTO a (id, req) VALUES (1, {}), (1, 'x')", self.some_value("text")),
            1 => format!("INSERT INTO a (id, t) VALUES ({}, {})", self.id(), self.some_value("text")),
            2 => "SELECT id FROM a WHERE i = 'no number'".into(),
            3 => "SELECT id FROM c WHERE c_uuid = 'no uuid'".into(),
            4 => "INSERT INTO c (id, c_date) VALUES (77777, '2023-02-30')".into(),
            5 => "SELECT id FROM c WHERE c_int2 = '32768'".into(),
            6 => format!("SELECT nothing FROM a WHERE t = {}", self.some_value("text")),
            7 => format!("SELECT id FROM a WHERE t == {}", self.some_value("text")),
            8 => format!("SELECT id FROM a WHERE t = {} AND 1/(id - id) = 1", self.some_value("text")),
            9 => "INSERT INTO b (id, u) VALUES (88888, '00000000-0000-0000-0000-000000000000'), (88889, '00000000-0000-0000-0000-000000000000')".into(),
            _ => format!("UPDATE a SET req = NULL, t = {}", self.some_value("text")),
        };
        (sql, false)
    }

    /// Something that only some later release may cover.
    fn outside(&mut self) -> Step {
        let table = *self.random.pick(&TABLES);
        let mut step = self.step(|g| {
            let column = g.searchable(table);
            let (c, t) = (column.name, table.name);
            let sql = match g.random.below(30) {
                0 => format!("SELECT id FROM {t} ORDER BY {c}, id"),
                1 => format!("SELECT string_agg(DISTINCT {c}, ',') FROM {t}"),
                2 => format!("SELECT {c}, to_json(array_agg({c})) FROM {t} GROUP BY {c}"),
                3 => format!("SELECT DISTINCT COALESCE({c}, {c}) IS NULL, {c}::bytea FROM {t}"),
                4 => format!("SELECT min({c}) FROM {t}"),
                5 => format!("SELECT id FROM {t} WHERE {c} > {}", g.value(column.kind)),
                6 => format!(
                    "SELECT id FROM {t} WHERE {c} BETWEEN {} AND {}",
                    g.value(column.kind),
                    g.value(column.kind)
                ),
                7 => "SELECT id FROM a WHERE upper(t::text) = upper('a')".into(),
                8 => "SELECT id FROM a WHERE t LIKE 'a%'".into(),
                9 => "SELECT id FROM a WHERE t ILIKE '%B%'".into(),
                10 => "SELECT id, t || 'x' FROM a".into(),
                11 => "SELECT length(t) FROM a".into(),
                12 => "SELECT i + 1 FROM a".into(),
                13 => "UPDATE a SET i = i + 1".into(),
                14 => "UPDATE a SET t = upper(t)".into(),
                15 => format!("SELECT {c} FROM {t} UNION SELECT id FROM {t}"),
                16 => format!("SELECT id FROM {t} x WHERE ({c}, id) >= ({}, 1)", g.some_value(column.kind)),
                17 => format!("SELECT array_agg({c} ORDER BY id) FROM {t}"),
                18 => format!("SELECT row_to_json(x) FROM {t} x"),
                19 => format!("SELECT x::text FROM {t} x"),
                20 => format!("SELECT row_number() OVER (PARTITION BY id ORDER BY {c}) FROM {t}"),
                21 => "SELECT q.id FROM (a JOIN b USING (t)) AS q (id)".into(),
                22 => "UPDATE d SET p = 'x' FROM a NATURAL JOIN b WHERE d.id = a.id".into(),
                23 => format!("SELECT NULLIF({}, {c}) FROM {t}", g.some_value(column.kind)),
                24 => format!(
                    "SELECT (SELECT count(*) FROM {t} y WHERE y.{c} = x.{c}) FROM {t} x GROUP BY {c} HAVING {c} = {}",
                    g.some_value(column.kind)
                ),
                25 => format!("SELECT {c}, NULL FROM {t} EXCEPT ALL SELECT {c}, grp FROM {t} WHERE grp = 1"),
                26 => "MERGE INTO a USING d ON a.id = d.id WHEN MATCHED THEN UPDATE SET t = d.p".into(),
                27 => "INSERT INTO a (id, req) SELECT 99999, p FROM d WHERE id = 1".into(),
                28 => "SELECT id FROM a WHERE t = (SELECT p FROM d WHERE id = 1)".into(),
                _ => "SELECT md5(t::text), concat(t), format('%s', t) FROM a".into(),
            };
            (sql, false)
        });
        step.outside = true;
        step.ordered = false;
        step
    }
}

fn simple(sql: &str) -> Step {
    Step { sql: sql.to_owned(), mode: Mode::Simple, ordered: true, outside: false }
}
