//! Arrays of encrypted values, made by statements and kept in columns.

use super::Case;

/// What makes arrays of single values.
const MADE: &[Case] = &[
    ("SELECT array_agg(t ORDER BY id) FROM a", &[]),
    ("SELECT array_agg(t ORDER BY id DESC) FILTER (WHERE id > $1), array_agg(i ORDER BY id) AS i FROM a", &[Some("2")]),
    ("SELECT array_agg(t) FROM a WHERE id < 0", &[]),
    (
        "SELECT grp, array_agg(t ORDER BY id), array_agg(n ORDER BY id DESC), count(*) FROM a GROUP BY grp ORDER BY 1",
        &[],
    ),
    ("SELECT t, array_agg(req ORDER BY id), array_agg(t ORDER BY id) AS ts FROM a GROUP BY t", &[]),
    ("SELECT id, array_agg(t) OVER (PARTITION BY grp ORDER BY id) AS w FROM a ORDER BY id", &[]),
    (
        "SELECT id, array_agg(t) OVER w, array_agg(i) FILTER (WHERE id > 1) OVER w AS f FROM a WINDOW w AS (ORDER BY id ROWS 1 PRECEDING) ORDER BY id",
        &[],
    ),
    (
        "SELECT array_agg(o_text ORDER BY o_text, id), array_agg(o_int4 ORDER BY o_int4 DESC NULLS LAST, id), array_agg(o_date ORDER BY id) FROM o",
        &[],
    ),
    (
        "SELECT array_agg(DISTINCT o_int4), array_agg(DISTINCT o_text ORDER BY o_text DESC), array_agg(DISTINCT o_date ORDER BY o_date NULLS FIRST) FROM o",
        &[],
    ),
    (
        "SELECT grp, array_agg(DISTINCT o_int4) FILTER (WHERE id > 1), array_agg(DISTINCT COALESCE(o_int4, 7)) AS c FROM o GROUP BY grp ORDER BY 1",
        &[],
    ),
    ("SELECT cardinality(array_agg(DISTINCT t)), array_length(array_agg(DISTINCT i), 1) FROM a", &[]),
    ("SELECT x FROM unnest((SELECT array_agg(DISTINCT t) FROM a)) AS x", &[]),
    ("SELECT array_agg(DISTINCT o_text) FROM o WHERE id < 0", &[]),
    ("SELECT id, ARRAY[t, $1, 'lit', NULL] AS l FROM a ORDER BY id", &[Some("given")]),
    ("SELECT id, ARRAY[t, req], ARRAY[i], ARRAY[[i, 1], [2, $1]] AS two FROM a ORDER BY id", &[Some("9")]),
    (
        "SELECT id, ARRAY[ARRAY[t, 'a'], ARRAY['b', req]] AS l, (ARRAY[t, req])[2] AS r, ARRAY[n, 2.50] AS n FROM a ORDER BY id",
        &[],
    ),
    ("SELECT id, (ARRAY[t, req, 's'])[2:3] AS part, cardinality(ARRAY[s, NULL]) AS c FROM a ORDER BY id", &[]),
    (
        "SELECT ARRAY(SELECT t FROM a ORDER BY id), ARRAY(SELECT i FROM a WHERE id = $1) AS i, ARRAY(SELECT t FROM a WHERE id < 0) AS none",
        &[Some("1")],
    ),
    ("SELECT b.id, ARRAY(SELECT a.t FROM a WHERE a.grp = b.grp ORDER BY a.id) AS ts FROM b ORDER BY b.id", &[]),
    (
        "WITH w AS (SELECT grp, array_agg(t ORDER BY id) AS ts FROM a GROUP BY grp) SELECT grp, ts, ts[1], ts[2:3], ts[$1] AS g, (ts)[1] AS p, cardinality(ts), array_length(ts, 1), array_dims(ts), array_ndims(ts), array_upper(ts, 1), array_lower(ts, 1) FROM w ORDER BY grp",
        &[Some("2")],
    ),
    ("SELECT * FROM (SELECT grp, array_agg(t ORDER BY id) AS ts FROM a GROUP BY grp) s ORDER BY grp", &[]),
    ("SELECT s.* FROM (SELECT id, ARRAY[t, req] AS ts FROM a) s WHERE ts[1] = $1 ORDER BY id", &[Some("x")]),
    ("SELECT array_agg(ts ORDER BY id) FROM (SELECT id, ARRAY[t, req] AS ts FROM a) s", &[]),
    (
        "SELECT id, ts[1][2], ts[2][1], ts[1], ts[1:1][1:2] FROM (SELECT id, ARRAY[[t, 'b'], ['c', req]] AS ts FROM a) s ORDER BY id",
        &[],
    ),
    (
        "SELECT ARRAY[t, 'x'] FROM a WHERE id = 1 UNION ALL SELECT ARRAY['y'] UNION ALL SELECT $1 UNION ALL SELECT NULL",
        &[Some("{p,NULL}")],
    ),
    ("SELECT COALESCE(array_agg(t), '{none}') FROM a WHERE id < 0", &[]),
    ("SELECT CASE WHEN count(*) > $1 THEN array_agg(t ORDER BY id) ELSE ARRAY['few'] END AS c FROM a", &[Some("3")]),
    ("INSERT INTO a (id, t, req) VALUES (50, $1, 'q') RETURNING ARRAY[t, req, 'z']", &[Some("new")]),
    (
        "UPDATE a SET t = $1 WHERE id < 3 RETURNING id, ARRAY[t, req], ARRAY(SELECT b.t FROM b WHERE b.id = a.id) AS o",
        &[Some("new")],
    ),
    ("UPDATE a SET t = (ARRAY[req, 'k'])[1] WHERE id = 1 RETURNING t", &[]),
    ("SELECT x, count(*) FROM a, unnest(ARRAY[a.t, a.req]) AS x GROUP BY x", &[]),
    ("SELECT a.id, x FROM a LEFT JOIN LATERAL unnest(ARRAY[a.t, 'k']) AS x ON x = 'k' ORDER BY a.id", &[]),
    ("SELECT id, unnest(ARRAY[t, req]) AS x FROM a ORDER BY id", &[]),
    ("SELECT min(x) FROM (SELECT unnest(ARRAY[o_int4, 3]) AS x FROM o) s", &[]),
    (
        "SELECT array_agg(c_bool ORDER BY id), array_agg(c_int8), array_agg(c_float8), array_agg(c_varchar), array_agg(c_bpchar), array_agg(c_uuid), array_agg(c_time), array_agg(c_timestamptz), array_agg(c_interval), array_agg(c_bytea), array_agg(c_inet), array_agg(c_cidr), array_agg(c_json), array_agg(c_jsonb) FROM c",
        &[],
    ),
    (
        "SELECT (SELECT max(v) FROM (SELECT o_varchar AS v FROM o) s) IS NULL, array_agg(m) FROM (SELECT max(o_varchar) AS m FROM o) q",
        &[],
    ),
    ("SELECT id, p FROM b WHERE p = ANY(ARRAY['x', $1]) ORDER BY id", &[Some("y")]),
    ("SELECT ARRAY['x', $1], t FROM a WHERE id = 1", &[Some("y")]),
];

