//! Functions and operators of single values that the proxy computes: which there are for which types, and what they give.
//!
//! Each is strict: it is asked for values alone, and what it is asked with NULL is NULL. What is listed here gives what PostgreSQL
//! gives, to the last digit, or fails as it fails; what may differ is not listed.

mod document;
mod format;
mod moment;
mod number;
mod text;

use super::error::Result;
use super::{Form, Letters, PlainType, Settings, ValueError};
use crate::wire::value::Oid;
use PlainType::{Bpchar, Bytea, Int2, Int4, Json, Jsonb, Numeric, Text, Varchar};

/// What an argument is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    /// A value of this type.
    Value(PlainType),
    /// An array of texts, in binary form.
    Texts,
}

impl Sort {
    /// The type's OID.
    pub fn oid(self) -> Oid {
        match self {
            Sort::Value(plain) => plain.oid(),
            Sort::Texts => Text.array_oid(),
        }
    }

    /// A value of this sort is one of the other without a cast being written.
    fn becomes(self, other: Sort) -> bool {
        let (Sort::Value(from), Sort::Value(to)) = (self, other) else { return self == other };
        match to {
            Text => matches!(from, Text | Varchar | Bpchar),
            Int4 => matches!(from, Int2 | Int4),
            to => from == to,
        }
    }
}

/// A function or an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "named as PostgreSQL names them")]
pub enum Scalar {
    /// `-> text`
    Field,
    /// `->> text`
    FieldText,
    /// `-> integer`
    Element,
    /// `->> integer`
    ElementText,
    /// `#>`
    Path,
    /// `#>>`
    PathText,
    /// `jsonb_extract_path` and subscripts
    Steps,
    /// `jsonb_extract_path_text`
    StepsText,
    JsonTypeof,
    JsonArrayLength,
    JsonbPretty,
    /// `lower` and `upper`
    Cased(Form),
    Length,
    OctetLength,
    /// `btrim`: at the beginning, at the end.
    Trim(bool, bool),
    Left,
    Right,
    Substr,
    Replace,
    Translate,
    SplitPart,
    Strpos,
    StartsWith,
    Reverse,
    /// `lpad`, or with `false` `rpad`
    Pad(bool),
    /// Its arguments after the first are texts, with an empty one for NULL.
    Format,
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
    Negative,
    Abs,
    Sign,
    Round,
    Trunc,
    Ceil,
    Floor,
    /// Of a moment of this type.
    DateTrunc(PlainType),
    Extract(PlainType),
    DatePart(PlainType),
}

/// A function for arguments of certain types.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    /// The function.
    pub function: Scalar,
    /// What it takes.
    pub takes: Vec<Sort>,
    /// The type of its result.
    pub gives: PlainType,
}

/// What of the session a result depends on.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// How values are read and printed.
    pub settings: &'a Settings,
    /// What the database makes of letters, where a function asks for it.
    pub letters: Option<&'a Letters>,
}

/// Names of functions.
const FUNCTIONS: &[&str] = &[
    "json_extract_path",
    "jsonb_extract_path",
    "json_extract_path_text",
    "jsonb_extract_path_text",
    "json_typeof",
    "jsonb_typeof",
    "json_array_length",
    "jsonb_array_length",
    "jsonb_pretty",
    "lower",
    "upper",
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "btrim",
    "ltrim",
    "rtrim",
    "left",
    "right",
    "substr",
    "substring",
    "replace",
    "translate",
    "split_part",
    "strpos",
    "position",
    "starts_with",
    "reverse",
    "lpad",
    "rpad",
    "format",
    "abs",
    "sign",
    "round",
    "trunc",
    "ceil",
    "ceiling",
    "floor",
    "mod",
    "date_trunc",
    "date_part",
    "extract",
];

/// Names of operators.
const OPERATORS: &[&str] = &["->", "->>", "#>", "#>>", "+", "-", "*", "/", "%", "@"];

impl Scalar {
    /// There is a function of this name.
    pub fn is_function(name: &str) -> bool {
        FUNCTIONS.contains(&name)
    }

    /// There is an operator of this name.
    pub fn is_operator(name: &str) -> bool {
        OPERATORS.contains(&name)
    }

    /// The operator that PostgreSQL takes for operands of these types; `None` among them: one whose type is not known.
    pub fn operator(name: &str, operands: &[Option<Sort>]) -> Option<Signature> {
        let doc = match operands.first() {
            Some(Some(Sort::Value(doc @ (Json | Jsonb)))) => *doc,
            _ => return number::operator(name, operands),
        };
        let [_, step] = operands else { return None };
        let (by_key, by_index, by_path, gives) = match name {
            "->" | "#>" => (Scalar::Field, Scalar::Element, Scalar::Path, doc),
            "->>" | "#>>" => (Scalar::FieldText, Scalar::ElementText, Scalar::PathText, Text),
            _ => return None,
        };
        let (function, takes) = match (name.starts_with('#'), step) {
            (false, None | Some(Sort::Value(Text | Varchar))) => (by_key, Sort::Value(Text)),
            (false, Some(Sort::Value(Int2 | Int4))) => (by_index, Sort::Value(Int4)),
            (true, None | Some(Sort::Texts)) => (by_path, Sort::Texts),
            _ => return None,
        };
        Some(Signature { function, takes: vec![Sort::Value(doc), takes], gives })
    }

