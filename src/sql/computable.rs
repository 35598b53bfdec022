//! Which expressions the proxy computes, as their words tell.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, FuncCall, Node};

use super::routine::is_bare;
use super::scope::{ColVal, Found, Scope};
use super::tree;
use super::types::{self, Named};
use crate::wire::value::{PlainType, Scalar};

/// The function that gives a plain value in binary form, for types of which that is known to be read as it was written.
pub(super) fn sent(plain: PlainType) -> Option<&'static str> {
    Some(match plain {
        PlainType::Bool => "boolsend",
        PlainType::Int2 => "int2send",
        PlainType::Int4 => "int4send",
        PlainType::Int8 => "int8send",
        PlainType::Numeric => "numeric_send",
        PlainType::Text => "textsend",
        PlainType::Varchar => "varcharsend",
        PlainType::Date => "date_send",
        PlainType::Timestamp => "timestamp_send",
        PlainType::Timestamptz => "timestamptz_send",
        _ => return None,
    })
}

/// The type of a plain column of a table, where it is one whose values can come with encrypted ones.
pub(super) fn plain_column(node: &Node, scope: &Scope<'_>) -> Option<PlainType> {
    let Some(NodeEnum::ColumnRef(column)) = tree::kind(node) else { return None };
    let Some(Ok(Found { val: ColVal::Plain, origin: Some((item, at)) })) = scope.named(column) else { return None };
    match types::named_by(scope.item_of(item)?.type_oid(at)?)? {
        Named::Builtin { plain, array: false, .. } => sent(plain).map(|_| plain),
        _ => None,
    }
}

/// The name of a function of PostgreSQL's that is called as such and nothing more.
pub(super) fn function(call: &FuncCall) -> Option<&str> {
    let name = tree::own_name(&call.funcname)?;
    (Scalar::is_function(name) && is_bare(call)).then_some(name)
}

pub(super) fn operator(expr: &AExpr) -> Option<&str> {
    let name = tree::own_name(&expr.name)?;
    (expr.kind() == AExprKind::AexprOp && Scalar::is_operator(name)).then_some(name)
}

/// Surely an expression that is computed of an encrypted value, or refused.
pub(super) fn computes(node: &Node, scope: &Scope<'_>) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::AExpr(expr)) => {
            operator(expr).is_some() && [&expr.lexpr, &expr.rexpr].into_iter().flatten().any(|side| holds(side, scope))
        }
        Some(NodeEnum::FuncCall(call)) => function(call).is_some_and(|name| {
            let searched = name == "starts_with" && call.args.first().is_some_and(|arg| is_searched(arg, scope));
            !searched && call.args.iter().any(|arg| holds(arg, scope))
        }),
        Some(NodeEnum::AIndirection(expr)) => {
            expr.arg.as_deref().is_some_and(|arg| holds(arg, scope) && !is_array(arg, scope))
                && expr.indirection.iter().all(|part| matches!(tree::kind(part), Some(NodeEnum::AIndices(_))))
        }
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| computes(arg, scope)),
        Some(NodeEnum::CoalesceExpr(expr)) => {
            let plain = || expr.args.iter().any(|arg| is_plain(arg, scope));
            let sealed = || expr.args.iter().any(|arg| holds(arg, scope));
            expr.args.iter().any(|arg| computes(arg, scope)) || (plain() && sealed())
        }
        _ => false,
    }
}

/// A plain column, or what the proxy can compute of one.
fn is_plain(node: &Node, scope: &Scope<'_>) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::ColumnRef(_)) => plain_column(node, scope).is_some(),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| is_plain(arg, scope)),
        Some(NodeEnum::AExpr(expr)) if operator(expr).is_some() => {
            [&expr.lexpr, &expr.rexpr].into_iter().flatten().any(|side| is_plain(side, scope))
        }
        Some(NodeEnum::FuncCall(call)) if function(call).is_some() => call.args.iter().any(|arg| is_plain(arg, scope)),
        _ => false,
    }
}

/// An encrypted value, or what is computed of one.
pub(super) fn holds(node: &Node, scope: &Scope<'_>) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::ColumnRef(_)) => column_of(node, scope).is_some_and(|array| !array),
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| holds(arg, scope)),
        Some(NodeEnum::CoalesceExpr(expr)) => expr.args.iter().any(|arg| holds(arg, scope)),
        Some(NodeEnum::MinMaxExpr(expr)) => expr.args.iter().any(|arg| holds(arg, scope)),
        Some(NodeEnum::CaseExpr(case)) => {
            let results = case.args.iter().filter_map(|when| match tree::kind(when) {
                Some(NodeEnum::CaseWhen(when)) => when.result.as_deref(),
                _ => None,
            });
            results.chain(case.defresult.as_deref()).any(|result| holds(result, scope))
        }
        Some(NodeEnum::FuncCall(call)) if matches!(tree::strings(&call.funcname).last(), Some(&("min" | "max"))) => {
            call.args.first().is_some_and(|arg| holds(arg, scope))
        }
        Some(NodeEnum::AIndirection(expr)) => {
            let element = !expr.indirection.iter().any(is_slice);
            element && expr.arg.as_deref().is_some_and(|arg| is_array(arg, scope)) || computes(node, scope)
        }
        _ => computes(node, scope),
    }
}

/// Whether an encrypted column is an array. `None`: it is none.
fn column_of(node: &Node, scope: &Scope<'_>) -> Option<bool> {
    let Some(NodeEnum::ColumnRef(column)) = tree::kind(node) else { return None };
    match scope.named(column) {
        Some(Ok(Found { val: ColVal::Enc(ty, _), .. })) => Some(ty.is_array()),
        _ => None,
    }
}

fn is_slice(subscript: &Node) -> bool {
    matches!(tree::kind(subscript), Some(NodeEnum::AIndices(indices)) if indices.is_slice)
}

fn is_array(node: &Node, scope: &Scope<'_>) -> bool {
    column_of(node, scope) == Some(true)
}

/// A column whose prefixes are searched for.
fn is_searched(node: &Node, scope: &Scope<'_>) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::ColumnRef(column)) => {
            matches!(scope.named(column), Some(Ok(Found { val: ColVal::Enc(ty, _), .. })) if ty.def.terms.matching)
        }
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| is_searched(arg, scope)),
        Some(NodeEnum::FuncCall(call)) => call.args.iter().any(|arg| is_searched(arg, scope)),
        _ => false,
    }
}
