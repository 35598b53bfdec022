//! Statements that take encrypted values where they do not belong: each must be refused or right, and must neither send a plaintext
//! nor bring a ciphertext back.
//!
//! In a shape `{t}` is a table, `{c}` a column with a search term, `{k}` that column's plaintext type, `{o}` any other column, `{v}` a value for
//! `{c}` (literal or parameter, declared in one way or another), `{q}` such a value as a string literal, `{x}` as `{q}` within a string.

use super::super::replay::Step;
use super::{Generator, Parameter, TABLES};

/// Sent by either protocol.
const SHAPES: &[&str] = &[
    // Casts and functions around the column.
    "SELECT id FROM {t} WHERE {c}::text = {v}",
    "SELECT id FROM {t} WHERE CAST({c} AS varchar) = {v}",
    "SELECT id FROM {t} WHERE {c}::text::{k} = {v}",
    "SELECT id FROM {t} WHERE {c}::varchar(3) = {v}",
    "SELECT id FROM {t} WHERE {c}::bytea = {v}",
    "SELECT id FROM {t} WHERE {c}::json::text = {v}",
    "SELECT id FROM {t} WHERE ({c})::text IN ({v}, {v})",
    "SELECT id FROM {t} WHERE lower({c}::text) = lower({v})",
    "SELECT id FROM {t} WHERE upper({c}::text) LIKE upper({v})",
    "SELECT id FROM {t} WHERE md5({c}::text) = md5({v}::text)",
    "SELECT id FROM {t} WHERE sha256({c}::text::bytea) = sha256({v}::text::bytea)",
    "SELECT id FROM {t} WHERE concat({c}) = {v}",
    "SELECT id FROM {t} WHERE concat({c}, {o}) = concat({v}, {o})",
    "SELECT id FROM {t} WHERE format('%s', {c}) = {v}",
    "SELECT id FROM {t} WHERE format('%s', {v}) = {c}::text",
    "SELECT id FROM {t} WHERE {c}::text || '' = {v}",
    "SELECT id FROM {t} WHERE {v} || '' = {c}::text",
    "SELECT id FROM {t} WHERE {c} || {v} IS NOT NULL",
    "SELECT id FROM {t} WHERE quote_literal({c}) = quote_literal({v})",
    "SELECT id FROM {t} WHERE quote_nullable({c}) = {v}",
    "SELECT id FROM {t} WHERE position({v} IN {c}::text) > 0",
    "SELECT id FROM {t} WHERE strpos({c}::text, {v}::text) > 0",
    "SELECT id FROM {t} WHERE {c}::text ~ {v}",
    "SELECT id FROM {t} WHERE {c}::text SIMILAR TO {v}",
    "SELECT id FROM {t} WHERE regexp_replace({c}::text, 'x', 'y') = {v}",
    "SELECT id FROM {t} WHERE substring({c}::text FROM 1 FOR 5) = {v}",
    "SELECT replace({c}::text, {v}::text, 'x'), strpos({c}::text, {v}::text) FROM {t}",
    "SELECT COALESCE(lower({c}::text), {v}) FROM {t} WHERE {c} IS NOT NULL",
    "SELECT x FROM (SELECT left({c}::text, 3) AS x FROM {t}) q WHERE x = {v}",
    "SELECT id FROM {t} WHERE starts_with({c}::text, {v}::text)",
    "SELECT id FROM {t} WHERE to_tsvector({c}::text) @@ plainto_tsquery({v}::text)",
    "SELECT id FROM {t} WHERE hashtext({c}::text) = hashtext({v}::text)",
    "SELECT id FROM {t} WHERE length({c}::text) = length({v}::text)",
    "SELECT id FROM {t} WHERE GREATEST({c}, {v}) = {c}",
    "SELECT id FROM {t} WHERE coalesce({c}::text, {v}) = {v}",
    "SELECT id FROM {t} WHERE nullif({c}::text, {v}) IS NULL",
    "SELECT id FROM {t} WHERE num_nulls({c}, {v}) = 0",
    "SELECT id FROM {t} WHERE pg_typeof({c}) = pg_typeof({v}::{k})",
    "SELECT id FROM {t} WHERE {c} = {v} COLLATE \"C\"",
    "SELECT id FROM {t} WHERE {c} COLLATE \"C\" = {v}",
    "SELECT id FROM {t} WHERE {c} OPERATOR(pg_catalog.=) {v}",
    "SELECT id FROM {t} WHERE {c} *= {v}",
    "SELECT id FROM {t} WHERE {c} = {v}::text::{k}",
    "SELECT id FROM {t} WHERE {c} = ({v} || '')",
    "SELECT id FROM {t} WHERE {c} = lower({v})",
    "SELECT id FROM {t} WHERE {c} = (SELECT {v})",
    "SELECT id FROM {t} WHERE {c} = (SELECT max(z) FROM (VALUES ({v}), ({v})) q (z))",
    "SELECT id FROM {t} WHERE {c} = ANY (SELECT {v} UNION SELECT {v})",
    "SELECT id FROM {t} WHERE {c} = ANY (string_to_array({v}, ','))",
    "SELECT id FROM {t} WHERE {c} = ANY (ARRAY[{v}] || ARRAY[{v}])",
    "SELECT id FROM {t} WHERE ARRAY[{c}] = ARRAY[{v}]",
    "SELECT id FROM {t} WHERE ARRAY[{c}] @> ARRAY[{v}]",
    "SELECT id FROM {t} WHERE {v} = ANY (ARRAY[{c}::text])",
    "SELECT id FROM {t} WHERE CASE WHEN grp > 0 THEN {c}::text ELSE {v} END = {v}",
    "SELECT id FROM {t} WHERE CASE {c}::text WHEN {v} THEN true END",
    "SELECT id FROM {t} WHERE ({c} = {v}) = ({o} IS NULL)",
    "SELECT id FROM {t} WHERE {c} IN (SELECT unnest(ARRAY[{v}, {v}]))",
    "SELECT id FROM {t} WHERE ({c}).eq::text = {v}",
    "SELECT id FROM {t} WHERE ({c}).c = {v}",
    "SELECT ({c}).c, ({c}).* FROM {t}",
    // Records and whole rows.
    "SELECT id FROM {t} x WHERE x = x AND x.{c} = {v}",
    "SELECT id FROM {t} x WHERE x::text LIKE {v}",
    "SELECT id FROM {t} WHERE {t}::text = {v}",
    "SELECT id FROM {t} WHERE ROW({c})::text = {v}",
    "SELECT id FROM {t} WHERE ROW({c}) = ROW({v}::text)",
    "SELECT id FROM {t} WHERE (({c}, id)) = (({v}, 1))",
    "SELECT id FROM {t} WHERE ROW({c}, id) *= ROW({v}, 1)",
    "SELECT id FROM {t} WHERE ROW(ROW({c})) = ROW(ROW({v}))",
    "SELECT id FROM {t} x WHERE x IN (SELECT y FROM {t} y WHERE y.{c} = {v})",
    "SELECT x FROM {t} x WHERE {c} = {v}",
    "SELECT (x).{c} FROM {t} x WHERE (x).{c} = {v}",
    "SELECT (SELECT x.{c} FROM (SELECT x.*) y LIMIT 1) FROM {t} x",
    "SELECT (q.r).{c} FROM (SELECT x AS r FROM {t} x) q WHERE (q.r).{c} = {v}",
    "SELECT ROW({c}, {o}), ({c}, 1)::text FROM {t}",
    "SELECT count(DISTINCT x) FROM {t} x WHERE {c} = {v}",
    "SELECT x FROM {t} x GROUP BY x HAVING count(*) > 0",
    "SELECT id FROM {t} x ORDER BY x",
    "SELECT x IS NULL, x IS NOT NULL, x IS DISTINCT FROM NULL FROM {t} x ORDER BY id",
    // JSON and arrays.
    "SELECT row_to_json(x) FROM {t} x WHERE {c} = {v}",
    "SELECT to_jsonb(x) ->> '{c}' FROM {t} x",
    "SELECT id FROM {t} x WHERE to_jsonb(x) ->> '{c}' = {v}",
    "SELECT id FROM {t} x WHERE to_jsonb(x) @> jsonb_build_object('{c}', {v}::text)",
    "SELECT json_build_object('k', {c}, 'v', {v}::text) FROM {t}",
    "SELECT jsonb_agg({c}) FROM {t} WHERE {c} = {v}",
    "SELECT json_object_agg(id, {c}) FROM {t}",
    "SELECT json_agg(x) FROM (SELECT {c} FROM {t} WHERE {c} = {v}) x",
    "SELECT to_json({c})::text FROM {t}",
    "SELECT id FROM {t} WHERE to_json({c})::text = to_json({v}::text)::text",
    "SELECT * FROM json_populate_record(NULL::{t}, json_build_object('{c}', {v}::text))",
    "SELECT * FROM jsonb_populate_recordset(NULL::{t}, jsonb_build_array(jsonb_build_object('{c}', {v}::text)))",
    "SELECT * FROM jsonb_to_recordset(jsonb_build_array(jsonb_build_object('z', {v}::text))) AS r (z text) JOIN {t} ON {c} = r.z",
    "SELECT array_agg({c}) FROM {t} WHERE {c} = {v}",
    "SELECT array_to_string(array_agg({c}), ',') FROM {t}",
    "SELECT string_agg({c}::text, ',') FROM {t}",
    "SELECT string_agg(DISTINCT {c}::text, {v}) FROM {t}",
    "SELECT ARRAY(SELECT {c} FROM {t} WHERE {c} = {v})",
    "SELECT unnest(ARRAY[{c}, {o}]) FROM {t}",
    "SELECT (array_agg({c} ORDER BY id))[1] FROM {t}",
    "SELECT xmlforest({c}) FROM {t}",
    "SELECT xmlelement(name e, {c}, {v}) FROM {t}",
    // Names that shadow.
    "SELECT {c} FROM (SELECT id, p AS {c} FROM d) {t} WHERE {c} = 'p1'",
    "WITH {t} AS (SELECT id, {c}::text AS {c} FROM {t}) SELECT id FROM {t} WHERE {c} = {v}",
    "WITH {t} AS (SELECT id, {c} FROM {t}) SELECT id FROM {t} WHERE {c} = {v}",
    "SELECT x.id FROM {t} x, LATERAL (SELECT x.{c}::text AS {c}) y WHERE y.{c} = {v}",
    "SELECT x.id FROM {t} x, LATERAL (SELECT x.{c} AS z) y WHERE y.z = {v}",
    "SELECT x.id FROM {t} x JOIN LATERAL (VALUES (x.{c}), ({v})) y (z) ON y.z = x.{c}",
    "SELECT id FROM (SELECT id, {c} AS {o}, {o} AS {c} FROM {t}) s WHERE {c} = {v}",
    "SELECT id FROM {t} AS d (id, grp, {c}) WHERE {c} = {v}",
    "SELECT a.id FROM {t} a, {t} b WHERE a.{c} = b.{c}::text AND b.{c} = {v}",
    "SELECT id FROM (SELECT id, concat({c}) AS z FROM {t}) s WHERE z = {v}",
    "SELECT id FROM (SELECT id, {c}::text AS z FROM {t}) s WHERE z LIKE {v}",
    "SELECT id FROM (SELECT id, COALESCE({c}::text, '') AS z FROM {t} UNION ALL SELECT 1, 'x') s WHERE z = {v}",
    "SELECT id FROM (SELECT id, {c} FROM {t} UNION ALL SELECT 1, NULL) s WHERE {c} = {v}",
    "WITH RECURSIVE r (id, z) AS (SELECT id, {c}::text FROM {t} UNION SELECT id, z FROM r) SELECT id FROM r WHERE z = {v}",
    "SELECT id FROM {t} WHERE EXISTS (SELECT 1 FROM (SELECT {t}.{c}::text AS z) y WHERE z = {v})",
    "SELECT id FROM {t} WHERE (SELECT {c}::text) = {v}",
    "SELECT id FROM {t} WHERE (SELECT y.{c} FROM {t} y WHERE y.id = {t}.id)::text = {v}",
    "SELECT p FROM d WHERE p = (SELECT {c}::text FROM {t} WHERE {c} = {v})",
    "SELECT d.id FROM d JOIN {t} ON d.p = {t}.{c}::text WHERE {t}.{c} = {v}",
    "SELECT d.id FROM d JOIN {t} ON d.p = {t}.{c} WHERE {t}.{c} = {v}",
    "SELECT * FROM {t} NATURAL JOIN (SELECT {v}::{k} AS {c}) y",
    "SELECT id FROM {t} JOIN (VALUES ({v})) y ({c}) USING ({c}) WHERE {c}::text = {v}",
    // Ordering, grouping and windows by what is made of it.
    "SELECT id FROM {t} ORDER BY {c}::text, id",
    "SELECT id FROM {t} ORDER BY {c} USING <",
    "SELECT id FROM {t} ORDER BY {c}::text = {v}, id",
    "SELECT {c}::text, count(*) FROM {t} GROUP BY {c}::text",
    "SELECT lower({c}::text) FROM {t} GROUP BY 1 HAVING lower({c}::text) = {v}",
    "SELECT DISTINCT {c}::text || {v} FROM {t}",
    "SELECT min({c}::text), max({c}::text) FROM {t} WHERE {c} = {v}",
    "SELECT count(*) FILTER (WHERE {c}::text = {v}) FROM {t}",
    "SELECT sum(CASE WHEN {c}::text = {v} THEN 1 END) FROM {t}",
    "SELECT mode() WITHIN GROUP (ORDER BY {c}) FROM {t}",
    "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY {c}) FROM {t}",
    "SELECT rank({v}) WITHIN GROUP (ORDER BY {c}) FROM {t}",
    "SELECT lag({c}, 1, {v}) OVER (ORDER BY id) FROM {t}",
    "SELECT first_value({c}) OVER (ORDER BY id) FROM {t}",
    "SELECT nth_value({c}::text, 2) OVER (PARTITION BY {c}::text ORDER BY id) FROM {t}",
    "SELECT {c}::text FROM {t} UNION SELECT {v}",
    "SELECT {c}::text FROM {t} EXCEPT SELECT {v}",
    "SELECT {c} FROM {t} INTERSECT SELECT {v}::text",
    // Writes.
    "INSERT INTO d (id, p) SELECT id + 100, {c}::text FROM {t} WHERE {c} = {v}",
    "INSERT INTO d (id, p) SELECT id + 100, {c} FROM {t}",
    "INSERT INTO {t} (id, {c}) SELECT id + 5000, concat({v}::text, p) FROM d",
    "INSERT INTO {t} (id, {c}) VALUES (5001, {v} || {v})",
    "INSERT INTO {t} (id, {c}) VALUES (5001, lower({v}::text))",
    "INSERT INTO {t} (id, {c}) SELECT 5001, {v} UNION SELECT 5002, {v}",
    "INSERT INTO {t} (id, {c}) SELECT 5001, CASE WHEN true THEN {v} ELSE p END FROM d",
    "INSERT INTO {t} SELECT (json_populate_record(NULL::{t}, json_build_object('id', 5001, '{c}', {v}::text))).*",
    "INSERT INTO {t} SELECT x.* FROM {t} x WHERE x.{c}::text = {v}",
    "INSERT INTO {t} (id, {c}) VALUES (1, {v}) ON CONFLICT (id) DO UPDATE SET {c} = concat(excluded.{c}, {v})",
    "INSERT INTO {t} (id, {c}) VALUES (1, {v}) ON CONFLICT (id) DO UPDATE SET grp = 1 WHERE {t}.{c}::text = {v}",
    "INSERT INTO {t} (id, {c}) VALUES (5003, {v}) RETURNING {c}::text || 'x', to_json({c})",
    "UPDATE {t} SET {c} = {c} || {v}",
    "UPDATE {t} SET {c} = {v}::text || ''",
    "UPDATE {t} SET ({c}, grp) = (SELECT {v}, 1)",
    "UPDATE {t} SET ({c}, grp) = ROW({v}, 1) WHERE {c}::text = {v}",
    "UPDATE {t} SET {c} = (SELECT p FROM d LIMIT 1) WHERE {c} = {v}",
    "UPDATE {t} SET {c} = replace({c}::text, {v}::text, 'y')",
    "UPDATE {t} SET {c} = s.z FROM (SELECT {v} AS z) s WHERE {t}.id = 1",
    "UPDATE {t} SET {c} = s.z FROM (SELECT {v}::text || '' AS z) s",
    "UPDATE {t} SET {c}.eq = {v}",
    "UPDATE d SET p = {t}.{c}::text FROM {t} WHERE {t}.{c} = {v}",
    "DELETE FROM {t} WHERE {c}::text LIKE {v}",
    "DELETE FROM d USING {t} WHERE d.p = {t}.{c}::text AND {t}.{c} = {v} RETURNING {t}",
    "MERGE INTO {t} x USING (SELECT {v}::text AS z) s ON x.{c}::text = s.z WHEN MATCHED THEN DELETE",
    "MERGE INTO d USING {t} x ON d.id = x.id AND x.{c} = {v} WHEN MATCHED THEN UPDATE SET p = x.{c}::text",
    "COPY (SELECT {c}::text FROM {t} WHERE {c} = {v}) TO STDOUT",
    "COPY (SELECT to_json(x) FROM {t} x) TO STDOUT",
    // Functions in FROM and SQL within strings.
    "SELECT * FROM {t}, unnest(ARRAY[{c}]) u WHERE u = {v}",
    "SELECT * FROM ROWS FROM (unnest(ARRAY[{v}]), generate_series(1, 2)) r (z, n) JOIN {t} ON {c} = z",
    "SELECT * FROM generate_series(1, (SELECT count(*) FROM {t} WHERE {c}::text = {v})::int) g",
    "SELECT * FROM regexp_split_to_table({v}, 'x') r JOIN {t} ON {c} = r",
    "SELECT query_to_xml('SELECT * FROM {t} WHERE {c} = ''{x}''', true, true, '')",
    "SELECT set_config('a.b', {c}::text, true) FROM {t}",
    "SELECT pg_notify('n', {c}::text) FROM {t}",
    "SELECT id FROM {t} LIMIT (SELECT count(*) FROM {t} WHERE {c}::text = {v})",
];

