//! What fails when the body of a function runs: PostgreSQL runs it as it stands, without the proxy.

use std::sync::Arc;

use super::Level;
use super::judge::{ARRAY_TERMS, Verdict};
use super::plpgsql::{self, Act, Head};
use super::routines::Function;
use super::variables::Names;
use crate::schema::catalog::{Catalog, EncType, Oid, Relation};
use crate::sql::lex::Lexed;
use crate::sql::plan::Refusal;

/// Something in a body that fails or cannot be told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Trouble {
    /// Line of the body; 0: of the whole.
    pub(super) line: u64,
    pub(super) level: Level,
    pub(super) why: String,
    pub(super) advice: String,
}

/// What is wrong with the body of a function, as a trigger of this table if it is one.
pub(super) fn troubles(
    function: &Function,
    table: Option<&Arc<Relation>>,
    catalog: &Catalog,
    path: &[String],
) -> Vec<Trouble> {
    let mut body =
        Body { names: Names::new(function, table, catalog, path), trigger: table.is_some(), found: Vec::new() };
    match &*function.language {
        "sql" => body.sql(&function.source),
        "plpgsql" => body.plpgsql(function, catalog),
        _ => {}
    }
    body.found
}

struct Body<'a> {
    names: Names<'a>,
    trigger: bool,
    found: Vec<Trouble>,
}

impl Body<'_> {
    fn sql(&mut self, source: &str) {
        let Ok(lexed) = Lexed::new(source, true) else { return self.unread(0) };
        let tokens = &lexed.tokens;
        let word = |i: usize, word: &str| tokens.get(i).is_some_and(|t| t.is_word(source, word));
        // BEGIN ATOMIC ... END, or RETURN and an expression
        let (first, last, head) = match () {
            () if word(0, "return") => (1, tokens.len(), "SELECT "),
            () if word(0, "begin") && word(1, "atomic") => (2, tokens.len().saturating_sub(1), ""),
            () => (0, tokens.len(), ""),
        };
        let ends = |t: &crate::sql::lex::Token| t.text(source) == ";";
        for statement in tokens.get(first..last).unwrap_or_default().split(ends) {
            let (Some(begin), Some(end)) = (statement.first(), statement.last()) else { continue };
            let text = format!("{head}{}", &source[begin.start as usize..end.end as usize]);
            let line = 1 + source[..begin.start as usize].matches('\n').count() as u64;
            self.query(line, &text, &[]);
        }
    }

    fn plpgsql(&mut self, function: &Function, catalog: &Catalog) {
        let is_row = |oid: &Oid| catalog.relation_of_type(*oid).is_some() && !catalog.types.contains_key(oid);
        let argument = |(name, oid): &(String, Oid)| (name.clone(), if is_row(oid) { "record" } else { "int" });
        let mut arguments: Vec<(String, &str)> = function.arguments.iter().map(argument).collect();
        if self.trigger {
            arguments.extend(["new", "old"].map(|row| (row.to_owned(), "record")));
        }
        let returns = if function.set { "SETOF int" } else { "int" };
        let heads = [(returns, false), ("void", false), (returns, true)];
        let heads = heads.map(|(returns, by_arguments)| Head { arguments: &arguments, returns, by_arguments });
        self.names.declare(&plpgsql::declarations(&function.source));
        let read = |head: &Head<'_>| plpgsql::read(&function.source, head, |name| self.names.is_record(name));
        let Some(steps) = heads.iter().find_map(read) else { return self.unread(0) };
        for step in steps {
            match step.act {
                Act::Value(text) if text.contains("__Case__Variable") => {}
                Act::Value(text) if self.trigger && is_row_of_trigger(&text) => {}
                Act::Value(text) => self.value(step.line, &text),
                Act::Assign { target, value } => self.assign(step.line, &target, &value),
                Act::Query { text, into } => self.query(step.line, &text, &into),
                Act::Dynamic => self.dynamic(step.line),
            }
        }
    }

    fn unread(&mut self, line: u64) {
        let what = if line == 0 { "its body" } else { "it" };
        let why = format!("{what} cannot be read, and is not looked at");
        self.push(line, Level::Warning, &why, "See to it that it touches no encrypted column but to move it");
    }

    fn dynamic(&mut self, line: u64) {
        let why = "it runs dynamic SQL (EXECUTE), which is not looked at";
        let advice = "See to it that it touches no encrypted column but to move it";
        self.push(line, Level::Warning, why, advice);
    }

    fn value(&mut self, line: u64, text: &str) {
        let Some(bound) = self.names.bind(text, has_query(text)) else { return };
        let statement = format!("SELECT {bound}");
        let verdict = self.names.judge(&statement);
        self.judged(line, &statement, verdict);
    }

    fn assign(&mut self, line: u64, target: &str, value: &str) {
        let Some(bound) = self.names.bind(value, has_query(value)) else { return };
        match self.names.assign(target, &bound) {
            Some(statement) => {
                let verdict = self.names.judge(&statement);
                self.judged(line, &statement, verdict);
            }
            None => self.value(line, value),
        }
    }

    fn query(&mut self, line: u64, text: &str, into: &[String]) {
        let Some(bound) = self.names.bind(text, true) else { return };
        let verdict = self.names.judge(&bound);
        if let [record] = into
            && self.names.is_record(record)
        {
            self.names.fill(record, text);
        } else if let Verdict::Rewritten { columns, .. } = &verdict {
            self.scattered(line, into, columns);
        }
        self.judged(line, &bound, verdict);
    }

    /// Encrypted values that go into variables one by one.
    fn scattered(&mut self, line: u64, into: &[String], columns: &[Option<Arc<EncType>>]) {
        let first = into.iter().zip(columns).find(|(_, enc)| enc.is_some());
        let Some((name, _)) = first else { return };
        if self.names.is_encrypted(name) {
            let why = format!("PL/pgSQL takes the encrypted value apart that goes INTO {name}, and fails");
            self.push(line, Level::Fault, &why, &format!("Write {name} := (SELECT ...)"));
        } else {
            let why = format!("the encrypted value that goes INTO {name} becomes the text of its ciphertext");
            self.push(line, Level::Fault, &why, "Let the row go INTO a record");
        }
    }

    fn judged(&mut self, line: u64, statement: &str, verdict: Verdict) {
        match verdict {
            Verdict::Fine => {}
            Verdict::Refused(refusal) => self.refused(line, &refusal),
            Verdict::Rewritten { values: true, .. } => {
                let why = "it compares or stores a value of its own beside encrypted columns, of which the server can make no ciphertext";
                self.push(
                    line,
                    Level::Fault,
                    why,
                    "Give it the value as an argument of the encrypted type, or do it in the application",
                );
            }
            Verdict::Rewritten { executed, .. } if terms(&executed) <= terms(statement) => {}
            Verdict::Rewritten { executed, .. } if compares_arrays(&executed) => {
                let why = "it compares arrays of encrypted values, which PostgreSQL fails at: only the proxy compares their terms";
                self.push(line, Level::Fault, why, "Compare them in statements that are sent through the proxy");
            }
            Verdict::Rewritten { .. } if self.names.finds_operators() && !sorts(statement) => {}
            Verdict::Rewritten { .. } if sorts(statement) => {
                let why = "it sorts or groups by encrypted values, which PostgreSQL fails at: only the proxy puts their terms there";
                self.push(line, Level::Fault, why, "Sort and group in statements that are sent through the proxy");
            }
            Verdict::Rewritten { .. } => {
                let why = "it compares encrypted values without schema seal in its search_path, and PostgreSQL fails";
                self.push(
                    line,
                    Level::Fault,
                    why,
                    "ALTER FUNCTION ... SET search_path = public, seal (with the schemas it needs)",
                );
            }
        }
    }

    /// Other refusals than those for encrypted columns tell of names that are not known here.
    fn refused(&mut self, line: u64, refusal: &Refusal) {
        let code = refusal.sqlstate.0;
        // What a function that is called does is told where that one is judged, and PostgreSQL knows which it calls.
        let of_call = refusal.message.starts_with("function ") && refusal.message.contains("touches encrypted columns")
            || refusal.message.starts_with("which function this call of ");
        if code == "42601" {
            self.unread(line);
        } else if matches!(code, "0A000" | "42804") && !of_call {
            let advice = match refusal.message.contains("whole-row") && self.trigger {
                true => "Write OLD *<> NEW to see whether anything was written; else name the columns one by one",
                false => refusal.hint.as_deref().unwrap_or_default(),
            };
            let advice = if advice.is_empty() { "Give the variable or column the encrypted type" } else { advice };
            self.push(line, Level::Fault, &refusal.message.replace("column variables.", "variable "), advice);
        }
    }

    fn push(&mut self, line: u64, level: Level, why: &str, advice: &str) {
        self.found.push(Trouble { line, level, why: why.to_owned(), advice: advice.to_owned() });
    }
}

