//! Giving grants, from either side, and changing what is said of a client.

use maud::{Markup, html};

use crate::keys::claims::name_fault;
use crate::keys::permissions::Permissions;
use crate::keyserver::workspace::{ClientInfo, ClientUpdate, Export, KeysetInfo, stamp};

use super::answer::{Answer, Fault, Result};
use super::client::find;
use super::confirm::elsewhere;
use super::create::{PERMISSIONS, permissions};
use super::form::Form;
use super::keysets;
use super::parts::{Field, LIFETIMES, choice, field, hidden_token, lifetime, quoted, read_lifetime, ticks};
use super::sign_in::sentence;
use super::visit::Visit;

/// `/clients/ID/grant`.
pub(super) fn grant_to_client(visit: &Visit, name: &str) -> Result {
    let all = visit.workspace.survey()?;
    let client = find(&all, name)?;
    let line = format!("columnseal client grant {} KEYSET", quoted(&client.name));
    let form = visit.form.as_ref().unwrap_or(&visit.query);
    let keyset = form.given("keyset").map(|name| keysets::find(&all, name)).transpose()?;
    let side =
        Side { to: format!("/clients/{}/grant", client.id), back: format!("/clients/{}", client.id), of_keyset: false };
    grant(visit, &all, (Some(client), keyset), &side, &line)
}

/// `/keysets/ID/grant`.
pub(super) fn grant_of_keyset(visit: &Visit, name: &str) -> Result {
    let all = visit.workspace.survey()?;
    let keyset = keysets::find(&all, name)?;
    let line = format!("columnseal client grant CLIENT {}", quoted(&keyset.name));
    let form = visit.form.as_ref().unwrap_or(&visit.query);
    let client = form.given("client").map(|name| find(&all, name)).transpose()?;
    let side =
        Side { to: format!("/keysets/{}/grant", keyset.id), back: format!("/keysets/{}", keyset.id), of_keyset: true };
    grant(visit, &all, (client, Some(keyset)), &side, &line)
}

/// From which side a grant is given.
struct Side {
    to: String,
    back: String,
    of_keyset: bool,
}

type Pair<'a> = (Option<&'a ClientInfo>, Option<&'a KeysetInfo>);

/// Two steps: what to grant, then what will happen.
fn grant(visit: &Visit, all: &Export, pair: Pair<'_>, side: &Side, line: &str) -> Result {
    const TITLE: &str = "Grant a keyset";
    if !visit.local() {
        return Ok(elsewhere(TITLE, line));
    }
    let Some(form) = &visit.form else {
        return Ok(Answer::page(TITLE, choose(visit, all, pair, side, (&visit.query, None))));
    };
    let wrong = |text: &str| Ok(Answer::wrong(TITLE, choose(visit, all, pair, side, (form, Some(text)))));
    let (Some(client), Some(keyset)) = pair else {
        return wrong(if side.of_keyset { "Choose a client." } else { "Choose a keyset." });
    };
    let allowed = match permissions(form) {
        Ok(allowed) => allowed,
        Err(text) => return wrong(&text),
    };
    let Some(expires) = read_lifetime(form.text("expires")) else { return wrong("Choose one of the lifetimes.") };
    if !form.has("sure") {
        return Ok(Answer::page(TITLE, confirm(visit, (client, keyset), side, (form, allowed))));
    }
    let workspace = visit.as_seen(form, Some(&client.id), Some(&keyset.id));
    let given = workspace.grant(&client.id, &keyset.id, allowed, expires);
    visit.told(given, &format!("{} or {}", client.name, keyset.name), &side.back)?;
    Ok(visit.done(&side.back, "granted"))
}

