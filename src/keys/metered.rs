//! A key service whose requests are counted and timed.

use std::sync::Arc;
use std::time::Instant;

use crate::crypto::ClientId;
use crate::telemetry::metrics;

use super::request::{Call, ServiceId};
use super::service::{KeyService, Reply, Standing};

/// Counts what goes to the service within. Waiting for a change is not counted.
pub struct Metered {
    service: Arc<dyn KeyService>,
    metrics: metrics::KeyService,
}

impl Metered {
    /// Counts what goes to `service`.
    pub fn new(service: Arc<dyn KeyService>, metrics: metrics::KeyService) -> Self {
        Self { service, metrics }
    }
}

impl KeyService for Metered {
    fn id(&self) -> ServiceId {
        self.service.id()
    }

    fn call(&self, call: Call) -> Reply<'_, Vec<u8>> {
        Box::pin(async move {
            let begin = Instant::now();
            let answer = self.service.call(call).await;
            self.metrics.record(answer.is_ok(), begin.elapsed());
            answer
        })
    }

    fn next_standing(&self, client: ClientId, seen: Standing) -> Reply<'_, Standing> {
        self.service.next_standing(client, seen)
    }
}
