//! The key service that an admin works on, from a thread that may block.

use crate::keys::admin::Hello;
use crate::keys::error::KeysError;
use crate::keys::request::{Call, Origin, ServiceId};

use super::super::engine::Engine;
use super::super::policy::Policy;

/// A key service.
pub(super) enum Access {
    /// An embedded store.
    Here(Engine),
}

impl Access {
    /// Which service this is.
    pub(super) fn id(&self) -> ServiceId {
        match self {
            Self::Here(engine) => engine.service_id(),
        }
    }

    /// The same service; an embedded one lets in whom `policy` allows.
    pub(super) fn under(self, policy: Policy) -> Self {
        match self {
            Self::Here(engine) => Self::Here(engine.under(policy)),
        }
    }

    /// What everybody may know of the workspace.
    pub(super) fn hello(&self) -> Result<Hello, KeysError> {
        match self {
            Self::Here(engine) => engine.hello(),
        }
    }

    /// Answers a request, in JSON.
    pub(super) fn call(&self, call: Call) -> Result<Vec<u8>, KeysError> {
        match self {
            Self::Here(engine) => engine.handle(call.path, call.auth, Origin::default(), &call.body),
        }
    }
}
