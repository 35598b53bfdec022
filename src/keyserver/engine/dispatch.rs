//! From a request as it travels to the method that answers it, and back. Both faces of the key service end here.

use schemars::{Schema, SchemaGenerator};

use crate::crypto::ClientId;
use crate::keys::access::AccessBatch;
use crate::keys::admin::{
    Change, GetActivity, GetAudit, GetAuditChains, GetAuditPage, GetInventory, GetPresence, GetUsage, OfferEpoch,
    OfferKeyset, OpenSession, PublishEpoch, PublishKeyset, PutClient, RotateClient, SetAdmins, TestEpoch, TestKeyset,
    Unseal,
};
use crate::keys::alarm::PinAlarms;
use crate::keys::clock::wall_ms;
use crate::keys::enrol::{
    AnswerEnrol, ApproveEnrol, BeginEnrol, EnrolStatus, ListEnrol, OF_STRANGERS, RefuseEnrol, RevealEnrol,
};
use crate::keys::error::KeysError;
use crate::keys::request::{Authorization, Body, Origin, Request};
use crate::keys::service::{
    AddPins, DecryptKeys, EncryptKeys, GetGrants, GetPins, GetState, PutType, Renew, TermRoots,
};

use super::super::store::tables::audit::Entry;
use super::Engine;
use super::repeats::REFUSED;

/// A request that the service answers.
pub struct Route {
    /// Where it goes, by POST.
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// It changes something.
    pub changes: bool,
    /// Schema of the body.
    pub body: fn(&mut SchemaGenerator) -> Schema,
    /// Schema of the answer.
    pub answer: fn(&mut SchemaGenerator) -> Schema,
}

impl Route {
    const fn of<B: Body>(summary: &'static str) -> Self {
        Self {
            path: B::PATH,
            summary,
            changes: B::CHANGES,
            body: SchemaGenerator::subschema_for::<B>,
            answer: SchemaGenerator::subschema_for::<B::Answer>,
        }
    }
}

/// How it is known who asks.
pub(super) enum Asker {
    /// By a signature.
    Signed(Authorization),
    /// By the session of an admin who is signed in to the page.
    Session(ClientId),
}

impl Asker {
    fn request<B: Body>(self, origin: Origin, body: &[u8]) -> Result<Request<B>, KeysError> {
        match self {
            Self::Signed(auth) => Request::read(auth, origin, body),
            Self::Session(client) => Request::of_session(client, origin, body),
        }
    }
}

/// One list: what is dispatched is what the server routes and what its OpenAPI document names.
macro_rules! requests {
    ($($body:ty => $method:ident, $summary:literal;)*) => {
        /// Every request by POST.
        pub const ROUTES: &[Route] = &[$(Route::of::<$body>($summary),)*];

        impl Engine {
            /// Answers a request, in JSON.
            ///
            /// # Errors
            /// What the request's method says; [`KeysError::Invalid`] for a path that there is not, and for a body that is
            /// not the path's.
            pub fn handle(
                &self,
                path: &str,
                auth: Authorization,
                origin: Origin,
                body: &[u8],
            ) -> Result<Vec<u8>, KeysError> {
                self.dispatch(path, Asker::Signed(auth), origin, body)
            }

            pub(super) fn dispatch(
                &self,
                path: &str,
                asker: Asker,
                origin: Origin,
                body: &[u8],
            ) -> Result<Vec<u8>, KeysError> {
                match path {
                    $(<$body>::PATH => self.answer::<$body>(asker.request(origin, body)?, Self::$method),)*
                    _ => Err(KeysError::invalid("there is no such request")),
                }
            }
        }
    };
}

requests! {
    GetState => state, "Everything that concerns the asking client, but its grants";
    Renew => renew, "Where the workspace and the client stand, for the lease";
    GetGrants => grants, "Grants of the asking client, with what they rest on";
    EncryptKeys => encrypt_keys, "The service's half of new data keys";
    DecryptKeys => decrypt_keys, "The service's half of data keys, by id";
    TermRoots => term_roots, "The service's half of term roots";
    PutType => put_type, "Stores a signed type definition";
    GetPins => pins, "The pins of a database";
    AddPins => add_pins, "Adds pins to a database";
    OfferKeyset => offer_keyset, "The service's half of a new keyset";
    TestKeyset => test_keyset, "Proved answers of an offered keyset";
    PublishKeyset => publish_keyset, "Publishes an offered keyset";
    OfferEpoch => offer_epoch, "The service's half of a new data epoch of a keyset";
    TestEpoch => test_epoch, "Proved answers of an offered epoch";
    PublishEpoch => publish_epoch, "Publishes an offered epoch";
    PutClient => put_client, "Makes or replaces a client's record, and gives grants";
    RotateClient => rotate_client, "Puts a new key in the place of a client's old one";
    SetAdmins => set_admins, "Puts another admin set in the place of the present one";
    BeginEnrol => begin_enrol, "A device asks to be let in";
    RevealEnrol => reveal_enrol, "The device reveals what it was bound to";
    EnrolStatus => enrol_status, "The device asks how it stands";
    ListEnrol => list_enrol, "Devices that wait to be let in";
    AnswerEnrol => answer_enrol, "An admin answers a device";
    ApproveEnrol => approve_enrol, "An admin lets a device in";
    RefuseEnrol => refuse_enrol, "An admin turns a device away";
    AccessBatch => keep_access, "Records of data access by a proxy, for the audit trail";
    PinAlarms => keep_alarms, "Pins that do not hold, for the audit trail";
    Change => act, "Any other act of an admin";
    Unseal => unseal_asked, "Lets a restored store serve again";
    GetInventory => inventory, "Everything that an admin may see";
    GetAudit => audit_tail, "The end of the audit trail";
    GetAuditChains => audit_chains, "The chains of the audit trail";
    GetAuditPage => audit_page, "Entries of one chain of the audit trail";
    GetActivity => activity, "What the audit trail holds of the last hours, counted";
    GetPresence => presence, "Clients that are connected to the answering server";
    GetUsage => usage, "How many values proxies say they sealed and opened";
    OpenSession => open_session, "A ticket with which an admin signs in to the page, once";
}

impl Engine {
    fn answer<B: Body>(
        &self,
        request: Request<B>,
        method: fn(&Self, &Request<B>) -> Result<B::Answer, KeysError>,
    ) -> Result<Vec<u8>, KeysError> {
        let answer = match method(self, &request) {
            Ok(answer) => answer,
            Err(error) => {
                self.note_refusal(&error, &request.auth, request.origin, B::PATH);
                return Err(error);
            }
        };
        // A browser says nothing of the device whose key signed in.
        if !request.is_of_session() {
            self.saw(request.auth.client, request.origin);
        }
        serde_json::to_vec(&answer).map_err(|e| KeysError::unavailable(format!("an answer cannot be written: {e}")))
    }

    /// Who proved who it is and is refused stands in the trail. A trail that cannot be written does not change the answer.
    fn note_refusal(&self, error: &KeysError, auth: &Authorization, origin: Origin, path: &str) {
        let known = !OF_STRANGERS.contains(&path);
        let Some(result) = error.refusal().filter(|_| known) else { return };
        let Origin { address, version } = origin;
        if path == GetState::PATH {
            // Whoever may not even ask has no key left to use.
            self.heard(auth.client, wall_ms());
        }
        let entry = Entry::new(wall_ms(), auth.client, REFUSED, path);
        if let Err(error) = self.record(vec![Entry { result, address, version, ..entry }]) {
            tracing::warn!(%error, "a refusal could not be written down");
        }
    }
}
