//! What clients heard of what was taken from them, as it comes in.

use maud::{Markup, html};

use crate::keys::admin::{Presence, PresenceReport};
use crate::keyserver::workspace::ClientInfo;

use super::parts::{count, time_ms};

/// What was taken longer ago is not told on top of a page, in milliseconds.
const RECENT_MS: u64 = 5 * 60 * 1000;

/// How a client takes what was taken from it.
pub(super) struct Taken {
    pub(super) markup: Markup,
    /// Word of it is still to come.
    pub(super) waiting: bool,
}

/// One client of a report.
pub(super) fn of<'a>(report: &'a PresenceReport, id: &str) -> Option<&'a Presence> {
    let id = id.parse().ok()?;
    report.clients.iter().find(|presence| presence.client == id)
}

/// What happened since something was taken from this client a short while ago.
pub(super) fn taken(report: &PresenceReport, client: &ClientInfo) -> Option<Taken> {
    let presence = of(report, &client.id)?;
    let cut_ms = presence.cut_ms.filter(|cut| report.now_ms.saturating_sub(*cut) < RECENT_MS)?;
    let (then, heard) = (presence.streams_then, presence.heard.min(presence.streams_then));
    let waiting = heard < then;
    let markup = html! {
        section.taken.waiting[waiting] #taken aria-live="polite" data-swap {
            @if then == 0 {
                p { strong { "No proxy was connected" } " with this key when it was taken away " (time_ms(cut_ms)) ". One that starts now gets nothing." }
            } @else if waiting {
                p { strong { (heard) " of " (count(then.into(), "connection")) " confirmed" } " so far. Taken away " (time_ms(cut_ms)) "; a proxy that cannot be reached stops when its lease ends." }
            } @else {
                p {
                    strong { @if then == 1 { "The proxy has confirmed" } @else { "All " (then) " proxies have confirmed" } }
                    @if let Some(after) = presence.heard_after_ms { " within " strong { (after) " ms" } }
                    ": the keys are dropped there. What was read before is read."
                }
            }
        }
    };
    Some(Taken { markup, waiting })
}

/// Whether a client is connected now, in a word or two.
pub(super) fn connected(report: &PresenceReport, client: &ClientInfo) -> Markup {
    let streams = of(report, &client.id).map_or(0, |presence| presence.streams);
    html! {
        @if streams > 0 { span.dot.good {} (count(streams.into(), "connection")) }
        @else { span.dot {} "not connected to this server" }
    }
}
