//! UPDATE and DELETE with other tables, row assignment, RETURNING.

use super::Case;

/// Joins by name and of every kind beside the target.
const JOINS: &[Case] = &[
    ("UPDATE d SET p = 'x' FROM a JOIN b USING (t) WHERE d.id = a.id RETURNING d.id", &[]),
    ("UPDATE d SET p = 'x' FROM a x JOIN b y USING (t, i) WHERE d.id = x.id RETURNING d.id, x.id, t", &[]),
    ("UPDATE d SET p = 'x' FROM a NATURAL JOIN b WHERE d.id = a.id RETURNING *", &[]),
    ("UPDATE d SET p = 'x' FROM a NATURAL LEFT JOIN b WHERE d.id = a.id RETURNING d.*", &[]),
    ("UPDATE d SET p = 'x' FROM a LEFT JOIN b USING (t) WHERE d.id = a.id AND b.id IS NULL RETURNING d.id, a.t", &[]),
    ("UPDATE d SET p = 'x' FROM a RIGHT JOIN b USING (t) WHERE d.id = b.id RETURNING d.id, t, a.t, b.t", &[]),
    (
        "UPDATE d SET p = 'x' FROM a FULL JOIN b USING (t) WHERE d.id = COALESCE(a.id, b.id + 3) AND (t = $1 OR a.id IS NULL) RETURNING d.id, t",
        &[Some("x")],
    ),
    ("UPDATE d SET p = 'x' FROM a CROSS JOIN b WHERE d.id = a.id AND a.t = b.t AND b.id = 2 RETURNING d.id, b.t", &[]),
    ("UPDATE a SET t = b.t FROM b WHERE a.id = b.id RETURNING a.id, a.t", &[]),
    ("UPDATE a x SET t = t FROM (SELECT id AS k, t AS u FROM b) y WHERE y.k = x.id RETURNING x.id, t, u", &[]),
    ("UPDATE a SET t = y.t, i = z.i FROM b y JOIN b z ON y.id = z.id WHERE a.id = y.id RETURNING a.id, a.t, a.i", &[]),
    ("UPDATE b SET p = 'q' FROM a x JOIN a z USING (t) WHERE b.t = x.t AND x.id < z.id RETURNING b.id, b.t, z.id", &[]),
    (
        "UPDATE b SET t = j.t FROM (a JOIN o ON o.id = a.id) j (k, g, t) WHERE b.id = j.k AND j.t = $1 RETURNING b.id, b.t",
        &[Some("x")],
    ),
    ("UPDATE d SET p = 'x' FROM a JOIN b USING (t), o WHERE d.id = a.id AND o.id = d.id RETURNING *", &[]),
    ("UPDATE a SET s = 'j' FROM (SELECT t AS k FROM b GROUP BY t) q WHERE a.t = q.k RETURNING a.id", &[]),
    ("UPDATE a SET i = q.i FROM (VALUES ('x', 7), ($1, 8)) q (t, i) WHERE a.t = q.t RETURNING a.id, a.i", &[Some("y")]),
    ("UPDATE a SET i = q.i FROM (SELECT $1 AS t, 9 AS i) q WHERE a.t = q.t RETURNING a.id, a.i", &[Some("y")]),
    (
        "UPDATE o SET o_text = x.o_text FROM o x JOIN o y USING (o_int4) WHERE o.id = x.id AND x.id < y.id RETURNING o.id, o.o_text",
        &[],
    ),
    ("UPDATE a SET t = 'k' FROM b WHERE a.t = b.t AND b.id = 1 RETURNING a.id, b.id, a.t, b.t", &[]),
    ("UPDATE a SET t = 'k' FROM b JOIN d USING (id, grp) WHERE a.id = id RETURNING a.id, b.t, d.p", &[]),
    ("UPDATE a SET t = 'k' FROM b JOIN d USING (id, grp) WHERE a.id = d.id RETURNING *", &[]),
    ("UPDATE a SET t = 'k' FROM b NATURAL JOIN d WHERE a.id = b.id RETURNING *", &[]),
    ("UPDATE a SET t = $1 FROM b JOIN d ON b.id = d.id WHERE a.id = b.id RETURNING *", &[Some("k")]),
    ("DELETE FROM d USING a JOIN b USING (t) WHERE d.id = a.id RETURNING d.id", &[]),
    ("DELETE FROM a USING b WHERE a.t = b.t AND b.i = 1 RETURNING a.id, b.t", &[]),
    (
        "DELETE FROM a USING b x LEFT JOIN b y USING (t) WHERE a.t = x.t AND x.t = $1 RETURNING a.id, y.id, x.t",
        &[Some("x")],
    ),
    ("DELETE FROM d USING a NATURAL FULL JOIN b WHERE d.id = a.id RETURNING *", &[]),
    ("DELETE FROM d USING a FULL JOIN b USING (t, i) WHERE d.id = a.id RETURNING d.id, t, i, a.t, b.i", &[]),
    ("DELETE FROM a USING (SELECT t FROM b EXCEPT SELECT t FROM a WHERE id > 2) q WHERE a.t = q.t RETURNING a.id", &[]),
    ("DELETE FROM a USING b WHERE (a.t, a.i) = (b.t, b.i) RETURNING *", &[]),
    ("DELETE FROM o USING o x WHERE o.o_int4 < x.o_int4 AND x.o_text = $1 RETURNING o.id, o.o_int4", &[Some("a")]),
    (
        "WITH w AS (DELETE FROM d USING a JOIN b USING (t) WHERE d.id = a.id RETURNING d.id, t) SELECT t, count(*) FROM w GROUP BY t",
        &[],
    ),
    (
        "WITH w AS (UPDATE d SET p = 'w' FROM a NATURAL JOIN b WHERE d.id = a.id RETURNING *) SELECT count(*) FROM w",
        &[],
    ),
];

