//! What was measured: samples by load, size and contestant; medians and ratios of them.

use std::path::Path;

use serde_json::{Value, json};

use super::pgbench::Sample;
use super::stage::Stage;
use super::{BenchArgs, markdown, plot, process};

/// What a sample is of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Part of the benchmark.
    pub(super) section: &'static str,
    pub(super) load: String,
    /// Clients, rows or encrypted columns.
    pub(super) size: u32,
    /// Contestant.
    pub(super) way: &'static str,
}

/// All samples of one place.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) place: Place,
    pub(super) samples: Vec<Sample>,
}

/// A number by itself.
#[derive(Clone, Debug)]
pub(super) struct Single {
    pub(super) section: &'static str,
    pub(super) what: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
}

/// A number of plain columns, and the same of encrypted ones.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub(super) section: &'static str,
    pub(super) what: String,
    pub(super) rows: u32,
    /// Plain and encrypted, where there is such a thing.
    pub(super) values: [Option<f64>; 2],
    pub(super) unit: &'static str,
}

/// All of it.
#[derive(Default)]
pub(super) struct Report {
    pub(super) machine: String,
    pub(super) settings: String,
    pub(super) figures: Vec<Figure>,
    pub(super) singles: Vec<Single>,
    pub(super) pairs: Vec<Pair>,
    /// What a section's reader has to know.
    pub(super) notes: Vec<(&'static str, String)>,
}

impl Figure {
    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    }

    /// Transactions in a second.
    pub(super) fn rate(&self) -> f64 {
        self.median(|s| s.rate)
    }

    /// Lowest and highest rate, as parts of the median.
    pub(super) fn spread(&self) -> (f64, f64) {
        let (rate, rates) = (self.rate(), self.samples.iter().map(|s| s.rate));
        (rates.clone().fold(f64::MAX, f64::min) / rate, rates.fold(0.0, f64::max) / rate)
    }

    /// p50, p99 and p99.9 in µs.
    pub(super) fn times(&self) -> [f64; 3] {
        [0, 1, 2].map(|n| self.median(|s| s.times[n]))
    }

    /// Milliseconds of processor time for 1,000 statements.
    pub(super) fn cpu(&self) -> Option<f64> {
        self.samples.iter().all(|s| s.cpu.is_some()).then(|| self.median(|s| s.cpu.unwrap_or(0.0)))
    }

    /// Most memory in KiB.
    pub(super) fn peak(&self) -> Option<u64> {
        self.samples.iter().filter_map(|s| s.peak).max()
    }
}

impl Report {
    pub(super) fn new(stage: &Stage, args: &BenchArgs) -> Report {
        let version = super::stage::output({
            let mut command = std::process::Command::new(stage.bin.join("postgres"));
            command.arg("--version");
            command
        });
        Report {
            machine: format!("{}; {}", process::machine(), version.unwrap_or_default().trim()),
            settings: format!("{} rounds of {} s, interleaved; medians", args.rounds, args.seconds),
            ..Report::default()
        }
    }

    /// Keeps a sample.
    pub(super) fn add(&mut self, place: Place, sample: Sample) {
        match self.figures.iter_mut().find(|figure| figure.place == place) {
            Some(figure) => figure.samples.push(sample),
            None => self.figures.push(Figure { place, samples: vec![sample] }),
        }
    }

    /// Keeps a number.
    pub(super) fn single(&mut self, section: &'static str, what: impl Into<String>, value: f64, unit: &'static str) {
        self.singles.push(Single { section, what: what.into(), value, unit });
    }

    /// Keeps a number of plain columns and of encrypted ones, of tables of so many rows.
    pub(super) fn pair(
        &mut self,
        section: &'static str,
        (what, rows): (String, u32),
        values: [Option<f64>; 2],
        unit: &'static str,
    ) {
        self.pairs.push(Pair { section, what, rows, values, unit });
    }

    /// Keeps a remark.
    pub(super) fn note(&mut self, section: &'static str, text: impl Into<String>) {
        self.notes.push((section, text.into()));
    }

    /// A section's loads with the sizes that each was measured at, in the order in which they were.
    pub(super) fn loads(&self, section: &str) -> Vec<(String, u32)> {
        let mut loads = Vec::new();
        for place in self.figures.iter().map(|f| &f.place).filter(|p| p.section == section) {
            let load = (place.load.clone(), place.size);
            if !loads.contains(&load) {
                loads.push(load);
            }
        }
        loads
    }

    /// What was measured of one load at one size.
    pub(super) fn of(&self, section: &str, load: &str, size: u32) -> Vec<&Figure> {
        let here = |f: &&Figure| f.place.section == section && f.place.load == load && f.place.size == size;
        self.figures.iter().filter(here).collect()
    }

    /// What was measured of one contestant.
    pub(super) fn at(&self, (section, load, size): (&str, &str, u32), way: &str) -> Option<&Figure> {
        self.of(section, load, size).into_iter().find(|f| f.place.way == way)
    }

    /// Rate of one contestant over another's.
    pub(super) fn ratio(&self, place: (&str, &str, u32), way: &str, over: &str) -> Option<f64> {
        Some(self.at(place, way)?.rate() / self.at(place, over)?.rate())
    }

