-- The seal schema of Columnseal, version {{VERSION}}: encrypted types, their operators and the registry of definitions.
--
-- Plain SQL for the owner of a database: no superuser, no extension, no operator class. Run it in one transaction.
-- Running it again changes nothing; running it over an older version upgrades in place and leaves every type,
-- column and index as it is.

DO $seal$
DECLARE
  installed pg_catalog.int4;
BEGIN
  -- Two installations at once: the second waits for the first.
  PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('columnseal.install', 0));
  IF pg_catalog.current_setting('server_version_num')::pg_catalog.int4 < 140000 THEN
    RAISE EXCEPTION 'the seal schema needs PostgreSQL 14 or newer' USING ERRCODE = 'feature_not_supported';
  END IF;
  IF pg_catalog.to_regproc('seal.version') IS NOT NULL THEN
    EXECUTE 'SELECT seal.version()' INTO installed;
    IF installed > {{VERSION}} THEN
      RAISE EXCEPTION 'the installed seal schema has version %, newer than this one ({{VERSION}})', installed
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use a columnseal binary at least as new as the schema.';
    END IF;
  ELSIF EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = 'seal' AND (
      EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid)
      OR EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.pronamespace = n.oid)
      OR EXISTS (SELECT FROM pg_catalog.pg_type t WHERE t.typnamespace = n.oid))) THEN
    RAISE EXCEPTION 'this database has a schema "seal" that Columnseal did not make'
      USING ERRCODE = 'duplicate_schema', HINT = 'Rename it (ALTER SCHEMA seal RENAME TO ...), then install again.';
  END IF;
  IF pg_catalog.to_regnamespace('seal') IS NULL THEN
    CREATE SCHEMA seal;
  END IF;
  IF pg_catalog.to_regclass('seal.types') IS NULL THEN
    CREATE TABLE seal.types (
      name      pg_catalog.text PRIMARY KEY,
      id        pg_catalog.uuid NOT NULL UNIQUE,
      plain     pg_catalog.text NOT NULL,
      terms     pg_catalog.text NOT NULL DEFAULT '',
      options   pg_catalog.jsonb NOT NULL DEFAULT '{}',
      keyset    pg_catalog.uuid,
      signature pg_catalog.bytea,
      signer    pg_catalog.uuid,
      created   pg_catalog.timestamptz NOT NULL DEFAULT pg_catalog.now()
    );
  END IF;
END
$seal$;

COMMENT ON SCHEMA seal IS 'Columnseal: encrypted types. See columnseal db status';
COMMENT ON TABLE seal.types IS 'Definitions of the encrypted types. The key service is the authority: an edit here is noticed and the type refused';
GRANT USAGE ON SCHEMA seal TO PUBLIC;
GRANT SELECT ON seal.types TO PUBLIC;

-- Raises. Immutable, so that the planner runs it at once wherever an operator of its kind stands in a statement.
CREATE OR REPLACE FUNCTION seal.unsupported(type_name pg_catalog.text, operator pg_catalog.text, term pg_catalog.text) RETURNS pg_catalog.bool
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $seal$
BEGIN
  RAISE EXCEPTION 'operator % is not supported on encrypted type seal.%: it has no "%" term', operator, type_name, term
    USING ERRCODE = 'feature_not_supported',
          HINT = pg_catalog.format('Values can be compared by %s only if their type was created with the term "%s".', operator, term);
END
$seal$;

-- Raises, for a value that a search did not look at before the statement ran: it came, or was changed, in between.
CREATE OR REPLACE FUNCTION seal.changed(envelope pg_catalog.bytea) RETURNS pg_catalog.bool
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $seal$
BEGIN
  RAISE EXCEPTION 'could not serialize access: a value was written while a search looked at the encrypted values'
    USING ERRCODE = 'serialization_failure', HINT = 'The transaction might succeed if retried.';
END
$seal$;

-- Raises, where an operator that only the proxy can serve reaches the database as it is: in a function or a view made past it.
CREATE OR REPLACE FUNCTION seal.by_proxy(type_name pg_catalog.text, operator pg_catalog.text) RETURNS pg_catalog.bool
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $seal$
BEGIN
  RAISE EXCEPTION 'operator % on encrypted type seal.% is decided by the proxy, which this statement did not pass through', operator, type_name
    USING ERRCODE = 'feature_not_supported', HINT = 'Put the condition into a statement that is sent through the proxy.';
END
$seal$;

