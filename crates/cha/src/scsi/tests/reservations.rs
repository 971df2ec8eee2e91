//! RESERVE, RELEASE and persistent reservations, by commands.

use super::bench::Bench;
use crate::scsi::{NexusId, TaskManagement};
use std::collections::BTreeMap;

const RESERVE: [u8; 6] = [0x16, 0, 0, 0, 0, 0];
const RELEASE: [u8; 6] = [0x17, 0, 0, 0, 0, 0];
const MODE_SENSE: [u8; 6] = [0x1A, 0, 0x3F, 0, 255, 0];
const READY: [u8; 6] = [0; 6];
const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const WRITE: [u8; 10] = [0x2A, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const CONFLICT: &str = "ReservationConflict";

fn out(action: u8, kind: u8, key: u64, new_key: u64, flags: u8) -> ([u8; 10], Vec<u8>) {
    let mut list = [key.to_be_bytes(), new_key.to_be_bytes(), [0; 8]].concat();
    list[20] = flags;
    ([0x5F, action, kind, 0, 0, 0, 0, 0, 24, 0], list)
}

fn reserve_out(bench: &mut Bench, host: NexusId, action: u8, kind: u8, keys: (u64, u64)) -> String {
    let (cdb, list) = out(action, kind, keys.0, keys.1, 0);
    bench.said(host, 1, &cdb, &list)
}

fn reserve_in(bench: &mut Bench, host: NexusId, action: u8) -> Vec<u8> {
    bench.run(host, 1, &[0x5E, action, 0, 0, 0, 0, 0, 0x40, 0, 0], &[]).data_in.to_vec()
}

#[test]
fn one_initiator_reserves() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    bench.check(host, 1, &RESERVE, &[], "good");
    bench.check(host, 1, &RESERVE, &[], "good");
    bench.check(other, 1, &RESERVE, &[], CONFLICT);
    bench.check(other, 1, &RELEASE, &[], "good");
    bench.check(host, 1, &MODE_SENSE, &[], "good");
    for cdb in [&MODE_SENSE[..], &READY, &READ, &RESERVE] {
        bench.check(other, 1, cdb, &[], CONFLICT);
    }
    bench.check(other, 1, &[0x12, 0, 0, 0, 96, 0], &[], "good");
    bench.check(other, 2, &RESERVE, &[], "good");
    bench.check(host, 1, &RELEASE, &[], "good");
    bench.check(other, 1, &RESERVE, &[], "good");
}

#[test]
fn what_releases() {
    fn check(end: impl Fn(&Bench, NexusId)) {
        let mut bench = Bench::new();
        let [host, other] = ["host", "other"].map(|name| bench.login(name));
        bench.check(host, 1, &RESERVE, &[], "good");
        bench.check(other, 1, &READY, &[], CONFLICT);
        end(&bench, host);
        while bench.said(other, 1, &READY, &[]) != "good" {}
    }
    check(|bench, host| bench.target.logout(host));
    for function in
        [TaskManagement::UnitReset, TaskManagement::WarmReset, TaskManagement::ColdReset]
    {
        check(|bench, host| {
            bench.manage(host, 1, function);
        });
    }
}

#[test]
fn access_by_type() {
    // What one that is registered may do, and then one that is not: read, write.
    fn check(kind: u8, registered: [bool; 2], not: [bool; 2]) {
        let mut bench = Bench::new();
        let [host, other] = ["host", "other"].map(|name| bench.login(name));
        assert_eq!(reserve_out(&mut bench, host, 6, 0, (0, 1)), "good");
        assert_eq!(reserve_out(&mut bench, other, 6, 0, (0, 2)), "good");
        assert_eq!(reserve_out(&mut bench, host, 1, kind, (1, 0)), "good");
        let mut may = |nexus, expected: [bool; 2]| {
            let found = [bench.said(nexus, 1, &READ, &[]), bench.said(nexus, 1, &WRITE, &[0; 512])];
            let said = expected.map(|may| if may { "good" } else { CONFLICT });
            assert_eq!(found, said, "type {kind}");
            bench.check(nexus, 1, &READY, &[], "good");
        };
        may(host, [true, true]);
        may(other, registered);
        assert_eq!(reserve_out(&mut bench, other, 0, 0, (2, 0)), "good");
        let mut may = |nexus, expected: [bool; 2]| {
            let found = [bench.said(nexus, 1, &READ, &[]), bench.said(nexus, 1, &WRITE, &[0; 512])];
            assert_eq!(
                found,
                expected.map(|may| if may { "good" } else { CONFLICT }),
                "type {kind}"
            );
        };
        may(other, not);
        assert_eq!(reserve_out(&mut bench, host, 2, kind, (1, 0)), "good");
        assert_eq!(reserve_out(&mut bench, host, 0, 0, (1, 0)), "good");
    }
    check(1, [true, false], [true, false]);
    check(3, [false, false], [false, false]);
    check(5, [true, true], [true, false]);
    check(6, [true, true], [false, false]);
    check(7, [true, true], [true, false]);
    check(8, [true, true], [false, false]);
}

