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
    for load in
        ["select, simple", "TPC-B, pipeline", "lookup", "LIKE", "SELECT", "COPY FROM", "@>, 1 row", "a part by key"]
    {
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
    for load in ["@>, 1 row", "a part by key", "LIKE %x%, 1 row", "LIKE x%, 100 rows"] {
        for way in ["direct, plain", "columnseal, plain", "columnseal, encrypted"] {
            of("documents", load, way);
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
    weighed(&printed, bytes("one of the documents as jsonb"), bytes("one of the documents as seal.jsonb_search"));
    of("connections", "start to first encrypted answer", "columnseal");
    assert!(printed["numbers"].as_array().unwrap().iter().any(|n| n["what"] == "memory of one of them"), "{printed:#}");
    let tables = std::fs::read_to_string(folder.join("bench.md")).unwrap();
    for heading in [
        "## Plain traffic",
        "## Encrypted columns",
        "## Documents and text",
        "## Many rows",
        "## Connections",
        "## Targets",
    ] {
        assert!(tables.contains(heading), "{tables}");
    }
    for plot in ["wire-2.svg", "columns.svg", "documents.svg", "documents-sizes.svg", "bulk.svg"] {
        assert!(std::fs::read_to_string(folder.join(plot)).unwrap().contains("</svg>"), "{plot}");
    }
}

/// Columns, tables and each index of documents and texts have sizes, and encrypted documents are the larger ones.
fn weighed(printed: &serde_json::Value, plain: f64, sealed: f64) {
    assert!(plain > 200.0 && plain < 500.0 && sealed > 1.5 * plain, "a document takes {plain} and {sealed} bytes");
    let pairs = printed["pairs"].as_array().unwrap();
    let pair = |what: &str| {
        let found = pairs.iter().find(|pair| pair["what"] == what).unwrap_or_else(|| panic!("{what}: {pairs:#?}"));
        assert_eq!(found["rows"], 1500, "{found}");
        ["plain", "encrypted"].map(|which| found[which].as_f64())
    };
    for what in [
        "documents: table without indexes",
        "documents: column v",
        "documents: GIN index (plain: jsonb_ops)",
        "texts: column v",
        "texts: GIN index (plain: gin_trgm_ops)",
        "texts: GIN index (plain: gin_trgm_ops), building it",
        "texts: index of v",
    ] {
        let [plain, sealed] = pair(what);
        assert!(plain.unwrap() > 0.0 && sealed.unwrap() > 0.0, "{what}: {plain:?}, {sealed:?}");
    }
    let [path, none] = pair("documents: GIN index, jsonb_path_ops");
    assert!(path.unwrap() > 0.0 && none.is_none());
    let notes = printed["notes"].as_array().unwrap();
    let told = |text: &str| notes.iter().any(|note| note["section"] == "documents" && note["text"] == text);
    assert!(told("@>, 1 row: `SELECT id, v FROM t WHERE v @> $1`"), "{notes:#?}");
}

#[test]
fn parts_are_chosen_and_large_tables_of_documents_are_left_out() {
    let workspace = Workspace::empty();
    let args = ["bench", "--sections", "documents", "--rows", "2000000", "--rounds", "1", "--seconds", "1"];
    let printed = workspace.columnseal(&args).ok();
    assert!(
        printed.contains("## Documents and text") && printed.contains("one of the texts as seal.text_match"),
        "{printed}"
    );
    assert!(printed.contains("- 2000000 rows: not measured, 1000000 are the most"), "{printed}");
    assert!(!printed.contains("## Plain traffic") && !printed.contains("## Connections"), "{printed}");
}

#[test]
fn idle_connections_beyond_the_limit_are_told_before_anything_is_measured() {
    let workspace = Workspace::empty();
    let output = workspace.columnseal(&["bench", "--idle", "4000000000"]);
    let error = output.failed();
    assert!(error.contains("8000001000 open files") && error.contains("ulimit -n"), "{error}");
}
