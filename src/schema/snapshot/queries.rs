//! The catalog queries. Every name and operator is qualified, so that no search_path changes their meaning.
//! All columns are read as text.

/// First: whether schema `seal` is there. No row: it is not. Else version, `seal.types` exists, it can be read.
pub const HEAD: &str = "\
SELECT (SELECT pg_catalog.substring(p.prosrc, '^SELECT ([0-9]{1,9})$') FROM pg_catalog.pg_proc p \
        WHERE p.pronamespace OPERATOR(pg_catalog.=) s.oid AND p.proname OPERATOR(pg_catalog.=) 'version' \
        AND p.pronargs OPERATOR(pg_catalog.=) 0)::pg_catalog.text, \
       (r.oid IS NOT NULL)::pg_catalog.text, \
       (pg_catalog.has_schema_privilege(s.oid, 'USAGE') AND pg_catalog.has_table_privilege(r.oid, 'SELECT'))::pg_catalog.text \
FROM pg_catalog.pg_namespace s LEFT JOIN pg_catalog.pg_class r \
  ON r.relnamespace OPERATOR(pg_catalog.=) s.oid AND r.relname OPERATOR(pg_catalog.=) 'types' AND r.relkind OPERATOR(pg_catalog.=) 'r' \
WHERE s.nspname OPERATOR(pg_catalog.=) 'seal'";

/// Types: oid, schema, name, typtype, base, element (of true arrays), relation, array type.
pub(super) const TYPES: &str = "\
SELECT t.oid::pg_catalog.text, n.nspname::pg_catalog.text, t.typname::pg_catalog.text, t.typtype::pg_catalog.text, \
  t.typbasetype::pg_catalog.text, \
  (CASE WHEN t.typcategory OPERATOR(pg_catalog.=) 'A' THEN t.typelem ELSE 0 END)::pg_catalog.text, \
  t.typrelid::pg_catalog.text, t.typarray::pg_catalog.text \
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace \
WHERE NOT pg_catalog.pg_is_other_temp_schema(n.oid)";

/// Relations: oid, schema, name, relkind. Temporary ones of other sessions are left out.
pub(super) const RELATIONS: &str = "\
SELECT c.oid::pg_catalog.text, n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text \
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
WHERE c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,c,S}') AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)";

/// Live columns: relation, number, name, type, generated.
pub(super) const ATTRIBUTES: &str = "\
SELECT a.attrelid::pg_catalog.text, a.attnum::pg_catalog.text, a.attname::pg_catalog.text, a.atttypid::pg_catalog.text, \
  a.attgenerated::pg_catalog.text \
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid \
WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped \
  AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,c,S}') AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)";

/// Inheritance and partitions: child, parent.
pub(super) const FAMILY: &str = "\
SELECT i.inhrelid::pg_catalog.text, i.inhparent::pg_catalog.text FROM pg_catalog.pg_inherits i";

/// Rules (views have one): relation, what it depends on, `r` for a relation or `f` for a function.
pub(super) const RULES: &str = "\
SELECT DISTINCT r.ev_class::pg_catalog.text, d.refobjid::pg_catalog.text, \
  CASE WHEN d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass THEN 'r' ELSE 'f' END \
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_depend d \
  ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) r.oid \
WHERE r.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid \
  AND (d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
    OR d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass)";

/// Query trees of views that may depend on an encrypted column or call a user's function: relation, tree. A view that is missing here is
/// taken as unprovable.
pub(super) const TREES: &str = "\
WITH RECURSIVE closure(oid) AS (\
  SELECT a.attrelid FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) a.atttypid \
    LEFT JOIN pg_catalog.pg_type b ON b.oid OPERATOR(pg_catalog.=) t.typbasetype \
    LEFT JOIN pg_catalog.pg_type e ON e.oid OPERATOR(pg_catalog.=) t.typelem \
    JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) 'seal' AND (n.oid OPERATOR(pg_catalog.=) t.typnamespace \
      OR n.oid OPERATOR(pg_catalog.=) b.typnamespace OR n.oid OPERATOR(pg_catalog.=) e.typnamespace) \
  UNION \
  SELECT r.ev_class FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) d.objid \
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
      AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass \
      AND d.refobjid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid \
  UNION \
  SELECT r.ev_class FROM closure c \
    JOIN pg_catalog.pg_depend d ON d.refobjid OPERATOR(pg_catalog.=) c.oid \
      AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
      AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
    JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) d.objid) \
SELECT r.ev_class::pg_catalog.text, r.ev_action::pg_catalog.text \
FROM closure c JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) c.oid \
WHERE r.ev_type OPERATOR(pg_catalog.=) '1'";

