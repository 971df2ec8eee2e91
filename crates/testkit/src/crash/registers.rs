//! What each block of each volume may hold: a register with a version for each operation that may have
//! left something there.
//!
//! Invariants:
//! - A version that a later one certainly followed counts no more: the later one was done to its end,
//!   and began after the earlier one had ended.
//! - After a cut of power in write-back mode only a later version that is durable says so.

use crate::Tag;
use diptych_format::{BlockNo, BlockRange};

/// What a version may have left in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// One of these tags.
    OneOf(Vec<Tag>),
    /// Whatever.
    Any,
}

impl Value {
    pub(super) fn may_be(&self, found: Tag) -> bool {
        match self {
            Self::OneOf(tags) => tags.contains(&found),
            Self::Any => true,
        }
    }

    fn or(self, other: &Self) -> Self {
        match (self, other) {
            (Self::OneOf(mut tags), Self::OneOf(more)) => {
                more.iter().for_each(|tag| {
                    if !tags.contains(tag) {
                        tags.push(*tag);
                    }
                });
                Self::OneOf(tags)
            }
            _ => Self::Any,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) value: Value,
    /// When the operation was sent; its name, too.
    pub(super) from: u64,
    /// When it was answered; `u64::MAX`: it is under way.
    pub(super) to: u64,
    /// It was done to its end.
    whole: bool,
    durable: bool,
}

/// One block.
#[derive(Debug, Clone)]
pub(super) struct Register {
    versions: Vec<Version>,
}

impl Register {
    fn new() -> Self {
        let value = Value::OneOf(vec![Tag::ZERO]);
        Self { versions: vec![Version { value, from: 0, to: 0, whole: true, durable: true }] }
    }

    fn value(&self, counts: impl Fn(&Version) -> bool) -> Value {
        let versions = self.versions.iter().filter(|version| counts(version));
        versions.fold(Value::OneOf(Vec::new()), |value, version| value.or(&version.value))
    }

    /// Whether a version was certainly followed by another before `end`.
    fn followed(&self, version: &Version, end: u64, durably: bool) -> bool {
        self.versions.iter().any(|later| {
            later.whole && later.from > version.to && later.to < end && (later.durable || !durably)
        })
    }

    /// What somebody may have seen between these moments.
    pub(super) fn seen(&self, from: u64, to: u64) -> Value {
        self.value(|version| version.from < to && !self.followed(version, from, false))
    }

    /// Whether this may be there although a version that ended before `from` was followed by one
    /// from then.
    pub(super) fn may_be_since(&self, found: Tag, from: u64) -> bool {
        self.versions.iter().any(|version| version.to >= from && version.value.may_be(found))
    }

    /// What is there after a crash at `at`, and durable.
    fn crash(&mut self, at: u64, weak: bool) {
        let value = self.value(|version| !self.followed(version, u64::MAX, weak));
        self.versions = vec![Version { value, from: at, to: at, whole: true, durable: true }];
    }

    /// A read, from and to, found this.
    fn resolve(&mut self, found: Tag, from: u64, to: u64) {
        if self.versions.iter().any(|version| version.to >= from) {
            return; // something else was under way
        }
        let followed: Vec<bool> =
            self.versions.iter().map(|version| self.followed(version, from, false)).collect();
        let left = self.versions.iter_mut().zip(followed).filter(|(_, followed)| !followed);
        let mut left: Vec<&mut Version> = left.map(|(version, _)| version).collect();
        // Undefined contents need not stay what they are.
        if left.iter().any(|version| version.value == Value::Any) {
            return;
        }
        let value = Value::OneOf(vec![found]);
        if let [only] = &mut left[..] {
            only.value = value;
        } else {
            self.versions.push(Version { value, from, to, whole: true, durable: false });
        }
    }
}

/// All blocks of all volumes.
#[derive(Debug, Clone)]
pub(super) struct Registers {
    volumes: Vec<Vec<Register>>,
}

impl Registers {
    pub(super) fn new(volumes: usize, blocks: u64) -> Self {
        Self { volumes: vec![vec![Register::new(); blocks as usize]; volumes] }
    }

