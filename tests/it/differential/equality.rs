//! What equality carries: groups, distinct rows, set operations, partitions, rows compared part by part, joins by name, upserts
//! and MERGE. Each statement by the simple and by the extended protocol, on both sides.

use super::cases::{Case, filled, simple, steps};
use super::generate;
use crate::support::Twin;

const GROUPS: &[Case] = &[
    ("SELECT t, count(*) FROM a GROUP BY t", &[]),
    ("SELECT x.t AS tt, count(*), sum(id) FROM a x GROUP BY tt", &[]),
    ("SELECT t, i, count(*) FROM a GROUP BY 1, 2 ORDER BY 3 DESC, count(id) LIMIT 1", &[]),
    ("SELECT t, grp, count(*) FROM a GROUP BY 1, 2", &[]),
    ("SELECT t, grp, count(*) FROM a GROUP BY 2, 1", &[]),
    ("SELECT grp, t FROM a GROUP BY 1, t", &[]),
    ("SELECT grp, t FROM a GROUP BY 2, grp", &[]),
    ("SELECT t::text, i::int4 FROM a GROUP BY t, i", &[]),
    ("SELECT grp, t, count(*) FROM a GROUP BY (grp, t) HAVING count(*) > 1 ORDER BY grp", &[]),
    ("SELECT t FROM a GROUP BY t HAVING t = $1", &[Some("x")]),
    ("SELECT t FROM a GROUP BY t HAVING t IS NULL OR t IN ($1, 'y')", &[Some("O'Brien")]),
    ("SELECT t, count(*) FROM a WHERE t = $1 GROUP BY t", &[Some("x")]),
    ("SELECT t IS NULL AS missing, count(*) FROM a GROUP BY missing", &[]),
    ("SELECT grp, t, grouping(grp), grouping(t), count(*) FROM a GROUP BY ROLLUP (grp, t)", &[]),
    ("SELECT grp, t, count(*) FROM a WHERE t = 'x' GROUP BY CUBE (grp, t)", &[]),
    ("SELECT t, i, count(*), grouping(t, i) FROM a GROUP BY GROUPING SETS ((t), (i), ())", &[]),
    ("SELECT COALESCE(t, 'none') AS c, count(*) FROM a GROUP BY t", &[]),
    ("SELECT CASE WHEN t = 'x' THEN t ELSE 'other' END, count(*) FROM a GROUP BY t", &[]),
    ("SELECT CASE t WHEN 'x' THEN 1 WHEN 'y' THEN 2 END AS k, count(*) FROM a GROUP BY k", &[]),
    ("SELECT NULLIF(t, 'x'), count(*) FROM a GROUP BY t", &[]),
    ("SELECT count(*) FROM a GROUP BY COALESCE(t, 'x')", &[]),
    (
        "SELECT sum(CASE WHEN i = 1 THEN 1 ELSE 0 END), count(i), count(*) FILTER (WHERE i = $1), t FROM a GROUP BY t",
        &[Some("2")],
    ),
    ("SELECT count(CASE WHEN id > 3 THEN i END), t FROM a GROUP BY t", &[]),
    ("SELECT c, n FROM (SELECT t AS c, count(*) AS n FROM a GROUP BY t) q WHERE c = $1", &[Some("x")]),
    (
        "WITH w AS (SELECT t, max(id) AS m FROM a GROUP BY t) SELECT a.id, w.t FROM w JOIN a ON a.id = w.m ORDER BY a.id",
        &[],
    ),
    ("SELECT q.t, b.id FROM (SELECT t FROM a GROUP BY t) q JOIN b ON b.t = q.t ORDER BY b.id", &[]),
    ("SELECT id, t, i, count(*) FROM a GROUP BY id ORDER BY id", &[]),
    ("SELECT id, t, count(*) FROM a GROUP BY id, t ORDER BY id", &[]),
    ("SELECT a.* FROM a GROUP BY id, t ORDER BY id", &[]),
    ("SELECT t, sum(count(*)) OVER (PARTITION BY t) FROM a GROUP BY t", &[]),
    ("SELECT t, row_number() OVER (ORDER BY count(*) DESC, max(id)) FROM a GROUP BY t ORDER BY 2", &[]),
    ("SELECT count(*) FROM (SELECT n FROM a GROUP BY n) q", &[]),
    ("SELECT 'l' AS label, t FROM a GROUP BY label, t", &[]),
    ("SELECT x.t, y.p FROM a x JOIN b y ON x.t = y.t GROUP BY x.t, y.p", &[]),
    ("SELECT z, count(*) FROM b GROUP BY z", &[]),
    ("SELECT t, i FROM a GROUP BY t", &[]),
    ("SELECT t FROM a GROUP BY i", &[]),
    ("SELECT count(*) FROM a GROUP BY nothing", &[]),
    ("SELECT t FROM a GROUP BY 4", &[]),
    ("SELECT t FROM a GROUP BY t FOR UPDATE", &[]),
    ("INSERT INTO b (id, t) SELECT 100 + count(*), t FROM a WHERE t IS NOT NULL GROUP BY t RETURNING t", &[]),
    ("SELECT t, p, count(*) FROM b GROUP BY t, p", &[]),
];