fn choose(
    visit: &Visit,
    all: &Export,
    (client, keyset): Pair<'_>,
    side: &Side,
    (form, wrong): (&Form, Option<&str>),
) -> Markup {
    let name = if side.of_keyset { keyset.map(|keyset| &keyset.name) } else { client.map(|client| &client.name) };
    let name = name.map_or("", String::as_str);
    let held =
        |keyset: &KeysetInfo| client.is_some_and(|client| client.grants.iter().any(|grant| grant.keyset == keyset.id));
    let keyset_line = |keyset: &KeysetInfo| {
        let more = match (held(keyset), keyset.development) {
            (true, _) => " (it has this one: the grant is replaced)",
            (_, true) => " (development)",
            _ => "",
        };
        (keyset.id.clone(), format!("{}{more}", keyset.name))
    };
    let client_line = |client: &ClientInfo| (client.id.clone(), format!("{} ({})", client.name, client.kind));
    let none = |text: &str| (String::new(), text.to_owned());
    let keysets = std::iter::once(none("choose one")).chain(all.keysets.iter().map(keyset_line)).collect::<Vec<_>>();
    let clients = std::iter::once(none("choose one")).chain(all.clients.iter().map(client_line)).collect::<Vec<_>>();
    let fresh = !form.has("allow") && wrong.is_none();
    let allowed = if fresh { PERMISSIONS.map(|(name, _)| name.to_owned()).to_vec() } else { form.all("allow") };
    let mut offered = PERMISSIONS.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    if client.is_some_and(|client| client.admin) {
        offered.push(("grant".to_owned(), "grant: give the keyset to others".to_owned()));
    }
    html! {
        nav.crumbs aria-label="Where this is" {
            @if side.of_keyset { a href="/keysets" { "Keysets" } } @else { a href="/clients" { "Clients" } }
            a href=(side.back) { (name) }
        }
        h1 { @if side.of_keyset { "Grant " (name) " to a client" } @else { "Grant " (name) " a keyset" } }
        @if let Some(wrong) = wrong { p.notice.bad role="alert" { (wrong) } }
        form method="post" action=(side.to) {
            (hidden_token(&visit.token))
            @if side.of_keyset { (choice("client", "Client", client.map_or("", |client| &client.id), &clients)) }
            @else { (choice("keyset", "Keyset", keyset.map_or("", |keyset| &keyset.id), &keysets)) }
            (ticks("allow", "It may", "", &allowed, &offered))
            (lifetime("expires", "Ends after", form.text("expires")))
            div.submit { button.primary type="submit" { "Go on" } a.button href=(side.back) { "Cancel" } }
        }
    }
}

fn confirm(
    visit: &Visit,
    (client, keyset): (&ClientInfo, &KeysetInfo),
    side: &Side,
    (form, allowed): (&Form, Permissions),
) -> Markup {
    let can = |what| allowed.allows(what);
    let before = client.grants.iter().find(|grant| grant.keyset == keyset.id);
    html! {
        h1 { "Grant " (keyset.name) " to " (client.name) "?" }
        div.consequences {
            @if can(Permissions::DECRYPT) { p { strong { (client.name) } " will read every value of keyset " strong { (keyset.name) } ", those written before today too." } }
            @else { p { strong { (client.name) } " will not read values of keyset " strong { (keyset.name) } "." } }
            @if can(Permissions::ENCRYPT) { p { "It will write new values." } }
            @if can(Permissions::QUERY) { p { "It will search, and can test guesses against search terms." } }
            @if can(Permissions::GRANT) { p { "It can give the keyset to others." } }
            @if let Some(before) = before { p { "This replaces its grant of today: " (before.permissions.join(", ")) "." } }
            p { "Proxies that run follow within a second. Revoking takes it away again, but not what was read until then." }
        }
        form method="post" action=(side.to) {
            (hidden_token(&visit.token))
            input type="hidden" name="sure" value="yes";
            input type="hidden" name="stamp" value=(stamp(Some(client), Some(keyset)));
            input type="hidden" name="client" value=(client.id);
            input type="hidden" name="keyset" value=(keyset.id);
            input type="hidden" name="expires" value=(form.text("expires"));
            @for name in allowed.names() { input type="hidden" name="allow" value=(name); }
            div.submit { button.primary type="submit" { "Grant it" } a.button href=(side.back) { "Cancel" } }
        }
    }
}

