//! Plaintext types: names, OIDs, codec bytes.

use super::PlainType::{self, *};

/// A PostgreSQL type OID.
pub type Oid = u32;

/// The untyped literal.
pub(crate) const UNKNOWN: Oid = 705;
/// `name`.
pub(crate) const NAME: Oid = 19;
/// First OID of objects that users make.
pub(crate) const FIRST_USER_OID: Oid = 16384;

struct Row {
    plain: PlainType,
    name: &'static str,
    sql_name: &'static str,
    oid: Oid,
    array_oid: Oid,
}

const fn row(plain: PlainType, name: &'static str, sql_name: &'static str, oid: Oid, array_oid: Oid) -> Row {
    Row { plain, name, sql_name, oid, array_oid }
}

/// In the order of the codec bytes, from 1. Citext and enums have no fixed OID: clients are told `text`.
const ROWS: [Row; 24] = [
    row(Bool, "bool", "boolean", 16, 1000),
    row(Int2, "int2", "smallint", 21, 1005),
    row(Int4, "int4", "integer", 23, 1007),
    row(Int8, "int8", "bigint", 20, 1016),
    row(Float4, "float4", "real", 700, 1021),
    row(Float8, "float8", "double precision", 701, 1022),
    row(Numeric, "numeric", "numeric", 1700, 1231),
    row(Text, "text", "text", 25, 1009),
    row(Varchar, "varchar", "character varying", 1043, 1015),
    row(Bpchar, "bpchar", "character", 1042, 1014),
    row(Citext, "citext", "citext", 25, 1009),
    row(Uuid, "uuid", "uuid", 2950, 2951),
    row(Date, "date", "date", 1082, 1182),
    row(Time, "time", "time", 1083, 1183),
    row(Timetz, "timetz", "time with time zone", 1266, 1270),
    row(Timestamp, "timestamp", "timestamp", 1114, 1115),
    row(Timestamptz, "timestamptz", "timestamp with time zone", 1184, 1185),
    row(Interval, "interval", "interval", 1186, 1187),
    row(Bytea, "bytea", "bytea", 17, 1001),
    row(Json, "json", "json", 114, 199),
    row(Jsonb, "jsonb", "jsonb", 3802, 3807),
    row(Inet, "inet", "inet", 869, 1041),
    row(Cidr, "cidr", "cidr", 650, 651),
    row(Enum, "enum", "enum", 25, 1009),
];

impl PlainType {
    /// OID of the elements of a built-in array type; 0 for other types.
    pub fn element_of(array: Oid) -> Oid {
        PlainType::element_oid(array).unwrap_or(0)
    }

    /// The type whose `=` PostgreSQL takes for values of this one: `varchar` and `cidr` have none of their own.
    pub fn compared(self) -> PlainType {
        match self {
            PlainType::Varchar => PlainType::Text,
            PlainType::Cidr => PlainType::Inet,
            other => other,
        }
    }

    /// Every plaintext type, in the order of the codec bytes.
    pub fn all() -> impl Iterator<Item = PlainType> {
        ROWS.iter().map(|r| r.plain)
    }

    fn row(self) -> &'static Row {
        &ROWS[self as usize - 1]
    }

    /// The short name, as `pg_type.typname` and the registry have it (`int4`, `timestamptz`, `enum`).
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The name in SQL and in PostgreSQL's messages (`integer`, `timestamp with time zone`).
    pub fn sql_name(self) -> &'static str {
        self.row().sql_name
    }

    /// The type of this short or SQL name (`int4`, `integer`, `int`, `decimal`, ...).
    pub fn from_name(name: &str) -> Option<PlainType> {
        let alias = match name {
            "int" => Some(Int4),
            "decimal" => Some(Numeric),
            "char" => Some(Bpchar),
            "float" => Some(Float8),
            "time without time zone" => Some(Time),
            "timestamp without time zone" => Some(Timestamp),
            _ => None,
        };
        alias.or_else(|| ROWS.iter().find(|r| r.name == name || r.sql_name == name).map(|r| r.plain))
    }

    /// OID that clients are told; `text` for citext and enums, which have none of their own everywhere.
    pub fn oid(self) -> Oid {
        self.row().oid
    }

    /// OID of the array of [`PlainType::oid`].
    pub fn array_oid(self) -> Oid {
        self.row().array_oid
    }

    /// `pg_type.typlen`: bytes of a value in the server, -1 for those of varying length.
    pub fn typlen(self) -> i16 {
        match self {
            Bool => 1,
            Int2 => 2,
            Int4 | Float4 | Date => 4,
            Int8 | Float8 | Time | Timestamp | Timestamptz => 8,
            Timetz => 12,
            Uuid | Interval => 16,
            _ => -1,
        }
    }

    /// The built-in type of this OID. `unknown` and `name` count as text.
    pub fn from_oid(oid: Oid) -> Option<PlainType> {
        Some(match oid {
            16 => Bool,
            17 => Bytea,
            NAME | 25 | UNKNOWN => Text,
            20 => Int8,
            21 => Int2,
            23 => Int4,
            114 => Json,
            650 => Cidr,
            700 => Float4,
            701 => Float8,
            869 => Inet,
            1042 => Bpchar,
            1043 => Varchar,
            1082 => Date,
            1083 => Time,
            1114 => Timestamp,
            1184 => Timestamptz,
            1186 => Interval,
            1266 => Timetz,
            1700 => Numeric,
            2950 => Uuid,
            3802 => Jsonb,
            _ => return None,
        })
    }

    /// Element OID of the built-in array type of this OID.
    pub(crate) fn element_oid(array: Oid) -> Option<Oid> {
        if array == 1003 {
            return Some(NAME);
        }
        ROWS.iter().find(|r| r.array_oid == array).map(|r| r.oid)
    }

    /// The type of this codec byte.
    pub fn from_code(code: u8) -> Option<PlainType> {
        ROWS.get(usize::from(code).checked_sub(1)?).map(|r| r.plain)
    }

    /// The codec byte of an envelope; never changes.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether PostgreSQL can compare two values for equality; not so for json.
    pub fn has_equality(self) -> bool {
        self != Json
    }

    /// Held as UTF-8 text.
    pub(crate) fn is_textual(self) -> bool {
        matches!(self, Text | Varchar | Bpchar | Citext | Enum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_codes() {
        for (index, plain) in PlainType::all().enumerate() {
            assert_eq!(usize::from(plain.code()), index + 1);
            assert_eq!(PlainType::from_code(plain.code()), Some(plain));
            assert_eq!(PlainType::from_name(plain.name()), Some(plain));
            assert_eq!(PlainType::from_name(plain.sql_name()), Some(plain));
        }
        assert_eq!(PlainType::from_code(0), None);
        assert_eq!(PlainType::from_code(25), None);
        assert_eq!(PlainType::from_name("record"), None);
    }
}
