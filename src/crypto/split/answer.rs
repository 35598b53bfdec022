//! The service's side: `S = s·H1(tag)` for each tag, and one proof for all.

use super::super::derive::{HASH_TO_GROUP, PROOF};
use super::super::dleq::{self, MAX_BATCH, Pair};
use super::super::group;
use super::{Proof, ServerShare, SplitError, Tag};

/// S: a canonical point. Useless without the client's share.
pub type Answer = [u8; 32];

impl ServerShare {
    /// Answers and the proof that this share made them. 1 to [`MAX_BATCH`] tags.
    pub fn evaluate(&self, tags: &[Tag]) -> Result<(Vec<Answer>, Proof), SplitError> {
        let pairs = check_size(tags)?.iter().map(|tag| self.pair(tag)).collect::<Vec<_>>();
        let proof = dleq::prove(&self.0, &self.public().to_bytes(), &pairs, PROOF)?;
        Ok((pairs.iter().map(|pair| pair.d_bytes).collect(), proof))
    }

    /// Answers alone, for keys to decrypt with. 1 to [`MAX_BATCH`] tags.
    pub fn evaluate_unproved(&self, tags: &[Tag]) -> Result<Vec<Answer>, SplitError> {
        let answer = |tag: &Tag| (self.0 * hash(tag)).compress().to_bytes();
        Ok(check_size(tags)?.iter().map(answer).collect())
    }

    fn pair(&self, tag: &Tag) -> Pair {
        let c = hash(tag);
        let d = self.0 * c;
        Pair { c, d, c_bytes: c.compress().to_bytes(), d_bytes: d.compress().to_bytes() }
    }
}

/// `H1(tag)`.
pub(super) fn hash(tag: &Tag) -> curve25519_dalek::ristretto::RistrettoPoint {
    group::hash_to_group(&[tag.bytes()], HASH_TO_GROUP)
}

pub(super) fn check_size(tags: &[Tag]) -> Result<&[Tag], SplitError> {
    if (1..=MAX_BATCH).contains(&tags.len()) { Ok(tags) } else { Err(SplitError::BatchSize) }
}
