//! Every label of the protocol, and HKDF-SHA256 under them.
//!
//! The labels are distinct and none is a prefix of another, so that no two uses of a key or hash can meet.

use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::secret::Key32;

/// First bytes of an envelope's AAD.
pub(crate) const ENVELOPE: &[u8] = b"columnseal v1";
/// HKDF info, before the tag: data keys and term roots.
pub(crate) const SPLIT_KEY: &[u8] = b"columnseal key v1";
/// HKDF info: what the certificate says of the hedge secret.
pub(crate) const HEDGE_COMMIT: &[u8] = b"commit";
/// First bytes of a tag that gives a data key.
pub(crate) const TAG_DATA: &[u8] = b"data";
/// First bytes of a tag that gives a term root.
pub(crate) const TAG_INDEX: &[u8] = b"index";
/// DST of the hash to the group.
pub(crate) const HASH_TO_GROUP: &[u8] = b"COLUMNSEAL-V1-H1";
/// Context of the proofs, where RFC 9497 has its `contextString`.
pub(crate) const PROOF: &[u8] = b"COLUMNSEAL-V1-DLEQ";
/// HKDF info, before the type class: equality terms.
pub(crate) const TERM_EQUALITY: &[u8] = b"columnseal term eq v1";
/// HKDF info, before the bits of a digit and the type class: order terms.
pub(crate) const TERM_ORDER: &[u8] = b"columnseal term ord v1";
/// HKDF info, before the type class: match terms.
pub(crate) const TERM_MATCH: &[u8] = b"columnseal term match v1";
/// HKDF info, before the type class: JSON terms.
pub(crate) const TERM_JSON: &[u8] = b"columnseal term json v1";
/// HKDF info: a client's signing key.
pub(crate) const CLIENT_SIGN: &[u8] = b"columnseal client ed25519 v1";
/// HKDF info: a client's key that receives sealed shares.
pub(crate) const CLIENT_SEAL: &[u8] = b"columnseal client x25519 v1";
/// HKDF info: what the salts of users are made from that there are not.
pub(crate) const CLIENT_DECOY: &[u8] = b"columnseal client decoy v1";
/// Hash prefix of a client id.
pub(crate) const CLIENT_ID: &[u8] = b"columnseal client v1";
/// HKDF info: the workspace root's signing key.
pub(crate) const ROOT_SIGN: &[u8] = b"columnseal root ed25519 v1";
/// Hash prefix of a root fingerprint.
pub(crate) const ROOT_ID: &[u8] = b"columnseal root v1";
/// HKDF info: a service's signing key.
pub(crate) const SERVICE_SIGN: &[u8] = b"columnseal service ed25519 v1";
/// First bytes of the AAD of what rests wrapped.
pub(crate) const WRAP: &[u8] = b"columnseal wrap v1";
/// HKDF info: what wraps a store key, of a root key whose bytes are at hand.
pub(crate) const ROOT_WRAP: &[u8] = b"columnseal root key wrap v1";
/// First bytes of what binds a wrapped store key to its service.
pub(crate) const STORE_KEY: &[u8] = b"columnseal store key v1";
/// Hash prefix of a device's commitment to its opening.
pub(crate) const ENROL_COMMIT: &[u8] = b"columnseal enrol commit v1";
/// Hash prefix of the code by which a device is let in.
pub(crate) const ENROL_CODE: &[u8] = b"columnseal enrol code v1";
/// Hash prefix of a data key's id.
pub(crate) const KEY_ID: &[u8] = b"kid";

/// HKDF-SHA256 in one step: `okm = Expand(Extract(salt, ikm), info...)`, 32 bytes.
pub(crate) fn hkdf32(salt: &[u8], ikm: &[u8], info: &[&[u8]]) -> Key32 {
    let mut okm = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(salt), ikm).expand_multi_info(info, &mut *okm).expect("32 bytes are under HKDF's limit");
    Key32::new(*okm)
}

/// HKDF-SHA256's second step alone, for a uniformly random `prk`.
pub(crate) fn expand32(prk: &[u8; 32], info: &[&[u8]]) -> Key32 {
    let mut okm = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::from_prk(prk)
        .expect("a 32-byte key is as long as the hash")
        .expand_multi_info(info, &mut *okm)
        .expect("32 bytes are under HKDF's limit");
    Key32::new(*okm)
}

