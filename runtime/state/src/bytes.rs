//! How what is stored is written: lengths and whole numbers as LEB128, other numbers little-endian.

/// Appends a text behind its length.
pub(crate) fn put_text(to: &mut Vec<u8>, text: &str) {
    put_len(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// Appends a length.
pub(crate) fn put_len(to: &mut Vec<u8>, len: usize) {
    let mut rest = len;
    while rest >= 0x80 {
        to.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// Reads from the front; `None` when the bytes end too early or make no sense.
pub(crate) struct Reader<'a> {
    /// What is left.
    pub bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(n)?;
        self.bytes = rest;
        Some(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    pub fn len(&mut self) -> Option<usize> {
        let mut len = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let [byte] = self.array()?;
            len |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(len);
            }
        }
        None
    }

    pub fn sized(&mut self) -> Option<&'a [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    /// A number of things of which each takes a byte at least: one beyond the bytes left is nonsense, not a reason to
    /// allocate.
    pub fn count(&mut self) -> Option<usize> {
        self.len().filter(|count| *count <= self.bytes.len())
    }

    pub fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.sized()?).ok()
    }

    pub fn text(&mut self) -> Option<String> {
        self.str().map(str::to_owned)
    }
}
