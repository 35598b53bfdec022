//! Promoted paths of JSON: the text of a part of a document, cast to the type that its path has, is a value of an encrypted type of its own.
//!
//! ```text
//! (doc ->> 'total')::numeric     doc -> 'customer' ->> 'name'     doc #>> '{customer,name}'     doc['customer'] ->> 'name'
//!
//! =>   ((doc).p).p1
//! ```
//!
//! From there on it is as a column of that type, so whatever serves such a column serves the path. Keys are literals: they decide
//! which path it is, and that path stands in the type's definition, so they tell nothing.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, AExpr, AExprKind, ColumnRef, Node, a_const};

use super::analyzer::Analyzer;
use super::documents::{extracts, subscripts};
use super::expr::Enc;
use super::group::Bare;
use super::lex::{Kind, StringKind};
use super::refuse::{self, Detail, Result};
use super::scope::{ColVal, Scope, Seen, Span};
use super::search;
use super::tree;
use super::types::{self, Named, is_plain_text};
use crate::schema::catalog::EncType;
use crate::schema::paths::attribute;
use crate::wire::value::{Format, PlainType, Settings, read_array};

/// A promoted path, as an expression reads it.
pub(super) struct Path<'n> {
    reference: &'n ColumnRef,
    /// The type of the document, and of what is at the path.
    document: Arc<EncType>,
    pub(super) ty: Arc<EncType>,
    /// Names the column for errors.
    column: Rc<str>,
    origin: (u32, usize),
    /// Counts from 1.
    number: usize,
    /// Literals that its keys are.
    literals: Vec<usize>,
}

impl Path<'_> {
    /// Item and column of the document, and the path's number.
    pub(super) fn place(&self) -> ((u32, usize), usize) {
        (self.origin, self.number)
    }
}

/// How a part of a document is written, from outside in.
#[derive(Default)]
struct Written {
    /// Keys, last one first.
    keys: Vec<String>,
    literals: Vec<usize>,
}