/// `/clients/ID/edit`: name, owner, end.
pub(super) fn client(visit: &Visit, name: &str) -> Result {
    const TITLE: &str = "Change a client";
    let all = visit.workspace.survey()?;
    let client = find(&all, name)?;
    if !visit.local() {
        let line = format!("columnseal client update {} --name NAME --owner OWNER --expires 90d", quoted(&client.name));
        return Ok(elsewhere(TITLE, &line));
    }
    let back = format!("/clients/{}", client.id);
    let Some(form) = &visit.form else {
        return Ok(Answer::page(TITLE, edit_page(visit, client, &visit.query, None)));
    };
    let wrong = |field: &str, text: &str| Ok(Answer::wrong(TITLE, edit_page(visit, client, form, Some((field, text)))));
    let (new_name, owner) = (form.text("name"), form.text("owner"));
    if let Some(fault) = name_fault(new_name) {
        return wrong("name", &sentence(fault));
    }
    if let Some(fault) = name_fault(owner).filter(|_| !owner.is_empty()) {
        return wrong("owner", &sentence(fault));
    }
    let expires = match form.text("expires") {
        "stays" => None,
        text => match read_lifetime(text) {
            Some(expires) => Some(expires),
            None => return wrong("expires", "Choose one of the lifetimes."),
        },
    };
    let update = ClientUpdate { name: Some(new_name.to_owned()), owner: Some(owner.to_owned()), expires };
    let workspace = visit.as_seen(form, Some(&client.id), None);
    match visit.told(workspace.update_client(&client.id, &update), &client.name, &back) {
        Ok(_) => Ok(visit.done(&back, "changed")),
        Err(Fault::Keys(error @ crate::keys::error::KeysError::Exists { .. })) => {
            wrong("name", &sentence(&error.to_string()))
        }
        Err(Fault::Keys(error @ crate::keys::error::KeysError::Invalid { .. })) => {
            wrong("", &sentence(&error.to_string()))
        }
        Err(fault) => Err(fault),
    }
}

fn edit_page(visit: &Visit, client: &ClientInfo, form: &Form, wrong: Option<(&str, &str)>) -> Markup {
    let back = format!("/clients/{}", client.id);
    let at = |name: &str| wrong.filter(|(field, _)| *field == name).map(|(_, text)| text);
    let typed = |name: &str, known: &str| if form.has(name) { form.text(name).to_owned() } else { known.to_owned() };
    let (name, owner) = (typed("name", &client.name), typed("owner", client.owner.as_deref().unwrap_or_default()));
    let stays = client.expires.as_ref().map_or("stays: it does not end".to_owned(), |end| format!("stays: {end}"));
    let mut ends = vec![("stays".to_owned(), stays)];
    let [(none, never), spans @ ..] = &LIFETIMES;
    ends.extend(spans.iter().map(|(days, text)| (days.to_string(), format!("{text} from now"))));
    ends.push((none.to_string(), (*never).to_owned()));
    // What was looked at when the form was opened counts, also when it is shown again.
    let seen = if form.has("stamp") { form.text("stamp").to_owned() } else { stamp(Some(client), None) };
    html! {
        nav.crumbs aria-label="Where this is" { a href="/clients" { "Clients" } a href=(back) { (client.name) } }
        h1 { "Change " (client.name) }
        @if let Some((_, text)) = wrong { p.notice.bad role="alert" { (text) } }
        form method="post" action=(format!("{back}/edit")) {
            (hidden_token(&visit.token))
            input type="hidden" name="stamp" value=(seen);
            (field(&Field { name: "name", label: "Name", value: &name, hint: "", wrong: at("name"), required: true }))
            (field(&Field { name: "owner", label: "Owner", value: &owner, hint: "A person or a team.", wrong: at("owner"), required: false }))
            (choice("expires", "Ends", &typed("expires", "stays"), &ends))
            div.submit { button.primary type="submit" { "Save" } a.button href=(back) { "Cancel" } }
        }
    }
}
