//! The objects of a database that may use encrypted columns, as statements that would make them.
//!
//! Definitions are printed with `search_path = seal`: then a comparison by an operator of that schema is printed without
//! one, all relations with theirs.

use std::collections::HashSet;

use tokio_postgres::Client;

use crate::schema::SchemaError;
use crate::schema::catalog::Oid;
use crate::schema::name::literal;
use crate::schema::rows::{Row, query};

/// What an object is; also the word for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum Kind {
    Column,
    Index,
    Constraint,
    ForeignKey,
    Default,
    Generated,
    Partitioning,
    Statistics,
    Policy,
    Trigger,
    Rule,
    View,
    MaterializedView,
    Function,
    Procedure,
    Aggregate,
    Publication,
    Domain,
    CompositeType,
}

impl Kind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Column => "column",
            Kind::Index => "index",
            Kind::Constraint => "constraint",
            Kind::ForeignKey => "foreign key",
            Kind::Default => "default",
            Kind::Generated => "generated column",
            Kind::Partitioning => "partition key",
            Kind::Statistics => "statistics",
            Kind::Policy => "policy",
            Kind::Trigger => "trigger",
            Kind::Rule => "rule",
            Kind::View => "view",
            Kind::MaterializedView => "materialized view",
            Kind::Function => "function",
            Kind::Procedure => "procedure",
            Kind::Aggregate => "aggregate",
            Kind::Publication => "publication",
            Kind::Domain => "domain",
            Kind::CompositeType => "composite type",
        }
    }

    fn of(word: &str) -> Option<Kind> {
        const STORED: [Kind; 15] = [
            Kind::Column,
            Kind::Index,
            Kind::Constraint,
            Kind::ForeignKey,
            Kind::Default,
            Kind::Generated,
            Kind::Partitioning,
            Kind::Statistics,
            Kind::Policy,
            Kind::Trigger,
            Kind::Rule,
            Kind::View,
            Kind::MaterializedView,
            Kind::Domain,
            Kind::CompositeType,
        ];
        STORED.into_iter().find(|kind| kind.word() == word)
    }
}

/// An object with a definition.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    /// With its schema, and the table that it is of.
    pub(super) name: String,
    /// The relation that it is, or is of; 0: none.
    pub(super) relation: Oid,
    /// Catalog and OID of its entry there, as `pg_depend` names it.
    pub(super) id: (String, Oid),
    /// The statement that would make it.
    pub(super) text: String,
    /// What PostgreSQL keeps of it.
    pub(super) tree: String,
    /// Of an index: its method, `unique` or `plain`, and the constraint it serves, if any. Of a column: its name. Of a constraint: its kind. Of a
    /// view: its query. Of statistics: the statement; the text selects what they are on.
    pub(super) detail: String,
}

impl Object {
    /// Of an index: its method, whether it is unique, the constraint it serves.
    pub(super) fn index(&self) -> (&str, bool, Option<&str>) {
        let mut words = self.detail.splitn(3, ' ');
        (words.next().unwrap_or_default(), words.next() == Some("unique"), words.next())
    }
}

/// Names of tables: schema and table, quoted where they must be.
const TABLE: &str = "pg_catalog.format('%I.%I', n.nspname, c.relname)";

