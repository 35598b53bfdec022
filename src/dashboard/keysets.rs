//! Keysets: the list, one of them, making and renaming.

use maud::{Markup, html};

use crate::keys::admin::Activity;
use crate::keys::claims::keyset::DEFAULT;
use crate::keys::claims::name_fault;
use crate::keys::error::KeysError;
use crate::keyserver::workspace::{ClientInfo, Export, GrantInfo, KeysetInfo, stamp};

use super::answer::{Answer, Fault, Result};
use super::confirm::elsewhere;
use super::form::Form;
use super::parts::{DAY_MS, Field, act, empty, end, field, grouped, hidden_token, id, main_act, quoted, status, time};
use super::plot::{Bars, bars, total};
use super::sign_in::sentence;
use super::usage;
use super::visit::Visit;

/// A keyset by id or name.
pub(super) fn find<'a>(all: &'a Export, name: &str) -> Result<&'a KeysetInfo> {
    let found = all.keysets.iter().find(|keyset| keyset.id == name || keyset.name == name);
    found.ok_or_else(|| Fault::NotFound("there is no such keyset: it may have been renamed".to_owned()))
}

/// Who has it.
pub(super) fn holders<'a>(
    all: &'a Export,
    keyset: &'a KeysetInfo,
) -> impl Iterator<Item = (&'a ClientInfo, &'a GrantInfo)> {
    let grant = |client: &'a ClientInfo| client.grants.iter().find(|grant| grant.keyset == keyset.id);
    all.clients.iter().filter_map(move |client| grant(client).map(|grant| (client, grant)))
}

pub(super) fn list(visit: &Visit) -> Result {
    let all = visit.workspace.survey()?;
    let text = visit.query.text("q").to_lowercase();
    let found = all.keysets.iter().filter(|keyset| keyset.name.to_lowercase().contains(&text)).collect::<Vec<_>>();
    let body = html! {
        div.head {
            h1 { "Keysets" }
            div.acts { (main_act(visit, "/keysets/new", "Create a keyset", "columnseal keyset create NAME")) }
        }
        @if all.keysets.len() > 8 || !text.is_empty() {
            form.filters method="get" action="/keysets" role="search" {
                div.field.wide { label for="f-q" { "Search" } input #f-q type="search" name="q" value=(visit.query.text("q")) data-search autocomplete="off"; }
                button type="submit" { "Show" }
            }
        }
        div #list data-swap {
            @if found.is_empty() { (empty("No keyset fits", html! { p { a href="/keysets" { "Show all keysets" } } })) }
            @else { (table(&found)) }
            @if found.len() > 500 { p.quiet { "The first 500 of " (found.len()) ": search for the others." } }
        }
    };
    Ok(Answer::page("Keysets", body).live(10))
}

fn table(keysets: &[&KeysetInfo]) -> Markup {
    html! {
        table.cards {
            thead { tr { th scope="col" { "Keyset" } th scope="col" { "For" } th scope="col" { "Status" } th.number scope="col" { "Clients" } th.number scope="col" { "Epoch" } th scope="col" { "Made" } th scope="col" { "Id" } } }
            tbody {
                @for keyset in keysets.iter().take(500) {
                    tr {
                        th scope="row" data-label="Keyset" { a href=(format!("/keysets/{}", keyset.id)) { (keyset.name) } @if keyset.rotating { " " span.chip.soon { "rotation not finished" } } }
                        td data-label="For" { (kind(keyset)) }
                        td data-label="Status" { (status(keyset.status)) }
                        td.number data-label="Clients" { (keyset.clients) }
                        td.number data-label="Epoch" { (keyset.data_epoch) }
                        td data-label="Made" { (time(&keyset.created)) }
                        td data-label="Id" { (id(&keyset.id)) }
                    }
                }
            }
        }
    }
}

fn kind(keyset: &KeysetInfo) -> &'static str {
    if keyset.development { "development" } else { "production" }
}

