//! Parity: the exclusive or of the members of a stripe.
//!
//! Plain slices and whole-slice loops, which the compiler turns into vector instructions.

/// Bytes worked on at a time: parity stays in the first-level cache while members pass by.
const CHUNK_BYTES: usize = 4096;

/// Adds `member` to `parity`, or takes it out again.
///
/// # Panics
///
/// If the lengths differ.
pub fn xor_into(parity: &mut [u8], member: &[u8]) {
    assert_eq!(parity.len(), member.len(), "members of one length");
    for (parity, member) in parity.iter_mut().zip(member) {
        *parity ^= member;
    }
}

/// Makes the parity of `members`. Without a member it is zero.
///
/// ```
/// use diptych_drr::parity;
/// let members = [[1_u8; 512], [2; 512], [4; 512]];
/// let mut parity = [0; 512];
/// parity::generate(&mut parity, &[&members[0], &members[1], &members[2]]);
/// assert_eq!(parity, [7; 512]);
///
/// let mut missing = [0; 512];
/// parity::reconstruct(&mut missing, &[&members[0], &parity, &members[2]]);
/// assert_eq!(missing, members[1]);
/// ```
///
/// # Panics
///
/// If the lengths differ.
pub fn generate(parity: &mut [u8], members: &[&[u8]]) {
    for member in members {
        assert_eq!(parity.len(), member.len(), "members of one length");
    }
    let Some((first, others)) = members.split_first() else {
        parity.fill(0);
        return;
    };
    for (chunk_no, parity) in parity.chunks_mut(CHUNK_BYTES).enumerate() {
        let at = chunk_no * CHUNK_BYTES;
        let range = at..at + parity.len();
        parity.copy_from_slice(&first[range.clone()]);
        for other in others {
            xor_into(parity, &other[range.clone()]);
        }
    }
}

/// Makes the missing member of a stripe from all `others`, the parity among them.
///
/// What comes out is as good as what goes in: verify the others first, and the result after.
///
/// # Panics
///
/// If the lengths differ.
pub fn reconstruct(missing: &mut [u8], others: &[&[u8]]) {
    generate(missing, others);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_member_comes_back() {
        let mut random = fastrand::Rng::with_seed(3);
        for (member_count, length) in [(1, 512), (2, 4096), (3, 48 << 10), (7, 5 * 512), (4, 0)] {
            let members: Vec<Vec<u8>> = (0..member_count)
                .map(|_| std::iter::repeat_with(|| random.u8(..)).take(length).collect())
                .collect();
            let members: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
            let mut parity = vec![0xFF; length];
            generate(&mut parity, &members);
            for lost in 0..member_count {
                let mut others = members.clone();
                others[lost] = &parity;
                let mut missing = vec![0xFF; length];
                reconstruct(&mut missing, &others);
                assert_eq!(missing, members[lost], "member {lost} of {member_count}");
            }
        }
    }

    #[test]
    fn no_members_no_parity() {
        let mut parity = [1; 512];
        generate(&mut parity, &[]);
        assert_eq!(parity, [0; 512]);
    }
}
