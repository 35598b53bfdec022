//! Costs of analysing a statement: seen before, new, and of a shape seen before with other literals.

use std::hint::black_box;

use columnseal::sql::plan::SessionState;
use columnseal::sql::{PlanCache, analyze};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

#[allow(unreachable_pub, reason = "public for the fuzz targets")]
#[path = "../fuzz/harness/catalog.rs"]
mod catalog;

const TOUCHING: &str = "SELECT id, email, name FROM users WHERE email = $1";
const UNTOUCHED: &str = "SELECT id, total FROM orders WHERE user_id = $1";
const INSERT: &str = "INSERT INTO users (id, email, name) VALUES ($1, $2, $3) RETURNING id";

fn analysis(criterion: &mut Criterion) {
    let catalog = catalog::catalog();
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