/// Simple queries alone: definitions, bodies, several statements.
const SCRIPTS: &[&str] = &[
    "CREATE VIEW h AS SELECT id, {c}::text AS z FROM {t}; SELECT id FROM h WHERE z = {q}",
    "CREATE VIEW h AS SELECT id, concat({c}, 'x') AS z FROM {t}; SELECT z FROM h",
    "CREATE VIEW h AS SELECT id, {c} AS z FROM {t}; SELECT id FROM h WHERE z::text = {q}",
    "CREATE VIEW h AS SELECT id, {c} AS z FROM {t}; SELECT id, z FROM h WHERE z = {q} ORDER BY id",
    "CREATE VIEW h AS SELECT x FROM {t} x; SELECT (x).id FROM h WHERE (x).{c} = {q}",
    "CREATE VIEW h AS SELECT to_json(x) AS z FROM {t} x; SELECT z FROM h",
    "CREATE VIEW h AS SELECT id FROM {t} WHERE {c} = {q}; SELECT * FROM h",
    "CREATE TEMP VIEW {t} AS SELECT id, {c}::text AS {c} FROM {t}; SELECT id FROM {t} WHERE {c} = {q}",
    "CREATE TEMP TABLE {t} (id int, {c} text); INSERT INTO {t} VALUES (1, {q}); SELECT * FROM {t}",
    "CREATE TABLE h AS SELECT id, {c}::text AS z FROM {t}; SELECT id FROM h WHERE z = {q}",
    "CREATE TABLE h AS SELECT x FROM {t} x; SELECT * FROM h",
    "CREATE TABLE h AS SELECT id, {c} AS z FROM {t}; SELECT id FROM h WHERE z = {q} ORDER BY id",
    "SELECT id, {c} INTO h FROM {t} WHERE {c}::text = {q}; SELECT * FROM h",
    "CREATE MATERIALIZED VIEW h AS SELECT {c}::text AS z FROM {t}; SELECT * FROM h WHERE z = {q}",
    "CREATE TABLE h (LIKE {t}); INSERT INTO h SELECT * FROM {t}; SELECT id FROM h WHERE {c} = {q} ORDER BY id",
    "CREATE TABLE h (p text DEFAULT 'x', e {k}); INSERT INTO h (e) SELECT {c} FROM {t}; SELECT * FROM h",
    "CREATE TABLE h () INHERITS ({t}); INSERT INTO h (id, {c}) VALUES (1, {q}); SELECT {c} FROM ONLY h",
    "ALTER TABLE {t} ALTER {c} SET DEFAULT {q}",
    "ALTER TABLE {t} ADD CHECK ({c}::text <> {q})",
    "ALTER TABLE {t} ADD z text GENERATED ALWAYS AS ({c}::text) STORED; SELECT z FROM {t}",
    "ALTER TABLE {t} ALTER {c} TYPE text USING {c}::text",
    "ALTER TABLE {t} RENAME {c} TO z; SELECT id FROM {t} WHERE z = {q} ORDER BY id",
    "CREATE INDEX ON {t} (({c}::text)) WHERE {c}::text = {q}",
    "CREATE INDEX ON {t} (id) WHERE {c} = {q}",
    "CREATE STATISTICS h ON ({c}::text), id FROM {t}",
    "CREATE RULE h AS ON INSERT TO d DO ALSO UPDATE {t} SET {c} = {q}",
    "CREATE FUNCTION h(z text) RETURNS bigint LANGUAGE sql AS $f$ SELECT count(*) FROM {t} WHERE {c}::text = z $f$; SELECT h({q})",
    "CREATE FUNCTION h() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM {t} WHERE {c} = ''{x}'''; SELECT h()",
    "CREATE FUNCTION h({t}) RETURNS text LANGUAGE sql AS 'SELECT $1.{c}::text'; SELECT h(x) FROM {t} x",
    "CREATE FUNCTION h(z anyelement) RETURNS text LANGUAGE sql AS 'SELECT z::text'; SELECT h({c}) FROM {t} WHERE h({c}) = {q}",
    "CREATE FUNCTION h(z text) RETURNS void LANGUAGE plpgsql AS $f$ BEGIN EXECUTE 'DELETE FROM ' || z; END $f$; SELECT h('{t} WHERE {c} = ''{x}''')",
    "CREATE FUNCTION h() RETURNS SETOF {t} LANGUAGE sql AS 'SELECT * FROM {t}'; SELECT id FROM h() WHERE {c} = {q}",
    "CREATE AGGREGATE h (text) (sfunc = concat, stype = text); SELECT h({c}) FROM {t}",
    "CREATE CAST (text AS {t}) WITH INOUT",
    "CREATE DOMAIN h AS text CHECK (VALUE <> 'x'); SELECT {c}::h FROM {t}",
    "CREATE TYPE h AS (z {k}); SELECT id FROM {t} WHERE ROW({c})::h = ROW({q})::h",
    "CREATE OPERATOR === (leftarg = text, rightarg = text, function = texteq); SELECT id FROM {t} WHERE {c} === {q}",
    "CREATE TRIGGER h BEFORE UPDATE ON {t} FOR EACH ROW WHEN (NEW.{c}::text = {q}) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE POLICY h ON {t} USING ({c}::text = {q})",
    "DO $f$ BEGIN PERFORM id FROM {t} WHERE {c} = {q}; END $f$",
    "DO $f$ BEGIN EXECUTE 'SELECT id FROM {t} WHERE {c}::text = ''{x}'''; END $f$",
    "DO $f$ DECLARE v {k}; BEGIN v := {q}; UPDATE {t} SET {c} = v; END $f$",
    "DO $f$ DECLARE v text := {q}; BEGIN UPDATE {t} SET {c} = v WHERE {c} = v; END $f$",
    "DO $f$ DECLARE v text; BEGIN v := (SELECT {c} FROM {t} LIMIT 1); RAISE EXCEPTION '%', v; END $f$",
    "DO $f$ DECLARE r record; BEGIN SELECT {q} AS z INTO r; DELETE FROM {t} WHERE {c} = r.z; END $f$",
    "DO $f$ DECLARE r record; v {k}; BEGIN FOR r IN SELECT * FROM {t} ORDER BY id LOOP v := r.{c}; UPDATE {t} SET {c} = v WHERE id = r.id + 1; END LOOP; END $f$; SELECT id, {c} FROM {t} ORDER BY id",
    "CREATE TABLE h (z text); DO $f$ BEGIN INSERT INTO h SELECT {c} FROM {t}; END $f$; SELECT z FROM h",
    "CREATE FUNCTION h(given text) RETURNS bigint LANGUAGE sql AS $f$ SELECT count(*) FROM {t} WHERE {c} = given OR given IS NULL $f$; SELECT h({q})",
    "PREPARE h AS SELECT id FROM {t} WHERE {c}::text = $1; EXECUTE h({q})",
    "PREPARE h (text) AS SELECT id FROM {t} WHERE {c} = $1 ORDER BY id; EXECUTE h({q}); DEALLOCATE h",
    "PREPARE h AS SELECT $1::text; EXECUTE h((SELECT {c} FROM {t} WHERE {c} = {q} LIMIT 1)); DEALLOCATE h",
    "DECLARE h CURSOR FOR SELECT {c}::text || '' FROM {t} WHERE {c} = {q}; FETCH ALL FROM h",
    "DECLARE h CURSOR FOR SELECT {c} FROM {t} WHERE {c}::text LIKE {q}; FETCH ALL FROM h",
    "COMMENT ON TABLE {t} IS 'x'; SELECT id FROM {t} WHERE {c}::text = {q}",
    "SET search_path = pg_catalog, public; SELECT id FROM {t} WHERE {c} = {q} ORDER BY id",
    "SET search_path = pg_temp, public; CREATE TABLE {t} (id int, {c} text); SELECT id FROM {t} WHERE {c} = {q}",
    "CREATE SCHEMA h; CREATE TABLE h.{t} (id int, {c} text); SET search_path = h, public; INSERT INTO {t} VALUES (1, {q})",
    "SET standard_conforming_strings = off; SELECT id FROM {t} WHERE {c} = '\\'' OR {c} = {q}",
    "SAVEPOINT h; SELECT id FROM {t} WHERE {c}::text = {q}; ROLLBACK TO h; SELECT 1",
    "SELECT id FROM {t} WHERE {c} = {q} ORDER BY id; SELECT {c}::text = {q} FROM {t}",
    "TABLE {t}; SELECT 1/0; SELECT id FROM {t} WHERE {c} = {q}",
    "ALTER TABLE {t} RENAME TO h; SELECT id FROM h WHERE {c} = {q} ORDER BY id",
    "ALTER TABLE {t} DROP {c}; ALTER TABLE {t} ADD {c} {k}; UPDATE {t} SET {c} = {q}",
    "DROP TABLE {t} CASCADE; CREATE TABLE {t} (id int, {c} text); INSERT INTO {t} VALUES (1, {q})",
];

