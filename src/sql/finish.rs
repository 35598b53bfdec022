//! Aggregates that the proxy computes: the server gathers the group's ciphertexts, and the values are taken together once they
//! are opened.
//!
//! ```text
//! sum(e) FILTER (WHERE c)   =>   array_agg((e).c) FILTER (WHERE c)
//! COALESCE(avg(e), 0)       =>   COALESCE(array_agg((e).c), '{}')
//! round(avg(e), 2)          =>   (array_agg((e).c))
//! sum(e * n)                =>   array_agg(ARRAY[(e).c, int4send(n)])
//! ```
//!
//! Such a column goes through subqueries, CTEs and LATERAL to the output; any other use of it is refused.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, CoalesceExpr, FuncCall, Node, ResTarget, TypeCast, a_const};

use super::analyzer::Analyzer;
use super::built::{Built, Kind, Made, only_selected};
use super::expr::{Enc, Val};
use super::lex;
use super::literal;
use super::plan::{Finish, Of, Then};
use super::refuse::{self, Detail, Result};
use super::routine::is_bare;
use super::scope::{ColVal, Found, Scope};
use super::tree;
use super::types::{self, Named};
use crate::wire::value::{self, Aggregate, Format, Function, Gives, PlainType, Scalar, Settings, Sort};

/// The function that a call names, if it is an aggregate that the proxy computes.
pub(super) fn aggregate(call: &FuncCall) -> Option<Function> {
    let name = tree::own_name(&call.funcname)?;
    let odd = call.func_variadic || call.agg_within_group || call.agg_star || call.args.len() != 1;
    Function::named(name).filter(|_| !odd)
}

/// A function that is computed of the result of an aggregate.
fn after(call: &FuncCall) -> bool {
    let name = tree::own_name(&call.funcname);
    let known = matches!(name, Some("round" | "trunc" | "ceil" | "ceiling" | "floor" | "abs"));
    known && is_bare(call) && matches!(call.args.len(), 1 | 2)
}

