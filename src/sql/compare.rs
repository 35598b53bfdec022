//! Comparisons: on the term that the type has for them; everything else names the term that would be needed.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, Node, SubLink, SubLinkType, TypeCast};

use super::analyzer::Analyzer;
use super::documents::OPERATORS;
use super::expr::{Enc, Open, Val};
use super::plan::Source;
use super::refuse::{self, Detail, Result, UNDEFINED_FUNCTION};
use super::rows::row;
use super::scope::{Scope, Span};
use super::search;
use super::site::Decision;
use super::tree;
use super::types::{self, Named};
use crate::schema::catalog::EncType;
use crate::wire::value::PlainType;

/// A comparison that terms serve, in the two forms.
#[derive(Clone, Copy)]
struct Comparison {
    name: &'static str,
    described: &'static str,
    executed: &'static str,
    /// The type must have the term ord.
    ordered: bool,
}

macro_rules! comparison {
    ($name:literal, $ordered:literal) => {
        Comparison {
            name: $name,
            described: concat!("OPERATOR(seal.", $name, ")"),
            executed: concat!("OPERATOR(pg_catalog.", $name, ")"),
            ordered: $ordered,
        }
    };
}

const COMPARISONS: [Comparison; 6] = [
    comparison!("=", false),
    comparison!("<>", false),
    comparison!("<", true),
    comparison!("<=", true),
    comparison!(">", true),
    comparison!(">=", true),
];

/// The comparison of this name, if values of the type can be compared so.
fn comparison(name: &str, ty: &EncType) -> Option<Comparison> {
    let found = COMPARISONS.into_iter().find(|c| c.name == name)?;
    (ty.def.terms.ord || !found.ordered).then_some(found)
}

/// Takes the attribute that comparisons use of a value in parentheses.
pub(super) fn attribute(ty: &EncType) -> &'static str {
    if ty.def.terms.ord { ").ord" } else { ").eq" }
}

/// The same in brackets, as what is no column stands in a key.
pub(super) fn attribute_of_key(ty: &EncType) -> &'static str {
    if ty.def.terms.ord { ").ord)" } else { ").eq)" }
}

/// Begins the call that gives the terms of an array of this type, in a row.
pub(super) fn accessor(ty: &EncType) -> &'static str {
    if ty.def.terms.ord { "seal.ord(" } else { "seal.eq(" }
}

/// The term that comparisons use of the value that a text gives.
pub(super) fn term_of(ty: &EncType, text: &str) -> String {
    format!("({text}{}", attribute(ty))
}

/// Names of PostgreSQL's own binary operators, those of geometry and text search aside. Another name is an error there too.
const KNOWN_OPERATORS: &[&str] = &[
    "=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "^", "|", "&", "#", "~", "<<", ">>", "||", "!~", "~*",
    "!~*", "~~", "!~~", "~~*", "!~~*", "^@", "@>", "<@", "&&", "->", "->>", "#>", "#>>", "?", "?|", "?&", "#-", "@?",
    "@@", "<<=", ">>=", "~<~", "~<=~", "~>~", "~>=~", "*=", "*<>", "*<", "*>", "*<=", "*>=", "-|-", "&<", "&>",
];

