//! The grammar: libpg_query, behind this one module.

use pg_query::protobuf::RawStmt;

use super::lex::{Kind, Lexed};
use super::plan::Refusal;
use super::refuse::{self, Detail, SYNTAX_ERROR, TOO_COMPLEX};

/// Nesting up to which a statement is parsed and analysed on the caller's stack.
const SHALLOW: usize = 120;
/// Nesting beyond which a statement is refused.
const DEEPEST: usize = 6_000;
/// Stack for statements between the two: 40 KiB a level.
const BIG_STACK: usize = DEEPEST * 40 * 1024;

/// Parses the text and gives the tree to `look`, on a thread with a large stack if the text nests deeply.
pub(super) fn with_tree<R: Send>(
    text: &str,
    lexed: &Lexed,
    look: impl FnOnce(&[RawStmt]) -> R + Send,
) -> Result<R, Box<Refusal>> {
    let run = || parsed(text, lexed).map(|raw| look(&raw));
    let depth = nesting(text, lexed);
    if depth <= SHALLOW {
        return run();
    }
    if depth > DEEPEST {
        return Err(refuse::with(TOO_COMPLEX, "statement nests too deeply to be analysed"));
    }
    let too_complex = |_| refuse::with(TOO_COMPLEX, "statement could not be analysed");
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(BIG_STACK).spawn_scoped(scope, run);
        match thread.map_err(|e| too_complex(Box::new(e) as Box<dyn std::any::Any + Send>))?.join() {
            Ok(result) => result,
            Err(panic) => Err(too_complex(panic)),
        }
    })
}

/// The statements of a text that nests little: what holds it may be nested itself.
pub(super) fn shallow(text: &str, lexed: &Lexed) -> Result<Vec<RawStmt>, Box<Refusal>> {
    if nesting(text, lexed) > SHALLOW / 2 {
        return Err(refuse::with(TOO_COMPLEX, "statement nests too deeply to be analysed"));
    }
    parsed(text, lexed)
}

fn parsed(text: &str, lexed: &Lexed) -> Result<Vec<RawStmt>, Box<Refusal>> {
    match pg_query::parse(text, 0) {
        Ok(parsed) => Ok(parsed.protobuf.stmts),
        Err(pg_query::Error::Parse(message)) => Err(syntax_error(text, lexed, &message)),
        Err(_) => Err(refuse::with(TOO_COMPLEX, "statement could not be analysed")),
    }
}

/// Bound of how deeply the tree can nest: tokens that nest, counted within brackets and from comma to comma.
fn nesting(text: &str, lexed: &Lexed) -> usize {
    let mut open: Vec<usize> = Vec::new();
    let (mut here, mut outside, mut most) = (0usize, 0usize, 0usize);
    for token in &lexed.tokens {
        match token.kind {
            Kind::Op | Kind::Other => here += 1,
            Kind::Word => here += usize::from(nests(token.text(text))),
            Kind::Punct => match text.as_bytes()[token.start as usize] {
                b'(' | b'[' => {
                    open.push(here);
                    outside += here + 1;
                    here = 0;
                }
                b')' | b']' => {
                    if let Some(before) = open.pop() {
                        outside -= before + 1;
                        here = before + 1;
                    }
                }
                b',' | b';' => here = 0,
                b':' => here += 1,
                _ => {}
            },
            _ => {}
        }
        most = most.max(outside + here);
    }
    most
}

/// Key words that put one expression or query inside another.
fn nests(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "not",
        "is",
        "isnull",
        "notnull",
        "in",
        "like",
        "ilike",
        "similar",
        "between",
        "collate",
        "at",
        "union",
        "intersect",
        "except",
        "join",
        "case",
        "else",
        "select",
        "explain",
        "prepare",
        "and",
        "or",
    ];
    word.len() <= 9 && WORDS.iter().any(|w| word.eq_ignore_ascii_case(w))
}

/// PostgreSQL's syntax error, without the text it quotes if that may be a value, and with its position.
fn syntax_error(text: &str, lexed: &Lexed, message: &str) -> Box<Refusal> {
    let Some((what, near)) =
        message.rsplit_once(" at or near \"").map(|(what, near)| (what, near.trim_end_matches('"')))
    else {
        let position = if message.contains("at end of input") { text.len() as i32 } else { -1 };
        let message = if message.contains('"') || message.contains('\'') { "syntax error" } else { message };
        return refuse::with(SYNTAX_ERROR, message.to_string()).at(position);
    };
    let candidates = lexed.tokens.iter().filter(|t| text[t.start as usize..].starts_with(near));
    let at_fault = candidates.take(8).find(|t| {
        // The text up to the token at fault fails at that token; up to an earlier one, at its end. What is quoted may be
        // more than the token: the number and what is stuck to it.
        let end = (t.end as usize).max(t.start as usize + near.len());
        matches!(pg_query::parse(&text[..end], 0), Err(pg_query::Error::Parse(m)) if m == message)
    });
    match at_fault {
        Some(token) if matches!(token.kind, Kind::Word) => {
            refuse::with(SYNTAX_ERROR, format!("{what} at or near \"{}\"", token.text(text))).at(token.start as i32)
        }
        Some(token) => refuse::with(SYNTAX_ERROR, what.to_string()).at(token.start as i32),
        None => refuse::with(SYNTAX_ERROR, what.to_string()),
    }
}