const DISTINCT: &[Case] = &[
    ("SELECT DISTINCT t FROM a", &[]),
    ("SELECT DISTINCT grp, t AS c FROM a ORDER BY grp DESC", &[]),
    ("SELECT DISTINCT ON (t) t FROM a", &[]),
    ("SELECT DISTINCT ON (1) t, 'c' FROM a", &[]),
    ("SELECT DISTINCT ON (2) t, 'c' FROM a WHERE id = 1", &[]),
    ("SELECT DISTINCT ON (c, grp) grp, t AS c FROM a", &[]),
    ("SELECT DISTINCT ON (2) grp + 1, t FROM a WHERE t = 'O''Brien'", &[]),
    ("SELECT DISTINCT ON (grp) grp, t, i FROM a ORDER BY grp, id", &[]),
    ("SELECT DISTINCT t, i FROM a WHERE i = $1", &[Some("1")]),
    ("SELECT DISTINCT * FROM (SELECT grp, t, i FROM a) q", &[]),
    ("SELECT DISTINCT q.*, 1 AS one FROM (SELECT t, i FROM a) q", &[]),
    ("SELECT DISTINCT t, count(*) FROM a GROUP BY t, i", &[]),
    ("SELECT DISTINCT t, count(*) OVER (PARTITION BY t) FROM a", &[]),
    ("SELECT count(*) FROM (SELECT DISTINCT t, i FROM a) q", &[]),
    ("SELECT DISTINCT id, t FROM a ORDER BY id LIMIT 3 OFFSET 1", &[]),
    ("SELECT DISTINCT t FROM a ORDER BY id", &[]),
    ("SELECT DISTINCT t::text FROM a", &[]),
    ("SELECT count(DISTINCT t), count(DISTINCT i), count(DISTINCT n), count(DISTINCT (grp, t)) FROM a", &[]),
    ("SELECT grp, count(DISTINCT t) FILTER (WHERE i = 1) FROM a GROUP BY grp ORDER BY grp", &[]),
    ("SELECT count(DISTINCT COALESCE(t, $1)) FROM a", &[Some("x")]),
    (
        "SELECT id, row_number() OVER (PARTITION BY t ORDER BY id), count(*) OVER w FROM a WINDOW w AS (PARTITION BY i, grp) ORDER BY id",
        &[],
    ),
    ("INSERT INTO b (id, t) SELECT DISTINCT 200 + grp, t FROM a WHERE i = 2 RETURNING id, t", &[]),
];

