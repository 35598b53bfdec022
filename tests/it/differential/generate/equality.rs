//! Statements over what equality carries: groups, distinct rows, set operations, rows compared part by part, joins by name.

use super::{Column, Generator, TABLES, Table};

/// Types whose equal values are printed alike: which value of a group is shown is PostgreSQL's choice.
const ALIKE: [&str; 13] = [
    "bool",
    "int2",
    "int4",
    "int8",
    "text",
    "varchar",
    "uuid",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "bytea",
    "cidr",
];

impl Generator<'_> {
    fn alike(&mut self, table: &'static Table) -> &'static Column {
        let columns: Vec<&Column> = table.columns.iter().filter(|c| c.eq && ALIKE.contains(&c.kind)).collect();
        let picked: &&'static Column = self.random.pick(&columns);
        picked
    }

    /// Reads.
    pub(super) fn equality(&mut self) -> (String, bool) {
        let table = *self.random.pick(&TABLES);
        let column = self.alike(table);
        let (c, kind, t) = (column.name, column.kind, table.name);
        match self.random.below(15) {
            0 => {
                let (other, condition) = (self.searchable(table).name, self.condition(table, "x", 1));
                (
                    format!(
                        "SELECT x.{c}, count(*), count(DISTINCT x.{other}) FROM {t} x WHERE {condition} GROUP BY x.{c} HAVING count(*) >= {}",
                        self.random.below(3)
                    ),
                    false,
                )
            }
            1 => {
                let by =
                    *self.random.pick(&["ROLLUP (x.grp, k)", "CUBE (k, x.grp)", "GROUPING SETS ((2), (x.grp, k), ())"]);
                (format!("SELECT x.grp, x.{c} AS k, count(*) FROM {t} x GROUP BY {by}"), false)
            }
            2 => {
                self.exact = true;
                let (value, other) = (self.value(kind), self.some_value(kind));
                self.exact = false;
                (
                    format!(
                        "SELECT COALESCE({c}, {other}) AS c, max(id) FROM {t} GROUP BY {c} HAVING {c} = {value} OR {c} IS NULL"
                    ),
                    false,
                )
            }
            3 => (format!("SELECT DISTINCT x.grp, x.{c} FROM {t} x WHERE {}", self.condition(table, "x", 1)), false),
            4 => {
                (format!("SELECT DISTINCT ON (x.{c}) x.{c} FROM {t} x WHERE {}", self.condition(table, "x", 0)), false)
            }
            5 => {
                let (one, condition) = (self.searchable(table).name, self.condition(table, "x", 1));
                (
                    format!(
                        "SELECT count(DISTINCT x.{one}), count(DISTINCT (x.grp, x.{c})) FROM {t} x WHERE {condition}"
                    ),
                    true,
                )
            }
            6 | 7 => self.set_operation(table, c),
            8 => {
                let part = self.searchable(table).name;
                (format!("SELECT id, row_number() OVER (PARTITION BY {part} ORDER BY id) FROM {t} ORDER BY id"), true)
            }
            9 => {
                let (operator, value) = (*self.random.pick(&["=", "<>", "IS DISTINCT FROM"]), self.value(kind));
                (format!("SELECT id FROM {t} WHERE ({c}, grp) {operator} ({value}, 1) ORDER BY id"), true)
            }
            10 => {
                let (not, a, b) = (*self.random.pick(&["", "NOT "]), self.value(kind), self.value(kind));
                (format!("SELECT id FROM {t} WHERE ({c}, grp) {not}IN (({a}, 1), ({b}, 2)) ORDER BY id"), true)
            }
            11 => {
                let (not, condition) = (*self.random.pick(&["", "NOT "]), self.condition(table, "y", 0));
                (
                    format!(
                        "SELECT x.id FROM {t} x WHERE (x.{c}, x.grp) {not}IN (SELECT y.{c}, y.grp FROM {t} y WHERE {condition}) ORDER BY x.id"
                    ),
                    true,
                )
            }
            12 => {
                self.exact = true;
                let (a, b) = (self.value(kind), self.value(kind));
                self.exact = false;
                (
                    match kind {
                        // There NULLIF gives another type, which is refused.
                        "varchar" | "cidr" => {
                            format!("SELECT id, CASE {c} WHEN {a} THEN 1 WHEN {b} THEN 2 END FROM {t} ORDER BY id")
                        }
                        _ => format!(
                            "SELECT id, CASE {c} WHEN {a} THEN 1 ELSE 2 END, NULLIF({c}, {b}) FROM {t} ORDER BY id"
                        ),
                    },
                    true,
                )
            }
            _ => self.join_by_name(),
        }
    }

    fn set_operation(&mut self, table: &'static Table, column: &str) -> (String, bool) {
        let operation =
            *self.random.pick(&["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"]);
        let (left, right) = (self.condition(table, "x", 1), self.condition(table, "x", 1));
        let arm = |condition| format!("SELECT x.grp, x.{column} FROM {} x WHERE {condition}", table.name);
        let sql = format!("{} {operation} {}", arm(left), arm(right));
        match self.random.below(3) {
            0 => (format!("SELECT count(*) FROM ({sql}) q"), true),
            1 => (format!("{sql} UNION SELECT grp, {column} FROM {} ORDER BY grp", table.name), false),
            _ => (sql, false),
        }
    }

    fn join_by_name(&mut self) -> (String, bool) {
        let kind = *self.random.pick(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
        let by = *self.random.pick(&["t", "i", "grp, t", "t, i"]);
        let name = if by.contains('i') { "i" } else { "t" };
        match self.random.below(4) {
            0 => (format!("SELECT * FROM a {kind} b USING ({by})"), false),
            1 => (format!("SELECT {name}, count(*) FROM a x {kind} b y USING ({by}) GROUP BY {name}"), false),
            2 => (format!("SELECT * FROM a NATURAL {kind} b"), false),
            _ => (format!("SELECT x.id, y.id, {name} FROM a x {kind} b y USING ({by}) ORDER BY x.id, y.id"), false),
        }
    }

    /// Writes.
    pub(super) fn equality_write(&mut self) -> (String, bool) {
        let id = self.id() + 20_000;
        match self.random.below(3) {
            0 => {
                let value = self.unique();
                let action = *self.random.pick(&["NOTHING", "UPDATE SET grp = b.grp + 1", "UPDATE SET t = excluded.t"]);
                (
                    format!(
                        "INSERT INTO b (id, grp, u) VALUES ({id}, 1, {value}) ON CONFLICT (u) DO {action} RETURNING id, grp, u"
                    ),
                    false,
                )
            }
            1 => {
                let sql = format!(
                    "MERGE INTO b USING a ON b.t = a.t AND b.id = a.id WHEN MATCHED THEN UPDATE SET i = a.i WHEN NOT MATCHED AND a.id < 20 THEN INSERT (id, t) VALUES (a.id + {id}, a.t)"
                );
                (sql, true)
            }
            _ => (
                format!(
                    "INSERT INTO b (id, t) SELECT {id} + row_number() OVER (ORDER BY count(*), min(id)), t FROM a GROUP BY t RETURNING t"
                ),
                false,
            ),
        }
    }
}
