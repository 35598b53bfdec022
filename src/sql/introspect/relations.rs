//! The catalogs that are shown otherwise: which of their columns, and which rows stand in them besides.
//!
//! A catalog becomes a subquery with the same columns in the same order, whatever version the server has. `r` is the catalog itself, `p.plain` the
//! plaintext type of what a row describes, or NULL.

use std::fmt::Write as _;

use crate::schema::catalog::{Catalog, Oid, Relation};
use crate::schema::name::{always_quoted, literal, qualified};

/// Columns by name and what is in them; those not named are as they are.
type Shown = &'static [(&'static str, &'static str)];

/// A catalog that is shown otherwise.
pub(super) struct Mapped {
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    /// What of a row says which type it describes.
    of: Of,
    /// What `r` is joined with besides, and chosen by.
    join: &'static str,
    shown: Shown,
    /// Rows that stand in it besides: where from, and their columns; those not named are NULL.
    added: Option<(&'static str, Shown)>,
}

/// How rows tell their types.
enum Of {
    Nothing,
    /// By `atttypid`.
    Attribute,
    /// By `udt_schema` and `udt_name`.
    Name,
}

/// Names that attributes of indexes over terms have.
const KEY: &str = "r.attname OPERATOR(pg_catalog.~) '^(eq|ord|m)[0-9]*$'";

const CONSTRAINTS: &str = "seal.plain_constraints() AS c JOIN pg_catalog.pg_class AS t ON t.oid = c.relation \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace";
const OF_COLUMNS: &str = "seal.plain_constraints() AS c JOIN pg_catalog.pg_class AS t ON t.oid = c.relation \
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.relnamespace \
    CROSS JOIN LATERAL pg_catalog.unnest(c.keys) WITH ORDINALITY AS k(attnum, n) \
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum";

pub(super) const MAPPED: [Mapped; 9] = [
    Mapped {
        schema: "pg_catalog",
        name: "pg_attribute",
        of: Of::Attribute,
        join: "",
        shown: &[
            (
                "attname",
                "CASE WHEN {key} THEN COALESCE(seal.plain_key_name(r.attrelid, r.attnum), r.attname) ELSE r.attname END",
            ),
            ("atttypid", "COALESCE(p.plain, r.atttypid)"),
            ("attlen", "CASE WHEN p.plain IS NULL THEN r.attlen ELSE (SELECT t.typlen {type}) END"),
            ("attbyval", "CASE WHEN p.plain IS NULL THEN r.attbyval ELSE (SELECT t.typbyval {type}) END"),
            ("attalign", "CASE WHEN p.plain IS NULL THEN r.attalign ELSE (SELECT t.typalign {type}) END"),
            ("attstorage", "CASE WHEN p.plain IS NULL THEN r.attstorage ELSE (SELECT t.typstorage {type}) END"),
            ("attcollation", "CASE WHEN p.plain IS NULL THEN r.attcollation ELSE (SELECT t.typcollation {type}) END"),
        ],
        added: None,
    },
    Mapped {
        schema: "pg_catalog",
        name: "pg_index",
        of: Of::Nothing,
        join: "",
        shown: &[
            (
                "indisprimary",
                "(r.indisprimary OR CASE WHEN r.indisunique AND r.indexprs IS NOT NULL \
                THEN COALESCE(seal.plain_contype(r.indexrelid) = 'p', false) ELSE false END)",
            ),
            (
                "indkey",
                "CASE WHEN r.indexprs IS NULL THEN r.indkey ELSE COALESCE(seal.plain_indkey(r.indexrelid), r.indkey) END",
            ),
            (
                "indcollation",
                "CASE WHEN r.indexprs IS NULL OR seal.plain_indkey(r.indexrelid) IS NULL THEN r.indcollation \
                ELSE seal.plain_indcollation(r.indexrelid) END",
            ),
            (
                "indclass",
                "CASE WHEN r.indexprs IS NULL OR seal.plain_indkey(r.indexrelid) IS NULL THEN r.indclass \
                ELSE seal.plain_indclass(r.indexrelid) END",
            ),
            (
                "indexprs",
                "CASE WHEN r.indexprs IS NOT NULL AND seal.plain_indkey(r.indexrelid) IS NULL THEN r.indexprs END",
            ),
        ],
        added: None,
    },
    Mapped {
        schema: "pg_catalog",
        name: "pg_constraint",
        of: Of::Nothing,
        join: "",
        shown: &[],
        added: Some((
            "seal.plain_constraints() AS c",
            &[
                ("tableoid", "'pg_catalog.pg_constraint'::pg_catalog.regclass"),
                ("oid", "c.oid"),
                ("conname", "c.name"),
                ("connamespace", "c.namespace"),
                ("contype", "c.type"),
                ("condeferrable", "false"),
                ("condeferred", "false"),
                ("conenforced", "true"),
                ("convalidated", "true"),
                ("conrelid", "c.relation"),
                ("contypid", "0"),
                ("conindid", "c.oid"),
                ("conparentid", "0"),
                ("confrelid", "0"),
                ("confupdtype", "' '"),
                ("confdeltype", "' '"),
                ("confmatchtype", "' '"),
                ("conislocal", "true"),
                ("coninhcount", "0"),
                ("connoinherit", "true"),
                ("conperiod", "false"),
                ("conkey", "c.keys"),
            ],
        )),
    },
    Mapped {
        schema: "pg_catalog",
        name: "pg_indexes",
        of: Of::Nothing,
        join: "",
        shown: &[(
            "indexdef",
            "COALESCE(seal.pg_get_indexdef(pg_catalog.to_regclass(pg_catalog.format('%I.%I', r.schemaname, r.indexname))), r.indexdef)",
        )],
        added: None,
    },
    // What is known of encrypted columns is known of plain ones without such an entry, and one over terms could not be restored.
    Mapped {
        schema: "pg_catalog",
        name: "pg_statistic_ext",
        of: Of::Nothing,
        join: "WHERE r.stxexprs IS NULL OR NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
            WHERE d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND d.objid = r.oid \
            AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND seal.plain_type(a.atttypid) IS NOT NULL)",
        shown: &[],
        added: None,
    },
    Mapped {
        schema: "information_schema",
        name: "columns",
        of: Of::Name,
        join: "LEFT JOIN pg_catalog.pg_type AS t ON t.oid = p.plain LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace",
        shown: &[
            (
                "data_type",
                "CASE WHEN p.plain IS NULL THEN r.data_type WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'ARRAY' \
                WHEN n.nspname = 'pg_catalog' THEN pg_catalog.format_type(t.oid, NULL) ELSE 'USER-DEFINED' END",
            ),
            (
                "character_octet_length",
                "CASE WHEN p.plain IS NULL THEN r.character_octet_length ELSE information_schema._pg_char_octet_length(p.plain, -1) END",
            ),
            (
                "numeric_precision",
                "CASE WHEN p.plain IS NULL THEN r.numeric_precision ELSE information_schema._pg_numeric_precision(p.plain, -1) END",
            ),
            (
                "numeric_precision_radix",
                "CASE WHEN p.plain IS NULL THEN r.numeric_precision_radix ELSE information_schema._pg_numeric_precision_radix(p.plain, -1) END",
            ),
            (
                "numeric_scale",
                "CASE WHEN p.plain IS NULL THEN r.numeric_scale ELSE information_schema._pg_numeric_scale(p.plain, -1) END",
            ),
            (
                "datetime_precision",
                "CASE WHEN p.plain IS NULL THEN r.datetime_precision ELSE information_schema._pg_datetime_precision(p.plain, -1) END",
            ),
            ("udt_schema", "COALESCE(n.nspname, r.udt_schema)"),
            ("udt_name", "COALESCE(t.typname, r.udt_name)"),
        ],
        added: None,
    },
    Mapped {
        schema: "information_schema",
        name: "table_constraints",
        of: Of::Nothing,
        join: "",
        shown: &[],
        added: Some((
            CONSTRAINTS,
            &[
                ("constraint_catalog", "pg_catalog.current_database()"),
                ("constraint_schema", "n.nspname"),
                ("constraint_name", "c.name"),
                ("table_catalog", "pg_catalog.current_database()"),
                ("table_schema", "n.nspname"),
                ("table_name", "t.relname"),
                ("constraint_type", "CASE c.type WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END"),
                ("is_deferrable", "'NO'"),
                ("initially_deferred", "'NO'"),
                ("enforced", "'YES'"),
                (
                    "nulls_distinct",
                    "CASE WHEN c.type = 'p' THEN NULL WHEN pg_catalog.pg_get_indexdef(c.oid) LIKE '% NULLS NOT DISTINCT%' THEN 'NO' ELSE 'YES' END",
                ),
            ],
        )),
    },
    Mapped {
        schema: "information_schema",
        name: "key_column_usage",
        of: Of::Nothing,
        join: "",
        shown: &[],
        added: Some((
            OF_COLUMNS,
            &[
                ("constraint_catalog", "pg_catalog.current_database()"),
                ("constraint_schema", "n.nspname"),
                ("constraint_name", "c.name"),
                ("table_catalog", "pg_catalog.current_database()"),
                ("table_schema", "n.nspname"),
                ("table_name", "t.relname"),
                ("column_name", "a.attname"),
                ("ordinal_position", "k.n"),
            ],
        )),
    },
    Mapped {
        schema: "information_schema",
        name: "constraint_column_usage",
        of: Of::Nothing,
        join: "",
        shown: &[],
        added: Some((
            OF_COLUMNS,
            &[
                ("table_catalog", "pg_catalog.current_database()"),
                ("table_schema", "n.nspname"),
                ("table_name", "t.relname"),
                ("column_name", "a.attname"),
                ("constraint_catalog", "pg_catalog.current_database()"),
                ("constraint_schema", "n.nspname"),
                ("constraint_name", "c.name"),
            ],
        )),
    },
];

