//! EXTENDED COPY and RECEIVE COPY RESULTS.

use super::bench::{BLOCKS, Bench, changes, ldev};
use super::blocks::cdb;
use crate::OpKind;
use crate::scsi::UnitIdentity;

const UNIT: UnitIdentity = UnitIdentity { unit_id: 0x1234_5678 };

/// A parameter list: volumes by number, and segments as (source, destination, blocks, from, to).
pub(super) fn list(list_id: u8, volumes: &[u8], segments: &[(u16, u16, u16, u64, u64)]) -> Vec<u8> {
    let mut list = vec![list_id, 0];
    list.extend((32 * volumes.len() as u16).to_be_bytes());
    list.extend([0; 4]);
    list.extend((28 * segments.len() as u32).to_be_bytes());
    list.extend([0; 4]);
    for &no in volumes {
        let mut target = vec![0xE4, 0, 0, 0, 0x01, 0x03, 0, 8];
        target.extend(UNIT.naa(ldev(no)));
        target.resize(29, 0);
        target.extend([0, 2, 0]);
        list.extend(target);
    }
    for (source, destination, count, from, to) in segments {
        list.extend([0x02, 0, 0, 24]);
        list.extend([source.to_be_bytes(), destination.to_be_bytes(), [0; 2]].concat());
        list.extend(count.to_be_bytes());
        list.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
    }
    list
}

fn command(list: &[u8]) -> Vec<u8> {
    [&[0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &(list.len() as u32).to_be_bytes(), &[0, 0]].concat()
}

fn results(action: u8, list_id: u8) -> [u8; 16] {
    let mut cdb = [0; 16];
    [cdb[0], cdb[1], cdb[2], cdb[12]] = [0x84, action, list_id, 1];
    cdb
}

#[test]
fn blocks_are_copied_inside() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let data: Vec<u8> = (0..100 * 512).map(|at| (at / 512) as u8 + 1).collect();
    bench.check(host, 1, &cdb(0x2A, 0, 0, 100), &data, "good");
    let before = bench.target.adapter().counters();
    let list = list(7, &[1, 2], &[(0, 1, 60, 0, 5), (0, 1, 40, 60, 1000), (1, 0, 100, 5, 3000)]);
    bench.check(host, 1, &command(&list), &list, "good");
    assert_eq!(bench.disks[&ldev(2)].bytes[5 * 512..65 * 512], data[..60 * 512]);
    assert_eq!(bench.disks[&ldev(2)].bytes[1000 * 512..1040 * 512], data[60 * 512..]);
    assert_eq!(bench.disks[&ldev(1)].bytes[3000 * 512..3060 * 512], data[..60 * 512]);
    // No block of it went over the host's channel.
    let after = bench.target.adapter().counters();
    assert_eq!(
        [OpKind::Read, OpKind::Write].map(|kind| after.of(kind)),
        [OpKind::Read, OpKind::Write].map(|kind| before.of(kind))
    );
    assert_eq!(after.since(&before).inside_bytes, 200 * 512);
    let status = bench.run(host, 1, &results(0, 7), &[]);
    assert_eq!(status.data_in[..7], [0, 0, 0, 8, 1, 0, 3]);
    bench.check(host, 1, &results(0, 8), &[], "IllegalRequest 24/00");
    bench.check(host, 2, &results(0, 7), &[], "IllegalRequest 24/00");
}

#[test]
fn a_copy_onto_itself_moves() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let data: Vec<u8> = (0..4096 * 512).map(|at| (at / 512 % 251) as u8).collect();
    bench.disks.get_mut(&ldev(1)).expect("a volume").bytes.copy_from_slice(&data);
    let list = list(1, &[1], &[(0, 0, 4000, 0, 50)]);
    bench.check(host, 1, &command(&list), &list, "good");
    assert_eq!(bench.disks[&ldev(1)].bytes[50 * 512..4050 * 512], data[..4000 * 512]);
}

#[test]
fn what_cannot_be_copied() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let mut check = |volumes: &[u8], segment, expected: &str| {
        let list = list(1, volumes, &[segment]);
        bench.check(host, 1, &command(&list), &list, expected);
        assert!(!bench.ops.iter().any(changes), "{volumes:?} {segment:?}");
    };
    let [unreachable, wrong] = ["CopyAborted 08/04", "CopyAborted 00/00"];
    check(&[1], (0, 1, 8, 0, 8), unreachable);
    check(&[1], (1, 0, 8, 0, 8), unreachable);
    check(&[1], (0, 0, 2048, 0, BLOCKS - 1), wrong);
    check(&[1], (0, 0, 2048, BLOCKS - 1, 0), wrong);
    check(&[1], (0, 0, 1, u64::MAX, 0), wrong);
    // What the host does not see by its own target; what nobody sees.
    check(&[1, 5], (0, 1, 8, 0, 8), unreachable);
    check(&[1, 5], (1, 0, 8, 0, 8), unreachable);
    check(&[1, 9], (1, 0, 8, 0, 8), unreachable);
    check(&[1, 3], (0, 1, 8, 0, 8), "DataProtect 27/01");
    let details = bench.run(host, 1, &results(4, 1), &[]);
    assert_eq!(details.data_in[60 + 2], 7);
    bench.check(host, 1, &results(4, 1), &[], "IllegalRequest 24/00");
    // From a write-protected one it may be copied; and by another group the other volume is seen.
    let from = list(1, &[3, 1], &[(0, 1, 8, 0, 8)]);
    bench.check(host, 3, &command(&from), &from, "good");
    let elsewhere = bench.login_at("host", "CL1-A.2");
    let other = list(1, &[5, 1], &[(0, 1, 8, 0, 8)]);
    bench.check(elsewhere, 5, &command(&other), &other, "good");
}

#[test]
fn reservations_of_copy_targets_count() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    bench.check(other, 2, &[0x16, 0, 0, 0, 0, 0], &[], "good");
    for volumes in [[1, 2], [2, 1]] {
        let list = list(1, &volumes, &[(0, 1, 8, 0, 8)]);
        bench.check(host, 1, &command(&list), &list, "CopyAborted 0D/01");
    }
    assert!(!bench.ops.iter().any(changes));
}

#[test]
fn lists_that_are_none() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.check(host, 1, &command(&[]), &[], "good");
    let whole = list(1, &[1], &[(0, 0, 8, 0, 8)]);
    for len in [1, 15, 16, 47, 75] {
        bench.check(host, 1, &command(&whole[..len]), &whole[..len], "IllegalRequest 1A/00");
        bench.check(host, 1, &command(&whole), &whole[..len], "IllegalRequest 1A/00");
    }
}
