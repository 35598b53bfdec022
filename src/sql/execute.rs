//! Statements prepared and run by SQL: PREPARE, and EXECUTE with its arguments.
//!
//! PREPARE is what it prepares, sent under its name. Whether EXECUTE names such a statement is known to the session alone.

use pg_query::NodeEnum;
use pg_query::protobuf::{ExecuteStmt, Node, PrepareStmt, a_const};

use super::analyzer::Analyzer;
use super::lex::{Kind, Lexed, StringKind, Token};
use super::plan::Source;
use super::refuse::{self, Detail, Result};
use super::statement::Outcome;
use super::tree;
use super::types::{self, Named};
use crate::schema::catalog::Oid;
use crate::wire::sqlstate::SqlState;

/// `unknown`: the type is left to PostgreSQL.
const UNSPECIFIED: Oid = 0;

/// Words of options of EXPLAIN with which it runs nothing.
const HARMLESS: [&str; 15] = [
    "verbose", "costs", "settings", "buffers", "summary", "memory", "format", "text", "xml", "json", "yaml", "on",
    "off", "true", "false",
];

/// PREPARE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepare {
    /// The statement's name.
    pub name: String,
    /// Types of its parameters; 0 is unspecified.
    pub types: Vec<Oid>,
}

/// EXECUTE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Execute {
    /// The statement's name.
    pub name: String,
    /// What its parameters are to be.
    pub arguments: Vec<Argument>,
    /// It stands within another statement (EXPLAIN, CREATE TABLE AS).
    pub within: bool,
}

/// An argument of EXECUTE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Argument {
    /// Where its value comes from; `None` for NULL, and for what is no constant.
    pub source: Option<Source>,
    /// How it is written.
    pub form: Form,
    /// The type that it is cast to.
    pub cast: Option<Oid>,
}

/// How an argument is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// `NULL`
    Null,
    /// A string.
    Text,
    /// A number without a point.
    Integer,
    /// Any other number.
    Decimal,
    /// `TRUE` or `FALSE`.
    Bool,
    /// An expression.
    Other,
}

impl Argument {
    /// As text, it is for a parameter of this type what PostgreSQL would make of it.
    pub fn fits(&self, oid: Oid) -> bool {
        const TEXT: [Oid; 2] = [25, 1043];
        const INTEGERS: [Oid; 3] = [21, 23, 20];
        const NUMBERS: [Oid; 3] = [1700, 700, 701];
        let same = self.cast.is_none_or(|cast| cast == oid || (TEXT.contains(&cast) && TEXT.contains(&oid)));
        same && match self.form {
            Form::Null | Form::Text => true,
            Form::Integer => INTEGERS.contains(&oid) || NUMBERS.contains(&oid),
            Form::Decimal => NUMBERS.contains(&oid),
            Form::Bool => oid == 16,
            Form::Other => false,
        }
    }
}

