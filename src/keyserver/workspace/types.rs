//! Signed type definitions, and pins.

use crate::crypto::TypeId;
use crate::keys::admin::Act;
use crate::keys::claims::typedef::MAX_DEFINITION;
use crate::keys::claims::{Signed, TypeClaim};
use crate::keys::error::KeysError;
use crate::keys::service::PutType;

use super::{PinInfo, TypeInfo, Workspace};

impl Workspace {
    /// Signs a type definition for the whole workspace. Signing the same again changes nothing.
    pub fn sign_type(&self, definition: &str, id: TypeId) -> Result<TypeInfo, KeysError> {
        if definition.len() > MAX_DEFINITION {
            return Err(KeysError::invalid(format!("a type definition is longer than {MAX_DEFINITION} bytes")));
        }
        let claim = TypeClaim { id, definition: definition.to_owned() };
        self.ask(&PutType { signed: Signed::new(&claim, self.key()?) })?;
        let (signer, admin) = (self.device().to_string(), true);
        Ok(TypeInfo { id: id.to_string(), definition: claim.definition, signer, admin })
    }

    /// All signed type definitions.
    pub fn types(&self) -> Result<Vec<TypeInfo>, KeysError> {
        Ok(self.view()?.types)
    }

    /// Pins of one database, or of all.
    pub fn pins(&self, database: Option<&str>) -> Result<Vec<PinInfo>, KeysError> {
        let pins = self.view()?.pins.into_iter();
        Ok(pins.filter(|pin| database.is_none_or(|name| name == pin.database)).collect())
    }

    /// Pins a pinned object to the type that its database says now. `false`: it is pinned to that already.
    ///
    /// # Errors
    /// [`KeysError::Invalid`] where it is not pinned.
    pub fn confirm_pin(&self, database: &str, object: &str, type_id: TypeId) -> Result<bool, KeysError> {
        let held = |pin: &PinInfo| pin.object == object && pin.type_id == type_id.to_string();
        if self.pins(Some(database))?.iter().any(held) {
            return Ok(false);
        }
        let (database, object) = (database.to_owned(), object.to_owned());
        let act = || Act::ConfirmPin { database: database.clone(), object: object.clone(), type_id };
        self.change(|view| self.act(view, act()).map(|_| true))
    }

    /// Removes a pin. `false`: there was none.
    pub fn remove_pin(&self, database: &str, object: &str) -> Result<bool, KeysError> {
        if !self.pins(Some(database))?.iter().any(|pin| pin.object == object) {
            return Ok(false);
        }
        self.change(|view| {
            self.act(view, Act::RemovePin { database: database.to_owned(), object: object.to_owned() }).map(|_| true)
        })
    }
}
