//! What runs with a plan's statement, as a part of it: the client sees one statement, which ends as a whole or not at all.
//!
//! All of it goes into the client's own batch, so an error anywhere undoes the rest as PostgreSQL undoes a statement.

use tokio::io::{AsyncRead, AsyncWrite};

use super::ledger::{Await, Reader, Undo};
use super::{Fault, Session};
use crate::wire::client::{self, BindBuilder, Kind};

/// Name of the statements and portals.
pub(super) const STEP: &[u8] = b"_columnseal_step";

impl<C, S> Session<C, S>
where
    C: AsyncRead + AsyncWrite + Unpin + Send,
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    /// Sends statements. `tag`: of the whole, where the last of them is its end.
    pub(super) fn send_steps(&mut self, steps: &[String], tag: Option<&'static str>) -> Result<(), Fault> {
        for (i, sql) in steps.iter().enumerate() {
            let out = &mut self.pipe.server.output;
            // One that failed may have left it.
            client::close(out, Kind::Statement, STEP)?;
            client::parse(out, STEP, sql.as_bytes(), [])?;
            BindBuilder::new(out, STEP, STEP, [])?.finish([])?;
            client::execute(out, STEP, 0)?;
            client::close(out, Kind::Portal, STEP)?;
            client::close(out, Kind::Statement, STEP)?;
            let tag = tag.filter(|_| i + 1 == steps.len());
            let close = || Await::Close(Undo::None);
            let run = [Await::Parse(Undo::None), Await::Bind(Undo::None, None), Await::Step(tag)];
            for what in [close()].into_iter().chain(run).chain([close(), close()]) {
                self.state.ledger.push(what, Reader::Nobody, None);
            }
        }
        Ok(())
    }
}
