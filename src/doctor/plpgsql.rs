//! PL/pgSQL, as PostgreSQL's own parser of it reads a body: what it declares, and its steps in order.

use serde_json::Value;

use crate::schema::name::{always_quoted, literal};
use crate::sql::lex::Lexed;

/// A variable that a body declares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    /// Its type as it is written.
    pub(super) kind: String,
}

/// A step that evaluates something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    pub(super) line: u64,
    pub(super) act: Act,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// An expression.
    Value(String),
    /// `target := value`.
    Assign { target: String, value: String },
    /// A statement, and the variables that its row goes into.
    Query { text: String, into: Vec<String> },
    /// SQL that the body makes itself.
    Dynamic,
}

/// What a body is read as: its function's arguments, with the types they stand for (and names, where they have one), what it
/// returns, and whether that is by OUT arguments.
pub(super) struct Head<'a> {
    pub(super) arguments: &'a [(String, &'static str)],
    pub(super) returns: &'static str,
    pub(super) by_arguments: bool,
}

/// Types that PostgreSQL's parser of PL/pgSQL knows without a database. All others stand as what they are like.
const KNOWN: &[&str] = &[
    "bigint",
    "bool",
    "boolean",
    "bytea",
    "char",
    "character",
    "cursor",
    "date",
    "decimal",
    "double",
    "float",
    "int",
    "int2",
    "int4",
    "int8",
    "integer",
    "interval",
    "json",
    "jsonb",
    "name",
    "numeric",
    "oid",
    "real",
    "record",
    "refcursor",
    "smallint",
    "text",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varchar",
];

/// A variable's declaration, and where its type stands.
struct Place {
    declared: Declared,
    span: (usize, usize),
}

/// What a body declares, in all its blocks.
pub(super) fn declarations(source: &str) -> Vec<Declared> {
    places(source).into_iter().map(|place| place.declared).collect()
}

fn places(source: &str) -> Vec<Place> {
    let Ok(lexed) = Lexed::new(source, true) else { return Vec::new() };
    let tokens = &lexed.tokens;
    let word = |i: usize, word: &str| tokens.get(i).is_some_and(|t| t.is_word(source, word));
    let is = |i: usize, mark: &str| tokens.get(i).is_some_and(|t| t.text(source) == mark);
    let mut out = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        if !word(i, "declare") {
            i += 1;
            continue;
        }
        i += 1;
        while i < tokens.len() && !word(i, "begin") && !word(i, "declare") {
            let first = i + 1 + usize::from(word(i + 1, "constant"));
            let mut last = first;
            let ends = |at: usize| {
                at >= tokens.len()
                    || [";", ":=", "="].iter().any(|mark| is(at, mark))
                    || ["not", "default", "collate"].iter().any(|end| word(at, end))
            };
            while !ends(last) {
                last += 1;
            }
            let odd = ["alias", "cursor", "no", "scroll"].iter().any(|kind| word(first, kind));
            if last > first
                && !odd
                && let Some(name) = tokens[i].name(source)
            {
                let span = (tokens[first].start as usize, tokens[last - 1].end as usize);
                let declared = Declared { name: name.into_owned(), kind: source[span.0..span.1].to_owned() };
                out.push(Place { declared, span });
            }
            while i < tokens.len() && !is(i, ";") {
                i += 1;
            }
            i += 1;
        }
    }
    out
}

/// The steps of a body. `is_record` says of each declaration whether it is of rows. `None`: it is none that can be read.
pub(super) fn read(source: &str, head: &Head<'_>, is_record: impl Fn(&str) -> bool) -> Option<Vec<Step>> {
    let (mut body, mut at) = (String::with_capacity(source.len()), 0);
    for Place { declared, span } in places(source) {
        let first = declared.kind.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
        let known = !declared.kind.contains(['.', '%']) && KNOWN.contains(&first.to_ascii_lowercase().as_str());
        body += &source[at..span.0];
        body += match known {
            true => &source[span.0..span.1],
            false if is_record(&declared.name) => "record",
            false => "int",
        };
        at = span.1;
    }
    body += &source[at..];
    let argument = |(name, kind): &(String, &str)| match name.as_str() {
        "" => (*kind).to_owned(),
        name => format!("{} {kind}", always_quoted(name)),
    };
    let out = head.by_arguments.then(|| "OUT columnseal_result int".to_owned());
    let arguments: Vec<String> = head.arguments.iter().map(argument).chain(out).collect();
    let (arguments, returns) = (arguments.join(", "), head.returns);
    let text = format!("CREATE FUNCTION f({arguments}) RETURNS {returns} LANGUAGE plpgsql AS {}", literal(&body));
    let parsed = pg_query::parse_plpgsql(&text).ok()?;
    let function = parsed.get(0)?.get("PLpgSQL_function")?;
    let datums = function.get("datums").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut out = Vec::new();
    for var in datums.iter().filter_map(|datum| datum.get("PLpgSQL_var")) {
        let (value, query) =
            (var.get("default_val").and_then(text_of), var.get("cursor_explicit_expr").and_then(text_of));
        let target = always_quoted(var.get("refname").and_then(Value::as_str).unwrap_or_default());
        let acts = value.map(|value| Act::Assign { target, value });
        let acts = acts.into_iter().chain(query.map(|text| Act::Query { text, into: Vec::new() }));
        out.extend(acts.map(|act| Step { line: line(var), act }));
    }
    steps(function.get("action")?, &mut out);
    Some(out)
}

