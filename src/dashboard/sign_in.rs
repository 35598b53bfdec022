//! Pages for those who are not signed in, and pages about what went wrong.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use crate::keys::error::KeysError;

use super::answer::Fault;
use super::door::{Asked, Door, html as page, see};
use super::frame::bare;
use super::parts::command;
use super::place::Kind;
use super::session::Session;

/// `/login`: a look at it does nothing, so that nobody's preview uses the address up.
pub(super) fn login(door: &Door, asked: &Asked) -> Response {
    let kind = door.place.kind();
    let Some(form) = &asked.form else {
        let body = match asked.query.given("ticket") {
            Some(ticket) => html! {
                h1 { "Sign in" }
                p { "This address signs you in once, on this browser." }
                form method="post" action="/login" data-submit="" {
                    input type="hidden" name="ticket" value=(ticket);
                    button.primary type="submit" { "Sign in" }
                }
            },
            None => invitation(kind),
        };
        return page(StatusCode::OK, bare(kind, "Sign in", body).into_string());
    };
    let redeemed = door.place.redeem(form.text("ticket"), &asked.origin);
    match redeemed.and_then(Session::begin) {
        Ok(session) => door.signed_in(see("/"), &session),
        Err(error) => {
            door.place.note(asked.address, None);
            let body = html! {
                h1 { "This address does not sign you in" }
                p { (sentence(&error.to_string())) }
                (invitation_lines(kind))
            };
            page(StatusCode::FORBIDDEN, bare(kind, "Not signed in", body).into_string())
        }
    }
}

/// Nobody is signed in.
pub(super) fn signed_out(door: &Door, asked: &Asked) -> Response {
    if asked.method == Method::POST && asked.path != "/logout" {
        return kept(door, asked, "Your session has ended. Nothing was done.");
    }
    let kind = door.place.kind();
    if door.place.is_empty() {
        let body = html! {
            h1 { "No workspace yet" }
            p { "This key server is new. Bring the one-time token that it wrote (its log says where) to the first admin’s machine, and there:" }
            (command("columnseal init --server URL --bootstrap-token FILE --yes"))
        };
        return page(StatusCode::SERVICE_UNAVAILABLE, bare(kind, "No workspace yet", body).into_string());
    }
    page(StatusCode::UNAUTHORIZED, bare(kind, "Sign in", invitation(kind)).into_string())
}

/// A form that cannot be taken now: what was typed is not lost.
pub(super) fn kept(door: &Door, asked: &Asked, why: &str) -> Response {
    let kind = door.place.kind();
    let form = asked.form.clone().unwrap_or_default();
    let again = form.given("to").filter(|_| asked.path == "/resume").map(str::to_owned);
    let to = again.unwrap_or_else(|| format!("{}{}", asked.path, asked.query.with(&[])));
    let fields = form.without(&["csrf", "stamp", "to"]);
    let body = html! {
        h1 { "Sign in again, then go on" }
        p { (why) " What you typed is kept on this page." }
        (invitation_lines(kind))
        p { "Open the new address in another tab. When you are signed in there, come back here:" }
        form method="post" action="/resume" {
            input type="hidden" name="to" value=(to);
            @for (name, value) in fields.fields() { input type="hidden" name=(name) value=(value); }
            button.primary type="submit" { "Go on with my form" }
        }
        @if fields.fields().any(|(_, value)| !value.is_empty()) {
            dl.facts {
                @for (name, value) in fields.fields().filter(|(_, value)| !value.is_empty()) {
                    div { dt { (name) } dd { (value) } }
                }
            }
        }
    };
    page(StatusCode::UNAUTHORIZED, bare(kind, "Sign in again", body).into_string())
}

/// Somebody has signed out.
pub(super) fn left(door: &Door) -> Response {
    let kind = door.place.kind();
    let body = html! { h1 { "You are signed out" } (invitation_lines(kind)) };
    door.signed_off(page(StatusCode::OK, bare(kind, "Signed out", body).into_string()))
}

fn invitation(kind: Kind) -> Markup {
    html! { h1 { "Sign in" } (invitation_lines(kind)) }
}

fn invitation_lines(kind: Kind) -> Markup {
    match kind {
        Kind::Local => html! {
            p { "Open the address that " code { "columnseal dashboard" } " printed last: look at its terminal. Each address works once; a new one is printed there now if the last was used." }
        },
        Kind::Server => html! {
            p { "Sign in from a machine that holds an admin’s key:" }
            (command("columnseal login"))
            p.quiet { "It prints an address that works once, for a minute. The key stays where it is." }
        },
    }
}

/// Status, title and page for what went wrong.
pub(super) fn failure(fault: &Fault, asked: &Asked) -> (StatusCode, String, Markup) {
    match fault {
        Fault::NotFound(what) => {
            let body = html! {
                h1 { "Not here" }
                p { (sentence(what)) }
                p { a.button href="/" { "Go to the overview" } }
            };
            (StatusCode::NOT_FOUND, "Not here".to_owned(), body)
        }
        Fault::Changed { what, back } => {
            let body = html! {
                h1 { (what) " was changed meanwhile" }
                p { "Somebody else changed it after you opened your page. Nothing of yours was done, so nothing of theirs is lost." }
                p { a.button.primary href=(back) { "Look at it as it is now" } }
            };
            (StatusCode::CONFLICT, "Changed meanwhile".to_owned(), body)
        }
        Fault::Keys(error) => {
            let (status, title) = kinds(error);
            let body = html! {
                h1 { (title) }
                p { (sentence(&error.to_string())) }
                p { (error.hint()) }
                @if asked.method == Method::GET {
                    p { a.button href=(format!("{}{}", asked.path, asked.query.with(&[]))) { "Try again" } }
                } @else {
                    p { a.button href=(asked.path.rsplit_once('/').map_or("/", |(up, _)| if up.is_empty() { "/" } else { up })) { "Go back" } }
                }
            };
            (status, title.to_owned(), body)
        }
    }
}

fn kinds(error: &KeysError) -> (StatusCode, &'static str) {
    use KeysError as E;
    match error {
        E::ClientUnknown { .. } | E::UnknownKeyset { .. } => (StatusCode::NOT_FOUND, "That is not there"),
        E::Exists { .. } => (StatusCode::CONFLICT, "That is there already"),
        E::Conflict | E::GrantChanged => (StatusCode::CONFLICT, "Changed meanwhile"),
        E::Policy { .. } | E::NotAdmin { .. } | E::PermissionMissing { .. } | E::NoGrant { .. } => {
            (StatusCode::FORBIDDEN, "That is not allowed")
        }
        E::ClientDisabled { .. } | E::ClientExpired { .. } => (StatusCode::FORBIDDEN, "Your key is not let in"),
        E::Invalid { .. } | E::Refused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "That cannot be done"),
        E::Tampered { .. } | E::RolledBack { .. } | E::BadAnswer { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "Stop: something does not check out")
        }
        E::OutcomeUnknown => (StatusCode::SERVICE_UNAVAILABLE, "It is not known whether it was done"),
        E::TooManyRequests { .. } => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "The key service does not answer"),
    }
}

/// An error's line as a sentence.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
