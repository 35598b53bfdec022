//! Developers' devices: those that wait, and those that were let in.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::crypto::enrol::Code;
use crate::keys::error::KeysError;
use crate::keyserver::workspace::{Approval, ClientInfo, DeviceInfo, KeysetInfo};

use super::answer::{Answer, Fault, Result};
use super::confirm::elsewhere;
use super::form::Form;
use super::parts::{
    Field, act, command, empty, end, field, grant_chip, hidden_token, last_seen, lifetime, read_lifetime, status,
    ticks, time,
};
use super::sign_in::sentence;
use super::visit::Visit;

pub(super) fn list(visit: &Visit) -> Result {
    page(visit, None, &visit.query)
}

/// `wrong`: of which device, and what.
fn page(visit: &Visit, wrong: Option<(&str, &str)>, form: &Form) -> Result {
    let all = visit.workspace.survey()?;
    // Where the key is, looking answers those that wait: then they show their code.
    let waiting = if visit.local() { visit.workspace.devices()? } else { visit.workspace.waiting()? };
    let keysets =
        all.keysets.iter().filter(|keyset| keyset.development && keyset.status == "active").collect::<Vec<_>>();
    let body = html! {
        h1 { "Devices" }
        section {
            h2 { "Waiting to be let in" }
            div #waiting data-swap[wrong.is_none() && !waiting.iter().any(|device| device.status == "code")] {
                @if waiting.is_empty() {
                    (empty("No device waits", html! { p.quiet { "On the device: " code { "columnseal init --server URL" } ". It asks for five minutes." } }))
                }
                @for device in &waiting { (card(visit, device, &keysets, (wrong, form))) }
            }
        }
        section {
            h2 { "Let in" }
            (known(visit, &all.clients))
        }
    };
    Ok(match wrong {
        None => Answer::page("Devices", body).live(2),
        Some(_) => Answer::wrong("Devices", body),
    })
}

fn card(
    visit: &Visit,
    device: &DeviceInfo,
    keysets: &[&KeysetInfo],
    (wrong, form): (Option<(&str, &str)>, &Form),
) -> Markup {
    let own = wrong.filter(|(id, _)| *id == device.id).map(|(_, text)| text);
    let typed = own.is_some() || form.text("device") == device.id;
    let value = |name: &str| if typed { form.text(name) } else { "" };
    let offered = keysets.iter().map(|keyset| (keyset.id.clone(), keyset.name.clone())).collect::<Vec<_>>();
    let default = keysets.iter().find(|keyset| keyset.name == "default").map(|keyset| keyset.id.clone());
    let ticked = if typed { form.all("keyset") } else { default.into_iter().collect() };
    let suggested = device.owner.as_ref().map_or(device.device.clone(), |owner| format!("{owner}@{}", device.device));
    html! {
        article.card {
            h3 { (device.device) @if let Some(owner) = &device.owner { " of " (owner) } }
            p.quiet { "As it says of itself. Asked " (time(&device.since)) @if let Some(address) = &device.address { " from " (address) } "." }
            @match (visit.local(), device.status) {
                (false, _) => { (act(visit, "", "Let it in", "columnseal device approve")) }
                (true, "elsewhere") => { p { "Another admin, or another machine of yours, has answered it." } }
                (true, "answered") => { p { "It will show its code in a moment." } }
                (true, _) => {
                    @if let Some(text) = own { p.notice.bad role="alert" { (text) } }
                    form method="post" action=(format!("/devices/{}/approve", device.id)) {
                        (hidden_token(&visit.token))
                        input type="hidden" name="device" value=(device.id);
                        (field(&Field { name: "code", label: "Code", value: value("code"), hint: "Read it off the device’s own screen, not from a message: eight characters such as 4K7M-X2QP.", wrong: None, required: true }))
                        (field(&Field { name: "name", label: "Name", value: if typed { value("name") } else { &suggested }, hint: "", wrong: None, required: false }))
                        (ticks("keyset", "Keysets", "Development keysets only.", &ticked, &offered))
                        (lifetime("expires", "Ends after", value("expires")))
                        div.submit { button.primary type="submit" { "Let it in" } a.button href=(format!("/devices/{}/refuse", device.id)) { "Turn it away" } }
                    }
                }
            }
        }
    }
}

