//! The workspace as an admin sees it, checked: every record, grant, certificate and definition chains to the root.

use std::collections::HashMap;

use crate::crypto::root::RootFingerprint;
use crate::crypto::{ClientId, KeysetId};
use crate::keys::admin::{Inventory, Seen};
use crate::keys::claims::{
    Certificate, ClientKind, ClientRecord, Grant, KeysetRecord, ServiceRecord, Split, Trust, TypeClaim,
};
use crate::keys::clock::{rfc3339, wall_ms};
use crate::keys::error::KeysError;
use crate::keys::service::{Revision, SealedShare};

use super::{ClientInfo, Export, GrantInfo, KeysetInfo, PinInfo, SeenInfo, TypeInfo};

/// A checked inventory.
pub(super) struct View {
    pub(super) trust: Trust,
    pub(super) service: ServiceRecord,
    pub(super) revision: Revision,
    pub(super) clients: Vec<(ClientRecord, bool)>,
    pub(super) seen: HashMap<ClientId, Seen>,
    pub(super) keysets: Vec<KeysetView>,
    pub(super) grants: Vec<Grant>,
    pub(super) types: Vec<TypeInfo>,
    pub(super) pins: Vec<PinInfo>,
    index: Index,
}

/// Where things are in the lists of a view: ten thousand keysets are looked up ten thousand times.
struct Index {
    keysets: HashMap<KeysetId, usize>,
    names: HashMap<String, usize>,
    grants: HashMap<(ClientId, KeysetId), usize>,
    /// How many clients have a keyset.
    clients: HashMap<KeysetId, u64>,
}

impl Index {
    fn of(keysets: &[KeysetView], grants: &[Grant]) -> Self {
        let mut clients = HashMap::new();
        grants.iter().for_each(|grant| *clients.entry(grant.keyset).or_default() += 1);
        Self {
            keysets: keysets.iter().enumerate().map(|(at, keyset)| (keyset.record.id, at)).collect(),
            names: keysets.iter().enumerate().map(|(at, keyset)| (keyset.record.name.clone(), at)).collect(),
            grants: grants.iter().enumerate().map(|(at, grant)| ((grant.client, grant.keyset), at)).collect(),
            clients,
        }
    }
}

/// A keyset with what the admin holds of it.
pub(super) struct KeysetView {
    pub(super) record: KeysetRecord,
    pub(super) enabled: bool,
    pub(super) certificates: Vec<Certificate>,
    pub(super) sealed: Vec<SealedShare>,
}

impl View {
    pub(super) fn check(root: RootFingerprint, inventory: Inventory) -> Result<Self, KeysError> {
        let trust = Trust::establish(root, &inventory.admins)?;
        let service = inventory.service.check(root, "the key service's record")?;
        let (mut clients, mut seen) = (Vec::new(), HashMap::new());
        for entry in &inventory.clients {
            let what = || format!("the record of client {}", entry.id);
            let record: ClientRecord = trust.check(&entry.record, what)?;
            same(record.id() == entry.id, what)?;
            clients.push((record, entry.enabled));
            seen.extend(entry.seen.clone().map(|seen| (entry.id, seen)));
        }
        let mut grants = Vec::new();
        for (client, keyset, signed) in &inventory.grants {
            let what = || format!("the grant of keyset {keyset} to client {client}");
            let grant: Grant = trust.check(signed, what)?;
            same((grant.client, grant.keyset) == (*client, *keyset), what)?;
            // A grant of a later set: this one was put back.
            same(grant.admins <= trust.version(), || "the admin set".to_owned())?;
            grants.push(grant);
        }
        let pin = |(database, pin): (String, crate::keys::service::PinnedObject)| PinInfo {
            database,
            object: pin.object,
            type_id: pin.type_id.to_string(),
        };
        let keysets = keysets(&trust, &inventory)?;
        Ok(Self {
            index: Index::of(&keysets, &grants),
            keysets,
            types: types(&trust, &clients, &inventory)?,
            pins: inventory.pins.into_iter().map(pin).collect(),
            revision: inventory.revision,
            service,
            trust,
            clients,
            seen,
            grants,
        })
    }

    pub(super) fn client(&self, name: &str) -> Result<&(ClientRecord, bool), KeysError> {
        let id = name.parse::<ClientId>().ok();
        let found = self.clients.iter().find(|(record, _)| record.name == name || Some(record.id()) == id);
        found.ok_or_else(|| KeysError::ClientUnknown { client: name.to_owned() })
    }

    pub(super) fn keyset(&self, name: &str) -> Result<&KeysetView, KeysError> {
        let named = self.index.names.get(name).map(|at| &self.keysets[*at]);
        let found = named.or_else(|| self.keyset_of(name.parse().ok()?));
        found.ok_or_else(|| KeysError::UnknownKeyset { keyset: name.to_owned() })
    }

    pub(super) fn has_keyset_named(&self, name: &str) -> bool {
        self.index.names.contains_key(name)
    }

    pub(super) fn keyset_of(&self, id: KeysetId) -> Option<&KeysetView> {
        self.index.keysets.get(&id).map(|at| &self.keysets[*at])
    }

