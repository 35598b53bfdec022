//! Calls of functions and procedures with encrypted arguments and results.
//!
//! Only where it is certain which one is called, and its body [only moves](crate::schema::routine) encrypted values. What
//! the types of its arguments say then decides what is sealed; PostgreSQL's description of the statement confirms it.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{CallStmt, CreateFunctionStmt, FuncCall, RangeFunction};

use super::analyzer::{Analyzer, TopColumn};
use super::expr::{Enc, Val};
use super::from::{alias_of, rename};
use super::lex::Kind;
use super::plan::Refusal;
use super::refuse::{self, DATATYPE_MISMATCH, Detail, Result};
use super::scope::{ColVal, Columns, Derived, Item, Scope};
use super::statement::Outcome;
use super::tree;
use super::types;
use crate::schema::catalog::Oid;
use crate::schema::routine::{Routine, moves};

impl Analyzer<'_> {
    /// The function that a call means, if that is certain and it may be called.
    fn routine(&self, call: &FuncCall, procedure: bool) -> Option<Arc<Routine>> {
        let names = tree::strings(&call.funcname);
        let (name, schema) = match names[..] {
            [name] => (name, None),
            [schema, name] => (name, Some(schema)),
            _ => return None,
        };
        let odd =
            !is_bare(call) || call.args.iter().any(|arg| matches!(tree::kind(arg), Some(NodeEnum::NamedArgExpr(_))));
        let path = self.session.search_path.unwrap_or_default();
        let reached = |r: &&Arc<Routine>| match schema {
            Some(schema) => r.schema == schema,
            None => path.contains(&r.schema),
        };
        let mut found = self.catalog.routines.get(name)?.iter().filter(reached);
        // Which of several PostgreSQL takes depends on types that are not known yet.
        let only = found.next().filter(|_| !odd && found.next().is_none())?;
        (only.followed && only.procedure == procedure && only.takes(call.args.len())).then(|| Arc::clone(only))
    }

    /// Arguments of a call: sealed where the function takes an encrypted type.
    fn arguments(&mut self, call: &FuncCall, routine: &Routine, scope: &Scope<'_>) -> Result<()> {
        for (arg, &oid) in call.args.iter().zip(&routine.inputs) {
            let val = self.expr(arg, scope)?;
            let Some(ty) = self.catalog.types.get(&oid).cloned() else {
                match val {
                    _ if self.contains_encrypted(oid) => return Err(not_followed(&routine.name)),
                    Val::Plain => {}
                    Val::Open(open) => self.decide_firm(&open.sites)?,
                    Val::Enc(enc) => {
                        let construct = format!("function {}", routine.name);
                        return Err(refuse::on_column(&construct, &enc.column).at(enc.span.0 as i32));
                    }
                }
                continue;
            };
            self.usable(&ty)?;
            let column = format!("an argument of {}", routine.name);
            match val {
                Val::Open(open) => self.store(&open, &ty, &column)?,
                Val::Enc(enc) if enc.ty.oid == ty.oid => self.kept(&enc),
                Val::Enc(enc) => {
                    return Err(refuse::with(
                        DATATYPE_MISMATCH,
                        format!("{column} is of type {}, {} is not", types::sql_name(&ty), enc.column),
                    )
                    .at(enc.span.0 as i32));
                }
                Val::Plain => {
                    return Err(refuse::on_column("an expression computed by the server", &column)
                        .hint("Compute the value before sending it.")
                        .at(self.here(tree::location(arg))));
                }
            }
        }
        Ok(())
    }

    /// A row, array or domain of encrypted values.
    fn contains_encrypted(&self, oid: Oid) -> bool {
        let catalog = self.catalog;
        let by_name =
            |(schema, name): &(String, String)| schema != "pg_catalog" && catalog.touching_types.contains(name);
        !catalog.types.contains_key(&oid)
            && (catalog.array_types.contains_key(&oid) || catalog.type_names.get(&oid).is_some_and(by_name))
    }

    /// A call of a function that touches encrypted columns, as an expression.
    pub(super) fn call_routine(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<Val> {
        self.touched = true;
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        let at = self.here(call.location);
        let Some(routine) = self.routine(call, false) else { return Err(not_followed(name).at(at)) };
        if !routine.outputs.is_empty() || self.contains_encrypted(routine.result) {
            return Err(refuse::unsupported(format!("function {name} gives rows with encrypted columns"))
                .hint("Write it in FROM.")
                .at(at));
        }
        self.arguments(call, &routine, scope)?;
        let first = self.token(call.location)?;
        let span = self.span(first, self.call_end(call)?);
        match self.catalog.types.get(&routine.result).cloned() {
            None => Ok(Val::Plain),
            Some(ty) => {
                self.usable(&ty)?;
                Ok(Val::Enc(Enc::new(ty, format!("the result of {name}").into(), span)))
            }
        }
    }

    /// A function in FROM that touches encrypted columns. `None`: another item.
    pub(super) fn range_routine(&mut self, function: &RangeFunction, lateral: &Scope<'_>) -> Result<Option<Item>> {
        let [list] = &function.functions[..] else { return Ok(None) };
        let Some(NodeEnum::List(list)) = tree::kind(list) else { return Ok(None) };
        let Some(NodeEnum::FuncCall(call)) = list.items.first().and_then(tree::kind) else { return Ok(None) };
        let simple = !function.is_rowsfrom && !function.ordinality && function.coldeflist.is_empty();
        let Some(routine) = self.routine(call, false).filter(|r| simple && !r.outputs.is_empty()) else {
            return Ok(None);
        };
        self.touched = true;
        if routine.outputs.len() == 1 {
            return Err(refuse::unsupported(format!("function {} in FROM", routine.name))
                .hint(format!("PostgreSQL would take the value apart: SELECT {}(...).", routine.name))
                .at(self.here(call.location)));
        }
        self.arguments(call, &routine, lateral)?;
        let (alias, renamed) = alias_of(&function.alias, &routine.name);
        let columns: Vec<Derived> = routine.outputs.iter().map(|(name, oid)| self.output(name, *oid)).collect();
        Ok(Some(Item::new(self.item_id(), &alias, Columns::Derived(rename(columns.into(), &renamed)))))
    }

    fn output(&self, name: &str, oid: Oid) -> Derived {
        let val = match self.catalog.types.get(&oid) {
            Some(ty) => ColVal::Enc(Arc::clone(ty), name.into()),
            None if self.contains_encrypted(oid) => ColVal::Tainted(name.into()),
            None => ColVal::Plain,
        };
        Derived { name: name.to_string(), val }
    }

    /// CALL of a procedure that touches encrypted columns.
    pub(super) fn call_procedure(&mut self, call: &CallStmt) -> Result<Outcome> {
        let refusal = || {
            refuse::unsupported(
                "CALL of a procedure that touches encrypted columns or runs dynamic SQL is not supported",
            )
            .hint(HINT)
        };
        self.touched = true;
        let Some(call) = call.funccall.as_deref() else { return Err(refusal()) };
        let routine = self.routine(call, true).ok_or_else(refusal)?;
        let mut columns = Vec::new();
        for (name, oid) in &routine.outputs {
            columns.push(match self.output(name, *oid).val {
                ColVal::Enc(ty, name) => TopColumn::Composite(ty, name),
                ColVal::Plain => TopColumn::Plain,
                _ => return Err(refusal()),
            });
        }
        self.arguments(call, &routine, &Scope::new(Vec::new(), None))?;
        self.columns = (!columns.is_empty()).then_some(columns);
        Ok(Outcome::Described)
    }

    /// CREATE FUNCTION and CREATE PROCEDURE that touch encrypted columns: where the body only moves their values.
    pub(super) fn create_routine(&mut self, create: &CreateFunctionStmt) -> Result<Outcome> {
        self.fixed.extend(0..self.literals.len());
        let what = if create.is_procedure { "CREATE PROCEDURE" } else { "CREATE FUNCTION" };
        let defaults = create
            .parameters
            .iter()
            .any(|p| matches!(tree::kind(p), Some(NodeEnum::FunctionParameter(p)) if p.defexpr.is_some()));
        let fits = !defaults
            && match create.sql_body {
                Some(_) => self.atomic_body().is_some_and(moves),
                None => self.body_of(create).is_some_and(|body| moves(&body)),
            };
        match fits {
            true => Ok(Outcome::Forward),
            false => Err(refuse::unsupported(format!("{what} on encrypted columns with this body is not supported"))
                .hint(
                    "In SQL or PL/pgSQL it may store, select and compare encrypted arguments and columns, without values, \
                     casts, variables and calls of other functions, and without defaults of arguments.",
                )),
        }
    }

    /// The body of a function in SQL or PL/pgSQL.
    fn body_of(&self, create: &CreateFunctionStmt) -> Option<String> {
        let option = |name: &str| {
            create.options.iter().find_map(|option| match tree::kind(option)? {
                NodeEnum::DefElem(element) if element.defname == name => tree::child(&element.arg),
                _ => None,
            })
        };
        let language = option("language").and_then(tree::string)?;
        let body = match tree::kind(option("as")?)? {
            NodeEnum::List(list) if list.items.len() == 1 => list.items.first().and_then(tree::string)?,
            _ => return None,
        };
        matches!(language, "sql" | "plpgsql").then(|| body.to_string())
    }

    /// BEGIN ATOMIC ... END, or RETURN and an expression.
    fn atomic_body(&self) -> Option<&str> {
        let begins =
            |i: &usize| self.is_word(*i, "return") || (self.is_word(*i, "begin") && self.is_word(*i + 1, "atomic"));
        let first = (0..self.lexed.tokens.len()).find(begins)?;
        let odd = self.lexed.tokens[first..].iter().any(|t| matches!(t.kind, Kind::UnicodeQuoted));
        self.text.get(self.lexed.tokens[first].start as usize..).filter(|_| !odd)
    }
}

/// Only arguments stand in the parentheses, and nothing follows them.
pub(super) fn is_bare(call: &FuncCall) -> bool {
    let odd = call.agg_star
        || call.agg_distinct
        || call.func_variadic
        || call.over.is_some()
        || call.agg_filter.is_some()
        || !call.agg_order.is_empty();
    !odd
}

const HINT: &str = "It may be called where only one of the name is in the search_path, its body only moves encrypted values, and \
its arguments are of the types they were pinned to; if it does nothing with them, list it in [policy] trusted_functions.";

fn not_followed(name: &str) -> Box<Refusal> {
    refuse::unsupported(format!("function {name} touches encrypted columns or runs dynamic SQL")).hint(HINT)
}
