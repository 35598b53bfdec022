//! What pages are made of. All text is escaped.

use chrono::DateTime;
use maud::{Markup, html};

use crate::keys::clock::{rfc3339, wall_ms};
use crate::keyserver::workspace::{ClientInfo, GrantInfo};

use super::visit::Visit;

pub(super) const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// What ends within this is pointed out.
pub(super) const SOON_MS: u64 = 14 * DAY_MS;
/// Lifetimes that a form offers, in days; 0: it does not end.
/// Days that a client may be given; none of them first.
pub(super) const LIFETIMES: [(u64, &str); 7] = [
    (0, "does not end"),
    (1, "1 day"),
    (7, "7 days"),
    (30, "30 days"),
    (90, "90 days"),
    (180, "half a year"),
    (365, "a year"),
];

/// Milliseconds since 1970 of what `rfc3339` writes.
pub(super) fn millis(text: &str) -> u64 {
    let parsed = DateTime::parse_from_rfc3339(text).ok();
    parsed.and_then(|time| u64::try_from(time.timestamp_millis()).ok()).unwrap_or_default()
}

/// A time as people say it, and exactly for those who point at it.
pub(super) fn time(text: &str) -> Markup {
    html! { time datetime=(text) title=(exact(text)) { (relative(millis(text), wall_ms())) } }
}

/// As [`time`].
pub(super) fn time_ms(ms: u64) -> Markup {
    time(&rfc3339(ms))
}

fn exact(text: &str) -> String {
    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
}

