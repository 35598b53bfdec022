//! Costs of the crypto room: per value on the hot path, per key when keys are derived.

use std::hint::black_box;

use columnseal::crypto::envelope::{DataKey, Padding};
use columnseal::crypto::secret::{Key32, TermRoot};
use columnseal::crypto::split::{Check, ClientShare, Hedge, ServerShare, Tag, keyset_public};
use columnseal::crypto::term::equality::EqKey;
use columnseal::crypto::term::order::{Digits, OrdKey};
use columnseal::crypto::{Epoch, KeyId, KeysetId, Kref, TypeId};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const KEYSET: KeysetId = KeysetId([1; 16]);
const TYPE: TypeId = TypeId([2; 16]);
/// Keys that a proxy asks for at once.
const BATCH: u8 = 64;

fn envelopes(criterion: &mut Criterion) {
    let key = DataKey::new(Kref(1), KEYSET, Epoch(1), KeyId([3; 8]), Key32::new([4; 32]));
    for size in [8, 64, 256, 1024] {
        let text = vec![5; size];
        let mut out = Vec::with_capacity(2048);
        criterion.bench_with_input(BenchmarkId::new("seal", size), &text, |bencher, text| {
            bencher.iter(|| {
                out.clear();
                key.seal(black_box(&TYPE), Padding::None, 1, text, &mut out).expect("seals");
            });
        });
        let mut envelope = Vec::new();
        key.seal(&TYPE, Padding::None, 1, &text, &mut envelope).expect("seals");
        criterion.bench_with_input(BenchmarkId::new("open", size), &envelope, |bencher, envelope| {
            bencher.iter(|| {
                out.clear();
                key.open(black_box(&TYPE), envelope, &mut out).expect("opens")
            });
        });
    }
}

fn terms(criterion: &mut Criterion) {
    let key = EqKey::new(&TermRoot::new(Key32::new([6; 32])), 0);
    criterion.bench_function("equality term, 25 bytes", |bencher| {
        bencher.iter(|| key.term(black_box(b"ada.lovelace@example.com.")));
    });
    let key = OrdKey::new(&TermRoot::new(Key32::new([6; 32])), 0, Digits::Short);
    for size in [4, 8, 25] {
        let ordering = vec![7; size];
        let mut out = Vec::with_capacity(OrdKey::len(Digits::Short, size));
        criterion.bench_with_input(BenchmarkId::new("order term", size), &ordering, |bencher, ordering| {
            bencher.iter(|| {
                out.clear();
                key.term(black_box(ordering), &mut out);
            });
        });
    }
}

fn derivation(criterion: &mut Criterion) {
    let client = ClientShare::generate().expect("random");
    let server = ServerShare::generate().expect("random");
    let keyset = keyset_public(&client, &server.public()).expect("not the identity");
    let hedge = Hedge::generate().expect("random");
    let tags = (0..BATCH).map(|i| Tag::data(KEYSET, Epoch(1), KeyId([i; 8]))).collect::<Vec<_>>();
    let (answers, proof) = server.evaluate(&tags).expect("answers");
    let derive = |check| client.derive_keys(&keyset, &hedge, &tags, &answers, check).expect("derives");

    let mut group = criterion.benchmark_group("data keys, batch of 64");
    group.throughput(Throughput::Elements(BATCH.into())).sample_size(20);
    group.bench_function("server, proved", |bencher| bencher.iter(|| server.evaluate(&tags).expect("answers")));
    group.bench_function("server, unproved", |bencher| {
        bencher.iter(|| server.evaluate_unproved(&tags).expect("answers"));
    });
    group.bench_function("client, proved", |bencher| bencher.iter(|| derive(Check::Proved(&proof))));
    group.bench_function("client, unproved", |bencher| bencher.iter(|| derive(Check::Unproved)));
    group.finish();
}

criterion_group!(benches, envelopes, terms, derivation);
criterion_main!(benches);
