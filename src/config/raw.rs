//! What was written, and where: file, environment and flags laid over one another, before any meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Source, Value, ValueKind};

use super::environment::Environment;
use super::faults::Faults;
use super::{Sources, known};

/// Read where no `--config` names another file.
const DEFAULT_FILE: &str = "columnseal.toml";
/// Longest settings or secret file that is read.
const MAX_FILE: u64 = 1 << 20;

/// A value as written.
#[derive(Clone)]
pub(super) struct Written {
    /// The value.
    pub(super) value: Value,
    /// The file, variable or flag it stands in.
    pub(super) origin: String,
    /// Relative paths are relative to this.
    pub(super) base: PathBuf,
    rank: Rank,
}

/// A later source overrides an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    File,
    Variable,
    Flag,
}

/// Values by `section.key`.
#[derive(Default)]
pub(super) struct Raw {
    values: BTreeMap<String, Written>,
    /// Roles that have a table of their own, be it empty.
    roles: BTreeSet<String>,
}

impl Raw {
    /// Roles that have a table of their own.
    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Written> {
        self.values.get(key)
    }

    /// Every key and its value.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, written)| (key.as_str(), &written.value))
    }

    pub(super) fn has_section(&self, section: &str) -> bool {
        self.values.keys().any(|key| key.split('.').next() == Some(section))
    }

    /// Drops what a section says and sets one key of it.
    pub(super) fn replace_section(&mut self, section: &str, key: &str, value: &str, origin: &str) {
        self.values.retain(|name, _| name.split('.').next() != Some(section));
        let value = Value::new(None, ValueKind::String(value.to_owned()));
        self.values.insert(
            format!("{section}.{key}"),
            Written { value, origin: origin.to_owned(), base: PathBuf::new(), rank: Rank::Flag },
        );
    }

    /// Puts a value in place of what an earlier source said. A file form and a direct form of one secret
    /// replace each other.
    fn put(&mut self, name: String, written: Written, faults: &mut Faults) {
        let direct = name.strip_suffix("_file").filter(|direct| known::find(direct).is_some_and(|k| k.secret));
        let known = known::find(direct.unwrap_or(&name));
        match known {
            None => {
                let advice = match known::nearest(&name) {
                    Some(near) => format!("write {near}, or remove it"),
                    None => "remove it; docs/settings.md lists every key".to_owned(),
                };
                faults.add(name, written.origin, "is not a setting", advice);
            }
            Some(_) => {
                let other = match direct {
                    Some(direct) => direct.to_owned(),
                    None => format!("{name}_file"),
                };
                self.values.remove(&other);
                self.roles.extend(known::role_of(&name).map(str::to_owned));
                self.replace_target(&name, written.rank);
                self.values.insert(name, written);
            }
        }
    }

    /// A URL or host from a later source names another database than earlier sources did: what they said of theirs
    /// is dropped, so that no password goes to a host it was not meant for.
    fn replace_target(&mut self, name: &str, rank: Rank) {
        let dropped: &[&str] = match name {
            "database.url" | "database.url_file" => {
                &["host", "port", "name", "user", "password", "password_file", "tls", "root_certificate"]
            }
            "database.host" => &["url", "url_file"],
            _ => return,
        };
        for key in dropped {
            let key = format!("database.{key}");
            if self.values.get(&key).is_some_and(|written| written.rank < rank) {
                self.values.remove(&key);
            }
        }
    }
}

/// Lays the sources over one another.
pub(super) fn gather(environment: &Environment, sources: &Sources, faults: &mut Faults) -> Raw {
    let mut raw = Raw::default();
    file(environment, sources, &mut raw, faults);
    let base = environment.directory();
    for (variable, value) in environment.settings() {
        raw.put(key_of(variable), text(value, variable, base, Rank::Variable), faults);
    }
    for (name, value) in &sources.flags {
        raw.put(name.clone(), text(value, "--set", base, Rank::Flag), faults);
    }
    raw
}

/// The key that a variable names: `CS_SERVER__PORT`, or `CS_POLICY__ROLES__ANALYST__MASK`.
fn key_of(variable: &str) -> String {
    let name = variable["CS_".len()..].to_ascii_lowercase();
    match name.strip_prefix("policy__roles__").and_then(|rest| rest.rsplit_once("__")) {
        Some((role, key)) => format!("{}{role}.{key}", known::ROLES),
        None => name.replacen("__", ".", 1),
    }
}

fn text(value: &str, origin: &str, base: &Path, rank: Rank) -> Written {
    Written {
        value: Value::new(None, ValueKind::String(value.to_owned())),
        origin: origin.to_owned(),
        base: base.to_owned(),
        rank,
    }
}

fn file(environment: &Environment, sources: &Sources, raw: &mut Raw, faults: &mut Faults) {
    let (path, asked) = match &sources.file {
        Some(path) => (environment.directory().join(path), true),
        None => (environment.directory().join(DEFAULT_FILE), false),
    };
    if !asked && !path.exists() {
        return;
    }
    let shown = sources.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE)).display().to_string();
    let content = match read_limited(&path) {
        Ok(content) => content,
        Err(why) => {
            return faults.add(&shown, "", format!("cannot be read ({why})"), "name a readable TOML file");
        }
    };
    let table = match File::from_str(&content, FileFormat::Toml).collect() {
        Ok(table) => table,
        Err(error) => {
            let advice = "correct the line; config/example.toml shows the form";
            return faults.add(&shown, "", format!("is not TOML ({})", without_excerpt(&error)), advice);
        }
    };
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    for (section, value) in table {
        let ValueKind::Table(keys) = value.kind else {
            faults.add(&section, &shown, "stands outside a section", "write it under its [section]");
            continue;
        };
        for (key, value) in keys {
            let written = Written { value, origin: shown.clone(), base: base.clone(), rank: Rank::File };
            match (section.as_str(), key.as_str()) {
                ("policy", "roles") => roles(written, raw, faults),
                _ => raw.put(format!("{section}.{key}"), written, faults),
            }
        }
    }
}

/// `[policy.roles.<role>]`: a table of tables.
fn roles(written: Written, raw: &mut Raw, faults: &mut Faults) {
    let Written { value, origin, base, rank } = written;
    let advice = "write [policy.roles.ROLE] and its keys below";
    let ValueKind::Table(roles) = value.kind else {
        return faults.add("policy.roles", origin, "is not a table of roles", advice);
    };
    for (role, value) in roles {
        let ValueKind::Table(keys) = value.kind else {
            faults.add(format!("{}{role}", known::ROLES), &origin, "is not a table", advice);
            continue;
        };
        for (key, value) in keys {
            let written = Written { value, origin: origin.clone(), base: base.clone(), rank };
            raw.put(format!("{}{role}.{key}", known::ROLES), written, faults);
        }
        raw.roles.insert(role);
    }
}

/// A parser's complaint without the lines that quote the file: they may hold a password.
fn without_excerpt(error: &config::ConfigError) -> String {
    let text = match error {
        config::ConfigError::FileParse { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    let kept: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains('|')).collect();
    kept.join(": ")
}

/// The text of a small file.
pub(super) fn read_limited(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.kind().to_string())?;
    if metadata.len() > MAX_FILE {
        return Err("longer than 1 MiB".to_owned());
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err("not UTF-8".to_owned()),
        Err(error) => Err(error.kind().to_string()),
    }
}
