//! Type definitions: canonical text, ready-made types, and whether a database's copy can be believed.
//!
//! A definition is signed and compared as canonical JSON: one object, keys in alphabetical order, no white space:
//!
//! ```text
//! {"id":"<uuid>","keyset":null,"name":"email","options":{},"plain":"text","terms":["eq"],"v":1}
//! ```
//!
//! `options` has its keys sorted likewise, at every depth. `terms` stand in the order eq, ord, match, json.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use uuid::{Uuid, uuid};

use super::SchemaError;
use super::catalog::{Oid, Standing, Terms, TypeDef};
use crate::crypto::{KeysetId, TypeId};
use crate::wire::value::PlainType;

/// Namespace of ready-made types' ids: the id of `seal.text_eq` is the version 5 uuid of `text_eq` in it, in
/// every database and workspace. It is itself the version 5 uuid of `columnseal:ready-made-types:v1` in the URL namespace.
pub const READY_MADE_NAMESPACE: Uuid = uuid!("cc718d9b-e9c3-548e-b1a6-a0822101e8bd");

/// Longest canonical definition that is read, in bytes.
pub const MAX_DEFINITION: usize = 16 * 1024;

const VERSION: u64 = 1;

/// Options that this version knows.
const OPTIONS: [&str; 5] = ["approximate", "hardened", "padding", "paths", "whole"];

/// No options.
const NONE: &str = "{}";

/// Those of a type whose match terms have a token of the text as a whole.
const WHOLE: &str = r#"{"whole":true}"#;

/// The ready-made types of this version: storage, and with equality, with order, with match, and with match or json and equality,
/// where the plaintext type has them.
pub fn ready_made() -> &'static [TypeDef] {
    static READY: OnceLock<Vec<TypeDef>> = OnceLock::new();
    READY.get_or_init(|| {
        PlainType::all()
            .flat_map(|kind| {
                let stored = ready(kind.name().to_owned(), kind, Terms::default());
                let eq = Terms { eq: true, ..Terms::default() };
                let equal = kind.has_equality().then(|| ready(format!("{}_eq", kind.name()), kind, eq));
                // The order of a bool is its value.
                let ordered = (kind.has_order() && kind != PlainType::Bool)
                    .then(|| ready(format!("{}_ord", kind.name()), kind, Terms { ord: true, ..eq }));
                let search = |name: &str, eq| {
                    let terms = Terms { matching: true, eq, ..Terms::default() };
                    kind.has_match().then(|| ready(format!("{}_{name}", kind.name()), kind, terms))
                };
                let (matched, searched) = (search("match", false), search("search", true));
                let documents = (kind == PlainType::Jsonb)
                    .then(|| ready(format!("{}_search", kind.name()), kind, Terms { json: true, ..eq }));
                std::iter::once(stored).chain(equal).chain(ordered).chain(matched).chain(searched).chain(documents)
            })
            .collect()
    })
}

fn ready(name: String, plain: PlainType, terms: Terms) -> TypeDef {
    let id = TypeId(*Uuid::new_v5(&READY_MADE_NAMESPACE, name.as_bytes()).as_bytes());
    let options = if terms.matching { WHOLE } else { NONE };
    TypeDef { id, name, plain, terms, options: options.to_owned(), keyset: None }
}

/// A row is that of a ready-made type. Those with match terms have no options in databases of a version before there were
/// tokens of texts as a whole.
fn is_ready(def: &TypeDef, ready: &TypeDef) -> bool {
    def == ready || (def.options == NONE && *ready == TypeDef { options: ready.options.clone(), ..def.clone() })
}

/// The bytes of a definition that are signed.
pub fn canonical(def: &TypeDef) -> Result<String, SchemaError> {
    let options: Value = serde_json::from_str(&def.options).map_err(|_| broken("options are not JSON"))?;
    let value = json!({
        "id": def.id.to_string(),
        "keyset": def.keyset.map(|k| k.to_string()),
        "name": def.name,
        "options": options,
        "plain": def.plain.name(),
        "terms": terms_list(def.terms),
        "v": VERSION,
    });
    Ok(sorted(value).to_string())
}

