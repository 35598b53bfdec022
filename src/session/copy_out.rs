//! COPY TO STDOUT: the rows of the query in its place, opened and printed as COPY prints them.

use zeroize::Zeroizing;

use super::errors;
use super::prepared::{Portal, Prepared, Printer};
use super::rows::{Opener, RowFault, Seen};
use crate::sql::copy::{CopyOut, Named};
use crate::wire::Values;
use crate::wire::copy::{self, BINARY_HEADER, BINARY_TRAILER, Dialect, Header, Kind};
use crate::wire::error::PgError;
use crate::wire::frame::BuildError;
use crate::wire::server::{self, RowDescription};

/// How rows are printed, and what stands before them.
///
/// # Errors
/// FORCE_QUOTE names a column that is not there.
pub(super) fn printer(copy: &CopyOut, prepared: &Prepared) -> Result<Printer, PgError> {
    let body = prepared.plan.confirmed.get().and_then(|c| c.row_description.as_deref()).unwrap_or_default();
    let description = RowDescription::parse(body).map_err(|_| errors::internal("the result columns are not known"))?;
    let names: Vec<&[u8]> = description.fields().map(|field| field.name).collect();
    if let Named::Columns(wanted) = &copy.force_quote
        && let Some(name) = wanted.iter().find(|name| !names.contains(&name.as_bytes()))
    {
        return Err(errors::no_column(name));
    }
    let quoted = names.iter().map(|name| std::str::from_utf8(name).is_ok_and(|name| copy.force_quote.holds(name)));
    let quoted = quoted.collect();
    let mut opening = Vec::new();
    put_opening(&copy.dialect, &names, &mut opening).map_err(|_| errors::too_many())?;
    Ok(Printer { opening, quoted })
}

fn put_opening(dialect: &Dialect, names: &[&[u8]], out: &mut Vec<u8>) -> Result<(), BuildError> {
    copy::copy_out_response(out, dialect.kind == Kind::Binary, names.len())?;
    if dialect.header == Header::None {
        return Ok(());
    }
    let header = copy::copy_data(out, |out| {
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                out.push(dialect.delimiter);
            }
            dialect.print(name, false, names.len() == 1, out);
        }
        out.push(b'\n');
        Ok::<(), BuildError>(())
    })?;
    header.map(|_| ())
}

/// Appends the message for a row; on error nothing stays.
pub(super) fn row(
    opener: &mut Opener<'_>,
    printer: &Printer,
    values: Values<'_>,
    plaintext: &mut Zeroizing<Vec<u8>>,
    out: &mut Vec<u8>,
) -> Result<(), RowFault> {
    let Some(copy) = opener.portal.prepared.plan.copy_out() else {
        return Err(errors::internal("rows of no COPY").into());
    };
    let start = out.len();
    let first = opener.row == 0;
    if first {
        out.extend_from_slice(&printer.opening);
    }
    let mut printed = std::mem::take(&mut opener.state.printed);
    let mut line = Line { opener, dialect: &copy.dialect, plaintext, printed: &mut printed };
    let written = copy::copy_data(out, |out| match copy.dialect.kind {
        Kind::Binary => line.tuple(values, first, out),
        Kind::Text | Kind::Csv => line.text(values, &printer.quoted, out),
    });
    opener.state.printed = printed;
    let written = written.and_then(|built| built.map_err(|_| errors::too_long(opener.row).into()));
    if written.is_err() {
        out.truncate(start);
    }
    written.map(|_| ())
}

/// A row on its way out.
struct Line<'l, 'o> {
    opener: &'l mut Opener<'o>,
    dialect: &'l Dialect,
    plaintext: &'l mut Zeroizing<Vec<u8>>,
    printed: &'l mut Zeroizing<Vec<u8>>,
}

impl Line<'_, '_> {
    fn text(&mut self, values: Values<'_>, quoted: &[bool], out: &mut Vec<u8>) -> Result<(), RowFault> {
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push(self.dialect.delimiter);
            }
            let seen = self.opener.value(index, value, self.plaintext)?;
            let text = match (seen, value) {
                (Seen::AsSent, Some(text)) => text,
                (Seen::Opened, _) => {
                    self.printed.clear();
                    self.opener.print(index, self.plaintext, self.printed)?;
                    self.printed.as_slice()
                }
                (Seen::Null | Seen::AsSent, _) => {
                    self.dialect.print_null(false, out);
                    continue;
                }
            };
            let force = quoted.get(index).copied().unwrap_or(false);
            self.dialect.print(text, force, values.len() == 1, out);
        }
        out.push(b'\n');
        Ok(())
    }

    fn tuple(&mut self, values: Values<'_>, first: bool, out: &mut Vec<u8>) -> Result<(), RowFault> {
        if first {
            out.extend_from_slice(&BINARY_HEADER);
        }
        let count = u16::try_from(values.len()).map_err(|_| errors::too_many())?;
        out.extend_from_slice(&count.to_be_bytes());
        for (index, value) in values.iter().enumerate() {
            let at = out.len();
            out.extend_from_slice(&(-1i32).to_be_bytes());
            match (self.opener.value(index, value, self.plaintext)?, value) {
                (Seen::AsSent, Some(bytes)) => out.extend_from_slice(bytes),
                (Seen::Opened, _) => self.opener.print(index, self.plaintext, out)?,
                (Seen::Null | Seen::AsSent, _) => continue,
            }
            let length = u32::try_from(out.len() - at - 4).map_err(|_| errors::too_long(self.opener.row))?;
            out[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        Ok(())
    }
}

/// Appends what stands after the last of `rows` rows.
pub(super) fn close(portal: &Portal, rows: u64, out: &mut Vec<u8>) -> Result<(), BuildError> {
    let binary = portal.prepared.plan.copy_out().is_some_and(|copy| copy.dialect.kind == Kind::Binary);
    if rows == 0
        && let Some(printer) = portal.printer()
    {
        out.extend_from_slice(&printer.opening);
    }
    if binary {
        let last = copy::copy_data(out, |out| {
            if rows == 0 {
                out.extend_from_slice(&BINARY_HEADER);
            }
            out.extend_from_slice(&BINARY_TRAILER);
            Ok::<(), BuildError>(())
        })?;
        last?;
    }
    copy::copy_done(out);
    server::put_command_complete(out, format!("COPY {rows}").as_bytes())
}
