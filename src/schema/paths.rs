//! Promoted paths of JSON: parts of a document that have search terms of their own, as if each stood in a column.
//!
//! A type's option `paths` lists them: `[{"keys": ["customer", "name"], "plain": "text", "terms": ["eq"]}]`. So the signed definition covers
//! them. In the database the value at a path is one of an encrypted type of its own, the composite `seal.NAME$N` for the N-th, whose
//! definition follows from the type's and has no signature or row in the registry. All of a document's stand in its attribute
//! `p`, a row of type `seal.NAME$paths` with the attributes `p1`, `p2` and so on.

use serde_json::{Value, json};
use uuid::Uuid;

use super::SchemaError;
use super::catalog::{Terms, TypeDef};
use super::registry::terms_of;
use crate::crypto::TypeId;
use crate::wire::value::PlainType;

/// Most paths of one type.
pub const MAX_PATHS: usize = 16;
/// Most keys of one path.
pub const MAX_KEYS: usize = 16;

/// Types that the text of a part can be cast to whatever the session's settings are.
const PLAINS: [PlainType; 11] = [
    PlainType::Text,
    PlainType::Int2,
    PlainType::Int4,
    PlainType::Int8,
    PlainType::Numeric,
    PlainType::Float4,
    PlainType::Float8,
    PlainType::Uuid,
    PlainType::Date,
    PlainType::Timestamp,
    PlainType::Timestamptz,
];

/// A promoted path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// Keys of objects, outermost first.
    pub keys: Vec<String>,
    /// The type that the text there is cast to.
    pub plain: PlainType,
    /// Its terms.
    pub terms: Terms,
}

impl Path {
    /// The path as it is shown: its keys with dots between.
    pub fn shown(&self) -> String {
        self.keys.join(".")
    }
}

/// The promoted paths of a type.
///
/// # Errors
/// The option is not as it should be.
pub fn paths(def: &TypeDef) -> Result<Vec<Path>, SchemaError> {
    let options: Value = serde_json::from_str(&def.options).map_err(|_| broken("options are not JSON"))?;
    let Some(list) = options.get("paths") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| broken("paths are no list"))?;
    if def.plain != PlainType::Jsonb || list.is_empty() || list.len() > MAX_PATHS {
        return Err(broken("paths are of one to 16 parts of a jsonb"));
    }
    let paths = list.iter().map(path).collect::<Result<Vec<Path>, SchemaError>>()?;
    let twice = |(n, one): (usize, &Path)| paths[..n].iter().any(|p| p.keys == one.keys && p.plain == one.plain);
    match paths.iter().enumerate().any(twice) {
        true => Err(broken("a path stands there twice")),
        false => Ok(paths),
    }
}

fn path(one: &Value) -> Result<Path, SchemaError> {
    let texts = |name: &str| -> Option<Vec<&str>> { one.get(name)?.as_array()?.iter().map(Value::as_str).collect() };
    let known = one.as_object().is_some_and(|fields| fields.len() == 3);
    let keys = texts("keys").filter(|_| known).ok_or_else(|| broken("a path has no keys"))?;
    if !(1..=MAX_KEYS).contains(&keys.len()) || !keys.iter().all(|key| is_key(key)) {
        return Err(broken("a path is of one to 16 keys of objects"));
    }
    let plain = one.get("plain").and_then(Value::as_str).and_then(PlainType::from_name);
    let plain = plain.filter(|plain| PLAINS.contains(plain)).ok_or_else(|| broken("a path of an unknown type"))?;
    let terms = terms_of(texts("terms").unwrap_or_default().into_iter())?;
    if terms.json || terms == Terms::default() || (terms.matching && plain != PlainType::Text) {
        return Err(broken("terms that a path cannot have"));
    }
    Ok(Path { keys: keys.into_iter().map(str::to_owned).collect(), plain, terms })
}

/// It is the key of an object alone, and never the number of an element of an array.
fn is_key(key: &str) -> bool {
    let number = key.trim_start().trim_start_matches(['+', '-']).trim_end();
    !key.is_empty() && (number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()))
}

