//! What would have to change if a plain column had an encrypted type: the dry run of `columnseal encrypt`.
//!
//! Every definition goes through the analysis of statements twice: with the catalog as it is, and with one in which the
//! column has the type already.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_postgres::Client;

use super::existing::{advice, is_table, shown};
use super::judge::{Verdict, judge, printed_path, taken_back};
use super::objects::{self, Kind, Object, dependents};
use super::publications::{self, Published};
use super::values::{self, Counted};
use super::{Finding, begin, routines, sentence};
use crate::schema::SchemaError;
use crate::schema::catalog::{Catalog, EncType, Oid, Relation, Standing};
use crate::schema::name::{literal, quoted};
use crate::schema::pins::name_parts;
use crate::schema::rows::{Row, query};
use crate::sql::plan::Refusal;
use crate::wire::value::PlainType;

/// What is asked about.
#[derive(Clone, Debug)]
pub struct Wish {
    /// `[schema.]table.column`, as SQL writes it.
    pub column: String,
    /// The encrypted type, with or without `seal.`.
    pub kind: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// The catalogs or the rows cannot be read.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// What was asked about is not there, or cannot be encrypted at all.
    #[error("{0}")]
    Wish(String),
}

/// What an object needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Effect {
    /// It must be written otherwise.
    Change,
    /// It must be dropped with the old column, and made anew through the proxy as it stands.
    Again,
}

impl Effect {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Effect::Change => "change",
            Effect::Again => "make anew",
        }
    }
}

/// An object that the change concerns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Item {
    /// What it needs.
    pub effect: Effect,
    /// What kind of thing it is, as `view`.
    pub what: &'static str,
    /// Its name, with its schema.
    pub name: String,
    /// Why, without a full stop.
    pub why: String,
    /// What to do; empty where nothing is to be said.
    pub advice: String,
}

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forecast {
    /// The column with its schema.
    pub column: String,
    /// Its type now, as SQL writes it.
    pub from: String,
    /// The encrypted type, `seal.text_eq`.
    pub to: String,
    /// The type's terms.
    pub terms: Vec<&'static str>,
    /// What the rows hold.
    pub counted: Counted,
    /// Objects concerned, in order.
    pub items: Vec<Item>,
}

impl Forecast {
    /// Everything can be stored, and made anew as it stands.
    pub fn is_smooth(&self) -> bool {
        self.counted.faults.is_empty() && self.items.iter().all(|item| item.effect == Effect::Again)
    }
}

/// Looks ahead. Nothing is changed. Not cancel safe: the connection is left in a transaction.
///
/// # Errors
/// See [`ForecastError`].
pub async fn forecast(client: &Client, catalog: &Catalog, wish: &Wish) -> Result<Forecast, ForecastError> {
    begin(client).await?;
    let outcome = ahead(client, catalog, wish).await;
    client.batch_execute("ROLLBACK").await.map_err(SchemaError::from)?;
    outcome
}

async fn ahead(client: &Client, catalog: &Catalog, wish: &Wish) -> Result<Forecast, ForecastError> {
    let (functions, path) = routines::read(client).await?;
    let (relation, column) = found(catalog, &path, &wish.column)?;
    let enc = wanted(catalog, &wish.kind)?;
    let from = declared(client, &relation, &column).await?;
    if from.name.ends_with("[]") {
        let why = "arrays are not looked at ahead; encrypted, it would be of type";
        return refuse(format!("column {} is of type {}: {why} seal.{}[]", wish.column, from.name, enc.def.name));
    }
    let objects = objects::read(client).await?;
    let family: Vec<Oid> = catalog.family(relation.oid).into_iter().collect();
    let after = hypothetical(catalog, &family, &column, &enc, &objects);
    let depending = depending(client, catalog, &family, &column).await?;
    let change = Change { before: catalog, after: &after, family: &family, column: &column, depending };
    let mut items: Vec<Item> = objects.iter().filter_map(|object| change.of(object)).collect();
    let (known, judge) = (routines::Judge::new(catalog, &path), routines::Judge::new(&after, &path));
    for function in &functions {
        let before = known.look(function);
        items.extend(judge.look(function).into_iter().filter(|finding| !before.contains(finding)).map(changed));
    }
    items.extend(publications::read(client).await?.iter().filter_map(|table| change.publication(table)));
    items.extend(of_type(&relation, &column, &from, &enc));
    items.sort();
    items.dedup();
    let counted = values::count(client, &relation, &column, &enc).await?;
    Ok(Forecast {
        column: format!("{}.{}", shown(&relation), quoted(&column)),
        from: from.name,
        to: format!("seal.{}", enc.def.name),
        terms: crate::schema::registry::terms_list(enc.def.terms),
        counted,
        items,
    })
}

