//! A key service that is down, slow, or lies.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::keys::KeyService;
use crate::keys::request::{Request, ServiceId};
use crate::keys::service::{
    AddPins, DecryptKeys, EncryptKeys, Evaluated, GetPins, GetState, NewKeys, PinnedObject, PutType, Renew, Reply,
    Revision, State, TermRoots,
};

use super::*;

const WELL: u8 = 0;
const DOWN: u8 = 1;
const LYING: u8 = 2;
const SILENT_WATCH: u8 = 3;
const OLD: u8 = 4;

/// An engine that can be made to fail.
struct Faulty {
    engine: Engine,
    mood: AtomicU8,
    decrypts: AtomicUsize,
}

impl Faulty {
    fn is(&self, mood: u8) -> bool {
        self.mood.load(Ordering::SeqCst) == mood
    }

    fn set(&self, mood: u8) {
        self.mood.store(mood, Ordering::SeqCst);
    }

    fn reach<'a, T: Send + 'a>(&'a self, reply: Reply<'a, T>) -> Reply<'a, T> {
        Box::pin(async move { if self.is(DOWN) { Err(KeysError::unavailable("unplugged")) } else { reply.await } })
    }

    fn twist(&self, mut evaluated: Evaluated) -> Evaluated {
        if self.is(LYING) {
            evaluated.answers.reverse();
            // Another point of the group: the answer plus nothing that the service could prove.
            let point = crate::crypto::split::ServerShare::from_bytes(&{
                let mut one = [0; 32];
                one[0] = 5;
                one
            });
            evaluated.answers[0] = point.expect("a scalar").public().to_bytes();
        }
        evaluated
    }
}

impl KeyService for Faulty {
    fn id(&self) -> ServiceId {
        self.engine.service_id()
    }
    fn state(&self, request: Request<GetState>) -> Reply<'_, State> {
        self.reach(KeyService::state(&self.engine, request))
    }
    fn renew(&self, request: Request<Renew>) -> Reply<'_, Revision> {
        let old = self.is(OLD);
        let answer = self.reach(KeyService::renew(&self.engine, request));
        Box::pin(async move { if old { Ok(Revision { generation: 1, revision: 0 }) } else { answer.await } })
    }
    fn next_revision(&self, seen: Revision) -> Reply<'_, Revision> {
        if self.is(SILENT_WATCH) || self.is(OLD) {
            return Box::pin(std::future::pending());
        }
        self.reach(KeyService::next_revision(&self.engine, seen))
    }
    fn encrypt_keys(&self, request: Request<EncryptKeys>) -> Reply<'_, NewKeys> {
        let answer = self.reach(KeyService::encrypt_keys(&self.engine, request));
        Box::pin(async move {
            let new = answer.await?;
            Ok(NewKeys { evaluated: self.twist(new.evaluated), ..new })
        })
    }
    fn decrypt_keys(&self, request: Request<DecryptKeys>) -> Reply<'_, Vec<Result<Evaluated, KeysError>>> {
        self.decrypts.fetch_add(1, Ordering::SeqCst);
        let answer = self.reach(KeyService::decrypt_keys(&self.engine, request));
        Box::pin(async move { Ok(answer.await?.into_iter().map(|one| one.map(|one| self.twist(one))).collect()) })
    }
    fn term_roots(&self, request: Request<TermRoots>) -> Reply<'_, Evaluated> {
        let answer = self.reach(KeyService::term_roots(&self.engine, request));
        Box::pin(async move { Ok(self.twist(answer.await?)) })
    }
    fn put_type(&self, request: Request<PutType>) -> Reply<'_, ()> {
        self.reach(KeyService::put_type(&self.engine, request))
    }
    fn pins(&self, request: Request<GetPins>) -> Reply<'_, Vec<PinnedObject>> {
        self.reach(KeyService::pins(&self.engine, request))
    }
    fn add_pins(&self, request: Request<AddPins>) -> Reply<'_, ()> {
        self.reach(KeyService::add_pins(&self.engine, request))
    }
}

async fn start(
    home: &Home,
    secret: &Secret,
    settings: &Settings,
    mood: u8,
) -> (Arc<Faulty>, Result<Arc<Ring>, KeysError>) {
    let faulty =
        Arc::new(Faulty { engine: home.engine(secret), mood: AtomicU8::new(mood), decrypts: AtomicUsize::new(0) });
    let (key, root) = secret.parts();
    let ring = Ring::start(settings, key, root, Arc::clone(&faulty) as Arc<dyn KeyService>).await;
    (faulty, ring)
}

#[tokio::test]
async fn down_at_start() {
    let home = Home::new();
    let secret = home.application();
    let (_, ring) = start(&home, &secret, &home.settings(), DOWN).await;
    assert_eq!(ring.err(), Some(KeysError::unavailable("unplugged")));
}

#[tokio::test]
async fn down_later_serves_what_is_cached_until_the_lease_ends_and_no_longer() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { lease: Duration::from_millis(900), ..home.settings() };
    let (faulty, ring) = start(&home, &secret, &settings, WELL).await;
    let ring = ring.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    decrypt(&ring, &envelope).await.expect("decrypt");
    faulty.set(DOWN);
    assert!(ring.data_key(keyset, 1).is_some(), "the lease has not ended");
    let (kref, id) = name(&envelope);
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert!(ring.cached(kref, id).is_none());
    let over = KeysError::LeaseExpired { why: KeysError::unavailable("unplugged").to_string() };
    assert_eq!(ring.ready(keyset).await, Err(over.clone()));
    assert_eq!(ring.fetch(&[(kref, id)]).await, Err(over));
    faulty.set(WELL);
    assert_eq!(decrypt(&ring, &envelope).await.expect("back"), "text");
    encrypt(&ring, "more").await.expect("back");
}

