//! Costs of analysing a statement: seen before, new, and of a shape seen before with other literals.

use std::hint::black_box;
use std::sync::Arc;

use columnseal::crypto::TypeId;
use columnseal::crypto::envelope::Padding;
use columnseal::crypto::term::order::Digits;
use columnseal::schema::catalog::{Catalog, Column, EncType, Relation, RelationKind, Standing, Terms, TypeDef};
use columnseal::sql::plan::SessionState;
use columnseal::sql::{PlanCache, analyze};
use columnseal::wire::value::PlainType;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// A table `users` with two encrypted columns, and a plain table `orders`.
fn catalog() -> Catalog {
    let email = Arc::new(EncType {
        oid: 90_000,
        array_oid: 90_001,
        plain_oid: 25,
        plain_array_oid: 1009,
        def: TypeDef {
            id: TypeId([7; 16]),
            name: "text_eq".into(),
            plain: PlainType::Text,
            terms: Terms { eq: true, ..Terms::default() },
            options: "{}".into(),
            keyset: None,
        },
        shown: PlainType::Text,
        digits: Digits::Short,
        padding: Padding::Padme,
        standing: Standing::Verified,
    });
    let column = |name: &str, type_oid, enc: Option<&Arc<EncType>>| Column {
        name: name.into(),
        attnum: 0,
        type_oid,
        enc: enc.cloned(),
        direct: enc.is_some(),
        tainted: false,
        generated: false,
    };
    let relation = |oid, name: &str, columns: Vec<Column>| {
        let touching = columns.iter().any(|c| c.enc.is_some());
        let columns = columns.into_iter().zip(1..).map(|(c, attnum)| Column { attnum, ..c }).collect();
        Relation {
            oid,
            schema: "public".into(),
            name: name.into(),
            kind: RelationKind::Table,
            columns,
            indexes: Vec::new(),
            touching,
            alarm: None,
        }
    };
    let users =
        vec![column("id", 20, None), column("email", email.oid, Some(&email)), column("name", email.oid, Some(&email))];
    let orders = vec![column("id", 20, None), column("user_id", 20, None), column("total", 1700, None)];
    let mut catalog = Catalog { version: 1, seal_version: Some(1), ..Catalog::default() };
    catalog.types.insert(email.oid, Arc::clone(&email));
    catalog.array_types.insert(email.array_oid, Arc::clone(&email));
    catalog.type_names.insert(email.oid, ("seal".into(), "text_eq".into()));
    catalog.touching_types.extend(["text_eq".to_owned(), "_text_eq".to_owned(), "users".to_owned()]);
    catalog.touching_names.insert("users".into());
    for made in [relation(20_000, "users", users), relation(20_001, "orders", orders)] {
        catalog.relations.entry("public".into()).or_default().insert(made.name.clone(), Arc::new(made));
    }
    catalog
}

const TOUCHING: &str = "SELECT id, email, name FROM users WHERE email = $1";
const UNTOUCHED: &str = "SELECT id, total FROM orders WHERE user_id = $1";
const INSERT: &str = "INSERT INTO users (id, email, name) VALUES ($1, $2, $3) RETURNING id";

fn analysis(criterion: &mut Criterion) {
    let catalog = catalog();
    let path = ["pg_catalog", "public"].map(String::from);
    let session = SessionState { search_path: Some(&path), standard_conforming_strings: true };
    for (name, sql) in [("untouched", UNTOUCHED), ("select", TOUCHING), ("insert", INSERT)] {
        let cache = PlanCache::new(1024);
        cache.analyze(sql, &[], &catalog, &session).expect("it is covered");
        criterion.bench_function(&format!("seen before: {name}"), |bencher| {
            bencher.iter(|| cache.analyze(black_box(sql), &[], &catalog, &session));
        });
        criterion.bench_function(&format!("new: {name}"), |bencher| {
            bencher.iter(|| analyze(black_box(sql), &[], &catalog, &session));
        });
    }
    let cache = PlanCache::new(1024);
    let text = |n: u32| format!("SELECT id, email FROM users WHERE email = 'person{n}@example.com'");
    cache.analyze(&text(0), &[], &catalog, &session).expect("it is covered");
    let mut n = 0;
    criterion.bench_function("other literals: select", |bencher| {
        let next = || {
            n += 1;
            text(n)
        };
        bencher.iter_batched(
            next,
            |sql| cache.analyze(black_box(&sql), &[], &catalog, &session),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, analysis);
criterion_main!(benches);
