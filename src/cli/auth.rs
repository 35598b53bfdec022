//! `columnseal auth …`: users that the proxy lets in itself.

use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use columnseal::config::load_users;
use columnseal::session::users::{self, UsersError};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;
use zeroize::Zeroizing;

use super::Context;
use super::output::{Exit, Failure, Outcome};

/// Subcommands of `auth`. They change the file of `auth.users`; a running proxy reads it again by itself.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Auth {
    /// Let a user in, or give it another password: asked for on the terminal, else the first line of standard input
    Add {
        /// The user's name
        user: String,
        /// The role that it is to the database [default: that of [database] user]
        #[arg(long = "as", value_name = "ROLE")]
        role: Option<String>,
        /// Print the line and change nothing
        #[arg(long)]
        print: bool,
        #[command(flatten)]
        file: File,
    },
    /// Let a user in no more; its open connections stay
    Remove {
        /// The user's name
        user: String,
        #[command(flatten)]
        file: File,
    },
    /// List all users
    List {
        #[command(flatten)]
        file: File,
    },
}

/// Which file.
#[derive(clap::Args, Debug)]
pub(super) struct File {
    /// The file of users [default: auth.users of the settings]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl File {
    fn path(&self, context: &Context, attempted: &str) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.file {
            return Ok(context.environment.directory().join(path));
        }
        let configured = context.settings(attempted, load_users(&context.environment, &context.sources))?;
        configured.ok_or_else(|| {
            let advice = "set auth.users, or name a file with --file";
            Failure::new(Exit::Settings, "settings", attempted, "auth.users is not set", advice)
        })
    }
}

impl Auth {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Auth::Add { user, role, print, file } => add(context, (user, role.as_deref()), *print, file),
            Auth::Remove { user, file } => {
                let attempted = format!("remove user `{user}`");
                let path = file.path(context, &attempted)?;
                if !users::put(&path, user, None).map_err(|error| failure(&attempted, &error))? {
                    let advice = "`columnseal auth list` names all";
                    return Err(Failure::new(Exit::Failed, "users", attempted, "there is no such user", advice));
                }
                let value = json!({ "user": user, "file": path, "removed": true });
                context.output.result(&value, &format!("removed from {}", path.display()));
                Ok(())
            }
            Auth::List { file } => {
                let attempted = "list users";
                let path = file.path(context, attempted)?;
                let all = users::list(&path).map_err(|error| failure(attempted, &error))?;
                let value = all.iter().map(|user| json!({ "user": user.name, "role": user.role })).collect();
                let rows: Vec<_> = all.into_iter().map(|user| vec![user.name, user.role.unwrap_or_default()]).collect();
                context.output.list(&value, &["user", "role"], &rows);
                Ok(())
            }
        }
    }
}

fn add(context: &Context, (user, role): (&str, Option<&str>), print: bool, file: &File) -> Outcome {
    let attempted = format!("add user `{user}`");
    let path = if print { None } else { Some(file.path(context, &attempted)?) };
    let password = password(user).map_err(|why| {
        let advice = "give it on the terminal, or as the first line of standard input";
        Failure::new(Exit::Failed, "users", attempted.clone(), why, advice)
    })?;
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let line = users::line(user, &verifier, role);
    let Some(path) = path else {
        context.output.result(&json!({ "user": user, "role": role, "line": line }), &line);
        return Ok(());
    };
    let changed = users::put(&path, user, Some(&line)).map_err(|error| failure(&attempted, &error))?;
    let value = json!({ "user": user, "role": role, "file": path, "changed": changed });
    let done = if changed { "changed" } else { "added" };
    context.output.result(&value, &format!("{done} in {}", path.display()));
    Ok(())
}

fn failure(attempted: &str, error: &UsersError) -> Failure {
    let advice = "correct the file that is named; docs/operations.md tells its form";
    Failure::new(Exit::Failed, "users", attempted, error, advice)
}

/// Asked for twice on a terminal, without showing it; else the first line of standard input.
fn password(user: &str) -> Result<Zeroizing<String>, String> {
    let input = std::io::stdin();
    let password = if input.is_terminal() {
        let first = ask(&format!("Password of {user}: "))?;
        if *ask("Once more: ")? != *first {
            return Err("the two differ".to_owned());
        }
        first
    } else {
        read_line()?
    };
    match &**password {
        "" => Err("the password is empty".to_owned()),
        text if text.contains('\0') => Err("the password holds a NUL".to_owned()),
        _ => Ok(password),
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, String> {
    let input = std::io::stdin();
    let failed = |error: rustix::io::Errno| error.to_string();
    let mut error = std::io::stderr().lock();
    drop(error.write_all(prompt.as_bytes()));
    drop(error.flush());
    let before = tcgetattr(&input).map_err(failed)?;
    let mut quiet = before.clone();
    // An interrupt comes as a letter, so that the terminal is as before when this process ends.
    quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    tcsetattr(&input, OptionalActions::Flush, &quiet).map_err(failed)?;
    let line = read_line();
    tcsetattr(&input, OptionalActions::Flush, &before).map_err(failed)?;
    drop(error.write_all(b"\n"));
    match line {
        Ok(line) if line.contains(['\x03', '\x1c']) => Err("it was interrupted".to_owned()),
        line => line,
    }
}

fn read_line() -> Result<Zeroizing<String>, String> {
    /// No terminal gives a longer line. One that has room does not grow, and leaves nothing behind where it was.
    const ROOM: usize = 4_096;
    let mut line = Zeroizing::new(String::with_capacity(ROOM));
    std::io::stdin().lock().read_line(&mut line).map_err(|error| error.to_string())?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}
