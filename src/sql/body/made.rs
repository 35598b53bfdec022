//! What is judged: functions and procedures as CREATE FUNCTION words them, those that a statement calls as the catalog has
//! them, and DO blocks.

use std::rc::Rc;

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CreateFunctionStmt, FunctionParameter, FunctionParameterMode as Mode, Node, TypeName, VariableSetKind,
    VariableSetStmt,
};

use super::frame::Frame;
use super::judge::{Called, Gives, Judge};
use super::{because, option};
use crate::schema::routine::{Language, RECORD, VOID, moves};
use crate::sql::analyzer::Analyzer;
use crate::sql::lex::Kind;
use crate::sql::plan::{Refusal, SessionState};
use crate::sql::refuse::{self, Detail, Result};
use crate::sql::scope::{ColVal, Scope};
use crate::sql::statement::Outcome;
use crate::sql::tree;
use crate::sql::types::{self, Named};

/// An argument of a function.
struct Argument {
    name: String,
    val: ColVal,
    /// A call gives it.
    given: bool,
    /// It is a column of the result.
    shown: bool,
}

impl Analyzer<'_> {
    /// CREATE FUNCTION and CREATE PROCEDURE that touch encrypted columns: where the body only moves their values.
    pub(in crate::sql) fn create_routine(&mut self, create: &CreateFunctionStmt) -> Result<Outcome> {
        self.fixed.extend(0..self.literals.len());
        let what = if create.is_procedure { "CREATE PROCEDURE" } else { "CREATE FUNCTION" };
        self.created(create).map(|()| Outcome::Forward).map_err(|why| {
            let refusal = refuse::unsupported(format!("{what} on encrypted columns with this body is not supported"));
            because(*refusal, &why)
        })
    }

    fn created(&mut self, create: &CreateFunctionStmt) -> Result<()> {
        let parameters = create.parameters.iter().filter_map(|p| match tree::kind(p) {
            Some(NodeEnum::FunctionParameter(parameter)) => Some(&**parameter),
            _ => None,
        });
        let arguments = parameters.map(|p| self.argument_of(p)).collect::<Result<Vec<_>>>()?;
        if create.sql_body.is_some() {
            return match self.atomic_body().is_some_and(moves) {
                true => Ok(()),
                false => {
                    Err(refuse::unsupported("BEGIN ATOMIC and RETURN may hold no values, casts and calls of functions"))
                }
            };
        }
        let language = option(&create.options, "language").and_then(tree::string).and_then(Language::of);
        let source = match option(&create.options, "as").and_then(tree::kind) {
            Some(NodeEnum::List(list)) if list.items.len() == 1 => list.items.first().and_then(tree::string),
            _ => None,
        };
        let (Some(language), Some(source)) = (language, source) else {
            return Err(refuse::unsupported("only SQL and PL/pgSQL are read"));
        };
        if of_trigger(create) {
            return match moves(source) {
                true => Ok(()),
                false => Err(refuse::unsupported(
                    "that of a trigger may hold no values, casts, variables and calls of other functions",
                )),
            };
        }
        let gives = self.gives_of(create, &arguments)?;
        let name = tree::strings(&create.funcname).last().copied().unwrap_or_default();
        let frame = frame(name, language, &arguments)?;
        let path = self.path_set(create)?;
        let calls = self.judge(path.map(Rc::from), frame, gives, (language, source))?;
        self.calls.extend(calls);
        Ok(())
    }

    fn argument_of(&mut self, parameter: &FunctionParameter) -> Result<Argument> {
        let mode = parameter.mode();
        let name = parameter.arg_type.as_ref().ok_or_else(|| odd(&parameter.name))?;
        let val = self.type_of(name).ok_or_else(|| odd(&parameter.name))?;
        if let Some(default) = tree::child(&parameter.defexpr) {
            let null = matches!(tree::kind(default), Some(NodeEnum::AConst(constant)) if constant.isnull);
            if !null && !val.is_plain() {
                return Err(refuse::unsupported("the default of an encrypted argument can only be NULL"));
            }
            if !null {
                self.plain(default, &Scope::new(Vec::new(), None), "a default")?;
            }
        }
        Ok(Argument {
            name: parameter.name.clone(),
            val,
            given: !matches!(mode, Mode::FuncParamOut | Mode::FuncParamTable),
            shown: matches!(mode, Mode::FuncParamOut | Mode::FuncParamInout | Mode::FuncParamTable),
        })
    }

    /// What is of a type that stands for no other.
    fn type_of(&self, name: &TypeName) -> Option<ColVal> {
        let last = tree::strings(&name.names).last().copied().unwrap_or_default();
        match types::named(name, self.catalog, self.session) {
            Named::Builtin { .. } => Some(ColVal::Plain),
            Named::Other => (!last.starts_with("any") && last != "record").then_some(ColVal::Plain),
            Named::Enc(ty) => Some(ColVal::Enc(ty, "an argument".into())),
            Named::EncArray(_) | Named::Touching => None,
        }
    }

    fn gives_of(&self, create: &CreateFunctionStmt, arguments: &[Argument]) -> Result<Gives> {
        let shown: Vec<ColVal> = arguments.iter().filter(|a| a.shown).map(|a| a.val.clone()).collect();
        match &create.return_type {
            _ if !shown.is_empty() => Ok(Gives::Row(shown)),
            None => Ok(Gives::Nothing),
            Some(name) if matches!(tree::strings(&name.names)[..], [.., "void"]) => Ok(Gives::Nothing),
            Some(name) => self.type_of(name).map(Gives::Value).ok_or_else(|| odd("")),
        }
    }

    /// The `search_path` that a function sets for itself.
    fn path_set(&self, create: &CreateFunctionStmt) -> Result<Option<Vec<String>>> {
        let mut sets = create.options.iter().filter_map(|option| match tree::kind(option)? {
            NodeEnum::DefElem(element) if element.defname == "set" => match tree::kind(tree::child(&element.arg)?)? {
                NodeEnum::VariableSetStmt(set) if set.name.eq_ignore_ascii_case("search_path") => Some(set),
                _ => None,
            },
            _ => None,
        });
        match sets.next_back() {
            None => Ok(None),
            Some(set) if set.kind() == VariableSetKind::VarSetCurrent => Ok(None),
            Some(set) => {
                schemas(set).map(Some).ok_or_else(|| refuse::unsupported("its search_path cannot be followed"))
            }
        }
    }

    /// BEGIN ATOMIC ... END, or RETURN and an expression.
    fn atomic_body(&self) -> Option<&str> {
        let begins =
            |i: &usize| self.is_word(*i, "return") || (self.is_word(*i, "begin") && self.is_word(*i + 1, "atomic"));
        let first = (0..self.lexed.tokens.len()).find(begins)?;
        let odd = self.lexed.tokens[first..].iter().any(|t| matches!(t.kind, Kind::UnicodeQuoted));
        self.text.get(self.lexed.tokens[first].start as usize..).filter(|_| !odd)
    }

    /// The functions that one which is called calls in its turn, if its body only moves values.
    pub(in crate::sql) fn judged(&self, called: &Called) -> Result<Vec<Called>> {
        let routine = &called.routine;
        let Some(body) = &routine.body else { return Ok(Vec::new()) };
        let mut arguments = Vec::with_capacity(body.arguments.len());
        for (name, oid, given) in &body.arguments {
            let val = self.held(name, *oid);
            if matches!(val, ColVal::Tainted(_)) {
                return Err(odd(name));
            }
            arguments.push(Argument { name: name.clone(), val, given: *given, shown: false });
        }
        let outputs: Vec<ColVal> = routine.outputs.iter().map(|(name, oid)| self.held(name, *oid)).collect();
        let gives = match (outputs.is_empty(), self.held("the result", routine.result)) {
            (false, _) => Gives::Row(outputs),
            (true, _) if routine.procedure || routine.result == VOID => Gives::Nothing,
            (true, ColVal::Tainted(_)) => return Err(odd("")),
            (true, _) if routine.result == RECORD => return Err(odd("")),
            (true, val) => Gives::Value(val),
        };
        let frame = frame(&routine.name, body.language, &arguments)?;
        let path = body.path.as_deref().map(Rc::from).or_else(|| called.path.clone());
        self.judge(path, frame, gives, (body.language, &body.source))
    }

    /// The functions that a DO block calls, if it only moves values.
    pub(super) fn judged_block(&self, source: &str) -> Result<Vec<Called>> {
        let frame = Frame::new("", true);
        self.judge(None, frame, Gives::Nothing, (Language::Block, source))
    }

    fn judge(
        &self,
        path: Option<Rc<[String]>>,
        frame: Frame,
        gives: Gives,
        (language, source): (Language, &str),
    ) -> Result<Vec<Called>> {
        let within = path.as_deref().map(|path| self.path_within(path));
        let session = SessionState { search_path: within.as_deref().or(self.session.search_path), ..*self.session };
        let calls = Judge::new(self.catalog, &session, frame, gives).body(language, source)?;
        Ok(calls.into_iter().map(|routine| Called { routine, path: path.clone() }).collect())
    }

    /// The schemas that are searched while `search_path` is this.
    fn path_within(&self, path: &[String]) -> Vec<String> {
        let around = self.session.search_path.unwrap_or_default();
        let temporary = around.iter().find(|schema| schema.starts_with("pg_temp_"));
        let named = |name: &str| path.iter().any(|schema| schema == name);
        let mut all: Vec<String> = temporary.filter(|_| !named("pg_temp")).into_iter().cloned().collect();
        if !named("pg_catalog") {
            all.push("pg_catalog".into());
        }
        for schema in path {
            match (schema.as_str(), temporary) {
                ("pg_temp", Some(temporary)) => all.push(temporary.clone()),
                _ => all.push(schema.clone()),
            }
        }
        all
    }
}

