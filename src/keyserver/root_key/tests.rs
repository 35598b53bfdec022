//! Root keys whose bytes are at hand, and what is common to all. Those of services and devices are tested in `tests/it`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;

use super::*;

const SERVICE: Binding = Binding([7; 16]);

fn variable(value: &str) -> Source {
    Source::Environment { name: "ROOT".into(), value: Some(SecretString::from(value)) }
}

fn root(value: &str) -> Root {
    Root::open(&variable(value)).expect("a good root key")
}

fn fault(source: &Source) -> RootKeyFault {
    match Root::open(source) {
        Err(KeysError::RootKey { fault, .. }) => fault,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("{source} was taken"),
    }
}

fn write(path: &Path, text: &str) -> Source {
    fs::write(path, text).expect("write");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("chmod");
    Source::File(path.to_owned())
}

#[test]
fn one_key_is_the_same_in_every_form() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = Key32::generate().expect("random");
    let digits = "ab".repeat(32);
    let wrapped = root(&digits).wrap(&SERVICE, &key).expect("wrap");
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [0xab; 32]);
    let sources = [
        variable(&digits.to_uppercase()),
        variable(&format!("{digits}\n")),
        variable(&base64),
        write(&folder.path().join("root.key"), &format!("{digits}\n")),
    ];
    for source in sources {
        let again = Root::open(&source).expect("open").key.unwrap(&SERVICE, &wrapped).expect("unwrap");
        assert!(again.ct_eq(&key), "{source}");
    }
}

#[test]
fn what_is_no_key_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("root.key");
    for text in ["", "\n", "5ec2e7", &"5e".repeat(31), &"5e".repeat(33), &"5g".repeat(32), &"a".repeat(43), "5e c2e7"] {
        let found = fault(&write(&path, text));
        assert!(matches!(found, RootKeyFault::Malformed(_)), "{text}: {found:?}");
        let found = fault(&variable(text));
        assert!(matches!(found, RootKeyFault::Malformed(_)), "{text}: {found:?}");
        assert!(text.len() < 6 || !found.to_string().contains(&text[..6]), "{found}");
    }
    assert!(matches!(fault(&Source::File(folder.path().join("none"))), RootKeyFault::Missing(_)));
    let unset = Source::Environment { name: "ROOT".into(), value: None };
    assert_eq!(fault(&unset), RootKeyFault::Missing("neither ROOT nor ROOT_FILE is set".into()));
    write(&path, &"ab".repeat(32));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
    let error = Root::open(&Source::File(path.clone())).err().expect("refused");
    assert_eq!(error, KeysError::FileMode { path, mode: 0o640 });
    let error = Root::open(&Source::File(folder.path().to_owned())).err().expect("refused");
    assert!(matches!(error, KeysError::File { .. }), "{error}");
}

#[test]
fn a_store_key_opens_only_by_its_root_key_for_its_service_and_whole() {
    let key = Key32::generate().expect("random");
    let digits = "ab".repeat(32);
    let own = root(&digits);
    let wrapped = own.wrap(&SERVICE, &key).expect("wrap");
    let wrong = |root: &Root, binding: &Binding, wrapped: &[u8]| {
        assert_eq!(root.key.unwrap(binding, wrapped).err(), Some(RootKeyFault::Wrong));
    };
    wrong(&root(&"cd".repeat(32)), &SERVICE, &wrapped);
    wrong(&own, &Binding([8; 16]), &wrapped);
    for cut in 0..wrapped.len() {
        wrong(&own, &SERVICE, &wrapped[..cut]);
    }
    for bit in 0..wrapped.len() * 8 {
        let mut altered = wrapped.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        wrong(&own, &SERVICE, &altered);
    }
    wrong(&own, &SERVICE, &[wrapped.as_slice(), &[0]].concat());
    // What was wrapped as something else is no store key, also where it opens.
    let short = crate::crypto::wrap::WrapKey::new(&crate::crypto::derive::expand32(
        &[0xab; 32],
        &[crate::crypto::derive::ROOT_WRAP],
    ));
    for secret in [&[][..], &[1; 31], &[1; 33]] {
        wrong(&own, &SERVICE, &short.wrap(&SERVICE.bytes(), secret).expect("wrap"));
    }
}

/// Wraps well and unwraps something else, as a broken device would.
struct Broken;

impl RootKey for Broken {
    fn kind(&self) -> Kind {
        Kind::Pkcs11
    }

    fn wrap(&self, _: &Binding, key: &Key32) -> Result<Vec<u8>, RootKeyFault> {
        Ok(key.as_bytes().to_vec())
    }

    fn unwrap(&self, _: &Binding, _: &[u8]) -> Result<Key32, RootKeyFault> {
        Ok(Key32::new([0; 32]))
    }
}

#[test]
fn what_does_not_open_again_is_not_written() {
    let broken = Root { name: "pkcs11:broken".into(), key: Box::new(Broken) };
    let key = Key32::generate().expect("random");
    let error = broken.wrap(&SERVICE, &key).expect_err("refused");
    assert!(matches!(error, KeysError::RootKey { fault: RootKeyFault::BadAnswer(_), .. }), "{error}");
}

#[cfg(any(feature = "root-awskms", feature = "root-vault"))]
#[test]
fn store_keys_do_not_travel_in_the_clear() {
    for good in [
        "https://vault.example",
        "https://10.0.0.1:8200",
        "http://127.0.0.1:8200",
        "http://localhost",
        "http://[::1]:8200",
        "http://127.9.9.9/x",
    ] {
        assert_eq!(private_address(good), Ok(()), "{good}");
    }
    for bad in [
        "http://vault.example",
        "http://10.0.0.1:8200",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://127.0.0.1@evil.example",
        "http://[fe80::1]",
        "ftp://localhost",
        "vault.example",
        "",
        "HTTPS://x",
        "http://",
    ] {
        assert!(private_address(bad).is_err(), "{bad}");
    }
}

#[cfg(any(feature = "root-awskms", feature = "root-vault"))]
#[test]
fn foreign_words_are_one_short_line() {
    assert_eq!(told("denied:\n  by\tpolicy \u{1b}[31m. "), "denied: by policy [31m");
    assert_eq!(told(&"é".repeat(1000)).chars().count(), 300);
    assert_eq!(told(""), "");
}