impl Analyzer<'_> {
    /// PREPARE of a statement on encrypted columns.
    pub(super) fn prepare_statement(&mut self, prepare: &PrepareStmt) -> Result<Outcome> {
        let types = prepare.argtypes.iter().map(|node| self.parameter_type(node)).collect::<Result<Vec<Oid>>>()?;
        let after = beyond_as(self.text, &self.lexed.tokens, 0);
        let Some(query) = after.and_then(|token| self.lexed.tokens.get(token)) else {
            return Err(refuse::with(SqlState::INTERNAL_ERROR, "the statement of PREPARE was not found"));
        };
        self.edits.both((0, query.start), "");
        self.client_params = self.client_params.max(types.len());
        self.declared = types.clone().into();
        self.outermost(tree::child(&prepare.query), "PREPARE")?;
        Ok(match self.touched {
            true => Outcome::Prepare(Prepare { name: prepare.name.clone(), types }),
            false => Outcome::Forward,
        })
    }

    /// The query within another statement, whose results the client sees.
    pub(super) fn outermost(&mut self, query: Option<&Node>, construct: &str) -> Result<()> {
        match query.and_then(tree::kind) {
            Some(NodeEnum::SelectStmt(select)) => self.select(select, None, true).map(drop),
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert, true).map(drop),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update, true).map(drop),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete, true).map(drop),
            Some(NodeEnum::MergeStmt(merge)) => self.merge(merge),
            _ => Err(refuse::unsupported(format!(
                "{construct} of this kind of statement on a relation with encrypted columns is not supported"
            ))),
        }
    }

    fn parameter_type(&self, node: &Node) -> Result<Oid> {
        let Some(NodeEnum::TypeName(name)) = tree::kind(node) else { return Ok(UNSPECIFIED) };
        match types::named(name, self.catalog, self.session) {
            Named::Builtin { oid, .. } => Ok(oid),
            Named::Other if tree::strings(&name.names) == ["unknown"] => Ok(UNSPECIFIED),
            _ => Err(refuse::unsupported(
                "PREPARE of a statement on encrypted columns with a parameter of this type is not supported",
            )
            .hint("Name the plaintext type, or none.")),
        }
    }

    /// EXECUTE by itself, or within a statement that shows or keeps what it gives.
    ///
    /// # Errors
    /// An argument touches something encrypted: its text would be sent as it is.
    pub(super) fn execute(&mut self, execute: &ExecuteStmt, alone: bool) -> Result<Outcome> {
        if execute.params.iter().any(|node| self.touches(node)) {
            return Err(refuse::unsupported("an argument of EXECUTE that touches encrypted columns is not supported")
                .hint("Write a constant."));
        }
        let arguments = execute.params.iter().map(|node| self.argument(node)).collect();
        Ok(Outcome::Execute(Execute { name: execute.name.clone(), arguments, within: !alone }))
    }

    fn argument(&self, node: &Node) -> Argument {
        let other = Argument { source: None, form: Form::Other, cast: None };
        match tree::kind(node) {
            Some(NodeEnum::AConst(constant)) => self.constant_argument(constant).unwrap_or(other),
            Some(NodeEnum::TypeCast(cast)) => {
                let inner = tree::child(&cast.arg).map(|node| self.argument(node));
                let named = cast.type_name.as_ref().map(|name| types::named(name, self.catalog, self.session));
                match (inner, named) {
                    (Some(inner), Some(Named::Builtin { oid, modified: false, .. })) if inner.cast.is_none() => {
                        Argument { cast: Some(oid), ..inner }
                    }
                    _ => other,
                }
            }
            _ => other,
        }
    }

    fn constant_argument(&self, constant: &pg_query::protobuf::AConst) -> Option<Argument> {
        let given = |source, form| Some(Argument { source, form, cast: None });
        if constant.isnull {
            return given(None, Form::Null);
        }
        if let Some(a_const::Val::Boolval(value)) = &constant.val {
            return given(Some(Source::Bool(value.boolval)), Form::Bool);
        }
        let first = self.token(constant.location).ok()?;
        let negated = self.is(first, "-");
        let token = first + usize::from(negated);
        let k = self.literal(token)?;
        let form = match self.lexed.tokens[token].kind {
            Kind::Str(StringKind::Bits | StringKind::Hex) => return None,
            Kind::Str(_) if !negated => Form::Text,
            Kind::Int => Form::Integer,
            Kind::Float => Form::Decimal,
            _ => return None,
        };
        given(Some(if negated { Source::Negated(k) } else { Source::Literal(k) }), form)
    }
}

/// The EXECUTE that a statement runs, and whether it is nothing else.
pub(super) fn executed(kind: &NodeEnum) -> Option<(&ExecuteStmt, bool)> {
    match kind {
        NodeEnum::ExecuteStmt(execute) => Some((execute, true)),
        NodeEnum::ExplainStmt(explain) => Some((within(&explain.query)?, false)),
        NodeEnum::CreateTableAsStmt(create) => Some((within(&create.query)?, false)),
        _ => None,
    }
}

