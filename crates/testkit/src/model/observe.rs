//! What copiers did, and whether they might: the unit's pairs against those of the model.

use super::{Content, Model, PairModel, range};
use crate::Violation;
use diptych_format::{LdevId, TrackNo, TrackRange};
use diptych_shared::{MapName, Pair, PairStatus, Phase, Volume};
use std::collections::BTreeSet;

/// A host change under way: its volume and its tracks. What its first chunks have marked is seen
/// before it is answered.
pub type UnderWay = (LdevId, TrackRange);

impl Model {
    /// Takes over what copiers did since the last look, and compares everything else exactly.
    ///
    /// Allowed: C shrinks where a copier is on. A pair below notes a change of a track which the
    /// pair above is about to copy.
    ///
    /// # Errors
    ///
    /// Whatever differs otherwise; I1 where a primary has lost its image.
    pub fn observe(
        &mut self,
        pairs: &[Pair],
        under_way: Option<UnderWay>,
    ) -> Result<(), Violation> {
        if pairs.len() != self.pairs.len() {
            return Err(Violation::Pairs { found: pairs.len(), expected: self.pairs.len() });
        }
        // First-level pairs first: what they copied has marked those below.
        for level in [false, true] {
            for real in pairs {
                let (primary, secondary) = (real.primary, real.secondary);
                let Some(pair) = self.pairs.get(&secondary).filter(|p| p.primary == primary) else {
                    return Err(Violation::Pair { primary, secondary });
                };
                if self.pairs.contains_key(&pair.primary) == level {
                    self.take_over(real, under_way)?;
                    self.compare(real)?;
                }
            }
        }
        self.latest_image = self.images.last().copied().unwrap_or_default();
        Ok(())
    }

    /// Compares the attributes of the unit's volumes.
    ///
    /// # Errors
    ///
    /// If one differs.
    pub fn observe_volumes(&self, volumes: &[Volume]) -> Result<(), Violation> {
        for volume in volumes {
            let Volume { ldev, reserved, undefined, .. } = *volume;
            let same = self
                .volumes
                .get(&ldev)
                .is_some_and(|model| (model.reserved, model.undefined) == (reserved, undefined));
            if !same {
                return Err(Violation::Attributes { ldev, reserved, undefined });
            }
        }
        Ok(())
    }

    fn take_over(&mut self, real: &Pair, under_way: Option<UnderWay>) -> Result<(), Violation> {
        let secondary = real.secondary;
        loop {
            let status = self.pairs[&secondary].status;
            self.take_over_marks(real, under_way);
            self.take_over_copies(real)?;
            // The end of a restore is the beginning of a copy, for which the same change is marked.
            let pair = self.pairs.get_mut(&secondary).expect("a pair");
            if status != PairStatus::Restoring || pair.status == status {
                return Ok(());
            }
            // Whether it began with something to copy depends on what was marked by then.
            if under_way.is_some_and(|(ldev, _)| ldev == real.primary)
                && matches!(real.phase, Phase::Resync | Phase::Duplex)
            {
                pair.phase = real.phase;
            }
        }
    }

    fn take_over_marks(&mut self, real: &Pair, under_way: Option<UnderWay>) {
        let secondary = real.secondary;
        for track in self.may_have_changed(real.primary, under_way) {
            let pair = &self.pairs[&secondary];
            let marked = match pair.status {
                PairStatus::PairedNotCopied => {
                    let c = real.c.get(track) && !pair.c.contains(&track.0);
                    c || real.a.get(track) && !pair.a.contains(&track.0)
                }
                _ => real.dp.get(track) && !pair.dp.contains(&track.0),
            };
            if marked {
                self.change_for(secondary, track);
            }
        }
        if let Some((ldev, tracks)) = under_way
            && ldev == secondary
        {
            let marked: Vec<TrackNo> = tracks.iter().filter(|t| real.ds.get(*t)).collect();
            self.pairs.get_mut(&secondary).expect("a pair").ds.extend(marked.iter().map(|t| t.0));
        }
    }

