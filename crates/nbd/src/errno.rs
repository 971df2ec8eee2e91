//! Error numbers of the protocol, and which of them a host is told.

use diptych_cha::{HostError, Tried};

/// An error number of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Errno {
    Perm = 1,
    Io = 5,
    NoMem = 12,
    Inval = 22,
    NoSpc = 28,
    Overflow = 75,
    NotSup = 95,
    Shutdown = 108,
}

impl Errno {
    /// What a host is told of this error.
    pub(crate) fn of(error: &HostError) -> Self {
        match error {
            HostError::Access { .. } => Self::Perm,
            HostError::OutOfRange { .. } | HostError::NotWholeBlocks { .. } => Self::Inval,
            HostError::TooLarge { .. } => Self::Overflow,
            HostError::Busy | HostError::NoRoom => Self::NoMem,
            HostError::Stopping => Self::Shutdown,
            // A medium error, a failed drive, a volume that was removed, and what is not known here.
            _ => Self::Io,
        }
    }

    /// What a request past the end is told.
    pub(crate) fn past_end(tried: Tried) -> Self {
        match tried {
            Tried::Read => Self::Inval,
            Tried::Write => Self::NoSpc,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_cha::Forbidden;
    use diptych_format::{BlockNo, BlockRange, LdevId};

    #[test]
    fn what_hosts_are_told() {
        #[track_caller]
        fn check(error: &HostError, expected: Errno) {
            assert_eq!(Errno::of(error), expected, "{error}");
        }
        let ldev = LdevId::new(0, 0);
        let blocks = BlockRange::new(BlockNo(0), 9);
        let access = HostError::Access { ldev, tried: Tried::Write, why: Forbidden::Reserved };
        check(&access, Errno::Perm);
        check(&HostError::OutOfRange { ldev, blocks, block_count: 8 }, Errno::Inval);
        check(&HostError::NotWholeBlocks { bytes: 3 }, Errno::Inval);
        check(&HostError::TooLarge { blocks: 9, most_blocks: 8 }, Errno::Overflow);
        check(&HostError::Busy, Errno::NoMem);
        check(&HostError::NoRoom, Errno::NoMem);
        check(&HostError::Stopping, Errno::Shutdown);
        check(&HostError::Medium { ldev, block: BlockNo(1) }, Errno::Io);
        check(&HostError::Drive { ldev }, Errno::Io);
        check(&HostError::NoVolume { ldev }, Errno::Io);
    }
}
