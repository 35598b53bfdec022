//! Arrays of plaintext types, as parameters of `= ANY` and as values, and the form of arrays of any type.

mod shape;
mod text;

use zeroize::Zeroizing;

use super::PlainType;
use super::error::{DATATYPE_MISMATCH, Result, ValueError};
use super::plain::{Oid, UNKNOWN};
use super::scan;
use super::{Format, Settings, read_operand, write_as};
use crate::wire::sqlstate::SqlState;

pub use shape::Dimensions;

/// Most dimensions PostgreSQL takes.
const MAX_DIMENSIONS: usize = 6;

/// The elements of an array in their stored forms, row by row.
#[derive(Default)]
pub struct Array {
    data: Zeroizing<Vec<u8>>,
    /// End of each element in `data`, and whether it is NULL.
    ends: Vec<(usize, bool)>,
    dimensions: Dimensions,
    /// The binary form says that there are NULLs, as PostgreSQL says of a part without of an array with them.
    nulls: bool,
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

    /// An empty one that will have the elements of another.
    pub fn like(parts: &Parts<'_>) -> Array {
        Array { dimensions: parts.dimensions.clone(), nulls: parts.nulls, ..Array::default() }
    }

    /// Lengths and lower bounds.
    pub fn dimensions(&self) -> &Dimensions {
        &self.dimensions
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

/// An array in binary form, whose elements are not looked at.
pub struct Parts<'a> {
    /// OID of the elements' type.
    pub element: Oid,
    /// Lengths and lower bounds.
    pub dimensions: Dimensions,
    /// It is said that there are NULLs.
    pub nulls: bool,
    /// The elements in order; `None` for NULL.
    pub items: Vec<Option<&'a [u8]>>,
}

impl<'a> Parts<'a> {
    /// Takes an array apart.
    ///
    /// # Errors
    /// As PostgreSQL's `array_recv`.
    pub fn parse(mut bytes: &'a [u8]) -> std::result::Result<Parts<'a>, ValueError> {
        let count = usize::try_from(word(&mut bytes)?).map_err(|_| invalid("invalid number of dimensions"))?;
        if count > MAX_DIMENSIONS {
            return Err(too_many_dimensions());
        }
        let flags = word(&mut bytes)?;
        if !matches!(flags, 0 | 1) {
            return Err(invalid("invalid array flags"));
        }
        let element = word(&mut bytes)? as Oid;
        let mut dimensions = Vec::with_capacity(count);
        for _ in 0..count {
            let (length, lower) = (word(&mut bytes)?, word(&mut bytes)?);
            if length < 0 {
                return Err(ValueError::number_range("integer"));
            }
            dimensions.push((length, lower));
        }
        let dimensions = Dimensions::new(dimensions)?;
        let count = dimensions.count();
        if count > bytes.len() / 4 {
            return Err(ValueError::short());
        }
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(item(&mut bytes)?);
        }
        match bytes.is_empty() {
            true => Ok(Parts { element, dimensions, nulls: flags == 1, items }),
            false => Err(invalid("incorrect binary data format for an array")),
        }
    }
}

/// The elements of an array of one or two dimensions in binary form, one after another, so that a long one can be left and taken up again.
#[derive(Clone, Copy, Debug)]
pub struct Elements {
    at: usize,
    left: usize,
}

impl Elements {
    /// Of an array from its first element on, and the OID of their type.
    ///
    /// # Errors
    /// The form is not that of an array of at most two dimensions.
    pub fn of(array: &[u8]) -> std::result::Result<(Oid, Elements), ValueError> {
        let mut bytes = array;
        let (dimensions, flags) = (word(&mut bytes)?, word(&mut bytes)?);
        let element = word(&mut bytes)? as Oid;
        let left = match (dimensions, flags) {
            (0, 0) => 0,
            (1 | 2, 0 | 1) => {
                let mut all = 1usize;
                for _ in 0..dimensions {
                    let (length, _) = (word(&mut bytes)?, word(&mut bytes)?);
                    let length = usize::try_from(length).map_err(|_| ValueError::number_range("integer"))?;
                    all = all.checked_mul(length).ok_or_else(ValueError::short)?;
                }
                all
            }
            _ => return Err(invalid("invalid number of dimensions")),
        };
        if left > bytes.len() / 4 || (left == 0 && !bytes.is_empty()) {
            return Err(ValueError::short());
        }
        Ok((element, Elements { at: array.len() - bytes.len(), left }))
    }

    /// The next element of the same array, and whether it is NULL. `None`: there is no other.
    ///
    /// # Errors
    /// The array ends too early or too late.
    pub fn next<'a>(&mut self, array: &'a [u8]) -> std::result::Result<Option<Option<&'a [u8]>>, ValueError> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut bytes = array.get(self.at..).ok_or_else(ValueError::short)?;
        let item = item(&mut bytes)?;
        self.at = array.len() - bytes.len();
        self.left -= 1;
        match self.left == 0 && !bytes.is_empty() {
            true => Err(invalid("incorrect binary data format for an array")),
            false => Ok(Some(item)),
        }
    }
}

/// Takes an element; `None` for NULL.
fn item<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(word(bytes)?) else { return Ok(None) };
    let (item, rest) = bytes.split_at_checked(length).ok_or_else(ValueError::short)?;
    *bytes = rest;
    Ok(Some(item))
}

