//! Where the words of a query or an expression stand, which the tree does not say.

use pg_query::NodeEnum;
use pg_query::protobuf::{AExprKind, FuncCall, Node, SelectStmt, SubLinkType};

use super::analyzer::Analyzer;
use super::lex::Kind;
use super::plan::Refusal;
use super::refuse::{self, Result};
use super::scope::Span;
use super::tree;
use crate::wire::sqlstate::SqlState;

/// Where the parts of a set operation stand, as tokens.
pub(super) struct Arms {
    /// The first of the left arm.
    pub(super) first: usize,
    /// UNION, INTERSECT or EXCEPT.
    pub(super) operator: usize,
    /// The first of the right arm.
    pub(super) second: usize,
    /// The last of the right arm.
    pub(super) last: usize,
}

/// Words that begin what may follow a set operation.
const TAIL: [&str; 6] = ["order", "limit", "offset", "fetch", "for", "returning"];

impl Analyzer<'_> {
    /// Where the parts of a set operation stand. WITH, ORDER BY, LIMIT and what follows are none of them.
    pub(super) fn arms(&self, select: &SelectStmt) -> Result<Arms> {
        let right = select.rarg.as_deref().ok_or_else(unknown)?;
        let (left, right) = (self.levels(self.leaf(select)?), self.levels(self.leaf(right)?));
        // The innermost brackets that hold both.
        let common = |l: &usize| right.iter().position(|r| self.enclosing(*r) == self.enclosing(*l));
        let (first, level) = left.iter().find_map(|l| common(l).map(|r| (*l, r))).ok_or_else(unknown)?;
        let second = right[level];
        let before = second.checked_sub(1).ok_or_else(unknown)?;
        let quantified = self.is_word(before, "all") || self.is_word(before, "distinct");
        let operator = before.checked_sub(usize::from(quantified)).ok_or_else(unknown)?;
        let intersect = self.is_word(operator, "intersect");
        if !intersect && !self.is_word(operator, "union") && !self.is_word(operator, "except") {
            return Err(unknown());
        }
        let last = self.arm_end(second, intersect)?;
        Ok(Arms { first, operator, second, last: last - 1 })
    }

    /// The token after the last of a query that is no set operation, of which this is one outside brackets.
    pub(super) fn query_end(&self, first: usize) -> Result<usize> {
        self.arm_end(first, true)
    }

    fn arm_end(&self, mut at: usize, intersect: bool) -> Result<usize> {
        while at < self.lexed.tokens.len() {
            if self.is(at, "(") || self.is(at, "[") {
                at = self.partner(at)?;
            } else if self.is(at, ")") || self.is(at, "]") || self.ends_arm(at, intersect) {
                break;
            }
            at += 1;
        }
        Ok(at)
    }

    /// A token that ends the right arm of a set operation.
    fn ends_arm(&self, token: usize, intersect: bool) -> bool {
        if self.is(token - 1, ".") || self.is_word(token - 1, "as") {
            return false;
        }
        let word = |word: &&str| self.is_word(token, word);
        let next = |words: &[&str]| words.iter().any(|w| self.is_word(token + 1, w));
        TAIL.iter().any(word)
            || word(&"union")
            || word(&"except")
            || (intersect && word(&"intersect"))
            || (word(&"on")
                && self.is_word(token + 1, "conflict")
                && (self.is(token + 2, "(") || self.is_word(token + 2, "do") || self.is_word(token + 2, "on")))
            || (word(&"with") && next(&["data", "no", "check", "cascaded", "local"]))
    }

    /// The first word of the leftmost query of a set operation.
    fn leaf(&self, mut select: &SelectStmt) -> Result<usize> {
        while tree::is_set_operation(select) {
            select = select.larg.as_deref().ok_or_else(unknown)?;
        }
        self.select_word(select)
    }

    /// Where a query begins, parentheses and WITH aside.
    pub(super) fn query_place(&self, select: &SelectStmt) -> i32 {
        self.leaf(select).map_or(-1, |token| self.lexed.tokens[token].start as i32)
    }

    /// First tokens of the items of a list in brackets, of which this one opens.
    pub(super) fn list_starts(&self, open: usize) -> Result<Vec<usize>> {
        self.item_starts(open + 1, self.partner(open)?)
    }

    /// First tokens of items between commas.
    pub(super) fn item_starts(&self, first: usize, end: usize) -> Result<Vec<usize>> {
        let (mut starts, mut i) = (vec![first], first);
        while i < end {
            if self.is(i, "(") || self.is(i, "[") {
                i = self.partner(i)?;
            } else if self.is(i, ",") {
                starts.push(i + 1);
            }
            i += 1;
        }
        Ok(starts)
    }

    /// The bracket that opens around a query.
    pub(super) fn bracket_of(&self, select: &SelectStmt) -> Option<usize> {
        self.enclosing(self.leaf(select).ok()?)
    }

    /// A token and the brackets around it, inside out.
    pub(super) fn levels(&self, token: usize) -> Vec<usize> {
        std::iter::successors(Some(token), |&t| self.enclosing(t)).collect()
    }

    /// The bracket that opens around a token.
    pub(super) fn enclosing(&self, token: usize) -> Option<usize> {
        let mut at = token;
        while at > 0 {
            at -= 1;
            let partner = self.partner[at] as usize;
            match partner.cmp(&at) {
                std::cmp::Ordering::Less => at = partner,
                std::cmp::Ordering::Greater => return Some(at),
                std::cmp::Ordering::Equal => {}
            }
        }
        None
    }

    /// First and last token of a name, a number, or an expression of a kind that ends in a bracket or a word of its own.
    pub(super) fn expression(&self, node: &Node) -> Result<(usize, usize)> {
        let first = self.token(tree::location(node))?;
        let last = match tree::kind(node) {
            Some(NodeEnum::ColumnRef(_)) => self.name_end(first),
            Some(NodeEnum::AConst(_)) => first,
            Some(NodeEnum::FuncCall(call)) => self.call_end(call)?,
            Some(NodeEnum::SubLink(link)) if link.sub_link_type() == SubLinkType::ExprSublink => self.partner(first)?,
            Some(NodeEnum::CaseExpr(_)) => self.case_end(first)?,
            Some(NodeEnum::CoalesceExpr(_) | NodeEnum::MinMaxExpr(_)) => self.partner(first + 1)?,
            Some(NodeEnum::AExpr(expr)) if expr.kind() == AExprKind::AexprNullif => self.partner(first + 1)?,
            _ => return Err(unknown()),
        };
        Ok((first, last))
    }

    /// The last token of a call: its bracket, or that of what follows it.
    pub(super) fn call_end(&self, call: &FuncCall) -> Result<usize> {
        let mut last = self.partner(self.name_end(self.token(call.location)?) + 1)?;
        if call.agg_within_group && self.is_word(last + 1, "within") && self.is(last + 3, "(") {
            last = self.partner(last + 3)?;
        }
        if self.is_word(last + 1, "filter") && self.is(last + 2, "(") {
            last = self.partner(last + 2)?;
        }
        if call.over.is_some() && self.is_word(last + 1, "over") {
            last = if self.is(last + 2, "(") { self.partner(last + 2)? } else { last + 2 };
        }
        Ok(last)
    }

    /// A call, with what follows it.
    pub(super) fn span_of(&self, call: &FuncCall) -> Result<Span> {
        Ok(self.span(self.token(call.location)?, self.call_end(call)?))
    }

    /// First and last token of a value together with the casts and brackets around it, of which the last one stands before `end`.
    pub(super) fn around(&self, span: Span, end: usize) -> Result<(usize, usize)> {
        let mut first = self.lexed.tokens.partition_point(|t| t.start < span.0);
        let mut last = self.lexed.tokens.partition_point(|t| t.start < span.1).saturating_sub(1);
        while last + 1 < end {
            let in_cast = self.is_word(last + 1, "as") && first > 1 && self.is_word(first - 2, "cast");
            if self.is(last + 1, "::") || in_cast {
                last = self.type_end(last + 2)?;
            } else if self.is(last + 1, ")") {
                let open = self.partner(last + 1)?;
                if open + 1 != first {
                    break;
                }
                (first, last) = (open, last + 1);
                if first > 0 && self.is_word(first - 1, "cast") {
                    first -= 1;
                }
            } else {
                break;
            }
        }
        Ok((first, last))
    }

    /// The END of a CASE.
    pub(super) fn case_end(&self, first: usize) -> Result<usize> {
        let (mut depth, mut i) = (0usize, first);
        while i < self.lexed.tokens.len() {
            let named = i > 0 && self.is(i - 1, ".");
            if self.is(i, "(") || self.is(i, "[") {
                i = self.partner(i)?;
            } else if !named && self.is_word(i, "case") {
                depth += 1;
            } else if !named && self.is_word(i, "end") {
                depth -= 1;
                if depth == 0 {
                    return Ok(i);
                }
            }
            i += 1;
        }
        Err(refuse::with(SqlState::INTERNAL_ERROR, "a CASE of this statement has no END in its text"))
    }

    /// The item of a select list, by number, that is written as this expression is, word by word.
    pub(super) fn alike(&mut self, node: &Node, list: &[Node]) -> Option<usize> {
        let computed = |node: &Node| match tree::kind(node) {
            Some(NodeEnum::CoalesceExpr(_) | NodeEnum::CaseExpr(_) | NodeEnum::MinMaxExpr(_)) => true,
            Some(NodeEnum::AExpr(expr)) => expr.kind() == AExprKind::AexprNullif,
            _ => false,
        };
        if !computed(node) || has_star(list) {
            return None;
        }
        let own = self.expression(node).ok()?;
        let mut found = None;
        for (index, target) in list.iter().enumerate() {
            let value = item(target).filter(|value| computed(value));
            let Some(other) = value.and_then(|value| self.expression(value).ok()) else { continue };
            if self.same(own, other) && found.is_none() {
                found = Some(index);
            }
        }
        found
    }

    /// First and last token of an item of a select list without `*`.
    pub(super) fn words_of_item(&self, list: &[Node], index: usize) -> Option<(usize, usize)> {
        if has_star(list) {
            return None;
        }
        self.expression(item(list.get(index)?)?).ok()
    }

    /// Two parts of the text are the same, word by word. Where they are but for literals, that is for these literals alone.
    pub(super) fn same(&mut self, one: (usize, usize), other: (usize, usize)) -> bool {
        if !self.same_words(one, other, false) {
            return false;
        }
        let literals = (one.0..=one.1).chain(other.0..=other.1).filter_map(|token| self.literal(token));
        let literals: Vec<usize> = literals.collect();
        self.fixed.extend(literals);
        self.same_words(one, other, true)
    }

    /// The same tokens, of which literals count by their text or not at all.
    fn same_words(&self, one: (usize, usize), other: (usize, usize), literals: bool) -> bool {
        let words = |(first, last): (usize, usize)| {
            self.lexed.tokens[first..=last].iter().map(move |t| match t.kind {
                Kind::Word => t.text(self.text).to_ascii_lowercase(),
                _ if t.is_literal() && !literals => String::new(),
                _ => t.text(self.text).to_string(),
            })
        };
        words(one).eq(words(other))
    }

    /// The token `SELECT`, `VALUES` or `TABLE` of a query that is no set operation.
    pub(super) fn select_word(&self, select: &SelectStmt) -> Result<usize> {
        let (first, word) = match (select.target_list.first(), select.values_lists.first()) {
            (_, Some(row)) => match tree::kind(row) {
                Some(NodeEnum::List(list)) => (list.items.first(), "values"),
                _ => (None, "values"),
            },
            (first, None) => (first, "select"),
        };
        let location = match first.map_or(-1, tree::location) {
            // TABLE t: its star stands nowhere in the text.
            -1 if select.values_lists.is_empty() => match select.from_clause.as_slice() {
                [one] => tree::location(one),
                _ => -1,
            },
            location => location,
        };
        let mut at = self.token(location)?;
        while at > 0 {
            at = match self.is(at, ")") || self.is(at, "]") {
                true => self.partner(at)?,
                false => at,
            };
            let named = at > 0 && self.is(at - 1, ".");
            if !named && (self.is_word(at, word) || self.is_word(at, "table")) {
                return Ok(at);
            }
            at = at.saturating_sub(1);
        }
        match self.is_word(0, word) || self.is_word(0, "table") {
            true => Ok(0),
            false => Err(unknown()),
        }
    }
}

/// Items of a select list are not its columns one by one.
fn has_star(list: &[Node]) -> bool {
    list.iter().any(|target| item(target).is_none_or(tree::is_star))
}

/// What a select item computes.
fn item(target: &Node) -> Option<&Node> {
    match tree::kind(target)? {
        NodeEnum::ResTarget(target) => tree::child(&target.val),
        _ => None,
    }
}

fn unknown() -> Box<Refusal> {
    refuse::unsupported("this query cannot be followed in a statement on encrypted columns")
}