fn refuse<T>(why: impl Into<String>) -> Result<T, ForecastError> {
    Err(ForecastError::Wish(why.into()))
}

/// The table and the column that a wish names.
fn found(catalog: &Catalog, path: &[String], name: &str) -> Result<(Arc<Relation>, String), ForecastError> {
    let parts = name_parts(name).unwrap_or_default();
    let (relation, column) = match parts.as_slice() {
        [table, column] => (path.iter().find_map(|schema| catalog.relation(schema, table)), column),
        [schema, table, column] => (catalog.relation(schema, table), column),
        _ => return refuse(format!("{name:?} is no column: write table.column or schema.table.column")),
    };
    let Some(relation) = relation else { return refuse(format!("there is no table of {name}")) };
    if !is_table(relation.kind) {
        return refuse(format!("{} is not a table", shown(relation)));
    }
    match relation.columns.iter().find(|c| c.name == *column) {
        None => refuse(format!("table {} has no column {}", shown(relation), quoted(column))),
        Some(c) if c.enc.is_some() || c.tainted => refuse(format!("column {name} is encrypted already")),
        Some(c) if c.generated => refuse(format!("column {name} is computed by the server, which cannot encrypt")),
        Some(_) if catalog.facts.is_child(relation.oid) => {
            refuse(format!("{} inherits its columns: name the table that it inherits from", shown(relation)))
        }
        Some(_) => Ok((Arc::clone(relation), column.clone())),
    }
}

/// The encrypted type that a wish names.
fn wanted(catalog: &Catalog, name: &str) -> Result<Arc<EncType>, ForecastError> {
    if catalog.seal_version.is_none() {
        return Err(SchemaError::NotInstalled.into());
    }
    let bare = name.strip_prefix("seal.").unwrap_or(name);
    let Some(enc) = catalog.types.values().find(|enc| enc.def.name == bare && enc.whole.is_none()) else {
        return refuse(format!("there is no encrypted type seal.{bare}"));
    };
    match &enc.standing {
        Standing::Broken(why) => refuse(format!("encrypted type seal.{bare} may not be used: {why}")),
        _ => Ok(Arc::clone(enc)),
    }
}

/// A column's type as it was declared.
struct Declared {
    name: String,
    /// The type of values that is of it, or under its domains.
    plain: Option<PlainType>,
    /// It has a length or precision.
    limited: bool,
    not_null: bool,
    identity: bool,
}

async fn declared(client: &Client, relation: &Relation, column: &str) -> Result<Declared, SchemaError> {
    let text = format!(
        "WITH RECURSIVE t AS (SELECT a.atttypid AS oid, a.atttypmod AS modifier FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = {0} AND a.attname = {1} \
           UNION ALL SELECT d.typbasetype, d.typtypmod FROM t JOIN pg_catalog.pg_type d ON d.oid = t.oid AND d.typtype = 'd') \
         SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), b.oid, b.typtype, b.typname, \
           (SELECT pg_catalog.bool_or(t.modifier > 0) FROM t)::pg_catalog.text, \
           a.attnotnull::pg_catalog.text, (a.attidentity <> '')::pg_catalog.text \
         FROM pg_catalog.pg_attribute a, t JOIN pg_catalog.pg_type b ON b.oid = t.oid AND b.typtype <> 'd' \
         WHERE a.attrelid = {0} AND a.attname = {1}",
        relation.oid,
        literal(column)
    );
    let rows = query(client, &text).await?;
    let row = Row(rows.first().ok_or(SchemaError::Answer("the column is gone"))?);
    let plain = match (row.text(2)?, row.text(3)?) {
        ("e", _) => Some(PlainType::Enum),
        (_, "citext") => Some(PlainType::Citext),
        _ => PlainType::from_oid(row.oid(1)?),
    };
    Ok(Declared {
        name: row.text(0)?.to_owned(),
        plain,
        limited: row.boolean(4)?,
        not_null: row.boolean(5)?,
        identity: row.boolean(6)?,
    })
}

