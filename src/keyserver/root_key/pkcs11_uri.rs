//! PKCS#11 URIs, RFC 7512: which module, token and key. What is not understood is refused, so that no other key is taken
//! than the one that was meant.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Longest URI that is read.
const MAX: usize = 4096;
/// RFC 7512's characters that need no escape.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A secret key in a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pkcs11Uri {
    /// The shared library.
    pub module: PathBuf,
    /// Label of the token.
    pub token: Option<String>,
    /// Serial number of the token.
    pub serial: Option<String>,
    /// Label of the key.
    pub object: Option<String>,
    /// Id of the key.
    pub id: Option<Vec<u8>>,
    /// Where the PIN is.
    pub pin: Option<PinSource>,
}

/// Where a PIN is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PinSource {
    /// `file:PATH`, or a path.
    File(PathBuf),
    /// `env:NAME`.
    Variable(String),
}

impl Pkcs11Uri {
    /// Reads what follows `pkcs11:`; the error completes "root_key …".
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX {
            return Err(format!("is longer than {MAX} bytes"));
        }
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let mut found = Attributes::default();
        path.split(';').filter(|part| !part.is_empty()).try_for_each(|part| found.path(part))?;
        query.split('&').filter(|part| !part.is_empty()).try_for_each(|part| found.query(part))?;
        let module = found.module.ok_or("names no module-path")?;
        if !module.is_absolute() {
            return Err("has a module-path that is not absolute".to_owned());
        }
        if found.token.is_none() && found.serial.is_none() {
            return Err("names no token".to_owned());
        }
        if found.object.is_none() && found.id.is_none() {
            return Err("names no key: neither object nor id".to_owned());
        }
        let Attributes { token, serial, object, id, pin, .. } = found;
        Ok(Self { module, token, serial, object, id, pin })
    }
}

#[derive(Default)]
struct Attributes {
    module: Option<PathBuf>,
    token: Option<String>,
    serial: Option<String>,
    object: Option<String>,
    id: Option<Vec<u8>>,
    pin: Option<PinSource>,
}

impl Attributes {
    fn path(&mut self, part: &str) -> Result<(), String> {
        let (name, value) = split(part)?;
        match name {
            "token" => once(&mut self.token, name, text(name, value)?),
            "serial" => once(&mut self.serial, name, text(name, value)?),
            "object" => once(&mut self.object, name, text(name, value)?),
            "id" => once(&mut self.id, name, percent_decode_str(value).collect()),
            "type" if value == "secret-key" => Ok(()),
            "type" => Err("is of another type than secret-key".to_owned()),
            _ => Err(format!("has the attribute {name:?}, which is not understood")),
        }
    }

    fn query(&mut self, part: &str) -> Result<(), String> {
        let (name, value) = split(part)?;
        match name {
            "module-path" => once(&mut self.module, name, PathBuf::from(text(name, value)?)),
            "pin-source" => once(&mut self.pin, name, pin_source(&text(name, value)?)?),
            "pin-value" => Err("holds a PIN; give its file as pin-source=file:PATH, or pin-source=env:NAME".to_owned()),
            _ => Err(format!("has the attribute {name:?}, which is not understood")),
        }
    }
}

fn split(part: &str) -> Result<(&str, &str), String> {
    match part.split_once('=') {
        Some((name, value)) if !value.is_empty() => Ok((name, value)),
        // The part itself may be a PIN.
        _ => Err("has an attribute without a value".to_owned()),
    }
}

fn once<T>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    if slot.replace(value).is_some() { Err(format!("names {name} twice")) } else { Ok(()) }
}

fn text(name: &str, value: &str) -> Result<String, String> {
    let text = percent_decode_str(value).decode_utf8().map_err(|_| format!("has a {name} that is not UTF-8"))?;
    if text.contains('\0') { Err(format!("has a {name} with a NUL")) } else { Ok(text.into_owned()) }
}

fn pin_source(text: &str) -> Result<PinSource, String> {
    let form = || "has a pin-source that is neither file:PATH nor env:NAME".to_owned();
    if let Some(name) = text.strip_prefix("env:") {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let good = !name.is_empty() && name.chars().all(word);
        return if good { Ok(PinSource::Variable(name.to_owned())) } else { Err(form()) };
    }
    let path = text.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path)).unwrap_or(text);
    if path.starts_with('/') { Ok(PinSource::File(PathBuf::from(path))) } else { Err(form()) }
}

impl fmt::Display for Pkcs11Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
        let mut parts = Vec::new();
        for (name, value) in [("token", &self.token), ("serial", &self.serial), ("object", &self.object)] {
            parts.extend(value.as_ref().map(|value| format!("{name}={}", escaped(value))));
        }
        let id = self.id.as_ref().map(|id| id.iter().map(|byte| format!("%{byte:02x}")).collect::<String>());
        parts.extend(id.map(|id| format!("id={id}")));
        write!(f, "pkcs11:{}?module-path={}", parts.join(";"), escaped(&self.module.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &str = "module-path=/usr/lib/softhsm/libsofthsm2.so";

    #[test]
    fn a_key_is_found_by_label_and_id() {
        let text = format!("token=My%20token;object=root;id=%01%ff;type=secret-key?{MODULE}&pin-source=file:/run/pin");
        let uri = Pkcs11Uri::parse(&text).expect("a good URI");
        assert_eq!(uri.token.as_deref(), Some("My token"));
        assert_eq!(uri.id, Some(vec![1, 255]));
        assert_eq!(uri.pin, Some(PinSource::File("/run/pin".into())));
        let shown = uri.to_string();
        assert!(!shown.contains("pin"), "{shown}");
        let again =
            Pkcs11Uri::parse(shown.strip_prefix("pkcs11:").expect("the scheme")).expect("what we write can be read");
        assert_eq!(again, Pkcs11Uri { pin: None, ..uri });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let long = "token=".to_owned() + &"x".repeat(MAX);
        for text in [
            "",
            "token=t;object=o",
            "token=t?module-path=/m",
            "object=o?module-path=/m",
            "token=t;object=o?module-path=m.so",
            "token=t;token=u;object=o?module-path=/m",
            "token=;object=o?module-path=/m",
            "token;object=o?module-path=/m",
            "token=t;object=o;slot-id=1?module-path=/m",
            "token=t;object=o;type=private?module-path=/m",
            "token=t;object=o?module-path=/m&pin-value=1234",
            "token=t;object=o?module-path=/m&pin-source=pin",
            "token=t;object=o?module-path=/m&pin-source=|cat",
            "token=t;object=o?module-path=/m&pin-source=env:",
            "token=t;object=o?module-path=/m&x-vendor=1",
            "token=%ff;object=o?module-path=/m",
            "token=a%00;object=o?module-path=/m",
            &long,
        ] {
            let error = Pkcs11Uri::parse(text).expect_err(text);
            assert!(!error.contains("1234"), "{error}");
        }
    }
}
