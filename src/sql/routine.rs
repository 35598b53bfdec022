//! Calls of functions and procedures with encrypted arguments and results.
//!
//! Only where it is certain which one is called, and its body only [moves](super::body) encrypted values. What the types
//! of its arguments say then decides what is sealed; PostgreSQL's description of the statement confirms it.

use std::sync::Arc;

use pg_query::NodeEnum;
use pg_query::protobuf::{CallStmt, ColumnRef, FuncCall, Node, RangeFunction};

use super::analyzer::{Analyzer, Around, TopColumn};
use super::body::Called;
use super::expr::{Enc, Open, Val};
use super::from::{alias_of, rename};
use super::lex::Lexed;
use super::plan::{Refusal, SessionState};
use super::refuse::{self, DATATYPE_MISMATCH, Detail, Result};
use super::scope::{ColVal, Columns, Derived, Item, Scope};
use super::statement::Outcome;
use super::tree;
use super::types::{self, Named, always_quoted};
use crate::schema::catalog::{Catalog, EncType, Oid};
use crate::schema::routine::{RECORD, Routine, is_polymorphic};

/// An argument as a call gives it.
struct Given<'n> {
    /// `name => value`
    name: Option<&'n str>,
    node: &'n Node,
    val: Val,
}

/// What a call means.
enum Meaning {
    /// This routine; by argument as it is given, which of its inputs that is.
    Routine(Arc<Routine>, Vec<usize>),
    /// A function that has nothing to do with encrypted values.
    Plain,
}

