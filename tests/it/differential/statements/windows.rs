//! Window functions over encrypted values, and frames that go by them.

use super::Case;

const VALUES: &[Case] = &[
    ("SELECT id, lag(t) OVER (ORDER BY id) FROM a ORDER BY id", &[]),
    ("SELECT id, lag(t, 2) OVER (ORDER BY id), lead(t, $1) OVER (ORDER BY id DESC) FROM a ORDER BY id", &[Some("1")]),
    (
        "SELECT id, lag(t, 1, 'none') OVER w, lead(t, 1, $1) OVER w AS l FROM a WINDOW w AS (PARTITION BY grp ORDER BY id) ORDER BY id",
        &[Some("last")],
    ),
    ("SELECT id, lag(t, 1, req) OVER (ORDER BY id), lag(i, grp, 0) OVER (ORDER BY id) FROM a ORDER BY id", &[]),
    (
        "SELECT id, first_value(t) OVER w, last_value(s) OVER w, nth_value(i, 2) OVER w FROM a WINDOW w AS (ORDER BY id) ORDER BY id",
        &[],
    ),
    (
        "SELECT id, last_value(t) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS l FROM a ORDER BY id",
        &[],
    ),
    (
        "SELECT id, first_value(t) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) AS l FROM a ORDER BY id",
        &[],
    ),
    (
        "SELECT id, nth_value(t, $1) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM a ORDER BY id",
        &[Some("3")],
    ),
    ("SELECT id, nth_value(t, 0) OVER (ORDER BY id) FROM a", &[]),
    ("SELECT id, t = lag(t) OVER (ORDER BY id) AS same FROM a ORDER BY id", &[]),
    (
        "SELECT id, lag(t) OVER (ORDER BY id) = 'x' AS was, lag(t) OVER (ORDER BY id) IS NULL AS none FROM a ORDER BY id",
        &[],
    ),
    ("SELECT id, COALESCE(lag(t) OVER (ORDER BY id), 'first') AS p FROM a ORDER BY id", &[]),
    (
        "SELECT id FROM (SELECT id, t, lag(t) OVER (ORDER BY id) AS p FROM a) q WHERE t IS DISTINCT FROM p ORDER BY id",
        &[],
    ),
    ("SELECT p, count(*) FROM (SELECT lag(t) OVER (ORDER BY id) AS p FROM a) q GROUP BY p", &[]),
    ("SELECT DISTINCT first_value(t) OVER (PARTITION BY grp ORDER BY id) FROM a", &[]),
    ("SELECT id, lag(o_text) OVER (ORDER BY id) AS p FROM o ORDER BY p, id", &[]),
    ("SELECT id, lag(o_text) OVER (ORDER BY o_int4, id) FROM o ORDER BY id", &[]),
    ("SELECT id, first_value(o_int4) OVER (PARTITION BY o_text ORDER BY o_int4, id) FROM o ORDER BY id", &[]),
    ("SELECT id, lag(t::text) OVER (ORDER BY id), lag(t, 1, NULL) OVER (ORDER BY id) FROM a ORDER BY id", &[]),
    ("SELECT t, lag(t) OVER (ORDER BY max(id)), lag(max(id)) OVER (ORDER BY max(id)) FROM a GROUP BY t", &[]),
    ("SELECT id, lag(max(o_int4)) OVER (ORDER BY id) FROM o GROUP BY id ORDER BY id", &[]),
    (
        "UPDATE a SET t = q.p FROM (SELECT id, lag(t, 1, 'none') OVER (ORDER BY id) AS p FROM a) q WHERE a.id = q.id RETURNING a.id, a.t",
        &[],
    ),
    ("INSERT INTO b (id, t) SELECT id + 40, lead(t) OVER (ORDER BY id) FROM a RETURNING id, t", &[]),
    (
        "SELECT lag(p) OVER (ORDER BY id), lag(p, 1, $1) OVER (ORDER BY id), id FROM b WHERE t IS NOT NULL ORDER BY id",
        &[Some("z")],
    ),
];

const FRAMES: &[Case] = &[
    (
        "SELECT id, rank() OVER (ORDER BY o_int4), dense_rank() OVER (ORDER BY o_int4 DESC), percent_rank() OVER (ORDER BY o_text), cume_dist() OVER (ORDER BY o_text) FROM o ORDER BY id",
        &[],
    ),
    (
        "SELECT id, ntile(3) OVER (ORDER BY o_int4, id), row_number() OVER (ORDER BY o_text NULLS FIRST, id) FROM o ORDER BY id",
        &[],
    ),
    (
        "SELECT id, count(*) OVER (ORDER BY o_int4 ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM o WHERE o_int4 > -3 ORDER BY id",
        &[],
    ),
    ("SELECT id, count(*) OVER (ORDER BY o_int4 GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM o ORDER BY id", &[]),
    (
        "SELECT id, count(*) OVER (ORDER BY o_int4 GROUPS BETWEEN $1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES) FROM o ORDER BY id",
        &[Some("1")],
    ),
    ("SELECT id, sum(id) OVER (ORDER BY o_int4 GROUPS 1 PRECEDING EXCLUDE GROUP) FROM o ORDER BY id", &[]),
    (
        "SELECT id, sum(id) OVER (ORDER BY o_int4 RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW) FROM o ORDER BY id",
        &[],
    ),
    (
        "SELECT id, sum(id) OVER (ORDER BY o_int4 RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM o ORDER BY id",
        &[],
    ),
    ("SELECT id, sum(id) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING), o_text FROM o ORDER BY id", &[]),
    (
        "SELECT id, max(o_int4) OVER w, min(o_text) OVER (w ROWS 1 PRECEDING) FROM o WINDOW w AS (ORDER BY id) ORDER BY id",
        &[],
    ),
    (
        "SELECT id, rank() OVER w, count(*) OVER (w ORDER BY o_text) FROM o WINDOW w AS (PARTITION BY o_int4) ORDER BY id",
        &[],
    ),
    ("SELECT id, rank() OVER v FROM o WINDOW w AS (PARTITION BY grp), v AS (w ORDER BY o_int4) ORDER BY id", &[]),
    ("SELECT id FROM o ORDER BY rank() OVER (ORDER BY o_int4), id", &[]),
    (
        "SELECT id, r FROM (SELECT id, row_number() OVER (PARTITION BY grp ORDER BY o_int4 DESC, id) AS r FROM o) q WHERE r = 1 ORDER BY id",
        &[],
    ),
    ("SELECT id, rank() OVER w FROM o", &[]),
    ("SELECT id, rank() OVER (PARTITION BY o_text, grp ORDER BY o_date DESC NULLS LAST) FROM o ORDER BY id", &[]),
    ("SELECT id, rank() OVER (ORDER BY COALESCE(o_int4, $1)) FROM o ORDER BY id", &[Some("4")]),
    ("SELECT grp, rank() OVER (ORDER BY max(o_int4)) FROM o GROUP BY grp ORDER BY grp", &[]),
];

#[test]
fn windows_are_the_same() {
    super::same(&[VALUES, FRAMES]);
}