fn line(node: &Value) -> u64 {
    node.get("lineno").and_then(Value::as_u64).unwrap_or_default()
}

fn text_of(node: &Value) -> Option<String> {
    Some(node.get("PLpgSQL_expr")?.get("query")?.as_str()?.to_owned())
}

/// Steps below a node, in order.
fn steps(node: &Value, out: &mut Vec<Step>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| steps(item, out)),
        Value::Object(fields) => {
            for (name, inner) in fields {
                match name.strip_prefix("PLpgSQL_stmt_") {
                    Some(kind) => statement(kind, inner, out),
                    None => steps(inner, out),
                }
            }
        }
        _ => {}
    }
}

fn statement(kind: &str, node: &Value, out: &mut Vec<Step>) {
    let mut push = |act: Act| out.push(Step { line: line(node), act });
    let expression = |field: &str| node.get(field).and_then(text_of);
    match kind {
        "assign" => {
            if let Some((target, value)) = expression("expr").as_deref().and_then(halves) {
                push(Act::Assign { target, value });
            }
        }
        "execsql" => {
            let into = node.get("target").map(targets).unwrap_or_default();
            expression("sqlstmt").into_iter().for_each(|text| push(Act::Query { text, into: into.clone() }));
        }
        "perform" | "call" => {
            expression("expr").into_iter().for_each(|text| push(Act::Query { text, into: Vec::new() }))
        }
        "fors" | "forc" => {
            let into = node.get("var").map(targets).unwrap_or_default();
            expression("query").into_iter().for_each(|text| push(Act::Query { text, into: into.clone() }));
        }
        "return_query" | "open" => {
            expression("query").into_iter().for_each(|text| push(Act::Query { text, into: Vec::new() }))
        }
        "dynexecute" | "dynfors" => push(Act::Dynamic),
        _ => {}
    }
    if node.get("dynquery").is_some() {
        push(Act::Dynamic);
    }
    for field in ["cond", "lower", "upper", "step", "t_expr"] {
        expression(field).into_iter().for_each(|text| push(Act::Value(text)));
    }
    if matches!(kind, "return" | "return_next" | "foreach_a") {
        expression("expr").into_iter().for_each(|text| push(Act::Value(text)));
    }
    for param in node.get("params").and_then(Value::as_array).into_iter().flatten() {
        text_of(param).into_iter().for_each(|text| push(Act::Value(text)));
    }
    const BLOCKS: [&str; 8] =
        ["body", "then_body", "elsif_list", "else_body", "case_when_list", "else_stmts", "exceptions", "query"];
    for field in BLOCKS {
        node.get(field).into_iter().for_each(|inner| nested(inner, out));
    }
}

/// Statements within a statement; conditions of ELSIF stand beside their own.
fn nested(node: &Value, out: &mut Vec<Step>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| nested(item, out)),
        Value::Object(fields) => {
            if let Some(elsif) = fields.get("PLpgSQL_if_elsif") {
                let condition = elsif.get("cond").and_then(text_of);
                out.extend(condition.map(|text| Step { line: line(elsif), act: Act::Value(text) }));
            }
            for (name, inner) in fields {
                match name.strip_prefix("PLpgSQL_stmt_") {
                    Some(kind) => statement(kind, inner, out),
                    None if name == "PLpgSQL_expr" => {}
                    None => nested(inner, out),
                }
            }
        }
        _ => {}
    }
}

