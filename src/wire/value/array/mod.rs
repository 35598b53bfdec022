//! One-dimensional arrays of plaintext types, as parameters of `= ANY` and as values.

mod text;

use zeroize::Zeroizing;

use super::PlainType;
use super::error::{DATATYPE_MISMATCH, Result, ValueError};
use super::plain::{Oid, UNKNOWN};
use super::scan::{self, is_space};
use super::{Format, Settings, read_operand, write};
use crate::wire::sqlstate::SqlState;

/// Most dimensions PostgreSQL takes.
const MAX_DIMENSIONS: usize = 6;

/// The elements of an array in their stored forms; more dimensions than one are flattened, as `= ANY` does.
#[derive(Default)]
pub struct Array {
    data: Zeroizing<Vec<u8>>,
    /// End of each element in `data`, and whether it is NULL.
    ends: Vec<(usize, bool)>,
}

impl Array {
    /// Number of elements, NULLs included.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Without elements.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The elements in order; `None` for NULL.
    pub fn iter(&self) -> impl Iterator<Item = Option<&[u8]>> {
        let mut start = 0;
        self.ends.iter().map(move |&(end, null)| {
            let element = &self.data[start..end];
            start = end;
            (!null).then_some(element)
        })
    }

    /// Appends an element in its stored form; `None` for NULL.
    pub fn push_stored(&mut self, element: Option<&[u8]>) {
        self.data.extend_from_slice(element.unwrap_or_default());
        self.ends.push((self.data.len(), element.is_none()));
    }

    fn push(&mut self, read: Option<impl FnOnce(&mut Vec<u8>) -> Result<()>>) -> Result<()> {
        let null = read.is_none();
        if let Some(read) = read {
            read(&mut self.data)?;
        }
        self.ends.push((self.data.len(), null));
        Ok(())
    }
}

/// Reads an array. `declared`: OID of its type as the client declared it, 0 for none; elements are read as its
/// element type and converted to `plain` as operands of a comparison, as [`read_operand`] does.
///
/// # Errors
/// As PostgreSQL's array input functions, and those of [`read_operand`] for elements.
pub fn read_array(
    plain: PlainType,
    declared: Oid,
    format: Format,
    bytes: &[u8],
    settings: &Settings,
) -> std::result::Result<Array, ValueError> {
    let element = match declared {
        0 | UNKNOWN => None,
        oid => match PlainType::element_oid(oid) {
            Some(element) => Some(element),
            // An array of a type that users made; or text that is to be read as an array.
            None if oid >= super::plain::FIRST_USER_OID => None,
            None if format == Format::Text && PlainType::from_oid(oid).is_some_and(PlainType::is_textual) => None,
            None => return Err(ValueError::mismatch(plain, &format!("OID {oid}"))),
        },
    };
    match format {
        Format::Text => text::read_text(plain, element, scan::utf8(bytes)?, settings),
        Format::Binary => read_binary(plain, element, bytes, settings),
    }
}

fn word(bytes: &mut &[u8]) -> Result<i32> {
    let (head, tail) = bytes.split_first_chunk::<4>().ok_or_else(ValueError::short)?;
    *bytes = tail;
    Ok(i32::from_be_bytes(*head))
}

fn invalid(what: &str) -> ValueError {
    ValueError::new(SqlState::INVALID_BINARY_REPRESENTATION, what)
}

fn too_many_dimensions() -> ValueError {
    ValueError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("number of array dimensions exceeds the maximum allowed ({MAX_DIMENSIONS})"),
    )
}

fn read_binary(plain: PlainType, element: Option<Oid>, mut bytes: &[u8], settings: &Settings) -> Result<Array> {
    let dimensions = usize::try_from(word(&mut bytes)?).map_err(|_| invalid("invalid number of dimensions"))?;
    if dimensions > MAX_DIMENSIONS {
        return Err(too_many_dimensions());
    }
    if !matches!(word(&mut bytes)?, 0 | 1) {
        return Err(invalid("invalid array flags"));
    }
    let oid = word(&mut bytes)? as Oid;
    if element.is_some_and(|element| element != oid) {
        let message = "binary data has an array element type other than declared";
        return Err(ValueError::new(DATATYPE_MISMATCH, message));
    }
    let mut count = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        let (length, lower) = (word(&mut bytes)?, word(&mut bytes)?);
        let length = usize::try_from(length).map_err(|_| ValueError::number_range("integer"))?;
        if lower.checked_add(length as i32).is_none() {
            return Err(ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large"));
        }
        count = count.saturating_mul(length);
    }
    if count > bytes.len() / 4 {
        return Err(ValueError::short());
    }
    let mut array = Array::default();
    for _ in 0..count {
        let Ok(length) = usize::try_from(word(&mut bytes)?) else {
            array.push(None::<fn(&mut Vec<u8>) -> Result<()>>)?;
            continue;
        };
        let (value, rest) = bytes.split_at_checked(length).ok_or_else(ValueError::short)?;
        bytes = rest;
        array.push(Some(|out: &mut Vec<u8>| read_operand(plain, oid, None, Format::Binary, value, settings, out)))?;
    }
    if !bytes.is_empty() {
        return Err(invalid("incorrect binary data format for an array"));
    }
    Ok(array)
}

/// Appends an array of stored values as PostgreSQL prints or sends it.
///
/// # Errors
/// Those of [`write`].
pub fn write_array(
    plain: PlainType,
    array: &Array,
    format: Format,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    match format {
        Format::Text => write_text(plain, array, settings, out),
        Format::Binary => write_binary(plain, array, settings, out),
    }
}

