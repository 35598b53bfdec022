//! Names of types: which casts are the identity, which may be dropped around a value that is sealed.

use std::sync::Arc;

use pg_query::protobuf::TypeName;

use super::plan::SessionState;
use super::tree::string;
use crate::schema::catalog::{Catalog, EncType, Oid};
pub(super) use crate::schema::name::always_quoted;
use crate::schema::name::quoted;
use crate::wire::value::{Digits, PlainType};

/// Built-in types that values may be cast to: name, OID, OID of the array.
const BUILTIN: &[(&str, Oid, Oid, PlainType)] = &[
    ("bool", 16, 1000, PlainType::Bool),
    ("int2", 21, 1005, PlainType::Int2),
    ("int4", 23, 1007, PlainType::Int4),
    ("int8", 20, 1016, PlainType::Int8),
    ("float4", 700, 1021, PlainType::Float4),
    ("float8", 701, 1022, PlainType::Float8),
    ("numeric", 1700, 1231, PlainType::Numeric),
    ("text", 25, 1009, PlainType::Text),
    ("varchar", 1043, 1015, PlainType::Varchar),
    ("bpchar", 1042, 1014, PlainType::Bpchar),
    ("uuid", 2950, 2951, PlainType::Uuid),
    ("date", 1082, 1182, PlainType::Date),
    ("time", 1083, 1183, PlainType::Time),
    ("timetz", 1266, 1270, PlainType::Timetz),
    ("timestamp", 1114, 1115, PlainType::Timestamp),
    ("timestamptz", 1184, 1185, PlainType::Timestamptz),
    ("interval", 1186, 1187, PlainType::Interval),
    ("bytea", 17, 1001, PlainType::Bytea),
    ("json", 114, 199, PlainType::Json),
    ("jsonb", 3802, 3807, PlainType::Jsonb),
    ("inet", 869, 1041, PlainType::Inet),
    ("cidr", 650, 651, PlainType::Cidr),
];

/// OID of what has no type of its own.
pub(super) const UNKNOWN: Oid = 705;

/// The type of the term that comparisons use.
pub(super) fn term_name(ty: &EncType) -> &'static str {
    if ty.def.terms.ord { "pg_catalog.bytea" } else { "pg_catalog.uuid" }
}

/// What a type name in the client's text means.
#[derive(Clone, Debug)]
pub(super) enum Named {
    /// A built-in type that plaintext types know.
    Builtin {
        plain: PlainType,
        oid: Oid,
        array: bool,
        /// It has a length or precision that may change the value.
        modified: bool,
        /// What that is, for a numeric.
        digits: Option<Digits>,
    },
    /// An encrypted type.
    Enc(Arc<EncType>),
    /// An array of an encrypted type.
    EncArray(Arc<EncType>),
    /// A type that contains an encrypted one in another way.
    Touching,
    /// Any other type, by its name.
    Other,
}

/// What this type name means in this session.
pub(super) fn named(name: &TypeName, catalog: &Catalog, session: &SessionState<'_>) -> Named {
    let parts: Vec<&str> = name.names.iter().filter_map(string).collect();
    let Some((&last, qualifiers)) = parts.split_last() else { return Named::Other };
    let array = !name.array_bounds.is_empty();
    let schema = qualifiers.last().copied();
    let element = last.strip_prefix('_').unwrap_or(last);
    if catalog.touching_types.contains(last) || catalog.touching_types.contains(element) || name.pct_type {
        if let Some(named) = touching(schema, last, array, catalog, session) {
            return named;
        }
    }
    if schema.is_some_and(|s| s != "pg_catalog") {
        return Named::Other;
    }
    match BUILTIN.iter().find(|t| t.0 == last) {
        Some(&(_, oid, array_oid, plain)) => {
            let (oid, modified) = (if array { array_oid } else { oid }, modifies(name, plain));
            let digits = if plain == PlainType::Numeric && !array { digits(name) } else { None };
            Named::Builtin { plain, oid, array, modified, digits }
        }
        None => Named::Other,
    }
}

/// Whether the name of a type that another has which touches means one that has nothing to do with encrypted types here.
pub(super) fn is_plain(parts: &[String], catalog: &Catalog, session: &SessionState<'_>) -> bool {
    let Some((name, qualifiers)) = parts.split_last() else { return false };
    let schema = qualifiers.last().map(String::as_str);
    matches!(touching(schema, name, false, catalog, session), None | Some(Named::Other))
}

