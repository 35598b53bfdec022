//! What names mean: from-items, their columns, and the scopes that nest.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use pg_query::protobuf::ColumnRef;

use super::built::Built;
use super::outputs::Written;
use super::refuse::{self, AMBIGUOUS_COLUMN, Detail, Result, UNDEFINED_COLUMN};
use super::tree::strings;
use super::types::always_quoted;
use crate::schema::catalog::{EncType, Oid, Relation};

/// Bytes of the statement.
pub(super) type Span = (u32, u32);

/// What a column holds.
#[derive(Clone, Debug)]
pub(super) enum ColVal {
    /// Nothing encrypted.
    Plain,
    /// A value of this encrypted type; the string names the column it comes from.
    Enc(Arc<EncType>, Rc<str>),
    /// Parameters and literals alone (a VALUES list, say), whose use is not decided yet.
    Open(Rc<[usize]>),
    /// Something made of encrypted values that may not be used; the string names it.
    Tainted(Rc<str>),
    /// JSON that holds encrypted values.
    Built(Built),
}

impl ColVal {
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, ColVal::Enc(..) | ColVal::Tainted(_) | ColVal::Built(_))
    }

    pub(super) fn is_plain(&self) -> bool {
        matches!(self, ColVal::Plain)
    }
}

/// A column of a derived table.
#[derive(Clone, Debug)]
pub(super) struct Derived {
    pub(super) name: String,
    pub(super) val: ColVal,
}

/// Where an item's columns come from.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    /// A relation of the catalog; the names are those that an alias list gives to its first columns.
    Relation(Arc<Relation>, Vec<String>),
    /// A subquery, CTE, VALUES list, join alias or function.
    Derived(Rc<[Derived]>),
}

/// An entry of a FROM list.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Tells items of one statement apart.
    pub(super) id: u32,
    /// Name it goes by; empty for none.
    pub(super) alias: String,
    pub(super) columns: Columns,
    /// It may have columns that are not known; they are plain.
    pub(super) opaque: bool,
    /// On the nullable side of an outer join.
    pub(super) nullable: bool,
    /// Columns that a bare name does not mean (merged by USING, or all of `excluded`).
    pub(super) merged: Vec<String>,
    /// Bare names never mean its columns.
    pub(super) qualified_only: bool,
    /// Its columns are variables of PL/pgSQL: a name that is also a column's means neither.
    pub(super) variables: bool,
    /// It stands nowhere in the text: what is to be written where its columns are named.
    pub(super) spelled: Option<Rc<[Spelled]>>,
}

/// How a column is written that stands nowhere in the text.
#[derive(Clone, Debug)]
pub(super) struct Spelled {
    pub(super) text: String,
    /// Its type, where it is known.
    pub(super) type_oid: Option<Oid>,
}

impl Item {
    /// One that stands in the text as it is.
    pub(super) fn new(id: u32, alias: &str, columns: Columns) -> Item {
        Item {
            id,
            alias: alias.to_string(),
            columns,
            opaque: false,
            nullable: false,
            merged: Vec::new(),
            qualified_only: false,
            variables: false,
            spelled: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.columns {
            Columns::Relation(r, _) => r.columns.len(),
            Columns::Derived(d) => d.len(),
        }
    }

    pub(super) fn name(&self, i: usize) -> &str {
        match &self.columns {
            Columns::Relation(r, renamed) => renamed.get(i).unwrap_or(&r.columns[i].name),
            Columns::Derived(d) => &d[i].name,
        }
    }

    pub(super) fn val(&self, i: usize) -> ColVal {
        match &self.columns {
            Columns::Relation(r, _) => relation_column(r, i),
            Columns::Derived(d) => d[i].val.clone(),
        }
    }

    /// How a column can be written.
    pub(super) fn written(&self, i: usize) -> String {
        match &self.spelled {
            Some(spelled) => spelled[i].text.clone(),
            None => format!("{}.{}", always_quoted(&self.alias), always_quoted(self.name(i))),
        }
    }

    /// The type of a column, where it is known.
    pub(super) fn type_oid(&self, i: usize) -> Option<Oid> {
        match (&self.columns, &self.spelled) {
            (Columns::Relation(r, _), _) => Some(r.columns[i].type_oid),
            (_, Some(spelled)) => spelled[i].type_oid,
            _ => None,
        }
    }

    /// Indices of columns of this name: two at most, to tell ambiguity.
    fn find(&self, name: &str) -> (Option<usize>, bool) {
        let mut found = (0..self.len()).filter(|&i| self.name(i) == name);
        (found.next(), found.next().is_some())
    }

    pub(super) fn any_encrypted(&self) -> bool {
        (0..self.len()).any(|i| !self.val(i).is_plain())
    }

    /// Two columns never have one name.
    pub(super) fn has_unique_names(&self) -> bool {
        (0..self.len()).all(|i| !self.find(self.name(i)).1)
    }
}

fn relation_column(relation: &Relation, i: usize) -> ColVal {
    let column = &relation.columns[i];
    let display = || Rc::from(format!("{}.{}", relation.name, column.name));
    match &column.enc {
        _ if column.tainted => ColVal::Tainted(display()),
        Some(t) if column.direct => ColVal::Enc(t.clone(), display()),
        Some(_) => ColVal::Tainted(display()),
        None => ColVal::Plain,
    }
}

/// The from-items that names may mean, and the scopes around.
pub(super) struct Scope<'p> {
    pub(super) items: Vec<Item>,
    pub(super) parent: Option<&'p Scope<'p>>,
    /// What GROUP BY makes of the items' columns.
    pub(super) group: Group,
}

