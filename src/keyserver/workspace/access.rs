//! The key service that an admin works on, from a thread that may block.

use std::sync::{Arc, mpsc};

use crate::crypto::client_key::ClientKey;
use crate::crypto::root::RootFingerprint;
use crate::keys::KeyService;
use crate::keys::admin::Hello;
use crate::keys::error::KeysError;
use crate::keys::remote::Remote;
use crate::keys::request::{Call, Origin, ServiceId};
use crate::keys::settings::Server;

use super::super::engine::Engine;
use super::super::policy::Policy;

/// A key service.
#[derive(Clone)]
pub(super) enum Access {
    /// An embedded store.
    Here(Engine),
    /// A key server.
    There(Arc<Remote>, Arc<Thread>),
}

impl Access {
    /// Asks a key server which service it is.
    pub(super) fn connect(server: &Server, key: &Arc<ClientKey>, root: RootFingerprint) -> Result<Self, KeysError> {
        let thread = Thread::start()?;
        let (server, key) = (server.clone(), Arc::clone(key));
        let remote = thread.run(async move { Remote::connect(&server, key, root).await })?;
        Ok(Self::There(Arc::new(remote), Arc::new(thread)))
    }

    /// The root that a key server says it belongs to. Not trusted: for those who have nothing better yet.
    pub(super) fn root_of(server: &Server) -> Result<RootFingerprint, KeysError> {
        let server = server.clone();
        Thread::start()?.run(async move { Remote::root_of(&server).await })
    }

    /// Which service this is.
    pub(super) fn id(&self) -> ServiceId {
        match self {
            Self::Here(engine) => engine.service_id(),
            Self::There(remote, _) => remote.id(),
        }
    }

    /// The same service; an embedded one lets in whom `policy` allows.
    pub(super) fn under(self, policy: Policy) -> Self {
        match self {
            Self::Here(engine) => Self::Here(engine.under(policy)),
            there => there,
        }
    }

    /// What everybody may know of the workspace.
    pub(super) fn hello(&self) -> Result<Hello, KeysError> {
        match self {
            Self::Here(engine) => engine.hello(),
            Self::There(remote, thread) => {
                let remote = Arc::clone(remote);
                thread.run(async move { remote.hello().await })
            }
        }
    }

    /// Answers a request, in JSON.
    pub(super) fn call(&self, call: Call) -> Result<Vec<u8>, KeysError> {
        match self {
            Self::Here(engine) => engine.handle(call.path, call.auth, Origin::default(), &call.body),
            Self::There(remote, thread) => {
                let remote = Arc::clone(remote);
                thread.run(async move { remote.call(call).await })
            }
        }
    }
}

/// A thread for what is not blocking, so that a caller may block wherever it is.
pub(super) struct Thread(Option<tokio::runtime::Runtime>);

impl Thread {
    pub(super) fn start() -> Result<Self, KeysError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.map(|runtime| Self(Some(runtime))).map_err(|error| KeysError::unavailable(error.to_string()))
    }

    /// Runs `work` there and waits for it.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, KeysError>> + Send + 'static,
    ) -> Result<T, KeysError> {
        let lost = || KeysError::unavailable("a request failed");
        let (done, wait) = mpsc::sync_channel(1);
        self.0.as_ref().ok_or_else(lost)?.spawn(async move { drop(done.send(work.await)) });
        wait.recv().map_err(|_| lost())?
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // A runtime must not be waited for where others run.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
