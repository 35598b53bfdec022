//! UNIQUE and PRIMARY KEY over encrypted columns. PostgreSQL keeps no such constraint over a term, so it is a unique index of the
//! name that the constraint has, made in the same transaction; PRIMARY KEY is NOT NULL besides.

use std::sync::Arc;

use pg_query::protobuf::{ConstrType, Constraint};

use super::super::analyzer::Analyzer;
use super::super::compare::no_equality;
use super::super::refuse::{self, DUPLICATE_COLUMN, Detail, INVALID_TABLE_DEFINITION, Result, UNDEFINED_COLUMN};
use super::super::scope::ColVal;
use super::super::tree;
use super::super::types::always_quoted;
use super::{Table, names};
use crate::schema::catalog::{Index, Key, Relation};

/// A constraint that becomes a unique index.
pub(super) struct Unique {
    primary: bool,
    name: Option<String>,
    keys: Vec<Key>,
    included: Vec<String>,
    /// What follows the columns in CREATE INDEX.
    rest: String,
    /// It stands in a column's definition.
    pub(super) of_column: bool,
    /// First and last token.
    pub(super) tokens: (usize, usize),
}

impl Unique {
    /// Its name in a table, that which PostgreSQL would give it if it has none.
    fn name_in(&self, table: &str, taken: impl Fn(&str) -> bool) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        let columns = self.keys.iter().map(|k| &k.column).chain(&self.included);
        let columns: Vec<&str> = columns.filter(|_| !self.primary).map(String::as_str).collect();
        names::choose(table, &columns, if self.primary { "pkey" } else { "key" }, taken)
    }
}

/// The table that constraints are for.
pub(super) struct Target<'r> {
    /// The schema it is in, or comes to be in.
    pub(super) schema: Option<&'r str>,
    pub(super) name: &'r str,
    /// As it is there already.
    pub(super) relation: Option<&'r Arc<Relation>>,
    /// Names of its constraints that go.
    pub(super) dropped: &'r [&'r str],
    /// ONLY.
    pub(super) only: bool,
    /// IF NOT EXISTS.
    pub(super) unless_there: bool,
}

impl Target<'_> {
    /// As it is written.
    pub(super) fn sql(&self) -> String {
        match self.schema {
            Some(schema) => format!("{}.{}", always_quoted(schema), always_quoted(self.name)),
            None => always_quoted(self.name),
        }
    }
}

/// Where a constraint's words end, and what of them an index takes over.
struct Extent {
    last: usize,
    rest: String,
    deferrable: bool,
}