#[tokio::test]
async fn the_lease_is_renewed_while_the_service_answers() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { lease: Duration::from_millis(900), ..home.settings() };
    let (_, ring) = start(&home, &secret, &settings, WELL).await;
    let ring = ring.expect("start");
    let keyset = ring.default_keyset().expect("default");
    tokio::time::sleep(Duration::from_millis(2000)).await;
    assert!(ring.data_key(keyset, 1).is_some());
}

#[tokio::test]
async fn a_revocation_that_no_event_tells_of_is_seen_at_the_next_renewal() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { lease: Duration::from_millis(900), ..home.settings() };
    let (_, ring) = start(&home, &secret, &settings, SILENT_WATCH).await;
    let ring = ring.expect("start");
    let keyset = ring.default_keyset().expect("default");
    home.open().revoke("web", None).expect("revoke");
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert_eq!(ring.ready(keyset).await, Err(KeysError::Revoked { keyset: "default".into() }));
}

#[tokio::test]
async fn an_older_revision_ends_the_lease() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { lease: Duration::from_millis(900), ..home.settings() };
    let (faulty, ring) = start(&home, &secret, &settings, SILENT_WATCH).await;
    let ring = ring.expect("start");
    let keyset = ring.default_keyset().expect("default");
    let generation = ring.generation();
    faulty.set(OLD);
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert!(ring.generation() > generation);
}

#[tokio::test]
async fn nothing_is_sealed_or_searched_under_a_key_that_was_not_proved() {
    let home = Home::new();
    let secret = home.application();
    let (_, ring) = start(&home, &secret, &home.settings(), LYING).await;
    assert_eq!(ring.err(), Some(KeysError::BadAnswer { what: "its proof does not hold" }));

    let settings = Settings { values_per_key: 1, ..home.settings() };
    let (faulty, ring) = start(&home, &secret, &settings, WELL).await;
    let ring = ring.expect("start");
    let keyset = ring.default_keyset().expect("default");
    faulty.set(LYING);
    let mut taken = 0;
    while ring.data_key(keyset, 1).is_some() {
        taken += 1;
    }
    assert!(taken > 0);
    assert_eq!(ring.ready(keyset).await, Err(KeysError::BadAnswer { what: "its proof does not hold" }));
    assert!(ring.data_key(keyset, 1).is_none());
    let term = ring.fetch_eq_key(keyset, TYPE).await.map(drop);
    assert_eq!(term, Err(KeysError::BadAnswer { what: "its proof does not hold" }));
    assert!(ring.eq_key(keyset, TYPE).is_none());
    faulty.set(WELL);
    ring.ready(keyset).await.expect("honest again");
}

#[tokio::test]
async fn a_false_key_to_decrypt_with_is_replaced_by_one_proved_fetch() {
    let home = Home::new();
    let secret = home.application();
    let (faulty, ring) = start(&home, &secret, &home.settings(), WELL).await;
    let ring = ring.expect("start");
    let envelope = encrypt(&ring, "text").await.expect("encrypt");
    faulty.set(LYING);
    assert_eq!(decrypt(&ring, &envelope).await, Err(KeysError::BadAnswer { what: "it does not open" }));
    faulty.set(WELL);
    let (kref, id) = name(&envelope);
    assert_eq!(ring.refetch(kref, id).await, Ok(true));
    assert_eq!(decrypt(&ring, &envelope).await.expect("the right key"), "text");
    let fetched = faulty.decrypts.load(Ordering::SeqCst);
    assert_eq!(ring.refetch(kref, id).await, Ok(false));
    assert_eq!(faulty.decrypts.load(Ordering::SeqCst), fetched);
}

#[tokio::test]
async fn one_request_fetches_all_that_is_missing_and_nothing_twice() {
    let home = Home::new();
    let secret = home.application();
    let settings = Settings { values_per_key: 1, pool: 64, ..home.settings() };
    let (faulty, ring) = start(&home, &secret, &settings, WELL).await;
    let ring = ring.expect("start");
    let mut wanted = Vec::new();
    for _ in 0..50 {
        wanted.push(name(&encrypt(&ring, "text").await.expect("encrypt")));
    }
    wanted.extend_from_within(..);
    ring.fetch(&wanted).await.expect("fetch");
    assert_eq!(faulty.decrypts.load(Ordering::SeqCst), 1);
    assert!(wanted.iter().all(|(kref, id)| ring.cached(*kref, *id).is_some()));
    ring.fetch(&wanted).await.expect("fetch");
    assert_eq!(faulty.decrypts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_session_that_leaves_does_not_end_the_fetch_it_began() {
    let home = Home::new();
    let secret = home.application();
    let (_, ring) = start(&home, &secret, &home.settings(), WELL).await;
    let ring = ring.expect("start");
    let (kref, id) = name(&encrypt(&ring, "text").await.expect("encrypt"));
    {
        let keys = [(kref, id)];
        let mut fetch = Box::pin(ring.fetch(&keys));
        // One poll hands the request over.
        tokio::select! { biased; _ = &mut fetch => {}, () = std::future::ready(()) => {} }
    }
    until(|| ring.cached(kref, id).is_some()).await;
}
