//! Devices that are not clients yet: they sign with the key that they want let in. The service carries messages between
//! device and admin; that it cannot put another key in between is for the two to check.

use crate::crypto::ClientId;
use crate::crypto::client_key::ClientPublic;
use crate::crypto::enrol::commit;
use crate::keys::claims::{ClientKind, ClientRecord};
use crate::keys::clock::wall_ms;
use crate::keys::enrol::{
    AnswerEnrol, ApproveEnrol, BeginEnrol, EnrolState, EnrolStatus, Enrolment, LIFETIME_MS, ListEnrol, RefuseEnrol,
    RevealEnrol, Revealed,
};
use crate::keys::error::KeysError;
use crate::keys::request::{Body, Request};

use super::super::authorize::{Permit, use_nonce};
use super::super::store::tables::audit::{self, Entry};
use super::super::store::tables::enrolments::{self, EnrolmentRow};
use super::super::store::tables::{changes, clients};
use super::super::store::{self, Tx};
use super::Engine;
use super::admin::check_name;
use super::fetch::log;

/// Most devices that wait at the same time.
const MAX_WAITING: usize = 32;

impl Engine {
    /// A device asks to be let in.
    pub fn begin_enrol(&self, request: &Request<BeginEnrol>) -> Result<(), KeysError> {
        let (body, client) = (&request.body, request.auth.client);
        self.check_stranger(request, &body.public)?;
        self.policy().lets_devices_in()?;
        check_name(&body.device)?;
        if !body.owner.is_empty() {
            check_name(&body.owner)?;
        }
        store::write(self.store(), |tx| {
            let now = wall_ms();
            use_nonce(tx, request)?;
            if clients::find(tx, client)?.is_some() {
                return Err(KeysError::Exists { what: format!("client {client}") });
            }
            enrolments::forget(tx, now.saturating_sub(LIFETIME_MS))?;
            let others = enrolments::list(tx)?.iter().filter(|row| row.public != body.public).count();
            if others >= MAX_WAITING {
                return Err(KeysError::refused("too many devices wait to be let in; try again in five minutes"));
            }
            let row = EnrolmentRow {
                public: body.public.clone(),
                commitment: body.commitment,
                device: body.device.clone(),
                owner: body.owner.clone(),
                address: request.origin.address.clone().unwrap_or_default(),
                created_ms: now,
                answer: None,
                opening: None,
                refused: None,
                approved: false,
            };
            enrolments::put(tx, &row)?;
            audit::append(tx, Entry::new(now, client, "device.begin", &format!("\"{}\"", body.device))).map(drop)
        })
    }

    /// The device reveals what it was bound to, after it was answered and not before.
    pub fn reveal_enrol(&self, request: &Request<RevealEnrol>) -> Result<(), KeysError> {
        let client = request.auth.client;
        store::write(self.store(), |tx| {
            let row = waiting(tx, client)?;
            self.check_stranger(request, &row.public)?;
            use_nonce(tx, request)?;
            let opening = request.body.opening;
            if row.answer.is_none() || commit(&row.public, &opening) != row.commitment {
                return Err(KeysError::refused("this is not what the device is to reveal now"));
            }
            enrolments::reveal(tx, client, &opening)
        })
    }

    /// How the device's run stands.
    pub fn enrol_status(&self, request: &Request<EnrolStatus>) -> Result<EnrolState, KeysError> {
        store::read(self.store(), |tx| {
            let row = waiting(tx, request.auth.client)?;
            self.check_stranger(request, &row.public)?;
            Ok(match (row.approved, row.refused, row.answer) {
                (true, ..) => EnrolState::Approved,
                (_, Some(why), _) => EnrolState::Refused(why),
                (_, _, Some(answer)) => EnrolState::Answered(answer),
                _ => EnrolState::Waiting,
            })
        })
    }

    /// The devices that wait, for an admin.
    pub fn list_enrol(&self, request: &Request<ListEnrol>) -> Result<Vec<Enrolment>, KeysError> {
        store::read(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            let since = wall_ms().saturating_sub(LIFETIME_MS);
            let rows = enrolments::list(tx)?.into_iter();
            let open = rows.filter(|row| row.created_ms > since && !row.approved && row.refused.is_none());
            let entry = |row: EnrolmentRow| Enrolment {
                public: row.public,
                commitment: row.commitment,
                device: row.device,
                owner: row.owner,
                address: Some(row.address).filter(|address| !address.is_empty()),
                created_ms: row.created_ms,
                answered: row.answer.is_some(),
                opening: row.opening.map(Revealed),
            };
            Ok(open.map(entry).collect())
        })
    }

    /// An admin answers a device. Once: a second answer would be a second guess for whoever stands in between.
    pub fn answer_enrol(&self, request: &Request<AnswerEnrol>) -> Result<(), KeysError> {
        let body = &request.body;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            Permit::check_admin(tx, &trust, self.gate(), request)?;
            let row = waiting(tx, body.client)?;
            if row.answer.is_some() || row.commitment != body.commitment {
                return Err(KeysError::refused("an admin has answered this device already, or it began again"));
            }
            enrolments::answer(tx, body.client, &body.answer)
        })
    }

    /// An admin lets a device in.
    pub fn approve_enrol(&self, request: &Request<ApproveEnrol>) -> Result<(), KeysError> {
        let body = &request.body;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_change(tx, &trust, self.gate(), request, body.expected)?;
            let record: ClientRecord =
                trust.check(&body.record, || "the device's record".to_owned()).map_err(KeysError::presented)?;
            let row = waiting(tx, record.id())?;
            if row.opening.is_none() || row.approved || row.refused.is_some() || record.kind != ClientKind::Device {
                return Err(KeysError::refused("this device is not to be let in now"));
            }
            if clients::find(tx, record.id())?.is_some() {
                return Err(KeysError::Exists { what: format!("client {}", record.id()) });
            }
            self.put_record(tx, &permit, &body.record)?;
            for grant in &body.grants {
                self.put_grant(tx, &permit, grant)?;
            }
            enrolments::approve(tx, record.id())?;
            log(tx, &permit, "device.approve", &format!("{} \"{}\"", record.id(), record.name))?;
            changes::by_admin(tx)
        })
    }

    /// An admin turns a device away.
    pub fn refuse_enrol(&self, request: &Request<RefuseEnrol>) -> Result<(), KeysError> {
        let RefuseEnrol { client, why } = &request.body;
        check_name(why)?;
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            let row = waiting(tx, *client)?;
            if row.approved {
                return Err(KeysError::refused("the device was let in already: revoke its grants, or delete it"));
            }
            enrolments::refuse(tx, *client, why)?;
            log(tx, &permit, "device.refuse", &format!("{client} \"{}\"", row.device))
        })
    }

    /// Somebody whom nobody vouches for yet holds the key in question, now.
    fn check_stranger<B: Body>(&self, request: &Request<B>, public: &ClientPublic) -> Result<(), KeysError> {
        if request.auth.client != public.client_id() {
            return Err(KeysError::refused("it is not signed by the key that it is about"));
        }
        request.verify(self.service_id(), public)
    }
}

fn waiting(tx: &dyn Tx, client: ClientId) -> Result<EnrolmentRow, KeysError> {
    let found = enrolments::find(tx, client, wall_ms().saturating_sub(LIFETIME_MS))?;
    found.ok_or_else(|| KeysError::invalid("this device does not wait to be let in, or no longer: it begins again"))
}