/// Encrypted columns that a query is grouped by.
#[derive(Default)]
pub(super) struct Group {
    /// Item and column.
    pub(super) keys: Vec<(u32, usize)>,
    /// Promoted paths of such columns, by number.
    pub(super) paths: Vec<((u32, usize), usize)>,
    /// Output columns, by number, that are keys and are no columns of FROM.
    pub(super) outputs: Vec<usize>,
    /// The same, once they are known: how HAVING and what follows may write them again.
    pub(super) computed: Vec<Computed>,
    /// ROLLUP, CUBE or GROUPING SETS: a key may be NULL where its group is not.
    pub(super) sets: bool,
    /// What is looked at stands within an aggregate, which sees the rows of a group.
    pub(super) inside: Cell<bool>,
}

/// A key of groups that is computed of encrypted values.
pub(super) struct Computed {
    /// First and last token.
    pub(super) words: (usize, usize),
    pub(super) ty: Arc<EncType>,
    pub(super) column: Rc<str>,
    pub(super) written: Written,
}

/// How a query that stands at some place sees a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// The column of a row.
    Row,
    /// A key of its own groups.
    Key,
    /// A key of the groups of a query around it.
    OuterKey,
}

/// A column found by name.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) val: ColVal,
    /// Item and index of the column, where it is a column of one.
    pub(super) origin: Option<(u32, usize)>,
}

impl Found {
    const PLAIN: Found = Found { val: ColVal::Plain, origin: None };
}

const SYSTEM: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

fn undefined(name: &str) -> Box<super::plan::Refusal> {
    refuse::with(UNDEFINED_COLUMN, format!("column {name} does not exist"))
}

impl<'p> Scope<'p> {
    /// A scope without groups.
    pub(super) fn new(items: Vec<Item>, parent: Option<&'p Scope<'p>>) -> Self {
        Scope { items, parent, group: Group::default() }
    }

    /// How this scope sees the column of an item.
    pub(super) fn sees(&self, origin: (u32, usize)) -> Seen {
        self.sees_of(origin.0, &|group| group.keys.contains(&origin))
    }

    /// How this scope sees a promoted path of a column.
    pub(super) fn sees_path(&self, path: ((u32, usize), usize)) -> Seen {
        self.sees_of(path.0.0, &|group| group.paths.contains(&path))
    }

    fn sees_of(&self, item: u32, is_key: &dyn Fn(&Group) -> bool) -> Seen {
        if self.items.iter().any(|i| i.id == item) {
            let key = is_key(&self.group) && !self.group.inside.get();
            return if key { Seen::Key } else { Seen::Row };
        }
        match self.parent.map(|p| p.sees_of(item, is_key)) {
            Some(Seen::Key | Seen::OuterKey) => Seen::OuterKey,
            _ => Seen::Row,
        }
    }

    /// What is to be written for a column whose item stands nowhere in the text.
    pub(super) fn spelled(&self, origin: (u32, usize)) -> Option<&str> {
        match self.items.iter().find(|i| i.id == origin.0) {
            Some(item) => item.spelled.as_ref().map(|spelled| spelled[origin.1].text.as_str()),
            None => self.parent.and_then(|p| p.spelled(origin)),
        }
    }

    /// A column of this scope alone that a bare name means.
    pub(super) fn local(&self, name: &str) -> Result<Option<Found>> {
        Scope { items: self.items.clone(), parent: None, group: Group::default() }.bare_column(name)
    }

