//! Questions that the session itself asks the server, within the client's own transaction.
//!
//! Between batches a question ends with a Sync of its own, so that it leaves no implicit transaction behind; within a
//! batch it ends with Flush, so that the client's implicit transaction goes on.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::cancel::cancelled;
use super::catalog::{Answers, CatalogError, READING_PATIENCE, Slot};
use super::ledger::{Await, Reader, Undo};
use super::prepared::{Prepared, Statement};
use super::{Fault, Session, errors};
use crate::schema::catalog::{Catalog, Oid};
use crate::schema::snapshot;
use crate::wire::client::{self, BindBuilder, Kind};
use crate::wire::error::PgError;
use crate::wire::frame::{self, HEADER, MAX_LARGE};
use crate::wire::server::{DataRow, ParameterDescription, TransactionStatus, tag};

/// Name of the session's own statements and portals.
const OWN: &[u8] = b"_columnseal_own";

const ISOLATION: &str = "SELECT pg_catalog.current_setting('transaction_isolation')";

/// What is known of settings beside search_path: names, in the order of [`VARS`].
const SETTINGS: [&str; 7] = [
    "extra_float_digits",
    "bytea_output",
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "client_encoding",
    "standard_conforming_strings",
];

const VARS: &str = "SELECT pg_catalog.array_to_json(pg_catalog.array_remove(pg_catalog.array_append( \
     pg_catalog.current_schemas(true), pg_catalog.current_schema()), NULL))::pg_catalog.text, \
     pg_catalog.current_setting('extra_float_digits'), pg_catalog.current_setting('bytea_output'), \
     pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('DateStyle'), \
     pg_catalog.current_setting('IntervalStyle'), pg_catalog.current_setting('client_encoding'), \
     pg_catalog.current_setting('standard_conforming_strings')";

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
    /// Runs a query that returns text. What was sent before is answered first.
    pub(super) async fn ask(&mut self, sql: &str) -> Answer<Vec<Vec<Option<String>>>> {
        if !self.settled().await? {
            return Ok(None);
        }
        if self.state.replication {
            return self.ask_simply(sql).await;
        }
        self.clear_own()?;
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
        Ok(Some(text_rows(&frames)))
    }

    /// As a simple query, which is all that a replication connection takes. It is answered as if it had been sent in parts.
    async fn ask_simply(&mut self, sql: &str) -> Answer<Vec<Vec<Option<String>>>> {
        client::query(&mut self.pipe.server.output, sql.as_bytes())?;
        for part in [Await::DescribePortal(None), Await::Execute(None), Await::Sync] {
            self.state.expect_own(part, None);
        }
        let Some(frames) = self.answered().await? else { return Ok(None) };
        Ok(Some(text_rows(&frames)))
    }

    /// Reads values of a query's one column, of type bytea, part by part. `query`: its text, the type of its parameter and that
    /// itself, if it has one; `None` goes on with the query before. Tells whether more follows; [`Session::end_parts`] ends it.
    pub(super) async fn ask_part(
        &mut self,
        query: Option<(&str, Oid, Option<&[u8]>)>,
        part: i32,
    ) -> Answer<(Vec<Vec<u8>>, bool)> {
        if query.is_some() && !self.settled().await? {
            return Ok(None);
        }
        if query.is_some() {
            self.clear_own()?;
        }
        let out = &mut self.pipe.server.output;
        if let Some((sql, oid, value)) = query {
            client::parse(out, OWN, sql.as_bytes(), value.map(|_| oid))?;
            let mut bind = BindBuilder::new(out, OWN, OWN, value.map(|_| 1))?;
            if value.is_some() {
                bind.params().value(value);
            }
            bind.finish([1])?;
        }
        client::execute(out, OWN, part)?;
        if query.is_some() {
            self.state.expect_own(Await::Parse(Undo::None), None);
            self.state.expect_own(Await::Bind(Undo::None, None), None);
        }
        self.state.expect_own(Await::Execute(None), None);
        let Some(frames) = self.settle_own().await? else { return Ok(None) };
        let (mut values, mut more) = (Vec::new(), false);
        each_frame(&frames, |kind, body| match kind {
            tag::DATA_ROW => {
                let row = DataRow::parse(body).ok();
                values.extend(row.and_then(|row| row.iter().next().flatten().map(<[u8]>::to_vec)));
            }
            tag::PORTAL_SUSPENDED => more = true,
            _ => {}
        });
        Ok(Some((values, more)))
    }

    /// Closes what [`Session::ask_part`] has open.
    pub(super) fn end_parts(&mut self) -> Result<(), Fault> {
        let out = &mut self.pipe.server.output;
        client::close(out, Kind::Portal, OWN)?;
        client::close(out, Kind::Statement, OWN)?;
        self.state.ledger.push(Await::Close(Undo::None), Reader::Nobody, None);
        self.state.ledger.push(Await::Close(Undo::None), Reader::Nobody, None);
        Ok(())
    }

    /// A question that failed before may have left its statement behind. Closing one that is not there is no error.
    fn clear_own(&mut self) -> Result<(), Fault> {
        client::close(&mut self.pipe.server.output, Kind::Statement, OWN)?;
        self.state.expect_own(Await::Close(Undo::None), None);
        Ok(())
    }

    /// Has PostgreSQL describe a statement that is not run.
    pub(super) async fn ask_description(
        &mut self,
        sql: &str,
        oids: &[Oid],
        prepared: &Arc<Prepared>,
    ) -> Answer<Description> {
        if !self.settled().await? {
            return Ok(None);
        }
        self.clear_own()?;
        let out = &mut self.pipe.server.output;
        client::parse(out, OWN, sql.as_bytes(), oids.iter().copied())?;
        client::describe(out, Kind::Statement, OWN)?;
        client::close(out, Kind::Statement, OWN)?;
        let statement = Some(Statement::Plan(Arc::clone(prepared), self.state.seen()));
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
        self.answered().await
    }

    /// Waits for the answer to a question: the frames as they came.
    async fn answered(&mut self) -> Answer<Vec<u8>> {
        self.state.own_failed = false;
        self.until_with(true, |state| state.own == 0).await?;
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

    /// As [`Session::settle`]. `false`: something failed, and the server skips to the client's Sync.
    pub(super) async fn settled(&mut self) -> Result<bool, Fault> {
        self.settle().await?;
        Ok(!self.state.ledger.skipping)
    }

    /// Learns search_path and the other settings that statements and values depend on. `None`: failed, the client has
    /// the error.
    pub(super) async fn ask_vars(&mut self) -> Answer<()> {
        let Some(rows) = self.ask(VARS).await? else { return Ok(None) };
        let mut row = rows.into_iter().next().unwrap_or_default().into_iter();
        let path = row.next().flatten().and_then(|json| serde_json::from_str(&json).ok());
        let settings = SETTINGS.into_iter().zip(row.map(Option::unwrap_or_default));
        self.state.learned(path.unwrap_or_default(), settings);
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
        if !self.settled().await? {
            return Ok(None);
        }
        let slot = Arc::clone(&self.state.view.slot);
        if self.is_open() && !self.state.view.frozen {
            let Some(rows) = self.ask(ISOLATION).await? else { return Ok(None) };
            let level = rows.into_iter().flatten().next().flatten().unwrap_or_default();
            self.state.view.frozen = !matches!(level.as_str(), "read committed" | "read uncommitted");
        }
        if slot.needs_probe() && !self.state.view.frozen {
            let Some(rows) = self.ask(snapshot::CHANGE_PROBE).await? else { return Ok(None) };
            slot.probed(rows.into_iter().flatten().next().flatten());
        }
        self.read_catalog(&slot).await
    }

    /// A transaction of the client's is open, implicit ones included.
    fn is_open(&self) -> bool {
        self.state.status != TransactionStatus::Idle || self.state.in_batch
    }

    /// Takes the shared snapshot, or reads it, or reads one of the session's own where it sees what others do not.
    async fn read_catalog(&mut self, slot: &Arc<Slot>) -> Answer<Result<(), PgError>> {
        let view = &self.state.view;
        let mut private = view.temporary || (self.is_open() && (view.dirty || view.ddl_open || view.private));
        let mut guard = None;
        if view.frozen {
            // Its own changes are all that it can see. What others changed since must not be missed.
            let unchanged = view.epoch == Some(slot.epoch());
            match slot.fresh() {
                Some((shared, epoch)) if !private => {
                    self.take_catalog(shared, epoch, false);
                    return Ok(Some(Ok(())));
                }
                _ if private && unchanged => {}
                _ => return Ok(Some(Err(errors::catalog_changed()))),
            }
        } else if !private {
            guard = match slot.fresh() {
                Some(_) => None,
                None => tokio::select! {
                    read = timeout(READING_PATIENCE, slot.reading.lock()) => read.ok(),
                    () = self.state.asked.beyond(self.state.heard) => return Ok(Some(Err(cancelled()))),
                },
            };
            if let Some((shared, epoch)) = slot.fresh() {
                self.take_catalog(shared, epoch, false);
                return Ok(Some(Ok(())));
            }
            // Another session is stuck in the middle of it.
            private = guard.is_none();
        }
        let epoch = slot.epoch();
        let began = Instant::now();
        let Some(answers) = self.ask_snapshot().await? else { return Ok(None) };
        let catalogs = Arc::clone(&self.shared.catalogs);
        let read = match &answers {
            Ok(answers) if private => catalogs.build(slot, answers, false).await,
            Ok(answers) => catalogs.publish(slot, answers, epoch).await,
            Err(e) => return Ok(Some(Err(errors::catalog(e)))),
        };
        drop(guard);
        self.shared.metrics.catalog.seconds.record(began.elapsed());
        match read {
            Ok(catalog) => {
                self.take_catalog(catalog, epoch, private);
                Ok(Some(Ok(())))
            }
            Err(e) => Ok(Some(Err(errors::catalog(&e)))),
        }
    }

    fn take_catalog(&mut self, catalog: Arc<Catalog>, epoch: u64, private: bool) {
        if self.state.view.catalog.version != catalog.version {
            // Schemas that it leads to may be others now.
            self.state.vars.forget_path();
        }
        let view = &mut self.state.view;
        view.catalog = catalog;
        view.epoch = Some(epoch);
        view.private = private;
        view.dirty = false;
    }
}

fn text_rows(frames: &[u8]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    each_frame(frames, |kind, body| {
        if kind == tag::DATA_ROW
            && let Ok(values) = DataRow::parse(body)
        {
            rows.push(values.iter().map(|v| v.map(|b| String::from_utf8_lossy(b).into_owned())).collect());
        }
    });
    rows
}

fn each_frame(mut frames: &[u8], mut f: impl FnMut(u8, &[u8])) {
    while let Ok(Some((kind, total))) = frame::header(frames, MAX_LARGE)
        && let Some(raw) = frames.get(..total)
    {
        f(kind, &raw[HEADER..]);
        frames = &frames[total..];
    }
}
