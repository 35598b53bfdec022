//! Giving keys: the service's half only, and a line in the audit trail before it is given.

use std::time::{Duration, Instant};

use crate::crypto::key_id::key_id;
use crate::crypto::random;
use crate::crypto::split::{ServerShare, Tag};
use crate::crypto::{Epoch, KeysetId};
use crate::keys::claims::Split;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;
use crate::keys::permissions::Permissions;
use crate::keys::request::Request;
use crate::keys::service::{
    DecryptGroup, DecryptKeys, DecryptedGroup, EncryptKeys, Evaluated, MAX_KEYS, NewKeys, TermRoots,
};

use super::super::authorize::Permit;
use super::super::store::tables::audit::{self, Entry};
use super::super::store::tables::keysets;
use super::super::store::{self, Tx};
use super::Engine;

/// Writing down took longer: what was allowed then may be revoked by now.
const STALE: Duration = Duration::from_millis(250);

/// What a refused request asked for is told to this length.
const MAX_REFUSED: usize = 160;

/// A share with the tags to answer.
type Job = (ServerShare, Vec<Tag>);

impl Engine {
    /// Keys to encrypt with, of ids that neither side can choose alone.
    pub fn encrypt_keys(&self, request: &Request<EncryptKeys>) -> Result<NewKeys, KeysError> {
        let body = &request.body;
        let count = batch(body.count as usize)?;
        let server_nonce = random::array()?;
        let share = self.written_down(|tx, trail| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let allowed = permit.allowed(tx, body.keyset, Permissions::ENCRYPT, Some(&body.grant))?;
            let share = allowed.share(tx, &self.inner.wrap, Split::Data, body.epoch)?;
            trail.push(entry(&permit, "keys.encrypt", &format!("{count} of keyset \"{}\"", allowed.keyset_name())));
            Ok(share)
        })?;
        let tags = (0..body.count).map(|k| Tag::data(body.keyset, body.epoch, key_id(&body.nonce, &server_nonce, k)));
        let evaluated = evaluate(&share, &tags.collect::<Vec<_>>(), true)?;
        Ok(NewKeys { server_nonce, evaluated })
    }

    /// Keys to decrypt with. What is refused is refused by epoch; the outer error is for the whole request.
    pub fn decrypt_keys(&self, request: &Request<DecryptKeys>) -> Result<Vec<DecryptedGroup>, KeysError> {
        let body = &request.body;
        batch(body.groups.iter().map(|group| group.ids.len()).sum())?;
        let jobs = self.written_down(|tx, trail| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let job = |group| self.decrypt_job(tx, (&permit, &mut *trail), group);
            let jobs = body.groups.iter().map(job).collect::<Result<Vec<_>, _>>()?;
            merge_refused(trail);
            Ok(jobs)
        })?;
        let evaluate = |(share, tags): Job| evaluate(&share, &tags, body.proved);
        Ok(jobs.into_iter().map(|job| DecryptedGroup::from(job.and_then(evaluate))).collect())
    }

    /// The inner error refuses one epoch; the outer one is the store's.
    fn decrypt_job(
        &self,
        tx: &dyn Tx,
        (permit, trail): (&Permit, &mut Vec<Entry>),
        group: &DecryptGroup,
    ) -> Result<Result<Job, KeysError>, KeysError> {
        let Some((keyset, epoch)) = keysets::of_kref(tx, group.kref)? else {
            return Ok(Err(KeysError::UnknownKeyset { keyset: format!("number {}", group.kref.0) }));
        };
        let (share, name) = match self.decrypt_share(tx, permit, group, (keyset, epoch)) {
            Ok(found) => found,
            Err(e) if e.is_transient() || matches!(e, KeysError::StoreCorrupt { .. }) => return Err(e),
            Err(e) => {
                let refused = entry(permit, "keys.decrypt", &format!("{} of number {}", group.ids.len(), group.kref.0));
                trail.extend(e.refusal().map(|code| Entry { result: code, ..refused }));
                return Ok(Err(e));
            }
        };
        trail.push(entry(permit, "keys.decrypt", &format!("{} of keyset \"{name}\"", group.ids.len())));
        Ok(Ok((share, group.ids.iter().map(|id| Tag::data(keyset, epoch, *id)).collect())))
    }

    fn decrypt_share(
        &self,
        tx: &dyn Tx,
        permit: &Permit,
        group: &DecryptGroup,
        (keyset, epoch): (KeysetId, Epoch),
    ) -> Result<(ServerShare, String), KeysError> {
        let allowed = permit.allowed(tx, keyset, Permissions::DECRYPT, Some(&group.grant))?;
        let share = allowed.share(tx, &self.inner.wrap, Split::Data, epoch)?;
        Ok((share, allowed.keyset_name().to_owned()))
    }

    /// Term roots, of types that the grant covers.
    pub fn term_roots(&self, request: &Request<TermRoots>) -> Result<Evaluated, KeysError> {
        let body = &request.body;
        let count = batch(body.types.len())?;
        let share = self.written_down(|tx, trail| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let allowed = permit.allowed(tx, body.keyset, Permissions::QUERY, Some(&body.grant))?;
            if !body.types.iter().all(|id| allowed.grant().covers(*id)) {
                return Err(KeysError::missing(allowed.keyset_name(), "query"));
            }
            let share = allowed.share(tx, &self.inner.wrap, Split::Index, body.epoch)?;
            trail.push(entry(&permit, "terms", &format!("{count} of keyset \"{}\"", allowed.keyset_name())));
            Ok(share)
        })?;
        let tags = body.types.iter().map(|id| Tag::index(body.keyset, body.epoch, *id));
        evaluate(&share, &tags.collect::<Vec<_>>(), true)
    }

    /// What `work` finds, given only when what it wrote down is kept. Fetches do not wait for changes, nor for each other.
    fn written_down<T>(&self, work: impl Fn(&dyn Tx, &mut Vec<Entry>) -> Result<T, KeysError>) -> Result<T, KeysError> {
        let look = || {
            store::peek(self.store(), |tx| {
                let mut entries = Vec::new();
                work(tx, &mut entries).map(|found| (found, entries))
            })
        };
        let begin = Instant::now();
        let (found, entries) = look()?;
        self.record(entries)?;
        if begin.elapsed() > STALE { look().map(|(found, _)| found) } else { Ok(found) }
    }
}

