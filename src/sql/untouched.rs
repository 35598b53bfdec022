//! What a statement's words alone decide: whether it can touch anything encrypted, and what running it may change.

use super::execute;
use super::lex::{Kind, Lexed, Token};
use super::plan::Effects;
use crate::schema::catalog::Catalog;

/// First words of statements whose strings are run by the server.
const BODIES: &[&str] = &["do", "create"];

/// Functions that run SQL given as text. A trailing `*` stands for any ending.
const SQL_RUNNING: &[&str] = &[
    "query_to_xml*",
    "table_to_xml*",
    "schema_to_xml*",
    "database_to_xml*",
    "cursor_to_xml*",
    "ts_stat",
    "ts_rewrite",
    "dblink*",
    "crosstab*",
    "connectby",
    "xpath_table",
];

/// Whether a function of this name runs SQL that it is given as text.
pub(super) fn runs_sql(name: &str) -> bool {
    SQL_RUNNING.iter().any(|known| match known.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *known,
    })
}

/// What the words of one statement say.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Words {
    /// It may touch something encrypted: look at the tree.
    pub(super) suspect: bool,
    /// It may set or show a setting of this proxy: look at the tree, encrypted columns or not.
    pub(super) ours: bool,
    pub(super) effects: Effects,
}

/// Reads the words of one statement.
pub(super) fn words(text: &str, tokens: &[Token], catalog: &Catalog) -> Words {
    let mut out = Words::default();
    let mut seen = Seen::default();
    let runs_text = tokens.first().is_some_and(|t| BODIES.iter().any(|word| t.is_word(text, word)));
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::UnicodeQuoted => {
                out.suspect = true;
                seen.odd = true;
            }
            Kind::Word | Kind::Quoted => {
                let Some(name) = token.name(text) else { continue };
                let qualified = i > 0 && tokens[i - 1].text(text) == ".";
                out.suspect |= names_encrypted(&name, qualified, catalog);
                let called = tokens.get(i + 1).is_some_and(|t| t.text(text) == "(");
                if called && runs_sql(&name) {
                    out.suspect = true;
                }
                if catalog.unknown_functions.contains(name.as_ref()) || name == "set_config" {
                    out.effects.settings = true;
                    out.effects.writes = true;
                }
                out.effects.configures |= name == "set_config";
                seen.note(&name, token.kind);
            }
            Kind::Str(_) => {
                out.ours |= seen.sets_config && names_ours(token.text(text));
                out.ours |= runs_text && holds_ours(token.text(text));
            }
            _ => {}
        }
    }
    seen.executes = seen.executes && execute::place(text, tokens).is_some();
    if let Some(first) = tokens.iter().find(|t| t.text(text) != "(") {
        let second =
            tokens.iter().skip_while(|t| t.start <= first.start).find_map(|t| t.name(text)).unwrap_or_default();
        seen.judge(&first.text(text).to_ascii_lowercase(), &second, &mut out);
    }
    out
}

/// A relation of the closure, an encrypted type, or a function that touches. The bare name of a built-in type is not
/// taken for an encrypted one of the same name (`text`): no stored value can be reached by a type alone.
fn names_encrypted(name: &str, qualified: bool, catalog: &Catalog) -> bool {
    let known = |name: &str| {
        catalog.touching_names.contains(name)
            || (catalog.touching_types.contains(name) && (qualified || !super::types::is_builtin(name)))
            || name.strip_prefix('_').is_some_and(|n| catalog.touching_types.contains(n))
            || catalog.touching_functions.contains(name)
    };
    // A server with a single-byte encoding folds letters that we do not.
    known(name) || (!name.is_ascii() && known(&name.to_lowercase()))
}

/// What SET may name without changing how any statement or value is read. Applications set these all the time.
const HARMLESS: &[&str] = &[
    "transaction",
    "characteristics",
    "constraints",
    "application_name",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "client_min_messages",
    "synchronous_commit",
    "work_mem",
];

/// Key words that matter anywhere in a statement.
#[derive(Default)]
struct Seen {
    writes: bool,
    into: bool,
    temp: bool,
    path: bool,
    explain_ddl: bool,
    sets_config: bool,
    /// It runs a prepared statement.
    executes: bool,
    all: bool,
    ours: bool,
    /// A name is written as `U&"…"`: it may be any.
    odd: bool,
    /// A setting that changes no statement's meaning is named.
    harmless: bool,
}

impl Seen {
    fn note(&mut self, name: &str, kind: Kind) {
        match name {
            "insert" | "update" | "delete" | "merge" if kind == Kind::Word => self.writes = true,
            "into" if kind == Kind::Word => self.into = true,
            "temp" | "temporary" => self.temp = true,
            "search_path" | "role" | "authorization" | "schema" => self.path = true,
            "all" => (self.all, self.path) = (true, true),
            "create" => self.explain_ddl = true,
            "set_config" => self.sets_config = true,
            "execute" => self.executes = true,
            name if is_ours(name) => self.ours = true,
            name if HARMLESS.contains(&name) => self.harmless = true,
            name if name.starts_with("pg_temp") => self.temp = true,
            _ => {}
        }
    }

