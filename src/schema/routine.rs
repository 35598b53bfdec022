//! Functions and procedures that a statement may call with encrypted values: their signatures, and whether their bodies
//! only move such values.
//!
//! Most bodies are read by analysis when a statement calls them. The others (SQL bodies that PostgreSQL keeps parsed, and
//! those of triggers) are judged by their words alone. Such a body may hold no value that could be compared with an
//! encrypted one, no cast, and no call: then the server's own types see to it that an encrypted value stays one.

use std::sync::Arc;

use super::catalog::Oid;

/// A function or procedure, as calls of it are judged.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routine {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// It is a procedure, for CALL.
    pub procedure: bool,
    /// Types of the arguments that a call gives, in order.
    pub inputs: Vec<Oid>,
    /// Their names, empty for those without.
    pub names: Vec<String>,
    /// How many of them, at the end, may be left away.
    pub defaults: usize,
    /// Names and types of its result columns, where it has OUT, INOUT or TABLE arguments.
    pub outputs: Vec<(String, Oid)>,
    /// Type of the result.
    pub result: Oid,
    /// The last argument is VARIADIC.
    pub variadic: bool,
    /// It touches the closure of encrypted columns, or runs SQL that is not known.
    pub touching: bool,
    /// It may be called with encrypted values, if its body only moves them: no VARIADIC, no polymorphic types.
    pub followed: bool,
    /// Its body, where analysis has to judge that; else it is judged already.
    pub body: Option<Arc<Body>>,
}

/// A body that analysis can read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Body {
    /// The language.
    pub language: Language,
    /// The text.
    pub source: String,
    /// All its arguments in order: name (or empty), type, and whether a call gives it.
    pub arguments: Vec<(String, Oid, bool)>,
    /// The `search_path` that it runs under, if it has one of its own.
    pub path: Option<Vec<String>>,
}

/// Languages that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// SQL.
    Sql,
    /// PL/pgSQL.
    Block,
}

impl Language {
    /// The language of this name.
    pub fn of(name: &str) -> Option<Language> {
        match name {
            "sql" => Some(Language::Sql),
            "plpgsql" => Some(Language::Block),
            _ => None,
        }
    }
}

/// The schemas of a setting `search_path`, as PostgreSQL keeps it. `None`: one depends on who asks, or it cannot be read.
pub fn path_of(setting: &str) -> Option<Vec<String>> {
    schemas_of(setting).filter(|path| !path.iter().any(|name| name.starts_with('$')))
}

/// The same with `$user` where it stands. `None`: it cannot be read.
pub fn schemas_of(setting: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = setting.trim();
    while !rest.is_empty() {
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').filter(|end| !quoted[end + 1..].starts_with('"'))?;
                (quoted[..end].to_owned(), &quoted[end + 1..])
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_lowercase(), &rest[end..])
            }
        };
        path.extend(Some(name).filter(|name| !name.is_empty()));
        rest = match after.trim_start() {
            "" => "",
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
    Some(path)
}

impl Routine {
    /// The argument of this name, counted from 0.
    pub fn input(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| own == name && !name.is_empty())
    }

    /// How many arguments every call of it gives.
    pub fn required(&self) -> usize {
        self.inputs.len().saturating_sub(self.defaults)
    }
}

/// Types whose values PostgreSQL makes of any other type without being asked: `text`, `varchar`, `bpchar`, `name`, `char`.
const TAKES_ANYTHING: [Oid; 5] = [25, 1043, 1042, 19, 18];

/// `record`.
pub const RECORD: Oid = 2249;
/// `void`.
pub const VOID: Oid = 2278;
/// Pseudo-types that stand for others.
const POLYMORPHIC: std::ops::RangeInclusive<Oid> = 5077..=5080;
const OLDER_POLYMORPHIC: [Oid; 8] = [2276, 2277, 2283, 2776, 3500, 3831, 4537, 4538];

/// An encrypted value could come out of a result of this type as text.
pub(super) fn takes_anything(oid: Oid) -> bool {
    TAKES_ANYTHING.contains(&oid)
}

/// The type stands for others.
pub fn is_polymorphic(oid: Oid) -> bool {
    POLYMORPHIC.contains(&oid) || OLDER_POLYMORPHIC.contains(&oid)
}

/// Words that no body has which only moves values.
const REFUSED: &[&str] = &[
    "alter",
    "array",
    "call",
    "cast",
    "collate",
    "commit",
    "copy",
    "create",
    "cursor",
    "deallocate",
    "declare",
    "drop",
    "execute",
    "false",
    "fetch",
    "foreach",
    "for",
    "grant",
    "ilike",
    "like",
    "listen",
    "lock",
    "notify",
    "open",
    "prepare",
    "reset",
    "revoke",
    "rollback",
    "row",
    "savepoint",
    "show",
    "similar",
    "true",
    "truncate",
    "xmlelement",
];