fn relative(ms: u64, now: u64) -> String {
    let seconds = ms.abs_diff(now) / 1000;
    let (number, unit) = match seconds {
        0..10 => return if ms > now { "in a moment".to_owned() } else { "just now".to_owned() },
        10..60 => (seconds, "s"),
        60..3_600 => (seconds / 60, "min"),
        3_600..86_400 => (seconds / 3_600, "h"),
        _ => match seconds / 86_400 {
            1 => (1, "day"),
            days @ 2..60 => (days, "days"),
            days @ 60..730 => (days / 30, "months"),
            days => (days / 365, "years"),
        },
    };
    if ms > now { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// When something ends.
pub(super) fn end(expires: Option<&String>) -> Markup {
    match expires {
        None => html! { span.quiet { "never" } },
        Some(text) => html! { span.soon[millis(text) < wall_ms() + SOON_MS] { (time(text)) } },
    }
}

/// When a client was last seen.
pub(super) fn last_seen(client: &ClientInfo) -> Markup {
    match &client.seen {
        None => html! { span.quiet { "not yet" } },
        Some(seen) => time(&seen.time),
    }
}

/// An id, shortened, with the whole one to copy.
pub(super) fn id(text: &str) -> Markup {
    let short = text.get(..8).unwrap_or(text);
    html! { span.id title=(text) { code { (short) "…" } (copy(text, "Copy the id")) } }
}

/// A small button that copies.
pub(super) fn copy(text: &str, label: &str) -> Markup {
    html! {
        button.copy type="button" data-copy=(text) aria-label=(label) title=(label) hidden {
            svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true" {
                path d="M5.5 5.5V3.2c0-.7.5-1.2 1.2-1.2h6.1c.7 0 1.2.5 1.2 1.2v6.1c0 .7-.5 1.2-1.2 1.2h-2.3M3.2 5.5h6.1c.7 0 1.2.5 1.2 1.2v6.1c0 .7-.5 1.2-1.2 1.2H3.2c-.7 0-1.2-.5-1.2-1.2V6.7c0-.7.5-1.2 1.2-1.2z" {}
            }
        }
    }
}

/// A command line, copied by a click.
pub(super) fn command(text: &str) -> Markup {
    html! { div.command { code { (text) } (copy(text, "Copy the command")) } }
}

/// A word that says how something stands.
pub(super) fn status(word: &str) -> Markup {
    let class = match word {
        "active" | "ok" => "good",
        "disabled" | "expired" => "bad",
        _ => "",
    };
    html! { span.status.(class) { (word) } }
}

/// A grant, from the client's side.
pub(super) fn grant_chip(grant: &GrantInfo) -> Markup {
    let title = format!("{}: {}", grant.keyset_name, grant.permissions.join(", "));
    html! {
        a.chip href=(format!("/keysets/{}", grant.keyset)) title=(title) {
            (grant.keyset_name)
            @if !["encrypt", "decrypt", "query"].iter().all(|word| grant.permissions.contains(word)) {
                " " small { (grant.permissions.join(" ")) }
            }
        }
    }
}

/// What a form brings to show where it is from.
pub(super) fn hidden_token(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

/// A line of text to fill in.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: &'a str,
    pub(super) value: &'a str,
    /// What it is for, in a few words.
    pub(super) hint: &'a str,
    /// What is wrong with what was filled in.
    pub(super) wrong: Option<&'a str>,
    pub(super) required: bool,
}

/// A field with its label, hint and error.
pub(super) fn field(field: &Field<'_>) -> Markup {
    let Field { name, label, value, hint, wrong, required } = *field;
    let (own, hint_id, wrong_id) = (format!("f-{name}"), format!("h-{name}"), format!("e-{name}"));
    let mut described = Vec::new();
    if !hint.is_empty() {
        described.push(hint_id.as_str());
    }
    if wrong.is_some() {
        described.push(wrong_id.as_str());
    }
    let described = (!described.is_empty()).then(|| described.join(" "));
    html! {
        div.field {
            label for=(own) { (label) @if !required { " " span.quiet { "optional" } } }
            @if !hint.is_empty() { p.hint #(hint_id) { (hint) } }
            @if let Some(wrong) = wrong { p.wrong #(wrong_id) { (wrong) } }
            input #(own) type="text" name=(name) value=(value) autocomplete="off" spellcheck="false" required[required]
                aria-invalid=[wrong.map(|_| "true")] aria-describedby=[described];
        }
    }
}

/// A choice of one.
pub(super) fn choice(name: &str, label: &str, chosen: &str, all: &[(String, String)]) -> Markup {
    let own = format!("f-{name}");
    html! {
        div.field {
            label for=(own) { (label) }
            select #(own) name=(name) {
                @for (value, text) in all { option value=(value) selected[value == chosen] { (text) } }
            }
        }
    }
}

/// A choice of several.
pub(super) fn ticks(name: &str, label: &str, hint: &str, ticked: &[String], all: &[(String, String)]) -> Markup {
    html! {
        fieldset.field {
            legend { (label) }
            @if !hint.is_empty() { p.hint { (hint) } }
            div.ticks {
                @for (value, text) in all {
                    label { input type="checkbox" name=(name) value=(value) checked[ticked.contains(value)]; " " (text) }
                }
            }
        }
    }
}

/// How long something holds.
pub(super) fn lifetime(name: &str, label: &str, chosen: &str) -> Markup {
    let all = LIFETIMES.map(|(days, text)| (days.to_string(), text.to_owned()));
    choice(name, label, chosen, &all)
}

/// Reads a lifetime that [`lifetime`] offers. The outer `None`: it is not one.
pub(super) fn read_lifetime(text: &str) -> Option<Option<std::time::Duration>> {
    let days: u64 = if text.is_empty() { 0 } else { text.parse().ok()? };
    let offered = LIFETIMES.iter().any(|(known, _)| *known == days);
    offered.then(|| (days > 0).then(|| std::time::Duration::from_millis(days * DAY_MS)))
}

/// What stands where a list has nothing.
pub(super) fn empty(title: &str, more: Markup) -> Markup {
    html! { div.empty { p.title { (title) } (more) } }
}

/// A number with what belongs to it.
pub(super) fn tile(title: &str, number: &str, more: Markup) -> Markup {
    html! { section.tile { h2 { (title) } p.number { (number) } (more) } }
}

/// An act that needs a key: a link where the key is at hand, the command elsewhere.
pub(super) fn act(visit: &Visit, to: &str, label: &str, line: &str) -> Markup {
    act_as(visit, to, (label, false), line)
}

/// As [`act`]: what a page is mostly opened for.
pub(super) fn main_act(visit: &Visit, to: &str, label: &str, line: &str) -> Markup {
    act_as(visit, to, (label, true), line)
}

fn act_as(visit: &Visit, to: &str, (label, main): (&str, bool), line: &str) -> Markup {
    html! {
        @if visit.local() {
            a.button.primary[main] href=(to) { (label) }
        } @else {
            details.elsewhere {
                summary.button { (label) }
                p { "This needs an admin’s key, which is not here. On the admin’s machine:" }
                (command(line))
                p.quiet { "Or with a page: " code { "columnseal dashboard" } "." }
            }
        }
    }
}

/// A word as a command line takes it.
pub(super) fn quoted(text: &str) -> String {
    let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@:/+".contains(c));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// `1 client`, `2 clients`, `2 entries`.
pub(super) fn count(number: u64, one: &str) -> String {
    match (number, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{} {stem}ies", grouped(number)),
        (_, None) => format!("{} {one}s", grouped(number)),
    }
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_say_them() {
        let now = 1_000 * DAY_MS;
        for (ms, text) in [
            (now, "just now"),
            (now - 30_000, "30 s ago"),
            (now - 5 * 60_000, "5 min ago"),
            (now + DAY_MS, "in 1 day"),
            (now - 3 * DAY_MS, "3 days ago"),
            (now + 90 * DAY_MS, "in 3 months"),
            (now - 999 * DAY_MS, "2 years ago"),
        ] {
            assert_eq!(relative(ms, now), text);
        }
        assert_eq!(millis("1970-01-02T00:00:00Z"), DAY_MS);
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("web-1"), "web-1");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!((grouped(7).as_str(), grouped(65_536).as_str()), ("7", "65\u{202f}536"));
        assert_eq!((count(1, "client"), count(0, "client")), ("1 client".to_owned(), "0 clients".to_owned()));
    }

    #[test]
    fn only_lifetimes_that_are_offered_are_taken() {
        assert_eq!(read_lifetime("0"), Some(None));
        assert!(read_lifetime("90").flatten().is_some());
        for bad in ["-1", "2", "x", "99999999999999999999"] {
            assert_eq!(read_lifetime(bad), None, "{bad}");
        }
    }
}
