//! Restore and quick restore: the primary takes the secondary's content, at once in a host's eyes.

use super::image::ImageNumber;
use super::{Model, PairModel};
use diptych_cha::{Command, Refusal};
use diptych_format::{ImageNo, LdevId, TrackNo};
use diptych_shared::{PairStatus, Phase};
use std::collections::BTreeSet;

impl Model {
    /// 804 becomes restoring, and 802 at once if nothing differs.
    pub(super) fn restore(&mut self, command: &Command) -> Result<(), Vec<Refusal>> {
        let Command { primary, secondary, options, .. } = *command;
        let reasons = self.restore_refusals(command);
        if !reasons.is_empty() {
            return Err(reasons);
        }
        self.differences_to_others(command, &[primary]);
        let content = self.volumes[&secondary].content.clone();
        let volume = self.volumes.get_mut(&primary).expect("a volume");
        (volume.content, volume.undefined) = (content, false);
        let tracks = volume.geometry.track_count();
        let pair = self.pair_mut(command);
        pair.all_changes_to_c();
        pair.forget_image(tracks);
        (pair.status, pair.options, pair.copier) = (PairStatus::Restoring, options, true);
        self.end_restore_if_done(secondary);
        Ok(())
    }

    /// The volumes exchange their contents; then 802, or 804 if frozen.
    pub(super) fn quick_restore(&mut self, command: &Command) -> Result<(), Vec<Refusal>> {
        let Command { primary, secondary, options, freeze, .. } = *command;
        let mut reasons = self.restore_refusals(command);
        if freeze {
            reasons.extend(self.undefined(primary));
        }
        if !reasons.is_empty() {
            return Err(reasons);
        }
        self.differences_to_others(command, &[primary, secondary]);
        let content = |model: &Self, ldev| model.volumes[&ldev].content.clone();
        let (old, new) = (content(self, primary), content(self, secondary));
        let volume = self.volumes.get_mut(&primary).expect("a volume");
        (volume.content, volume.undefined) = (new, false);
        let tracks = volume.geometry.track_count();
        self.volumes.get_mut(&secondary).expect("a volume").content = old;
        let pair = self.pair_mut(command);
        pair.forget_image(tracks);
        if freeze {
            let ds = std::mem::take(&mut pair.ds);
            pair.dp.extend(ds);
            pair.image_no = ImageNumber::New;
        } else {
            pair.all_changes_to_c();
            pair.options = options;
            self.follow(secondary);
        }
        Ok(())
    }

    /// The end of a restore is an empty C: what hosts wrote meanwhile is all that the secondary lacks.
    pub(super) fn end_restore_if_done(&mut self, secondary: LdevId) {
        let pair = self.pairs.get_mut(&secondary).expect("a pair");
        if pair.status == PairStatus::Restoring && pair.c.is_empty() {
            pair.all_changes_to_c();
            self.follow(secondary);
        }
    }

    /// The pair from whose secondary this primary is being restored.
    pub(super) fn restored_by(&self, primary: LdevId) -> Option<&PairModel> {
        let mut pairs = self.pairs.values();
        pairs.find(|pair| pair.primary == primary && pair.status == PairStatus::Restoring)
    }

    /// A forced delete while restoring: the primary is neither the old nor the new.
    pub(super) fn give_up_restore(&mut self, command: &Command) {
        let tracks: Vec<u64> = self.pairs[&command.secondary].c.iter().copied().collect();
        for track in tracks {
            self.forget(command.primary, TrackNo(track));
        }
        self.pairs.remove(&command.secondary);
        self.volumes.get_mut(&command.primary).expect("a volume").undefined = true;
    }

    /// 802 after a first image.
    fn follow(&mut self, secondary: LdevId) {
        let pair = self.pairs.get_mut(&secondary).expect("a pair");
        pair.status = PairStatus::PairedNotCopied;
        pair.phase = if pair.c.is_empty() { Phase::Duplex } else { Phase::Resync };
        pair.copier = true;
        self.forget_c(secondary);
    }

    fn restore_refusals(&self, command: &Command) -> Vec<Refusal> {
        let Command { primary, secondary, .. } = *command;
        let mut reasons = Vec::new();
        if self.pairs.contains_key(&primary) {
            reasons.push(Refusal::PrimaryIsSecondary { ldev: primary });
        }
        for other in self.pairs.values().filter(|pair| pair.secondary != secondary) {
            let rests = matches!(other.status, PairStatus::Copied | PairStatus::Suspended);
            if [primary, secondary].contains(&other.primary) && !rests {
                let (ldev, status) = (other.secondary, other.status);
                reasons.push(Refusal::OtherPair { ldev, status });
            }
        }
        reasons
    }

    /// The other pairs of these primaries note what is about to change in them.
    fn differences_to_others(&mut self, command: &Command, primaries: &[LdevId]) {
        let pair = &self.pairs[&command.secondary];
        let differences: BTreeSet<u64> = pair.dp.union(&pair.ds).copied().collect();
        for other in self.pairs.values_mut() {
            if other.secondary != command.secondary && primaries.contains(&other.primary) {
                other.dp.extend(&differences);
            }
        }
    }
}

impl PairModel {
    /// C = C or DP or DS, DP = DS = 0.
    fn all_changes_to_c(&mut self) {
        self.c.extend(std::mem::take(&mut self.dp));
        self.c.extend(std::mem::take(&mut self.ds));
    }

    fn forget_image(&mut self, tracks: u64) {
        self.a = (0..tracks).collect();
        self.a_from = ImageNo(0);
        self.forget_number();
    }
}
