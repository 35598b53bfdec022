//! The catalog snapshot: what analysis knows of a database. Immutable, shared, replaced as a whole.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::routine::Routine;
use super::snapshot::Facts;
use crate::crypto::envelope::Padding;
use crate::crypto::term::order::Digits;
use crate::crypto::{KeysetId, TypeId};
use crate::wire::value::PlainType;

/// A PostgreSQL object identifier.
pub type Oid = u32;

/// The search terms a type stores beside its envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Terms {
    /// Equality: attribute `eq uuid`.
    pub eq: bool,
    /// Order: attribute `ord bytea`.
    pub ord: bool,
    /// Match: attribute `m int4[]`.
    pub matching: bool,
    /// JSON: attribute `j int8[]`.
    pub json: bool,
}

impl Terms {
    /// Values can be compared by `=`.
    pub fn equal(self) -> bool {
        self.eq || self.ord
    }

    /// The attribute that comparisons and indexes use, and its type: one index then serves `=`, `<` and ORDER BY.
    pub fn compared(self) -> (&'static str, Oid) {
        match self.ord {
            true => ("ord", BYTEA),
            false => ("eq", UUID),
        }
    }
}

/// `bytea`.
const BYTEA: Oid = 17;
/// `uuid`.
const UUID: Oid = 2950;

/// How far a type definition can be believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Ready-made, or signed by the workspace and equal to what the database holds.
    Verified,
    /// Made by SQL alone; no signature yet.
    Unsigned,
    /// The database's copy differs from the signed one, or the composite from its definition.
    Broken(String),
}

/// Definition of an encrypted type, as the registry `seal.types` holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeDef {
    /// Cryptographic context.
    pub id: TypeId,
    /// Name within schema `seal`.
    pub name: String,
    /// What a value is once opened.
    pub plain: PlainType,
    /// Search terms it has.
    pub terms: Terms,
    /// Further options as canonical JSON (`{}` when none): padding, approximate, hardened, whole.
    pub options: String,
    /// The keyset that values of this type are always sealed under.
    pub keyset: Option<KeysetId>,
}

/// An encrypted type as one database has it, or the type of arrays of one: to analysis such an array is a value that is
/// stored and read, and has no terms of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EncType {
    /// OID of the composite, or of the array type.
    pub oid: Oid,
    /// OID of its array type; of an array's, its own.
    pub array_oid: Oid,
    /// Of an array's, the type of the elements.
    pub element: Option<Arc<EncType>>,
    /// OID of its plaintext type, as clients are told (25 for enum labels and citext unless the database has citext).
    pub plain_oid: Oid,
    /// OID of the array of its plaintext type.
    pub plain_array_oid: Oid,
    /// The definition.
    pub def: TypeDef,
    /// As which its values are printed: the definition's type, but for results of functions that give another.
    pub shown: PlainType,
    /// Digits of its order terms, as the definition says.
    pub digits: Digits,
    /// How its values are padded, as the definition says.
    pub padding: Padding,
    /// Whether its match terms have a token of the text as a whole, as the definition says.
    pub whole_text: bool,
    /// Whether it may be used.
    pub standing: Standing,
    /// Of values at a promoted path, the id of the documents' type.
    pub whole: Option<TypeId>,
    /// Paths of its documents that have terms of their own.
    pub promoted: Arc<Promoted>,
}

/// The promoted paths of a type.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Promoted {
    /// OID of the composite that all values at them stand in.
    pub row: Oid,
    /// They, in the order of its attributes.
    pub paths: Vec<PromotedPath>,
}

/// A path of documents that has terms of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromotedPath {
    /// Keys of objects, outermost first.
    pub keys: Vec<String>,
    /// The type of values there.
    pub ty: Arc<EncType>,
}

impl PromotedPath {
    /// The path as it is shown: its keys with dots between.
    pub fn shown(&self) -> String {
        self.keys.join(".")
    }
}

