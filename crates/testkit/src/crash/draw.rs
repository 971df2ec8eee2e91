//! What hosts and operators ask for next.

use super::pairs::{Asked, Names};
use super::world::{What, World, read_all};
use crate::{Tag, ldev};
use diptych_cha::{Command, CommandCode, GroupCommand, HostOp};
use diptych_format::{BlockNo, BlockRange};
use diptych_shared::{Pace, PairOptions, PairStatus};
use fastrand::Rng;

/// The most pairs of a group command.
const GROUP_MAX: usize = 3;

/// A host's next request.
pub(super) fn host_op(world: &mut World, rng: &mut Rng) -> (What, HostOp) {
    let volume = rng.usize(..world.layout.volumes);
    let name = ldev(volume as u8);
    let all = world.layout.geometry.all_blocks();
    if world.layout.modifies && rng.u8(..8) == 0 {
        let blocks = draw_blocks(rng, all);
        if rng.bool() {
            let op =
                HostOp::OrWrite { ldev: name, block: blocks.start, data: Tag::ZERO.data(blocks) };
            return (What::Or { volume }, op);
        }
        return compare_and_write(world, rng, volume, blocks.start);
    }
    match rng.u8(..100) {
        0..55 => {
            let blocks = draw_blocks(rng, all);
            let tag = world.next_tag();
            let op = HostOp::Write { ldev: name, block: blocks.start, data: tag.data(blocks) };
            (What::Write { volume, blocks, tag, format: false }, op)
        }
        55..66 => {
            let blocks = draw_blocks(rng, all);
            let what = What::Write { volume, blocks, tag: Tag::ZERO, format: false };
            (what, HostOp::Unmap { ldev: name, blocks })
        }
        66..67 => {
            let what = What::Write { volume, blocks: all, tag: Tag::ZERO, format: true };
            (what, HostOp::Format { ldev: name })
        }
        67..73 => (What::Flush { volume }, HostOp::Flush { ldev: name }),
        73..80 => read_all(volume, all),
        _ => {
            let blocks = draw_blocks(rng, all);
            (What::Read { volume, blocks }, HostOp::Read { ldev: name, blocks })
        }
    }
}

fn compare_and_write(
    world: &mut World,
    rng: &mut Rng,
    volume: usize,
    block: BlockNo,
) -> (What, HostOp) {
    let (expected, tag) = (world.seems(volume, block, rng.usize(..)), world.next_tag());
    let one = BlockRange::one(block);
    let op = HostOp::CompareAndWrite {
        ldev: ldev(volume as u8),
        block,
        expected: expected.data(one),
        data: tag.data(one),
    };
    (What::Swap { volume, block, expected, tag }, op)
}

fn draw_blocks(rng: &mut Rng, all: BlockRange) -> BlockRange {
    let start = rng.u64(..all.end.0);
    let most = (all.end.0 - start).min([1, 3, 8, 20][rng.usize(..4)]);
    BlockRange::new(BlockNo(start), rng.u64(1..=most))
}

/// An operator's next command; a read where there is none to give.
pub(super) fn command(world: &mut World, rng: &mut Rng) -> (What, HostOp) {
    let drawn = match rng.u8(..10) {
        0..2 => group(world, rng),
        2..5 => create(world, rng),
        _ => on_pair(world, rng),
    };
    drawn.unwrap_or_else(|| {
        read_all(rng.usize(..world.layout.volumes), world.layout.geometry.all_blocks())
    })
}

fn options(rng: &mut Rng) -> PairOptions {
    let pace = Pace::try_from(rng.u8(1..=15)).expect("1 to 15");
    PairOptions { pace, lanes: rng.u8(1..=3), quick: rng.bool(), ..PairOptions::default() }
}

/// Whether no command under way changes what this one reads or changes.
fn is_free(world: &World, asked: &Asked, others: &[Asked]) -> bool {
    let under_way = world.commands().map(|(_, other)| other).chain(others.iter().copied());
    under_way.into_iter().all(|other| {
        let of = |asked: &Asked| asked.targets(world.status(asked.names));
        let touches = |a: &Asked, b: &Asked| {
            of(a).iter().any(|volume| [b.names.0, b.names.1].contains(volume))
        };
        !touches(asked, &other) && !touches(&other, asked)
    })
}

