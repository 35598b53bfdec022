//! One value: from what a client gives to what is stored or compared, and from what is stored to what a client reads.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::documents;
use crate::crypto::envelope::DataKey;
use crate::crypto::term::TermKeys;
use crate::crypto::term::order::OrdKey;
use crate::schema::catalog::{EncType, Terms};
use crate::wire::value::{self, Dimensions, MAX_ORDERING, Place, PlainType};

const JSON: u32 = 114;
const BYTEA: u32 = 17;
const INT4: u32 = 23;
const INT4_ARRAY: u32 = 1007;
const INT8: u32 = 20;
const INT8_ARRAY: u32 = 1016;
const UUID: u32 = 2950;

/// The version guard, attribute `v`.
const GUARD: &[u8] = b"1";

/// Appends the term of an operand, as comparisons of this type use it. `read`: the type it was read as.
pub(super) fn operand(
    enc: &EncType,
    read: PlainType,
    stored: &[u8],
    keys: &TermKeys,
    out: &mut Vec<u8>,
) -> Result<(), value::ValueError> {
    if !enc.def.terms.ord {
        out.extend_from_slice(&equality(read, stored, keys)?);
        return Ok(());
    }
    let mut ordering = Zeroizing::new(Vec::new());
    match value::ordering_operand(enc.def.plain, read, stored, &mut ordering)? {
        Place::At => keys.ord(enc.digits).term(&ordering, out),
        Place::After => {
            keys.ord(enc.digits).term(&ordering, out);
            out.push(0);
        }
        Place::Below => {}
        Place::Above => out.resize(out.len() + OrdKey::len(enc.digits, MAX_ORDERING) + 1, 0xff),
    }
    Ok(())
}

/// The equality term of a value in the stored form of `plain`.
fn equality(plain: PlainType, stored: &[u8], keys: &TermKeys) -> Result<[u8; 16], value::ValueError> {
    if value::is_canonical(plain) {
        return Ok(keys.eq.term(stored));
    }
    let mut canonical = Zeroizing::new(Vec::new());
    value::canonical(plain, stored, &mut canonical)?;
    Ok(keys.eq.term(&canonical))
}

/// Why a value cannot be sealed.
#[derive(Debug)]
pub(super) enum SealFault {
    /// The value is not one of its type.
    Value(value::ValueError),
    /// The engine refused it (too long).
    Engine,
    /// The type has terms that this version cannot make.
    Terms,
    /// So is what a document has at a promoted path.
    Path(String, Box<SealFault>),
}

impl From<value::ValueError> for SealFault {
    fn from(e: value::ValueError) -> Self {
        SealFault::Value(e)
    }
}

/// Keys to seal a value of one type with.
pub(super) struct SealKeys<'k> {
    /// Of its terms; `None`: it has none.
    pub(super) terms: Option<Arc<TermKeys>>,
    /// Of the terms of its promoted paths.
    pub(super) paths: Vec<Arc<TermKeys>>,
    /// Gives a data key for each envelope.
    pub(super) data: &'k mut dyn FnMut() -> Option<Arc<DataKey>>,
}

/// How many envelopes a value of this type has.
pub(super) fn envelopes(enc: &EncType) -> u32 {
    enc.sealed_with().count() as u32
}

/// Appends the composite of a value to store, in PostgreSQL's binary record form.
pub(super) fn store(enc: &EncType, stored: &[u8], keys: &mut SealKeys<'_>, out: &mut Vec<u8>) -> Result<(), SealFault> {
    let terms = enc.def.terms;
    let promoted = !enc.promoted.paths.is_empty();
    let own = match keys.terms.take() {
        _ if terms == Terms::default() => None,
        Some(keys) => Some(keys),
        None => return Err(SealFault::Terms),
    };
    let count = 2 + i32::from(terms.eq) + i32::from(terms.ord) + i32::from(terms.matching) + i32::from(terms.json);
    out.extend_from_slice(&(count + i32::from(promoted)).to_be_bytes());
    attribute(JSON, GUARD, out);
    attribute_with(BYTEA, out, |out| {
        let key = (keys.data)().ok_or(SealFault::Engine)?;
        key.seal(&enc.def.id, enc.padding, enc.def.plain.code(), stored, out).map_err(|_| SealFault::Engine)
    })?;
    if let Some(own) = own {
        store_terms(enc, stored, &own, out)?;
    }
    match promoted {
        true => attribute_with(enc.promoted.row, out, |out| store_paths(enc, stored, keys, out)),
        false => Ok(()),
    }
}

/// What a document has at promoted paths, each sealed as a value of its own.
fn store_paths(enc: &EncType, stored: &[u8], keys: &mut SealKeys<'_>, out: &mut Vec<u8>) -> Result<(), SealFault> {
    let of_paths = std::mem::take(&mut keys.paths);
    let doc = std::str::from_utf8(stored).map_err(|_| SealFault::Terms)?;
    out.extend_from_slice(&(enc.promoted.paths.len() as i32).to_be_bytes());
    if of_paths.len() != enc.promoted.paths.len() {
        return Err(SealFault::Terms);
    }
    for (path, terms) in enc.promoted.paths.iter().zip(of_paths) {
        let within = |fault: SealFault| SealFault::Path(path.shown(), Box::new(fault));
        match value::at_path(doc, &path.keys, path.ty.def.plain).map_err(|fault| within(fault.into()))? {
            Some(value) => {
                let mut keys = SealKeys { terms: Some(terms), paths: Vec::new(), data: &mut *keys.data };
                attribute_with(path.ty.oid, out, |out| store(&path.ty, &value, &mut keys, out)).map_err(within)?;
            }
            None => {
                out.extend_from_slice(&path.ty.oid.to_be_bytes());
                out.extend_from_slice(&(-1i32).to_be_bytes());
            }
        }
    }
    Ok(())
}