/// Words that a bracket may follow which is no call.
const BEFORE_BRACKET: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "by",
    "coalesce",
    "conflict",
    "count",
    "distinct",
    "elsif",
    "exists",
    "from",
    "if",
    "in",
    "join",
    "not",
    "on",
    "or",
    "perform",
    "return",
    "returning",
    "select",
    "set",
    "then",
    "union",
    "using",
    "values",
    "when",
    "where",
    "with",
];

/// Words that a number may follow: it is compared with nothing.
const BEFORE_NUMBER: &[&str] = &["limit", "offset", "perform"];

/// Operators and marks a body may have.
const MARKS: &[&str] = &["(", ")", ",", ";", ".", "=", ":=", "<>", "<", ">", "<=", ">=", "*", "+", "-"];

/// The body of a function in SQL or PL/pgSQL only moves encrypted values: it stores, selects and compares arguments and
/// columns, and has no value of its own that could be meant for one.
pub fn moves(body: &str) -> bool {
    obstacle(body).is_none()
}

/// The first thing in a body by which it does more than move values, in words that follow "it has". `None`: it only moves them.
pub fn obstacle(body: &str) -> Option<String> {
    let tokens = match tokens(body) {
        Ok(tokens) => tokens,
        Err(why) => return Some(why),
    };
    let word = |i: Option<usize>| match i.and_then(|i| tokens.get(i)) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    tokens.iter().enumerate().find_map(|(i, token)| {
        let before = i.checked_sub(1);
        match token {
            Token::Word(name) if name == "set" => begins_statement(&tokens, i).then(|| "the statement SET".to_owned()),
            Token::Word(name) if name == "do" => {
                let upsert = matches!(word(Some(i + 1)), "update" | "nothing");
                (!upsert).then(|| "the statement DO".to_owned())
            }
            Token::Word(name) => REFUSED.contains(&name.as_str()).then(|| format!("the word {}", name.to_uppercase())),
            Token::Quoted => None,
            Token::Number => {
                let harmless = BEFORE_NUMBER.contains(&word(before)) || exists(&tokens, i);
                (!harmless).then(|| "a number of its own".to_owned())
            }
            Token::Mark("(") => match before.map(|b| &tokens[b]) {
                Some(Token::Word(name)) => {
                    let known = BEFORE_BRACKET.contains(&name.as_str()) || follows_into(&tokens, i);
                    (!known).then(|| format!("a call of {name}"))
                }
                Some(Token::Quoted) => (!follows_into(&tokens, i)).then(|| "a call of a function in quotes".to_owned()),
                _ => None,
            },
            Token::Mark("::") => Some("a cast".to_owned()),
            Token::Mark(mark) => (!MARKS.contains(mark)).then(|| format!("the operator {mark}")),
        }
    })
}

/// `EXISTS (SELECT n`.
fn exists(tokens: &[Token<'_>], at: usize) -> bool {
    let word = |back: usize, wanted: &str| matches!(at.checked_sub(back).map(|i| &tokens[i]), Some(Token::Word(word)) if word == wanted);
    word(1, "select") && word(3, "exists") && at >= 2 && tokens[at - 2] == Token::Mark("(")
}

/// SET as a statement.
fn begins_statement(tokens: &[Token<'_>], at: usize) -> bool {
    match at.checked_sub(1).map(|before| &tokens[before]) {
        None | Some(Token::Mark(";")) => true,
        Some(Token::Word(word)) => matches!(word.as_str(), "begin" | "then" | "else" | "loop" | "atomic"),
        _ => false,
    }
}

/// The bracket at `at` is behind the name of a table that is written to: `INSERT INTO a.b (`.
fn follows_into(tokens: &[Token<'_>], at: usize) -> bool {
    let mut first = at - 1;
    while first >= 2 && tokens[first - 1] == Token::Mark(".") {
        first -= 2;
    }
    first > 0 && tokens[first - 1] == Token::Word("into".into())
}

#[derive(PartialEq, Eq, Debug)]
enum Token<'t> {
    /// An identifier or key word, in lower case.
    Word(String),
    /// An identifier in quotes, or `$n`.
    Quoted,
    Number,
    Mark(&'t str),
}

/// Why not: it holds a string, or something that is not read here.
fn tokens(text: &str) -> Result<Vec<Token<'_>>, String> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '"' => {
                let end = rest[1..].find('"').ok_or("a name that does not end")?;
                (Some(Token::Quoted), end + 2)
            }
            '$' => {
                let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                if digits == 0 {
                    return Err("a string of its own".to_owned());
                }
                (Some(Token::Quoted), digits + 1)
            }
            '\'' => return Err("a string of its own".to_owned()),
            c if c.is_ascii_digit() => (Some(Token::Number), length_of(rest, |c| c.is_ascii_digit() || c == '.')),
            c if c.is_alphabetic() || c == '_' => {
                let length = length_of(rest, |c| c.is_alphanumeric() || c == '_' || c == '$');
                (Some(Token::Word(rest[..length].to_lowercase())), length)
            }
            c if "(),;.".contains(c) => (Some(Token::Mark(&rest[..1])), 1),
            c if "=:<>*+-".contains(c) => {
                let length = length_of(rest, |c| "=:<>*+-/~!@#%^&|`?".contains(c));
                (Some(Token::Mark(&rest[..length])), length)
            }
            c => return Err(format!("the sign {c}")),
        };
        out.extend(token);
        rest = rest[length..].trim_start();
    }
    Ok(out)
}

