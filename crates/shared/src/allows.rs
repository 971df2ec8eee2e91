//! Which changes are possible: for changes that come from a record and not from who knows.
//!
//! What [`FamilyState::change`] asserts is asked for here first, so that a record of another history is
//! told from a broken invariant.

use crate::{Change, FamilyState, MapName, Pair, PairOptions, PairStatus, ReplayError};
use diptych_format::{LdevId, PairId, TrackNo, TrackRange};

type Allowed = Result<(), ReplayError>;

impl FamilyState {
    /// Whether [`change`](Self::change) would apply this. It panics if, and only if, not.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn allows(&self, change: &Change) -> Allowed {
        match *change {
            Change::AddPair(ref pair) => self.allows_pair(pair),
            Change::RemovePair(pair) | Change::CopyBegins { pair, .. } => {
                self.find_pair(pair).map(drop)
            }
            Change::Set { pair, map, tracks } => {
                let pair = self.find_pair(pair)?;
                let empty = map != MapName::C || tracks.is_empty();
                self.allows_tracks(tracks).and(is(pair, empty || pair.status != PairStatus::Copied))
            }
            Change::Clear { pair, tracks, .. } => {
                self.find_pair(pair).and(self.allows_tracks(tracks))
            }
            Change::Copied { pair, track, .. } | Change::Settling { pair, track } => {
                self.allows_copied(self.find_pair(pair)?, &[TrackRange::one(track)])
            }
            Change::Settled { pair, ref tracks } => {
                self.allows_copied(self.find_pair(pair)?, tracks)
            }
            Change::HostChange { primary, tracks } => self.allows_host_change(primary, tracks),
            Change::SecondaryChange { secondary, tracks } => {
                let pair = self.pair_of_secondary(secondary);
                pair.ok_or(ReplayError::NotSecondary { ldev: secondary })?;
                self.allows_tracks(tracks)
            }
            Change::Unreadable { pair, track } => {
                let pair = self.find_pair(pair)?;
                let copying = [PairStatus::PairedNotCopied, PairStatus::Restoring];
                is(pair, copying.contains(&pair.status))?;
                self.allows_copied(pair, &[TrackRange::one(track)])
            }
            Change::Allocate { ldev, tracks } | Change::Deallocate { ldev, tracks } => {
                self.find_volume(ldev).and(self.allows_tracks(tracks))
            }
            Change::Reserve { ldev, .. }
            | Change::Undefined { ldev, .. }
            | Change::HostWrote { ldev, .. }
            | Change::VolumeState { ldev, .. } => self.find_volume(ldev),
            Change::Copy { pair, .. }
            | Change::Resync { pair, .. }
            | Change::Restore { pair, .. }
            | Change::AbandonRestore { pair }
            | Change::Exchange { pair, .. }
            | Change::Suspend { pair, .. }
            | Change::Options { pair, .. } => allows_command(self.find_pair(pair)?, change),
        }
    }

    fn allows_pair(&self, pair: &Pair) -> Allowed {
        let Pair { id, primary, secondary, .. } = *pair;
        if self.pair(id).is_some() {
            return Err(ReplayError::PairExists { pair: id });
        }
        self.find_volume(primary).and(self.find_volume(secondary))?;
        if primary == secondary {
            return Err(ReplayError::SameVolume { ldev: primary });
        }
        if self.pair_of_secondary(secondary).is_some() {
            return Err(ReplayError::SecondaryTwice { ldev: secondary });
        }
        if !pair.is_whole(self.track_count()) {
            return Err(ReplayError::NotWhole { pair: id });
        }
        if self.is_above(secondary, primary) {
            return Err(ReplayError::Cycle { pair: id });
        }
        Ok(())
    }

    /// Whether pairs lead from `upper` to `lower`.
    pub(crate) fn is_above(&self, upper: LdevId, lower: LdevId) -> bool {
        let above = |ldev: &LdevId| self.pair_of_secondary(*ldev).map(|pair| pair.primary);
        std::iter::successors(above(&lower), above).any(|ldev| ldev == upper)
    }

    /// Whether these tracks, ascending and apart, are all in C.
    fn allows_copied(&self, pair: &Pair, tracks: &[TrackRange]) -> Allowed {
        let mut from = TrackNo(0);
        for &run in tracks {
            self.allows_tracks(run)?;
            let all = || pair.c.next_clear(run.start).is_none_or(|track| track >= run.end);
            if run.is_empty() || run.start < from || !all() {
                return Err(ReplayError::NotToCopy { pair: pair.id, tracks: run });
            }
            from = run.end;
        }
        Ok(())
    }

    fn allows_host_change(&self, primary: LdevId, tracks: TrackRange) -> Allowed {
        self.find_volume(primary).and(self.allows_tracks(tracks))?;
        let depends = |pair: &&Pair| {
            let until_copied = [PairStatus::CopyInProgress, PairStatus::Restoring];
            until_copied.contains(&pair.status) && pair.c.any_in(tracks)
        };
        match self.pairs_of_primary(primary).find(depends) {
            Some(pair) => Err(ReplayError::BeforeItsCopy { pair: pair.id, tracks }),
            None => Ok(()),
        }
    }

    fn allows_tracks(&self, tracks: TrackRange) -> Allowed {
        let track_count = self.track_count();
        if tracks.end.0 > track_count {
            return Err(ReplayError::Tracks { tracks, track_count });
        }
        Ok(())
    }

    fn find_volume(&self, ldev: LdevId) -> Allowed {
        self.volume(ldev).map(drop).ok_or(ReplayError::NoVolume { ldev })
    }

    fn find_pair(&self, id: PairId) -> Result<&Pair, ReplayError> {
        self.pair(id).ok_or(ReplayError::NoPair { pair: id })
    }
}

/// Whether a status is one that the change needs.
fn is(pair: &Pair, holds: bool) -> Allowed {
    let Pair { id, status, .. } = *pair;
    if holds { Ok(()) } else { Err(ReplayError::Status { pair: id, status }) }
}

fn allows_command(pair: &Pair, change: &Change) -> Allowed {
    let status = pair.status;
    match *change {
        Change::Copy { options, .. } => {
            is(pair, status == PairStatus::PairedNotCopied)?;
            if !pair.dp.is_empty() || !pair.ds.is_empty() {
                return Err(ReplayError::Differences { pair: pair.id });
            }
            allows_options(pair, options)
        }
        Change::Resync { options, .. } => {
            is(pair, matches!(status, PairStatus::Copied | PairStatus::Suspended))?;
            allows_options(pair, options)
        }
        Change::Restore { options, .. } | Change::Exchange { freeze: None, options, .. } => {
            is(pair, status == PairStatus::Copied)?;
            allows_options(pair, options)
        }
        Change::Exchange { .. } => is(pair, status == PairStatus::Copied),
        Change::AbandonRestore { .. } => is(pair, status == PairStatus::Restoring),
        Change::Suspend { .. } => is(pair, status != PairStatus::Restoring),
        Change::Options { options, .. } => allows_options(pair, options),
        _ => Ok(()),
    }
}

fn allows_options(pair: &Pair, options: PairOptions) -> Allowed {
    if options.lanes == 0 { Err(ReplayError::NoLane { pair: pair.id }) } else { Ok(()) }
}
