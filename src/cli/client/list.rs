//! `client list` and what `client show` prints.

use std::time::Duration;

use columnseal::keyserver::workspace::{ClientFilter, ClientInfo, ClientOrder};

use super::super::Context;
use super::super::output::{Exit, Outcome};
use super::super::workspace::{failure, json, lifetime, open, or_dash};
use super::create::Kind;
use super::grant_line;

/// Arguments of `client list`. What is given must all hold.
#[derive(clap::Args, Debug)]
pub(in super::super) struct List {
    /// Of this kind
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// In this state
    #[arg(long, value_parser = ["active", "disabled", "expired"])]
    status: Option<String>,
    /// With a grant of this keyset, an id or a name
    #[arg(long)]
    keyset: Option<String>,
    /// Of this owner
    #[arg(long, value_name = "TEXT")]
    owner: Option<String>,
    /// Ending within this time, or ended already
    #[arg(long, value_name = "SPAN", value_parser = lifetime)]
    expiring: Option<Duration>,
    /// Not seen for this long
    #[arg(long, value_name = "SPAN", value_parser = lifetime)]
    unused: Option<Duration>,
    /// Compare the grants that the key service shows with those that this device remembers; exits with 5 if they differ
    #[arg(long)]
    check: bool,
    /// In what order
    #[arg(long, value_enum, default_value_t = Order::Name)]
    sort: Order,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Order {
    Name,
    Created,
    Expires,
    Seen,
}

impl List {
    pub(super) fn run(&self, context: &Context) -> Outcome {
        if self.check {
            return check(context);
        }
        let attempted = "list clients";
        let filter = ClientFilter {
            kind: self.kind.map(Into::into),
            status: self.status.clone(),
            keyset: self.keyset.clone(),
            owner: self.owner.clone(),
            expiring: self.expiring,
            unused: self.unused,
        };
        let order = match self.sort {
            Order::Name => ClientOrder::Name,
            Order::Created => ClientOrder::Created,
            Order::Expires => ClientOrder::Expires,
            Order::Seen => ClientOrder::Seen,
        };
        let clients = open(context, attempted)?.find_clients(&filter, order);
        let clients = clients.map_err(|error| failure(attempted, &error))?;
        let columns = ["id", "name", "kind", "owner", "status", "keysets", "expires", "seen"];
        context.output.list(&json(&clients), &columns, &clients.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }
}

fn check(context: &Context) -> Outcome {
    let attempted = "compare grants with this device's list";
    let found = open(context, attempted)?.check_grants().map_err(|error| failure(attempted, &error))?;
    let row = |finding: &columnseal::keyserver::workspace::Finding| {
        vec![finding.client.clone(), finding.keyset.clone(), finding.finding.to_owned(), finding.meaning.to_owned()]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    context.output.list(&json(&found), &["client", "keyset", "finding", "meaning"], &rows);
    if found.is_empty() { Ok(()) } else { context.output.exit(Exit::Keys) }
}

fn row(client: &ClientInfo) -> Vec<String> {
    let keysets: Vec<&str> = client.grants.iter().map(|grant| grant.keyset_name.as_str()).collect();
    vec![
        client.id.clone(),
        client.name.clone(),
        kind(client),
        or_dash(client.owner.as_ref()),
        client.status.to_owned(),
        if keysets.is_empty() { "-".to_owned() } else { keysets.join(",") },
        or_dash(client.expires.as_ref()),
        or_dash(client.seen.as_ref().map(|seen| &seen.time)),
    ]
}

fn kind(client: &ClientInfo) -> String {
    if client.admin { format!("{} (admin)", client.kind) } else { client.kind.to_owned() }
}

/// One client with all that is known of it.
pub(super) fn described(client: &ClientInfo) -> String {
    let seen = client.seen.as_ref().map_or_else(
        || "not yet".to_owned(),
        |seen| {
            let from = seen.address.as_deref().unwrap_or("this machine");
            format!("{} from {from}, version {}", seen.time, seen.version.as_deref().unwrap_or("not said"))
        },
    );
    let mut lines = vec![
        format!("id       {}", client.id),
        format!("name     {}", client.name),
        format!("kind     {}", kind(client)),
        format!("owner    {}", or_dash(client.owner.as_ref())),
        format!("device   {}", or_dash(client.device.as_ref())),
        format!("status   {}", client.status),
        format!("created  {}", client.created),
        format!("expires  {}", or_dash(client.expires.as_ref())),
        format!("seen     {seen}"),
    ];
    lines.extend(client.grants.iter().map(grant_line));
    if client.grants.is_empty() {
        lines.push("grants   none".to_owned());
    }
    lines.join("\n")
}