-- Arrays. Of any encrypted type that has the term: the bodies are read for the type at hand.
-- The terms of the elements, in a row. Beside it stand the functions seal.eq of arrays, one for each type.
CREATE OR REPLACE FUNCTION seal.ord(a pg_catalog.anyarray) RETURNS pg_catalog.bytea[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT ARRAY(SELECT (u.x).ord FROM (SELECT pg_catalog.unnest($1) AS x) AS u)';
-- Terms in a row, and then what stands for dimensions and bounds: equal where the arrays are.
CREATE OR REPLACE FUNCTION seal.whole_of(terms pg_catalog.uuid[], dimensions pg_catalog.text) RETURNS pg_catalog.uuid[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  'SELECT pg_catalog.array_append($1, pg_catalog.md5(COALESCE($2, ''''))::pg_catalog.uuid)';
CREATE OR REPLACE FUNCTION seal.whole_of(terms pg_catalog.bytea[], dimensions pg_catalog.text) RETURNS pg_catalog.bytea[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
  'SELECT pg_catalog.array_append($1, pg_catalog.decode(pg_catalog.md5(COALESCE($2, '''')), ''hex''))';
CREATE OR REPLACE FUNCTION seal.whole(terms pg_catalog.uuid[]) RETURNS pg_catalog.uuid[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT seal.whole_of(ARRAY(SELECT pg_catalog.unnest($1)), pg_catalog.array_dims($1))';
CREATE OR REPLACE FUNCTION seal.whole(terms pg_catalog.bytea[]) RETURNS pg_catalog.bytea[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT seal.whole_of(ARRAY(SELECT pg_catalog.unnest($1)), pg_catalog.array_dims($1))';
-- Of an array: the same; its terms at the subscripts of their elements, or two dimensions, which cannot be searched, of one with several; and of
-- elements with equal terms the first, in the order of the array.
CREATE OR REPLACE FUNCTION seal.eq_whole(a pg_catalog.anyarray) RETURNS pg_catalog.uuid[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT seal.whole_of(ARRAY(SELECT (u.x).eq FROM (SELECT pg_catalog.unnest($1) AS x) AS u), pg_catalog.array_dims($1))';
CREATE OR REPLACE FUNCTION seal.eq_placed(a pg_catalog.anyarray) RETURNS pg_catalog.uuid[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT CASE WHEN pg_catalog.array_ndims($1) OPERATOR(pg_catalog.>) 1 THEN ARRAY[ARRAY[NULL::pg_catalog.uuid]]
    WHEN pg_catalog.array_lower($1, 1) OPERATOR(pg_catalog.<>) 1
    THEN pg_catalog.concat(pg_catalog.array_dims($1), ''='', seal.eq($1)::pg_catalog.text)::pg_catalog.uuid[] ELSE seal.eq($1) END';
CREATE OR REPLACE FUNCTION seal.eq_distinct(a pg_catalog.anyarray) RETURNS pg_catalog.anyarray LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT pg_catalog.array_agg(d.x ORDER BY d.n) FROM (SELECT DISTINCT ON ((r.x).eq) r.x, r.n
    FROM (SELECT u.x, pg_catalog.row_number() OVER () AS n FROM (SELECT pg_catalog.unnest($1) AS x) AS u) AS r ORDER BY (r.x).eq, r.n) AS d';

CREATE OR REPLACE FUNCTION seal.ord_whole(a pg_catalog.anyarray) RETURNS pg_catalog.bytea[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT seal.whole_of(ARRAY(SELECT (u.x).ord FROM (SELECT pg_catalog.unnest($1) AS x) AS u), pg_catalog.array_dims($1))';
CREATE OR REPLACE FUNCTION seal.ord_placed(a pg_catalog.anyarray) RETURNS pg_catalog.bytea[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT CASE WHEN pg_catalog.array_ndims($1) OPERATOR(pg_catalog.>) 1 THEN ARRAY[ARRAY[NULL::pg_catalog.bytea]]
    WHEN pg_catalog.array_lower($1, 1) OPERATOR(pg_catalog.<>) 1
    THEN pg_catalog.concat(pg_catalog.array_dims($1), ''='', seal.ord($1)::pg_catalog.text)::pg_catalog.bytea[] ELSE seal.ord($1) END';
CREATE OR REPLACE FUNCTION seal.ord_distinct(a pg_catalog.anyarray) RETURNS pg_catalog.anyarray LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS
  'SELECT pg_catalog.array_agg(d.x ORDER BY d.n) FROM (SELECT DISTINCT ON ((r.x).ord) r.x, r.n
    FROM (SELECT u.x, pg_catalog.row_number() OVER () AS n FROM (SELECT pg_catalog.unnest($1) AS x) AS u) AS r ORDER BY (r.x).ord, r.n) AS d';

-- The operators that types of a plaintext type have, and the term that serves each.
CREATE OR REPLACE FUNCTION seal.operators(plaintext_type pg_catalog.text)
RETURNS TABLE (symbol pg_catalog.text, function pg_catalog.text, term pg_catalog.text, commutator pg_catalog.text, negator pg_catalog.text, selectivity pg_catalog.text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $seal$
  SELECT o.symbol, o.function, o.term, o.commutator, o.negator, o.selectivity
  FROM (VALUES
    ('=',    'op_equal',         'eq',    '=',  '<>',   'eq',       'any'),
    ('<>',   'op_not_equal',     'eq',    '<>', '=',    'neq',      'any'),
    ('<',    'op_less',          'ord',   '>',  '>=',   'scalarlt', 'any'),
    ('<=',   'op_less_equal',    'ord',   '>=', '>',    'scalarle', 'any'),
    ('>',    'op_greater',       'ord',   '<',  '<=',   'scalargt', 'any'),
    ('>=',   'op_greater_equal', 'ord',   '<=', '<',    'scalarge', 'any'),
    ('~~',   'op_like',          'match', NULL, '!~~',  NULL,       'text'),
    ('!~~',  'op_not_like',      'match', NULL, '~~',   NULL,       'text'),
    ('~~*',  'op_ilike',         'match', NULL, '!~~*', NULL,       'text'),
    ('!~~*', 'op_not_ilike',     'match', NULL, '~~*',  NULL,       'text'),
    ('~',    'op_regex',         'match', NULL, '!~',   NULL,       'text'),
    ('!~',   'op_not_regex',     'match', NULL, '~',    NULL,       'text'),
    ('~*',   'op_iregex',        'match', NULL, '!~*',  NULL,       'text'),
    ('!~*',  'op_not_iregex',    'match', NULL, '~*',   NULL,       'text'),
    ('^@',   'op_starts_with',   'match', NULL, NULL,   NULL,       'text'),
    ('@@',   'op_search',        'match', NULL, NULL,   NULL,       'text'),
    ('@>',   'op_contains',      'json',  '<@', NULL,   NULL,       'json'),
    ('<@',   'op_contained',     'json',  '@>', NULL,   NULL,       'json'),
    ('?',    'op_exists',        'json',  NULL, NULL,   NULL,       'json'),
    ('?|',   'op_exists_any',    'json',  NULL, NULL,   NULL,       'json'),
    ('?&',   'op_exists_all',    'json',  NULL, NULL,   NULL,       'json'),
    ('@?',   'op_path_exists',   'json',  NULL, NULL,   NULL,       'json'),
    ('@@',   'op_path_match',    'json',  NULL, NULL,   NULL,       'json'),
    ('->',   'op_get',           'json',  NULL, NULL,   NULL,       'json'),
    ('->>',  'op_get_text',      'json',  NULL, NULL,   NULL,       'json'),
    ('#>',   'op_get_path',      'json',  NULL, NULL,   NULL,       'json'),
    ('#>>',  'op_get_path_text', 'json',  NULL, NULL,   NULL,       'json')
  ) AS o(symbol, function, term, commutator, negator, selectivity, kind)
  WHERE o.kind OPERATOR(pg_catalog.=) 'any'
     OR o.kind OPERATOR(pg_catalog.=) 'text' AND plaintext_type OPERATOR(pg_catalog.=) ANY ('{text,varchar,bpchar,citext,enum}'::pg_catalog.text[])
     OR o.kind OPERATOR(pg_catalog.=) 'json' AND plaintext_type OPERATOR(pg_catalog.=) 'jsonb'
$seal$;

-- Makes or replaces the term accessors and operators of a composite: an encrypted type, or a promoted path of one.
CREATE OR REPLACE FUNCTION seal.equip_composite(type_name pg_catalog.text, plaintext_type pg_catalog.text, term_names pg_catalog.text[])
RETURNS pg_catalog.void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  def record;
  op record;
  body text;
  made oid;
BEGIN
  SELECT type_name AS name, plaintext_type AS plain, term_names AS terms, to_regtype(format('seal.%I', type_name)) AS type INTO STRICT def;
  IF 'eq' = ANY (def.terms) THEN
    EXECUTE format('CREATE OR REPLACE FUNCTION seal.eq(seal.%I) RETURNS pg_catalog.uuid '
      'LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ''SELECT ($1).eq''', def.name);
    EXECUTE format('CREATE OR REPLACE FUNCTION seal.eq(seal.%I[]) RETURNS pg_catalog.uuid[] '
      'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS ''SELECT ARRAY(SELECT x.eq FROM pg_catalog.unnest($1) AS x)''', def.name);
  END IF;
  IF 'ord' = ANY (def.terms) THEN
    EXECUTE format('CREATE OR REPLACE FUNCTION seal.ord(seal.%I) RETURNS pg_catalog.bytea '
      'LANGUAGE sql IMMUTABLE PARALLEL SAFE AS ''SELECT ($1).ord''', def.name);
    -- Of equal values that are written differently the one that PostgreSQL's own functions would keep.
    FOR op IN SELECT symbol, function, compare || CASE def.plain WHEN 'bpchar' THEN '=' ELSE '' END AS compare
        FROM (VALUES ('ord_min', 'ord_smaller', '<'), ('ord_max', 'ord_larger', '>')) AS a(symbol, function, compare) LOOP
      EXECUTE format('CREATE OR REPLACE FUNCTION seal.%I(seal.%I, seal.%I) RETURNS seal.%I LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE '
        'AS ''SELECT CASE WHEN ($1).ord OPERATOR(pg_catalog.%s) ($2).ord THEN $1 ELSE $2 END''',
        op.function, def.name, def.name, def.name, op.compare);
      EXECUTE format('CREATE OR REPLACE AGGREGATE seal.%I(seal.%I) '
        '(SFUNC = seal.%I, STYPE = seal.%I, COMBINEFUNC = seal.%I, PARALLEL = SAFE)',
        op.symbol, def.name, op.function, def.name, op.function);
    END LOOP;
  END IF;
  FOR op IN SELECT * FROM seal.operators(def.plain) LOOP
    -- One index on the order term serves all comparisons.
    IF op.term = 'eq' AND 'ord' = ANY (def.terms) THEN
      op.term := 'ord';
    END IF;
    body := CASE WHEN op.term = 'match' AND 'match' = ANY (def.terms) AND op.symbol = ANY ('{~~,!~~,~~*,!~~*,^@}')
        OR op.term = 'json' AND 'json' = ANY (def.terms)
      THEN format('SELECT seal.by_proxy(%L, %L)', def.name, op.symbol)
      WHEN op.term IN ('match', 'json') THEN format('SELECT seal.unsupported(%L, %L, %L)', def.name, op.symbol, op.term)
      WHEN op.term = ANY (def.terms)
      THEN format('SELECT ($1).%I OPERATOR(pg_catalog.%s) ($2).%I', op.term, op.symbol, op.term)
      ELSE format('SELECT seal.unsupported(%L, %L, %L)', def.name, op.symbol, op.term) END;
    EXECUTE format('CREATE OR REPLACE FUNCTION seal.%I(seal.%I, seal.%I) RETURNS pg_catalog.bool '
      'LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L', op.function, def.name, def.name, body);
    SELECT o.oid INTO made FROM pg_operator o
      WHERE o.oprname = op.symbol AND o.oprleft = def.type AND o.oprright = def.type
        AND o.oprnamespace = 'seal'::regnamespace AND o.oprcode <> 0;
    IF made IS NULL THEN
      EXECUTE format('CREATE OPERATOR seal.%s (LEFTARG = seal.%I, RIGHTARG = seal.%I, FUNCTION = seal.%I%s%s%s)',
        op.symbol, def.name, def.name, op.function,
        ', COMMUTATOR = OPERATOR(seal.' || op.commutator || ')',
        ', NEGATOR = OPERATOR(seal.' || op.negator || ')',
        ', RESTRICT = pg_catalog.' || op.selectivity || 'sel, JOIN = pg_catalog.' || op.selectivity || 'joinsel');
    END IF;
  END LOOP;
  EXECUTE format('COMMENT ON TYPE seal.%I IS %L', def.name,
    'Columnseal: encrypted ' || def.plain || CASE WHEN def.terms = '{}' THEN '' ELSE ', terms ' || array_to_string(def.terms, ', ') END);
  EXECUTE format('GRANT USAGE ON TYPE seal.%I TO PUBLIC', def.name);
END
$seal$;

-- The same for a type that stands in the registry, and for its promoted paths. The path with number n of type x is the composite x$n.
CREATE OR REPLACE FUNCTION seal.equip_type(type_name pg_catalog.text) RETURNS pg_catalog.void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  def record;
  path record;
BEGIN
  SELECT t.name, t.plain, string_to_array(t.terms, ',') AS terms, coalesce(t.options -> 'paths', '[]') AS paths
    INTO STRICT def FROM seal.types t WHERE t.name = type_name;
  PERFORM seal.equip_composite(def.name, def.plain, def.terms);
  FOR path IN SELECT p.n, p.it FROM jsonb_array_elements(def.paths) WITH ORDINALITY AS p(it, n) LOOP
    PERFORM seal.equip_composite(format('%s$%s', def.name, path.n), path.it ->> 'plain', ARRAY(SELECT jsonb_array_elements_text(path.it -> 'terms')));
  END LOOP;
END
$seal$;

-- Makes a composite with these terms, unless there is one. more: further attributes.
CREATE OR REPLACE FUNCTION seal.make_composite(type_name pg_catalog.text, has pg_catalog.text[], more pg_catalog.text) RETURNS pg_catalog.void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  IF to_regtype(format('seal.%I', type_name)) IS NULL THEN
    EXECUTE format('CREATE TYPE seal.%I AS (v pg_catalog.json, c pg_catalog.bytea%s%s%s%s%s)', type_name,
      CASE WHEN 'eq' = ANY (has) THEN ', eq pg_catalog.uuid' END,
      CASE WHEN 'ord' = ANY (has) THEN ', ord pg_catalog.bytea' END,
      CASE WHEN 'match' = ANY (has) THEN ', m pg_catalog.int4[]' END,
      CASE WHEN 'json' = ANY (has) THEN ', j pg_catalog.int8[]' END, more);
  END IF;
END
$seal$;

-- Enters a definition that has been checked, and makes its composite, accessors and operators. What is there stays.
CREATE OR REPLACE FUNCTION seal.define_type(
  name pg_catalog.text, id pg_catalog.uuid, plain pg_catalog.text, terms pg_catalog.text, options pg_catalog.jsonb, keyset pg_catalog.uuid)
RETURNS pg_catalog.void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  path record;
  parts text[] := '{}';
BEGIN
  INSERT INTO seal.types AS t (name, id, plain, terms, options, keyset)
    VALUES (define_type.name, define_type.id, define_type.plain, define_type.terms, define_type.options, define_type.keyset)
    ON CONFLICT ON CONSTRAINT types_pkey DO NOTHING;
  -- Promoted paths: one attribute p, a row of one value for each path, which is NULL where a document has nothing there. That row itself
  -- never is NULL, so that a document IS NOT NULL whatever it lacks.
  FOR path IN SELECT p.n, p.it FROM jsonb_array_elements(options -> 'paths') WITH ORDINALITY AS p(it, n) LOOP
    PERFORM seal.make_composite(format('%s$%s', name, path.n), ARRAY(SELECT jsonb_array_elements_text(path.it -> 'terms')), NULL);
    parts := parts || format('p%s seal.%I', path.n, format('%s$%s', name, path.n));
  END LOOP;
  IF parts <> '{}' AND to_regtype(format('seal.%I', name || '$paths')) IS NULL THEN
    EXECUTE format('CREATE TYPE seal.%I AS (%s)', name || '$paths', array_to_string(parts, ', '));
    EXECUTE format('GRANT USAGE ON TYPE seal.%I TO PUBLIC', name || '$paths');
  END IF;
  PERFORM seal.make_composite(name, string_to_array(terms, ','), CASE WHEN parts <> '{}' THEN format(', p seal.%I', name || '$paths') END);
  PERFORM seal.equip_type(name);
END
$seal$;

-- Lets every role call the schema's functions, also in a database whose default privileges take EXECUTE from PUBLIC.
CREATE OR REPLACE FUNCTION seal.open_to_public() RETURNS pg_catalog.void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid FROM pg_proc p
      WHERE p.pronamespace = 'seal'::regnamespace AND NOT has_function_privilege('public', p.oid, 'EXECUTE') LOOP
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO PUBLIC', f);
  END LOOP;
END
$seal$;

-- The name by which a plaintext type goes here.
CREATE OR REPLACE FUNCTION seal.plain_name(plaintext_type pg_catalog.text) RETURNS pg_catalog.text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
  SELECT CASE t.name WHEN 'boolean' THEN 'bool' WHEN 'smallint' THEN 'int2' WHEN 'integer' THEN 'int4' WHEN 'int' THEN 'int4'
    WHEN 'bigint' THEN 'int8' WHEN 'real' THEN 'float4' WHEN 'double precision' THEN 'float8' WHEN 'decimal' THEN 'numeric'
    WHEN 'character varying' THEN 'varchar' WHEN 'character' THEN 'bpchar' WHEN 'char' THEN 'bpchar'
    WHEN 'time without time zone' THEN 'time' WHEN 'time with time zone' THEN 'timetz'
    WHEN 'timestamp without time zone' THEN 'timestamp' WHEN 'timestamp with time zone' THEN 'timestamptz' ELSE t.name END FROM (SELECT lower(btrim(plaintext_type))) AS t(name)
$seal$;

-- Promoted paths as the registry keeps them, of {"total": "numeric:ord", "customer.name": "text:eq,match"}. A path that begins with a brace is an array of keys.
CREATE OR REPLACE FUNCTION seal.read_paths(paths pg_catalog.json) RETURNS pg_catalog.jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  plains constant text[] := '{text,int2,int4,int8,numeric,float4,float8,uuid,date,timestamp,timestamptz}';
  one record;
  keys text[];
  plain text;
  wanted text[];
  made jsonb := '[]';
BEGIN
  IF json_typeof(paths) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'paths must be a JSON object' USING ERRCODE = 'invalid_parameter_value',
      HINT = 'For example ''{"total": "numeric:ord", "customer.name": "text:eq,match"}''.';
  END IF;
  FOR one IN SELECT p.key, p.value #>> '{}' AS told, json_typeof(p.value) AS kind FROM json_each(paths) AS p LOOP
    keys := CASE WHEN starts_with(one.key, '{') THEN one.key::text[] ELSE string_to_array(one.key, '.') END;
    IF cardinality(keys) NOT BETWEEN 1 AND 16 OR octet_length(one.key) > 200 OR array_ndims(keys) <> 1
        OR EXISTS (SELECT FROM unnest(keys) AS k WHERE k IS NULL OR k = '' OR k ~ '^\s*[-+]?[0-9]+\s*$') THEN
      RAISE EXCEPTION '% is not a path that can be promoted', quote_literal(one.key) USING ERRCODE = 'invalid_parameter_value',
        HINT = 'A path is one to 16 keys of objects with dots between, or an array of such as text: ''{customer,last.name}''. Elements of arrays cannot be promoted.';
    END IF;
    plain := seal.plain_name(split_part(one.told, ':', 1));
    wanted := array_remove(regexp_split_to_array(lower(btrim(split_part(one.told, ':', 2))), '\s*,\s*'), '');
    IF one.kind <> 'string' OR plain <> ALL (plains) OR wanted = '{}' OR NOT wanted <@ '{eq,ord,match}' THEN
      RAISE EXCEPTION 'path % needs a type and terms', quote_literal(one.key) USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Write them as "numeric:ord" or "text:eq,match". Types: ' || array_to_string(plains, ', ') || '; terms: eq, ord, match.';
    END IF;
    IF 'match' = ANY (wanted) AND plain <> 'text' THEN
      RAISE EXCEPTION 'path % of type % cannot have the term "match"', quote_literal(one.key), plain USING ERRCODE = 'feature_not_supported',
        HINT = 'LIKE compares text.';
    END IF;
    IF EXISTS (SELECT FROM jsonb_array_elements(made) AS m WHERE m -> 'keys' = to_jsonb(keys) AND m ->> 'plain' = plain) THEN
      RAISE EXCEPTION 'path % stands there twice with the same type', quote_literal(one.key) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    made := made || jsonb_build_array(jsonb_build_object('keys', keys, 'plain', plain,
      'terms', ARRAY(SELECT t FROM unnest('{eq,ord,match}'::text[]) AS t WHERE t = ANY (wanted))));
  END LOOP;
  IF jsonb_array_length(made) > 16 THEN
    RAISE EXCEPTION 'a type has at most 16 promoted paths' USING ERRCODE = 'too_many_columns';
  END IF;
  RETURN made;
END
$seal$;

-- Makes an encrypted type: seal.create_type('email', 'text', 'eq').
DO $seal$
BEGIN
  -- Of a version before there were paths.
  IF pg_catalog.to_regprocedure('seal.create_type(text, text, text, json)') IS NOT NULL THEN
    DROP FUNCTION seal.create_type(pg_catalog.text, pg_catalog.text, pg_catalog.text, pg_catalog.json);
  END IF;
END
$seal$;
CREATE OR REPLACE FUNCTION seal.create_type(
  name pg_catalog.text, plaintext_type pg_catalog.text, terms pg_catalog.text DEFAULT '', options pg_catalog.json DEFAULT '{}',
  paths pg_catalog.json DEFAULT '{}')
RETURNS pg_catalog.regtype LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  plain text := seal.plain_name(plaintext_type);
  plains constant text[] := '{ {{PLAINS}} }';
  wanted text[];
  kept jsonb := options::jsonb;
  keyset uuid;
  promoted jsonb := seal.read_paths(paths);
  word text;
BEGIN
  IF name IS NULL OR plaintext_type IS NULL THEN
    RAISE EXCEPTION 'an encrypted type needs a name and a plaintext type' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  IF octet_length(name) > 63 THEN
    RAISE EXCEPTION 'the name of an encrypted type has at most 63 bytes' USING ERRCODE = 'name_too_long';
  END IF;
  IF name !~ '^[a-z][a-z0-9_]*$' THEN
    RAISE EXCEPTION 'invalid name for an encrypted type: %', quote_literal(name) USING ERRCODE = 'invalid_name',
      HINT = 'Names begin with a lower-case letter and go on with lower-case letters, digits and underscores.';
  END IF;
  IF plain <> ALL (plains) THEN
    RAISE EXCEPTION 'plaintext type % cannot be encrypted', quote_literal(plaintext_type) USING ERRCODE = 'undefined_object',
      HINT = 'Available: ' || array_to_string(plains, ', ') || '.';
  END IF;
  IF name = ANY (plains) OR name ~ '_(eq|ord|match|search)$' AND regexp_replace(name, '_[a-z]+$', '') = ANY (plains) THEN
    RAISE EXCEPTION 'the name % is kept for a ready-made type', quote_literal(name) USING ERRCODE = 'reserved_name',
      HINT = 'Use another name, best one for what the values mean: email, ssn, ...';
  END IF;
  IF to_regtype(format('seal.%I', name)) IS NOT NULL OR EXISTS (SELECT FROM seal.types t WHERE t.name = create_type.name) THEN
    RAISE EXCEPTION 'type seal.% already exists', name USING ERRCODE = 'duplicate_object';
  END IF;

  wanted := array_remove(regexp_split_to_array(lower(btrim(coalesce(terms, ''))), '\s*,\s*'), '');
  FOREACH word IN ARRAY wanted LOOP
    IF word <> ALL ('{eq,ord,match,json}') THEN
      RAISE EXCEPTION 'there is no term %', quote_literal(word) USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Available: eq, ord, match, json.';
    END IF;
  END LOOP;
  IF 'ord' = ANY (wanted) AND plain = ANY ('{json,jsonb,enum}') THEN
    RAISE EXCEPTION 'an encrypted % cannot have the term "ord"', plain USING ERRCODE = 'feature_not_supported',
      HINT = 'The order of these values is known to the server alone.';
  END IF;
  IF 'match' = ANY (wanted) AND plain <> ALL ('{text,varchar,bpchar,citext}') THEN
    RAISE EXCEPTION 'an encrypted % cannot have the term "match"', plain USING ERRCODE = 'feature_not_supported',
      HINT = 'LIKE compares text, varchar, bpchar and citext.';
  END IF;
  IF 'json' = ANY (wanted) AND plain <> 'jsonb' THEN
    RAISE EXCEPTION 'an encrypted % cannot have the term "json"', plain USING ERRCODE = 'feature_not_supported',
      HINT = 'Conditions on JSON look into a jsonb.';
  END IF;
  IF 'eq' = ANY (wanted) AND plain = 'json' THEN
    RAISE EXCEPTION 'json has no equality, so an encrypted json cannot have the term "eq"' USING ERRCODE = 'feature_not_supported',
      HINT = 'Use jsonb.';
  END IF;

  IF kept IS NULL OR jsonb_typeof(kept) <> 'object' THEN
    RAISE EXCEPTION 'options must be a JSON object' USING ERRCODE = 'invalid_parameter_value', HINT = 'For example ''{"padding": "none"}''.';
  END IF;
  FOR word IN SELECT k FROM jsonb_object_keys(kept) AS k LOOP
    IF word <> ALL ('{padding,keyset,force,approximate,hardened}') THEN
      RAISE EXCEPTION 'there is no option %', quote_literal(word) USING ERRCODE = 'invalid_parameter_value',
        HINT = 'Available: padding, keyset, force, approximate, hardened.';
    END IF;
  END LOOP;
  IF kept ? 'padding' AND kept -> 'padding' <> ALL ('{"\"none\"","\"16\"","\"padme\""}') THEN
    RAISE EXCEPTION 'the option padding is one of "none", "16" and "padme"' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kept ? 'keyset' THEN
    IF jsonb_typeof(kept -> 'keyset') <> 'string' OR kept ->> 'keyset' !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
      RAISE EXCEPTION 'the option keyset is the uuid of a keyset' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    keyset := (kept ->> 'keyset')::uuid;
  END IF;
  IF kept ? 'force' AND jsonb_typeof(kept -> 'force') <> 'boolean' THEN
    RAISE EXCEPTION 'the option force is true or false' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kept ? 'approximate' AND (jsonb_typeof(kept -> 'approximate') <> 'boolean' OR 'match' <> ALL (wanted)) THEN
    RAISE EXCEPTION 'the option approximate is true or false, on a type with the term "match"' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF kept ? 'hardened' AND jsonb_typeof(kept -> 'hardened') <> 'boolean' THEN
    RAISE EXCEPTION 'the option hardened is true or false' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF promoted <> '[]' AND (plain <> 'jsonb' OR octet_length(name) > 57) THEN
    RAISE EXCEPTION 'paths are promoted of a jsonb, whose type has a name of at most 57 bytes' USING ERRCODE = 'feature_not_supported';
  END IF;
  IF kept -> 'hardened' = 'true' AND 'ord' <> ALL (wanted) AND NOT promoted @> '[{"terms": ["ord"]}]' THEN
    RAISE EXCEPTION 'the option hardened is for types with the term "ord"' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF wanted && '{eq,ord}' AND plain = 'bool' AND kept -> 'force' IS DISTINCT FROM 'true' THEN
    RAISE EXCEPTION 'a term on a bool shows which rows hold the same of two values, which is almost the plaintext'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave the term out, or say options => ''{"force": true}''.';
  END IF;

  PERFORM seal.define_type(name, gen_random_uuid(), plain, array_to_string(ARRAY(SELECT t FROM unnest('{eq,ord,match,json}'::text[]) AS t WHERE t = ANY (wanted)), ','),
    kept - 'keyset' - 'force'
      || CASE WHEN 'match' = ANY (wanted) OR promoted @> '[{"terms": ["match"]}]' THEN '{"whole": true}' ELSE '{}' END::jsonb
      || CASE WHEN promoted = '[]' THEN '{}' ELSE jsonb_build_object('paths', promoted) END, keyset);
  PERFORM seal.open_to_public();
  RETURN format('seal.%I', name)::regtype;
END
$seal$;

-- Introspection. Where a session reads the catalogs as plain (columnseal.introspection), the proxy asks these what they would say of indexes over
-- terms if the columns were of their plaintext types. Nothing else calls them.

-- The plaintext type of an encrypted type, or of an array of one; NULL of other types.
CREATE OR REPLACE FUNCTION seal.plain_type(type pg_catalog.oid) RETURNS pg_catalog.oid
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  element oid;
  plain oid;
BEGIN
  SELECT t.typelem INTO element FROM pg_type t WHERE t.oid = type AND t.typlen = -1 AND t.typelem <> 0;
  SELECT CASE t.plain WHEN 'enum' THEN 'text'::regtype
      WHEN 'citext' THEN COALESCE((SELECT min(c.oid) FROM pg_type c WHERE c.typname = 'citext' AND c.typtype = 'b'), 'text'::regtype)
      ELSE to_regtype('pg_catalog.' || t.plain)::oid END INTO plain
    FROM pg_type e JOIN seal.types t ON t.name = e.typname::text
    WHERE e.oid = COALESCE(element, type) AND e.typnamespace = 'seal'::regnamespace;
  RETURN CASE WHEN element IS NULL THEN plain ELSE (SELECT p.typarray FROM pg_type p WHERE p.oid = plain) END;
END
$seal$;

-- What every attribute of an index is of: the column, or the term of an encrypted column and how the index says that. No column: of anything else.
CREATE OR REPLACE FUNCTION seal.plain_keys(index pg_catalog.oid)
RETURNS TABLE (n pg_catalog.int4, attnum pg_catalog.int2, name pg_catalog.name, type pg_catalog.oid, term pg_catalog.text, written pg_catalog.text)
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 3 SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  i record;
BEGIN
  SELECT x.indrelid, x.indkey, x.indnatts INTO i FROM pg_index x WHERE x.indexrelid = index;
  FOR k IN 1 .. COALESCE(i.indnatts, 0) LOOP
    n := k;
    written := CASE i.indkey[k - 1] WHEN 0 THEN pg_get_indexdef(index, k, false) END;
    SELECT a.attnum, a.attname, a.atttypid, t.term INTO attnum, name, type, term
      FROM pg_attribute a CROSS JOIN (VALUES ('eq', '((%I).eq)'), ('ord', '((%I).ord)'), ('m', '((%I).m)'), ('j', '((%I).j)'), ('array', 'seal.eq(%I)'), ('array', 'seal.ord(%I)'))
        AS t(term, form)
      WHERE a.attrelid = i.indrelid AND a.attnum > 0 AND NOT a.attisdropped AND format(t.form, a.attname) = written;
    IF written IS NULL THEN
      SELECT a.attnum, a.attname, a.atttypid INTO attnum, name, type FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[k - 1];
    ELSIF seal.plain_type(type) IS NULL THEN
      SELECT NULL, NULL, NULL, NULL INTO attnum, name, type, term;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$seal$;

-- Columns of pg_index, where every expression of the index is a term: else NULL.
CREATE OR REPLACE FUNCTION seal.plain_indkey(index pg_catalog.oid) RETURNS pg_catalog.int2vector
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  RETURN (SELECT CASE WHEN bool_and(k.attnum IS NOT NULL) THEN string_agg(k.attnum::text, ' ' ORDER BY k.n)::int2vector END FROM seal.plain_keys(index) AS k);
END
$seal$;
CREATE OR REPLACE FUNCTION seal.plain_indclass(index pg_catalog.oid) RETURNS pg_catalog.oidvector
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  RETURN (SELECT string_agg(COALESCE(x.oid, i.indclass[k.n - 1])::text, ' ' ORDER BY k.n)::oidvector
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid CROSS JOIN LATERAL seal.plain_keys(i.indexrelid) AS k
      LEFT JOIN LATERAL (SELECT min(o.oid) AS oid FROM pg_opclass o WHERE k.term IS NOT NULL AND o.opcmethod = c.relam
        AND CASE k.term WHEN 'm' THEN o.opcname = 'gin_trgm_ops' WHEN 'array' THEN o.opcname = 'array_ops'
          ELSE o.opcdefault AND o.opcintype = CASE seal.plain_type(k.type) WHEN 'varchar'::regtype THEN 'text'::regtype
            WHEN 'cidr'::regtype THEN 'inet'::regtype ELSE seal.plain_type(k.type) END END) AS x ON true
    WHERE i.indexrelid = index AND k.n <= i.indnkeyatts);
END
$seal$;
CREATE OR REPLACE FUNCTION seal.plain_indcollation(index pg_catalog.oid) RETURNS pg_catalog.oidvector
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  RETURN (SELECT string_agg(CASE WHEN k.term IS NULL THEN i.indcollation[k.n - 1] ELSE t.typcollation END::text, ' ' ORDER BY k.n)::oidvector
    FROM pg_index i CROSS JOIN LATERAL seal.plain_keys(i.indexrelid) AS k LEFT JOIN pg_type t ON t.oid = seal.plain_type(k.type)
    WHERE i.indexrelid = index AND k.n <= i.indnkeyatts);
END
$seal$;

-- Of an attribute of an index that is a term: the column's name; and its plaintext type, or the elements', where the index keeps that.
CREATE OR REPLACE FUNCTION seal.plain_key_name(index pg_catalog.oid, attnum pg_catalog.int2) RETURNS pg_catalog.name
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  RETURN (SELECT k.name FROM seal.plain_keys(index) AS k WHERE k.n = plain_key_name.attnum AND k.term IS NOT NULL AND seal.plain_indkey(index) IS NOT NULL);
END
$seal$;
CREATE OR REPLACE FUNCTION seal.plain_key_type(index pg_catalog.oid, attnum pg_catalog.int2) RETURNS pg_catalog.oid
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  RETURN (SELECT CASE k.term WHEN 'array' THEN (SELECT t.typelem FROM pg_type t WHERE t.oid = seal.plain_type(k.type)) ELSE seal.plain_type(k.type) END
    FROM seal.plain_keys(index) AS k JOIN pg_class c ON c.oid = index JOIN pg_am m ON m.oid = c.relam
    WHERE k.n = plain_key_type.attnum AND (k.term = 'array' OR k.term IN ('eq', 'ord') AND m.amname = 'btree') AND seal.plain_indkey(index) IS NOT NULL);
END
$seal$;

-- Which constraint a unique index over terms stands for, as its name tells: p, u, or NULL where that says index.
CREATE OR REPLACE FUNCTION seal.plain_contype(index pg_catalog.oid) RETURNS pg_catalog."char"
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
BEGIN
  RETURN (SELECT CASE WHEN NOT i.indisunique OR i.indexprs IS NULL OR i.indpred IS NOT NULL THEN NULL
      WHEN seal.plain_indkey(i.indexrelid) IS NULL THEN NULL
      WHEN c.relname ~ '_pkey$' THEN 'p' WHEN c.relname !~* 'index|idx|^ix_' THEN 'u' END::"char"
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indexrelid = index);
END
$seal$;

-- Those constraints. Without settings of its own, so that conditions on the relation enter it.
CREATE OR REPLACE FUNCTION seal.plain_constraints()
RETURNS TABLE (oid pg_catalog.oid, name pg_catalog.name, namespace pg_catalog.oid, type pg_catalog."char", relation pg_catalog.oid, keys pg_catalog.int2[])
LANGUAGE sql STABLE PARALLEL SAFE AS $seal$
  SELECT i.indexrelid, c.relname, c.relnamespace, seal.plain_contype(i.indexrelid), i.indrelid,
    ARRAY(SELECT k.attnum FROM seal.plain_keys(i.indexrelid) AS k WHERE k.n OPERATOR(pg_catalog.<=) i.indnkeyatts ORDER BY k.n)
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
  WHERE i.indisunique AND i.indexprs IS NOT NULL AND seal.plain_contype(i.indexrelid) IS NOT NULL
$seal$;

-- The text of an index as PostgreSQL prints it, over the columns.
CREATE OR REPLACE FUNCTION seal.plain_text(index pg_catalog.oid, def pg_catalog.text) RETURNS pg_catalog.text
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $seal$
DECLARE
  k record;
  shown text := def;
  made text;
BEGIN
  IF seal.plain_indkey(index) IS NULL THEN
    RETURN def;
  END IF;
  FOR k IN SELECT * FROM seal.plain_keys(index) AS p WHERE p.term IS NOT NULL LOOP
    made := quote_ident(k.name) || CASE k.term WHEN 'm' THEN ' gin_trgm_ops' ELSE '' END;
    shown := replace(shown, k.written, made);
    IF k.term = 'array' THEN
      shown := replace(shown, replace(k.written, 'seal.', ''), made);
    END IF;
  END LOOP;
  RETURN shown;
END
$seal$;
CREATE OR REPLACE FUNCTION seal.pg_get_indexdef(index pg_catalog.oid) RETURNS pg_catalog.text LANGUAGE sql STABLE STRICT PARALLEL SAFE AS
  'SELECT seal.plain_text($1, pg_catalog.pg_get_indexdef($1))';
CREATE OR REPLACE FUNCTION seal.pg_get_indexdef(index pg_catalog.oid, n pg_catalog.int4, pretty pg_catalog.bool) RETURNS pg_catalog.text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS
  'SELECT CASE $2 WHEN 0 THEN seal.plain_text($1, pg_catalog.pg_get_indexdef($1, 0, $3))
    ELSE COALESCE(pg_catalog.quote_ident(seal.plain_key_name($1, $2::pg_catalog.int2)), pg_catalog.pg_get_indexdef($1, $2, $3)) END';

-- The text of a constraint, also of one that an index stands for.
CREATE OR REPLACE FUNCTION seal.pg_get_constraintdef(con pg_catalog.oid, pretty pg_catalog.bool DEFAULT false) RETURNS pg_catalog.text
LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $seal$
  SELECT COALESCE(pg_catalog.pg_get_constraintdef($1, $2), (SELECT pg_catalog.concat(
      CASE c.type WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, pg_catalog."substring"(pg_catalog.pg_get_indexdef(c.oid), ' NULLS NOT DISTINCT'),
      ' (', pg_catalog.string_agg(pg_catalog.quote_ident(k.name), ', ' ORDER BY k.n) FILTER (WHERE k.n OPERATOR(pg_catalog.<=) i.indnkeyatts),
      ') INCLUDE (' || pg_catalog.string_agg(pg_catalog.quote_ident(k.name), ', ' ORDER BY k.n) FILTER (WHERE k.n OPERATOR(pg_catalog.>) i.indnkeyatts), ')')
    FROM seal.plain_constraints() AS c JOIN pg_catalog.pg_index i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
      CROSS JOIN LATERAL seal.plain_keys(c.oid) AS k WHERE c.oid OPERATOR(pg_catalog.=) $1 GROUP BY c.oid, c.type))
$seal$;

-- Ready-made types. Their ids are version 5 uuids of their names, the same in every database.
DO $seal$
BEGIN
{{READY_MADE}}
  -- Types made by seal.create_type get what this version of their operators has.
  PERFORM seal.equip_type(t.name) FROM seal.types t
    WHERE t.name <> ALL ('{ {{READY_NAMES}} }') AND pg_catalog.to_regtype(pg_catalog.format('seal.%I', t.name)) IS NOT NULL;
END
$seal$;

CREATE OR REPLACE FUNCTION seal.version() RETURNS pg_catalog.int4 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT {{VERSION}}';

DO $seal$ BEGIN PERFORM seal.open_to_public(); END $seal$;