impl Analyzer<'_> {
    /// Notes a UNIQUE or PRIMARY KEY that has an encrypted column. `column`: the one whose definition it stands in.
    pub(super) fn unique(&mut self, constraint: &Constraint, column: Option<&str>, table: &mut Table) -> Result<()> {
        let primary = constraint.contype() == ConstrType::ConstrPrimary;
        table.primary += usize::from(primary);
        let construct = if primary { "PRIMARY KEY" } else { "UNIQUE" };
        let at = self.here(constraint.location);
        let names = tree::strings(&constraint.keys).into_iter().chain(column);
        let keys = names.map(|name| self.key(name, table, construct)).collect::<Result<Vec<_>>>();
        let keys = keys.map_err(|r| r.at(at))?;
        let included = tree::strings(&constraint.including);
        for name in &included {
            self.plain_key_column(name, &table.scope, "INCLUDE").map_err(|r| r.at(at))?;
        }
        if keys.iter().all(|key| key.term.is_none()) {
            return Ok(());
        }
        if let Some((_, twice)) = keys.iter().enumerate().find(|&(i, key)| keys[..i].contains(key)) {
            let kind = if primary { "primary key" } else { "unique" };
            let message = format!("column \"{}\" appears twice in {kind} constraint", twice.column);
            return Err(refuse::with(DUPLICATE_COLUMN, message).at(at));
        }
        if let Some(missing) = keys.iter().find(|key| table.column(&key.column).is_none()) {
            let message = format!("column \"{}\" named in key does not exist", missing.column);
            return Err(refuse::with(UNDEFINED_COLUMN, message).at(at));
        }
        let first = self.token(constraint.location)?;
        let extent = self.extent(first, column.is_some());
        if extent.deferrable {
            return Err(refuse::unsupported(format!("{construct} DEFERRABLE is not supported on encrypted columns"))
                .hint("Without DEFERRABLE it is checked at once, row by row.")
                .at(at));
        }
        table.uniques.push(Unique {
            primary,
            name: Some(constraint.conname.clone()).filter(|name| !name.is_empty()),
            keys,
            included: included.into_iter().map(String::from).collect(),
            rest: extent.rest,
            of_column: column.is_some(),
            tokens: (first, extent.last),
        });
        Ok(())
    }

    fn key(&mut self, name: &str, table: &Table, construct: &str) -> Result<Key> {
        let term = match table.column(name) {
            Some(ColVal::Enc(ty, column)) => {
                self.usable(&ty)?;
                if !ty.def.terms.equal() {
                    return Err(no_equality(&ty, &column, construct));
                }
                Some(ty.def.terms.compared().0)
            }
            Some(ColVal::Tainted(column)) => return Err(refuse::on_column(construct, &column)),
            _ => None,
        };
        Ok(Key { column: name.to_owned(), term })
    }

    /// Reads the words of a constraint that begins at this token.
    fn extent(&mut self, first: usize, of_column: bool) -> Extent {
        let mut at = if self.is_word(first, "constraint") { first + 2 } else { first };
        at += if self.is_word(at, "primary") { 2 } else { 1 };
        let mut nulls = String::new();
        if self.is_word(at, "nulls") {
            let words = if self.is_word(at + 1, "not") { 3 } else { 2 };
            nulls = self.words(at, at + words);
            at += words;
        }
        if !of_column && self.is(at, "(") {
            at = self.after_bracket(at);
        }
        let mut rest = String::new();
        if self.is_word(at, "include") {
            let end = self.after_bracket(at + 1);
            rest = self.words(at, end);
            at = end;
        }
        rest += &nulls;
        if self.is_word(at, "with") {
            let end = self.after_bracket(at + 1);
            rest += &self.words(at, end);
            at = end;
        }
        if self.is_word(at, "using") && self.is_word(at + 1, "index") && self.is_word(at + 2, "tablespace") {
            rest += &self.words(at + 2, at + 4);
            at += 4;
        }
        let mut deferrable = false;
        loop {
            let not = self.is_word(at, "not");
            if self.is_word(at + usize::from(not), "deferrable") {
                deferrable |= !not;
                at += 1 + usize::from(not);
            } else if self.is_word(at, "initially") {
                deferrable |= self.is_word(at + 1, "deferred");
                at += 2;
            } else {
                break;
            }
        }
        Extent { last: at.min(self.lexed.tokens.len()) - 1, rest, deferrable }
    }

    fn after_bracket(&self, open: usize) -> usize {
        self.partner(open).map_or(open, |close| close + 1)
    }

    /// Tokens as a text that goes into another statement, with a blank before it. What it holds is part of the plan.
    fn words(&mut self, start: usize, end: usize) -> String {
        let end = end.min(self.lexed.tokens.len());
        let literals: Vec<usize> = (start..end).filter_map(|token| self.literal(token)).collect();
        self.fixed.extend(literals);
        self.lexed.tokens[start..end].iter().flat_map(|t| [" ", t.text(self.text)]).collect()
    }

    /// Takes a constraint out of a column's definition.
    pub(super) fn drop_of_column(&mut self, unique: &Unique) {
        let left = if unique.primary { "NOT NULL" } else { "" };
        self.edits.both(self.span(unique.tokens.0, unique.tokens.1), left);
    }

    /// Takes items out of a list between commas, of which some stay. `gone`: their first tokens.
    pub(super) fn drop_items(&mut self, first: usize, end: usize, gone: &[usize]) -> Result<()> {
        let starts = self.item_starts(first, end)?;
        let mut stays = false;
        for (i, &start) in starts.iter().enumerate() {
            let next = starts.get(i + 1).copied();
            if !gone.contains(&start) {
                stays = true;
                continue;
            }
            // With the comma before it; where nothing before it stays, with the one after it.
            let from = if stays { start - 1 } else { start };
            let to = next.map_or(end, |next| if stays { next - 1 } else { next });
            self.edits.both(self.span(from, to - 1), "");
        }
        Ok(())
    }

    /// Refused where a table would have two primary keys and one of them is over encrypted columns.
    pub(super) fn one_primary_key(&self, table: &Table, target: &Target<'_>) -> Result<()> {
        let there = target.relation.iter().flat_map(|r| &r.indexes).filter(|i| !target.dropped.contains(&&*i.name));
        let there: Vec<&Index> = there.filter(|i| i.is_primary()).collect();
        let sealed = table.uniques.iter().any(|u| u.primary) || there.iter().any(|i| !i.primary);
        match sealed && table.primary > 0 && table.primary + there.len() > 1 {
            true => Err(refuse::with(
                INVALID_TABLE_DEFINITION,
                format!("multiple primary keys for table \"{}\" are not allowed", target.name),
            )),
            false => Ok(()),
        }
    }

    /// The statements that make the indexes.
    pub(super) fn indexes(&self, uniques: Vec<Unique>, target: &Target<'_>) -> Vec<String> {
        let table = format!("{}{}", if target.only { "ONLY " } else { "" }, target.sql());
        let unless_there = if target.unless_there { "IF NOT EXISTS " } else { "" };
        let mut made: Vec<String> = Vec::new();
        let mut statements = Vec::new();
        // ALTER TABLE makes each that it is told.
        let uniques = if target.relation.is_none() { distinct(uniques) } else { uniques };
        for unique in uniques {
            if unique.primary && !unique.of_column {
                let one = |key: &Key| format!("ALTER COLUMN {} SET NOT NULL", always_quoted(&key.column));
                let columns: Vec<String> = unique.keys.iter().map(one).collect();
                statements.push(format!("ALTER TABLE {table} {}", columns.join(", ")));
            }
            let taken = |name: &str| made.iter().any(|n| n == name) || self.is_taken(target, name);
            let name = unique.name_in(target.name, taken);
            let index = always_quoted(&name);
            let (keys, rest) = (list(&unique.keys), &unique.rest);
            statements.push(format!("CREATE UNIQUE INDEX {unless_there}{index} ON {table} ({keys}){rest}"));
            made.push(name);
        }
        statements
    }

    /// Something in the schema has the name, and keeps it.
    fn is_taken(&self, target: &Target<'_>, name: &str) -> bool {
        let relations = target.schema.and_then(|schema| self.catalog.relations.get(&self.temporary_schema(schema)));
        let Some(relations) = relations.filter(|_| !target.dropped.contains(&name)) else { return false };
        relations.contains_key(name) || relations.values().any(|r| r.indexes.iter().any(|i| i.name == name))
    }
}

/// The elements of an index, or of what ON CONFLICT infers it by.
pub(in crate::sql) fn list(keys: &[Key]) -> String {
    let one = |key: &Key| match key.term {
        Some(term) => format!("(({}).{term})", always_quoted(&key.column)),
        None => always_quoted(&key.column),
    };
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// As PostgreSQL, the primary key first, and one index for what is given twice.
fn distinct(uniques: Vec<Unique>) -> Vec<Unique> {
    let (first, others): (Vec<Unique>, Vec<Unique>) = uniques.into_iter().partition(|u| u.primary);
    let mut kept: Vec<Unique> = first;
    for unique in others {
        let same = |k: &&mut Unique| k.keys == unique.keys && k.included == unique.included && k.rest == unique.rest;
        match kept.iter_mut().find(same) {
            Some(twice) => twice.name = twice.name.take().or(unique.name),
            None => kept.push(unique),
        }
    }
    kept
}
