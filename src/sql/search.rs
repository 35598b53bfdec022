//! LIKE and its kin on an encrypted column.
//!
//! No term tells whether a value matches a pattern: match terms narrow, and the proxy decides. So before such a statement runs,
//! the proxy reads the values that have the pattern's terms, compares them, and binds what it found:
//!
//! ```text
//! e LIKE $1    =>   e.m @> $tokens AND CASE WHEN e.c = ANY ($matching) THEN true WHEN e.c = ANY ($others) THEN false
//!                                      ELSE seal.changed(e.c) END
//! ```
//!
//! A value is named by its envelope, which no other value has. One that has the terms and was not looked at is an error
//! (40001), so the answer is exact wherever the condition stands.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, FuncCall, Node};

use super::analyzer::Analyzer;
use super::cased::cased;
use super::expr::{Enc, Val};
use super::finish::function_refusal;
use super::pattern::{IDENTITY, Looked, Part, Pattern, Patterns, Quantifier, Search, Shown};
use super::plan::{Param, Role, Source};
use super::refuse::{self, Detail, Result, UNDEFINED_FUNCTION};
use super::scope::{Columns, Scope, Span};
use super::site::Decision;
use super::tree;
use super::types::{self, always_quoted, is_plain_text};
use crate::schema::catalog::RelationKind;

/// What a condition asks of a value.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) looked: Looked,
    pub(super) negated: bool,
    pub(super) shown: Shown,
}

/// What an operator of this name asks, if it is one of LIKE's kin.
pub(super) fn asked(name: &str) -> Option<Asked> {
    let (looked, negated) = match name {
        "~~" => (Looked::Like, false),
        "!~~" => (Looked::Like, true),
        "~~*" => (Looked::Ilike, false),
        "!~~*" => (Looked::Ilike, true),
        "^@" => (Looked::Prefix, false),
        _ => return None,
    };
    Some(Asked { looked, negated, shown: Shown::Value })
}

/// Whether an expression of this kind may be one that is searched for.
pub(super) fn compares(kind: AExprKind) -> bool {
    use AExprKind::{AexprIlike, AexprIn, AexprLike, AexprOp, AexprOpAll, AexprOpAny};
    matches!(kind, AexprOp | AexprLike | AexprIlike | AexprIn | AexprOpAny | AexprOpAll)
}

/// What an operator of this name asks of a text, `=` and `<>` among them.
pub(super) fn asked_of_text(name: &str) -> Option<Asked> {
    match name {
        "=" => Some(Asked { looked: Looked::Equal, negated: false, shown: Shown::Value }),
        "<>" => Some(Asked { looked: Looked::Equal, negated: true, shown: Shown::Value }),
        _ => asked(name),
    }
}

/// A condition, until parameters are numbered.
pub(super) struct Found {
    search: Search,
    negated: bool,
    /// Where the left operand begins.
    operand: u32,
    /// How the column can be written again.
    text: String,
    /// From the operator on to the end of the pattern.
    rest: Span,
    /// The pattern, in parentheses of its own or not.
    pattern: (Span, bool),
    order: usize,
    /// Where the column begins, of a condition that is written anew as a whole.
    column: u32,
    /// As of [`Place`].
    function: Option<&'static str>,
}

/// Where a condition stands.
pub(super) struct Place {
    pub(super) operand: u32,
    pub(super) rest: Span,
    pub(super) pattern: (Span, bool),
    /// Its location in the tree.
    pub(super) conjunct: i32,
    /// It is one on a part of a document.
    pub(super) part: Option<Part>,
    /// The function of PostgreSQL's that it is a call of, where its name may be told.
    pub(super) function: Option<&'static str>,
}

/// A condition on a document that is written anew as a whole.
pub(super) struct Covered {
    pub(super) part: Part,
    /// Where it begins.
    pub(super) operand: u32,
    /// Its last token.
    pub(super) last: usize,
    /// The first of its sites.
    pub(super) sites: usize,
    /// As of [`Place`].
    pub(super) conjunct: i32,
    pub(super) function: Option<&'static str>,
}

