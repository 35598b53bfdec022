//! The audit trail: searched, followed, verified, taken away as a file.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::Frame;
use maud::{Markup, html};
use tokio::sync::mpsc;

use crate::keys::access::{AccessRecord, TypeAccess};
use crate::keys::error::KeysError;
use crate::keyserver::workspace::{AuditInfo, Export};

use super::answer::{Answer, Result};
use super::parts::{choice, count, empty, grouped, hidden_token, time};
use super::visit::Visit;

/// Entries that are looked through.
const LOOKED_AT: u32 = 5_000;
/// Entries that are shown unless more are asked for.
const SHOWN: usize = 100;
/// Lines of an export that wait for a reader.
const WAITING: usize = 64;

/// What was done, as people say it.
const WORDS: &[(&str, &str)] = &[
    ("keys.encrypt", "new data keys"),
    ("keys.decrypt", "data keys to read"),
    ("terms", "search keys"),
    ("request", "request refused"),
    ("data.access", "data read or written"),
    ("pin.alarm", "a column is not as it was pinned"),
    ("pin.add", "columns pinned"),
    ("pin.remove", "pin removed"),
    ("pin.confirm", "pin moved"),
    ("client.create", "client made"),
    ("client.update", "client changed"),
    ("client.rename", "client renamed"),
    ("client.enable", "client enabled"),
    ("client.disable", "client disabled"),
    ("client.delete", "client deleted"),
    ("client.rotate", "client's key replaced"),
    ("grant.give", "grant given"),
    ("grant.narrow", "grant narrowed"),
    ("grant.revoke", "grant revoked"),
    ("keyset.create", "keyset made"),
    ("keyset.rename", "keyset renamed"),
    ("keyset.enable", "keyset enabled"),
    ("keyset.disable", "keyset disabled"),
    ("type.sign", "type signed"),
    ("keyset.epoch", "new epoch begun"),
    ("keyset.rotate", "keyset rotated"),
    ("keyset.abandon_epoch", "new epoch given up"),
    ("keyset.drop_epoch", "old epochs shredded"),
    ("client.key", "client's key replaced"),
    ("admins.set", "admins named"),
    ("admin.remove", "admin removed"),
    ("device.begin", "device asks to be let in"),
    ("device.approve", "device let in"),
    ("device.refuse", "device turned away"),
    ("session.open", "signed in to the page"),
    ("workspace.create", "workspace made"),
    ("store.unseal", "restored store let serve again"),
    ("audit.chain", "audit chain opened"),
];

/// Whether an act changes something, or only uses keys.
pub(super) fn is_change(action: &str) -> bool {
    !action.starts_with("keys.") && !matches!(action, "terms" | "request" | "data.access")
}

pub(super) fn list(visit: &Visit) -> Result {
    let all = visit.workspace.survey()?;
    let trail = visit.workspace.audit_tail(LOOKED_AT)?;
    let found = trail.iter().rev().filter(|entry| fits(visit, entry, &all)).collect::<Vec<_>>();
    let most = visit.query.text("most").parse().unwrap_or(SHOWN).clamp(1, LOOKED_AT as usize);
    let shown = found.iter().take(most).copied().collect::<Vec<_>>();
    let body = html! {
        div.head {
            h1 { "Audit" }
            div.acts {
                form method="post" action="/audit/verify" { (hidden_token(&visit.token)) button type="submit" { "Verify the trail" } }
                a.button href="/audit/export" download { "Export all" }
            }
        }
        (filters(visit, &trail, &all))
        div #list data-swap {
            p.quiet { (count(found.len() as u64, "entry")) " of the newest " (trail.len()) ". Verifying and exporting cover the whole trail." }
            @if shown.is_empty() { (empty("No entry fits", html! { p { a href="/audit" { "Show all" } } })) }
            @else { (table(&shown, &all)) }
            @if found.len() > shown.len() {
                p { a.button href=(format!("/audit{}", visit.query.with(&[("most", &(most + 400).to_string())]))) { "Show more" } }
            }
        }
    };
    Ok(Answer::page("Audit", body).live(3))
}

fn fits(visit: &Visit, entry: &AuditInfo, all: &Export) -> bool {
    let query = &visit.query;
    let text = query.text("q").to_lowercase();
    let holds = |value: &str| value.to_lowercase().contains(&text);
    let named = || all.clients.iter().any(|client| client.id == entry.client && holds(&client.name));
    let words = text.is_empty()
        || [&entry.action, &entry.detail, &entry.result, &entry.client].into_iter().any(|value| holds(value))
        || holds(said(&entry.action))
        || entry.address.as_deref().is_some_and(holds)
        || named()
        || holds(&words(&entry.detail, all));
    let kind = |kind: &str| match kind {
        "changes" => is_change(&entry.action),
        "refused" => entry.result != "ok",
        action => entry.action == action,
    };
    words
        && query.given("show").is_none_or(kind)
        && query.given("client").is_none_or(|id| entry.client == id || entry.detail.contains(id))
}