fn length_of(text: &str, part: impl Fn(char) -> bool) -> usize {
    text.find(|c| !part(c)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_move_values_are_told() {
        for body in [
            "INSERT INTO users (id, email) VALUES (p_id, p_email)",
            "insert into public.users (id, \"Email\") values ($1, $2) on conflict (id) do update set email = excluded.email returning id;",
            "SELECT email FROM users WHERE id = p_id LIMIT 1",
            "BEGIN RETURN (SELECT u.email FROM users u WHERE u.email = wanted AND u.id <> p_id); END",
            "BEGIN\n  -- it's a comment\n  IF p_email IS NULL THEN RETURN NULL; END IF;\n  UPDATE users SET email = p_email WHERE id = p_id; END;",
            "SELECT count(*) FROM users WHERE EXISTS (SELECT 1 FROM t WHERE t.e = users.email)",
            "BEGIN result := (SELECT e FROM t); END",
        ] {
            assert!(moves(body), "{body}");
        }
    }

    #[test]
    fn bodies_that_do_more_are_told() {
        for body in [
            "SELECT id FROM users WHERE email = 'x'",
            "SELECT id FROM users WHERE age = 5",
            "SELECT id FROM users WHERE active = true",
            "SELECT email::text FROM users",
            "SELECT CAST(email AS text) FROM users",
            "SELECT email || name FROM users",
            "SELECT upper(email) FROM users",
            "SELECT public.leak(email) FROM users",
            "SELECT ROW(email) FROM users",
            "SELECT (email).c FROM users WHERE f ($1)",
            "SELECT $$x$$",
            "BEGIN EXECUTE q; END",
            "DECLARE v text; BEGIN SELECT email INTO v FROM users; RETURN v; END",
            "BEGIN SET search_path = x; END",
            "BEGIN COMMIT; END",
            "SELECT email LIKE p FROM users",
            "SELECT e'x'",
            "SELECT U&\"x\" FROM users",
            "SELECT a /* 'x' */ FROM users",
            "SELECT \"unfinished",
        ] {
            assert!(!moves(body), "{body}");
        }
    }

    #[test]
    fn settings_of_search_path_are_read() {
        let path = |setting| path_of(setting).map(|path| path.join("|"));
        assert_eq!(path("public, seal").as_deref(), Some("public|seal"));
        assert_eq!(path("\"Odd, One\", pg_temp,PUBLIC").as_deref(), Some("Odd, One|pg_temp|public"));
        assert_eq!(path("\"\"").as_deref(), Some(""));
        assert_eq!(path("\"$user\", public"), None);
        assert_eq!(path("\"open"), None);
        assert_eq!(path("\"a\" b"), None);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        for (body, why) in [
            ("SELECT id FROM users WHERE email = 'x'", "a string of its own"),
            ("SELECT id FROM users WHERE age = 5", "a number of its own"),
            ("SELECT email::text FROM users", "a cast"),
            ("SELECT email || name FROM users", "the sign |"),
            ("SELECT upper(email) FROM users", "a call of upper"),
            ("BEGIN EXECUTE q; END", "the word EXECUTE"),
        ] {
            assert_eq!(obstacle(body).as_deref(), Some(why), "{body}");
        }
    }

    #[test]
    fn arguments_may_be_left_away_at_the_end() {
        let required = |defaults| Routine { inputs: vec![20, 25, 25], defaults, ..Routine::default() }.required();
        assert_eq!([0, 2, 3, 4].map(required), [3, 1, 0, 0]);
    }
}
