//! The status x command table of the design, and every refusal.

use super::image::ImageNumber;
use super::{Content, Model, PairModel};
use diptych_cha::{Command, CommandCode, CreateAuto, Outcome, Refusal};
use diptych_format::{ImageNo, LdevId, TrackNo};
use diptych_shared::{PairStatus, Phase};
use std::collections::BTreeSet;

/// What a command must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Carried out, with the status met and the status left.
    Accepted {
        /// The status met.
        from: Option<PairStatus>,
        /// The status left.
        to: Option<PairStatus>,
    },
    /// Nothing to do in this status.
    Nothing {
        /// The status met.
        met: Option<PairStatus>,
    },
    /// Refused, for one of these reasons: all hold, and the design does not order them.
    Refused(Vec<Refusal>),
}

impl Expected {
    /// Whether the outcome is that.
    pub fn admits(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Accepted { from, to }, Outcome::Accepted { from: met, to: left, .. }) => {
                from == met && to == left
            }
            (Self::Nothing { met }, Outcome::Nothing { met: found }) => met == found,
            (Self::Refused(reasons), Outcome::Refused(found)) => reasons.contains(found),
            _ => false,
        }
    }
}

impl Model {
    /// Carries out a pair command.
    pub fn command(&mut self, command: &Command) -> Expected {
        let Command { code, primary, secondary, .. } = *command;
        let met = self.pair_between(primary, secondary).map(|pair| pair.status);
        if code == CommandCode::Create {
            return self.create(command, met);
        }
        let missing = self.missing(command);
        if !missing.is_empty() {
            return Expected::Refused(missing);
        }
        let Some(status) = met else { return Expected::Nothing { met } };
        use PairStatus::{Copied, CopyInProgress, PairedNotCopied, Restoring, Suspended};
        let accepted = match (code, status) {
            (CommandCode::Copy, PairedNotCopied) => self.copy(command),
            (CommandCode::Resync, Copied | Suspended) => self.resync(command),
            (CommandCode::Suspend, PairedNotCopied | CopyInProgress | Copied) => {
                self.suspend(command)
            }
            (CommandCode::Restore, Copied) => self.restore(command),
            (CommandCode::QuickRestore, Copied) => self.quick_restore(command),
            (CommandCode::Suspend, Restoring) => Err(vec![Refusal::Restoring]),
            (CommandCode::Delete, Restoring) if !command.force => Err(vec![Refusal::Restoring]),
            (CommandCode::Delete, Restoring) => {
                self.give_up_restore(command);
                Ok(())
            }
            (CommandCode::Delete, _) => self.delete(command),
            _ => return Expected::Nothing { met },
        };
        match accepted {
            Err(reasons) => Expected::Refused(reasons),
            Ok(()) => {
                let to = self.pair_between(primary, secondary).map(|pair| pair.status);
                Expected::Accepted { from: met, to }
            }
        }
    }

    /// Carries out a create command whose secondary is to be chosen, and says which it must be.
    pub fn create_auto(&mut self, auto: &CreateAuto) -> (Expected, Option<LdevId>) {
        let ldev = auto.primary;
        let Some(primary) = self.volumes.get(&ldev) else {
            return (Expected::Refused(vec![Refusal::NoVolume { ldev }]), None);
        };
        let geometry = primary.geometry;
        let paired = |ldev| self.pairs.values().any(|p| p.primary == ldev || p.secondary == ldev);
        let mut free = self.volumes.iter().filter(|(other, volume)| {
            volume.reserved && volume.geometry == geometry && **other != ldev && !paired(**other)
        });
        let chosen = free.next().map(|(ldev, _)| *ldev);
        // Whatever is wrong with the primary goes before that there is nothing to choose.
        let of_primary = self.primary_refusals(ldev);
        match chosen {
            _ if !of_primary.is_empty() => (Expected::Refused(of_primary), None),
            None => (Expected::Refused(vec![Refusal::NoneToChoose { ldev }]), None),
            Some(secondary) => (self.command(&auto.choose(secondary)), chosen),
        }
    }

