//! SANITIZE.

use super::bench::{Bench, changes, ldev, said};
use super::operations::SWP;
use crate::scsi::{NexusId, ScsiStep, TaskManagement};
use crate::{Forbidden, HostError, HostReply};

const READY: [u8; 6] = [0; 6];
const IN_PROGRESS: &str = "NotReady 04/1B";
const OVERWRITE: [u8; 10] = [0x48, 1, 0, 0, 0, 0, 0, 0, 6, 0];
const LIST: [u8; 6] = [1, 0, 0, 2, 0xAA, 0xBB];

fn sanitize(action: u8, len: u8) -> [u8; 10] {
    [0x48, action, 0, 0, 0, 0, 0, 0, len, 0]
}

#[test]
fn nothing_is_left() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for action in [2, 3] {
        bench.check(host, 1, &[0x2A, 0, 0, 0, 0, 9, 0, 0, 1, 0], &[7; 512], "good");
        bench.check(host, 1, &sanitize(action, 0), &[], "good");
        assert!(bench.disks[&ldev(1)].bytes.iter().all(|&byte| byte == 0));
        let status = [0x9E, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        assert_eq!(bench.run(host, 1, &status, &[]).data_in[20], 1);
        bench.check(host, 1, &sanitize(action, 8), &[0; 8], "IllegalRequest 24/00");
    }
    bench.check(host, 1, &OVERWRITE, &LIST, "good");
    assert!(bench.disks[&ldev(1)].bytes.chunks(2).all(|two| two == [0xAA, 0xBB]));
    bench.check(host, 1, &sanitize(0x1F, 0), &[], "good");
    bench.check(host, 1, &sanitize(0x1F, 8), &[0; 8], "IllegalRequest 24/00");
    for action in [0, 4, 0x1E] {
        bench.check(host, 1, &sanitize(action, 0), &[], "IllegalRequest 24/00");
    }
    assert!(bench.kept.is_empty());
}

#[test]
fn a_volume_that_hosts_may_not_change_is_not_sanitized() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    bench.disks.get_mut(&ldev(1)).expect("a volume").forbids = Some(Forbidden::Reserved);
    bench.check(host, 1, &sanitize(2, 0), &[], "DataProtect 27/06");
    assert!(!bench.ops.iter().any(changes));
    bench.check(host, 1, &READY, &[], "good");
}

fn begun(bench: &mut Bench, host: NexusId) -> (crate::scsi::ScsiTask, Option<HostReply>) {
    let mut task = bench.task(host, 1, &OVERWRITE, &LIST);
    let mut reply = None;
    for _ in 0..3 {
        let step = task.step(reply.take());
        reply = bench.serve(step);
    }
    assert!(task.outlives());
    (task, reply)
}

#[test]
fn it_goes_on_whatever_comes() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    let (mut task, reply) = begun(&mut bench, host);
    for cdb in [&READY[..], &[0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[0x1B, 1, 0, 1, 2, 0]] {
        bench.check(other, 1, cdb, &[], IN_PROGRESS);
    }
    bench.check(other, 1, &[0x12, 0, 0, 0, 96, 0], &[], "good");
    bench.check(other, 1, &sanitize(2, 0), &[], IN_PROGRESS);
    let sense = bench.run(other, 1, &[0x03, 0, 0, 0, 18, 0], &[]).data_in;
    assert_eq!((sense[2], sense[12], sense[13], sense[15]), (2, 4, 0x1B, 0x80));
    bench.manage(host, 1, TaskManagement::AbortTaskSet);
    bench.manage(other, 1, TaskManagement::ClearTaskSet);
    bench.manage(other, 1, TaskManagement::UnitReset);
    bench.manage(other, 1, TaskManagement::ColdReset);
    bench.target.logout(host);
    let later = bench.login("later");
    bench.check(later, 1, &READY, &[], IN_PROGRESS);
    assert_eq!(said(&bench.finish(&mut task, reply)), "good");
    bench.check(later, 1, &READY, &[], "good");
}

#[test]
fn an_answer_may_come_at_once() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let mut task = bench.task(host, 1, &[0x48, 0x81, 0, 0, 0, 0, 0, 0, 6, 0], &LIST);
    let mut reply = None;
    let answer = loop {
        match task.step(reply.take()) {
            ScsiStep::Answer(answer) => break answer,
            other => reply = bench.serve(other),
        }
    };
    assert_eq!(said(&answer), "good");
    assert!(!bench.ops.iter().any(changes));
    bench.check(host, 1, &READY, &[], IN_PROGRESS);
    bench.finish(&mut task, None);
    bench.check(host, 1, &READY, &[], "good");
}

#[test]
fn a_failure_hides_what_is_left() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    for (action, exits) in [(0x22, "good"), (0x02, "IllegalRequest 24/00")] {
        let mut task = bench.task(host, 1, &sanitize(action, 0), &[]);
        let mut reply = None;
        for _ in 0..2 {
            let step = task.step(reply.take());
            reply = bench.serve(step);
        }
        assert!(matches!(task.step(reply), ScsiStep::Ask(_)));
        let failed = HostReply::Failed(HostError::Drive { ldev: ldev(1) });
        assert_eq!(said(&bench.finish(&mut task, Some(failed))), "MediumError 31/03");
        bench.check(host, 1, &READY, &[], "MediumError 31/03");
        bench.check(host, 1, &sanitize(0x1F, 0), &[], exits);
    }
    // It is known when the unit comes up again, and another sanitize operation leads out.
    let mut after = Bench::with_kept(bench.kept);
    let host = after.login("host");
    after.check(host, 1, &READY, &[], "MediumError 31/03");
    after.check(host, 1, &sanitize(2, 0), &[], "good");
    after.check(host, 1, &READY, &[], "good");
    assert!(after.kept.is_empty());
}

#[test]
fn a_unit_that_stops_in_the_middle_says_so() {
    let mut bench = Bench::new();
    let host = bench.login("host");
    let (task, _) = begun(&mut bench, host);
    let mut after = Bench::with_kept(bench.kept.clone());
    let again = after.login("host");
    after.check(again, 1, &READY, &[], "MediumError 31/03");
    drop(task);
    bench.check(host, 1, &READY, &[], "MediumError 31/03");
}

#[test]
fn software_write_protection_of_another() {
    let mut bench = Bench::new();
    let [host, other] = ["host", "other"].map(|name| bench.login(name));
    bench.check(other, 1, &SWP.0, &SWP.1, "good");
    bench.check(host, 1, &READY, &[], "UnitAttention 2A/01");
    for action in [2, 3] {
        bench.check(host, 1, &sanitize(action, 0), &[], "DataProtect 27/02");
    }
    bench.check(host, 1, &OVERWRITE, &LIST, "DataProtect 27/02");
}
