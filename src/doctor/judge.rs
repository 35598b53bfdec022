//! What the analysis of statements says of a definition, and what PostgreSQL keeps of it.

use std::sync::Arc;

use crate::schema::catalog::{Catalog, EncType, Oid};
use crate::schema::node_tree::Node;
use crate::sql::analyze;
use crate::sql::lex::{Lexed, Token};
use crate::sql::plan::{Action, Analysis, OutColumn, Refusal, SessionState};

/// The outcome of analysing one statement.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// It goes as it stands.
    Fine,
    /// It would be rewritten.
    Rewritten {
        /// With all that would be made beside it.
        text: String,
        /// What would run.
        executed: String,
        /// It holds values that would be encrypted.
        values: bool,
        /// Its result columns.
        columns: Vec<Option<Arc<EncType>>>,
    },
    /// Refused.
    Refused(Box<Refusal>),
}

/// The `search_path` under which definitions are printed and read.
pub(super) fn printed_path() -> Vec<String> {
    ["pg_catalog", "seal", "seal"].map(String::from).to_vec()
}

/// What the proxy does with a statement under this path.
pub(super) fn judge(text: &str, catalog: &Catalog, path: &[String]) -> Verdict {
    let session = SessionState { search_path: Some(path), standard_conforming_strings: true };
    let statements = match analyze(text, &[], catalog, &session) {
        Ok(Analysis::Statements(statements)) => statements,
        Ok(_) => return Verdict::Fine,
        Err(refusal) => return Verdict::Refused(Box::new(refusal)),
    };
    let mut verdict = Verdict::Fine;
    for statement in statements.iter() {
        let own = &text[statement.span.clone()];
        match &statement.action {
            Action::Refuse(refusal) => return Verdict::Refused(Box::new(Refusal::clone(refusal))),
            Action::Run(plan) => {
                let literals = crate::sql::literals(own);
                let template = plan.described.as_ref().unwrap_or(&plan.executed);
                let columns = plan.columns.iter().flatten().map(OutColumn::enc).map(|enc| enc.cloned()).collect();
                let values = plan.params.iter().any(|p| p.role.enc().is_some()) || !plan.searches.is_empty();
                let mut text = template.render(own, &literals).sql;
                let executed = plan.executed.render(own, &literals).sql;
                for step in plan.steps.iter().flat_map(|steps| steps.before.iter().chain(&steps.after)) {
                    text = format!("{text}; {step}");
                }
                verdict = Verdict::Rewritten { text, executed, values, columns };
            }
            Action::Forward | Action::Choose(_) | Action::Fetch(_) | Action::Execute(_) => {}
        }
    }
    verdict
}

/// A name and a term of it that stands in a text as `(a.name).term`: first and last token, name, term.
struct Taken {
    tokens: (usize, usize),
    name: (usize, usize),
    column: String,
    term: String,
}

/// Terms and envelopes that a text takes of columns that are encrypted somewhere.
fn taken(text: &str, tokens: &[Token], catalog: &Catalog) -> Vec<Taken> {
    let is = |i: usize, mark: &str| tokens.get(i).is_some_and(|t| t.text(text) == mark);
    let mut found = Vec::new();
    for open in (0..tokens.len()).filter(|&i| is(i, "(")) {
        let mut last = open + 1;
        while is(last + 1, ".") {
            last += 2;
        }
        let names = tokens.get(last).and_then(|t| t.name(text)).zip(tokens.get(last + 3).and_then(|t| t.name(text)));
        let Some((column, term)) = names.filter(|_| is(last + 1, ")") && is(last + 2, ".")) else { continue };
        // A subquery that the proxy wrote.
        let own = tokens[open + 1].text(text).starts_with("columnseal_");
        let known = own || catalog.is_encrypted_somewhere(&column);
        if known && ["v", "c", "eq", "ord", "m", "j"].contains(&&*term) {
            let (column, term) = (column.into_owned(), term.into_owned());
            found.push(Taken { tokens: (open, last + 3), name: (open + 1, last), column, term });
        }
    }
    found
}

/// Column and attribute of each `(column).attribute` in a text.
pub(super) fn attributes(text: &str, catalog: &Catalog) -> Vec<(String, String)> {
    let Ok(lexed) = Lexed::new(text, true) else { return Vec::new() };
    taken(text, &lexed.tokens, catalog).into_iter().map(|t| (t.column, t.term)).collect()
}

/// Functions of schema `seal` that the proxy writes around arrays.
pub(super) const ARRAY_TERMS: [&str; 8] =
    ["eq", "ord", "eq_whole", "ord_whole", "eq_placed", "ord_placed", "eq_distinct", "ord_distinct"];

/// A definition takes terms of arrays.
pub(super) fn takes_of_arrays(text: &str) -> bool {
    let Ok(lexed) = Lexed::new(text, true) else { return false };
    lexed
        .tokens
        .windows(3)
        .any(|t| t[0].text(text) != "." && ARRAY_TERMS.contains(&t[1].text(text)) && t[2].text(text) == "(")
}

