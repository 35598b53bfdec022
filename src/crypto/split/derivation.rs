//! The client's side: from the service's answers to keys. Nothing is released before every check has passed.

use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::traits::IsIdentity;
use zeroize::{Zeroize, Zeroizing};

use super::super::derive::{self, PROOF, SPLIT_KEY};
use super::super::dleq::{self, Pair};
use super::super::group;
use super::super::secret::{Key32, TermRoot};
use super::answer::{check_size, hash};
use super::{Answer, ClientShare, Hedge, Proof, PublicShare, SplitError, Tag};

/// How the answers are checked.
#[derive(Clone, Copy)]
pub enum Check<'a> {
    /// By the service's proof: the keys may encrypt.
    Proved(&'a Proof),
    /// Not at all: for keys that only decrypt, where the AEAD's tag tells a false key.
    Unproved,
}

impl ClientShare {
    /// The data keys of `tags`, in their order. `keyset` is X of the certificate.
    pub fn derive_keys(
        &self,
        keyset: &PublicShare,
        hedge: &Hedge,
        tags: &[Tag],
        answers: &[Answer],
        check: Check<'_>,
    ) -> Result<Vec<Key32>, SplitError> {
        if !tags.iter().all(Tag::is_data) {
            return Err(SplitError::TagKind);
        }
        self.derive(keyset, hedge, tags, answers, check)
    }

    /// The term roots of `tags`, in their order; always proved. `keyset` is X of the certificate.
    pub fn derive_term_roots(
        &self,
        keyset: &PublicShare,
        hedge: &Hedge,
        tags: &[Tag],
        answers: &[Answer],
        proof: &Proof,
    ) -> Result<Vec<TermRoot>, SplitError> {
        if !tags.iter().all(Tag::is_index) {
            return Err(SplitError::TagKind);
        }
        let keys = self.derive(keyset, hedge, tags, answers, Check::Proved(proof))?;
        Ok(keys.into_iter().map(TermRoot::new).collect())
    }

    fn derive(
        &self,
        keyset: &PublicShare,
        hedge: &Hedge,
        tags: &[Tag],
        answers: &[Answer],
        check: Check<'_>,
    ) -> Result<Vec<Key32>, SplitError> {
        if check_size(tags)?.len() != answers.len() {
            return Err(SplitError::AnswerCount);
        }
        let pairs = tags.iter().zip(answers).map(pair).collect::<Result<Vec<_>, _>>()?;
        if let Check::Proved(proof) = check {
            self.verify_answers(keyset, &pairs, proof)?;
        }
        let joined = self.join(&pairs)?;
        Ok(tags.iter().zip(joined.iter()).map(|(tag, point)| key(hedge, point.as_bytes(), tag)).collect())
    }

    /// Checks the proof against `X − c·B`, the public image of the service's share.
    fn verify_answers(&self, keyset: &PublicShare, pairs: &[Pair], proof: &Proof) -> Result<(), SplitError> {
        let server = keyset.minus(&self.public())?;
        if dleq::verify(&server.point, &server.to_bytes(), pairs, PROOF, proof) {
            Ok(())
        } else {
            Err(SplitError::BadProof)
        }
    }

    /// `enc(2Z)` of each pair, `Z = c·H1(tag) + S`: doubled, because that makes encoding a batch cheap.
    fn join(&self, pairs: &[Pair]) -> Result<Zeroizing<Vec<CompressedRistretto>>, SplitError> {
        let mut points = pairs.iter().map(|pair| self.0 * pair.c + pair.d).collect::<Vec<_>>();
        let whole = !points.iter().any(RistrettoPoint::is_identity);
        let encoded = Zeroizing::new(RistrettoPoint::double_and_compress_batch(&points));
        points.zeroize();
        if whole { Ok(encoded) } else { Err(SplitError::BadPoint) }
    }
}

/// Rejects an answer that is no canonical point, or the identity.
fn pair((tag, answer): (&Tag, &Answer)) -> Result<Pair, SplitError> {
    let d = group::decode_point(answer).ok_or(SplitError::BadPoint)?;
    let c = hash(tag);
    Ok(Pair { c, d, c_bytes: c.compress().to_bytes(), d_bytes: *answer })
}

/// `HKDF-SHA256(salt = m, ikm = enc(2Z), info = "columnseal key v1" || tag)`.
fn key(hedge: &Hedge, point: &[u8; 32], tag: &Tag) -> Key32 {
    derive::hkdf32(hedge.as_bytes(), point, &[SPLIT_KEY, tag.bytes()])
}
