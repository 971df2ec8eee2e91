//! The table of all commands (SPC-5, SBC-4), by operation code and service action.

use super::cdb::{Cdb, Field};
use super::operation::{Conflict, DataRule, Has, Operation, Usage, Verb, When};

/// What most commands have; the rows say what is different.
const fn row(opcode: u8, name: &'static str, verb: Verb, mut usage: Usage) -> Operation {
    usage.bits[0] = opcode;
    let mut row = Operation {
        opcode,
        action: None,
        name,
        usage,
        data: DataRule::None,
        changes: false,
        conflict: Conflict::Never,
        when: When::Ready,
        has: Has::All,
        timeout_s: 30,
        verb,
        looked_at: 0,
    };
    row.looked_at = row.all_looked_at();
    row
}

/// One of the service actions of an operation code.
const fn action(mut row: Operation, action: u8) -> Operation {
    row.action = Some(action);
    row.usage.bits[1] |= action;
    row.looked_at = row.all_looked_at();
    row
}

const fn when(mut row: Operation, when: When, conflict: Conflict) -> Operation {
    row.when = when;
    row.conflict = conflict;
    row
}

const fn into(mut row: Operation, at: u8, bytes: u8) -> Operation {
    row.data = DataRule::In(Field::new(at, bytes));
    row
}

const fn list(mut row: Operation, at: u8, bytes: u8) -> Operation {
    row.data = DataRule::Out(Field::new(at, bytes));
    row
}

const fn has(mut row: Operation, has: Has) -> Operation {
    row.has = has;
    row
}

/// Reads the medium.
const fn read(row: Operation, rule: DataRule) -> Operation {
    let mut row = when(row, When::Ready, Conflict::Read);
    row.data = rule;
    row
}

/// Changes the medium.
const fn change(row: Operation, rule: DataRule) -> Operation {
    let mut row = when(row, When::Ready, Conflict::Write);
    row.data = rule;
    row.changes = true;
    row
}

const fn sanitize(name: &'static str, no: u8, by: Has) -> Operation {
    let usage = Usage::of(10, &[(1, 0xA0), (7, 0xFF), (8, 0xFF)]);
    let row = action(row(0x48, name, Verb::Sanitize, usage), no);
    let mut row = change(row, DataRule::Out(Field::new(7, 2)));
    // It may be the way out of a sanitize operation that failed.
    row.when = When::Unsanitized;
    row.changes = no != 0x1F;
    row.timeout_s = 86_400;
    has(row, by)
}

const fn reserve_in(name: &'static str, no: u8) -> Operation {
    let usage = Usage::of(10, &[(7, 0xFF), (8, 0xFF)]);
    let row = action(row(0x5E, name, Verb::PersistentReserveIn, usage), no);
    when(into(row, 7, 2), When::Attentive, Conflict::Legacy)
}

const fn reserve_out(name: &'static str, no: u8) -> Operation {
    let usage = Usage::of(10, &[(2, 0xFF), (5, 0xFF), (6, 0xFF), (7, 0xFF), (8, 0xFF)]);
    let row = action(row(0x5F, name, Verb::PersistentReserveOut, usage), no);
    when(list(row, 5, 4), When::Unsanitized, Conflict::Registration)
}

const LENGTH_16: [(usize, u8); 4] = [(10, 0xFF), (11, 0xFF), (12, 0xFF), (13, 0xFF)];

const fn copy_results(name: &'static str, no: u8) -> Operation {
    let mut usage = Usage::of(16, &LENGTH_16);
    usage.bits[2] = 0xFF;
    let row = action(row(0x84, name, Verb::ReceiveCopyResults, usage), no);
    when(into(row, 10, 4), When::Unsanitized, Conflict::Write)
}

const fn mode(row: Operation, at: u8, bytes: u8, selects: bool) -> Operation {
    if selects {
        when(list(row, at, bytes), When::Unsanitized, Conflict::Write)
    } else {
        when(into(row, at, bytes), When::Attentive, Conflict::Write)
    }
}

/// A CDB as long as those of a group with `flags` in byte 1 and nothing else.
const fn flags(len: u8, flags: u8) -> Usage {
    Usage::of(len, &[(1, flags)])
}

const DPO_FUA: u8 = 0x18;
const DPO_BYTCHK: u8 = 0x16;