/// Devices by owner.
fn known(visit: &Visit, clients: &[ClientInfo]) -> Markup {
    let mut owners = BTreeMap::<&str, Vec<&ClientInfo>>::new();
    for client in clients.iter().filter(|client| client.kind == "device") {
        owners.entry(client.owner.as_deref().unwrap_or("")).or_default().push(client);
    }
    html! {
        @if owners.is_empty() { (empty("No device was let in yet", html! {})) }
        @for (owner, devices) in &owners {
            h3 { @if owner.is_empty() { "Owner not said" } @else { (owner) } }
            table.cards {
                thead { tr { th scope="col" { "Device" } th scope="col" { "Status" } th scope="col" { "May use" } th scope="col" { "Last seen" } th scope="col" { "Ends" } th scope="col" { span.hidden { "Acts" } } } }
                tbody {
                    @for client in devices {
                        tr {
                            th scope="row" data-label="Device" {
                                a href=(format!("/clients/{}", client.id)) { (client.name) }
                                @if client.admin { " " span.chip.admin { "admin" } }
                                @if client.id == visit.who.to_string() { " " span.chip { "you" } }
                            }
                            td data-label="Status" { (status(client.status)) }
                            td.chips data-label="May use" { @for grant in client.grants.iter().take(4) { (grant_chip(grant)) } @if client.grants.is_empty() { span.quiet { "nothing" } } }
                            td data-label="Last seen" { (last_seen(client)) }
                            td data-label="Ends" { (end(client.expires.as_ref())) }
                            td.last { @if !client.grants.is_empty() && !client.admin { a.button.small.danger href=(format!("/clients/{}/revoke", client.id)) aria-label=(format!("Revoke {}", client.name)) { "Revoke" } } }
                        }
                    }
                }
            }
        }
        p.quiet { "Revoking one device leaves a developer’s others as they are." }
    }
}

/// `/devices/ID/approve`.
pub(super) fn approve(visit: &Visit, id: &str) -> Result {
    if !visit.local() {
        return Ok(elsewhere("Let a device in", "columnseal device approve"));
    }
    let Some(form) = &visit.form else { return page(visit, None, &visit.query) };
    let wrong = |text: &str| page(visit, Some((id, text)), form);
    let Ok(code) = form.text("code").parse::<Code>() else {
        return wrong("That is no code: type the eight characters that the device shows, such as 4K7M-X2QP.");
    };
    let Some(expires) = read_lifetime(form.text("expires")) else { return wrong("Choose one of the lifetimes.") };
    let keysets = form.all("keyset");
    if keysets.is_empty() {
        return wrong("Tick at least one keyset.");
    }
    let how = Approval { device: Some(id.to_owned()), name: form.given("name").map(str::to_owned), keysets, expires };
    match visit.workspace.approve_device(&code, &how) {
        Ok(client) => Ok(visit.done(&format!("/clients/{}", client.id), "let-in")),
        Err(
            error @ (KeysError::Invalid { .. }
            | KeysError::Refused { .. }
            | KeysError::Exists { .. }
            | KeysError::Policy { .. }),
        ) => wrong(&format!(
            "{} Compare the code once more; if it is right, begin again on the device.",
            sentence(&error.to_string())
        )),
        Err(error) => Err(error.into()),
    }
}

/// `/devices/ID/refuse`.
pub(super) fn refuse(visit: &Visit, id: &str) -> Result {
    if !visit.local() {
        return Ok(elsewhere("Turn a device away", "columnseal device refuse DEVICE"));
    }
    if visit.form.is_some() {
        return match visit.workspace.refuse_device(id) {
            Ok(_) => Ok(visit.done("/devices", "refused")),
            Err(KeysError::Invalid { .. }) => Err(Fault::NotFound("this device does not wait any more".to_owned())),
            Err(error) => Err(error.into()),
        };
    }
    let waiting = visit.workspace.waiting()?;
    let device = waiting.iter().find(|device| device.id == id);
    let device = device.ok_or_else(|| Fault::NotFound("this device does not wait any more".to_owned()))?;
    let body = html! {
        h1 { "Turn " (device.device) " away?" }
        div.consequences {
            p { "The device is told so and gets nothing. It can ask again." }
            p { "Do this when you do not know whose it is. If a code did not fit, tell the person to stop: something may stand in between." }
        }
        form method="post" action=(format!("/devices/{id}/refuse")) {
            (hidden_token(&visit.token))
            div.submit { button.primary.danger type="submit" { "Turn it away" } a.button href="/devices" { "Cancel" } }
        }
        p.quiet { "On the command line:" }
        (command(&format!("columnseal device refuse {id}")))
    };
    Ok(Answer::page("Turn a device away", body))
}
