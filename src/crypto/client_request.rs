//! What a machine that made its own client key hands to an admin: the public keys, and the workspace it will trust.
//! Not secret; whoever alters it on its way is a matter of how it is carried.

use super::client_key::ClientPublic;
use super::root::RootFingerprint;
use super::text::{self, TextError};

/// What the string begins with.
pub const REQUEST_PREFIX: &str = "csrq1_";
/// Longest name in it, in bytes.
const MAX_NAME: usize = 128;
/// Both public keys and the root's fingerprint.
const FIXED: usize = 64 + 16;

/// A request to let a client in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientRequest {
    /// The client's keys; its id is their hash.
    pub public: ClientPublic,
    /// The workspace whose key service the client will believe.
    pub root: RootFingerprint,
    /// The name it would like, may be empty. Only a wish.
    pub name: String,
}

impl ClientRequest {
    /// The string: `csrq1_` and base64url of `public keys 64 || root fingerprint 16 || name || checksum 4`.
    pub fn to_text(&self) -> String {
        let mut payload = self.public.to_bytes().to_vec();
        payload.extend_from_slice(&self.root.0);
        payload.extend_from_slice(self.name.as_bytes());
        text::encode(REQUEST_PREFIX, &payload).to_string()
    }

    /// Reads a string.
    pub fn from_text(text: &str) -> Result<Self, TextError> {
        let payload = text::decode_within(REQUEST_PREFIX, text, FIXED..=FIXED + MAX_NAME)?;
        let (public, rest) = payload.split_first_chunk::<64>().ok_or(TextError::Key)?;
        let (root, name) = rest.split_first_chunk::<16>().ok_or(TextError::Key)?;
        let name = std::str::from_utf8(name).map_err(|_| TextError::Key)?.to_owned();
        Ok(Self { public: ClientPublic::from_bytes(public).ok_or(TextError::Key)?, root: RootFingerprint(*root), name })
    }
}

#[cfg(test)]
mod tests {
    use super::super::client_key::ClientKey;
    use super::super::secret::Key32;
    use super::*;

    fn request(name: &str) -> ClientRequest {
        let public = ClientKey::from_seed(Key32::new([1; 32])).public().clone();
        ClientRequest { public, root: RootFingerprint([7; 16]), name: name.to_owned() }
    }

    #[test]
    fn what_is_written_is_read() {
        for name in ["", "ci", "büro 1", &"x".repeat(MAX_NAME)] {
            assert_eq!(ClientRequest::from_text(&request(name).to_text()), Ok(request(name)));
        }
    }

    #[test]
    fn cut_altered_and_other_strings_are_refused() {
        let text = request("ci").to_text();
        for end in 0..text.len() {
            assert!(ClientRequest::from_text(&text[..end]).is_err(), "{end}");
        }
        let altered = text.replace(&text[20..21], if &text[20..21] == "A" { "B" } else { "A" });
        assert!(ClientRequest::from_text(&altered).is_err());
        assert_eq!(ClientRequest::from_text("csck1_AAAA"), Err(TextError::Prefix(REQUEST_PREFIX)));
        assert!(ClientRequest::from_text(&request(&"x".repeat(MAX_NAME + 1)).to_text()).is_err());
        assert!(ClientRequest::from_text(&format!("{text}é")).is_err());
    }
}