/// What SET takes.
const ASSIGNMENTS: &[Case] = &[
    ("UPDATE a SET (t, i) = (SELECT b.t, b.i FROM b WHERE b.id = a.id) RETURNING id, t, i", &[]),
    ("UPDATE a SET (t, grp) = (SELECT b.t, b.grp FROM b WHERE b.id = a.id) WHERE id < 4 RETURNING id, t, grp", &[]),
    ("UPDATE a SET (t, grp) = (SELECT $1, 5) WHERE id = 1 RETURNING id, t, grp", &[Some("x")]),
    ("UPDATE a SET (t, i) = ROW($1, 2) WHERE id = 1 RETURNING t, i", &[Some("x")]),
    ("UPDATE a SET (t, i) = ('x', DEFAULT) WHERE id = 1 RETURNING t, i", &[]),
    ("UPDATE a SET (t) = ROW($1) WHERE id = 1 RETURNING t", &[Some("z")]),
    ("UPDATE a SET (t) = ($1) WHERE id = 1 RETURNING t", &[Some("z")]),
    ("UPDATE a SET (t) = (SELECT t FROM b WHERE id = 3) WHERE id = 1 RETURNING t", &[]),
    ("UPDATE a SET (t, i) = (SELECT t FROM b WHERE id = 3) WHERE id = 1", &[]),
    ("UPDATE a SET (t, i) = ('x', 1, 2) WHERE id = 1", &[]),
    ("UPDATE a SET (t, i) = ROW('x') WHERE id = 1", &[]),
    ("UPDATE a SET t = DEFAULT WHERE id = 1 RETURNING t IS NULL", &[]),
    ("UPDATE a SET req = DEFAULT WHERE id = 1", &[]),
    ("UPDATE a SET t = (SELECT t FROM b WHERE b.id = a.id) RETURNING id, t", &[]),
    ("UPDATE a SET t = (SELECT t FROM b WHERE b.grp = a.grp) RETURNING id, t", &[]),
    ("UPDATE a SET t = (SELECT t FROM b WHERE b.t = a.t AND b.id = 1) RETURNING id, t", &[]),
    (
        "UPDATE a SET t = CASE WHEN t = 'x' THEN (SELECT t FROM b WHERE id = 3) ELSE $1 END RETURNING id, t",
        &[Some("e")],
    ),
    ("UPDATE a SET t = req, req = COALESCE(t, 'none') RETURNING id, t, req", &[]),
    ("UPDATE a SET t = NULLIF(req, 'r') RETURNING id, t", &[]),
    ("UPDATE a SET t = t WHERE CURRENT OF nothing", &[]),
    ("UPDATE a AS z SET t = z.req WHERE z.t IS NULL RETURNING z.id, z.t", &[]),
    ("UPDATE ONLY a SET t = 'o' WHERE id = 2 RETURNING t", &[]),
    ("UPDATE a SET t = 'x', t = 'y' WHERE id = 1", &[]),
    ("UPDATE a SET nothing = 'x'", &[]),
    ("UPDATE a SET t = nothing WHERE id = 1", &[]),
    ("UPDATE a SET t = b.t FROM b", &[]),
    ("INSERT INTO a (id, t, req) VALUES (70, DEFAULT, 'd') RETURNING *", &[]),
    ("INSERT INTO a (id, t, req) SELECT id + 70, t, COALESCE(t, $1) FROM b RETURNING id, t, req", &[Some("none")]),
    ("INSERT INTO a DEFAULT VALUES", &[]),
    ("INSERT INTO b (id, t) VALUES (71, (SELECT t FROM a WHERE id = 1)), (72, 'v') RETURNING id, t", &[]),
];

