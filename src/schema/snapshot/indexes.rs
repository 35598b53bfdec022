//! Indexes of tables, and which of them keep encrypted columns unique.

use std::collections::HashMap;

use crate::schema::SchemaError;
use crate::schema::catalog::{Index, Key, Oid, Relation};
use crate::schema::node_tree::Node;
use crate::schema::rows::{Answer, Row};

/// Attributes of every encrypted type that are no terms: the version guard and the envelope.
const BEFORE_TERMS: i64 = 2;

/// Gives the relations their indexes.
pub(super) fn read(answer: &Answer, relations: &mut [Relation]) -> Result<(), SchemaError> {
    let places: HashMap<Oid, usize> = relations.iter().enumerate().map(|(place, r)| (r.oid, place)).collect();
    for row in answer.iter().map(|row| Row(row)) {
        let Some(relation) = places.get(&row.oid(0)?).and_then(|&place| relations.get_mut(place)) else { continue };
        let count: usize = row.number(3)?;
        let unique = match (row.optional(4)?, row.optional(5)?) {
            (Some(columns), Some(expressions)) => unique(relation, count, columns, expressions),
            _ => None,
        };
        let index =
            Index { name: row.text(1)?.to_owned(), primary: row.boolean(2)?, unique: unique.unwrap_or_default() };
        relation.indexes.push(index);
    }
    Ok(())
}

/// What an index keeps unique, if it is over plain columns and the terms that encrypted ones are compared by.
fn unique(relation: &Relation, count: usize, columns: &str, expressions: &str) -> Option<Vec<Key>> {
    let tree = Node::parse(expressions)?;
    let mut expressions = tree.children();
    let one = |number: &str| match number.parse().ok()? {
        0 => term(relation, expressions.next()?),
        attnum => Some(Key { column: column(relation, attnum)?.name.clone(), term: None }),
    };
    columns.split(' ').take(count).map(one).collect()
}

fn column(relation: &Relation, attnum: i64) -> Option<&crate::schema::catalog::Column> {
    relation.columns.iter().find(|c| i64::from(c.attnum) == attnum)
}

/// `(e).eq` or `(e).ord`, as comparisons of `e` use it.
fn term(relation: &Relation, expression: &Node<'_>) -> Option<Key> {
    let taken = expression.field("arg").filter(|_| expression.label() == "FIELDSELECT")?;
    let found = column(relation, taken.number("varattno").filter(|_| taken.label() == "VAR")?)?;
    let terms = found.enc.as_ref().filter(|_| found.direct)?.def.terms;
    let (term, oid) = terms.compared();
    let fits = expression.number("fieldnum")? > BEFORE_TERMS && expression.number("resulttype")? == i64::from(oid);
    (terms.equal() && fits).then(|| Key { column: found.name.clone(), term: Some(term) })
}
