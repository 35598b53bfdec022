//! Expressions: each is plain, of an encrypted type, or made of sites whose use is not decided yet.
//!
//! Default deny: a node that is not named here is refused, and so is every construct that is not known to keep an
//! encrypted value what it is.

use std::rc::Rc;
use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, BoolExprType, ColumnRef, FuncCall, Node, NullTestType, SubLink, SubLinkType, TypeCast, TypeName, a_const,
};

use super::analyzer::Analyzer;
use super::built::only_selected;
use super::finish::function_refusal;
use super::group::{Bare, is_aggregate};
use super::lex::{Kind, StringKind};
use super::own::not_followed;
use super::plan::Source;
use super::refuse::{self, Detail, Result};
use super::routine::is_bare;
use super::scope::{ColVal, Found, Scope, Span};
use super::tree;
use super::types::{self, Named};
use super::untouched::{names_ours, runs_sql};
use super::windows;
use crate::schema::catalog::EncType;
use crate::wire::sqlstate::SqlState;
use crate::wire::value::PlainType;

/// What an expression is.
#[derive(Clone)]
pub(super) enum Val {
    Plain,
    Enc(Enc),
    Open(Open),
}

impl Val {
    /// Where it stands; of what is plain that is not known.
    pub(super) fn span(&self) -> Option<Span> {
        match self {
            Val::Plain => None,
            Val::Enc(enc) => Some(enc.span),
            Val::Open(open) => Some(open.span),
        }
    }
}

/// An expression of an encrypted type.
#[derive(Clone)]
pub(super) struct Enc {
    pub(super) ty: Arc<EncType>,
    /// Column it comes from, for errors.
    pub(super) column: Rc<str>,
    /// A part of the text that may be put in parentheses and have an attribute taken of it.
    pub(super) span: Span,
    /// Item and column, where it is a bare column.
    pub(super) origin: Option<(u32, usize)>,
    /// The same, and how it is written, casts around it aside.
    pub(super) bare: Option<Rc<Bare>>,
    /// It is a column that the query groups by, outside of aggregates.
    pub(super) grouped: bool,
}

impl Enc {
    /// One that is no bare column.
    pub(super) fn new(ty: Arc<EncType>, column: Rc<str>, span: Span) -> Enc {
        Enc { ty, column, span, origin: None, bare: None, grouped: false }
    }
}

/// An expression made of sites alone.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) sites: Rc<[usize]>,
    /// One site, casts around it aside: it can be an operand by itself.
    pub(super) simple: bool,
    /// As of [`Enc`].
    pub(super) span: Span,
}