const RETURNING: &[Case] = &[
    ("UPDATE a SET t = 'new' WHERE id = 1 RETURNING t = 'new', t IS NULL, COALESCE(t, 'q'), id + 1", &[]),
    (
        "UPDATE a SET t = $1 WHERE id < 3 RETURNING id, CASE WHEN t = $1 THEN 'same' ELSE 'other' END AS k, NULLIF(t, 'x')",
        &[Some("x")],
    ),
    ("UPDATE a SET t = 'new' WHERE id = 1 RETURNING t::text AS cast, (SELECT b.t FROM b WHERE b.id = a.id)", &[]),
    ("UPDATE a SET i = 5 WHERE t = 'x' RETURNING id, t IN ('x', 'y') AS known, (t, i) = ('x', 5) AS pair", &[]),
    ("UPDATE a x SET i = 5 WHERE t = 'x' RETURNING x.*, (SELECT count(*) FROM b WHERE b.t = x.t)", &[]),
    ("UPDATE a SET i = i WHERE id = 1 RETURNING a.*, *", &[]),
    ("DELETE FROM a WHERE id < 3 RETURNING id, t, EXISTS (SELECT 1 FROM b WHERE b.t = a.t)", &[]),
    ("DELETE FROM a WHERE id < 3 RETURNING COALESCE(t, req) AS c, i IS NOT NULL AS given", &[]),
    ("DELETE FROM a WHERE id < 3 RETURNING t AS one, t AS two, req", &[]),
    ("INSERT INTO a (id, t, req) VALUES (80, 'n', 'r') RETURNING id, t = req, COALESCE(i, 4) AS four, s", &[]),
    (
        "INSERT INTO b (id, t, u) VALUES (81, 'n', '00000000-0000-0000-0000-000000000001') ON CONFLICT (u) DO UPDATE SET t = COALESCE(excluded.t, b.t) RETURNING b.t, b.t = 'n'",
        &[],
    ),
    (
        "WITH w AS (UPDATE a SET t = 'new' WHERE id = 1 RETURNING COALESCE(t, 'x') AS v, id) SELECT v, id FROM w WHERE v = 'new'",
        &[],
    ),
    (
        "WITH w AS (INSERT INTO b (id, t) SELECT id + 90, t FROM a RETURNING t) SELECT t, count(*) FROM w GROUP BY t",
        &[],
    ),
    ("DELETE FROM o RETURNING o_int4 > 0, o_text, o_date BETWEEN '1999-01-01' AND '2001-01-01'", &[]),
    ("UPDATE a SET t = 'x' WHERE id = 1 RETURNING nothing", &[]),
    ("UPDATE a SET t = 'x' WHERE id = 1 RETURNING 1 / (id - id)", &[]),
];

#[test]
fn writes_with_other_tables_are_the_same() {
    super::same(&[JOINS, ASSIGNMENTS, RETURNING]);
}