/// How a refusal speaks of an operator, and what the column's type would need.
pub(super) fn missing(kind: AExprKind, name: &str, enc: &Enc) -> Box<super::plan::Refusal> {
    let ty = types::sql_name(&enc.ty);
    if kind == AExprKind::AexprOp && !KNOWN_OPERATORS.contains(&name) {
        return refuse::with(UNDEFINED_FUNCTION, format!("operator does not exist: {name} on type {ty}"))
            .at(enc.span.0 as i32);
    }
    let json = matches!(enc.ty.def.plain, PlainType::Json | PlainType::Jsonb);
    let (construct, term) = match kind {
        AExprKind::AexprLike => ("LIKE".to_string(), Some("match")),
        AExprKind::AexprIlike => ("ILIKE".to_string(), Some("match")),
        AExprKind::AexprSimilar => ("SIMILAR TO".to_string(), None),
        AExprKind::AexprNullif => ("NULLIF".to_string(), None),
        AExprKind::AexprBetween | AExprKind::AexprNotBetween => ("BETWEEN".to_string(), Some("ord")),
        AExprKind::AexprBetweenSym | AExprKind::AexprNotBetweenSym => ("BETWEEN SYMMETRIC".to_string(), Some("ord")),
        _ if json && OPERATORS.contains(&name) => (format!("operator {name}"), Some("json")),
        _ => (format!("operator {name}"), matches!(name, "<" | ">" | "<=" | ">=").then_some("ord")),
    };
    let terms = enc.ty.def.terms;
    let has = |term: &str| match term {
        "ord" => terms.ord,
        "json" => terms.json,
        _ => terms.matching,
    };
    let compared = if terms.ord {
        "=, <>, <, <=, >, >=, BETWEEN, IN, = ANY, IS [NOT] NULL, IS DISTINCT FROM and ORDER BY work"
    } else if terms.eq {
        "=, <>, IN, = ANY, IS [NOT] NULL and IS DISTINCT FROM work"
    } else if terms.matching || terms.json {
        "IS [NOT] NULL works"
    } else {
        "only IS [NOT] NULL works"
    };
    let works = match terms {
        terms if terms.matching => {
            format!("{compared}, and LIKE, ILIKE and starts_with, with the column on their left side")
        }
        terms if terms.json => format!("{compared}, and {DOCUMENTS}; {PROMOTED}"),
        _ if enc.ty.def.plain == PlainType::Jsonb => format!("{compared}; {PROMOTED}"),
        _ => compared.to_owned(),
    };
    let refusal = match term {
        Some(term) if !has(term) => refuse::unsupported(format!(
            "{construct} on encrypted column {} needs term {term}, which is missing (type {ty})",
            enc.column
        )),
        Some("match") => refuse::on_column(&format!("{construct} with it as the pattern"), &enc.column),
        _ => refuse::on_column(&construct, &enc.column),
    };
    refusal.hint(format!("On this column {works}.")).at(enc.span.0 as i32)
}

/// The conditions on JSON that work.
const DOCUMENTS: &str = "@>, <@, ?, ?|, ?&, and comparisons of its parts by =, <>, IN, LIKE and IS [NOT] NULL, with the column on their left side";

/// What has parts that are compared otherwise.
const PROMOTED: &str =
    "<, BETWEEN, ORDER BY and casts of a part need a promoted path, which a type is made with (docs/sql.md)";

