//! A catalog made by hand, and a printer of analyses.

use std::fmt::Write as _;
use std::sync::Arc;

use crate::crypto::TypeId;
use crate::crypto::envelope::Padding;
use crate::crypto::term::order::Digits;
use crate::schema::catalog::{
    Catalog, Column, EncType, Index, Key, Oid, Promoted, PromotedPath, Relation, RelationKind, Standing, Terms, TypeDef,
};
use crate::schema::routine::{Body, Language, Routine};
use crate::sql::copy::InColumn;
use crate::sql::pattern::{Search, Shown};
use crate::sql::plan::{Action, Analysis, Of, OutColumn, Param, Plan, Role, SessionState, Source};
use crate::sql::{analyze, literals};
use crate::wire::value::PlainType;

/// An encrypted type.
fn enc(n: u32, name: &str, plain: PlainType, eq: bool) -> Arc<EncType> {
    with_terms(n, name, plain, Terms { eq, ..Terms::default() })
}

fn with_terms(n: u32, name: &str, plain: PlainType, terms: Terms) -> Arc<EncType> {
    let mut id = [0; 16];
    id[0] = n as u8;
    Arc::new(EncType {
        oid: 90_000 + 2 * n,
        array_oid: 90_001 + 2 * n,
        element: None,
        plain_oid: 25,
        plain_array_oid: 1009,
        def: TypeDef { id: TypeId(id), name: name.into(), plain, terms, options: "{}".into(), keyset: None },
        shown: plain,
        digits: Digits::Short,
        padding: Padding::None,
        whole_text: false,
        standing: if name == "broken" { Standing::Broken("its copy was edited".into()) } else { Standing::Verified },
        whole: None,
        promoted: Arc::default(),
    })
}

/// Documents with promoted paths.
fn with_paths(n: u32, name: &str, terms: Terms, paths: &[(&str, PlainType, Terms)]) -> Arc<EncType> {
    let whole = with_terms(n, name, PlainType::Jsonb, terms);
    let promoted = (1..).zip(paths).map(|(number, (path, plain, terms))| {
        let ty = with_terms(n + number, &format!("{name}${number}"), *plain, *terms);
        let keys = path.split('.').map(String::from).collect();
        PromotedPath { keys, ty: Arc::new(EncType { whole: Some(whole.def.id), ..EncType::clone(&ty) }) }
    });
    let promoted = Arc::new(Promoted { row: 95_000 + n, paths: promoted.collect() });
    Arc::new(EncType { promoted, ..EncType::clone(&whole) })
}

fn plain(name: &str, type_oid: Oid) -> Column {
    Column { name: name.into(), attnum: 0, type_oid, enc: None, direct: false, tainted: false, generated: false }
}

fn sealed(name: &str, t: &Arc<EncType>) -> Column {
    Column { enc: Some(t.clone()), direct: true, ..plain(name, t.oid) }
}

fn add(catalog: &mut Catalog, schema: &str, name: &str, kind: RelationKind, columns: Vec<Column>) {
    let touching = columns.iter().any(|c| c.enc.is_some() || c.tainted);
    let oid = 20_000 + catalog.relations.values().map(|r| r.len() as u32).sum::<u32>();
    let columns = columns.into_iter().enumerate().map(|(i, c)| Column { attnum: i as i16 + 1, ..c }).collect();
    let alarm = (name == "alarmed").then(|| "relation public.alarmed does not hold its pins".to_string());
    let (schema, name) = (schema.to_string(), name.to_string());
    let relation = Relation { oid, schema, name, kind, columns, indexes: Vec::new(), touching, alarm };
    if touching {
        catalog.touching_names.insert(relation.name.clone());
        catalog.touching_types.insert(relation.name.clone());
    }
    let relations = catalog.relations.entry(relation.schema.clone()).or_default();
    relations.insert(relation.name.clone(), Arc::new(relation));
}

fn routine(catalog: &mut Catalog, name: &str, routine: Routine) {
    let routine = Routine { schema: "public".into(), name: name.into(), followed: true, touching: true, ..routine };
    catalog.touching_functions.insert(name.into());
    catalog.routines.entry(name.into()).or_default().push(Arc::new(routine));
}