/// Reads canonical bytes; what is not canonical is refused.
pub fn parse(text: &str) -> Result<TypeDef, SchemaError> {
    if text.len() > MAX_DEFINITION {
        return Err(broken("longer than 16 KiB"));
    }
    let value: Value = serde_json::from_str(text).map_err(|_| broken("not JSON"))?;
    let field =
        |name: &str| value.get(name).and_then(Value::as_str).ok_or_else(|| broken(&format!("no text {name:?}")));
    if value.get("v") != Some(&Value::from(VERSION)) {
        return Err(broken("of another version"));
    }
    let terms = value.get("terms").and_then(Value::as_array).ok_or_else(|| broken("no list of terms"))?;
    let keyset = match value.get("keyset") {
        Some(Value::Null) => None,
        _ => Some(field("keyset")?),
    };
    let def = TypeDef {
        id: field("id")?.parse().map_err(|_| broken("the id is not a uuid"))?,
        name: field("name")?.to_owned(),
        plain: plain_type(field("plain")?)?,
        terms: terms_of(terms.iter().map(|t| t.as_str().unwrap_or_default()))?,
        options: options_text(value.get("options"))?,
        keyset: keyset.map(keyset_id).transpose()?,
    };
    if canonical(&def)? != text {
        return Err(broken("not in canonical form"));
    }
    Ok(def)
}

/// A row of `seal.types` as text: name, id, plain, terms (with commas), options, keyset.
pub fn from_row(row: [Option<&str>; 6]) -> Result<TypeDef, SchemaError> {
    let [name, id, plain, terms, options, keyset] = row;
    let (Some(name), Some(id), Some(plain), Some(terms), Some(options)) = (name, id, plain, terms, options) else {
        return Err(broken("a field is NULL"));
    };
    let options: Value = serde_json::from_str(options).map_err(|_| broken("options are not JSON"))?;
    Ok(TypeDef {
        id: id.parse().map_err(|_| broken("the id is not a uuid"))?,
        name: name.to_owned(),
        plain: plain_type(plain)?,
        terms: terms_of(terms.split(',').filter(|t| !t.is_empty()))?,
        options: options_text(Some(&options))?,
        keyset: keyset.map(keyset_id).transpose()?,
    })
}

/// Terms as words, in canonical order.
pub fn terms_list(terms: Terms) -> Vec<&'static str> {
    let has = [(terms.eq, "eq"), (terms.ord, "ord"), (terms.matching, "match"), (terms.json, "json")];
    has.into_iter().filter(|(has, _)| *has).map(|(_, word)| word).collect()
}

/// Attributes that the composite of a type with these terms has, in order: name and type OID.
pub fn attributes(terms: Terms) -> Vec<(&'static str, Oid)> {
    let optional =
        [(terms.eq, ("eq", 2950)), (terms.ord, ("ord", 17)), (terms.matching, ("m", 1007)), (terms.json, ("j", 1016))];
    let fixed = [("v", 114), ("c", 17)];
    fixed.into_iter().chain(optional.into_iter().filter(|(has, _)| *has).map(|(_, attribute)| attribute)).collect()
}

