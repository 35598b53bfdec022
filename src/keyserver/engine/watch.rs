//! What event streams are told: who may open one, and where all clients stand.

use std::collections::HashMap;

use crate::crypto::ClientId;
use crate::keys::error::KeysError;
use crate::keys::request::Request;
use crate::keys::service::{Revision, Standing, Watch};

use super::super::authorize::{Permit, good_standing};
use super::super::store;
use super::super::store::tables::{clients, workspace};
use super::Engine;
use super::state::standing;

/// A client in good standing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Where it stands.
    pub standing: Standing,
    /// When its key expires, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

/// Where all clients stand at one revision.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overview {
    /// Of the workspace.
    pub revision: Revision,
    /// The revision with which something last changed that concerns every client.
    pub changed_all: u64,
    /// Whether a client is enabled, and the revision with which something of it last changed.
    pub clients: HashMap<ClientId, (bool, u64)>,
}

impl Engine {
    /// Checks who opens an event stream.
    pub fn watch(&self, request: &Request<Watch>) -> Result<Watched, KeysError> {
        store::peek(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let permit = Permit::check(tx, &trust, self.gate(), request)?;
            let expires_ms = permit.record().expires_ms;
            Ok(Watched { standing: standing(tx, permit.client())?, expires_ms })
        })
    }

    /// Where a client stands whose stream is open, or why it is not served any more.
    pub fn watched(&self, client: ClientId) -> Result<Watched, KeysError> {
        store::peek(self.store(), |tx| {
            let trust = self.trust(tx)?;
            let record = good_standing(tx, &trust, self.policy(), client, |_| Ok(()))?;
            Ok(Watched { standing: standing(tx, client)?, expires_ms: record.expires_ms })
        })
    }

    /// Where all clients stand, in two queries.
    pub fn overview(&self) -> Result<Overview, KeysError> {
        store::peek(self.store(), |tx| {
            let row = workspace::require(tx)?;
            let clients = clients::standings(tx)?.into_iter().map(|(id, enabled, changed)| (id, (enabled, changed)));
            Ok(Overview { revision: row.revision, changed_all: row.changed_all, clients: clients.collect() })
        })
    }
}
