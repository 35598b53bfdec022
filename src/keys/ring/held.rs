//! What the client holds: the list of its keysets, and of those that were used the opened shares, checked. Immutable but
//! for what is opened, pools and caches; replaced as a whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::crypto::client_key::ClientKey;
use crate::crypto::root::RootFingerprint;
use crate::crypto::{KeysetId, Kref, TypeId};

use super::super::claims::{Claim, ClientRecord, Signed, Trust, TypeClaim};
use super::super::clock::{Boot, wall_ms};
use super::super::error::KeysError;
use super::super::permissions::Permissions;
use super::super::service::{GrantState, Granted, Standing, State};
use super::keyset::{Keyset, Opener};
use super::pool::Limits;
use super::usage::Usage;

/// Type ids and canonical definitions.
pub(super) type Types = Arc<Vec<(TypeId, String)>>;

/// Everything held at one revision.
#[derive(Default)]
pub(super) struct Held {
    pub(super) standing: Standing,
    pub(super) keysets: HashMap<KeysetId, Arc<Entry>>,
    names: HashMap<String, KeysetId>,
    pub(super) krefs: HashMap<Kref, KeysetId>,
    /// Names of keysets whose grant was taken away.
    revoked: HashMap<KeysetId, String>,
    revoked_krefs: HashMap<Kref, String>,
    pub(super) types: Types,
    /// Why the client gets nothing at all.
    pub(super) refused: Option<KeysError>,
    /// Who checks grants, and when the client's own time is over.
    trust: Option<Arc<Trust>>,
    until: Option<u64>,
}

/// A granted keyset: what the service's list says of it, and, once it was used, what its grant says.
pub(super) struct Entry {
    pub(super) listed: Granted,
    /// The client's own end, which bounds every grant.
    until: Option<u64>,
    opened: OnceLock<Arc<Keyset>>,
}

impl Entry {
    /// The keyset, if it was opened and the grant allows this now.
    pub(super) fn allowed(&self, permission: Permissions, now: Boot) -> Option<&Arc<Keyset>> {
        self.opened.get().filter(|keyset| self.listed.enabled && keyset.allows(permission, now))
    }

    /// The keyset, if it was opened.
    pub(super) fn opened(&self) -> Option<&Arc<Keyset>> {
        self.opened.get()
    }

    /// An error unless the switch is on.
    pub(super) fn enabled(&self) -> Result<(), KeysError> {
        if self.listed.enabled { Ok(()) } else { Err(KeysError::KeysetDisabled { keyset: self.listed.name.clone() }) }
    }
}

