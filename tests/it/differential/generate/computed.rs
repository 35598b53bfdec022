//! What is computed of encrypted values and named by other clauses; windows over values; writes with other tables.

use super::{A, B, Generator, O};

impl Generator<'_> {
    /// A value that comes together with a column: no parameter is declared of another type.
    fn beside(&mut self, kind: &'static str) -> String {
        self.exact = true;
        let value = self.some_value(kind);
        self.exact = false;
        value
    }

    /// Reads.
    pub(super) fn computed(&mut self) -> (String, bool) {
        let (first, second, single) = (self.ordered_column(), self.ordered_column(), self.single());
        let (c, kind, e, g) = (first.name, first.kind, second.name, single.name);
        let (v, w, k) = (self.beside(kind), self.beside(kind), self.beside(single.kind));
        let (up, n) = (self.direction(), self.random.below(3));
        let condition = self.condition(&O, "x", 1);
        let sql = match self.random.below(13) {
            0 => format!("SELECT id, COALESCE({c}, {v}) AS k FROM o x WHERE {condition} ORDER BY k{up}, id"),
            1 => format!("SELECT CASE WHEN grp > 1 THEN {c} ELSE {v} END, id FROM o x ORDER BY 1{up}, 2 LIMIT 4"),
            2 => format!("SELECT DISTINCT COALESCE({g}, {k}) AS k FROM o x WHERE {condition} ORDER BY k{up}"),
            3 => format!("SELECT COALESCE({g}, {k}) AS k, count(*) FROM o GROUP BY k ORDER BY k{up}"),
            4 => format!(
                "SELECT COALESCE({g}, {k}) AS k, grp, count(*) FROM o GROUP BY CUBE (1, 2) ORDER BY 1{up}, 2, 3"
            ),
            5 => format!("SELECT id, GREATEST({c}, {v}), LEAST({w}, {c}, {v}) AS l FROM o x ORDER BY l{up}, id"),
            6 => format!("SELECT id FROM o x WHERE GREATEST({c}, {v}) = {w} OR {condition} ORDER BY id"),
            7 => format!(
                "SELECT id, lag({c}, {n}, {v}) OVER (ORDER BY id), first_value({e}) OVER (PARTITION BY grp ORDER BY {c}{up}, id) FROM o ORDER BY id"
            ),
            8 => format!(
                "SELECT id, nth_value({c}, 2) OVER w, last_value({e}) OVER w FROM o WINDOW w AS (ORDER BY {e}{up}, id ROWS BETWEEN {n} PRECEDING AND 1 FOLLOWING) ORDER BY id"
            ),
            9 => {
                let exclude = *self.random.pick(&["", " EXCLUDE CURRENT ROW", " EXCLUDE GROUP", " EXCLUDE TIES"]);
                format!(
                    "SELECT id, count(*) OVER (ORDER BY {c}{up} GROUPS BETWEEN {n} PRECEDING AND 1 FOLLOWING{exclude}) FROM o ORDER BY id"
                )
            }
            10 => format!(
                "SELECT grp, max(o_int8) AS k, min(o_text) FROM o x WHERE {condition} GROUP BY grp ORDER BY k{up}, grp"
            ),
            11 => format!("SELECT percentile_disc(0.{n}5) WITHIN GROUP (ORDER BY {g}{up}) FROM o x WHERE {condition}"),
            _ => format!("SELECT {g} FROM o x ORDER BY {g}{up} FETCH FIRST {n} ROWS WITH TIES"),
        };
        (sql, true)
    }

    /// Writes.
    pub(super) fn computed_write(&mut self) -> (String, bool) {
        let column = self.ordered_column();
        let (c, v) = (column.name, self.beside(column.kind));
        let kind = *self.random.pick(&["JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"]);
        let by = *self.random.pick(&["t", "i", "t, i", "grp, t"]);
        let (a, b, o) = (self.condition(&A, "x", 0), self.condition(&B, "y", 0), self.condition(&O, "x", 1));
        let sql = match self.random.below(5) {
            0 => format!(
                "UPDATE d SET grp = d.grp + 1 FROM a x {kind} b y USING ({by}) WHERE d.id = x.id AND {b} RETURNING d.id"
            ),
            1 => format!(
                "DELETE FROM d USING a x NATURAL {kind} b y WHERE d.id = x.id AND d.grp = 1 AND {a} RETURNING d.id"
            ),
            2 => format!(
                "UPDATE a x SET (t, i) = (SELECT y.t, y.i FROM b y WHERE y.id = x.id) WHERE {a} RETURNING x.id, x.t, COALESCE(x.i, 3)"
            ),
            3 => format!("UPDATE o x SET {c} = GREATEST(x.{c}, {v}) WHERE {o} RETURNING id, {c}"),
            _ => format!("UPDATE o x SET {c} = y.{c} FROM o y WHERE y.id = x.id + 1 AND {o} RETURNING x.id, x.{c}"),
        };
        (sql, false)
    }
}
