//! Expressions of values that the proxy computes.

use super::{A, C, Column, Generator, O, Table};

impl Generator<'_> {
    /// Expressions of a table's columns, as they stand in queries.
    pub(super) fn formulas(&mut self) -> (String, bool) {
        let table = *self.random.pick(&[&A, &C, &C, &O]);
        let outputs: Vec<String> = (0..=self.random.below(3)).map(|_| self.formula(table)).collect();
        let (outputs, condition) = (outputs.join(", "), self.condition(table, "x", 1));
        let name = table.name;
        let sql = match self.random.below(4) {
            0 => format!("SELECT * FROM (SELECT x.id, {outputs} FROM {name} x WHERE {condition}) q ORDER BY id"),
            1 => format!(
                "SELECT d.id, l.* FROM d LEFT JOIN LATERAL (SELECT x.id AS line, {outputs} FROM {name} x WHERE x.grp = d.grp) l ON d.id > 2 ORDER BY d.id, line"
            ),
            _ => format!("SELECT x.id, {outputs} FROM {name} x WHERE {condition} ORDER BY x.id"),
        };
        (sql, true)
    }

    fn formula(&mut self, table: &'static Table) -> String {
        let known: Vec<&'static Column> = table.columns.iter().filter(|c| !forms(c.kind).is_empty()).collect();
        let &column: &&'static Column = self.random.pick(&known);
        let value = format!("x.{}", column.name);
        let form = (*self.random.pick(forms(column.kind))).replace("{c}", &value);
        let text = form.starts_with("lower") || form.starts_with("left");
        match self.random.below(6) {
            0 if text => format!("length({form})"),
            1 if text => format!("COALESCE({form}, 'none')"),
            2 => format!("({form})::text"),
            _ => form,
        }
    }
}

/// What never fails on any value of the type.
fn forms(kind: &str) -> &'static [&'static str] {
    match kind {
        "text" | "varchar" | "bpchar" => &[
            "lower({c})",
            "left({c}, 2)",
            "left(upper({c}), -1)",
            "length({c})",
            "octet_length({c})",
            "reverse({c})",
            "trim({c})",
            "btrim({c}, 'ab')",
            "substr({c}, 2, 3)",
            "replace({c}, 'a', '')",
            "split_part({c}, ',', 1)",
            "strpos({c}, 'b')",
            "lpad({c}, 5, 'xy')",
            "right({c}, 3)",
            "left({c}, x.grp)",
            "COALESCE({c}::text, x.grp::text)",
            "replace(x.id::text, '1', {c}::text)",
        ],
        "int2" => &["{c}::int + 1", "{c} % 7::int2", "{c}::int8 * {c}", "{c}::numeric / 3", "{c}::int4::text"],
        "int4" => &[
            "{c}::int8 + 1",
            "{c} % 7",
            "-({c}::int8)",
            "{c}::int8 * x.grp",
            "x.id - {c}::int8",
            "COALESCE({c}, x.grp)",
            "{c} * 1.5",
            "round({c}, -1)",
            "{c}::float8",
        ],
        "int8" => &[
            "{c} % 10",
            "COALESCE({c}, x.grp)",
            "{c}::numeric * x.grp",
            "{c} * 1.0",
            "{c}::numeric - 1",
            "mod({c}, 3)",
        ],
        "numeric" => &[
            "{c} + 1",
            "{c} * 2.50",
            "-{c}",
            "abs({c})",
            "round({c}, 2)",
            "trunc({c})",
            "sign({c})",
            "floor({c})",
            "{c} % 7",
            "{c} * x.grp",
        ],
        "bool" => &["{c}::int", "{c}::int + 1"],
        "timestamp" => &["date_trunc('month', {c})", "{c}::date", "extract(year FROM {c})", "date_part('dow', {c})"],
        "date" => &["{c}::timestamp", "extract(month FROM {c})", "extract(epoch FROM {c})", "date_part('week', {c})"],
        "timestamptz" => &["{c}::date", "date_trunc('hour', {c})", "date_trunc('day', {c})", "extract(hour FROM {c})"],
        "json" => &["{c} -> 'a'", "{c} ->> 0", "{c} #>> '{a,0}'", "json_typeof({c})", "{c} -> -1"],
        "jsonb" => &[
            "{c} -> 'a'",
            "{c} ->> 0",
            "{c} #>> '{a,0}'",
            "jsonb_typeof({c})",
            "{c} -> -1",
            "{c}['a'][0]",
            "jsonb_pretty({c})",
            "{c} -> x.grp",
        ],
        _ => &[],
    }
}