    fn pair_between(&self, primary: LdevId, secondary: LdevId) -> Option<&PairModel> {
        self.pairs.get(&secondary).filter(|pair| pair.primary == primary)
    }

    pub(super) fn pair_mut(&mut self, command: &Command) -> &mut PairModel {
        self.pairs.get_mut(&command.secondary).expect("the pair of the command")
    }

    fn missing(&self, command: &Command) -> Vec<Refusal> {
        let both = [command.primary, command.secondary];
        let missing = both.into_iter().filter(|ldev| !self.volumes.contains_key(ldev));
        missing.map(|ldev| Refusal::NoVolume { ldev }).collect()
    }

    fn create(&mut self, command: &Command, met: Option<PairStatus>) -> Expected {
        if met.is_some() {
            return Expected::Nothing { met };
        }
        let mut reasons = self.missing(command);
        if command.primary == command.secondary {
            reasons.push(Refusal::SameVolume { ldev: command.primary });
        }
        if reasons.is_empty() {
            reasons = self.create_refusals(command);
        }
        if !reasons.is_empty() {
            return Expected::Refused(reasons);
        }
        let Command { primary, secondary, options, initial_copy, .. } = *command;
        let volume = self.volumes.get_mut(&secondary).expect("a volume that is there");
        volume.undefined = false;
        volume.content.fill(Content::Unknown);
        let all: BTreeSet<u64> = (0..volume.geometry.track_count()).collect();
        let pair = PairModel {
            primary,
            secondary,
            status: PairStatus::PairedNotCopied,
            phase: if initial_copy { Phase::Pending } else { Phase::Idle },
            options,
            copier: initial_copy,
            c: all.clone(),
            dp: BTreeSet::new(),
            ds: BTreeSet::new(),
            a: all,
            image: Vec::new(),
            image_no: ImageNumber::None,
            a_from: ImageNo(0),
        };
        self.pairs.insert(secondary, pair);
        if command.and_copy {
            self.copy(command).expect("what may be created may be copied");
        }
        Expected::Accepted { from: None, to: Some(self.pairs[&secondary].status) }
    }

    /// What is wrong with a volume as the primary of another pair.
    fn primary_refusals(&self, primary: LdevId) -> Vec<Refusal> {
        let mut reasons = Vec::new();
        if let Some(above) = self.pairs.get(&primary) {
            if self.pairs.contains_key(&above.primary) {
                reasons.push(Refusal::ThirdLevel { ldev: primary });
            }
            if above.status != PairStatus::Copied {
                reasons.push(Refusal::FirstLevelNotCopied { status: above.status });
            }
        }
        reasons.extend(self.unusable(primary));
        if self.pairs_of(primary) >= self.secondaries_max {
            let most = self.secondaries_max;
            reasons.push(Refusal::TooManySecondaries { ldev: primary, most });
        }
        reasons
    }

    fn pairs_of(&self, primary: LdevId) -> usize {
        self.pairs.values().filter(|pair| pair.primary == primary).count()
    }

    fn create_refusals(&self, command: &Command) -> Vec<Refusal> {
        let Command { primary, secondary, .. } = *command;
        let mut reasons = self.primary_refusals(primary);
        if self.pairs.get(&primary).is_some_and(|above| above.primary == secondary) {
            reasons.push(Refusal::Cycle { ldev: primary });
        }
        let (a, b) = (self.volumes[&primary].geometry, self.volumes[&secondary].geometry);
        if a.emulation() != b.emulation() {
            reasons.push(Refusal::TypeMismatch);
        } else if a != b {
            let (primary_blocks, secondary_blocks) = (a.block_count(), b.block_count());
            reasons.push(Refusal::SizeMismatch { primary_blocks, secondary_blocks });
        }
        if self.pairs.contains_key(&secondary) {
            reasons.push(Refusal::SecondaryIsSecondary { ldev: secondary });
        }
        if self.pairs_of(secondary) > 0 {
            reasons.push(Refusal::SecondaryIsPrimary { ldev: secondary });
        }
        if self.needs_reserve && !self.volumes[&secondary].reserved {
            reasons.push(Refusal::NotReserved { ldev: secondary });
        }
        reasons
    }