impl EncType {
    /// The type of arrays of it; of an array's it is the same one, as in PostgreSQL.
    pub fn array(self: &Arc<Self>) -> Arc<EncType> {
        if self.element.is_some() {
            return Arc::clone(self);
        }
        let def = TypeDef { terms: Terms::default(), ..self.def.clone() };
        let (oid, plain_oid, element) = (self.array_oid, self.plain_array_oid, Some(Arc::clone(self)));
        Arc::new(EncType { oid, plain_oid, def, element, ..EncType::clone(self) })
    }

    /// The type of single values: the elements' of an array's, else itself.
    pub fn single(self: &Arc<Self>) -> &Arc<EncType> {
        self.element.as_ref().unwrap_or(self)
    }

    /// It and the types of values at its promoted paths.
    pub fn sealed_with(&self) -> impl Iterator<Item = &EncType> {
        std::iter::once(self).chain(self.promoted.paths.iter().map(|path| &*path.ty))
    }

    /// The name of the type, of values at a promoted path that of the documents'.
    pub fn known_name(&self) -> &str {
        self.def.name.split('$').next().unwrap_or_default()
    }

    /// It is the type of arrays.
    pub fn is_array(&self) -> bool {
        self.element.is_some()
    }

    /// Where LIKE cannot be exact, what has a pattern's terms matches.
    pub fn approximate(&self) -> bool {
        self.def.flag("approximate")
    }
}

impl TypeDef {
    /// An option as JSON; null where it is not there.
    fn option(&self, name: &str) -> serde_json::Value {
        let mut options: serde_json::Value = serde_json::from_str(&self.options).unwrap_or_default();
        options.get_mut(name).map(serde_json::Value::take).unwrap_or_default()
    }

    /// Whether an option is true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.option(name).as_bool().unwrap_or(false)
    }

    /// Digits of order terms: longer ones with the option `hardened`.
    pub fn digits(&self) -> Digits {
        if self.flag("hardened") { Digits::Long } else { Digits::Short }
    }

    /// Whether match terms have a token of the text as a whole: not those of types that were made before there was one.
    pub fn whole_text(&self) -> bool {
        self.terms.matching && self.flag("whole")
    }

    /// Padding of values: text-like ones hide their exact length unless the options say otherwise.
    pub fn padding(&self) -> Padding {
        match self.option("padding").as_str() {
            Some("none") => return Padding::None,
            Some("16") => return Padding::To16,
            Some("padme") => return Padding::Padme,
            _ => {}
        }
        match self.plain {
            PlainType::Text
            | PlainType::Varchar
            | PlainType::Bpchar
            | PlainType::Citext
            | PlainType::Enum
            | PlainType::Json
            | PlainType::Jsonb
            | PlainType::Bytea => Padding::Padme,
            PlainType::Numeric => Padding::To16,
            _ => Padding::None,
        }
    }
}

/// What a relation is (`pg_class.relkind`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum RelationKind {
    Table,
    Partitioned,
    View,
    MaterializedView,
    Foreign,
    Composite,
    Sequence,
}

/// A column of a relation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Name.
    pub name: String,
    /// `pg_attribute.attnum`.
    pub attnum: i16,
    /// `pg_attribute.atttypid`.
    pub type_oid: Oid,
    /// The encrypted type, where the column has one (also through a domain: then `direct` is false).
    pub enc: Option<Arc<EncType>>,
    /// The column is of the encrypted type itself or of arrays of it, not of a domain or row that contains one.
    pub direct: bool,
    /// A view's column that may be made from an encrypted one but is not of its type, or a column whose type
    /// contains an encrypted type in another way. Statements that use it are refused.
    pub tainted: bool,
    /// `pg_attribute.attgenerated` is set.
    pub generated: bool,
}

/// An index of a relation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Index {
    /// Name; its schema is the relation's.
    pub name: String,
    /// It is the relation's primary key.
    pub primary: bool,
    /// Of a unique index without condition over terms of encrypted columns, which stands for a constraint: what it keeps
    /// unique. Else empty.
    pub unique: Vec<Key>,
}

