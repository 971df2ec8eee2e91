//! The text of every error, pinned.

use crate::{
    Forbidden, HostError, LuError, LuPath, NameError, PortId, Refusal, RequestError, TargetId,
    Tried, WireError,
};
use diptych_format::{BlockNo, BlockRange, LdevId};
use diptych_shared::PairStatus;
use std::fmt::{Debug, Display};

const LDEV: LdevId = LdevId::new(0, 0x1A);

/// Every refusal, in the order of its numbers.
pub(crate) fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::NoVolume { ldev: LDEV },
        Refusal::SameVolume { ldev: LDEV },
        Refusal::SizeMismatch { primary_blocks: 4_806_720, secondary_blocks: 14_423_040 },
        Refusal::TypeMismatch,
        Refusal::Cycle { ldev: LDEV },
        Refusal::ThirdLevel { ldev: LDEV },
        Refusal::FirstLevelNotCopied { status: PairStatus::CopyInProgress },
        Refusal::SecondaryIsSecondary { ldev: LDEV },
        Refusal::SecondaryIsPrimary { ldev: LDEV },
        Refusal::NotReserved { ldev: LDEV },
        Refusal::TooManySecondaries { ldev: LDEV, most: 3 },
        Refusal::TooManyPairs { most: 4096 },
        Refusal::Undefined { ldev: LDEV },
        Refusal::Blocked { ldev: LDEV },
        Refusal::Restoring,
        Refusal::Stopping,
        Refusal::Busy,
        Refusal::Lanes { asked: 0, most: 16 },
        Refusal::NoneToChoose { ldev: LDEV },
        Refusal::PrimaryIsSecondary { ldev: LDEV },
        Refusal::OtherPair { ldev: LDEV, status: PairStatus::CopyInProgress },
        Refusal::DrainLimit,
        Refusal::NotForGroups,
        Refusal::GroupSize { asked: 0, most: 4096 },
        Refusal::GroupConflict { ldev: LDEV },
        Refusal::InUse { ldev: LDEV },
        Refusal::ControlFull { asked_bytes: 1_234, free_bytes: 99 },
    ]
}

fn host_errors() -> Vec<HostError> {
    let blocks = BlockRange::new(BlockNo(4_806_716), 8);
    let access = |tried, why| HostError::Access { ldev: LDEV, tried, why };
    vec![
        HostError::NoVolume { ldev: LDEV },
        HostError::OutOfRange { ldev: LDEV, blocks, block_count: 4_806_720 },
        HostError::NotWholeBlocks { bytes: 1_000 },
        HostError::NotAsMany { expected_bytes: 512, data_bytes: 1_024 },
        access(Tried::Read, Forbidden::Secondary(PairStatus::PairedNotCopied)),
        access(Tried::Write, Forbidden::Reserved),
        access(Tried::Write, Forbidden::Blocked),
        HostError::Medium { ldev: LDEV, block: BlockNo(96) },
        HostError::Drive { ldev: LDEV },
        HostError::TooLarge { blocks: 1 << 32, most_blocks: 65_536 },
        HostError::Busy,
        HostError::NoRoom,
        HostError::Stopping,
    ]
}

fn wire_errors() -> Vec<WireError> {
    vec![
        WireError::TooShort { expected: 24, found: 4 },
        WireError::Magic { expected: 0x424D_4344, found: 0x0000_4344 },
        WireError::Version { known: 1, found: 2 },
        WireError::Code { found: 215 },
        WireError::Pace { found: 16 },
        WireError::NoLane,
        WireError::Limit { kind: 1, value: 0 },
        WireError::Phase { found: 5 },
        WireError::Result { found: 4 },
        WireError::Status { found: 807 },
        WireError::Reason { found: 17 },
        WireError::Operand { reason: 1, found: 0x1_0000 },
        WireError::Reserved { at: 14, expected: 1, found: 0x81 },
    ]
}

fn lu_errors() -> Vec<LuError> {
    let port = PortId::new(1, 0).expect("a port");
    let path = LuPath::new(port, crate::Lun(3));
    let target = TargetId::new(port, 2);
    vec![
        LuError::NoPort { port },
        LuError::NoLu { path },
        LuError::Taken { path, ldev: LDEV },
        LuError::NoGroup { target },
        LuError::GroupTaken { target },
        LuError::FirstGroup { target: TargetId::new(port, 0) },
        LuError::TooManyGroups { port, most: 64 },
        LuError::TooManyInitiators { target, most: 64 },
    ]
}