    /// A grant that a device key may have only as long as it is an admin's.
    pub(super) fn is_production_on_device(&self, grant: &Grant) -> bool {
        let device =
            |(record, _): &&(ClientRecord, bool)| record.id() == grant.client && record.kind == ClientKind::Device;
        let production = self.keyset_of(grant.keyset).is_some_and(|keyset| !keyset.record.development);
        production && self.clients.iter().any(|client| device(&client))
    }

    pub(super) fn grant(&self, client: ClientId, keyset: KeysetId) -> Option<&Grant> {
        self.index.grants.get(&(client, keyset)).map(|at| &self.grants[*at])
    }

    pub(super) fn client_info(&self, (record, enabled): &(ClientRecord, bool)) -> ClientInfo {
        let id = record.id();
        ClientInfo {
            id: id.to_string(),
            name: record.name.clone(),
            kind: record.kind.name(),
            status: match (enabled, record.expired(wall_ms())) {
                (false, _) => "disabled",
                (true, true) => "expired",
                (true, false) => "active",
            },
            admin: self.trust.is_admin(id),
            owner: said(&record.owner),
            device: said(&record.device),
            created: rfc3339(record.created_ms),
            expires: record.expires_ms.map(rfc3339),
            seen: self.seen.get(&id).map(|seen| SeenInfo {
                time: rfc3339(seen.time_ms),
                address: seen.address.clone(),
                version: seen.version.clone(),
            }),
            grants: self.grants.iter().filter(|grant| grant.client == id).map(|grant| self.grant_info(grant)).collect(),
        }
    }

    pub(super) fn grant_info(&self, grant: &Grant) -> GrantInfo {
        let keyset = self.keyset_of(grant.keyset);
        GrantInfo {
            client: grant.client.to_string(),
            keyset: grant.keyset.to_string(),
            keyset_name: keyset.map_or_else(|| grant.keyset.to_string(), |keyset| keyset.record.name.clone()),
            permissions: grant.permissions.names(),
            expires: grant.expires_ms.map(rfc3339),
        }
    }

    pub(super) fn keyset_info(&self, keyset: &KeysetView) -> KeysetInfo {
        let of = |split| keyset.certificates.iter().filter(move |c| c.split == split);
        let epochs = keyset.record.epochs;
        let data = of(Split::Data).find(|c| c.epoch == epochs.current);
        let index = of(Split::Index).max_by_key(|c| c.epoch);
        KeysetInfo {
            id: keyset.record.id.to_string(),
            name: keyset.record.name.clone(),
            development: keyset.record.development,
            status: if keyset.enabled { "active" } else { "disabled" },
            kref: data.and_then(|c| c.kref).map_or(0, |kref| kref.0),
            data_epoch: data.map_or(0, |c| c.epoch.0),
            oldest_epoch: epochs.oldest.0,
            rotating: of(Split::Data).any(|c| c.epoch > epochs.current),
            index_epoch: index.map_or(0, |c| c.epoch.0),
            created: rfc3339(keyset.record.created_ms),
            clients: self.index.clients.get(&keyset.record.id).copied().unwrap_or_default(),
        }
    }

    /// What was decided, not what happened.
    pub(super) fn export(self) -> Export {
        let mut all = self.survey();
        all.clients.iter_mut().for_each(|client| client.seen = None);
        all
    }

    pub(super) fn survey(self) -> Export {
        Export {
            root: self.trust.root().to_string(),
            generation: self.revision.generation,
            revision: self.revision.revision,
            clients: self.clients.iter().map(|client| self.client_info(client)).collect(),
            keysets: self.keysets.iter().map(|keyset| self.keyset_info(keyset)).collect(),
            types: self.types,
            pins: self.pins,
        }
    }
}

fn keysets(trust: &Trust, inventory: &Inventory) -> Result<Vec<KeysetView>, KeysError> {
    let mut all = Vec::new();
    for entry in &inventory.keysets {
        let what = || format!("the record of keyset {}", entry.id);
        let record: KeysetRecord = trust.check(&entry.record, what)?;
        let mut certificates = Vec::new();
        for signed in &entry.certificates {
            let certificate: Certificate = trust.check(signed, || format!("a certificate of keyset {}", entry.id))?;
            same(certificate.keyset == entry.id, what)?;
            certificates.push(certificate);
        }
        same(record.id == entry.id, what)?;
        all.push(KeysetView { record, enabled: entry.enabled, certificates, sealed: entry.sealed.clone() });
    }
    Ok(all)
}

fn types(trust: &Trust, clients: &[(ClientRecord, bool)], inventory: &Inventory) -> Result<Vec<TypeInfo>, KeysError> {
    let mut all = Vec::new();
    for signed in &inventory.types {
        let signer = signed.signer;
        // A definition of a client that was deleted counts for nobody.
        let Some((record, _)) = clients.iter().find(|(record, _)| record.id() == signer) else { continue };
        let claim: TypeClaim = trust.check_own(&record.public, signed, || "a type definition".to_owned())?;
        let admin = trust.is_admin(signer);
        all.push(TypeInfo {
            id: claim.id.to_string(),
            definition: claim.definition,
            signer: signer.to_string(),
            admin,
        });
    }
    Ok(all)
}

fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn same(holds: bool, what: impl Fn() -> String) -> Result<(), KeysError> {
    if holds { Ok(()) } else { Err(KeysError::tampered(what())) }
}
