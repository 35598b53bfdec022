//! Options of COPY, checked as `ProcessCopyOptions` does.

use pg_query::NodeEnum;
use pg_query::protobuf::{DefElem, Node};

use crate::sql::refuse::{self, Detail, Result, SYNTAX_ERROR};
use crate::sql::tree;
use crate::wire::copy::{Dialect, Header, Kind};
use crate::wire::sqlstate::SqlState;

/// `invalid_parameter_value`.
const INVALID_VALUE: SqlState = SqlState("22023");

/// Columns that an option names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Named {
    /// None: the option is not there.
    #[default]
    Nothing,
    /// `*`.
    All,
    /// These.
    Columns(Vec<String>),
}

impl Named {
    /// It holds for a column of this name.
    pub fn holds(&self, name: &str) -> bool {
        match self {
            Named::Nothing => false,
            Named::All => true,
            Named::Columns(names) => names.iter().any(|n| n == name),
        }
    }
}

/// What the options say.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) dialect: Dialect,
    pub(super) force_quote: Named,
    pub(super) force_not_null: Named,
    pub(super) force_null: Named,
}

/// The options as they are written.
#[derive(Default)]
struct Written {
    kind: Option<Kind>,
    header: Option<Header>,
    delimiter: Option<String>,
    null: Option<String>,
    default: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Named,
    force_not_null: Named,
    force_null: Named,
    seen: Vec<String>,
}

impl Options {
    /// Of a COPY FROM or TO.
    pub(super) fn read(list: &[Node], is_from: bool) -> Result<Options> {
        let mut written = Written::default();
        for node in list {
            let Some(NodeEnum::DefElem(option)) = tree::kind(node) else { continue };
            written.take(option, is_from)?;
        }
        written.check(is_from)
    }
}

fn invalid(message: String) -> Box<crate::sql::plan::Refusal> {
    refuse::with(INVALID_VALUE, message)
}

/// `defGetString`.
fn text(option: &DefElem) -> Result<String> {
    let missing = || refuse::with(SYNTAX_ERROR, format!("{} requires a parameter", option.defname));
    match option.arg.as_deref().and_then(tree::kind).ok_or_else(missing)? {
        NodeEnum::String(s) => Ok(s.sval.clone()),
        NodeEnum::Integer(i) => Ok(i.ival.to_string()),
        NodeEnum::Float(f) => Ok(f.fval.clone()),
        NodeEnum::Boolean(b) => Ok(if b.boolval { "true" } else { "false" }.into()),
        _ => Err(missing()),
    }
}

/// `defGetBoolean`; `None`: another word.
fn boolean(option: &DefElem) -> Option<bool> {
    match option.arg.as_deref().and_then(tree::kind) {
        None => Some(true),
        Some(NodeEnum::Boolean(b)) => Some(b.boolval),
        Some(NodeEnum::Integer(i)) if i.ival == 0 || i.ival == 1 => Some(i.ival == 1),
        Some(NodeEnum::String(s)) if s.sval.eq_ignore_ascii_case("true") || s.sval.eq_ignore_ascii_case("on") => {
            Some(true)
        }
        Some(NodeEnum::String(s)) if s.sval.eq_ignore_ascii_case("false") || s.sval.eq_ignore_ascii_case("off") => {
            Some(false)
        }
        Some(_) => None,
    }
}

fn names(option: &DefElem) -> Result<Named> {
    match option.arg.as_deref().and_then(tree::kind) {
        Some(NodeEnum::AStar(_)) => Ok(Named::All),
        Some(NodeEnum::List(list)) => {
            Ok(Named::Columns(tree::strings(&list.items).into_iter().map(String::from).collect()))
        }
        _ => Err(invalid(format!("argument to option \"{}\" must be a list of column names", option.defname))),
    }
}

impl Written {
    fn take(&mut self, option: &DefElem, is_from: bool) -> Result<()> {
        let name = option.defname.as_str();
        if self.seen.iter().any(|seen| seen == name) {
            return Err(refuse::with(SYNTAX_ERROR, "conflicting or redundant options"));
        }
        self.seen.push(name.to_owned());
        match name {
            "format" => {
                self.kind = Some(match text(option)?.as_str() {
                    "text" => Kind::Text,
                    "csv" => Kind::Csv,
                    "binary" => Kind::Binary,
                    _ => return Err(invalid("COPY format not recognized".into())),
                });
            }
            "freeze" if boolean(option).is_some() => {}
            "freeze" => return Err(refuse::with(SYNTAX_ERROR, "freeze requires a Boolean value")),
            "header" => self.header = Some(header(option, is_from)?),
            "delimiter" => self.delimiter = Some(text(option)?),
            "null" => self.null = Some(text(option)?),
            "default" if is_from => self.default = Some(text(option)?),
            "quote" => self.quote = Some(text(option)?),
            "escape" => self.escape = Some(text(option)?),
            "force_quote" => self.force_quote = names(option)?,
            "force_not_null" => self.force_not_null = names(option)?,
            "force_null" => self.force_null = names(option)?,
            "encoding" if is_utf8(&text(option)?) => {}
            "encoding" => {
                return Err(refuse::unsupported(
                    "COPY with an encoding other than UTF8 is not supported with encrypted columns",
                )
                .hint("Convert the data to UTF-8, and leave the option out or say ENCODING 'UTF8'."));
            }
            "on_error" if text(option)?.eq_ignore_ascii_case("stop") => {}
            "log_verbosity" => {}
            "on_error" | "reject_limit" => {
                return Err(refuse::unsupported(format!("COPY option {name} is not supported with encrypted columns"))
                    .hint("Leave it out: the first row that cannot be read ends the COPY."));
            }
            _ => return Err(refuse::with(SYNTAX_ERROR, format!("option \"{name}\" not recognized"))),
        }
        Ok(())
    }