/// Columns of arrays.
const KEPT: &[Case] = &[
    ("SELECT id, l_text, l_int, l_num, l_date, l_any, p FROM l ORDER BY id", &[]),
    ("SELECT * FROM l ORDER BY id", &[]),
    ("SELECT l.*, x.l_int FROM l JOIN l AS x USING (id) ORDER BY id", &[]),
    (
        "INSERT INTO l (id, l_text, l_int) VALUES (20, $1, $2), (21, '{x,\"y z\",NULL}', '{{1},{2}}'), (22, ARRAY['a', $3, NULL], ARRAY[1, -2]), (23, NULL, '{}'), (24, ARRAY[]::text[], ARRAY[]::int[]), (25, DEFAULT, $4) RETURNING *",
        &[Some("{g,h}"), Some("[5:6]={7,8}"), Some("third"), None],
    ),
    (
        "INSERT INTO l (id, l_text, l_num, l_date, l_any) VALUES (20, $1::text[], $2::numeric[], $3::date[], CAST($4 AS varchar[])) RETURNING l_text, l_num, l_date, l_any",
        &[Some("{{a,b},{c,d}}"), Some("{1.50,NaN}"), Some("{2020-02-29,-infinity}"), Some("{v}")],
    ),
    (
        "INSERT INTO l (id, l_num, l_text) VALUES (20, ARRAY[1, 2.50, $1], ARRAY[['a', 'b'], ['c', $2]]::text[]) RETURNING l_num, l_text",
        &[Some("7"), Some("d")],
    ),
    (
        "INSERT INTO l (id, l_text, l_int) VALUES (20, ARRAY[[],[]]::text[], ARRAY[[[]]]::int[]) RETURNING l_text, l_int, cardinality(l_text)",
        &[],
    ),
    (
        "SELECT id, l_text = ARRAY[[],[]]::text[] AS e, l_int <> ARRAY[ARRAY[]::int[], ARRAY[]::int[]] AS f FROM l ORDER BY id",
        &[],
    ),
    ("INSERT INTO l (id, l_int) VALUES (20, '{1,x}')", &[]),
    ("INSERT INTO l (id, l_int) VALUES (20, '{1')", &[]),
    ("INSERT INTO l (id, l_int) VALUES (20, $1)", &[Some("{99999999999}")]),
    ("INSERT INTO l (id, l_text) VALUES (20, $1)", &[Some("no array")]),
    (
        "INSERT INTO l (id, l_text) SELECT 30 + grp, array_agg(t ORDER BY id) FROM a GROUP BY grp RETURNING id, l_text",
        &[],
    ),
    ("INSERT INTO l (id, l_text, l_int) SELECT id + 100, l_text, l_int FROM l", &[]),
    (
        "INSERT INTO l (id, l_text) VALUES (1, $1), (20, $2) ON CONFLICT (id) DO UPDATE SET l_text = excluded.l_text || l.l_text, l_int = '{9}' RETURNING l_text, l_int",
        &[Some("{n}"), Some("{m}")],
    ),
    ("INSERT INTO l (id, l_text) SELECT * FROM (VALUES (20, '{a}'::text[]), (21, NULL)) v RETURNING l_text", &[]),
    (
        "UPDATE l SET l_text = $1, l_int = NULL, l_num = '{1.0}' WHERE id = 1 RETURNING l_text, l_int, l_num",
        &[Some("{q,r}")],
    ),
    ("UPDATE l SET l_text[1] = $1, l_int[2] = 7, l_num[5] = 1.5 RETURNING id, l_text, l_int, l_num", &[Some("first")]),
    (
        "UPDATE l SET l_text[$1] = $2, l_any[1] = NULL WHERE id < 4 RETURNING id, l_text, l_any",
        &[Some("3"), Some("at")],
    ),
    ("UPDATE l SET l_text[1:2] = $1, l_int[2:2] = '{8}' WHERE id IN (1, 2) RETURNING l_text, l_int", &[Some("{s,t}")]),
    ("UPDATE l SET l_text[2] = e, l_text[4] = 'four' WHERE id = 1 RETURNING l_text", &[]),
    ("UPDATE l SET l_int[1][2] = 9 WHERE id = 4 RETURNING l_int", &[]),
    ("UPDATE l SET (l_text, l_int) = ('{z}', $1) WHERE id = 1 RETURNING l_text, l_int", &[Some("{4}")]),
    (
        "UPDATE l SET (l_text, grp) = (SELECT array_agg(t ORDER BY id), 7 FROM a) WHERE id = 1 RETURNING l_text, grp",
        &[],
    ),
    (
        "UPDATE l SET l_text = array_append(l_text, $1), l_int = array_prepend(0, l_int), l_num = array_cat(l_num, $2) RETURNING id, l_text, l_int, l_num",
        &[Some("end"), Some("{8.5}")],
    ),
    (
        "UPDATE l SET l_text = l_text || $1, l_int = 0 || l_int, l_any = l_any || 'tail'::varchar, l_num = l_num || ARRAY[3, 4.5] WHERE id <> 4 RETURNING id, l_text, l_int, l_any, l_num",
        &[Some("{p,q}")],
    ),
    ("UPDATE l SET l_text = l_text || $1::text || e || NULL WHERE id < 4 RETURNING l_text", &[Some("one")]),
    ("UPDATE l SET l_text = DEFAULT FROM b WHERE b.id = l.id AND l.id < 3 RETURNING l.id, l_text, b.t", &[]),
    ("DELETE FROM l WHERE l_text IS NULL RETURNING l_int, l_text", &[]),
    ("DELETE FROM l WHERE cardinality(l_text) = 0 RETURNING id, l_text", &[]),
    (
        "MERGE INTO l USING b ON l.id = b.id WHEN MATCHED THEN UPDATE SET l_text = ARRAY[b.t, 'm'] WHEN NOT MATCHED THEN INSERT (id, l_text) VALUES (b.id, '{n}')",
        &[],
    ),
    (
        "SELECT id, l_text[1], l_text[2:], l_int[1], l_int[2][1], l_int[1:1], l_num[2], l_date[1], (l_text)[$1] AS g FROM l ORDER BY id",
        &[Some("2")],
    ),
    (
        "SELECT id, cardinality(l_text), array_length(l_text, 1), array_length(l_int, 2), array_ndims(l_int), array_dims(l_num), array_lower(l_text, 1), array_upper(l_num, $1), l_text IS NULL AS n, l_date IS NOT NULL AS d FROM l ORDER BY id",
        &[Some("1")],
    ),
    (
        "SELECT id, l_text || $1 AS a, l_text || 'x'::text AS b, e || l_text AS c, l_int || 4 AS d, array_cat(l_text, '{k}') AS f, trim_array(l_text, 0) AS g FROM l ORDER BY id",
        &[Some("{g}")],
    ),
    ("SELECT count(l_text), count(*) FROM l", &[]),
    ("SELECT id, unnest(l_text) AS x, unnest(l_int) AS y FROM l ORDER BY id", &[]),
    ("SELECT l.id, x FROM l, unnest(l.l_text) AS x ORDER BY l.id", &[]),
    ("SELECT l.id, x.x, n FROM l LEFT JOIN unnest(l.l_text) x ON true, LATERAL unnest(l.l_int, l.p) AS y(n, m)", &[]),
    ("SELECT l.id, y.* FROM l CROSS JOIN unnest(l_text, l_any) AS y ORDER BY l.id", &[]),
    ("SELECT x, count(*) FROM l, unnest(l_text) AS x GROUP BY x", &[]),
    ("SELECT DISTINCT x FROM l, unnest(l_text) AS x", &[]),
    ("SELECT x FROM l, unnest(l_int) AS x WHERE x > $1 ORDER BY x, id", &[Some("2")]),
    ("SELECT max(x), min(x), sum(l.id) FROM l, unnest(l_int) AS x", &[]),
    ("SELECT id FROM l WHERE EXISTS (SELECT 1 FROM unnest(l_text) AS u WHERE u = $1) ORDER BY id", &[Some("a")]),
    ("SELECT id FROM l WHERE e IN (SELECT unnest(l_text)) ORDER BY id", &[]),
    (
        "SELECT id, ARRAY(SELECT unnest(l_text)) AS again, (SELECT array_agg(u) FROM unnest(l_text) AS u WHERE u <> 'a') AS rest FROM l ORDER BY id",
        &[],
    ),
    (
        "SELECT a.id, b.l_text FROM a JOIN l AS b ON a.id = b.id WHERE a.t = b.l_text[1] OR b.l_text[2] IS NULL ORDER BY a.id",
        &[],
    ),
    ("SELECT id, l_int[1] < 3 AS small, l_int[1] = l_int[2] AS same FROM l ORDER BY l_int[1], id", &[]),
    (
        "SELECT id, COALESCE(l_text, '{none}'), COALESCE(l_text, $1::text[]), CASE WHEN id < 3 THEN l_int ELSE ARRAY[0] END AS c FROM l ORDER BY id",
        &[Some("{g}")],
    ),
    (
        "SELECT l_text FROM l WHERE id = 1 UNION ALL SELECT '{u}' UNION ALL SELECT $1 UNION ALL SELECT array_agg(t) FROM a WHERE id = 1",
        &[Some("{p}")],
    ),
    (
        "SELECT id, lag(l_text) OVER (ORDER BY id) AS before, first_value(l_int) OVER (ORDER BY id) AS f FROM l ORDER BY id",
        &[],
    ),
    ("SELECT array_agg(l_text ORDER BY id) FROM l WHERE id = 1", &[]),
    (
        "WITH RECURSIVE r(n, acc) AS (SELECT 1, l_text FROM l WHERE id = 1 UNION ALL SELECT n + 1, acc || 'more'::text FROM r WHERE n < 3) SELECT * FROM r ORDER BY n",
        &[],
    ),
    (
        "CREATE TEMP TABLE made AS SELECT id, l_text, array_cat(l_int, '{1}') AS i FROM l; SELECT * FROM made ORDER BY id",
        &[],
    ),
    (
        "CREATE VIEW v_l AS SELECT id, l_text, l_int[1] AS one, ARRAY(SELECT t FROM a ORDER BY a.id) AS ts FROM l; SELECT * FROM v_l ORDER BY id",
        &[],
    ),
    ("ALTER TABLE l ADD COLUMN more text[]; INSERT INTO l (id, more) VALUES (20, '{m}') RETURNING more", &[]),
    ("DECLARE c CURSOR FOR SELECT l_text, l_int FROM l ORDER BY id; FETCH 3 FROM c; FETCH BACKWARD 1 FROM c", &[]),
    ("PREPARE q AS SELECT l_text || $1 FROM l WHERE id = $2; EXECUTE q('{k}', 1); DEALLOCATE q", &[]),
];

