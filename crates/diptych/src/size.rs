//! Sizes as people write them.

/// A text that is no size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a size is a number of bytes, or a number with KiB, MiB or GiB")]
pub(crate) struct NotSize;

pub(crate) fn parse_size(text: &str) -> Result<u64, NotSize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: u64 = digits.parse().map_err(|_| NotSize)?;
    let shift = match text[digits.len()..].trim() {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(NotSize),
    };
    number.checked_mul(1 << shift).ok_or(NotSize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        fn check(text: &str, expected: Result<u64, NotSize>) {
            assert_eq!(parse_size(text), expected, "{text:?}");
        }
        check("4096", Ok(4096));
        check("3KiB", Ok(3 << 10));
        check("256MiB", Ok(256 << 20));
        check("2 GiB", Ok(2 << 30));
        for text in ["", "MiB", "-1", "1.5MiB", "1MB", "1MiB2", "99999999999GiB", "1é"] {
            check(text, Err(NotSize));
        }
    }
}
