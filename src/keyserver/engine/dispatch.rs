//! From a request as it travels to the method that answers it, and back. Both faces of the key service end here.

use crate::keys::admin::{
    Change, GetAudit, GetInventory, OfferEpoch, OfferKeyset, PublishEpoch, PublishKeyset, PutClient, RotateClient,
    SetAdmins, TestEpoch, TestKeyset, VerifyAudit,
};
use crate::keys::enrol::{AnswerEnrol, ApproveEnrol, BeginEnrol, EnrolStatus, ListEnrol, RefuseEnrol, RevealEnrol};
use crate::keys::error::KeysError;
use crate::keys::request::{Authorization, Body, Origin, Request};
use crate::keys::service::{
    AddPins, DecryptKeys, EncryptKeys, GetGrants, GetPins, GetState, PutType, Renew, TermRoots,
};

use super::Engine;

impl Engine {
    /// Answers a request, in JSON.
    ///
    /// # Errors
    /// What the request's method says; [`KeysError::Invalid`] for a path that there is not, and for a body that is not the
    /// path's.
    pub fn handle(&self, path: &str, auth: Authorization, origin: Origin, body: &[u8]) -> Result<Vec<u8>, KeysError> {
        macro_rules! route {
            ($($body:ty => $method:ident,)*) => {
                match path {
                    $(<$body>::PATH => self.answer::<$body>(Request::read(auth, origin, body)?, Self::$method),)*
                    _ => Err(KeysError::invalid("there is no such request")),
                }
            };
        }
        route! {
            GetState => state,
            Renew => renew,
            GetGrants => grants,
            EncryptKeys => encrypt_keys,
            DecryptKeys => decrypt_keys,
            TermRoots => term_roots,
            PutType => put_type,
            GetPins => pins,
            AddPins => add_pins,
            OfferKeyset => offer_keyset,
            TestKeyset => test_keyset,
            PublishKeyset => publish_keyset,
            OfferEpoch => offer_epoch,
            TestEpoch => test_epoch,
            PublishEpoch => publish_epoch,
            PutClient => put_client,
            RotateClient => rotate_client,
            SetAdmins => set_admins,
            ListEnrol => list_enrol,
            AnswerEnrol => answer_enrol,
            ApproveEnrol => approve_enrol,
            RefuseEnrol => refuse_enrol,
            // Of those who are no clients yet.
            BeginEnrol => begin_enrol,
            RevealEnrol => reveal_enrol,
            EnrolStatus => enrol_status,
            Change => act,
            GetInventory => inventory,
            GetAudit => audit_tail,
            VerifyAudit => audit_verify,
        }
    }

    fn answer<B: Body>(
        &self,
        request: Request<B>,
        method: fn(&Self, &Request<B>) -> Result<B::Answer, KeysError>,
    ) -> Result<Vec<u8>, KeysError> {
        let answer = method(self, &request)?;
        self.saw(request.auth.client, request.origin);
        serde_json::to_vec(&answer).map_err(|e| KeysError::unavailable(format!("an answer cannot be written: {e}")))
    }
}