/// What a name means that is (somewhere) the name of an encrypted type or of one that contains one. `None`: a type
/// that has nothing to do with them.
fn touching(
    schema: Option<&str>,
    name: &str,
    array: bool,
    catalog: &Catalog,
    session: &SessionState<'_>,
) -> Option<Named> {
    match schema {
        Some("pg_catalog") => None,
        Some(schema) => Some(in_schema(schema, name, array, catalog).unwrap_or(Named::Touching)),
        None => {
            let path = session.search_path.unwrap_or_default();
            for schema in path {
                if schema == "pg_catalog" {
                    if is_builtin(name) || catalog.type_names.values().any(|(s, n)| s == "pg_catalog" && n == name) {
                        return None;
                    }
                } else if let Some(found) = in_schema(schema, name, array, catalog) {
                    return Some(found);
                }
            }
            Some(Named::Touching)
        }
    }
}

fn in_schema(schema: &str, name: &str, array: bool, catalog: &Catalog) -> Option<Named> {
    if schema == "seal" {
        let find = |name: &str| catalog.types.values().find(|t| t.def.name == name).cloned();
        if let Some(found) = find(name) {
            return Some(if array { Named::EncArray(found) } else { Named::Enc(found) });
        }
        if let Some(found) = name.strip_prefix('_').and_then(find) {
            return Some(if array { Named::Touching } else { Named::EncArray(found) });
        }
    }
    if let Some(relation) = catalog.relation(schema, name.strip_prefix('_').unwrap_or(name)) {
        return Some(if relation.touching { Named::Touching } else { Named::Other });
    }
    let (oid, _) = catalog.type_names.iter().find(|(_, (s, n))| s == schema && n == name)?;
    // An extension's citext has the name of a ready-made type, and nothing else of it.
    Some(if catalog.containing.contains(oid) { Named::Touching } else { Named::Other })
}

/// A built-in type that plaintext types know, by its bare name.
pub(super) fn is_builtin(name: &str) -> bool {
    BUILTIN.iter().any(|t| t.0 == name)
}

/// Modifiers that are not the type's widest.
fn modifies(name: &TypeName, plain: PlainType) -> bool {
    if name.typmods.is_empty() {
        return false;
    }
    let widest = matches!(plain, PlainType::Time | PlainType::Timetz | PlainType::Timestamp | PlainType::Timestamptz);
    !(widest && name.typmods.len() == 1 && super::tree::int_const(&name.typmods[0]) == Some(6))
}

/// Precision and scale, as far as every version of PostgreSQL takes them.
fn digits(name: &TypeName) -> Option<Digits> {
    let given = |node| super::tree::int_const(node).and_then(|n| u16::try_from(n).ok());
    let (precision, scale) = match name.typmods.as_slice() {
        [precision] => (given(precision)?, 0),
        [precision, scale] => (given(precision)?, given(scale)?),
        _ => return None,
    };
    (1..=1000).contains(&precision).then_some(Digits { precision, scale }).filter(|d| d.scale <= d.precision)
}

/// Types whose values convert into one another by assignment without a decision of ours.
fn family(plain: PlainType) -> u8 {
    use PlainType::*;
    match plain {
        Bool => 0,
        Int2 | Int4 | Int8 | Float4 | Float8 | Numeric => 1,
        Text | Varchar | Bpchar | Citext | Enum => 2,
        Uuid => 3,
        Date | Timestamp | Timestamptz => 4,
        Time | Timetz => 5,
        Interval => 6,
        Bytea => 7,
        Json | Jsonb => 8,
        Inet | Cidr => 9,
    }
}

/// A built-in type without modifiers, by what it holds.
pub(super) fn builtin(plain: PlainType) -> Option<Named> {
    let found = BUILTIN.iter().find(|t| t.3 == plain)?;
    Some(Named::Builtin { plain, oid: found.1, array: false, modified: false, digits: None })
}

/// What a built-in type of this OID, or an array of it, is.
pub(super) fn named_by(oid: Oid) -> Option<Named> {
    let found = BUILTIN.iter().find(|t| t.1 == oid || t.2 == oid)?;
    Some(Named::Builtin { plain: found.3, oid, array: found.2 == oid, modified: false, digits: None })
}

/// What a built-in type of this OID holds.
pub(super) fn plain_of(oid: Oid) -> Option<PlainType> {
    BUILTIN.iter().find(|t| t.1 == oid).map(|t| t.3)
}

