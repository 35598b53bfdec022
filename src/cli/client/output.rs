//! How a new client key is handed over: once, on standard output or in a private file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::super::Context;
use super::super::output::{Exit, Failure, Output};

/// Where a key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Env,
    Json,
    File(PathBuf),
}

/// Reads `--output`.
pub(super) fn form(text: &str) -> Result<Form, String> {
    match text {
        "env" => Ok(Form::Env),
        "json" => Ok(Form::Json),
        other => match other.strip_prefix("file:").filter(|path| !path.is_empty()) {
            Some(path) => Ok(Form::File(path.into())),
            None => Err("write env, json or file:PATH".to_owned()),
        },
    }
}

/// A place that is ready to take a key, before the key is made: no key is made that cannot be handed over.
pub(super) enum Place {
    Stdout { json: bool },
    File { path: PathBuf, file: File },
}

/// What is handed over.
pub(super) struct Handed<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a SecretString,
    /// Beside the key, in JSON.
    pub(super) beside: (&'static str, Value),
    /// One more line beside the key.
    pub(super) more: Option<String>,
}

impl Place {
    pub(super) fn prepare(form: &Form, attempted: &str) -> Result<Self, Failure> {
        Ok(match form {
            Form::Env => Self::Stdout { json: false },
            Form::Json => Self::Stdout { json: true },
            Form::File(path) => Self::File { path: path.clone(), file: private_file(path, attempted)? },
        })
    }

    /// No key was made: leaves nothing behind.
    pub(super) fn abandon(&self) {
        if let Self::File { path, .. } = self {
            drop(std::fs::remove_file(path));
        }
    }

    /// Hands the key over. The error says why that failed.
    pub(super) fn hand_over(&mut self, context: &Context, handed: &Handed<'_>) -> Result<(), String> {
        let (id, secret, (name, beside)) = (handed.id, handed.secret.expose_secret(), &handed.beside);
        let mut lines = format!("CS_CLIENT_ID={id}\nCS_CLIENT_KEY={secret}\n");
        match self {
            Self::Stdout { json } => {
                let mut value = json!({ "CS_CLIENT_ID": id, "CS_CLIENT_KEY": secret });
                value[*name] = beside.clone();
                lines.extend(handed.more.clone());
                let output = Output { json: *json || context.output.json, ..context.output };
                let said = output.hand_over(&value, lines.trim_end());
                said.map_err(|error| format!("standard output does not take the key: {error}"))?;
                context.output.note("The key is shown this once. Keep it where your secrets live.");
            }
            Self::File { path, file } => {
                let written = file.write_all(lines.as_bytes()).and_then(|()| file.sync_all());
                written.map_err(|error| format!("{} could not be written: {error}", path.display()))?;
                let mut value = json!({ "file": path });
                value[*name] = beside.clone();
                let text = handed.more.clone().unwrap_or_else(|| format!("CS_CLIENT_ID={id}"));
                context.output.result(&value, &text);
                context.output.note(&format!("The key is in {} (mode 0600) and nowhere else.", path.display()));
            }
        }
        Ok(())
    }
}

/// A new file that only its owner can read. An existing file is never overwritten.
fn private_file(path: &Path, attempted: &str) -> Result<File, Failure> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        let why = format!("{}: {error}", path.display());
        Failure::new(Exit::Failed, "files", attempted, why, "name a file that does not exist yet")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_output() {
        assert_eq!(form("env"), Ok(Form::Env));
        assert_eq!(form("file:/run/key"), Ok(Form::File("/run/key".into())));
        for bad in ["", "file:", "yaml", "ENV"] {
            assert!(form(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_file_is_private_and_never_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("key.env");
        private_file(&path, "x").expect("it is new");
        let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(private_file(&path, "x").expect_err("it is there now").exit, Exit::Failed);
    }
}