impl Analyzer<'_> {
    pub(super) fn operator(&mut self, expr: &AExpr, scope: &Scope<'_>) -> Result<Val> {
        let name = tree::strings(&expr.name).last().copied().unwrap_or_default();
        if let Some(compared) = self.rows(expr, name, scope) {
            return compared;
        }
        if let Some(val) = self.cased_comparison(expr, name, scope)? {
            return Ok(val);
        }
        if let Some(val) = self.document_comparison(expr, name, scope)? {
            return Ok(val);
        }
        match expr.kind() {
            AExprKind::AexprIn => return self.in_list(expr, name, scope),
            AExprKind::AexprOpAny | AExprKind::AexprOpAll => return self.any_array(expr, name, scope),
            _ => {}
        }
        if expr.kind() == AExprKind::AexprNullif {
            return self.null_if(expr, scope);
        }
        let mut vals = Vec::with_capacity(2);
        for side in [&expr.lexpr, &expr.rexpr] {
            if let ([Val::Enc(enc)], Some(asked)) = (vals.as_slice(), search::asked(name))
                && enc.ty.def.terms.matching
            {
                let enc: Enc = enc.clone();
                return self.like(&enc, asked, expr, scope);
            }
            match tree::child(side) {
                Some(node) => match tree::kind(node) {
                    // The bounds of BETWEEN.
                    Some(NodeEnum::List(list)) => {
                        for item in &list.items {
                            vals.push(self.expr(item, scope)?);
                        }
                    }
                    _ => vals.push(self.expr(node, scope)?),
                },
                None => vals.push(Val::Plain),
            }
        }
        if (name, expr.kind()) == ("||", AExprKind::AexprOp)
            && let Some(val) = self.concatenated(expr, &vals)?
        {
            return Ok(val);
        }
        if vals.iter().any(|val| matches!(val, Val::Enc(enc) if enc.ty.is_array()))
            && let Some(val) = self.compared_arrays(expr, name, &vals)?
        {
            return Ok(val);
        }
        let Some(enc) = first_encrypted(&vals) else {
            if let ([Val::Open(left), Val::Open(right)], AExprKind::AexprOp) = (vals.as_slice(), expr.kind())
                && left.simple
                && right.simple
            {
                self.note_empty_test(left, right, expr.location, name);
            }
            self.plain_vals(&vals)?;
            return Ok(Val::Plain);
        };
        let (construct, symbol) = match expr.kind() {
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => ("IS DISTINCT FROM", "="),
            AExprKind::AexprBetween | AExprKind::AexprNotBetween => ("BETWEEN", "<="),
            AExprKind::AexprBetweenSym | AExprKind::AexprNotBetweenSym => ("BETWEEN SYMMETRIC", "<="),
            AExprKind::AexprOp if expr.lexpr.is_some() => (name, name),
            other => return Err(missing(other, name, &enc)),
        };
        let Some(op) = comparison(symbol, &enc.ty) else { return Err(missing(expr.kind(), name, &enc)) };
        self.operands(&vals, construct)?;
        if expr.kind() == AExprKind::AexprOp {
            self.replace_operator(expr.location, op)?;
        }
        Ok(Val::Plain)
    }

    /// All values become operands of a comparison: terms in the executed form.
    pub(super) fn operands(&mut self, vals: &[Val], construct: &str) -> Result<()> {
        let Some((ty, column)) = self.common(vals, &format!("comparison ({construct})"))? else { return Ok(()) };
        if !ty.def.terms.equal() {
            return Err(no_equality(&ty, &column, construct).at(first_encrypted(vals).map_or(-1, |e| e.span.0 as i32)));
        }
        vals.iter().try_for_each(|val| self.operand(val, &ty, &column))
    }

    pub(super) fn operand(&mut self, val: &Val, ty: &Arc<EncType>, column: &Rc<str>) -> Result<()> {
        match val {
            Val::Plain => Ok(()),
            Val::Enc(enc) => {
                self.compared(enc);
                Ok(())
            }
            Val::Open(open) if open.simple => self.decide(open.sites[0], Decision::Equal(ty.clone()), column),
            Val::Open(open) => {
                self.store(open, ty, column)?;
                self.edits.wrap(open.span, "(", attribute(ty));
                Ok(())
            }
        }
    }

    /// Span of an operator: one token, or `OPERATOR(schema.=)`.
    pub(super) fn operator_span(&self, location: i32) -> Result<(Span, usize)> {
        let first = self.token(location)?;
        let last = if self.is_word(first, "operator") { self.partner(first + 1)? } else { first };
        Ok((self.span(first, last), last))
    }

    fn replace_operator(&mut self, location: i32, op: Comparison) -> Result<()> {
        let (span, _) = self.operator_span(location)?;
        self.edits.each(span, Some(op.described.into()), Some(op.executed.into()));
        Ok(())
    }

    fn in_list(&mut self, expr: &AExpr, name: &str, scope: &Scope<'_>) -> Result<Val> {
        let (Some(left), Some(right)) = (tree::child(&expr.lexpr), tree::child(&expr.rexpr)) else {
            return Ok(Val::Plain);
        };
        let mut vals = vec![self.expr(left, scope)?];
        if let Some(NodeEnum::List(list)) = tree::kind(right) {
            for item in &list.items {
                vals.push(self.expr(item, scope)?);
            }
        }
        if first_encrypted(&vals).is_none() {
            self.plain_vals(&vals)?;
            return Ok(Val::Plain);
        }
        let given = || vals[1..].iter().filter_map(|v| if let Val::Open(open) = v { Some(open) } else { None });
        if given().count() > 1 {
            let sites: Vec<usize> = given().filter(|open| open.simple).map(|open| open.sites[0]).collect();
            sites.into_iter().for_each(|site| self.sites[site].listed = true);
        }
        if let Some(rank) = first_encrypted(&vals).and_then(|enc| types::integer_rank(enc.ty.def.plain)) {
            self.beside_numbers(&vals[1..], Some(rank));
        }
        let negated = name == "<>";
        self.operands(&vals, if negated { "NOT IN" } else { "IN" })?;
        let first = self.token(expr.location)?;
        let open = if self.is_word(first, "not") { first + 2 } else { first + 1 };
        let close = self.partner(open)?;
        let (described, executed) = match negated {
            false => ("OPERATOR(seal.=) ANY (ARRAY[", "OPERATOR(pg_catalog.=) ANY (ARRAY["),
            true => ("OPERATOR(seal.<>) ALL (ARRAY[", "OPERATOR(pg_catalog.<>) ALL (ARRAY["),
        };
        self.edits.each(self.span(first, open), Some(described.into()), Some(executed.into()));
        self.edits.both(self.span(close, close), "])");
        Ok(Val::Plain)
    }

    /// In a list, PostgreSQL takes what has no type for the widest of the numbers beside it, if that is wider than what they
    /// are compared with.
    fn beside_numbers(&mut self, vals: &[Val], compared: Option<u8>) {
        let open = |val: &Val| if let Val::Open(open) = val { Some(open.clone()) } else { None };
        let all: Vec<Open> = vals.iter().filter_map(open).filter(|open| open.simple).collect();
        let number = |open: &Open| {
            let site = &self.sites[open.sites[0]];
            site.casts.first().filter(|_| site.is_number).cloned()
        };
        let rank = |named: &Named| match named {
            Named::Builtin { plain, .. } => types::integer_rank(*plain),
            _ => None,
        };
        let widest = all.iter().filter_map(number).max_by_key(rank);
        let Some(named) = widest.filter(|named| rank(named) > compared) else { return };
        for open in all {
            let site = &self.sites[open.sites[0]];
            let declared =
                matches!(site.source, Some(Source::Client(n)) if self.declared.get(n).is_some_and(|oid| *oid != 0));
            if site.casts.is_empty() && !declared && site.source.is_some() {
                self.note_cast(&open, &named, &[]);
            }
        }
    }

    /// `e = ANY ($1)`, `e <> ALL (ARRAY[…])`.
    fn any_array(&mut self, expr: &AExpr, name: &str, scope: &Scope<'_>) -> Result<Val> {
        let (Some(left), Some(right)) = (tree::child(&expr.lexpr), tree::child(&expr.rexpr)) else {
            return Ok(Val::Plain);
        };
        let left = self.expr(left, scope)?;
        let Val::Enc(enc) = left else { return self.any_of_elements(left, right, expr, name, scope) };
        if let Some(asked) = search::asked(name).filter(|_| enc.ty.def.terms.matching) {
            return self.like(&enc, asked, expr, scope);
        }
        let any = expr.kind() == AExprKind::AexprOpAny;
        let construct = format!("{name} {}", if any { "ANY" } else { "ALL" });
        let Some(op) = comparison(name, &enc.ty) else { return Err(missing(AExprKind::AexprOp, name, &enc)) };
        if !enc.ty.def.terms.equal() {
            return Err(no_equality(&enc.ty, &enc.column, &construct).at(enc.span.0 as i32));
        }
        if let Some(elements) = array_elements(right) {
            self.array_operands(elements, right, &enc, &construct, scope)?;
        } else {
            match self.expr(right, scope)? {
                Val::Open(open) if open.simple => {
                    self.decide(open.sites[0], Decision::EqualArray(enc.ty.clone()), &enc.column)?;
                }
                Val::Enc(array) if array.ty.is_array() && array.ty.single().oid == enc.ty.oid => {
                    self.needs_schema(&array, &construct)?;
                    self.edits.wrap(array.span, accessor(&enc.ty), ")");
                }
                _ => {
                    return Err(refuse::on_column(&format!("{construct} of this expression"), &enc.column)
                        .hint("Give the array as a parameter, a literal, or ARRAY[...] of parameters and literals.")
                        .at(enc.span.0 as i32));
                }
            }
        }
        self.compared(&enc);
        self.replace_operator(expr.location, op)?;
        Ok(Val::Plain)
    }

    /// The left side is not encrypted: a given value may be compared with an array of encrypted ones, nothing else.
    fn any_of_elements(&mut self, left: Val, right: &Node, expr: &AExpr, name: &str, scope: &Scope<'_>) -> Result<Val> {
        let any = if expr.kind() == AExprKind::AexprOpAny { "ANY" } else { "ALL" };
        match self.expr(right, scope)? {
            Val::Enc(array) if array.ty.is_array() && !matches!(left, Val::Plain) => {
                let ty = Arc::clone(array.ty.single());
                let enc = Enc::new(ty.clone(), array.column.clone(), array.span);
                let construct = format!("{name} {any}");
                let Some(op) = comparison(name, &ty) else { return Err(missing(AExprKind::AexprOp, name, &enc)) };
                self.needs_terms(&array, &construct)?;
                self.operand(&left, &ty, &array.column)?;
                self.edits.wrap(array.span, accessor(&ty), ")");
                self.replace_operator(expr.location, op)?;
                Ok(Val::Plain)
            }
            Val::Enc(enc) => Err(refuse::on_column(&format!("{name} {any}"), &enc.column).at(enc.span.0 as i32)),
            right => self.plain_vals(&[left, right]).map(|()| Val::Plain),
        }
    }

    fn array_operands(
        &mut self,
        elements: &[Node],
        array: &Node,
        enc: &Enc,
        construct: &str,
        scope: &Scope<'_>,
    ) -> Result<()> {
        let mut vals = vec![Val::Enc(enc.clone())];
        for element in elements {
            vals.push(self.expr(element, scope)?);
        }
        self.beside_numbers(&vals[1..], None);
        self.common(&vals, construct)?;
        for val in &vals[1..] {
            self.operand(val, &enc.ty, &enc.column)?;
        }
        if let Some(NodeEnum::TypeCast(cast)) = tree::kind(array) {
            self.array_cast(cast, enc, elements.is_empty())?;
        }
        Ok(())
    }

    /// The cast around ARRAY[…]: dropped; an empty array needs one of its own.
    fn array_cast(&mut self, cast: &TypeCast, enc: &Enc, empty: bool) -> Result<()> {
        let Some(name) = &cast.type_name else { return Ok(()) };
        let fits = match types::named(name, self.catalog, self.session) {
            types::Named::Builtin { plain, array: true, modified: false, .. } => {
                types::converts(plain, enc.ty.def.plain)
            }
            types::Named::EncArray(ty) => ty.oid == enc.ty.oid,
            _ => false,
        };
        let at = self.token(cast.location)?;
        if !fits || !self.is(at, "::") {
            return Err(refuse::on_column("this cast of an array compared with it", &enc.column).at(enc.span.0 as i32));
        }
        let span = self.span(at, self.type_end(self.token(name.location)?)?);
        let described = format!("::{}[]", types::sql_name(&enc.ty));
        match empty {
            true => {
                self.edits.each(span, Some(described.into()), Some(format!("::{}[]", types::term_name(&enc.ty)).into()))
            }
            false => self.edits.both(span, ""),
        }
        Ok(())
    }

    /// `e IN (SELECT …)`, `e = ANY (SELECT …)`, `e <> ALL (SELECT …)`.
    pub(super) fn quantified(&mut self, link: &SubLink, query: &Node, negated: bool, scope: &Scope<'_>) -> Result<Val> {
        let Some(test) = tree::child(&link.testexpr) else { return Ok(Val::Plain) };
        let named = tree::strings(&link.oper_name).last().copied();
        let name = named.unwrap_or("=");
        let first = self.token(link.location)?;
        let last = match named {
            Some(_) => self.operator_span(link.location)?.1 + 1, // ANY, SOME or ALL
            None if negated => first + 1,
            None => first,
        };
        let (open, close) = (last + 1, self.partner(last + 1)?);
        if let Some(parts) = row(test) {
            return self.row_and_query(parts, query, open, name, scope);
        }
        let left = self.expr(test, scope)?;
        let order = self.edits.next_order();
        let outputs = self.query(query, Some(scope))?;
        let inner = match outputs.columns.as_slice() {
            [one] if !outputs.opaque => {
                let span = self.span(open, close);
                self.found(super::scope::Found { val: one.val.clone(), origin: None }, span)?
            }
            _ => {
                self.plain_outputs(&outputs, "a row comparison")?;
                Val::Plain
            }
        };
        let vals = [left, inner];
        let Some(enc) = first_encrypted(&vals) else {
            self.plain_vals(&vals)?;
            return Ok(Val::Plain);
        };
        let Some(op) = comparison(name, &enc.ty) else { return Err(missing(AExprKind::AexprOp, name, &enc)) };
        let construct = if named.is_none() { "IN (SELECT ...)" } else { name };
        let Some((ty, column)) = self.common(&vals, construct)? else { return Ok(Val::Plain) };
        if !ty.def.terms.equal() {
            return Err(no_equality(&ty, &column, construct).at(enc.span.0 as i32));
        }
        if negated {
            self.negate(&vals[0], first, close)?;
        }
        self.operand(&vals[0], &ty, &column)?;
        if let Val::Open(inner) = &vals[1] {
            self.store(inner, &ty, &column)?;
        }
        let keyword = if link.sub_link_type() == SubLinkType::AllSublink { " ALL" } else { " ANY" };
        let head = self.span(first, last);
        let (described, executed) = (format!("{}{keyword}", op.described), format!("{}{keyword}", op.executed));
        self.edits.each(head, Some(described.into()), Some(executed.into()));
        let after = self.lexed.tokens[open].end;
        let executed = format!("SELECT (columnseal_s.v{} FROM (", attribute(&ty));
        self.edits.insert_each(after, order, None, Some(executed));
        let before = self.lexed.tokens[close].start;
        self.edits.executed((before, before), ") AS columnseal_s(v)");
        Ok(Val::Plain)
    }

    /// `a NOT IN (SELECT …)` becomes `(NOT (a = ANY (SELECT …)))`: unlike `<> ALL` PostgreSQL can hash it.
    fn negate(&mut self, left: &Val, operator: usize, close: usize) -> Result<()> {
        let Some(span) = left.span() else { return Ok(()) };
        let (first, last) = self.around(span, operator)?;
        if last + 1 != operator {
            return Err(refuse::unsupported("this form of NOT IN (SELECT ...) on encrypted columns").at(span.0 as i32));
        }
        let from = self.lexed.tokens[first].start;
        let to = self.lexed.tokens[close].end;
        self.edits.both((from, from), "(NOT (");
        self.edits.both((to, to), "))");
        Ok(())
    }
}

