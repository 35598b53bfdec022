//! Aggregates that the proxy computes, and text that is built of values.

use super::{A, C, Column, Generator, O, Table};

impl Generator<'_> {
    /// Aggregates of a table, as they stand in queries.
    pub(super) fn aggregated(&mut self) -> (String, bool) {
        let table = *self.random.pick(&[&A, &C, &C, &O]);
        let outputs: Vec<String> = (0..=self.random.below(3)).map(|_| self.aggregate(table)).collect();
        let (outputs, condition) = (outputs.join(", "), self.condition(table, "x", 1));
        let name = table.name;
        let sql = match self.random.below(6) {
            0 => format!("SELECT {outputs} FROM {name} x WHERE {condition}"),
            1 => format!("SELECT x.grp, {outputs}, count(*) FROM {name} x GROUP BY x.grp ORDER BY x.grp"),
            2 => format!("SELECT * FROM (SELECT x.grp AS g, {outputs} FROM {name} x GROUP BY x.grp) q ORDER BY g"),
            3 => format!(
                "WITH q AS (SELECT {outputs} FROM {name} x WHERE {condition}) SELECT q.*, d.id FROM q, d ORDER BY d.id"
            ),
            4 => format!("SELECT x.grp, x.id % 2, {outputs} FROM {name} x GROUP BY ROLLUP (1, 2) ORDER BY 1, 2"),
            _ => format!(
                "SELECT d.id, l.* FROM d LEFT JOIN LATERAL (SELECT {outputs} FROM {name} x WHERE x.grp = d.grp) l ON d.id > 2 ORDER BY d.id"
            ),
        };
        (sql, true)
    }

    fn aggregate(&mut self, table: &'static Table) -> String {
        let known: Vec<&'static Column> = table.columns.iter().filter(|c| !functions(c).is_empty()).collect();
        let &column: &&'static Column = self.random.pick(&known);
        let function = *self.random.pick(functions(column));
        // Rows come in an order of their own on each side, and sums of floats depend on it.
        let order = if column.kind.starts_with("float") { " ORDER BY x.id" } else { "" };
        let filter = match self.random.chance(25) {
            true => format!(" FILTER (WHERE {})", self.condition(table, "x", 0)),
            false => String::new(),
        };
        let call = format!("{function}(x.{}{order}){filter}", column.name);
        // What is cast, or stands in COALESCE, must not be one of the column's own values.
        let own = ["min", "max", "count"].contains(&function);
        let number = !own && ["int2", "int4", "int8", "numeric"].contains(&column.kind);
        match self.random.below(10) {
            0 if number => format!("COALESCE({call}, 0)"),
            1 if number => format!("{call}::text"),
            2 if number && ["sum", "avg"].contains(&function) => format!("{call}::int8"),
            3 if number => format!("COALESCE({call}, -1.50)"),
            _ => call,
        }
    }
}

impl Generator<'_> {
    /// Text that is built of values.
    pub(super) fn joined(&mut self) -> (String, bool) {
        let table = *self.random.pick(&[&A, &C, &C, &O]);
        // What pads them is no part of their values.
        let known: Vec<&'static Column> = table.columns.iter().filter(|c| c.kind != "bpchar").collect();
        let simple = |kind: &str| !["json", "jsonb", "bytea"].contains(&kind);
        let texts: Vec<&'static Column> =
            known.iter().copied().filter(|c| ["text", "varchar"].contains(&c.kind)).collect();
        let others: Vec<&'static Column> = known.iter().copied().filter(|c| simple(c.kind)).collect();
        let (text, other) = (self.random.pick(&texts).name, self.random.pick(&others).name);
        let (any, shown) = (self.random.pick(&known).name, self.random.pick(&known).name);
        let given = self.some_value("text");
        let condition = self.condition(table, "x", 1);
        let output = match self.random.below(5) {
            0 => format!("x.{text} || ', ' || x.{other}, x.{other} || x.{text}"),
            1 => format!("concat(x.{any}, x.id, x.{shown}), concat_ws('-', x.{any}, x.grp, x.{text})"),
            2 => format!("x.{shown}::text, x.{any}::text AS k"),
            3 => format!("COALESCE(x.{text}, 'none') || x.id || '!'"),
            _ => format!("x.{text} || {given}"),
        };
        let name = table.name;
        let sql = match self.random.below(4) {
            0 => format!(
                "SELECT x.grp, string_agg(x.{text}, ', ' ORDER BY x.id) FROM {name} x WHERE {condition} GROUP BY x.grp ORDER BY x.grp"
            ),
            1 => format!("SELECT * FROM (SELECT x.id, {output} FROM {name} x) q ORDER BY id"),
            _ => format!("SELECT x.id, {output} FROM {name} x WHERE {condition} ORDER BY x.id"),
        };
        (sql, true)
    }
}

/// Functions that give one result of a column's values, whatever order they come in.
fn functions(column: &Column) -> &'static [&'static str] {
    match column.kind {
        "int2" | "int4" | "int8" => {
            &["sum", "avg", "stddev", "stddev_pop", "variance", "var_pop", "min", "max", "count"]
        }
        "numeric" => &["sum", "avg", "stddev_samp", "stddev_pop", "var_samp", "var_pop", "count"],
        "float4" | "float8" => &["sum", "avg"],
        "interval" => &["sum", "avg"],
        "bool" => &["bool_and", "bool_or", "every"],
        "date" | "time" | "timetz" | "timestamp" | "timestamptz" => &["min", "max"],
        _ => &[],
    }
}
