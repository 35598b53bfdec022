//! Catalogs read as plain: what a statement about them would find if encrypted columns were of their plaintext types.
//!
//! Statements that name one of a few catalogs are edited so that they read a subquery in its place, and PostgreSQL answers. Indexes over terms are
//! shown as indexes of the columns, and unique ones as the constraints that their names tell. Statistics over terms are hidden, and nothing else. What is no query,
//! locks rows, or cannot be read by the grammar is left as it is.

mod relations;

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, ObjectType, RawStmt};

use self::relations::Mapped;
use super::lex::{Kind, Lexed, Token};
use super::literal::Literals;
use super::parse;
use super::render::Rendered;
use super::rewrite::Edits;
use super::statement::statement_tokens;
use super::touch::{Item, Names};
use super::tree;
use super::types::always_quoted;
use crate::schema::catalog::Catalog;

/// The version of schema `seal` that has what the edited statements call.
pub const VERSION: u32 = 5;

/// How a session sees catalogs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Introspection {
    /// As they are: columns have their encrypted types.
    #[default]
    Sealed,
    /// As if the columns were of their plaintext types.
    Plain,
}

impl Introspection {
    /// All of them.
    pub const ALL: [Introspection; 2] = [Introspection::Sealed, Introspection::Plain];

    /// The one of this name, in any case.
    pub fn of(name: &str) -> Option<Introspection> {
        Introspection::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Introspection::Sealed => "sealed",
            Introspection::Plain => "plain",
        }
    }
}

/// Functions that print what stands in a catalog, and those in their place, which have the same names for the sake of result columns.
const FUNCTIONS: [(&str, &str); 2] =
    [("pg_get_indexdef", "seal.pg_get_indexdef"), ("pg_get_constraintdef", "seal.pg_get_constraintdef")];

/// Columns that every table has and no subquery.
const SYSTEM: [&str; 6] = ["tableoid", "ctid", "xmin", "cmin", "xmax", "cmax"];

/// The text may name a catalog that is shown otherwise.
pub fn names_catalogs(sql: &[u8]) -> bool {
    const AFTER_PG: [&[u8]; 5] = [b"attribute", b"ind", b"constraint", b"statistic_ext", b"get_"];
    let begins = |text: &[u8], word: &[u8]| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
    let ends = |text: &[u8], word: &[u8]| {
        text.len().checked_sub(word.len()).is_some_and(|at| text[at..].eq_ignore_ascii_case(word))
    };
    memchr::memchr_iter(b'_', sql).any(|at| {
        let (before, after) = (&sql[..at], &sql[at + 1..]);
        ends(before, b"pg") && AFTER_PG.iter().any(|word| begins(after, word))
            || ends(before, b"information") && begins(after, b"schema")
    })
}

/// The text to send in place of this one; `None`: as it is.
pub fn plain(text: &str, catalog: &Catalog, standard_conforming_strings: bool) -> Option<Rendered> {
    if catalog.types.is_empty() {
        return None;
    }
    let lexed = Lexed::new(text, standard_conforming_strings).ok()?;
    let edits = parse::with_tree(text, &lexed, |statements| {
        let mut edits = Edits::default();
        statements.iter().for_each(|statement| edit(text, &lexed, statement, catalog, &mut edits));
        edits
    });
    let edits = edits.ok().filter(|edits| !edits.is_empty())?;
    let (_, executed) = edits.templates(text, &lexed).ok()?;
    Some(executed.render(text, &Literals::of(&lexed)))
}

fn edit(text: &str, lexed: &Lexed, statement: &RawStmt, catalog: &Catalog, edits: &mut Edits) {
    let Some(node) = statement.stmt.as_deref().filter(|node| reads(node)) else { return };
    let Some(names) = Names::of(node, true).filter(|names| !names.locks) else { return };
    let tokens = statement_tokens(text, lexed, statement);
    let words = Words { text, tokens };
    let system: Vec<&str> = match words.selects_all() {
        true => Vec::new(),
        false => SYSTEM.into_iter().filter(|column| words.name(column)).collect(),
    };
    let mut unaliased: Vec<&str> = Vec::new();
    for item in &names.items {
        let Some(mapped) = mapped(item, &names, catalog) else { continue };
        let Some(relation) = catalog.relation(mapped.schema, mapped.name) else { continue };
        let Some(at) = tokens.iter().position(|t| i64::from(t.start) == i64::from(item.location)) else { continue };
        let Some(place) = words.place(at, item) else { continue };
        let alias = if item.aliased { String::new() } else { format!(" AS {}", always_quoted(mapped.name)) };
        let before = if place.table { "SELECT * FROM " } else { "" };
        let subquery = mapped.subquery(relation, catalog, &system);
        edits.both(place.span, format!("{before}{subquery}{alias}"));
        if !item.aliased {
            unaliased.push(mapped.name);
        }
    }
    words.unqualify(&unaliased, edits);
    words.call(edits);
}