    /// A section's contestants, in the order in which they were measured.
    pub(super) fn ways(&self, section: &str) -> Vec<&'static str> {
        let mut ways = Vec::new();
        for way in self.figures.iter().filter(|f| f.place.section == section).map(|f| f.place.way) {
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    /// As JSON: every figure with its samples.
    pub(super) fn json(&self) -> Value {
        let sample = |s: &Sample| {
            json!({"per_second": s.rate, "p50_us": s.times[0], "p99_us": s.times[1], "p999_us": s.times[2],
                "cpu_ms_per_1000": s.cpu, "peak_kib": s.peak})
        };
        let figure = |f: &Figure| {
            json!({"section": f.place.section, "load": f.place.load, "size": f.place.size, "way": f.place.way,
                "per_second": f.rate(), "samples": f.samples.iter().map(sample).collect::<Vec<_>>()})
        };
        let single = |s: &Single| json!({"section": s.section, "what": s.what, "value": s.value, "unit": s.unit});
        let pair = |p: &Pair| {
            json!({"section": p.section, "what": p.what, "rows": p.rows, "plain": p.values[0], "encrypted": p.values[1],
                "unit": p.unit})
        };
        let note = |(section, text): &(&str, String)| json!({"section": section, "text": text});
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "machine": self.machine,
            "settings": self.settings,
            "figures": self.figures.iter().map(figure).collect::<Vec<_>>(),
            "numbers": self.singles.iter().map(single).collect::<Vec<_>>(),
            "pairs": self.pairs.iter().map(pair).collect::<Vec<_>>(),
            "notes": self.notes.iter().map(note).collect::<Vec<_>>(),
        })
    }

    /// Prints tables or JSON, and writes both and the plots to a folder.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(super) fn publish(&self, folder: Option<&Path>, json: bool) -> Result<(), String> {
        let (tables, machine_readable) = (markdown::write(self), format!("{:#}\n", self.json()));
        if let Some(folder) = folder {
            let failed = |e: std::io::Error| format!("cannot write {}: {e}", folder.display());
            std::fs::create_dir_all(folder).map_err(failed)?;
            std::fs::write(folder.join("bench.md"), &tables).map_err(failed)?;
            std::fs::write(folder.join("bench.json"), &machine_readable).map_err(failed)?;
            for (name, svg) in plot::all(self) {
                std::fs::write(folder.join(name), svg).map_err(failed)?;
            }
        }
        let text = if json { machine_readable } else { tables };
        crate::cli::output::stdout(text.trim_end()).map_err(|e| format!("cannot print the result: {e}"))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A report with made-up samples of every section.
    pub(in crate::cli::bench) fn sample() -> Report {
        let mut report = Report { machine: "a machine".into(), settings: "3 rounds".into(), ..Report::default() };
        let ways = [("direct", 1000.0), ("PgBouncer, session", 600.0), ("splice", 700.0), ("columnseal", 650.0)];
        for (load, size) in [("select, simple", 1), ("select, simple", 8), ("TPC-B, prepared", 8)] {
            for (way, rate) in ways {
                for n in [0.9, 1.0, 1.3] {
                    let place = Place { section: "wire", load: load.into(), size, way };
                    let cpu = (way != "direct").then_some(20.0 * n);
                    report.add(
                        place,
                        Sample { rate: rate * n, times: [100.0, 200.0, 300.0], cpu, peak: cpu.map(|_| 9000) },
                    );
                }
            }
        }
        for (load, size) in [("lookup", 10_000), ("lookup", 100_000), ("lookup, 1 client", 10_000)] {
            for (way, rate) in
                [("direct, plain", 500.0), ("columnseal, plain", 400.0), ("columnseal, encrypted", 380.0)]
            {
                let place = Place { section: "columns", load: load.into(), size, way };
                report.add(place, Sample { rate, times: [2e6 / rate, 3e6 / rate, 4e6 / rate], ..Sample::default() });
            }
        }
        for (way, rate) in [("direct, plain", 900.0), ("columnseal, plain", 700.0), ("columnseal, encrypted", 300.0)] {
            let place = Place { section: "documents", load: "@>, 1 row".into(), size: 10_000, way };
            report.add(place, Sample { rate, times: [1e6 / rate; 3], ..Sample::default() });
        }
        report.pair("documents", ("texts: index".into(), 10_000), [Some(100.0), Some(250.0)], "bytes a row");
        report.pair("documents", ("texts: other index".into(), 10_000), [Some(12.0), None], "bytes a row");
        report.note("documents", "something to know");
        report.single("connections", "memory of an idle connection", 21.5, "KiB");
        report
    }

    #[test]
    fn medians_spreads_and_ratios() {
        let report = sample();
        let figures = report.of("wire", "select, simple", 8);
        assert_eq!(figures.len(), 4);
        assert_eq!((figures[0].rate(), figures[0].cpu(), figures[0].peak()), (1000.0, None, None));
        assert_eq!((figures[3].cpu(), figures[3].peak()), (Some(20.0), Some(9000)));
        let (low, high) = figures[0].spread();
        assert!((low - 0.9).abs() < 1e-9 && (high - 1.3).abs() < 1e-9);
        assert_eq!(report.ratio(("wire", "select, simple", 8), "columnseal", "direct"), Some(0.65));
        assert_eq!(report.ratio(("wire", "select, simple", 8), "columnseal", "nobody"), None);
        assert_eq!(report.loads("wire").len(), 3);
        assert_eq!(report.json()["figures"].as_array().map(Vec::len), Some(24));
    }
}