    pub(super) fn of(&self, volume: usize) -> &[Register] {
        &self.volumes[volume]
    }

    pub(super) fn block(&self, volume: usize, block: BlockNo) -> &Register {
        &self.volumes[volume][block.0 as usize]
    }

    fn part(&mut self, volume: usize, blocks: BlockRange) -> &mut [Register] {
        &mut self.volumes[volume][blocks.start.0 as usize..blocks.end.0 as usize]
    }

    /// An operation is sent that may leave this.
    pub(super) fn begin(&mut self, volume: usize, blocks: BlockRange, value: &Value, from: u64) {
        for register in self.part(volume, blocks) {
            let value = value.clone();
            let (to, whole, durable) = (u64::MAX, false, false);
            register.versions.push(Version { value, from, to, whole, durable });
        }
    }

    /// The operation that was sent at `from` had no effect on this volume.
    pub(super) fn withdraw(&mut self, volume: usize, from: u64) {
        for register in &mut self.volumes[volume] {
            register.versions.retain(|version| version.from != from);
        }
    }

    /// The operation that was sent at `from` was answered.
    pub(super) fn end(
        &mut self,
        volume: usize,
        blocks: BlockRange,
        from: u64,
        to: u64,
        whole: bool,
    ) {
        for register in self.part(volume, blocks) {
            let mine = register.versions.iter_mut().filter(|version| version.from == from);
            mine.for_each(|version| (version.to, version.whole) = (to, whole));
        }
    }

    /// A command has left this, durably.
    pub(super) fn put(&mut self, volume: usize, values: Vec<Value>, from: u64, to: u64) {
        self.withdraw(volume, from);
        for (register, value) in self.volumes[volume].iter_mut().zip(values) {
            register.versions.push(Version { value, from, to, whole: true, durable: true });
        }
    }

    /// An operation that ended at `to` may have left this.
    pub(super) fn maybe(&mut self, volume: usize, values: Vec<Value>, from: u64, to: u64) {
        for (register, value) in self.volumes[volume].iter_mut().zip(values) {
            let (whole, durable) = (false, false);
            register.versions.push(Version { value, from, to, whole, durable });
        }
    }

    /// What an image of this volume, made between these moments, may hold.
    pub(super) fn image(&self, volume: usize, from: u64, to: u64) -> Vec<Value> {
        self.volumes[volume].iter().map(|register| register.seen(from, to)).collect()
    }

    /// All that was answered before `moment` is durable. What nobody can find any more, who asks for
    /// moments from `oldest` on, is forgotten.
    pub(super) fn durable(&mut self, moment: u64, oldest: u64) {
        for register in self.volumes.iter_mut().flatten() {
            for version in &mut register.versions {
                version.durable |= version.to < moment;
            }
            if register.versions.len() > 1 {
                let gone: Vec<u64> = register
                    .versions
                    .iter()
                    .filter(|version| register.followed(version, oldest, true))
                    .map(|version| version.from)
                    .collect();
                register.versions.retain(|version| !gone.contains(&version.from));
            }
        }
    }

    /// What is there after a crash at `at`. `weak`: what is not durable may be lost.
    pub(super) fn crash(&mut self, at: u64, weak: bool) {
        self.volumes.iter_mut().flatten().for_each(|register| register.crash(at, weak));
    }

    /// A read found this.
    pub(super) fn resolve(
        &mut self,
        volume: usize,
        start: BlockNo,
        found: &[Tag],
        from: u64,
        to: u64,
    ) {
        let blocks = BlockRange::new(start, found.len() as u64);
        for (register, tag) in self.part(volume, blocks).iter_mut().zip(found) {
            register.resolve(*tag, from, to);
        }
    }
}
