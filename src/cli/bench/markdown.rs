//! The report as Markdown.

use std::fmt::Write as _;

use super::figures::{Figure, Pair, Report};
use super::{bulk, columns, connections, documents, targets, wire};

/// Headings of the sections, what the size is, and the contestants that others are measured against.
const SECTIONS: [(&str, &str, &str, [&str; 2]); 5] = [
    (wire::SECTION, "Plain traffic", "clients", ["direct", "PgBouncer, session"]),
    (columns::SECTION, "Encrypted columns beside plain ones", "rows", ["direct, plain", "columnseal, plain"]),
    (documents::SECTION, "Documents and text", "rows", ["direct, plain", "columnseal, plain"]),
    (bulk::SECTION, "Many rows", "encrypted columns of 20", ["direct", ""]),
    (connections::SECTION, "Connections", "clients", ["direct", "PgBouncer, session"]),
];

/// All tables.
pub(super) fn write(report: &Report) -> String {
    let mut out = format!("{}\n\n{}.\n", report.machine, report.settings);
    for (section, heading, size, over) in SECTIONS {
        let singles: Vec<_> = report.singles.iter().filter(|s| s.section == section).collect();
        if report.loads(section).is_empty() && singles.is_empty() {
            continue;
        }
        _ = writeln!(out, "\n## {heading}\n");
        if !report.loads(section).is_empty() {
            table(report, section, size, over, &mut out);
        }
        pairs(report, section, &mut out);
        if !singles.is_empty() {
            out.push_str("\n| | |\n|---|---|\n");
        }
        for single in singles {
            _ = writeln!(out, "| {} | {} {} |", single.what, number(single.value), single.unit);
        }
        let notes: Vec<_> = report.notes.iter().filter(|(of, _)| *of == section).collect();
        if !notes.is_empty() {
            out.push('\n');
        }
        for (_, note) in notes {
            _ = writeln!(out, "- {note}");
        }
    }
    let rows = targets::rows(report);
    if !rows.is_empty() {
        out.push_str("\n## Targets\n\n| figure | target | measured | |\n|---|---|---|---|\n");
        for row in rows {
            let met = if row.met { "met" } else { "missed" };
            _ = writeln!(out, "| {} | {} | {} | {met} |", row.what, row.target, number(row.measured));
        }
    }
    out
}

fn table(report: &Report, section: &str, size: &str, over: [&str; 2], out: &mut String) {
    let over: Vec<&str> = over.into_iter().filter(|way| report.figures.iter().any(|f| f.place.way == *way)).collect();
    let ratios: String = over.iter().map(|way| format!(" / {way} |")).collect();
    _ = writeln!(
        out,
        "| load | {size} | way | a second | spread |{ratios} p50 µs | p99 µs | p99.9 µs | CPU ms for 1,000 | peak MiB |"
    );
    _ = writeln!(out, "|---|---|---|---|---|{}---|---|---|---|---|", "---|".repeat(over.len()));
    for (load, at) in report.loads(section) {
        for figure in report.of(section, &load, at) {
            let ratio = |way: &&str| {
                let of = base(report, section, &load, at, way).map(|base| figure.rate() / base);
                format!(" {} |", of.map_or("-".into(), |ratio| format!("{ratio:.2}")))
            };
            let ratios: String = over.iter().map(ratio).collect();
            _ = writeln!(out, "| {load} | {at} | {} |{ratios}{}", row(figure), tail(figure));
        }
    }
}

/// Plain columns and encrypted ones, side by side.
fn pairs(report: &Report, section: &str, out: &mut String) {
    let pairs: Vec<&Pair> = report.pairs.iter().filter(|pair| pair.section == section).collect();
    if pairs.is_empty() {
        return;
    }
    out.push_str("\n| | rows | plain | encrypted | encrypted / plain | |\n|---|---|---|---|---|---|\n");
    for Pair { what, rows, values, unit, .. } in pairs {
        let [plain, encrypted] = values.map(|value| value.map_or("-".into(), number));
        let [Some(of), Some(over)] = [values[1], values[0]] else {
            _ = writeln!(out, "| {what} | {rows} | {plain} | {encrypted} | - | {unit} |");
            continue;
        };
        _ = writeln!(out, "| {what} | {rows} | {plain} | {encrypted} | {:.2} | {unit} |", of / over);
    }
}

/// The rate of another contestant, which bulk loads have at no encrypted column alone.
fn base(report: &Report, section: &str, load: &str, at: u32, way: &str) -> Option<f64> {
    let found = report.at((section, load, at), way).or_else(|| report.at((section, load, 0), way));
    found.map(Figure::rate)
}

fn row(figure: &Figure) -> String {
    let (low, high) = figure.spread();
    format!("{} | {} | {low:.2}-{high:.2}", figure.place.way, number(figure.rate()))
}

fn tail(figure: &Figure) -> String {
    let [p50, p99, p999] = figure.times().map(number);
    let cpu = figure.cpu().map_or("-".into(), |cpu| format!("{cpu:.1}"));
    let peak = figure.peak().map_or("-".into(), |kib| format!("{:.0}", kib as f64 / 1024.0));
    format!(" {p50} | {p99} | {p999} | {cpu} | {peak} |")
}

/// Three digits, or all that stand before the point.
fn number(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => {
            let digits = format!("{value:.0}");
            let mut out = String::new();
            for (n, digit) in digits.chars().enumerate() {
                if n > 0 && (digits.len() - n).is_multiple_of(3) && out.ends_with(|c: char| c.is_ascii_digit()) {
                    out.push(',');
                }
                out.push(digit);
            }
            out
        }
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::figures::tests::sample;

    #[test]
    fn tables_show_ratios() {
        let text = write(&sample());
        let line = "| select, simple | 8 | columnseal | 650 | 0.90-1.30 | 0.65 | 1.08 | 100 | 200 | 300 | 20.0 | 9 |";
        assert!(text.lines().any(|l| l == line), "{text}");
        assert!(
            text.lines()
                .any(|l| l.starts_with("| lookup | 10000 | columnseal, encrypted | 380 |")
                    && l.contains("| 0.76 | 0.95 |")),
            "{text}"
        );
        assert!(text.contains("| memory of an idle connection | 21.5 KiB |"));
        assert!(!text.contains("## Many rows"));
        for line in [
            "| @>, 1 row | 10000 | columnseal, encrypted | 300 | 1.00-1.00 | 0.33 | 0.43 | 3,333 | 3,333 | 3,333 | - | - |",
            "| texts: index | 10000 | 100 | 250 | 2.50 | bytes a row |",
            "| texts: other index | 10000 | 12.0 | - | - | bytes a row |",
            "- something to know",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.123, 12.34, 123.4, 1234.5, 1_234_567.0].map(number),
            ["0.12", "12.3", "123", "1,234", "1,234,567"]
        );
    }
}
