//! `columnseal audit …`: the audit trail of the workspace.

use columnseal::keyserver::workspace::AuditInfo;
use serde_json::json;

use super::Context;
use super::output::{self, Outcome};
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
    /// Walk every chain of the trail: edits, gaps, entries moved or cut off are named
    Verify,
}

impl Audit {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        match self {
            Audit::Tail { lines, jsonl } => tail(context, *lines, *jsonl),
            Audit::Verify => verify(context),
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

fn verify(context: &Context) -> Outcome {
    let attempted = "verify the audit trail";
    let entries = open(context, attempted)?.audit_verify().map_err(|error| failure(attempted, &error))?;
    context.output.result(&json!({ "entries": entries, "whole": true }), &format!("{entries} entries, all in place"));
    Ok(())
}
