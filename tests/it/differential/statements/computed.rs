//! Output columns that are computed of encrypted values, and the clauses that name them; GREATEST and LEAST.

use super::Case;

const ORDERED: &[Case] = &[
    ("SELECT id, COALESCE(o_text, $1) AS x FROM o ORDER BY x, id", &[Some("aa")]),
    ("SELECT id, COALESCE(o_text, 'aa') AS x FROM o ORDER BY x DESC, id", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') FROM o ORDER BY 2, 1", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') FROM o ORDER BY coalesce, id", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') FROM o ORDER BY COALESCE(o_text, 'aa'), id", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') FROM o ORDER BY COALESCE(o_text, 'b'), id", &[]),
    ("SELECT id, CASE WHEN grp = 0 THEN o_int4 ELSE $1 END AS k FROM o ORDER BY k NULLS FIRST, id", &[Some("1")]),
    ("SELECT id, CASE WHEN o_text = 'b' THEN o_int4 END AS k FROM o ORDER BY k DESC NULLS LAST, id LIMIT 4", &[]),
    ("SELECT id, NULLIF(o_int4, 5) AS k FROM o ORDER BY k, id", &[]),
    ("SELECT id, (SELECT y.o_text FROM o y WHERE y.id = o.id + 1) AS next FROM o ORDER BY next, id", &[]),
    ("SELECT id, (SELECT max(y.o_int4) FROM o y WHERE y.grp = o.grp) AS top FROM o ORDER BY top, id", &[]),
    ("SELECT grp, max(o_int4) AS top FROM o GROUP BY grp ORDER BY top, grp", &[]),
    ("SELECT grp, min(o_text) FROM o GROUP BY grp ORDER BY 2 DESC, 1", &[]),
    (
        "SELECT grp, COALESCE(max(o_int4), 7) AS top FROM o WHERE id > $1 GROUP BY grp ORDER BY top DESC, grp",
        &[Some("3")],
    ),
    ("SELECT grp, max(o_int4) FILTER (WHERE id > 2) AS top FROM o GROUP BY grp ORDER BY top, grp", &[]),
    ("SELECT o_int4 AS k, COALESCE(o_int4, 1) AS j FROM o GROUP BY o_int4 ORDER BY j, k", &[]),
    ("SELECT q.x, q.id FROM (SELECT id, COALESCE(o_text, 'q') AS x FROM o ORDER BY x LIMIT 3) q ORDER BY q.x, id", &[]),
    (
        "WITH w AS (SELECT id, COALESCE(o_text, 'q') AS x FROM o ORDER BY x, id LIMIT 3) SELECT id, x FROM w ORDER BY id",
        &[],
    ),
    ("SELECT id, o_text::text AS x FROM o ORDER BY x, id", &[]),
    ("SELECT id, COALESCE(o_text::text, 'z'::text) AS x FROM o ORDER BY x, id", &[]),
    ("SELECT id, COALESCE(NULLIF(o_text, 'a'), 'c') AS x FROM o ORDER BY x, id OFFSET 1", &[]),
    ("SELECT id, CASE o_int4 WHEN 5 THEN o_text ELSE 'other' END AS x FROM o ORDER BY x, id", &[]),
    ("SELECT id, COALESCE(o_date, '2020-01-01') AS x FROM o ORDER BY x, id FETCH FIRST 3 ROWS WITH TIES", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') AS x FROM o ORDER BY x, id FOR UPDATE", &[]),
    ("SELECT x.id, COALESCE(x.o_text, y.o_text) AS t FROM o x JOIN o y ON x.grp = y.grp ORDER BY t, x.id, y.id", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') AS id FROM o ORDER BY id", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') AS o_int4 FROM o ORDER BY o_int4, o.id", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') AS x FROM o ORDER BY nothing", &[]),
    ("SELECT id, COALESCE(o_text, 'aa') AS x FROM o ORDER BY 5", &[]),
    (
        "SELECT id, COALESCE(o_text, 'aa') /* a comment */ AS x FROM o WHERE o_text <> 'zz' /* another */ ORDER BY x -- last\n, id",
        &[],
    ),
    (
        "SELECT 'l' AS label, id, COALESCE(o_text, $1) AS x FROM o WHERE o_int4 > $2 ORDER BY label, x, id",
        &[Some("aa"), Some("-5")],
    ),
];