/// Whether a value of type `cast` may be stored as one of `plain`: as PostgreSQL's assignment cast, within a family.
pub(super) fn converts(cast: PlainType, plain: PlainType) -> bool {
    family(cast) == family(plain)
}

/// How wide an integer type is among them.
pub(super) fn integer_rank(plain: PlainType) -> Option<u8> {
    match plain {
        PlainType::Int2 => Some(0),
        PlainType::Int4 => Some(1),
        PlainType::Int8 => Some(2),
        _ => None,
    }
}

/// Whether `column = operand` with an operand of type `cast` means the same after the operand is converted to the
/// column's type. PostgreSQL converts to the wider of the two, and a narrowing conversion could make unequal values equal
/// (`age = 5.5`, `born = timestamp '…'`).
pub(super) fn compares(cast: PlainType, plain: PlainType) -> bool {
    use PlainType::*;
    match plain {
        Int2 | Int4 | Int8 => matches!(cast, Int2 | Int4 | Int8),
        Numeric => matches!(cast, Int2 | Int4 | Int8 | Numeric),
        Float8 => matches!(cast, Int2 | Int4 | Int8 | Numeric | Float4 | Float8),
        Text | Varchar | Enum => matches!(cast, Text | Varchar),
        Timestamp => matches!(cast, Date | Timestamp),
        Timestamptz => matches!(cast, Date | Timestamp | Timestamptz),
        Inet | Cidr => matches!(cast, Inet | Cidr),
        other => other == cast,
    }
}

/// Whether a value of type `given` and one of type `own` come together as `own` in COALESCE, CASE, UNION and VALUES, as
/// PostgreSQL decides. `first`: the value given stands before the other.
pub(super) fn joins(given: PlainType, own: PlainType, first: bool) -> bool {
    use PlainType::*;
    if given == own {
        return true;
    }
    let rank = |plain: PlainType| match plain {
        Int2 | Date | Time | Cidr => 0,
        Int4 | Timestamp | Timetz | Inet => 1,
        Int8 | Timestamptz => 2,
        Numeric => 3,
        Float4 => 4,
        _ => 5,
    };
    match family(own) {
        _ if family(given) != family(own) => false,
        // Each of these is as good as the other: the first decides.
        2 => !first && !matches!(own, Citext | Enum),
        8 => false,
        _ => rank(given) < rank(own),
    }
}

/// Text of any kind.
pub(super) fn is_text(plain: PlainType) -> bool {
    family(plain) == family(PlainType::Text)
}

/// `text` or `varchar`.
pub(super) fn is_plain_text(plain: PlainType) -> bool {
    matches!(plain, PlainType::Text | PlainType::Varchar)
}

/// A binary floating-point number.
pub(super) fn is_float(plain: PlainType) -> bool {
    matches!(plain, PlainType::Float4 | PlainType::Float8)
}

/// A number of any kind.
pub(super) fn is_number(plain: PlainType) -> bool {
    family(plain) == family(PlainType::Int4)
}

/// Whether the cast of a `plain` value to `cast` leaves it as it is.
pub(super) fn is_identity(plain: PlainType, cast: PlainType) -> bool {
    use PlainType::*;
    match plain {
        Text | Varchar => matches!(cast, Text | Varchar),
        Enum => matches!(cast, Text | Varchar),
        Citext => false,
        other => other == cast,
    }
}

/// The type with its values shown as those of a built-in type, which takes them as they are.
pub(super) fn shown_as(ty: &Arc<EncType>, shown: PlainType) -> Arc<EncType> {
    if ty.shown == shown || ty.shown == PlainType::Enum && shown == PlainType::Text {
        return ty.clone();
    }
    if let Some(element) = &ty.element {
        return shown_as(element, shown).array();
    }
    let (plain_oid, plain_array_oid) = (shown.oid(), shown.array_oid());
    Arc::new(EncType { plain_oid, plain_array_oid, shown, ..EncType::clone(ty) })
}

/// Of two as which values of one type are shown, the one that PostgreSQL takes where they come together: the first, but for
/// `cidr`, which becomes `inet` and not the other way.
pub(super) fn shown_together(first: Arc<EncType>, second: &Arc<EncType>) -> Arc<EncType> {
    if second.shown == PlainType::Inet { second.clone() } else { first }
}

/// The type's name as SQL: `seal.email`, `seal.email[]`.
pub(super) fn sql_name(t: &EncType) -> String {
    format!("seal.{}{}", quoted(&t.def.name), if t.is_array() { "[]" } else { "" })
}
