//! Where the words of a query stand, which the tree does not say.

use pg_query::NodeEnum;
use pg_query::protobuf::SelectStmt;

use super::analyzer::Analyzer;
use super::plan::Refusal;
use super::refuse::{self, Result};
use super::tree;

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

    /// First tokens of the items of a list in brackets, of which this one opens.
    pub(super) fn list_starts(&self, open: usize) -> Result<Vec<usize>> {
        let close = self.partner(open)?;
        let (mut starts, mut i) = (vec![open + 1], open + 1);
        while i < close {
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
    fn levels(&self, token: usize) -> Vec<usize> {
        std::iter::successors(Some(token), |&t| self.enclosing(t)).collect()
    }

    /// The bracket that opens around a token.
    fn enclosing(&self, token: usize) -> Option<usize> {
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

fn unknown() -> Box<Refusal> {
    refuse::unsupported("this query cannot be followed in a statement on encrypted columns")
}