const SETS: &[Case] = &[
    ("SELECT t FROM a UNION SELECT t FROM b", &[]),
    ("SELECT grp, t AS c FROM a UNION SELECT grp, t FROM b ORDER BY grp, 1 LIMIT 20", &[]),
    ("SELECT t FROM a INTERSECT SELECT t FROM b", &[]),
    ("SELECT t FROM a INTERSECT ALL SELECT t FROM b", &[]),
    ("SELECT t FROM a EXCEPT SELECT t FROM b", &[]),
    ("SELECT t FROM a EXCEPT ALL SELECT t FROM b", &[]),
    ("SELECT t, i FROM a EXCEPT ALL SELECT t, i FROM a WHERE id = 1", &[]),
    ("SELECT grp, t, i FROM a INTERSECT SELECT grp, t, i FROM b ORDER BY grp", &[]),
    ("SELECT t FROM a UNION SELECT t FROM b INTERSECT SELECT t FROM a WHERE grp = 1", &[]),
    ("SELECT t FROM a INTERSECT SELECT t FROM b UNION SELECT t FROM a WHERE grp = 1", &[]),
    ("SELECT t FROM a UNION SELECT t FROM b UNION ALL SELECT t FROM a", &[]),
    ("SELECT t FROM a UNION ALL SELECT t FROM b UNION SELECT t FROM a", &[]),
    ("(SELECT id, t FROM a ORDER BY id LIMIT 2) UNION (SELECT id, t FROM b ORDER BY id DESC LIMIT 2)", &[]),
    ("SELECT t FROM a EXCEPT (SELECT t FROM b EXCEPT SELECT t FROM a WHERE grp = 2)", &[]),
    ("SELECT count(*) FROM (SELECT t, i FROM a UNION SELECT t, i FROM b) q", &[]),
    ("SELECT id FROM a WHERE t IN (SELECT t FROM b UNION SELECT 'y') ORDER BY id", &[]),
    ("WITH w AS (SELECT t FROM a EXCEPT SELECT t FROM b) SELECT * FROM w UNION SELECT $1", &[Some("new")]),
    ("SELECT t, grp FROM a EXCEPT SELECT t, 1 FROM b", &[]),
    ("SELECT t, grp FROM a UNION SELECT t, 1.5 FROM b", &[]),
    ("VALUES ('x', 1), ('q', 2) INTERSECT SELECT t, id FROM a", &[]),
    (
        "INSERT INTO d (id, p) SELECT 300 + count(*), 'n' FROM (SELECT t FROM a UNION SELECT t FROM b) q RETURNING id",
        &[],
    ),
    ("SELECT t FROM a UNION SELECT t, i FROM b", &[]),
    ("SELECT t FROM a UNION SELECT t FROM b ORDER BY nothing", &[]),
    (
        "WITH RECURSIVE r AS (SELECT id, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a JOIN r ON a.id = r.id + 1) SELECT t, count(*) FROM r GROUP BY t",
        &[],
    ),
];

