//! Questions that the session itself asks the server, within the client's own transaction.
//!
//! Between batches a question ends with a Sync of its own, so that it leaves no implicit transaction behind; within a
//! batch it ends with Flush, so that the client's implicit transaction goes on.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::catalog::{Answers, CatalogError};
use super::ledger::{Await, Undo};
use super::prepared::{Prepared, Statement};
use super::{Fault, Session, errors};
use crate::schema::catalog::Oid;
use crate::schema::snapshot;
use crate::wire::client::{self, BindBuilder, Kind};
use crate::wire::error::PgError;
use crate::wire::frame::{self, HEADER, MAX_LARGE};
use crate::wire::server::{DataRow, ParameterDescription, TransactionStatus, tag};

/// Name of the session's own statements and portals.
const OWN: &[u8] = b"_columnseal_own";

/// Settings that PostgreSQL does not report by itself.
const VARS: &str = "SELECT pg_catalog.array_to_json(pg_catalog.current_schemas(true))::pg_catalog.text, \
     pg_catalog.current_setting('extra_float_digits'), pg_catalog.current_setting('bytea_output')";

/// Answer to a question. `None`: it failed, the client has the error and the server skips to the client's Sync.
pub(super) type Answer<T> = Result<Option<T>, Fault>;

/// What PostgreSQL says of a statement.
pub(super) struct Description {
    pub(super) params: Vec<Oid>,
    /// Body of RowDescription; `None`: NoData.
    pub(super) row: Option<Vec<u8>>,
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Runs a query that returns text.
    async fn ask(&mut self, sql: &str) -> Answer<Vec<Vec<Option<String>>>> {
        let out = &mut self.pipe.server.output;
        client::parse(out, OWN, sql.as_bytes(), [])?;
        BindBuilder::new(out, OWN, OWN, [])?.finish([])?;
        client::execute(out, OWN, 0)?;
        client::close(out, Kind::Portal, OWN)?;
        client::close(out, Kind::Statement, OWN)?;
        self.state.expect_own(Await::Parse(Undo::None), None);
        self.state.expect_own(Await::Bind(Undo::None, None), None);
        self.state.expect_own(Await::Execute(None), None);
        self.state.expect_own(Await::Close(Undo::None), None);
        self.state.expect_own(Await::Close(Undo::None), None);
        let Some(frames) = self.settle_own().await? else { return Ok(None) };
        let mut rows = Vec::new();
        each_frame(&frames, |kind, body| {
            if kind == tag::DATA_ROW
                && let Ok(values) = DataRow::parse(body)
            {
                rows.push(values.iter().map(|v| v.map(|b| String::from_utf8_lossy(b).into_owned())).collect());
            }
        });
        Ok(Some(rows))
    }

    /// Has PostgreSQL describe a statement that is not run.
    pub(super) async fn ask_description(
        &mut self,
        sql: &str,
        oids: &[Oid],
        prepared: &Arc<Prepared>,
    ) -> Answer<Description> {
        let out = &mut self.pipe.server.output;
        client::parse(out, OWN, sql.as_bytes(), oids.iter().copied())?;
        client::describe(out, Kind::Statement, OWN)?;
        client::close(out, Kind::Statement, OWN)?;
        let statement = Some(Statement::Plan(Arc::clone(prepared)));
        self.state.expect_own(Await::Parse(Undo::None), statement.clone());
        self.state.expect_own(Await::DescribeStatement(None), statement);
        self.state.expect_own(Await::Close(Undo::None), None);
        let Some(frames) = self.settle_own().await? else { return Ok(None) };
        let mut description = Description { params: Vec::new(), row: None };
        each_frame(&frames, |kind, body| match kind {
            tag::PARAMETER_DESCRIPTION => {
                description.params = ParameterDescription::parse(body).map(|o| o.iter().collect()).unwrap_or_default();
            }
            tag::ROW_DESCRIPTION => description.row = Some(body.to_vec()),
            _ => {}
        });
        Ok(Some(description))
    }

    /// Ends a question and waits for its answer: the frames as they came.
    async fn settle_own(&mut self) -> Answer<Vec<u8>> {
        let in_batch = self.state.in_batch;
        if in_batch {
            client::flush(&mut self.pipe.server.output);
        } else {
            client::sync(&mut self.pipe.server.output);
            self.state.expect_own(Await::Sync, None);
        }
        self.state.own_failed = false;
        self.until(|state| state.own == 0).await?;
        let frames = self.state.collected.take();
        if std::mem::take(&mut self.state.own_failed) {
            self.state.ledger.skipping = true;
            return Ok(None);
        }
        Ok(Some(frames.unwrap_or_default()))
    }

