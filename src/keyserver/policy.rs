//! Whom a key service lets in, beside what the workspace says.

use crate::keys::error::KeysError;

/// What the service's own settings say of its clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Device keys may be used; `false`: production. Admins' devices always may: somebody has to grant and revoke.
    pub devices: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { devices: true }
    }
}

impl Policy {
    /// # Errors
    /// [`KeysError::Policy`] where device keys are refused.
    pub fn lets_devices_in(self) -> Result<(), KeysError> {
        let why = "this key service is for production and takes no device keys".into();
        if self.devices { Ok(()) } else { Err(KeysError::Policy { why }) }
    }
}
