//! Arrays of encrypted values: what makes them, reads their shape, joins them and takes them apart. PostgreSQL's own functions
//! do it, which look at no element.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AArrayExpr, AExpr, AExprKind, AIndirection, FuncCall, Node, SubLink};

use super::analyzer::Analyzer;
use super::combine::beside_plain;
use super::compare::{accessor, first_encrypted};
use super::expr::{Enc, Open, Val};
use super::outputs::Written;
use super::plan::{Refusal, Source};
use super::refuse::{self, Detail, Result};
use super::routine::is_bare;
use super::scope::{Found, Scope};
use super::site::Decision;
use super::tree;
use super::types::{self, Named};
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

/// Functions that tell the shape of an array.
const SHAPE: &[&str] = &["cardinality", "array_length", "array_ndims", "array_upper", "array_lower", "array_dims"];

/// What an argument of a function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Array,
    Element,
}

impl Analyzer<'_> {
    /// `ARRAY[...]`: of encrypted values, or of given ones whose use is not decided yet.
    pub(super) fn array(&mut self, expr: &AArrayExpr, scope: &Scope<'_>) -> Result<Val> {
        const CONSTRUCT: &str = "ARRAY[...]";
        let first = self.token(expr.location)?;
        let open = if self.is_word(first, "array") { first + 1 } else { first };
        let span = self.span(first, self.partner(open)?);
        let vals = expr.elements.iter().map(|element| self.expr(element, scope)).collect::<Result<Vec<_>>>()?;
        if vals.is_empty() {
            let site = self.site(span, None);
            self.sites[site].empty = true;
            return Ok(Val::Open(Open { sites: Rc::from([site]), simple: false, span }));
        }
        Ok(match self.combine(vals, span, CONSTRUCT)? {
            Val::Enc(enc) => Val::Enc(Enc::new(enc.ty.array(), enc.column, span)),
            Val::Open(open) => {
                // An empty array stays one in another.
                open.sites.iter().for_each(|&site| self.sites[site].in_array = !self.sites[site].empty);
                Val::Open(open)
            }
            Val::Plain => Val::Plain,
        })
    }

    /// `ARRAY(SELECT ...)`.
    pub(super) fn array_query(&mut self, link: &SubLink, query: &Node, scope: &Scope<'_>) -> Result<Val> {
        let outputs = self.query(query, Some(scope))?;
        let first = self.token(link.location)?;
        let span = self.span(first, self.partner(first + 1)?);
        let [column] = outputs.columns.as_slice() else {
            self.plain_outputs(&outputs, "ARRAY(SELECT ...) of several columns").map_err(|r| r.at(span.0 as i32))?;
            return Ok(Val::Plain);
        };
        match self.found(Found { val: column.val.clone(), origin: None }, span)? {
            Val::Enc(enc) if outputs.opaque => {
                Err(refuse::on_column("ARRAY(SELECT *) over a function", &enc.column).at(span.0 as i32))
            }
            Val::Enc(enc) => Ok(Val::Enc(Enc::new(enc.ty.array(), enc.column, span))),
            val => self.plain_val(&val).map(|()| Val::Plain),
        }
    }

    /// `a[1]`, `a[1:2]`, or an attribute.
    pub(super) fn indirection(&mut self, expr: &AIndirection, scope: &Scope<'_>) -> Result<Val> {
        let Some(arg) = tree::child(&expr.arg) else { return Ok(Val::Plain) };
        let subscripts = expr.indirection.iter().all(|part| matches!(tree::kind(part), Some(NodeEnum::AIndices(_))));
        let val = self.expr(arg, scope)?;
        let Val::Enc(enc) = val else {
            self.plain_val(&val)?;
            self.plain_all(&expr.indirection, scope, "a subscript")?;
            return Ok(Val::Plain);
        };
        if !enc.ty.is_array() || !subscripts {
            return Err(refuse::on_column("taking an attribute", &enc.column).at(enc.span.0 as i32));
        }
        self.kept(&enc);
        self.plain_all(&expr.indirection, scope, "a subscript")?;
        let (first, mut last) = self.around(enc.span, usize::MAX)?;
        for _ in &expr.indirection {
            if !self.is(last + 1, "[") {
                return Err(refuse::on_column("this form of a subscript", &enc.column).at(enc.span.0 as i32));
            }
            last = self.partner(last + 1)?;
        }
        let slice = |part: &Node| matches!(tree::kind(part), Some(NodeEnum::AIndices(indices)) if indices.is_slice);
        let ty = if expr.indirection.iter().any(slice) { enc.ty } else { Arc::clone(enc.ty.single()) };
        Ok(Val::Enc(Enc::new(ty, enc.column, self.span(first, last))))
    }

    /// A function of PostgreSQL's with an encrypted value or array among its arguments, if it is one that works on them.
    pub(super) fn array_call(
        &mut self,
        call: &FuncCall,
        name: &str,
        vals: &[Val],
        scope: &Scope<'_>,
    ) -> Result<Option<Val>> {
        use Part::{Array, Element};
        let parts: &[Part] = match (name, vals) {
            ("array_agg", [Val::Enc(enc)]) => return self.aggregated(call, enc.clone(), scope).map(Some),
            _ if !is_bare(call) => return Ok(None),
            ("unnest", [Val::Enc(enc)]) if enc.ty.is_array() => {
                let ty = Arc::clone(enc.ty.single());
                return Ok(Some(Val::Enc(Enc::new(ty, enc.column.clone(), self.span_of(call)?))));
            }
            (_, [Val::Enc(enc), others @ ..]) if SHAPE.contains(&name) && enc.ty.is_array() => {
                return self.firm_vals(others, name).map(|()| Some(Val::Plain));
            }
            ("trim_array", [Val::Enc(enc), count]) if enc.ty.is_array() => {
                self.firm_vals(std::slice::from_ref(count), name)?;
                return Ok(Some(Val::Enc(Enc::new(enc.ty.clone(), enc.column.clone(), self.span_of(call)?))));
            }
            ("array_position" | "array_positions", _) => return self.position(vals, name),
            ("array_append", [_, _]) => &[Array, Element],
            ("array_prepend", [_, _]) => &[Element, Array],
            ("array_cat", [_, _]) => &[Array, Array],
            _ => return Ok(None),
        };
        let (ty, column) = self.members(vals, parts, name)?;
        Ok(Some(Val::Enc(Enc::new(ty, column, self.span_of(call)?))))
    }

    /// Arguments that are numbers.
    fn firm_vals(&mut self, vals: &[Val], name: &str) -> Result<()> {
        vals.iter().try_for_each(|val| match val {
            Val::Plain => Ok(()),
            Val::Open(open) => self.decide_firm(&open.sites),
            Val::Enc(enc) => Err(refuse::on_column(&format!("function {name}"), &enc.column).at(enc.span.0 as i32)),
        })
    }

    /// Arrays and elements of one type become an array of it.
    fn members(&mut self, vals: &[Val], parts: &[Part], construct: &str) -> Result<(Arc<EncType>, Rc<str>)> {
        let found = vals.iter().zip(parts).find_map(|(val, part)| match val {
            Val::Enc(enc) => Some((enc, *part)),
            _ => None,
        });
        let Some((known, part)) = found else { return Err(refuse::unsupported(construct)) };
        if known.ty.is_array() != (part == Part::Array) {
            return Err(refuse::on_column(construct, &known.column).at(known.span.0 as i32));
        }
        let (element, column) = (Arc::clone(known.ty.single()), known.column.clone());
        let array = known.ty.array();
        let mut first = true;
        for (val, part) in vals.iter().zip(parts) {
            let ty = if *part == Part::Array { &array } else { &element };
            match val {
                Val::Open(open) => {
                    self.join_values(open, first, ty, &column, construct)?;
                    continue;
                }
                Val::Enc(enc) if enc.ty.oid == ty.oid => self.kept(enc),
                Val::Enc(enc) => return Err(other_type(construct, enc, ty)),
                Val::Plain => return Err(beside_plain(construct, known)),
            }
            first = false;
        }
        Ok((array, column))
    }

    /// `a || b` where one of them is an array of encrypted values.
    pub(super) fn concatenated(&mut self, expr: &AExpr, vals: &[Val]) -> Result<Option<Val>> {
        const CONSTRUCT: &str = "operator ||";
        let arrays = |val: &Val| matches!(val, Val::Enc(enc) if enc.ty.is_array());
        let [left, right] = vals else { return Ok(None) };
        if !arrays(left) && !arrays(right) {
            return Ok(None);
        }
        let part = |val: &Val| match val {
            Val::Enc(enc) if !enc.ty.is_array() => Part::Element,
            Val::Open(open) if self.is_given_as_element(open) => Part::Element,
            _ => Part::Array,
        };
        let parts = [part(left), part(right)];
        let (ty, column) = self.members(vals, &parts, CONSTRUCT)?;
        let operator = self.token(expr.location)?;
        let (Some(left), Some(right)) = (left.span(), right.span()) else { return Ok(None) };
        let (first, _) = self.around(left, operator)?;
        let (_, last) = self.around(right, usize::MAX)?;
        Ok(Some(Val::Enc(Enc::new(ty, column, self.span(first, last)))))
    }

    /// Comparisons of arrays, by the terms of their elements. `None`: another operator.
    pub(super) fn compared_arrays(&mut self, expr: &AExpr, name: &str, vals: &[Val]) -> Result<Option<Val>> {
        let distinct = matches!(expr.kind(), AExprKind::AexprDistinct | AExprKind::AexprNotDistinct);
        let operator = expr.kind() == AExprKind::AexprOp && ["=", "<>", "@>", "<@", "&&"].contains(&name);
        let Some(enc) = first_encrypted(vals).filter(|enc| enc.ty.is_array() && (distinct || operator)) else {
            return Ok(None);
        };
        let construct = if distinct { "IS DISTINCT FROM" } else { name };
        self.common(vals, &format!("comparison ({construct})"))?;
        self.needs_terms(&enc, construct)?;
        // Containment looks at elements alone.
        let whole = distinct || matches!(name, "=" | "<>");
        vals.iter().try_for_each(|val| self.array_operand(val, &enc, whole))?;
        if operator {
            let (span, _) = self.operator_span(expr.location)?;
            self.edits.both(span, format!("OPERATOR(pg_catalog.{name})"));
        }
        Ok(Some(Val::Plain))
    }

    /// An array as that of its terms. `whole`: with dimensions and bounds.
    fn array_operand(&mut self, val: &Val, enc: &Enc, whole: bool) -> Result<()> {
        let element = enc.ty.single();
        let terms = match (whole, element.def.terms.ord) {
            (false, _) => accessor(element),
            (true, true) => "seal.ord_whole(",
            (true, false) => "seal.eq_whole(",
        };
        match val {
            Val::Plain => {}
            Val::Enc(array) => self.edits.wrap_both(array.span, terms, ")"),
            Val::Open(open) if self.is_array_of_its_own(open) => {
                for &site in open.sites.iter() {
                    self.sites[site].listed = !self.sites[site].in_array;
                    self.decide(site, Decision::EqualArray(element.clone()), &enc.column)?;
                }
                let ((start, end), whole) = (open.span, whole.then_some(("seal.whole(", ")")));
                self.edits.each((start, start), Some(terms.into()), whole.map(|(before, _)| before.into()));
                self.edits.each((end, end), Some(")".into()), whole.map(|(_, after)| after.into()));
            }
            Val::Open(open) => {
                self.store(open, &enc.ty, &enc.column)?;
                self.edits.wrap_both(open.span, terms, ")");
            }
        }
        Ok(())
    }

    /// It is one given array, or `ARRAY[...]` of given values.
    fn is_array_of_its_own(&self, open: &Open) -> bool {
        let site = |site: &usize| &self.sites[*site];
        open.simple || open.sites.iter().map(site).all(|site| site.in_array || site.empty)
    }

    /// `array_position(a, $1)`: in the arrays of terms.
    fn position(&mut self, vals: &[Val], name: &str) -> Result<Option<Val>> {
        let [array, value, others @ ..] = vals else { return Ok(None) };
        let known = match (array, value) {
            (Val::Enc(array), Val::Open(_) | Val::Enc(_)) if array.ty.is_array() => array,
            (Val::Open(open), Val::Enc(value)) if open.simple && !value.ty.is_array() => value,
            _ => return Ok(None),
        };
        let (ty, column) = (Arc::clone(known.ty.single()), known.column.clone());
        self.needs_terms(known, name)?;
        let placed = if ty.def.terms.ord { "seal.ord_placed(" } else { "seal.eq_placed(" };
        match array {
            Val::Enc(array) => self.edits.wrap(array.span, placed, ")"),
            Val::Open(open) => {
                self.sites[open.sites[0]].listed = true;
                self.decide(open.sites[0], Decision::EqualArray(ty.clone()), &column)?;
            }
            Val::Plain => {}
        }
        match value {
            Val::Enc(enc) if enc.ty.oid != ty.oid => return Err(other_type(name, enc, &ty)),
            Val::Open(open) if open.simple => self.sites[open.sites[0]].listed = true,
            _ => {}
        }
        self.operand(value, &ty, &column)?;
        self.firm_vals(others, name).map(|()| Some(Val::Plain))
    }

    /// PostgreSQL knows its type, and that is no array. What has no type of its own is an array beside one.
    fn is_given_as_element(&self, open: &Open) -> bool {
        open.sites.iter().any(|&site| {
            let site = &self.sites[site];
            let declared = match site.source {
                Some(Source::Client(n)) => self.declared.get(n).copied().unwrap_or(0),
                _ => 0,
            };
            match site.casts.last() {
                _ if site.in_array || site.empty => false,
                Some(Named::Builtin { array, .. }) => !array,
                Some(Named::Enc(_)) => true,
                Some(_) => false,
                None => PlainType::from_oid(declared).is_some() && declared != types::UNKNOWN,
            }
        })
    }

    /// `array_agg(e)`.
    fn aggregated(&mut self, call: &FuncCall, enc: Enc, scope: &Scope<'_>) -> Result<Val> {
        self.aggregate_order(call, scope)?;
        self.call_tail(call, scope)?;
        if call.agg_distinct {
            self.distinct_elements(call, &enc)?;
        } else {
            self.kept(&enc);
        }
        let column = enc.column.clone();
        Ok(Val::Enc(Enc::new(enc.ty.array(), column, self.span_of(call)?)))
    }

    /// `array_agg(DISTINCT e)`: of all, those that differ by their term, in the order of the values where that is known.
    fn distinct_elements(&mut self, call: &FuncCall, enc: &Enc) -> Result<()> {
        const CONSTRUCT: &str = "array_agg(DISTINCT ...)";
        self.needs_terms(enc, CONSTRUCT)?;
        let first = self.token(call.location)?;
        let open = self.name_end(first) + 1;
        let (word, close) = (self.span(open + 1, open + 1), self.span(self.partner(open)?, self.partner(open)?));
        let part = self.edits.part(enc.span);
        let written = enc.bare.as_ref().map_or(Written::Copy(part), |bare| Written::Text(bare.text.clone()));
        self.edits.both(word, "");
        if call.agg_order.is_empty() && enc.ty.def.terms.ord {
            let text = self.write(&written, CONSTRUCT, &enc.column).map_err(|r| r.at(enc.span.0 as i32))?;
            self.edits.both((close.0, close.0), format!(" ORDER BY ({text}).ord"));
        }
        let span = self.span_of(call)?;
        let distinct = if enc.ty.def.terms.ord { "seal.ord_distinct(" } else { "seal.eq_distinct(" };
        self.edits.both((span.0, span.0), distinct);
        self.edits.both((span.1, span.1), ")");
        Ok(())
    }

    /// Refused unless values of the type, or the elements of its arrays, can be told apart in arrays of terms.
    pub(super) fn needs_terms(&self, enc: &Enc, construct: &str) -> Result<()> {
        self.needs_equality(&Enc::new(Arc::clone(enc.ty.single()), enc.column.clone(), enc.span), construct)?;
        self.needs_schema(enc, construct)
    }

    /// Refused where the database has not the functions for arrays.
    pub(super) fn needs_schema(&self, enc: &Enc, construct: &str) -> Result<()> {
        const VERSION: u32 = 4;
        match self.catalog.seal_version.is_some_and(|version| version >= VERSION) {
            true => Ok(()),
            false => Err(refuse::on_column(construct, &enc.column)
                .hint("The seal schema of this database is of an older version: columnseal db install.")
                .at(enc.span.0 as i32)),
        }
    }
}

fn other_type(construct: &str, enc: &Enc, ty: &EncType) -> Box<Refusal> {
    let message = format!(
        "{construct} of columns of different encrypted types is not supported: {} is {}, not {}",
        enc.column,
        types::sql_name(&enc.ty),
        types::sql_name(ty)
    );
    refuse::unsupported(message).at(enc.span.0 as i32)
}
