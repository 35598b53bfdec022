//! CREATE INDEX where encrypted columns take part.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, IndexElem, IndexStmt, Node};

use super::super::analyzer::Analyzer;
use super::super::compare::{accessor, attribute_of_key};
use super::super::expr::Enc;
use super::super::plan::Refusal;
use super::super::refuse::{self, Detail, Result};
use super::super::scope::{ColVal, Scope};
use super::super::site::Site;
use super::super::statement::Outcome;
use super::super::{tree, types};
use super::STORED;
use crate::schema::catalog::EncType;
use crate::schema::paths::attribute;
use crate::wire::value::PlainType;

impl Analyzer<'_> {
    /// CREATE INDEX: an encrypted column is indexed by the term that its comparisons use.
    pub(in crate::sql) fn create_index(&mut self, index: &IndexStmt) -> Result<Outcome> {
        let Some(range) = &index.relation else { return Ok(Outcome::Forward) };
        let item = self.changed(range, &[])?;
        let scope = Scope::new(vec![item], None);
        let elements = self.index_elements()?;
        for (node, token) in index.index_params.iter().zip(elements) {
            if let Some(NodeEnum::IndexElem(elem)) = tree::kind(node) {
                self.index_element(elem, token, &index.access_method, &scope)?;
            }
        }
        for node in &index.index_including_params {
            if let Some(NodeEnum::IndexElem(elem)) = tree::kind(node) {
                self.plain_key_column(&elem.name, &scope, "INCLUDE")?;
            }
        }
        let edited = !self.edits.is_empty();
        self.plain_some(&index.where_clause, &scope, "an index condition")?;
        if !self.sites.iter().all(Site::is_plain) {
            return Err(refuse::unsupported(
                "an index condition that holds a value of an encrypted column is not supported",
            )
            .hint(STORED));
        }
        Ok(if edited { Outcome::Utility } else { Outcome::Forward })
    }

    /// First tokens of the index's elements.
    fn index_elements(&self) -> Result<Vec<usize>> {
        let on = (0..self.lexed.tokens.len()).find(|&i| self.is_word(i, "on")).unwrap_or_default();
        let open = (on..self.lexed.tokens.len()).find(|&i| self.is(i, "(")).unwrap_or_default();
        self.list_starts(open)
    }

    /// An index over the match or JSON term. The operator class that a plain text or document would need is left away.
    fn gin_index(&mut self, elem: &IndexElem, token: usize, ty: &EncType, column: &str) -> Result<()> {
        let (classes, after): (&[&str], _) = match ty.def.terms.matching {
            true => (&["gin_trgm_ops"], ").m)"),
            false => (&["jsonb_ops", "jsonb_path_ops"], ").j)"),
        };
        let class = tree::strings(&elem.opclass);
        if !elem.collation.is_empty() {
            return Err(refuse::on_column("a collation of an index", column).at(self.lexed.tokens[token].start as i32));
        }
        if !class.is_empty() {
            if !class.last().is_some_and(|class| classes.contains(class)) || !elem.opclassopts.is_empty() {
                return Err(refuse::on_column("an operator class of an index", column)
                    .at(self.lexed.tokens[token].start as i32));
            }
            self.edits.both(self.span(token + 1, self.name_end(token + 1)), "");
        }
        self.edits.wrap(self.span(token, token), "((", after);
        Ok(())
    }

    /// An index over the terms of arrays, which serves containment.
    fn array_index(&mut self, elem: &IndexElem, token: usize, method: &str, enc: &Enc) -> Result<()> {
        let at = enc.span.0 as i32;
        if method != "gin" {
            return Err(refuse::on_column(&format!("an index USING {method}"), &enc.column)
                .hint("An index USING gin (column) serves @>, <@ and &&.")
                .at(at));
        }
        self.needs_terms(enc, "an index USING gin")?;
        if !elem.collation.is_empty() || !matches!(tree::strings(&elem.opclass)[..], [] | ["array_ops"]) {
            return Err(refuse::on_column("an operator class or collation of an index", &enc.column).at(at));
        }
        self.edits.wrap(self.span(token, token), accessor(enc.ty.single()), ")");
        Ok(())
    }

    /// An index over a term of a promoted path.
    fn path_index(&mut self, elem: &IndexElem, token: usize, method: &str, enc: &Enc) -> Result<()> {
        let (ty, at) = (&enc.ty, enc.span.0 as i32);
        let gin = method == "gin" && ty.def.terms.matching;
        if !gin && (method == "gin" || !ty.def.terms.equal()) {
            return Err(no_index(ty, &enc.column, method).at(at));
        }
        let class = tree::strings(&elem.opclass);
        let known = class.is_empty() || (gin && class.last() == Some(&"gin_trgm_ops") && elem.opclassopts.is_empty());
        if !known || !elem.collation.is_empty() {
            return Err(refuse::on_column("an operator class or collation of an index", &enc.column).at(at));
        }
        let after = match gin {
            true => ").m)",
            false => attribute_of_key(ty),
        };
        self.edits.wrap(enc.span, "((", after);
        if !class.is_empty() {
            let mut last = self.lexed.tokens.partition_point(|t| t.start < enc.span.1) - 1;
            while self.is(last + 1, ")") && self.partner(last + 1)? >= token {
                last += 1;
            }
            self.edits.both(self.span(last + 1, self.name_end(last + 1)), "");
        }
        Ok(())
    }

    fn index_element(&mut self, elem: &IndexElem, token: usize, method: &str, scope: &Scope<'_>) -> Result<()> {
        if tree::child(&elem.expr).is_some_and(|expr| is_term(expr, scope)) {
            return Ok(());
        }
        if let Some(expr) = tree::child(&elem.expr)
            && let Some(enc) = self.promoted(expr, scope)?
        {
            return self.path_index(elem, token, method, &enc);
        }
        let sites = self.sites.len();
        self.plain_some(&elem.expr, scope, "an index expression")?;
        if !self.sites[sites..].iter().all(Site::is_plain) || elem.name.is_empty() {
            return match self.edits.is_empty() || elem.name.is_empty() && self.sites.len() == sites {
                true => Ok(()),
                false => Err(refuse::unsupported("an index expression over encrypted columns is not supported")),
            };
        }
        let item = &scope.items[0];
        let found = (0..item.len()).find(|&i| item.name(i) == elem.name).map(|i| item.val(i));
        let at = self.lexed.tokens[token].start as i32;
        match found {
            Some(ColVal::Enc(ty, column)) => {
                self.usable(&ty)?;
                if ty.is_array() {
                    return self.array_index(elem, token, method, &Enc::new(ty, column, self.span(token, token)));
                }
                if method == "gin" && (ty.def.terms.matching || ty.def.terms.json) {
                    return self.gin_index(elem, token, &ty, &column);
                }
                if method == "gin" || !ty.def.terms.equal() {
                    return Err(no_index(&ty, &column, method).at(at));
                }
                if !elem.opclass.is_empty() || !elem.collation.is_empty() {
                    return Err(refuse::on_column("an operator class or collation of an index", &column).at(at));
                }
                self.edits.wrap(self.span(token, token), "((", attribute_of_key(&ty));
                Ok(())
            }
            Some(ColVal::Tainted(column)) => Err(refuse::on_column("an index", &column).at(at)),
            _ => Ok(()),
        }
    }
}