/// Parts of arrays and their shape where statements go by them.
const PARTS: &[Case] = &[
    ("SELECT id, l_text[array_length(l_text, 1)], l_text[cardinality(l_text) - 1:] AS last FROM l ORDER BY id", &[]),
    ("SELECT max(cardinality(l_text)), sum(array_length(l_int, 1)) FROM l", &[]),
    (
        "SELECT cardinality(l_text) AS n, count(*), array_agg(e ORDER BY id) FROM l GROUP BY 1 HAVING count(*) > 1 ORDER BY n",
        &[],
    ),
    (
        "SELECT id FROM l WHERE l_text[1] IS NULL OR l_text[1] IN ('a', $1) ORDER BY cardinality(l_text), id",
        &[Some("b")],
    ),
    ("SELECT id FROM l WHERE l_int[1] BETWEEN 2 AND $1 OR l_int[2] > 3 ORDER BY id", &[Some("3")]),
    (
        "SELECT id, (l_text || 'z'::text)[2] AS x, (array_append(l_text, $1))[1:1] AS y, ((l_text)[1:2])[1] AS z FROM l ORDER BY id",
        &[Some("k")],
    ),
    ("SELECT id, (ARRAY(SELECT t FROM a ORDER BY a.id))[id] AS t, (SELECT l_text)[1] AS s FROM l ORDER BY id", &[]),
    (
        "SELECT id, CASE WHEN cardinality(l_text) > 1 THEN l_text[2] ELSE 'one' END AS c, COALESCE(l_text[9], e, 'none') AS d FROM l ORDER BY id",
        &[],
    ),
    (
        "UPDATE l SET l_text = ARRAY(SELECT t FROM a WHERE a.grp = l.grp ORDER BY a.id), e = l_text[1] RETURNING id, l_text, e",
        &[],
    ),
    (
        "UPDATE l SET l_text[1] = (SELECT t FROM a WHERE a.id = l.id), l_text[2] = l_text[1] WHERE id < 4 RETURNING id, l_text",
        &[],
    ),
    ("INSERT INTO l (id, e, l_text) SELECT id + 50, l_text[1], l_text[2:3] FROM l RETURNING id, e, l_text", &[]),
    (
        "INSERT INTO l (id, l_text) VALUES (1, '{x}') ON CONFLICT (id) DO UPDATE SET l_text[5] = excluded.l_text[1] RETURNING l_text",
        &[],
    ),
    ("SELECT l_text FROM l WHERE id = 1 FOR UPDATE", &[]),
    (
        "SELECT id, (CAST(l_text AS text[]))[1] AS x, (l_text::text[])[2] AS y, (CAST(ARRAY[e, 'q'] AS text[]))[2] AS z FROM l ORDER BY id",
        &[],
    ),
    ("SELECT a.id FROM a WHERE t IN (SELECT x FROM l, unnest(l_text) AS x) ORDER BY a.id", &[]),
    ("SELECT a.t, count(l.id) FROM a LEFT JOIN l ON a.t = l.l_text[1] GROUP BY a.t", &[]),
];

