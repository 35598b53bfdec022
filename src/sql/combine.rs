//! Values of several expressions that come together: COALESCE, CASE, UNION, VALUES, and the sides of a comparison.

use std::rc::Rc;
use std::sync::Arc;

use super::analyzer::Analyzer;
use super::expr::{Enc, Open, Val};
use super::plan::{Refusal, Source};
use super::refuse::{self, Detail, Result};
use super::scope::Span;
use super::site::Decision;
use super::types::{self, Named};
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

impl Analyzer<'_> {
    /// Values of which one is taken: all of one encrypted type, all plain, or all open.
    pub(super) fn combine(&mut self, vals: Vec<Val>, span: Span, construct: &str) -> Result<Val> {
        let Some((ty, column)) = self.common(&vals, construct)? else {
            if vals.iter().any(|v| matches!(v, Val::Plain)) {
                self.plain_vals(&vals)?;
                return Ok(Val::Plain);
            }
            let sites =
                vals.iter().flat_map(|v| if let Val::Open(o) = v { o.sites.to_vec() } else { Vec::new() }).collect();
            return Ok(Val::Open(Open { sites, simple: false, span }));
        };
        let ty = vals.iter().fold(ty, |ty, v| match v {
            Val::Enc(e) => types::shown_together(ty, &e.ty),
            _ => ty,
        });
        let mut first = true;
        for val in &vals {
            match val {
                Val::Open(open) => self.join_values(open, first, &ty, &column, construct)?,
                Val::Enc(enc) => {
                    self.kept(enc);
                    first = false;
                }
                Val::Plain => first = false,
            }
        }
        Ok(Val::Enc(Enc::new(ty, column, span)))
    }

    pub(super) fn plain_val(&mut self, val: &Val) -> Result<()> {
        match val {
            Val::Open(open) => self.decide_plain(&open.sites),
            Val::Plain => Ok(()),
            Val::Enc(enc) => Err(refuse::on_column("this use", &enc.column).at(enc.span.0 as i32)),
        }
    }

    /// Values compared with one another, none of them encrypted.
    pub(super) fn plain_vals(&mut self, vals: &[Val]) -> Result<()> {
        let beside = vals.iter().any(|v| matches!(v, Val::Plain));
        vals.iter().try_for_each(|val| match val {
            Val::Open(open) if beside => self.decide_firm(&open.sites),
            val => self.plain_val(val),
        })
    }

    /// The encrypted type among these values, if any; then none may be plain or of another type.
    pub(super) fn common(&mut self, vals: &[Val], construct: &str) -> Result<Option<(Arc<EncType>, Rc<str>)>> {
        let Some(first) = vals.iter().find_map(|v| if let Val::Enc(e) = v { Some(e.clone()) } else { None }) else {
            return Ok(None);
        };
        for val in vals {
            match val {
                Val::Enc(enc) if enc.ty.oid != first.ty.oid => {
                    return Err(refuse::unsupported(format!(
                        "{construct} of columns of different encrypted types is not supported: {} is {}, {} is {}",
                        first.column,
                        types::sql_name(&first.ty),
                        enc.column,
                        types::sql_name(&enc.ty)
                    ))
                    .at(enc.span.0 as i32));
                }
                Val::Plain => return Err(beside_plain(construct, &first)),
                _ => {}
            }
        }
        Ok(Some((first.ty, first.column)))
    }

    /// The type as which values are stored that were all decided on, and the column for which they were.
    pub(super) fn stored_as(&self, sites: &[usize]) -> Option<(Arc<EncType>, Rc<str>)> {
        let stored = |&site: &usize| match &self.sites[site].decision {
            Some(Decision::Store(ty)) => Some(ty),
            _ => None,
        };
        let ty = stored(sites.first()?)?;
        let all = sites.iter().all(|site| stored(site).is_some_and(|other| other.oid == ty.oid));
        all.then(|| (ty.clone(), Rc::from(&*self.sites[sites[0]].column)))
    }

    /// Open values become stored ones of this type.
    pub(super) fn store(&mut self, open: &Open, ty: &Arc<EncType>, column: &str) -> Result<()> {
        open.sites.iter().try_for_each(|&site| self.decide(site, Decision::Store(ty.clone()), column))
    }

    /// Open values beside an encrypted one become stored ones of its type, if that is the type PostgreSQL would take for
    /// all of them. `first`: they stand before every other.
    pub(super) fn join_values(
        &mut self,
        open: &Open,
        first: bool,
        ty: &Arc<EncType>,
        column: &str,
        construct: &str,
    ) -> Result<()> {
        for &site in open.sites.iter() {
            if self.type_of_site(site).is_some_and(|given| !types::joins(given, ty.def.plain, first)) {
                let construct = format!("{construct} with a value of another type");
                return Err(refuse::on_column(&construct, column)
                    .hint("Give a value of the column's plaintext type, or one without a type.")
                    .at(self.sites[site].span.0 as i32));
            }
        }
        self.store(open, ty, column)
    }

    /// The type that PostgreSQL gives a site by itself, as far as it is known here.
    fn type_of_site(&self, site: usize) -> Option<PlainType> {
        let site = &self.sites[site];
        let declared = |n: usize| self.declared.get(n).copied().unwrap_or(0);
        match (site.array_casts.last().or(site.casts.last()), site.source) {
            (Some(Named::Builtin { plain, .. }), _) => Some(*plain),
            (Some(_), _) => None,
            (None, Some(Source::Client(n))) => match site.element {
                true => types::plain_of(PlainType::element_of(declared(n))),
                false => types::plain_of(declared(n)).or(types::plain_of(PlainType::element_of(declared(n)))),
            },
            (None, _) => None,
        }
    }
}

/// An encrypted value and a plain expression come together.
pub(super) fn beside_plain(construct: &str, known: &Enc) -> Box<Refusal> {
    refuse::on_column(&format!("{construct} with a plain expression"), &known.column)
        .hint("Give a parameter, a literal, or a column of the same encrypted type.")
        .at(known.span.0 as i32)
}