/// A definition as it was before the proxy made it: terms are columns again, and so are values picked from groups. Whether
/// anything was taken back.
pub(super) fn taken_back(text: &str, catalog: &Catalog) -> (String, bool) {
    let Ok(lexed) = Lexed::new(text, true) else { return (text.to_owned(), false) };
    let tokens = &lexed.tokens;
    let is = |i: usize, mark: &str| tokens.get(i).is_some_and(|t| t.text(text) == mark);
    let mut edits: Vec<((usize, usize), String)> = Vec::new();
    for term in taken(text, tokens, catalog).iter().filter(|t| t.term == "eq" || t.term == "ord") {
        let name = &text[tokens[term.name.0].start as usize..tokens[term.name.1].end as usize];
        edits.push((term.tokens, name.to_owned()));
    }
    for (i, token) in tokens.iter().enumerate() {
        let word = token.text(text);
        match word {
            // (array_agg(a.name))[1], with FILTER perhaps
            "array_agg" if i > 0 && is(i - 1, "(") && is(i + 1, "(") => {
                let close = (i..tokens.len()).find(|&j| is(j, "["));
                let Some(close) = close.filter(|&c| is(c - 1, ")") && is(c + 2, "]")) else { continue };
                let Some(end) = (i + 2..close).find(|&j| is(j, ")")).filter(|&end| end > i + 2) else { continue };
                let name = &text[tokens[i + 2].start as usize..tokens[end - 1].end as usize];
                edits.push(((i - 1, close + 2), name.to_owned()));
            }
            word if ARRAY_TERMS.contains(&word) && is(i + 1, "(") && !(i > 0 && is(i - 1, ".")) => {
                edits.push(((i, i), String::new()));
            }
            "ord_min" => edits.push(((i, i), "min".to_owned())),
            "ord_max" => edits.push(((i, i), "max".to_owned())),
            _ => {}
        }
    }
    let changed = !edits.is_empty();
    edits.sort_by_key(|((first, _), _)| *first);
    let (mut out, mut at) = (String::new(), 0);
    for ((first, last), by) in edits {
        let (start, end) = (tokens[first].start as usize, tokens[last].end as usize);
        if start >= at {
            out += &text[at..start];
            out += &by;
            at = end;
        }
    }
    out += &text[at..];
    (out, changed)
}

/// Operators that compare whole records: `=`, `<>`, `<`, `>`, `<=`, `>=`.
const RECORD: std::ops::RangeInclusive<i64> = 2988..=2993;
/// Those that compare whole arrays.
const ARRAY: std::ops::RangeInclusive<i64> = 1070..=1075;

/// Nodes that compare two expressions by an operator.
const COMPARING: [&str; 4] = ["OPEXPR", "DISTINCTEXPR", "NULLIFEXPR", "SCALARARRAYOPEXPR"];

/// How what PostgreSQL keeps uses encrypted values in a way that fails, or makes text of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Misuse {
    /// Compared as records, which json has no operator for.
    Compared,
    /// Turned into text.
    Printed,
}

/// The first misuse in trees that stand one behind the other.
pub(super) fn misuse(trees: &str, catalog: &Catalog) -> Option<Misuse> {
    let whole = format!("({trees})");
    let tree = Node::parse(&whole)?;
    let (mut compared, mut printed) = (false, false);
    walk(&tree, &mut |node| {
        let of = |node: &Node<'_>| is_value(node, catalog);
        if COMPARING.contains(&node.label())
            && node.number("opno").is_some_and(|op| RECORD.contains(&op) || ARRAY.contains(&op))
        {
            compared |= node.list("args").iter().any(of);
        }
        printed |= node.label() == "COERCEVIAIO" && node.field("arg").is_some_and(of);
    });
    match (compared, printed) {
        (true, _) => Some(Misuse::Compared),
        (false, true) => Some(Misuse::Printed),
        _ => None,
    }
}

/// A column of an encrypted type or of arrays of one, or a whole row that holds one.
fn is_value(node: &Node<'_>, catalog: &Catalog) -> bool {
    let Some(oid) = node.number("vartype").and_then(|oid| Oid::try_from(oid).ok()) else { return false };
    let row = || catalog.relation_of_type(oid).is_some_and(|relation| relation.touching);
    node.label() == "VAR" && (catalog.types.contains_key(&oid) || catalog.array_types.contains_key(&oid) || row())
}

fn walk<'a>(node: &Node<'a>, see: &mut impl FnMut(&Node<'a>)) {
    see(node);
    for child in node.children() {
        walk(child, see);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_picked_from_groups_are_columns_again() {
        let catalog = Catalog::default();
        for (text, wanted) in [
            ("SELECT (array_agg(u.email))[1] FROM users u", "SELECT u.email FROM users u"),
            ("SELECT (array_agg(email) FILTER (WHERE (id > 1)))[1]", "SELECT email"),
            // What only looks like it stays as it is.
            ("SELECT (array_agg())[1]", "SELECT (array_agg())[1]"),
            ("SELECT (array_agg || (x))[1]", "SELECT (array_agg || (x))[1]"),
            ("SELECT (array_agg)[1]", "SELECT (array_agg)[1]"),
            ("SELECT (array_agg(", "SELECT (array_agg("),
        ] {
            assert_eq!(taken_back(text, &catalog), (wanted.to_owned(), text != wanted), "{text}");
        }
    }
}