/// `/keysets/ID`.
pub(super) fn show(visit: &Visit, name: &str) -> Result {
    let all = visit.workspace.survey()?;
    let keyset = find(&all, name)?;
    let activity = visit.workspace.activity(crate::keys::admin::HOURS)?;
    let values = usage::by_day(visit, keyset)?;
    let name = quoted(&keyset.name);
    let body = html! {
        nav.crumbs aria-label="Where this is" { a href="/keysets" { "Keysets" } }
        div.head { h1 { (keyset.name) " " (status(keyset.status)) } (acts(visit, keyset, &name)) }
        @if keyset.rotating {
            p.notice { "A rotation of this keyset is not finished: a new epoch waits until every client has it. Rotating again goes on with it." }
        }
        dl.facts {
            div { dt { "Id" } dd { (id(&keyset.id)) } }
            div { dt { "For" } dd { (kind(keyset)) @if keyset.development { span.quiet { ": devices may have it" } } } }
            div { dt { "Epoch for new values" } dd { (keyset.data_epoch) } }
            div { dt { "Can be read" } dd { @if keyset.oldest_epoch == keyset.data_epoch { "that epoch" } @else { "epochs " (keyset.oldest_epoch) " to " (keyset.data_epoch) } } }
            div { dt { "Made" } dd { (time(&keyset.created)) } }
        }
        section {
            div.head {
                h2 { "Who has access" }
                div.acts { (act(visit, &format!("/keysets/{}/grant", keyset.id), "Grant to a client", &format!("columnseal client grant CLIENT {name}"))) }
            }
            (access(&all, keyset))
        }
        (values)
        section #keys data-swap { h2 { "Data keys by day" } (by_day(&activity, keyset)) }
    };
    Ok(Answer::page(&keyset.name, body).live(5))
}

fn acts(visit: &Visit, keyset: &KeysetInfo, name: &str) -> Markup {
    let to = |act: &str| format!("/keysets/{}/{act}", keyset.id);
    html! {
        div.acts {
            (act(visit, &to("rotate"), "Rotate", &format!("columnseal keyset rotate {name}")))
            @if keyset.rotating { (act(visit, &to("abandon"), "Abandon", &format!("columnseal keyset rotate {name} --abandon"))) }
            @if keyset.name != DEFAULT {
                (act(visit, &to("rename"), "Rename", &format!("columnseal keyset rename {name} NAME")))
                @if keyset.status == "disabled" { (act(visit, &to("enable"), "Enable", &format!("columnseal keyset enable {name}"))) }
                @else { a.button.danger href=(to("disable")) { "Disable" } }
            }
        }
    }
}

fn access(all: &Export, keyset: &KeysetInfo) -> Markup {
    let holders = holders(all, keyset).collect::<Vec<_>>();
    html! {
        @if holders.is_empty() { (empty("Nobody has access", html! {})) }
        @else {
            table.cards {
                thead { tr { th scope="col" { "Client" } th scope="col" { "Status" } th scope="col" { "May" } th scope="col" { "Last seen" } th scope="col" { "Ends" } th scope="col" { span.hidden { "Acts" } } } }
                tbody {
                    @for (client, grant) in &holders {
                        tr {
                            th scope="row" data-label="Client" { a href=(format!("/clients/{}", client.id)) { (client.name) } @if client.admin { " " span.chip.admin { "admin" } } }
                            td data-label="Status" { (status(client.status)) }
                            td.chips data-label="May" { @for word in &grant.permissions { span.chip { (word) } } }
                            td data-label="Last seen" { (super::parts::last_seen(client)) }
                            td data-label="Ends" { (end(grant.expires.as_ref())) }
                            td.last { a.button.small.danger href=(format!("/clients/{}/revoke?keyset={}", client.id, keyset.id)) aria-label=(format!("Revoke from {}", client.name)) { "Revoke" } }
                        }
                    }
                }
            }
        }
    }
}

fn by_day(activity: &Activity, keyset: &KeysetInfo) -> Markup {
    let today = activity.now_ms / DAY_MS * DAY_MS;
    let days = (0..u64::from(usage::DAYS)).rev().map(|back| today.saturating_sub(back * DAY_MS)).collect::<Vec<_>>();
    let of = |action: &str| {
        let counted = |day: u64| {
            let counts = activity.counts.iter().filter(|count| count.hour_ms / DAY_MS * DAY_MS == day);
            let own = counts.filter(|count| count.action == action && count.keyset.as_deref() == Some(&keyset.name));
            own.map(|count| count.keys).sum::<u64>()
        };
        days.iter().map(|day| (*day, counted(*day))).collect::<Vec<_>>()
    };
    let (new, old) = (of("keys.encrypt"), of("keys.decrypt"));
    html! {
        div.columns {
            div { p { strong { (grouped(total(&new))) } " new keys in 30 days" } (bars(&Bars { label: "New data keys by day", values: &new, bad: false })) }
            div { p { strong { (grouped(total(&old))) } " keys given to read" } (bars(&Bars { label: "Data keys given to read by day", values: &old, bad: false })) }
        }
        p.quiet { "A key serves up to 65\u{202f}536 values." @if activity.from_ms > days[0] { " The trail holds more than is looked at here: counted from " (super::parts::time_ms(activity.from_ms)) "." } }
    }
}

