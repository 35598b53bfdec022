//! COPY as a part of the session: portals that copy are run, and rows of the client's handed to the server until it ends.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::copy_in::{self, Around, Incoming, Stop};
use super::copy_seal::{Sealer, Wanted};
use super::ledger::Await;
use super::pipe::{HIGH_WATER, Want};
use super::prepared::Portal;
use super::{FETCH_TRIES, Fault, Session, errors};
use crate::keys::KeysError;
use crate::telemetry::metrics::Spent;
use crate::wire::client;
use crate::wire::error::{PgError, Severity};

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Runs a portal of a plan. `rows`: how many are wanted; 0 is all.
    pub(super) async fn execute_plan(&mut self, name: &[u8], rows: i32, portal: Arc<Portal>) -> Result<(), Fault> {
        let plan = Arc::clone(&portal.prepared.plan);
        if let Some(steps) = &plan.steps {
            self.send_steps(&steps.before, None)?;
        }
        self.explained(&portal.prepared, false)?;
        client::execute(&mut self.pipe.server.output, name, rows)?;
        self.state.batch.opens |= portal.prepared.opens();
        self.state.batch.undoes |= portal.prepared.undoes();
        if portal.prepared.plan.cursor.is_some() {
            self.state.cursors.declares();
        }
        self.state.runs(portal.prepared.effects);
        self.state.exchange.runs_plan(&portal.prepared);
        self.state.in_batch = true;
        self.state.ledger.expect(Await::Execute(Some(Arc::clone(&portal))));
        self.explained(&portal.prepared, true)?;
        if let Some(steps) = &plan.steps {
            self.send_steps(&steps.after, Some(steps.tag))?;
        }
        if portal.prepared.plan.copy_in().is_some() {
            self.copy_in(Some(portal)).await?;
        }
        Ok(())
    }

    /// Hands rows of the client's to the server until one of them ends it. `None`: they go on as they are.
    pub(super) async fn copy_in(&mut self, portal: Option<Arc<Portal>>) -> Result<(), Fault> {
        self.copy_begins().await?;
        let sealer = match portal.map(|portal| Sealer::new(portal, self.state.csv_marker)) {
            Some(None) if self.state.copying => {
                return self.fail_copy(errors::internal("rows of no COPY FROM"), 0).await;
            }
            sealer => sealer.flatten(),
        };
        let mut incoming = Incoming::new(sealer);
        let mut tries = 0;
        while self.state.copying {
            // The client is read only once all that it sent before went on.
            let mut dry = false;
            let room = HIGH_WATER.saturating_sub(self.pipe.server.pending());
            if room > 0 {
                let mut around = Around { ring: &self.shared.ring, tally: &mut self.state.tally };
                let (input, out) = (&self.pipe.client.input, &mut self.pipe.server.output);
                self.state.exchange.turn_to(Some(Spent::Sealing));
                let (used, outcome) = incoming.take(&mut around, input, room, out);
                self.pipe.client.consume(used);
                let sealed = incoming.sealed(|keyset, values| self.shared.ring.sealed(keyset, values));
                self.shared.metrics.sealed(sealed);
                tries = if sealed > 0 { 0 } else { tries };
                match outcome {
                    Err(error) => return self.fail_copy(error, incoming.left).await,
                    Ok(Stop::Keys(wanted)) => {
                        tries += 1;
                        if let Err(error) = self.fetch_for_copy(wanted, tries).await {
                            return self.fail_copy(error, incoming.left).await;
                        }
                        continue;
                    }
                    Ok(Stop::Done) => {
                        client::copy_done(&mut self.pipe.server.output);
                        self.state.copying = false;
                        return Ok(());
                    }
                    Ok(Stop::Full) => {}
                    Ok(Stop::Dry) if !self.pipe.client.ended => dry = true,
                    Ok(Stop::Dry | Stop::Bye) => {
                        self.leave();
                        return Ok(());
                    }
                }
            }
            self.state.keys.clear();
            self.turn(Want { client: dry, server: true, own: false }).await?;
            self.take_server().await?;
            self.count();
            if self.pipe.server.ended {
                return Err(Fault::Closed);
            }
        }
        // The server has ended it: what is left of the message at hand goes nowhere.
        self.state.dropping_client = incoming.left;
        Ok(())
    }

    async fn fetch_for_copy(&mut self, wanted: Wanted, tries: u32) -> Result<(), PgError> {
        self.state.exchange.turn_to(Some(Spent::Keys));
        let ring = &self.shared.ring;
        let fetched = match wanted {
            _ if tries > FETCH_TRIES => Err(KeysError::unavailable("a fetched key was not kept")),
            Wanted::Data(keyset) => ring.ready(keyset).await,
            Wanted::Terms(keyset, type_id) => ring.fetch_term_keys(keyset, type_id).await.map(|_| ()),
        };
        fetched.map_err(|error| errors::keys(&error, ""))
    }

    /// Makes the COPY fail on the server as well, whose error becomes ours. `left`: bytes of the client's message at hand.
    async fn fail_copy(&mut self, error: PgError, left: usize) -> Result<(), Fault> {
        if error.severity == Severity::Fatal {
            return Err(error.into());
        }
        self.shared.refused(error.sqlstate.0);
        self.state.exchange.failed(error.sqlstate.0.as_bytes());
        client::copy_fail(&mut self.pipe.server.output, copy_in::OURS)?;
        self.state.copy_fault = Some(Box::new(error));
        self.state.dropping_client = left;
        self.until(|state| !state.copying).await
    }
}