/// The definition of the type of values at a path, the one with this number. `number` counts from 1.
///
/// Its id is the version 5 uuid, in the namespace of the type's own, of the path's canonical JSON: so the keys of its terms, and what its
/// envelopes are bound to, are those of no other type or path.
pub fn definition(def: &TypeDef, number: usize, path: &Path) -> TypeDef {
    let name = json!({ "keys": path.keys, "plain": path.plain.name() });
    let id = Uuid::new_v5(&Uuid::from_bytes(def.id.0), name.to_string().as_bytes());
    let handed_on = [("hardened", path.terms.ord), ("whole", path.terms.matching)].into_iter();
    let options = handed_on.filter(|(name, fits)| *fits && def.flag(name)).map(|(name, _)| (name, true));
    TypeDef {
        id: TypeId(*id.as_bytes()),
        name: composite(def, number),
        plain: path.plain,
        terms: path.terms,
        options: options.collect::<Value>().to_string(),
        keyset: def.keyset,
    }
}

/// The definitions of all of a type's paths; none of one whose paths are not as they should be.
pub fn definitions(def: &TypeDef) -> Vec<TypeDef> {
    let paths = paths(def).unwrap_or_default();
    (1..).zip(&paths).map(|(number, path)| definition(def, number, path)).collect()
}

/// The name of the composite of values at the path with this number.
pub fn composite(def: &TypeDef, number: usize) -> String {
    format!("{}${number}", def.name)
}

/// The name of the composite of all of them.
pub fn row(def: &TypeDef) -> String {
    format!("{}$paths", def.name)
}

/// The attribute of that composite that has the path with this number.
pub fn attribute(number: usize) -> String {
    format!("p{number}")
}

fn broken(why: &str) -> SchemaError {
    SchemaError::Definition(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::registry::from_row;

    fn def(options: &str) -> TypeDef {
        let id = "a0dac9e0-23c1-4975-85e3-47cb7254eaf1";
        from_row([Some("doc"), Some(id), Some("jsonb"), Some("json"), Some(options), None]).expect("well formed")
    }

    const TWO: &str = r#"{"paths":[{"keys":["total"],"plain":"numeric","terms":["ord"]},
        {"keys":["a","b.c"],"plain":"text","terms":["eq","ord","match"]}]}"#;

    #[test]
    fn paths_are_read() {
        assert_eq!(paths(&def("{}")).expect("none"), []);
        let read = paths(&def(TWO)).expect("two");
        assert_eq!(read.iter().map(Path::shown).collect::<Vec<_>>(), ["total", "a.b.c"]);
        assert_eq!((read[0].plain, read[0].terms.ord, read[0].terms.eq), (PlainType::Numeric, true, false));
    }

    #[test]
    fn what_is_no_list_of_paths_is_refused() {
        let path = r#"{"keys":["total"],"plain":"numeric","terms":["ord"]}"#;
        let with = |from: &str, to: &str| {
            let changed = path.replace(from, to);
            assert_ne!(changed, path);
            format!("[{changed}]")
        };
        for bad in [
            "[]".to_owned(),
            "7".to_owned(),
            format!("[{path},{path}]"),
            format!("[{}]", vec![path; 17].join(",")),
            with(r#"["total"]"#, "[]"),
            with(r#""total""#, r#""0""#),
            with(r#""total""#, r#"" -12""#),
            with(r#""total""#, r#""""#),
            with(r#""total""#, "1"),
            with("numeric", "jsonb"),
            with("numeric", "bool"),
            with("ord", "json"),
            with("ord", "match"),
            with(r#"["ord"]"#, "[]"),
            with(r#"["ord"]"#, r#"["ord","eq"]"#),
            with(r#""plain""#, r#""more":1,"plain""#),
        ] {
            assert!(paths(&def(&format!(r#"{{"paths":{bad}}}"#))).is_err(), "{bad}");
        }
        let of_text = TypeDef { plain: PlainType::Text, ..def(TWO) };
        assert!(paths(&of_text).is_err());
    }

    /// The ids are part of every stored value's context: they never change.
    #[test]
    fn definitions_follow_from_the_types() {
        let of = def(TWO);
        let all = paths(&of).expect("two");
        let made: Vec<TypeDef> = all.iter().enumerate().map(|(n, path)| definition(&of, n + 1, path)).collect();
        let ids: Vec<String> = made.iter().map(|d| d.id.to_string()).collect();
        assert_eq!(ids, ["41d24a63-3964-51c1-af6e-4d069dfc918e", "6b8ec151-d230-5df0-8e94-b909bf7ac69f"]);
        assert_eq!((made[1].name.as_str(), made[1].plain), ("doc$2", PlainType::Text));
        let other = TypeDef { id: TypeId([7; 16]), ..of.clone() };
        assert_ne!(definition(&other, 1, &all[0]).id, made[0].id);
    }
}
