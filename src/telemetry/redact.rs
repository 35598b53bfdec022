//! Secret strings of client keys and recovery kits never leave in a log line, whoever put them there.

use std::io::{self, Write};

/// What secrets begin with, and what is shown instead of them.
const SECRETS: [(&[u8], &[u8]); 2] = [(b"csck1_", b"csck1_[redacted]"), (b"csroot1_", b"csroot1_[redacted]")];

/// `text` with every secret (its prefix and what follows of base64url) replaced.
pub fn redact(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, prefix, shown)) = first(rest) {
        out.extend_from_slice(&rest[..at]);
        let tail = &rest[at + prefix.len()..];
        let end = tail.iter().position(|b| !is_base64url(*b)).unwrap_or(tail.len());
        // The prefix alone is no secret.
        out.extend_from_slice(if end > 0 { shown } else { prefix });
        rest = &tail[end..];
    }
    out.extend_from_slice(rest);
    out
}

/// Where the first secret of `text` begins, its prefix, and what is shown instead.
fn first(text: &[u8]) -> Option<(usize, &'static [u8], &'static [u8])> {
    SECRETS
        .iter()
        .filter_map(|(prefix, shown)| Some((memchr::memmem::find(text, prefix)?, *prefix, *shown)))
        .min_by_key(|(at, _, _)| *at)
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// A writer that redacts each buffer it is given; `tracing` hands over whole lines.
#[derive(Debug)]
pub struct Redacting<W>(pub W);

impl<W: Write> Write for Redacting<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if first(buf).is_none() {
            return self.0.write(buf);
        }
        self.0.write_all(&redact(buf))?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_of_a_line_goes() {
        let line = b"root csroot1_QQ key=csck1_AbC-_9 other=\"csck1_zz\" end csck1_";
        assert_eq!(
            redact(line),
            b"root csroot1_[redacted] key=csck1_[redacted] other=\"csck1_[redacted]\" end csck1_".to_vec()
        );
    }

    #[test]
    fn other_text_is_untouched() {
        for line in [&b""[..], b"csck", b"csck2_abc", b"\xff\xfe plain"] {
            assert_eq!(redact(line), line);
        }
    }

    #[test]
    fn the_writer_says_it_took_the_whole_buffer() {
        let mut out = Redacting(Vec::new());
        assert_eq!(out.write(b"a csck1_abcdefgh b").expect("a Vec takes all"), 18);
        assert_eq!(out.0, b"a csck1_[redacted] b");
    }
}
