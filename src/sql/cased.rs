//! `lower(e)` and `upper(e)`, and the text of a value whose type has an equality of its own, in comparisons: as object-relational
//! mappers write searches that do not tell case.
//!
//! ```text
//! lower(e) = lower($1)   upper(e::text) LIKE upper($1)   lower(e) IN ($1, $2)   e::text LIKE $1 (of a citext)
//! ```
//!
//! They are searches as LIKE is, for which the value is shown otherwise.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, FuncCall, Node, TypeCast};

use super::analyzer::Analyzer;
use super::expr::{Enc, Val};
use super::pattern::Shown;
use super::refuse::Result;
use super::routine::is_bare;
use super::scope::{ColVal, Scope};
use super::search::{self, Asked};
use super::tree;
use super::types::{self, Named, is_plain_text};
use crate::schema::catalog::EncType;
use crate::wire::value::{Form, PlainType};

/// What stands around a column.
enum Around<'n> {
    Cast(&'n TypeCast),
    Call(&'n FuncCall),
}

/// A column and what it is shown as.
struct Subject<'n> {
    column: &'n Node,
    around: Vec<Around<'n>>,
    shown: Shown,
}

/// The case and the argument, if it is a call of `lower` or `upper`.
pub(super) fn cased(call: &FuncCall) -> Option<(Form, &Node)> {
    let form = match tree::own_name(&call.funcname)? {
        "lower" => Form::Lower,
        "upper" => Form::Upper,
        _ => return None,
    };
    match call.args.as_slice() {
        [arg] if is_bare(call) => Some((form, arg)),
        _ => None,
    }
}

impl Analyzer<'_> {
    /// A comparison whose left side shows an encrypted column otherwise, as far as searches serve it.
    pub(super) fn cased_comparison(&mut self, expr: &AExpr, name: &str, scope: &Scope<'_>) -> Result<Option<Val>> {
        let asked = search::asked_of_text(name).filter(|_| search::compares(expr.kind()));
        let Some((asked, left)) = asked.zip(tree::child(&expr.lexpr)) else { return Ok(None) };
        let Some((enc, shown)) = self.shown_column(left, scope)? else { return Ok(None) };
        self.like(&enc, Asked { shown, ..asked }, expr, scope).map(Some)
    }

    /// An encrypted column with match terms that is shown otherwise than it is. What stands around it goes.
    pub(super) fn shown_column(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Option<(Enc, Shown)>> {
        let Some(Subject { column, around, shown }) = self.subject(node, scope) else { return Ok(None) };
        let Val::Enc(enc) = self.expr(column, scope)? else { return Ok(None) };
        for around in around {
            match around {
                Around::Cast(cast) => {
                    if let Some(name) = &cast.type_name {
                        self.drop_cast(cast, name)?;
                    }
                }
                Around::Call(call) => {
                    let first = self.token(call.location)?;
                    self.edits.both(self.span(first, self.name_end(first)), "");
                }
            }
        }
        Ok(Some((enc, shown)))
    }

    fn subject<'n>(&self, mut node: &'n Node, scope: &Scope<'_>) -> Option<Subject<'n>> {
        let (mut around, mut shown) = (Vec::new(), Shown::Text);
        loop {
            if let Some(path) = self.path_of(node, scope) {
                let fits = path.ty.def.terms.matching && shown != Shown::Text;
                return fits.then_some(Subject { column: node, around, shown });
            }
            match tree::kind(node)? {
                NodeEnum::TypeCast(cast) => {
                    match types::named(cast.type_name.as_ref()?, self.catalog, self.session) {
                        Named::Builtin { plain, array: false, modified: false, .. } if is_plain_text(plain) => {}
                        _ => return None,
                    }
                    around.push(Around::Cast(cast));
                    node = tree::child(&cast.arg)?;
                }
                NodeEnum::FuncCall(call) if shown == Shown::Text => {
                    let (form, arg) = cased(call)?;
                    shown = Shown::Cased(form);
                    around.push(Around::Call(call));
                    node = arg;
                }
                NodeEnum::ColumnRef(reference) => {
                    let ColVal::Enc(ty, _) = scope.named(reference)?.ok()?.val else { return None };
                    let otherwise = shown != Shown::Text || (!around.is_empty() && has_own_equality(&ty));
                    let fits = ty.def.terms.matching && !ty.is_array() && otherwise;
                    return fits.then_some(Subject { column: node, around, shown });
                }
                _ => return None,
            }
        }
    }

    /// The first token of what an opening bracket belongs to: itself, or `CAST` or the name before it, which go.
    pub(super) fn before_bracket(&self, bracket: usize) -> usize {
        let Some(before) = bracket.checked_sub(1) else { return bracket };
        let called = |word: &str| {
            self.is_word(before, word) || self.lexed.tokens[before].text(self.text) == format!("\"{word}\"")
        };
        if self.is_word(before, "cast") {
            return before;
        }
        match called("lower") || called("upper") {
            true if before >= 2 && self.is(before - 1, ".") => before - 2,
            true => before,
            false => bracket,
        }
    }
}

/// Values are compared otherwise than their texts are.
fn has_own_equality(ty: &EncType) -> bool {
    matches!(ty.def.plain, PlainType::Citext | PlainType::Bpchar)
}
