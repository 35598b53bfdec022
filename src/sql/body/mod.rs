//! Text that the server is given to run, now or later: DO blocks and the bodies of functions and procedures.
//!
//! What names nothing encrypted is sent. Of the rest, [`judge`] lets through what only moves encrypted values: [`block`]
//! reads PL/pgSQL, [`frame`] holds arguments and variables, [`made`] begins with what CREATE FUNCTION or the catalog says.

mod block;
mod frame;
mod judge;
mod made;

use pg_query::NodeEnum;
use pg_query::protobuf::{CreateFunctionStmt, DoStmt, FuncCall, Node};

use super::analyzer::Analyzer;
use super::lex::{Kind, Lexed, StringKind, Token, cut, is_word_part};
use super::plan::{Action, Analysis, Effects, Refusal};
use super::refuse::{self, Detail, Result};
use super::statement::{Outcome, analyze};
use super::tree;
use super::untouched::runs_sql;

pub(super) use frame::Frame;
pub(super) use judge::Called;
pub(super) use made::of_trigger;

impl Analyzer<'_> {
    /// DO: what names nothing encrypted and runs no SQL that is put together, or only moves encrypted values.
    pub(super) fn do_block(&mut self, block: &DoStmt) -> Result<Outcome> {
        self.fixed.extend(0..self.literals.len());
        let language = option(&block.args, "language").and_then(tree::string).unwrap_or("plpgsql");
        if language != "plpgsql" {
            return Err(refuse::unsupported(format!(
                "DO in language {language} is not supported in a database with encrypted columns"
            ))
            .hint("What it would run cannot be read. Write it in PL/pgSQL."));
        }
        let source = option(&block.args, "as").and_then(tree::string).unwrap_or_default();
        match self.body("DO") {
            Ok(outcome) => self.runs_constants(source).map(|()| outcome),
            Err(named) => match self.judged_block(source) {
                Ok(calls) => {
                    self.touched = true;
                    self.calls.extend(calls);
                    Ok(Outcome::Forward)
                }
                Err(why) => Err(because(*named, &why)),
            },
        }
    }

    /// Every EXECUTE of a block that names nothing encrypted has its SQL written out as one string, which is sent if it
    /// would be by itself.
    fn runs_constants(&self, source: &str) -> Result<()> {
        let executes = |text: &str| words_of(text).any(|word| word == "execute");
        if !executes(source) {
            return Ok(());
        }
        let refusal = || {
            refuse::unsupported("DO with dynamic SQL is not supported in a database with encrypted columns")
                .hint("Run the statements one by one, or write the SQL after EXECUTE as one string.")
        };
        let lexed = Lexed::new(source, self.session.standard_conforming_strings).map_err(|_| refusal())?;
        let tokens = &lexed.tokens;
        let follows = |at: usize, words: &[&str]| {
            let token = tokens.get(at);
            token.is_some_and(|t| t.text(source) == ";" || words.iter().any(|word| t.is_word(source, word)))
        };
        for (at, token) in tokens.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| &tokens[before]);
            let executed = before.is_some_and(|t| t.is_word(source, "execute"));
            let dynamic = match token.kind {
                Kind::Word | Kind::Quoted if token.is_word(source, "execute") => {
                    // GRANT EXECUTE ON ... is none: the word is reserved.
                    !tokens.get(at + 1).is_some_and(|t| matches!(t.kind, Kind::Str(_)) || t.is_word(source, "on"))
                }
                Kind::Str(kind) => {
                    let value = super::literal::value(source, token).ok_or_else(refusal)?;
                    let written = matches!(kind, StringKind::Plain | StringKind::Dollar) && !value.contains('\\');
                    let constant = follows(at + 1, &["into", "using", "loop"]) && written;
                    executes(&value) || (executed && !(constant && self.is_sent(&value)))
                }
                _ => false,
            };
            if dynamic {
                return Err(refusal());
            }
        }
        Ok(())
    }

    /// A text that is sent as it is, whatever `search_path` it is read under, and of which the session need not know.
    fn is_sent(&self, text: &str) -> bool {
        // What DO itself does is known.
        let unknown = |e: Effects| {
            e.deallocates || e.prepares || e.executes || e.fetches || e.copies || e.chooses || e.configures
        };
        if text.to_lowercase().contains("u&") || self.named_in(text).is_some() || self.row_column_in(text).is_some() {
            return false;
        }
        match analyze(text, &[], self.catalog, self.session) {
            Ok(Analysis::Untouched(effects)) => !unknown(effects),
            Ok(Analysis::Statements(statements)) => {
                statements.iter().all(|s| matches!(s.action, Action::Forward) && !unknown(s.effects))
            }
            Ok(Analysis::NeedsSearchPath) | Err(_) => false,
        }
    }

    /// A block or function whose text is run by the server. Its words are looked at wherever they stand, also in
    /// strings and comments.
    pub(super) fn body(&mut self, construct: &str) -> Result<Outcome> {
        self.fixed.extend(0..self.literals.len());
        for token in self.lexed.tokens.iter().filter(|t| matches!(t.kind, Kind::Str(_))) {
            let at = token.start as i32;
            let value = super::literal::value(self.text, token);
            let text = value.as_deref().unwrap_or_else(|| token.text(self.text));
            if text.to_ascii_lowercase().contains("u&\"") {
                return Err(refuse::unsupported(format!(
                    "{construct} with names written as U&\"...\" is not supported in a database with encrypted columns"
                ))
                .hint("Write the names as they are.")
                .at(at));
            }
            if let Some(name) = self.named_in(text) {
                return Err(refuse::unsupported(format!(
                    "{construct} whose text names {name} is not supported, since {name} touches encrypted columns"
                ))
                .at(at));
            }
            if let Some(name) = self.row_column_in(text) {
                return Err(refuse::unsupported(format!(
                    "{construct} whose text uses {name} beside a value is not supported, since a column of that name is encrypted"
                ))
                .hint("A trigger can test IS NULL and IS NOT NULL, and assign one encrypted column to another.")
                .at(at));
            }
        }
        Ok(Outcome::Forward)
    }

    /// Of a function that is made or replaced: what it is by now does not matter.
    pub(super) fn touches_but_for_name(&self, create: &CreateFunctionStmt) -> bool {
        self.touches(&CreateFunctionStmt { funcname: Vec::new(), ..create.clone() })
    }

    /// A function that runs SQL given as text runs one that is written out here, and all that could act in it is plain.
    pub(super) fn runs_plain_text(&mut self, name: &str, call: &FuncCall) -> bool {
        let place = match name {
            // With a third argument it runs nothing.
            "ts_rewrite" if call.args.len() == 3 => return true,
            "ts_rewrite" => 1,
            "ts_stat" | "query_to_xml" | "query_to_xmlschema" | "query_to_xml_and_xmlschema" => 0,
            "table_to_xml" | "table_to_xmlschema" | "table_to_xml_and_xmlschema" => 0,
            _ => return false,
        };
        let literal = match call.args.get(place).and_then(tree::kind) {
            Some(NodeEnum::AConst(constant)) => self.token(constant.location).ok(),
            _ => None,
        };
        let Some(token) = literal else { return false };
        self.fixed.extend(self.literal(token));
        let token = &self.lexed.tokens[token];
        let text = match token.kind {
            Kind::Str(StringKind::Plain | StringKind::Dollar) => super::literal::value(self.text, token),
            _ => None,
        };
        text.is_some_and(|text| {
            let first = words_of(&text).next().unwrap_or_default();
            let reads = name.starts_with("table") || matches!(&*first, "select" | "values" | "table" | "with");
            // A number stands for whatever relation has it as its OID.
            let named = !text.trim_start().starts_with(|c: char| c.is_ascii_digit());
            reads && named && !text.to_lowercase().contains("u&") && self.named_in(&text).is_none()
        })
    }

    /// The first name of the closure in a text.
    fn named_in(&self, text: &str) -> Option<String> {
        let catalog = self.catalog;
        let touching = |name: &str| catalog.touching_names.contains(name) || catalog.touching_functions.contains(name);
        let mut last = String::new();
        for word in words_of(text) {
            let sealed = last == "seal" && catalog.touching_types.contains(&word);
            // A server with a single-byte encoding folds letters that we do not.
            let folded = || !word.is_ascii() && touching(&word.to_lowercase());
            if sealed || runs_sql(&word) || touching(&word) || folded() {
                return Some(if sealed { format!("seal.{word}") } else { word });
            }
            last = word;
        }
        // Names that are not made of one word, as they stand.
        let odd = |name: &&String| words_of(name).next().as_deref() != Some(name.as_str());
        let names = catalog.touching_names.iter().chain(&catalog.touching_functions);
        names.filter(odd).find(|name| text.contains(name.as_str())).cloned()
    }

    /// `NEW.email` or `OLD.email`, where some encrypted column has that name, in one step with a literal: a value that it
    /// is compared with would be told to the server. Which table a trigger function will serve is not known, so a plain
    /// column of the name is refused too. How strings are read is settled when the function runs: both ways are tried.
    fn row_column_in(&self, text: &str) -> Option<String> {
        let read: Vec<Lexed> = [true, false].into_iter().filter_map(|conf| Lexed::new(text, conf).ok()).collect();
        if read.is_empty() {
            // Another language.
            let words: Vec<String> = words_of(text).collect();
            let of_row =
                |pair: &&[String]| matches!(&*pair[0], "new" | "old") && self.catalog.is_encrypted_somewhere(&pair[1]);
            return words.windows(2).find(of_row).map(|pair| pair.join("."));
        }
        read.iter().find_map(|lexed| self.row_column_of(text, lexed))
    }

    fn row_column_of(&self, text: &str, lexed: &Lexed) -> Option<String> {
        let steps = steps(text, &lexed.tokens);
        steps.into_iter().filter(|step| step.iter().any(Token::is_literal)).find_map(|step| {
            step.iter().enumerate().find_map(|(at, column)| {
                let name = column.name(text)?;
                let row = step.get(at.checked_sub(2)?).filter(|_| step[at - 1].text(text) == ".")?;
                // `NEW.email`, `(NEW).email`
                let row = if row.text(text) == ")" { step.get(at.checked_sub(3)?)? } else { row };
                let of_row = row.is_word(text, "new") || row.is_word(text, "old");
                let whole = text.get(row.start as usize..column.end as usize)?;
                (of_row && self.catalog.is_encrypted_somewhere(&name)).then(|| whole.to_string())
            })
        })
    }
}

