//! Text that the server builds of encrypted values, for the result alone: `||`, concat, concat_ws, string_agg, and casts to text.
//!
//! ```text
//! first || ' ' || last   =>   token(first) || token($1) || token(last)
//! ```
//!
//! A token is the mark and the ciphertext, as in JSON that is built. What the client gives beside encrypted values is sealed as
//! one of them. The described form has NULLs of the plaintext types, so that PostgreSQL tells whether the operator exists.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, FuncCall, Node, ResTarget, SubLinkType, TypeCast};

use super::analyzer::Analyzer;
use super::built::{Built, Kind, Made, only_selected};
use super::expr::{Enc, Open, Val};
use super::plan::Written;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Found, Scope};
use super::tree;
use super::types::{self, Named, is_plain_text};
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

/// An operand.
struct Part {
    made: Made,
    written: Written,
}

/// What is built of text.
enum Join<'n> {
    Operator(&'n AExpr),
    /// concat and concat_ws.
    Function(&'n FuncCall),
    /// string_agg
    Aggregate(&'n FuncCall),
}

fn join(node: &Node) -> Option<Join<'_>> {
    match tree::kind(node)? {
        NodeEnum::AExpr(expr) if expr.kind() == AExprKind::AexprOp => {
            let operator = tree::own_name(&expr.name) == Some("||");
            (operator && expr.lexpr.is_some()).then_some(Join::Operator(expr))
        }
        NodeEnum::FuncCall(call) => {
            let name = tree::own_name(&call.funcname)?;
            let odd = call.agg_distinct || call.func_variadic || call.agg_within_group || call.agg_star;
            match name {
                _ if odd => None,
                "concat" | "concat_ws" => Some(Join::Function(call)),
                "string_agg" if call.args.len() == 2 => Some(Join::Aggregate(call)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Surely text that is built of an encrypted column.
pub(super) fn joins(node: &Node, scope: &Scope<'_>) -> bool {
    let column = |node: &Node| match tree::kind(node) {
        Some(NodeEnum::ColumnRef(column)) => match scope.named(column) {
            Some(Ok(Found { val: ColVal::Enc(ty, _), .. })) => !ty.is_array(),
            Some(Ok(Found { val: ColVal::Built(Built { kind: Kind::Joined, .. }), .. })) => true,
            _ => false,
        },
        _ => false,
    };
    let holds = |node: &Node| {
        let mut core = node;
        loop {
            match tree::kind(core) {
                Some(NodeEnum::TypeCast(cast)) if cast.arg.is_some() => core = cast.arg.as_deref().unwrap_or(node),
                Some(NodeEnum::CoalesceExpr(expr)) if !expr.args.is_empty() => core = &expr.args[0],
                _ => return column(core) || joins(core, scope),
            }
        }
    };
    match join(node) {
        Some(Join::Operator(expr)) => {
            let sides = || [&expr.lexpr, &expr.rexpr].into_iter().flatten();
            sides().any(|side| holds(side)) && !sides().any(|side| is_array(side, scope))
        }
        Some(Join::Function(call)) => call.args.iter().any(holds),
        Some(Join::Aggregate(call)) => call.args.first().is_some_and(holds),
        None => match tree::kind(node) {
            Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| joins(arg, scope)),
            _ => false,
        },
    }
}

/// Whether an expression is computed of what the client gives, and of nothing else. `None`: something of the server is in it.
fn of_given(node: &Node) -> Option<bool> {
    match tree::kind(node)? {
        NodeEnum::AConst(constant) => Some(!constant.isnull),
        NodeEnum::ParamRef(_) => Some(true),
        NodeEnum::TypeCast(cast) => of_given(tree::child(&cast.arg)?),
        NodeEnum::CollateClause(clause) => of_given(tree::child(&clause.arg)?),
        NodeEnum::AExpr(expr) => all_given(expr.lexpr.iter().chain(&expr.rexpr).map(|side| &**side)),
        NodeEnum::FuncCall(call) if !call.args.is_empty() => all_given(&call.args),
        NodeEnum::CoalesceExpr(expr) => all_given(&expr.args),
        NodeEnum::MinMaxExpr(expr) => all_given(&expr.args),
        NodeEnum::RowExpr(expr) => all_given(&expr.args),
        NodeEnum::AArrayExpr(expr) => all_given(&expr.elements),
        NodeEnum::List(list) => all_given(&list.items),
        _ => None,
    }
}

fn all_given<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Option<bool> {
    nodes.into_iter().try_fold(false, |any, node| of_given(node).map(|given| any || given))
}

/// It has the look of an array, to which `||` adds.
fn is_array(node: &Node, scope: &Scope<'_>) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::ColumnRef(column)) => {
            matches!(scope.named(column), Some(Ok(Found { val: ColVal::Enc(ty, _), .. })) if ty.is_array())
        }
        Some(NodeEnum::AArrayExpr(_) | NodeEnum::AIndirection(_)) => true,
        Some(NodeEnum::SubLink(link)) => link.sub_link_type() == SubLinkType::ArraySublink,
        Some(NodeEnum::FuncCall(call)) => {
            tree::strings(&call.funcname).last().is_some_and(|name| name.contains("array"))
        }
        Some(NodeEnum::CoalesceExpr(expr)) => expr.args.iter().any(|arg| is_array(arg, scope)),
        Some(NodeEnum::TypeCast(cast)) => {
            cast.type_name.as_ref().is_some_and(|name| !name.array_bounds.is_empty())
                || cast.arg.as_deref().is_some_and(|arg| is_array(arg, scope))
        }
        Some(NodeEnum::AExpr(expr)) => {
            [&expr.lexpr, &expr.rexpr].into_iter().flatten().any(|side| is_array(side, scope))
        }
        _ => false,
    }
}

impl Analyzer<'_> {
    /// Text of encrypted values. What is joined is one of [`joins`].
    pub(super) fn joined_text(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Made> {
        if let Some(NodeEnum::TypeCast(cast)) = tree::kind(node) {
            return self.joined_cast(cast, scope);
        }
        let mut parts = Vec::new();
        self.parts_of(node, Written::Cast, scope, &mut parts)?;
        self.join_parts(parts)
    }

    fn parts_of(&mut self, node: &Node, written: Written, scope: &Scope<'_>, out: &mut Vec<Part>) -> Result<()> {
        match join(node) {
            Some(Join::Operator(expr)) => {
                let mut sides = [&expr.lexpr, &expr.rexpr].into_iter().flatten();
                sides.try_for_each(|side| self.parts_of(side, Written::Cast, scope, out))
            }
            Some(Join::Function(call)) => {
                self.is_postgresqls(call)?;
                self.note_call(call, "concat", true);
                call.args.iter().try_for_each(|arg| self.parts_of(arg, Written::Output, scope, out))
            }
            Some(Join::Aggregate(call)) => {
                self.note_call(call, "string_agg", true);
                let around = scope.group.inside.replace(true);
                let parts = call.args.iter().try_for_each(|arg| self.parts_of(arg, Written::Cast, scope, out));
                let rest =
                    parts.and_then(|()| self.aggregate_order(call, scope)).and_then(|()| self.call_tail(call, scope));
                scope.group.inside.set(around);
                rest
            }
            None => {
                let made = self.made(node, scope)?;
                if matches!(made, Made::Val(Val::Plain)) && of_given(node) == Some(true) {
                    return Err(refuse::unsupported(
                        "what the server would compute of given values, in a text of encrypted ones, is not supported",
                    )
                    .hint("It would be sent in plain. Compute it, and give the result as a text.")
                    .at(self.here(tree::location(node))));
                }
                out.push(Part { made, written });
                Ok(())
            }
        }
    }

    fn join_parts(&mut self, parts: Vec<Part>) -> Result<Made> {
        let text = self.text_beside(&parts);
        let column = parts.iter().find_map(|part| part.made.column()).unwrap_or_default();
        for Part { made, written } in parts {
            match made {
                Made::Val(Val::Plain) => {}
                // They have operators of their own.
                Made::Val(Val::Enc(enc))
                    if written == Written::Cast
                        && matches!(enc.ty.def.plain, PlainType::Json | PlainType::Jsonb | PlainType::Bytea) =>
                {
                    return Err(
                        refuse::on_column("operator || of documents and bytes", &enc.column).at(enc.span.0 as i32)
                    );
                }
                Made::Val(Val::Enc(enc)) => self.mark_text(&enc, written)?,
                Made::Val(Val::Open(open)) if self.is_given(&open) => {
                    self.join_given(&open, text.as_ref(), &column, written)?;
                }
                Made::Val(Val::Open(open)) => self.decide_firm(&open.sites)?,
                Made::Built(built) if built.kind == Kind::Joined => {}
                Made::Built(built) => return Err(only_selected(&built)),
            }
        }
        Ok(Made::Built(Built { kind: Kind::Joined, column }))
    }

    /// What the client gives is sealed as a value of the column beside it.
    fn join_given(
        &mut self,
        open: &Open,
        text: Option<&Arc<EncType>>,
        column: &Rc<str>,
        written: Written,
    ) -> Result<()> {
        // The blanks at the end of a bpchar, which concat keeps, are none of a text.
        let blank = |cast: &Named| matches!(cast, Named::Builtin { plain: PlainType::Bpchar, .. });
        let other = open
            .sites
            .iter()
            .map(|&site| &self.sites[site])
            .any(|site| site.is_number || (written == Written::Output && site.casts.iter().any(blank)));
        let Some(ty) = text.filter(|_| !other) else {
            return Err(refuse::on_column("a value of this kind given beside it in a text", column)
                .hint("Give it as a text.")
                .at(open.span.0 as i32));
        };
        self.usable(ty)?;
        self.join_values(open, false, ty, column, "text that is joined")?;
        self.mark_text(&Enc::new(Arc::clone(ty), column.clone(), open.span), Written::Given)
    }

    /// The type that a given text is sealed as: the ready-made one, unless values beside it have a keyset of their own.
    fn text_beside(&self, parts: &[Part]) -> Option<Arc<EncType>> {
        let pinned = |part: &Part| match &part.made {
            Made::Val(Val::Enc(enc)) if !enc.ty.is_array() => {
                let ty = &enc.ty;
                let text = matches!(ty.def.plain, PlainType::Text | PlainType::Varchar) && !ty.def.terms.ord;
                (ty.def.keyset.is_some() && text).then(|| Arc::clone(ty))
            }
            _ => None,
        };
        let ready = |ty: &&Arc<EncType>| ty.def.name == "text" && ty.def.plain == PlainType::Text;
        parts.iter().find_map(pinned).or_else(|| self.catalog.types.values().find(ready).cloned())
    }

    /// Gives a column the name that PostgreSQL takes of what is cast.
    pub(super) fn name_joined(&mut self, target: &ResTarget, name: &str) -> Result<()> {
        let mut core = tree::child(&target.val);
        while let Some(NodeEnum::TypeCast(cast)) = core.and_then(tree::kind) {
            core = tree::child(&cast.arg);
            if let Some(NodeEnum::ColumnRef(column)) = core.and_then(tree::kind) {
                let first = self.token(column.location)?;
                self.name_target(target, self.span(first, self.name_end(first)), name)?;
            }
        }
        Ok(())
    }

    fn mark_text(&mut self, enc: &Enc, written: Written) -> Result<()> {
        if enc.ty.shown != enc.ty.def.plain && !is_plain_text(enc.ty.shown) {
            return Err(refuse::on_column("text joined", &enc.column)
                .hint("concat(column) works, with constants and other columns.")
                .at(enc.span.0 as i32));
        }
        self.mark_value(enc, "", written)
    }

    /// A cast to text: of text that is built, or of a value that is no text.
    pub(super) fn joined_cast(&mut self, cast: &TypeCast, scope: &Scope<'_>) -> Result<Made> {
        let Some(arg) = tree::child(&cast.arg) else { return Ok(Made::Val(Val::Plain)) };
        let built = match self.made(arg, scope)? {
            Made::Val(Val::Enc(enc)) => {
                self.mark_text(&enc, Written::Cast)?;
                Built { kind: Kind::Joined, column: enc.column }
            }
            Made::Built(built) if built.kind == Kind::Joined => built,
            Made::Built(built) => return Err(only_selected(&built)),
            made => return Ok(made),
        };
        match self.is_text_cast(cast) {
            true => Ok(Made::Built(built)),
            false => Err(only_selected(&built).at(self.here(tree::location(arg)))),
        }
    }

    fn is_text_cast(&self, cast: &TypeCast) -> bool {
        cast.type_name.as_ref().is_some_and(|name| {
            let named = types::named(name, self.catalog, self.session);
            matches!(
                named,
                Named::Builtin { plain: PlainType::Text | PlainType::Varchar, array: false, modified: false, .. }
            )
        })
    }

    /// `e::text` of a column that is no text.
    pub(super) fn shows_text(&self, cast: &TypeCast, scope: &Scope<'_>) -> bool {
        use PlainType::{Bpchar, Citext, Enum, Text, Varchar};
        let Some(NodeEnum::ColumnRef(column)) = cast.arg.as_deref().and_then(tree::kind) else { return false };
        match scope.named(column) {
            Some(Ok(Found { val: ColVal::Enc(ty, _), .. })) => {
                let textual = matches!(ty.def.plain, Text | Varchar | Bpchar | Citext | Enum);
                !ty.is_array() && !textual && self.is_text_cast(cast)
            }
            _ => false,
        }
    }
}
