//! RFC 9497, appendix A.1.2 (ristretto255-SHA512, VOPRF): hashing to the group, and the batch proofs.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;

use super::super::dleq::{Pair, Proof, prove_with, verify};
use super::super::group::{decode_point, decode_scalar, hash_to_group};
use super::bytes;

/// `"OPRFV1-" || I2OSP(modeVOPRF, 1) || "-ristretto255-SHA512"`.
const CONTEXT: &[u8] = b"OPRFV1-\x01-ristretto255-SHA512";
const HASH_DST: &[u8] = b"HashToGroup-OPRFV1-\x01-ristretto255-SHA512";

const SECRET: &str = "e6f73f344b79b379f1a0dd37e07ff62e38d9f71345ce62ae3a9bc60b04ccd909";
const PUBLIC: &str = "c803e2cc6b05fc15064549b5920659ca4a77b2cca6f04f6b357009335476ad4e";

struct Case {
    inputs: &'static [&'static str],
    blinds: &'static [&'static str],
    blinded: &'static [&'static str],
    evaluated: &'static [&'static str],
    proof: &'static str,
    random: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        inputs: &["00"],
        blinds: &["64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"],
        blinded: &["863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945"],
        evaluated: &["aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e"],
        proof: "ddef93772692e535d1a53903db24367355cc2cc78de93b3be5a8ffcc6985dd06\
                6d4346421d17bf5117a2a1ff0fcb2a759f58a539dfbe857a40bce4cf49ec600d",
        random: "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
    },
    Case {
        inputs: &["5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"],
        blinds: &["64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706"],
        blinded: &["cc0b2a350101881d8a4cba4c80241d74fb7dcbfde4a61fde2f91443c2bf9ef0c"],
        evaluated: &["60a59a57208d48aca71e9e850d22674b611f752bed48b36f7a91b372bd7ad468"],
        proof: "401a0da6264f8cf45bb2f5264bc31e109155600babb3cd4e5af7d181a2c9dc0a\
                67154fabf031fd936051dec80b0b6ae29c9503493dde7393b722eafdf5a50b02",
        random: "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
    },
    Case {
        inputs: &["00", "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a"],
        blinds: &[
            "64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706",
            "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e",
        ],
        blinded: &[
            "863f330cc1a1259ed5a5998a23acfd37fb4351a793a5b3c090b642ddc439b945",
            "90a0145ea9da29254c3a56be4fe185465ebb3bf2a1801f7124bbbadac751e654",
        ],
        evaluated: &[
            "aa8fa048764d5623868679402ff6108d2521884fa138cd7f9c7669a9a014267e",
            "cc5ac221950a49ceaa73c8db41b82c20372a4c8d63e5dded2db920b7eee36a2a",
        ],
        proof: "cc203910175d786927eeb44ea847328047892ddf8590e723c37205cb74600b0a\
                5ab5337c8eb4ceae0494c2cf89529dcf94572ed267473d567aeed6ab873dee08",
        random: "419c4f4f5052c53c45f3da494d2b67b220d02118e0857cdbcf037f9ea84bbe0c",
    },
];

fn scalar(hex: &str) -> Scalar {
    decode_scalar(&bytes(hex)).expect("canonical")
}

fn public() -> RistrettoPoint {
    decode_point(&bytes(PUBLIC)).expect("a point")
}

fn pairs(case: &Case) -> Vec<Pair> {
    let pair = |(c, d): (&&str, &&str)| {
        let (c_bytes, d_bytes) = (bytes(c), bytes(d));
        let point = |bytes| decode_point(bytes).expect("a point");
        Pair { c: point(&c_bytes), d: point(&d_bytes), c_bytes, d_bytes }
    };
    case.blinded.iter().zip(case.evaluated).map(pair).collect()
}

#[test]
fn hashing_to_the_group() {
    for case in &CASES {
        for ((input, blind), blinded) in case.inputs.iter().zip(case.blinds).zip(case.blinded) {
            let hashed = hash_to_group(&[&hex::decode(input).expect("hex")], HASH_DST);
            assert_eq!(hex::encode((scalar(blind) * hashed).compress().0), *blinded);
        }
    }
}

#[test]
fn evaluation() {
    assert_eq!(RistrettoPoint::mul_base(&scalar(SECRET)), public());
    for pair in CASES.iter().flat_map(pairs) {
        assert_eq!(scalar(SECRET) * pair.c, pair.d);
    }
}

#[test]
fn proofs_are_made_and_verified() {
    for case in &CASES {
        let proof = prove_with(&scalar(SECRET), &bytes(PUBLIC), &pairs(case), CONTEXT, &scalar(case.random));
        assert_eq!(hex::encode(proof.0), case.proof);
        assert!(verify(&public(), &bytes(PUBLIC), &pairs(case), CONTEXT, &proof));
    }
}

#[test]
fn altered_proofs_and_statements_are_refused() {
    for case in &CASES {
        let good = Proof(bytes(case.proof));
        for bit in 0..512 {
            let mut altered = good;
            altered.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&public(), &bytes(PUBLIC), &pairs(case), CONTEXT, &altered), "bit {bit}");
        }
        assert!(!verify(&public(), &bytes(PUBLIC), &pairs(case), b"another context", &good));
        let mut swapped = pairs(case);
        for pair in &mut swapped {
            std::mem::swap(&mut pair.c, &mut pair.d);
            std::mem::swap(&mut pair.c_bytes, &mut pair.d_bytes);
        }
        assert!(!verify(&public(), &bytes(PUBLIC), &swapped, CONTEXT, &good));
        let other = -public();
        assert!(!verify(&other, &other.compress().0, &pairs(case), CONTEXT, &good));
    }
    let [.., batch] = &CASES;
    let mut reversed = pairs(batch);
    reversed.reverse();
    assert!(!verify(&public(), &bytes(PUBLIC), &reversed, CONTEXT, &Proof(bytes(batch.proof))));
}
