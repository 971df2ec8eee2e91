//! How a command ends: status, sense data, data.

use super::sense::{Asc, Sense, SenseKey};
use crate::{Forbidden, HostError, Tried};
use bytes::Bytes;
use diptych_shared::PairStatus;

/// Status codes (SAM-6, 5.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ScsiStatus {
    /// GOOD.
    Good = 0x00,
    /// CHECK CONDITION: the sense data says why.
    CheckCondition = 0x02,
    /// BUSY: ask again later.
    Busy = 0x08,
    /// RESERVATION CONFLICT.
    ReservationConflict = 0x18,
    /// TASK SET FULL: ask again when others have been answered.
    TaskSetFull = 0x28,
    /// TASK ABORTED, by another initiator.
    TaskAborted = 0x40,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiReply {
    /// Status.
    pub status: ScsiStatus,
    /// Sense data, with CHECK CONDITION.
    pub sense: Option<Sense>,
    /// Data for the host. The transport sends no more of it than the host has room for; how much the
    /// command would have moved is [`super::expected_data`]'s to say, or, for data to the host, its length.
    pub data_in: Bytes,
}

impl ScsiReply {
    /// GOOD, with data.
    pub const fn good(data_in: Bytes) -> Self {
        Self { status: ScsiStatus::Good, sense: None, data_in }
    }
}

/// Why a command is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Check(Sense),
    Status(ScsiStatus),
}

/// How the carrying out of a command ends: with data for the host, or refused.
pub(crate) type Done = Result<Bytes, Refused>;

impl From<Sense> for Refused {
    fn from(sense: Sense) -> Self {
        Self::Check(sense)
    }
}

impl From<HostError> for Refused {
    fn from(error: HostError) -> Self {
        refusal(error)
    }
}

impl Refused {
    pub(crate) const CONFLICT: Self = Self::Status(ScsiStatus::ReservationConflict);

    /// The answer; `in_descriptors` is D_SENSE.
    pub(crate) fn reply(self, in_descriptors: bool) -> ScsiReply {
        let data_in = Bytes::new();
        match self {
            Self::Status(status) => ScsiReply { status, sense: None, data_in },
            Self::Check(sense) => {
                let sense = Some(Sense { in_descriptors, ..sense });
                ScsiReply { status: ScsiStatus::CheckCondition, sense, data_in }
            }
        }
    }
}

/// What a host is told of a host operation that failed. Access is the table of [`access`].
fn refusal(error: HostError) -> Refused {
    use SenseKey::{HardwareError, IllegalRequest, MediumError, NotReady};
    let check = |key, asc| Refused::Check(Sense::new(key, asc));
    match error {
        HostError::NoVolume { .. } => check(IllegalRequest, Asc::LUN_NOT_SUPPORTED),
        HostError::OutOfRange { .. } => check(IllegalRequest, Asc::LBA_OUT_OF_RANGE),
        HostError::NotWholeBlocks { .. } | HostError::NotAsMany { .. } => {
            check(IllegalRequest, Asc::INVALID_FIELD_IN_INFORMATION_UNIT)
        }
        HostError::Access { tried, why, .. } => Refused::Check(access(tried, why)),
        HostError::Medium { block, .. } => Refused::Check(
            Sense::new(MediumError, Asc::UNRECOVERED_READ_ERROR).with_information(block.0),
        ),
        HostError::Drive { .. } => check(HardwareError, Asc::INTERNAL_FAILURE),
        HostError::TooLarge { .. } => check(IllegalRequest, Asc::INVALID_FIELD_IN_CDB),
        HostError::Busy => Refused::Status(ScsiStatus::TaskSetFull),
        HostError::NoRoom => Refused::Status(ScsiStatus::Busy),
        HostError::Stopping => check(NotReady, Asc::UNAVAILABLE),
    }
}