/// What of the column's own declaration an encrypted type does not keep.
fn of_type(relation: &Relation, column: &str, from: &Declared, enc: &EncType) -> Vec<Item> {
    let name = format!("{}.{}", shown(relation), quoted(column));
    let item = |effect, why: String, advice: &str| Item {
        effect,
        what: "column",
        name: name.clone(),
        why,
        advice: advice.to_owned(),
    };
    let mut out = Vec::new();
    let text = |plain: PlainType| {
        matches!(plain, PlainType::Text | PlainType::Varchar | PlainType::Bpchar | PlainType::Citext)
    };
    let same = from.plain.is_some_and(|plain| plain == enc.def.plain || text(plain) && text(enc.def.plain));
    if !same {
        let why = format!(
            "it is of type {}, and seal.{} holds {}: statements and applications see that type",
            from.name,
            enc.def.name,
            enc.def.plain.name()
        );
        out.push(item(Effect::Change, why, "Choose a type that holds what the column holds"));
    }
    if from.limited {
        let why = format!("the limit of {} is not kept: encrypted values have none", from.name);
        out.push(item(Effect::Change, why, "Check it in the application"));
    }
    if from.identity {
        out.push(item(
            Effect::Change,
            "the server gives it values by itself, and cannot encrypt them".to_owned(),
            "Leave it plain",
        ));
    }
    if from.not_null {
        out.push(item(Effect::Again, "NOT NULL".to_owned(), ""));
    }
    out
}

/// The catalog in which the column has the type, and views what follows from that.
fn hypothetical(catalog: &Catalog, family: &[Oid], column: &str, enc: &Arc<EncType>, objects: &[Object]) -> Catalog {
    let becomes = || vec![(column.to_owned(), Arc::clone(enc))];
    let mut changes: HashMap<Oid, Vec<(String, Arc<EncType>)>> = family.iter().map(|oid| (*oid, becomes())).collect();
    let views: Vec<&Object> =
        objects.iter().filter(|o| matches!(o.kind, Kind::View | Kind::MaterializedView)).collect();
    // A view over views takes as many rounds as they are deep; each column changes once.
    loop {
        let after = catalog.with(&changes);
        let mut grown = false;
        for view in &views {
            let Some(relation) = after.by_oid(view.relation).filter(|relation| relation.touching) else { continue };
            let Verdict::Rewritten { columns, .. } =
                judge(&taken_back(&view.detail, &after).0, &after, &printed_path())
            else {
                continue;
            };
            let known = changes.entry(view.relation).or_default();
            for (column, enc) in relation.columns.iter().zip(columns) {
                if let Some(enc) =
                    enc.filter(|_| column.enc.is_none() && !known.iter().any(|(name, _)| *name == column.name))
                {
                    known.push((column.name.clone(), enc));
                    grown = true;
                }
            }
        }
        if !grown {
            return after;
        }
    }
}

/// Entries that depend on the column, and on views that do.
async fn depending(
    client: &Client,
    catalog: &Catalog,
    family: &[Oid],
    column: &str,
) -> Result<HashSet<(String, Oid)>, SchemaError> {
    let mut found = dependents(client, family, column).await?;
    let rules = objects::rules(client).await?;
    loop {
        let before = found.len();
        let views: Vec<Oid> = rules
            .iter()
            .filter(|(rule, _)| found.contains(&("pg_rewrite".to_owned(), *rule)))
            .map(|(_, of)| *of)
            .collect();
        let views: Vec<Oid> =
            views.into_iter().filter(|oid| catalog.by_oid(*oid).is_some_and(|r| !is_table(r.kind))).collect();
        found.extend(objects::dependents_of(client, &views).await?);
        if found.len() == before {
            return Ok(found);
        }
    }
}

/// The change of a column's type.
struct Change<'a> {
    before: &'a Catalog,
    after: &'a Catalog,
    family: &'a [Oid],
    column: &'a str,
    /// Catalog entries that depend on the column.
    depending: HashSet<(String, Oid)>,
}

