//! Acts that are asked about first, on a page of their own that says what will happen; and jobs that take a while.

use maud::{Markup, html};

use crate::keys::admin::PresenceReport;
use crate::keyserver::workspace::{ClientInfo, Export, KeysetInfo, stamp};

use super::answer::{Answer, Fault, Result};
use super::client::find;
use super::desk::State;
use super::keysets;
use super::parts::{command, count, hidden_token, quoted};
use super::presence;
use super::sign_in::sentence;
use super::visit::Visit;

/// What is asked.
struct Question {
    title: String,
    /// What will happen, one plain sentence each.
    lines: Vec<Markup>,
    button: &'static str,
    danger: bool,
    /// Where the form goes.
    to: String,
    back: String,
    stamp: String,
    keyset: Option<String>,
}

fn ask(visit: &Visit, question: &Question) -> Answer {
    let Question { title, lines, button, danger, to, back, stamp, keyset } = question;
    let body = html! {
        h1 { (title) "?" }
        div.consequences.danger[*danger] { @for line in lines { p { (line) } } }
        form method="post" action=(to) {
            (hidden_token(&visit.token))
            input type="hidden" name="stamp" value=(stamp);
            @if let Some(keyset) = keyset { input type="hidden" name="keyset" value=(keyset); }
            div.submit {
                button.primary.danger[*danger] type="submit" { (button) }
                a.button href=(back) { "Cancel" }
            }
        }
    };
    Answer::page(title.clone(), body)
}

/// An act that needs a key, asked for where none is.
pub(super) fn elsewhere(title: &str, line: &str) -> Answer {
    let body = html! {
        h1 { (title) }
        p { "This needs an admin’s key. The key server has none: a page that it serves must never touch one. On the admin’s machine:" }
        (command(line))
        p { "Or with a page there, which does all that this one does not:" }
        (command("columnseal dashboard"))
    };
    Answer::page(title, body)
}

/// `/clients/ID/{revoke,disable,enable,delete}`.
pub(super) fn client(visit: &Visit, name: &str, act: &str) -> Result {
    let all = visit.workspace.survey()?;
    let client = find(&all, name)?;
    if !visit.local() && matches!(act, "enable" | "delete") {
        let line = format!("columnseal client {act} {}", quoted(&client.name));
        return Ok(elsewhere(&format!("{} {}", sentence(act).trim_end_matches('.'), client.name), &line));
    }
    let given = visit.form.as_ref().unwrap_or(&visit.query).given("keyset");
    let keyset = match (act, given) {
        ("revoke", Some(name)) => Some(keysets::find(&all, name)?),
        _ => None,
    };
    let Some(form) = &visit.form else {
        let report = visit.workspace.presence()?;
        let lines = client_lines(act, client, keyset, &report)?;
        return Ok(ask(visit, &client_question(act, client, keyset, lines)));
    };
    let back = format!("/clients/{}", client.id);
    let workspace = visit.as_seen(form, Some(&client.id), keyset.map(|keyset| keyset.id.as_str()));
    let told = |done: std::result::Result<&'static str, _>| visit.told(done, &client.name, &back);
    let done = match act {
        "revoke" => {
            let taken = workspace.revoke(&client.id, keyset.map(|keyset| keyset.id.as_str()));
            told(taken.map(|taken| match (taken.is_empty(), keyset.is_some()) {
                (true, _) => "nothing",
                (false, true) => "revoked",
                (false, false) => "revoked-all",
            }))?
        }
        "disable" => told(workspace.set_client_enabled(&client.id, false).map(|_| "disabled"))?,
        "enable" => told(workspace.set_client_enabled(&client.id, true).map(|_| "enabled"))?,
        "delete" => {
            told(workspace.delete_client(&client.id).map(|_| "deleted"))?;
            return Ok(visit.done("/clients", "deleted"));
        }
        _ => return Err(Fault::NotFound("there is no such page".to_owned())),
    };
    Ok(visit.done(&back, done))
}