/// Functions that `initdb` did not make and the `seal` schema did not bring: oid, schema, name, language, source,
/// argument types with spaces between, result type, kind, number of defaults, modes of the arguments (empty: all IN),
/// their names as a JSON array, the search_path it sets. An aggregate's source is the names of its functions.
pub(super) const FUNCTIONS: &str = "\
SELECT p.oid::pg_catalog.text, n.nspname::pg_catalog.text, p.proname::pg_catalog.text, l.lanname::pg_catalog.text, \
  (CASE WHEN a.aggfnoid IS NOT NULL THEN pg_catalog.concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.aggcombinefn, \
     a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn) \
   ELSE COALESCE(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) END)::pg_catalog.text, \
  pg_catalog.array_to_string(COALESCE(p.proallargtypes, p.proargtypes::pg_catalog.oid[]), ' ')::pg_catalog.text, \
  p.prorettype::pg_catalog.text, p.prokind::pg_catalog.text, p.pronargdefaults::pg_catalog.text, \
  COALESCE(pg_catalog.array_to_string(p.proargmodes, ''), '')::pg_catalog.text, \
  COALESCE(pg_catalog.to_json(p.proargnames), '[]'::pg_catalog.json)::pg_catalog.text, \
  (SELECT pg_catalog.substr(s.entry, 13) FROM pg_catalog.unnest(p.proconfig) AS s (entry) \
   WHERE pg_catalog.starts_with(s.entry, 'search_path=') LIMIT 1)::pg_catalog.text \
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace \
  JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang \
  LEFT JOIN pg_catalog.pg_aggregate a ON a.aggfnoid OPERATOR(pg_catalog.=) p.oid \
WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) \
  AND NOT (n.nspname OPERATOR(pg_catalog.=) 'seal' AND p.proname OPERATOR(pg_catalog.=) ANY ('{version,unsupported,by_proxy,changed,operators,\
equip_composite,equip_type,make_composite,define_type,plain_name,read_paths,create_type,open_to_public,eq,ord,whole_of,whole,eq_whole,eq_placed,eq_distinct,ord_whole,ord_placed,ord_distinct,\
plain_type,plain_keys,plain_indkey,plain_indclass,plain_indcollation,plain_key_name,plain_key_type,plain_contype,plain_constraints,plain_text,pg_get_indexdef,\
pg_get_constraintdef,ord_smaller,ord_larger,ord_min,ord_max,op_equal,op_not_equal,op_less,op_less_equal,op_greater,op_greater_equal,op_like,\
op_not_like,op_ilike,op_not_ilike,op_regex,op_not_regex,op_iregex,op_not_iregex,op_starts_with,op_search,op_contains,\
op_contained,op_exists,op_exists_any,op_exists_all,op_path_exists,op_path_match,op_get,op_get_text,op_get_path,op_get_path_text}'))";

/// Triggers: relation, function.
pub(super) const TRIGGERS: &str = "\
SELECT g.tgrelid::pg_catalog.text, g.tgfoid::pg_catalog.text FROM pg_catalog.pg_trigger g WHERE NOT g.tgisinternal";

/// Indexes of tables: table, name, whether it is the primary key, number of key columns, columns, expressions. The last two
/// only where it is unique, valid, without condition, and no constraint of its name is on the table.
pub(super) const INDEXES: &str = "\
SELECT i.indrelid::pg_catalog.text, c.relname::pg_catalog.text, i.indisprimary::pg_catalog.text, i.indnkeyatts::pg_catalog.text, \
  (CASE WHEN u.stands THEN i.indkey END)::pg_catalog.text, (CASE WHEN u.stands THEN i.indexprs END)::pg_catalog.text \
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
  JOIN pg_catalog.pg_class t ON t.oid OPERATOR(pg_catalog.=) i.indrelid \
  CROSS JOIN LATERAL (SELECT i.indisunique AND i.indisvalid AND i.indexprs IS NOT NULL AND i.indpred IS NULL AND NOT EXISTS (\
    SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid OPERATOR(pg_catalog.=) i.indrelid \
      AND o.conname OPERATOR(pg_catalog.=) c.relname) AS stands) u \
WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND t.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m}') \
  AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace)";

