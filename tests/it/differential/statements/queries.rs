//! Recursive and data-modifying CTEs, subqueries of every kind, VALUES, grouping sets, aggregates with ORDER BY, locks.

use super::Case;

/// What has no type of its own, in lists beside numbers.
const LISTS: &[Case] = &[
    ("SELECT id FROM o WHERE o_int2 IN (31847, $1) ORDER BY id", &[Some("7")]),
    ("SELECT id FROM o WHERE o_int2 IN (31847, $1) ORDER BY id", &[Some("99999")]),
    ("SELECT id FROM o WHERE o_int2 IN (31847, $1) ORDER BY id", &[Some("9999999999")]),
    ("SELECT id FROM o WHERE o_int2 IN (31847, $1) ORDER BY id", &[Some("x")]),
    ("SELECT id FROM o WHERE o_int2 NOT IN (31847, '99999', $1, NULL) ORDER BY id", &[Some("7")]),
    ("SELECT id FROM o WHERE o_int2 NOT IN ('-7', 31847, '99999') ORDER BY id", &[]),
    ("SELECT id FROM c WHERE c_int2 IN (-1, $1::int2, $2, c_int2) ORDER BY id", &[Some("7"), Some("70000")]),
    ("SELECT id FROM c WHERE c_int2 IN ($1, $2) OR c_int2 IN (7) ORDER BY id", &[Some("7"), Some("70000")]),
    ("SELECT id FROM c WHERE c_int2 = ANY (ARRAY[7, $1]) ORDER BY id", &[Some("70000")]),
    ("SELECT id FROM c WHERE c_int2 <> ALL (ARRAY[7, '70000', 99999999999, $1]) ORDER BY id", &[Some("88888888888")]),
    ("SELECT id FROM o WHERE o_int4 IN (1, 99999999999, $1) ORDER BY id", &[Some("88888888888")]),
    ("SELECT id FROM o WHERE o_int8 IN (1, $1) ORDER BY id", &[Some("88888888888")]),
    ("SELECT id FROM o WHERE o_int8 = ANY (ARRAY[1, $1]) ORDER BY id", &[Some("88888888888")]),
    ("SELECT id FROM c WHERE c_numeric IN (1, $1) ORDER BY id", &[Some("1.5")]),
    ("SELECT id FROM c WHERE c_numeric = ANY (ARRAY[1, $1]) ORDER BY id", &[Some("1.5")]),
    ("SELECT id FROM c WHERE c_numeric = ANY (ARRAY[1, $1]) ORDER BY id", &[Some("2")]),
    ("SELECT id FROM c WHERE c_float8 IN (1, $1) ORDER BY id", &[Some("1.5")]),
];

const RECURSIVE: &[Case] = &[
    (
        "WITH RECURSIVE r AS (SELECT id, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a JOIN r ON a.id = r.id + 1) SELECT id, t FROM r ORDER BY id",
        &[],
    ),
    (
        "WITH RECURSIVE r (k, v) AS (SELECT id, t FROM a WHERE t = $1 UNION ALL SELECT k + 10, v FROM r WHERE k < 20) SELECT k AS id, v FROM r ORDER BY id",
        &[Some("x")],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a, r WHERE a.t = r.t AND a.id > r.id) SELECT id, t FROM r",
        &[],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a JOIN r ON a.id = r.id + 1) SEARCH DEPTH FIRST BY id SET pos SELECT id, t FROM r ORDER BY pos, id",
        &[],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a JOIN r ON a.id = r.id + 1) SEARCH BREADTH FIRST BY id SET pos SELECT id, t FROM r ORDER BY pos, id",
        &[],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, grp, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.grp, a.t FROM a JOIN r ON a.grp <> r.grp AND a.id < 4) CYCLE grp SET again USING path SELECT id, t, again FROM r",
        &[],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, grp, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.grp, a.t FROM a JOIN r ON a.grp <> r.grp AND a.id < 4) CYCLE grp SET again TO 'Y' DEFAULT 'N' USING path SELECT id, t, again FROM r",
        &[],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a JOIN r ON a.id = r.id + 1) SEARCH DEPTH FIRST BY nothing SET pos SELECT id FROM r",
        &[],
    ),
    (
        "WITH RECURSIVE n AS (SELECT 1 AS k UNION SELECT k + 1 FROM n WHERE k < 5) SELECT k AS id, t FROM n JOIN a ON a.id = n.k ORDER BY id",
        &[],
    ),
    (
        "WITH RECURSIVE r AS (SELECT id, $1 AS t FROM a WHERE id = 1 UNION ALL SELECT a.id, a.t FROM a JOIN r ON a.id = r.id + 1) SELECT id, t FROM r ORDER BY id",
        &[Some("start")],
    ),
    (
        "WITH RECURSIVE x AS (SELECT id, t FROM a), y AS (SELECT id, t FROM x WHERE t = 'x') SELECT * FROM y ORDER BY id",
        &[],
    ),
    (
        "WITH x AS MATERIALIZED (SELECT id, t FROM a), y AS NOT MATERIALIZED (SELECT t FROM x) SELECT t, count(*) FROM y GROUP BY t",
        &[],
    ),
];

