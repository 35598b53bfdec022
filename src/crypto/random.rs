//! The system's random source: directly for keys, through a thread-local buffer for nonces.

use std::cell::RefCell;

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random source failed")]
pub struct RandomError;

/// Fills `bytes` from the system. For keys, seeds and scalars.
pub fn fill(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(|_| RandomError)
}

/// A random array, for nonces of requests and the like.
pub fn array<const N: usize>() -> Result<[u8; N], RandomError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// Bytes of an AEAD nonce.
pub(crate) const NONCE: usize = 12;
/// Nonces fetched by one system call.
const BUFFERED: usize = 128;

struct Buffer {
    bytes: [u8; NONCE * BUFFERED],
    /// Start of the first unused nonce; `bytes.len()` when none is left.
    next: usize,
}

thread_local! {
    static NONCES: RefCell<Buffer> = const {
        RefCell::new(Buffer { bytes: [0; NONCE * BUFFERED], next: NONCE * BUFFERED })
    };
}

/// A random nonce. Each byte of the buffer is handed out once; a process that forks must not use this in both halves
/// (nothing here forks).
pub(crate) fn nonce() -> Result<[u8; NONCE], RandomError> {
    NONCES.with_borrow_mut(Buffer::take)
}

impl Buffer {
    fn take(&mut self) -> Result<[u8; NONCE], RandomError> {
        if self.next == self.bytes.len() {
            fill(&mut self.bytes)?;
            self.next = 0;
        }
        let mut nonce = [0; NONCE];
        nonce.copy_from_slice(&self.bytes[self.next..self.next + NONCE]);
        self.next += NONCE;
        Ok(nonce)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nonces_never_repeat_across_refills_and_threads() {
        let take = || (0..4 * BUFFERED).map(|_| nonce().expect("random")).collect::<Vec<_>>();
        let other = std::thread::spawn(take);
        let mut seen: HashSet<_> = take().into_iter().collect();
        seen.extend(other.join().expect("thread"));
        assert_eq!(seen.len(), 8 * BUFFERED);
    }
}