    /// The image is the primary now, wherever its blocks still lie.
    fn copy(&mut self, command: &Command) -> Result<(), Vec<Refusal>> {
        let Command { primary, secondary, options, .. } = *command;
        let mut reasons = self.unusable(primary);
        if let Some(above) = self.pairs.get(&primary)
            && above.status != PairStatus::Copied
        {
            reasons.push(Refusal::FirstLevelNotCopied { status: above.status });
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let image = self.volumes[&primary].content.clone();
        self.volumes.get_mut(&secondary).expect("a volume").content.clone_from(&image);
        let pair = self.pair_mut(command);
        pair.image = image;
        pair.image_no = ImageNumber::New;
        pair.options = options;
        pair.copier = true;
        pair.status =
            if pair.c.is_empty() { PairStatus::Copied } else { PairStatus::CopyInProgress };
        Ok(())
    }

    fn resync(&mut self, command: &Command) -> Result<(), Vec<Refusal>> {
        let reasons = self.unusable(command.primary);
        if !reasons.is_empty() {
            return Err(reasons);
        }
        let pair = self.pair_mut(command);
        let changed: BTreeSet<u64> = pair.dp.union(&pair.ds).copied().collect();
        pair.c.extend(&changed);
        if pair.status == PairStatus::Copied {
            pair.a.clone_from(&pair.c);
            pair.a_from = pair.image_no.known();
        } else {
            pair.a.extend(&pair.c);
        }
        pair.dp.clear();
        pair.ds.clear();
        pair.forget_number();
        pair.status = PairStatus::PairedNotCopied;
        pair.phase = if pair.c.is_empty() { Phase::Duplex } else { Phase::Resync };
        pair.options = command.options;
        pair.copier = true;
        self.forget_c(command.secondary);
        Ok(())
    }

    fn suspend(&mut self, command: &Command) -> Result<(), Vec<Refusal>> {
        let follows_nothing = self.follows_nothing(command);
        self.forget_c(command.secondary);
        let tracks = self.volumes[&command.primary].geometry.track_count();
        let pair = self.pair_mut(command);
        if follows_nothing {
            pair.c = (0..tracks).collect();
        }
        pair.status = PairStatus::Suspended;
        pair.copier = false;
        pair.forget_number();
        Ok(())
    }

    fn delete(&mut self, command: &Command) -> Result<(), Vec<Refusal>> {
        let follows_nothing = self.follows_nothing(command);
        self.forget_c(command.secondary);
        let pair = self.pairs.remove(&command.secondary).expect("the pair of the command");
        if !pair.c.is_empty() || follows_nothing {
            self.volumes.get_mut(&command.secondary).expect("a volume").undefined = true;
        }
        Ok(())
    }

    /// Whether the pair is in 802 and what it follows means nothing.
    fn follows_nothing(&self, command: &Command) -> bool {
        let pair = &self.pairs[&command.secondary];
        let above = self.pairs.get(&command.primary);
        pair.status == PairStatus::PairedNotCopied
            && (self.volumes[&command.primary].undefined
                || above.is_some_and(|above| above.status != PairStatus::Copied))
    }

    /// Why nothing may be copied from a primary.
    fn unusable(&self, ldev: LdevId) -> Vec<Refusal> {
        let mut reasons = self.undefined(ldev);
        reasons.extend(self.restored_by(ldev).map(|_| Refusal::Restoring));
        reasons
    }

    pub(super) fn undefined(&self, ldev: LdevId) -> Vec<Refusal> {
        let undefined = self.volumes[&ldev].undefined;
        if undefined { vec![Refusal::Undefined { ldev }] } else { Vec::new() }
    }

    /// What a secondary holds of the tracks in C, nobody may tell.
    pub(super) fn forget_c(&mut self, secondary: LdevId) {
        let tracks: Vec<u64> = self.pairs[&secondary].c.iter().copied().collect();
        for track in tracks {
            self.forget(secondary, TrackNo(track));
        }
    }
}