const ROWS: &[Case] = &[
    ("SELECT id FROM a WHERE t IN ('x', NULL) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE t NOT IN ('x', NULL) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE t NOT IN ('x', $1) ORDER BY id", &[None]),
    ("SELECT id, t IN ('x', $1), t NOT IN ('y', $1) FROM a ORDER BY id", &[None]),
    ("SELECT id FROM a WHERE t NOT IN (SELECT t FROM b) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE t NOT IN (SELECT t FROM b WHERE t IS NOT NULL) ORDER BY id", &[]),
    ("SELECT id, t IN (SELECT t FROM b) FROM a ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (id, t) = ($1, $2)", &[Some("1"), Some("x")]),
    ("SELECT id FROM a WHERE (t, i) <> ('x', 1) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE ROW(t, i) = ROW($1, 1) ORDER BY id", &[Some("x")]),
    ("SELECT id FROM a WHERE (t, grp) IN (('x', 0), ($1, 1)) ORDER BY id", &[Some("y")]),
    ("SELECT id, (t, grp) NOT IN (('x', 0), (NULL, 1)) FROM a ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (t, grp) IN (SELECT t, grp FROM b) ORDER BY id", &[]),
    ("SELECT id, (grp, t, i) IN (SELECT grp, t, i FROM b) FROM a ORDER BY id", &[]),
    ("SELECT id, (t, grp) NOT IN (SELECT t, grp FROM b) FROM a ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (t, grp) = (SELECT t, grp FROM b WHERE id = 1) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (t, grp) = ANY (SELECT t, grp FROM b) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (t, i) IS DISTINCT FROM ($1, NULL) ORDER BY id", &[Some("x")]),
    ("SELECT id FROM a WHERE (t, i) IS NOT DISTINCT FROM (NULL, $1) ORDER BY id", &[None]),
    ("SELECT id FROM a WHERE (t, i) = ('x')", &[]),
    ("SELECT id FROM a WHERE (t, grp) IN (SELECT t FROM b)", &[]),
    ("SELECT id, CASE t WHEN 'x' THEN 1 WHEN $1 THEN 2 ELSE 3 END FROM a ORDER BY id", &[Some("y")]),
    ("SELECT id, CASE t WHEN NULL THEN 1 WHEN 'x' THEN 2 END FROM a ORDER BY id", &[]),
    ("SELECT x.id, CASE x.t WHEN y.t THEN 'same' ELSE 'other' END FROM a x JOIN b y ON x.id = y.id ORDER BY x.id", &[]),
    ("SELECT id, NULLIF(t, 'x'), NULLIF(i, $1) AS j FROM a ORDER BY id", &[Some("1")]),
    ("SELECT id FROM a WHERE NULLIF(t, '') IS NULL ORDER BY id", &[]),
    ("SELECT id FROM a WHERE NULLIF(t, 'x') = 'y' ORDER BY id", &[]),
    ("SELECT id, COALESCE(NULLIF(t, ''), 'empty') FROM a ORDER BY id", &[]),
    ("SELECT id, NULLIF(t, req) FROM a ORDER BY id", &[]),
    ("UPDATE a SET t = NULLIF(t, 'x') WHERE id < 3 RETURNING id, t", &[]),
    ("SELECT id FROM a WHERE i = 'no number' AND (t, i) = ('x', 1)", &[]),
];

const JOINS: &[Case] = &[
    ("SELECT x.id, y.id, t FROM a x JOIN b y USING (t) ORDER BY 1, 2", &[]),
    ("SELECT * FROM (SELECT t, i FROM a) x JOIN (SELECT t, grp FROM b) y USING (t)", &[]),
    ("SELECT * FROM (SELECT id, t FROM a) x LEFT JOIN (SELECT t, p FROM b) y USING (t)", &[]),
    ("SELECT * FROM (SELECT id, t FROM a) x RIGHT JOIN (SELECT t, p FROM b) y USING (t)", &[]),
    ("SELECT * FROM (SELECT id, t FROM a) x FULL JOIN (SELECT t, p FROM b) y USING (t)", &[]),
    ("SELECT t, count(*) FROM a FULL JOIN b USING (t) GROUP BY t", &[]),
    ("SELECT t, x.t, y.t FROM a x FULL JOIN b y USING (t) WHERE t = $1", &[Some("x")]),
    ("SELECT * FROM a JOIN b USING (t)", &[]),
    ("SELECT * FROM a JOIN b USING (id, t)", &[]),
    ("SELECT id, t, p FROM a LEFT JOIN b USING (id, t, i) ORDER BY id", &[]),
    ("SELECT * FROM a NATURAL JOIN b", &[]),
    ("SELECT id, t FROM a NATURAL FULL JOIN b", &[]),
    ("SELECT count(*) FROM a NATURAL LEFT JOIN b", &[]),
    ("SELECT t, count(*) FROM a x JOIN b y USING (t) JOIN a z USING (t) GROUP BY t", &[]),
    ("SELECT q.t FROM (SELECT * FROM a JOIN b USING (t)) q (t)", &[]),
    ("SELECT x.*, t FROM a x JOIN b USING (t) ORDER BY x.id, b.id", &[]),
    ("SELECT id FROM a w WHERE EXISTS (SELECT 1 FROM a x JOIN b USING (t) WHERE t = w.t) ORDER BY id", &[]),
    ("SELECT DISTINCT t FROM a JOIN b USING (t)", &[]),
    ("SELECT COALESCE(t, 'none') AS c, count(*) FROM a FULL JOIN b USING (t) GROUP BY t", &[]),
    ("SELECT t FROM a JOIN b USING (nothing, t)", &[]),
    ("INSERT INTO d (id, p) SELECT 400 + x.id, 'j' FROM a x JOIN b y USING (t) WHERE x.id = 2 RETURNING id", &[]),
];

