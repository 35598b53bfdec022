//! One request, as pages see it.

use std::sync::Arc;

use crate::crypto::ClientId;
use crate::keyserver::Workspace;
use crate::keyserver::workspace::Sight;

use super::answer::{Answer, Fault, Result};
use super::desk::Desk;
use super::form::Form;
use super::place::Kind;

/// A request of somebody who is signed in.
pub(super) struct Visit {
    /// Where this is.
    pub(super) kind: Kind,
    /// The parts of the address.
    pub(super) path: Vec<String>,
    /// What stands behind it.
    pub(super) query: Form,
    /// What was sent; `None`: this only looks.
    pub(super) form: Option<Form>,
    /// Goes into every form.
    pub(super) token: String,
    /// Who.
    pub(super) who: ClientId,
    /// What is acted on.
    pub(super) workspace: Workspace,
    /// Jobs, and keys that are shown once.
    pub(super) desk: Arc<Desk>,
}

impl Visit {
    /// The page is served on the admin's machine: the key is at hand.
    pub(super) fn local(&self) -> bool {
        self.kind == Kind::Local
    }

    /// The workspace, for a change that holds only while things are as the form shows them.
    pub(super) fn as_seen(&self, form: &Form, client: Option<&str>, keyset: Option<&str>) -> Workspace {
        let [client, keyset] = [client, keyset].map(|name| name.map(str::to_owned));
        self.workspace.as_seen(Sight { client, keyset, stamp: form.text("stamp").to_owned() })
    }

    /// What was done is told on the page at `to`.
    pub(super) fn done(&self, to: &str, done: &str) -> Answer {
        let sign = if to.contains('?') { '&' } else { '?' };
        Answer::See(format!("{to}{sign}done={done}"))
    }

    /// A conflict becomes a page that says so.
    pub(super) fn told<T>(
        &self,
        result: std::result::Result<T, crate::keys::error::KeysError>,
        what: &str,
        back: &str,
    ) -> Result<T> {
        result.map_err(|error| match error {
            crate::keys::error::KeysError::Conflict => Fault::Changed { what: what.to_owned(), back: back.to_owned() },
            error => Fault::Keys(error),
        })
    }
}