impl Held {
    /// A granted keyset, or why there is none.
    pub(super) fn entry(&self, id: KeysetId) -> Result<&Arc<Entry>, KeysError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        self.keysets.get(&id).ok_or_else(|| match self.revoked.get(&id) {
            Some(name) => KeysError::Revoked { keyset: name.clone() },
            None => KeysError::NoGrant { keyset: id.to_string() },
        })
    }

    /// The id of a keyset given by name or id, or why it cannot be used.
    pub(super) fn resolve(&self, name: &str) -> Result<KeysetId, KeysError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        let by_id = || {
            name.parse::<KeysetId>().ok().filter(|id| self.keysets.contains_key(id) || self.revoked.contains_key(id))
        };
        if let Some(id) = self.names.get(name).copied().or_else(by_id) {
            return self.entry(id).map(|entry| entry.listed.keyset);
        }
        let revoked = self.revoked.values().any(|revoked| revoked == name);
        let keyset = name.to_owned();
        Err(if revoked { KeysError::Revoked { keyset } } else { KeysError::NoGrant { keyset } })
    }

    /// The keyset of a number in an envelope, or why there is none.
    pub(super) fn of_kref(&self, kref: Kref) -> Result<&Arc<Entry>, KeysError> {
        if let Some(error) = &self.refused {
            return Err(error.clone());
        }
        if let Some(id) = self.krefs.get(&kref) {
            return self.entry(*id);
        }
        Err(match self.revoked_krefs.get(&kref) {
            Some(name) => KeysError::Revoked { keyset: name.clone() },
            None => KeysError::NoGrant { keyset: format!("number {}", kref.0) },
        })
    }

    /// What is left where the service refuses the client as a whole. Types stay: they are no secret.
    pub(super) fn refuse(&self, error: KeysError) -> Self {
        Self { standing: self.standing, types: Arc::clone(&self.types), refused: Some(error), ..Self::default() }
    }

    /// Checks a state against the root. What has not changed since `before` is kept as it is, opened or not.
    pub(super) fn load(key: &ClientKey, root: RootFingerprint, state: State, before: &Self) -> Result<Self, KeysError> {
        let trust = Trust::establish(root, &state.admins)?;
        let record: ClientRecord = trust.check(&state.record, || "the client's record".to_owned())?;
        if record.id() != key.client_id() {
            return Err(KeysError::tampered("the client's record"));
        }
        let types = types(&trust, key, &state.types)?;
        let mut held = Self { standing: state.standing, types, until: record.expires_ms, ..Self::default() };
        // Other admins: what was opened was checked by those of before.
        let same_admins = before.trust.as_ref().is_some_and(|known| known.version() == trust.version());
        held.trust = Some(Arc::new(trust));
        for listed in state.granted {
            let known = before.keysets.get(&listed.keyset);
            let known = known.filter(|known| same_admins && known.listed == listed && known.until == held.until);
            let entry = match known {
                Some(known) => Arc::clone(known),
                None => Arc::new(Entry { listed, until: held.until, opened: OnceLock::new() }),
            };
            held.names.insert(entry.listed.name.clone(), entry.listed.keyset);
            held.krefs.extend(entry.listed.krefs.iter().map(|kref| (*kref, entry.listed.keyset)));
            held.keysets.insert(entry.listed.keyset, entry);
        }
        for gone in state.revoked {
            held.revoked_krefs.extend(gone.krefs.iter().map(|kref| (*kref, gone.name.clone())));
            held.revoked.insert(gone.keyset, gone.name);
        }
        held.remember_revoked(before);
        Ok(held)
    }

    /// Checks a grant and opens its shares. `Ok(false)`: it is not what the list says; it may have changed since.
    pub(super) fn open(
        &self,
        key: &ClientKey,
        (limits, usage): (Limits, &Usage),
        state: &GrantState,
    ) -> Result<bool, KeysError> {
        let trust = self.trust.as_deref().ok_or_else(|| KeysError::bad_answer("a grant came before the state"))?;
        let keyset = Opener { key, trust, limits, usage, until: until(self.until) }.open(state)?;
        let Some(entry) = self.keysets.get(&keyset.id) else { return Ok(false) };
        let listed = &entry.listed;
        if listed.name != keyset.name || !same(&listed.krefs, keyset.krefs()) {
            return Ok(false);
        }
        // Who was faster has opened the same.
        let _ = entry.opened.set(Arc::new(keyset));
        Ok(true)
    }

    /// Some keyset of `before` is gone or another.
    pub(super) fn lost_some(&self, before: &Self) -> bool {
        before.keysets.iter().any(|(id, old)| !self.keysets.get(id).is_some_and(|new| Arc::ptr_eq(new, old)))
    }

    /// Whatever the service says of it: what was there and is no more, was taken away.
    fn remember_revoked(&mut self, before: &Self) {
        for gone in before.keysets.values().filter(|old| !self.keysets.contains_key(&old.listed.keyset)) {
            self.revoked.insert(gone.listed.keyset, gone.listed.name.clone());
            self.revoked_krefs.extend(gone.listed.krefs.iter().map(|kref| (*kref, gone.listed.name.clone())));
        }
    }
}

fn same(listed: &[Kref], mut certified: Vec<Kref>) -> bool {
    let mut listed = listed.to_vec();
    listed.sort_unstable();
    certified.sort_unstable();
    listed == certified
}

/// Definitions of admins, and of this client where no admin has defined the type. Two of admins that differ are refused.
fn types(trust: &Trust, key: &ClientKey, all: &[Signed]) -> Result<Types, KeysError> {
    let (admins, own): (Vec<_>, Vec<_>) = all.iter().partition(|signed| trust.is_admin(signed.signer));
    let mut types = BTreeMap::<TypeId, String>::new();
    for signed in admins {
        let claim: TypeClaim = trust.check(signed, || "a type definition".to_owned())?;
        let known = types.entry(claim.id).or_insert_with(|| claim.definition.clone());
        if *known != claim.definition {
            return Err(KeysError::tampered(claim.what()));
        }
    }
    for signed in own {
        let claim: TypeClaim = trust.check_own(key.public(), signed, || "a type definition".to_owned())?;
        types.entry(claim.id).or_insert(claim.definition);
    }
    Ok(Arc::new(types.into_iter().collect()))
}

/// A wall-clock end, in boot time.
pub(super) fn until(end_ms: Option<u64>) -> Boot {
    end_ms.map_or(Boot(u64::MAX), |end| Boot::now().plus(Duration::from_millis(end.saturating_sub(wall_ms()))))
}
