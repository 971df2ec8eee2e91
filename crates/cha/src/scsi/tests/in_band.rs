//! Pair commands through a command device.

use super::bench::{Bench, changes, ldev, said};
use crate::scsi::{InBand, NexusId, ScsiStep, TaskManagement, answer_of, request};
use crate::{Command, CommandCode, HostOp, HostReply, LuOptions, OpKind, Outcome};
use diptych_shared::PairStatus;

fn split() -> Command {
    Command::new(CommandCode::Copy, ldev(1), ldev(2))
}

fn bench() -> (Bench, NexusId) {
    let bench = Bench::new();
    let options = LuOptions { command_device: true, ..LuOptions::default() };
    bench.target.change_lu_map(|map| map.set_options(ldev(4), options));
    let host = bench.login("host");
    (bench, host)
}

fn write(block: u8, count: u8) -> [u8; 10] {
    [0x2A, 0, 0, 0, 0, block, 0, 0, count, 0]
}

fn answer(bench: &mut Bench, host: NexusId, block: u8) -> Option<(u64, InBand)> {
    answer_of(&bench.run(host, 4, &[0x28, 0, 0, 0, 0, block, 0, 0, 1, 0], &[]).data_in)
}

const NOTHING: Outcome = Outcome::Nothing { met: Some(PairStatus::Copied) };

/// Writes a request; the unit answers it with `outcome`.
fn ask(bench: &mut Bench, host: NexusId, sequence: u64, command: &Command) -> (String, usize) {
    let mut task = bench.task(host, 4, &write(0, 1), &request(sequence, &command.encode()));
    let mut reply = None;
    let mut commands = 0;
    loop {
        match task.step(reply.take()) {
            ScsiStep::Done(done) => return (said(&done), commands),
            ScsiStep::Ask(HostOp::Command(asked)) => {
                assert_eq!(asked, *command);
                commands += 1;
                reply = Some(HostReply::Outcome(NOTHING));
            }
            other => reply = bench.serve(other),
        }
    }
}

#[test]
fn a_command_is_carried_out_once() {
    let (mut bench, host) = bench();
    assert_eq!(answer(&mut bench, host, 0), None);
    assert_eq!(ask(&mut bench, host, 7, &split()), ("good".to_owned(), 1));
    assert_eq!(ask(&mut bench, host, 7, &split()), ("good".to_owned(), 0));
    assert_eq!(ask(&mut bench, host, 70, &split()), ("good".to_owned(), 1));
    assert_eq!(answer(&mut bench, host, 0), Some((70, InBand::Done(NOTHING))));
    assert_eq!(answer(&mut bench, host, 8), Some((7, InBand::Done(NOTHING))));
    assert_eq!(answer(&mut bench, host, 7), Some((70, InBand::Done(NOTHING))));
    assert_eq!(answer(&mut bench, host, 9), None);
    // By another session of the same initiator too; not by another's.
    let again = bench.login_at("host", "CL1-A");
    assert_eq!(answer(&mut bench, again, 0), Some((70, InBand::Done(NOTHING))));
    let other = bench.login("other");
    assert_eq!(answer(&mut bench, other, 0), None);
    // The same number for something else.
    let delete = Command::new(CommandCode::Delete, ldev(1), ldev(2));
    assert_eq!(ask(&mut bench, again, 7, &delete), ("IllegalRequest 26/00".to_owned(), 0));
    assert_eq!(bench.target.adapter().counters().of(OpKind::Command).operations, 2);
}

#[test]
fn an_answer_is_noted_whatever_becomes_of_the_host() {
    let (mut bench, host) = bench();
    let mut task = bench.task(host, 4, &write(0, 1), &request(1, &split().encode()));
    let step = task.step(None);
    let facts = bench.serve(step);
    assert!(matches!(task.step(facts), ScsiStep::Ask(HostOp::Command(_))));
    let other = bench.login_at("host", "CL1-A.2");
    bench
        .target
        .change_lu_map(|map| map.add(super::bench::path("CL1-A.2:4"), ldev(4)))
        .expect("free");
    bench.check(other, 4, &[0; 6], &[], "UnitAttention 3F/0E");
    assert_eq!(answer(&mut bench, other, 0), Some((1, InBand::Running)));
    assert_eq!(ask(&mut bench, other, 1, &split()).0, "Busy");
    bench.manage(host, 4, TaskManagement::UnitReset);
    bench.target.logout(host);
    bench.finish(&mut task, Some(HostReply::Outcome(NOTHING)));
    bench.check(other, 4, &[0; 6], &[], "UnitAttention 29/03");
    assert_eq!(answer(&mut bench, other, 0), Some((1, InBand::Done(NOTHING))));
}

#[test]
fn one_that_failed_may_be_asked_again() {
    let (mut bench, host) = bench();
    let mut task = bench.task(host, 4, &write(0, 1), &request(1, &split().encode()));
    let step = task.step(None);
    let facts = bench.serve(step);
    assert!(matches!(task.step(facts), ScsiStep::Ask(_)));
    let busy = HostReply::Failed(crate::HostError::Busy);
    assert_eq!(said(&bench.finish(&mut task, Some(busy))), "TaskSetFull");
    assert_eq!(ask(&mut bench, host, 1, &split()), ("good".to_owned(), 1));
}

#[test]
fn what_is_no_request() {
    let (mut bench, host) = bench();
    let good = request(1, &split().encode());
    for (at, byte) in [(0, 0), (4, 2), (6, 1), (16, 0), (22, 99)] {
        let mut wrong = good.clone();
        wrong[at] = byte;
        bench.check(host, 4, &write(0, 1), &wrong, "IllegalRequest 26/00");
    }
    bench.check(host, 4, &write(0, 1), &[], "IllegalRequest 26/00");
    bench.check(host, 4, &write(1, 1), &good, "DataProtect 27/00");
    bench.check(host, 4, &write(0, 2), &good.repeat(2), "DataProtect 27/00");
    bench.check(host, 4, &[0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0], &[0; 512], "DataProtect 27/00");
    bench.check(host, 4, &[0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0], &[], "DataProtect 27/00");
    // Nothing is copied to it, or from it.
    for volumes in [[1, 4], [4, 1]] {
        let list = super::copy::list(1, &volumes, &[(0, 1, 8, 0, 8)]);
        let cdb = [0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, list.len() as u8, 0, 0];
        bench.check(host, 1, &cdb, &list, "CopyAborted 08/04");
    }
    assert!(!bench.ops.iter().any(changes));
    let name = bench.run(host, 4, &[0x12, 0, 0, 0, 96, 0], &[]).data_in;
    assert_eq!(&name[16..32], b"COMMAND DEVICE  ");
}
