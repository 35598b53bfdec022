//! From an open store to the engine over its workspace.

use crate::keys::error::KeysError;

use super::engine::Engine;
use super::policy::Policy;
use super::root_key::Source;
use super::store::tables::workspace;
use super::store::{self, Store};

/// The engine over the store's workspace; the store again where there is none yet.
pub(super) fn engine(
    store: Box<dyn Store>,
    root_key: &Source,
    policy: Policy,
) -> Result<Result<Engine, Box<dyn Store>>, KeysError> {
    match store::read(&*store, workspace::find)? {
        Some(_) => Ok(Ok(Engine::serve(store, root_key)?.under(policy))),
        None => Ok(Err(store)),
    }
}