fn filters(visit: &Visit, trail: &[AuditInfo], all: &Export) -> Markup {
    let query = &visit.query;
    let owned = |value: &str, text: &str| (value.to_owned(), text.to_owned());
    let mut kinds = vec![owned("", "everything"), owned("changes", "changes"), owned("refused", "refused")];
    let actions = trail.iter().map(|entry| entry.action.as_str()).collect::<BTreeSet<_>>();
    kinds.extend(actions.into_iter().map(|action| owned(action, said(action))));
    let mut clients = vec![owned("", "anybody")];
    clients.extend(all.clients.iter().map(|client| owned(&client.id, &client.name)));
    html! {
        form.filters method="get" action="/audit" role="search" {
            div.field.wide { label for="f-q" { "Search" } input #f-q type="search" name="q" value=(query.text("q")) data-search autocomplete="off"; }
            (choice("show", "Show", query.text("show"), &kinds))
            (choice("client", "Client", query.text("client"), &clients))
            button type="submit" { "Show" }
        }
    }
}

/// Entries as a table, in the order given.
pub(super) fn table(entries: &[&AuditInfo], all: &Export) -> Markup {
    let name = |id: &str| all.clients.iter().find(|client| client.id == id).map(|client| client.name.as_str());
    html! {
        table.cards.trail {
            thead { tr { th scope="col" { "When" } th scope="col" { "Who" } th scope="col" { "What" } th scope="col" { "On" } th scope="col" { "Result" } th scope="col" { "From" } } }
            tbody {
                @for entry in entries {
                    tr {
                        td data-label="When" { (time(&entry.time)) }
                        td data-label="Who" {
                            @match name(&entry.client) {
                                Some(name) => { a href=(format!("/clients/{}", entry.client)) { (name) } }
                                None => { code title=(entry.client) { (entry.client.get(..8).unwrap_or_default()) "…" } }
                            }
                        }
                        td data-label="What" title=(entry.action) { (said(&entry.action)) }
                        td.detail data-label="On" { (words(&entry.detail, all)) }
                        td data-label="Result" { span.result.bad[entry.result != "ok"] { (entry.result) } }
                        td data-label="From" { @match &entry.address { Some(address) => { (address) } None => { span.quiet { "here" } } } }
                    }
                }
            }
        }
    }
}

fn said(action: &str) -> &str {
    WORDS.iter().find(|(known, _)| *known == action).map_or(action, |(_, words)| words)
}

/// What a proxy did with values: counts, and the statement without its values.
fn accessed(record: &AccessRecord) -> String {
    let sum = |of: fn(&TypeAccess) -> u64| record.types.iter().map(of).sum::<u64>();
    let done =
        [("read", sum(|of| of.opened)), ("written", sum(|of| of.sealed)), ("searched for", sum(|of| of.searched))];
    let done = done.iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{} {word}", grouped(*count)));
    let (done, AccessRecord { statement, database, user, .. }) = (done.collect::<Vec<_>>().join(", "), record);
    let done = if done.is_empty() { "no value".to_owned() } else { done };
    format!("{done}, by {user} in {database}: {statement}")
}

/// The detail with names in the place of ids that are known.
fn words(detail: &str, all: &Export) -> String {
    if let Some(record) = detail.starts_with('{').then(|| serde_json::from_str(detail).ok()).flatten() {
        return accessed(&record);
    }
    let mut text =
        detail.replace("encrypt,", "encrypt, ").replace("decrypt,", "decrypt, ").replace("query,", "query, ");
    for keyset in &all.keysets {
        if text.contains(&keyset.id) {
            text = text.replace(&format!("{} \"{}\"", keyset.id, keyset.name), &format!("\"{}\"", keyset.name));
            text = text.replace(&keyset.id, &keyset.name);
        }
    }
    for client in &all.clients {
        if text.contains(&client.id) {
            text = text.replace(&format!("{} \"{}\"", client.id, client.name), &format!("\"{}\"", client.name));
            text = text.replace(&client.id, &format!("\"{}\"", client.name));
        }
    }
    text
}

/// `/audit/verify`: here, and not by who keeps the trail. Beside the key server it is the key server's own word.
pub(super) fn verify(visit: &Visit) -> Result {
    let (workspace, local) = (visit.workspace.clone(), visit.local());
    let work = move |_: &dyn Fn(usize, usize)| {
        let entries = workspace.audit_verify()?;
        let by = if local {
            "This machine has checked every hash and signature."
        } else {
            "The key server has checked itself: from an admin's machine `columnseal audit verify --heads LOG` checks it from outside."
        };
        Ok(format!("{}, all in place. {by}", count(entries, "entry")))
    };
    let job = visit.desk.begin("Verifying the audit trail".to_owned(), "/audit".to_owned(), work)?;
    Ok(Answer::See(format!("/jobs/{job}")))
}

/// `/audit/export`: one JSON object a line, read as it is sent.
pub(super) fn export(visit: &Visit) -> Result {
    let workspace = visit.workspace.clone();
    let (lines, body) = mpsc::channel::<std::result::Result<Bytes, KeysError>>(WAITING);
    let write = move || {
        let entries = match workspace.audit_export() {
            Ok(entries) => entries,
            Err(error) => return drop(lines.blocking_send(Err(error))),
        };
        for entry in entries {
            let line = entry.map(|entry| {
                let text = serde_json::to_string(&entry).expect("these structs have string keys and no failing parts");
                Bytes::from(text + "\n")
            });
            let failed = line.is_err();
            // A reader that left wants no more.
            if lines.blocking_send(line).is_err() || failed {
                return;
            }
        }
    };
    let spawned = std::thread::Builder::new().name("dashboard-export".to_owned()).spawn(write);
    spawned.map_err(|error| KeysError::unavailable(error.to_string()))?;
    Ok(Answer::File { name: "audit.jsonl", kind: "application/jsonl", body: Body::new(Lines(body)) })
}

struct Lines(mpsc::Receiver<std::result::Result<Bytes, KeysError>>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = KeysError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, KeysError>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| line.map(Frame::data)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_from_the_use_of_keys() {
        assert!(is_change("grant.revoke") && is_change("session.open") && is_change("pin.alarm"));
        assert!(!["keys.encrypt", "terms", "request", "data.access"].into_iter().any(is_change));
        assert_eq!((said("grant.give"), said("other.act")), ("grant given", "other.act"));
    }
}
