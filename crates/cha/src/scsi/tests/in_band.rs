//! Pair commands through a command device.

use super::bench::{Bench, changes, ldev, said};
use crate::scsi::{
    AnswerBlock, InBand, NexusId, PairsHead, ScsiStep, ScsiTask, TaskManagement, request,
};
use crate::{Command, CommandCode, HostOp, HostReply, LuOptions, OpKind, Outcome, PairFacts};
use bytes::Bytes;
use diptych_format::PairId;
use diptych_shared::{Pair, PairOptions, PairStatus};
use std::collections::BTreeMap;

fn split() -> Command {
    Command::new(CommandCode::Copy, ldev(1), ldev(2))
}

fn bench() -> (Bench, NexusId) {
    bench_with(BTreeMap::new())
}

/// One that has run before, and kept this.
fn bench_with(kept: BTreeMap<String, Bytes>) -> (Bench, NexusId) {
    let bench = Bench::with_kept(kept);
    let options = LuOptions { command_device: true, ..LuOptions::default() };
    bench.target.change_lu_map(|map| map.set_options(ldev(4), options));
    let host = bench.login("host");
    (bench, host)
}

fn write(block: u8, count: u8) -> [u8; 10] {
    [0x2A, 0, 0, 0, 0, block, 0, 0, count, 0]
}

fn answer(bench: &mut Bench, host: NexusId, block: u8) -> Option<(u64, InBand)> {
    let answer = AnswerBlock::decode(&read(bench, host, block, 1))?;
    Some((answer.sequence, answer.became))
}

fn read(bench: &mut Bench, host: NexusId, block: u8, count: u8) -> Bytes {
    bench.run(host, 4, &[0x28, 0, 0, 0, 0, block, 0, 0, count, 0], &[]).data_in
}

/// The first steps of a request, up to the command that it asks the unit for.
fn begin(bench: &mut Bench, host: NexusId, sequence: u64) -> ScsiTask {
    let mut task = bench.task(host, 4, &write(0, 1), &request(sequence, &split().encode()));
    let mut reply = None;
    loop {
        match task.step(reply.take()) {
            ScsiStep::Ask(HostOp::Command(_)) => return task,
            other => reply = bench.serve(other),
        }
    }
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
    let mut task = begin(&mut bench, host, 1);
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
    let mut task = begin(&mut bench, host, 1);
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

#[test]
fn a_known_number_is_not_carried_out_again_after_a_restart() {
    let (mut bench, host) = bench();
    assert_eq!(ask(&mut bench, host, 7, &split()).1, 1);
    // The unit ends while it carries out the second.
    drop(begin(&mut bench, host, 8));
    let (mut after, host) = bench_with(bench.kept.clone());
    assert_eq!(answer(&mut after, host, 8), Some((7, InBand::Done(NOTHING))));
    assert_eq!(answer(&mut after, host, 0), Some((8, InBand::Interrupted)));
    for sequence in [7, 8] {
        assert_eq!(ask(&mut after, host, sequence, &split()), ("good".to_owned(), 0));
    }
    assert_eq!(ask(&mut after, host, 9, &split()).1, 1);
    // Nothing is kept of what the unit was too busy for.
    let mut task = begin(&mut after, host, 10);
    let busy = HostReply::Failed(crate::HostError::Busy);
    assert_eq!(said(&after.finish(&mut task, Some(busy))), "TaskSetFull");
    let (mut after, host) = bench_with(after.kept.clone());
    assert_eq!(answer(&mut after, host, 0), Some((9, InBand::Done(NOTHING))));
    assert_eq!(ask(&mut after, host, 10, &split()).1, 1);
}

#[test]
fn what_cannot_be_kept_is_not_carried_out() {
    let (mut bench, host) = bench();
    for (failed, expected) in
        [(crate::HostError::Busy, "TaskSetFull"), (crate::HostError::NoRoom, "Busy")]
    {
        let mut task = bench.task(host, 4, &write(0, 1), &request(1, &split().encode()));
        let step = task.step(None);
        let facts = bench.serve(step);
        assert!(matches!(task.step(facts), ScsiStep::Keep(_)));
        let ScsiStep::Done(done) = task.step(Some(HostReply::Failed(failed))) else {
            panic!("it is not carried out");
        };
        assert_eq!(said(&done), expected);
    }
    assert_eq!(answer(&mut bench, host, 0), None);
    assert_eq!(ask(&mut bench, host, 1, &split()).1, 1);
}

#[test]
fn while_one_task_keeps_another_comes_again() {
    let (mut bench, host) = bench();
    let mut first = bench.task(host, 4, &write(0, 1), &request(1, &split().encode()));
    let step = first.step(None);
    let facts = bench.serve(step);
    let ScsiStep::Keep(kept) = first.step(facts) else { panic!("its number is kept first") };
    assert_eq!(ask(&mut bench, host, 2, &split()), ("Busy".to_owned(), 0));
    // The second is in nobody's way after that.
    let step = bench.serve(ScsiStep::Keep(kept));
    let ScsiStep::Keep(again) = first.step(step) else { panic!("they have changed") };
    let step = bench.serve(ScsiStep::Keep(again));
    assert!(matches!(first.step(step), ScsiStep::Ask(HostOp::Command(_))));
    assert_eq!(ask(&mut bench, host, 2, &split()), ("good".to_owned(), 1));
    assert_eq!(said(&bench.finish(&mut first, Some(HostReply::Outcome(NOTHING)))), "good");
}

fn pair(no: u16, primary: u8, secondary: u8) -> PairFacts {
    let id = PairId { no, epoch: 1 };
    let options = PairOptions::default();
    PairFacts::of(&Pair::new(id, ldev(primary), ldev(secondary), 100, options, true))
}

#[test]
fn an_answer_has_the_pair_as_it_is_now() {
    let (mut bench, host) = bench();
    assert_eq!(ask(&mut bench, host, 1, &split()).1, 1);
    let found =
        |bench: &mut Bench| AnswerBlock::decode(&read(bench, host, 0, 1)).expect("one").pair;
    assert_eq!(found(&mut bench), None);
    bench.pairs = vec![pair(2, 1, 3), pair(5, 1, 2)];
    assert_eq!(found(&mut bench), Some(bench.pairs[1]));
}

#[test]
fn all_pairs_are_a_table() {
    let (mut bench, host) = bench();
    let head = |bytes: &[u8]| {
        PairsHead::decode(bytes).map(|head| (head.count, head.numbers_end)).expect("a head")
    };
    assert_eq!(head(&read(&mut bench, host, 127, 1)), (0, 0));
    bench.pairs = vec![pair(0, 1, 3), pair(5, 1, 2), pair(300, 2, 4)];
    assert_eq!(head(&read(&mut bench, host, 127, 1)), (3, 301));
    let all = read(&mut bench, host, 126, 4);
    assert_eq!((&all[..512], head(&all[512..])), (&[0; 512][..], (3, 301)));
    let of = |bytes: &[u8]| -> Vec<Option<PairFacts>> {
        bytes.chunks(128).map(|block| PairFacts::decode(block).expect("a pair block")).collect()
    };
    let mut expected = vec![None; 8];
    (expected[0], expected[5]) = (Some(bench.pairs[0]), Some(bench.pairs[1]));
    assert_eq!(of(&all[1_024..]), expected);
    assert_eq!(of(&read(&mut bench, host, 129, 1)), expected[4..]);
    assert_eq!(of(&read(&mut bench, host, 128 + 75, 1))[0], Some(bench.pairs[2]));
    // It is for reading.
    bench.check(host, 4, &write(128, 1), &request(1, &split().encode()), "DataProtect 27/00");
}
