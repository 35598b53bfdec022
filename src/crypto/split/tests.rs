//! Honest and dishonest key services.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use proptest::prelude::*;

use super::super::secret::Key32;
use super::super::{Epoch, KeyId, KeysetId, TypeId};
use super::*;

const KEYSET: KeysetId = KeysetId([1; 16]);
const EPOCH: Epoch = Epoch(1);

/// A keyset as its admin made it, with the admin's own grant.
struct World {
    admin: ClientShare,
    server_of_admin: ServerShare,
    keyset: PublicShare,
    hedge: Hedge,
}

/// A client's grant: both halves.
struct Granted {
    client: ClientShare,
    server: ServerShare,
}

impl World {
    fn new() -> Self {
        let server_of_admin = ServerShare::generate().expect("random");
        let admin = ClientShare::generate().expect("random");
        let keyset = keyset_public(&admin, &server_of_admin.public()).expect("not the identity");
        Self { admin, server_of_admin, keyset, hedge: Hedge::generate().expect("random") }
    }

    fn grant(&self) -> Granted {
        let (client, delta) = self.admin.grant().expect("random");
        let server = self.server_of_admin.grant(delta, &self.keyset, &client.public()).expect("fits");
        Granted { client, server }
    }

    fn derive(
        &self,
        client: &ClientShare,
        tags: &[Tag],
        answers: &[Answer],
        proof: &Proof,
    ) -> Result<Vec<Key32>, SplitError> {
        client.derive_keys(&self.keyset, &self.hedge, tags, answers, Check::Proved(proof))
    }

    /// The keys of `tags` as this grant derives them.
    fn keys(&self, granted: &Granted, tags: &[Tag]) -> Vec<Key32> {
        let (answers, proof) = granted.server.evaluate(tags).expect("answers");
        self.derive(&granted.client, tags, &answers, &proof).expect("derives")
    }
}

fn tags(count: u8) -> Vec<Tag> {
    (0..count).map(|i| Tag::data(KEYSET, EPOCH, KeyId([i; 8]))).collect()
}

fn same(a: &[Key32], b: &[Key32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.ct_eq(b))
}

fn failure<T>(result: Result<T, SplitError>) -> SplitError {
    result.err().expect("must be refused")
}

#[test]
fn every_grant_derives_the_same_keys() {
    let world = World::new();
    let tags = tags(5);
    let admin = Granted {
        client: ClientShare::from_bytes(&world.admin.to_bytes()).expect("a share"),
        server: ServerShare::from_bytes(&world.server_of_admin.to_bytes()).expect("a share"),
    };
    let expected = world.keys(&admin, &tags);
    for _ in 0..3 {
        assert!(same(&world.keys(&world.grant(), &tags), &expected));
    }
    for (i, key) in expected.iter().enumerate() {
        assert!(expected[..i].iter().all(|other| !other.ct_eq(key)), "distinct");
    }
}

#[test]
fn batches_and_single_tags_give_the_same_keys_proved_or_not() {
    let world = World::new();
    let granted = world.grant();
    let tags = tags(4);
    let batch = world.keys(&granted, &tags);
    for (tag, key) in tags.iter().zip(&batch) {
        assert!(world.keys(&granted, std::slice::from_ref(tag))[0].ct_eq(key));
    }
    let answers = granted.server.evaluate_unproved(&tags).expect("answers");
    let unproved = granted.client.derive_keys(&world.keyset, &world.hedge, &tags, &answers, Check::Unproved);
    assert!(same(&unproved.expect("derives"), &batch));
}

#[test]
fn another_keyset_hedge_epoch_or_name_gives_another_key() {
    let world = World::new();
    let granted = world.grant();
    let key = |tag| world.keys(&granted, &[tag]).remove(0);
    let base = key(Tag::data(KEYSET, EPOCH, KeyId([1; 8])));
    assert!(!base.ct_eq(&key(Tag::data(KeysetId([2; 16]), EPOCH, KeyId([1; 8])))));
    assert!(!base.ct_eq(&key(Tag::data(KEYSET, Epoch(2), KeyId([1; 8])))));
    assert!(!base.ct_eq(&key(Tag::data(KEYSET, EPOCH, KeyId([2; 8])))));
    let tags = tags(1);
    let (answers, proof) = granted.server.evaluate(&tags).expect("answers");
    let check = Check::Proved(&proof);
    let derive = |hedge| granted.client.derive_keys(&world.keyset, hedge, &tags, &answers, check).expect("derives");
    assert!(!same(&derive(&world.hedge), &derive(&Hedge::from_bytes(&[0; 32]))));
}

#[test]
fn term_roots_come_from_index_tags_only() {
    let world = World::new();
    let granted = world.grant();
    let index = [Tag::index(KEYSET, EPOCH, TypeId([1; 16]))];
    let (answers, proof) = granted.server.evaluate(&index).expect("answers");
    let roots = granted.client.derive_term_roots(&world.keyset, &world.hedge, &index, &answers, &proof);
    assert_eq!(roots.expect("derives").len(), 1);
    assert_eq!(failure(world.derive(&granted.client, &index, &answers, &proof)), SplitError::TagKind);
    let data = tags(1);
    let (answers, proof) = granted.server.evaluate(&data).expect("answers");
    let roots = granted.client.derive_term_roots(&world.keyset, &world.hedge, &data, &answers, &proof);
    assert_eq!(failure(roots), SplitError::TagKind);
}