fn within(node: &Option<Box<Node>>) -> Option<&ExecuteStmt> {
    executed(tree::kind(tree::child(node)?)?).map(|(execute, _)| execute)
}

/// The statement that the text of a PREPARE prepares.
pub fn prepared_query(text: &str, conforming: bool) -> Option<&str> {
    let lexed = Lexed::new(text, conforming).ok()?;
    let after = beyond_as(text, &lexed.tokens, 0)?;
    text.get(lexed.tokens.get(after)?.start as usize..)
}

/// The text of a statement around an EXECUTE, with a query in place of that.
pub fn in_place(text: &str, query: &str, conforming: bool) -> Option<String> {
    let tokens = Lexed::new(text, conforming).ok()?.tokens;
    let execute = place(text, &tokens)?;
    let name = execute + 1;
    let last = match tokens.get(name + 1) {
        Some(open) if open.text(text) == "(" => closing(text, &tokens, name + 1)?,
        _ => name,
    };
    let (before, after) = (tokens[execute].start as usize, tokens.get(last)?.end as usize);
    // A comment may end the query.
    Some(format!("{}{query}\n{}", text.get(..before)?, text.get(after..)?))
}

/// The text of an EXPLAIN of an EXECUTE up to that, and the query that stands there in `whole`, which begins with the same words.
/// `None`: it is another statement, or may run what it explains.
pub fn explained<'t>(text: &'t str, whole: &'t str, conforming: bool) -> Option<(&'t str, &'t str)> {
    let tokens = Lexed::new(text, conforming).ok()?.tokens;
    let execute = place(text, &tokens)?;
    let (explain, options) = tokens[..execute].split_first()?;
    let harmless = |t: &Token| t.kind == Kind::Punct || HARMLESS.iter().any(|word| t.is_word(text, word));
    if !explain.is_word(text, "explain") || !options.iter().all(harmless) {
        return None;
    }
    let query = Lexed::new(whole, conforming).ok()?.tokens.get(execute)?.start;
    Some((text.get(..tokens[execute].start as usize)?, whole.get(query as usize..)?))
}

/// Where the word EXECUTE stands in a statement that runs a prepared one, by itself or within EXPLAIN and CREATE TABLE AS.
pub(super) fn place(text: &str, tokens: &[Token]) -> Option<usize> {
    let word = |at: usize, word: &str| tokens.get(at).is_some_and(|t| t.is_word(text, word));
    let mut at = 0;
    if word(at, "explain") {
        at += 1;
        if tokens.get(at).is_some_and(|t| t.text(text) == "(") {
            at = closing(text, tokens, at)? + 1;
        }
        while ["analyze", "analyse", "verbose"].iter().any(|option| word(at, option)) {
            at += 1;
        }
    }
    if word(at, "create") {
        at = beyond_as(text, tokens, at)?;
    }
    word(at, "execute").then_some(at)
}

/// The token after the first AS outside brackets. The word is reserved, but may name what stands behind a point.
fn beyond_as(text: &str, tokens: &[Token], mut at: usize) -> Option<usize> {
    let is = |at: usize, mark: &str| tokens.get(at).is_some_and(|t| t.text(text) == mark);
    while !tokens.get(at)?.is_word(text, "as") || (at > 0 && is(at - 1, ".")) {
        at = if is(at, "(") { closing(text, tokens, at)? + 1 } else { at + 1 };
    }
    Some(at + 1)
}

