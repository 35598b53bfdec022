//! What tells rows or values apart: SELECT DISTINCT, DISTINCT ON, count(DISTINCT ...), PARTITION BY. Encrypted values are
//! equal where their terms are.

use pg_query::NodeEnum;
use pg_query::protobuf::{Node, SelectStmt};

use super::analyzer::Analyzer;
use super::built::Built;
use super::compare::{no_equality, term_of};
use super::expr::Val;
use super::outputs::Target;
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Scope};
use super::tree;

const ON: &str = "DISTINCT ON";

impl Analyzer<'_> {
    /// DISTINCT and DISTINCT ON.
    pub(super) fn distinct(&mut self, select: &SelectStmt, scope: &Scope<'_>, targets: &[Target]) -> Result<()> {
        // Plain DISTINCT is a list of one empty node.
        if select.distinct_clause.iter().any(|n| tree::kind(n).is_none()) {
            return self.distinct_rows(select, targets);
        }
        select.distinct_clause.iter().try_for_each(|key| {
            let column = self.output_of(key, targets).or_else(|| {
                let encrypted = |&index: &usize| matches!(targets[index].column.val, ColVal::Enc(..));
                self.alike(key, &select.target_list).filter(encrypted)
            });
            match column {
                Some(column) => self.distinct_key(key, &targets[column]),
                None => self.equality_key(key, scope, ON),
            }
        })
    }

    /// `SELECT DISTINCT` becomes `DISTINCT ON` all columns, of which encrypted ones are told apart by term. PostgreSQL takes
    /// a position there for the output column, and lets ORDER BY name a part of them in any order.
    fn distinct_rows(&mut self, select: &SelectStmt, targets: &[Target]) -> Result<()> {
        const DISTINCT: &str = "SELECT DISTINCT";
        let word = self.select_word(select).map(|word| word + 1);
        let at = word.as_ref().map_or(-1, |&word| self.lexed.tokens[word].start as i32);
        let mut encrypted = false;
        let mut keys = Vec::with_capacity(targets.len());
        for (i, target) in targets.iter().enumerate() {
            keys.push(match &target.column.val {
                ColVal::Enc(..) => {
                    encrypted = true;
                    self.distinct_term(target, DISTINCT, at)?
                }
                ColVal::Tainted(column) | ColVal::Built(Built { column, .. }) => {
                    return Err(refuse::on_column(DISTINCT, column).at(at));
                }
                ColVal::Open(sites) => {
                    self.decide_plain(sites)?;
                    (i + 1).to_string()
                }
                ColVal::Plain => (i + 1).to_string(),
            });
        }
        if encrypted {
            let word = word?;
            let on = format!("DISTINCT ON ({})", keys.join(", "));
            self.edits.each(self.span(word, word), Some("".into()), Some(on.into()));
        }
        Ok(())
    }

    /// The term of an output column, for a clause that names it.
    fn distinct_term(&mut self, target: &Target, construct: &str, at: i32) -> Result<String> {
        let ColVal::Enc(ty, column) = &target.column.val else { return Ok(String::new()) };
        if !ty.def.terms.equal() {
            return Err(no_equality(ty, column, construct).at(at));
        }
        let text = self.write(&target.written, construct, column).map_err(|r| r.at(at))?;
        Ok(term_of(ty, &text))
    }

    /// A key of DISTINCT ON that is an output column.
    fn distinct_key(&mut self, key: &Node, target: &Target) -> Result<()> {
        match &target.column.val {
            ColVal::Plain => Ok(()),
            ColVal::Open(sites) => self.decide_plain(sites),
            ColVal::Tainted(column) | ColVal::Built(Built { column, .. }) => Err(refuse::on_column(ON, column)),
            ColVal::Enc(..) => {
                let term = self.distinct_term(target, ON, self.here(tree::location(key)))?;
                let (first, last) = self.expression(key)?;
                self.edits.both(self.span(first, last), term);
                Ok(())
            }
        }
    }

    /// The output column that a key means by its number or name.
    fn output_of(&mut self, key: &Node, targets: &[Target]) -> Option<usize> {
        if let Some(n) = tree::int_const(key) {
            self.fixed.extend(self.token(tree::location(key)).ok().and_then(|t| self.literal(t)));
            return usize::try_from(n).ok()?.checked_sub(1).filter(|&i| i < targets.len());
        }
        let Some(NodeEnum::ColumnRef(reference)) = tree::kind(key) else { return None };
        let [field] = reference.fields.as_slice() else { return None };
        let name = tree::string(field)?;
        targets.iter().position(|t| t.column.name == name)
    }

    /// A key by which rows are told apart: encrypted ones by their term.
    pub(super) fn equality_key(&mut self, key: &Node, scope: &Scope<'_>, construct: &str) -> Result<()> {
        match self.expr(key, scope)? {
            Val::Plain => Ok(()),
            Val::Open(open) => self.decide_plain(&open.sites),
            Val::Enc(enc) => {
                self.needs_equality(&enc, construct)?;
                self.term(&enc);
                Ok(())
            }
        }
    }

    /// The argument of count().
    pub(super) fn counted(&mut self, arg: &Node, distinct: bool, scope: &Scope<'_>) -> Result<()> {
        match tree::kind(arg) {
            Some(NodeEnum::RowExpr(row)) if distinct => {
                row.args.iter().try_for_each(|part| self.equality_key(part, scope, "count(DISTINCT ...)"))
            }
            _ if distinct => self.equality_key(arg, scope, "count(DISTINCT ...)"),
            _ => match self.expr(arg, scope)? {
                Val::Plain => Ok(()),
                Val::Open(open) => self.decide_plain(&open.sites),
                Val::Enc(enc) => {
                    if enc.grouped {
                        self.term(&enc);
                    }
                    Ok(())
                }
            },
        }
    }
}
