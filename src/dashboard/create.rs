//! New keys: made here, or approved; shown once.

use secrecy::ExposeSecret;
use std::time::Duration;

use maud::{Markup, html};

use crate::crypto::client_request::ClientRequest;
use crate::keys::claims::name_fault;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keyserver::workspace::{ClientKind, KeysetInfo, NewClient, stamp};

use super::answer::{Answer, Fault, Result};
use super::client::find;
use super::confirm::elsewhere;
use super::desk::MadeKey;
use super::form::Form;
use super::parts::{Field, choice, copy, field, hidden_token, lifetime, quoted, read_lifetime, ticks};
use super::sign_in::sentence;
use super::visit::Visit;

/// What a client may do with a keyset: name, in a few words.
pub(super) const PERMISSIONS: [(&str, &str); 3] = [
    ("encrypt", "encrypt: write new values"),
    ("decrypt", "decrypt: read values"),
    ("query", "query: search, and write types with search terms"),
];

/// What is wrong with a form: the field, and what.
type Wrong = (&'static str, String);

/// `/clients/new`.
pub(super) fn new(visit: &Visit) -> Result {
    if !visit.local() {
        return Ok(elsewhere("Create a new client", "columnseal client create NAME --keyset default"));
    }
    let keysets = visit.workspace.keysets()?;
    let Some(form) = &visit.form else {
        return Ok(Answer::page("Create a new client", new_page(visit, &visit.query, &keysets, None)));
    };
    let wrong = |wrong: Wrong| Ok(Answer::wrong("Create a new client", new_page(visit, form, &keysets, Some(&wrong))));
    let client = match read(form, &keysets) {
        Ok(client) => client,
        Err(fault) => return wrong(fault),
    };
    match visit.workspace.create_client(&client) {
        Ok(made) => {
            let (id, name) = (made.client.id, made.client.name);
            let key = MadeKey { id, name, secret: made.secret, note: None };
            Ok(Answer::See(format!("/made/{}", visit.desk.keep(key)?)))
        }
        Err(error) => wrong(rejected(error)?),
    }
}

/// `/clients/approve`.
pub(super) fn approve(visit: &Visit) -> Result {
    const TITLE: &str = "Approve a client's request";
    if !visit.local() {
        return Ok(elsewhere(TITLE, "columnseal client approve csrq1_… --keyset default"));
    }
    let keysets = visit.workspace.keysets()?;
    let Some(form) = &visit.form else {
        return Ok(Answer::page(TITLE, approve_page(visit, &visit.query, &keysets, None)));
    };
    let wrong = |wrong: Wrong| Ok(Answer::wrong(TITLE, approve_page(visit, form, &keysets, Some(&wrong))));
    let request = match ClientRequest::from_text(form.text("request")) {
        Ok(request) => request,
        Err(error) => return wrong(("request", format!("The string {error}. Copy the whole of it."))),
    };
    let named = match form.given("name") {
        Some(_) => form.clone(),
        None => form.without(&["name"]).and(Form::of("name", &request.name)),
    };
    let client = match read(&named, &keysets) {
        Ok(client) => client,
        Err(fault) => return wrong(fault),
    };
    match visit.workspace.approve_request(&request, &client) {
        Ok(client) => Ok(visit.done(&format!("/clients/{}", client.id), "approved")),
        Err(error) => wrong(rejected(error)?),
    }
}

/// `/clients/ID/rotate`.
pub(super) fn rotate(visit: &Visit, name: &str) -> Result {
    let all = visit.workspace.survey()?;
    let client = find(&all, name)?;
    if !visit.local() {
        return Ok(elsewhere("New key", &format!("columnseal client rotate {}", quoted(&client.name))));
    }
    let back = format!("/clients/{}", client.id);
    let Some(form) = &visit.form else {
        let body = html! {
            nav.crumbs aria-label="Where this is" { a href="/clients" { "Clients" } a href=(back) { (client.name) } }
            h1 { "A new key for " (client.name) }
            div.consequences {
                p { "A new key is made with the same grants, and shown once." }
                p { "The old key goes on under another name for as long as you say: put the new one in place meanwhile." }
            }
            form method="post" action=(format!("{back}/rotate")) {
                (hidden_token(&visit.token))
                input type="hidden" name="stamp" value=(stamp(Some(client), None));
                (choice("overlap", "The old key goes on for", "7", &OVERLAPS.map(|(days, text)| (days.to_string(), text.to_owned()))))
                div.submit { button.primary type="submit" { "Make the new key" } a.button href=(back) { "Cancel" } }
            }
        };
        return Ok(Answer::page("New key", body));
    };
    let days = form.text("overlap").parse::<u64>().ok().filter(|days| OVERLAPS.iter().any(|(known, _)| known == days));
    let days = days.ok_or_else(|| KeysError::invalid("choose how long the old key goes on"))?;
    let workspace = visit.as_seen(form, Some(&client.id), None);
    let rotated = workspace.rotate_client(&client.id, Duration::from_secs(days * 86_400), None);
    let rotated = visit.told(rotated, &client.name, &back)?;
    let secret = rotated.secret.ok_or_else(|| KeysError::bad_answer("no key was made"))?;
    let ends = rotated.old.expires.as_deref().unwrap_or("never");
    let note = Some(format!("The old key is now \"{}\" and ends {ends}.", rotated.old.name));
    let key = MadeKey { id: rotated.client.id, name: rotated.client.name, secret, note };
    Ok(Answer::See(format!("/made/{}", visit.desk.keep(key)?)))
}

const OVERLAPS: [(u64, &str); 4] = [(0, "not at all: it ends at once"), (1, "a day"), (7, "a week"), (30, "30 days")];

/// `/made/ID`: the key, once.
pub(super) fn made(visit: &Visit, id: &str) -> Result {
    let gone = "this key was shown before, or was not looked at within five minutes: it is kept nowhere. Make another, and delete the client whose key is lost";
    let key = visit.desk.take(id).ok_or_else(|| Fault::NotFound(gone.to_owned()))?;
    let secret = key.secret.expose_secret();
    let file = file_name(&key.name);
    let env = format!("CS_CLIENT_ID={}\nCS_CLIENT_KEY={secret}\n", key.id);
    let kubernetes = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: columnseal-{file}\ntype: Opaque\nstringData:\n  CS_CLIENT_ID: {}\n  CS_CLIENT_KEY: {secret}\n",
        key.id
    );
    let compose = format!(
        "services:\n  columnseal:\n    image: columnseal\n    command: proxy\n    env_file: {file}.env   # the file above, mode 0600, not in version control\n"
    );
    let row = |name: &str, value: &str| {
        html! { div.secret { span.name { (name) } code { (value) } (copy(value, &format!("Copy {name}"))) } }
    };
    let body = html! {
        h1 { "The key of " (key.name) }
        p.notice.strong { "This is shown once. Keep it where your secrets live; it cannot be shown again." }
        (row("CS_CLIENT_ID", &key.id))
        (row("CS_CLIENT_KEY", secret))
        @if let Some(note) = &key.note { p { (note) } }
        (snippet(&format!("As a file, {file}.env"), &env, Some(&format!("{file}.env")), true))
        (snippet("As a Kubernetes secret", &kubernetes, Some(&format!("columnseal-{file}.yaml")), false))
        (snippet("In a compose file", &compose, None, false))
        p { a.button href=(format!("/clients/{}", key.id)) { "I have kept it: go to the client" } }
    };
    Ok(Answer::page("A new key", body))
}