/// Each gives: kind, name, relation, catalog, OID in it, text, tree, detail.
const QUERIES: &[&str] = &[
    // Views. A rule of a view is what depends on columns.
    "SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, {TABLE}, c.oid, 'pg_rewrite', r.oid, \
       'CREATE ' || CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END || 'VIEW ' || {TABLE} || ' AS ' \
         || pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), '; '), r.ev_action::text, pg_catalog.pg_get_viewdef(c.oid) \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
       JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.ev_type = '1' \
     WHERE c.relkind IN ('v', 'm') AND {OURS}",
    "SELECT 'rule', pg_catalog.format('%I on ', r.rulename) || {TABLE}, c.oid, 'pg_rewrite', r.oid, \
       pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), '; '), r.ev_qual::text || r.ev_action::text, '' \
     FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE NOT (r.ev_type = '1' AND c.relkind IN ('v', 'm')) AND {OURS}",
    "SELECT 'trigger', pg_catalog.format('%I on ', g.tgname) || {TABLE}, c.oid, 'pg_trigger', g.oid, \
       pg_catalog.pg_get_triggerdef(g.oid), coalesce(g.tgqual::text, ''), '' \
     FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND {OURS}",
    "SELECT 'policy', pg_catalog.format('%I on ', p.polname) || {TABLE}, c.oid, 'pg_policy', p.oid, \
       pg_catalog.format('CREATE POLICY %I ON ', p.polname) || {TABLE} \
         || coalesce(' USING (' || pg_catalog.pg_get_expr(p.polqual, c.oid) || ')', '') \
         || coalesce(' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, c.oid) || ')', ''), \
       coalesce(p.polqual::text, '') || coalesce(p.polwithcheck::text, ''), '' \
     FROM pg_catalog.pg_policy p JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OURS}",
    "SELECT CASE o.contype WHEN 'f' THEN 'foreign key' ELSE 'constraint' END, pg_catalog.format('%I on ', o.conname) || {TABLE}, c.oid, \
       'pg_constraint', o.oid, 'ALTER TABLE ' || {TABLE} || pg_catalog.format(' ADD CONSTRAINT %I ', o.conname) \
         || pg_catalog.pg_get_constraintdef(o.oid), coalesce(o.conbin::text, ''), o.contype::text \
     FROM pg_catalog.pg_constraint o JOIN pg_catalog.pg_class c ON c.oid = o.conrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE o.contype IN ('c', 'f', 'x', 'u', 'p') AND o.conparentid = 0 AND (o.conislocal OR o.coninhcount = 0) AND {OURS}",
    "SELECT CASE a.attgenerated WHEN '' THEN 'default' ELSE 'generated column' END, {TABLE} || pg_catalog.format('.%I', a.attname), \
       c.oid, 'pg_attrdef', d.oid, \
       CASE a.attgenerated WHEN '' \
         THEN 'ALTER TABLE ' || {TABLE} || pg_catalog.format(' ALTER COLUMN %I SET DEFAULT ', a.attname) || pg_catalog.pg_get_expr(d.adbin, c.oid) \
         ELSE 'ALTER TABLE ' || {TABLE} || pg_catalog.format(' ADD COLUMN %I ', a.attname) || pg_catalog.format_type(a.atttypid, a.atttypmod) \
           || ' GENERATED ALWAYS AS (' || pg_catalog.pg_get_expr(d.adbin, c.oid) || ') STORED' END, d.adbin::text, a.attname::text \
     FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum \
       JOIN pg_catalog.pg_class c ON c.oid = d.adrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE {OURS} AND c.relkind <> 'v'",
    "SELECT 'index', pg_catalog.format('%I.%I', n.nspname, x.relname), c.oid, 'pg_class', x.oid, pg_catalog.pg_get_indexdef(x.oid), \
       coalesce(i.indexprs::text, '') || coalesce(i.indpred::text, ''), \
       m.amname || CASE WHEN i.indisunique THEN ' unique' ELSE ' plain' END \
         || coalesce((SELECT ' ' || pg_catalog.quote_ident(o.conname) FROM pg_catalog.pg_constraint o \
           WHERE o.conindid = x.oid AND o.contype IN ('u', 'p', 'x')), '') \
     FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_am m ON m.oid = x.relam \
     WHERE NOT x.relispartition AND c.relkind <> 't' AND {OURS}",
    "SELECT 'statistics', pg_catalog.format('%I.%I', s.nspname, e.stxname), c.oid, 'pg_statistic_ext', e.oid, \
       'SELECT ' || pg_catalog.array_to_string(ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = c.oid AND a.attnum = ANY (e.stxkeys)) \
         || coalesce(pg_catalog.pg_get_statisticsobjdef_expressions(e.oid), '{}'), ', ') || ' FROM ' || {TABLE}, \
       coalesce(e.stxexprs::text, ''), pg_catalog.pg_get_statisticsobjdef(e.oid) \
     FROM pg_catalog.pg_statistic_ext e JOIN pg_catalog.pg_namespace s ON s.oid = e.stxnamespace \
       JOIN pg_catalog.pg_class c ON c.oid = e.stxrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OURS}",
    "SELECT 'partition key', {TABLE}, c.oid, 'pg_class', c.oid, \
       'CREATE TABLE like_it (LIKE ' || {TABLE} || ') PARTITION BY ' || pg_catalog.pg_get_partkeydef(c.oid), \
       coalesce(p.partexprs::text, ''), '' \
     FROM pg_catalog.pg_partitioned_table p JOIN pg_catalog.pg_class c ON c.oid = p.partrelid \
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OURS}",
    "SELECT 'column', {TABLE} || pg_catalog.format('.%I', a.attname), c.oid, 'pg_class', c.oid, \
       pg_catalog.format('CREATE TABLE like_it (%I ', a.attname) || pg_catalog.format_type(a.atttypid, a.atttypmod) || ')', '', a.attname::text \
     FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
       JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND a.attislocal AND t.oid >= 16384 AND {OURS}",
    "SELECT 'domain', pg_catalog.format('%I.%I', n.nspname, t.typname), 0, 'pg_type', t.oid, \
       pg_catalog.format('CREATE DOMAIN %I.%I AS ', n.nspname, t.typname) || pg_catalog.format_type(t.typbasetype, t.typtypmod), '', '' \
     FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype = 'd' AND t.oid >= 16384 \
       AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)",
    "SELECT 'composite type', {TABLE}, 0, 'pg_type', c.reltype, \
       'CREATE TYPE ' || {TABLE} || ' AS (' || (SELECT pg_catalog.string_agg(pg_catalog.format('%I ', a.attname) \
         || pg_catalog.format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) || ')', '', '' \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relkind = 'c' AND n.nspname <> 'seal' AND {OURS}",
];