/// An option of DO or CREATE FUNCTION.
fn option<'n>(options: &'n [Node], name: &str) -> Option<&'n Node> {
    options.iter().find_map(|option| match tree::kind(option)? {
        NodeEnum::DefElem(element) if element.defname == name => tree::child(&element.arg),
        _ => None,
    })
}

/// A refusal with what else would have been needed.
fn because(refusal: Refusal, why: &Refusal) -> Box<Refusal> {
    let hint = match &why.hint {
        Some(hint) => format!("A body may move encrypted values, but {}. {hint}", why.message),
        None => format!("A body may move encrypted values, but {}.", why.message),
    };
    Box::new(Refusal { hint: Some(hint), ..refusal })
}

/// The steps of PL/pgSQL, the condition of one being a step of its own. What a CASE holds is of one step.
fn steps<'t>(text: &str, tokens: &'t [Token]) -> Vec<&'t [Token]> {
    let (mut out, mut first, mut cases) = (Vec::new(), 0, 0usize);
    for (at, token) in tokens.iter().enumerate() {
        if token.is_word(text, "case") {
            cases += 1;
        } else if token.is_word(text, "end") {
            cases = cases.saturating_sub(1);
        }
        if token.text(text) == ";" || cases == 0 && ends_step(text, token) {
            out.push(&tokens[first..at]);
            (first, cases) = (at + 1, 0);
        }
    }
    out.push(&tokens[first..]);
    out
}

/// A step of PL/pgSQL ends, or its condition does.
fn ends_step(text: &str, token: &Token) -> bool {
    const WORDS: [&str; 5] = ["then", "else", "begin", "loop", "return"];
    WORDS.iter().any(|word| token.is_word(text, word))
}

/// Words of a text, in lower case.
fn words_of(text: &str) -> impl Iterator<Item = String> + '_ {
    let words = text.split(|c: char| c.is_ascii() && !is_word_part(c as u8)).filter(|w| !w.is_empty());
    // As PostgreSQL folds and cuts them.
    words.map(|word| cut(word.into()).to_ascii_lowercase())
}
