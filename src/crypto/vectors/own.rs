//! Known answers of our own formats: if one of these changes, stored data and secret strings stop working.
//!
//! All were computed by another implementation: Python's `cryptography`, `hmac` and `zlib`, and RFC 9496 written out in
//! Python for the split keys. Envelopes and equality terms have theirs beside their code.

use super::super::client_key::{ClientKey, ClientPublic};
use super::super::key_id::key_id;
use super::super::root::{RootFingerprint, RootKey};
use super::super::secret::Key32;
use super::super::sign::Domain;
use super::super::split::{Check, ClientShare, Hedge, ServerShare, Tag, keyset_public};
use super::super::{Epoch, KeyId, KeysetId, TypeId};
use super::bytes;

const ROOT: &str = "38027ffac2dd78cef9140dac51a04f72";
const SECRET: &str = "csck1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh84An_6wt14zvkUDaxRoE9yvkXeeA";
const PUBLIC: &str =
    "cspk1_-_-gVghLJXKPIeGf8QPY_-mhMK_nT1wakrG-84o1iDxj8m-zjWT4E7rILBs2bv4hhJj93xupCihrsBXJBusDJIjnshw";
const RECOVERY: &str = "csroot1_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8nOPk2";

fn counting(from: u8) -> Key32 {
    Key32::new(std::array::from_fn(|i| from + u8::try_from(i).expect("32 bytes")))
}

#[test]
fn client() {
    let client = ClientKey::from_seed(counting(0));
    assert_eq!(client.client_id().to_string(), "2ddbd7d7-b265-5e71-4407-dd0ef42b7b0b");
    assert_eq!(client.to_secret(&RootFingerprint(bytes(ROOT))).as_str(), SECRET);
    assert_eq!(client.public().to_text(), PUBLIC);
    let (read, root) = ClientKey::from_secret(SECRET).expect("reads");
    assert_eq!((read.client_id(), root.to_string().as_str()), (client.client_id(), ROOT));
    assert_eq!(ClientPublic::from_text(PUBLIC).as_ref(), Ok(client.public()));
}

#[test]
fn signature() {
    let expected = "0cab10ebfdd5473c86983c609a3eb5d3d5014f6be49545b0acc9cb82f256fb1f\
                    2c2b1ee7a255afcade812581961c89934a5b6ce66f0eedfb9367a7381d748703";
    let signature = ClientKey::from_seed(counting(0)).sign(Domain::Request, b"message");
    assert_eq!(hex::encode(signature.0), expected);
}

#[test]
fn root() {
    let root = RootKey::from_seed(counting(32));
    assert_eq!(root.fingerprint().to_string(), ROOT);
    assert_eq!(root.to_recovery().as_str(), RECOVERY);
    assert_eq!(RootKey::from_recovery(RECOVERY).expect("reads").fingerprint(), root.fingerprint());
}

#[test]
fn key_ids_and_commitments() {
    assert_eq!(key_id(&[1; 16], &[2; 16], 3), KeyId(bytes("a932a10397f03333")));
    let commitment = "b3cc7ee9d037e8fc3d234e7def244a0de589e41d28ad2feb9d3f69f195258a14";
    assert_eq!(hex::encode(Hedge::from_bytes(&[7; 32]).commit()), commitment);
}

#[test]
fn data_key_and_term_root() {
    let share = |byte: u8| {
        let mut bytes = [byte; 32];
        bytes[31] = 0;
        bytes
    };
    let client = ClientShare::from_bytes(&share(1)).expect("a share");
    let server = ServerShare::from_bytes(&share(2)).expect("a share");
    let keyset = keyset_public(&client, &server.public()).expect("not the identity");
    assert_eq!(hex::encode(keyset.to_bytes()), "808ec8ad4237d4297533cfd3c9c6ccebec5ce1baa7a29fd24edafc7e8bb81419");
    let hedge = Hedge::from_bytes(&[7; 32]);

    let data = [Tag::data(KeysetId([3; 16]), Epoch(4), KeyId([5; 8]))];
    let (answers, proof) = server.evaluate(&data).expect("answers");
    assert_eq!(hex::encode(answers[0]), "14a02a04ceb418a3c011dd645ebd8748bc37009fe4ca0fa0a0c7658873d43f3b");
    let check = Check::Proved(&proof);
    let keys = client.derive_keys(&keyset, &hedge, &data, &answers, check).expect("derives");
    assert_eq!(hex::encode(keys[0].as_bytes()), "9a37ce83dc59745ff251adaaf142e25bbffae3cbef098d92acd7fa7b64fb3185");

    let index = [Tag::index(KeysetId([3; 16]), Epoch(4), TypeId([6; 16]))];
    let (answers, proof) = server.evaluate(&index).expect("answers");
    let roots = client.derive_term_roots(&keyset, &hedge, &index, &answers, &proof).expect("derives");
    assert_eq!(hex::encode(roots[0].as_bytes()), "62d378c3ac41d6afca1faccb16cacc3a76017c228559dc5910448f6a064a65ef");
}
