//! What stands around every page.

use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::parts::hidden_token;
use super::place::Kind;

/// The rooms of the navigation: address, name.
const NAV: [(&str, &str); 6] = [
    ("", "Overview"),
    ("clients", "Clients"),
    ("keysets", "Keysets"),
    ("devices", "Devices"),
    ("types", "Types"),
    ("audit", "Audit"),
];

/// A page's surroundings.
pub(super) struct Frame<'a> {
    pub(super) kind: Kind,
    pub(super) title: &'a str,
    /// The first part of the address.
    pub(super) room: &'a str,
    /// Who is signed in, by name.
    pub(super) who: Option<String>,
    pub(super) token: String,
    /// What was done just now, as [`flash`] knows it.
    pub(super) flash: &'a str,
    /// Seconds between two looks for news.
    pub(super) live: Option<u32>,
}

/// A page of somebody who is signed in.
pub(super) fn whole(frame: &Frame<'_>, body: Markup) -> Markup {
    let room = if frame.room == "jobs" { "keysets" } else { frame.room };
    document(
        frame.title,
        html! {
            a.skip href="#main" { "Skip to content" }
            div.shell {
                header.side {
                    (brand(frame.kind))
                    nav aria-label="Main" {
                        ul {
                            @for (path, name) in NAV {
                                li { a href=(format!("/{path}")) aria-current=[(path == room).then_some("page")] { (name) } }
                            }
                        }
                    }
                    div.me {
                        @if let Some(who) = &frame.who { span.quiet { "Signed in as " } strong { (who) } }
                        form method="post" action="/logout" { (hidden_token(&frame.token)) button.link type="submit" { "Sign out" } }
                    }
                }
                main #main tabindex="-1" data-live=[frame.live] {
                    p.banner #away hidden role="status" { "The server does not answer. This page keeps trying." }
                    @if let Some(text) = flash(frame.flash) { p.flash role="status" { (text) } }
                    (body)
                }
            }
        },
    )
}

/// A page of somebody who is not.
pub(super) fn bare(kind: Kind, title: &str, body: Markup) -> Markup {
    document(title, html! { div.alone { header { (brand(kind)) } main #main tabindex="-1" { (body) } } })
}

fn brand(kind: Kind) -> Markup {
    let (place, title) = match kind {
        Kind::Local => ("this machine", "Served on this machine, which holds the admin’s key"),
        Kind::Server => {
            ("key server", "Served by the key server, which holds no admin’s key: it shows, disables and revokes")
        }
    };
    html! {
        a.brand href="/" {
            svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" {
                rect.mark x="2" y="2" width="28" height="28" rx="8" {}
                path.cut d="M11 9v14M16 9v14M21 9v5M21 19v4" {}
            }
            span { "Columnseal" small title=(title) { (place) } }
        }
    }
}

fn document(title: &str, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Columnseal" }
                link rel="stylesheet" href=(assets::style());
                link rel="icon" type="image/svg+xml" href=(assets::icon());
                script src=(assets::script()) defer {}
            }
            body { (body) }
        }
    }
}

/// What was done, by a word of the address: no text of an address is ever shown.
fn flash(done: &str) -> Option<&'static str> {
    Some(match done {
        "approved" => "The client is let in.",
        "granted" => "The grant is given. It counts from now.",
        "revoked" => "The grant is revoked.",
        "revoked-all" => "All grants are revoked.",
        "nothing" => "There was nothing to revoke.",
        "disabled" => "Disabled. Nothing is given to it any more.",
        "enabled" => "Enabled again.",
        "deleted" => "The client is deleted.",
        "changed" => "Saved.",
        "created" => "Made.",
        "renamed" => "It has its new name.",
        "let-in" => "The device is let in.",
        "refused" => "The device is turned away.",
        "abandoned" => "The unfinished epoch is forgotten.",
        _ => return None,
    })
}