fn name_errors() -> Vec<NameError> {
    vec![
        NameError::NotPort,
        NameError::NoCluster { cluster: 9, most: 8 },
        NameError::NoChannel { channel_no: 16, channel_count: 16 },
        NameError::NotLun,
        NameError::NotPath,
        NameError::NotCommand,
        NameError::NotGroup,
        NameError::NotWho,
        NameError::NotHostGroupNo,
        NameError::NotHostGroup,
        NameError::NotInitiator,
    ]
}

/// A line an error: its variant, its text.
fn table<E: Debug + Display>(errors: &[E]) -> String {
    let line = |error: &E| {
        let debug = format!("{error:?}");
        let variant = debug.split([' ', '(']).next().unwrap_or_default();
        format!("{variant:<21} {error}\n")
    };
    errors.iter().map(line).collect()
}

#[test]
fn refusals_say() {
    insta::assert_snapshot!(table(&refusals()), @r"
    NoVolume              volume 00:1A does not exist
    SameVolume            volume 00:1A cannot be its own secondary
    SizeMismatch          the primary has 4806720 blocks, the secondary 14423040
    TypeMismatch          primary and secondary are of different emulation types
    Cycle                 volume 00:1A is already a copy made from the secondary: pairs may not form a circle
    ThirdLevel            volume 00:1A is the secondary of a secondary: there is no third level
    FirstLevelNotCopied   the first-level pair is paired and copy in progress, it has to be paired and copied
    SecondaryIsSecondary  volume 00:1A is the secondary of another pair
    SecondaryIsPrimary    volume 00:1A is the primary of another pair
    NotReserved           volume 00:1A is not reserved as a secondary
    TooManySecondaries    volume 00:1A has 3 secondaries already
    TooManyPairs          all 4096 pair numbers are in use
    Undefined             the contents of volume 00:1A are undefined
    Blocked               volume 00:1A is blocked
    Restoring             the pair is restoring: wait for its end
    Stopping              the control unit is stopping
    Busy                  too many requests wait already
    Lanes                 a pair has 1 to 16 lanes, not 0
    NoneToChoose          no reserved volume of the size and type of volume 00:1A is free
    PrimaryIsSecondary    volume 00:1A is a secondary: a restore may not write it
    OtherPair             the pair of secondary 00:1A is paired and copy in progress, it has to be split or suspended
    DrainLimit            requests under way took longer than the command may hold hosts up
    NotForGroups          pairs are created and deleted one by one
    GroupSize             a group command has 1 to 4096 pairs, not 0
    GroupConflict         the command cannot be carried out for this pair and that of secondary 00:1A
    InUse                 volume 00:1A is in use: a host wrote it a short time ago
    ControlFull           the log has room for 99 bytes more of control state, the pair takes 1234
    ");
}

#[test]
fn host_errors_say() {
    insta::assert_snapshot!(table(&host_errors()), @r"
    NoVolume              volume 00:1A does not exist
    OutOfRange            blocks 4806716..4806724 reach past the end of volume 00:1A, which has 4806720
    NotWholeBlocks        1000 bytes are not a whole number of 512-byte blocks
    NotAsMany             512 bytes are compared and 1024 written: not as many
    Access                volume 00:1A may not be read now: it is the secondary of a pair that is paired and not copied
    Access                volume 00:1A may not be written now: it is reserved
    Access                volume 00:1A may not be written now: it is blocked
    Medium                medium error at block 96 of volume 00:1A
    Drive                 a drive under volume 00:1A failed
    TooLarge              a request has at most 65536 blocks, not 4294967296
    Busy                  too many requests wait already
    NoRoom                the cache is too small for a request of this size
    Stopping              the control unit is stopping
    ");
}

#[test]
fn wire_errors_say() {
    insta::assert_snapshot!(table(&wire_errors()), @r"
    TooShort              a block has 24 bytes, these are 4
    Magic                 the block starts with 0x00004344 instead of 0x424d4344
    Version               the block has version 2, only version 1 is known
    Code                  there is no command with code 215
    Pace                  pace 16 is not one of 1 to 15 tracks
    NoLane                a pair has at least one lane
    Limit                 there is no limit of kind 1 and value 0
    Phase                 there is no phase with number 5
    Result                there is no result with number 4
    Status                there is no pair status with number 807
    Reason                there is no reason with number 17
    Operand               operand 0x10000 of reason 1 is out of range
    Reserved              byte 14 is 0x81, it has to be 0x01
    ");
}

#[test]
fn lu_errors_say() {
    insta::assert_snapshot!(table(&lu_errors()), @r"
    NoPort                the channel adapter has no port CL1-A
    NoLu                  there is no logical unit CL1-A:3
    Taken                 logical unit CL1-A:3 is volume 00:1A already
    NoGroup               there is no host group CL1-A.2
    GroupTaken            there is a host group CL1-A.2 already
    FirstGroup            host group CL1-A is the first of its port and stays
    TooManyGroups         port CL1-A has 64 host groups, and no more fit
    TooManyInitiators     host group CL1-A.2 names 64 initiators, and no more fit
    ");
}

#[test]
fn name_errors_say() {
    insta::assert_snapshot!(table(&name_errors()), @r"
    NotPort               a port is written CL, cluster, hyphen, channel, as in CL1-A
    NoCluster             cluster 9 is not one of 1 to 8
    NoChannel             channel number 16 is not below 16
    NotLun                a LUN is a number from 0 to 255
    NotPath               a path is written port, colon, LUN, as in CL1-A:3
    NotCommand            the commands are create, delete, copy (or split), resync, suspend, restore and quick-restore
    NotGroup              a group's name is 1 to 32 letters, digits, dots, dashes and underscores
    NotWho                who gives commands is host, operator, schedule or unit
    NotHostGroupNo        a host group has a number from 0 to 255
    NotHostGroup          a host group's name is 1 to 32 letters, digits, dots, dashes and underscores
    NotInitiator          an initiator's name is 1 to 223 characters without spaces, commas and slashes
    ");
}

#[test]
fn a_request_error_says_what_is_under_it() {
    for error in lu_errors() {
        assert_eq!(RequestError::from(error).to_string(), error.to_string());
    }
    for error in wire_errors() {
        assert_eq!(RequestError::from(error).to_string(), error.to_string());
    }
}

/// The tables have every variant: a new one does not compile until it has its line here, and the
/// counts then ask for its line above.
#[test]
fn no_error_is_left_out() {
    fn kinds<E>(errors: &[E], no: impl Fn(&E) -> u32) -> u32 {
        errors.iter().fold(0, |seen, error| seen | 1 << no(error))
    }
    let refused = kinds(&refusals(), |refusal| u32::from(refusal.number()) - 1);
    assert_eq!(refused, (1 << 27) - 1);
    let failed = kinds(&host_errors(), |error| match error {
        HostError::NoVolume { .. } => 0,
        HostError::OutOfRange { .. } => 1,
        HostError::NotWholeBlocks { .. } => 2,
        HostError::Access { why: Forbidden::Secondary(_), .. } => 3,
        HostError::Access { why: Forbidden::Reserved, .. } => 4,
        HostError::Access { why: Forbidden::Blocked, .. } => 5,
        HostError::Medium { .. } => 6,
        HostError::Drive { .. } => 7,
        HostError::NoRoom => 8,
        HostError::Stopping => 9,
        HostError::TooLarge { .. } => 10,
        HostError::Busy => 11,
        HostError::NotAsMany { .. } => 12,
    });
    assert_eq!(failed, (1 << 13) - 1);
    let wire = kinds(&wire_errors(), |error| match error {
        WireError::TooShort { .. } => 0,
        WireError::Magic { .. } => 1,
        WireError::Version { .. } => 2,
        WireError::Code { .. } => 3,
        WireError::Pace { .. } => 4,
        WireError::NoLane => 5,
        WireError::Result { .. } => 6,
        WireError::Status { .. } => 7,
        WireError::Reason { .. } => 8,
        WireError::Operand { .. } => 9,
        WireError::Reserved { .. } => 10,
        WireError::Limit { .. } => 11,
        WireError::Phase { .. } => 12,
    });
    assert_eq!(wire, (1 << 13) - 1);
}