/// What stands right of LIKE, with its first and last token.
pub(super) struct Right {
    pub(super) patterns: Patterns,
    pub(super) escape: Option<Pattern>,
    first: usize,
    pub(super) end: usize,
    bracketed: bool,
}

impl Analyzer<'_> {
    /// `e LIKE pattern`, `e ^@ pattern`, with ANY or ALL or without.
    pub(super) fn like(&mut self, enc: &Enc, asked: Asked, expr: &AExpr, scope: &Scope<'_>) -> Result<Val> {
        let Some(right) = tree::child(&expr.rexpr) else { return Ok(Val::Plain) };
        let first = self.token(expr.location)?;
        let right = self.compared_with(enc, asked, expr, (right, first), (scope, false))?;
        let pattern = match right.bracketed {
            true => (self.span(right.first - 1, right.end), true),
            false => (self.span(right.first, right.end), false),
        };
        let rest = self.span(first, right.end);
        let operand = self.operand_start(enc, first)?;
        let place = Place { operand, rest, pattern, conjunct: expr.location, part: None, function: None };
        self.search(enc, asked, (right.patterns, right.escape), place, scope)
    }

    /// The patterns right of an operator. `covered`: what is written of them does not stay.
    pub(super) fn compared_with(
        &mut self,
        enc: &Enc,
        asked: Asked,
        expr: &AExpr,
        (right, first): (&Node, usize),
        (scope, covered): (&Scope<'_>, bool),
    ) -> Result<Right> {
        let quantified = match expr.kind() {
            AExprKind::AexprOpAny => Some(true),
            AExprKind::AexprOpAll => Some(false),
            _ => None,
        };
        let mut last = match self.is_word(first, "operator") {
            true => self.partner(first + 1)?,
            false => first + usize::from(self.is_word(first, "not")),
        };
        let (patterns, escape, end);
        let listed = if let Some(NodeEnum::List(list)) = tree::kind(right) { Some(&list.items) } else { None };
        match quantified {
            None if listed.is_some() => {
                last += 1; // IN (
                end = self.partner(last)?;
                escape = None;
                let each = listed.into_iter().flatten().map(|item| self.pattern(item, enc, scope));
                patterns = Patterns::List(Quantifier::Any, each.collect::<Result<_>>()?);
            }
            Some(any) => {
                last += 2; // ANY (
                end = self.partner(last)?;
                escape = None;
                let quantifier = if any != asked.negated { Quantifier::Any } else { Quantifier::All };
                patterns = self.pattern_list(right, quantifier, enc, scope)?;
            }
            None => {
                let (pattern, with) = escaped(right);
                patterns = Patterns::One(self.pattern(pattern, enc, scope)?);
                escape = with.map(|node| self.pattern(node, enc, scope)).transpose()?;
                end = self.pattern_end(with.unwrap_or(pattern), last + 1)?;
                if let (Some(with), false) = (with, covered) {
                    let at = self.token(tree::location(with))?;
                    let word = (last + 1..at).rev().find(|&t| self.is_word(t, "escape"));
                    let word = word.ok_or_else(|| refuse::on_column("this form of ESCAPE", &enc.column))?;
                    self.edits.each(self.span(word, word), Some("OPERATOR(pg_catalog.||)".into()), None);
                }
            }
        }
        let bracketed = quantified.is_some() || listed.is_some();
        Ok(Right { patterns, escape, first: last + 1, end, bracketed })
    }

    /// Where an operand begins that stands before this token: with the brackets and casts around the column.
    fn operand_start(&self, enc: &Enc, before: usize) -> Result<u32> {
        let mut first = self.lexed.at(enc.span.0 as usize).unwrap_or_default();
        while first > 0 && self.is(first - 1, "(") && self.partner(first - 1)? < before {
            first -= 1;
            first = self.before_bracket(first);
        }
        Ok(self.lexed.tokens[first].start)
    }

    /// `starts_with(value, prefix)`.
    pub(super) fn starts_with(&mut self, call: &FuncCall, args: (&Node, &Node), scope: &Scope<'_>) -> Result<Val> {
        let (value, prefix) = args;
        let (val, shown) = match self.shown_column(value, scope)? {
            Some((enc, shown)) => (Val::Enc(enc), shown),
            None => (self.expr(value, scope)?, Shown::Value),
        };
        let enc = match val {
            Val::Enc(enc) if enc.ty.def.terms.matching => enc,
            Val::Enc(enc) => return Err(function_refusal("starts_with", false, &enc)),
            value => {
                let prefix = self.expr(prefix, scope)?;
                if let Val::Enc(enc) = &prefix {
                    return Err(function_refusal("starts_with", false, enc));
                }
                return self.plain_vals(&[value, prefix]).map(|()| Val::Plain);
            }
        };
        let enc = &enc;
        let first = self.token(call.location)?;
        let open = self.name_end(first) + 1;
        let close = self.partner(open)?;
        let after = self.lexed.tokens.partition_point(|t| t.start < enc.span.1);
        let comma = (after..close).find(|&t| self.is(t, ","));
        let comma = comma.ok_or_else(|| refuse::on_column("this form of starts_with", &enc.column))?;
        let patterns = Patterns::One(self.pattern(prefix, enc, scope)?);
        let asked = Asked { looked: Looked::Prefix, negated: false, shown };
        let pattern = (self.span(comma + 1, close - 1), false);
        let rest = self.span(comma, close);
        self.edits.both(self.span(first, open), "");
        let operand = self.operand_start(enc, comma)?;
        let place = Place { operand, rest, pattern, conjunct: call.location, part: None, function: None };
        self.search(enc, asked, (patterns, None), place, scope)
    }

    pub(super) fn search(
        &mut self,
        enc: &Enc,
        asked: Asked,
        (patterns, escape): (Patterns, Option<Pattern>),
        place: Place,
        scope: &Scope<'_>,
    ) -> Result<Val> {
        let at = enc.span.0 as i32;
        let construct = if place.part.is_some() { "a condition on JSON" } else { "LIKE" };
        let Some(bare) = enc.bare.as_ref().filter(|_| !enc.grouped) else {
            return Err(refuse::on_column(&format!("{construct} of an expression or a key of GROUP BY"), &enc.column)
                .hint("Compare the column itself, in WHERE.")
                .at(at));
        };
        if self.fresh {
            return Err(refuse::on_column(&format!("{construct} in RETURNING"), &enc.column).at(at));
        }
        let from = self.looked_in(bare.column, scope);
        let roughly = asked.shown == Shown::Value && asked.looked != Looked::Equal && place.part.is_none();
        let narrows = roughly && !asked.negated && self.conjuncts.contains(&place.conjunct);
        if from.is_none() && !(narrows && enc.ty.approximate()) {
            return Err(refuse::on_column(&format!("{construct} outside the query that reads its table"), &enc.column)
                .hint("Put the condition into the subquery or CTE that names the table.")
                .at(at));
        }
        self.touched = true;
        let order = self.edits.next_order();
        self.searches.push(Found {
            search: Search {
                enc: enc.ty.clone(),
                column: enc.column.to_string(),
                from,
                path: bare.path,
                shown: asked.shown,
                looked: asked.looked,
                patterns,
                escape,
                part: place.part,
            },
            negated: asked.negated,
            column: enc.span.0,
            function: place.function,
            operand: place.operand,
            text: bare.text.clone(),
            rest: place.rest,
            pattern: place.pattern,
            order,
        });
        Ok(Val::Plain)
    }

    /// The relation that holds a column, and the column's name in it.
    ///
    /// A view is fenced: PostgreSQL would take the condition into it, down to rows that the view does not show and that are
    /// therefore not looked at. One that cannot be fenced is none.
    fn looked_in(&mut self, column: (u32, usize), scope: &Scope<'_>) -> Option<(String, String)> {
        let item = scope.item_of(column.0)?;
        match &item.columns {
            Columns::Relation(relation, _) if !item.qualified_only => {
                let relation = Arc::clone(relation);
                if relation.kind == RelationKind::View && !self.fence(column.0) {
                    return None;
                }
                let name = format!("{}.{}", always_quoted(&relation.schema), always_quoted(&relation.name));
                Some((name, always_quoted(&relation.columns[column.1].name)))
            }
            _ => None,
        }
    }

    /// Puts a view in FROM into a subquery that conditions do not enter. Whether it is in one.
    fn fence(&mut self, item: u32) -> bool {
        let Some(view) = self.views.iter_mut().find(|view| view.item == item) else { return false };
        if !std::mem::replace(&mut view.fenced, true) {
            let (span, alias) = (view.span, view.alias.clone());
            let name = &self.text[span.0 as usize..span.1 as usize];
            let alias = alias.map(|a| format!(" AS {a}")).unwrap_or_default();
            self.edits.executed(span, format!("(SELECT * FROM {name} OFFSET 0){alias}"));
        }
        true
    }

    /// The array of `LIKE ANY (...)`.
    fn pattern_list(&mut self, node: &Node, quantifier: Quantifier, enc: &Enc, scope: &Scope<'_>) -> Result<Patterns> {
        let inner = match tree::kind(node) {
            Some(NodeEnum::TypeCast(cast)) => tree::child(&cast.arg).unwrap_or(node),
            _ => node,
        };
        if let Some(NodeEnum::AArrayExpr(array)) = tree::kind(inner) {
            let each = array.elements.iter().map(|element| self.pattern(element, enc, scope));
            return Ok(Patterns::List(quantifier, each.collect::<Result<_>>()?));
        }
        match self.expr(node, scope)? {
            Val::Open(open) if open.simple && self.sites[open.sites[0]].source.is_some() => {
                self.decide(open.sites[0], Decision::Patterns(enc.ty.clone()), &enc.column)?;
                Ok(Patterns::Array(quantifier, open.sites[0]))
            }
            _ => Err(refuse::on_column("LIKE with this array of patterns", &enc.column)
                .hint("Give the array as a parameter, a literal, or ARRAY[...] of parameters and literals.")
                .at(enc.span.0 as i32)),
        }
    }

    /// A pattern: given values, and what `||` and concat make of them.
    fn pattern(&mut self, node: &Node, enc: &Enc, scope: &Scope<'_>) -> Result<Pattern> {
        match tree::kind(node) {
            Some(NodeEnum::AExpr(expr))
                if expr.kind() == AExprKind::AexprOp && tree::strings(&expr.name).last() == Some(&"||") =>
            {
                let (Some(left), Some(right)) = (tree::child(&expr.lexpr), tree::child(&expr.rexpr)) else {
                    return Err(no_pattern(enc));
                };
                Ok(Pattern::Joined(vec![self.pattern(left, enc, scope)?, self.pattern(right, enc, scope)?]))
            }
            Some(NodeEnum::FuncCall(call)) => match tree::own_name(&call.funcname) {
                Some("concat") => {
                    let parts = call.args.iter().map(|arg| self.pattern(arg, enc, scope));
                    Ok(Pattern::Concat(parts.collect::<Result<_>>()?))
                }
                _ => match cased(call) {
                    Some((form, arg)) => Ok(Pattern::Cased(form, Box::new(self.pattern(arg, enc, scope)?))),
                    None => Err(no_pattern(enc)),
                },
            },
            Some(NodeEnum::TypeCast(cast)) if tree::child(&cast.arg).is_some_and(is_joined) => {
                let (Some(arg), Some(name)) = (tree::child(&cast.arg), &cast.type_name) else {
                    return Err(no_pattern(enc));
                };
                match types::named(name, self.catalog, self.session) {
                    types::Named::Builtin { plain, array: false, modified: false, .. } if is_plain_text(plain) => {
                        self.pattern(arg, enc, scope)
                    }
                    _ => Err(no_pattern(enc)),
                }
            }
            _ => match self.expr(node, scope)? {
                Val::Open(open) if open.simple => self.pattern_value(open.sites[0], enc),
                _ => Err(no_pattern(enc)),
            },
        }
    }

    fn pattern_value(&mut self, site: usize, enc: &Enc) -> Result<Pattern> {
        if self.sites[site].is_number {
            let message = format!("operator does not exist: {} LIKE a number", types::sql_name(&enc.ty));
            return Err(refuse::with(UNDEFINED_FUNCTION, message).at(self.sites[site].span.0 as i32));
        }
        self.decide(site, Decision::Pattern(enc.ty.clone()), &enc.column)?;
        Ok(match self.sites[site].source {
            Some(_) => Pattern::Value(site),
            None => Pattern::Null,
        })
    }

    /// The last token of a pattern that begins with this one.
    pub(super) fn pattern_end(&self, node: &Node, first: usize) -> Result<usize> {
        let mut last = self.last_token(node)?;
        while self.is(last + 1, ")") && self.partner(last + 1)? >= first {
            last += 1;
        }
        Ok(last)
    }

    fn last_token(&self, node: &Node) -> Result<usize> {
        match tree::kind(node) {
            Some(NodeEnum::AExpr(expr)) => match tree::child(&expr.rexpr) {
                Some(right) => self.last_token(right),
                None => self.token(expr.location),
            },
            Some(NodeEnum::FuncCall(call)) => self.partner(self.name_end(self.token(call.location)?) + 1),
            Some(NodeEnum::AArrayExpr(array)) => self.partner(self.token(array.location)? + 1),
            Some(NodeEnum::TypeCast(cast)) => {
                let at = self.token(cast.location)?;
                match &cast.type_name {
                    Some(name) if self.is(at, "::") => self.type_end(self.token(name.location)?),
                    _ if self.is_word(at, "cast") => self.partner(at + 1),
                    // text 'abc'
                    _ => tree::child(&cast.arg).map_or(Ok(at), |arg| self.last_token(arg)),
                }
            }
            _ => self.token(tree::location(node)),
        }
    }

    /// Numbers the parameters of searches and edits their conditions.
    pub(super) fn place_searches(&mut self, params: &mut Vec<Param>, index: &[Option<usize>]) -> Vec<Search> {
        let found = std::mem::take(&mut self.searches);
        let mut placed = Vec::with_capacity(found.len());
        for (number, found) in found.into_iter().enumerate() {
            let first = params.len();
            for role in [Role::Tokens(number), Role::Matching(number), Role::Others(number)] {
                params.push(Param::new(Source::Search, role, &found.search.column));
            }
            let search = found.search.clone().renumbered(&|site| index[site]);
            match search.part {
                Some(_) => {
                    let ty = |role: &Role| match role {
                        Role::Given(_, given) => given.sql_name(),
                        Role::Patterns(_) => "text[]",
                        _ => "text",
                    };
                    let kept = search.kept().into_iter().filter_map(|n| Some((n, ty(&params.get(n)?.role))));
                    let kept = kept.map(|(n, ty)| format!("${}::pg_catalog.{ty} IS NULL AND ", n + 1)).collect();
                    self.cover_search(&found, &search, first, kept);
                }
                None => self.edit_search(&found, first),
            }
            placed.push(search);
        }
        placed
    }

    fn edit_search(&mut self, found: &Found, first: usize) {
        let [tokens, matching, others] = lists(&found.search, first);
        let ty = types::sql_name(&found.search.enc);
        // Described: what must be of the encrypted type, what is a text, what the proxy adds.
        let (pattern, bracketed) = found.pattern;
        let (open, close) = if bracketed { ("", "") } else { ("(", ")") };
        let operator = format!(" OPERATOR(seal.~~) NULL::{ty} AND {open}");
        let ends = format!("{close} IS NULL AND {tokens} IS NULL AND {matching} IS NULL AND {others} IS NULL)",);
        self.edits.each((found.rest.0, pattern.0), Some(operator.into()), None);
        self.edits.each((pattern.1, found.rest.1), Some(ends.into()), None);
        // Executed.
        let (before, after) = executed(found, first, "THEN true");
        let before = format!("{}{before}", if found.negated { "(NOT " } else { "(" });
        self.edits.insert_each(found.operand, found.order, Some("(".into()), Some(before));
        self.edits.each(found.rest, None, Some(format!("{after})").into()));
    }

    /// A condition on a part of a document: all that stands around the column goes.
    /// `kept`: what the described form says of the values that the proxy keeps.
    fn cover_search(&mut self, found: &Found, search: &Search, first: usize, kept: String) {
        let [tokens, matching, others] = lists(search, first);
        // A function gives its name to a result column.
        let (call, ends) = match found.function {
            Some(name) => {
                (format!("pg_catalog.{name}(pg_catalog.to_jsonb("), "), '$ ? (@ == true)'::pg_catalog.jsonpath)")
            }
            None => (String::new(), ""),
        };
        let described = format!(
            ") OPERATOR(seal.@>) NULL::{} AND {kept}{tokens} IS NULL AND {matching} IS NULL AND {others} IS NULL){ends}",
            types::sql_name(&search.enc)
        );
        let asserted = search.part.as_ref().is_some_and(|part| part.asserted);
        let null = format!("THEN CASE WHEN {} THEN NULL ELSE true END", listed(&found.text, &others));
        let (before, after) = executed(found, first, if asserted { "THEN true" } else { &null });
        // What a row without a document has is NULL at every path.
        let null = match search.looked {
            Looked::Present if found.negated => format!("({}).c IS NULL OR ", found.text),
            Looked::Present => format!("({}).c IS NOT NULL AND ", found.text),
            _ => String::new(),
        };
        let span = (found.operand, found.column);
        let (described_before, before) = (format!("{call}(("), format!("{call}({null}{before}"));
        match span.0 < span.1 {
            true => self.edits.each(span, Some(described_before.into()), Some(before.into())),
            false => self.edits.insert_each(span.0, found.order, Some(described_before), Some(before)),
        }
        self.edits.each(found.rest, Some(described.into()), Some(format!("{after}){ends}").into()));
    }
}