/// The bracket that closes one.
fn closing(text: &str, tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open).filter(|(_, t)| t.kind == Kind::Punct) {
        match token.text(text) {
            "(" => depth += 1,
            ")" if depth == 1 => return Some(at),
            ")" => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn execute_is_found_where_it_is_the_statement() {
        let found = |text| place(text, &Lexed::new(text, true).unwrap().tokens);
        for (text, at) in [
            ("EXECUTE execute", Some(0)),
            ("EXPLAIN ANALYZE VERBOSE EXECUTE p", Some(3)),
            ("EXPLAIN (VERBOSE, COSTS (off)) CREATE TABLE execute AS EXECUTE p", Some(13)),
            ("CREATE TABLE t WITH (a = 1) AS EXECUTE p", Some(10)),
            ("CREATE TABLE public.as AS EXECUTE p", Some(6)),
            ("CREATE TABLE IF NOT EXISTS public . /* as */ as (as_) AS EXECUTE p", Some(12)),
            ("EXPLAIN CREATE TABLE a.as.as AS EXECUTE p", Some(9)),
            ("CREATE TABLE public.as AS SELECT 1 AS execute", None),
            ("CREATE TABLE public.as", None),
            ("EXPLAIN SELECT execute FROM plain", None),
            ("EXPLAIN EXECUTES", None),
            ("CREATE TABLE t AS SELECT 1 AS execute", None),
            ("CREATE VIEW execute AS SELECT 1", None),
            ("CREATE TABLE execute (id int)", None),
            ("SELECT execute", None),
            ("EXPLAIN (", None),
            ("CREATE TABLE t (", None),
            ("", None),
        ] {
            assert_eq!(found(text), at, "{text}");
        }
    }

    #[test]
    fn a_query_takes_the_place_of_execute() {
        let put = |text| in_place(text, "SELECT 1", true).unwrap();
        assert_eq!(put("EXPLAIN (COSTS off) EXECUTE p"), "EXPLAIN (COSTS off) SELECT 1\n");
        assert_eq!(put("EXPLAIN EXECUTE \"P q\"(')', (1), ')') -- end"), "EXPLAIN SELECT 1\n -- end");
        assert_eq!(put("CREATE TABLE c AS EXECUTE p (1) WITH NO DATA"), "CREATE TABLE c AS SELECT 1\n WITH NO DATA");
        assert_eq!(put("CREATE TABLE execute (execute) AS EXECUTE p"), "CREATE TABLE execute (execute) AS SELECT 1\n");
        assert_eq!(in_place("EXPLAIN EXECUTE p(1", "SELECT 1", true), None);
        assert_eq!(prepared_query("PREPARE \"as\" (int) AS SELECT 2 AS x", true), Some("SELECT 2 AS x"));
        assert_eq!(put("CREATE TABLE public.as AS EXECUTE p"), "CREATE TABLE public.as AS SELECT 1\n");
        for types in ["public.as", "int, public.as[]", "numeric(CAST(1 AS int))"] {
            assert_eq!(prepared_query(&format!("PREPARE p ({types}) AS SELECT 2 AS x"), true), Some("SELECT 2 AS x"));
        }
        assert_eq!(prepared_query("PREPARE p", true), None);
    }

    #[test]
    fn an_explain_of_an_execute_is_told_from_what_runs_it() {
        let explain = "EXPLAIN (VERBOSE, FORMAT JSON) /* of */ EXECUTE p(NULL)";
        let whole = "EXPLAIN (VERBOSE, FORMAT JSON)   SELECT (e).eq -- end\n";
        let parts = Some(("EXPLAIN (VERBOSE, FORMAT JSON) /* of */ ", "SELECT (e).eq -- end\n"));
        assert_eq!(explained(explain, whole, true), parts);
        assert_eq!(
            explained("explain verbose execute p", "explain verbose SELECT 1", true),
            Some(("explain verbose ", "SELECT 1"))
        );
        for other in [
            "EXECUTE p(NULL)",
            "CREATE TABLE explain AS EXECUTE p(NULL)",
            "EXPLAIN ANALYZE EXECUTE p(NULL)",
            "EXPLAIN (VERBOSE, \"analyze\" off) EXECUTE p(NULL)",
            "EXPLAIN (analyse) EXECUTE p(NULL)",
            "EXPLAIN CREATE TABLE c AS EXECUTE p(NULL)",
            "EXPLAIN SELECT 1",
        ] {
            assert_eq!(explained(other, other, true), None, "{other}");
        }
    }
}