#[test]
fn who_holds_it_when_the_first_unregisters() {
    fn check(kind: u8, stays: bool, attention: &str) {
        let mut bench = Bench::new();
        let [host, other] = ["host", "other"].map(|name| bench.login(name));
        reserve_out(&mut bench, host, 6, 0, (0, 1));
        reserve_out(&mut bench, other, 6, 0, (0, 2));
        reserve_out(&mut bench, host, 1, kind, (1, 0));
        reserve_out(&mut bench, host, 0, 0, (1, 0));
        assert_eq!(reserve_in(&mut bench, host, 1)[7] != 0, stays, "type {kind}");
        bench.check(other, 1, &READY, &[], attention);
    }
    check(1, false, "good");
    check(3, false, "good");
    check(5, false, "UnitAttention 2A/04");
    check(6, false, "UnitAttention 2A/04");
    check(7, true, "good");
    check(8, true, "good");
}

#[test]
fn keys_and_generations() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    reserve_out(&mut bench, host, 6, 0, (0, 0x11));
    reserve_out(&mut bench, other, 6, 0, (0, 0x22));
    let keys = reserve_in(&mut bench, host, 0);
    assert_eq!((keys[3], keys[7], keys[15], keys[23]), (2, 16, 0x11, 0x22));
    // Cut, but it says how long it is.
    let cut = bench.run(host, 1, &[0x5E, 0, 0, 0, 0, 0, 0, 0, 8, 0], &[]).data_in;
    assert_eq!(cut[..], keys[..8]);
    assert_eq!(reserve_out(&mut bench, host, 0, 0, (0x12, 0x13)), CONFLICT);
    assert_eq!(reserve_out(&mut bench, other, 4, 3, (0x22, 0x11)), "good");
    bench.check(host, 1, &READY, &[], "UnitAttention 2A/05");
    let keys = reserve_in(&mut bench, host, 0);
    assert_eq!((keys[3], keys[7], keys[15]), (3, 8, 0x22));
    assert_eq!(reserve_out(&mut bench, other, 1, 3, (0x22, 0)), "good");
    assert_eq!(reserve_in(&mut bench, host, 0)[3], 3);
    assert_eq!(reserve_out(&mut bench, other, 3, 0, (0x22, 0)), "good");
    assert_eq!(reserve_in(&mut bench, host, 0)[..8], [0, 0, 0, 4, 0, 0, 0, 0]);
    assert_eq!(reserve_in(&mut bench, host, 2)[..4], [0, 8, 0x1D, 0x90]);
    bench.check(host, 1, &[0x5E, 4, 0, 0, 0, 0, 0, 1, 0, 0], &[], "IllegalRequest 24/00");
    // RESERVE and registrations do not mix.
    reserve_out(&mut bench, host, 6, 0, (0, 1));
    bench.check(other, 1, &RESERVE, &[], CONFLICT);
    bench.check(host, 1, &RESERVE, &[], "good");
    bench.check(other, 1, &READ, &[], "good");
}

#[test]
fn preempt_and_abort_ends_the_other_s_commands() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    reserve_out(&mut bench, host, 6, 0, (0, 1));
    reserve_out(&mut bench, other, 6, 0, (0, 2));
    let mut task = bench.task(other, 1, &READ, &[]);
    let asked = task.step(None);
    assert_eq!(reserve_out(&mut bench, host, 5, 3, (1, 2)), "good");
    let reply = bench.serve(asked);
    assert_eq!(super::bench::said(&bench.finish(&mut task, reply)), "TaskAborted");
    bench.check(host, 1, &READ, &[], "good");
}

#[test]
fn what_is_to_outlive_the_power_does() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let (cdb, list) = out(6, 0, 0, 9, 1);
    bench.check(host, 1, &cdb, &list, "good");
    assert_eq!(reserve_out(&mut bench, host, 1, 3, (9, 0)), "good");
    bench.check(host, 2, &out(6, 0, 0, 9, 0).0, &out(6, 0, 0, 9, 0).1, "good");
    assert_eq!(bench.kept.keys().collect::<Vec<_>>(), ["scsi.00.01"]);
    let mut after = Bench::with_kept(std::mem::take(&mut bench.kept));
    let [host, other] = ["host", "other"].map(|name| after.login(name));
    after.check(other, 1, &READ, &[], CONFLICT);
    after.check(other, 2, &READ, &[], "good");
    after.check(host, 1, &READ, &[], "good");
    assert_eq!(reserve_in(&mut after, host, 2)[3], 0x91);
    assert_eq!(reserve_out(&mut after, host, 3, 0, (9, 0)), "good");
    assert_eq!(after.kept.keys().count(), 0);
    assert!(!Bench::with_kept(BTreeMap::new()).target.restore("scsi.00.01", &[0xFF; 9]));
}