    fn judge(&self, first: &str, second: &str, out: &mut Words) {
        let e = &mut out.effects;
        match first {
            "select" | "values" | "table" | "with" => {
                e.writes |= self.writes || self.into;
                if self.into && !self.writes {
                    (e.ddl, e.temp) = (true, true);
                }
            }
            "insert" | "update" | "delete" | "merge" | "refresh" => e.writes = true,
            "truncate" => (e.writes, e.ddl) = (true, false),
            "copy" => (e.copies, e.writes) = (true, true),
            "begin" | "start" | "commit" | "end" | "savepoint" | "release" => (e.transaction, e.turns) = (true, true),
            "rollback" | "abort" => (e.transaction, e.settings, e.turns) = (true, true, true),
            "prepare" if second == "transaction" => (e.transaction, e.turns) = (true, true),
            "prepare" => (e.writes, e.prepares, e.turns) = (true, true, true),
            "declare" => (e.writes, e.turns) = (true, true),
            "set" | "reset" => {
                e.settings |= self.path || !(self.harmless || self.ours);
                e.turns |= first == "reset" && second == "all";
                out.ours |= self.ours || self.odd;
            }
            "show" => out.ours |= self.ours || self.odd,
            "discard" => {
                e.deallocates = second == "all";
                e.settings |= second == "all";
                e.turns |= second == "all";
                e.temp |= matches!(second, "all" | "temp" | "temporary");
                e.ddl |= e.temp;
            }
            "deallocate" => (e.deallocates, e.turns) = (second == "all" || (second == "prepare" && self.all), true),
            "execute" => {
                (e.executes, e.writes, e.settings, e.turns) = (true, true, true, true);
                out.suspect = true;
            }
            "explain" => {
                e.writes |= self.writes || self.explain_ddl;
                e.ddl |= self.explain_ddl;
                e.executes |= self.executes;
                e.turns |= self.executes;
                out.suspect |= self.executes;
            }
            "do" | "call" => {
                *e = Effects {
                    ddl: true,
                    settings: true,
                    temp: true,
                    writes: true,
                    transaction: true,
                    turns: true,
                    ..*e
                };
                out.suspect |= first == "do";
            }
            "create" | "alter" | "drop" | "import" | "reassign" | "comment" | "grant" | "revoke" | "security"
            | "load" => {
                e.ddl = true;
                e.writes = true;
                e.temp |= self.temp || first == "drop";
                e.executes |= self.executes;
                e.turns |= e.executes;
                out.suspect |= self.executes;
                // Bodies of functions are strings, which may name anything.
                out.suspect |= first == "create" && matches!(second, "function" | "procedure" | "or");
                // ALTER ROLE ... SET and the like; a function's own settings.
                out.ours |= self.ours && matches!(first, "create" | "alter");
            }
            "fetch" => (e.fetches, out.suspect) = (true, true),
            "move" => {}
            "close" => e.turns = true,
            "listen" | "unlisten" | "notify" | "checkpoint" | "lock" | "analyze" | "analyse" | "vacuum" | "reindex"
            | "cluster" => {}
            _ => (e.ddl, e.writes) = (true, true),
        }
    }
}

/// Prefixes of settings that are this proxy's own.
const OURS: [&str; 2] = ["columnseal", "cipherstash"];

/// Such a prefix, or a whole name with one in a single pair of quotes.
fn is_ours(name: &str) -> bool {
    let prefix = name.split_once('.').map_or(name, |(prefix, _)| prefix);
    OURS.iter().any(|ours| prefix.eq_ignore_ascii_case(ours))
}

/// The text holds the name of a setting that is this proxy's own, wherever it stands.
pub fn holds_ours(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    OURS.iter().any(|ours| lower.contains(ours))
}

/// A text that begins with such a prefix and a point, in quotes or not.
pub fn names_ours(text: &str) -> bool {
    let name = text.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    name.contains('.') && is_ours(name)
}

impl Effects {
    /// The effects of both.
    pub fn join(self, other: Effects) -> Effects {
        Effects {
            ddl: self.ddl | other.ddl,
            settings: self.settings | other.settings,
            temp: self.temp | other.temp,
            writes: self.writes | other.writes,
            deallocates: self.deallocates | other.deallocates,
            prepares: self.prepares | other.prepares,
            executes: self.executes | other.executes,
            fetches: self.fetches | other.fetches,
            copies: self.copies | other.copies,
            transaction: self.transaction | other.transaction,
            turns: self.turns | other.turns,
            chooses: self.chooses | other.chooses,
            configures: self.configures | other.configures,
        }
    }
}

/// Reads the words of all statements of a text.
pub(super) fn words_of_text(text: &str, lexed: &Lexed, catalog: &Catalog) -> Words {
    let mut out = Words::default();
    for statement in lexed.tokens.split(|t| t.kind == Kind::Punct && t.text(text) == ";") {
        let words = words(text, statement, catalog);
        out.suspect |= words.suspect;
        out.ours |= words.ours;
        out.effects = out.effects.join(words.effects);
    }
    out
}
