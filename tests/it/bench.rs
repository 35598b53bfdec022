//! `columnseal bench` in short: every section measures what it says, and writes what it promises.

use crate::support::Workspace;

#[test]
fn a_short_run_measures_every_section() {
    let workspace = Workspace::empty();
    let folder = workspace.dir().join("figures");
    let mut args = vec![
        "--json",
        "bench",
        "--rows",
        "1500",
        "--clients",
        "2",
        "--seconds",
        "1",
        "--rounds",
        "1",
        "--scale",
        "1",
        "--idle",
        "20",
    ];
    for load in ["select, simple", "TPC-B, pipeline", "lookup", "LIKE", "SELECT", "COPY FROM"] {
        args.extend(["--load", load]);
    }
    args.extend(["--output", folder.to_str().unwrap()]);
    let printed: serde_json::Value = serde_json::from_str(&workspace.columnseal(&args).ok()).unwrap();
    let figures = printed["figures"].as_array().unwrap();
    let of = |section: &str, load: &str, way: &str| {
        let here = |f: &&serde_json::Value| f["section"] == section && f["load"] == load && f["way"] == way;
        let found =
            figures.iter().find(here).unwrap_or_else(|| panic!("{section}, {load}, {way} is missing:\n{printed:#}"));
        assert!(found["per_second"].as_f64().unwrap() > 0.0, "{found}");
        found["samples"][0].clone()
    };
    for way in ["direct", "splice", "PgBouncer, session", "PgBouncer, transaction", "columnseal"] {
        let sample = of("wire", "select, simple", way);
        let [p50, p99] = ["p50_us", "p99_us"].map(|time| sample[time].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= p99, "{sample}");
        assert_eq!(sample["peak_kib"].is_null(), way == "direct", "{way}: {sample}");
        of("connections", "connect, select, leave", way);
    }
    of("wire", "TPC-B, pipeline", "columnseal");
    for load in ["lookup", "lookup, 1 client", "LIKE"] {
        for way in ["direct, plain", "columnseal, plain", "columnseal, encrypted"] {
            of("columns", load, way);
        }
    }
    for load in ["SELECT", "COPY FROM"] {
        of("bulk", load, "columnseal");
    }
    let bytes = |what: &str| {
        let numbers = printed["numbers"].as_array().unwrap();
        let found = numbers.iter().find(|n| n["what"].as_str().unwrap().starts_with(what));
        found.unwrap_or_else(|| panic!("{what} is missing:\n{printed:#}"))["value"].as_f64().unwrap()
    };
    // 20 texts of 19 characters; an envelope is longer. The catalog is read as well.
    for load in ["SELECT", "COPY FROM"] {
        let (plain, sealed) = (bytes(&format!("{load}, 0 ")), bytes(&format!("{load}, 20 ")));
        assert!(plain > 380.0 && plain < 900.0 && sealed > 1.5 * plain, "{load}: {plain} and {sealed} bytes a row");
    }
    of("connections", "start to first encrypted answer", "columnseal");
    assert!(printed["numbers"].as_array().unwrap().iter().any(|n| n["what"] == "memory of one of them"), "{printed:#}");
    let tables = std::fs::read_to_string(folder.join("bench.md")).unwrap();
    for heading in ["## Plain traffic", "## Encrypted columns", "## Many rows", "## Connections", "## Targets"] {
        assert!(tables.contains(heading), "{tables}");
    }
    for plot in ["wire-2.svg", "columns.svg", "bulk.svg"] {
        assert!(std::fs::read_to_string(folder.join(plot)).unwrap().contains("</svg>"), "{plot}");
    }
}

#[test]
fn idle_connections_beyond_the_limit_are_told_before_anything_is_measured() {
    let workspace = Workspace::empty();
    let output = workspace.columnseal(&["bench", "--idle", "4000000000"]);
    let error = output.failed();
    assert!(error.contains("8000001000 open files") && error.contains("ulimit -n"), "{error}");
}