    /// The function that PostgreSQL takes for arguments of these types.
    pub fn function(name: &str, given: &[Option<Sort>]) -> Option<Signature> {
        let signature = |function, takes: &[PlainType], gives| {
            let takes: Vec<Sort> = takes.iter().map(|plain| Sort::Value(*plain)).collect();
            let fits = given.len() == takes.len()
                && given.iter().zip(&takes).all(|(given, takes)| given.is_none_or(|given| given.becomes(*takes)));
            fits.then_some(Signature { function, takes, gives })
        };
        if let ("date_trunc" | "date_part" | "extract", [unit, Some(Sort::Value(plain))]) = (name, given) {
            let unit = unit.is_none_or(|unit| unit.becomes(Sort::Value(Text)));
            return moment_function(name, *plain).filter(|_| unit);
        }
        if name == "format" {
            let format = given.first()?.is_none_or(|given| matches!(given, Sort::Value(Text | Varchar)));
            let texts = given[1..].iter().all(|given| given.is_none_or(is_formatted));
            let takes = vec![Sort::Value(Text); given.len()];
            return (format && texts).then_some(Signature { function: Scalar::Format, takes, gives: Text });
        }
        match given.first()? {
            Some(Sort::Value(doc @ (Json | Jsonb))) => return document_function(name, *doc, given),
            Some(Sort::Value(plain)) if number::is_exact(*plain) => return number::function(name, given),
            Some(Sort::Value(Bytea)) if matches!(name, "length" | "octet_length") => {
                return signature(Scalar::OctetLength, &[Bytea], Int4);
            }
            // A length of its own, to which the blanks at the end do not belong; they are octets of it.
            Some(Sort::Value(Bpchar)) if name == "octet_length" => {
                return signature(Scalar::OctetLength, &[Bpchar], Int4);
            }
            Some(Sort::Value(Text | Varchar | Bpchar)) => {}
            // With a first argument of no type others might be meant.
            None | Some(_) => return None,
        }
        let second = given.get(1).copied().flatten();
        match (name, given.len()) {
            ("lower", 1) => signature(Scalar::Cased(Form::Lower), &[Text], Text),
            ("upper", 1) => signature(Scalar::Cased(Form::Upper), &[Text], Text),
            ("length" | "char_length" | "character_length", 1) => signature(Scalar::Length, &[Text], Int4),
            ("octet_length", 1) => signature(Scalar::OctetLength, &[Text], Int4),
            ("reverse", 1) => signature(Scalar::Reverse, &[Text], Text),
            ("btrim" | "ltrim" | "rtrim", 1 | 2) => {
                let function = Scalar::Trim(name != "rtrim", name != "ltrim");
                signature(function, &[Text, Text][..given.len()], Text)
            }
            ("left", 2) => signature(Scalar::Left, &[Text, Int4], Text),
            ("right", 2) => signature(Scalar::Right, &[Text, Int4], Text),
            // Without types the places are those of a regular expression.
            ("substring", 2 | 3) if second.is_none() => None,
            ("substr" | "substring", 2 | 3) => signature(Scalar::Substr, &[Text, Int4, Int4][..given.len()], Text),
            ("replace", 3) => signature(Scalar::Replace, &[Text, Text, Text], Text),
            ("translate", 3) => signature(Scalar::Translate, &[Text, Text, Text], Text),
            ("split_part", 3) => signature(Scalar::SplitPart, &[Text, Text, Int4], Text),
            ("strpos" | "position", 2) => signature(Scalar::Strpos, &[Text, Text], Int4),
            ("starts_with", 2) => signature(Scalar::StartsWith, &[Text, Text], PlainType::Bool),
            ("lpad" | "rpad", 2 | 3) => {
                signature(Scalar::Pad(name == "lpad"), &[Text, Int4, Text][..given.len()], Text)
            }
            _ => None,
        }
    }

    /// What a document's subscripts give.
    pub fn subscript(doc: PlainType, steps: usize) -> Option<Signature> {
        (doc == Jsonb).then(|| steps_of(Scalar::Steps, doc, steps, doc))
    }

    /// What it gives depends on what the database makes of letters.
    pub fn tells_case(self) -> bool {
        matches!(self, Scalar::Cased(_))
    }

    /// It may fail on values of its types.
    pub fn may_fail(self, of: PlainType) -> bool {
        use Scalar::*;
        match self {
            // json may hold escapes that are no characters.
            Field | FieldText | Element | ElementText | Path | PathText | Steps | StepsText => of == Json,
            JsonTypeof | JsonbPretty | Cased(_) | Length | OctetLength | Trim(..) | Left | Right | Replace
            | Translate | Strpos | StartsWith | Reverse => false,
            _ => true,
        }
    }