fn create(world: &mut World, rng: &mut Rng) -> Option<(What, HostOp)> {
    let volumes = world.layout.volumes;
    let names = (rng.usize(..volumes), rng.usize(..volumes));
    if names.0 == names.1 {
        return None;
    }
    let options = options(rng);
    let and_copy = rng.u8(..4) == 0;
    let quick = options.quick;
    let asked = Asked { code: CommandCode::Create, names, freeze: false, quick };
    if !is_free(world, &asked, &[]) {
        return None;
    }
    let (primary, secondary) = asked.ldevs();
    let mut command = Command::new(CommandCode::Create, primary, secondary).with_options(options);
    command.and_copy = and_copy;
    command.initial_copy = and_copy || rng.u8(..4) > 0;
    Some((What::Command(asked), HostOp::Command(command)))
}

fn any_pair(world: &World, rng: &mut Rng) -> Option<(Names, PairStatus)> {
    let no = rng.usize(..world.pairs.len().max(1));
    world.pairs.iter().nth(no).map(|(names, known)| (*names, known.seen))
}

/// The code of a command that suits a status, and whether it freezes.
fn draw_code(rng: &mut Rng, status: PairStatus) -> Option<(CommandCode, bool)> {
    use CommandCode::{Copy, Delete, QuickRestore, Restore, Resync, Suspend};
    let no = rng.u8(..20);
    let code = match (status, no) {
        (_, 0) => return Some((CommandCode::ALL[rng.usize(1..7)], rng.bool())),
        (PairStatus::PairedNotCopied, 1) => Suspend,
        (PairStatus::PairedNotCopied, 2) => Delete,
        (PairStatus::PairedNotCopied, _) => Copy,
        (PairStatus::CopyInProgress, 1) => Suspend,
        (PairStatus::CopyInProgress, 2) => Delete,
        (PairStatus::CopyInProgress, _) => return None,
        (PairStatus::Copied, 1..9) => Resync,
        (PairStatus::Copied, 9..12) => Restore,
        (PairStatus::Copied, 12..16) => QuickRestore,
        (PairStatus::Copied, 16) => Suspend,
        (PairStatus::Copied, 17..19) => Delete,
        (PairStatus::Copied, _) => return None,
        (PairStatus::Restoring, 1) => Delete,
        (PairStatus::Restoring, _) => return None,
        (PairStatus::Suspended, 1..4) => Delete,
        (PairStatus::Suspended, _) => Resync,
    };
    Some((code, rng.bool()))
}

fn on_pair(world: &mut World, rng: &mut Rng) -> Option<(What, HostOp)> {
    let (names, status) = any_pair(world, rng)?;
    let (code, freeze) = draw_code(rng, status)?;
    let options = options(rng);
    let freeze = freeze && code == CommandCode::QuickRestore;
    let asked = Asked { code, names, freeze, quick: options.quick };
    if !is_free(world, &asked, &[]) {
        return None;
    }
    let (primary, secondary) = asked.ldevs();
    let mut command = Command::new(code, primary, secondary).with_options(options);
    command.freeze = freeze;
    command.force = code == CommandCode::Delete && status == PairStatus::Restoring;
    Some((What::Command(asked), HostOp::Command(command)))
}

fn group(world: &mut World, rng: &mut Rng) -> Option<(What, HostOp)> {
    let (_, status) = any_pair(world, rng)?;
    let (code, freeze) = draw_code(rng, status)?;
    if matches!(code, CommandCode::Create | CommandCode::Delete) {
        return None;
    }
    let options = options(rng);
    let freeze = freeze && code == CommandCode::QuickRestore;
    let mut all: Vec<Asked> = Vec::new();
    for (names, known) in &world.pairs {
        let (names, quick) = (*names, options.quick);
        let asked = Asked { code, names, freeze, quick };
        if known.seen == status && all.len() < GROUP_MAX && is_free(world, &asked, &all) {
            all.push(asked);
        }
    }
    if all.is_empty() {
        return None;
    }
    let pairs = all.iter().map(Asked::ldevs).collect();
    let group = GroupCommand { options, freeze, ..GroupCommand::new(code, pairs) };
    Some((What::Group(all), HostOp::Group(group)))
}
