//! Values sealed and opened, as the proxies tell.

use maud::{Markup, html};

use crate::keys::admin::{Usage, UsageScale, UsageSpan};
use crate::keys::error::KeysError;
use crate::keyserver::workspace::KeysetInfo;

use super::answer::Result;
use super::parts::{empty, grouped, tile};
use super::plot::{Bars, bars, total};
use super::visit::Visit;

/// Minutes of the picture, and of one bar of it.
const MINUTES: u32 = 180;
const BAR: u64 = 5;
/// What was done in this long counts as now, in milliseconds: a minute, that ended when every proxy has told of it.
const NOW_MS: std::ops::Range<u64> = 30_000..90_000;
/// Days of the picture of one keyset.
pub(super) const DAYS: u32 = 30;

/// What is counted of a span.
type Of = fn(&UsageSpan) -> u64;

/// What proxies told; `None`: of a key server that does not know of it yet.
fn told(visit: &Visit, scale: UsageScale, spans: u32, keyset: Option<&KeysetInfo>) -> Result<Option<Usage>> {
    let keyset = keyset.map(|keyset| keyset.id.parse()).transpose();
    let keyset = keyset.map_err(|_| KeysError::bad_answer("a keyset without an id"))?;
    match visit.workspace.usage(scale, spans, keyset) {
        Ok(usage) => Ok(Some(usage)),
        Err(KeysError::Invalid { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The values of bars: `count` of `step` milliseconds each, up to now.
fn summed(usage: &Usage, (count, step): (u64, u64), of: Of) -> Vec<(u64, u64)> {
    let last = usage.now_ms / step * step;
    let bar = |begin_ms: u64| {
        let within = usage.spans.iter().filter(|span| (begin_ms..begin_ms + step).contains(&span.begin_ms));
        (begin_ms, within.map(of).fold(0, u64::saturating_add))
    };
    (0..count).rev().map(|back| bar(last.saturating_sub(back * step))).collect()
}

/// How many a second, of those of the present minute.
fn a_second(moments: &Usage, of: Of) -> String {
    let now = |span: &&UsageSpan| NOW_MS.contains(&moments.now_ms.saturating_sub(span.begin_ms));
    let values = moments.spans.iter().filter(now).map(of).fold(0, u64::saturating_add);
    match values {
        0 => "0".to_owned(),
        1..6 => "under 0.1".to_owned(),
        6..600 => format!("{}.{}", values / 60, values % 60 / 6),
        _ => grouped(values / 60),
    }
}

/// The part of the overview.
pub(super) fn overview(visit: &Visit) -> Result<Markup> {
    let Some(minutes) = told(visit, UsageScale::Minute, MINUTES, None)? else { return Ok(html! {}) };
    let Some(moments) = told(visit, UsageScale::Moment, 12, None)? else { return Ok(html! {}) };
    let bars_of = |of| summed(&minutes, (u64::from(MINUTES) / BAR, BAR * UsageScale::Minute.span_ms()), of);
    let (sealed, opened) = (bars_of(|span| span.sealed), bars_of(|span| span.opened));
    let refused = bars_of(|span| span.refused);
    let within = |values: &[(u64, u64)]| html! { p.quiet { (grouped(total(values))) " in three hours" } };
    let picture = |label, values: &[(u64, u64)], bad| bars(&Bars { label, values, bad });
    Ok(html! {
        section #values data-swap {
            h2 { "Values, as the proxies tell" }
            @if [&sealed, &opened, &refused].iter().all(|values| total(values) == 0) {
                (empty("No values in the last three hours", html! { p { "A proxy tells of those that it sealed and opened when it renews its lease." } }))
            } @else {
                div.tiles {
                    (tile("Sealed per second", &a_second(&moments, |span| span.sealed), html! { (picture("Values sealed by five minutes", &sealed, false)) (within(&sealed)) }))
                    (tile("Opened per second", &a_second(&moments, |span| span.opened), html! { (picture("Values opened by five minutes", &opened, false)) (within(&opened)) }))
                    (tile("Statements refused, 3 h", &grouped(total(&refused)), html! { (picture("Statements refused by proxies by five minutes", &refused, true)) p.quiet { "by the proxies themselves" } }))
                }
            }
        }
    })
}

/// The part of a keyset's page.
pub(super) fn by_day(visit: &Visit, keyset: &KeysetInfo) -> Result<Markup> {
    let Some(days) = told(visit, UsageScale::Day, DAYS, Some(keyset))? else { return Ok(html! {}) };
    let bars_of = |of| summed(&days, (DAYS.into(), UsageScale::Day.span_ms()), of);
    let (sealed, opened) = (bars_of(|span| span.sealed), bars_of(|span| span.opened));
    Ok(html! {
        section #values data-swap {
            h2 { "Values by day" }
            @if [&sealed, &opened].iter().all(|values| total(values) == 0) {
                (empty("No values in 30 days", html! { p { "A proxy tells of those that it sealed and opened when it renews its lease." } }))
            } @else {
                div.columns {
                    div { p { strong { (grouped(total(&sealed))) } " sealed in 30 days" } (bars(&Bars { label: "Values sealed by day", values: &sealed, bad: false })) }
                    div { p { strong { (grouped(total(&opened))) } " opened" } (bars(&Bars { label: "Values opened by day", values: &opened, bad: false })) }
                }
                p.quiet { "As the proxies tell. Days are in UTC." }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(begin_ms: u64, sealed: u64) -> UsageSpan {
        UsageSpan { begin_ms, sealed, opened: 0, refused: 0 }
    }

    #[test]
    fn a_rate_is_of_the_minute_that_everybody_told_of() {
        let now_ms = 1_000_000;
        let rate = |spans: Vec<UsageSpan>| a_second(&Usage { now_ms, spans }, |span| span.sealed);
        assert_eq!(rate(vec![]), "0");
        assert_eq!(rate(vec![span(now_ms - 10_000, 600), span(now_ms - 100_000, 600)]), "0");
        assert_eq!(rate(vec![span(now_ms - 40_000, 3)]), "under 0.1");
        assert_eq!(rate(vec![span(now_ms - 40_000, 90)]), "1.5");
        assert_eq!(rate(vec![span(now_ms - 40_000, 60_000), span(now_ms - 80_000, 60_000)]), "2\u{202f}000");
    }

    #[test]
    fn bars_hold_all_of_their_time() {
        let usage =
            Usage { now_ms: 25 * 60_000, spans: vec![span(9 * 60_000, 1), span(14 * 60_000, 2), span(24 * 60_000, 4)] };
        let bars = summed(&usage, (5, 5 * 60_000), |span| span.sealed);
        let values = bars.iter().map(|(ms, value)| (ms / 60_000, *value)).collect::<Vec<_>>();
        assert_eq!(values, [(5, 1), (10, 2), (15, 0), (20, 4), (25, 0)]);
        assert_eq!(total(&bars), 7);
    }
}
