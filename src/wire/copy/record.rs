//! Composites as text: what PostgreSQL reads as a record, made of its binary form.

use std::io::Write;

use crate::wire::read::{MessageError, Reader};

const BYTEA: u32 = 17;
const JSON: u32 = 114;
const INT4_ARRAY: u32 = 1007;
const INT8_ARRAY: u32 = 1016;
const UUID: u32 = 2950;

/// How deep composites stand in one another: what a document has at its promoted paths.
const MAX_DEPTH: usize = 2;

/// Appends the text of a composite that is given in binary form. Attributes may be those of encrypted types, and composites of the types
/// `nested`.
///
/// # Errors
/// The form is broken, or an attribute has another type.
pub fn record_text(record: &[u8], nested: &[u32], out: &mut Vec<u8>) -> Result<(), MessageError> {
    text(record, nested, MAX_DEPTH, out)
}

fn text(record: &[u8], nested: &[u32], depth: usize, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let mut reader = Reader::new(record);
    let count = reader.u32()?;
    out.push(b'(');
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        let oid = reader.u32()?;
        if let Some(value) = reader.value()? {
            match depth > 0 && nested.contains(&oid) {
                true => inner(value, nested, depth - 1, out)?,
                false => attribute(oid, value, out)?,
            }
        }
    }
    out.push(b')');
    reader.end()
}

/// A composite within one: in quotes, as any text is.
fn inner(record: &[u8], nested: &[u32], depth: usize, out: &mut Vec<u8>) -> Result<(), MessageError> {
    let mut text = Vec::new();
    self::text(record, nested, depth, &mut text)?;
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'"');
    Ok(())
}

fn attribute(oid: u32, value: &[u8], out: &mut Vec<u8>) -> Result<(), MessageError> {
    match oid {
        JSON => {
            out.push(b'"');
            for &byte in value {
                if matches!(byte, b'"' | b'\\') {
                    out.push(byte);
                }
                out.push(byte);
            }
            out.push(b'"');
        }
        BYTEA => {
            out.extend_from_slice(b"\"\\\\x");
            put_hex(value, out);
            out.push(b'"');
        }
        UUID => put_hex(value, out),
        INT4_ARRAY => array(value, out, |v| v.try_into().ok().map(i32::from_be_bytes).map(i64::from))?,
        INT8_ARRAY => array(value, out, |v| v.try_into().ok().map(i64::from_be_bytes))?,
        _ => return Err(MessageError::Trailing),
    }
    Ok(())
}

fn put_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let at = out.len();
    out.resize(at + 2 * bytes.len(), 0);
    hex::encode_to_slice(bytes, &mut out[at..]).expect("two digits a byte");
}

/// An array of one dimension, or an empty one.
fn array(value: &[u8], out: &mut Vec<u8>, read: impl Fn(&[u8]) -> Option<i64>) -> Result<(), MessageError> {
    let mut reader = Reader::new(value);
    let dimensions = reader.u32()?;
    reader.bytes(8)?;
    let count = match dimensions {
        0 => 0,
        1 => {
            let count = reader.u32()?;
            reader.bytes(4)?;
            count
        }
        _ => return Err(MessageError::Trailing),
    };
    out.extend_from_slice(b"\"{");
    for index in 0..count {
        if index > 0 {
            out.push(b',');
        }
        match reader.value()? {
            None => out.extend_from_slice(b"NULL"),
            Some(element) => {
                let number = read(element).ok_or(MessageError::Truncated)?;
                write!(out, "{number}").expect("a Vec takes everything");
            }
        }
    }
    out.extend_from_slice(b"}\"");
    reader.end()
}