/// The statement is one that reads, whatever it does besides.
fn reads(node: &Node) -> bool {
    let Some(kind) = tree::kind(node) else { return false };
    match kind {
        NodeEnum::SelectStmt(_)
        | NodeEnum::InsertStmt(_)
        | NodeEnum::UpdateStmt(_)
        | NodeEnum::DeleteStmt(_)
        | NodeEnum::MergeStmt(_)
        | NodeEnum::DeclareCursorStmt(_)
        | NodeEnum::ExplainStmt(_)
        | NodeEnum::PrepareStmt(_) => true,
        NodeEnum::CopyStmt(copy) => copy.query.is_some(),
        NodeEnum::CreateTableAsStmt(create) => create.objtype() == ObjectType::ObjectTable,
        _ => false,
    }
}

/// The catalog that an item of FROM names. A bare name may mean another relation where there is one.
fn mapped(item: &Item, names: &Names, catalog: &Catalog) -> Option<&'static Mapped> {
    let mapped = Mapped::named(&item.schema, &item.name)?;
    let mut elsewhere = catalog.relations.iter().filter(|(schema, _)| *schema != "pg_catalog");
    let mut shadowed = || names.ctes.contains(&item.name) || elsewhere.any(|(_, r)| r.contains_key(&item.name));
    (!item.schema.is_empty() || !shadowed()).then_some(mapped)
}

/// Where a catalog is named.
struct Place {
    span: (u32, u32),
    /// After TABLE.
    table: bool,
}

/// The words of a statement.
struct Words<'t> {
    text: &'t str,
    tokens: &'t [Token],
}