impl Analyzer<'_> {
    /// The functions that a name may mean, those that another hides left out.
    fn candidates(&self, call: &FuncCall, procedure: bool) -> Vec<Arc<Routine>> {
        let names = tree::strings(&call.funcname);
        let (name, schema) = match names[..] {
            [name] => (name, None),
            [schema, name] => (name, Some(schema)),
            _ => return Vec::new(),
        };
        let path = self.session.search_path.unwrap_or_default();
        let of_name = self.catalog.routines.get(name).map_or(&[][..], Vec::as_slice);
        let mut found: Vec<Arc<Routine>> = Vec::new();
        let schemas = schema.map_or_else(|| path.iter().map(String::as_str).collect(), |schema| vec![schema]);
        for schema in schemas {
            for routine in of_name.iter().filter(|r| r.schema == schema && r.procedure == procedure) {
                if !found.iter().any(|f| f.inputs == routine.inputs) {
                    found.push(Arc::clone(routine));
                }
            }
        }
        found
    }

    fn given<'n>(&mut self, call: &'n FuncCall, scope: &Scope<'_>) -> Result<Vec<Given<'n>>> {
        let mut out = Vec::with_capacity(call.args.len());
        for node in &call.args {
            let (name, node) = match tree::kind(node) {
                Some(NodeEnum::NamedArgExpr(named)) => {
                    (Some(named.name.as_str()), tree::child(&named.arg).unwrap_or(node))
                }
                _ => (None, node),
            };
            out.push(Given { name, node, val: self.expr(node, scope)? });
        }
        Ok(out)
    }

    /// What a call means, if that is certain.
    fn meaning(&self, call: &FuncCall, procedure: bool, given: &[Given<'_>]) -> Result<Meaning> {
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        let unclear = |why: &str| {
            refuse::unsupported(format!("which function this call of {name} means is not certain: {why}"))
                .hint("Give columns of encrypted types, or cast the values to those types, as in $1::seal.text_eq.")
        };
        if !is_bare(call) {
            return Err(not_followed(name));
        }
        let candidates = self.candidates(call, procedure);
        if candidates.iter().any(|r| r.variadic) && candidates.len() > 1 {
            return Err(unclear("one of the name is VARIADIC"));
        }
        let fit = |routine: Arc<Routine>| inputs_of(&routine, given).map(|inputs| (routine, inputs));
        let mut found: Vec<(Arc<Routine>, Vec<usize>)> = candidates.into_iter().filter_map(fit).collect();
        if found.len() > 1 {
            found.retain(|(routine, inputs)| {
                inputs.iter().zip(given).all(|(&input, given)| self.may_take(routine.inputs[input], given))
            });
        }
        let (routine, inputs) = match found.len() {
            0 => return Err(not_followed(name)),
            1 => found.remove(0),
            _ => return Err(unclear("several of the name take such arguments")),
        };
        for (given, &input) in given.iter().zip(&inputs) {
            let value = matches!(&given.val, Val::Open(open) if self.holds_value(open));
            if value && !self.agreed(name, given.name, input, routine.inputs[input]) {
                return Err(unclear("functions of the name take encrypted and other values in the same place"));
            }
        }
        match routine.touching {
            true if routine.followed => Ok(Meaning::Routine(routine, inputs)),
            true => Err(not_followed(name)),
            false if given.iter().any(|given| matches!(given.val, Val::Enc(_))) => Err(not_followed(name)),
            false => Ok(Meaning::Plain),
        }
    }

    fn holds_value(&self, open: &Open) -> bool {
        open.sites.iter().any(|&site| self.sites[site].source.is_some())
    }

    /// All functions of the name, wherever they are, take the same encrypted type there, or none takes one: so it does not
    /// matter to the value which of them it is.
    fn agreed(&self, function: &str, name: Option<&str>, input: usize, oid: Oid) -> bool {
        let place = |r: &Routine| match name {
            Some(name) => r.input(name).map(|n| r.inputs[n]),
            None => r.inputs.get(input).copied(),
        };
        let encrypted = |oid: Oid| self.catalog.types.contains_key(&oid) || self.contains_encrypted(oid);
        let of_name = self.catalog.routines.get(function).map_or(&[][..], Vec::as_slice);
        of_name.iter().filter_map(|r| place(r)).all(|other| other == oid || (!encrypted(other) && !encrypted(oid)))
    }

    /// PostgreSQL might give this to an argument of that type.
    fn may_take(&self, oid: Oid, given: &Given<'_>) -> bool {
        let any = oid == RECORD || is_polymorphic(oid);
        let enc = self.catalog.types.get(&oid);
        match &given.val {
            Val::Enc(enc) => any || oid == enc.ty.oid,
            // What is computed may be of a value that was meant to be encrypted.
            Val::Plain => enc.is_none() || !matches!(tree::kind(given.node), Some(NodeEnum::ColumnRef(_))),
            Val::Open(open) => {
                let casts = open.sites.iter().filter_map(|&site| self.sites[site].casts.last());
                casts.into_iter().all(|cast| match (cast, enc) {
                    (Named::Builtin { plain, array: false, .. }, Some(ty)) => types::converts(*plain, ty.def.plain),
                    (Named::Builtin { array: true, .. }, Some(_)) => false,
                    _ => true,
                })
            }
        }
    }

    /// Arguments of a call: sealed where the function takes an encrypted type.
    fn arguments(&mut self, routine: &Arc<Routine>, given: Vec<Given<'_>>, inputs: &[usize]) -> Result<()> {
        for (given, &input) in given.into_iter().zip(inputs) {
            let oid = routine.inputs[input];
            match self.catalog.types.get(&oid).cloned() {
                Some(ty) => self.encrypted_argument(&ty, given, &routine.name)?,
                None => match given.val {
                    _ if self.contains_encrypted(oid) => return Err(not_followed(&routine.name)),
                    Val::Plain => {}
                    Val::Open(open) => self.decide_firm(&open.sites)?,
                    Val::Enc(enc) => {
                        let construct = format!("function {}", routine.name);
                        return Err(refuse::on_column(&construct, &enc.column).at(enc.span.0 as i32));
                    }
                },
            }
        }
        self.calls.push(Called { routine: Arc::clone(routine), path: None });
        Ok(())
    }

    fn encrypted_argument(&mut self, ty: &Arc<EncType>, given: Given<'_>, function: &str) -> Result<()> {
        self.usable(ty)?;
        let column = format!("an argument of {function}");
        match given.val {
            Val::Open(open) => self.store(&open, ty, &column),
            Val::Enc(enc) if enc.ty.oid == ty.oid => {
                self.kept(&enc);
                Ok(())
            }
            Val::Enc(enc) => Err(refuse::with(
                DATATYPE_MISMATCH,
                format!("{column} is of type {}, {} is not", types::sql_name(ty), enc.column),
            )
            .at(enc.span.0 as i32)),
            Val::Plain => Err(refuse::on_column("an expression computed by the server", &column)
                .hint("Compute the value before sending it.")
                .at(self.here(tree::location(given.node)))),
        }
    }

    /// A row, array or domain of encrypted values.
    pub(super) fn contains_encrypted(&self, oid: Oid) -> bool {
        !self.catalog.types.contains_key(&oid) && self.catalog.containing.contains(&oid)
    }

    /// A call of a function that touches encrypted columns, as an expression.
    pub(super) fn call_routine(&mut self, call: &FuncCall, scope: &Scope<'_>) -> Result<Val> {
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        let at = self.here(call.location);
        self.touched = true;
        let given = self.given(call, scope)?;
        let (routine, inputs) = match self.meaning(call, false, &given).map_err(|r| r.at(at))? {
            Meaning::Routine(routine, inputs) => (routine, inputs),
            Meaning::Plain => {
                for given in &given {
                    if let Val::Open(open) = &given.val {
                        self.decide_firm(&open.sites)?;
                    }
                }
                return Ok(Val::Plain);
            }
        };
        self.result_is_followed(&routine).map_err(|r| r.at(at))?;
        if gives_rows(&routine) {
            return Err(refuse::unsupported(format!("function {name} gives rows with encrypted columns"))
                .hint("Write it in FROM.")
                .at(at));
        }
        self.arguments(&routine, given, &inputs)?;
        let span = self.span_of(call)?;
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
        if !simple || !self.candidates(call, false).iter().any(|r| !r.outputs.is_empty()) {
            return Ok(None);
        }
        self.touched = true;
        let at = self.here(call.location);
        let given = self.given(call, lateral)?;
        let name = tree::strings(&call.funcname).last().copied().unwrap_or_default();
        let Meaning::Routine(routine, inputs) = self.meaning(call, false, &given).map_err(|r| r.at(at))? else {
            return Err(not_followed(name).at(at));
        };
        self.result_is_followed(&routine).map_err(|r| r.at(at))?;
        self.arguments(&routine, given, &inputs)?;
        let (alias, renamed) = alias_of(&function.alias, &routine.name);
        let mut columns: Vec<Derived> = routine.outputs.iter().map(|(name, oid)| self.output(name, *oid)).collect();
        let mut opaque = false;
        if let [column] = &mut columns[..] {
            let oid = routine.outputs[0].1;
            if column.name.is_empty() {
                column.name.clone_from(&alias);
            }
            match column.val {
                ColVal::Enc(..) => self.in_select_list(function, call, &column.name, &alias)?,
                // One of another type may be a row of several columns.
                ColVal::Plain if !gives_rows(&routine) => opaque = types::plain_of(oid).is_none(),
                _ => return Err(not_followed(name).at(at)),
            }
        }
        let columns = if opaque { Vec::new() } else { columns };
        let columns = Columns::Derived(rename(columns.into(), &renamed));
        Ok(Some(Item { opaque, ..Item::new(self.item_id(), &alias, columns) }))
    }

    /// In FROM, PostgreSQL takes an encrypted value apart into its attributes; in a select list it does not.
    fn in_select_list(&mut self, function: &RangeFunction, call: &FuncCall, column: &str, alias: &str) -> Result<()> {
        let (from, to) = self.span_of(call)?;
        let lateral = if function.lateral { "" } else { "LATERAL " };
        let named = if function.alias.is_some() { String::new() } else { format!(" AS {}", always_quoted(alias)) };
        self.edits.both((from, from), format!("{lateral}(SELECT "));
        self.edits.both((to, to), format!(" AS {}){named}", always_quoted(column)));
        Ok(())
    }

    fn output(&self, name: &str, oid: Oid) -> Derived {
        Derived { name: name.to_string(), val: self.held(name, oid) }
    }

    /// What is of this type.
    pub(super) fn held(&self, name: &str, oid: Oid) -> ColVal {
        match self.catalog.types.get(&oid) {
            Some(ty) => ColVal::Enc(Arc::clone(ty), name.into()),
            None if self.contains_encrypted(oid) => ColVal::Tainted(name.into()),
            None => ColVal::Plain,
        }
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
        let given = self.given(call, &Scope::new(Vec::new(), None))?;
        if self.candidates(call, true).is_empty() {
            return Err(refusal());
        }
        let Meaning::Routine(routine, inputs) = self.meaning(call, true, &given)? else {
            return self.unedited("CALL");
        };
        let mut columns = Vec::new();
        for (name, oid) in &routine.outputs {
            columns.push(match self.held(name, *oid) {
                ColVal::Enc(ty, name) => TopColumn::Composite(ty, name),
                ColVal::Plain => TopColumn::Plain,
                _ => return Err(refusal()),
            });
        }
        self.arguments(&routine, given, &inputs)?;
        self.columns = (!columns.is_empty()).then_some(columns);
        Ok(Outcome::Described)
    }

    /// The bodies of what is called only move encrypted values, and so on.
    pub(super) fn follow(&mut self) -> Result<()> {
        let mut open = std::mem::take(&mut self.calls);
        let mut seen: Vec<Called> = Vec::new();
        while let Some(called) = open.pop() {
            if seen.iter().any(|s| Arc::ptr_eq(&s.routine, &called.routine) && s.path == called.path) {
                continue;
            }
            open.extend(self.judged(&called).map_err(|refusal| {
                let (name, why) = (&called.routine.name, refusal.message);
                refuse::unsupported(format!("function {name} does more than move values of encrypted columns: {why}"))
                    .hint(HINT)
            })?);
            seen.push(called);
        }
        Ok(())
    }
}