/// `/keysets/new`.
pub(super) fn new(visit: &Visit) -> Result {
    const TITLE: &str = "Create a keyset";
    if !visit.local() {
        return Ok(elsewhere(TITLE, "columnseal keyset create NAME"));
    }
    let page = |form: &Form, wrong: Option<&str>| {
        html! {
            nav.crumbs aria-label="Where this is" { a href="/keysets" { "Keysets" } }
            h1 { (TITLE) }
            p.lead { "Values of one keyset are searched and joined among themselves only. One for each tenant keeps tenants apart." }
            form method="post" action="/keysets/new" {
                (hidden_token(&visit.token))
                (field(&Field { name: "name", label: "Name", value: form.text("name"), hint: "", wrong, required: true }))
                fieldset.field {
                    legend { "For" }
                    div.ticks {
                        label { input type="radio" name="for" value="production" checked[form.text("for") != "development"]; " production: applications only" }
                        label { input type="radio" name="for" value="development" checked[form.text("for") == "development"]; " development: devices of developers may have it too" }
                    }
                    p.hint { "This does not change later." }
                }
                div.submit { button.primary type="submit" { "Create the keyset" } a.button href="/keysets" { "Cancel" } }
            }
        }
    };
    let Some(form) = &visit.form else { return Ok(Answer::page(TITLE, page(&visit.query, None))) };
    let wrong = |text: &str| Ok(Answer::wrong(TITLE, page(form, Some(text))));
    if let Some(fault) = name_fault(form.text("name")) {
        return wrong(&sentence(fault));
    }
    match visit.workspace.create_keyset_for(form.text("name"), form.text("for") == "development") {
        Ok(keyset) => Ok(visit.done(&format!("/keysets/{}", keyset.id), "created")),
        Err(error @ (KeysError::Exists { .. } | KeysError::Invalid { .. })) => wrong(&sentence(&error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// `/keysets/ID/rename`.
pub(super) fn rename(visit: &Visit, name: &str) -> Result {
    const TITLE: &str = "Rename a keyset";
    let all = visit.workspace.survey()?;
    let keyset = find(&all, name)?;
    if !visit.local() {
        return Ok(elsewhere(TITLE, &format!("columnseal keyset rename {} NAME", quoted(&keyset.name))));
    }
    let back = format!("/keysets/{}", keyset.id);
    let page = |form: &Form, wrong: Option<&str>| {
        let value = if form.has("name") { form.text("name") } else { &keyset.name };
        let seen = if form.has("stamp") { form.text("stamp").to_owned() } else { stamp(None, Some(keyset)) };
        html! {
            nav.crumbs aria-label="Where this is" { a href="/keysets" { "Keysets" } a href=(back) { (keyset.name) } }
            h1 { "Rename " (keyset.name) }
            div.consequences { p { "Settings, sessions and connection strings that name it by its old name will not find it. What is stored does not change." } }
            form method="post" action=(format!("{back}/rename")) {
                (hidden_token(&visit.token))
                input type="hidden" name="stamp" value=(seen);
                (field(&Field { name: "name", label: "New name", value, hint: "", wrong, required: true }))
                div.submit { button.primary type="submit" { "Rename" } a.button href=(back) { "Cancel" } }
            }
        }
    };
    let Some(form) = &visit.form else { return Ok(Answer::page(TITLE, page(&visit.query, None))) };
    let wrong = |text: &str| Ok(Answer::wrong(TITLE, page(form, Some(text))));
    if let Some(fault) = name_fault(form.text("name")) {
        return wrong(&sentence(fault));
    }
    let workspace = visit.as_seen(form, None, Some(&keyset.id));
    match visit.told(workspace.rename_keyset(&keyset.id, form.text("name")), &keyset.name, &back) {
        Ok(_) => Ok(visit.done(&back, "renamed")),
        Err(Fault::Keys(error @ (KeysError::Exists { .. } | KeysError::Invalid { .. }))) => {
            wrong(&sentence(&error.to_string()))
        }
        Err(fault) => Err(fault),
    }
}
