//! The process environment, read once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Environment variables and the current directory, as values: nothing else in the crate asks the process.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    directory: PathBuf,
    terminal: bool,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("names", &self.variables.keys()).finish_non_exhaustive()
    }
}

impl Environment {
    /// That of this process. Variables that are not UTF-8 are left out, unless they are ours: those stand with
    /// U+FFFD, so that their value is a fault rather than ignored.
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .collect();
        Environment {
            variables,
            directory: std::env::current_dir().unwrap_or_default(),
            terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        }
    }

    /// One made of pairs, in `directory`, without a terminal.
    pub fn of_pairs(directory: &Path, pairs: &[(&str, &str)]) -> Self {
        Environment {
            variables: pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            directory: directory.to_owned(),
            terminal: false,
        }
    }

    /// A variable's value; an empty one counts as unset.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Names and values of every variable that names a setting: `CS_<SECTION>__<KEY>`.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .filter(|(name, _)| name.starts_with("CS_") && name.contains("__"))
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Names of every variable that is ours, settings and others.
    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str).filter(|name| name.starts_with("CS_"))
    }

    /// The current directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Standard error is a terminal.
    pub fn on_terminal(&self) -> bool {
        self.terminal
    }

    /// `COLUMNSEAL_HOME`, default `~/.columnseal`.
    pub fn home(&self) -> PathBuf {
        match self.variable("COLUMNSEAL_HOME") {
            Some(home) => self.directory.join(home),
            None => Path::new(self.variable("HOME").unwrap_or("/")).join(".columnseal"),
        }
    }
}