/// Tables `users`, `accounts`, `notes` and friends with encrypted columns, `plain` and `tenant.users` without.
pub(crate) fn catalog() -> Catalog {
    let mut c = Catalog { version: 1, seal_version: Some(4), ..Catalog::default() };
    let email = enc(1, "email", PlainType::Text, true);
    let ssn = enc(2, "ssn", PlainType::Text, true);
    let age = enc(3, "age", PlainType::Int4, true);
    let note = enc(4, "text", PlainType::Text, false);
    let flag = enc(5, "bool_eq", PlainType::Bool, true);
    let born = enc(6, "born", PlainType::Date, true);
    let doc = enc(7, "Doc", PlainType::Jsonb, false);
    let broken = enc(8, "broken", PlainType::Text, true);
    let both = Terms { eq: true, ord: true, ..Terms::default() };
    let date = with_terms(9, "date_ord", PlainType::Date, both);
    let score = with_terms(10, "score", PlainType::Int4, Terms { ord: true, ..Terms::default() });
    let search = Terms { eq: true, matching: true, ..Terms::default() };
    let name = with_terms(11, "name", PlainType::Text, search);
    let price = enc(12, "price", PlainType::Numeric, true);
    let profile = with_terms(13, "profile", PlainType::Jsonb, Terms { eq: true, json: true, ..Terms::default() });
    let ord = Terms { ord: true, ..Terms::default() };
    let words = Terms { eq: true, matching: true, ..Terms::default() };
    let json = Terms { json: true, ..Terms::default() };
    let paths = [
        ("total", PlainType::Numeric, ord),
        ("customer.name", PlainType::Text, words),
        ("n", PlainType::Int4, Terms { eq: true, ..Terms::default() }),
    ];
    let deal = with_paths(20, "deal", json, &paths);
    let lean = with_paths(30, "lean", Terms::default(), &paths[..1]);
    let promoted: Vec<Arc<EncType>> =
        [&deal, &lean].iter().flat_map(|t| t.promoted.paths.iter().map(|path| path.ty.clone())).collect();
    let keys = promoted.iter().flat_map(|_| ["total", "customer", "name", "n"]);
    c.promoted_keys = keys.map(String::from).collect();
    let all =
        [&name, &email, &ssn, &age, &note, &flag, &born, &doc, &broken, &date, &score, &price, &profile, &deal, &lean];
    for t in all.into_iter().chain(&promoted) {
        c.types.insert(t.oid, t.clone());
        c.array_types.insert(t.array_oid, t.array());
        c.containing.extend([t.oid, t.array_oid]);
        c.touching_types.insert(t.def.name.clone());
        c.touching_types.insert(format!("_{}", t.def.name));
        c.type_names.insert(t.oid, ("seal".into(), t.def.name.clone()));
    }
    let table = RelationKind::Table;
    let users = vec![
        plain("id", 20),
        sealed("email", &email),
        plain("name", 25),
        sealed("ssn", &ssn),
        sealed("age", &age),
        sealed("active", &flag),
        plain("joined", 1184),
    ];
    add(&mut c, "public", "users", table, users);
    add(
        &mut c,
        "public",
        "accounts",
        table,
        vec![plain("id", 20), plain("user_id", 20), sealed("email", &email), plain("balance", 1700)],
    );
    add(
        &mut c,
        "public",
        "notes",
        table,
        vec![plain("id", 20), sealed("body", &note), sealed("doc", &doc), sealed("born", &born)],
    );
    add(&mut c, "public", "plain", table, vec![plain("id", 20), plain("email", 25), plain("v", 25)]);
    add(&mut c, "public", "orders", table, vec![plain("id", 20), plain("user_id", 20), plain("total", 1700)]);
    add(&mut c, "public", "profiles", table, vec![plain("id", 20), sealed("p", &profile), plain("v", 25)]);
    add(
        &mut c,
        "public",
        "deals",
        table,
        vec![plain("id", 20), sealed("doc", &deal), sealed("lean", &lean), plain("v", 25)],
    );
    add(&mut c, "public", "prices", table, vec![plain("id", 20), sealed("price", &price)]);
    add(&mut c, "tenant", "users", table, vec![plain("id", 20), plain("email", 25)]);
    add(&mut c, "public", "alarmed", table, vec![plain("id", 20), sealed("email", &email)]);
    add(
        &mut c,
        "public",
        "odd",
        table,
        vec![plain("id", 20), sealed("e", &broken), Column { direct: false, ..sealed("list", &email) }],
    );
    add(
        &mut c,
        "public",
        "Quoted Name",
        table,
        vec![plain("Id", 20), sealed("E-mail", &email), sealed("select", &email)],
    );
    add(&mut c, "public", "v_users", RelationKind::View, vec![plain("id", 20), sealed("email", &email)]);
    add(
        &mut c,
        "public",
        "v_upper",
        RelationKind::View,
        vec![plain("id", 20), Column { tainted: true, ..plain("up", 25) }],
    );
    let people = vec![plain("id", 20), sealed("name", &name), sealed("nick", &name), plain("v", 25)];
    add(&mut c, "public", "people", table, people);
    add(&mut c, "public", "v_people", RelationKind::View, vec![plain("id", 20), sealed("name", &name)]);
    let ranked =
        vec![plain("id", 20), sealed("day", &date), sealed("score", &score), sealed("email", &email), plain("v", 23)];
    add(&mut c, "public", "ranked", table, ranked);
    let lists = vec![
        plain("id", 20),
        sealed("tags", &email.array()),
        sealed("ages", &age.array()),
        sealed("email", &email),
        plain("v", 1009),
    ];
    add(&mut c, "public", "lists", table, lists);
    add(&mut c, "pg_catalog", "pg_class", table, vec![plain("oid", 26), plain("relname", 19)]);
    index(&mut c, "users", "users_pkey", true, &[]);
    index(&mut c, "users", "users_email_key", false, &[("email", Some("eq"))]);
    index(&mut c, "users", "Odd Name", false, &[("id", None), ("ssn", Some("eq"))]);
    index(&mut c, "ranked", "ranked_pkey", false, &[("day", Some("ord"))]);
    index(&mut c, "Quoted Name", "q", false, &[("E-mail", Some("eq")), ("Id", None)]);
    c.touching_functions.insert("find_user".into());
    let outputs = vec![("id".to_string(), 20), ("email".to_string(), email.oid)];
    let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
    let find = Routine { inputs: vec![email.oid], names: names(&["e"]), result: 20, ..Routine::default() };
    routine(&mut c, "find_email", find);
    let keep = Routine { inputs: vec![email.oid, 25], names: names(&["e", "k"]), defaults: 1, ..Routine::default() };
    routine(&mut c, "keep", Routine { result: email.oid, ..keep });
    routine(&mut c, "list_users", Routine { inputs: vec![20], outputs, result: 2249, ..Routine::default() });
    for (name, oid) in [("one_email", email.oid), ("one_id", 20), ("one_thing", 4711), ("one_list", email.array_oid)] {
        let outputs = vec![("m".to_string(), oid)];
        routine(&mut c, name, Routine { inputs: vec![20], outputs, result: oid, ..Routine::default() });
    }
    let outputs = vec![("e".to_string(), email.oid)];
    let put = Routine { inputs: vec![20, email.oid], names: names(&["i", "e"]), outputs, ..Routine::default() };
    routine(&mut c, "put_user", Routine { result: 2249, procedure: true, ..put });
    for inputs in [vec![email.oid], vec![email.oid, 23]] {
        routine(&mut c, "counted", Routine { inputs, result: 20, ..Routine::default() });
    }
    for oid in [email.oid, 20] {
        routine(&mut c, "beside", Routine { inputs: vec![oid], result: 20, ..Routine::default() });
    }
    let source = "SELECT id FROM users WHERE email::text = m::text".into();
    let body = Body { language: Language::Sql, source, arguments: vec![("m".into(), email.oid, true)], path: None };
    let loose = Routine { inputs: vec![email.oid], result: 20, body: Some(Arc::new(body)), ..Routine::default() };
    routine(&mut c, "loose", loose);
    for n in [email.oid, ssn.oid] {
        routine(&mut c, "overloaded", Routine { inputs: vec![n], result: 20, ..Routine::default() });
    }
    c.unknown_functions.insert("user_fn".into());
    c
}

