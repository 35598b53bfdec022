//! The engine as a [`KeyService`] within the process: each call on a thread that may block.

use std::time::Duration;

use crate::keys::error::KeysError;
use crate::keys::request::{Request, ServiceId};
use crate::keys::service::{
    AddPins, DecryptKeys, EncryptKeys, Evaluated, GetPins, GetState, KeyService, NewKeys, PinnedObject, PutType, Renew,
    Reply, Revision, State, TermRoots,
};

use super::Engine;

/// How often the store is looked at for changes of other processes.
const WATCH: Duration = Duration::from_millis(250);

impl Engine {
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, KeysError> + Send + 'static,
    ) -> Reply<'static, T> {
        let engine = self.clone();
        Box::pin(async move {
            let done = tokio::task::spawn_blocking(move || work(&engine)).await;
            done.unwrap_or_else(|e| Err(KeysError::unavailable(format!("a call of the key service failed: {e}"))))
        })
    }
}

impl KeyService for Engine {
    fn id(&self) -> ServiceId {
        self.service_id()
    }

    fn state(&self, request: Request<GetState>) -> Reply<'_, State> {
        self.blocking(move |engine| engine.state(&request))
    }

    fn renew(&self, request: Request<Renew>) -> Reply<'_, Revision> {
        self.blocking(move |engine| engine.renew(&request))
    }

    fn next_revision(&self, seen: Revision) -> Reply<'_, Revision> {
        Box::pin(async move {
            let mut version = None;
            loop {
                let now = self.blocking(Self::store_version).await?;
                if version.replace(now) != Some(now) {
                    let found = self.blocking(Self::revision).await?;
                    if found != seen {
                        return Ok(found);
                    }
                }
                tokio::time::sleep(WATCH).await;
            }
        })
    }

    fn encrypt_keys(&self, request: Request<EncryptKeys>) -> Reply<'_, NewKeys> {
        self.blocking(move |engine| engine.encrypt_keys(&request))
    }

    fn decrypt_keys(&self, request: Request<DecryptKeys>) -> Reply<'_, Vec<Result<Evaluated, KeysError>>> {
        self.blocking(move |engine| engine.decrypt_keys(&request))
    }

    fn term_roots(&self, request: Request<TermRoots>) -> Reply<'_, Evaluated> {
        self.blocking(move |engine| engine.term_roots(&request))
    }

    fn put_type(&self, request: Request<PutType>) -> Reply<'_, ()> {
        self.blocking(move |engine| engine.put_type(&request))
    }

    fn pins(&self, request: Request<GetPins>) -> Reply<'_, Vec<PinnedObject>> {
        self.blocking(move |engine| engine.pins(&request))
    }

    fn add_pins(&self, request: Request<AddPins>) -> Reply<'_, ()> {
        self.blocking(move |engine| engine.add_pins(&request))
    }
}