impl Change<'_> {
    fn of(&self, object: &Object) -> Option<Item> {
        let depends = self.depending.contains(&object.id);
        let touches = self.after.by_oid(object.relation).is_some_and(|relation| relation.touching);
        match object.kind {
            Kind::Rule if !depends => return None,
            Kind::Column | Kind::Domain | Kind::CompositeType => return None,
            // Its constraint is told of.
            Kind::Index if object.index().2.is_some() => return None,
            Kind::Default if object.detail == self.column && self.family.contains(&object.relation) => {
                return self.default(object);
            }
            _ if !depends && !touches => return None,
            _ => {}
        }
        let text = if object.kind == Kind::Statistics { &object.detail } else { &object.text };
        let after = judge(&taken_back(text, self.after).0, self.after, &printed_path());
        if let Verdict::Refused(refusal) = &after {
            let before = judge(&taken_back(text, self.before).0, self.before, &printed_path());
            return match before {
                Verdict::Refused(_) if !depends => None,
                _ => Some(refused(object, refusal)),
            };
        }
        let served = match object.kind {
            Kind::Index | Kind::Constraint => served(&after).map(|term| format!("served by term {term}")),
            Kind::Statistics => served(&after).map(|term| format!("of term {term}")),
            _ => None,
        };
        depends.then(|| Item {
            effect: Effect::Again,
            what: object.kind.word(),
            name: object.name.clone(),
            why: served.unwrap_or_default(),
            advice: String::new(),
        })
    }

    /// The column's own default: only NULL can be kept.
    fn default(&self, object: &Object) -> Option<Item> {
        match judge(&object.text, self.after, &printed_path()) {
            Verdict::Refused(refusal) => Some(refused(object, &refusal)),
            _ => None,
        }
    }

    fn publication(&self, table: &Published) -> Option<Item> {
        let relation = self.after.by_oid(table.relation).filter(|r| self.family.contains(&r.oid))?;
        let name = format!("{} of {}", table.name, shown(relation));
        let item = |effect, why: &str, advice: &str| {
            Some(Item {
                effect,
                what: Kind::Publication.word(),
                name: name.clone(),
                why: why.to_owned(),
                advice: advice.to_owned(),
            })
        };
        const IDENTITY: &str = "ALTER TABLE ... REPLICA IDENTITY USING INDEX, over plain columns";
        let names = |text: &String| {
            let lexed = crate::sql::lex::Lexed::new(text, true);
            lexed.is_ok_and(|l| l.tokens.iter().any(|t| t.name(text).is_some_and(|name| name == self.column)))
        };
        if table.filter.as_ref().is_some_and(names) {
            return item(
                Effect::Change,
                "its row filter uses the column, and PostgreSQL allows no encrypted type in one",
                "Filter by plain columns",
            );
        }
        if table.changes && table.key.iter().any(|c| c == self.column) {
            return item(
                Effect::Change,
                "the column identifies rows that are published, and an encrypted one cannot: UPDATE and DELETE would fail",
                IDENTITY,
            );
        }
        if table.changes && table.identity == "f" {
            return item(
                Effect::Change,
                "with REPLICA IDENTITY FULL a subscriber compares whole rows, which fails on encrypted columns",
                IDENTITY,
            );
        }
        if table.columns.as_ref().is_some_and(|columns| columns.iter().any(|c| c == self.column)) {
            return item(Effect::Again, "its list names the column", "");
        }
        None
    }
}

fn change(object: &Object, why: String, advice: &str) -> Item {
    let advice = advice.to_owned();
    Item {
        effect: Effect::Change,
        what: object.kind.word(),
        name: object.name.clone(),
        why: sentence(&why),
        advice: sentence(&advice),
    }
}

fn refused(object: &Object, refusal: &Refusal) -> Item {
    change(object, refusal.message.clone(), &advice(object.kind, refusal))
}

fn changed(finding: Finding) -> Item {
    Item { effect: Effect::Change, what: finding.what, name: finding.name, why: finding.why, advice: finding.advice }
}

/// The term that an index or statistics would stand on.
fn served(verdict: &Verdict) -> Option<&'static str> {
    let Verdict::Rewritten { text, .. } = verdict else { return None };
    let signs = [(").ord", "ord"), (").eq", "eq"), (").m)", "match"), (").j)", "json")];
    signs.into_iter().find(|(sign, _)| text.contains(sign)).map(|(_, term)| term)
}