/// The registry: each row as one JSON array of name, id, plain, terms, options, keyset. Options that are long are empty there, and follow as
/// arrays of name, number and part. A statement that names `seal.types` fails where it is not there, and a failed statement would end the
/// transaction of the session that asks; `ts_stat` is the function of PostgreSQL's own that runs a query only if it is given one.
pub(super) const REGISTRY: &str = "\
SELECT s.word::pg_catalog.text FROM pg_catalog.ts_stat(CASE WHEN (\
    SELECT pg_catalog.count(*) OPERATOR(pg_catalog.=) 6 FROM pg_catalog.pg_namespace n \
      JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid \
      JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid \
    WHERE n.nspname OPERATOR(pg_catalog.=) 'seal' AND c.relname OPERATOR(pg_catalog.=) 'types' \
      AND c.relkind OPERATOR(pg_catalog.=) 'r' AND a.attname OPERATOR(pg_catalog.=) ANY ('{name,id,plain,terms,options,keyset}') \
      AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
  THEN 'SELECT pg_catalog.array_to_tsvector(pg_catalog.array_append(ARRAY(SELECT pg_catalog.json_build_array(\
      t.name, g.n, pg_catalog.substr(o.text, g.n OPERATOR(pg_catalog.*) 300 OPERATOR(pg_catalog.+) 1, 300))::pg_catalog.text \
      FROM pg_catalog.generate_series(0, CASE WHEN o.long THEN (pg_catalog.length(o.text) OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 300 \
        ELSE OPERATOR(pg_catalog.-) 1 END) AS g(n)), \
    pg_catalog.left(pg_catalog.json_build_array(\
      t.name, t.id, t.plain, t.terms, CASE WHEN o.long THEN '''' ELSE o.text END, t.keyset)::pg_catalog.text, 500))) \
    FROM seal.types t CROSS JOIN LATERAL (SELECT t.options::pg_catalog.text, pg_catalog.length(t.options::pg_catalog.text) OPERATOR(pg_catalog.>) 200) AS o(text, long)' \
  ELSE 'SELECT NULL::pg_catalog.tsvector' END) s";

/// All queries in the order in which `build` wants their answers. None of them fails, whatever the database holds.
pub const SNAPSHOT_QUERIES: &[&str] =
    &[HEAD, TYPES, RELATIONS, ATTRIBUTES, FAMILY, RULES, TREES, FUNCTIONS, TRIGGERS, INDEXES, REGISTRY];

/// One row with one text that changes whenever DDL that matters is committed: anything on types, relations,
/// primary keys, unique indexes over expressions, columns, inheritance, rules, triggers, functions and schemas outside the system's and temporary ones, or a row
/// of the registry (that one seen through the statistics, so up to seconds later). VACUUM, ANALYZE, TRUNCATE and
/// data changes leave it as it is.
pub const CHANGE_PROBE: &str = "\
SELECT pg_catalog.concat_ws('.', \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(n.oid, n.nspname, n.nspacl), 1))) \
   FROM pg_catalog.pg_namespace n WHERE NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_')), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(c.oid, ' ', c.relnamespace, ' ', c.relname), 2))) \
   FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND c.relpersistence OPERATOR(pg_catalog.<>) 't' \
     AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,c,S}')), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(a.xmin::pg_catalog.text, a.attrelid::pg_catalog.int8))) \
   FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) a.attrelid \
   WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND c.relpersistence OPERATOR(pg_catalog.<>) 't' \
     AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p,v,m,f,c}') AND a.attnum OPERATOR(pg_catalog.>) 0), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(t.xmin::pg_catalog.text, t.oid::pg_catalog.int8))) \
   FROM pg_catalog.pg_type t WHERE t.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND t.typrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid \
     AND t.typelem OPERATOR(pg_catalog.=) 0::pg_catalog.oid), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(p.xmin::pg_catalog.text, p.oid::pg_catalog.int8))) \
   FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(r.xmin::pg_catalog.text, r.oid::pg_catalog.int8))) \
   FROM pg_catalog.pg_rewrite r WHERE r.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(i.inhparent), i.inhrelid::pg_catalog.int8))) \
   FROM pg_catalog.pg_inherits i), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(m.roleid, ' ', m.member), 4))) \
   FROM pg_catalog.pg_auth_members m), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat(c.oid, ' ', c.relname, ' ', i.indisvalid), 3))) \
   FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
   WHERE (i.indisprimary OR i.indisunique AND i.indexprs IS NOT NULL) AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid \
     AND c.relpersistence OPERATOR(pg_catalog.<>) 't'), \
  (SELECT pg_catalog.concat(pg_catalog.count(*), '/', pg_catalog.sum(pg_catalog.hashtextextended(g.xmin::pg_catalog.text, g.oid::pg_catalog.int8))) \
   FROM pg_catalog.pg_trigger g WHERE NOT g.tgisinternal), \
  (SELECT pg_catalog.concat(pg_catalog.pg_stat_get_tuples_inserted(c.oid), '/', pg_catalog.pg_stat_get_tuples_updated(c.oid), \
     '/', pg_catalog.pg_stat_get_tuples_deleted(c.oid)) \
   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
   WHERE c.relname OPERATOR(pg_catalog.=) 'types' AND n.nspname OPERATOR(pg_catalog.=) 'seal'))";