fn snippet(title: &str, text: &str, file: Option<&str>, open: bool) -> Markup {
    html! {
        details.snippet open[open] {
            summary { (title) }
            pre { (text) }
            p {
                button.copy.wordy type="button" data-copy=(text) hidden { "Copy" }
                @if let Some(file) = file { button.copy.wordy type="button" data-save=(file) data-text=(text) hidden { "Save as " (file) } }
            }
        }
    }
}

/// A name that files, secrets and services may have.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text = name.chars().map(plain).take(40).collect::<String>();
    let text = text.trim_matches('-');
    if text.is_empty() { "client".to_owned() } else { text.to_owned() }
}

fn read(form: &Form, keysets: &[KeysetInfo]) -> std::result::Result<NewClient, Wrong> {
    let name = form.text("name");
    if let Some(fault) = name_fault(name) {
        return Err(("name", sentence(fault)));
    }
    let kind = match form.text("kind") {
        "application" | "" => ClientKind::Application,
        "device" => ClientKind::Device,
        _ => return Err(("kind", "Choose application or device.".to_owned())),
    };
    let chosen = form.all("keyset");
    let known = |id: &String| keysets.iter().any(|keyset| keyset.id == *id || keyset.name == *id);
    if !chosen.iter().all(known) {
        return Err(("keyset", "A keyset is not there any more: choose again.".to_owned()));
    }
    let permissions = permissions(form).map_err(|text| ("allow", text))?;
    let Some(expires) = read_lifetime(form.text("expires")) else {
        return Err(("expires", "Choose one of the lifetimes.".to_owned()));
    };
    let owner = form.text("owner");
    if let Some(fault) = name_fault(owner).filter(|_| !owner.is_empty()) {
        return Err(("owner", sentence(fault)));
    }
    Ok(NewClient { keysets: chosen, permissions, expires, owner: owner.to_owned(), ..NewClient::named(name, kind) })
}

