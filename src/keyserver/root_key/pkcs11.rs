//! A root key in a PKCS#11 token (HSM): a secret AES key that never leaves it. With CKM_AES_GCM where the key may encrypt,
//! bound to the service by the additional data; else with AES key wrap of a fresh key, under which the store key is
//! wrapped here, so that it is bound as well.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use zeroize::Zeroizing;

use crate::crypto::random;
use crate::crypto::secret::Key32;
use crate::crypto::wrap::WrapKey;
use crate::keys::RootKeyFault;

use super::settings::Pkcs11 as Settings;
use super::{Binding, Kind, RootKey, exact};

/// First byte of what is wrapped: CKM_AES_GCM, then IV and ciphertext.
const GCM: u8 = 1;
/// CKM_AES_KEY_WRAP_PAD, then the length of the wrapped key, that key, and the store key under it.
const KEY_WRAP_PAD: u8 = 2;
const IV: usize = 12;
const TAG_BITS: u64 = 128;

/// Modules stay loaded: unloading one that another thread uses would end it.
static MODULES: OnceLock<Mutex<BTreeMap<PathBuf, Pkcs11>>> = OnceLock::new();

/// A key in a token.
pub(super) struct Pkcs11Key(Settings);

/// A session of one call, logged in, and the key.
struct Opened {
    session: Session,
    key: ObjectHandle,
    gcm: bool,
}

impl Pkcs11Key {
    pub(super) fn new(settings: &Settings) -> Result<Self, RootKeyFault> {
        let key = Self(settings.clone());
        key.with(|_| Ok(()))?;
        Ok(key)
    }

    /// Runs `work` in a session. Sessions of one module are one after the other: logging in and out is common to all.
    fn with<T>(&self, work: impl FnOnce(&Opened) -> Result<T, RootKeyFault>) -> Result<T, RootKeyFault> {
        let modules = MODULES.get_or_init(|| Mutex::new(BTreeMap::new()));
        let mut modules = modules.lock().unwrap_or_else(PoisonError::into_inner);
        let path = &self.0.uri.module;
        let module = match modules.get(path) {
            Some(module) => module.clone(),
            None => modules.entry(path.clone()).or_insert(load(path)?).clone(),
        };
        work(&self.open(&module)?)
    }

    fn open(&self, module: &Pkcs11) -> Result<Opened, RootKeyFault> {
        let slot = self.slot(module)?;
        let session = module.open_ro_session(slot).map_err(fault)?;
        if let Some(pin) = &self.0.pin {
            match session.login(UserType::User, Some(pin)) {
                Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
                Err(error) => return Err(fault(error)),
            }
        }
        let key = self.key(&session)?;
        let mechanisms = module.get_mechanism_list(slot).map_err(fault)?;
        let found = session.get_attributes(key, &[AttributeType::Encrypt]).map_err(fault)?;
        let encrypts = found.contains(&Attribute::Encrypt(true));
        Ok(Opened { session, key, gcm: encrypts && mechanisms.contains(&MechanismType::AES_GCM) })
    }

    /// The one token of the URI's label and serial number.
    fn slot(&self, module: &Pkcs11) -> Result<Slot, RootKeyFault> {
        let uri = &self.0.uri;
        let mut found = Vec::new();
        for slot in module.get_slots_with_initialized_token().map_err(fault)? {
            let token = module.get_token_info(slot).map_err(fault)?;
            let same =
                |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is.trim_end());
            if same(&uri.token, token.label()) && same(&uri.serial, token.serial_number()) {
                found.push(slot);
            }
        }
        match found.as_slice() {
            [slot] => Ok(*slot),
            [] => Err(RootKeyFault::Missing("no token of that name is in the module".to_owned())),
            _ => Err(RootKeyFault::Malformed("several tokens are of that name: add serial=…".to_owned())),
        }
    }

    /// The one secret key of the URI's label and id.
    fn key(&self, session: &Session) -> Result<ObjectHandle, RootKeyFault> {
        let uri = &self.0.uri;
        let mut template = vec![Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::AES)];
        template.extend(uri.object.as_ref().map(|label| Attribute::Label(label.clone().into_bytes())));
        template.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
        match session.find_objects(&template).map_err(fault)?.as_slice() {
            [key] => Ok(*key),
            [] if self.0.pin.is_none() => {
                Err(RootKeyFault::Missing("no AES key of that name is public, and no pin-source is named".to_owned()))
            }
            [] => Err(RootKeyFault::Missing("no AES key of that name is in the token".to_owned())),
            _ => Err(RootKeyFault::Malformed("several AES keys are of that name: add id=…".to_owned())),
        }
    }
}

impl RootKey for Pkcs11Key {
    fn kind(&self) -> Kind {
        Kind::Pkcs11
    }

    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        self.with(|opened| if opened.gcm { opened.encrypt(binding, key) } else { opened.wrap(binding, key) })
    }

    fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault> {
        self.with(|opened| match wrapped.split_first() {
            Some((&GCM, rest)) => opened.decrypt(binding, rest),
            Some((&KEY_WRAP_PAD, rest)) => opened.unwrap(binding, rest),
            _ => Err(RootKeyFault::Wrong),
        })
    }
}

