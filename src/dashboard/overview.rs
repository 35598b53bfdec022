//! The first page: how things stand.

use std::collections::BTreeMap;
use std::time::Instant;

use maud::{Markup, html};

use crate::keys::admin::{Activity, PresenceReport};
use crate::keys::clock::{rfc3339, wall_ms};
use crate::keyserver::workspace::{ClientInfo, Export};

use super::answer::{Answer, Result};
use super::audit;
use super::parts::{DAY_MS, count, empty, end, grouped, millis, tile};
use super::plot::{Bars, bars, total};
use super::usage;
use super::visit::Visit;

const HOUR_MS: u64 = 60 * 60 * 1000;
const HOURS: u32 = 24;
/// What ends within this is listed.
const ENDING_MS: u64 = 30 * DAY_MS;
/// Embedded, whoever was seen within this counts as at work.
const AT_WORK_MS: u64 = 2 * 60 * 1000;
/// Changes that are listed.
const CHANGES: usize = 8;

pub(super) fn show(visit: &Visit) -> Result {
    let began = Instant::now();
    let all = visit.workspace.survey()?;
    let took = began.elapsed();
    let (activity, presence) = (visit.workspace.activity(HOURS)?, visit.workspace.presence()?);
    let waiting = visit.workspace.waiting()?.len();
    let trail = visit.workspace.audit_tail(500)?;
    let (keys, refusals) = by_hour(&activity);
    let values = usage::overview(visit)?;
    let body = html! {
        h1 { "Overview" }
        @if waiting > 0 {
            p.notice { a href="/devices" { (count(waiting as u64, "device")) " " (if waiting == 1 { "waits" } else { "wait" }) " to be let in" } }
        }
        @if all.clients.iter().all(|client| client.admin) { (first_steps(visit)) }
        div.tiles #tiles data-swap {
            (at_work(visit, &all, &presence))
            (tile("Keys given, 24 h", &grouped(total(&keys)), bars(&Bars { label: "Keys given by hour", values: &keys, bad: false })))
            (tile("Requests refused, 24 h", &grouped(total(&refusals)), bars(&Bars { label: "Requests refused by hour", values: &refusals, bad: true })))
            (tile("Key service", "answers", html! {
                p.quiet { "The whole workspace in " (took.as_millis()) " ms, checked." }
                p.quiet { "Revision " (all.generation) "." (all.revision) ", " (if visit.workspace.is_embedded() { "embedded store" } else { "key server" }) "." }
            }))
        }
        (values)
        div.columns {
            section { h2 { "Ends within 30 days" } (ending(&all, presence.certificate_ends_ms)) }
            section { h2 { "Versions at work" } (versions(&all)) }
        }
        section #changes data-swap {
            h2 { "Latest changes" }
            @let changes = trail.iter().rev().filter(|entry| audit::is_change(&entry.action)).take(CHANGES).collect::<Vec<_>>();
            @if changes.is_empty() { (empty("No changes yet", html! {})) }
            @else { (audit::table(&changes, &all)) p { a href="/audit" { "The whole audit trail" } } }
        }
    };
    Ok(Answer::page("Overview", body).live(5))
}

fn first_steps(visit: &Visit) -> Markup {
    html! {
        section.notice {
            p { strong { "No application has a key yet." } " A proxy needs one client key with a grant." }
            p { (super::parts::main_act(visit, "/clients/new", "Create a new client", "columnseal client create web --keyset default")) }
        }
    }
}