/// Who may see a constraint in information_schema.
const READABLE: &str = " WHERE pg_catalog.pg_has_role(t.relowner, 'USAGE') \
    OR pg_catalog.has_table_privilege(t.oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') \
    OR pg_catalog.has_any_column_privilege(t.oid, 'INSERT, UPDATE, REFERENCES')";

impl Mapped {
    /// The catalog of this schema (empty: found by its name alone) and name.
    pub(super) fn named(schema: &str, name: &str) -> Option<&'static Mapped> {
        let here =
            |m: &&Mapped| m.name == name && (m.schema == schema || schema.is_empty() && m.schema == "pg_catalog");
        MAPPED.iter().find(here)
    }

    /// The subquery in its place. `system`: columns that the server gives every catalog, and which the statement names.
    pub(super) fn subquery(&self, relation: &Relation, catalog: &Catalog, system: &[&str]) -> String {
        let columns = || system.iter().copied().chain(relation.columns.iter().map(|c| c.name.as_str()));
        let cast = |name: &str| {
            let column = relation.columns.iter().find(|c| c.name == name);
            cast(column.map(|c| c.type_oid), catalog)
        };
        let shown = |name: &str| match self.shown.iter().find(|(of, _)| *of == name) {
            Some((_, text)) => {
                let text =
                    text.replace("{type}", "FROM pg_catalog.pg_type AS t WHERE t.oid = p.plain").replace("{key}", KEY);
                format!("({text}){} AS {}", cast(name), always_quoted(name))
            }
            None => format!("r.{}", always_quoted(name)),
        };
        let list: Vec<String> = columns().map(shown).collect();
        let (schema, name) = (self.schema, self.name);
        let mut out = format!("(SELECT {} FROM {schema}.{name} AS r", list.join(", "));
        match self.of {
            Of::Nothing => {}
            Of::Attribute => {
                let otherwise = format!("CASE WHEN {KEY} THEN seal.plain_key_type(r.attrelid, r.attnum) END");
                let types = types(catalog, |oid, _| oid.to_string());
                let _ = write!(
                    out,
                    " CROSS JOIN LATERAL (SELECT CASE r.atttypid{types} ELSE {otherwise} END AS plain) AS p"
                );
            }
            Of::Name => {
                let types = types(catalog, |_, name| literal(name));
                let of_name = format!(
                    "CASE WHEN r.udt_schema = 'seal' THEN CASE r.udt_name{types} ELSE NULL::pg_catalog.oid END END"
                );
                let _ = write!(out, " CROSS JOIN LATERAL (SELECT {of_name} AS plain) AS p");
            }
        }
        let _ = write!(out, " {}", self.join);
        if let Some((from, added)) = self.added {
            let value = |name: &str| match added.iter().find(|(of, _)| *of == name) {
                Some((_, text)) => format!("({text}){}", cast(name)),
                None => "NULL".to_owned(),
            };
            let list: Vec<String> = columns().map(value).collect();
            let readable = if self.schema == "information_schema" { READABLE } else { "" };
            let _ = write!(out, "UNION ALL SELECT {} FROM {from}{readable}", list.join(", "));
        }
        out + ")"
    }
}

/// A cast to the type that a column has.
fn cast(oid: Option<Oid>, catalog: &Catalog) -> String {
    match oid.and_then(|oid| catalog.type_names.get(&oid)) {
        Some((schema, name)) => format!("::{}", qualified(schema, name)),
        None => String::new(),
    }
}

/// Branches of a CASE from encrypted types, and arrays of them, to their plaintext types. `written`: how one is told by OID and name.
fn types(catalog: &Catalog, written: impl Fn(Oid, &str) -> String) -> String {
    let mut types: Vec<_> = catalog.types.values().collect();
    types.sort_unstable_by_key(|t| t.oid);
    let mut out = String::new();
    for t in types {
        let of_array = catalog.type_names.get(&t.array_oid).map_or_else(|| format!("_{}", t.def.name), |n| n.1.clone());
        for (from, to) in
            [(written(t.oid, &t.def.name), t.plain_oid), (written(t.array_oid, &of_array), t.plain_array_oid)]
        {
            let _ = write!(out, " WHEN {from} THEN {to}");
        }
    }
    out
}