const WRITES: &[Case] = &[
    ("INSERT INTO b (id, u, p) VALUES (50, $1, 'new') ON CONFLICT (u) DO NOTHING RETURNING id", &[Some("00000000-0000-0000-0000-000000000001")]),
    ("INSERT INTO b (id, u, p) VALUES (51, '00000000-0000-0000-0000-000000000002', 'up'), (52, '00000000-0000-0000-0000-0000000000aa', 'in')
      ON CONFLICT (u) DO UPDATE SET p = excluded.p, t = 'set' WHERE b.id < 50 RETURNING id, t, u, p", &[]),
    ("INSERT INTO b (id, u) VALUES (53, NULL), (54, NULL) ON CONFLICT (u) DO NOTHING RETURNING id, u", &[]),
    ("INSERT INTO b (id, u) VALUES (55, '00000000-0000-0000-0000-0000000000bb'), (56, '00000000-0000-0000-0000-0000000000bb') ON CONFLICT (u) DO UPDATE SET p = 'twice'", &[]),
    ("INSERT INTO b (id, t) VALUES (57, 'x') ON CONFLICT (t) DO NOTHING", &[]),
    ("MERGE INTO a USING b ON a.t = b.t AND a.id = b.id WHEN MATCHED THEN UPDATE SET i = b.i, s = 'merged' WHEN NOT MATCHED THEN INSERT (id, t, req) VALUES (b.id + 500, b.t, 'm')", &[]),
    ("MERGE INTO b USING (VALUES ($1, $2), ('new', '2')) s (t, p) ON b.t = s.t WHEN MATCHED AND b.p <> 'x' THEN DELETE WHEN MATCHED THEN UPDATE SET p = s.p
      WHEN NOT MATCHED AND s.t IS NOT NULL THEN INSERT (id, t, p) VALUES (600, s.t, s.p)", &[Some("x"), Some("1")]),
    ("MERGE INTO b USING d ON b.id = d.id WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, t) VALUES (d.id + 700, NULL)", &[]),
    ("WITH s AS (SELECT t, min(id) AS id FROM a GROUP BY t) MERGE INTO b USING s ON b.t = s.t WHEN NOT MATCHED THEN INSERT (id, t) VALUES (s.id + 800, s.t)", &[]),
    ("MERGE INTO b USING a ON a.t = b.t WHEN MATCHED THEN UPDATE SET t = a.t", &[]),
    ("MERGE INTO a USING b ON a.id = b.id WHEN NOT MATCHED THEN INSERT (id, t) VALUES (b.id + 900, b.t)", &[]),
    ("SELECT id, grp, t, i, p FROM b ORDER BY id", &[]),
    ("SELECT id, t, i, s, req FROM a ORDER BY id", &[]),
];

/// With order terms the same terms serve both, so keys may be sorted by.
const ORDERED: &[Case] = &[
    ("SELECT o_text, count(*) FROM o GROUP BY o_text ORDER BY o_text", &[]),
    ("SELECT o_int4 AS k, max(o_text), min(o_date) FROM o GROUP BY k ORDER BY k DESC NULLS LAST", &[]),
    ("SELECT o_int4, o_text, count(*) FROM o GROUP BY ROLLUP (o_int4, o_text) HAVING o_int4 > -3 ORDER BY 1, 2", &[]),
    ("SELECT DISTINCT o_text FROM o ORDER BY o_text DESC", &[]),
    ("SELECT DISTINCT grp, o_int4 FROM o ORDER BY 2, grp", &[]),
    ("SELECT DISTINCT ON (o_text) o_text, id FROM o ORDER BY o_text, id DESC", &[]),
    ("SELECT o_text FROM o UNION SELECT o_text FROM o WHERE grp = 1 ORDER BY o_text", &[]),
    ("SELECT id, o_int4 FROM o UNION ALL SELECT id, o_int4 FROM o ORDER BY o_int4 DESC, id LIMIT 5", &[]),
    ("SELECT o_int4 AS k, grp FROM o EXCEPT SELECT o_int4, grp FROM o WHERE id = 1 ORDER BY k, grp", &[]),
    ("SELECT o_text FROM o INTERSECT ALL SELECT o_text FROM o WHERE id > 2 ORDER BY 1", &[]),
    ("SELECT id FROM o WHERE (o_int4, id) > ($1, $2) ORDER BY o_int4, id LIMIT 3", &[Some("-3"), Some("2")]),
    ("SELECT id FROM o WHERE (grp, o_text) <= (1, 'b') ORDER BY id", &[]),
    ("SELECT id, row_number() OVER (PARTITION BY o_int4 ORDER BY o_text, id) FROM o ORDER BY id", &[]),
    ("SELECT o_text, count(*) FROM o x JOIN o y USING (o_text) GROUP BY o_text ORDER BY o_text", &[]),
    ("SELECT o_int4, x.id, y.id FROM o x FULL JOIN o y USING (o_int4) ORDER BY o_int4, 2, 3", &[]),
    ("SELECT id, CASE o_int4 WHEN 5 THEN 'five' END, NULLIF(o_text, 'a') FROM o ORDER BY id", &[]),
    ("SELECT count(DISTINCT o_int4), count(DISTINCT (o_text, o_date)) FROM o", &[]),
    ("SELECT q.k FROM (SELECT o_int4 AS k FROM o GROUP BY o_int4) q WHERE q.k >= $1 ORDER BY q.k", &[Some("0")]),
];

/// Made through the proxy, and plain on the twin.
const KEPT: &str = "
    CREATE VIEW va AS SELECT t, count(*) AS n, max(id) AS m FROM a GROUP BY t;
    CREATE VIEW vj AS SELECT a.id, b.id AS bid, a.t FROM a JOIN b ON a.t = b.t AND a.i = b.i;
    CREATE VIEW vu AS SELECT grp, t FROM a UNION SELECT grp, t FROM b;
    CREATE VIEW vn AS SELECT id, t FROM a JOIN b USING (id, t);
    CREATE MATERIALIZED VIEW vm AS SELECT DISTINCT t, i FROM a;
    CREATE TABLE made AS SELECT t, n FROM (SELECT t, count(*) AS n FROM a GROUP BY t) q";

const VIEWS: &[Case] = &[
    ("SELECT * FROM va", &[]),
    ("SELECT t, n FROM va WHERE t = $1", &[Some("x")]),
    ("SELECT n, count(*) FROM va GROUP BY n ORDER BY n", &[]),
    ("SELECT va.m, b.id FROM va JOIN b ON b.t = va.t", &[]),
    ("SELECT * FROM vj ORDER BY id, bid", &[]),
    ("SELECT t, count(*) FROM vj GROUP BY t", &[]),
    ("SELECT * FROM vu WHERE grp = 1", &[]),
    ("SELECT count(DISTINCT t) FROM vu", &[]),
    ("SELECT * FROM vn", &[]),
    ("SELECT * FROM made", &[]),
    ("SELECT t FROM made WHERE t IN ('x', $1)", &[Some("y")]),
    ("SELECT * FROM vm", &[]),
];

#[test]
fn what_equality_carries_is_the_same_as_on_plain_tables() {
    let twin = Twin::start();
    generate::tables(&twin);
    let mut pair = filled(&twin);
    twin.create(KEPT);
    let mut script = Vec::new();
    for cases in [GROUPS, DISTINCT, SETS, ROWS, JOINS, ORDERED, VIEWS, WRITES] {
        script.extend(steps(cases));
    }
    // Writes once more, one upon the other.
    script.extend(WRITES.iter().filter(|c| c.1.is_empty()).map(|(sql, _)| simple(sql, sql.contains("ORDER BY"))));
    let differences = pair.run_all(&script);
    assert!(differences.is_empty(), "{} statements differ:\n{}", differences.len(), differences.join("\n"));
}
