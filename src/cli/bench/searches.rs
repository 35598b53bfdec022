//! Searches of the section `documents`, and what they search.

use super::corpus::Row;

/// What a table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Subject {
    Documents,
    Texts,
}

impl Subject {
    pub(super) fn name(self) -> &'static str {
        match self {
            Subject::Documents => "documents",
            Subject::Texts => "texts",
        }
    }

    /// Its column's type.
    pub(super) fn kind(self, sealed: bool) -> &'static str {
        match (self, sealed) {
            (Subject::Documents, false) => "jsonb",
            (Subject::Documents, true) => "seal.jsonb_search",
            (Subject::Texts, false) => "text",
            (Subject::Texts, true) => "seal.text_search",
        }
    }

    /// The value of a row.
    pub(super) fn of(self, row: &Row) -> &str {
        match self {
            Subject::Documents => &row.document,
            Subject::Texts => &row.text,
        }
    }
}

/// One search.
pub(super) struct Search {
    pub(super) name: &'static str,
    pub(super) subject: Subject,
    /// `{t}` is the table and `{x}` what is searched for.
    pub(super) sql: &'static str,
    /// What finds this row.
    pub(super) needle: fn(&Row) -> String,
}

const CONTAINS: &str = "SELECT id, v FROM {t} WHERE v @> {x}";
const LIKE: &str = "SELECT id, v FROM {t} WHERE v LIKE {x}";

/// All of them; the numbers of rows are those of tables of 10,000 rows and more.
pub(super) const SEARCHES: [Search; 13] = [
    documents("@>, 1 row", CONTAINS, |row| format!(r#"{{"ref": "{}"}}"#, row.reference)),
    documents("@>, 100 rows", CONTAINS, |row| format!(r#"{{"batch": "{}"}}"#, row.batch)),
    documents("->>, 1 row", "SELECT id, v FROM {t} WHERE v ->> 'ref' = {x}", |row| row.reference.clone()),
    documents("->>, 100 rows", "SELECT id, v FROM {t} WHERE v ->> 'batch' = {x}", |row| row.batch.clone()),
    documents("?, 100 rows", "SELECT id, v FROM {t} WHERE v ? {x}", |row| row.campaign.clone()),
    documents("#>>, 1 row", "SELECT id, v FROM {t} WHERE v #>> '{customer,email}' = {x}", |row| row.email.clone()),
    documents("a part by key", "SELECT v -> 'customer' ->> 'email' FROM {t} WHERE id = {x}", |row| row.id.to_string()),
    texts("LIKE %x%, 1 row", LIKE, |row| format!("%{}%", row.reference)),
    texts("LIKE %x%, 100 rows", LIKE, |row| format!("%{}%", row.campaign)),
    texts("LIKE x%, 1 row", LIKE, |row| format!("{} {}%", row.batch, row.reference)),
    texts("LIKE x%, 100 rows", LIKE, |row| format!("{} %", row.batch)),
    texts("lower(v) =, 1 row", "SELECT id, v FROM {t} WHERE lower(v) = lower({x})", |row| row.text.to_uppercase()),
    texts("v =, 1 row", "SELECT id, v FROM {t} WHERE v = {x}", |row| row.text.clone()),
];

const fn documents(name: &'static str, sql: &'static str, needle: fn(&Row) -> String) -> Search {
    Search { name, subject: Subject::Documents, sql, needle }
}

const fn texts(name: &'static str, sql: &'static str, needle: fn(&Row) -> String) -> Search {
    Search { name, subject: Subject::Texts, sql, needle }
}