impl Words<'_> {
    fn is(&self, at: usize, punct: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| matches!(t.kind, Kind::Punct | Kind::Op) && t.text(self.text) == punct)
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|t| t.is_word(self.text, word))
    }

    fn is_name(&self, at: usize, name: &str) -> bool {
        self.tokens.get(at).and_then(|t| t.name(self.text)).is_some_and(|n| n == name)
    }

    /// The name stands somewhere.
    fn name(&self, name: &str) -> bool {
        (0..self.tokens.len()).any(|at| self.is_name(at, name))
    }

    /// `*` stands for columns somewhere.
    fn selects_all(&self) -> bool {
        let before =
            |at: usize| at == 0 || [",", "."].iter().any(|p| self.is(at - 1, p)) || self.is_word(at - 1, "select");
        (0..self.tokens.len()).any(|at| self.is(at, "*") && before(at))
    }

    /// Where an item of FROM stands whose name begins at a token. `None`: in a form that a subquery has not.
    fn place(&self, first: usize, item: &Item) -> Option<Place> {
        let mut last = first;
        while self.is(last + 1, ".") {
            last += 2;
        }
        if self.is(last + 1, "*") {
            last += 1;
        }
        let before = first.wrapping_sub(1);
        let (only, table) = (self.is_word(before, "only"), self.is_word(before, "table"));
        if item.only && !only {
            return None;
        }
        let from = if only || table { before } else { first };
        Some(Place { span: (self.tokens[from].start, self.tokens.get(last)?.end), table })
    }

    /// Columns are named by the catalog's name alone where it is the alias of a subquery.
    fn unqualify(&self, names: &[&str], edits: &mut Edits) {
        for at in 0..self.tokens.len() {
            let schema = ["pg_catalog", "information_schema"].iter().any(|schema| self.is_name(at, schema));
            let column = self.is(at + 1, ".") && self.is(at + 3, ".");
            if schema && column && names.iter().any(|name| self.is_name(at + 2, name)) {
                edits.both((self.tokens[at].start, self.tokens[at + 1].end), "");
            }
        }
    }

    /// Calls of functions that are to say otherwise.
    fn call(&self, edits: &mut Edits) {
        for at in 0..self.tokens.len() {
            let Some((_, other)) = FUNCTIONS.iter().find(|(name, _)| self.is_name(at, name) && self.is(at + 1, "("))
            else {
                continue;
            };
            let qualified = at > 0 && self.is(at - 1, ".");
            let first = if qualified { at.saturating_sub(2) } else { at };
            if !qualified || self.is_name(first, "pg_catalog") {
                edits.both((self.tokens[first].start, self.tokens[at].end), *other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::relations::MAPPED;
    use super::*;
    use crate::schema::catalog::Relation;
    use crate::sql::tests::support;

    #[test]
    fn every_catalog_that_is_mapped_is_noticed() {
        for mapped in &MAPPED {
            let name = format!("{}.{}", mapped.schema, mapped.name);
            assert!(names_catalogs(name.to_uppercase().as_bytes()), "{name}");
        }
        for (name, _) in FUNCTIONS {
            assert!(names_catalogs(name.as_bytes()), "{name}");
        }
        for other in [
            "SELECT * FROM users",
            "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT t_key DO NOTHING",
            "_",
            "SELECT pg_",
        ] {
            assert!(!names_catalogs(other.as_bytes()), "{other}");
        }
    }

    /// A catalog with two columns of `pg_index`.
    fn catalog() -> Catalog {
        let mut catalog = support::catalog();
        let users = catalog.relation("tenant", "users").expect("it is there").as_ref().clone();
        let mut relation = Relation { schema: "pg_catalog".into(), name: "pg_index".into(), ..users };
        for (column, name) in relation.columns.iter_mut().zip(["indexrelid", "indkey"]) {
            column.name = name.into();
        }
        catalog.relations.entry("pg_catalog".into()).or_default().insert("pg_index".into(), relation.into());
        catalog
    }

    #[test]
    fn a_catalog_becomes_a_subquery_where_it_is_read() {
        let catalog = catalog();
        let index = "(SELECT r.\"indexrelid\", (CASE WHEN r.indexprs IS NULL THEN r.indkey ELSE COALESCE(seal.plain_indkey(r.indexrelid), r.indkey) END) \
            AS \"indkey\" FROM pg_catalog.pg_index AS r )";
        for (text, edited) in [
            ("SELECT 'pg_index' FROM pg_index", "SELECT 'pg_index' FROM I AS \"pg_index\""),
            ("SELECT x.indkey FROM Pg_Catalog.\"pg_index\" AS x", "SELECT x.indkey FROM I AS x"),
            (
                "SELECT pg_catalog.pg_index.indkey FROM pg_catalog.pg_index",
                "SELECT pg_index.indkey FROM I AS \"pg_index\"",
            ),
            (
                "SELECT 1 FROM a JOIN ONLY pg_index i ON true, db.pg_catalog.pg_index * k",
                "SELECT 1 FROM a JOIN I i ON true, I k",
            ),
            ("TABLE pg_index", "SELECT * FROM I AS \"pg_index\""),
            (
                "DELETE FROM t USING pg_index WHERE x = pg_get_indexdef(indexrelid)",
                "DELETE FROM t USING I AS \"pg_index\" WHERE x = seal.pg_get_indexdef(indexrelid)",
            ),
            (
                "SELECT pg_catalog.pg_get_constraintdef(1), other.pg_get_indexdef(1), pg_get_indexdef",
                "SELECT seal.pg_get_constraintdef(1), other.pg_get_indexdef(1), pg_get_indexdef",
            ),
            ("SELECT 1; COPY (SELECT 2 FROM pg_index i) TO STDOUT", "SELECT 1; COPY (SELECT 2 FROM I i) TO STDOUT"),
        ] {
            let rendered = plain(text, &catalog, true).expect("edited");
            assert_eq!(rendered.sql.replace(index, "I"), edited);
        }
        let tableoid = plain("SELECT i.tableoid FROM pg_index i", &catalog, true).expect("edited").sql;
        assert!(tableoid.contains("(SELECT r.\"tableoid\", r.\"indexrelid\""), "{tableoid}");
        let placed = plain("SELECT pg_get_indexdef(1), nothing", &catalog, true).expect("edited");
        let at = |sql: &str| u32::try_from(sql.find("nothing").expect("it stays") + 1).expect("small");
        assert_eq!(placed.positions.to_client(at(&placed.sql)), Some(at("SELECT pg_get_indexdef(1), nothing")));
    }

    #[test]
    fn what_does_not_read_a_catalog_stays_as_it_is() {
        let mut catalog = catalog();
        for text in [
            "SELECT 1 FROM users",
            "WITH pg_index AS (SELECT 1) SELECT * FROM pg_index",
            "UPDATE pg_index SET indkey = indkey",
            "CREATE VIEW v AS SELECT * FROM pg_index",
            "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_get_indexdef(1)'",
            "SELECT * FROM pg_index FOR SHARE",
            "SELECT 'FROM pg_index'",
            "SELECT * FROM public.pg_index",
            "SELECT FROM pg_index WHERE (",
            "COPY pg_index TO STDOUT",
        ] {
            assert_eq!(plain(text, &catalog, true), None, "{text}");
        }
        let own = catalog.relation("pg_catalog", "pg_index").expect("it is there").clone();
        catalog.relations.entry("public".into()).or_default().insert("pg_index".into(), own);
        assert_eq!(plain("SELECT 1 FROM pg_index", &catalog, true), None, "it may be the one in public");
        assert!(plain("SELECT 1 FROM pg_catalog.pg_index", &catalog, true).is_some());
    }
}