fn entry(permit: &Permit, action: &str, detail: &str) -> Entry {
    let (address, version) = (permit.origin().address.clone(), permit.origin().version.clone());
    Entry { address, version, ..Entry::new(wall_ms(), permit.client(), action, detail) }
}

/// Refusals of one request: one entry for each code, however many epochs it names.
fn merge_refused(trail: &mut Vec<Entry>) {
    let mut merged: Vec<Entry> = Vec::new();
    for entry in trail.drain(..) {
        let same = |known: &&mut Entry| entry.result != audit::OK && known.result == entry.result;
        match merged.iter_mut().find(same) {
            None => merged.push(entry),
            Some(known) if known.detail.len() < MAX_REFUSED => {
                known.detail.push_str(", ");
                known.detail.push_str(&entry.detail);
            }
            Some(known) if !known.detail.ends_with('…') => known.detail.push_str(", …"),
            Some(_) => {}
        }
    }
    *trail = merged;
}

fn batch(count: usize) -> Result<usize, KeysError> {
    if (1..=MAX_KEYS).contains(&count) {
        Ok(count)
    } else {
        Err(KeysError::refused("it asks for no key or for too many"))
    }
}

pub(super) fn evaluate(share: &ServerShare, tags: &[Tag], proved: bool) -> Result<Evaluated, KeysError> {
    let fault = |e: crate::crypto::split::SplitError| KeysError::unavailable(e.to_string());
    if proved {
        let (answers, proof) = share.evaluate(tags).map_err(fault)?;
        return Ok(Evaluated { answers, proof: Some(proof) });
    }
    Ok(Evaluated { answers: share.evaluate_unproved(tags).map_err(fault)?, proof: None })
}

pub(super) fn log(tx: &dyn Tx, permit: &Permit, action: &str, detail: &str) -> Result<(), KeysError> {
    audit::append(tx, entry(permit, action, detail)).map(drop)
}
