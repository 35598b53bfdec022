//! Fetches keys to decrypt with. While one request is under way, what others want gathers for the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::crypto::envelope::DataKey;
use crate::crypto::split::{Check, Tag};
use crate::crypto::{Epoch, KeyId, Kref};

use super::super::clock::Boot;
use super::super::error::KeysError;
use super::super::permissions::Permissions;
use super::super::service::{DecryptGroup, DecryptKeys, Evaluated, MAX_KEYS};
use super::Shared;
use super::held::Held;
use super::keyset::Keyset;

/// What a session waits for.
pub(super) struct Wanted {
    pub(super) keys: Vec<(Kref, KeyId)>,
    /// Also where they are cached, and proved.
    pub(super) again: bool,
    pub(super) reply: oneshot::Sender<Result<(), KeysError>>,
}

/// Ids of one epoch, with what is needed to derive their keys.
struct Group {
    kref: Kref,
    keyset: Arc<Keyset>,
    epoch: Epoch,
    ids: Vec<KeyId>,
}

/// Why keys could not be had, by epoch.
type Failures = HashMap<Kref, KeysError>;

/// Runs until cancelled.
pub(super) async fn run(shared: Arc<Shared>, mut wanted: mpsc::Receiver<Wanted>) {
    while let Some(first) = wanted.recv().await {
        let mut batch = vec![first];
        while let Ok(more) = wanted.try_recv() {
            batch.push(more);
        }
        let (again, new): (Vec<_>, Vec<_>) = batch.into_iter().partition(|wanted| wanted.again);
        for (batch, proved) in [(new, false), (again, true)] {
            if !batch.is_empty() {
                let failures = fetch(&shared, &batch, proved).await;
                answer(batch, &failures);
            }
        }
    }
}

fn answer(batch: Vec<Wanted>, failures: &Failures) {
    for wanted in batch {
        let failure = wanted.keys.iter().find_map(|(kref, _)| failures.get(kref));
        let _ = wanted.reply.send(failure.map_or(Ok(()), |error| Err(error.clone()))); // who asked may have left
    }
}

/// Fetches everything that is wanted and missing. An epoch whose grant was replaced meanwhile is tried again, once.
async fn fetch(shared: &Arc<Shared>, batch: &[Wanted], proved: bool) -> Failures {
    let mut failures = Failures::new();
    let all = batch.iter().flat_map(|wanted| wanted.keys.iter().copied());
    let missing = all.filter(|key| proved || !shared.cache.contains_key(key)).collect::<HashSet<_>>();
    fetch_all(shared, missing.iter().copied(), proved, &mut failures).await;
    let changed = failures.iter().filter(|(_, e)| matches!(e, KeysError::GrantChanged));
    let changed = changed.map(|(kref, _)| *kref).collect::<HashSet<_>>();
    if !changed.is_empty() && shared.refreshed().await.is_ok() {
        failures.retain(|kref, _| !changed.contains(kref));
        fetch_all(shared, missing.into_iter().filter(|(kref, _)| changed.contains(kref)), proved, &mut failures).await;
    }
    failures
}

async fn fetch_all(
    shared: &Arc<Shared>,
    keys: impl Iterator<Item = (Kref, KeyId)>,
    proved: bool,
    failures: &mut Failures,
) {
    let keys = keys.collect::<Vec<_>>();
    let held = shared.held.load_full();
    let keysets = keys.iter().filter_map(|(kref, _)| held.krefs.get(kref)).copied().collect::<HashSet<_>>();
    if let Err(error) = shared.open(&keysets.into_iter().collect::<Vec<_>>()).await {
        failures.extend(keys.iter().map(|(kref, _)| (*kref, error.clone())));
        return;
    }
    for groups in requests(shared, keys.into_iter(), failures) {
        let krefs = groups.iter().map(|group| group.kref).collect::<Vec<_>>();
        match request(shared, groups, proved).await {
            Ok(failed) => failures.extend(failed),
            Err(error) => failures.extend(krefs.into_iter().map(|kref| (kref, error.clone()))),
        }
    }
}

