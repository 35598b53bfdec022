//! The canonical bytes that are signed and stored: big-endian numbers and length-prefixed strings behind a label.
//! One value has one encoding, and decoding refuses anything else. Not a wire format for untrusted bulk data.

/// No length-prefixed field is longer.
pub const MAX_FIELD: usize = 1 << 20;

/// Bytes that are not an encoding of what was expected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed encoding")]
pub struct Malformed;

/// Builds an encoding.
#[derive(Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts an encoding that opens with `label`.
    pub fn new(label: &str) -> Self {
        let mut writer = Self::default();
        writer.bytes(label.as_bytes());
        writer
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.fixed(&value.to_be_bytes())
    }

    /// A flag byte, and the value where there is one.
    pub fn opt_u64(&mut self, value: Option<u64>) -> &mut Self {
        match value {
            None => self.u8(0),
            Some(value) => self.u8(1).u64(value),
        }
    }

    /// Bytes whose number the format fixes.
    pub fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A length (u32) and that many bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).expect("fields are bounded by MAX_FIELD where they are made");
        self.u32(length).fixed(bytes)
    }

    /// A length and UTF-8.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// A count, then each item.
    pub fn list<T>(&mut self, items: &[T], mut each: impl FnMut(&mut Self, &T)) -> &mut Self {
        let count = u32::try_from(items.len()).expect("lists are bounded where they are made");
        self.u32(count);
        for item in items {
            each(self, item);
        }
        self
    }

    /// The encoding.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Walks an encoding.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts behind `label`, which must be there.
    pub fn new(label: &str, bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Self(bytes);
        if reader.bytes()? != label.as_bytes() {
            return Err(Malformed);
        }
        Ok(reader)
    }

    /// Starts at the first byte: for encodings without a label.
    pub fn bare(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.fixed::<1>()?[0])
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_be_bytes(self.fixed()?))
    }

    /// A flag byte, and the value where there is one.
    pub fn opt_u64(&mut self) -> Result<Option<u64>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => Ok(Some(self.u64()?)),
            _ => Err(Malformed),
        }
    }

    /// `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    /// A length and that many bytes, at most [`MAX_FIELD`].
    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.u32()? as usize;
        if length > MAX_FIELD {
            return Err(Malformed);
        }
        let (head, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    /// A length and UTF-8.
    pub fn text(&mut self) -> Result<String, Malformed> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| Malformed)
    }

    /// A count, then each item. An item is at least one byte, so a count beyond the rest is refused before anything is allocated.
    pub fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Result<T, Malformed>) -> Result<Vec<T>, Malformed> {
        let count = self.u32()? as usize;
        if count > self.0.len() {
            return Err(Malformed);
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(each(self)?);
        }
        Ok(items)
    }

    /// Everything was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything must have been read.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        Writer::new("test v1")
            .u8(7)
            .u32(9)
            .opt_u64(Some(1))
            .opt_u64(None)
            .text("né")
            .list(&[1u64, 2], |w, i| {
                w.u64(*i);
            })
            .finish()
    }

    type Sample = (u8, u32, Option<u64>, Option<u64>, String, Vec<u64>);

    fn read(bytes: &[u8]) -> Result<Sample, Malformed> {
        let mut r = Reader::new("test v1", bytes)?;
        let all = (r.u8()?, r.u32()?, r.opt_u64()?, r.opt_u64()?, r.text()?, r.list(Reader::u64)?);
        r.finish()?;
        Ok(all)
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(read(&sample()), Ok((7, 9, Some(1), None, "né".into(), vec![1, 2])));
    }

    #[test]
    fn every_truncation_and_any_tail_is_refused() {
        let bytes = sample();
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), Err(Malformed), "{end}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(read(&longer), Err(Malformed));
    }

    #[test]
    fn another_label_is_refused() {
        assert!(Reader::new("test v2", &sample()).is_err());
        assert!(Reader::new("test v1", &[]).is_err());
    }

    #[test]
    fn absurd_lengths_and_counts_allocate_nothing() {
        assert_eq!(Reader::bare(&[0xff; 8]).bytes(), Err(Malformed));
        assert_eq!(Reader::bare(&[0xff; 8]).list(Reader::u8), Err(Malformed));
        assert_eq!(Reader::bare(&[0, 0, 0, 1, 0xff]).text(), Err(Malformed));
        assert_eq!(Reader::bare(&[2]).opt_u64(), Err(Malformed));
    }
}
