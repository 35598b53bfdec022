//! Where expressions begin and end in the text, by their tokens: the grammar tells of most nodes one place only.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use super::analyzer::Analyzer;
use super::refuse::{self, Result};
use super::tree;

impl Analyzer<'_> {
    /// First and last token of an expression, brackets around it aside.
    pub(super) fn reach(&self, node: &Node) -> Result<(usize, usize)> {
        let odd =
            || refuse::unsupported("a part of this expression cannot be followed in a statement on encrypted columns");
        let bracketed = |open: usize| self.partner(open + 1).map(|close| (open, close));
        match tree::kind(node).ok_or_else(odd)? {
            NodeEnum::AExpr(expr) => {
                let at = self.token(expr.location)?;
                let mut span = (at, at);
                if let Some(left) = tree::child(&expr.lexpr) {
                    span.0 = self.leftmost(left, at)?;
                }
                if let Some(right) = tree::child(&expr.rexpr) {
                    span.1 = self.reach(right)?.1;
                    while self.is(span.1 + 1, ")") && self.partner(span.1 + 1)? > at {
                        span.1 += 1;
                    }
                }
                Ok(span)
            }
            NodeEnum::FuncCall(call) => Ok((self.token(call.location)?, self.call_end(call)?)),
            NodeEnum::TypeCast(cast) => {
                let (Some(arg), Some(name)) = (tree::child(&cast.arg), &cast.type_name) else { return Err(odd()) };
                if cast.location < 0 {
                    let last = self.reach(arg)?.1;
                    let first = if name.location < 0 { last } else { self.token(name.location)? };
                    return Ok((first.min(last), last));
                }
                let at = self.token(cast.location)?;
                match self.is(at, "::") {
                    true => Ok((self.leftmost(arg, at)?, self.type_end(self.token(name.location)?)?)),
                    false => bracketed(at),
                }
            }
            NodeEnum::AIndirection(expr) => {
                let (mut first, mut last) = self.reach(tree::child(&expr.arg).ok_or_else(odd)?)?;
                while first > 0 && self.is(first - 1, "(") && self.partner(first - 1)? == last + 1 {
                    (first, last) = (first - 1, last + 1);
                }
                for _ in &expr.indirection {
                    if !self.is(last + 1, "[") {
                        return Err(odd());
                    }
                    last = self.partner(last + 1)?;
                }
                Ok((first, last))
            }
            NodeEnum::ColumnRef(column) => {
                let first = self.token(column.location)?;
                Ok((first, self.name_end(first)))
            }
            NodeEnum::ParamRef(param) => self.token(param.location).map(|at| (at, at)),
            NodeEnum::AConst(constant) => {
                let at = self.token(constant.location)?;
                Ok((at, at + usize::from(self.is(at, "-"))))
            }
            NodeEnum::AArrayExpr(expr) => bracketed(self.token(expr.location)?),
            NodeEnum::CoalesceExpr(expr) => bracketed(self.token(expr.location)?),
            NodeEnum::MinMaxExpr(expr) => bracketed(self.token(expr.location)?),
            NodeEnum::CaseExpr(case) => {
                let first = self.token(case.location)?;
                Ok((first, self.case_end(first)?))
            }
            _ => Err(odd()),
        }
    }

    /// The first token of an operand that ends before this one, with the brackets around it.
    fn leftmost(&self, node: &Node, end: usize) -> Result<usize> {
        let mut first = self.reach(node)?.0;
        while first > 0 && self.is(first - 1, "(") && self.partner(first - 1)? < end {
            first -= 1;
        }
        Ok(first)
    }
}
