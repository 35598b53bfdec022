//! Conditions on encrypted JSON documents.
//!
//! ```text
//! e @> $1   e ? 'k'   e -> 'k' = $1   e #>> '{a,b}' LIKE $1   e['k'] <@ $1   e ->> 'k' IS NULL
//! ```
//!
//! They are searches as LIKE is: terms narrow, and the proxy decides. The way to the part that is compared, and what it is compared
//! with, stay in the proxy, so such a condition is written anew as a whole:
//!
//! ```text
//! e -> 'a' ->> 'b' = $1    =>   e.j @> $tokens AND CASE WHEN e.c = ANY ($matching) THEN … END
//! ```

use pg_query::NodeEnum;
use pg_query::protobuf::{AExpr, AExprKind, AIndirection, FuncCall, Node, NullTest, NullTestType};

use super::analyzer::Analyzer;
use super::cased::cased;
use super::expr::{Enc, Val};
use super::pattern::{Looked, Part, Pattern, Patterns, Quantifier, Shown, Step};
use super::plan::Given;
use super::refuse::{self, Detail, Result};
use super::routine::is_bare;
use super::scope::{ColVal, Scope};
use super::search::{self, Asked, Covered, Place};
use super::site::Decision;
use super::tree;
use super::types::{self, Named, is_plain_text};
use crate::wire::value::PlainType;

/// Operators that JSON documents alone have.
pub(super) const OPERATORS: &[&str] = &["@>", "<@", "?", "?|", "?&", "->", "->>", "#>", "#>>", "@?", "@@", "#-", "-"];

/// Functions that give a part of a document.
const EXTRACT: [&str; 2] = ["jsonb_extract_path", "jsonb_extract_path_text"];

