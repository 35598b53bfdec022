//! A key service whose requests are counted and timed.

use std::sync::Arc;
use std::time::Instant;

use crate::telemetry::metrics;

use super::error::KeysError;
use super::request::{Request, ServiceId};
use super::service::{
    AddPins, DecryptKeys, EncryptKeys, Evaluated, GetPins, GetState, KeyService, NewKeys, PinnedObject, PutType, Renew,
    Reply, Revision, State, TermRoots,
};

/// Counts what goes to the service within. Waiting for a revision is not counted.
pub struct Metered {
    service: Arc<dyn KeyService>,
    metrics: metrics::KeyService,
}

impl Metered {
    /// Counts what goes to `service`.
    pub fn new(service: Arc<dyn KeyService>, metrics: metrics::KeyService) -> Self {
        Self { service, metrics }
    }

    fn timed<'a, T: Send + 'a>(&'a self, reply: Reply<'a, T>) -> Reply<'a, T> {
        Box::pin(async move {
            let begin = Instant::now();
            let answer: Result<T, KeysError> = reply.await;
            self.metrics.record(answer.is_ok(), begin.elapsed());
            answer
        })
    }
}

impl KeyService for Metered {
    fn id(&self) -> ServiceId {
        self.service.id()
    }

    fn state(&self, request: Request<GetState>) -> Reply<'_, State> {
        self.timed(self.service.state(request))
    }

    fn renew(&self, request: Request<Renew>) -> Reply<'_, Revision> {
        self.timed(self.service.renew(request))
    }

    fn next_revision(&self, seen: Revision) -> Reply<'_, Revision> {
        self.service.next_revision(seen)
    }

    fn encrypt_keys(&self, request: Request<EncryptKeys>) -> Reply<'_, NewKeys> {
        self.timed(self.service.encrypt_keys(request))
    }

    fn decrypt_keys(&self, request: Request<DecryptKeys>) -> Reply<'_, Vec<Result<Evaluated, KeysError>>> {
        self.timed(self.service.decrypt_keys(request))
    }

    fn term_roots(&self, request: Request<TermRoots>) -> Reply<'_, Evaluated> {
        self.timed(self.service.term_roots(request))
    }

    fn put_type(&self, request: Request<PutType>) -> Reply<'_, ()> {
        self.timed(self.service.put_type(request))
    }

    fn pins(&self, request: Request<GetPins>) -> Reply<'_, Vec<PinnedObject>> {
        self.timed(self.service.pins(request))
    }

    fn add_pins(&self, request: Request<AddPins>) -> Reply<'_, ()> {
        self.timed(self.service.add_pins(request))
    }
}
