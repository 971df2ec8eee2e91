//! Sessions, masking, aborts and resets.

use super::bench::{Bench, ldev, lun, path, said};
use crate::scsi::{InitiatorPort, LoginError, Managed, TaskManagement, limits};
use crate::{InitiatorName, LuOptions, TargetId};

const READY: [u8; 6] = [0; 6];
const READ: [u8; 10] = [0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0];
const LUNS: [u8; 12] = [0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

fn luns(bytes: &[u8]) -> Vec<u8> {
    bytes[8..].chunks(8).map(|lun| lun[1]).collect()
}

#[test]
fn a_group_sees_its_own_units() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let other = bench.login_at("host", "CL1-A.2");
    assert_eq!(luns(&bench.run(host, 1, &LUNS, &[]).data_in), [1, 2, 3, 4]);
    // By a LUN that leads nowhere too.
    assert_eq!(luns(&bench.run(other, 0, &LUNS, &[]).data_in), [1, 5]);
    bench.check(host, 5, &READY, &[], "IllegalRequest 25/00");
    bench.check(other, 2, &READY, &[], "IllegalRequest 25/00");
    assert_eq!(bench.run(other, 2, &[0x12, 0, 0, 0, 96, 0], &[]).data_in[0], 0x7F);
    let sense = bench.run(other, 2, &[3, 0, 0, 0, 18, 0], &[]).data_in;
    assert_eq!((sense[2], sense[12]), (5, 0x25));
}

#[test]
fn who_may_log_in() {
    let bench = Bench::new();
    let target: TargetId = "CL1-A.2".parse().expect("a target");
    let name = |name: &str| name.parse::<InitiatorName>().expect("a name");
    bench.target.change_lu_map(|map| map.admit(target, name("iqn.one"))).expect("room");
    let login = |who: &str, target| {
        bench.target.login(InitiatorPort::new(name(who), [0; 6]), target).map(drop)
    };
    assert_eq!(login("iqn.one", target), Ok(()));
    assert_eq!(login("iqn.other", target), Err(LoginError::NotAdmitted { target }));
    let nowhere: TargetId = "CL1-A.9".parse().expect("a target");
    assert_eq!(login("iqn.one", nowhere), Err(LoginError::NoTarget { target: nowhere }));
    assert_eq!(bench.target.targets_for(&name("iqn.other")).len(), 1);
    assert_eq!(bench.target.targets_for(&name("IQN.One")).len(), 2);
}

#[test]
fn sessions_are_limited_and_reinstated() {
    let mut bench = Bench::new();
    let port = |no: usize| {
        let [_, _, isid @ ..] = (no as u64).to_be_bytes();
        InitiatorPort::new("iqn.host".parse().expect("a name"), isid)
    };
    let target: TargetId = "CL1-A".parse().expect("a target");
    let first = bench.target.login(port(0), target).expect("room");
    for no in 1..limits::NEXUSES {
        bench.target.login(port(no), target).expect("room");
    }
    let full = LoginError::TooMany { most: limits::NEXUSES };
    assert_eq!(bench.target.login(port(limits::NEXUSES), target), Err(full));
    let mut task = bench.task(first, 1, &READ, &[]);
    let asked = task.step(None);
    let again = bench.target.login(port(0), target).expect("in place of the first");
    assert!(!bench.target.is_logged_in(first));
    let reply = bench.serve(asked);
    assert_eq!(said(&bench.finish(&mut task, reply)), "TaskAborted");
    bench.check(first, 1, &READY, &[], "TaskAborted");
    bench.check(again, 1, &READY, &[], "good");
}

#[test]
fn who_is_told_of_what() {
    fn check(function: TaskManagement, told: &str, is_other_unit_told: bool) {
        let mut bench = Bench::new();
        let [host, other] = ["host", "other"].map(|name| bench.login(name));
        assert_eq!(bench.manage(host, 1, function), Managed::Complete);
        for nexus in [host, other] {
            bench.check(nexus, 1, &READY, &[], told);
            bench.check(nexus, 1, &READY, &[], "good");
            bench.check(nexus, 2, &READY, &[], if is_other_unit_told { told } else { "good" });
        }
    }
    check(TaskManagement::UnitReset, "UnitAttention 29/03", false);
    check(TaskManagement::WarmReset, "UnitAttention 29/02", true);
    check(TaskManagement::ColdReset, "UnitAttention 29/01", true);
    let bench = Bench::new();
    let host = bench.login("host");
    assert_eq!(bench.manage(host, 9, TaskManagement::UnitReset), Managed::NoUnit);
    assert_eq!(bench.manage(host, 1, TaskManagement::ClearAca), Managed::Rejected);
    assert_eq!(bench.manage(host, 1, TaskManagement::AbortTask), Managed::Complete);
}

#[test]
fn commands_of_others_are_aborted() {
    fn check(function: TaskManagement, expected: &str) {
        let mut bench = Bench::new();
        let [host, other] = ["host", "other"].map(|name| bench.login(name));
        let mut task = bench.task(other, 1, &READ, &[]);
        let asked = task.step(None);
        bench.manage(host, 1, function);
        let reply = bench.serve(asked);
        assert_eq!(said(&bench.finish(&mut task, reply)), expected, "{function:?}");
    }
    check(TaskManagement::AbortTask, "good");
    check(TaskManagement::AbortTaskSet, "good");
    check(TaskManagement::ClearTaskSet, "TaskAborted");
    check(TaskManagement::UnitReset, "TaskAborted");
    check(TaskManagement::WarmReset, "TaskAborted");
}

#[test]
fn changes_of_the_map_are_told() {
    let mut bench = Bench::new();
    let [host, elsewhere] = [bench.login("host"), bench.login_at("host", "CL1-A.2")];
    bench.target.change_lu_map(|map| map.add(path("CL1-A:9"), ldev(5))).expect("free");
    bench.check(host, 1, &READY, &[], "UnitAttention 3F/0E");
    bench.check(host, 9, &READY, &[], "UnitAttention 3F/0E");
    // REPORT LUNS tells the rest.
    assert_eq!(luns(&bench.run(host, 2, &LUNS, &[]).data_in), [1, 2, 3, 4, 9]);
    bench.check(host, 2, &READY, &[], "good");
    bench.check(elsewhere, 5, &READY, &[], "good");
    bench.target.change_lu_map(|map| map.remove(path("CL1-A:9"))).expect("there");
    bench.check(host, 9, &READY, &[], "IllegalRequest 25/00");
    let removable = LuOptions { removable: true, ..LuOptions::default() };
    bench.target.change_lu_map(|map| map.set_options(ldev(5), removable));
    bench.check(elsewhere, 5, &READY, &[], "UnitAttention 2A/01");
    assert_eq!(bench.run(elsewhere, 5, &[0x12, 0, 0, 0, 96, 0], &[]).data_in[1], 0x80);
}

#[test]
fn request_sense_tells_what_waits() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.manage(host, 1, TaskManagement::UnitReset);
    let request = [3, 0, 0, 0, 18, 0];
    assert_eq!(bench.run(host, 1, &request, &[]).data_in[12..14], [0x29, 3]);
    assert_eq!(bench.run(host, 1, &request, &[]).data_in[2], 0);
    assert_eq!(bench.run(host, 1, &[3, 1, 0, 0, 18, 0], &[]).data_in[0], 0x72);
    bench.check(host, 1, &READY, &[], "good");
    assert_eq!(lun(1)[1], 1);
}