#[test]
fn a_wrong_share_is_refused() {
    let world = World::new();
    let (granted, tags) = (world.grant(), tags(3));
    for wrong in [ServerShare::generate().expect("random"), world.grant().server] {
        let (answers, proof) = wrong.evaluate(&tags).expect("answers");
        assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &proof)), SplitError::BadProof);
    }
    // Honest proof of the right share, answers of another.
    let (_, proof) = granted.server.evaluate(&tags).expect("answers");
    let (answers, _) = ServerShare::generate().expect("random").evaluate(&tags).expect("answers");
    assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &proof)), SplitError::BadProof);
}

#[test]
fn one_wrong_answer_among_many_is_refused() {
    let world = World::new();
    let (granted, tags) = (world.grant(), tags(4));
    let (honest, proof) = granted.server.evaluate(&tags).expect("answers");
    let base = RistrettoPoint::mul_base(&Scalar::ONE);
    for at in 0..tags.len() {
        let mut answers = honest.clone();
        let point = PublicShare::from_bytes(&answers[at]).expect("a point").point;
        answers[at] = (point + base).compress().0;
        assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &proof)), SplitError::BadProof);
    }
    // Two errors that cancel without the weights of the proof.
    let mut answers = honest.clone();
    for (at, error) in [(0, base), (1, -base)] {
        answers[at] = (PublicShare::from_bytes(&answers[at]).expect("a point").point + error).compress().0;
    }
    assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &proof)), SplitError::BadProof);
}

#[test]
fn swapped_missing_and_foreign_answers_are_refused() {
    let world = World::new();
    let (granted, tags) = (world.grant(), tags(3));
    let (mut answers, proof) = granted.server.evaluate(&tags).expect("answers");
    answers.swap(0, 2);
    assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &proof)), SplitError::BadProof);
    answers.swap(0, 2);
    assert_eq!(failure(world.derive(&granted.client, &tags, &answers[1..], &proof)), SplitError::AnswerCount);
    assert_eq!(failure(world.derive(&granted.client, &tags[1..], &answers, &proof)), SplitError::AnswerCount);
    assert_eq!(failure(world.derive(&granted.client, &tags[1..], &answers[1..], &proof)), SplitError::BadProof);
    let other_epoch = tags.iter().map(|_| Tag::data(KEYSET, Epoch(2), KeyId([0; 8]))).collect::<Vec<_>>();
    assert_eq!(failure(world.derive(&granted.client, &other_epoch, &answers, &proof)), SplitError::BadProof);
}

#[test]
fn malformed_answers_are_refused_proved_or_not() {
    let world = World::new();
    let (granted, tags) = (world.grant(), tags(2));
    let (honest, proof) = granted.server.evaluate(&tags).expect("answers");
    let mut not_canonical = [0xff; 32];
    not_canonical[0] = 0xed; // p, an encoding of 0 that is not reduced
    not_canonical[31] = 0x7f;
    let mut negative = [0; 32];
    negative[0] = 1;
    let identity = RistrettoPoint::identity().compress().0;
    for bytes in [not_canonical, negative, identity, [0xff; 32]] {
        for at in 0..2 {
            let mut answers = honest.clone();
            answers[at] = bytes;
            for check in [Check::Proved(&proof), Check::Unproved] {
                let derived = granted.client.derive_keys(&world.keyset, &world.hedge, &tags, &answers, check);
                assert_eq!(failure(derived), SplitError::BadPoint);
            }
        }
    }
}

#[test]
fn an_answer_that_would_make_a_constant_key_is_refused() {
    let world = World::new();
    let (granted, tags) = (world.grant(), tags(1));
    let cancelling = -(granted.client.0 * super::answer::hash(&tags[0]));
    let answers = [cancelling.compress().0];
    let derived = granted.client.derive_keys(&world.keyset, &world.hedge, &tags, &answers, Check::Unproved);
    assert_eq!(failure(derived), SplitError::BadPoint);
}

#[test]
fn wrong_proofs_are_refused() {
    let world = World::new();
    let (granted, tags) = (world.grant(), tags(2));
    let (answers, proof) = granted.server.evaluate(&tags).expect("answers");
    let other = granted.server.evaluate(&super::tests::tags(3)).expect("answers").1;
    let mut halves_swapped = proof;
    halves_swapped.0.rotate_left(32);
    for wrong in [Proof([0; 64]), Proof([0xff; 64]), other, halves_swapped] {
        assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &wrong)), SplitError::BadProof);
    }
    for bit in 0..512 {
        let mut altered = proof;
        altered.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(failure(world.derive(&granted.client, &tags, &answers, &altered)), SplitError::BadProof);
    }
    assert!(world.derive(&granted.client, &tags, &answers, &proof).is_ok());
}

