//! Whose turn it is: a decision over what was seen under the claim.

use super::Passed;
use diptych_format::{ImageNo, LdevId, PairId};
use diptych_shared::PairStatus;

/// A pair of a member, as it was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) primary: LdevId,
    pub(super) secondary: LdevId,
    /// `None`: they are no pair.
    pub(super) pair: Option<SeenPair>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SeenPair {
    pub(super) id: PairId,
    pub(super) status: PairStatus,
    pub(super) image: ImageNo,
    pub(super) in_use: bool,
}

/// What takes turns: the pairs that get their images together. A group that is not there has none.
pub(super) type Member = Vec<Seen>;

/// A pair that gets an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) primary: LdevId,
    pub(super) pair: PairId,
}

/// A member whose turn it would have been, and why it is not.
#[derive(Debug, Clone, Copy)]
pub(super) struct PassedOver {
    /// Primary and secondary of the pair that is the reason; `None` if the member has no pair.
    pub(super) volumes: Option<(LdevId, LdevId)>,
    pub(super) why: Passed,
}

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) next: Option<Vec<Taken>>,
    pub(super) passed: Vec<PassedOver>,
}

/// The members in their order: those without an image, the lowest volume numbers first, then those
/// with one, the oldest first. The first that may be taken is. So many complete images must be left.
pub(super) fn choose(mut members: Vec<Member>, images: usize) -> Choice {
    let complete_count = members.iter().filter(|member| is_complete(member)).count();
    members.sort_by_key(|member| (oldest_image(member), member.first().map(|seen| seen.secondary)));
    let mut choice = Choice { next: None, passed: Vec::new() };
    for member in members {
        match take(&member) {
            Err(passed) => choice.passed.push(passed),
            // The others are too few: it stays.
            Ok(_) if is_complete(&member) && complete_count <= images => {}
            Ok(pairs) => {
                choice.next = Some(pairs);
                break;
            }
        }
    }
    choice
}

fn is_complete(member: &Member) -> bool {
    let is_copied = |seen: &Seen| seen.pair.is_some_and(|pair| pair.status == PairStatus::Copied);
    !member.is_empty() && member.iter().all(is_copied)
}

/// The oldest image of the member; 0 if one of its pairs has none.
fn oldest_image(member: &Member) -> ImageNo {
    let image = |seen: &Seen| seen.pair.map_or(ImageNo(0), |pair| pair.image);
    member.iter().map(image).min().unwrap_or(ImageNo(0))
}