fn at_work(visit: &Visit, all: &Export, presence: &PresenceReport) -> Markup {
    if visit.workspace.is_embedded() {
        let now = wall_ms();
        let recent =
            |client: &&ClientInfo| client.seen.as_ref().is_some_and(|seen| millis(&seen.time) + AT_WORK_MS > now);
        let seen = all.clients.iter().filter(recent).count();
        return tile(
            "Seen lately",
            &seen.to_string(),
            html! {
                p.quiet { "of " (count(all.clients.len() as u64, "client")) ", within two minutes." }
            },
        );
    }
    let open = presence.clients.iter().filter(|client| client.streams > 0).collect::<Vec<_>>();
    let streams: u64 = open.iter().map(|client| u64::from(client.streams)).sum();
    let name = |id: String| all.clients.iter().find(|client| client.id == id).map_or(id, |client| client.name.clone());
    tile(
        "Clients connected",
        &open.len().to_string(),
        html! {
            p.quiet { (count(streams, "connection")) " to this server, of " (count(all.clients.len() as u64, "client")) " in all." }
            p.chips { @for client in open.iter().take(6) { a.chip href=(format!("/clients/{}", client.client)) { (name(client.client.to_string())) } } }
        },
    )
}

/// Keys given and requests refused, in each of the last hours.
fn by_hour(activity: &Activity) -> (Vec<(u64, u64)>, Vec<(u64, u64)>) {
    let last = activity.now_ms / HOUR_MS * HOUR_MS;
    let hours = (0..u64::from(HOURS)).rev().map(|back| last.saturating_sub(back * HOUR_MS));
    let sum = |hour: u64, of: &dyn Fn(&crate::keys::admin::HourCount) -> u64| {
        activity.counts.iter().filter(|count| count.hour_ms == hour).map(of).sum::<u64>()
    };
    let keys = hours.clone().map(|hour| (hour, sum(hour, &|count| count.keys)));
    let refused = |count: &crate::keys::admin::HourCount| if count.result == "ok" { 0 } else { count.entries };
    let refusals = hours.clone().map(|hour| (hour, sum(hour, &refused)));
    (keys.collect(), refusals.collect())
}

fn ending(all: &Export, certificate_ends_ms: Option<u64>) -> Markup {
    let limit = wall_ms() + ENDING_MS;
    let certificate = certificate_ends_ms.filter(|end| *end < limit).map(rfc3339);
    let mut rows = Vec::new();
    for client in &all.clients {
        if let Some(expires) = client.expires.as_ref().filter(|end| millis(end) < limit) {
            rows.push((expires, client, None));
        }
        for grant in &client.grants {
            if let Some(expires) = grant.expires.as_ref().filter(|end| millis(end) < limit) {
                rows.push((expires, client, Some(&grant.keyset_name)));
            }
        }
    }
    rows.sort_by_key(|(expires, ..)| millis(expires));
    html! {
        @if rows.is_empty() && certificate.is_none() { (empty("Nothing ends soon", html! {})) }
        @else {
            ul.plain {
                @if let Some(expires) = &certificate {
                    li { "The TLS certificate of this key server " (end(Some(expires))) span.quiet { ": put a new one in its place, it is read by itself." } }
                }
                @for (expires, client, keyset) in rows.iter().take(8) {
                    li {
                        a href=(format!("/clients/{}", client.id)) { (client.name) }
                        @if let Some(keyset) = keyset { ", its grant of " (keyset) }
                        " " (end(Some(expires)))
                    }
                }
                @if rows.len() > 8 { li { a href="/clients?sort=expires" { "and " (rows.len() - 8) " more" } } }
            }
        }
    }
}

fn versions(all: &Export) -> Markup {
    let now = wall_ms();
    let mut versions = BTreeMap::<&str, u64>::new();
    let lately = |client: &&ClientInfo| client.seen.as_ref().is_some_and(|seen| millis(&seen.time) + DAY_MS > now);
    for seen in all.clients.iter().filter(lately).filter_map(|client| client.seen.as_ref()) {
        *versions.entry(seen.version.as_deref().unwrap_or("not said")).or_default() += 1;
    }
    html! {
        @if versions.is_empty() { (empty("No client was seen within a day", html! {})) }
        @else {
            ul.plain { @for (version, clients) in &versions { li { strong { (version) } " " span.quiet { (count(*clients, "client")) } } } }
        }
    }
}
