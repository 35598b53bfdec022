//! Statements about catalogs, in sessions that see them as plain: sent as [`introspect`] edits them.
//!
//! The message is edited before anything else looks at it, so that all the rest goes as if the client had sent it so.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::state::State;
use super::{Fault, Session};
use crate::sql::introspect::{self, Introspection};
use crate::wire::client::{self, tag};
use crate::wire::error::PgError;
use crate::wire::frame::HEADER;
use crate::wire::sqlstate::SqlState;

/// What became of a message.
pub(super) enum Introspected {
    /// Nothing.
    Unchanged,
    /// This is to be handled in its place.
    Rewritten(Bytes),
    /// The client has its answer, an error.
    Answered,
}

/// `columnseal.introspection` takes two words alone.
pub(super) fn unknown() -> PgError {
    PgError::error(SqlState("22023"), "invalid value for parameter \"columnseal.introspection\"")
        .hint("It is sealed or plain.")
}

/// Catalogs are to be read as plain, and the database has not what that needs.
fn old_schema() -> PgError {
    PgError::error(SqlState("55000"), "columnseal.introspection = plain needs a newer version of schema seal")
        .hint("Run columnseal db upgrade; or SET columnseal.introspection = sealed.")
}

impl State {
    /// Catalogs may be seen as plain once everything before has run.
    fn may_see_plain(&self) -> bool {
        self.choice.introspection() == Introspection::Plain || self.ledger.is_moving()
    }

    /// The text may name catalogs, and they may be seen as plain.
    pub(super) fn may_introspect(&self, sql: &[u8]) -> bool {
        self.may_see_plain() && introspect::names_catalogs(sql)
    }
}

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Edits a message with a statement about catalogs, where they are to be seen as plain.
    pub(super) async fn introspected(&mut self, raw: &Bytes) -> Result<Introspected, Fault> {
        if !self.state.may_see_plain() {
            return Ok(Introspected::Unchanged);
        }
        let body = &raw[HEADER..];
        let sql = match raw[0] {
            tag::QUERY => client::Query::parse(body).map_err(|_| Fault::Malformed)?.sql,
            tag::PARSE => client::Parse::parse(body).map_err(|_| Fault::Malformed)?.sql,
            _ => return Ok(Introspected::Unchanged),
        };
        if !self.state.may_introspect(sql) {
            return Ok(Introspected::Unchanged);
        }
        if self.state.ledger.is_moving() && !self.settled().await? {
            return self.skipped(raw[0]).await;
        }
        if self.state.choice.introspection() == Introspection::Sealed || self.state.has_failed() {
            return Ok(Introspected::Unchanged);
        }
        let Some(text) = self.readable(sql) else { return Ok(Introspected::Unchanged) };
        if !self.state.catalog_is_current() {
            match self.refresh_catalog().await? {
                Some(Ok(())) => {}
                Some(Err(error)) => return self.refused(raw[0], error),
                None => return self.skipped(raw[0]).await,
            }
        }
        let catalog = &self.state.view.catalog;
        match catalog.seal_version {
            None => return Ok(Introspected::Unchanged),
            Some(version) if version < introspect::VERSION => return self.refused(raw[0], old_schema()),
            Some(_) => {}
        }
        let Some(plain) = introspect::plain(text, catalog, self.state.standard_conforming_strings) else {
            return Ok(Introspected::Unchanged);
        };
        let mut message = Vec::with_capacity(plain.sql.len() + 64);
        match raw[0] {
            tag::QUERY => client::query(&mut message, plain.sql.as_bytes())?,
            _ => {
                let parse = client::Parse::parse(body).map_err(|_| Fault::Malformed)?;
                client::parse(&mut message, parse.name, plain.sql.as_bytes(), parse.oids.iter())?;
            }
        }
        self.state.ledger.edited = Some(plain.positions);
        Ok(Introspected::Rewritten(message.into()))
    }

    fn refused(&mut self, kind: u8, error: PgError) -> Result<Introspected, Fault> {
        match kind {
            tag::QUERY => self.poison_query(error)?,
            _ => self.poison(error)?,
        }
        Ok(Introspected::Answered)
    }

    /// Something failed before it, and the client has that error.
    async fn skipped(&mut self, kind: u8) -> Result<Introspected, Fault> {
        if kind == tag::QUERY {
            self.end_query().await?;
        }
        Ok(Introspected::Answered)
    }
}
