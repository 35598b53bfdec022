//! Arrays of encrypted values: made of single ones, and kept in columns.

use super::{Column, Generator, eq, ord, stored};

/// Columns of `l`, by the type of their elements.
const LISTS: &[Column] = &[
    eq("l_text", "text"),
    ord("l_int", "int4"),
    stored("l_num", "numeric"),
    eq("l_date", "date"),
    eq("l_any", "varchar"),
];

impl Generator<'_> {
    fn list_column(&mut self, compared: bool) -> &'static Column {
        let columns: Vec<&'static Column> = LISTS.iter().filter(|c| c.eq || !compared).collect();
        let picked: &&'static Column = self.random.pick(&columns);
        picked
    }

    /// An array of this type: `ARRAY[...]` or a literal; now and then NULL.
    fn list(&mut self, kind: &'static str) -> String {
        if self.random.chance(5) {
            return format!("NULL::{kind}[]");
        }
        let length = self.random.below(4);
        self.exact = true;
        let list = if self.random.chance(50) {
            let values: Vec<String> = (0..length).map(|_| self.value(kind)).collect();
            format!("ARRAY[{}]::{kind}[]", values.join(", "))
        } else {
            let texts: Vec<String> = (0..length).map(|_| self.element(kind)).collect();
            format!("'{{{}}}'", texts.join(",").replace('\'', "''"))
        };
        self.exact = false;
        list
    }

    /// An element of an array literal.
    fn element(&mut self, kind: &'static str) -> String {
        if self.random.chance(10) {
            return "NULL".into();
        }
        let which = self.random.below(self.values.of(kind).values.len());
        let text = &self.values.of(kind).values[which].text;
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    /// Rows to begin with.
    pub(super) fn lists(&mut self) -> (String, bool) {
        let rows: Vec<String> = (0..6)
            .map(|_| {
                let (id, grp) = (self.id(), self.random.below(3));
                let values: Vec<String> = LISTS.iter().map(|c| self.list(c.kind)).collect();
                format!("({id}, {grp}, {})", values.join(", "))
            })
            .collect();
        let names: Vec<&str> = LISTS.iter().map(|c| c.name).collect();
        (format!("INSERT INTO l (id, grp, {}) VALUES {}", names.join(", "), rows.join(", ")), false)
    }

    /// Reads.
    pub(super) fn listed(&mut self) -> (String, bool) {
        let (any, known, single) = (self.list_column(false), self.list_column(true), self.single());
        let (c, k, g) = (any.name, known.name, single.name);
        let (list, other) = (self.list(any.kind), self.list(known.kind));
        self.exact = true;
        let (v, w, s) = (self.some_value(any.kind), self.some_value(known.kind), self.some_value(single.kind));
        self.exact = false;
        let n = 1 + self.random.below(3);
        let test = *self.random.pick(&["@>", "<@", "&&", "=", "<>", "IS DISTINCT FROM"]);
        let quantified = *self.random.pick(&["= ANY", "<> ALL", "= ALL", "<> ANY"]);
        let sql = match self.random.below(13) {
            0 => format!("SELECT id, {c}, cardinality({c}), array_dims({c}), {c}[{n}], {c}[{n}:] FROM l ORDER BY id"),
            1 => format!("SELECT id FROM l WHERE {w} {quantified} ({k}) ORDER BY id"),
            2 | 3 => {
                format!("SELECT id, {k} {test} {other} AS t FROM l WHERE {k} {test} {other} OR grp = 1 ORDER BY id")
            }
            4 => format!("SELECT x.id, y.id FROM l x JOIN l y ON x.{k} {test} y.{k} ORDER BY x.id, y.id"),
            5 => format!("SELECT id, array_position({k}, {w}), array_positions({k}, {w}) AS p FROM l ORDER BY id"),
            6 => format!(
                "SELECT id, {c} || {list} AS a, array_append({c}, {v}), array_prepend({v}, {c}) FROM l ORDER BY id"
            ),
            7 => format!("SELECT l.id, u FROM l, unnest(l.{k}) AS u WHERE u = {w} OR l.grp = 0"),
            8 => format!("SELECT grp, array_agg({g} ORDER BY id), count(*) FROM o GROUP BY grp ORDER BY grp"),
            9 => format!(
                "SELECT array_agg(DISTINCT {g}), array_agg({g} ORDER BY {g} DESC, id) FILTER (WHERE grp > 0) FROM o"
            ),
            10 => format!("SELECT id, ARRAY[{g}, {s}, NULL] AS a, (ARRAY[{s}, {g}])[{n}] AS e FROM o ORDER BY id"),
            11 => format!(
                "SELECT id, ARRAY(SELECT {g} FROM o y WHERE y.grp = x.grp ORDER BY y.id) AS a FROM o x ORDER BY id"
            ),
            _ => format!(
                "SELECT id, COALESCE({c}, {list}) AS a, array_agg({g}) OVER (ORDER BY id) AS w FROM l JOIN o USING (id) ORDER BY id"
            ),
        };
        let ordered = !sql.contains("unnest");
        (sql, ordered)
    }

    /// Writes.
    pub(super) fn list_write(&mut self) -> (String, bool) {
        let (column, known) = (self.list_column(false), self.list_column(true));
        let (c, k, list) = (column.name, known.name, self.list(column.kind));
        self.exact = true;
        let (v, w) = (self.some_value(column.kind), self.some_value(known.kind));
        self.exact = false;
        let (n, grp, id) = (1 + self.random.below(4), self.random.below(3), self.id());
        let sql = match self.random.below(7) {
            0 => format!("UPDATE l SET {c} = {list} WHERE grp = {grp} RETURNING id, {c}"),
            1 => format!("UPDATE l SET {c}[{n}] = {v} WHERE grp = {grp} AND cardinality({c}) < 8 RETURNING id, {c}"),
            2 => format!(
                "UPDATE l SET {c} = {c} || {list} WHERE {w} = ANY({k}) AND cardinality({c}) < 8 RETURNING id, {c}"
            ),
            3 => format!("UPDATE l SET {c} = array_append({c}[1:2], {v}) WHERE grp = {grp} RETURNING id, {c}"),
            4 => format!(
                "INSERT INTO l (id, grp, {c}) SELECT id + {id} * 1000, grp, {c} FROM l WHERE grp = {grp} LIMIT 1 ON CONFLICT DO NOTHING"
            ),
            5 => format!(
                "INSERT INTO l (id, {c}) VALUES ({id}, {list}) ON CONFLICT (id) DO UPDATE SET {c} = excluded.{c} || l.{c} RETURNING {c}"
            ),
            _ => format!("DELETE FROM l WHERE {w} = ALL({k}) RETURNING id, {k}"),
        };
        (sql, false)
    }
}