/// Compares what a database says of a type with what is known of it: the ready-made or signed definition, and the
/// attributes that its composite really has (name and type OID, dropped ones left out).
pub fn standing(def: &TypeDef, actual: &[(String, Oid)], signed: &[(TypeId, String)]) -> Standing {
    if let Some(option) = unknown_option(def) {
        return Standing::Broken(format!("this version does not know its option {option}"));
    }
    let wanted = attributes(def.terms);
    if !actual.iter().map(|(name, oid)| (name.as_str(), *oid)).eq(wanted.iter().copied()) {
        return Standing::Broken(format!(
            "the attributes of the composite seal.{} are not those of its definition",
            def.name
        ));
    }
    let ready = ready_made().iter().find(|r| r.id == def.id || r.name == def.name);
    if let Some(ready) = ready {
        return match is_ready(def, ready) {
            true => Standing::Verified,
            false => Standing::Broken(format!("its row in seal.types differs from the ready-made type {}", ready.name)),
        };
    }
    let Some((_, text)) = signed.iter().find(|(id, _)| *id == def.id) else {
        return Standing::Unsigned;
    };
    match canonical(def) {
        Ok(own) if own == *text => Standing::Verified,
        _ => Standing::Broken("its row in seal.types differs from the signed definition".to_owned()),
    }
}

/// An option that says what values hold, but not to this version, which would store others.
fn unknown_option(def: &TypeDef) -> Option<String> {
    let options: Map<String, Value> = serde_json::from_str(&def.options).unwrap_or_default();
    options.into_iter().map(|(name, _)| name).find(|name| !OPTIONS.contains(&name.as_str()))
}

fn plain_type(name: &str) -> Result<PlainType, SchemaError> {
    PlainType::from_name(name).ok_or_else(|| broken("unknown plaintext type"))
}

fn keyset_id(text: &str) -> Result<KeysetId, SchemaError> {
    text.parse().map_err(|_| broken("the keyset is not a uuid"))
}

/// Words to terms: each at most once, in canonical order.
pub(super) fn terms_of<'a>(words: impl Iterator<Item = &'a str>) -> Result<Terms, SchemaError> {
    let words: Vec<&str> = words.collect();
    let has = |word: &str| words.contains(&word);
    let terms = Terms { eq: has("eq"), ord: has("ord"), matching: has("match"), json: has("json") };
    if terms_list(terms) != words {
        return Err(broken("unknown terms, or terms out of order"));
    }
    Ok(terms)
}

fn options_text(options: Option<&Value>) -> Result<String, SchemaError> {
    match options {
        Some(value @ Value::Object(_)) => Ok(sorted(value.clone()).to_string()),
        _ => Err(broken("options are not an object")),
    }
}