/// What a host is told of a volume that it may not read or change now. The codes are those that
/// initiators give up on at once: with others, some ask again for minutes.
///
/// | the volume | read | write |
/// |---|---|---|
/// | secondary, paired and not copied | NOT READY 04/0B | DATA PROTECT 27/03 |
/// | secondary, copy in progress | NOT READY 04/0B | DATA PROTECT 27/03 |
/// | secondary, restoring | NOT READY 04/0C | DATA PROTECT 27/03 |
/// | secondary, suspended | NOT READY 04/03 | DATA PROTECT 27/04 |
/// | reserved | | DATA PROTECT 27/06 |
/// | blocked | HARDWARE ERROR 3E/01 | HARDWARE ERROR 3E/01 |
pub(crate) fn access(tried: Tried, why: Forbidden) -> Sense {
    use SenseKey::{DataProtect, HardwareError, NotReady};
    let (key, asc) = match (why, tried) {
        (Forbidden::Blocked, _) => (HardwareError, Asc::LOGICAL_UNIT_FAILURE),
        (Forbidden::Reserved, _) => (DataProtect, Asc::CONDITIONAL_WRITE_PROTECT),
        (Forbidden::Secondary(status), Tried::Read) => match status {
            PairStatus::Suspended => (NotReady, Asc::MANUAL_INTERVENTION),
            PairStatus::Restoring => (NotReady, Asc::UNAVAILABLE),
            _ => (NotReady, Asc::STANDBY),
        },
        (Forbidden::Secondary(PairStatus::Suspended), Tried::Write) => {
            (DataProtect, Asc::PERSISTENT_WRITE_PROTECT)
        }
        (Forbidden::Secondary(_), Tried::Write) => (DataProtect, Asc::ASSOCIATED_WRITE_PROTECT),
    };
    Sense::new(key, asc)
}

impl Refused {
    /// The same, as EXTENDED COPY says it of a copy target: what the target said becomes COPY ABORTED.
    pub(crate) fn at_copy_target(self) -> Self {
        let asc = match self {
            Self::Check(Sense { asc: Asc::LUN_NOT_SUPPORTED, .. }) => Asc::UNREACHABLE_COPY_TARGET,
            // Out of range of the target is wrong with the segment, not with the target.
            Self::Check(Sense { asc: Asc::LBA_OUT_OF_RANGE, .. }) => Asc::NONE,
            Self::Status(ScsiStatus::Busy | ScsiStatus::TaskSetFull) => return self,
            _ => Asc::THIRD_PARTY_FAILURE,
        };
        Self::Check(Sense::new(SenseKey::CopyAborted, asc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::{BlockNo, BlockRange, LdevId};
    use std::fmt::Write as _;

    const LDEV: LdevId = LdevId::new(0, 1);

    #[test]
    fn access_is_as_the_table_says() {
        let mut shown = String::new();
        let secondaries = PairStatus::ALL.into_iter().map(Forbidden::Secondary);
        for why in secondaries.chain([Forbidden::Reserved, Forbidden::Blocked]) {
            let [read, write] = [Tried::Read, Tried::Write].map(|tried| access(tried, why));
            writeln!(
                shown,
                "{why:?}: {:?} {:?}; {:?} {:?}",
                read.key, read.asc, write.key, write.asc
            )
            .expect("text");
        }
        insta::assert_snapshot!(shown, @r"
        Secondary(PairedNotCopied): NotReady 04/0B; DataProtect 27/03
        Secondary(CopyInProgress): NotReady 04/0B; DataProtect 27/03
        Secondary(Copied): NotReady 04/0B; DataProtect 27/03
        Secondary(Restoring): NotReady 04/0C; DataProtect 27/03
        Secondary(Suspended): NotReady 04/03; DataProtect 27/04
        Reserved: DataProtect 27/06; DataProtect 27/06
        Blocked: HardwareError 3E/01; HardwareError 3E/01
        ");
    }

    #[test]
    fn failures() {
        fn check(error: HostError, status: u8, key: u8, asc: (u8, u8)) {
            let reply = Refused::from(error).reply(false);
            let said = reply.sense.map_or((0, (0, 0)), |sense| {
                (sense.key as u8, (sense.asc.code, sense.asc.qualifier))
            });
            assert_eq!((reply.status as u8, said), (status, (key, asc)), "{error:?}");
        }
        let blocks = BlockRange::new(BlockNo(1), 1);
        check(HostError::NoVolume { ldev: LDEV }, 2, 5, (0x25, 0));
        check(HostError::OutOfRange { ldev: LDEV, blocks, block_count: 1 }, 2, 5, (0x21, 0));
        check(HostError::NotWholeBlocks { bytes: 1 }, 2, 5, (0x0E, 3));
        check(HostError::Medium { ldev: LDEV, block: BlockNo(7) }, 2, 3, (0x11, 0));
        check(HostError::Drive { ldev: LDEV }, 2, 4, (0x44, 0));
        check(HostError::TooLarge { blocks: 2, most_blocks: 1 }, 2, 5, (0x24, 0));
        check(HostError::Busy, 0x28, 0, (0, 0));
        check(HostError::NoRoom, 0x08, 0, (0, 0));
        check(HostError::Stopping, 2, 2, (4, 0x0C));
    }
}
