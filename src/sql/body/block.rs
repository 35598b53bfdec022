//! PL/pgSQL: blocks, step by step, as PostgreSQL's own grammar cuts them. What is not known here is refused.

use super::frame::{Variable, unknown};
use super::judge::{Declared, Gives, Judge, not_read};
use crate::sql::lex::{Kind, Token};
use crate::sql::plan::Refusal;
use crate::sql::refuse::{self, Detail, Result};
use crate::sql::scope::{ColVal, Derived};

/// Blocks and loops within one another.
const DEEPEST: usize = 40;

/// Words that begin or end a step: no variable may be called so, since it could be read in two ways.
const STEPS: [&str; 40] = [
    "begin",
    "declare",
    "if",
    "elsif",
    "elseif",
    "else",
    "case",
    "when",
    "then",
    "loop",
    "while",
    "for",
    "foreach",
    "in",
    "by",
    "reverse",
    "exit",
    "continue",
    "return",
    "next",
    "query",
    "raise",
    "perform",
    "null",
    "get",
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "with",
    "values",
    "into",
    "strict",
    "end",
    "exception",
    "execute",
    "call",
    "using",
    "all",
];

/// Judges the body of a function, or a DO block.
pub(super) fn read(judge: &mut Judge<'_>, text: &str) -> Result<()> {
    let tokens = judge.tokens(text)?.tokens;
    for name in ["found", "sqlstate", "sqlerrm"] {
        judge.frame_mut().declare(name, ColVal::Plain)?;
    }
    let mut reader = Reader { judge, text, tokens: &tokens, at: 0, depth: 0 };
    reader.label();
    reader.block()?;
    if reader.is(";") {
        reader.at += 1;
    }
    if reader.at == tokens.len() { Ok(()) } else { Err(not_read()) }
}

/// A variable may be called so.
pub(super) fn may_be_called(name: &str) -> bool {
    !STEPS.contains(&name)
}

struct Reader<'r, 'j> {
    judge: &'r mut Judge<'j>,
    text: &'r str,
    tokens: &'r [Token],
    at: usize,
    depth: usize,
}

