//! Types: which are encrypted, and which contain an encrypted type.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::crypto::TypeId;
use crate::schema::catalog::{EncType, Oid, Promoted, PromotedPath, Standing, Terms, TypeDef};
use crate::schema::rows::{Answer, Row};
use crate::schema::{SchemaError, paths, registry};
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

/// The composites of schema `seal`, and what is said of them.
struct Composites<'a> {
    by_name: HashMap<&'a str, &'a PgType>,
    attributes: &'a Attributes,
    /// Rows of the registry, by name.
    rows: HashMap<String, Fields>,
    /// Options that came in parts: of a name and in their order.
    parts: BTreeMap<(String, u32), String>,
    signed: &'a [(TypeId, String)],
    /// `citext` and its arrays, where the database has it.
    citext: Option<(Oid, Oid)>,
}

/// The encrypted types: every stand-alone composite of schema `seal`, whatever the registry says of it.
pub(super) fn encrypted(
    types: &[PgType],
    composites: &HashSet<Oid>,
    attributes: &Attributes,
    registry: &Answer,
    signed: &[(TypeId, String)],
) -> Vec<Arc<EncType>> {
    let citext = types.iter().find(|t| t.name == "citext" && t.kind == "b").map(|t| (t.oid, t.array));
    let ours: Vec<&PgType> = types.iter().filter(|t| t.schema == "seal" && composites.contains(&t.relation)).collect();
    let by_name = ours.iter().map(|t| (t.name.as_str(), *t)).collect();
    let texts = || registry.iter().filter_map(|row| row.first()?.as_deref());
    // Of several rows of one name the first counts.
    let rows = texts().rev().filter_map(fields).filter_map(|row| Some((row[0].clone()?, row))).collect();
    let parts = texts().filter_map(part).collect();
    let all = Composites { by_name, attributes, rows, parts, signed, citext };
    let mut found = Vec::with_capacity(ours.len());
    let mut of_paths: HashSet<String> = HashSet::new();
    for t in ours.iter().filter(|t| !t.name.contains('$')) {
        let (def, standing, promoted) = all.definition(&t.name);
        if !promoted.paths.is_empty() {
            of_paths.insert(paths::row(&def));
            of_paths.extend(promoted.paths.iter().map(|path| path.ty.def.name.clone()));
        }
        found.extend(promoted.paths.iter().map(|path| Arc::clone(&path.ty)));
        found.push(Arc::new(all.made(t, def, standing, promoted)));
    }
    for t in ours.iter().filter(|t| t.name.contains('$') && !of_paths.contains(&t.name)) {
        let (def, standing, _) = all.definition(&t.name);
        found.push(Arc::new(all.made(t, def, standing, Promoted::default())));
    }
    found
}

impl Composites<'_> {
    fn made(&self, t: &PgType, def: TypeDef, standing: Standing, promoted: Promoted) -> EncType {
        let told = (def.plain.oid(), def.plain.array_oid());
        let (plain_oid, plain_array_oid) =
            if def.plain == PlainType::Citext { self.citext.unwrap_or(told) } else { told };
        let (shown, digits, padding, whole_text) = (def.plain, def.digits(), def.padding(), def.whole_text());
        EncType {
            oid: t.oid,
            array_oid: t.array,
            element: None,
            plain_oid,
            plain_array_oid,
            def,
            shown,
            digits,
            padding,
            whole_text,
            standing,
            whole: None,
            promoted: Arc::new(promoted),
        }
    }

    fn attributes_of(&self, t: &PgType) -> &[(String, Oid)] {
        self.attributes.get(&t.relation).map_or(&[], Vec::as_slice)
    }

    /// What is known of the type of this name, how far it can be believed, and its promoted paths.
    fn definition(&self, name: &str) -> (TypeDef, Standing, Promoted) {
        let why = match self.rows.get(name) {
            Some(row) => {
                let long = row[4].as_deref().is_some_and(str::is_empty).then(|| self.long_options(name));
                match from_row(row, long.as_deref()) {
                    Ok(def) => {
                        let (standing, promoted) = self.standing(&def);
                        return (def, standing, promoted);
                    }
                    Err(error) => format!("its row in seal.types is not well formed ({error})"),
                }
            }
            None => "it has no row in seal.types".to_owned(),
        };
        (known(name, self.signed), Standing::Broken(why), Promoted::default())
    }

    /// Options that came in parts.
    fn long_options(&self, name: &str) -> String {
        let (first, last) = ((name.to_owned(), 0), (name.to_owned(), u32::MAX));
        self.parts.range(first..=last).map(|(_, part)| part.as_str()).collect()
    }

    /// How far a definition can be believed: also all that its promoted paths are kept in must be as it says.
    fn standing(&self, def: &TypeDef) -> (Standing, Promoted) {
        let broken = |why: String| (Standing::Broken(why), Promoted::default());
        let listed = match paths::paths(def) {
            Ok(listed) => listed,
            Err(error) => return broken(format!("its promoted paths are not well formed ({error})")),
        };
        let Some(t) = self.by_name.get(def.name.as_str()) else { return broken("it is gone".to_owned()) };
        let actual = self.attributes_of(t);
        if listed.is_empty() {
            return (registry::standing(def, actual, self.signed), Promoted::default());
        }
        let Some(((of_row, rest), row)) = actual.split_last().zip(self.by_name.get(paths::row(def).as_str())) else {
            return broken("the composites of its promoted paths are not there".to_owned());
        };
        let standing = registry::standing(def, rest, self.signed);
        let mut wanted = Vec::with_capacity(listed.len());
        let mut kept = Vec::with_capacity(listed.len());
        for (number, path) in (1..).zip(&listed) {
            let own = paths::definition(def, number, path);
            let Some(t) = self.by_name.get(own.name.as_str()) else {
                return broken(format!("the composite of its promoted path {} is not there", path.shown()));
            };
            let attributes = registry::attributes(own.terms);
            let as_defined = self.attributes_of(t).iter().map(|(name, oid)| (name.as_str(), *oid)).eq(attributes);
            if !as_defined {
                return broken(format!(
                    "the attributes of its promoted path {} are not those of its definition",
                    path.shown()
                ));
            }
            wanted.push((paths::attribute(number), t.oid));
            let ty = self.made(t, own, standing.clone(), Promoted::default());
            let ty = Arc::new(EncType { whole: Some(def.id), ..ty });
            kept.push(PromotedPath { keys: path.keys.clone(), ty });
        }
        if self.attributes_of(row) != wanted || *of_row != ("p".to_owned(), row.oid) {
            return broken("the attributes of its promoted paths are not those of its definition".to_owned());
        }
        (standing, Promoted { row: row.oid, paths: kept })
    }
}

/// The fields of a registry row, which is read as a JSON array of texts: name, id, plain, terms, options, keyset.
type Fields = [Option<String>; 6];

fn fields(row: &str) -> Option<Fields> {
    serde_json::from_str::<Vec<Option<String>>>(row).ok()?.try_into().ok()
}

/// A part of options: of which type, its number, and its text.
fn part(row: &str) -> Option<((String, u32), String)> {
    let (name, number, text) = serde_json::from_str(row).ok()?;
    Some(((name, number), text))
}

fn from_row(row: &Fields, long_options: Option<&str>) -> Result<TypeDef, SchemaError> {
    let mut fields = row.each_ref().map(Option::as_deref);
    if long_options.is_some() {
        fields[4] = long_options;
    }
    registry::from_row(fields)
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
