//! Lists of clients: which, and in what order.

use std::time::Duration;

use crate::keys::claims::ClientRecord;
use crate::keys::clock::wall_ms;
use crate::keys::error::KeysError;

use super::view::View;
use super::{ClientInfo, ClientKind, Workspace};

/// Which clients a list shows. Everything that is given must hold.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// Of this kind.
    pub kind: Option<ClientKind>,
    /// `active`, `disabled` or `expired`.
    pub status: Option<String>,
    /// With a grant of this keyset, by name or id.
    pub keyset: Option<String>,
    /// Of this owner.
    pub owner: Option<String>,
    /// Ending within this time, or ended already.
    pub expiring: Option<Duration>,
    /// Not seen for this long.
    pub unused: Option<Duration>,
}

/// In what order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ClientOrder {
    /// By name.
    #[default]
    Name,
    /// The oldest first.
    Created,
    /// What ends first; what does not end last.
    Expires,
    /// What was not seen for longest first.
    Seen,
}

impl Workspace {
    /// The clients that a filter lets through.
    ///
    /// # Errors
    /// [`KeysError::UnknownKeyset`] for a keyset that there is not.
    pub fn find_clients(&self, filter: &ClientFilter, order: ClientOrder) -> Result<Vec<ClientInfo>, KeysError> {
        let view = self.view()?;
        let keyset = filter.keyset.as_deref().map(|name| view.keyset(name)).transpose()?.map(|keyset| keyset.record.id);
        let mut found = Vec::new();
        for client in &view.clients {
            let record = &client.0;
            let info = view.client_info(client);
            let granted = keyset.is_none_or(|keyset| view.grant(record.id(), keyset).is_some());
            if granted && filter.takes(&view, record, info.status) {
                found.push((record, info));
            }
        }
        let seen = |record: &ClientRecord| view.seen.get(&record.id()).map(|seen| seen.time_ms);
        match order {
            ClientOrder::Name => found.sort_by(|a, b| a.0.name.cmp(&b.0.name)),
            ClientOrder::Created => found.sort_by_key(|(record, _)| record.created_ms),
            ClientOrder::Expires => found.sort_by_key(|(record, _)| record.expires_ms.unwrap_or(u64::MAX)),
            ClientOrder::Seen => found.sort_by_key(|(record, _)| seen(record)),
        }
        Ok(found.into_iter().map(|(_, info)| info).collect())
    }
}

impl ClientFilter {
    fn takes(&self, view: &View, record: &ClientRecord, status: &str) -> bool {
        let (now, ms) = (wall_ms(), |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        // A key that was never seen counts from when it was made.
        let last = view.seen.get(&record.id()).map_or(record.created_ms, |seen| seen.time_ms);
        self.kind.is_none_or(|kind| kind == record.kind)
            && self.status.as_ref().is_none_or(|wanted| wanted == status)
            && self.owner.as_ref().is_none_or(|owner| *owner == record.owner)
            && self.expiring.is_none_or(|span| record.expires_ms.is_some_and(|end| end <= now.saturating_add(ms(span))))
            && self.unused.is_none_or(|span| last.saturating_add(ms(span)) <= now)
    }
}
