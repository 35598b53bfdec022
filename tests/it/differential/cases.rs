//! Statements that are written down, each by the simple and by the extended protocol, on both sides.

use super::replay::{Mode, Pair, Step};
use crate::support::Twin;

/// Few values, so that equal ones meet; equal ones are spelled alike, since which of a group is shown is PostgreSQL's choice.
const DATA: &[&str] = &[
    "INSERT INTO a (id, grp, t, i, n, s, req) VALUES (1, 0, 'x', 1, 1.5, 's', 'r'), (2, 1, 'y', 1, 2, 's', 'r'), (3, 1, 'x', 2, 1.5, NULL, 'q'),
     (4, 2, NULL, NULL, NULL, 'u', 'q'), (5, 2, 'O''Brien', 2, 3, 'v', 'r'), (6, 0, NULL, 1, 2, 'v', 'p'), (7, 0, 'x', 1, 1.5, 'w', 'p'), (8, 1, '', 3, 0, '', '')",
    "INSERT INTO b (id, grp, t, i, u, z, p) VALUES (1, 0, 'x', 1, '00000000-0000-0000-0000-000000000001', '2000-01-01 00:00:00+00', 'x'),
     (2, 1, 'x', 2, '00000000-0000-0000-0000-000000000002', NULL, 'y'), (3, 0, 'z', 1, NULL, '2000-01-01 00:00:00+00', 'z'),
     (4, 2, NULL, NULL, NULL, NULL, NULL), (5, 2, 'y', 9, '00000000-0000-0000-0000-000000000005', '1970-01-01 00:00:00+00', 'x'), (9, 1, '', 3, NULL, NULL, '')",
    "INSERT INTO o (id, grp, o_int4, o_text, o_date) VALUES (1, 0, 5, 'b', '2000-01-01'), (2, 1, -3, 'a', NULL), (3, 0, 5, 'B', '1999-12-31'), (4, 2, NULL, NULL, NULL),
     (5, 1, 2147483647, 'b', '2000-01-01'), (6, 2, 0, '', 'infinity'), (7, 0, -3, 'a', '2000-01-01')",
    "INSERT INTO l (id, grp, e, l_text, l_int, l_num, l_date, l_any, p) VALUES (1, 0, 'a', '{a,b}', '{1,2,3}', '{1.50,2}', '{2000-01-01}', '{x}', '{p,q}'),
     (2, 1, 'b', '{b,NULL,\"c d\"}', ARRAY[3, 4], NULL, '{}', '{}', '{}'), (3, 1, 'zz', '{}', NULL, '{NULL}', NULL, '{y,x}', NULL),
     (4, 2, NULL, NULL, '{{1,2},{3,4}}', '[2:3]={1,2}', '{2000-01-01,1999-12-31}', NULL, '{q}'), (5, 2, 'a', '{a,a,NULL}', '{5}', '{}', '{infinity}', '{x,x}', '{p}'),
     (6, 0, 'b', '[0:1]={b,a}', '{}', '{-1.5}', '{NULL}', '{NULL}', '{NULL}'), (7, 0, '', '{\"\",\"null\",\"{}\"}', '{2,1}', '{0}', NULL, '{\"a,b\"}', '{p}')",
    "INSERT INTO d SELECT g, g % 3, 'p' || g FROM generate_series(1, 5) g",
];

/// Statements and the parameters they take, as text.
pub type Case = (&'static str, &'static [Option<&'static str>]);

/// A connection to each side, with rows in the tables.
pub fn filled(twin: &Twin) -> Pair {
    let mut pair = Pair::new(twin);
    let rows: Vec<Step> = DATA.iter().map(|sql| simple(sql, true)).collect();
    let differences = pair.run_all(&rows);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    pair
}

/// One Query message.
pub fn simple(sql: &str, ordered: bool) -> Step {
    Step { sql: sql.to_owned(), mode: Mode::Simple, ordered, outside: false }
}

/// What each case is sent as. Nothing that one writes is left for the next.
pub fn steps(cases: &[Case]) -> impl Iterator<Item = Step> {
    cases.iter().flat_map(|&(sql, values)| {
        // One that ends in ORDER BY with an id fixes the order.
        let ordered = sql.rfind("ORDER BY").is_some_and(|at| !sql[at..].contains(')') && sql[at..].contains("id"))
            || sql.contains("o_") && sql.contains("ORDER BY");
        let step = |mode| Step { sql: sql.to_owned(), mode, ordered, outside: false };
        let bound = |results| Mode::Extended {
            declared: Vec::new(),
            values: values.iter().map(|v| (v.map(|v| v.as_bytes().to_vec()), 0)).collect(),
            results,
        };
        let unbound = values.is_empty().then(|| step(Mode::Simple));
        let mut all: Vec<Step> = unbound.into_iter().collect();
        all.extend([step(bound(0)), step(bound(1))]);
        // What one way writes must not be in the way of the next.
        all.into_iter().flat_map(|s| [simple("BEGIN", true), s, simple("ROLLBACK", true)]).collect::<Vec<_>>()
    })
}