/// What compares arrays and their elements.
const COMPARED: &[Case] = &[
    ("SELECT id FROM l WHERE $1 = ANY(l_text) ORDER BY id", &[Some("a")]),
    ("SELECT id FROM l WHERE 'b' = ANY (l_text) OR $1 = ANY(l_int) ORDER BY id", &[Some("5")]),
    (
        "SELECT id, e = ANY(l_text), e <> ALL(l_text), $1 <> ANY(l_text), e = ALL(l_text), NOT $1 = ANY(l_text) AS n FROM l ORDER BY id",
        &[Some("a")],
    ),
    ("SELECT id, $1 = ANY(l_int), 3 < ANY(l_int), $2 >= ALL(l_int) FROM l ORDER BY id", &[Some("1"), Some("3")]),
    ("SELECT id FROM l WHERE $1 = ANY(l_any) ORDER BY id", &[Some("x")]),
    ("SELECT id, e = ANY(ARRAY[l_text[1], 'zz']) AS r, 'b' = ANY(ARRAY[e, $1]) AS s FROM l ORDER BY id", &[Some("q")]),
    ("SELECT id, e = ANY(ARRAY(SELECT t FROM a)) AS r FROM l ORDER BY id", &[]),
    ("SELECT l.id, a.id FROM l JOIN a ON a.t = ANY(l.l_text) ORDER BY l.id, a.id", &[]),
    ("SELECT id FROM l WHERE l_text = $1 ORDER BY id", &[Some("{a,b}")]),
    (
        "SELECT id, l_text = '{a,b}', l_text <> $1, l_int = ARRAY[5], l_int = '{{1,2},{3,4}}' AS two, l_text = ARRAY[]::text[] AS none, l_text = '[0:1]={b,a}' AS low FROM l ORDER BY id",
        &[Some("{b,NULL,\"c d\"}")],
    ),
    ("SELECT id, l_text IS DISTINCT FROM $1 AS d, l_text IS NOT DISTINCT FROM '{}' AS n FROM l ORDER BY id", &[None]),
    ("SELECT x.id, y.id FROM l x JOIN l y ON x.l_text = y.l_text ORDER BY x.id, y.id", &[]),
    ("SELECT id FROM l WHERE l_text @> $1 ORDER BY id", &[Some("{a}")]),
    (
        "SELECT id, l_text @> '{b,a}', l_text @> ARRAY['a', $1], l_text <@ $2, '{a,b,c}' @> l_text AS r, l_text && $3, l_text && ARRAY[]::text[] AS e FROM l ORDER BY id",
        &[Some("b"), Some("{a,b}"), Some("{zz,a}")],
    ),
    (
        "SELECT id, l_int @> '{1}', l_int && ARRAY[4, 5], l_int <@ $1::int[] AS s, l_date @> '{2000-01-01}' AS d, l_any && $2 AS v FROM l ORDER BY id",
        &[Some("{1,2,3}"), Some("{x}")],
    ),
    ("SELECT id, l_text @> NULL AS n, l_text && $1 AS m FROM l ORDER BY id", &[None]),
    ("SELECT x.id, y.id FROM l x JOIN l y ON x.l_text && y.l_text AND x.id < y.id ORDER BY x.id, y.id", &[]),
    (
        "SELECT id, array_position(l_text, $1), array_position(l_text, 'a', 2), array_positions(l_text, NULL) AS n, array_position(l_any, $2) FROM l ORDER BY id",
        &[Some("b"), Some("x")],
    ),
    ("SELECT id, array_position('{q,b,a}', e) AS p FROM l ORDER BY id", &[]),
    ("SELECT array_position(l_int, 4) FROM l WHERE id = 4", &[]),
    ("UPDATE l SET grp = 99 WHERE $1 = ANY(l_text) AND l_text @> '{b}' RETURNING id", &[Some("a")]),
    ("DELETE FROM l WHERE l_text && $1 RETURNING id, l_text", &[Some("{b}")]),
    ("SELECT count(*) FILTER (WHERE l_text @> '{a}'), count(*) FROM l", &[]),
    (
        "SELECT id, l_int = '{1,2,3}', l_int <> ARRAY[[1,2],[3,4]] AS d, l_int = '{}' AS e, l_int = $1 AS n, l_int IS DISTINCT FROM '[0:0]={5}' AS b FROM l ORDER BY id",
        &[None],
    ),
    ("SELECT x.id, y.id FROM l x JOIN l y ON x.l_int = y.l_int OR x.l_any = y.l_any ORDER BY x.id, y.id", &[]),
    (
        "SELECT id, array_position(l_text, 'a') AS low, array_position(l_text, $1, 0) AS s FROM l WHERE id = 6 ORDER BY id",
        &[Some("b")],
    ),
];

#[test]
fn arrays_that_statements_make() {
    super::same(&[MADE]);
}

#[test]
fn columns_of_arrays() {
    super::same(&[KEPT, PARTS]);
}

#[test]
fn arrays_are_compared() {
    super::same(&[COMPARED]);
}
