//! Whether a tree touches anything encrypted: every name in it, wherever it stands.
//!
//! The tree is walked through its serialisation, so that no node type can be forgotten.

use serde::ser::{self, Impossible, Serialize};

use super::analyzer::{Analyzer, lookup};
use super::types::{is_builtin, is_plain};
use super::untouched::runs_sql;

/// Names found in a tree.
#[derive(Default)]
pub(super) struct Names {
    /// (schema, name) of every relation.
    relations: Vec<(String, String)>,
    /// Where relations stand is wanted.
    placed: bool,
    /// Items of FROM lists that name a relation.
    pub(super) items: Vec<Item>,
    /// Names of common table expressions.
    pub(super) ctes: Vec<String>,
    /// Rows are locked.
    pub(super) locks: bool,
    /// Names of types, by their parts.
    types: Vec<Vec<String>>,
    /// Names of functions, by their parts.
    functions: Vec<Vec<String>>,
    /// Parts of the name that is read.
    parts: Vec<String>,
}

/// An item of a FROM list that names a relation.
#[derive(Clone, Default)]
pub(super) struct Item {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) location: i32,
    pub(super) aliased: bool,
    /// ONLY.
    pub(super) only: bool,
}

impl Names {
    /// All names of a tree. `placed`: and the items of FROM.
    pub(super) fn of(node: &impl Serialize, placed: bool) -> Option<Names> {
        let mut names = Names { placed, ..Names::default() };
        node.serialize(Walker { names: &mut names, collect: false, item: false }).ok().map(|()| names)
    }
}

impl Analyzer<'_> {
    /// Whether any relation, type or function that the tree names is (or may be) of the closure.
    pub(super) fn touches(&self, node: &impl Serialize) -> bool {
        let Some(names) = Names::of(node, false) else { return true };
        let relation = |(schema, name): &(String, String)| {
            let found = lookup(self.catalog, self.session, schema, name);
            found.map_or_else(|| self.catalog.touching_names.contains(name), |r| r.touching)
        };
        let path = self.session.search_path.unwrap_or_default();
        let place = |schema: &str| path.iter().position(|s| s == schema);
        let sealed_first = place("seal").is_some_and(|seal| place("pg_catalog").is_some_and(|own| seal < own));
        let other = |name: &Vec<String>| {
            let Some((last, qualifiers)) = name.split_last() else { return false };
            let element = last.strip_prefix('_').unwrap_or(last);
            let own = match qualifiers.last() {
                Some(schema) => schema == "pg_catalog",
                None => is_builtin(element) && !sealed_first,
            };
            let types = &self.catalog.touching_types;
            !own && (types.contains(last) || types.contains(element) || self.catalog.touching_functions.contains(last))
                || runs_sql(last)
        };
        let of_type = |name: &Vec<String>| other(name) && !is_plain(name, self.catalog, self.session);
        names.relations.iter().any(relation) || names.types.iter().any(of_type) || names.functions.iter().any(other)
    }
}

/// A serializer that keeps names and drops everything else.
struct Walker<'n> {
    names: &'n mut Names,
    /// Strings below are parts of a type's or function's name.
    collect: bool,
    /// It is an element of a list: a relation is an item of FROM.
    item: bool,
}

/// A struct (or sequence) being walked.
struct Fields<'n> {
    names: &'n mut Names,
    collect: bool,
    of: &'static str,
    item: bool,
    found: Item,
}

/// Serialisation cannot fail.
#[derive(Debug)]
struct Never;

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cannot be walked")
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Never
    }
}

macro_rules! ignore {
    ($($method:ident: $type:ty),*) => { $(fn $method(self, _: $type) -> Result<(), Never> { Ok(()) })* };
}

impl<'n> ser::Serializer for Walker<'n> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Fields<'n>;
    type SerializeTuple = Impossible<(), Never>;
    type SerializeTupleStruct = Impossible<(), Never>;
    type SerializeTupleVariant = Impossible<(), Never>;
    type SerializeMap = Impossible<(), Never>;
    type SerializeStruct = Fields<'n>;
    type SerializeStructVariant = Impossible<(), Never>;

    ignore!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_u8: u8,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64, serialize_char: char,
        serialize_bytes: &[u8], serialize_unit_struct: &'static str);

    fn serialize_str(self, v: &str) -> Result<(), Never> {
        if self.collect {
            self.names.parts.push(v.to_string());
        }
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Never> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(Walker { item: variant == "RangeVar", ..self })
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Fields<'n>, Never> {
        Ok(Fields { names: self.names, collect: self.collect, of: "", item: false, found: Item::default() })
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Never> {
        Err(Never)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Never> {
        Err(Never)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Never> {
        Err(Never)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Never> {
        Err(Never)
    }

    fn serialize_struct(self, of: &'static str, _: usize) -> Result<Fields<'n>, Never> {
        self.names.locks |= of == "LockingClause";
        Ok(Fields { names: self.names, collect: self.collect, of, item: self.item, found: Item::default() })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Never> {
        Err(Never)
    }
}

impl Fields<'_> {
    fn capture<T: Serialize + ?Sized>(value: &T) -> Result<String, Never> {
        let mut names = Names::default();
        value.serialize(Walker { names: &mut names, collect: true, item: false })?;
        Ok(names.parts.pop().unwrap_or_default())
    }

    fn number<T: Serialize + ?Sized>(value: &T) -> i32 {
        serde_json::to_value(value).ok().and_then(|n| n.as_i64()).and_then(|n| n.try_into().ok()).unwrap_or(-1)
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Never> {
        match (self.of, key) {
            ("RangeVar", "schemaname") => self.found.schema = Self::capture(value)?,
            ("RangeVar", "relname") => self.found.name = Self::capture(value)?,
            ("RangeVar", _) if !self.names.placed => {}
            ("RangeVar", "location") => self.found.location = Self::number(value),
            ("RangeVar", "alias") => self.found.aliased = serde_json::to_value(value).is_ok_and(|v| !v.is_null()),
            ("RangeVar", "inh") => self.found.only = serde_json::to_value(value).is_ok_and(|v| v == false),
            ("RangeVar", _) => {}
            ("CommonTableExpr", "ctename") if self.names.placed => self.names.ctes.push(Self::capture(value)?),
            _ => {
                let of_type = (self.of, key) == ("TypeName", "names");
                let naming = of_type || key == "funcname";
                let collect = naming || (self.collect && matches!(self.of, "Node" | "String" | ""));
                value.serialize(Walker { names: self.names, collect, item: false })?;
                if naming {
                    let name = std::mem::take(&mut self.names.parts);
                    // `relation.column%TYPE` is written as a type's name.
                    if let [before @ .., relation, _] = name.as_slice() {
                        let schema = before.last().cloned().unwrap_or_default();
                        self.names.relations.push((schema, relation.clone()));
                    }
                    if of_type { &mut self.names.types } else { &mut self.names.functions }.push(name);
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Never> {
        if self.of == "RangeVar" {
            if self.item && self.names.placed {
                self.names.items.push(self.found.clone());
            }
            self.names.relations.push((self.found.schema, self.found.name));
        }
        Ok(())
    }
}

impl ser::SerializeSeq for Fields<'_> {
    type Ok = ();
    type Error = Never;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(Walker { names: self.names, collect: self.collect, item: false })
    }

    fn end(self) -> Result<(), Never> {
        Ok(())
    }
}