/// All pairs of the member, if each may get an image now.
fn take(member: &Member) -> Result<Vec<Taken>, PassedOver> {
    if member.is_empty() {
        return Err(PassedOver { volumes: None, why: Passed::NoGroup });
    }
    let take_one = |seen: &Seen| {
        let Seen { primary, secondary, pair } = *seen;
        let why = match pair {
            None => Passed::NoPair,
            Some(pair) => match pair.status {
                PairStatus::Copied if pair.in_use => Passed::InUse,
                PairStatus::PairedNotCopied | PairStatus::Copied => {
                    return Ok(Taken { primary, pair: pair.id });
                }
                status => Passed::Status(status),
            },
        };
        Err(PassedOver { volumes: Some((primary, secondary)), why })
    };
    member.iter().map(take_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The members as `image status` for each pair, members apart by semicolons, pairs by commas. A
    /// status is a letter: n none, 2 802, 3 803, 4 804, u 804 and in use, s suspended, r restoring.
    /// Volume numbers go up.
    fn members(text: &str) -> Vec<Member> {
        let mut no = 0;
        let mut seen = |text: &str| {
            no += 1;
            let (image, letter) = text.trim().split_at(text.trim().len() - 1);
            let status = match letter {
                "n" => None,
                "2" => Some(PairStatus::PairedNotCopied),
                "3" => Some(PairStatus::CopyInProgress),
                "4" | "u" => Some(PairStatus::Copied),
                "s" => Some(PairStatus::Suspended),
                "r" => Some(PairStatus::Restoring),
                other => panic!("{other} is no status"),
            };
            let pair = status.map(|status| SeenPair {
                id: PairId { no: no.into(), epoch: 0 },
                status,
                image: ImageNo(image.trim().parse().unwrap_or(0)),
                in_use: letter == "u",
            });
            Seen { primary: LdevId::new(0, 0), secondary: LdevId::new(1, no), pair }
        };
        let member = |text: &str| match text.trim() {
            "" => Vec::new(),
            text => text.split(',').map(&mut seen).collect(),
        };
        text.split(';').map(member).collect()
    }

    #[test]
    fn whose_turn_it_is() {
        #[track_caller]
        fn check(text: &str, images: usize, next: &[u16], passed: &[(u8, Passed)]) {
            let choice = choose(members(text), images);
            let found = choice.next.unwrap_or_default();
            let found: Vec<u16> = found.iter().map(|taken| taken.pair.no).collect();
            assert_eq!(found, next, "{text:?}");
            let no = |passed: PassedOver| {
                (passed.volumes.map_or(0, |(_, secondary)| secondary.ldev), passed.why)
            };
            let found: Vec<_> = choice.passed.into_iter().map(no).collect();
            assert_eq!(found, passed, "{text:?}");
        }
        let status = |status| Passed::Status(status);
        let copying = status(PairStatus::CopyInProgress);
        let (suspended, restoring) = (status(PairStatus::Suspended), status(PairStatus::Restoring));
        // One pair.
        check("0 2", 0, &[1], &[]);
        check("7 4", 0, &[1], &[]);
        check("7 3", 0, &[], &[(1, copying)]);
        check("7 u", 0, &[], &[(1, Passed::InUse)]);
        check("0 s", 0, &[], &[(1, suspended)]);
        check("n", 0, &[], &[(1, Passed::NoPair)]);
        // In turn: without an image first, then the oldest.
        check("0 2; 0 2; 0 2", 2, &[1], &[]);
        check("5 4; 0 2; 0 2", 2, &[2], &[]);
        check("5 4; 6 4; 0 2", 2, &[3], &[]);
        check("5 4; 6 4; 7 4", 2, &[1], &[]);
        check("8 4; 6 4; 7 4", 2, &[2], &[]);
        // So many complete images stay.
        check("5 4; 6 4; 7 3", 2, &[], &[(3, copying)]);
        check("5 4; 6 4; 7 3", 1, &[1], &[]);
        check("5 4; 6 3; 7 3", 1, &[], &[(2, copying), (3, copying)]);
        check("5 4; 6 4; s", 2, &[], &[(3, suspended)]);
        check("5 4; 6 4; r", 1, &[1], &[(3, restoring)]);
        // One that is in use is an image like any other.
        check("5 u; 6 4; 7 4", 2, &[2], &[(1, Passed::InUse)]);
        check("5 u; 6 u; 7 4", 2, &[3], &[(1, Passed::InUse), (2, Passed::InUse)]);
        check("5 u; 6 4", 1, &[2], &[(1, Passed::InUse)]);
        // A group is taken whole, or not.
        check("5 4, 6 4", 0, &[1, 2], &[]);
        check("5 4, 6 u", 0, &[], &[(2, Passed::InUse)]);
        check("5 4, n", 0, &[], &[(2, Passed::NoPair)]);
        check("5 4, 0 2", 0, &[1, 2], &[]);
        check("", 0, &[], &[(0, Passed::NoGroup)]);
        // Groups in turn: one that lacks an image is none, and is first.
        check("5 4, 6 4; 7 4, 8 4", 1, &[1, 2], &[]);
        check("5 4, 6 4; 7 4, 0 2", 1, &[3, 4], &[]);
        check("5 4, 6 4; 7 4, 8 3", 1, &[], &[(4, copying)]);
        check("5 4, 6 4; ", 1, &[], &[(0, Passed::NoGroup)]);
    }
}
