//! An input as a row of fields. There is no end: behind it all is zero.

#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(super) fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// So many bytes, or what is left.
    pub(super) fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their number.
    pub(super) fn counted(&mut self) -> &'a [u8] {
        let count = self.short();
        self.bytes(count.into())
    }
}

/// What [`Input::counted`] reads.
pub(super) fn put_counted(input: &mut Vec<u8>, bytes: &[u8]) {
    let count = u16::try_from(bytes.len()).expect("inputs are small");
    input.extend_from_slice(&count.to_le_bytes());
    input.extend_from_slice(bytes);
}
