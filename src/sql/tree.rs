//! Small readers of libpg_query's tree.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt, SetOperation, a_const};

/// What the node is; `None` for an empty one.
pub(super) fn kind(node: &Node) -> Option<&NodeEnum> {
    node.node.as_ref()
}

/// What an optional child is.
pub(super) fn child(node: &Option<Box<Node>>) -> Option<&Node> {
    node.as_deref()
}

/// The text of a `String` node.
pub(super) fn string(node: &Node) -> Option<&str> {
    match kind(node)? {
        NodeEnum::String(s) => Some(&s.sval),
        _ => None,
    }
}

/// Texts of a list of `String` nodes.
pub(super) fn strings(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().filter_map(string).collect()
}

/// The name of a function or operator that may be PostgreSQL's own: it stands alone, or in `pg_catalog`.
pub(super) fn own_name(nodes: &[Node]) -> Option<&str> {
    match nodes {
        [name] => string(name),
        [schema, name] if string(schema) == Some("pg_catalog") => string(name),
        _ => None,
    }
}

/// Value of an integer constant.
pub(super) fn int_const(node: &Node) -> Option<i32> {
    match kind(node)? {
        NodeEnum::AConst(c) => match c.val.as_ref()? {
            a_const::Val::Ival(i) => Some(i.ival),
            _ => None,
        },
        _ => None,
    }
}

/// The select statement behind a node.
pub(super) fn select(node: &Node) -> Option<&SelectStmt> {
    match kind(node)? {
        NodeEnum::SelectStmt(s) => Some(s),
        _ => None,
    }
}

/// A select made of two by UNION, INTERSECT or EXCEPT.
pub(super) fn is_set_operation(select: &SelectStmt) -> bool {
    !matches!(select.op(), SetOperation::Undefined | SetOperation::SetopNone)
}

/// The expression that a key of ORDER BY is.
pub(super) fn sorted(key: &Node) -> Option<&Node> {
    match kind(key) {
        Some(NodeEnum::SortBy(sort)) => child(&sort.node),
        _ => Some(key),
    }
}

/// `*` or `t.*`
pub(super) fn is_star(node: &Node) -> bool {
    let Some(NodeEnum::ColumnRef(reference)) = kind(node) else { return false };
    reference.fields.last().is_some_and(|field| matches!(kind(field), Some(NodeEnum::AStar(_))))
}

/// Where a node stands, if it says.
pub(super) fn location(node: &Node) -> i32 {
    let Some(node) = kind(node) else { return -1 };
    match node {
        NodeEnum::ColumnRef(n) => n.location,
        NodeEnum::ParamRef(n) => n.location,
        NodeEnum::AConst(n) => n.location,
        NodeEnum::TypeCast(n) => match n.arg.as_deref().map(location) {
            Some(at) if at >= 0 => at,
            _ => n.location,
        },
        NodeEnum::AExpr(n) => n.location,
        NodeEnum::FuncCall(n) => n.location,
        NodeEnum::SubLink(n) => n.location,
        NodeEnum::CaseExpr(n) => n.location,
        NodeEnum::CoalesceExpr(n) => n.location,
        NodeEnum::NullTest(n) => n.location,
        NodeEnum::BoolExpr(n) => n.location,
        NodeEnum::RowExpr(n) => n.location,
        NodeEnum::AArrayExpr(n) => n.location,
        NodeEnum::MinMaxExpr(n) => n.location,
        NodeEnum::ResTarget(n) => n.location,
        NodeEnum::SetToDefault(n) => n.location,
        NodeEnum::SortBy(n) => n.node.as_deref().map_or(-1, location),
        NodeEnum::RangeVar(n) => n.location,
        NodeEnum::AIndirection(n) => n.arg.as_deref().map_or(-1, location),
        NodeEnum::CollateClause(n) => n.location,
        _ => -1,
    }
}