    /// Appends the result in its stored form. Returns whether there is one: else it is NULL. `of`: the type of the first argument.
    ///
    /// # Errors
    /// As PostgreSQL's; XX001 for a stored form that cannot be of its type.
    pub fn apply(
        self,
        of: PlainType,
        arguments: &[&[u8]],
        means: Means<'_>,
        out: &mut Vec<u8>,
    ) -> std::result::Result<bool, ValueError> {
        use Scalar::*;
        match self {
            Field | FieldText | Element | ElementText | Path | PathText | Steps | StepsText | JsonTypeof
            | JsonArrayLength | JsonbPretty => document::apply(self, of, arguments, out),
            Cased(_) | Length | OctetLength | Trim(..) | Left | Right | Substr | Replace | Translate | SplitPart
            | Strpos | StartsWith | Reverse | Pad(_) | Format => {
                text::apply(self, arguments, means, out).map(|()| true)
            }
            DateTrunc(of) | Extract(of) | DatePart(of) => moment::apply(self, of, arguments, means.settings, out),
            Plus | Minus | Times | Over | Modulo | Negative | Abs | Sign | Round | Trunc | Ceil | Floor => {
                number::apply(self, of, arguments, out).map(|()| true)
            }
        }
    }
}

/// Its cast to text is what `format` puts for it.
fn is_formatted(sort: Sort) -> bool {
    match sort {
        // `t` and not `true`; a bpchar keeps its blanks; no `/32` where there is none.
        Sort::Value(PlainType::Bool | Bpchar | PlainType::Inet) | Sort::Texts => false,
        Sort::Value(plain) => super::recasts(plain, Text),
    }
}

fn moment_function(name: &str, plain: PlainType) -> Option<Signature> {
    use PlainType::{Date, Float8, Timestamp, Timestamptz};
    let (function, of, gives) = match (name, plain) {
        // A date is the moment that it begins at.
        ("date_trunc", Date) => (Scalar::DateTrunc(Timestamptz), Timestamptz, Timestamptz),
        ("date_trunc", Timestamp | Timestamptz) => (Scalar::DateTrunc(plain), plain, plain),
        ("extract", Date | Timestamp | Timestamptz) => (Scalar::Extract(plain), plain, Numeric),
        ("date_part", Date | Timestamp | Timestamptz) => (Scalar::DatePart(plain), plain, Float8),
        _ => return None,
    };
    Some(Signature { function, takes: vec![Sort::Value(Text), Sort::Value(of)], gives })
}

fn document_function(name: &str, doc: PlainType, given: &[Option<Sort>]) -> Option<Signature> {
    let name = match (name.strip_prefix("json_"), name.strip_prefix("jsonb_")) {
        (Some(name), _) if doc == Json => name,
        (_, Some(name)) if doc == Jsonb => name,
        _ => return None,
    };
    let alone =
        |function, gives| (given.len() == 1).then(|| Signature { function, takes: vec![Sort::Value(doc)], gives });
    match name {
        "typeof" => alone(Scalar::JsonTypeof, Text),
        "array_length" => alone(Scalar::JsonArrayLength, Int4),
        "pretty" if doc == Jsonb => alone(Scalar::JsonbPretty, Text),
        "extract_path" | "extract_path_text" if given.len() > 1 => {
            let steps = &given[1..];
            let texts = steps.iter().all(|step| step.is_none_or(|step| step.becomes(Sort::Value(Text))));
            let (function, gives) = match name {
                "extract_path" => (Scalar::Steps, doc),
                _ => (Scalar::StepsText, Text),
            };
            texts.then(|| steps_of(function, doc, steps.len(), gives))
        }
        _ => None,
    }
}

fn steps_of(function: Scalar, doc: PlainType, steps: usize, gives: PlainType) -> Signature {
    let texts = std::iter::repeat_n(Sort::Value(Text), steps);
    Signature { function, takes: std::iter::once(Sort::Value(doc)).chain(texts).collect(), gives }
}

/// The type in which PostgreSQL's COALESCE has values of these types meet, in their order.
pub fn coalesced(plains: impl IntoIterator<Item = PlainType>) -> Option<PlainType> {
    let texts = [Text, Varchar];
    plains.into_iter().map(Some).reduce(|left, right| match (left?, right?) {
        (left, right) if widens(left, right) => Some(right),
        (left, right) if left == right || widens(right, left) => Some(left),
        (left, right) if texts.contains(&left) && texts.contains(&right) => Some(left),
        _ => None,
    })?
}

/// The numeric that a value of an exact number's type is.
fn widens(from: PlainType, to: PlainType) -> bool {
    let rank = |plain: PlainType| [Int2, Int4, PlainType::Int8, Numeric].iter().position(|p| *p == plain);
    matches!((rank(from), rank(to)), (Some(from), Some(to)) if from <= to)
}

/// An argument of type `integer`.
fn int4(stored: &[u8]) -> Result<i32> {
    Ok(i32::from_be_bytes(super::scan::stored(Int4, stored)?))
}

#[cfg(test)]
mod tests;