/// `SHA-256(parts...)`, cut to `N` bytes. The caller's parts are of fixed length, or the last one only is not.
pub(crate) fn hash<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    let mut cut = [0; N];
    cut.copy_from_slice(&hasher.finalize()[..N]);
    cut
}

/// All labels above and those of the signatures and sealed shares, for the test that they cannot meet.
#[cfg(test)]
pub(crate) fn all() -> Vec<&'static [u8]> {
    let mut labels = vec![
        ENVELOPE,
        SPLIT_KEY,
        HEDGE_COMMIT,
        TAG_DATA,
        TAG_INDEX,
        HASH_TO_GROUP,
        PROOF,
        TERM_EQUALITY,
        TERM_ORDER,
        TERM_MATCH,
        TERM_JSON,
        CLIENT_SIGN,
        CLIENT_SEAL,
        CLIENT_DECOY,
        CLIENT_ID,
        ROOT_SIGN,
        ROOT_ID,
        SERVICE_SIGN,
        WRAP,
        ROOT_WRAP,
        STORE_KEY,
        ENROL_COMMIT,
        ENROL_CODE,
        KEY_ID,
    ];
    labels.extend(Domain::ALL.iter().map(|domain| domain.label()));
    labels.extend(Sealed::ALL.iter().map(|sealed| sealed.label()));
    labels
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum $name { $($(#[$item])* $variant,)+ }

        impl $name {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The label's bytes.
            pub fn label(self) -> &'static [u8] {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

labels!(/// What a signature is for: its label stands before the signed message.
Domain {
    /// A client's request to the key service.
    Request = b"columnseal req v1",
    /// The key service's answer.
    Answer = b"columnseal answer v1",
    /// The root names the admins.
    AdminSet = b"columnseal admins v1",
    /// The root names the key service's signing key.
    Service = b"columnseal service v1",
    /// A client's record: name, kind, owner, expiry, status.
    ClientRecord = b"columnseal record v1",
    /// A keyset's record: name and status.
    KeysetRecord = b"columnseal keyset v1",
    /// A keyset's certificate: suite, epochs, public share, commitment.
    Certificate = b"columnseal certificate v1",
    /// A grant of a keyset to a client.
    Grant = b"columnseal grant v1",
    /// An encrypted type's definition.
    TypeDefinition = b"columnseal type v1",
    /// Database objects pinned to encrypted types.
    Pin = b"columnseal pin v1",
    /// Any other administrative act: revoke, disable, enable, delete.
    Act = b"columnseal act v1",
    /// A head of the audit chain.
    AuditHead = b"columnseal audit v1",
    /// A key service lets an admin sign in to its page, once.
    Ticket = b"columnseal ticket v1",
    /// An admin is signed in to a page.
    Session = b"columnseal session v1",
});

labels!(/// What a sealed message holds: its label is the HPKE `info`, before the caller's.
Sealed {
    /// A client's share and hedge secret.
    ClientShare = b"columnseal sealed share v1",
    /// The admin's own share and hedge secret, sealed to itself.
    AdminShare = b"columnseal sealed admin v1",
    /// The difference that makes the server's share of a new grant.
    Delta = b"columnseal sealed delta v1",
    /// Anything else that a client receives sealed.
    Message = b"columnseal sealed message v1",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_prefix_free() {
        let labels = all();
        for (i, a) in labels.iter().enumerate() {
            assert!(!a.is_empty());
            for (j, b) in labels.iter().enumerate() {
                assert!(i == j || !b.starts_with(a), "{:?} begins {:?}", a.escape_ascii(), b.escape_ascii());
            }
        }
    }

    #[test]
    fn every_label_of_this_file_is_checked() {
        let source = include_str!("derive.rs");
        let constants = source.matches("pub(crate) const ").count() - 1; // this line
        let variants = source.lines().filter(|line| line.contains("= b\"") && line.ends_with("\",")).count();
        assert_eq!(all().len(), constants + variants);
    }
}
