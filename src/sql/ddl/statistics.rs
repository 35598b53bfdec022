//! CREATE STATISTICS where encrypted columns take part.

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateStatsStmt, Node, RangeVar, StatsElem};

use super::super::analyzer::Analyzer;
use super::super::compare::attribute_of_key;
use super::super::expr::{Enc, Val};
use super::super::plan::Refusal;
use super::super::refuse::{self, Detail, Result};
use super::super::scope::{ColVal, Scope};
use super::super::site::Site;
use super::super::statement::Outcome;
use super::super::{tree, types};
use super::index::is_term;
use super::{column, range_var};

const CONSTRUCT: &str = "CREATE STATISTICS";

impl Analyzer<'_> {
    /// CREATE STATISTICS: those of an encrypted column are of the term that comparisons use.
    pub(in crate::sql) fn create_statistics(&mut self, create: &CreateStatsStmt) -> Result<Outcome> {
        let [relation] = create.relations.as_slice() else { return Err(single()) };
        // PostgreSQL does not heed the alias.
        let range = RangeVar { alias: None, ..range_var(relation).ok_or_else(single)?.clone() };
        let item = self.changed(&range, &[])?;
        let scope = Scope::new(vec![item], None);
        let elements: Vec<&StatsElem> = create.exprs.iter().filter_map(element).collect();
        let starts = self.statistics_elements()?;
        if elements.len() != create.exprs.len() || elements.len() != starts.len() {
            return Err(refuse::unsupported("this statement cannot be followed in a statement on encrypted columns"));
        }
        // While there are no edits yet.
        for expr in elements.iter().filter_map(|elem| tree::child(&elem.expr)) {
            if !is_term(expr, &scope) && !is_column(expr) && self.path_of(expr, &scope).is_none() {
                self.plain_statistics(expr, &scope)?;
            }
        }
        for (elem, token) in elements.into_iter().zip(starts) {
            self.statistics_of(elem, token, &scope)?;
        }
        Ok(if self.edits.is_empty() { Outcome::Forward } else { Outcome::Utility })
    }

    /// First tokens of what the statistics are on.
    fn statistics_elements(&self) -> Result<Vec<usize>> {
        let end = self.lexed.tokens.len();
        let on = (0..end).find(|&i| self.is_word(i, "on")).unwrap_or_default();
        let mut from = on;
        while from < end && !self.is_word(from, "from") {
            from = if self.is(from, "(") || self.is(from, "[") { self.partner(from)? } else { from } + 1;
        }
        self.item_starts(on + 1, from)
    }

    /// Statistics on an expression that is of plain columns alone.
    fn plain_statistics(&mut self, expr: &Node, scope: &Scope<'_>) -> Result<()> {
        let sites = self.sites.len();
        self.plain(expr, scope, "an expression in CREATE STATISTICS")?;
        match self.edits.is_empty() && self.sites[sites..].iter().all(Site::is_plain) {
            true => Ok(()),
            false => {
                Err(refuse::unsupported("an expression over encrypted columns in CREATE STATISTICS is not supported")
                    .hint("Name the encrypted columns by themselves.")
                    .at(self.here(tree::location(expr))))
            }
        }
    }

    fn statistics_of(&mut self, elem: &StatsElem, token: usize, scope: &Scope<'_>) -> Result<()> {
        let enc = match tree::child(&elem.expr) {
            Some(expr) if is_term(expr, scope) => None,
            Some(expr) if is_column(expr) => match self.expr(expr, scope)? {
                Val::Enc(enc) => Some(enc),
                _ => None,
            },
            Some(expr) => self.promoted(expr, scope)?,
            None => match column(scope, &elem.name) {
                Some(ColVal::Enc(ty, column)) => {
                    self.usable(&ty)?;
                    Some(Enc::new(ty, column, self.span(token, token)))
                }
                Some(ColVal::Tainted(column)) => {
                    let at = self.lexed.tokens[token].start as i32;
                    return Err(refuse::on_column(CONSTRUCT, &column).at(at));
                }
                _ => None,
            },
        };
        let Some(enc) = enc else { return Ok(()) };
        let at = enc.span.0 as i32;
        if enc.ty.is_array() {
            return Err(refuse::on_column(CONSTRUCT, &enc.column)
                .hint("It is an array; statistics are on columns of single values.")
                .at(at));
        }
        if !enc.ty.def.terms.equal() {
            return Err(refuse::unsupported(format!(
                "{CONSTRUCT} on encrypted column {} needs term eq or ord, which is missing (type {})",
                enc.column,
                types::sql_name(&enc.ty)
            ))
            .hint("Of values without such a term the server can tell nothing.")
            .at(at));
        }
        self.edits.wrap(enc.span, "((", attribute_of_key(&enc.ty));
        Ok(())
    }
}

/// As PostgreSQL says it.
fn single() -> Box<Refusal> {
    refuse::unsupported("only a single relation is allowed in CREATE STATISTICS")
}

fn element(node: &Node) -> Option<&StatsElem> {
    match tree::kind(node)? {
        NodeEnum::StatsElem(elem) => Some(elem),
        _ => None,
    }
}

/// A column in brackets, which is the column to PostgreSQL.
fn is_column(expr: &Node) -> bool {
    matches!(tree::kind(expr), Some(NodeEnum::ColumnRef(_)))
}