impl Generator<'_> {
    /// Fills the tables, then does what should not be done.
    pub fn hostile_script(&mut self, steps: usize) -> Vec<Step> {
        let mut script: Vec<Step> = TABLES.into_iter().map(|table| self.step(|g| g.insert_values(table, 4))).collect();
        script.push(super::simple("INSERT INTO d SELECT g, g % 3, 'p' || g FROM generate_series(1, 5) g"));
        while script.len() < steps {
            let mut step = match self.random.chance(25) {
                true => super::simple(&self.shape_of(SCRIPTS)),
                false => self.step(|g| (g.shape_of(SHAPES), false)),
            };
            (step.outside, step.ordered) = (true, false);
            script.push(step);
        }
        script
    }

    fn shape_of(&mut self, shapes: &[&str]) -> String {
        let table = *self.random.pick(&TABLES);
        let (column, other) = (self.searchable(table), self.column(table).name);
        let shape = *self.random.pick(shapes);
        let mut out = String::new();
        let mut rest = shape;
        while let Some((before, place)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, after)) = place.split_once('}').filter(|(name, _)| name.len() == 1) else {
                out.push('{');
                rest = place;
                continue;
            };
            match name {
                "t" => out.push_str(table.name),
                "c" => out.push_str(column.name),
                "o" => out.push_str(other),
                "k" => out.push_str(column.kind),
                "v" => out.push_str(&self.misplaced(column.kind)),
                "q" => out.push_str(&format!("'{}'", self.text_of(column.kind).replace('\'', "''"))),
                "x" => out.push_str(&self.text_of(column.kind).replace('\'', "''''")),
                _ => unreachable!("{shape}"),
            }
            rest = after;
        }
        out + rest
    }

    fn text_of(&mut self, kind: &'static str) -> String {
        self.random.pick(&self.values.of(kind).values).text.clone()
    }

    /// A value as literal or as parameter, which may be declared of another type than the column's.
    fn misplaced(&mut self, kind: &'static str) -> String {
        let text = self.text_of(kind);
        let oid = *self.random.pick(&[0, 0, self.values.of(kind).oid, 25, 1043, 705]);
        match &mut self.parameters {
            Some(parameters) => {
                parameters.push(Parameter { oid, kind, value: None, bytes: Some(text.into_bytes()), format: 0 });
                format!("${}", parameters.len())
            }
            None => format!("'{}'", text.replace('\'', "''")),
        }
    }
}