/// Gives a relation of schema `public` an index.
fn index(catalog: &mut Catalog, relation: &str, name: &str, primary: bool, unique: &[(&str, Option<&'static str>)]) {
    let found = catalog.relations.get_mut("public").and_then(|r| r.get_mut(relation)).expect("a relation of its own");
    let key = |&(column, term): &(&str, Option<&'static str>)| Key { column: column.into(), term };
    let unique = unique.iter().map(key).collect();
    Arc::make_mut(found).indexes.push(Index { name: name.into(), primary, unique });
}

/// The path that fixtures are analysed under.
pub(crate) fn path() -> Vec<String> {
    ["pg_catalog", "public"].map(String::from).to_vec()
}

/// Analysis of a text, printed.
pub(crate) fn describe(text: &str, catalog: &Catalog, path: &[String]) -> String {
    let session = SessionState { search_path: Some(path), standard_conforming_strings: true };
    let mut out = String::new();
    match analyze(text, &[], catalog, &session) {
        Ok(Analysis::Untouched(_)) => out += "untouched\n",
        Ok(Analysis::NeedsSearchPath) => out += "needs search_path\n",
        Ok(Analysis::Statements(statements)) => {
            for statement in statements.iter() {
                let renew = if statement.renew { " (renew)" } else { "" };
                match &statement.action {
                    Action::Forward => _ = writeln!(out, "forward{renew}"),
                    Action::Choose(wish) => {
                        let local = if wish.local { "local " } else { "" };
                        _ = writeln!(out, "choose {local}{:?} {:?}{renew}", wish.spelling, wish.value);
                    }
                    Action::Execute(execute) => _ = writeln!(out, "{execute:?}{renew}"),
                    Action::Fetch(fetch) => _ = writeln!(out, "fetch {}{renew}", fetch.cursor),
                    Action::Refuse(r) => refusal(&mut out, text, r),
                    Action::Run(plan) => {
                        _ = write!(out, "run{renew}\n{}", show(plan, &text[statement.span.clone()]));
                    }
                }
            }
        }
        Err(r) => refusal(&mut out, text, &r),
    }
    out
}

fn refusal(out: &mut String, text: &str, r: &crate::sql::plan::Refusal) {
    let near = r.position.map(|p| text.get(p..).unwrap_or_default().chars().take(12).collect::<String>());
    let near = near.map(|n| format!(" near [{}]", n.replace('\n', " "))).unwrap_or_default();
    _ = writeln!(out, "refuse {}{near}: {}", r.sqlstate.0, r.message);
    if let Some(hint) = &r.hint {
        _ = writeln!(out, "  hint: {hint}");
    }
}

fn show(plan: &Plan, text: &str) -> String {
    let literals = literals(text);
    let mut out = String::new();
    if let Some(described) = &plan.described {
        _ = writeln!(out, "  D: {}", described.render(text, &literals).sql);
    }
    _ = writeln!(out, "  E: {}", plan.executed.render(text, &literals).sql);
    if let Some(steps) = &plan.steps {
        steps.before.iter().for_each(|sql| _ = writeln!(out, "  before: {sql}"));
        steps.after.iter().for_each(|sql| _ = writeln!(out, "  after: {sql}"));
        _ = writeln!(out, "  tag: {}", steps.tag);
    }
    for (i, p) in plan.params.iter().enumerate() {
        _ = writeln!(out, "  ${}: {}", i + 1, param(p));
    }
    if let Some(columns) = &plan.columns {
        let shown: Vec<String> = columns.iter().map(column).collect();
        _ = writeln!(out, "  -> {}", shown.join(", "));
    }
    let loose: Vec<String> = plan.loose.literals.iter().map(|k| format!("literal {k}")).collect();
    let loose: Vec<String> =
        loose.into_iter().chain(plan.loose.params.iter().map(|n| format!("client ${}", n + 1))).collect();
    if !loose.is_empty() {
        _ = writeln!(out, "  loose: {}", loose.join(", "));
    }
    if let Some(copy) = plan.copy_in() {
        let sealed =
            |c: &InColumn| c.enc.as_ref().map_or_else(|| c.name.clone(), |t| format!("{} {}", c.name, t.def.name));
        let columns: Vec<String> = copy.columns.iter().map(sealed).collect();
        _ = writeln!(out, "  copy in {:?} {}: {}", copy.dialect.kind, copy.table, columns.join(", "));
    }
    if let Some(copy) = plan.copy_out() {
        _ = writeln!(out, "  copy out {:?} {:?}", copy.dialect.kind, copy.force_quote);
    }
    if let Some(prepare) = &plan.prepares {
        _ = writeln!(out, "  {prepare:?}");
    }
    if let Some(cursor) = &plan.cursor {
        _ = writeln!(out, "  {cursor:?}");
    }
    for search in &plan.searches {
        let Search { from, path, shown, looked, patterns, escape, part, .. } = search;
        let shown = if *shown == Shown::Value { String::new() } else { format!(" as {shown:?}") };
        let path = path.map(|path| format!(" path {path}")).unwrap_or_default();
        _ = writeln!(
            out,
            "  search {}{shown} in {from:?}{path}: {looked:?} {patterns:?} escape {escape:?}",
            search.column
        );
        if let Some(part) = part {
            _ = writeln!(out, "    {part:?}");
        }
    }
    for check in &plan.checks {
        _ = writeln!(out, "  check: column {} = ${}", check.column + 1, check.param + 1);
    }
    out
}

fn param(p: &Param) -> String {
    let source = match p.source {
        Source::Client(n) => format!("client ${}", n + 1),
        Source::Literal(k) => format!("literal {k}"),
        Source::Negated(k) => format!("- literal {k}"),
        Source::Bool(b) => b.to_string(),
        Source::Shown => "shown".into(),
        Source::Search => "search".into(),
    };
    let role = match &p.role {
        Role::Plain => return source,
        Role::Store(t) => format!("store {}{}", t.def.name, if t.is_array() { "[]" } else { "" }),
        Role::Equal(t) => format!("equal {}", t.def.name),
        Role::EqualArray(t) => format!("equal {}[]", t.def.name),
        Role::Test(test) => format!("whether {test:?}"),
        Role::Shown(show) => format!("{show:?}"),
        Role::Pattern(t) => format!("pattern {}", t.def.name),
        Role::Patterns(t) => format!("pattern {}[]", t.def.name),
        Role::Given(t, given) => format!("{given:?} for {}", t.def.name),
        Role::Mark => "mark".into(),
        Role::Held(sort) => format!("held {sort:?}"),
        Role::Tokens(n) => format!("tokens {n}"),
        Role::Matching(n) => format!("matching {n}"),
        Role::Others(n) => format!("others {n}"),
    };
    let cast = p.cast.map(|oid| format!(" cast {oid}")).unwrap_or_default();
    format!("{source} {role} for {}{cast}", p.column)
}

fn column(c: &OutColumn) -> String {
    match c {
        OutColumn::Plain => "plain".into(),
        OutColumn::Built(name) => format!("built {name}"),
        OutColumn::Joined(name) => format!("joined {name}"),
        OutColumn::Computed(formula) => format!("{:?} of {}", formula.expr, formula.column),
        OutColumn::Finished(finish) => match &finish.of {
            Of::Value(enc) => format!("{} of {}", finish.column, enc.def.name),
            Of::Formula(formula) => format!("{} of {:?}", finish.column, formula.expr),
        },
        OutColumn::Envelope(t, name) => format!("envelope {} {name}", t.def.name),
        OutColumn::Composite(t, name) if t.is_array() => format!("array {} {name}", t.def.name),
        OutColumn::Composite(t, name) => format!("composite {} {name}", t.def.name),
    }
}