#[test]
fn a_certificate_of_another_keyset_is_refused() {
    let (world, other) = (World::new(), World::new());
    let (granted, tags) = (world.grant(), tags(1));
    let (answers, proof) = granted.server.evaluate(&tags).expect("answers");
    let check = Check::Proved(&proof);
    let derived = granted.client.derive_keys(&other.keyset, &world.hedge, &tags, &answers, check);
    assert_eq!(failure(derived), SplitError::BadProof);
    // A keyset whose whole secret is the client's share would have a service without a secret.
    let own = granted.client.public();
    let derived = granted.client.derive_keys(&own, &world.hedge, &tags, &answers, check);
    assert_eq!(failure(derived), SplitError::Mismatch);
}

#[test]
fn impossible_batches_are_refused_on_both_sides() {
    let world = World::new();
    let granted = world.grant();
    let many = vec![tags(1)[0]; MAX_BATCH + 1];
    for batch in [&[][..], &many] {
        assert_eq!(failure(granted.server.evaluate(batch)), SplitError::BatchSize);
        assert_eq!(failure(granted.server.evaluate_unproved(batch)), SplitError::BatchSize);
        let answers = vec![[0; 32]; batch.len()];
        assert_eq!(failure(world.derive(&granted.client, batch, &answers, &Proof([0; 64]))), SplitError::BatchSize);
    }
}

#[test]
fn grants_that_do_not_fit_are_refused() {
    let world = World::new();
    let (client, delta) = world.admin.grant().expect("random");
    let bytes = delta.into_bytes();
    let delta = || Delta::from_bytes(&bytes).expect("a scalar");
    let fits = |delta, keyset, public| world.server_of_admin.grant(delta, &keyset, &public).map(|_| ());
    assert_eq!(fits(delta(), world.keyset, client.public()), Ok(()));
    let stranger = ClientShare::generate().expect("random");
    assert_eq!(fits(delta(), world.keyset, stranger.public()), Err(SplitError::Mismatch));
    assert_eq!(fits(delta(), World::new().keyset, client.public()), Err(SplitError::Mismatch));
    assert_eq!(fits(delta(), client.public(), client.public()), Err(SplitError::Mismatch));
    let other = stranger.grant().expect("random").1;
    assert_eq!(fits(other, world.keyset, client.public()), Err(SplitError::Mismatch));
    let wrong_server = ServerShare::generate().expect("random");
    assert!(wrong_server.grant(delta(), &world.keyset, &client.public()).is_err());
    assert_eq!(client.verify(&client.public()), Ok(()));
    assert_eq!(client.verify(&stranger.public()), Err(SplitError::Mismatch));
}

#[test]
fn malformed_shares_are_refused() {
    let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    let order: [u8; 32] = hex::decode(order).expect("hex").try_into().expect("32 bytes");
    for bytes in [[0; 32], order, [0xff; 32]] {
        assert_eq!(failure(ClientShare::from_bytes(&bytes)), SplitError::BadShare);
        assert_eq!(failure(ServerShare::from_bytes(&bytes)), SplitError::BadShare);
    }
    assert_eq!(failure(Delta::from_bytes(&order)), SplitError::BadShare);
    assert_eq!(failure(PublicShare::from_bytes(&[0; 32])), SplitError::BadPoint);
    assert_eq!(failure(PublicShare::from_bytes(&[0xff; 32])), SplitError::BadPoint);
    let public = ServerShare::generate().expect("random").public();
    assert_eq!(PublicShare::from_bytes(&public.to_bytes()), Ok(public));
}

#[test]
fn the_keyset_of_opposite_shares_is_refused() {
    let share = ClientShare::generate().expect("random");
    let opposite = ServerShare(-share.0);
    assert_eq!(failure(keyset_public(&share, &opposite.public())), SplitError::Mismatch);
}

#[test]
fn hedge_commitments_bind() {
    let hedge = Hedge::from_bytes(&[7; 32]);
    assert_eq!(hedge.verify(&hedge.commit()), Ok(()));
    assert_eq!(hedge.verify(&Hedge::from_bytes(&[8; 32]).commit()), Err(SplitError::BadHedge));
    assert_ne!(&hedge.commit(), &*hedge.to_bytes());
}

#[test]
fn suites_are_read_back_and_no_other() {
    assert_eq!(Suite::from_code(Suite::Ristretto255.code()), Some(Suite::Ristretto255));
    for code in (0..=255).filter(|code| *code != 1) {
        assert_eq!(Suite::from_code(code), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn shares_survive_their_encodings(names in prop::collection::vec(any::<[u8; 8]>(), 1..6), epoch: u32) {
        let world = World::new();
        let granted = world.grant();
        let stored = Granted {
            client: ClientShare::from_bytes(&granted.client.to_bytes()).expect("a share"),
            server: ServerShare::from_bytes(&granted.server.to_bytes()).expect("a share"),
        };
        let tags = names.iter().map(|name| Tag::data(KEYSET, Epoch(epoch), KeyId(*name))).collect::<Vec<_>>();
        prop_assert!(same(&world.keys(&granted, &tags), &world.keys(&stored, &tags)));
    }
}