impl Opened {
    fn encrypt(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        let mut iv: [u8; IV] = random::array().map_err(|e| RootKeyFault::Unreachable(e.to_string()))?;
        let aad = binding.bytes();
        let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, TAG_BITS.into()).map_err(fault)?);
        let sealed = self.session.encrypt(&mechanism, self.key, key.as_bytes()).map_err(fault)?;
        // Some modules choose the IV themselves and write it over ours: what stands there now was used.
        Ok([&[GCM][..], &iv, &sealed].concat())
    }

    fn decrypt(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault> {
        let (iv, sealed) = wrapped.split_first_chunk::<IV>().ok_or(RootKeyFault::Wrong)?;
        let (mut iv, aad) = (*iv, binding.bytes());
        let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, &aad, TAG_BITS.into()).map_err(fault)?);
        let bytes = self.session.decrypt(&mechanism, self.key, sealed).map_err(not_opened)?;
        exact(&Zeroizing::new(bytes))
    }

    fn wrap(&self, binding: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        let unavailable = |e: String| RootKeyFault::Unreachable(e);
        let between = Key32::generate().map_err(|e| unavailable(e.to_string()))?;
        let mut template = session_key();
        template.push(Attribute::Value(between.as_bytes().to_vec()));
        let object = self.session.create_object(&template).map_err(fault)?;
        if let Some(Attribute::Value(bytes)) = template.last_mut() {
            zeroize::Zeroize::zeroize(bytes);
        }
        let wrapped = self.session.wrap_key(&Mechanism::AesKeyWrapPad, self.key, object).map_err(fault)?;
        let length =
            u8::try_from(wrapped.len()).map_err(|_| RootKeyFault::BadAnswer("a long wrapped key".to_owned()))?;
        let inner = WrapKey::new(&between).wrap(&binding.bytes(), key.as_bytes());
        let inner = inner.map_err(|e| unavailable(e.to_string()))?;
        Ok([&[KEY_WRAP_PAD, length][..], &wrapped, &inner].concat())
    }

    fn unwrap(&self, binding: &Binding, wrapped: &[u8]) -> Result<Key32, RootKeyFault> {
        let (&length, rest) = wrapped.split_first().ok_or(RootKeyFault::Wrong)?;
        let (outer, inner) = rest.split_at_checked(length.into()).ok_or(RootKeyFault::Wrong)?;
        let template = session_key();
        let object = self.session.unwrap_key(&Mechanism::AesKeyWrapPad, self.key, outer, &template);
        let object = object.map_err(not_opened)?;
        let mut found = self.session.get_attributes(object, &[AttributeType::Value]).map_err(fault)?;
        let Some(Attribute::Value(bytes)) = found.pop() else {
            return Err(RootKeyFault::BadAnswer("the token does not show a key that it unwrapped".to_owned()));
        };
        let between = exact(&Zeroizing::new(bytes))?;
        let key = WrapKey::new(&between).unwrap(&binding.bytes(), inner).map_err(|_| RootKeyFault::Wrong)?;
        exact(&key)
    }
}

/// A key that ends with the session and may be seen.
fn session_key() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
    ]
}

fn load(path: &Path) -> Result<Pkcs11, RootKeyFault> {
    if !path.is_file() {
        return Err(RootKeyFault::Missing(format!("there is no module {}", path.display())));
    }
    let module = Pkcs11::new(path)
        .map_err(|error| RootKeyFault::Malformed(format!("the module {} cannot be loaded: {error}", path.display())))?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(Error::Pkcs11(code, _)) => {
            Err(RootKeyFault::Unreachable(format!("the module {} answers {code:?}", path.display())))
        }
        Err(error) => Err(RootKeyFault::Unreachable(format!("the module {}: {error}", path.display()))),
    }
}

/// What an error of the module means.
fn fault(error: Error) -> RootKeyFault {
    let Error::Pkcs11(code, function) = error else {
        return RootKeyFault::BadAnswer(error.to_string());
    };
    let why = format!("{function:?} answers {code:?}");
    match code {
        RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
            RootKeyFault::Denied(format!("its PIN is wrong ({code:?})"))
        }
        RvError::PinLocked | RvError::PinExpired | RvError::UserPinNotInitialized => {
            RootKeyFault::Disabled(format!("its PIN cannot be used ({code:?})"))
        }
        RvError::UserNotLoggedIn | RvError::FunctionRejected | RvError::ActionProhibited => RootKeyFault::Denied(why),
        RvError::KeyFunctionNotPermitted => RootKeyFault::Disabled(format!("the key may not do that ({why})")),
        RvError::MechanismInvalid | RvError::KeyTypeInconsistent | RvError::WrappingKeyTypeInconsistent => {
            RootKeyFault::Malformed(format!("neither AES-GCM nor AES key wrap can be done with it ({why})"))
        }
        RvError::DeviceError | RvError::DeviceMemory | RvError::DeviceRemoved | RvError::TokenNotPresent => {
            RootKeyFault::Unreachable(why)
        }
        _ => RootKeyFault::BadAnswer(why),
    }
}

/// As [`fault`], of a call that opens what was wrapped: modules have several names for "it does not open".
fn not_opened(error: Error) -> RootKeyFault {
    match error {
        Error::Pkcs11(
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::WrappedKeyInvalid
            | RvError::WrappedKeyLenRange
            | RvError::GeneralError
            | RvError::FunctionFailed
            | RvError::DataInvalid,
            _,
        ) => RootKeyFault::Wrong,
        other => fault(other),
    }
}