/// What no extension, the system or another session's temporary schema brought.
pub(super) const OURS: &str = "c.oid >= 16384 AND n.nspname <> 'seal' AND NOT pg_catalog.pg_is_other_temp_schema(n.oid) \
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.objid = c.oid AND e.deptype = 'e')";

/// All of them, in the order of kind and name. In a transaction with `search_path = seal`.
pub(super) async fn read(client: &Client) -> Result<Vec<Object>, SchemaError> {
    let mut found = Vec::new();
    for text in QUERIES {
        let text = text.replace("{OURS}", OURS).replace("{TABLE}", TABLE);
        for row in query(client, &text).await? {
            found.extend(object(Row(&row))?);
        }
    }
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(found)
}

fn object(row: Row<'_>) -> Result<Option<Object>, SchemaError> {
    let Some(kind) = Kind::of(row.text(0)?) else { return Ok(None) };
    // A definition that cannot be printed (dropped meanwhile) is no object any more.
    if row.optional(5)?.is_none() {
        return Ok(None);
    }
    Ok(Some(Object {
        kind,
        name: row.text(1)?.to_owned(),
        relation: row.number(2)?,
        id: (row.text(3)?.to_owned(), row.number(4)?),
        text: row.text(5)?.to_owned(),
        tree: row.optional(6)?.unwrap_or_default().to_owned(),
        detail: row.optional(7)?.unwrap_or_default().to_owned(),
    }))
}

/// Entries that depend on a column of one of these relations.
pub(super) async fn dependents(
    client: &Client,
    relations: &[Oid],
    column: &str,
) -> Result<HashSet<(String, Oid)>, SchemaError> {
    let list: Vec<String> = relations.iter().map(ToString::to_string).collect();
    let text = format!(
        "SELECT k.relname::text, d.objid::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class k ON k.oid = d.classid \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY ('{{{}}}') AND a.attname = {}",
        list.join(","),
        literal(column)
    );
    let rows = query(client, &text).await?;
    rows.iter().map(|row| Ok((Row(row).text(0)?.to_owned(), Row(row).number(1)?))).collect()
}

/// Rules and the relation of each.
pub(super) async fn rules(client: &Client) -> Result<Vec<(Oid, Oid)>, SchemaError> {
    let rows = query(client, "SELECT r.oid, r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.oid >= 16384").await?;
    rows.iter().map(|row| Ok((Row(row).number(0)?, Row(row).number(1)?))).collect()
}

/// Entries that depend on any of these relations, whole or in part.
pub(super) async fn dependents_of(client: &Client, relations: &[Oid]) -> Result<HashSet<(String, Oid)>, SchemaError> {
    let list: Vec<String> = relations.iter().map(ToString::to_string).collect();
    let text = format!(
        "SELECT k.relname::text, d.objid::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class k ON k.oid = d.classid \
         WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY ('{{{}}}')",
        list.join(",")
    );
    let rows = query(client, &text).await?;
    rows.iter().map(|row| Ok((Row(row).text(0)?.to_owned(), Row(row).number(1)?))).collect()
}
