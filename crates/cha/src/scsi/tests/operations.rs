//! All commands, by the table: what each changes, and who is refused.

use super::bench::{Bench, changes};
use crate::HostOp;
use crate::scsi::{OPERATIONS, Operation, TaskManagement, When};

/// The LUN on which commands are tried: the removable one has all of them.
const LUN: u8 = 2;
/// MODE SELECT(6) that sets SWP.
pub(super) const SWP: ([u8; 6], [u8; 16]) =
    ([0x15, 0x10, 0, 0, 16, 0], [0, 0, 0, 0, 0x0A, 10, 0, 0x10, 8, 0x40, 0, 0, 0xFF, 0xFF, 0, 0]);

/// A CDB of an operation that does something at a LUN, and its data.
fn example(operation: &Operation, lun: u8) -> (Vec<u8>, Vec<u8>) {
    let mut cdb = vec![0; operation.cdb_bytes()];
    [cdb[0], cdb[1]] = [operation.opcode, operation.action.unwrap_or(0)];
    let mut data = vec![0; 512];
    let moves =
        operation.changes || ["READ(", "VERIFY("].iter().any(|n| operation.name.starts_with(n));
    let mut put = |at: usize, byte: u8| cdb[at] = byte;
    match operation.name {
        "UNMAP" => {
            put(8, 24);
            data = vec![0; 24];
            [data[1], data[3], data[19]] = [22, 16, 1];
        }
        "SANITIZE, OVERWRITE" => {
            put(8, 5);
            data = vec![1, 0, 0, 1, 0xAA];
        }
        "EXTENDED COPY(LID1)" => {
            data = super::copy::list(1, &[lun], &[(0, 0, 8, 0, 8)]);
            put(13, data.len() as u8);
        }
        "COMPARE AND WRITE" => {
            put(13, 1);
            data = vec![0; 1024];
        }
        name if name.starts_with("PERSISTENT RESERVE OUT") => {
            put(8, 24);
            data = vec![0; 24];
        }
        name if moves && !name.starts_with("SANITIZE") => match operation.cdb_bytes() {
            6 => put(4, 1),
            10 => put(8, 1),
            12 => put(9, 1),
            _ => put(13, 1),
        },
        _ => {}
    }
    (cdb, data)
}

fn changing() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().filter(|operation| operation.changes)
}

#[test]
fn whatever_changes_a_volume_changes_it_by_a_host_operation() {
    for operation in OPERATIONS {
        let mut bench = Bench::new();
        let host = bench.login("host");
        let (cdb, data) = example(operation, LUN);
        let said = bench.said(host, LUN, &cdb, &data);
        let changed: Vec<&HostOp> = bench.ops.iter().filter(|op| changes(op)).collect();
        assert_eq!(!changed.is_empty(), operation.changes, "{}: {said}", operation.name);
        if operation.changes {
            assert_eq!(said, "good", "{}", operation.name);
        }
    }
}

/// Tries every changing command after `prepare`; none may change anything.
fn refused(lun: u8, prepare: impl Fn(&mut Bench), expected: &str) {
    for operation in changing() {
        let mut bench = Bench::new();
        prepare(&mut bench);
        let host = bench.login("host");
        let (cdb, data) = example(operation, lun);
        let said = bench.said(host, lun, &cdb, &data);
        assert_eq!(said, expected, "{}", operation.name);
        assert!(!bench.ops.iter().any(changes), "{}", operation.name);
    }
}

#[test]
fn a_write_protected_unit_is_not_changed() {
    refused(3, |_| {}, "DataProtect 27/01");
    let soft = |bench: &mut Bench| {
        let other = bench.login("other");
        bench.check(other, LUN, &SWP.0, &SWP.1, "good");
    };
    refused(LUN, soft, "DataProtect 27/02");
}

#[test]
fn what_another_has_reserved_is_not_changed() {
    let legacy = |bench: &mut Bench| {
        let other = bench.login("other");
        bench.check(other, LUN, &[0x16, 0, 0, 0, 0, 0], &[], "good");
    };
    refused(LUN, legacy, "ReservationConflict");
    for kind in [1, 3, 5, 6, 7, 8] {
        let persistent = move |bench: &mut Bench| {
            let other = bench.login("other");
            let key = [[0; 8], [7; 8], [0; 8]].concat();
            bench.check(other, LUN, &[0x5F, 6, 0, 0, 0, 0, 0, 0, 24, 0], &key, "good");
            let key = [[7; 8], [0; 8], [0; 8]].concat();
            bench.check(other, LUN, &[0x5F, 1, kind, 0, 0, 0, 0, 0, 24, 0], &key, "good");
        };
        refused(LUN, persistent, "ReservationConflict");
    }
}

#[test]
fn what_is_not_ready_is_not_changed() {
    let ejected = |bench: &mut Bench| {
        let other = bench.login("other");
        bench.check(other, LUN, &[0x1B, 0, 0, 0, 2, 0], &[], "good");
    };
    refused(LUN, ejected, "NotReady 3A/00");
}

#[test]
fn a_reset_is_told_before_anything_else() {
    for operation in OPERATIONS {
        let mut bench = Bench::new();
        let host = bench.login("host");
        bench.manage(host, LUN, TaskManagement::UnitReset);
        let (cdb, data) = example(operation, LUN);
        let said = bench.said(host, LUN, &cdb, &data);
        let is_told = said == "UnitAttention 29/03";
        assert_eq!(is_told, operation.when != When::Always, "{}: {said}", operation.name);
    }
}

#[test]
fn reserved_bits_are_refused() {
    for operation in OPERATIONS {
        let mut bench = Bench::new();
        let host = bench.login("host");
        let (cdb, data) = example(operation, LUN);
        for at in 1..cdb.len() {
            for bit in 0..8 {
                let is_action = at == 1 && operation.action.is_some() && bit < 5;
                if operation.usage()[at] & 1 << bit != 0 || is_action {
                    continue;
                }
                let mut cdb = cdb.clone();
                cdb[at] |= 1 << bit;
                bench.check(host, LUN, &cdb, &data, "IllegalRequest 24/00");
                assert!(!bench.ops.iter().any(changes), "{}", operation.name);
            }
        }
    }
}

#[test]
fn what_is_no_command() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.check(host, 1, &[0x28, 0, 0, 0], &[], "IllegalRequest 24/00");
    bench.check(host, 1, &[0x48], &[], "IllegalRequest 24/00");
    bench.check(host, 1, &[], &[], "IllegalRequest 24/00");
    bench.check(host, 1, &[0x04, 0, 0, 0, 0, 0], &[], "IllegalRequest 20/00");
    bench.check(host, 4, &[0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0], &[], "IllegalRequest 24/00");
    bench.check(host, 1, &[0x1E, 0, 0, 0, 1, 0], &[], "IllegalRequest 20/00");
}
