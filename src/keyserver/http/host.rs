//! What all requests share.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::keys::error::KeysError;
use crate::telemetry::health::Readiness;
use crate::telemetry::keyserver::KeyServerMetrics;

use super::super::bootstrap::Founder;
use super::super::engine::Engine;
use super::super::policy::Policy;
use super::super::settings::Settings;
use super::super::stores;
use super::events::Hub;
use super::fault::Fault;
use super::limits::Limits;

/// The server's parts.
pub(super) struct Host {
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) hub: Hub,
    pub(super) metrics: KeyServerMetrics,
    pub(super) readiness: Readiness,
    pub(super) shutdown: CancellationToken,
    /// Set once there is a workspace.
    engine: OnceLock<Engine>,
    /// There while there is none.
    founder: Mutex<Option<Arc<Founder>>>,
}

impl Host {
    /// Opens the store. Blocks.
    pub(super) fn open(
        settings: Settings,
        metrics: KeyServerMetrics,
        readiness: Readiness,
        shutdown: CancellationToken,
    ) -> Result<Self, KeysError> {
        let (engine, founder) = (OnceLock::new(), Mutex::default());
        let limits = Limits::new(settings.client_rate, settings.failure_rate);
        let host = Self { limits, settings, hub: Hub::new(), metrics, readiness, shutdown, engine, founder };
        let (store, root_key) = (host.settings.store.create()?, &host.settings.root_key);
        match stores::engine(store, root_key, host.policy())? {
            Ok(engine) => drop(host.engine.set(engine)),
            Err(store) => {
                let founder = Founder::new(store, root_key, &host.settings.bootstrap_token)?;
                *host.founder.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(founder));
            }
        }
        Ok(host)
    }

    fn policy(&self) -> Policy {
        Policy { devices: self.settings.devices }
    }

    /// The engine, once there is a workspace.
    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.get()
    }

    /// The engine, or that there is none yet.
    pub(super) fn require(&self) -> Result<&Engine, Fault> {
        self.engine().ok_or_else(Fault::no_workspace)
    }

    /// What founds the workspace, while there is none.
    pub(super) fn founder(&self) -> Result<Arc<Founder>, KeysError> {
        let founder = self.founder.lock().unwrap_or_else(PoisonError::into_inner).clone();
        founder.ok_or_else(|| KeysError::Exists { what: "the workspace of this key server".to_owned() })
    }

    /// Opens the engine if somebody has founded the workspace. Blocks.
    pub(super) fn settle(&self) -> Result<(), KeysError> {
        let Ok(founder) = self.founder() else { return Ok(()) };
        if !founder.is_founded()? {
            return Ok(());
        }
        let store = self.settings.store.create()?;
        if let Ok(engine) = stores::engine(store, &self.settings.root_key, self.policy())? {
            // Another request may have been faster; both are of one store.
            drop(self.engine.set(engine));
            founder.used_up();
            self.founder.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        Ok(())
    }
}
