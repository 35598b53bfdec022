//! Admins who are signed in to the key server's page: tickets that the command line fetches with the device's key, and what a
//! session may ask. It sees what an admin sees and can take away; whatever gives something needs a key, which is not here.

use crate::crypto::ClientId;
use crate::crypto::json::{decode, encode};
use crate::crypto::random;
use crate::crypto::sign::{Domain, Signature};
use crate::keys::admin::{
    Act, Change, GetActivity, GetAudit, GetAuditChains, GetAuditPage, GetInventory, GetPresence, GetUsage, OpenSession,
    SessionTicket,
};
use crate::keys::clock::wall_ms;
use crate::keys::codec::Writer;
use crate::keys::enrol::ListEnrol;
use crate::keys::error::KeysError;
use crate::keys::request::{Body, Origin, Request, WINDOW_MS};

use super::super::authorize::{Permit, good_standing};
use super::super::store::tables::audit::{self, Entry};
use super::super::store::tables::workspace;
use super::super::store::{self, Tx};
use super::Engine;
use super::dispatch::Asker;

/// A ticket is taken for this long, in milliseconds.
const TICKET_MS: u64 = 60_000;

/// What a session may read.
const READS: [&str; 8] = [
    GetInventory::PATH,
    GetAudit::PATH,
    GetAuditChains::PATH,
    GetAuditPage::PATH,
    GetActivity::PATH,
    GetPresence::PATH,
    GetUsage::PATH,
    ListEnrol::PATH,
];

/// `client 16 || random 16 || time_ms || signature 64`.
struct Ticket {
    client: ClientId,
    nonce: [u8; 16],
    time_ms: u64,
}

impl Ticket {
    fn body(&self, engine: &Engine) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.fixed(&engine.service_id().0).fixed(&self.client.0).fixed(&self.nonce).u64(self.time_ms);
        writer.finish()
    }

    fn write(&self, engine: &Engine) -> String {
        let signature = engine.signing_key().sign(Domain::Ticket, &self.body(engine));
        let time = self.time_ms.to_be_bytes();
        encode(&[&self.client.0[..], &self.nonce, &time, &signature.0].concat())
    }

    fn read(engine: &Engine, text: &str) -> Option<Self> {
        let bytes: [u8; 104] = decode(text)?;
        let (client, rest) = bytes.split_first_chunk::<16>()?;
        let (nonce, rest) = rest.split_first_chunk::<16>()?;
        let (time, signature) = rest.split_first_chunk::<8>()?;
        let ticket = Self { client: ClientId(*client), nonce: *nonce, time_ms: u64::from_be_bytes(*time) };
        let signature = Signature(signature.try_into().ok()?);
        let key = engine.signing_key().verify_key();
        key.verify(Domain::Ticket, &ticket.body(engine), &signature).ok().map(|()| ticket)
    }
}

impl Engine {
    /// A ticket for an admin.
    pub fn open_session(&self, request: &Request<OpenSession>) -> Result<SessionTicket, KeysError> {
        store::write(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check_admin(tx, &trust, self.gate(), request)?;
            let nonce = random::array()?;
            let ticket = Ticket { client: permit.client(), nonce, time_ms: wall_ms() };
            Ok(SessionTicket { ticket: ticket.write(self), valid_ms: TICKET_MS })
        })
    }

    /// Uses a ticket up. Who signed in.
    ///
    /// # Errors
    /// [`KeysError::Refused`]: it is not this service's, too old, or was used; what keeps the client from asking.
    pub fn redeem(&self, ticket: &str, origin: &Origin) -> Result<ClientId, KeysError> {
        let unknown = || KeysError::refused("this address is not one that the key server gave");
        let ticket = Ticket::read(self, ticket).ok_or_else(unknown)?;
        let now = wall_ms();
        if now.saturating_sub(ticket.time_ms) > TICKET_MS {
            return Err(KeysError::refused("this address was good for a minute, and that is over"));
        }
        store::write(self.store(), |tx| {
            self.admin(tx, ticket.client)?;
            let forget_ms = now.saturating_sub(3 * WINDOW_MS);
            if !workspace::use_nonce(tx, ticket.client, &ticket.nonce, now, forget_ms)? {
                return Err(KeysError::refused("this address was used before: it works once"));
            }
            let Origin { address, version } = origin.clone();
            let entry = Entry::new(now, ticket.client, "session.open", "the key server's page");
            audit::append(tx, Entry { address, version, ..entry })?;
            Ok(ticket.client)
        })
    }

    /// Answers a request of an admin who is signed in.
    ///
    /// # Errors
    /// As [`handle`](Self::handle); [`KeysError::Policy`] for whatever gives something.
    pub fn handle_session(
        &self,
        client: ClientId,
        origin: Origin,
        path: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, KeysError> {
        let takes = || serde_json::from_slice::<Change>(body).is_ok_and(|change| only_takes(&change));
        if READS.contains(&path) || path == Change::PATH && takes() {
            return self.dispatch(path, Asker::Session(client), origin, body);
        }
        let why = "the key server's page shows, disables and revokes; anything else needs an admin's key".into();
        Err(KeysError::Policy { why })
    }

    /// An admin in good standing.
    fn admin(&self, tx: &dyn Tx, client: ClientId) -> Result<(), KeysError> {
        let trust = self.trust(tx)?;
        let record = good_standing(tx, &trust, self.policy(), client, |_| Ok(()))?;
        if trust.is_admin(client) { Ok(()) } else { Err(KeysError::NotAdmin { client: record.name }) }
    }
}

/// It only takes away: what a session of the key server's page may do.
fn only_takes(change: &Change) -> bool {
    matches!(
        change.act,
        Act::Revoke { .. } | Act::EnableClient { enabled: false, .. } | Act::EnableKeyset { enabled: false, .. }
    )
}