/// COMPARE AND WRITE has one byte for its length.
const fn compare_usage() -> Usage {
    let mut usage = Usage::blocks(16, DPO_FUA);
    [usage.bits[10], usage.bits[11], usage.bits[12]] = [0; 3];
    usage
}

/// WRITE ATOMIC has two, and no boundaries of atomic parts.
const fn atomic_usage() -> Usage {
    let mut usage = Usage::blocks(16, DPO_FUA);
    [usage.bits[10], usage.bits[11]] = [0; 2];
    usage
}

/// GET LBA STATUS has a block address, and an allocation length.
const fn lba_status_usage() -> Usage {
    let mut usage = Usage::blocks(16, 0);
    usage.bits[14] = 0;
    usage
}

/// REPORT SUPPORTED OPERATION CODES has what is asked for, and an allocation length.
const fn report_usage() -> Usage {
    let mut usage = Usage::blocks(12, 0);
    usage.bits[2] = 0x87;
    usage.bits[10] = 0;
    usage
}

/// REPORT TARGET PORT GROUPS has PARAMETER DATA FORMAT, and an allocation length.
const fn port_groups_usage() -> Usage {
    Usage::of(12, &[(1, 0xE0), (6, 0xFF), (7, 0xFF), (8, 0xFF), (9, 0xFF)])
}

/// All commands, by ascending operation code and service action.
///
/// ```
/// use diptych_cha::scsi::OPERATIONS;
/// let write = OPERATIONS.iter().find(|op| op.name == "WRITE(10)").unwrap();
/// assert_eq!((write.opcode, write.cdb_bytes(), write.changes), (0x2A, 10, true));
/// ```
pub static OPERATIONS: &[Operation] = &ROWS;

const OPERATIONS_COUNT: usize = ROWS.len();