/// A column that an index is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Name of the column.
    pub column: String,
    /// The term of it that the index holds, where the column is encrypted.
    pub term: Option<&'static str>,
}

/// A relation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relation {
    /// OID.
    pub oid: Oid,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: RelationKind,
    /// Live columns by attribute number.
    pub columns: Vec<Column>,
    /// Indexes, those of constraints included.
    pub indexes: Vec<Index>,
    /// In the closure of encrypted columns: has one, or is a view, rule, child or parent over one.
    pub touching: bool,
    /// Why every statement on this relation is refused, where it is (a pin that does not hold).
    pub alarm: Option<String>,
}

/// Everything analysis needs of one database at one moment.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// Grows with every snapshot of this process; part of every plan's cache key.
    pub version: u64,
    /// Version of the installed `seal` schema, if any.
    pub seal_version: Option<u32>,
    /// Encrypted types by OID of the composite.
    pub types: HashMap<Oid, Arc<EncType>>,
    /// Types of arrays of them, by OID.
    pub array_types: HashMap<Oid, Arc<EncType>>,
    /// Relations by (schema, name), system schemas included.
    pub relations: HashMap<String, HashMap<String, Arc<Relation>>>,
    /// Bare names of every relation of the closure, in any schema: a statement that names none of them (and no
    /// touching type or function) is untouched whatever the search_path.
    pub touching_names: HashSet<String>,
    /// Bare names of types that are or contain an encrypted type: the composites, their domains, arrays (`_email`),
    /// and row types of the closure. Some are names of `pg_catalog` too (`text`, `_int4`): those mean an encrypted type
    /// only when qualified with `seal`, or with `seal` before `pg_catalog` in the search_path.
    pub touching_types: HashSet<String>,
    /// The types of those names: what is or contains an encrypted type, and row types of the closure.
    pub containing: HashSet<Oid>,
    /// Bare names of functions and procedures that touch the closure, run dynamic SQL, or take or return an encrypted type.
    pub touching_functions: HashSet<String>,
    /// All functions and procedures of those names.
    pub routines: HashMap<String, Vec<Arc<Routine>>>,
    /// Bare names of functions outside pg_catalog that may change search_path or run arbitrary SQL text.
    pub unknown_functions: HashSet<String>,
    /// Type OID to (schema, name), for errors and casts; user and system types.
    pub type_names: HashMap<Oid, (String, String)>,
    /// Keys of promoted paths.
    pub promoted_keys: HashSet<String>,
    /// What the snapshot keeps so that the closure can be computed again once pins are checked.
    pub facts: Arc<Facts>,
}

impl Index {
    /// It is a primary key, or stands for one, as its name then tells.
    pub fn is_primary(&self) -> bool {
        self.primary || (!self.unique.is_empty() && self.name.ends_with("_pkey"))
    }
}

impl Relation {
    /// The unique index of this name over encrypted columns.
    pub fn unique(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|i| i.name == name && !i.unique.is_empty())
    }
}

impl Catalog {
    /// The relation of this schema and name.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Arc<Relation>> {
        self.relations.get(schema)?.get(name)
    }

    /// The relation whose rows are of this type.
    pub fn relation_of_type(&self, oid: Oid) -> Option<&Arc<Relation>> {
        let (schema, name) = self.type_names.get(&oid)?;
        self.relation(schema, name)
    }

    /// Some relation has an encrypted column of this name.
    pub fn is_encrypted_somewhere(&self, name: &str) -> bool {
        let relations = self.relations.values().flat_map(HashMap::values);
        relations.filter(|r| r.touching).flat_map(|r| &r.columns).any(|c| c.enc.is_some() && c.name == name)
    }

    /// A literal of this text may be a step of a promoted path, or the path.
    pub fn may_name_path(&self, text: &str) -> bool {
        !self.promoted_keys.is_empty() && (text.starts_with('{') || self.promoted_keys.contains(text))
    }

    /// No encrypted type is used anywhere: every statement is untouched.
    pub fn is_plain(&self) -> bool {
        self.touching_names.is_empty() && self.types.is_empty()
    }
}
