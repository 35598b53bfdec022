//! Keeps secret strings out of text that leaves the process.

use std::borrow::Cow;

use super::client_key::SECRET_PREFIX;
use super::root::RECOVERY_PREFIX;
use super::text::is_body;

const SECRETS: [&str; 2] = [SECRET_PREFIX, RECOVERY_PREFIX];
/// What both prefixes begin with.
const BEGIN: &str = "cs";
const MASK: &str = "[redacted]";

/// Replaces what follows `csck1_` or `csroot1_`, whole or cut off, by `[redacted]`. Text without them is borrowed.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut clean = String::new();
    let mut copied = 0;
    for (at, _) in text.match_indices(BEGIN) {
        if at < copied {
            continue; // inside a secret
        }
        if let Some((start, end)) = secret_at(text, at) {
            clean.push_str(&text[copied..start]);
            clean.push_str(MASK);
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    clean.push_str(&text[copied..]);
    Cow::Owned(clean)
}

/// Where the secret whose prefix stands at `at` begins behind it and ends. `None` for another word or a bare prefix.
fn secret_at(text: &str, at: usize) -> Option<(usize, usize)> {
    let prefix = SECRETS.iter().find(|prefix| text[at..].starts_with(**prefix))?;
    let start = at + prefix.len();
    let length = text[start..].find(|c| !is_body(c)).unwrap_or(text.len() - start);
    (length > 0).then_some((start, start + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::client_key::ClientKey;
    use crate::crypto::root::{RootFingerprint, RootKey};

    #[test]
    fn no_secret_passes_wherever_it_stands() {
        let client = ClientKey::generate().expect("random").to_secret(&RootFingerprint([0; 16]));
        let root = RootKey::generate().expect("random").to_recovery();
        for secret in [client.as_str(), root.as_str()] {
            for frame in ["@", "key=@ next", "@,@", "\"@\"", "é@é", "cscs@cs", "postgres://u:@@host", "x@"] {
                let clean = redact(&frame.replace('@', secret)).into_owned();
                assert!(!clean.contains(&secret[12..20]), "{clean}");
                assert!(clean.contains(MASK));
            }
            assert_eq!(redact(&secret[..9]), format!("{}[redacted]", &secret[..secret.find('_').expect("_") + 1]));
        }
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        assert_eq!(redact("a csck1_AAAA, b csroot1_x-_y. c"), "a csck1_[redacted], b csroot1_[redacted]. c");
        for text in ["", "cs", "csck1_", "csck1_ must follow", "cspk1_AAAA", "no secret", "csck1 _A", "cscscs"] {
            assert!(matches!(redact(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