/// `NEW`, `OLD`, `NULL`: what a trigger returns.
fn is_row_of_trigger(text: &str) -> bool {
    let text = text.trim();
    ["new", "old", "null"].iter().any(|row| text.eq_ignore_ascii_case(row))
}

fn words(text: &str) -> Vec<String> {
    let Ok(lexed) = Lexed::new(text, true) else { return Vec::new() };
    lexed.tokens.iter().map(|t| t.text(text).to_ascii_lowercase()).collect()
}

/// The expression holds a query, in which columns go before variables.
fn has_query(text: &str) -> bool {
    words(text).iter().any(|word| word == "from")
}

/// How many terms a text takes.
fn terms(text: &str) -> usize {
    let words = words(text);
    let of_value = |w: &[String]| w[0] == ")" && w[1] == "." && matches!(w[2].as_str(), "eq" | "ord" | "m" | "j");
    words.windows(3).filter(|w| of_value(w) || of_array(w)).count()
}

/// Terms of an array are taken.
fn of_array(words: &[String]) -> bool {
    words[0] == "seal" && words[1] == "." && ARRAY_TERMS.contains(&words[2].as_str())
}

/// Whole arrays are compared, which no operator of schema `seal` does.
fn compares_arrays(text: &str) -> bool {
    words(text).windows(3).any(|w| of_array(w) && !matches!(w[2].as_str(), "eq" | "ord"))
}

/// Words by which a statement needs an order or equality of values that no operator's name finds.
fn sorts(text: &str) -> bool {
    let words = words(text);
    let at = |i: usize, word: &str| words.get(i).is_some_and(|w| w == word);
    (0..words.len()).any(|i| {
        (at(i, "order") || at(i, "group") || at(i, "partition")) && at(i + 1, "by")
            || at(i, "distinct") && !at(i + 1, "from")
            || ["intersect", "except", "min", "max"].iter().any(|word| at(i, word))
            || at(i, "union") && !at(i + 1, "all")
    })
}