/// An index by a term that the type does not have.
fn no_index(ty: &EncType, column: &str, method: &str) -> Box<Refusal> {
    let term = match (method, ty.def.plain) {
        ("gin", PlainType::Json | PlainType::Jsonb) => "json",
        ("gin", _) => "match",
        _ => "eq or ord",
    };
    let refusal = refuse::unsupported(format!(
        "an index USING {method} on encrypted column {column} needs term {term}, which is missing (type {})",
        types::sql_name(ty)
    ));
    match ty.def.terms {
        terms if terms.matching => refusal.hint("LIKE is served by an index USING gin (column)."),
        terms if terms.json => refusal.hint("Conditions on JSON are served by an index USING gin (column)."),
        _ => refusal,
    }
}

/// `seal.eq(a)` of a column of arrays.
fn is_terms_of_array(call: &FuncCall, scope: &Scope<'_>) -> bool {
    let [arg] = call.args.as_slice() else { return false };
    let Some(NodeEnum::ColumnRef(column)) = tree::kind(arg) else { return false };
    match (&tree::strings(&call.funcname)[..], &tree::strings(&column.fields)[..]) {
        (["seal", "eq" | "ord"], [name]) => {
            scope.bare(name).is_ok_and(|found| matches!(found.val, ColVal::Enc(ty, _) if ty.is_array()))
        }
        _ => false,
    }
}

/// `(e).eq` of an encrypted column: what such an index is, as the server prints it and a dump holds it.
pub(super) fn is_term(expr: &Node, scope: &Scope<'_>) -> bool {
    const TERMS: [&str; 4] = ["eq", "ord", "m", "j"];
    if let Some(NodeEnum::FuncCall(call)) = tree::kind(expr) {
        return is_terms_of_array(call, scope);
    }
    let Some(NodeEnum::AIndirection(taken)) = tree::kind(expr) else { return false };
    let Some(NodeEnum::ColumnRef(column)) = taken.arg.as_deref().and_then(tree::kind) else { return false };
    let (names, attributes) = (tree::strings(&column.fields), tree::strings(&taken.indirection));
    match (&names[..], &attributes[..]) {
        ([name], [term]) if TERMS.contains(term) => {
            scope.bare(name).is_ok_and(|found| matches!(found.val, ColVal::Enc(..)))
        }
        // Of a promoted path.
        ([name], ["p", path, term]) if TERMS.contains(term) => scope.bare(name).is_ok_and(|found| {
            matches!(found.val, ColVal::Enc(ty, _) if (1..=ty.promoted.paths.len()).any(|n| attribute(n) == *path))
        }),
        _ => false,
    }
}