fn read_binary(plain: PlainType, element: Option<Oid>, bytes: &[u8], settings: &Settings) -> Result<Array> {
    let parts = Parts::parse(bytes)?;
    let oid = parts.element;
    if element.is_some_and(|element| element != oid) {
        let message = "binary data has an array element type other than declared";
        return Err(ValueError::new(DATATYPE_MISMATCH, message));
    }
    let mut array = Array { dimensions: parts.dimensions, ..Array::default() };
    for item in parts.items {
        let read =
            |value| move |out: &mut Vec<u8>| read_operand(plain, oid, None, Format::Binary, value, settings, out);
        array.push(item.map(read))?;
    }
    Ok(array)
}

/// Appends an array of stored values as PostgreSQL prints or sends it.
///
/// # Errors
/// Those of [`write`](super::write).
pub fn write_array(
    plain: PlainType,
    array: &Array,
    format: Format,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    write_array_as((plain, plain.oid()), (plain, array), format, settings, out)
}

/// As [`write_array`], of values of another type as those of this one, which has this OID.
///
/// # Errors
/// Those of [`write_as`].
pub fn write_array_as(
    (shown, oid): (PlainType, Oid),
    (plain, array): (PlainType, &Array),
    format: Format,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> std::result::Result<(), ValueError> {
    let dimensions = array.dimensions();
    if format == Format::Text {
        let mut items = array.iter();
        return dimensions.print(out, |printed| match items.next().flatten() {
            Some(stored) => write_as(shown, (plain, stored), format, settings, printed).map(|()| true),
            None => Ok(false),
        });
    }
    dimensions.send(oid, array.nulls || array.ends.iter().any(|(_, null)| *null), out);
    let too_long = |_| ValueError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed");
    for element in array.iter() {
        let start = out.len();
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if let Some(stored) = element {
            write_as(shown, (plain, stored), format, settings, out)?;
            let length = i32::try_from(out.len() - start - 4).map_err(too_long)?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
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
        assert_eq!(texts("[2147483646:2147483646]={a}"), Ok(vec![some("a")]));
        assert_eq!(texts("[2147483647:2147483647]={a}"), Err("54000"));
        assert_eq!(texts("[1:1][2147483647:2147483647]={{a}}"), Err("54000"));
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
    fn dimensions_and_bounds_are_kept() {
        let settings = Settings::default();
        for text in
            ["{}", "{a}", "{{a,b},{c,NULL}}", "[2:3]={a,b}", "[0:1][-1:0]={{a,b},{c,d}}", "{{{a},{b}},{{c},{d}}}"]
        {
            let array = read_array(PlainType::Text, 0, Format::Text, text.as_bytes(), &settings).expect("array");
            let mut binary = Vec::new();
            write_array(PlainType::Text, &array, Format::Binary, &settings, &mut binary).expect("array");
            let again = read_array(PlainType::Text, 1009, Format::Binary, &binary, &settings).expect("array");
            let mut out = Vec::new();
            write_array(PlainType::Text, &again, Format::Text, &settings, &mut out).expect("array");
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
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
    fn elements_are_taken_one_by_one() {
        let words = |words: &[i32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        let all = |bytes: &[u8]| -> std::result::Result<Vec<Option<Vec<u8>>>, ValueError> {
            let (_, mut elements) = Elements::of(bytes)?;
            let mut found = Vec::new();
            while let Some(item) = elements.next(bytes)? {
                found.push(item.map(<[u8]>::to_vec));
            }
            Ok(found)
        };
        assert_eq!(all(&words(&[0, 0, 17])), Ok(vec![]));
        assert_eq!(all(&words(&[1, 1, 17, 3, 1, 4, 7, -1, 0])), Ok(vec![Some(words(&[7])), None, Some(vec![])]));
        let two = words(&[2, 0, 17, 2, 1, 2, 1, 4, 7, 0, 0, 4, 8]);
        assert_eq!(all(&two), Ok(vec![Some(words(&[7])), Some(vec![]), Some(vec![]), Some(words(&[8]))]));
        for forged in [
            &[][..],
            &[1, 0, 17],
            &[2, 0, 17, 2, 1, 2, 1, 0, 0, 0],
            &[2, 0, 17, i32::MAX, 1, i32::MAX, 1],
            &[3, 0, 17, 1, 1, 1, 1, 1, 1, 0],
            &[1, 2, 17, 0, 1],
            &[1, 0, 17, -1, 1],
            &[1, 0, 17, i32::MAX, 1],
            &[1, 0, 17, 1, 1, 8, 0],
            &[1, 0, 17, 1, 1, 0, 0],
            &[0, 0, 17, 0],
        ] {
            assert!(all(&words(forged)).is_err(), "{forged:?}");
        }
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
            words(&[1, 0, 25, 1, i32::MAX, -1]),
            words(&[2, 0, 25, 0, 1, 1, i32::MAX]),
            words(&[6, 0, 25, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1, 1 << 30, 1]),
            words(&[1, 0, 25, 1, 1, 8]),
            words(&[0, 0, 25, 0]),
        ] {
            assert!(read_array(PlainType::Text, 1009, Format::Binary, &bytes, &settings).is_err(), "{bytes:?}");
        }
    }
}