/// `target := value` or `target = value`.
fn halves(text: &str) -> Option<(String, String)> {
    let lexed = Lexed::new(text, true).ok()?;
    let sign = lexed.tokens.iter().find(|t| matches!(t.text(text), ":=" | "="))?;
    let (target, value) = (text[..sign.start as usize].trim(), text[sign.end as usize..].trim());
    Some((target.to_owned(), value.to_owned()))
}

/// Names of the variables that a row goes into.
fn targets(node: &Value) -> Vec<String> {
    let name = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    if let Some(row) = node.get("PLpgSQL_row") {
        let fields = row.get("fields").and_then(Value::as_array);
        return fields.into_iter().flatten().filter_map(|field| name(field, "name")).collect();
    }
    ["PLpgSQL_rec", "PLpgSQL_var"].iter().filter_map(|kind| name(node.get(kind)?, "refname")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_in_every_block() {
        let source = "DECLARE a int := 5; b CONSTANT seal.text_eq NOT NULL := x; c public.users%ROWTYPE;\n\
            d users.email%TYPE DEFAULT 'x'; e CURSOR FOR SELECT 1; BEGIN x := 1; DECLARE f varchar(20); BEGIN NULL; END; END";
        let found: Vec<(String, String)> = declarations(source).into_iter().map(|d| (d.name, d.kind)).collect();
        let wanted = [
            ("a", "int"),
            ("b", "seal.text_eq"),
            ("c", "public.users%ROWTYPE"),
            ("d", "users.email%TYPE"),
            ("f", "varchar(20)"),
        ];
        assert_eq!(found, wanted.map(|(name, kind)| (name.to_owned(), kind.to_owned())));
    }

    #[test]
    fn steps_come_in_order_with_their_lines() {
        let source = "DECLARE v seal.text_eq; BEGIN\n IF NEW.a = 1 THEN NEW.b := 2;\n ELSIF OLD.* = NEW.* THEN\n SELECT x INTO v FROM t;\n\
            END IF;\n FOR r IN SELECT y FROM t LOOP EXECUTE q; END LOOP;\n RETURN QUERY SELECT 1; END";
        let arguments = ["new", "old", "r"].map(|name| (name.to_owned(), "record"));
        let head = Head { arguments: &arguments, returns: "SETOF int", by_arguments: false };
        let steps = read(source, &head, |_| false).expect("a body");
        let shown: Vec<String> = steps.iter().map(|step| format!("{} {:?}", step.line, step.act)).collect();
        assert_eq!(
            shown,
            [
                r#"2 Value("NEW.a = 1")"#,
                r#"2 Assign { target: "NEW.b", value: "2" }"#,
                r#"3 Value("OLD.* = NEW.*")"#,
                r#"4 Query { text: "SELECT x        FROM t", into: ["v"] }"#,
                r#"6 Query { text: "SELECT y FROM t", into: ["r"] }"#,
                r#"6 Dynamic"#,
                r#"7 Query { text: "SELECT 1", into: [] }"#,
            ]
        );
    }

    #[test]
    fn results_are_read_however_they_are_returned() {
        let arguments = ["", "named"].map(|name| (name.to_owned(), "int"));
        let read = |source: &str, returns, by_arguments| {
            let steps = read(source, &Head { arguments: &arguments, returns, by_arguments }, |_| false)?;
            Some(steps.into_iter().map(|step| step.act).collect::<Vec<Act>>())
        };
        let value = |text: &str| Act::Value(text.to_owned());
        let assign = |target: &str, value: &str| Act::Assign { target: target.to_owned(), value: value.to_owned() };
        let next = read("DECLARE a ALIAS FOR $1; BEGIN a := 1; RETURN NEXT named + 1; END", "SETOF int", false);
        assert_eq!(next, Some(vec![assign("a", "1"), value("named + 1")]));
        let source = "BEGIN named := $1; RETURN NEXT; END";
        assert_eq!(read(source, "SETOF int", true), Some(vec![assign("named", "$1")]));
        for (returns, by_arguments) in [("SETOF int", false), ("int", false), ("void", false), ("int", true)] {
            assert_eq!(read(source, returns, by_arguments), None, "{returns}");
        }
    }

    #[test]
    fn what_is_no_body_is_none() {
        let head = Head { arguments: &[], returns: "int", by_arguments: false };
        for source in ["", "BEGIN", "SELECT 1", "BEGIN x := 1; END", "DECLARE", "DECLARE ; BEGIN END", "'"] {
            assert_eq!(read(source, &head, |_| false), None, "{source}");
        }
    }
}