const WRITING: &[Case] = &[
    (
        "WITH w AS (INSERT INTO b (id, t) VALUES (60, $1), (61, 'v') RETURNING id, t) SELECT id, t FROM w ORDER BY id",
        &[Some("x")],
    ),
    (
        "WITH w AS (DELETE FROM a WHERE t = 'x' RETURNING *) INSERT INTO b (id, t, i) SELECT id + 60, t, i FROM w RETURNING id, t, i",
        &[],
    ),
    (
        "WITH w AS (UPDATE a SET t = 'moved' WHERE id < 3 RETURNING id, t), v AS (UPDATE b SET t = w.t FROM w WHERE b.id = w.id RETURNING b.id, b.t) SELECT * FROM v ORDER BY id",
        &[],
    ),
    ("WITH w AS (DELETE FROM a WHERE id = 1) SELECT count(*) FROM a", &[]),
    (
        "WITH w AS (SELECT t, min(id) AS k FROM a GROUP BY t) UPDATE b SET t = w.t FROM w WHERE b.id = w.k RETURNING b.id, b.t",
        &[],
    ),
    ("WITH w AS (SELECT t FROM b WHERE t IS NOT NULL) DELETE FROM a USING w WHERE a.t = w.t RETURNING a.id", &[]),
];

const SUBQUERIES: &[Case] = &[
    (
        "SELECT x.id, l.t FROM a x, LATERAL (SELECT b.t FROM b WHERE b.t = x.t ORDER BY b.id LIMIT 1) l ORDER BY x.id",
        &[],
    ),
    (
        "SELECT x.id, l.n FROM a x LEFT JOIN LATERAL (SELECT count(*) AS n, max(b.id) AS m FROM b WHERE b.t = x.t HAVING count(*) > 0) l ON true ORDER BY x.id",
        &[],
    ),
    (
        "SELECT x.id, l.k FROM a x CROSS JOIN LATERAL (VALUES (x.t), (x.req)) l (k) WHERE l.k = $1 ORDER BY x.id",
        &[Some("x")],
    ),
    (
        "SELECT x.id, l.* FROM o x CROSS JOIN LATERAL (SELECT y.o_text, y.o_int4 FROM o y WHERE y.o_int4 < x.o_int4 ORDER BY y.o_int4 DESC, y.id LIMIT 1) l ORDER BY x.id",
        &[],
    ),
    ("SELECT id, (SELECT t FROM b WHERE b.id = a.id) FROM a ORDER BY id", &[]),
    ("SELECT id, (SELECT t FROM b WHERE b.id = a.id) = t AS same FROM a ORDER BY id", &[]),
    ("SELECT id FROM a WHERE t = (SELECT t FROM b WHERE id = 1) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE t = (SELECT t FROM b) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (SELECT t FROM b WHERE id = 1) IN (t, req) ORDER BY id", &[]),
    (
        "SELECT id FROM a WHERE EXISTS (SELECT FROM b WHERE b.t = a.t) AND NOT EXISTS (SELECT 1 FROM b WHERE b.i = a.i) ORDER BY id",
        &[],
    ),
    ("SELECT id FROM a WHERE t NOT IN (SELECT t FROM b) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE t NOT IN (SELECT t FROM b WHERE t IS NOT NULL) OR t IS NULL ORDER BY id", &[]),
    ("SELECT id FROM a WHERE $1 IN (SELECT b.t FROM b WHERE b.id = a.id) ORDER BY id", &[Some("x")]),
    (
        "SELECT id FROM a WHERE t = ANY (SELECT t FROM b) AND t <> ALL (SELECT t FROM b WHERE id > 3 AND t IS NOT NULL) ORDER BY id",
        &[],
    ),
    ("SELECT id FROM a WHERE t = SOME (SELECT t FROM b WHERE grp = 0) ORDER BY id", &[]),
    ("SELECT id FROM o WHERE o_int4 >= ALL (SELECT o_int4 FROM o WHERE o_int4 IS NOT NULL) ORDER BY id", &[]),
    ("SELECT id FROM o WHERE o_int4 < ANY (SELECT o_int4 FROM o WHERE grp = 1) ORDER BY id", &[]),
    ("SELECT id FROM o WHERE o_text > ALL (SELECT $1 UNION ALL SELECT 'a') ORDER BY id", &[Some("B")]),
    ("SELECT id FROM o WHERE (o_int4, o_text) > ALL (SELECT -4, 'a') ORDER BY id", &[]),
    ("SELECT id, o_int4 > (SELECT min(o_int4) FROM o) AS more FROM o ORDER BY id", &[]),
    ("SELECT * FROM (VALUES (1, 'x'), (2, $1)) v (id, t) JOIN a USING (t) ORDER BY v.id, a.id", &[Some("y")]),
    ("SELECT v.t, a.id FROM (VALUES ('b'), ('q')) v (t) LEFT JOIN o a ON a.o_text = v.t ORDER BY v.t, a.id", &[]),
    ("SELECT id FROM a WHERE t IN (VALUES ('x'), ('y'), (NULL)) ORDER BY id", &[]),
    ("SELECT id FROM a WHERE (t, i) IN (VALUES ('x', 1), ($1, 2)) ORDER BY id", &[Some("x")]),
    ("SELECT id FROM a WHERE t IN (SELECT t FROM b WHERE b.grp = a.grp) ORDER BY id", &[]),
    ("TABLE a ORDER BY id", &[]),
];