/// What was ticked of [`PERMISSIONS`].
pub(super) fn permissions(form: &Form) -> std::result::Result<Permissions, String> {
    let chosen = Permissions::try_from(form.all("allow"))?;
    if chosen.is_empty() { Err("Tick at least one thing that it may do.".to_owned()) } else { Ok(chosen) }
}

/// What the service does not take belongs to the form; everything else is a page of its own.
fn rejected(error: KeysError) -> Result<Wrong> {
    match error {
        KeysError::Exists { .. } => Ok(("name", sentence(&error.to_string()))),
        KeysError::Invalid { .. }
        | KeysError::Policy { .. }
        | KeysError::Refused { .. }
        | KeysError::NoGrant { .. }
        | KeysError::OtherWorkspace { .. } => Ok(("", sentence(&error.to_string()))),
        error => Err(Fault::Keys(error)),
    }
}

/// The error at the top of a form, or at its field.
struct Marked<'a>(Option<&'a Wrong>);

impl<'a> Marked<'a> {
    fn at(&self, name: &str) -> Option<&'a str> {
        self.0.filter(|(field, _)| *field == name).map(|(_, text)| text.as_str())
    }

    fn summary(&self) -> Markup {
        html! { @if let Some((_, text)) = self.0 { p.notice.bad role="alert" { (text) } } }
    }
}

fn new_page(visit: &Visit, form: &Form, keysets: &[KeysetInfo], wrong: Option<&Wrong>) -> Markup {
    let marked = Marked(wrong);
    let kinds = [
        ("application", "application: a program, a proxy, CI"),
        ("device", "device: a person's machine, development keysets only"),
    ];
    let kinds = kinds.map(|(value, text)| (value.to_owned(), text.to_owned()));
    html! {
        nav.crumbs aria-label="Where this is" { a href="/clients" { "Clients" } }
        h1 { "Create a new client" }
        p.lead { "The key is made on this machine and shown once. The key service never sees it." }
        (marked.summary())
        form method="post" action="/clients/new" {
            (hidden_token(&visit.token))
            (field(&Field { name: "name", label: "Name", value: form.text("name"), hint: "What uses the key: web, ci, reports.", wrong: marked.at("name"), required: true }))
            (choice("kind", "Kind", form.text("kind"), &kinds))
            (may(form, keysets, &marked))
            (lifetime("expires", "Ends after", form.text("expires")))
            (field(&Field { name: "owner", label: "Owner", value: form.text("owner"), hint: "A person or a team.", wrong: marked.at("owner"), required: false }))
            div.submit { button.primary type="submit" { "Create the client" } a.button href="/clients" { "Cancel" } }
        }
        p.quiet { "Better still: make the key where it will be used, with " code { "columnseal client request" } ", and " a href="/clients/approve" { "approve its request" } ". Then nobody but its user ever sees it." }
    }
}

