//! What SHOW tells of the proxy: the one parameter of the query that the server answers it with.

use serde_json::{Value, json};

use super::choice::Pick;
use super::prepared::Prepared;
use super::{Session, errors};
use crate::crypto::KeysetId;
use crate::schema::catalog::{EncType, Standing};
use crate::schema::registry::terms_list;
use crate::sql::own::{Show, Spelling};
use crate::sql::plan::Role;
use crate::wire::error::PgError;

impl<C, S> Session<C, S> {
    /// The text of a plan's SHOW, if it is one.
    pub(super) fn shown(&self, prepared: &Prepared) -> Result<Option<String>, PgError> {
        let show = prepared.plan.params.iter().find_map(|p| match p.role {
            Role::Shown(show) => Some(show),
            _ => None,
        });
        Ok(match show {
            None => None,
            Some(Show::Keyset(Spelling::Introspection)) => Some(self.state.choice.introspection().name().to_owned()),
            Some(Show::Keyset(spelling)) => Some(self.keyset(spelling)?),
            Some(Show::Version) => Some(env!("CARGO_PKG_VERSION").to_owned()),
            Some(Show::Status) => Some(json!([self.status()?]).to_string()),
            Some(Show::Keysets) => Some(self.keysets().to_string()),
            Some(Show::Types) => Some(self.types().to_string()),
        })
    }

    /// The choice as it was named; empty if there is none.
    fn keyset(&self, spelling: Spelling) -> Result<String, PgError> {
        let given = match self.state.choice.active() {
            Pick::Configured => self.shared.ring.configured().unwrap_or_default(),
            Pick::Nothing => "",
            Pick::Keyset { given, .. } => given,
            Pick::Lost => return Err(errors::lost_choice()),
        };
        Ok(match (spelling, self.chosen()) {
            (Spelling::Keyset | Spelling::Introspection, _) => given.to_owned(),
            (Spelling::Id, id) => id.map(|id| id.to_string()).unwrap_or_default(),
            (Spelling::Name, id) => id.and_then(|id| self.shared.ring.name_of(id)).unwrap_or_default(),
        })
    }

    /// The keyset that new values would be sealed in, if there is one.
    fn chosen(&self) -> Option<KeysetId> {
        self.state.choice.active().keyset(&self.shared.ring, "").ok()
    }

    fn status(&self) -> Result<Value, PgError> {
        let ring = &self.shared.ring;
        let (left, revision) = (ring.lease_left(), ring.revision());
        let state = match ring.trouble() {
            Some(error) => error.to_string(),
            None if left.is_zero() => "the lease is over".to_owned(),
            None => "ok".to_owned(),
        };
        let keyset = match self.state.choice.active() {
            Pick::Lost => None,
            _ => Some(self.keyset(Spelling::Keyset)?),
        };
        Ok(json!({
            "client": ring.client().to_string(),
            "keyset": keyset,
            "keyset_id": self.chosen().map(|id| id.to_string()),
            "key_service": state,
            "lease_seconds_left": left.as_secs(),
            "generation": revision.generation,
            "revision": revision.revision,
            "version": env!("CARGO_PKG_VERSION"),
        }))
    }

    fn keysets(&self) -> Value {
        let chosen = self.chosen();
        let granted = self.shared.ring.granted();
        granted
            .into_iter()
            .map(|keyset| {
                json!({
                    "name": keyset.name,
                    "id": keyset.keyset.to_string(),
                    "permissions": keyset.permissions.to_string(),
                    "usable": keyset.enabled,
                    "chosen": Some(keyset.keyset) == chosen,
                })
            })
            .collect()
    }

    fn types(&self) -> Value {
        let mut types: Vec<&EncType> =
            self.state.view.catalog.types.values().map(|t| &**t).filter(|t| t.whole.is_none()).collect();
        types.sort_by(|a, b| a.def.name.cmp(&b.def.name));
        let keyset = |id: KeysetId| self.shared.ring.name_of(id).unwrap_or_else(|| id.to_string());
        types
            .into_iter()
            .map(|t| {
                json!({
                    "name": t.def.name,
                    "id": t.def.id.to_string(),
                    "plain": t.def.plain.name(),
                    "terms": terms(t),
                    "keyset": t.def.keyset.map(keyset),
                    "standing": standing(&t.standing),
                })
            })
            .collect()
    }
}

/// As they are given when a type is made; of promoted paths `{total: numeric:ord}`.
fn terms(of: &EncType) -> String {
    let listed = |of: &EncType| terms_list(of.def.terms).join(",");
    let paths = of.promoted.paths.iter();
    let paths = paths.map(|p| format!("{}: {}:{}", p.shown(), p.ty.def.plain.name(), listed(&p.ty)));
    let paths: Vec<String> = paths.collect();
    match paths.is_empty() {
        true => listed(of),
        false => format!("{} {{{}}}", listed(of), paths.join("; ")).trim_start().to_owned(),
    }
}

fn standing(standing: &Standing) -> &str {
    match standing {
        Standing::Verified => "verified",
        Standing::Unsigned => "unsigned",
        Standing::Broken(why) => why,
    }
}