pub(super) fn first_encrypted(vals: &[Val]) -> Option<Enc> {
    vals.iter().find_map(|v| if let Val::Enc(e) = v { Some(e.clone()) } else { None })
}

pub(super) fn no_equality(ty: &EncType, column: &str, construct: &str) -> Box<super::plan::Refusal> {
    if ty.is_array() {
        return refuse::on_column(construct, column).hint(NO_ARRAYS);
    }
    refuse::unsupported(format!(
        "{construct} on encrypted column {column} needs term eq or ord, which are missing (type {})",
        types::sql_name(ty)
    ))
    .hint("Use an encrypted type with term eq or ord; on this column only IS [NOT] NULL works.")
}

/// What arrays cannot be used for.
pub(super) const NO_ARRAYS: &str =
    "Arrays of encrypted values are not ordered and not told apart; take their elements by unnest.";

/// Elements of `ARRAY[…]`, a cast around it aside.
fn array_elements(node: &Node) -> Option<&[Node]> {
    match tree::kind(node)? {
        NodeEnum::AArrayExpr(array) => Some(&array.elements),
        NodeEnum::TypeCast(cast) => match tree::kind(tree::child(&cast.arg)?)? {
            NodeEnum::AArrayExpr(array) => Some(&array.elements),
            _ => None,
        },
        _ => None,
    }
}