fn approve_page(visit: &Visit, form: &Form, keysets: &[KeysetInfo], wrong: Option<&Wrong>) -> Markup {
    let marked = Marked(wrong);
    html! {
        nav.crumbs aria-label="Where this is" { a href="/clients" { "Clients" } }
        h1 { "Approve a client’s request" }
        p.lead { "On the machine that will use the key, " code { "columnseal client request --name web" } " makes it there and prints a string that holds no secret. Whose string you approve gets the grants: take it from where nobody can swap it." }
        (marked.summary())
        form method="post" action="/clients/approve" {
            (hidden_token(&visit.token))
            (field(&Field { name: "request", label: "The string", value: form.text("request"), hint: "It begins with csrq1_.", wrong: marked.at("request"), required: true }))
            (field(&Field { name: "name", label: "Name", value: form.text("name"), hint: "Empty: the name that the request proposes.", wrong: marked.at("name"), required: false }))
            (may(form, keysets, &marked))
            (lifetime("expires", "Ends after", form.text("expires")))
            (field(&Field { name: "owner", label: "Owner", value: form.text("owner"), hint: "A person or a team.", wrong: marked.at("owner"), required: false }))
            div.submit { button.primary type="submit" { "Let the client in" } a.button href="/clients" { "Cancel" } }
        }
    }
}

/// Keysets and permissions.
fn may(form: &Form, keysets: &[KeysetInfo], marked: &Marked<'_>) -> Markup {
    let live = keysets.iter().filter(|keyset| keyset.status == "active");
    let name = |keyset: &KeysetInfo| {
        let kind = if keyset.development { " (development)" } else { "" };
        (keyset.id.clone(), format!("{}{kind}", keyset.name))
    };
    let keysets = live.map(name).collect::<Vec<_>>();
    let fresh = !form.has("name");
    let ticked = if fresh && !form.has("keyset") {
        keysets.iter().take(1).filter(|_| keysets.len() == 1).map(|(id, _)| id.clone()).collect()
    } else {
        form.all("keyset")
    };
    let allowed = if fresh && !form.has("allow") {
        PERMISSIONS.map(|(name, _)| name.to_owned()).to_vec()
    } else {
        form.all("allow")
    };
    let permissions = PERMISSIONS.map(|(name, text)| (name.to_owned(), text.to_owned()));
    html! {
        (ticks("keyset", "Keysets", "Those that it may use. None: grant it one later.", &ticked, &keysets))
        @if let Some(text) = marked.at("keyset") { p.wrong { (text) } }
        (ticks("allow", "It may", "", &allowed, &permissions))
        @if let Some(text) = marked.at("allow") { p.wrong { (text) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_names_of_files_and_secrets() {
        assert_eq!(file_name("Web (EU) 2"), "web--eu--2");
        assert_eq!(file_name("äö"), "client");
        assert!(file_name(&"x".repeat(128)).len() == 40);
    }

    #[test]
    fn forms_that_are_not_right_name_their_field() {
        for (text, at) in [
            ("name=&allow=decrypt", "name"),
            ("name=a&kind=root&allow=decrypt", "kind"),
            ("name=a&keyset=none&allow=decrypt", "keyset"),
            ("name=a", "allow"),
            ("name=a&allow=fly", "allow"),
            ("name=a&allow=decrypt&expires=2", "expires"),
            ("name=a&allow=decrypt&owner=%01", "owner"),
        ] {
            let form = Form::read(text).expect("well formed");
            assert_eq!(read(&form, &[]).err().map(|(field, _)| field), Some(at), "{text}");
        }
    }
}