/// A step of the way to a part, as it is written.
enum Written<'n> {
    /// `->`, `->>`
    Arrow(&'n Node),
    /// `#>`, `#>>`
    Path(&'n Node),
    /// A subscript, or an argument of a function.
    Either(&'n Node),
}

/// A part of a document, as it is written.
struct Subject<'n> {
    column: &'n Node,
    /// From the document on.
    steps: Vec<Written<'n>>,
    text: bool,
    shown: Shown,
}

/// What an operator asks of a part, as a text or as JSON.
fn asked(name: &str, kind: AExprKind, text: bool) -> Option<(Looked, bool)> {
    if text {
        return search::asked_of_text(name).map(|asked| (asked.looked, asked.negated));
    }
    Some(match name {
        "=" => (Looked::Same, false),
        "<>" => (Looked::Same, true),
        _ if kind != AExprKind::AexprOp => return None,
        "@>" => (Looked::Contains, false),
        "<@" => (Looked::Contained, false),
        "?" | "?|" => (Looked::Has, false),
        "?&" => (Looked::HasAll, false),
        "@?" => (Looked::Exists, false),
        "@@" => (Looked::Match, false),
        _ => return None,
    })
}

impl Analyzer<'_> {
    /// A comparison whose left side is an encrypted document or a part of one, as far as searches serve it.
    pub(super) fn document_comparison(&mut self, expr: &AExpr, name: &str, scope: &Scope<'_>) -> Result<Option<Val>> {
        let kind = expr.kind();
        let asks = search::compares(kind) && [true, false].iter().any(|text| asked(name, kind, *text).is_some());
        let (true, Some(left), Some(right)) = (asks, tree::child(&expr.lexpr), tree::child(&expr.rexpr)) else {
            return Ok(None);
        };
        if is_column(left) && !OPERATORS.contains(&name) || self.path_serves(left, name, scope) {
            return Ok(None);
        }
        let Some(subject) = self.document(left, scope) else { return Ok(None) };
        let Some((looked, negated)) = asked(name, kind, subject.text) else { return Ok(None) };
        // Whole documents have equality terms.
        if looked == Looked::Same && subject.steps.is_empty() {
            return Ok(None);
        }
        let Val::Enc(enc) = self.expr(subject.column, scope)? else { return Ok(None) };
        let first = self.token(expr.location)?;
        let sites = self.sites.len();
        let steps = self.steps(&subject, &enc, scope)?;
        let (patterns, escape, end) = match subject.text {
            true => {
                let asked = Asked { looked, negated, shown: subject.shown };
                let right = self.compared_with(&enc, asked, expr, (right, first), (scope, true))?;
                (right.patterns, right.escape, right.end)
            }
            false => {
                let (patterns, end) = self.given_documents(&enc, (looked, negated), expr, (right, first), scope)?;
                (patterns, None, end)
            }
        };
        let whole = steps.is_empty() && !subject.text && looked != Looked::Match;
        let asserted = whole || self.asserted.contains(&expr.location);
        let part = Part { steps, text: subject.text, negated, asserted };
        let operand = self.document_start(&enc, first)?;
        let covered = Covered { part, operand, last: end, sites, conjunct: expr.location, function: None };
        let asked = Asked { looked, negated, shown: subject.shown };
        self.condition(&enc, asked, (patterns, escape), covered, scope).map(Some)
    }

    /// `IS NULL` of a part of a document.
    pub(super) fn document_test(&mut self, test: &NullTest, scope: &Scope<'_>) -> Result<Option<Val>> {
        let part = tree::child(&test.arg).filter(|arg| !is_column(arg));
        let Some(subject) = part.and_then(|part| self.document(part, scope)) else { return Ok(None) };
        if subject.steps.is_empty() || subject.shown != Shown::Value {
            return Ok(None);
        }
        let Val::Enc(enc) = self.expr(subject.column, scope)? else { return Ok(None) };
        let first = self.token(test.location)?;
        let sites = self.sites.len();
        let steps = self.steps(&subject, &enc, scope)?;
        let negated = test.nulltesttype() == NullTestType::IsNull;
        let words = match self.is_word(first, "is") {
            true => 1 + usize::from(self.is_word(first + 1, "not")),
            false => 0,
        };
        let part = Part { steps, text: subject.text, negated, asserted: true };
        let operand = self.document_start(&enc, first)?;
        let covered = Covered { part, operand, last: first + words, sites, conjunct: test.location, function: None };
        let asked = Asked { looked: Looked::Present, negated, shown: Shown::Value };
        self.condition(&enc, asked, (Patterns::None, None), covered, scope).map(Some)
    }

    /// `jsonb_path_exists(e, path)`
    pub(super) fn document_call(&mut self, call: &FuncCall, name: &str, scope: &Scope<'_>) -> Result<Option<Val>> {
        let ("jsonb_path_exists", [document, path]) = (name, call.args.as_slice()) else { return Ok(None) };
        let Some(subject) = self.document(document, scope).filter(|subject| !subject.text) else { return Ok(None) };
        let Val::Enc(enc) = self.expr(subject.column, scope)? else { return Ok(None) };
        let first = self.token(call.location)?;
        let open = self.name_end(first) + 1;
        let sites = self.sites.len();
        let steps = self.steps(&subject, &enc, scope)?;
        let asserted = steps.is_empty() || self.asserted.contains(&call.location);
        let patterns = self.given_list(std::slice::from_ref(path), Given::Path, &enc, scope)?;
        let part = Part { steps, text: false, negated: false, asserted };
        let covered = Covered {
            part,
            operand: self.lexed.tokens[first].start,
            last: self.partner(open)?,
            sites,
            conjunct: call.location,
            function: (!self.asserted.contains(&call.location)).then_some("jsonb_path_exists"),
        };
        let asked = Asked { looked: Looked::Exists, negated: false, shown: Shown::Value };
        let patterns = Patterns::One(patterns.into_iter().next().unwrap_or(Pattern::Null));
        self.condition(&enc, asked, (patterns, None), covered, scope).map(Some)
    }

    fn condition(
        &mut self,
        enc: &Enc,
        asked: Asked,
        patterns: (Patterns, Option<Pattern>),
        covered: Covered,
        scope: &Scope<'_>,
    ) -> Result<Val> {
        self.sites[covered.sites..].iter_mut().for_each(|site| site.covered = true);
        let end = self.lexed.tokens[covered.last].end;
        let place = Place {
            operand: covered.operand,
            rest: (enc.span.1, end),
            pattern: ((end, end), true),
            conjunct: covered.conjunct,
            part: Some(covered.part),
            function: covered.function,
        };
        self.search(enc, asked, patterns, place, scope)
    }

    /// A document with JSON terms, or a part of one.
    fn document<'n>(&self, mut node: &'n Node, scope: &Scope<'_>) -> Option<Subject<'n>> {
        let mut steps = Vec::new();
        let (mut text, mut shown) = (false, Shown::Value);
        // Casts and cases stand around a text, casts to jsonb around JSON.
        let (mut of_text, mut of_json) = (false, false);
        loop {
            match tree::kind(node)? {
                NodeEnum::TypeCast(cast) => {
                    let Named::Builtin { plain, array: false, modified: false, .. } =
                        types::named(cast.type_name.as_ref()?, self.catalog, self.session)
                    else {
                        return None;
                    };
                    match plain {
                        PlainType::Jsonb => of_json |= steps.is_empty(),
                        plain if is_plain_text(plain) && steps.is_empty() => of_text = true,
                        _ => return None,
                    }
                    node = tree::child(&cast.arg)?;
                }
                NodeEnum::AExpr(expr) if expr.kind() == AExprKind::AexprOp => {
                    let step = tree::child(&expr.rexpr)?;
                    let name = tree::strings(&expr.name);
                    text |= matches!(*name.last()?, "->>" | "#>>");
                    if text && !steps.is_empty() && matches!(*name.last()?, "->>" | "#>>") {
                        return None;
                    }
                    steps.push(match *name.last()? {
                        "->" | "->>" => Written::Arrow(step),
                        "#>" | "#>>" => Written::Path(step),
                        _ => return None,
                    });
                    node = tree::child(&expr.lexpr)?;
                }
                NodeEnum::AIndirection(taken) => {
                    steps.extend(subscripts(taken)?.into_iter().rev().map(Written::Either));
                    node = tree::child(&taken.arg)?;
                }
                NodeEnum::FuncCall(call) => match (extracts(call), cased(call)) {
                    (Some(as_text), _) => {
                        let (document, path) = call.args.split_first()?;
                        if as_text && !steps.is_empty() {
                            return None;
                        }
                        text |= as_text;
                        steps.extend(path.iter().rev().map(Written::Either));
                        node = document;
                    }
                    (None, Some((form, arg))) if steps.is_empty() && shown == Shown::Value => {
                        shown = Shown::Cased(form);
                        of_text = true;
                        node = arg;
                    }
                    _ => return None,
                },
                NodeEnum::ColumnRef(reference) => {
                    let ColVal::Enc(ty, _) = scope.named(reference)?.ok()?.val else { return None };
                    steps.reverse();
                    let fits = ty.def.terms.json && !ty.is_array() && (if text { !of_json } else { !of_text });
                    return fits.then_some(Subject { column: node, steps, text, shown });
                }
                _ => return None,
            }
        }
    }

    /// The way to a part: values that the proxy keeps.
    fn steps(&mut self, subject: &Subject<'_>, enc: &Enc, scope: &Scope<'_>) -> Result<Vec<Step>> {
        let mut steps = Vec::with_capacity(subject.steps.len());
        for written in &subject.steps {
            match written {
                Written::Arrow(node) => {
                    let site = self.given_value(node, enc, scope)?;
                    let (given, step) = match self.is_index(site) {
                        true => (Given::Index, Step::Index(site)),
                        false => (Given::Text, Step::Key(site)),
                    };
                    steps.push(self.step(site, given, step, enc)?);
                }
                Written::Either(node) => steps.push(self.either(node, enc, scope)?),
                Written::Path(node) => match self.listed(node) {
                    Some(elements) => {
                        for element in elements {
                            steps.push(self.either(element, enc, scope)?);
                        }
                    }
                    None => {
                        let site = self.given_value(node, enc, scope)?;
                        steps.push(self.step(site, Given::Texts, Step::Path(site), enc)?);
                    }
                },
            }
        }
        Ok(steps)
    }

    /// A key or the number of an element.
    fn either(&mut self, node: &Node, enc: &Enc, scope: &Scope<'_>) -> Result<Step> {
        let site = self.given_value(node, enc, scope)?;
        let given = if self.is_index(site) { Given::Index } else { Given::Text };
        self.step(site, given, Step::Either(site), enc)
    }

    fn step(&mut self, site: usize, given: Given, step: Step, enc: &Enc) -> Result<Step> {
        self.decide(site, Decision::Given(enc.ty.clone(), given), &enc.column)?;
        Ok(if self.sites[site].source.is_some() { step } else { Step::Null })
    }

    /// A value that the client gives.
    fn given_value(&mut self, node: &Node, enc: &Enc, scope: &Scope<'_>) -> Result<usize> {
        match self.expr(node, scope)? {
            Val::Open(open) if open.simple => Ok(open.sites[0]),
            _ => Err(refuse::on_column("a condition on JSON with a computed value or a column", &enc.column)
                .hint("Give keys, paths and what they are compared with as parameters or literals.")
                .at(enc.span.0 as i32)),
        }
    }

    /// It is a number as far as the client says.
    fn is_index(&self, site: usize) -> bool {
        let site = &self.sites[site];
        let declared = match site.source {
            Some(super::plan::Source::Client(n)) => self.declared.get(n).and_then(|oid| types::plain_of(*oid)),
            _ => None,
        };
        let cast = site.casts.last().and_then(|cast| match cast {
            Named::Builtin { plain, .. } => Some(*plain),
            _ => None,
        });
        cast.or(declared).is_some_and(types::is_number)
    }

    /// What a document is compared with, and the last token of it.
    fn given_documents(
        &mut self,
        enc: &Enc,
        (looked, negated): (Looked, bool),
        expr: &AExpr,
        (right, first): (&Node, usize),
        scope: &Scope<'_>,
    ) -> Result<(Patterns, usize)> {
        let last = match self.is_word(first, "operator") {
            true => self.partner(first + 1)?,
            false => first + usize::from(self.is_word(first, "not")),
        };
        let name = tree::strings(&expr.name).last().copied().unwrap_or_default();
        let elements = match tree::kind(right) {
            Some(NodeEnum::List(list)) => Some(list.items.as_slice()),
            _ => self.listed(right),
        };
        let given = match looked {
            Looked::Same | Looked::Contains | Looked::Contained => Given::Document,
            Looked::Exists | Looked::Match => Given::Path,
            _ => Given::Text,
        };
        let quantifier = |any: bool| if any { Quantifier::Any } else { Quantifier::All };
        match (expr.kind(), elements) {
            (AExprKind::AexprIn | AExprKind::AexprOpAny | AExprKind::AexprOpAll, Some(elements)) => {
                let open = last + if expr.kind() == AExprKind::AexprIn { 1 } else { 2 };
                let any = expr.kind() == AExprKind::AexprIn || (expr.kind() == AExprKind::AexprOpAny) != negated;
                let patterns = self.given_list(elements, given, enc, scope)?;
                Ok((Patterns::List(quantifier(any), patterns), self.partner(open)?))
            }
            (AExprKind::AexprOp, Some(elements)) if matches!(name, "?|" | "?&") => {
                let patterns = self.given_list(elements, given, enc, scope)?;
                Ok((Patterns::List(quantifier(name == "?|"), patterns), self.pattern_end(right, last + 1)?))
            }
            (AExprKind::AexprOp, _) if matches!(name, "?|" | "?&") => {
                let site = self.given_value(right, enc, scope)?;
                let step = self.step(site, Given::Texts, Step::Path(site), enc)?;
                let patterns = match step {
                    Step::Null => Patterns::One(Pattern::Null),
                    _ => Patterns::Array(quantifier(name == "?|"), site),
                };
                Ok((patterns, self.pattern_end(right, last + 1)?))
            }
            (AExprKind::AexprOp, None) => {
                let patterns = self.given_list(std::slice::from_ref(right), given, enc, scope)?;
                let one = patterns.into_iter().next().unwrap_or(Pattern::Null);
                Ok((Patterns::One(one), self.pattern_end(right, last + 1)?))
            }
            _ => Err(refuse::on_column("an array of JSON documents that it is compared with", &enc.column)
                .hint("Give them one by one: IN ($1, $2).")
                .at(enc.span.0 as i32)),
        }
    }

    /// Elements of `ARRAY[…]`, a cast around it aside.
    pub(super) fn listed<'n>(&self, node: &'n Node) -> Option<&'n [Node]> {
        match tree::kind(node)? {
            NodeEnum::AArrayExpr(array) => Some(&array.elements),
            NodeEnum::TypeCast(cast) => {
                match types::named(cast.type_name.as_ref()?, self.catalog, self.session) {
                    Named::Builtin {
                        plain: PlainType::Text | PlainType::Jsonb, array: true, modified: false, ..
                    } => {}
                    _ => return None,
                }
                match tree::kind(tree::child(&cast.arg)?)? {
                    NodeEnum::AArrayExpr(array) => Some(&array.elements),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    fn given_list(&mut self, nodes: &[Node], given: Given, enc: &Enc, scope: &Scope<'_>) -> Result<Vec<Pattern>> {
        let mut patterns = Vec::with_capacity(nodes.len());
        for node in nodes {
            let site = self.given_value(node, enc, scope)?;
            patterns.push(match self.step(site, given, Step::Key(site), enc)? {
                Step::Null => Pattern::Null,
                _ => Pattern::Value(site),
            });
        }
        Ok(patterns)
    }

    /// Where a part of a document begins that stands before this token.
    fn document_start(&self, enc: &Enc, before: usize) -> Result<u32> {
        let mut first = self.lexed.at(enc.span.0 as usize).unwrap_or_default();
        while first > 0 && self.is(first - 1, "(") && self.partner(first - 1)? < before {
            first = self.before_bracket(first - 1);
            if let Some(name) = first.checked_sub(1)
                && EXTRACT.iter().any(|word| self.is_word(name, word))
            {
                first = if name >= 2 && self.is(name - 1, ".") { name - 2 } else { name };
            }
        }
        Ok(self.lexed.tokens[first].start)
    }

    /// These conditions are as good false as NULL: those that AND and OR join in a place that asks for what is true.
    pub(super) fn assert(&mut self, condition: Option<&Node>) {
        let mut nodes: Vec<&Node> = condition.into_iter().collect();
        while let Some(node) = nodes.pop() {
            match tree::kind(node) {
                Some(NodeEnum::BoolExpr(expr)) if expr.boolop() != pg_query::protobuf::BoolExprType::NotExpr => {
                    nodes.extend(&expr.args);
                }
                Some(NodeEnum::AExpr(expr)) => self.asserted.push(expr.location),
                Some(NodeEnum::FuncCall(call)) => self.asserted.push(call.location),
                _ => {}
            }
        }
    }
}

fn is_column(node: &Node) -> bool {
    matches!(tree::kind(node), Some(NodeEnum::ColumnRef(_)))
}

/// The subscripts of an expression, if they are no slices and nothing else is taken of it.
pub(super) fn subscripts(taken: &AIndirection) -> Option<Vec<&Node>> {
    taken
        .indirection
        .iter()
        .map(|part| match tree::kind(part)? {
            NodeEnum::AIndices(indices) if !indices.is_slice => tree::child(&indices.uidx),
            _ => None,
        })
        .collect()
}

/// Whether a call gives a part of a document: as a text or not.
pub(super) fn extracts(call: &FuncCall) -> Option<bool> {
    let name = tree::own_name(&call.funcname)?;
    (EXTRACT.contains(&name) && is_bare(call) && !call.func_variadic).then_some(name == EXTRACT[1])
}