/// Casts that leave a value as it is, and what they tell of its type.
const CAST: &[Case] = &[
    (
        "SELECT id, o_varchar::text, CAST(o_text AS varchar), o_varchar::text::varchar, o_text::varchar::text AS t, o_text::text FROM o ORDER BY id",
        &[],
    ),
    (
        "SELECT COALESCE(o_varchar, o_varchar::text), COALESCE(o_varchar::text, o_varchar), COALESCE(o_text::varchar, o_text), COALESCE(NULL, o_text::varchar, $1) FROM o ORDER BY id",
        &[Some("given")],
    ),
    (
        "SELECT CASE WHEN id > 1 THEN o_varchar::text ELSE o_varchar END, CASE WHEN id > 1 THEN o_varchar ELSE o_varchar::text END, CASE WHEN id > 1 THEN o_varchar::text END FROM o ORDER BY id",
        &[],
    ),
    ("SELECT o_varchar::text FROM o UNION ALL SELECT o_varchar FROM o", &[]),
    ("SELECT o_varchar FROM o UNION SELECT o_varchar::text FROM o ORDER BY 1", &[]),
    (
        "SELECT COALESCE(max(o_varchar), 'x'), COALESCE('x', max(o_varchar)), COALESCE(max(o_cidr), min(o_cidr)) FROM o",
        &[],
    ),
    ("SELECT array_agg(o_varchar::text ORDER BY id), array_agg(o_text::varchar ORDER BY id) FROM o", &[]),
    ("SELECT ARRAY[o_varchar::text, $1], ARRAY[o_varchar, o_varchar::text] FROM o ORDER BY id", &[Some("given")]),
    (
        "SELECT x, x::varchar FROM (SELECT id, o_varchar::text AS x FROM o) s WHERE x = $1 OR x > $2 ORDER BY id",
        &[Some("b"), Some("c")],
    ),
    ("SELECT o_varchar::text, count(*) FROM o GROUP BY o_varchar::text ORDER BY 1", &[]),
    ("SELECT DISTINCT o_varchar::text FROM o ORDER BY 1", &[]),
    ("INSERT INTO o (id, o_varchar) VALUES (900, 'new') RETURNING o_varchar::text, o_varchar", &[]),
];

const DISTINCT: &[Case] = &[
    ("SELECT DISTINCT COALESCE(t, 'none') AS x FROM a", &[]),
    ("SELECT DISTINCT COALESCE(t, $1), i FROM a", &[Some("x")]),
    ("SELECT DISTINCT CASE WHEN i = 1 THEN t ELSE 'other' END AS k, grp FROM a", &[]),
    ("SELECT DISTINCT COALESCE(o_text, 'aa') AS x FROM o ORDER BY x", &[]),
    ("SELECT DISTINCT COALESCE(o_text, 'aa') FROM o ORDER BY COALESCE(o_text, 'aa') DESC", &[]),
    ("SELECT DISTINCT COALESCE(o_text, 'aa') AS x FROM o ORDER BY o_text", &[]),
    ("SELECT DISTINCT NULLIF(t, 'x') AS x FROM a", &[]),
    ("SELECT DISTINCT (SELECT b.t FROM b WHERE b.id = a.id) AS x FROM a", &[]),
    ("SELECT DISTINCT ON (x) COALESCE(o_text, 'aa') AS x, id FROM o ORDER BY x, id", &[]),
    ("SELECT DISTINCT ON (1) COALESCE(o_text, 'aa') AS x, id FROM o ORDER BY 1, 2 DESC", &[]),
    (
        "SELECT DISTINCT ON (COALESCE(o_text, 'aa')) COALESCE(o_text, 'aa'), id FROM o ORDER BY COALESCE(o_text, 'aa'), id",
        &[],
    ),
    ("SELECT DISTINCT ON (x) COALESCE(o_text, 'aa') AS x, id FROM o ORDER BY id", &[]),
    ("SELECT DISTINCT max(o_int4) AS m FROM o GROUP BY grp", &[]),
    ("SELECT DISTINCT max(o_int4) AS m FROM o GROUP BY grp ORDER BY m", &[]),
    ("SELECT count(*) FROM (SELECT DISTINCT COALESCE(t, 'none') FROM a) q", &[]),
    (
        "INSERT INTO b (id, t) SELECT 900 + row_number() OVER (), x FROM (SELECT DISTINCT COALESCE(t, 'none') AS x FROM a) q RETURNING t",
        &[],
    ),
];