/// A function that triggers run.
pub(in crate::sql) fn of_trigger(create: &CreateFunctionStmt) -> bool {
    create.return_type.as_ref().is_some_and(|name| matches!(tree::strings(&name.names)[..], [.., "trigger"]))
}

/// What the names of arguments mean.
fn frame(name: &str, language: Language, arguments: &[Argument]) -> Result<Frame> {
    let all = language == Language::Block;
    let mut frame = Frame::new(name, all);
    for argument in arguments.iter().filter(|a| all || a.given) {
        frame.numbered.push(argument.val.clone());
        if all && !super::block::may_be_called(&argument.name) {
            return Err(odd(&argument.name));
        }
        if !argument.name.is_empty() {
            frame.declare(&argument.name, argument.val.clone())?;
        }
    }
    Ok(frame)
}

/// The schemas that SET search_path names, as far as they do not depend on who asks.
fn schemas(set: &VariableSetStmt) -> Option<Vec<String>> {
    let one = |node: &Node| match tree::kind(node)? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            pg_query::protobuf::a_const::Val::Sval(text) => Some(text.sval.clone()),
            _ => None,
        },
        _ => None,
    };
    let path: Vec<String> = set.args.iter().map(one).collect::<Option<_>>()?;
    (set.kind() == VariableSetKind::VarSetValue && !path.iter().any(|schema| schema.starts_with('$')))
        .then(|| path.into_iter().filter(|schema| !schema.is_empty()).collect())
}

/// A type that cannot be followed.
fn odd(name: &str) -> Box<Refusal> {
    let what = if name.is_empty() { "the result".to_string() } else { format!("argument {name}") };
    refuse::unsupported(format!("the type or name of {what} cannot be followed"))
        .hint("It may be of a plain or an encrypted type, not a row, an array or a type that stands for others.")
}