    fn check(self, is_from: bool) -> Result<Options> {
        let kind = self.kind.unwrap_or_default();
        let (binary, csv) = (kind == Kind::Binary, kind == Kind::Csv);
        for (given, name) in [(&self.delimiter, "DELIMITER"), (&self.null, "NULL"), (&self.default, "DEFAULT")] {
            if binary && given.is_some() {
                return Err(refuse::with(SYNTAX_ERROR, format!("cannot specify {name} in BINARY mode")));
            }
        }
        let mut dialect = Dialect::new(kind);
        if let Some(delimiter) = &self.delimiter {
            dialect.delimiter = one_byte(delimiter, "delimiter")?;
        }
        for (option, marker) in [(&self.null, "null"), (&self.default, "default")] {
            if option.as_ref().is_some_and(|text| text.contains(['\r', '\n'])) {
                let message = format!("COPY {marker} representation cannot use newline or carriage return");
                return Err(invalid(message));
            }
        }
        if matches!(dialect.delimiter, b'\r' | b'\n') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return".into()));
        }
        if let Some(null) = &self.null {
            dialect.null = null.as_bytes().into();
        }
        let unsafe_one = |b: u8| b == b'\\' || b == b'.' || b.is_ascii_lowercase() || b.is_ascii_digit();
        if kind == Kind::Text && unsafe_one(dialect.delimiter) {
            return Err(invalid(format!("COPY delimiter cannot be \"{}\"", char::from(dialect.delimiter))));
        }
        if binary && self.header.is_some_and(|h| h != Header::None) {
            return Err(refuse::unsupported("cannot specify HEADER in BINARY mode"));
        }
        dialect.header = self.header.unwrap_or_default();
        dialect.default = self.default.as_ref().map(|text| text.as_bytes().into());
        self.check_quoting(csv, &mut dialect)?;
        self.check_forcing(csv, is_from)?;
        for marker in [Some(&dialect.null), dialect.default.as_ref()].into_iter().flatten() {
            if !binary && marker.contains(&dialect.delimiter) {
                return Err(refuse::unsupported("COPY delimiter must not appear in the NULL specification"));
            }
            if csv && marker.contains(&dialect.quote) {
                return Err(refuse::unsupported("CSV quote character must not appear in the NULL specification"));
            }
        }
        if dialect.default.as_ref() == Some(&dialect.null) {
            return Err(refuse::unsupported("NULL specification and DEFAULT specification cannot be the same"));
        }
        let Written { force_quote, force_not_null, force_null, .. } = self;
        Ok(Options { dialect, force_quote, force_not_null, force_null })
    }

    fn check_quoting(&self, csv: bool, dialect: &mut Dialect) -> Result<()> {
        for (given, name) in [(&self.quote, "quote"), (&self.escape, "escape")] {
            if given.is_some() && !csv {
                return Err(refuse::unsupported(format!("COPY {name} available only in CSV mode")));
            }
        }
        if let Some(quote) = &self.quote {
            dialect.quote = one_byte(quote, "quote")?;
        }
        if csv && dialect.delimiter == dialect.quote {
            return Err(invalid("COPY delimiter and quote must be different".into()));
        }
        dialect.escape = dialect.quote;
        if let Some(escape) = &self.escape {
            dialect.escape = one_byte(escape, "escape")?;
        }
        Ok(())
    }

    fn check_forcing(&self, csv: bool, is_from: bool) -> Result<()> {
        let given = [
            (&self.force_quote, "quote", false),
            (&self.force_not_null, "not null", true),
            (&self.force_null, "null", true),
        ];
        for (named, name, of_from) in given.into_iter().filter(|(named, ..)| **named != Named::Nothing) {
            if !csv {
                return Err(refuse::unsupported(format!("COPY force {name} available only in CSV mode")));
            }
            if is_from != of_from {
                let way = if of_from { "FROM" } else { "TO" };
                return Err(refuse::unsupported(format!("COPY force {name} only available using COPY {way}")));
            }
            if of_from && *named == Named::All {
                return Err(refuse::unsupported(format!(
                    "COPY force {name} * is not supported with encrypted columns"
                ))
                .hint("Name the columns."));
            }
        }
        Ok(())
    }
}

fn header(option: &DefElem, is_from: bool) -> Result<Header> {
    match boolean(option) {
        Some(true) => return Ok(Header::Present),
        Some(false) => return Ok(Header::None),
        None => {}
    }
    match text(option)? {
        word if word.eq_ignore_ascii_case("match") && is_from => Ok(Header::Match),
        word if word.eq_ignore_ascii_case("match") => {
            Err(refuse::unsupported("cannot use \"match\" with HEADER in COPY TO"))
        }
        _ => Err(refuse::with(SYNTAX_ERROR, "header requires a Boolean value or \"match\"")),
    }
}

fn one_byte(text: &str, what: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(refuse::unsupported(format!("COPY {what} must be a single one-byte character"))),
    }
}

/// Names of UTF-8, and of no encoding at all, which is taken as it is.
fn is_utf8(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    ["utf8", "unicode", "sqlascii"].iter().any(|known| letters.eq_ignore_ascii_case(known))
}