fn store_terms(enc: &EncType, stored: &[u8], keys: &TermKeys, out: &mut Vec<u8>) -> Result<(), SealFault> {
    let terms = enc.def.terms;
    if terms.eq {
        attribute(UUID, &equality(enc.def.plain, stored, keys)?, out);
    }
    if terms.ord {
        let mut ordering = Zeroizing::new(Vec::new());
        value::ordering(enc.def.plain, stored, &mut ordering)?;
        attribute_with(BYTEA, out, |out| {
            keys.ord(enc.digits).term(&ordering, out);
            Ok(())
        })?;
    }
    if terms.matching {
        let text = std::str::from_utf8(stored).map_err(|_| SealFault::Terms)?;
        let tokens = keys.matching.term(&value::fold(text), enc.whole_text);
        attribute_with(INT4_ARRAY, out, |out| {
            int4_array(tokens.iter().copied(), out);
            Ok(())
        })?;
    }
    if terms.json {
        let tokens = documents::term(stored, &keys.json)?;
        attribute_with(INT8_ARRAY, out, |out| {
            int8_array(tokens.iter().copied(), out);
            Ok(())
        })?;
    }
    Ok(())
}

fn attribute(oid: u32, bytes: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("guard and terms are short");
    out.extend_from_slice(&oid.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends an attribute whose length is known once it is written.
fn attribute_with(
    oid: u32,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), SealFault>,
) -> Result<(), SealFault> {
    out.extend_from_slice(&oid.to_be_bytes());
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = u32::try_from(out.len() - at - 4).map_err(|_| SealFault::Engine)?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Appends a one-dimensional `int4[]` in binary form.
pub(super) fn int4_array(values: impl ExactSizeIterator<Item = i32>, out: &mut Vec<u8>) {
    integers(INT4, values.map(i32::to_be_bytes), out);
}

/// Appends a one-dimensional `int8[]` in binary form.
pub(super) fn int8_array(values: impl ExactSizeIterator<Item = i64>, out: &mut Vec<u8>) {
    integers(INT8, values.map(i64::to_be_bytes), out);
}

fn integers<const N: usize>(oid: u32, values: impl ExactSizeIterator<Item = [u8; N]>, out: &mut Vec<u8>) {
    Dimensions::one(values.len()).send(oid, false, out);
    for value in values {
        out.extend_from_slice(&(N as i32).to_be_bytes());
        out.extend_from_slice(&value);
    }
}

/// Appends an array of values in binary form, of the type of this OID; `None` is NULL.
pub(super) fn array(oid: u32, dimensions: &Dimensions, values: &[Option<impl AsRef<[u8]>>], out: &mut Vec<u8>) {
    dimensions.send(oid, values.iter().any(Option::is_none), out);
    for value in values {
        match value {
            Some(value) => {
                let value = value.as_ref();
                let length = i32::try_from(value.len()).expect("a part of one message");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(value);
            }
            None => out.extend_from_slice(&(-1i32).to_be_bytes()),
        }
    }
}

/// The envelope within a composite in PostgreSQL's binary record form. `None`: it is not one of ours.
pub(super) fn envelope_of(record: &[u8]) -> Option<&[u8]> {
    let (count, mut rest) = record.split_first_chunk::<4>()?;
    if i32::from_be_bytes(*count) < 2 {
        return None;
    }
    for (index, oid) in [JSON, BYTEA].into_iter().enumerate() {
        let (header, tail) = rest.split_first_chunk::<8>()?;
        let found = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
        let length = i32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let (bytes, tail) = tail.split_at_checked(usize::try_from(length).ok()?)?;
        if found != oid || (index == 0 && bytes != GUARD) {
            return None;
        }
        if index == 1 {
            return Some(bytes);
        }
        rest = tail;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelope_of_refuses_what_is_cut_short() {
        let mut record = 2i32.to_be_bytes().to_vec();
        attribute(JSON, GUARD, &mut record);
        attribute(BYTEA, b"envelope", &mut record);
        assert_eq!(envelope_of(&record), Some(&b"envelope"[..]));
        for end in 0..record.len() {
            assert_eq!(envelope_of(&record[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn envelope_of_refuses_another_guard() {
        let mut record = 2i32.to_be_bytes().to_vec();
        attribute(JSON, b"2", &mut record);
        attribute(BYTEA, b"envelope", &mut record);
        assert_eq!(envelope_of(&record), None);
    }

    #[test]
    fn arrays_count_their_elements() {
        let mut out = Vec::new();
        array(UUID, &Dimensions::one(0), &[] as &[Option<Vec<u8>>], &mut out);
        assert_eq!(out.len(), 12);
        out.clear();
        array(UUID, &Dimensions::one(2), &[Some(vec![7; 16]), None], &mut out);
        assert_eq!(out.len(), 12 + 8 + 20 + 4);
        assert_eq!(out[4..8], 1i32.to_be_bytes());
    }
}
