//! Settings of the proxy itself: SET and RESET of the keyset, SHOW of what the proxy says of itself.

use std::sync::OnceLock;

use pg_query::NodeEnum;
use pg_query::protobuf::{AConst, Float, Integer, Node, String as Text, VariableSetKind, VariableSetStmt, a_const};

use super::analyzer::Analyzer;
use super::lex::Kind;
use super::plan::{Loose, OutColumn, Param, Piece, Plan, Refusal, Role, Source, Template};
use super::refuse::{self, Detail, Result};
use super::statement::Outcome;
use super::tree;
use super::untouched::holds_ours;
use crate::wire::sqlstate::SqlState;

/// `undefined_object`: what PostgreSQL says of a setting that it does not know.
const UNDEFINED_OBJECT: SqlState = SqlState("42704");
/// `cant_change_runtime_param`.
const CANNOT_CHANGE: SqlState = SqlState("55P02");
/// `invalid_parameter_value`.
const INVALID_VALUE: SqlState = SqlState("22023");

/// Settings that a session can choose: the keyset, in its spellings, and how catalogs are seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spelling {
    /// `columnseal.keyset`: name or id.
    Keyset,
    /// `cipherstash.keyset_id`.
    Id,
    /// `cipherstash.keyset_name`.
    Name,
    /// `columnseal.introspection`, which is another setting.
    Introspection,
}

impl Spelling {
    /// The spelling of a setting's name, in any case.
    pub fn of(name: &str) -> Option<Spelling> {
        match &*name.to_ascii_lowercase() {
            "columnseal.keyset" => Some(Spelling::Keyset),
            "cipherstash.keyset_id" => Some(Spelling::Id),
            "cipherstash.keyset_name" => Some(Spelling::Name),
            "columnseal.introspection" => Some(Spelling::Introspection),
            _ => None,
        }
    }
}

/// A choice as a statement words it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// How the setting is named.
    pub spelling: Spelling,
    /// The value; `None`: back to what the session began with.
    pub value: Option<String>,
    /// SET LOCAL.
    pub local: bool,
}

/// What SHOW can tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// A choice.
    Keyset(Spelling),
    /// Client, key service, keyset.
    Status,
    /// Version of the proxy.
    Version,
    /// Granted keysets.
    Keysets,
    /// Encrypted types of the database.
    Types,
}

impl Show {
    /// Columns of the answer with their types, where it is a table.
    fn table(self) -> Option<&'static [(&'static str, &'static str)]> {
        match self {
            Show::Keyset(_) | Show::Version => None,
            Show::Status => Some(&[
                ("client", "uuid"),
                ("keyset", "text"),
                ("keyset_id", "uuid"),
                ("key_service", "text"),
                ("lease_seconds_left", "int8"),
                ("generation", "int8"),
                ("revision", "int8"),
                ("version", "text"),
            ]),
            Show::Keysets => Some(&[
                ("name", "text"),
                ("id", "uuid"),
                ("permissions", "text"),
                ("usable", "bool"),
                ("chosen", "bool"),
            ]),
            Show::Types => Some(&[
                ("name", "text"),
                ("id", "uuid"),
                ("plain", "text"),
                ("terms", "text"),
                ("keyset", "text"),
                ("standing", "text"),
            ]),
        }
    }

    /// The name of the setting, which heads the answer.
    fn name(self) -> &'static str {
        match self {
            Show::Keyset(Spelling::Keyset) => "columnseal.keyset",
            Show::Keyset(Spelling::Id) => "cipherstash.keyset_id",
            Show::Keyset(Spelling::Name) => "cipherstash.keyset_name",
            Show::Keyset(Spelling::Introspection) => "columnseal.introspection",
            Show::Status => "columnseal.status",
            Show::Version => "columnseal.version",
            Show::Keysets => "columnseal.keysets",
            Show::Types => "columnseal.types",
        }
    }

    /// A query that gives back what the proxy sends as its one parameter, so that order and protocol are the server's.
    pub(super) fn plan(self, client_params: usize) -> Plan {
        let (sql, columns) = match self.table() {
            None => (format!("SELECT $1::pg_catalog.text AS \"{}\"", self.name()), 1),
            Some(columns) => {
                let list: Vec<String> = columns.iter().map(|(name, ty)| format!("{name} pg_catalog.{ty}")).collect();
                let list = list.join(", ");
                let sql = format!(
                    "SELECT * FROM pg_catalog.json_to_recordset($1::pg_catalog.text::pg_catalog.json) AS t({list})"
                );
                (sql, columns.len())
            }
        };
        let template = Template { pieces: vec![Piece::Text { text: sql, source: 0, copied: false }] };
        let shown = Param::new(Source::Shown, Role::Shown(self), "");
        Plan {
            described: Some(template.clone()),
            executed: template,
            params: vec![shown],
            loose: Loose::default(),
            client_params,
            columns: Some(vec![OutColumn::Plain; columns]),
            copy: None,
            steps: None,
            checks: Vec::new(),
            searches: Vec::new(),
            letters: None,
            built: Vec::new(),
            cursor: None,
            prepares: None,
            reads: None,
            confirmed: OnceLock::new(),
            shape: OnceLock::new(),
        }
    }
}