    /// The item of this id, here or around.
    pub(super) fn item_of(&self, id: u32) -> Option<&Item> {
        self.items.iter().find(|i| i.id == id).or_else(|| self.parent.and_then(|p| p.item_of(id)))
    }

    /// The innermost item of this name.
    pub(super) fn item(&self, schema: Option<&str>, alias: &str) -> Option<&Item> {
        let fits = |i: &&Item| {
            i.alias == alias
                && schema.is_none_or(
                    |schema| matches!(&i.columns, Columns::Relation(r, _) if r.schema == schema && r.name == alias),
                )
        };
        self.items.iter().find(fits).or_else(|| self.parent.and_then(|p| p.item(schema, alias)))
    }

    /// What a column reference means; `None` if it is of no kind that is known here.
    pub(super) fn named(&self, reference: &ColumnRef) -> Option<Result<Found>> {
        let names = strings(&reference.fields);
        match names.as_slice() {
            _ if names.len() != reference.fields.len() => None,
            [name] => Some(self.bare(name)),
            [alias, name] => Some(self.qualified(None, alias, name)),
            [schema, table, name] => Some(self.qualified(Some(schema), table, name)),
            _ => None,
        }
    }

    /// What `alias.column` means.
    pub(super) fn qualified(&self, schema: Option<&str>, alias: &str, name: &str) -> Result<Found> {
        let Some(item) = self.item(schema, alias) else {
            return Err(refuse::with(
                refuse::UNDEFINED_TABLE,
                format!("missing FROM-clause entry for table \"{alias}\""),
            ));
        };
        match item.find(name) {
            (Some(i), false) => Ok(Found { val: item.val(i), origin: Some((item.id, i)) }),
            (Some(_), true) if item.any_encrypted() => Err(ambiguous(name)),
            (Some(_), true) => Ok(Found::PLAIN),
            (None, _) if item.opaque || SYSTEM.contains(&name) => Ok(Found::PLAIN),
            (None, _) => Err(undefined(&format!("{alias}.{name}"))),
        }
    }

    /// What a bare name means: a column of the innermost scope that has one, else a whole row.
    pub(super) fn bare(&self, name: &str) -> Result<Found> {
        match self.bare_column(name)? {
            Some(found) => Ok(found),
            None => match self.item(None, name) {
                Some(item) if item.any_encrypted() => Err(refuse::unsupported(format!(
                    "whole-row reference to {name}, which has encrypted columns, is not supported"
                ))
                .hint("Name the columns one by one.")),
                Some(_) => Ok(Found::PLAIN),
                None if SYSTEM.contains(&name) => Ok(Found::PLAIN),
                None => Err(undefined(&format!("\"{name}\""))),
            },
        }
    }

    /// The item that a bare name means as a whole row: no column has it.
    pub(super) fn row_named(&self, name: &str) -> Option<&Item> {
        self.bare_column(name).ok()?.is_none().then(|| self.item(None, name)).flatten()
    }

    /// A variable of PL/pgSQL has this name.
    fn has_variable(&self, name: &str) -> bool {
        let here = self.items.iter().any(|i| i.variables && i.find(name).0.is_some());
        here || self.parent.is_some_and(|p| p.has_variable(name))
    }

    fn bare_column(&self, name: &str) -> Result<Option<Found>> {
        let mut found: Option<Found> = None;
        for item in self.items.iter().filter(|i| !i.qualified_only && !i.merged.iter().any(|m| m == name)) {
            let (Some(i), twice) = item.find(name) else { continue };
            let val = item.val(i);
            if (twice || found.is_some()) && !(val.is_plain() && found.as_ref().is_none_or(|f| f.val.is_plain())) {
                return Err(ambiguous(name));
            }
            found = Some(Found { val, origin: Some((item.id, i)) });
        }
        if found.is_some() {
            return if self.parent.is_some_and(|p| p.has_variable(name)) { Err(ambiguous(name)) } else { Ok(found) };
        }
        let outer = match self.parent {
            Some(parent) => parent.bare_column(name)?,
            None => None,
        };
        if !self.items.iter().any(|i| i.opaque && !i.qualified_only) {
            return Ok(outer);
        }
        match outer {
            Some(f) if !f.val.is_plain() => Err(ambiguous(name)),
            _ => Ok(Some(Found::PLAIN)),
        }
    }
}

fn ambiguous(name: &str) -> Box<super::plan::Refusal> {
    refuse::with(AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous"))
        .hint("Qualify the column with its table.")
}
