//! RFC 9180, appendix A.2.1: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, sequence number 0.

use super::super::hpke::{Ephemeral, OpenKey, SealKey};
use super::super::secret::Key32;
use super::bytes;

const INFO: &[u8] = b"Ode on a Grecian Urn";
const IKM_E: &str = "909a9b35d3dc4713a5e72a4da274b55d3d3821a37e5d099e74a647db583a904b";
const ENCAPPED: &str = "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a";
const SECRET: &str = "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb";
const PUBLIC: &str = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
const TEXT: &[u8] = b"Beauty is truth, truth beauty";
const AAD: &[u8] = b"Count-0";
const SEALED: &str = "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28";

fn message() -> Vec<u8> {
    hex::decode(format!("{ENCAPPED}{SEALED}")).expect("hex")
}

#[test]
fn the_example_seals_and_opens() {
    let open_key = OpenKey::new(&Key32::new(bytes(SECRET)));
    assert_eq!(hex::encode(open_key.seal_key().to_bytes()), PUBLIC);
    let seal_key = SealKey::from_bytes(&bytes(PUBLIC)).expect("a public key");
    let ephemeral = Ephemeral(Some(Key32::new(bytes(IKM_E))));
    assert_eq!(seal_key.seal_with(ephemeral, INFO, AAD, TEXT).expect("sealed"), message());
    assert_eq!(open_key.open_with(INFO, AAD, &message()).expect("opens").as_slice(), TEXT);
}

#[test]
fn the_example_altered_does_not_open() {
    let open_key = OpenKey::new(&Key32::new(bytes(SECRET)));
    for at in 0..message().len() {
        let mut altered = message();
        altered[at] ^= 1;
        assert!(open_key.open_with(INFO, AAD, &altered).is_err(), "byte {at}");
    }
    assert!(open_key.open_with(b"", AAD, &message()).is_err());
    assert!(open_key.open_with(INFO, b"Count-1", &message()).is_err());
}
