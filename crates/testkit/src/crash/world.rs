//! What hosts and operators know: what they asked for, what was answered, what they found.

use super::cut::{Found, Instant, Written};
use super::images::Images;
use super::layout::Layout;
use super::pairs::{Asked, Known, Names};
use super::registers::{Registers, Value};
use super::wrong::CrashWrong;
use crate::{CrashReport, Tag, ldev};
use diptych_cha::{Forbidden, GroupOutcome, HostError, HostOp, HostReply, Outcome};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use diptych_shared::{Pair, PairStatus};
use diptych_sim::{Answered, RequestNo};
use std::collections::{BTreeMap, BTreeSet};

/// A request that is not answered.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) client: usize,
    /// When it was sent.
    pub(super) from: u64,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Read {
        volume: usize,
        blocks: BlockRange,
    },
    /// Tag 0 gives blocks up.
    Write {
        volume: usize,
        blocks: BlockRange,
        tag: Tag,
        format: bool,
    },
    /// A compare and write of one block.
    Swap {
        volume: usize,
        block: BlockNo,
        expected: Tag,
        tag: Tag,
    },
    /// An OR write of no bits.
    Or {
        volume: usize,
    },
    Flush {
        volume: usize,
    },
    Command(Asked),
    Group(Vec<Asked>),
}

pub(super) struct World {
    pub(super) layout: Layout,
    pub(super) registers: Registers,
    /// Writes since the last crash.
    pub(super) writes: Vec<Written>,
    pub(super) pairs: BTreeMap<Names, Known>,
    pub(super) pending: BTreeMap<RequestNo, Pending>,
    pub(super) images: Images,
    /// What the last look found.
    pub(super) found: Found,
    /// As it was before the last crash, if nothing was asked for since.
    pub(super) before: Option<Instant>,
    pub(super) report: CrashReport,
    /// Blocks of tracks of which something rotted, in whatever volume.
    rotten: BTreeSet<BlockNo>,
    /// Volumes on a drive that goes wrong: their pairs may be suspended by that.
    pub(super) failing: Vec<usize>,
    moment: u64,
    last_tag: u64,
}

impl World {
    pub(super) fn new(layout: Layout) -> Self {
        let registers = Registers::new(layout.volumes, layout.geometry.block_count());
        Self {
            layout,
            registers,
            writes: Vec::new(),
            pairs: BTreeMap::new(),
            pending: BTreeMap::new(),
            images: Images::default(),
            found: Found::new(),
            before: None,
            report: CrashReport::default(),
            rotten: BTreeSet::new(),
            failing: Vec::new(),
            moment: 0,
            last_tag: 0,
        }
    }

    pub(super) fn now(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    pub(super) fn next_tag(&mut self) -> Tag {
        self.last_tag += 1;
        Tag(self.last_tag)
    }

    /// Commands that are not answered.
    pub(super) fn commands(&self) -> impl Iterator<Item = (u64, Asked)> + '_ {
        self.pending.values().flat_map(|pending| {
            let asked = match &pending.what {
                What::Command(asked) => vec![*asked],
                What::Group(asked) => asked.clone(),
                _ => Vec::new(),
            };
            asked.into_iter().map(|asked| (pending.from, asked))
        })
    }

