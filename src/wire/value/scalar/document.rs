//! Functions and operators of json and jsonb.

use std::borrow::Cow;

use super::{Scalar, int4};
use crate::wire::value::PlainType::{self, Json, Jsonb};
use crate::wire::value::document::{self, Step};
use crate::wire::value::error::{Result, ValueError};
use crate::wire::value::{Parts, scan};

pub(super) fn apply(function: Scalar, of: PlainType, arguments: &[&[u8]], out: &mut Vec<u8>) -> Result<bool> {
    let corrupt = || ValueError::corrupt(of);
    let (first, rest) = arguments.split_first().ok_or_else(corrupt)?;
    let doc = std::str::from_utf8(first).map_err(|_| corrupt())?;
    let part = match function {
        Scalar::JsonTypeof => Some(document::type_of(doc)?.into()),
        Scalar::JsonArrayLength => {
            let length = i32::try_from(document::array_length(doc)?).map_err(|_| corrupt())?;
            out.extend_from_slice(&length.to_be_bytes());
            return Ok(true);
        }
        Scalar::JsonbPretty => return document::pretty(doc, out).map(|()| true),
        Scalar::Field | Scalar::FieldText | Scalar::Element | Scalar::ElementText => {
            let as_text = matches!(function, Scalar::FieldText | Scalar::ElementText);
            let step = rest.first().ok_or_else(corrupt)?;
            let by_key = matches!(function, Scalar::Field | Scalar::FieldText);
            match (of, by_key) {
                (Jsonb, true) => shown(document::field(doc, scan::utf8(step)?)?, as_text)?,
                (_, true) => document::json(doc, &[Step::key(scan::utf8(step)?)], as_text)?,
                (Jsonb, false) => shown(document::element(doc, int4(step)?)?, as_text)?,
                (_, false) => document::json(doc, &[Step::at(int4(step)?)], as_text)?,
            }
        }
        _ => {
            let as_text = matches!(function, Scalar::PathText | Scalar::StepsText);
            let steps = match function {
                Scalar::Path | Scalar::PathText => path(rest.first().ok_or_else(corrupt)?)?,
                _ => rest.iter().map(|step| scan::utf8(step).map(Some)).collect::<Result<_>>()?,
            };
            // A path with a NULL in it leads nowhere.
            let Some(steps) = steps.into_iter().collect::<Option<Vec<&str>>>() else { return Ok(false) };
            match of {
                Json => document::json(doc, &steps.into_iter().map(Step::either).collect::<Vec<_>>(), as_text)?,
                _ => shown(document::path(doc, &steps)?, as_text)?,
            }
        }
    };
    let Some(part) = part else { return Ok(false) };
    out.extend_from_slice(part.as_bytes());
    Ok(true)
}

/// A part of jsonb as it is asked for.
fn shown(part: Option<&str>, as_text: bool) -> Result<Option<Cow<'_, str>>> {
    match part {
        Some(part) if as_text => document::text(part),
        part => Ok(part.map(Cow::Borrowed)),
    }
}

fn path(array: &[u8]) -> Result<Vec<Option<&str>>> {
    let parts = Parts::parse(array)?;
    parts.items.into_iter().map(|item| item.map(scan::utf8).transpose()).collect()
}