impl<'r> Reader<'r, '_> {
    fn token(&self, ahead: usize) -> Option<&'r Token> {
        self.tokens.get(self.at + ahead)
    }

    fn word(&self, word: &str) -> bool {
        self.word_at(0, word)
    }

    fn word_at(&self, ahead: usize, word: &str) -> bool {
        self.token(ahead).is_some_and(|t| t.is_word(self.text, word))
    }

    fn is(&self, mark: &str) -> bool {
        self.is_at(0, mark)
    }

    fn is_at(&self, ahead: usize, mark: &str) -> bool {
        let mark_of = |t: &Token| matches!(t.kind, Kind::Punct | Kind::Op) && t.text(self.text) == mark;
        self.token(ahead).is_some_and(mark_of)
    }

    /// `:=` or `=`.
    fn assigns(&self, ahead: usize) -> bool {
        self.is_at(ahead, ":=") || self.is_at(ahead, "=")
    }

    fn skip(&mut self, word: &str) -> bool {
        let there = self.word(word);
        self.at += usize::from(there);
        there
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.skip(word) { Ok(()) } else { Err(not_read()) }
    }

    fn semicolon(&mut self) -> Result<()> {
        let there = self.is(";");
        self.at += usize::from(there);
        if there { Ok(()) } else { Err(not_read()) }
    }

    fn name(&mut self) -> Result<String> {
        let name = self.token(0).and_then(|t| t.name(self.text)).ok_or_else(not_read)?.into_owned();
        self.at += 1;
        Ok(name)
    }

    /// The text up to the first of these words and marks outside brackets, at which the reader then stands.
    fn until(&mut self, ends: &[&str]) -> Result<&'r str> {
        let first = self.at;
        let mut open = 0usize;
        while let Some(token) = self.token(0) {
            let mark = if token.kind == Kind::Punct { token.text(self.text) } else { "" };
            let ends_here = open == 0 && ends.iter().any(|end| self.word(end) || self.is(end));
            match mark {
                _ if ends_here && self.at > first => {
                    let span = self.tokens[first].start as usize..self.tokens[self.at - 1].end as usize;
                    return Ok(&self.text[span]);
                }
                _ if ends_here => break,
                "(" | "[" => open += 1,
                ")" | "]" => open = open.checked_sub(1).ok_or_else(not_read)?,
                ";" => break,
                _ => {}
            }
            self.at += 1;
        }
        Err(not_read())
    }

    /// An expression that must be plain, up to one of these.
    fn plain(&mut self, ends: &[&str], what: &str) -> Result<()> {
        let text = self.until(ends)?;
        self.given(text, &ColVal::Plain, what)
    }

    /// An expression goes to where this is held.
    fn given(&mut self, text: &str, to: &ColVal, what: &str) -> Result<()> {
        self.judge.query(&format!("SELECT {text}"), |analyzer, outputs| analyzer.flows_alone(&outputs, to, what))
    }

    /// `<<name>>`
    fn label(&mut self) -> bool {
        let there = self.is("<<") && self.is_at(2, ">>");
        self.at += if there { 3 } else { 0 };
        there
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        let done = if self.depth > DEEPEST { Err(not_read()) } else { read(self) };
        self.depth -= 1;
        done
    }

    /// DECLARE ... BEGIN ... EXCEPTION ... END, without the semicolon.
    fn block(&mut self) -> Result<()> {
        if self.skip("declare") {
            while !self.word("begin") {
                self.declaration()?;
            }
        }
        self.expect("begin")?;
        self.steps(&["end", "exception"])?;
        if self.skip("exception") {
            while self.skip("when") {
                // Names of conditions, or SQLSTATE and a code.
                self.until(&["then"])?;
                self.expect("then")?;
                self.steps(&["when", "end"])?;
            }
        }
        self.expect("end")?;
        self.end_label();
        Ok(())
    }

    fn end_label(&mut self) {
        let last = self.at + 1 == self.tokens.len();
        let named = self.token(0).and_then(|t| t.name(self.text)).is_some_and(|name| may_be_called(&name));
        if named && (last || self.is_at(1, ";")) {
            self.at += 1;
        }
    }

    /// `name [CONSTANT] type [NOT NULL] [:= value];`
    fn declaration(&mut self) -> Result<()> {
        let name = self.name()?;
        if !may_be_called(&name) || self.word("alias") || self.word("cursor") || self.word("scroll") || self.word("no")
        {
            return Err(unknown(&name));
        }
        self.skip("constant");
        let ty = self.until(&[";", ":=", "=", "default", "not", "collate"])?;
        let declared = self.judge.declared(ty)?;
        if self.skip("collate") {
            self.until(&[";", ":=", "=", "default", "not"])?;
        }
        if self.skip("not") {
            self.expect("null")?;
        }
        // Its value does not see it yet.
        if !self.is(";") {
            self.at += 1;
            let value = self.until(&[";"])?;
            let Declared::Value(val) = &declared else { return Err(unknown(&name)) };
            self.given(value, val, &format!("variable {name}"))?;
        }
        self.semicolon()?;
        match declared {
            Declared::Value(val) => self.judge.frame_mut().declare(&name, val),
            Declared::Record => self.judge.frame_mut().declare_record(&name, None),
            Declared::Row(columns) => self.judge.frame_mut().declare_record(&name, Some(columns)),
        }
    }

    fn steps(&mut self, ends: &[&str]) -> Result<()> {
        self.deeper(|reader| {
            while !ends.iter().any(|end| reader.word(end)) {
                reader.step()?;
            }
            Ok(())
        })
    }

    fn step(&mut self) -> Result<()> {
        let labelled = self.label();
        let first = self.token(0).filter(|t| t.kind == Kind::Word).map_or("", |t| t.text(self.text)).to_lowercase();
        match first.as_str() {
            "declare" | "begin" => {
                self.deeper(Reader::block)?;
                self.semicolon()
            }
            "loop" => self.looped(),
            "while" => {
                self.at += 1;
                self.plain(&["loop"], "a condition")?;
                self.looped()
            }
            "for" => self.for_loop(),
            _ if labelled => Err(not_read()),
            "if" => self.if_then(),
            "case" => self.case(),
            "exit" | "continue" => self.leave(),
            "return" => self.give(),
            "raise" => self.raise(),
            "perform" => {
                self.at += 1;
                let text = self.until(&[";"])?;
                self.judge.query(&format!("SELECT {text}"), |_, _| Ok(()))?;
                self.semicolon()
            }
            "null" if self.is_at(1, ";") => {
                self.at += 2;
                Ok(())
            }
            "get" => self.diagnostics(),
            "select" | "insert" | "update" | "delete" | "merge" | "with" | "values" => self.query(),
            "execute" => Err(refuse::unsupported("it runs dynamic SQL")),
            _ => self.assignment(),
        }
    }

    /// LOOP ... END LOOP;
    fn looped(&mut self) -> Result<()> {
        self.expect("loop")?;
        self.steps(&["end"])?;
        self.expect("end")?;
        self.expect("loop")?;
        self.end_label();
        self.semicolon()
    }

    fn for_loop(&mut self) -> Result<()> {
        self.at += 1;
        let first = self.at;
        let ranges = {
            self.until(&["loop"])?;
            let range = self.tokens[first..self.at].iter().any(|t| t.text(self.text) == "..");
            self.at = first;
            range
        };
        if ranges {
            let name = self.name()?;
            if !may_be_called(&name) {
                return Err(unknown(&name));
            }
            self.expect("in")?;
            self.skip("reverse");
            self.plain(&[".."], "a bound")?;
            self.at += 1;
            self.plain(&["by", "loop"], "a bound")?;
            if self.skip("by") {
                self.plain(&["loop"], "a step")?;
            }
            self.judge.frame_mut().declare(&name, ColVal::Plain)?;
            return self.looped();
        }
        let targets = self.targets()?;
        self.expect("in")?;
        let query = self.until(&["loop"])?;
        self.into(query, &targets)?;
        self.looped()
    }

    fn if_then(&mut self) -> Result<()> {
        self.at += 1;
        loop {
            self.plain(&["then"], "a condition")?;
            self.expect("then")?;
            self.steps(&["elsif", "elseif", "else", "end"])?;
            if !self.skip("elsif") && !self.skip("elseif") {
                break;
            }
        }
        if self.skip("else") {
            self.steps(&["end"])?;
        }
        self.expect("end")?;
        self.expect("if")?;
        self.semicolon()
    }

    /// CASE as a step.
    fn case(&mut self) -> Result<()> {
        self.at += 1;
        if !self.word("when") {
            self.plain(&["when"], "a condition")?;
        }
        while self.skip("when") {
            let list = self.until(&["then"])?;
            self.judge.query(&format!("SELECT {list}"), |analyzer, outputs| {
                outputs.columns.iter().try_for_each(|c| analyzer.flows(&c.val, &ColVal::Plain, "a condition"))
            })?;
            self.expect("then")?;
            self.steps(&["when", "else", "end"])?;
        }
        if self.skip("else") {
            self.steps(&["end"])?;
        }
        self.expect("end")?;
        self.expect("case")?;
        self.semicolon()
    }

    /// EXIT, CONTINUE.
    fn leave(&mut self) -> Result<()> {
        self.at += 1;
        if !self.is(";") && !self.word("when") {
            self.name()?;
        }
        if self.skip("when") {
            self.plain(&[";"], "a condition")?;
        }
        self.semicolon()
    }

    /// RETURN.
    fn give(&mut self) -> Result<()> {
        self.at += 1;
        let gives = self.judge.gives.clone();
        if self.skip("query") {
            if self.word("execute") {
                return Err(refuse::unsupported("it runs dynamic SQL"));
            }
            if let Some(instead) = gives.instead_of_query() {
                return Err(refuse::unsupported("PostgreSQL takes what RETURN QUERY gives apart").hint(instead));
            }
            let query = self.until(&[";"])?;
            self.judge.query(query, |analyzer, outputs| analyzer.gives(&outputs, &gives))?;
            return self.semicolon();
        }
        self.skip("next");
        if !self.is(";") {
            let text = self.until(&[";"])?;
            let Gives::Value(to) = &gives else { return Err(not_read()) };
            self.given(text, to, "the result")?;
        }
        self.semicolon()
    }

    /// `RAISE [level] 'format' [, value ...];`, or RAISE alone.
    fn raise(&mut self) -> Result<()> {
        self.at += 1;
        let levels = ["debug", "log", "info", "notice", "warning", "exception"];
        let level = levels.iter().any(|level| self.word(level));
        self.at += usize::from(level);
        if !level && self.is(";") {
            return self.semicolon();
        }
        if !self.token(0).is_some_and(|t| matches!(t.kind, Kind::Str(_))) {
            return Err(not_read());
        }
        self.at += 1;
        if self.is(",") {
            self.at += 1;
            let list = self.until(&[";"])?;
            self.judge.query(&format!("SELECT {list}"), |analyzer, outputs| {
                outputs.columns.iter().try_for_each(|c| analyzer.flows(&c.val, &ColVal::Plain, "a message"))
            })?;
        }
        self.semicolon()
    }

    /// `GET DIAGNOSTICS name = ROW_COUNT;`
    fn diagnostics(&mut self) -> Result<()> {
        self.at += 1;
        self.skip("current");
        self.expect("diagnostics")?;
        let name = self.name()?;
        let plain = matches!(self.judge.frame().variable(&name), Some(Variable::Scalar(ColVal::Plain)));
        if !plain || !self.assigns(0) {
            return Err(unknown(&name));
        }
        self.at += 1;
        self.expect("row_count")?;
        self.semicolon()
    }

    /// `name := value;`, `record.column := value;`
    fn assignment(&mut self) -> Result<()> {
        let name = self.name()?;
        let (to, name) = if self.is(".") {
            self.at += 1;
            let column = self.name()?;
            let to = self.judge.frame().field(&name, &column).ok_or_else(|| unknown(&name))?;
            (to, format!("{name}.{column}"))
        } else {
            match self.judge.frame().variable(&name) {
                Some(Variable::Scalar(to)) if may_be_called(&name) => (to, name),
                _ => return Err(unknown(&name)),
            }
        };
        if !self.assigns(0) || matches!(to, ColVal::Tainted(_)) {
            return Err(unknown(&name));
        }
        self.at += 1;
        let text = self.until(&[";"])?;
        self.given(text, &to, &format!("variable {name}"))?;
        self.semicolon()
    }

    /// A query, which may give what it reads to variables.
    fn query(&mut self) -> Result<()> {
        let first = self.at;
        let whole = self.until(&[";"])?;
        let end = self.at;
        let writes =
            |i: usize| i > first && ["insert", "merge"].iter().any(|w| self.tokens[i - 1].is_word(self.text, w));
        let into: Vec<usize> =
            (first..end).filter(|&i| self.tokens[i].is_word(self.text, "into") && !writes(i)).collect();
        match into[..] {
            [] => self.judge.query(whole, |_, _| Ok(()))?,
            [into] => {
                self.at = into + 1;
                self.skip("strict");
                let targets = self.targets()?;
                let (before, after) = (self.tokens[into].start as usize, self.tokens[self.at - 1].end as usize);
                let from = self.tokens[first].start as usize;
                let rest = after.max(self.tokens[end - 1].end as usize);
                let query = format!("{} {}", &self.text[from..before], &self.text[after..rest]);
                self.into(&query, &targets)?;
            }
            _ => return Err(not_read()),
        }
        self.at = end;
        self.semicolon()
    }

    /// Names between commas.
    fn targets(&mut self) -> Result<Vec<String>> {
        let mut names = vec![self.name()?];
        while self.is(",") {
            self.at += 1;
            names.push(self.name()?);
        }
        if self.is(".") { Err(not_read()) } else { Ok(names) }
    }

    /// What a query reads goes to variables.
    fn into(&mut self, query: &str, targets: &[String]) -> Result<()> {
        if let [name] = targets
            && matches!(self.judge.frame().variable(name), Some(Variable::Record))
        {
            let columns = self.judge.query(query, |analyzer, outputs| {
                if outputs.opaque {
                    return Err(unknown(name));
                }
                let column = |c: &Derived| match &c.val {
                    ColVal::Open(sites) => {
                        analyzer.decide_plain(sites)?;
                        Ok(Derived { name: c.name.clone(), val: ColVal::Plain })
                    }
                    ColVal::Tainted(_) | ColVal::Built(_) => Err(unknown(&c.name)),
                    _ => Ok(c.clone()),
                };
                outputs.columns.iter().map(column).collect::<Result<Vec<_>>>()
            })?;
            return self.judge.frame_mut().fill(name, columns);
        }
        let mut to = Vec::with_capacity(targets.len());
        for name in targets {
            match self.judge.frame().variable(name) {
                Some(Variable::Scalar(ColVal::Plain)) => to.push(name),
                Some(Variable::Scalar(_)) => return Err(taken_apart(name)),
                _ => return Err(unknown(name)),
            }
        }
        self.judge.query(query, |analyzer, outputs| {
            let pairs = outputs.columns.iter().zip(&to);
            pairs
                .into_iter()
                .try_for_each(|(c, name)| analyzer.flows(&c.val, &ColVal::Plain, &format!("variable {name}")))
        })
    }
}

