//! Encrypted types that were seen, and what each tells.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::keyserver::workspace::{Export, PinInfo};
use crate::schema::catalog::TypeDef;
use crate::schema::paths::{definitions, paths};
use crate::schema::registry::{self, ready_made, terms_list};

use super::answer::{Answer, Result};
use super::leakage::{sentence, weight};
use super::parts::{count, empty, id, status};
use super::visit::Visit;

/// Columns that are named of one type.
const NAMED: usize = 12;

pub(super) fn list(visit: &Visit) -> Result {
    let all = visit.workspace.survey()?;
    let mut columns = BTreeMap::<&str, Vec<&PinInfo>>::new();
    for pin in &all.pins {
        columns.entry(&pin.type_id).or_default().push(pin);
    }
    let own = all.types.iter().filter_map(|info| registry::parse(&info.definition).ok().map(|def| (def, info.admin)));
    let mut own = own.collect::<Vec<_>>();
    own.sort_by(|a, b| a.0.name.cmp(&b.0.name));
    own.dedup_by(|a, b| a.0.id == b.0.id);
    let of_ready = |def: &&TypeDef| columns.contains_key(def.id.to_string().as_str());
    let seen = ready_made().iter().filter(of_ready).map(|def| (def.clone(), true));
    let types = own.into_iter().chain(seen).collect::<Vec<_>>();
    let is = |def: &TypeDef, type_id: &str| def.id.to_string() == type_id;
    let known = |type_id: &str| {
        types.iter().any(|(def, _)| is(def, type_id) || definitions(def).iter().any(|path| is(path, type_id)))
    };
    let strange = columns.iter().filter(|(type_id, _)| !known(type_id)).collect::<Vec<_>>();
    let body = html! {
        h1 { "Encrypted types" }
        p.lead { "Types that proxies have seen in a database, or that were made here, and what each tells somebody who steals the database. Whoever also watches queries learns a little more: the page on leakage says what." }
        @if types.is_empty() && strange.is_empty() {
            (empty("No encrypted column was seen yet", html! { p { "Make one through a proxy: " code { "CREATE TABLE users (id int PRIMARY KEY, email seal.text_eq)" } } }))
        }
        @for (def, admin) in &types { (card(&all, def, *admin, columns.get(def.id.to_string().as_str()).map_or(&[], Vec::as_slice))) }
        @for (type_id, pins) in strange {
            article.card { h2 { "A type that nobody signed " (id(type_id)) } p { "Columns that were seen with it are refused until it is adopted or unpinned." } (named(pins)) }
        }
    };
    Ok(Answer::page("Encrypted types", body))
}

fn card(all: &Export, def: &TypeDef, admin: bool, pins: &[&PinInfo]) -> Markup {
    let terms = terms_list(def.terms);
    let keyset = def.keyset.map(|keyset| keyset.to_string());
    let keyset_name = keyset.as_ref().and_then(|id| all.keysets.iter().find(|keyset| keyset.id == *id));
    html! {
        article.card.leak {
            h2 { "seal." (def.name) " " span.weight.(weight(def)) { "tells " (weight(def)) } }
            p { (sentence(def)) }
            dl.facts {
                div { dt { "Holds" } dd { (def.plain.name()) } }
                div { dt { "Search terms" } dd.chips { @for term in &terms { span.chip { (term) } } @if terms.is_empty() { span.quiet { "none" } } } }
                @for path in paths(def).unwrap_or_default() {
                    div { dt { "Promoted path " (path.shown()) } dd.chips { span { (path.plain.name()) } @for term in terms_list(path.terms) { span.chip { (term) } } } }
                }
                div { dt { "Keyset" } dd {
                    @match (keyset_name, &keyset) {
                        (Some(keyset), _) => { a href=(format!("/keysets/{}", keyset.id)) { (keyset.name) } }
                        (None, Some(keyset)) => { (id(keyset)) }
                        (None, None) => { span.quiet { "the one that each session chose" } }
                    }
                } }
                div { dt { "Id" } dd { (id(&def.id.to_string())) } }
                @if !admin { div { dt { "Signed by" } dd { (status("a client, for itself alone")) } } }
            }
            (named(pins))
        }
    }
}

fn named(pins: &[&PinInfo]) -> Markup {
    html! {
        @if pins.is_empty() { p.quiet { "No column of it was seen." } }
        @else {
            p.quiet { (count(pins.len() as u64, "place")) " in databases:" }
            ul.plain.wrap { @for pin in pins.iter().take(NAMED) { li { code { (pin.object) } " " span.quiet { "in " (pin.database) } } } @if pins.len() > NAMED { li.quiet { "and " (pins.len() - NAMED) " more" } } }
        }
    }
}