fn write_binary(plain: PlainType, array: &Array, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let too_long = |_| ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed");
    let nulls = array.ends.iter().any(|(_, null)| *null);
    out.extend_from_slice(&i32::from(!array.is_empty()).to_be_bytes());
    out.extend_from_slice(&i32::from(nulls).to_be_bytes());
    out.extend_from_slice(&plain.oid().to_be_bytes());
    if !array.is_empty() {
        out.extend_from_slice(&i32::try_from(array.len()).map_err(too_long)?.to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
    for element in array.iter() {
        let start = out.len();
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if let Some(stored) = element {
            write(plain, stored, Format::Binary, settings, out)?;
            let length = i32::try_from(out.len() - start - 4).map_err(too_long)?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

fn write_text(plain: PlainType, array: &Array, settings: &Settings, out: &mut Vec<u8>) -> Result<()> {
    let mut scratch = Zeroizing::new(Vec::new());
    out.push(b'{');
    for (index, element) in array.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let Some(stored) = element else {
            out.extend_from_slice(b"NULL");
            continue;
        };
        scratch.clear();
        write(plain, stored, Format::Text, settings, &mut scratch)?;
        push_element(&scratch, out);
    }
    out.push(b'}');
    Ok(())
}

fn push_element(text: &[u8], out: &mut Vec<u8>) {
    let special = |b: &u8| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',') || is_space(*b);
    if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for &byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> std::result::Result<Vec<Option<String>>, &'static str> {
        let settings = Settings::default();
        let array =
            read_array(PlainType::Text, 0, Format::Text, text.as_bytes(), &settings).map_err(|e| e.sqlstate.0)?;
        Ok(array.iter().map(|e| e.map(|e| String::from_utf8(e.to_vec()).expect("utf8"))).collect())
    }

    #[test]
    fn text_arrays() {
        let some = |s: &str| Some(s.to_owned());
        assert_eq!(texts("{}"), Ok(vec![]));
        assert_eq!(texts(" { } "), Ok(vec![]));
        assert_eq!(
            texts(r#"{a,"b c",NULL,"NULL", d e ,"",\NULL}"#),
            Ok(vec![some("a"), some("b c"), None, some("NULL"), some("d e"), some(""), some("NULL")])
        );
        assert_eq!(texts(r#"{"a\"b\\c",x\,y}"#), Ok(vec![some("a\"b\\c"), some("x,y")]));
        assert_eq!(texts("{{a,b},{c,d}}"), Ok(vec![some("a"), some("b"), some("c"), some("d")]));
        assert_eq!(texts("[5:6]={a,b}"), Ok(vec![some("a"), some("b")]));
        for text in [
            "",
            "a",
            "{",
            "}",
            "{a",
            "{a,}",
            "{,a}",
            "{a,,b}",
            "{a}b",
            "{a\"b\"}",
            "{\"a\"b}",
            "{{a},b}",
            "{{a,b},{c}}",
            "{a{b}}",
            "[1:3]={a}",
            "[1]{a}",
            "{a}}",
            "{\"a}",
            "{a\\",
            "{{a}{b}}",
        ] {
            assert_eq!(texts(text), Err("22P02"), "{text}");
        }
        assert_eq!(texts("{{{{{{{a}}}}}}}"), Err("54000"));
        assert_eq!(texts("[2:1]={}"), Err("2202E"));
    }

    #[test]
    fn both_formats_round_trip() {
        let settings = Settings::default();
        let array = read_array(PlainType::Int4, 1007, Format::Text, b"{1,NULL,-3}", &settings).expect("array");
        for format in [Format::Text, Format::Binary] {
            let mut out = Vec::new();
            write_array(PlainType::Int4, &array, format, &settings, &mut out).expect("array");
            let again = read_array(PlainType::Int4, 1007, format, &out, &settings).expect("array");
            assert!(again.iter().eq(array.iter()));
        }
        let mut out = Vec::new();
        write_array(PlainType::Text, &Array::default(), Format::Binary, &settings, &mut out).expect("empty");
        assert_eq!(out.len(), 12);
        assert!(read_array(PlainType::Text, 0, Format::Binary, &out, &settings).expect("empty").is_empty());
    }

    #[test]
    fn elements_are_converted() {
        let settings = Settings::default();
        let mut wide = Vec::new();
        let array = read_array(PlainType::Int8, 0, Format::Text, b"{7,8}", &settings).expect("array");
        write_array(PlainType::Int8, &array, Format::Binary, &settings, &mut wide).expect("array");
        let narrow = read_array(PlainType::Int4, 1016, Format::Binary, &wide, &settings).expect("array");
        assert!(narrow.iter().eq([Some(&7i32.to_be_bytes()[..]), Some(&8i32.to_be_bytes()[..])]));
    }

    #[test]
    fn forged_binary_is_refused() {
        let settings = Settings::default();
        let words = |words: &[i32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        for bytes in [
            words(&[]),
            words(&[1, 0, 25]),
            words(&[7, 0, 25]),
            words(&[-1, 0, 25]),
            words(&[1, 2, 25, 0, 1]),
            words(&[1, 0, 25, i32::MAX, 1]),
            words(&[1, 0, 25, -1, 1]),
            words(&[6, 0, 25, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1]),
            words(&[1, 0, 25, 1, 1, 8]),
            words(&[0, 0, 25, 0]),
        ] {
            assert!(read_array(PlainType::Text, 1009, Format::Binary, &bytes, &settings).is_err(), "{bytes:?}");
        }
    }
}
