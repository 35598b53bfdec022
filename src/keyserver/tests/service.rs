//! A key service that is down, slow, or lies.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::crypto::ClientId;
use crate::keys::request::{Body, Call, ServiceId};
use crate::keys::service::{
    DecryptKeys, DecryptedGroup, EncryptKeys, Evaluated, Renew, Reply, Revision, Standing, TermRoots, read_answer,
};
use crate::keys::{KeyService, Pin};

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

    fn twist(&self, evaluated: &mut Evaluated) {
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
    }
}

/// An answer, altered.
fn alter<B: Body>(answer: &[u8], change: impl FnOnce(&mut B::Answer)) -> Vec<u8> {
    let mut answer = read_answer::<B>(answer).expect("the engine's own");
    change(&mut answer);
    serde_json::to_vec(&answer).expect("json")
}

impl KeyService for Faulty {
    fn id(&self) -> ServiceId {
        self.engine.service_id()
    }

    fn call(&self, call: Call) -> Reply<'_, Vec<u8>> {
        let path = call.path;
        if path == DecryptKeys::PATH {
            self.decrypts.fetch_add(1, Ordering::SeqCst);
        }
        Box::pin(async move {
            if self.is(DOWN) {
                return Err(KeysError::unavailable("unplugged"));
            }
            let answer = self.engine.call(call).await?;
            Ok(match path {
                EncryptKeys::PATH => alter::<EncryptKeys>(&answer, |new| self.twist(&mut new.evaluated)),
                TermRoots::PATH => alter::<TermRoots>(&answer, |roots| self.twist(roots)),
                DecryptKeys::PATH => alter::<DecryptKeys>(&answer, |groups| {
                    for group in groups {
                        if let DecryptedGroup::Keys(keys) = group {
                            self.twist(keys);
                        }
                    }
                }),
                Renew::PATH if self.is(OLD) => {
                    alter::<Renew>(&answer, |lease| lease.standing.revision = Revision { generation: 1, revision: 0 })
                }
                _ => answer,
            })
        })
    }

    fn next_standing(&self, client: ClientId, seen: Standing) -> Reply<'_, Standing> {
        Box::pin(async move {
            match self.mood.load(Ordering::SeqCst) {
                SILENT_WATCH | OLD => std::future::pending().await,
                DOWN => Err(KeysError::unavailable("unplugged")),
                _ => self.engine.next_standing(client, seen).await,
            }
        })
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
    let ring = Ring::start(settings, Arc::new(key), root, Arc::clone(&faulty) as Arc<dyn KeyService>).await;
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
async fn pins_serve_as_they_were_last_read_until_the_lease_ends() {
    let home = Home::new();
    let settings = Settings { lease: Duration::from_millis(900), ..home.settings() };
    let (faulty, ring) = start(&home, &home.application(), &settings, WELL).await;
    let ring = ring.expect("start");
    let pin = |object: &str| Pin { object: object.to_owned(), type_id: TYPE };
    ring.add_pins("shop", &[pin("public.t.a")]).await.expect("add");
    assert_eq!(ring.pins("shop").await.expect("pins"), [pin("public.t.a")]);
    ring.add_pins("shop", &[pin("public.t.b")]).await.expect("add");
    faulty.set(DOWN);
    let down = KeysError::unavailable("unplugged");
    assert_eq!(ring.pins("shop").await.expect("of before"), [pin("public.t.a"), pin("public.t.b")]);
    assert_eq!(ring.pins("other").await, Err(down.clone()), "never read");
    assert_eq!(ring.add_pins("shop", &[pin("public.t.c")]).await, Err(down.clone()), "nothing new is pinned");
    let keyset = ring.default_keyset().expect("default");
    until(|| ring.data_key(keyset, 1).is_none()).await;
    assert_eq!(ring.pins("shop").await, Err(KeysError::LeaseExpired { why: down.to_string() }));
    faulty.set(WELL);
    assert_eq!(ring.pins("shop").await.expect("back"), [pin("public.t.a"), pin("public.t.b")]);
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
    assert_eq!(ring.err(), Some(KeysError::bad_answer("its proof does not hold")));

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
    assert_eq!(ring.ready(keyset).await, Err(KeysError::bad_answer("its proof does not hold")));
    assert!(ring.data_key(keyset, 1).is_none());
    let term = ring.fetch_term_keys(keyset, TYPE).await.map(drop);
    assert_eq!(term, Err(KeysError::bad_answer("its proof does not hold")));
    assert!(ring.term_keys(keyset, TYPE).is_none());
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
    assert_eq!(decrypt(&ring, &envelope).await, Err(KeysError::bad_answer("it does not open")));
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