/// Why every call of a function or procedure is refused, whichever arguments of its own types it is given: what the proxy
/// would say. `None`: there are calls that are sent.
pub fn judge_routine(routine: &Arc<Routine>, catalog: &Catalog, session: &SessionState<'_>) -> Option<Box<Refusal>> {
    let lexed = Lexed::new("", true).ok()?;
    let around = Around { catalog, session, declared: &[] };
    Analyzer::new("", &lexed, 0, around).and_then(|mut analyzer| analyzer.callable(routine)).err()
}

impl Analyzer<'_> {
    /// Some call of the routine is not refused.
    fn callable(&mut self, routine: &Arc<Routine>) -> Result<()> {
        let name = &routine.name;
        if routine.touching && !routine.followed {
            return Err(not_followed(name));
        }
        let column = node(NodeEnum::ColumnRef(ColumnRef::default()));
        let counts = (routine.required()..=routine.inputs.len()).rev();
        let forms = counts.flat_map(|count| [(count, false), (count, true)]);
        let mut refused = None;
        for (count, named) in
            forms.filter(|(count, named)| !named || routine.names[..*count].iter().all(|n| !n.is_empty()))
        {
            let given: Vec<Given<'_>> = (0..count).map(|input| self.example(routine, input, named, &column)).collect();
            match self.meaning(&qualified(routine), routine.procedure, &given) {
                Ok(Meaning::Plain) => return Ok(()),
                Ok(Meaning::Routine(meant, inputs)) => {
                    match self.result_is_followed(&meant).and_then(|()| self.arguments(&meant, given, &inputs)) {
                        Ok(()) => return self.follow(),
                        Err(refusal) => refused = Some(refusal),
                    }
                }
                Err(refusal) => {
                    refused.get_or_insert(refusal.hint("Give each function a name of its own."));
                }
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// A column of the type of that input.
    fn example<'n>(&self, routine: &'n Routine, input: usize, named: bool, column: &'n Node) -> Given<'n> {
        let val = match self.catalog.types.get(&routine.inputs[input]) {
            Some(ty) => Val::Enc(Enc::new(Arc::clone(ty), "a column".into(), (0, 0))),
            None => Val::Plain,
        };
        Given { name: named.then_some(routine.names[input].as_str()), node: column, val }
    }

    /// What it gives can be read, in some place that it may stand in.
    fn result_is_followed(&self, routine: &Routine) -> Result<()> {
        let name = &routine.name;
        let contains = |oid: Oid| self.contains_encrypted(oid);
        match routine.outputs.as_slice() {
            [] | [_] if !routine.procedure && contains(routine.result) => {
                Err(refuse::unsupported(format!("function {name} gives a row or an array of encrypted values"))
                    .hint("Let it give a value of an encrypted type, or columns: RETURNS TABLE (...)."))
            }
            outputs if routine.procedure && outputs.iter().any(|(_, oid)| contains(*oid)) => {
                Err(refuse::unsupported(format!("procedure {name} gives a row or an array of encrypted values"))
                    .hint("Let it give values of encrypted types."))
            }
            _ => Ok(()),
        }
    }
}

/// What it gives is a row. One OUT or TABLE argument alone is the value itself.
fn gives_rows(routine: &Routine) -> bool {
    match &routine.outputs[..] {
        [] => false,
        [(_, oid)] => *oid == RECORD || *oid != routine.result,
        _ => true,
    }
}

fn node(kind: NodeEnum) -> Node {
    Node { node: Some(kind) }
}

/// A call of this name, in this schema.
fn qualified(routine: &Routine) -> FuncCall {
    let part = |sval: &str| node(NodeEnum::String(pg_query::protobuf::String { sval: sval.to_owned() }));
    FuncCall { funcname: vec![part(&routine.schema), part(&routine.name)], ..FuncCall::default() }
}

/// Which inputs of a routine the arguments of a call are. `None`: it cannot be called so.
fn inputs_of(routine: &Routine, given: &[Given<'_>]) -> Option<Vec<usize>> {
    let mut inputs = Vec::with_capacity(given.len());
    for (i, argument) in given.iter().enumerate() {
        let input = match argument.name {
            Some(name) => routine.input(name)?,
            None => i,
        };
        if input >= routine.inputs.len() || inputs.contains(&input) {
            return None;
        }
        inputs.push(input);
    }
    (0..routine.required()).all(|input| inputs.contains(&input)).then_some(inputs)
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

const HINT: &str = "It may be called where it is certain which one of the name is meant, its body only moves encrypted values, and \
its arguments are of the types they were pinned to; if it does nothing with them, list it in [policy] trusted_functions.";

fn not_followed(name: &str) -> Box<Refusal> {
    refuse::unsupported(format!("function {name} touches encrypted columns or runs dynamic SQL")).hint(HINT)
}