/// What SHOW of this setting tells.
pub(super) fn show(name: &str) -> Result<Show> {
    if let Some(spelling) = Spelling::of(name) {
        return Ok(Show::Keyset(spelling));
    }
    let known = [Show::Status, Show::Version, Show::Keysets, Show::Types];
    known.into_iter().find(|show| show.name().eq_ignore_ascii_case(name)).ok_or_else(|| unknown(name))
}

/// A setting of ours that is none. The name is the client's own, cut short.
fn unknown(name: &str) -> Box<Refusal> {
    let name: String = name.chars().take(63).collect();
    refuse::with(UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\"")).hint(
        "There are columnseal.keyset and .introspection, which can be set, and columnseal.status, .version, .keysets and .types to show.",
    )
}

/// A way of changing the setting that the proxy could not follow: the server would take it, and nothing would happen.
pub(super) fn not_followed(construct: &str) -> Box<Refusal> {
    refuse::unsupported(format!("settings columnseal.* and cipherstash.* cannot be changed by {construct}"))
        .hint("Use SET columnseal.keyset = '...', SET LOCAL or RESET, with the value written out.")
}

/// A statement that may make others change a setting: functions, roles, databases.
pub(super) fn may_keep(kind: &NodeEnum) -> bool {
    matches!(
        kind,
        NodeEnum::CreateFunctionStmt(_)
            | NodeEnum::AlterFunctionStmt(_)
            | NodeEnum::AlterRoleSetStmt(_)
            | NodeEnum::AlterDatabaseSetStmt(_)
            | NodeEnum::AlterSystemStmt(_)
    )
}

impl Analyzer<'_> {
    /// Some name or string of the statement holds a setting of ours.
    pub(super) fn holds_own_setting(&mut self) -> bool {
        self.fixed.extend(0..self.literals.len());
        let names = |kind: Kind| matches!(kind, Kind::Word | Kind::Quoted | Kind::UnicodeQuoted | Kind::Str(_));
        self.lexed.tokens.iter().any(|t| names(t.kind) && holds_ours(t.text(self.text)))
    }

    /// The function is named: in a statement that is no query, its arguments are not looked into.
    pub(super) fn calls_set_config(&self) -> bool {
        self.lexed.tokens.iter().any(|t| t.name(self.text).is_some_and(|name| name == "set_config"))
    }

    /// SET or RESET of a setting of ours.
    pub(super) fn set_own(&mut self, set: &VariableSetStmt) -> Result<Outcome> {
        // Whatever the value is, the analysis is of it alone.
        self.fixed.extend(0..self.literals.len());
        let Some(spelling) = Spelling::of(&set.name) else {
            return Err(match show(&set.name) {
                Ok(_) => refuse::with(CANNOT_CHANGE, format!("parameter \"{}\" cannot be changed", set.name)),
                Err(unknown) => unknown,
            });
        };
        let value = match set.kind() {
            VariableSetKind::VarSetDefault | VariableSetKind::VarReset => None,
            VariableSetKind::VarSetValue => Some(match &set.args[..] {
                [one] => constant(one).ok_or_else(|| invalid(&set.name, spelling))?,
                _ => return Err(refuse::with(INVALID_VALUE, format!("SET {} takes only one argument", set.name))),
            }),
            _ => return Err(not_followed("SET ... FROM CURRENT")),
        };
        Ok(Outcome::Choose(Wish { spelling, value, local: set.is_local }))
    }
}

fn invalid(name: &str, spelling: Spelling) -> Box<Refusal> {
    let hint = match spelling {
        Spelling::Introspection => "It is sealed or plain.",
        _ => "Write the keyset's name or id as a string.",
    };
    refuse::with(INVALID_VALUE, format!("invalid value for parameter \"{name}\"")).hint(hint)
}

/// The value as SET reads it: a string, a word or a number.
fn constant(node: &Node) -> Option<String> {
    let Some(NodeEnum::AConst(AConst { val: Some(value), .. })) = tree::kind(node) else { return None };
    match value {
        a_const::Val::Sval(Text { sval }) => Some(sval.clone()),
        a_const::Val::Ival(Integer { ival }) => Some(ival.to_string()),
        a_const::Val::Fval(Float { fval }) => Some(fval.clone()),
        _ => None,
    }
}
