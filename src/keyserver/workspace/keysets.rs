//! Keysets.

use std::collections::HashSet;

use crate::crypto::split::{Check, SplitError, Tag};
use crate::crypto::{Epoch, KeysetId};
use crate::keys::admin::{self, Act, Answers, OfferKeyset, OwnShares, TestKeyset};
use crate::keys::claims::{Epochs, KeysetRecord, Signed, Split};
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::super::engine::{TEST_KEY, TEST_TYPE};
use super::ledger::Deed;
use super::{KeysetInfo, Workspace, valid_name};

impl Workspace {
    /// Makes a keyset, granted to this device with all permissions.
    pub fn create_keyset(&self, name: &str) -> Result<KeysetInfo, KeysError> {
        self.create_keyset_for(name, false)
    }

    /// Makes a keyset; one for `development` may also be granted to device keys.
    pub fn create_keyset_for(&self, name: &str, development: bool) -> Result<KeysetInfo, KeysError> {
        self.create_keysets(&[name.to_owned()], development)?;
        self.keyset(name)
    }

    /// Makes keysets, one after the other; the names are looked at before the first. Where one fails, those before it are
    /// made. The workspace is read once, however many there are.
    pub fn create_keysets(&self, names: &[String], development: bool) -> Result<(), KeysError> {
        let view = self.view()?;
        let mut new = HashSet::new();
        for name in names {
            valid_name(name)?;
            if !new.insert(name) || view.has_keyset_named(name) {
                return Err(KeysError::Exists { what: format!("keyset \"{name}\"") });
            }
        }
        names.iter().try_for_each(|name| self.create_one(name, development, view.trust.version()))
    }

    fn create_one(&self, name: &str, development: bool, admins: u32) -> Result<(), KeysError> {
        let offer = self.ask(&OfferKeyset { name: name.to_owned() })?;
        let own = admin::draw(&offer)?;
        let answers = self.ask(&TestKeyset { keyset: offer.keyset })?;
        test(&own, offer.keyset, &answers)
            .map_err(|_| KeysError::bad_answer("the proof of a new keyset does not hold"))?;
        let (name, epochs) = (name.to_owned(), Epochs::FIRST);
        let record = KeysetRecord { id: offer.keyset, name, created_ms: wall_ms(), epochs, development };
        let new = admin::publish(self.key()?, &own, &record, admins)?;
        self.ask(&new)?;
        self.remember(Deed::gave(&new.grant));
        Ok(())
    }

    /// All keysets, by name.
    pub fn keysets(&self) -> Result<Vec<KeysetInfo>, KeysError> {
        let view = self.view()?;
        Ok(view.keysets.iter().map(|keyset| view.keyset_info(keyset)).collect())
    }

    /// One keyset.
    pub fn keyset(&self, keyset: &str) -> Result<KeysetInfo, KeysError> {
        let view = self.view()?;
        view.keyset(keyset).map(|keyset| view.keyset_info(keyset))
    }

    /// Gives a keyset another name; not `default`.
    pub fn rename_keyset(&self, keyset: &str, name: &str) -> Result<KeysetInfo, KeysError> {
        valid_name(name)?;
        self.change(|view| {
            let record = KeysetRecord { name: name.to_owned(), ..view.keyset(keyset)?.record.clone() };
            self.act(view, Act::PutKeyset { record: Signed::new(&record, self.key()?) })
        })?;
        self.keyset(name)
    }

    /// The reversible switch; not for `default`.
    pub fn set_keyset_enabled(&self, keyset: &str, enabled: bool) -> Result<KeysetInfo, KeysError> {
        let id = self.change(|view| {
            let keyset = view.keyset(keyset)?.record.id;
            self.act(view, Act::EnableKeyset { keyset, enabled }).map(|_| keyset)
        })?;
        self.keyset(&id.to_string())
    }
}

/// A keyset is published only after the service proved, for both split keys, that it holds its half.
fn test(own: &OwnShares, keyset: KeysetId, answers: &Answers) -> Result<(), SplitError> {
    for own in &own.shares {
        let certificate = &own.certificate;
        let split = certificate.split;
        let evaluated = if split == Split::Data { &answers.data } else { &answers.index };
        let proof = evaluated.proof.as_ref().ok_or(SplitError::BadProof)?;
        let (answers, public) = (&evaluated.answers, &certificate.public);
        match split {
            Split::Data => drop(own.share.derive_keys(
                public,
                &own.hedge,
                &[Tag::data(keyset, Epoch(1), TEST_KEY)],
                answers,
                Check::Proved(proof),
            )?),
            Split::Index => drop(own.share.derive_term_roots(
                public,
                &own.hedge,
                &[Tag::index(keyset, Epoch(1), TEST_TYPE)],
                answers,
                proof,
            )?),
        }
    }
    Ok(())
}