    /// Waits until everything sent so far is answered.
    pub(super) async fn settle(&mut self) -> Result<(), Fault> {
        if self.state.ledger.is_empty() {
            return Ok(());
        }
        client::flush(&mut self.pipe.server.output);
        self.until(|state| state.ledger.is_empty()).await
    }

    /// Learns search_path and the other settings that are not reported. `None`: failed, the client has the error.
    pub(super) async fn ask_vars(&mut self) -> Answer<()> {
        let Some(rows) = self.ask(VARS).await? else { return Ok(None) };
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
        let path = row.next().flatten().and_then(|json| serde_json::from_str(&json).ok());
        let settings = Arc::make_mut(&mut self.state.settings);
        for (name, value) in ["extra_float_digits", "bytea_output"].into_iter().zip(row) {
            settings.report(name, &value.unwrap_or_default());
        }
        self.state.vars.search_path = Some(path.unwrap_or_default());
        Ok(Some(()))
    }

    async fn ask_snapshot(&mut self) -> Answer<Result<Answers, CatalogError>> {
        let Some(head) = self.ask(snapshot::HEAD).await? else { return Ok(None) };
        let pinned = match self.shared.catalogs.has_pins(&self.database).await {
            Ok(pinned) => pinned,
            Err(e) => return Ok(Some(Err(e))),
        };
        let rest = snapshot::rest(&head, pinned);
        let mut answers = vec![head];
        for sql in rest {
            let Some(rows) = self.ask(sql).await? else { return Ok(None) };
            answers.push(rows);
        }
        Ok(Some(Ok(answers)))
    }

    /// Makes the catalog at hand the one that the next statement is to be judged by.
    ///
    /// `Err` within: it cannot be had, and nothing may be judged. `None`: the client already has an error.
    pub(super) async fn refresh_catalog(&mut self) -> Answer<Result<(), PgError>> {
        if self.state.view.dirty {
            self.settle().await?;
            if self.state.ledger.skipping {
                return Ok(None);
            }
        }
        let slot = Arc::clone(&self.state.view.slot);
        if slot.needs_probe() {
            let Some(rows) = self.ask(snapshot::CHANGE_PROBE).await? else { return Ok(None) };
            slot.probed(rows.into_iter().flatten().next().flatten());
        }
        let uncommitted =
            self.state.view.dirty && (self.state.status == TransactionStatus::InTransaction || self.state.in_batch);
        if uncommitted
            || self.state.view.temporary
            || self.state.view.private && self.state.status != TransactionStatus::Idle
        {
            return self.read_private().await;
        }
        let reading = Arc::clone(&slot);
        let guard = reading.reading.lock().await;
        let shared = match slot.fresh() {
            Some(catalog) if !self.state.view.dirty => catalog,
            _ => {
                let Some(answers) = self.ask_snapshot().await? else { return Ok(None) };
                let published = match &answers {
                    Ok(answers) => self.shared.catalogs.publish(&slot, answers).await.map_err(|e| errors::catalog(&e)),
                    Err(e) => Err(errors::catalog(e)),
                };
                match published {
                    Ok(catalog) => catalog,
                    Err(e) => return Ok(Some(Err(e))),
                }
            }
        };
        drop(guard);
        let view = &mut self.state.view;
        view.base = shared.version;
        view.catalog = shared;
        view.dirty = false;
        view.private = false;
        Ok(Some(Ok(())))
    }

    async fn read_private(&mut self) -> Answer<Result<(), PgError>> {
        let base = self.state.view.slot.fresh().map_or(0, |c| c.version);
        let Some(answers) = self.ask_snapshot().await? else { return Ok(None) };
        let built = match &answers {
            Ok(answers) => {
                self.shared.catalogs.build(&self.database, answers, false).await.map_err(|e| errors::catalog(&e))
            }
            Err(e) => Err(errors::catalog(e)),
        };
        match built {
            Ok(catalog) => {
                let view = &mut self.state.view;
                view.catalog = catalog;
                view.base = base;
                view.private = true;
                view.dirty = false;
                Ok(Some(Ok(())))
            }
            Err(e) => Ok(Some(Err(e))),
        }
    }
}

fn each_frame(mut frames: &[u8], mut f: impl FnMut(u8, &[u8])) {
    while let Ok(Some((kind, total))) = frame::header(frames, MAX_LARGE)
        && let Some(raw) = frames.get(..total)
    {
        f(kind, &raw[HEADER..]);
        frames = &frames[total..];
    }
}
