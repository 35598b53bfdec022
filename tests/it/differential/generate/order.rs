//! What goes by the order of values: comparisons, ORDER BY, min and max, windows, DISTINCT ON, pages.

use super::{Column, Generator, O};

impl Generator<'_> {
    pub(super) fn ordered_column(&mut self) -> &'static Column {
        self.random.pick(O.columns)
    }

    /// A condition that needs the order of a column's values.
    pub(super) fn range(&mut self, column: &str, kind: &'static str) -> String {
        let operator = *self.random.pick(&["<", "<=", ">", ">="]);
        match self.random.below(8) {
            0..4 => format!("{column} {operator} {}", self.value(kind)),
            4 => format!("{} {operator} {column}", self.value(kind)),
            5 => {
                let not = if self.random.chance(30) { "NOT " } else { "" };
                let symmetric = if self.random.chance(30) { "SYMMETRIC " } else { "" };
                format!("{column} {not}BETWEEN {symmetric}{} AND {}", self.value(kind), self.value(kind))
            }
            6 => format!("{column} {operator} ANY (ARRAY[{}, {}])", self.cast(kind), self.cast(kind)),
            _ => format!("{column} {operator} ALL (ARRAY[{}])", self.cast(kind)),
        }
    }

    pub(super) fn direction(&mut self) -> String {
        let direction = *self.random.pick(&["", " ASC", " DESC"]);
        let nulls = *self.random.pick(&["", "", " NULLS FIRST", " NULLS LAST"]);
        format!("{direction}{nulls}")
    }

    /// A column whose equal values are written in one way: of others any one stands for its group.
    pub(super) fn single(&mut self) -> &'static Column {
        let several = |kind: &str| matches!(kind, "bpchar" | "numeric" | "interval" | "float4" | "float8");
        let columns: Vec<&'static Column> = O.columns.iter().filter(|c| !several(c.kind)).collect();
        let picked: &&'static Column = self.random.pick(&columns);
        picked
    }

    /// A query whose rows, or their order, go by values.
    pub(super) fn ordered(&mut self) -> (String, bool) {
        let (first, second) = (self.ordered_column(), self.ordered_column());
        let (c, kind, e) = (first.name, first.kind, second.name);
        let (up, down) = (self.direction(), self.direction());
        let condition = self.condition(&O, "x", 1);
        // What PostgreSQL has min and max of.
        let extreme = O.columns.iter().filter(|c| !matches!(c.kind, "uuid" | "bytea"));
        let extreme: Vec<&str> = extreme.map(|c| c.name).collect();
        let g = self.single().name;
        let (m, n) = (*self.random.pick(&extreme), *self.random.pick(&extreme));
        let sql = match self.random.below(23) {
            0 => format!("SELECT id, {c} FROM o x WHERE {condition} ORDER BY {c}{up}, id"),
            1 => format!("SELECT {c}, id FROM o x WHERE {condition} ORDER BY 1{up}, {e}{down}, 2"),
            2 => format!("SELECT id, {c} AS k FROM o x ORDER BY k{up}, id LIMIT {}", self.random.below(6)),
            3 => format!("SELECT * FROM o x WHERE {condition} ORDER BY {c}{up}, id{down} OFFSET 1 LIMIT 4"),
            4 => format!(
                "SELECT x.*, y.{e} AS other FROM o x JOIN o y ON x.{c} >= y.{c} ORDER BY y.{c}{up}, x.{c}, x.id, y.id LIMIT 20"
            ),
            5 => format!("SELECT min({m}), max({n}), count({e}) FROM o x WHERE {condition}"),
            6 => format!(
                "SELECT grp, max({m}) AS top, min({n}) FROM o x GROUP BY grp HAVING min(o_int4) <= {} ORDER BY grp",
                self.value("int4")
            ),
            7 => format!(
                "SELECT id, rank() OVER (ORDER BY {c}{up}), dense_rank() OVER w FROM o x WINDOW w AS (PARTITION BY grp ORDER BY {e}{down}) ORDER BY id"
            ),
            8 => format!(
                "SELECT grp, array_agg(id ORDER BY {c}{up}, id) FROM o x WHERE {condition} GROUP BY grp ORDER BY grp"
            ),
            9 => format!("SELECT DISTINCT ON ({c}) id, {e} FROM o x ORDER BY {c}{up}, id"),
            10 => format!("SELECT DISTINCT ON (2) id, {c} FROM o x ORDER BY 2{up}, id"),
            11 => format!(
                "SELECT id, {c} FROM (SELECT id, {c} FROM o x ORDER BY {c}{up}, id LIMIT 5) s ORDER BY {c}{down}, id"
            ),
            12 => format!(
                "SELECT id, max({m}) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS top FROM o x ORDER BY id"
            ),
            13 => {
                format!("SELECT id FROM o x WHERE {m} = (SELECT max(y.{m}) FROM o y WHERE y.grp = x.grp) ORDER BY id")
            }
            14 => {
                format!("SELECT id, COALESCE(o_date, {}) AS v FROM o x ORDER BY {c}{up}, id", self.some_value("date"))
            }
            15 => format!("SELECT {g}, count(*) FROM o x GROUP BY {g} ORDER BY {g}{up}"),
            16 => format!("SELECT {g} AS k, max({m}) FROM o x GROUP BY k HAVING count(*) >= 1 ORDER BY k{up}"),
            17 => format!("SELECT DISTINCT {g} FROM o x WHERE {condition} ORDER BY {g}{up}"),
            18 => format!("SELECT DISTINCT {g}, grp FROM o x ORDER BY 1{up}, 2"),
            19 => {
                let operator = *self.random.pick(&["<", "<=", ">", ">=", "=", "<>"]);
                let row = format!("({}, {})", self.some_value(kind), self.random.below(9));
                format!("SELECT id, {c} FROM o x WHERE ({c}, id) {operator} {row} ORDER BY {c}, id LIMIT 5")
            }
            20 => format!("SELECT {g} FROM o WHERE grp = 1 UNION SELECT {g} FROM o WHERE grp = 2 ORDER BY 1{up}"),
            21 => {
                let of =
                    *self.random.pick(&["o_int4", "o_int8", "o_text", "o_varchar", "o_date", "o_timestamp", "o_inet"]);
                let filter = if self.random.chance(60) { format!(" WHERE {condition}") } else { String::new() };
                format!("SELECT {}({of}) FROM o x{filter}", self.random.pick(&["min", "max"]))
            }
            _ => format!("SELECT count(*) FROM o x WHERE {}", self.range(&format!("x.{c}"), kind)),
        };
        (sql, true)
    }
}
