//! One client: what it is, what it may do, what it did.

use maud::{Markup, html};

use crate::keys::admin::PresenceReport;
use crate::keyserver::workspace::{AuditInfo, ClientInfo, Export};

use super::answer::{Answer, Fault, Result};
use super::parts::{act, empty, end, id, quoted, status, time};
use super::visit::Visit;
use super::{audit, presence};

/// Entries of the trail that are looked through for this client's.
const LOOKED_AT: u32 = 3_000;
/// Entries that are shown.
const SHOWN: usize = 40;

pub(super) fn show(visit: &Visit, name: &str) -> Result {
    let all = visit.workspace.survey()?;
    let client = find(&all, name)?;
    let report = visit.workspace.presence()?;
    let trail = visit.workspace.audit_tail(LOOKED_AT)?;
    let taken = presence::taken(&report, client);
    let waiting = taken.as_ref().is_some_and(|taken| taken.waiting);
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href="/clients" { "Clients" } }
        div.head {
            h1 { (client.name) " " (status(client.status)) @if client.admin { " " span.chip.admin { "admin" } } }
            (acts(visit, client))
        }
        @if let Some(taken) = taken { (taken.markup) } @else { div #taken data-swap {} }
        (facts(visit, client, &report))
        section {
            div.head {
                h2 { "May use" }
                @let line = format!("columnseal client grant {} KEYSET", quoted(&client.name));
                div.acts { (act(visit, &format!("/clients/{}/grant", client.id), "Grant a keyset", &line)) }
            }
            (grants(client))
        }
        section #history data-swap { h2 { "History" } (history(&trail, client, &all)) }
    };
    Ok(Answer::page(&client.name, body).live(if waiting { 1 } else { 5 }))
}

/// A client by id or name.
pub(super) fn find<'a>(all: &'a Export, name: &str) -> Result<&'a ClientInfo> {
    let found = all.clients.iter().find(|client| client.id == name || client.name == name);
    found.ok_or_else(|| Fault::NotFound("there is no such client: it may have been deleted".to_owned()))
}

fn acts(visit: &Visit, client: &ClientInfo) -> Markup {
    let to = |act: &str| format!("/clients/{}/{act}", client.id);
    let name = quoted(&client.name);
    html! {
        div.acts {
            (act(visit, &to("edit"), "Change", &format!("columnseal client update {name} --owner OWNER --expires 90d")))
            @if !client.admin {
                (act(visit, &to("rotate"), "New key", &format!("columnseal client rotate {name}")))
            }
            @if client.id != visit.who.to_string() {
                @if client.status == "disabled" {
                    (act(visit, &to("enable"), "Enable", &format!("columnseal client enable {name}")))
                } @else { a.button href=(to("disable")) { "Disable" } }
            }
            @if !client.grants.is_empty() { a.button.danger href=(to("revoke")) { "Revoke all" } }
            @if !client.admin { (act(visit, &to("delete"), "Delete", &format!("columnseal client delete {name}"))) }
        }
    }
}

fn facts(visit: &Visit, client: &ClientInfo, report: &PresenceReport) -> Markup {
    html! {
        dl.facts #facts data-swap {
            div { dt { "Id" } dd { (id(&client.id)) } }
            div { dt { "Kind" } dd { (client.kind) } }
            @if let Some(owner) = &client.owner { div { dt { "Owner" } dd { (owner) } } }
            @if let Some(device) = &client.device { div { dt { "Device" } dd { (device) } } }
            @if !visit.workspace.is_embedded() { div { dt { "Now" } dd { (presence::connected(report, client)) } } }
            div { dt { "Last seen" } dd {
                (super::parts::last_seen(client))
                @if let Some(seen) = &client.seen {
                    @if let Some(address) = &seen.address { " from " (address) }
                    @if let Some(version) = &seen.version { ", version " (version) }
                }
            } }
            div { dt { "Made" } dd { (time(&client.created)) } }
            div { dt { "Ends" } dd { (end(client.expires.as_ref())) } }
        }
    }
}

fn grants(client: &ClientInfo) -> Markup {
    html! {
        @if client.grants.is_empty() {
            (empty("This client may use nothing", html! { p.quiet { "It can connect, and every encrypted value is refused." } }))
        } @else {
            table.cards {
                thead { tr { th scope="col" { "Keyset" } th scope="col" { "May" } th scope="col" { "Ends" } th scope="col" { span.hidden { "Acts" } } } }
                tbody {
                    @for grant in &client.grants {
                        tr {
                            th scope="row" data-label="Keyset" { a href=(format!("/keysets/{}", grant.keyset)) { (grant.keyset_name) } }
                            td.chips data-label="May" { @for word in &grant.permissions { span.chip { (word) } } }
                            td data-label="Ends" { (end(grant.expires.as_ref())) }
                            td.last {
                                a.button.small.danger href=(format!("/clients/{}/revoke?keyset={}", client.id, grant.keyset)) aria-label=(format!("Revoke {}", grant.keyset_name)) { "Revoke" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn history(trail: &[AuditInfo], client: &ClientInfo, all: &Export) -> Markup {
    let quoted = format!("\"{}\"", client.name);
    let about = |entry: &&AuditInfo| {
        entry.client == client.id
            || entry.detail.contains(&client.id)
            || audit::is_change(&entry.action) && entry.detail.contains(&quoted) && !entry.action.starts_with("keyset.")
    };
    let entries = trail.iter().rev().filter(about).take(SHOWN).collect::<Vec<_>>();
    html! {
        @if entries.is_empty() { (empty("Nothing in the newest part of the audit trail", html! {})) }
        @else {
            (audit::table(&entries, all))
            p { a href=(format!("/audit?client={}", client.id)) { "All of this client in the audit trail" } }
        }
    }
}