impl Analyzer<'_> {
    /// An expression that must not be of an encrypted type; its sites are plain.
    pub(super) fn plain(&mut self, node: &Node, scope: &Scope<'_>, construct: &str) -> Result<()> {
        match self.expr(node, scope)? {
            Val::Plain => Ok(()),
            Val::Open(open) => self.decide_plain(&open.sites),
            Val::Enc(enc) => {
                let refusal = refuse::on_column(construct, &enc.column).at(enc.span.0 as i32);
                Err(match enc.ty.def.plain {
                    PlainType::Bool => refusal.hint("Compare it: column = true, which needs term eq."),
                    _ => refusal,
                })
            }
        }
    }

    pub(super) fn plain_all(&mut self, nodes: &[Node], scope: &Scope<'_>, construct: &str) -> Result<()> {
        nodes.iter().try_for_each(|n| self.plain(n, scope, construct))
    }

    pub(super) fn plain_some(&mut self, node: &Option<Box<Node>>, scope: &Scope<'_>, construct: &str) -> Result<()> {
        tree::child(node).map_or(Ok(()), |n| self.plain(n, scope, construct))
    }

    /// Any expression.
    pub(super) fn expr(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Val> {
        let Some(kind) = tree::kind(node) else { return Ok(Val::Plain) };
        if let Some(enc) = self.key_or_path(node, scope)? {
            return Ok(Val::Enc(enc));
        }
        match kind {
            NodeEnum::ColumnRef(column) => self.column(column, scope),
            NodeEnum::ParamRef(param) => {
                let token = self.token(param.location)?;
                if let Some(frame) = &self.frame {
                    let held = usize::try_from(param.number - 1).ok().and_then(|n| frame.numbered(n));
                    let val = held.ok_or_else(|| refuse::with(SqlState("42P02"), "there is no such parameter"))?;
                    return self.found(Found { val, origin: None }, self.span(token, token));
                }
                let source = usize::try_from(param.number).ok().and_then(|n| n.checked_sub(1)).map(Source::Client);
                Ok(self.open_site(self.span(token, token), source))
            }
            NodeEnum::AConst(constant) => self.constant(constant),
            NodeEnum::TypeCast(cast) => self.cast(cast, scope),
            NodeEnum::AExpr(expr) => self.operator(expr, scope),
            NodeEnum::BoolExpr(expr) => {
                let construct = match expr.boolop() {
                    BoolExprType::NotExpr => "NOT",
                    BoolExprType::OrExpr => "OR",
                    _ => "AND",
                };
                if expr.boolop() == BoolExprType::NotExpr
                    && let [arg] = expr.args.as_slice()
                    && let Some(NodeEnum::SubLink(link)) = tree::kind(arg)
                    && link.location == expr.location
                {
                    return self.sublink(link, true, scope);
                }
                self.plain_all(&expr.args, scope, construct).map(|()| Val::Plain)
            }
            NodeEnum::NullTest(test) => self.null_test(test, scope),
            NodeEnum::BooleanTest(test) => {
                self.plain_some(&test.arg, scope, "IS TRUE, IS FALSE or IS UNKNOWN").map(|()| Val::Plain)
            }
            NodeEnum::FuncCall(call) => self.call(call, scope),
            NodeEnum::SubLink(link) => self.sublink(link, false, scope),
            NodeEnum::CaseExpr(case) => self.case(case, scope),
            NodeEnum::MinMaxExpr(expr) => self.extreme_of(expr, scope),
            NodeEnum::CoalesceExpr(expr) => {
                let vals = expr.args.iter().map(|a| self.expr(a, scope)).collect::<Result<Vec<_>>>()?;
                let first = self.token(expr.location)?;
                let span = self.span(first, self.partner(first + 1)?);
                self.combine(vals, span, "COALESCE")
            }
            NodeEnum::AArrayExpr(expr) => self.array(expr, scope),
            NodeEnum::AIndirection(expr) => self.indirection(expr, scope),
            other => self.plain_kinds(other, scope),
        }
    }

    /// Kinds that take and give plain values only.
    fn plain_kinds(&mut self, kind: &NodeEnum, scope: &Scope<'_>) -> Result<Val> {
        match kind {
            NodeEnum::RowExpr(expr) => {
                for arg in &expr.args {
                    match self.expr(arg, scope)? {
                        Val::Open(open) => self.decide_firm(&open.sites)?,
                        Val::Plain => {}
                        Val::Enc(enc) => return Err(refuse::on_column("ROW(...)", &enc.column).at(enc.span.0 as i32)),
                    }
                }
            }
            NodeEnum::CollateClause(expr) => self.plain_some(&expr.arg, scope, "COLLATE")?,
            NodeEnum::AIndices(expr) => {
                self.plain_some(&expr.lidx, scope, "a subscript")?;
                self.plain_some(&expr.uidx, scope, "a subscript")?;
            }
            NodeEnum::String(_) | NodeEnum::AStar(_) | NodeEnum::SqlvalueFunction(_) | NodeEnum::CurrentOfExpr(_) => {}
            NodeEnum::SetToDefault(_) => {}
            NodeEnum::NamedArgExpr(expr) => self.plain_some(&expr.arg, scope, "a function")?,
            NodeEnum::GroupingFunc(expr) => self.grouping(&expr.args, scope)?,
            NodeEnum::SortBy(sort) => self.plain_some(&sort.node, scope, "ORDER BY")?,
            NodeEnum::List(list) => self.plain_all(&list.items, scope, "a list")?,
            NodeEnum::XmlExpr(expr) => {
                self.plain_all(&expr.named_args, scope, "an XML function")?;
                self.plain_all(&expr.args, scope, "an XML function")?;
            }
            NodeEnum::ResTarget(target) => self.plain_some(&target.val, scope, "an XML function")?,
            _ => {
                return Err(refuse::unsupported(
                    "this kind of expression is not supported in a statement on encrypted columns",
                ));
            }
        }
        Ok(Val::Plain)
    }

    fn open_site(&mut self, span: Span, source: Option<Source>) -> Val {
        let site = self.site(span, source);
        Val::Open(Open { sites: Rc::from([site]), simple: true, span })
    }

    fn column(&mut self, column: &ColumnRef, scope: &Scope<'_>) -> Result<Val> {
        let at = self.here(column.location);
        let names = tree::strings(&column.fields);
        if names.len() != column.fields.len() {
            return self.row_star(&names, scope).map_err(|r| r.at(at));
        }
        let found = scope.named(column).unwrap_or_else(|| {
            Err(refuse::unsupported(
                "this kind of column reference is not supported in a statement on encrypted columns",
            ))
        });
        let first = self.token(column.location)?;
        let span = self.span(first, self.name_end(first));
        let found = found.map_err(|r| r.at(at))?;
        let spelled = found.origin.and_then(|origin| scope.spelled(origin)).map(str::to_string);
        let val = match self.found(found, span)? {
            Val::Enc(enc) => {
                let text = spelled.clone().unwrap_or_else(|| self.name_text(first));
                Val::Enc(self.see(enc, &text, scope)?)
            }
            val => val,
        };
        // A key of groups is written by what reads it.
        if let Some(text) = spelled.filter(|_| !matches!(&val, Val::Enc(enc) if enc.grouped)) {
            self.edits.both(span, text);
        }
        Ok(val)
    }

    /// `t.*` as an expression: a whole row.
    fn row_star(&mut self, names: &[&str], scope: &Scope<'_>) -> Result<Val> {
        let touching = match names {
            [] => scope.items.iter().any(|i| i.any_encrypted()),
            [.., alias] => scope.item(None, alias).is_none_or(|i| i.any_encrypted()),
        };
        match touching {
            true => Err(refuse::unsupported(
                "a whole-row reference to a relation with encrypted columns is not supported here",
            )
            .hint("Name the columns one by one.")),
            false => Ok(Val::Plain),
        }
    }

    pub(super) fn found(&mut self, found: Found, span: Span) -> Result<Val> {
        // A column of `*` stands nowhere by itself.
        let at = if span.1 > 0 { span.0 as i32 } else { -1 };
        Ok(match found.val {
            ColVal::Plain => Val::Plain,
            ColVal::Open(sites) => match self.stored_as(&sites) {
                Some((ty, column)) => Val::Enc(Enc { origin: found.origin, ..Enc::new(ty, column, span) }),
                None => Val::Open(Open { sites, simple: false, span }),
            },
            ColVal::Enc(ty, column) => {
                self.usable(&ty).map_err(|r| r.at(at))?;
                self.touched = true;
                Val::Enc(Enc { origin: found.origin, ..Enc::new(ty, column, span) })
            }
            ColVal::Built(built) => return Err(only_selected(&built).at(at)),
            ColVal::Tainted(column) => {
                return Err(refuse::unsupported(format!(
                    "{column} is made from encrypted values in a way that cannot be followed; statements cannot use it"
                ))
                .hint("Select the encrypted column itself, and compute on the values read.")
                .at(at));
            }
        })
    }

    fn constant(&mut self, constant: &AConst) -> Result<Val> {
        let first = self.token(constant.location)?;
        if constant.isnull {
            return Ok(self.open_site(self.span(first, first), None));
        }
        if let Some(a_const::Val::Boolval(value)) = &constant.val {
            let val = self.open_site(self.span(first, first), Some(Source::Bool(value.boolval)));
            return Ok(self.typed(val, types::builtin(PlainType::Bool)));
        }
        if let Some(k) = self.literal(first) {
            self.check_literal(first)?;
            if matches!(self.lexed.tokens[first].kind, Kind::Str(StringKind::Bits | StringKind::Hex)) {
                return Ok(Val::Plain);
            }
            let val = self.open_site(self.span(first, first), Some(Source::Literal(k)));
            return Ok(self.typed(val, self.number_type(first)));
        }
        match self.literal(first + 1) {
            Some(k) if self.is(first, "-") => {
                let val = self.open_site(self.span(first, first + 1), Some(Source::Negated(k)));
                Ok(self.typed(val, self.number_type(first + 1)))
            }
            // Several signs, or parentheses between sign and number: only where it is plain.
            // Words that the grammar turns into constants: extract(year FROM ...), normalize(x, NFC).
            _ => Ok(Val::Plain),
        }
    }

    /// Notes the type that PostgreSQL gives a literal by itself.
    fn typed(&mut self, val: Val, named: Option<Named>) -> Val {
        if let Val::Open(open) = &val {
            let site = &mut self.sites[open.sites[0]];
            site.is_number =
                named.as_ref().is_some_and(|t| matches!(t, Named::Builtin { plain, .. } if types::is_number(*plain)));
            site.casts.extend(named);
        }
        val
    }

    /// The type of a number; strings have none of their own.
    fn number_type(&self, token: usize) -> Option<Named> {
        let token = &self.lexed.tokens[token];
        let plain = match token.kind {
            Kind::Float => PlainType::Numeric,
            Kind::Int => match super::literal::value(self.text, token)?.parse::<i64>() {
                Ok(n) if i32::try_from(n).is_ok() => PlainType::Int4,
                Ok(_) => PlainType::Int8,
                Err(_) => PlainType::Numeric,
            },
            _ => return None,
        };
        types::builtin(plain)
    }

    /// Literals whose value depends on the session, or on a following UESCAPE.
    fn check_literal(&self, token: usize) -> Result<()> {
        let t = self.lexed.tokens[token];
        let raw = t.text(self.text);
        let at = t.start as i32;
        if !self.session.standard_conforming_strings {
            let plain = raw.starts_with('\'') && raw.contains('\\');
            if plain || raw.starts_with(['u', 'U']) {
                return Err(refuse::unsupported(
                    "a string with backslashes needs standard_conforming_strings in a statement on encrypted columns",
                )
                .hint("Write E'...', or set standard_conforming_strings to on.")
                .at(at));
            }
        }
        if self.is_word(token + 1, "uescape") {
            return Err(refuse::unsupported("UESCAPE is not supported in a statement on encrypted columns").at(at));
        }
        Ok(())
    }

    fn cast(&mut self, cast: &TypeCast, scope: &Scope<'_>) -> Result<Val> {
        let (Some(arg), Some(name)) = (tree::child(&cast.arg), &cast.type_name) else { return Ok(Val::Plain) };
        // TRUE and FALSE come as casts of a constant to bool.
        if let Some(NodeEnum::AConst(AConst { val: Some(a_const::Val::Boolval(_)), .. })) = tree::kind(arg)
            && cast.location < 0
        {
            return self.expr(arg, scope);
        }
        self.fix_type(name)?;
        let named = types::named(name, self.catalog, self.session);
        // = ANY ('{…}'::seal.email[]) and the like are the caller's; here an array expression is plain.
        let val = self.expr(arg, scope)?;
        match val {
            Val::Plain => self.plain_type(name, "a cast").map(|()| Val::Plain),
            Val::Enc(enc) => self.cast_encrypted(enc, &named, cast, name),
            Val::Open(open) => {
                let drops = self.cast_tokens(cast, name)?;
                self.note_cast(&open, &named, &drops);
                match named {
                    Named::Enc(ty) => {
                        self.usable(&ty)?;
                        self.touched = true;
                        let column = types::sql_name(&ty);
                        self.store(&open, &ty, &column)?;
                        Ok(Val::Enc(Enc::new(ty, column.into(), open.span)))
                    }
                    Named::EncArray(_) => {
                        self.touched = true;
                        Ok(Val::Open(open))
                    }
                    Named::Touching => {
                        Err(refuse::unsupported("a cast to a type that contains an encrypted type is not supported")
                            .at(open.span.0 as i32))
                    }
                    Named::Builtin { .. } | Named::Other => Ok(Val::Open(open)),
                }
            }
        }
    }

    fn cast_encrypted(&mut self, enc: Enc, named: &Named, cast: &TypeCast, name: &TypeName) -> Result<Val> {
        let identity = match named {
            Named::Enc(ty) => ty.oid == enc.ty.oid,
            Named::EncArray(ty) => ty.array_oid == enc.ty.oid,
            Named::Builtin { plain, array, modified: false, .. } => {
                *array == enc.ty.is_array() && types::is_identity(enc.ty.def.plain, *plain)
            }
            _ => false,
        };
        // In a body the cast would stay, and give the ciphertext as text.
        let stays = self.frame.is_some() && !matches!(named, Named::Enc(_));
        if !identity || stays {
            return Err(refuse::on_column("a cast to another type", &enc.column)
                .hint("Only the cast to the column's own plaintext type is the identity; cast after reading the value.")
                .at(enc.span.0 as i32));
        }
        self.drop_cast(cast, name)?;
        let ty = match named {
            Named::Builtin { plain, .. } => types::shown_as(&enc.ty, *plain),
            _ => enc.ty,
        };
        Ok(Val::Enc(Enc { origin: None, ty, ..enc }))
    }

    /// Takes a cast away; its argument stays.
    pub(super) fn drop_cast(&mut self, cast: &TypeCast, name: &TypeName) -> Result<()> {
        for span in self.cast_tokens(cast, name)? {
            self.edits.both(span, "");
        }
        Ok(())
    }

    /// Tokens of a cast, its argument aside.
    fn cast_tokens(&self, cast: &TypeCast, name: &TypeName) -> Result<Vec<Span>> {
        let type_first = self.token(name.location)?;
        let type_last = self.type_end(type_first)?;
        if cast.location < 0 {
            return Ok(vec![self.span(type_first, type_last)]); // text 'literal'
        }
        let at = self.token(cast.location)?;
        if self.is(at, "::") {
            return Ok(vec![self.span(at, type_last)]);
        }
        // CAST ( argument AS type ): the parentheses stay.
        Ok(vec![self.span(at, at), self.span(type_first - 1, type_last)])
    }

    /// Lengths and precisions are part of a result's description: a plan serves texts with the same ones only.
    pub(super) fn fix_type(&mut self, name: &TypeName) -> Result<()> {
        if !name.typmods.is_empty() || !name.array_bounds.is_empty() {
            let first = self.token(name.location)?;
            let literals = first..=self.type_end(first)?;
            self.fixed.extend(literals.filter_map(|t| self.literals.binary_search(&(t as u32)).ok()));
        }
        Ok(())
    }

    /// A type that a plain value is cast to.
    pub(super) fn plain_type(&mut self, name: &TypeName, construct: &str) -> Result<()> {
        match types::named(name, self.catalog, self.session) {
            Named::Builtin { .. } | Named::Other => Ok(()),
            Named::Enc(_) | Named::EncArray(_) | Named::Touching => {
                self.touched = true;
                Err(refuse::unsupported(format!(
                    "{construct} to or with an encrypted type is not supported for a plain value"
                ))
                .at(self.here(name.location)))
            }
        }
    }

    fn null_test(&mut self, test: &pg_query::protobuf::NullTest, scope: &Scope<'_>) -> Result<Val> {
        let Some(arg) = tree::child(&test.arg) else { return Ok(Val::Plain) };
        if self.path_of(arg, scope).is_none()
            && let Some(val) = self.document_test(test, scope)?
        {
            return Ok(val);
        }
        match self.expr(arg, scope)? {
            Val::Open(open) if open.simple => {
                self.note_null_test(&open, test.nulltesttype() == NullTestType::IsNotNull);
                self.decide_plain(&open.sites)?;
            }
            Val::Enc(enc) if enc.grouped => self.term(&enc),
            _ => {}
        }
        Ok(Val::Plain)
    }

    fn call(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<Val> {
        let names = tree::strings(&call.funcname);
        let name = names.last().copied().unwrap_or_default();
        let at = self.here(call.location);
        let builtin = names.len() == 1 || names[0] == "pg_catalog";
        if self.catalog.touching_functions.contains(name) && names.first() != Some(&"pg_catalog") {
            self.note_call(call, name, false);
            return self.call_routine(call, scope);
        }
        let qualified = names.len() > 1 && names[0] != "pg_catalog";
        if self.catalog.touching_types.contains(name) && (qualified || !types::is_builtin(name)) {
            self.touched = true;
            return Err(refuse::unsupported(format!("a cast written as a call of {name} is not supported"))
                .hint("Leave the cast away.")
                .at(at));
        }
        if runs_sql(name) && !self.runs_plain_text(name, call) {
            self.touched = true;
            return Err(refuse::unsupported(format!("function {name} runs SQL text, which is not looked into")).at(at));
        }
        if name == "set_config"
            && let Some(t) = call.args.first().and_then(|a| self.token(tree::location(a)).ok())
        {
            self.fixed.extend(self.literal(t));
        }
        if name == "set_config" && call.args.first().is_some_and(sets_ours) {
            self.touched = true;
            return Err(not_followed("set_config").at(at));
        }
        let around = scope.group.inside.get();
        scope.group.inside.set(around || is_aggregate(call));
        let val = self.called(call, name, builtin, scope);
        scope.group.inside.set(around);
        val
    }

    /// What stands in the parentheses of a call, and what follows them.
    fn called(&mut self, call: &FuncCall, name: &str, builtin: bool, scope: &Scope<'_>) -> Result<Val> {
        if let (true, "starts_with", [value, prefix]) = (builtin && is_bare(call), name, call.args.as_slice()) {
            return self.starts_with(call, (value, prefix), scope);
        }
        if builtin
            && is_bare(call)
            && let Some(val) = self.document_call(call, name, scope)?
        {
            return Ok(val);
        }
        self.note_call(call, name, builtin);
        if call.agg_within_group {
            return self.ordered_set(call, name, scope);
        }
        if builtin && call.over.is_some() && windows::gives_value(name) {
            return self.window_value(call, name, scope);
        }
        let single = builtin && call.args.len() == 1;
        if single && name == "count" {
            self.counted(&call.args[0], call.agg_distinct, scope)?;
        } else {
            let vals = call.args.iter().map(|arg| self.expr(arg, scope)).collect::<Result<Vec<_>>>()?;
            if single
                && name == "unnest"
                && is_bare(call)
                && let [Val::Open(open)] = &vals[..]
                && open.simple
            {
                return self.elements(call, open);
            }
            if let Some(enc) = vals.iter().find_map(|v| if let Val::Enc(enc) = v { Some(enc) } else { None }) {
                if single && matches!(name, "min" | "max") && !enc.ty.is_array() {
                    return self.extreme(call, name, enc.clone(), scope);
                }
                return match if builtin { self.array_call(call, name, &vals, scope)? } else { None } {
                    Some(val) => Ok(val),
                    None => Err(function_refusal(name, call.agg_distinct, enc)),
                };
            }
            self.plain_vals(&vals)?;
        }
        self.aggregate_order(call, scope)?;
        self.call_tail(call, scope)?;
        Ok(Val::Plain)
    }

    /// FILTER and OVER.
    pub(super) fn call_tail(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<()> {
        self.assert(tree::child(&call.agg_filter));
        self.plain_some(&call.agg_filter, scope, "FILTER")?;
        call.over.as_deref().map_or(Ok(()), |window| self.window(window, scope).map(drop))
    }

    fn sublink(&mut self, link: &SubLink, negated: bool, scope: &Scope<'_>) -> Result<Val> {
        let Some(query) = tree::child(&link.subselect) else { return Ok(Val::Plain) };
        match link.sub_link_type() {
            SubLinkType::ExistsSublink => {
                self.query(query, Some(scope))?;
                Ok(Val::Plain)
            }
            SubLinkType::ExprSublink => {
                let outputs = self.query(query, Some(scope))?;
                let first = self.token(link.location)?;
                let span = self.span(first, self.partner(first)?);
                match outputs.columns.into_iter().next() {
                    Some(column) => self.found(Found { val: column.val, origin: None }, span),
                    None => Ok(Val::Plain),
                }
            }
            SubLinkType::AnySublink | SubLinkType::AllSublink => self.quantified(link, query, negated, scope),
            SubLinkType::ArraySublink => self.array_query(link, query, scope),
            _ => Err(refuse::unsupported("this kind of subquery is not supported in a statement on encrypted columns")),
        }
    }
}

/// The name of a setting of this proxy, as a literal.
fn sets_ours(node: &Node) -> bool {
    match tree::kind(node) {
        Some(NodeEnum::AConst(AConst { val: Some(a_const::Val::Sval(s)), .. })) => names_ours(&s.sval),
        Some(NodeEnum::TypeCast(cast)) => tree::child(&cast.arg).is_some_and(sets_ours),
        _ => false,
    }
}