fn client_question(act: &str, client: &ClientInfo, keyset: Option<&KeysetInfo>, lines: Vec<Markup>) -> Question {
    let name = &client.name;
    let (title, button, danger) = match (act, keyset) {
        ("revoke", Some(keyset)) => (format!("Revoke {} from {name}", keyset.name), "Revoke", true),
        ("revoke", None) => (format!("Revoke all grants of {name}"), "Revoke all", true),
        ("disable", _) => (format!("Disable {name}"), "Disable", true),
        ("enable", _) => (format!("Enable {name}"), "Enable", false),
        _ => (format!("Delete {name}"), "Delete", true),
    };
    Question {
        title,
        lines,
        button,
        danger,
        to: format!("/clients/{}/{act}", client.id),
        back: format!("/clients/{}", client.id),
        stamp: stamp(Some(client), keyset),
        keyset: keyset.map(|keyset| keyset.id.clone()),
    }
}

fn client_lines(
    act: &str,
    client: &ClientInfo,
    keyset: Option<&KeysetInfo>,
    report: &PresenceReport,
) -> Result<Vec<Markup>> {
    let name = &client.name;
    let streams = presence::of(report, &client.id).map_or(0, |presence| presence.streams);
    let now = html! {
        @if streams > 0 { (count(streams.into(), "proxy")) " " (if streams == 1 { "is" } else { "are" }) " connected with its key now. " }
        "A proxy that cannot reach the key service stops when its lease ends, 60 s by default."
    };
    let read = html! { "What it has read it has read. If somebody else may hold its key, rotate the keysets too." };
    Ok(match act {
        "revoke" => {
            let what = html! {
                @match keyset {
                    Some(keyset) => { strong { (name) } " will read and write nothing of keyset " strong { (keyset.name) } " within a second." }
                    None => { strong { (name) } " will read and write nothing encrypted within a second: it loses " (count(client.grants.len() as u64, "grant")) "." }
                }
            };
            vec![what, now, read, html! { "To undo it, grant it again." }]
        }
        "disable" => {
            let what = html! { strong { (name) } " will be refused everything within a second. Its grants stay." };
            vec![what, now, read, html! { "Enabling it undoes this." }]
        }
        "enable" => vec![
            html! { strong { (name) } " will be let in again, with the grants that it has: " (count(client.grants.len() as u64, "grant")) "." },
        ],
        "delete" => vec![
            html! { strong { (name) } " and its " (count(client.grants.len() as u64, "grant")) " are removed. A proxy with its key serves nothing encrypted within a second." },
            read,
            html! { "This cannot be undone: the key is never let in again unless it is approved anew." },
        ],
        _ => return Err(Fault::NotFound("there is no such page".to_owned())),
    })
}

/// `/keysets/ID/{disable,enable,rotate,abandon}`.
pub(super) fn keyset(visit: &Visit, name: &str, act: &str) -> Result {
    let all = visit.workspace.survey()?;
    let keyset = keysets::find(&all, name)?;
    if !visit.local() && act != "disable" {
        let line = match act {
            "enable" => format!("columnseal keyset enable {}", quoted(&keyset.name)),
            "abandon" => format!("columnseal keyset rotate {} --abandon", quoted(&keyset.name)),
            _ => format!("columnseal keyset rotate {}", quoted(&keyset.name)),
        };
        return Ok(elsewhere(&format!("{} {}", sentence(act).trim_end_matches('.'), keyset.name), &line));
    }
    let Some(form) = &visit.form else { return Ok(ask(visit, &keyset_question(act, keyset, &all)?)) };
    let back = format!("/keysets/{}", keyset.id);
    let workspace = visit.as_seen(form, None, Some(&keyset.id));
    let told = |done: std::result::Result<&'static str, _>| visit.told(done, &keyset.name, &back);
    let done = match act {
        "disable" => told(workspace.set_keyset_enabled(&keyset.id, false).map(|_| "disabled"))?,
        "enable" => told(workspace.set_keyset_enabled(&keyset.id, true).map(|_| "enabled"))?,
        "abandon" => told(workspace.abandon_epoch(&keyset.id).map(|_| "abandoned"))?,
        "rotate" => {
            if stamp(None, Some(keyset)) != form.text("stamp") {
                return Err(Fault::Changed { what: keyset.name.clone(), back });
            }
            // Each step of it changes the keyset: only the first look counts.
            let (workspace, id) = (visit.workspace.clone(), keyset.id.clone());
            let work = move |told: &dyn Fn(usize, usize)| {
                let done = workspace.rotate_keyset(&id, told)?;
                Ok(format!(
                    "{} uses epoch {} for new values. Values of older epochs stay readable; write them anew through a proxy to move them.",
                    done.name, done.data_epoch
                ))
            };
            let job = visit.desk.begin(format!("Rotating {}", keyset.name), back, work)?;
            return Ok(Answer::See(format!("/jobs/{job}")));
        }
        _ => return Err(Fault::NotFound("there is no such page".to_owned())),
    };
    Ok(visit.done(&back, done))
}