/// How a search names its parameters: the tokens, and the lists of what was found.
fn lists(search: &Search, first: usize) -> [String; 3] {
    let tokens = if search.part.is_some() { "int8" } else { "int4" };
    [(1, tokens), (2, "bytea"), (3, "bytea")].map(|(n, ty)| format!("${}::pg_catalog.{ty}[]", first + n))
}

/// Whether a value is in a list of such.
fn listed(column: &str, list: &str) -> String {
    let (first, length) = (IDENTITY.start + 1, IDENTITY.len());
    // Of a list that it does not see PostgreSQL expects few values, and so always makes a hash table of them.
    format!(
        "pg_catalog.substr(({column}).c, {first}, {length}) OPERATOR(pg_catalog.=) ANY (SELECT pg_catalog.unnest((SELECT {list})))"
    )
}

/// What stands before and after the column. `matches`: what follows for a value among those that match.
fn executed(found: &Found, first: usize, matches: &str) -> (String, String) {
    let [tokens, matching, others] = lists(&found.search, first);
    let (column, term) = (&found.text, found.search.term());
    let operator = if found.search.overlap() { "&&" } else { "@>" };
    let all = if found.search.overlap() { format!("{tokens} IS NULL OR ") } else { String::new() };
    let after = format!(
        ").{term} OPERATOR(pg_catalog.{operator}) {tokens}) AND CASE WHEN ({column}).c IS NULL THEN NULL \
         WHEN {matching} IS NULL THEN {others} IS NOT NULL OR NULL \
         WHEN NOT ({all}({column}).{term} OPERATOR(pg_catalog.{operator}) {tokens}) THEN false WHEN {} {matches} WHEN {} THEN false ELSE seal.changed(({column}).c) END)",
        listed(column, &matching),
        listed(column, &others)
    );
    (format!("(({all}("), after)
}

fn no_pattern(enc: &Enc) -> Box<super::plan::Refusal> {
    refuse::on_column("LIKE with this pattern", &enc.column)
        .hint("Give the pattern as a parameter or literal, or as ones joined by || or concat, with lower or upper around them or not.")
        .at(enc.span.0 as i32)
}

/// The pattern and what stands after ESCAPE.
fn escaped(node: &Node) -> (&Node, Option<&Node>) {
    match tree::kind(node) {
        Some(NodeEnum::FuncCall(call)) if tree::strings(&call.funcname).last() == Some(&"like_escape") => {
            match call.args.as_slice() {
                [pattern, escape] => (pattern, Some(escape)),
                _ => (node, None),
            }
        }
        _ => (node, None),
    }
}

/// Made by `||` or concat, casts around it aside.
fn is_joined(node: &Node) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::AExpr(_) | NodeEnum::FuncCall(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => tree::child(&cast.arg).is_some_and(is_joined),
        _ => false,
    }
}
