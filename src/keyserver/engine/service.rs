//! The engine as a [`KeyService`] within the process: each call on a thread that may block.

use std::time::Duration;

use crate::crypto::ClientId;
use crate::keys::error::KeysError;
use crate::keys::request::{Call, Origin, ServiceId};
use crate::keys::service::{KeyService, Reply, Standing};

use super::Engine;

/// How often the store is looked at for changes of other processes.
pub const WATCH: Duration = Duration::from_millis(250);

impl Engine {
    /// Runs `work` on a thread that may block.
    pub fn blocking<T: Send + 'static>(
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

    fn call(&self, call: Call) -> Reply<'_, Vec<u8>> {
        let origin = Origin { address: None, version: Some(env!("CARGO_PKG_VERSION").to_owned()) };
        self.blocking(move |engine| engine.handle(call.path, call.auth, origin, &call.body))
    }

    fn next_standing(&self, client: ClientId, seen: Standing) -> Reply<'_, Standing> {
        Box::pin(async move {
            let mut version = None;
            loop {
                let now = self.blocking(Self::store_version).await?;
                if version.replace(now) != Some(now) {
                    let found = self.blocking(move |engine| engine.standing(client)).await?;
                    if found != seen {
                        return Ok(found);
                    }
                }
                tokio::time::sleep(WATCH).await;
            }
        })
    }
}