impl Analyzer<'_> {
    /// Surely what follows such an aggregate: a cast, COALESCE, a function that rounds.
    pub(super) fn follows(&self, node: &Node, scope: &Scope<'_>) -> bool {
        let form = match tree::kind(node) {
            Some(NodeEnum::TypeCast(_) | NodeEnum::CoalesceExpr(_)) => true,
            Some(NodeEnum::FuncCall(call)) => after(call),
            _ => false,
        };
        form && self.finishes(node, scope)
    }

    /// Surely such an aggregate of an encrypted column or of what is computed of one, what [`follows`](Self::follows) it aside.
    fn finishes(&self, node: &Node, scope: &Scope<'_>) -> bool {
        match tree::kind(node) {
            Some(NodeEnum::FuncCall(call)) if after(call) => {
                call.args.first().is_some_and(|arg| self.finishes(arg, scope))
            }
            Some(NodeEnum::FuncCall(call)) => match (aggregate(call), call.args.first()) {
                (Some(_), Some(arg)) if self.takes_together(arg, scope) => true,
                (None | Some(Function::Min | Function::Max), _) | (_, None) => false,
                (_, Some(arg)) => match tree::kind(arg) {
                    Some(NodeEnum::ColumnRef(column)) => {
                        matches!(scope.named(column), Some(Ok(Found { val: ColVal::Enc(..), .. })))
                    }
                    _ => self.path_of(arg, scope).is_some(),
                },
            },
            Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(|arg| self.finishes(arg, scope)),
            Some(NodeEnum::CoalesceExpr(expr)) => expr.args.first().is_some_and(|arg| self.finishes(arg, scope)),
            _ => false,
        }
    }

    /// What an aggregate is of is computed of each row, and is no promoted path.
    fn takes_together(&self, arg: &Node, scope: &Scope<'_>) -> bool {
        self.is_computed(arg, scope) && self.path_of(arg, scope).is_none()
    }

    /// A call of an aggregate that the proxy computes of encrypted values.
    pub(super) fn aggregated_here(&mut self, call: &FuncCall, function: Function, scope: &Scope<'_>) -> Result<Made> {
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        self.note_call(call, name, true);
        let around = scope.group.inside.replace(true);
        let made = self.aggregate_of(call, (name, function), scope);
        scope.group.inside.set(around);
        made
    }

    fn aggregate_of(&mut self, call: &FuncCall, (name, function): (&str, Function), scope: &Scope<'_>) -> Result<Made> {
        let [arg] = call.args.as_slice() else { return Ok(Made::Val(Val::Plain)) };
        if self.takes_together(arg, scope) {
            return self.aggregate_of_expression(call, (name, function), scope);
        }
        let enc = match self.expr(arg, scope)? {
            Val::Enc(enc) => enc,
            val => {
                self.plain_vals(&[val])?;
                self.aggregate_order(call, scope)?;
                self.call_tail(call, scope)?;
                return Ok(Made::Val(Val::Plain));
            }
        };
        let extreme = matches!(function, Function::Min | Function::Max);
        if enc.ty.is_array() {
            return Err(function_refusal(name, call.agg_distinct, &enc));
        }
        let (plain, at) = (enc.ty.def.plain, enc.span.0 as i32);
        let gives = function.gives(plain);
        if extreme && (enc.ty.def.terms.ord || !matches!(gives, Gives::Type(_))) {
            return self.extreme(call, name, enc, scope).map(Made::Val);
        }
        may_finish(call, (name, function), plain, &enc.column).map_err(|refusal| refusal.at(at))?;
        self.gather(call, scope)?;
        self.kept(&enc);
        self.edits.wrap(enc.span, "(", ").c");
        let aggregate = Aggregate { function, plain, distinct: call.agg_distinct };
        let column = format!("{name}({})", enc.column);
        self.finishes.push((Finish { of: Of::Value(enc.ty), aggregate, then: Vec::new(), column }, None));
        let kind = Kind::Finished(self.finishes.len() - 1);
        Ok(Made::Built(Built { kind, column: enc.column }))
    }

    /// `sum(e * 2)`
    fn aggregate_of_expression(
        &mut self,
        call: &FuncCall,
        (name, function): (&str, Function),
        scope: &Scope<'_>,
    ) -> Result<Made> {
        let at = self.here(call.location);
        let [arg] = call.args.as_slice() else { return Ok(Made::Val(Val::Plain)) };
        let (formula, column) = match self.computed(arg, scope)? {
            Made::Built(Built { kind: Kind::Computed(formula), column }) => (formula, column),
            _ => return Err(refuse::unsupported("this aggregate of encrypted values is not supported").at(at)),
        };
        let plain = self.formulas[formula].gives;
        may_finish(call, (name, function), plain, &column).map_err(|refusal| refusal.at(at))?;
        self.gather(call, scope)?;
        let aggregate = Aggregate { function, plain, distinct: call.agg_distinct };
        let of = Of::Formula(Arc::new(self.formulas[formula].clone()));
        let finish = Finish { of, aggregate, then: Vec::new(), column: format!("{name}({column})") };
        self.finishes.push((finish, Some(formula)));
        Ok(Made::Built(Built { kind: Kind::Finished(self.finishes.len() - 1), column }))
    }

    /// What gathers the values.
    fn gather(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<()> {
        self.aggregate_order(call, scope)?;
        self.call_tail(call, scope)?;
        let first = self.token(call.location)?;
        let name_end = self.name_end(first);
        self.edits.both(self.span(first, name_end), "pg_catalog.array_agg");
        if call.agg_distinct {
            // The values that are equal are told once they are opened.
            self.edits.both(self.span(name_end + 2, name_end + 2), "");
        }
        Ok(())
    }

    /// What [`follows`](Self::follows) an aggregate: done by the proxy.
    pub(super) fn finished_then(&mut self, node: &Node, scope: &Scope<'_>) -> Result<Made> {
        match tree::kind(node) {
            Some(NodeEnum::TypeCast(cast)) => self.finished_cast(cast, scope),
            Some(NodeEnum::CoalesceExpr(expr)) => self.finished_or_other(expr, scope),
            Some(NodeEnum::FuncCall(call)) => self.finished_call(call, scope),
            _ => Ok(Made::Val(Val::Plain)),
        }
    }

    /// `round(avg(e), 2)`
    fn finished_call(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<Made> {
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        self.is_postgresqls(call)?;
        self.note_call(call, name, true);
        let Some((arg, scale)) = call.args.split_first() else { return Ok(Made::Val(Val::Plain)) };
        let (built, at) = self.finished_part(arg, scope)?;
        let here = self.here(call.location);
        let refused = || {
            let construct = format!("this form of {name} of an aggregate");
            refuse::on_column(&construct, &built.column).hint("Compute it on the value read.").at(here)
        };
        let first = self.token(call.location)?;
        self.edits.both(self.span(first, self.name_end(first)), "");
        let scale = match scale.first().map(tree::kind) {
            None => None,
            Some(Some(NodeEnum::AConst(constant))) => {
                let at = self.token(constant.location)?;
                let comma = at.checked_sub(1).filter(|comma| self.is(*comma, ",")).ok_or_else(refused)?;
                let (_, text, span) = self.constant_of(constant).ok_or_else(refused)?;
                self.edits.both((self.span(comma, comma).0, span.1), "");
                Some(text.parse::<i32>().map_err(|_| refused())?)
            }
            Some(_) => return Err(refused()),
        };
        let mut sorts = vec![Some(Sort::Value(self.finishes[at].0.result()))];
        sorts.extend(scale.map(|_| Some(Sort::Value(PlainType::Int4))));
        let signature = Scalar::function(name, &sorts).ok_or_else(refused)?;
        let Some(Sort::Value(takes)) = signature.takes.first().copied() else { return Err(refused()) };
        let finish = &mut self.finishes[at].0;
        if takes != finish.result() {
            finish.then.push(Then::Cast(takes));
        }
        finish.then.push(Then::Call(signature.function, scale));
        finish.then.extend((signature.gives != takes).then_some(Then::Cast(signature.gives)));
        Ok(Made::Built(built))
    }

    /// `sum(e)::int`
    fn finished_cast(&mut self, cast: &TypeCast, scope: &Scope<'_>) -> Result<Made> {
        let (Some(arg), Some(name)) = (tree::child(&cast.arg), &cast.type_name) else {
            return Ok(Made::Val(Val::Plain));
        };
        let (built, at) = self.finished_part(arg, scope)?;
        let (to, digits) = match types::named(name, self.catalog, self.session) {
            Named::Builtin { plain, array: false, modified, digits, .. }
                if (!modified || digits.is_some()) && value::casts(self.finishes[at].0.result(), plain) =>
            {
                (plain, digits)
            }
            _ => return Err(other_cast(&built).at(self.here(tree::location(arg)))),
        };
        self.fix_type(name)?;
        self.drop_cast(cast, name)?;
        let finish = &mut self.finishes[at].0;
        finish.then.push(Then::Cast(to));
        finish.then.extend(digits.map(Then::Fit));
        Ok(Made::Built(built))
    }

    /// `COALESCE(sum(e), 0)`: what is given for a group without values.
    fn finished_or_other(&mut self, expr: &CoalesceExpr, scope: &Scope<'_>) -> Result<Made> {
        let Some((arg, others)) = expr.args.split_first() else { return Ok(Made::Val(Val::Plain)) };
        let (built, at) = self.finished_part(arg, scope)?;
        let [other] = others else { return Err(other_default(&built).at(self.here(expr.location))) };
        let place = self.here(tree::location(other));
        let refused = || other_default(&built).at(place);
        let constant = match tree::kind(other) {
            Some(NodeEnum::AConst(constant)) if !constant.isnull => constant,
            Some(NodeEnum::TypeCast(cast)) if cast.location < 0 => match cast.arg.as_deref().and_then(tree::kind) {
                Some(NodeEnum::AConst(constant @ AConst { val: Some(a_const::Val::Boolval(_)), .. })) => constant,
                _ => return Err(refused()),
            },
            _ => return Err(refused()),
        };
        let (read, text, span) = self.constant_of(constant).ok_or_else(refused)?;
        let result = self.finishes[at].0.result();
        let common = value::common_type(result, read).ok_or_else(refused)?;
        let mut stored = Vec::new();
        value::read(common, 0, None, Format::Text, text.as_bytes(), &Settings::default(), &mut stored)
            .map_err(|_| refused())?;
        let finish = &mut self.finishes[at].0;
        // Of rows there is no empty array to be written.
        let described = if matches!(finish.of, Of::Formula(_)) { "NULL" } else { "'{}'" };
        self.edits.each(span, Some(described.into()), Some("'{}'".into()));
        if common != result {
            finish.then.push(Then::Cast(common));
        }
        finish.then.push(Then::Otherwise(stored.into()));
        Ok(Made::Built(built))
    }

    /// A number or a truth value: its type, its text and where it stands. The plan is one for this value alone.
    fn constant_of(&mut self, constant: &AConst) -> Option<(PlainType, String, super::scope::Span)> {
        let first = self.token(constant.location).ok()?;
        if let Some(a_const::Val::Boolval(value)) = &constant.val {
            return Some((PlainType::Bool, value.boolval.to_string(), self.span(first, first)));
        }
        let negative = self.literal(first).is_none() && self.is(first, "-");
        let at = first + usize::from(negative);
        let number = self.literal(at)?;
        let token = self.lexed.tokens[at];
        let digits = match token.kind {
            lex::Kind::Int | lex::Kind::Float => literal::value(self.text, &token)?,
            _ => return None,
        };
        let text = if negative { format!("-{digits}") } else { digits.into_owned() };
        let plain = match (token.kind, text.parse::<i64>()) {
            (lex::Kind::Int, Ok(n)) if i32::try_from(n).is_ok() => PlainType::Int4,
            (lex::Kind::Int, Ok(_)) => PlainType::Int8,
            _ => PlainType::Numeric,
        };
        self.fixed.push(number);
        Some((plain, text, self.span(first, at)))
    }

    fn finished_part(&mut self, node: &Node, scope: &Scope<'_>) -> Result<(Built, usize)> {
        match self.made(node, scope)? {
            Made::Built(built) => match built.kind {
                Kind::Finished(at) => Ok((built, at)),
                _ => Err(only_selected(&built)),
            },
            Made::Val(_) => Err(refuse::unsupported("this use of an aggregate of encrypted values is not supported")),
        }
    }

    /// A column of which an aggregate is computed.
    pub(super) fn finished_column(&self) -> Option<&str> {
        self.finishes.first().map(|(finish, _)| finish.column.as_str())
    }

    /// Gives a column the name that PostgreSQL takes of its aggregate.
    pub(super) fn name_finished(&mut self, target: &ResTarget, name: &str) -> Result<()> {
        let Some(node) = tree::child(&target.val) else { return Ok(()) };
        let mut core = node;
        while let Some(NodeEnum::TypeCast(cast)) = tree::kind(core) {
            let Some(arg) = tree::child(&cast.arg) else { return Ok(()) };
            core = arg;
        }
        let Some(NodeEnum::FuncCall(call)) = tree::kind(core) else { return Ok(()) };
        let span = self.span(self.token(call.location)?, self.call_end(call)?);
        self.name_target(target, span, name)
    }
}

/// An aggregate that the proxy can compute of values of this type.
fn may_finish(call: &FuncCall, (name, function): (&str, Function), plain: PlainType, column: &str) -> Result<()> {
    match function.gives(plain) {
        Gives::Type(_) => {}
        Gives::Nothing => {
            let message = format!("function {name}({}) does not exist", plain.sql_name());
            return Err(refuse::with(refuse::UNDEFINED_FUNCTION, message));
        }
        Gives::Other => {
            let construct = format!("function {name} of {}", plain.sql_name());
            return Err(refuse::on_column(&construct, column).hint("Compute it on the values read."));
        }
    }
    if call.over.is_some() {
        return Err(refuse::on_column(&format!("{name} OVER (...)"), column)
            .hint("Without OVER it works, also with GROUP BY and FILTER."));
    }
    if call.agg_distinct && (!function.takes_distinct(plain) || !call.agg_order.is_empty()) {
        return Err(refuse::on_column(&format!("this form of {name}(DISTINCT ...)"), column)
            .hint("Select the distinct values, and compute on them."));
    }
    Ok(())
}

fn other_cast(built: &Built) -> Box<super::plan::Refusal> {
    refuse::on_column("this cast of an aggregate", &built.column).hint("Cast the value read.")
}

fn other_default(built: &Built) -> Box<super::plan::Refusal> {
    refuse::on_column("this COALESCE of an aggregate", &built.column)
        .hint("COALESCE(sum(column), 0), with a number, works.")
}

/// A function of an encrypted value that nothing computes.
pub(super) fn function_refusal(name: &str, distinct: bool, enc: &Enc) -> Box<super::plan::Refusal> {
    let construct = if distinct { format!("{name}(DISTINCT ...)") } else { format!("function {name}") };
    if enc.ty.is_array() {
        let hint = "Of arrays cardinality, array_length, array_append, array_cat, array_position, unnest and their like work; take others of the arrays read.";
        return refuse::on_column(&construct, &enc.column).hint(hint).at(enc.span.0 as i32);
    }
    if matches!(name, "lower" | "upper") && enc.ty.def.plain.has_match() {
        let hint = "In comparisons, as in lower(column) = lower($1) and LIKE, it works on the left side of a column with term match.";
        return refuse::on_column(&construct, &enc.column).hint(hint).at(enc.span.0 as i32);
    }
    let hint = match Function::named(name) {
        Some(_) => {
            "Aggregates of encrypted values can be selected, and nothing else; compute with the values that are read."
        }
        None => {
            "Of encrypted values count, array_agg, sum, avg, bool_and, bool_or, stddev and variance work, and min and max; compute others on the values read."
        }
    };
    refuse::on_column(&construct, &enc.column).hint(hint).at(enc.span.0 as i32)
}