impl Analyzer<'_> {
    /// The promoted path that an expression reads, if it is one.
    pub(super) fn path_of<'n>(&self, node: &'n Node, scope: &Scope<'_>) -> Option<Path<'n>> {
        let mut casts = Vec::new();
        let mut at = node;
        while let NodeEnum::TypeCast(cast) = tree::kind(at)? {
            casts.push(self.plain_cast(cast.type_name.as_ref()?)?);
            at = tree::child(&cast.arg)?;
        }
        let (mut cast_to, mut shown) = (PlainType::Text, PlainType::Text);
        for plain in casts.into_iter().rev() {
            match (cast_to, plain) {
                (PlainType::Text, plain) if is_plain_text(plain) => shown = plain,
                (PlainType::Text, plain) => (cast_to, shown) = (plain, plain),
                (before, plain) if before == plain => {}
                _ => return None,
            }
        }
        let mut path = self.text_at(at, scope)?;
        self.weighed.borrow_mut().extend(path.literals.iter().filter(|literal| self.may_name_path(**literal)));
        let listed =
            path.document.promoted.paths.iter().position(|p| p.keys == path.keys && p.ty.def.plain == cast_to)?;
        let ty = types::shown_as(&path.document.promoted.paths[listed].ty, shown);
        let keys = std::mem::take(&mut path.keys).join(".");
        let column = format!("{} at path {keys}", path.column).into();
        let TextAt { reference, document, origin, literals, .. } = path;
        Some(Path { reference, document, ty, column, origin, number: listed + 1, literals })
    }

    /// A key by which the query groups, written again, or a promoted path.
    pub(super) fn key_or_path(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Option<Enc>> {
        match self.computed_key(node, scope)? {
            None => self.promoted(node, scope),
            key => Ok(key),
        }
    }

    /// What stands in the place of an expression that reads a promoted path.
    pub(super) fn promoted(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Option<Enc>> {
        let Some(path) = self.path_of(node, scope) else { return Ok(None) };
        let (first, last) = self.reach(node)?;
        let span = self.span(first, last);
        let enc = self.promoted_at(path, span, scope)?;
        if let Some(bare) = enc.bare.as_ref().filter(|_| !enc.grouped) {
            self.edits.both(span, bare.text.clone());
        }
        Ok(Some(enc))
    }

    /// The same, where nothing is to be written in its place.
    pub(super) fn promoted_at(&mut self, path: Path<'_>, span: Span, scope: &Scope<'_>) -> Result<Enc> {
        let at = span.0 as i32;
        self.usable(&path.document).map_err(|r| r.at(at))?;
        self.touched = true;
        self.fixed.extend(path.literals);
        let grouped = match scope.sees_path((path.origin, path.number)) {
            Seen::OuterKey => {
                return Err(refuse::unsupported(format!(
                    "a subquery that uses encrypted column {}, by which the query around it groups, is not supported",
                    path.column
                ))
                .hint("Group in a subquery in FROM, and use its columns.")
                .at(at));
            }
            seen => seen == Seen::Key,
        };
        self.keys += usize::from(grouped);
        let written = match scope.spelled(path.origin) {
            Some(spelled) => spelled.to_owned(),
            None => self.name_text(self.token(path.reference.location)?),
        };
        let text = format!("(({written}).p).{}", attribute(path.number));
        let bare = Some(Bare { column: path.origin, path: Some(path.number), text }.into());
        Ok(Enc { bare, grouped, ..Enc::new(path.ty, path.column, span) })
    }

    /// A literal may be a step of a promoted path, so that it decides which one an expression reads.
    fn may_name_path(&self, literal: usize) -> bool {
        let token = self.literals.get(literal).and_then(|token| self.lexed.tokens.get(*token as usize));
        let value = token.and_then(|token| super::literal::value(self.text, token));
        value.is_none_or(|value| self.catalog.may_name_path(&value))
    }

    /// Of these expressions some read promoted paths, and nothing else is computed of encrypted values.
    pub(super) fn are_paths(&self, nodes: &[Node], scope: &Scope<'_>) -> bool {
        let (paths, others): (Vec<&Node>, Vec<&Node>) =
            nodes.iter().partition(|node| self.path_of(node, scope).is_some());
        !paths.is_empty() && !others.into_iter().any(|node| self.is_computed(node, scope))
    }

    /// Terms of the promoted path that an expression reads serve the operator of this name.
    pub(super) fn path_serves(&self, node: &Node, name: &str, scope: &Scope<'_>) -> bool {
        self.path_of(node, scope).is_some_and(|path| {
            let terms = path.ty.def.terms;
            match name {
                "=" | "<>" => terms.equal(),
                _ => search::asked(name).is_none() || terms.matching,
            }
        })
    }

    fn plain_cast(&self, name: &pg_query::protobuf::TypeName) -> Option<PlainType> {
        match types::named(name, self.catalog, self.session) {
            Named::Builtin { plain, array: false, modified: false, .. } => Some(plain),
            _ => None,
        }
    }

    /// The text of a part of a document with promoted paths.
    fn text_at<'n>(&self, node: &'n Node, scope: &Scope<'_>) -> Option<TextAt<'n>> {
        if self.frame.is_some() {
            return None;
        }
        let mut written = Written::default();
        let mut at = match tree::kind(node)? {
            NodeEnum::AExpr(expr) => self.stepped(expr, ("->>", "#>>"), &mut written)?,
            NodeEnum::FuncCall(call) if extracts(call) == Some(true) => self.extracted(&call.args, &mut written)?,
            _ => return None,
        };
        loop {
            at = match tree::kind(at)? {
                NodeEnum::AExpr(expr) => self.stepped(expr, ("->", "#>"), &mut written)?,
                NodeEnum::FuncCall(call) if extracts(call) == Some(false) => {
                    self.extracted(&call.args, &mut written)?
                }
                NodeEnum::AIndirection(taken) => {
                    subscripts(taken)?.into_iter().rev().try_for_each(|step| self.path_key(step, &mut written))?;
                    tree::child(&taken.arg)?
                }
                NodeEnum::TypeCast(cast) if self.plain_cast(cast.type_name.as_ref()?)? == PlainType::Jsonb => {
                    tree::child(&cast.arg)?
                }
                NodeEnum::ColumnRef(reference) => {
                    let found = scope.named(reference)?.ok()?;
                    let (origin, ColVal::Enc(document, column)) = (found.origin?, found.val) else { return None };
                    let fits = !document.is_array() && !document.promoted.paths.is_empty();
                    written.keys.reverse();
                    let Written { keys, literals } = written;
                    return (fits && scope.sees(origin) == Seen::Row).then_some(TextAt {
                        reference,
                        document,
                        column,
                        origin,
                        keys,
                        literals,
                    });
                }
                _ => return None,
            };
        }
    }

    /// What a step is taken of: by a key, or by a list of keys, as the operator says.
    fn stepped<'n>(&self, expr: &'n AExpr, (key, list): (&str, &str), written: &mut Written) -> Option<&'n Node> {
        let name = tree::own_name(&expr.name).filter(|_| expr.kind() == AExprKind::AexprOp)?;
        let step = tree::child(&expr.rexpr)?;
        match name {
            _ if name == key => self.path_key(step, written)?,
            _ if name == list => self.path_keys(step, written)?,
            _ => return None,
        }
        tree::child(&expr.lexpr)
    }

    fn extracted<'n>(&self, args: &'n [Node], written: &mut Written) -> Option<&'n Node> {
        let (document, path) = args.split_first()?;
        path.iter().rev().try_for_each(|step| self.path_key(step, written))?;
        Some(document)
    }

    fn path_key(&self, node: &Node, written: &mut Written) -> Option<()> {
        let (key, literal) = self.path_literal(node, false)?;
        written.keys.push(key.to_owned());
        written.literals.push(literal);
        Some(())
    }

    /// `'{a,b}'` or `ARRAY['a', 'b']`
    fn path_keys(&self, node: &Node, written: &mut Written) -> Option<()> {
        if let Some(elements) = self.listed(node) {
            return elements.iter().rev().try_for_each(|step| self.path_key(step, written));
        }
        let (list, literal) = self.path_literal(node, true)?;
        let list = read_array(PlainType::Text, 0, Format::Text, list.as_bytes(), &Settings::default()).ok()?;
        let keys: Vec<Option<&[u8]>> = list.iter().collect();
        for key in keys.into_iter().rev() {
            written.keys.push(std::str::from_utf8(key?).ok()?.to_owned());
        }
        written.literals.push(literal);
        Some(())
    }

    /// A string, and which literal it is. `array`: casts around it are to arrays of text.
    fn path_literal<'n>(&self, node: &'n Node, array: bool) -> Option<(&'n str, usize)> {
        match tree::kind(node)? {
            NodeEnum::AConst(AConst { val: Some(a_const::Val::Sval(text)), location, .. }) => {
                let token = self.token(*location).ok()?;
                let kind = self.lexed.tokens[token].kind;
                let plain = matches!(kind, Kind::Str(StringKind::Plain | StringKind::Escape | StringKind::Dollar));
                let firm = self.session.standard_conforming_strings && !self.is_word(token + 1, "uescape");
                (plain && firm).then_some((text.sval.as_str(), self.literal(token)?))
            }
            NodeEnum::TypeCast(cast) => {
                match types::named(cast.type_name.as_ref()?, self.catalog, self.session) {
                    Named::Builtin { plain, array: of, modified: false, .. } if is_plain_text(plain) && of == array => {
                    }
                    _ => return None,
                }
                self.path_literal(tree::child(&cast.arg)?, array)
            }
            _ => None,
        }
    }
}

/// The text of a part of a document.
struct TextAt<'n> {
    reference: &'n ColumnRef,
    document: Arc<EncType>,
    column: Rc<str>,
    origin: (u32, usize),
    keys: Vec<String>,
    literals: Vec<usize>,
}
