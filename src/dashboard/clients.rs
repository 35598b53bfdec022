//! The list of clients.

use maud::{Markup, html};

use crate::keys::admin::PresenceReport;
use crate::keys::clock::wall_ms;
use crate::keyserver::workspace::ClientInfo;

use super::answer::{Answer, Result};
use super::parts::{SOON_MS, act, choice, count, empty, end, grant_chip, id, last_seen, main_act, millis, status};
use super::presence;
use super::visit::Visit;

/// Rows of one page.
const ROWS: usize = 100;

pub(super) fn list(visit: &Visit) -> Result {
    let all = visit.workspace.survey()?;
    let report = visit.workspace.presence()?;
    let mut found = all.clients.iter().filter(|client| fits(visit, client)).collect::<Vec<_>>();
    sort(&mut found, visit.query.text("sort"));
    let page: usize = visit.query.text("page").parse().unwrap_or(1).max(1);
    let shown = found.iter().skip((page - 1).saturating_mul(ROWS)).take(ROWS).copied().collect::<Vec<_>>();
    let keysets = all.keysets.iter().map(|keyset| (keyset.name.clone(), keyset.name.clone())).collect::<Vec<_>>();
    let body = html! {
        div.head {
            h1 { "Clients" }
            div.acts {
                (main_act(visit, "/clients/new", "Create a new client", "columnseal client create NAME --keyset default"))
                (act(visit, "/clients/approve", "Approve a request", "columnseal client approve csrq1_… --keyset default"))
            }
        }
        (filters(visit, &keysets))
        div #list data-swap {
            p.quiet { (count(found.len() as u64, "client")) @if found.len() != all.clients.len() { " of " (all.clients.len()) } }
            @if shown.is_empty() {
                (empty("No client fits", html! { p { a href="/clients" { "Show all clients" } } }))
            } @else {
                (table(visit, &shown, &report))
                (pages(visit, page, found.len()))
            }
        }
    };
    Ok(Answer::page("Clients", body).live(5))
}

fn fits(visit: &Visit, client: &ClientInfo) -> bool {
    let query = &visit.query;
    let text = query.text("q").to_lowercase();
    let holds = |value: &str| value.to_lowercase().contains(&text);
    let words = text.is_empty()
        || holds(&client.name)
        || client.id.starts_with(&text)
        || client.owner.as_deref().is_some_and(holds)
        || client.device.as_deref().is_some_and(holds);
    let granted = |name: &str| client.grants.iter().any(|grant| grant.keyset_name == name || grant.keyset == name);
    let ending =
        |soon: bool| !soon || client.expires.as_ref().is_some_and(|expires| millis(expires) < wall_ms() + SOON_MS);
    words
        && query.given("kind").is_none_or(|kind| kind == client.kind)
        && query.given("status").is_none_or(|word| if word == "ending" { ending(true) } else { word == client.status })
        && query.given("keyset").is_none_or(granted)
}

fn sort(clients: &mut [&ClientInfo], by: &str) {
    match by {
        "seen" => clients.sort_by_key(|client| std::cmp::Reverse(client.seen.as_ref().map(|seen| millis(&seen.time)))),
        "expires" => clients.sort_by_key(|client| client.expires.as_ref().map_or(u64::MAX, |end| millis(end))),
        "created" => clients.sort_by_key(|client| std::cmp::Reverse(millis(&client.created))),
        _ => clients.sort_by_key(|client| client.name.to_lowercase()),
    }
}

fn filters(visit: &Visit, keysets: &[(String, String)]) -> Markup {
    let query = &visit.query;
    let pairs = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
    let mut of_keysets = pairs(&[("", "any keyset")]);
    of_keysets.extend_from_slice(keysets);
    html! {
        form.filters method="get" action="/clients" role="search" {
            div.field.wide {
                label for="f-q" { "Search" }
                input #f-q type="search" name="q" value=(query.text("q")) placeholder="name, owner, device or id" data-search autocomplete="off";
            }
            (choice("kind", "Kind", query.text("kind"), &pairs(&[("", "any"), ("application", "application"), ("device", "device")])))
            (choice("status", "Status", query.text("status"), &pairs(&[("", "any"), ("active", "active"), ("disabled", "disabled"), ("expired", "expired"), ("ending", "ends soon")])))
            (choice("keyset", "Keyset", query.text("keyset"), &of_keysets))
            (choice("sort", "Sort by", query.text("sort"), &pairs(&[("", "name"), ("seen", "last seen"), ("expires", "end"), ("created", "newest")])))
            button type="submit" { "Show" }
        }
    }
}

fn table(visit: &Visit, clients: &[&ClientInfo], report: &PresenceReport) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Client" } th scope="col" { "Kind" } th scope="col" { "Status" } th scope="col" { "May use" } th scope="col" { "Last seen" } th scope="col" { "Ends" } th scope="col" { "Id" } } }
            tbody {
                @for client in clients {
                    @let streams = presence::of(report, &client.id).map_or(0, |presence| presence.streams);
                    tr {
                        th scope="row" data-label="Client" {
                            a href=(format!("/clients/{}", client.id)) { (client.name) }
                            @if client.admin { " " span.chip.admin { "admin" } }
                            @if client.id == visit.who.to_string() { " " span.chip { "you" } }
                            @if let Some(owner) = &client.owner { br; small.quiet { (owner) } }
                        }
                        td data-label="Kind" { (client.kind) }
                        td data-label="Status" { (status(client.status)) }
                        td.chips data-label="May use" {
                            @for grant in client.grants.iter().take(4) { (grant_chip(grant)) }
                            @if client.grants.len() > 4 { span.quiet { "and " (client.grants.len() - 4) " more" } }
                            @if client.grants.is_empty() { span.quiet { "nothing" } }
                        }
                        td data-label="Last seen" { @if streams > 0 { span.dot.good title="connected to this server" {} } (last_seen(client)) }
                        td data-label="Ends" { (end(client.expires.as_ref())) }
                        td data-label="Id" { (id(&client.id)) }
                    }
                }
            }
        }
    }
}

fn pages(visit: &Visit, page: usize, found: usize) -> Markup {
    let last = found.div_ceil(ROWS);
    let to = |page: usize| format!("/clients{}", visit.query.with(&[("page", &page.to_string())]));
    html! {
        @if last > 1 {
            nav.pages aria-label="Pages" {
                @if page > 1 { a.button href=(to(page - 1)) { "Before" } }
                span { "Page " (page) " of " (last) }
                @if page < last { a.button href=(to(page + 1)) { "Next" } }
            }
        }
    }
}