/// Splits what is missing by epoch into requests of at most [`MAX_KEYS`] ids. What is not granted fails here.
fn requests(shared: &Shared, keys: impl Iterator<Item = (Kref, KeyId)>, failures: &mut Failures) -> Vec<Vec<Group>> {
    let mut by_kref = HashMap::<Kref, Vec<KeyId>>::new();
    for (kref, id) in keys {
        by_kref.entry(kref).or_default().push(id);
    }
    let held = shared.held.load();
    let (mut requests, mut room) = (vec![Vec::new()], MAX_KEYS);
    for (kref, ids) in by_kref {
        let (keyset, epoch) = match granted(&held, kref) {
            Ok(found) => found,
            Err(error) => {
                failures.insert(kref, error);
                continue;
            }
        };
        let mut rest = ids.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(room));
            let group = Group { kref, keyset: Arc::clone(&keyset), epoch, ids: now.to_vec() };
            requests.last_mut().expect("there is always one").push(group);
            (rest, room) = (later, room - now.len());
            if room == 0 {
                requests.push(Vec::new());
                room = MAX_KEYS;
            }
        }
    }
    requests.retain(|groups| !groups.is_empty());
    requests
}

/// The opened keyset and the epoch of a number, if values of it may be decrypted now.
fn granted(held: &Held, kref: Kref) -> Result<(Arc<Keyset>, Epoch), KeysError> {
    let entry = held.of_kref(kref)?;
    entry.enabled()?;
    let keyset = entry.opened().ok_or(KeysError::GrantChanged)?;
    keyset.check(Permissions::DECRYPT, Boot::now())?;
    let epoch = keyset.epoch(kref)?;
    Ok((Arc::clone(keyset), epoch))
}

async fn request(shared: &Arc<Shared>, groups: Vec<Group>, proved: bool) -> Result<Failures, KeysError> {
    let ask = |group: &Group| DecryptGroup { kref: group.kref, grant: group.keyset.digest, ids: group.ids.clone() };
    let answers = shared.ask(&DecryptKeys { groups: groups.iter().map(ask).collect(), proved }).await?;
    if answers.len() != groups.len() {
        return Err(KeysError::bad_answer("it answers another number of epochs than was asked for"));
    }
    let shared = Arc::clone(shared);
    let derive = move || {
        let mut failures = Failures::new();
        for (group, answer) in groups.iter().zip(answers) {
            match answer.result().and_then(|answer| derive(group, &answer, proved)) {
                Ok(keys) => {
                    keys.into_iter().for_each(|key| shared.cache.insert((key.kref(), key.key_id()), Arc::new(key)))
                }
                Err(error) => drop(failures.insert(group.kref, error)),
            }
        }
        failures
    };
    tokio::task::spawn_blocking(derive).await.map_err(|_| KeysError::bad_answer("deriving its keys failed"))
}

/// Keys that open only, whether proved or not: nothing fetched to decrypt with may encrypt.
fn derive(group: &Group, answer: &Evaluated, proved: bool) -> Result<Vec<DataKey>, KeysError> {
    let bad = |what| KeysError::bad_answer(what);
    let half = group.keyset.data.get(&group.epoch).ok_or_else(|| bad("it is of an epoch that was not granted"))?;
    let check = match (proved, &answer.proof) {
        (false, _) => Check::Unproved,
        (true, Some(proof)) => Check::Proved(proof),
        (true, None) => return Err(bad("a proof is missing")),
    };
    let tags = group.ids.iter().map(|id| Tag::data(group.keyset.id, group.epoch, *id)).collect::<Vec<_>>();
    let keys = half
        .share
        .derive_keys(&half.public, &half.hedge, &tags, &answer.answers, check)
        .map_err(|_| bad("its answers are malformed or not proved"))?;
    Ok(group
        .ids
        .iter()
        .zip(keys)
        .map(|(id, key)| DataKey::new_open_only(group.kref, group.keyset.id, group.epoch, *id, key))
        .collect())
}
