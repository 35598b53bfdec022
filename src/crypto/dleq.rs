//! Batch proofs of equal discrete logarithms, RFC 9497 section 2.2, over ristretto255 with SHA-512.
//!
//! A proof shows that one scalar k gives `B = k·A` and `D[i] = k·C[i]` for every pair; A is the group's base point here.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::group;
use super::random::RandomError;

/// Most pairs of one proof.
pub const MAX_BATCH: usize = 4096;

/// A proof as sent: `c 32 || s 32`, both canonical scalars.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Proof(pub [u8; 64]);

super::json::serde_b64!(Proof);
super::json::schema!(Proof, { "type": "string", "pattern": "^[A-Za-z0-9_-]{85}[AQgw]$" });

/// One pair of the statement, with the encodings that its points came from or go out as.
pub(super) struct Pair {
    pub(super) c: RistrettoPoint,
    pub(super) d: RistrettoPoint,
    pub(super) c_bytes: [u8; 32],
    pub(super) d_bytes: [u8; 32],
}

/// Proves that `public = k·A` and each `d = k·c`. At most [`MAX_BATCH`] pairs.
pub(super) fn prove(k: &Scalar, public: &[u8; 32], pairs: &[Pair], context: &[u8]) -> Result<Proof, RandomError> {
    let r = Zeroizing::new(group::random_scalar()?);
    Ok(prove_with(k, public, pairs, context, &r))
}

/// Whether `proof` shows that one k gives `public = k·A` and each `d = k·c`. Variable time: all of it is public.
pub(super) fn verify(
    public: &RistrettoPoint,
    public_bytes: &[u8; 32],
    pairs: &[Pair],
    context: &[u8],
    proof: &Proof,
) -> bool {
    let Some((c, s)) = decode(proof) else {
        return false;
    };
    let weights = weights(public_bytes, pairs, context);
    let m = RistrettoPoint::vartime_multiscalar_mul(&weights, pairs.iter().map(|pair| &pair.c));
    let z = RistrettoPoint::vartime_multiscalar_mul(&weights, pairs.iter().map(|pair| &pair.d));
    let t2 = RistrettoPoint::vartime_double_scalar_mul_basepoint(&c, public, &s);
    let t3 = RistrettoPoint::vartime_multiscalar_mul([s, c], [m, z]);
    let expected = challenge(public_bytes, [&m, &z, &t2, &t3], context);
    expected.ct_eq(&c).into()
}

pub(super) fn prove_with(k: &Scalar, public: &[u8; 32], pairs: &[Pair], context: &[u8], r: &Scalar) -> Proof {
    let weights = weights(public, pairs, context);
    let m = RistrettoPoint::vartime_multiscalar_mul(&weights, pairs.iter().map(|pair| &pair.c));
    let z = k * m;
    let t2 = RistrettoPoint::mul_base(r);
    let t3 = r * m;
    let c = challenge(public, [&m, &z, &t2, &t3], context);
    let s = r - c * k;
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(c.as_bytes());
    bytes[32..].copy_from_slice(s.as_bytes());
    Proof(bytes)
}

fn decode(proof: &Proof) -> Option<(Scalar, Scalar)> {
    let (c, s) = proof.0.split_first_chunk::<32>()?;
    Some((group::decode_scalar(c)?, group::decode_scalar(s.first_chunk()?)?))
}

/// The `di` of `ComputeComposites`, which fold the pairs into one.
fn weights(public: &[u8; 32], pairs: &[Pair], context: &[u8]) -> Vec<Scalar> {
    let seed_dst = [b"Seed-", context].concat();
    let seed: [u8; 64] = Sha512::new()
        .chain_update(length(public))
        .chain_update(public)
        .chain_update(length(&seed_dst))
        .chain_update(&seed_dst)
        .finalize()
        .into();
    let dst = scalar_dst(context);
    let weight = |(index, pair): (u16, &Pair)| {
        let transcript: [&[u8]; 8] = [
            &length(&seed),
            &seed,
            &index.to_be_bytes(),
            &length(&pair.c_bytes),
            &pair.c_bytes,
            &length(&pair.d_bytes),
            &pair.d_bytes,
            b"Composite",
        ];
        group::hash_to_scalar(&transcript, &dst)
    };
    (0u16..).zip(pairs).map(weight).collect()
}

fn challenge(public: &[u8; 32], points: [&RistrettoPoint; 4], context: &[u8]) -> Scalar {
    let encoded = points.map(|point| point.compress().to_bytes());
    let prefix = length(public);
    let mut transcript: Vec<&[u8]> = vec![&prefix, public];
    for point in &encoded {
        transcript.extend([prefix.as_slice(), point]);
    }
    transcript.push(b"Challenge");
    group::hash_to_scalar(&transcript, &scalar_dst(context))
}

fn scalar_dst(context: &[u8]) -> Vec<u8> {
    [b"HashToScalar-", context].concat()
}

/// `I2OSP(len(bytes), 2)`.
fn length(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).expect("points, hashes and labels are short").to_be_bytes()
}
