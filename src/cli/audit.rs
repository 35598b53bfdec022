//! `columnseal audit …`: the audit trail of the workspace.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use columnseal::keys::KeysError;
use columnseal::keys::audit::SignedHead;
use columnseal::keyserver::workspace::{AuditInfo, AuditReport};
use serde_json::json;

use super::Context;
use super::output::{self, Exit, Failure, Outcome};
use super::workspace::{failure, json as as_json, open, or_dash};

/// Subcommands of `audit`.
#[derive(clap::Subcommand, Debug)]
pub(super) enum Audit {
    /// Show the end of the trail, oldest first
    Tail {
        /// How many entries at most
        #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        lines: u32,
        /// One JSON object a line, for other tools
        #[arg(long)]
        jsonl: bool,
    },
    /// Write the whole trail, oldest first, one JSON object a line
    Export,
    /// Walk every chain of the trail: edits, gaps, entries moved or cut off are named
    #[command(long_about = "Walk every chain of the trail: edits, gaps, entries moved or cut off are named.\n\n\
        The trail is read and checked here, not by the key service. Whoever controls the service can still cut or \
        rewrite the trail and sign it anew: that is found by heads that were kept elsewhere. Proxies log them \
        (\"audit head\"); give such logs with --heads.")]
    Verify {
        /// A file with heads of the trail that were kept elsewhere, such as a proxy's log; may be repeated; `-`: standard input
        #[arg(long, value_name = "FILE")]
        heads: Vec<PathBuf>,
    },
}

impl Audit {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Audit::Tail { lines, jsonl } => tail(context, *lines, *jsonl),
            Audit::Export => export(context),
            Audit::Verify { heads } => verify(context, heads),
        }
    }
}

fn tail(context: &Context, lines: u32, jsonl: bool) -> Outcome {
    let attempted = "show the audit trail";
    let entries = open(context, attempted)?.audit_tail(lines).map_err(|error| failure(attempted, &error))?;
    if jsonl {
        for entry in &entries {
            drop(output::stdout(&as_json(entry).to_string()));
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = entries.iter().map(row).collect();
    context.output.list(&as_json(&entries), &["time", "client", "action", "result", "from", "detail"], &rows);
    Ok(())
}

fn row(entry: &AuditInfo) -> Vec<String> {
    let AuditInfo { time, client, action, result, address, detail, .. } = entry;
    vec![time.clone(), client.clone(), action.clone(), result.clone(), or_dash(address.as_ref()), detail.clone()]
}

fn export(context: &Context) -> Outcome {
    let attempted = "export the audit trail";
    let told = |error| failure(attempted, &error);
    let workspace = open(context, attempted)?;
    for entry in workspace.audit_export().map_err(told)? {
        // What cannot be printed ends it: a reader that left wants no more, and anything else is told at the end.
        if output::stdout(&as_json(&entry.map_err(told)?).to_string()).is_err() {
            break;
        }
    }
    Ok(())
}

fn verify(context: &Context, files: &[PathBuf]) -> Outcome {
    let attempted = "verify the audit trail";
    let mut heads = Vec::new();
    for file in files {
        heads.extend(heads_of(file).map_err(|why| {
            let advice = "name the log of a proxy, or lines of it with \"audit head\"";
            Failure::new(Exit::Failed, "audit-heads", attempted, why, advice)
        })?);
    }
    let report = open(context, attempted)?.audit_check(&heads).map_err(|error| failure(attempted, &error))?;
    let AuditReport { entries, findings } = report;
    if !findings.is_empty() {
        let told = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(failure(attempted, &KeysError::tampered(told)));
    }
    let value = json!({ "entries": entries, "whole": true, "heads": heads.len() });
    let compared = if files.is_empty() { String::new() } else { format!(", and {} heads hold", heads.len()) };
    context.output.result(&value, &format!("{entries} entries, all in place{compared}"));
    Ok(())
}

/// Every head that stands in a file, or why there is none.
fn heads_of(file: &Path) -> Result<Vec<SignedHead>, String> {
    let read = |reader: &mut dyn BufRead| -> std::io::Result<Vec<SignedHead>> {
        let mut heads = Vec::new();
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            heads.extend(SignedHead::all_in(&String::from_utf8_lossy(&line)));
            line.clear();
        }
        Ok(heads)
    };
    let found = match file == Path::new("-") {
        true => read(&mut std::io::stdin().lock()),
        false => File::open(file).and_then(|file| read(&mut BufReader::new(file))),
    };
    match found {
        Ok(heads) if heads.is_empty() => Err(format!("{} holds no head of an audit trail", file.display())),
        Ok(heads) => Ok(heads),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}