fn keyset_question(act: &str, keyset: &KeysetInfo, all: &Export) -> Result<Question> {
    let name = &keyset.name;
    let holders = keysets::holders(all, keyset).count() as u64;
    let (title, button, danger, lines) = match act {
        "disable" => (
            format!("Disable {name}"),
            "Disable",
            true,
            vec![
                html! { "Nobody will read or write values of keyset " strong { (name) } " within a second: " (count(holders, "client")) " " (if holders == 1 { "has" } else { "have" }) " it now." },
                html! { "The values stay where they are, and so do the grants. Enabling it undoes this." },
            ],
        ),
        "enable" => (
            format!("Enable {name}"),
            "Enable",
            false,
            vec![
                html! { "Values of keyset " strong { (name) } " can be read and written again by " (count(holders, "client")) "." },
            ],
        ),
        "rotate" => (
            format!("Rotate {name}"),
            "Rotate",
            false,
            vec![
                html! { "Keyset " strong { (name) } " gets a new epoch, " (keyset.data_epoch + u32::from(!keyset.rotating)) ". It is handed to " (count(holders, "client")) ", and only then used for new values." },
                html! { "Values of older epochs stay readable. They are not written anew by this; search terms stay as they are." },
                html! { "Whoever holds the old keys reads old values as before. To end that, write the values anew and then drop the old epoch (" code { "columnseal keyset rotate " (quoted(name)) " --drop-epoch " (keyset.data_epoch) } ")." },
            ],
        ),
        "abandon" => (
            format!("Abandon the rotation of {name}"),
            "Abandon",
            true,
            vec![
                html! { "The epoch that was begun is forgotten. No value uses it. New values go on with epoch " (keyset.data_epoch) "." },
            ],
        ),
        _ => return Err(Fault::NotFound("there is no such page".to_owned())),
    };
    let (to, back) = (format!("/keysets/{}/{act}", keyset.id), format!("/keysets/{}", keyset.id));
    Ok(Question { title, lines, button, danger, to, back, stamp: stamp(None, Some(keyset)), keyset: None })
}

/// `/jobs/ID`.
pub(super) fn job(visit: &Visit, id: &str) -> Result {
    let gone =
        || Fault::NotFound("this was long ago, or the page was started anew since: look at the audit trail".to_owned());
    let job = visit.desk.job(id).ok_or_else(gone)?;
    let state = job.state();
    let running = matches!(state, State::Running(..));
    let seconds = job.began.elapsed().as_secs();
    let body = html! {
        h1 { (job.title) }
        div #job data-swap aria-live="polite" {
            @match &state {
                State::Running(done, all) => {
                    @if *all > 0 {
                        progress max=(all) value=(done) aria-label="How far it is" {}
                        p { (done) " of " (count(*all as u64, "client")) " have it, after " (seconds) " s." }
                    } @else { progress aria-label="It runs" {} p { "It runs, since " (seconds) " s." } }
                    p.quiet { "You can leave this page: it goes on." }
                }
                State::Done(text) => { p.flash role="status" { (text) } }
                State::Failed(why, hint) => { p.notice.bad role="alert" { (sentence(why)) } p { (hint) } }
            }
            p { @if running { a.button href=(format!("/jobs/{}", job.id)) { "Look again" } " " } a.button href=(job.back) { "Go back" } }
        }
    };
    let page = Answer::page(job.title.clone(), body);
    Ok(if running { page.live(1) } else { page })
}