static ROWS: [Operation; 65] = [
    when(
        row(0x00, "TEST UNIT READY", Verb::TestUnitReady, flags(6, 0)),
        When::Ready,
        Conflict::Legacy,
    ),
    when(
        into(
            row(0x03, "REQUEST SENSE", Verb::RequestSense, Usage::of(6, &[(1, 0x01), (4, 0xFF)])),
            4,
            1,
        ),
        When::Always,
        Conflict::Never,
    ),
    read(row(0x08, "READ(6)", Verb::Read, Usage::blocks(6, 0x1F)), DataRule::InBlocks),
    change(row(0x0A, "WRITE(6)", Verb::Write, Usage::blocks(6, 0x1F)), DataRule::OutBlocks),
    when(
        into(
            row(
                0x12,
                "INQUIRY",
                Verb::Inquiry,
                Usage::of(6, &[(1, 0x01), (2, 0xFF), (3, 0xFF), (4, 0xFF)]),
            ),
            3,
            2,
        ),
        When::Always,
        Conflict::Never,
    ),
    mode(
        row(0x15, "MODE SELECT(6)", Verb::ModeSelect, Usage::of(6, &[(1, 0x11), (4, 0xFF)])),
        4,
        1,
        true,
    ),
    when(row(0x16, "RESERVE(6)", Verb::Reserve, flags(6, 0)), When::Unsanitized, Conflict::Reserve),
    when(row(0x17, "RELEASE(6)", Verb::Release, flags(6, 0)), When::Unsanitized, Conflict::Release),
    mode(
        row(
            0x1A,
            "MODE SENSE(6)",
            Verb::ModeSense,
            Usage::of(6, &[(1, 0x08), (2, 0xFF), (3, 0xFF), (4, 0xFF)]),
        ),
        4,
        1,
        false,
    ),
    when(
        row(
            0x1B,
            "START STOP UNIT",
            Verb::StartStop,
            Usage::of(6, &[(1, 0x01), (3, 0x0F), (4, 0xF7)]),
        ),
        When::Unsanitized,
        Conflict::StartStop,
    ),
    has(
        when(
            row(
                0x1E,
                "PREVENT ALLOW MEDIUM REMOVAL",
                Verb::PreventRemoval,
                Usage::of(6, &[(4, 0x03)]),
            ),
            When::Unsanitized,
            Conflict::Prevent,
        ),
        Has::Removable,
    ),
    // Always eight bytes: it has no allocation length.
    when(
        into(row(0x25, "READ CAPACITY(10)", Verb::ReadCapacity, flags(10, 0)), 0, 0),
        When::Ready,
        Conflict::Legacy,
    ),
    read(row(0x28, "READ(10)", Verb::Read, Usage::blocks(10, DPO_FUA)), DataRule::InBlocks),
    change(row(0x2A, "WRITE(10)", Verb::Write, Usage::blocks(10, DPO_FUA)), DataRule::OutBlocks),
    change(
        row(0x2E, "WRITE AND VERIFY(10)", Verb::WriteAndVerify, Usage::blocks(10, DPO_BYTCHK)),
        DataRule::OutBlocks,
    ),
    read(
        row(0x2F, "VERIFY(10)", Verb::Verify, Usage::blocks(10, DPO_BYTCHK)),
        DataRule::OutByteCheck,
    ),
    read(row(0x34, "PRE-FETCH(10)", Verb::PreFetch, Usage::blocks(10, 0x02)), DataRule::None),
    when(
        row(0x35, "SYNCHRONIZE CACHE(10)", Verb::SynchronizeCache, Usage::blocks(10, 0x06)),
        When::Ready,
        Conflict::Write,
    ),
    read(
        row(
            0x37,
            "READ DEFECT DATA(10)",
            Verb::ReadDefectData,
            Usage::of(10, &[(2, 0x1F), (7, 0xFF), (8, 0xFF)]),
        ),
        DataRule::In(Field::new(7, 2)),
    ),
    change(row(0x41, "WRITE SAME(10)", Verb::WriteSame, Usage::blocks(10, 0x08)), DataRule::OutOne),
    has(
        change(
            row(0x42, "UNMAP", Verb::Unmap, Usage::of(10, &[(6, 0x3F), (7, 0xFF), (8, 0xFF)])),
            DataRule::Out(Field::new(7, 2)),
        ),
        Has::Thin,
    ),
    sanitize("SANITIZE, OVERWRITE", 0x01, Has::All),
    sanitize("SANITIZE, BLOCK ERASE", 0x02, Has::Thin),
    sanitize("SANITIZE, CRYPTOGRAPHIC ERASE", 0x03, Has::Thin),
    sanitize("SANITIZE, EXIT FAILURE MODE", 0x1F, Has::All),
    mode(
        row(
            0x55,
            "MODE SELECT(10)",
            Verb::ModeSelect,
            Usage::of(10, &[(1, 0x11), (7, 0xFF), (8, 0xFF)]),
        ),
        7,
        2,
        true,
    ),
    when(
        row(0x56, "RESERVE(10)", Verb::Reserve, flags(10, 0)),
        When::Unsanitized,
        Conflict::Reserve,
    ),
    when(
        row(0x57, "RELEASE(10)", Verb::Release, flags(10, 0)),
        When::Unsanitized,
        Conflict::Release,
    ),
    mode(
        row(
            0x5A,
            "MODE SENSE(10)",
            Verb::ModeSense,
            Usage::of(10, &[(1, 0x18), (2, 0xFF), (3, 0xFF), (7, 0xFF), (8, 0xFF)]),
        ),
        7,
        2,
        false,
    ),
    reserve_in("PERSISTENT RESERVE IN, READ KEYS", 0),
    reserve_in("PERSISTENT RESERVE IN, READ RESERVATION", 1),
    reserve_in("PERSISTENT RESERVE IN, REPORT CAPABILITIES", 2),
    reserve_in("PERSISTENT RESERVE IN, READ FULL STATUS", 3),
    reserve_out("PERSISTENT RESERVE OUT, REGISTER", 0),
    reserve_out("PERSISTENT RESERVE OUT, RESERVE", 1),
    reserve_out("PERSISTENT RESERVE OUT, RELEASE", 2),
    reserve_out("PERSISTENT RESERVE OUT, CLEAR", 3),
    reserve_out("PERSISTENT RESERVE OUT, PREEMPT", 4),
    reserve_out("PERSISTENT RESERVE OUT, PREEMPT AND ABORT", 5),
    reserve_out("PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY", 6),
    reserve_out("PERSISTENT RESERVE OUT, REGISTER AND MOVE", 7),
    change(
        action(
            row(0x83, "EXTENDED COPY(LID1)", Verb::ExtendedCopy, Usage::of(16, &LENGTH_16)),
            0x00,
        ),
        DataRule::Out(Field::new(10, 4)),
    ),
    copy_results("RECEIVE COPY STATUS(LID1)", 0x00),
    copy_results("RECEIVE COPY OPERATING PARAMETERS", 0x03),
    copy_results("RECEIVE COPY FAILURE DETAILS(LID1)", 0x04),
    read(row(0x88, "READ(16)", Verb::Read, Usage::blocks(16, DPO_FUA)), DataRule::InBlocks),
    change(
        row(0x89, "COMPARE AND WRITE", Verb::CompareAndWrite, compare_usage()),
        DataRule::OutTwice,
    ),
    change(row(0x8A, "WRITE(16)", Verb::Write, Usage::blocks(16, DPO_FUA)), DataRule::OutBlocks),
    change(
        row(0x8B, "ORWRITE(16)", Verb::OrWrite, Usage::blocks(16, DPO_FUA)),
        DataRule::OutBlocks,
    ),
    change(
        row(0x8E, "WRITE AND VERIFY(16)", Verb::WriteAndVerify, Usage::blocks(16, DPO_BYTCHK)),
        DataRule::OutBlocks,
    ),
    read(
        row(0x8F, "VERIFY(16)", Verb::Verify, Usage::blocks(16, DPO_BYTCHK)),
        DataRule::OutByteCheck,
    ),
    read(row(0x90, "PRE-FETCH(16)", Verb::PreFetch, Usage::blocks(16, 0x02)), DataRule::None),
    when(
        row(0x91, "SYNCHRONIZE CACHE(16)", Verb::SynchronizeCache, Usage::blocks(16, 0x06)),
        When::Ready,
        Conflict::Write,
    ),
    change(row(0x93, "WRITE SAME(16)", Verb::WriteSame, Usage::blocks(16, 0x09)), DataRule::OutOne),
    change(row(0x9C, "WRITE ATOMIC(16)", Verb::WriteAtomic, atomic_usage()), DataRule::OutBlocks),
    when(
        into(
            action(
                row(0x9E, "READ CAPACITY(16)", Verb::ReadCapacity, Usage::of(16, &LENGTH_16)),
                0x10,
            ),
            10,
            4,
        ),
        When::Ready,
        Conflict::Legacy,
    ),
    read(
        action(row(0x9E, "GET LBA STATUS(16)", Verb::GetLbaStatus, lba_status_usage()), 0x12),
        DataRule::In(Field::new(10, 4)),
    ),
    when(
        into(
            row(
                0xA0,
                "REPORT LUNS",
                Verb::ReportLuns,
                Usage::of(12, &[(2, 0xFF), (6, 0xFF), (7, 0xFF), (8, 0xFF), (9, 0xFF)]),
            ),
            6,
            4,
        ),
        When::Always,
        Conflict::Never,
    ),
    when(
        into(
            action(
                row(0xA3, "REPORT TARGET PORT GROUPS", Verb::ReportPortGroups, port_groups_usage()),
                0x0A,
            ),
            6,
            4,
        ),
        When::Attentive,
        Conflict::Legacy,
    ),
    when(
        into(
            action(
                row(
                    0xA3,
                    "REPORT SUPPORTED OPERATION CODES",
                    Verb::ReportOperations,
                    report_usage(),
                ),
                0x0C,
            ),
            6,
            4,
        ),
        When::Attentive,
        Conflict::Legacy,
    ),
    read(row(0xA8, "READ(12)", Verb::Read, Usage::blocks(12, DPO_FUA)), DataRule::InBlocks),
    change(row(0xAA, "WRITE(12)", Verb::Write, Usage::blocks(12, DPO_FUA)), DataRule::OutBlocks),
    change(
        row(0xAE, "WRITE AND VERIFY(12)", Verb::WriteAndVerify, Usage::blocks(12, DPO_BYTCHK)),
        DataRule::OutBlocks,
    ),
    read(
        row(0xAF, "VERIFY(12)", Verb::Verify, Usage::blocks(12, DPO_BYTCHK)),
        DataRule::OutByteCheck,
    ),
    read(
        row(
            0xB7,
            "READ DEFECT DATA(12)",
            Verb::ReadDefectData,
            Usage::of(12, &[(1, 0x1F), (6, 0xFF), (7, 0xFF), (8, 0xFF), (9, 0xFF)]),
        ),
        DataRule::In(Field::new(6, 4)),
    ),
];

