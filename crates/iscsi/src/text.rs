//! Texts of login and text PDUs: `key=value`, each with a zero behind it (RFC 7143, 6.1).
//!
//! Invariants: no text is longer than [`TEXT_BYTES_MAX`]; what is no text is refused, and never a panic.

/// Bytes of a text, in and out; longer answers go in parts.
pub const TEXT_BYTES_MAX: usize = 8 << 10;
/// Bytes of a key (RFC 7143, 6.1).
const KEY_BYTES_MAX: usize = 63;

/// Why a text cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// It is too long.
    #[error("a text of more than {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// It is no UTF-8.
    #[error("a text that is no UTF-8")]
    NotUtf8,
    /// There is no `=`, or no key before it, or the key is no word.
    #[error("a text that is no key=value")]
    NotPair,
    /// A key came twice.
    #[error("a key that came twice")]
    Twice,
}

/// A text that comes in one PDU or in several.
#[derive(Debug, Default)]
pub(crate) struct TextIn(Vec<u8>);

impl TextIn {
    /// Takes what came with one PDU.
    pub(crate) fn take(&mut self, data: &[u8]) -> Result<(), TextError> {
        if self.0.len() + data.len() > TEXT_BYTES_MAX {
            return Err(TextError::TooLong);
        }
        self.0.extend_from_slice(data);
        Ok(())
    }

    /// All of it came.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// The pairs of a text, in their order.
pub(crate) fn pairs(text: &[u8]) -> Result<Vec<(&str, &str)>, TextError> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for pair in text.split(|byte| *byte == 0).filter(|pair| !pair.is_empty()) {
        let pair = std::str::from_utf8(pair).map_err(|_| TextError::NotUtf8)?;
        let (key, value) = pair.split_once('=').ok_or(TextError::NotPair)?;
        let is_word = |key: &str| key.bytes().all(|byte| byte.is_ascii_graphic());
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !is_word(key) {
            return Err(TextError::NotPair);
        }
        if found.iter().any(|(other, _)| *other == key) {
            return Err(TextError::Twice);
        }
        found.push((key, value));
    }
    Ok(found)
}

/// A text to be sent.
#[derive(Debug, Default)]
pub(crate) struct TextOut(Vec<u8>);

impl TextOut {
    pub(crate) fn push(&mut self, key: &str, value: &str) {
        for part in [key, "=", value, "\0"] {
            self.0.extend_from_slice(part.as_bytes());
        }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts() {
        fn check(text: &str, expected: Result<&[(&str, &str)], TextError>) {
            assert_eq!(pairs(text.as_bytes()), expected.map(<[_]>::to_vec), "{text:?}");
        }
        check("", Ok(&[]));
        check("\0\0", Ok(&[]));
        check("A=1\0B=\0C==2\0", Ok(&[("A", "1"), ("B", ""), ("C", "=2")]));
        // The last zero may be missing.
        check("A=1", Ok(&[("A", "1")]));
        check("A\0", Err(TextError::NotPair));
        check("=1\0", Err(TextError::NotPair));
        check("A B=1\0", Err(TextError::NotPair));
        check("A=1\0A=2\0", Err(TextError::Twice));
        check(&format!("{}=1\0", "k".repeat(64)), Err(TextError::NotPair));
        assert_eq!(pairs(b"A=\xFF\0"), Err(TextError::NotUtf8));
    }

    #[test]
    fn a_text_has_at_most_8_kib() {
        let mut text = TextIn::default();
        assert_eq!(text.take(&[0; 5_000]), Ok(()));
        assert_eq!(text.take(&[0; 3_193]), Err(TextError::TooLong));
        assert_eq!(text.take(&[0; 3_192]), Ok(()));
        assert_eq!(text.finish().len(), TEXT_BYTES_MAX);
        assert_eq!(text.finish().len(), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_text_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(found) = pairs(&bytes) {
                let mut again = TextOut::default();
                found.iter().for_each(|(key, value)| again.push(key, value));
                let again = again.finish();
                prop_assert_eq!(pairs(&again), Ok(found));
            }
        }
    }
}