const GROUPED: &[Case] = &[
    ("SELECT COALESCE(t, 'none') AS k, count(*) FROM a GROUP BY k", &[]),
    ("SELECT COALESCE(t, 'none'), count(*) FROM a GROUP BY 1", &[]),
    ("SELECT COALESCE(t, $1) AS k, grp, count(*) FROM a GROUP BY 1, grp", &[Some("none")]),
    ("SELECT COALESCE(t, 'none'), count(*) FROM a GROUP BY COALESCE(t, 'none')", &[]),
    ("SELECT COALESCE(t, $1), count(*) FROM a GROUP BY COALESCE(t, $1)", &[Some("none")]),
    ("SELECT COALESCE(t, 'none'), count(*) FROM a GROUP BY coalesce(t, 'none') HAVING count(*) > 1", &[]),
    ("SELECT COALESCE(t, 'none'), count(*) FROM a GROUP BY COALESCE(t, 'x')", &[]),
    ("SELECT COALESCE(t, 'none'), count(*) FROM a GROUP BY 1 HAVING COALESCE(t, 'none') <> 'x'", &[]),
    (
        "SELECT COALESCE(t, $1) AS k, count(*) FROM a GROUP BY k HAVING COALESCE(t, $1) IN ('x', 'none') AND COALESCE(t, $1) IS NOT NULL",
        &[Some("none")],
    ),
    ("SELECT COALESCE(t, 'none') AS k, count(*) FROM a GROUP BY k HAVING COALESCE(t, 'other') = 'x'", &[]),
    (
        "SELECT COALESCE(t, 'none') AS k, count(*) FROM a GROUP BY k HAVING max(id) > 3 AND count(COALESCE(t, 'none')) > 1",
        &[],
    ),
    (
        "SELECT COALESCE(o_text, 'aa') AS k, rank() OVER (ORDER BY max(id)) FROM o GROUP BY k HAVING COALESCE(o_text, 'aa') BETWEEN 'a' AND 'b' ORDER BY k",
        &[],
    ),
    ("SELECT CASE WHEN i = 1 THEN t ELSE 'other' END AS k, sum(id) FROM a GROUP BY k", &[]),
    (
        "SELECT CASE WHEN i = 1 THEN t ELSE 'other' END AS k, sum(id) FROM a GROUP BY CASE WHEN i = 1 THEN t ELSE 'other' END",
        &[],
    ),
    (
        "SELECT CASE t WHEN 'x' THEN 1 WHEN 'y' THEN 2 END AS k, count(*) FROM a GROUP BY CASE t WHEN 'x' THEN 1 WHEN 'y' THEN 2 END",
        &[],
    ),
    ("SELECT CASE WHEN t = $1 THEN 'one' ELSE 'other' END AS k, count(*) FROM a GROUP BY 1 ORDER BY 1", &[Some("x")]),
    ("SELECT NULLIF(t, 'x') AS k, count(*) FROM a GROUP BY k", &[]),
    ("SELECT (SELECT b.t FROM b WHERE b.id = a.id) AS k, count(*) FROM a GROUP BY k", &[]),
    ("SELECT t::text AS k, count(*) FROM a GROUP BY k", &[]),
    ("SELECT t::text AS k, count(*) FROM a GROUP BY 1", &[]),
    ("SELECT COALESCE(o_text, 'aa') AS k, count(*) FROM o GROUP BY k ORDER BY k", &[]),
    ("SELECT COALESCE(o_text, 'aa') AS k, max(o_int4) AS m FROM o GROUP BY k ORDER BY m DESC NULLS LAST, k", &[]),
    ("SELECT COALESCE(o_text, 'aa') AS k, count(*) FROM o GROUP BY k ORDER BY COALESCE(o_text, 'aa')", &[]),
    ("SELECT COALESCE(o_text, 'aa') AS k, grp, count(*) FROM o GROUP BY ROLLUP (1, 2) ORDER BY 1, 2", &[]),
    ("SELECT COALESCE(t, 'none') AS k, grp, count(*) FROM a GROUP BY GROUPING SETS ((1), (2), ())", &[]),
    ("SELECT COALESCE(t, 'none') AS k, t FROM a GROUP BY k", &[]),
    ("SELECT COALESCE(t, 'none') AS k, i FROM a GROUP BY k, i", &[]),
    ("SELECT DISTINCT COALESCE(o_text, 'aa') AS k, count(*) FROM o GROUP BY k ORDER BY k", &[]),
    (
        "SELECT k, n FROM (SELECT COALESCE(t, 'none') AS k, count(*) AS n FROM a GROUP BY k) q WHERE k = $1",
        &[Some("x")],
    ),
    ("INSERT INTO b (id, t) SELECT 100 + count(*), COALESCE(t, 'none') AS k FROM a GROUP BY k RETURNING t", &[]),
    ("SELECT k, count(*) FROM (SELECT COALESCE(t, 'none') AS k FROM a) q GROUP BY k", &[]),
    ("SELECT COALESCE(x.t, y.t) AS k, count(*) FROM a x FULL JOIN b y ON x.t = y.t GROUP BY k", &[]),
    ("SELECT COALESCE(x.t, y.t) AS k, count(*) FROM a x FULL JOIN b y ON x.t = y.t GROUP BY COALESCE(x.t, y.t)", &[]),
];