    /// Operators look at the pairs there are.
    pub(super) fn look_at_pairs(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            let names = (number(pair.primary), number(pair.secondary));
            if let Some(known) = self.pairs.get_mut(&names) {
                known.seen = pair.status;
            }
        }
    }

    /// Pairs that a drive's failure has suspended hold nothing that anybody relies on.
    pub(super) fn note_failures(&mut self, pairs: &[Pair]) {
        let at = self.now();
        for pair in pairs.iter().filter(|pair| pair.status == PairStatus::Suspended) {
            let names = (number(pair.primary), number(pair.secondary));
            let known = self.pairs.get_mut(&names).filter(|known| known.may_fail);
            if let Some(known) = known.filter(|known| known.status != pair.status && !known.failed)
            {
                known.failed = true;
                let status = known.status;
                self.image_failed(names, status, (at, at));
            }
        }
    }

    /// No drive goes wrong any more.
    pub(super) fn all_works(&mut self) {
        self.failing.clear();
        self.pairs.values_mut().for_each(|known| known.may_fail = false);
    }

    /// A request was refused, and has changed nothing.
    pub(super) fn refused(&mut self, request: RequestNo) {
        let Pending { from, what, .. } = self.pending.remove(&request).expect("it was sent");
        match &what {
            What::Write { volume, .. } | What::Swap { volume, .. } => {
                self.withdraw(*volume, from);
            }
            What::Command(asked) => self.not_accepted(asked, from),
            What::Group(all) => all.iter().for_each(|asked| self.not_accepted(asked, from)),
            What::Read { volume, .. } => drop(self.found.remove(volume)),
            What::Or { .. } | What::Flush { .. } => {}
        }
    }

    pub(super) fn status(&self, names: Names) -> Option<PairStatus> {
        self.pairs.get(&names).map(|known| known.status)
    }

    /// A request is about to be sent: what it may leave.
    pub(super) fn sent(&mut self, what: &What) -> u64 {
        if !matches!(what, What::Read { .. }) {
            self.before = None;
        }
        let from = self.now();
        match what {
            What::Read { .. } | What::Or { .. } | What::Flush { .. } => {}
            What::Write { volume, blocks, tag, .. } => {
                self.write_sent(*volume, *blocks, *tag, from);
            }
            What::Swap { volume, block, tag, .. } => {
                self.write_sent(*volume, BlockRange::one(*block), *tag, from);
            }
            What::Command(asked) => self.command_sent(asked, from),
            What::Group(all) => all.iter().for_each(|asked| self.command_sent(asked, from)),
        }
        from
    }

    fn write_sent(&mut self, volume: usize, blocks: BlockRange, tag: Tag, from: u64) {
        self.registers.begin(volume, blocks, &Value::OneOf(vec![tag]), from);
        self.images.secondary_changes(volume, blocks);
        let (to, whole) = (u64::MAX, false);
        self.writes.push(Written { volume, blocks, tag, from, to, whole });
    }

    /// A write has changed nothing.
    pub(super) fn withdraw(&mut self, volume: usize, from: u64) {
        self.registers.withdraw(volume, from);
        self.writes.retain(|write| write.from != from);
    }

    fn command_sent(&mut self, asked: &Asked, from: u64) {
        let all = self.layout.geometry.all_blocks();
        for volume in asked.targets(self.status(asked.names)) {
            self.registers.begin(volume, all, &Value::Any, from);
        }
    }

    /// A request is answered. Returns who sent it.
    pub(super) fn answered(&mut self, answered: &Answered) -> Result<usize, CrashWrong> {
        let pending = self.pending.remove(&answered.request).expect("it was sent");
        let Pending { client, from, what } = pending;
        self.report.operations += 1;
        let to = self.now();
        let reply = &answered.reply;
        match &what {
            What::Read { volume, blocks } => self.read(*volume, *blocks, from, to, reply)?,
            What::Write { volume, blocks, format, .. } => {
                self.wrote(*volume, *blocks, *format, (from, to), reply)?;
            }
            What::Swap { .. } | What::Or { .. } => self.modified(&what, (from, to), reply)?,
            What::Flush { volume } => match reply {
                HostReply::Done => self.all_durable(from),
                _ => return Err(wrong("a flush", ldev(*volume as u8), reply)),
            },
            What::Command(asked) => match reply {
                HostReply::Outcome(Outcome::Accepted { from: was, to: is, .. }) => {
                    self.accepted(&[(*asked, *was, *is)], (from, to))?;
                }
                HostReply::Outcome(Outcome::Nothing { .. } | Outcome::Refused(_)) => {
                    self.not_accepted(asked, from);
                }
                _ => return Err(wrong("a command", asked.ldevs().0, reply)),
            },
            What::Group(all) => match reply {
                HostReply::Group(GroupOutcome::Accepted { pairs, .. }) => {
                    let statuses = pairs.iter().map(|pair| (Some(pair.from), Some(pair.to)));
                    let accepted: Vec<_> =
                        all.iter().zip(statuses).map(|(a, (was, is))| (*a, was, is)).collect();
                    self.accepted(&accepted, (from, to))?;
                }
                HostReply::Group(_) => all.iter().for_each(|asked| self.not_accepted(asked, from)),
                _ => return Err(wrong("a group command", all[0].ldevs().0, reply)),
            },
        }
        Ok(client)
    }

    /// What was answered before `moment` is durable.
    fn all_durable(&mut self, moment: u64) {
        let oldest = self.pending.values().map(|pending| pending.from).min();
        self.registers.durable(moment, oldest.unwrap_or(moment).min(moment));
    }

    fn not_accepted(&mut self, asked: &Asked, from: u64) {
        for volume in asked.targets(self.status(asked.names)) {
            self.registers.withdraw(volume, from);
        }
    }

    /// Commands were accepted at one moment.
    fn accepted(
        &mut self,
        all: &[(Asked, Option<PairStatus>, Option<PairStatus>)],
        (from, to): (u64, u64),
    ) -> Result<(), CrashWrong> {
        let mut failed = Vec::new();
        for (asked, was, _) in all {
            let known = self.pairs.get(&asked.names).copied();
            let fits = match (known, *was) {
                (Some(known), Some(was)) => known.may_become(was),
                (None, None) => true,
                _ => false,
            };
            if !fits {
                return Err(wrong_pair(asked.names, *was, known.map(|known| known.status)));
            }
            if known.is_some_and(|known| Some(known.status) != *was) {
                let known = known.expect("it is there").status;
                failed
                    .extend((*was == Some(PairStatus::Suspended)).then_some((asked.names, known)));
            }
        }
        self.take_effect(all, (from, to));
        failed.iter().for_each(|(names, was)| self.image_failed(*names, *was, (from, to)));
        self.all_durable(from);
        Ok(())
    }

    /// An image that could not be completed is nobody's any more.
    fn image_failed(&mut self, names: Names, was: PairStatus, (from, to): (u64, u64)) {
        let any = vec![Value::Any; self.registers.of(names.1).len()];
        self.images.forget(names.1);
        if was == PairStatus::Restoring {
            self.registers.put(names.0, any.clone(), from, to);
        }
        self.registers.put(names.1, any, from, to);
    }

    /// What accepted commands leave.
    fn take_effect(
        &mut self,
        all: &[(Asked, Option<PairStatus>, Option<PairStatus>)],
        (from, to): (u64, u64),
    ) {
        let mut left = Vec::new();
        for (asked, was, _) in all {
            asked.targets(*was).iter().for_each(|volume| self.registers.withdraw(*volume, from));
        }
        for (asked, was, is) in all {
            left.extend(asked.leaves(*was, *is, &self.registers, (from, to)));
        }
        let mut split = Vec::new();
        for (asked, _, is) in all {
            self.report.commands += 1;
            self.images.forget(asked.names.1);
            match is {
                None => drop(self.pairs.remove(&asked.names)),
                Some(status) => {
                    let quick = match self.pairs.get(&asked.names) {
                        Some(known) if asked.code != diptych_cha::CommandCode::Copy => known.quick,
                        _ => asked.quick,
                    };
                    let torn = !self.rotten.is_empty()
                        || asked.splits(*is)
                            && self.registers.image(asked.names.0, from, to).contains(&Value::Any);
                    let (status, (a, b)) = (*status, asked.names);
                    let may_fail = self.failing.contains(&a) || self.failing.contains(&b);
                    let (seen, failed) = (status, false);
                    let known = Known { status, seen, quick, torn, may_fail, failed };
                    self.pairs.insert(asked.names, known);
                }
            }
            if asked.splits(*is) {
                split.push(asked.names);
            }
        }
        if !split.is_empty() {
            let before = |write: &&Written| write.from < to;
            let writes = self.writes.iter().filter(before).cloned().collect();
            let under_way = self.writes.iter().filter(|write| write.to == u64::MAX);
            let under_way: Vec<_> = under_way.map(|w| (w.volume, w.blocks)).collect();
            let registers = self.registers.clone();
            self.report.images += split.len() as u64;
            self.images.split(&split, Instant { registers, writes }, to);
            under_way.iter().for_each(|(volume, blocks)| {
                self.images.secondary_changes(*volume, *blocks);
            });
            // Writes to the secondary that ended within the command may be in or before it.
            for write in self.writes.iter().filter(|write| write.to > from) {
                self.images.secondary_changes(write.volume, write.blocks);
            }
        }
        for (volume, values) in left {
            self.registers.put(volume, values, from, to);
        }
    }

    pub(super) fn wrote(
        &mut self,
        volume: usize,
        blocks: BlockRange,
        format: bool,
        (from, to): (u64, u64),
        reply: &HostReply,
    ) -> Result<(), CrashWrong> {
        let whole = self.is_whole(volume, (from, to), reply)?;
        let nothing = !whole && !format && blocks.count() <= 1;
        self.report.writes += u64::from(whole);
        if nothing {
            self.withdraw(volume, from);
            return Ok(());
        }
        self.registers.end(volume, blocks, from, to, whole);
        let mine = self.writes.iter_mut().find(|write| write.from == from);
        if let Some(write) = mine {
            (write.to, write.whole) = (to, whole);
        }
        Ok(())
    }

    /// Whether hosts may be refused at a volume.
    pub(super) fn may_be_refused(&self, volume: usize) -> bool {
        self.commands().any(|(_, asked)| asked.names.1 == volume)
            || self.pairs.iter().any(|(names, known)| names.1 == volume && known.may_refuse())
    }

    fn read(
        &mut self,
        volume: usize,
        blocks: BlockRange,
        from: u64,
        to: u64,
        reply: &HostReply,
    ) -> Result<(), CrashWrong> {
        let name = ldev(volume as u8);
        let data = match reply {
            HostReply::Data(data) => data,
            HostReply::Failed(HostError::Access { why: Forbidden::Secondary(_), .. })
                if self.may_be_refused(volume) =>
            {
                self.found.remove(&volume);
                return Ok(());
            }
            HostReply::Failed(HostError::Medium { block, .. })
                if self.may_be_unreadable(volume, *block, (from, to)) =>
            {
                self.found.remove(&volume);
                return Ok(());
            }
            _ => return Err(wrong("a read", name, reply)),
        };
        let mut tags = Vec::with_capacity(blocks.count() as usize);
        for (block, data) in blocks.iter().zip(data.chunks(BLOCK_BYTES)) {
            let found = Tag::of(data, block);
            let seen = self.registers.block(volume, block).seen(from, to);
            match found.filter(|tag| seen.may_be(*tag)) {
                Some(tag) => tags.push(tag),
                None => return Err(CrashWrong::Block { ldev: name, block, found }),
            }
        }
        self.report.blocks += tags.len() as u64;
        self.registers.resolve(volume, blocks.start, &tags, from, to);
        if blocks == self.layout.geometry.all_blocks() {
            self.whole_volume(volume, tags, from)?;
        }
        Ok(())
    }

    /// Something of a track rots on a drive. No copy heals that but one that has a reason to write the
    /// track, and a quick restore gives it to another volume: from here on it may be unreadable in any of
    /// them, though never wrong, and images that need it may fail.
    pub(super) fn rots(&mut self, track: BlockRange) {
        self.report.rotten += 1;
        self.rotten.extend(track.iter());
        self.pairs.values_mut().for_each(|known| known.torn = true);
    }

    /// Whether a block may be reported as unreadable: whoever was being copied to when the power went may
    /// be torn, and is undefined.
    pub(super) fn may_be_unreadable(
        &self,
        volume: usize,
        block: BlockNo,
        (from, to): (u64, u64),
    ) -> bool {
        self.rotten.contains(&block)
            || self.registers.block(volume, block).seen(from, to) == Value::Any
    }

    /// Whether nobody can say now whether a block can be read.
    pub(super) fn is_undefined(&self, ldev: LdevId, block: BlockNo) -> bool {
        self.may_be_unreadable(number(ldev), block, (self.moment, self.moment + 1))
    }

    /// A whole volume was read: it may be an image.
    fn whole_volume(&mut self, volume: usize, tags: Vec<Tag>, from: u64) -> Result<(), CrashWrong> {
        self.found.insert(volume, tags.iter().copied().map(Some).collect());
        let chunk = self.layout.chunk_blocks;
        let checked = self.images.looked(volume, from, &tags, chunk);
        self.report.blocks += checked.map_err(|old| too_old("I1", old))?;
        Ok(())
    }

    /// What was read of all volumes is one instant.
    pub(super) fn check_instant(&mut self) -> Result<(), CrashWrong> {
        let Some(instant) = &self.before else { return Ok(()) };
        let checked = instant.check(&self.found, self.layout.chunk_blocks);
        self.report.blocks += checked.map_err(|old| too_old("I5", old))?;
        Ok(())
    }

    /// The unit is back: what became of it, and of what was under way. `weak`: what was not durable
    /// may be lost.
    pub(super) fn came_back(&mut self, pairs: &[Pair], weak: bool) -> Result<(), CrashWrong> {
        let at = self.now();
        let under_way: Vec<(u64, Asked)> = self.commands().collect();
        let mut found: BTreeMap<Names, PairStatus> = BTreeMap::new();
        for pair in pairs {
            found.insert((number(pair.primary), number(pair.secondary)), pair.status);
        }
        self.check_groups(&found)?;
        for (from, asked) in &under_way {
            self.under_way(*from, asked, at, &found);
        }
        let mut failed = Vec::new();
        for (names, known) in &mut self.pairs {
            let is = found.remove(names);
            let Some(is) = is.filter(|is| known.may_become(*is)) else {
                return Err(wrong_pair(*names, is, Some(known.status)));
            };
            known.seen = is;
            if is == PairStatus::Suspended && known.status != is {
                failed.push((*names, known.status));
                known.status = is;
            }
        }
        failed.iter().for_each(|(names, was)| self.image_failed(*names, *was, (at, at)));
        if let Some((names, status)) = found.first_key_value() {
            return Err(wrong_pair(*names, Some(*status), None));
        }
        for write in self.writes.iter_mut().filter(|write| write.to == u64::MAX) {
            write.to = at;
            self.registers.end(write.volume, write.blocks, write.from, at, false);
        }
        let nothing_since = self.before.is_some();
        if !nothing_since {
            let registers = self.registers.clone();
            self.before = Some(Instant { registers, writes: std::mem::take(&mut self.writes) });
        }
        self.writes.clear();
        self.registers.crash(at, weak);
        self.pending.clear();
        self.found.clear();
        Ok(())
    }

    /// A group command that was not answered was accepted for all pairs, or for none.
    fn check_groups(&self, found: &BTreeMap<Names, PairStatus>) -> Result<(), CrashWrong> {
        for pending in self.pending.values() {
            let What::Group(all) = &pending.what else { continue };
            let became = |asked: &Asked| {
                let is = found.get(&asked.names).copied();
                asked.was_accepted(self.status(asked.names), is)
            };
            let mut accepted = all.iter().filter_map(|asked| became(asked).map(|yes| (asked, yes)));
            let Some((first, yes)) = accepted.next() else { continue };
            if let Some((other, _)) = accepted.find(|(_, other)| *other != yes) {
                let of = |asked: &Asked| asked.ldevs();
                return Err(CrashWrong::GroupInPart { one: of(first), other: of(other) });
            }
        }
        Ok(())
    }

    /// A command that was not answered when the unit ended.
    fn under_way(
        &mut self,
        from: u64,
        asked: &Asked,
        at: u64,
        found: &BTreeMap<Names, PairStatus>,
    ) {
        let (was, is) = (self.status(asked.names), found.get(&asked.names).copied());
        match asked.was_accepted(was, is) {
            Some(true) => {
                self.report.found_accepted += 1;
                // It is in the log, and so is what was answered before.
                self.take_effect(&[(*asked, was, is)], (from, at));
                self.registers.durable(from, 0);
            }
            Some(false) => self.not_accepted(asked, from),
            None => {
                self.images.forget(asked.names.1);
                for (volume, values) in asked.leaves(was, is, &self.registers, (from, at)) {
                    self.registers.withdraw(volume, from);
                    self.registers.maybe(volume, values, from, at);
                }
            }
        }
    }
}

fn number(ldev: LdevId) -> usize {
    usize::from(ldev.ldev)
}

pub(super) fn wrong(what: &'static str, ldev: LdevId, reply: &HostReply) -> CrashWrong {
    CrashWrong::Answer { what, ldev, reply: Box::new(reply.clone()) }
}

fn wrong_pair(names: Names, found: Option<PairStatus>, answered: Option<PairStatus>) -> CrashWrong {
    let (primary, secondary) = (ldev(names.0 as u8), ldev(names.1 as u8));
    CrashWrong::Pair { primary, secondary, found, answered }
}

fn too_old(invariant: &'static str, old: super::cut::TooOld) -> CrashWrong {
    let super::cut::TooOld { volume, block, found, missing, seen } = old;
    CrashWrong::TooOld { invariant, ldev: ldev(volume as u8), block, found, missing, seen }
}

/// The operation that asks for it.
pub(super) fn read_all(volume: usize, blocks: BlockRange) -> (What, HostOp) {
    (What::Read { volume, blocks }, HostOp::Read { ldev: ldev(volume as u8), blocks })
}