/// Keys in alphabetical order at every depth, whatever order the map type keeps.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(entries.into_iter().map(|(k, v)| (k, sorted(v))).collect::<Map<_, _>>())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn broken(why: &str) -> SchemaError {
    SchemaError::Definition(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a0dac9e0-23c1-4975-85e3-47cb7254eaf1";

    fn email() -> TypeDef {
        let row = [
            Some("email"),
            Some(ID),
            Some("text"),
            Some("eq"),
            Some(r#"{"padding": "none", "a": {"z": 1, "b": 2}}"#),
            None,
        ];
        from_row(row).expect("well formed")
    }

    #[test]
    fn canonical_text_is_fixed() {
        let text = format!(
            r#"{{"id":"{ID}","keyset":null,"name":"email","options":{{"a":{{"b":2,"z":1}},"padding":"none"}},"plain":"text","terms":["eq"],"v":1}}"#
        );
        assert_eq!(canonical(&email()).expect("options are JSON"), text);
        assert_eq!(parse(&text).expect("canonical"), email());
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        let good = canonical(&email()).expect("options are JSON");
        for (from, to) in [
            ("{\"id\"", "{ \"id\""),
            ("\"eq\"", "\"eq\",\"eq\""),
            ("\"eq\"", "\"ord\",\"eq\""),
            ("\"eq\"", "\"other\""),
            ("\"eq\"", "1"),
            ("\"text\"", "\"point\""),
            ("\"name\":\"email\",", ""),
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"w\":1"),
            ("null", "\"\""),
            ("null", "7"),
            ("a0dac9e0", "A0DAC9E0"),
            ("a0dac9e0", "a0dac9"),
            ("\"b\":2,\"z\":1", "\"z\":1,\"b\":2"),
            ("\"padding\":\"none\"", "\"padding\":\"none\",\"padding\":\"none\""),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert!(parse(&bad).is_err(), "{bad}");
        }
        for text in
            ["", "null", "[]", "{}", "{\"v\":1}", &good[1..], &format!("{good}{good}"), &" ".repeat(MAX_DEFINITION + 1)]
        {
            assert!(parse(text).is_err(), "{text:.40}");
        }
    }

    #[test]
    fn rows_that_are_not_well_formed_are_refused() {
        let row = [Some("email"), Some(ID), Some("text"), Some("eq"), Some("{}"), None];
        let bad: [(usize, Option<&str>); 9] = [
            (0, None),
            (1, Some("x")),
            (2, Some("point")),
            (3, Some("eq,eq")),
            (3, Some("match,eq")),
            (3, Some("eq, ord")),
            (4, Some("[]")),
            (4, Some("{")),
            (5, Some("default")),
        ];
        for (index, value) in bad {
            let mut row = row;
            row[index] = value;
            assert!(from_row(row).is_err(), "{index} {value:?}");
        }
    }

    /// The ids are part of every stored value's context: they never change.
    #[test]
    fn ready_made_ids_are_fixed() {
        let url = Uuid::new_v5(&Uuid::NAMESPACE_URL, b"columnseal:ready-made-types:v1");
        assert_eq!(url, READY_MADE_NAMESPACE);
        let id = |name: &str| ready_made().iter().find(|d| d.name == name).map(|d| d.id.to_string());
        assert_eq!(id("text_eq").as_deref(), Some("58ddbe18-a2fa-5b3d-a539-68fdfe7c05b7"));
        assert_eq!(id("int8").as_deref(), Some("1d4220a8-d60e-569a-aa4e-c8b8bd259893"));
        assert_eq!(id("json_eq"), None);
        assert_eq!(id("json_ord"), None);
        assert_eq!(ready_made().len(), 76);
        assert_eq!(id("json_search"), None);
        assert_eq!(id("int8_match"), None);
    }

    #[test]
    fn standing_believes_only_what_matches() {
        let def = TypeDef { options: r#"{"padding":"none"}"#.to_owned(), ..email() };
        let attributes =
            |def: &TypeDef| attributes(def.terms).into_iter().map(|(n, o)| (n.to_owned(), o)).collect::<Vec<_>>();
        let actual = attributes(&def);
        let signed = vec![(def.id, canonical(&def).expect("options are JSON"))];
        assert_eq!(standing(&def, &actual, &signed), Standing::Verified);
        assert_eq!(standing(&def, &actual, &[]), Standing::Unsigned);
        let renamed = TypeDef { name: "mail".to_owned(), ..def.clone() };
        assert!(matches!(standing(&renamed, &actual, &signed), Standing::Broken(_)));
        let newer = TypeDef { options: r#"{"folded":true}"#.to_owned(), ..def.clone() };
        let signed_so = vec![(newer.id, canonical(&newer).expect("options are JSON"))];
        let standing_so = standing(&newer, &actual, &signed_so);
        assert_eq!(standing_so, Standing::Broken("this version does not know its option folded".to_owned()));
        for older in ready_made() {
            let older = TypeDef { options: "{}".to_owned(), ..older.clone() };
            assert_eq!(standing(&older, &attributes(&older), &[]), Standing::Verified, "{}", older.name);
            let other = TypeDef { options: r#"{"whole":false}"#.to_owned(), ..older };
            assert!(matches!(standing(&other, &attributes(&other), &[]), Standing::Broken(_)), "{}", other.name);
        }
        let posing = TypeDef { id: def.id, ..ready_made()[0].clone() };
        assert!(matches!(standing(&posing, &attributes(&posing), &signed), Standing::Broken(_)));
        for broken in [&actual[1..], &actual[..2], &[actual.clone(), actual.clone()].concat()] {
            assert!(matches!(standing(&def, broken, &signed), Standing::Broken(_)));
        }
    }
}