/// INTO a variable of an encrypted type.
fn taken_apart(name: &str) -> Box<Refusal> {
    refuse::unsupported(format!("PostgreSQL takes what goes INTO variable {name} apart"))
        .hint(format!("{name} := (SELECT ...), or INTO a record."))
}

#[cfg(test)]
mod tests {
    use crate::sql::tests::support;

    #[test]
    fn blocks_that_nest_or_end_oddly_are_refused_and_do_no_harm() {
        let (catalog, path) = (support::catalog(), support::path());
        let said = |body: &str| support::describe(&format!("DO $do$ {body} $do$"), &catalog, &path);
        let write = "UPDATE users SET email = NULL;";
        let nested = |n| format!("{}{write}{}", "BEGIN ".repeat(n), " END;".repeat(n));
        assert_eq!(said(&nested(9)), "untouched\n");
        let odd = [
            "",
            ";",
            "BEGIN",
            "BEGIN END END; END",
            "DECLARE",
            "DECLARE v",
            "BEGIN v :=",
            "BEGIN IF",
            "BEGIN RETURN",
            "<<",
        ];
        let unfinished = odd.iter().map(|tail| format!("BEGIN {write} {tail}"));
        let long = [nested(5000), format!("BEGIN {write} PERFORM {}1{}; END", "(".repeat(5000), ")".repeat(5000))];
        for body in unfinished.chain(long) {
            assert!(said(&body).starts_with("refuse 0A000"), "{}", &body[..body.len().min(200)]);
        }
    }

    #[test]
    fn bodies_are_followed_up_to_a_length() {
        let (catalog, path) = (support::catalog(), support::path());
        let said = |variables: usize, queries: usize| {
            let variables: String = (0..variables).map(|n| format!("v{n} int; ")).collect();
            let body = format!("DECLARE {variables} BEGIN UPDATE users SET email = NULL; {}", "NULL; ".repeat(20_000));
            let body = format!("{body} {} END", "PERFORM 1; ".repeat(queries));
            support::describe(&format!("DO $do$ {body} $do$"), &catalog, &path)
        };
        // Three variables are there from the first.
        assert_eq!(said(997, 9_999), "untouched\n");
        assert!(said(998, 0).contains("it declares more than 1000 variables"), "{}", said(998, 0));
        assert!(said(0, 10_000).contains("it holds more than 10000 queries and expressions"), "{}", said(0, 10_000));
    }
}