/// What a CDB asks for.
pub(crate) enum Found {
    /// This command.
    Operation(&'static Operation),
    /// The operation code is known, this service action of it is not.
    NoAction,
    /// The operation code is not known.
    NoOpcode,
}

/// Finds the command of a CDB.
pub(crate) fn find(cdb: &Cdb) -> Found {
    lookup(cdb.opcode(), cdb.action())
}

/// Where the rows of each operation code begin.
static FIRST_ROW: [u8; 256] = {
    let mut first = [OPERATIONS_COUNT as u8; 256];
    let mut no = OPERATIONS_COUNT;
    while no > 0 {
        no -= 1;
        first[OPERATIONS[no].opcode as usize] = no as u8;
    }
    first
};

/// Finds a command by its operation code and, if that has service actions, one of those.
pub(crate) fn lookup(opcode: u8, action: u8) -> Found {
    let from = usize::from(FIRST_ROW[usize::from(opcode)]);
    let rows = OPERATIONS[from..].iter().take_while(|row| row.opcode == opcode);
    let mut known = Found::NoOpcode;
    for row in rows {
        if row.action.is_none_or(|own| own == action) {
            return Found::Operation(row);
        }
        known = Found::NoAction;
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn rows_are_in_order_and_as_long_as_their_cdbs() {
        let keys: Vec<_> = OPERATIONS.iter().map(|row| (row.opcode, row.action)).collect();
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:02X?}");
        for row in OPERATIONS {
            let bytes = match row.opcode >> 5 {
                0 => 6,
                1 | 2 => 10,
                4 => 16,
                5 => 12,
                group => panic!("{}: no CDB is in group {group}", row.name),
            };
            assert_eq!(row.cdb_bytes(), bytes, "{}", row.name);
            assert_eq!(row.usage()[0], row.opcode, "{}", row.name);
            if let Some(action) = row.action {
                assert_eq!(row.usage()[1] & 0x1F, action, "{}", row.name);
            }
            assert!(
                matches!(find(&Cdb::new(row.usage())), Found::Operation(found) if found.name == row.name)
            );
        }
    }

    #[test]
    fn what_is_not_found() {
        assert!(matches!(lookup(0x04, 0), Found::NoOpcode));
        assert!(matches!(lookup(0xFF, 0), Found::NoOpcode));
        assert!(matches!(lookup(0x48, 0x04), Found::NoAction));
        assert!(matches!(lookup(0x9E, 0x11), Found::NoAction));
        // Without service actions the low bits of byte 1 are something else.
        assert!(matches!(lookup(0x28, 0x1F), Found::Operation(_)));
    }

    #[test]
    fn the_first_reserved_bit() {
        fn check(bytes: &[u8], expected: Option<(u16, u8)>) {
            let cdb = Cdb::new(bytes);
            let Found::Operation(row) = find(&cdb) else { panic!("a command") };
            assert_eq!(row.reserved_bit(&cdb), expected, "{bytes:02X?}");
        }
        check(&[0x28, 0x18, 1, 2, 3, 4, 0, 1, 2, 0], None);
        check(&[0x28, 0x38, 1, 2, 3, 4, 0, 1, 2, 0], Some((1, 5)));
        check(&[0x28, 0, 1, 2, 3, 4, 0, 1, 2, 0x04], Some((9, 2)));
        check(&[0x48, 0x42, 0, 0, 0, 0, 0, 0, 0, 0], Some((1, 6)));
        check(&[0x48, 0x82, 3, 0, 0, 0, 0, 0, 0, 0], Some((2, 1)));
    }

    #[test]
    fn the_table() {
        let mut shown = String::new();
        for row in OPERATIONS {
            let action = row.action.map_or(String::new(), |action| format!("/{action:02X}"));
            let change = if row.changes { "changes" } else { "" };
            writeln!(
                shown,
                "{:02X}{action:<4}{:<57}{change:<8}{:<13}{:<12}{:?}",
                row.opcode,
                row.name,
                format!("{:?}", row.conflict),
                format!("{:?}", row.when),
                row.has
            )
            .expect("text");
        }
        insta::assert_snapshot!(shown);
    }
}
