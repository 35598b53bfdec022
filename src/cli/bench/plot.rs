//! Plots, as SVG by hand: bars of ratios and lines of times.

use std::fmt::Write as _;

use super::figures::{Pair, Report};
use super::{bulk, columns, documents, wire};

const WIDTH: f64 = 900.0;
/// Longer bars are broken off, so that the others can be read.
const LONGEST: f64 = 30.0;
const COLOURS: [&str; 5] = ["#8a8f98", "#c9a227", "#d1495b", "#8d5a97", "#1f7a8c"];
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.t{font-size:17px;font-weight:600}.a{fill:#666}.g{stroke:#ddd}.b{stroke:#fff;stroke-width:2.5}\
@media (prefers-color-scheme:dark){text{fill:#e6e6e6}.a{fill:#aaa}.g{stroke:#444}.b{stroke:#111}}";

/// Every plot that the report has figures for, with its file name.
pub(super) fn all(report: &Report) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    let mut clients: Vec<u32> = report.loads(wire::SECTION).into_iter().map(|(_, size)| size).collect();
    clients.sort_unstable();
    clients.dedup();
    for size in clients {
        let title = format!("Plain traffic with {size} clients: transactions a second, as parts of direct");
        plots.push((format!("wire-{size}.svg"), ratios(report, wire::SECTION, size, "direct", &title)));
    }
    if !report.loads(columns::SECTION).is_empty() {
        plots.push(("columns.svg".to_owned(), times(report, columns::SECTION)));
    }
    if !report.loads(documents::SECTION).is_empty() {
        plots.push(("documents.svg".to_owned(), times(report, documents::SECTION)));
    }
    if let Some(rows) = report.pairs.iter().map(|pair| pair.rows).max() {
        plots.push(("documents-sizes.svg".to_owned(), sizes(report, rows)));
    }
    if !report.loads(bulk::SECTION).is_empty() {
        plots.push(("bulk.svg".to_owned(), rows(report)));
    }
    plots
}

/// Bars of one group for each load.
struct Bars {
    title: String,
    /// Names of the bars of a group.
    names: Vec<String>,
    /// A group's name, and its bars.
    groups: Vec<(String, Vec<Option<f64>>)>,
    /// A line is drawn here.
    one: f64,
    unit: &'static str,
}

fn ratios(report: &Report, section: &str, size: u32, over: &str, title: &str) -> String {
    let loads: Vec<String> =
        report.loads(section).into_iter().filter(|(_, s)| *s == size).map(|(load, _)| load).collect();
    let ways: Vec<&str> = report.ways(section).into_iter().filter(|way| *way != over).collect();
    let group = |load: String| {
        let bars = ways.iter().map(|way| report.ratio((section, &load, size), way, over)).collect();
        (load, bars)
    };
    let groups = loads.into_iter().map(group).collect();
    bars(&Bars { title: title.to_owned(), names: owned(&ways), groups, one: 1.0, unit: "" })
}

/// Rows in a second by the number of encrypted columns.
fn rows(report: &Report) -> String {
    let mut sizes: Vec<u32> = report.loads(bulk::SECTION).into_iter().map(|(_, size)| size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut loads: Vec<String> = report.loads(bulk::SECTION).into_iter().map(|(load, _)| load).collect();
    loads.dedup();
    let rate =
        |load: &str, size: u32, way: &str| report.at((bulk::SECTION, load, size), way).map(|f| f.rate() / 1000.0);
    let group = |load: String| {
        let direct = std::iter::once(rate(&load, 0, "direct"));
        let through = sizes.iter().map(|size| rate(&load, *size, "columnseal"));
        let bars = direct.chain(through).collect();
        (load, bars)
    };
    let names = std::iter::once("direct".to_owned()).chain(sizes.iter().map(|n| format!("{n} encrypted"))).collect();
    let title = "Rows of 20 columns, thousands a second".to_owned();
    bars(&Bars { title, names, groups: loads.into_iter().map(group).collect(), one: 0.0, unit: "k" })
}

fn bars(bars: &Bars) -> String {
    let (top, thick, gap) = (78.0, 15.0, 16.0);
    let widest = bars.groups.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let left = (7.0 * widest as f64 + 20.0).max(190.0);
    let longest = if bars.one > 0.0 { LONGEST * bars.one } else { f64::INFINITY };
    let all = bars.groups.iter().flat_map(|(_, bars)| bars).flatten();
    let most = all.fold(bars.one, |most, bar| most.max(bar.min(longest))).max(1e-9);
    let scale = (WIDTH - left - 80.0) / most;
    let mut body = String::new();
    let mut y = top;
    for (name, values) in &bars.groups {
        let middle = y + thick * values.len() as f64 / 2.0 + 4.0;
        _ = writeln!(
            body,
            r#"<text x="{:.0}" y="{middle:.0}" text-anchor="end">{}</text>"#,
            left - 10.0,
            escaped(name)
        );
        for (n, value) in values.iter().enumerate() {
            let (length, label) =
                value.map_or((0.0, "-".to_owned()), |v| (v.min(longest) * scale, format!("{v:.2}{}", bars.unit)));
            let colour = COLOURS[n % COLOURS.len()];
            _ = writeln!(
                body,
                r#"<rect x="{left}" y="{y:.1}" width="{length:.1}" height="{:.1}" fill="{colour}"/>"#,
                thick - 2.0
            );
            if value.is_some_and(|v| v > longest) {
                let (x, low) = (left + length - 18.0, y + thick - 1.0);
                _ = writeln!(
                    body,
                    r#"<path class="b" d="M{x:.1} {low:.1}l5 -{thick}M{:.1} {low:.1}l5 -{thick}"/>"#,
                    x + 6.0
                );
            }
            _ = writeln!(
                body,
                r#"<text class="a" x="{:.1}" y="{:.1}">{label}</text>"#,
                left + length + 5.0,
                y + thick - 4.0
            );
            y += thick;
        }
        y += gap;
    }
    if bars.one > 0.0 {
        let x = left + bars.one * scale;
        _ = writeln!(body, r#"<line class="g" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{y:.1}"/>"#, top - 6.0);
    }
    page(&bars.title, &bars.names, y, &body)
}

/// Times of each load on plain and encrypted columns, one above the other.
fn times(report: &Report, section: &str) -> String {
    let ways = report.ways(section);
    let group = |(load, size): (String, u32)| {
        let place = (section, load.as_str(), size);
        let time = |way: &&str| {
            let ratio = report.at(place, way)?.times()[0] / report.at(place, "direct, plain")?.times()[0];
            // pgbench gives 0 where the answer was there before it looked at the clock, as on a machine that has much else to do.
            ratio.is_finite().then_some(ratio)
        };
        let bars = ways.iter().map(time).collect();
        (format!("{load}, {}", short(size)), bars)
    };
    let groups = report.loads(section).into_iter().map(group).collect();
    let title = "Median time of a statement, as a multiple of the direct one on plain columns".to_owned();
    bars(&Bars { title, names: owned(&ways), groups, one: 1.0, unit: "" })
}

/// What the columns and indexes of the largest tables take.
fn sizes(report: &Report, rows: u32) -> String {
    let weighs = |pair: &&Pair| pair.rows == rows && pair.unit == documents::WEIGHT;
    let group = |pair: &Pair| (pair.what.clone(), pair.values.to_vec());
    let groups = report.pairs.iter().filter(weighs).map(group).collect();
    let title = format!("Bytes a row, tables of {} rows", short(rows));
    bars(&Bars { title, names: owned(&["plain", "encrypted"]), groups, one: 0.0, unit: " B" })
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `10k`, `1M`.
fn short(n: u32) -> String {
    match n {
        n if n >= 1_000_000 => format!("{}M", n / 1_000_000),
        n if n >= 1000 => format!("{}k", n / 1000),
        n => n.to_string(),
    }
}

fn page(title: &str, names: &[String], height: f64, body: &str) -> String {
    let mut legend = String::new();
    let mut x = 16.0;
    for (n, name) in names.iter().enumerate() {
        let colour = COLOURS[n % COLOURS.len()];
        _ = writeln!(
            legend,
            r#"<rect x="{x:.0}" y="46" width="12" height="12" fill="{colour}"/><text x="{:.0}" y="57">{}</text>"#,
            x + 17.0,
            escaped(name)
        );
        x += 34.0 + 7.4 * name.len() as f64;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <text class=\"t\" x=\"16\" y=\"28\">{title}</text>\n{legend}{body}</svg>\n",
        title = escaped(title)
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::figures::tests::sample;

    #[test]
    fn a_time_of_nothing_is_no_measure() {
        let mut report = sample();
        report.figures.iter_mut().flat_map(|figure| &mut figure.samples).for_each(|sample| sample.times = [0.0; 3]);
        let (_, svg) = all(&report).swap_remove(2);
        assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.contains(">-<"), "{svg}");
    }

    #[test]
    fn a_bar_much_longer_than_others_is_broken_off() {
        let mut report = sample();
        let whole = all(&report).swap_remove(2).1;
        assert!(!whole.contains("<path"), "{whole}");
        let slow = report.figures.iter_mut().filter(|figure| figure.place.way == "columnseal, encrypted");
        slow.flat_map(|figure| &mut figure.samples).for_each(|sample| sample.times = sample.times.map(|t| t * 1000.0));
        let broken = all(&report).swap_remove(2).1;
        assert!(broken.contains("<path") && broken.contains(">1315.79<"), "{broken}");
    }

    #[test]
    fn each_section_with_figures_has_its_plots() {
        let plots = all(&sample());
        let names: Vec<&str> = plots.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["wire-1.svg", "wire-8.svg", "columns.svg", "documents.svg", "documents-sizes.svg"]);
        for (name, svg) in &plots {
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{name}:\n{svg}");
        }
        assert!(plots[1].1.contains(">0.65<"), "{}", plots[1].1);
        assert!(plots[2].1.contains(">1.32<") && plots[2].1.contains("lookup, 100k"), "{}", plots[2].1);
        assert!(plots[3].1.contains(">3.00<") && plots[3].1.contains("@&gt;, 1 row, 10k"), "{}", plots[3].1);
        assert!(plots[4].1.contains(">250.00 B<") && plots[4].1.contains(">-<"), "{}", plots[4].1);
    }
}
