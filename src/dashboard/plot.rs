//! Small pictures: bars by hour or day, made here as SVG.

use maud::{Markup, html};

use crate::keys::clock::rfc3339;

use super::parts::grouped;

const WIDTH: usize = 480;
const HEIGHT: usize = 88;
const BASE: usize = 84;

/// Bars.
pub(super) struct Bars<'a> {
    /// What is counted, for those who do not see the picture.
    pub(super) label: &'a str,
    /// When each begins, and how many.
    pub(super) values: &'a [(u64, u64)],
    /// More of it is worse.
    pub(super) bad: bool,
}

/// The sum of what bars show.
pub(super) fn total(values: &[(u64, u64)]) -> u64 {
    values.iter().fold(0, |sum, (_, value)| sum.saturating_add(*value))
}

/// The picture.
pub(super) fn bars(of: &Bars<'_>) -> Markup {
    let most = of.values.iter().map(|(_, value)| *value).max().unwrap_or(0).max(1);
    let total = total(of.values);
    let count = of.values.len().max(1);
    let step = WIDTH / count;
    let label = format!("{}: {} in all, at most {} in one bar", of.label, grouped(total), grouped(most));
    let shape = |at: usize, value: u64| {
        let tall = value.saturating_mul((BASE - 4) as u64).div_ceil(most);
        let tall = usize::try_from(tall).unwrap_or(BASE - 4);
        (at * step + 1, BASE - tall.max(2), step.saturating_sub(3).max(1), tall.max(2))
    };
    html! {
        svg.plot.bad[of.bad].flat[total == 0] viewBox=(format!("0 0 {} {HEIGHT}", step * count)) role="img" aria-label=(label) preserveAspectRatio="none" {
            @for (at, (ms, value)) in of.values.iter().enumerate() {
                @let (x, y, width, height) = shape(at, *value);
                rect.none[*value == 0] x=(x) y=(y) width=(width) height=(height) rx="1" {
                    title { (rfc3339(*ms).replace('T', " ").trim_end_matches(":00Z")) " UTC: " (grouped(*value)) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_have_their_height_and_a_label() {
        let values = [(0, 0), (3_600_000, 50), (7_200_000, 100)];
        let text = bars(&Bars { label: "Keys", values: &values, bad: false }).into_string();
        assert!(text.contains("Keys: 150 in all, at most 100 in one bar"), "{text}");
        assert!(text.contains("height=\"80\"") && text.contains("height=\"40\"") && text.contains("height=\"2\""));
        assert!(!text.contains("style="), "the policy of the page forbids it");
        assert!(bars(&Bars { label: "x", values: &[], bad: true }).into_string().contains("role=\"img\""));
    }
}
