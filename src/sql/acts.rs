//! What statements do to settings as a whole: the ends of transactions and savepoints, RESET ALL, DISCARD ALL. Told by
//! words alone, statement by statement, so that the server's answers can be followed one by one.

use super::execute;
use super::lex::{Kind, Lexed, Token};

/// What one statement does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// None of the others.
    Other,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END, PREPARE TRANSACTION. `true`: AND CHAIN.
    Commit(bool),
    /// ROLLBACK, ABORT. `true`: AND CHAIN.
    Rollback(bool),
    /// SAVEPOINT of this name.
    Savepoint(Box<str>),
    /// RELEASE of this savepoint.
    Release(Box<str>),
    /// ROLLBACK TO this savepoint.
    RollbackTo(Box<str>),
    /// RESET ALL.
    ResetAll,
    /// DISCARD ALL.
    DiscardAll,
    /// DECLARE of this cursor.
    Declare(Box<str>),
    /// CLOSE of this cursor, or of all.
    Close(Option<Box<str>>),
    /// PREPARE of a statement of this name; the whole text of it.
    Prepare(Box<str>, Box<str>),
    /// DEALLOCATE of this statement.
    Deallocate(Box<str>),
    /// EXECUTE of this statement, by itself or within another.
    Execute(Box<str>),
    /// CALL, DO: outside a transaction block they may commit and roll back within.
    Call,
}

