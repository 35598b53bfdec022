//! Ids of traces and spans, and the form in which a client tells its own.
//!
//! W3C Trace Context, <https://www.w3.org/TR/trace-context/#traceparent-header>: `00-<trace>-<span>-<flags>`.

/// The id of a span.
pub type SpanId = [u8; 8];

/// A span and its trace.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Context {
    /// The trace.
    pub trace: [u8; 16],
    /// The span.
    pub span: SpanId,
    /// Whoever began the trace wants it kept.
    pub sampled: bool,
}

impl Context {
    /// New ids.
    pub(super) fn random() -> Self {
        let mut ids = [0; 24];
        // Ids that are not random, or all zero, which is no id, are of no use to anybody and harm nobody.
        let _ = getrandom::fill(&mut ids);
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&ids[..16]);
        span.copy_from_slice(&ids[16..]);
        Context { trace, span, sampled: true }
    }

    /// A random number below 2^32, the same for all of a trace.
    pub(super) fn chance(&self) -> u64 {
        self.trace[12..].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }

    /// Reads a traceparent. Later versions begin as this one does; ids of zeros are none.
    pub fn parse(text: &str) -> Option<Context> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (mut own, mut ids, mut flag) = ([0; 1], ([0; 16], [0; 8]), [0; 1]);
        let lower = [version, trace, span, flags].iter().all(|part| !part.bytes().any(|b| b.is_ascii_uppercase()));
        hex::decode_to_slice(version, &mut own).ok()?;
        hex::decode_to_slice(trace, &mut ids.0).ok()?;
        hex::decode_to_slice(span, &mut ids.1).ok()?;
        hex::decode_to_slice(flags, &mut flag).ok()?;
        let whole = own != [0] || parts.next().is_none();
        let real = ids.0 != [0; 16] && ids.1 != [0; 8] && own != [0xff];
        (lower && whole && real).then_some(Context { trace: ids.0, span: ids.1, sampled: flag[0] & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_has_it() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = Context::parse(text).expect("it is one");
        assert_eq!(hex::encode(context.trace), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((hex::encode(context.span), context.sampled), ("00f067aa0ba902b7".to_owned(), true));
        let unsampled = Context::parse(&text.replace("-01", "-00")).expect("it is one");
        assert!(!unsampled.sampled);
        assert!(Context::parse("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes").is_some());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert_eq!(Context::parse(bad), None, "{bad}");
        }
    }
}