    fn take_over_copies(&mut self, real: &Pair) -> Result<(), Violation> {
        let secondary = real.secondary;
        let restoring = |model: &Self| model.pairs[&secondary].status == PairStatus::Restoring;
        let ended = restoring(self) && real.status != PairStatus::Restoring;
        let copied: Vec<u64> = {
            let of = |track: &u64| ended || !real.c.get(TrackNo(*track));
            self.pairs[&secondary].c.iter().copied().filter(of).collect()
        };
        for track in copied {
            if !self.pairs[&secondary].copies() {
                return Err(map_differs(real, MapName::C, TrackNo(track), false));
            }
            self.copied(secondary, TrackNo(track));
        }
        Ok(())
    }

    /// Tracks of a volume that a copy into it, or a host, may just be changing.
    fn may_have_changed(&self, ldev: LdevId, under_way: Option<UnderWay>) -> Vec<TrackNo> {
        let brings = |pair: &&PairModel| pair.copies() && pair.status != PairStatus::Restoring;
        let above = self.pairs.get(&ldev).filter(brings);
        let copied = above.into_iter().flat_map(|pair| pair.c.iter().map(|track| TrackNo(*track)));
        let host = under_way.filter(|(volume, _)| *volume == ldev);
        copied.chain(host.into_iter().flat_map(|(_, tracks)| tracks.iter())).collect()
    }

    fn compare(&mut self, real: &Pair) -> Result<(), Violation> {
        let (primary, secondary) = (real.primary, real.secondary);
        let pair = &self.pairs[&secondary];
        for track in (0..real.c.track_count()).map(TrackNo) {
            let in_803 = pair.status == PairStatus::CopyInProgress;
            if in_803 && real.c.get(track) && !pair.c.contains(&track.0) {
                return Err(Violation::PrimaryNotImage { primary, secondary, track });
            }
            for map in MapName::ALL {
                let found = real.map(map).get(track);
                if found != pair.map(map).contains(&track.0) {
                    return Err(map_differs(real, map, track, found));
                }
            }
            if in_803 && real.c.get(track) && !self.holds_image(pair, track) {
                return Err(Violation::PrimaryNotImage { primary, secondary, track });
            }
        }
        let copied = pair.copier && pair.status == PairStatus::PairedNotCopied;
        let phase = match real.phase {
            // C may have been empty between two looks.
            Phase::Duplex if copied => Phase::Duplex,
            _ => pair.phase,
        };
        if (real.status, real.phase) != (pair.status, phase) {
            return Err(Violation::Status {
                primary,
                secondary,
                found: real.status,
                found_phase: real.phase,
                expected: pair.status,
                expected_phase: pair.phase,
            });
        }
        let on = |status| status != PairStatus::Copied;
        if real.options != pair.options || (on(real.status) && real.copier != pair.copier) {
            return Err(Violation::Options { primary, secondary });
        }
        self.pairs.get_mut(&secondary).expect("a pair").phase = phase;
        self.compare_image(real)
    }

    /// Whether the primary still holds what the image needs of it, as far as anybody can tell.
    fn holds_image(&self, pair: &PairModel, track: TrackNo) -> bool {
        // The model has given it the content of the level above already, at the copy command.
        let lacks = |above: &PairModel| above.c.contains(&track.0);
        if self.pairs.get(&pair.primary).is_some_and(lacks) {
            return true;
        }
        let blocks = range(self.blocks_of(pair.primary, track));
        let now = &self.volumes[&pair.primary].content[blocks.clone()];
        let unknown = |content: &Content| *content == Content::Unknown;
        let mut both = now.iter().zip(&pair.image[blocks]);
        both.all(|(now, image)| now == image || unknown(now) || unknown(image))
    }
}

impl PairModel {
    fn map(&self, name: MapName) -> &BTreeSet<u64> {
        match name {
            MapName::C => &self.c,
            MapName::Dp => &self.dp,
            MapName::Ds => &self.ds,
            MapName::A => &self.a,
        }
    }
}

fn map_differs(real: &Pair, map: MapName, track: TrackNo, found: bool) -> Violation {
    let (primary, secondary) = (real.primary, real.secondary);
    Violation::Map { primary, secondary, map, track, found, expected: !found }
}
