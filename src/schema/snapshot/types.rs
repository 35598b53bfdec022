//! Types: which are encrypted, and which contain an encrypted type.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::crypto::TypeId;
use crate::schema::catalog::{EncType, Oid, Standing, Terms, TypeDef};
use crate::schema::rows::{Answer, Row};
use crate::schema::{SchemaError, registry};
use crate::wire::value::PlainType;

/// A row of `pg_type`.
pub(super) struct PgType {
    pub(super) oid: Oid,
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) base: Oid,
    pub(super) element: Oid,
    pub(super) relation: Oid,
    pub(super) array: Oid,
}

pub(super) fn read(answer: &Answer) -> Result<Vec<PgType>, SchemaError> {
    let read = |row: Row<'_>| {
        Ok(PgType {
            oid: row.oid(0)?,
            schema: row.text(1)?.to_owned(),
            name: row.text(2)?.to_owned(),
            kind: row.text(3)?.to_owned(),
            base: row.oid(4)?,
            element: row.oid(5)?,
            relation: row.oid(6)?,
            array: row.oid(7)?,
        })
    };
    answer.iter().map(|row| read(Row(row))).collect()
}

/// Attributes of a composite: name and type.
pub(super) type Attributes = HashMap<Oid, Vec<(String, Oid)>>;

/// The encrypted types: every stand-alone composite of schema `seal`, whatever the registry says of it.
pub(super) fn encrypted(
    types: &[PgType],
    composites: &HashSet<Oid>,
    attributes: &Attributes,
    registry: &Answer,
    signed: &[(TypeId, String)],
) -> Vec<Arc<EncType>> {
    let citext = types.iter().find(|t| t.name == "citext" && t.kind == "b").map(|t| (t.oid, t.array));
    types
        .iter()
        .filter(|t| t.schema == "seal" && composites.contains(&t.relation))
        .map(|t| {
            let actual = attributes.get(&t.relation).map_or(&[][..], Vec::as_slice);
            let (def, standing) = definition(&t.name, actual, registry, signed);
            let told = (def.plain.oid(), def.plain.array_oid());
            let (plain_oid, plain_array_oid) =
                if def.plain == PlainType::Citext { citext.unwrap_or(told) } else { told };
            let (shown, digits, padding) = (def.plain, def.digits(), def.padding());
            Arc::new(EncType {
                oid: t.oid,
                array_oid: t.array,
                element: None,
                plain_oid,
                plain_array_oid,
                def,
                shown,
                digits,
                padding,
                standing,
            })
        })
        .collect()
}

/// What is known of the type of this name, and how far it can be believed.
fn definition(
    name: &str,
    actual: &[(String, Oid)],
    registry: &Answer,
    signed: &[(TypeId, String)],
) -> (TypeDef, Standing) {
    let rows = registry.iter().filter_map(|row| fields(row.first()?.as_deref()?));
    let why = match rows.into_iter().find(|row| row[0].as_deref() == Some(name)).map(|row| from_row(&row)) {
        Some(Ok(def)) => {
            let standing = registry::standing(&def, actual, signed);
            return (def, standing);
        }
        Some(Err(error)) => format!("its row in seal.types is not well formed ({error})"),
        None => "it has no row in seal.types".to_owned(),
    };
    (known(name, signed), Standing::Broken(why))
}

/// The fields of a registry row, which is read as a JSON array of texts.
fn fields(row: &str) -> Option<[Option<String>; 6]> {
    serde_json::from_str::<Vec<Option<String>>>(row).ok()?.try_into().ok()
}

fn from_row(row: &[Option<String>; 6]) -> Result<TypeDef, SchemaError> {
    registry::from_row(row.each_ref().map(Option::as_deref))
}

/// The ready-made or signed definition of this name; a type that nobody knows is a storage type without an id.
fn known(name: &str, signed: &[(TypeId, String)]) -> TypeDef {
    let ready = registry::ready_made().iter().find(|r| r.name == name).cloned();
    let signed = || signed.iter().filter_map(|(_, text)| registry::parse(text).ok()).find(|def| def.name == name);
    ready.or_else(signed).unwrap_or_else(|| TypeDef {
        id: TypeId([0; 16]),
        name: name.to_owned(),
        plain: PlainType::Text,
        terms: Terms::default(),
        options: "{}".to_owned(),
        keyset: None,
    })
}

/// Types that are or contain one of `encrypted`: arrays, domains, composites and row types, at any depth.
pub(super) fn containing(types: &[PgType], encrypted: &[Arc<EncType>], attributes: &Attributes) -> HashSet<Oid> {
    let mut found: HashSet<Oid> = encrypted.iter().map(|e| e.oid).collect();
    loop {
        let before = found.len();
        for t in types {
            let row = attributes.get(&t.relation).is_some_and(|row| row.iter().any(|(_, oid)| found.contains(oid)));
            if row || found.contains(&t.base) || found.contains(&t.element) {
                found.insert(t.oid);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}