const EXTREMES: &[Case] = &[
    ("SELECT id, GREATEST(o_int4, $1) FROM o ORDER BY id", &[Some("1")]),
    ("SELECT id, GREATEST(o_int4, 1), LEAST(o_int4, 1) FROM o ORDER BY id", &[]),
    ("SELECT id, GREATEST(o_int4, NULL), LEAST(NULL, o_int4) FROM o ORDER BY id", &[]),
    ("SELECT id, GREATEST(o_int4, $1) AS g FROM o ORDER BY id", &[None]),
    ("SELECT id, GREATEST(o_text, 'aa', $1) AS g FROM o ORDER BY g, id", &[Some("C")]),
    ("SELECT id, LEAST('aa', o_text) AS g FROM o ORDER BY g DESC, id", &[]),
    (
        "SELECT x.id, y.id, GREATEST(x.o_int4, y.o_int4) AS g, LEAST(x.o_text, y.o_text) FROM o x JOIN o y ON x.grp = y.grp ORDER BY 1, 2",
        &[],
    ),
    ("SELECT id FROM o WHERE GREATEST(o_int4, 1) = 5 ORDER BY id", &[]),
    ("SELECT id FROM o WHERE LEAST(o_int4, 1) < $1 ORDER BY id", &[Some("0")]),
    ("SELECT id FROM o WHERE GREATEST(o_date, '2001-01-01') IS NOT NULL ORDER BY id", &[]),
    ("SELECT grp, GREATEST(max(o_int4), 3) AS g FROM o GROUP BY grp ORDER BY grp", &[]),
    ("SELECT max(GREATEST(o_int4, 3)) FROM o", &[]),
    ("SELECT GREATEST(o_int4, 3) AS g, count(*) FROM o GROUP BY g ORDER BY g", &[]),
    ("SELECT GREATEST(o_int4, 3) AS g, count(*) FROM o GROUP BY GREATEST(o_int4, 3) ORDER BY 1", &[]),
    ("SELECT DISTINCT LEAST(o_int4, 3) AS g FROM o ORDER BY g", &[]),
    ("SELECT COALESCE(GREATEST(o_int4, NULL), 4) FROM o ORDER BY id", &[]),
    ("SELECT GREATEST(COALESCE(o_int4, 4), (SELECT min(o_int4) FROM o)) FROM o ORDER BY id", &[]),
    ("SELECT GREATEST(GREATEST(o_int4, 4), LEAST(o_int4, 9)) FROM o ORDER BY id", &[]),
    ("UPDATE o SET o_int4 = GREATEST(o_int4, $1) RETURNING id, o_int4", &[Some("0")]),
    ("UPDATE o SET o_text = LEAST(o_text, 'b') WHERE grp = 0 RETURNING id, o_text", &[]),
    (
        "INSERT INTO o (id, o_int4) VALUES (1, 7) ON CONFLICT (id) DO UPDATE SET o_int4 = GREATEST(o.o_int4, excluded.o_int4) RETURNING o_int4",
        &[],
    ),
    ("SELECT id, GREATEST(o_int4) FROM o ORDER BY id", &[]),
    ("SELECT GREATEST(id, grp), LEAST(3, $1::int), id FROM o ORDER BY id", &[Some("2")]),
    ("SELECT GREATEST(o_int4, 'no number') FROM o", &[]),
    ("SELECT row_number() OVER (ORDER BY GREATEST(o_int4, 1), id), id FROM o ORDER BY id", &[]),
    ("SELECT id, CASE WHEN GREATEST(o_int4, 1) = 1 THEN 'low' ELSE 'high' END FROM o ORDER BY id", &[]),
];

#[test]
fn computed_columns_are_the_same() {
    super::same(&[ORDERED, CAST, DISTINCT, GROUPED, EXTREMES]);
}