/// What the statements of a text do, one by one, empty ones left out. A text that cannot be read does nothing.
pub fn acts(text: &str, standard_conforming_strings: bool) -> Vec<Act> {
    let Ok(lexed) = Lexed::new(text, standard_conforming_strings) else { return Vec::new() };
    let mut out = Vec::new();
    let mut rest = &lexed.tokens[..];
    while !rest.is_empty() {
        let end = end(text, rest);
        if end > 0 {
            out.push(act(text, &rest[..end]));
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    out
}

/// Index of the semicolon that ends the first statement. Those within brackets, and within the SQL body of a function,
/// end none.
fn end(text: &str, tokens: &[Token]) -> usize {
    let makes = tokens.first().is_some_and(|t| t.is_word(text, "create"));
    let (mut brackets, mut blocks) = (0i32, 0i32);
    for (i, token) in tokens.iter().enumerate() {
        let word = |word: &str| token.is_word(text, word);
        match token.kind {
            Kind::Punct => match token.text(text) {
                "(" | "[" => brackets += 1,
                ")" | "]" => brackets -= 1,
                ";" if brackets <= 0 && blocks <= 0 => return i,
                _ => {}
            },
            Kind::Word if makes && (blocks > 0 || word("begin")) => match () {
                () if word("begin") || word("case") => blocks += 1,
                () if word("end") => blocks -= 1,
                () => {}
            },
            _ => {}
        }
    }
    tokens.len()
}

fn act(text: &str, tokens: &[Token]) -> Act {
    let word = |i: usize| tokens.get(i).and_then(|t| t.name(text)).unwrap_or_default();
    let has = |w: &str| tokens.iter().any(|t| t.is_word(text, w));
    // The last word is the name of a savepoint. One written as U&"…" is known by its text, and found again by the same.
    let named = |t: &Token| t.name(text).unwrap_or_else(|| t.text(text).into()).into();
    let name = || tokens.last().map_or_else(Box::default, named);
    let chains = || has("chain") && !has("no");
    match (&*word(0), &*word(1)) {
        ("begin" | "start", _) => Act::Begin,
        ("commit" | "rollback", "prepared") => Act::Other,
        ("commit" | "end", _) => Act::Commit(chains()),
        ("prepare", "transaction") => Act::Commit(false),
        ("rollback" | "abort", _) if tokens.iter().skip(1).take(2).any(|t| t.is_word(text, "to")) => {
            Act::RollbackTo(name())
        }
        ("rollback" | "abort", _) => Act::Rollback(chains()),
        ("savepoint", _) => Act::Savepoint(name()),
        ("release", _) => Act::Release(name()),
        ("declare", _) => Act::Declare(tokens.get(1).map_or_else(Box::default, named)),
        ("close", "all") if tokens.get(1).is_some_and(|t| t.is_word(text, "all")) => Act::Close(None),
        ("close", _) => Act::Close(Some(name())),
        ("prepare", _) => Act::Prepare(tokens.get(1).map_or_else(Box::default, named), whole(text, tokens)),
        ("deallocate", _) if !tokens.last().is_some_and(|t| t.is_word(text, "all")) => Act::Deallocate(name()),
        ("reset", "all") => Act::ResetAll,
        ("discard", "all") => Act::DiscardAll,
        ("call" | "do", _) => Act::Call,
        ("execute" | "explain" | "create", _) => {
            let executed = execute::place(text, tokens).and_then(|at| tokens.get(at + 1));
            executed.map_or(Act::Other, |t| Act::Execute(named(t)))
        }
        _ => Act::Other,
    }
}

/// A statement as it is written.
fn whole(text: &str, tokens: &[Token]) -> Box<str> {
    let span = tokens.first().zip(tokens.last()).map(|(first, last)| first.start as usize..last.end as usize);
    span.and_then(|span| text.get(span)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Act {
        let [act] = &acts(text, true)[..] else { panic!("{text} is one statement") };
        act.clone()
    }

    #[test]
    fn transactions_and_savepoints_are_told_apart() {
        assert_eq!(one("begin isolation level serializable"), Act::Begin);
        assert_eq!(one("START TRANSACTION;"), Act::Begin);
        assert_eq!(one("/* c */ END WORK AND NO CHAIN"), Act::Commit(false));
        assert_eq!(one("COMMIT AND CHAIN"), Act::Commit(true));
        assert_eq!(one("PREPARE TRANSACTION 'x'"), Act::Commit(false));
        assert_eq!(one("ABORT TRANSACTION"), Act::Rollback(false));
        assert_eq!(one("ROLLBACK AND CHAIN"), Act::Rollback(true));
        for other in
            ["COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "DEALLOCATE PREPARE ALL", "RESET x", "DISCARD PLANS"]
        {
            assert_eq!(one(other), Act::Other, "{other}");
        }
    }

    #[test]
    fn savepoints_keep_their_names() {
        assert_eq!(one("SAVEPOINT Aa"), Act::Savepoint("aa".into()));
        assert_eq!(one("SAVEPOINT \"A\"\"b\""), Act::Savepoint("A\"b".into()));
        assert_eq!(one("RELEASE SAVEPOINT a"), Act::Release("a".into()));
        assert_eq!(one("RELEASE savepoint"), Act::Release("savepoint".into()));
        assert_eq!(one("ROLLBACK TO a"), Act::RollbackTo("a".into()));
        assert_eq!(one("ROLLBACK WORK TO SAVEPOINT \"to\""), Act::RollbackTo("to".into()));
        assert_eq!(one("ROLLBACK TRANSACTION TO TO"), Act::RollbackTo("to".into()));
    }

    #[test]
    fn cursors_and_prepared_statements_keep_their_names() {
        assert_eq!(one("DECLARE C NO SCROLL CURSOR FOR SELECT 1"), Act::Declare("c".into()));
        assert_eq!(one("declare \"cursor\" cursor for table t"), Act::Declare("cursor".into()));
        assert_eq!(one("CLOSE \"C\""), Act::Close(Some("C".into())));
        assert_eq!(one("CLOSE \"all\""), Act::Close(Some("all".into())));
        assert_eq!(one("CLOSE ALL"), Act::Close(None));
        let prepare = "PREPARE P (int) AS SELECT 1";
        assert_eq!(one(&format!(" {prepare} ;")), Act::Prepare("p".into(), prepare.into()));
        assert_eq!(one("EXECUTE \"P\" (1)"), Act::Execute("P".into()));
        assert_eq!(one("EXPLAIN (ANALYZE) EXECUTE p"), Act::Execute("p".into()));
        assert_eq!(one("CREATE TEMP TABLE t AS EXECUTE P(1)"), Act::Execute("p".into()));
        assert_eq!(one("CREATE TABLE execute AS EXECUTE p"), Act::Execute("p".into()));
        assert_eq!(one("EXPLAIN SELECT execute FROM plain"), Act::Other);
        assert_eq!(one("CREATE TABLE t (id int)"), Act::Other);
        assert_eq!(one("DEALLOCATE PREPARE \"All\""), Act::Deallocate("All".into()));
    }

    #[test]
    fn statements_are_counted_as_the_server_counts_them() {
        assert_eq!(acts(";; ; -- nothing\n", true), []);
        assert_eq!(acts("SELECT ';'; RESET ALL;;COMMIT", true), [Act::Other, Act::ResetAll, Act::Commit(false)]);
        let function =
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; ABORT";
        assert_eq!(acts(function, true), [Act::Other, Act::Rollback(false)]);
        assert_eq!(
            acts("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); BEGIN", true),
            [Act::Other, Act::Begin]
        );
        assert_eq!(acts("DO $$ BEGIN; END $$; CALL p()", true), [Act::Call, Act::Call]);
        assert_eq!(acts("SELECT 'open", true), []);
    }
}
