//! Windows, the functions that give a value of one of their rows, and aggregates WITHIN GROUP.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node, WindowDef};

use super::analyzer::Analyzer;
use super::compare::first_encrypted;
use super::expr::{Enc, Val};
use super::group::AGGREGATES;
use super::outputs::Written;
use super::plan::Refusal;
use super::refuse::{self, Detail, Result};
use super::scope::Scope;
use super::sort::{has_range_offset, missing_order};
use super::tree;
use super::types;

/// Functions whose result is one of their values.
const VALUES: &[&str] = &["lag", "lead", "first_value", "last_value", "nth_value"];

/// Functions of PostgreSQL's own, beside aggregates, that give the same each time that they are called in a statement.
const STEADY: &str = "abs btrim ceil ceiling char_length concat concat_ws cume_dist current_setting date_part date_trunc dense_rank \
    extract first_value floor initcap lag last_value lead left length lower lpad ltrim mod now nth_value ntile \
    percent_rank position power rank regexp_replace repeat replace right round row_number rpad rtrim sign \
    split_part starts_with strpos substr substring to_char to_date to_number to_timestamp trim trunc upper";

/// The function gives one of its values.
pub(super) fn gives_value(name: &str) -> bool {
    VALUES.contains(&name)
}

impl Analyzer<'_> {
    /// Notes a call that may give another value each time, and one of a window.
    pub(super) fn note_call(&mut self, call: &FuncCall, name: &str, builtin: bool) {
        let steady = builtin && (STEADY.split(' ').any(|steady| steady == name) || AGGREGATES.contains(&name));
        if let (false, Ok(at)) = (steady, self.token(call.location)) {
            self.varying.push(self.lexed.tokens[at].start);
        }
        self.windows += usize::from(call.over.is_some());
    }

    /// `lag(e, 1, $1) OVER (...)` and the like.
    pub(super) fn window_value(&mut self, call: &FuncCall, name: &str, scope: &Scope<'_>) -> Result<Val> {
        let mut vals = Vec::with_capacity(2);
        for (i, arg) in call.args.iter().enumerate() {
            match (self.expr(arg, scope)?, i) {
                // A number of rows.
                (Val::Open(open), 1) => self.decide_firm(&open.sites)?,
                (Val::Plain, 1) => {}
                (Val::Enc(enc), 1) => {
                    let construct = format!("the number of rows of {name}");
                    return Err(refuse::on_column(&construct, &enc.column).at(enc.span.0 as i32));
                }
                (val, _) => vals.push(val),
            }
        }
        self.aggregate_order(call, scope)?;
        self.call_tail(call, scope)?;
        if first_encrypted(&vals).is_none() {
            return self.plain_vals(&vals).map(|()| Val::Plain);
        }
        let span = self.span_of(call)?;
        self.combine(vals, span, name)
    }

    /// What OVER and WINDOW say. Gives an encrypted column by which a window orders.
    pub(super) fn window(&mut self, window: &WindowDef, scope: &Scope<'_>) -> Result<Option<Rc<str>>> {
        for key in &window.partition_clause {
            self.equality_key(key, scope, "PARTITION BY")?;
        }
        let ordered = self.order_all(&window.order_clause, scope, "ORDER BY in a window")?;
        if has_range_offset(window) {
            let at = self.here(window.location);
            match &ordered {
                Some(column) => return Err(ranged(column).at(at)),
                None => self.ranged.push((window.refname.clone(), at)),
            }
        }
        self.plain_some(&window.start_offset, scope, "a window frame")?;
        self.plain_some(&window.end_offset, scope, "a window frame")?;
        Ok(ordered)
    }

    /// WINDOW. `before`: frames that were noted before this query, which name none of its windows.
    pub(super) fn windows(&mut self, list: &[Node], scope: &Scope<'_>, before: usize) -> Result<()> {
        for node in list {
            let Some(NodeEnum::WindowDef(window)) = tree::kind(node) else { continue };
            let ordered = self.window(window, scope)?;
            let of = |frame: &&(String, i32)| frame.0 == window.name;
            if let (Some(column), Some(frame)) = (ordered, self.ranged[before..].iter().find(of)) {
                return Err(ranged(&column).at(frame.1));
            }
        }
        self.ranged.truncate(before);
        Ok(())
    }

    /// `percentile_disc(0.5) WITHIN GROUP (ORDER BY e)` and the like: the values that are ordered are also what comes out.
    pub(super) fn ordered_set(&mut self, call: &FuncCall, name: &str, scope: &Scope<'_>) -> Result<Val> {
        self.plain_all(&call.args, scope, "the direct argument of an aggregate WITHIN GROUP")?;
        let mut vals = Vec::with_capacity(call.agg_order.len());
        for node in call.agg_order.iter().filter_map(tree::sorted) {
            vals.push(self.expr(node, scope)?);
        }
        self.call_tail(call, scope)?;
        let Some(enc) = first_encrypted(&vals) else { return self.plain_vals(&vals).map(|()| Val::Plain) };
        let one = |node: &Node| !matches!(tree::kind(node), Some(NodeEnum::AArrayExpr(_)));
        let (args, keys) = (call.args.as_slice(), call.agg_order.as_slice());
        let using =
            matches!(keys, [key] if matches!(tree::kind(key), Some(NodeEnum::SortBy(s)) if !s.use_op.is_empty()));
        match (name, args, keys) {
            ("percentile_disc", [share], [_]) if one(share) && !using && call.over.is_none() => {
                self.percentile(call, enc)
            }
            _ => Err(refuse::on_column(&format!("this use of {name} WITHIN GROUP"), &enc.column)
                .hint("percentile_disc of one share works, with term ord; compute others on the values read.")
                .at(enc.span.0 as i32)),
        }
    }

    /// `percentile_disc(p) WITHIN GROUP (ORDER BY e)` of arrays that begin with the order term and hold what a value is
    /// made of.
    fn percentile(&mut self, call: &FuncCall, enc: Enc) -> Result<Val> {
        const NAME: &str = "percentile_disc";
        let at = enc.span.0 as i32;
        let terms = enc.ty.def.terms;
        if !terms.ord {
            return Err(missing_order(&enc.ty, &enc.column, NAME).at(at));
        }
        if terms.matching || terms.json {
            return Err(refuse::on_column(&format!("{NAME} on a type with other terms"), &enc.column).at(at));
        }
        let part = self.edits.part(enc.span);
        let written = enc.bare.as_ref().map_or(Written::Copy(part), |bare| Written::Text(bare.text.clone()));
        let text = self.write(&written, NAME, &enc.column).map_err(|r| r.at(at))?;
        let eq = if terms.eq { format!(", pg_catalog.uuid_send(({text}).eq)") } else { String::new() };
        self.edits
            .both((enc.span.0, enc.span.0), format!("CASE WHEN ({text}).ord IS NOT NULL THEN ARRAY[({text}).ord, ("));
        self.edits.both((enc.span.1, enc.span.1), format!(").c{eq}] END"));
        // Of an array of shares there would be an array of values.
        let (first, last) = (self.token(call.location)?, self.call_end(call)?);
        let open = self.name_end(first) + 1;
        let (open, close) = (self.span(open, open), self.span(self.partner(open)?, self.partner(open)?));
        self.edits.both((open.1, open.1), "(");
        self.edits.both((close.0, close.0), ")::pg_catalog.float8");
        let span = self.span(first, last);
        let part = self.edits.part(span);
        let made = self.write(&Written::Copy(part), NAME, &enc.column).map_err(|r| r.at(at))?;
        let eq =
            if terms.eq { format!(", pg_catalog.encode(({made})[3], 'hex')::pg_catalog.uuid") } else { String::new() };
        self.edits.both(
            self.span(first, self.name_end(first)),
            format!("CASE WHEN {made} IS NOT NULL THEN ROW('1', ({made})[2]{eq}, (pg_catalog.{NAME}"),
        );
        self.edits.both(self.span(last, last), format!("))[1])::{} END", types::sql_name(&enc.ty)));
        Ok(Val::Enc(Enc::new(enc.ty, enc.column, span)))
    }
}

fn ranged(column: &str) -> Box<Refusal> {
    refuse::on_column("a window frame of RANGE with an offset", column).hint("Use ROWS or GROUPS.")
}
