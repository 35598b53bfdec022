//! Joins by name with aliases, in brackets, and several of them.

use super::Case;

const NAMED: &[Case] = &[
    ("SELECT q.t, q.id FROM (a JOIN (SELECT t, p FROM b) y USING (t)) AS q ORDER BY q.id, q.p", &[]),
    ("SELECT * FROM (a JOIN (SELECT t, p FROM b) y USING (t)) AS q ORDER BY id, p", &[]),
    ("SELECT q.k, q.n FROM (a JOIN b USING (t, i)) AS q (k, n)", &[]),
    ("SELECT q.t, count(*) FROM (a FULL JOIN b USING (t)) q GROUP BY q.t", &[]),
    ("SELECT x.id FROM a x LEFT JOIN (b JOIN o ON b.id = o.id) ON x.t = b.t ORDER BY x.id, o.id", &[]),
    ("SELECT a.id, b.id, o.id, t FROM a JOIN (b JOIN o ON b.id = o.id) USING (t) ORDER BY 1, 2", &[]),
    (
        "SELECT a.id, j.o_text, t FROM a LEFT JOIN (b JOIN o ON b.id = o.id) AS j (bid, bgrp, t) USING (t) ORDER BY 1, 2",
        &[],
    ),
    (
        "SELECT a.id, t FROM a JOIN (b JOIN a z USING (t)) USING (t) WHERE t = $1 ORDER BY a.id, b.id, z.id",
        &[Some("x")],
    ),
    ("SELECT j.t, a.id, b.id FROM a JOIN b USING (t) AS j WHERE j.t = 'x' ORDER BY a.id, b.id", &[]),
    ("SELECT j.* FROM a JOIN b USING (t, i) AS j", &[]),
    ("SELECT j.t, count(*) FROM a FULL JOIN b USING (t) AS j GROUP BY j.t", &[]),
    ("SELECT j.id, a.t FROM a JOIN d USING (id) AS j ORDER BY j.id", &[]),
    ("SELECT j.i FROM a JOIN b USING (t) AS j", &[]),
    ("SELECT id, t FROM a JOIN b USING (id, t) JOIN d USING (id) ORDER BY id", &[]),
    ("SELECT * FROM a JOIN b USING (id, t) JOIN d USING (id) ORDER BY id", &[]),
    ("SELECT t, id FROM a JOIN d USING (id) JOIN b USING (t) ORDER BY a.id, b.id", &[]),
    ("SELECT id FROM a JOIN b USING (t) JOIN d USING (id)", &[]),
    ("SELECT id, t FROM a NATURAL JOIN b NATURAL JOIN d ORDER BY id", &[]),
    ("SELECT x.t FROM a x JOIN b y USING (t) CROSS JOIN d WHERE d.id = 1 ORDER BY x.id, y.id", &[]),
    ("SELECT id, o_text FROM (o x JOIN o y USING (id, o_text)) q ORDER BY o_text, id", &[]),
    ("UPDATE d SET p = 'x' FROM (a JOIN b USING (t)) AS q (t) WHERE d.id = q.id AND q.t = 'x' RETURNING d.id", &[]),
    ("DELETE FROM d USING a JOIN b USING (t) AS j WHERE d.id = a.id AND j.t = $1 RETURNING d.id, j.t", &[Some("x")]),
];

#[test]
fn joins_by_name_are_the_same() {
    super::same(&[NAMED]);
}