const AGGREGATES: &[Case] = &[
    (
        "SELECT o_text, grp, max(o_int4), count(*) FILTER (WHERE o_int4 > 0) FROM o GROUP BY ROLLUP (o_text, grp) ORDER BY 1, 2",
        &[],
    ),
    (
        "SELECT o_text, max(o_int4) AS m FROM o GROUP BY CUBE (o_text) HAVING max(o_int4) > $1 ORDER BY m, o_text",
        &[Some("0")],
    ),
    (
        "SELECT o_text, o_int4, count(DISTINCT o_date) FROM o GROUP BY GROUPING SETS ((o_text), (o_int4), ()) ORDER BY 1, 2",
        &[],
    ),
    ("SELECT grp, min(o_text) FILTER (WHERE o_text <> ''), max(o_date) FROM o GROUP BY ROLLUP (grp) ORDER BY grp", &[]),
    ("SELECT string_agg(id::text, ',' ORDER BY o_int4, id), array_agg(id ORDER BY o_text DESC, id) FROM o", &[]),
    ("SELECT grp, array_agg(id ORDER BY COALESCE(o_int4, 1), id) FROM o GROUP BY grp ORDER BY grp", &[]),
    ("SELECT count(DISTINCT o_text), count(o_text), count(*) FILTER (WHERE o_text IN ('a', 'b')) FROM o", &[]),
    (
        "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id), mode() WITHIN GROUP (ORDER BY grp) FROM a WHERE t IS NOT NULL",
        &[],
    ),
    ("SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY o_int4) FROM o", &[]),
    ("SELECT percentile_disc($1::float8) WITHIN GROUP (ORDER BY o_text DESC) AS p FROM o", &[Some("0.75")]),
    (
        "SELECT grp, percentile_disc(0.5) WITHIN GROUP (ORDER BY o_int4) FILTER (WHERE id <> 2) AS p FROM o GROUP BY grp ORDER BY grp",
        &[],
    ),
    ("SELECT percentile_disc(2) WITHIN GROUP (ORDER BY o_int4) FROM o", &[]),
    ("SELECT percentile_disc(NULL) WITHIN GROUP (ORDER BY o_int4) FROM o", &[]),
    (
        "SELECT percentile_disc(0) WITHIN GROUP (ORDER BY o_int4) = -3 AS low, COALESCE(percentile_disc(1) WITHIN GROUP (ORDER BY o_int4), 8) FROM o",
        &[],
    ),
    ("SELECT min(o_cidr), max(o_cidr) FROM o", &[]),
    ("SELECT max(o_cidr) FROM o", &[]),
    ("SELECT bool_and(t = 'x'), every(i > id) FROM (SELECT t, id, grp AS i FROM a) q", &[]),
    ("SELECT DISTINCT ON (o_text) id FROM o ORDER BY o_text, id", &[]),
    ("SELECT DISTINCT ON (o_text) id FROM o ORDER BY id", &[]),
    ("SELECT DISTINCT ON (grp, o_text) id FROM o ORDER BY o_text, grp, id", &[]),
    ("SELECT id, o_int4 FROM o ORDER BY o_int4 FETCH FIRST 2 ROWS WITH TIES", &[]),
    ("SELECT o_int4 FROM o ORDER BY o_int4 DESC NULLS LAST OFFSET 1 FETCH NEXT $1 ROWS WITH TIES", &[Some("1")]),
    ("SELECT id FROM o FETCH FIRST 2 ROWS WITH TIES", &[]),
    ("SELECT id, t FROM a TABLESAMPLE BERNOULLI (100) ORDER BY id", &[]),
    ("SELECT count(*) FROM a TABLESAMPLE SYSTEM ($1) REPEATABLE (3) WHERE t = 'x'", &[Some("100")]),
    ("SELECT id, t FROM a WHERE t = 'x' ORDER BY id FOR UPDATE", &[]),
    ("SELECT id, t FROM a WHERE t = $1 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED", &[Some("x")]),
    ("SELECT x.id, x.t FROM a x JOIN b y ON x.t = y.t WHERE y.id = 1 ORDER BY x.id FOR NO KEY UPDATE OF x NOWAIT", &[]),
    ("SELECT id, o_int4 FROM o ORDER BY o_int4, id FOR SHARE", &[]),
    ("SELECT t, count(*) FROM a GROUP BY t FOR SHARE", &[]),
    ("SELECT t FROM a UNION SELECT t FROM b FOR UPDATE", &[]),
    ("SELECT DISTINCT t FROM a FOR UPDATE", &[]),
];

#[test]
fn queries_are_the_same() {
    super::same(&[RECURSIVE, LISTS, WRITING, SUBQUERIES, AGGREGATES]);
}
