//! Digests of headers and data: CRC32C (RFC 7143, 13.1), sent with its low byte first.

/// The digest of these bytes.
pub(crate) fn of(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// The digest of what `digest` is of, and of these bytes behind it.
pub(crate) fn append(digest: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(digest, bytes)
}

/// As it is sent.
pub(crate) const fn to_wire(digest: u32) -> [u8; 4] {
    digest.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7143, appendix A.
    #[test]
    fn examples_of_the_standard() {
        fn check(bytes: &[u8], expected: [u8; 4]) {
            assert_eq!(to_wire(of(bytes)), expected);
            let (one, other) = bytes.split_at(bytes.len() / 3);
            assert_eq!(to_wire(append(of(one), other)), expected);
        }
        check(&[0; 32], [0xAA, 0x36, 0x91, 0x8A]);
        check(&[0xFF; 32], [0x43, 0xAB, 0xA8, 0x62]);
        let ascending: Vec<u8> = (0..32).collect();
        check(&ascending, [0x4E, 0x79, 0xDD, 0x46]);
        let descending: Vec<u8> = (0..32).rev().collect();
        check(&descending, [0x5C, 0xDB, 0x3F, 0x11]);
    }
}
