//! What each change does to one pair: the maps and the status move together.

use crate::{MapName, Pair, PairOptions, PairStatus, Phase, TrackMap};
use diptych_format::{ImageNo, Time, TrackNo, TrackRange};
use diptych_sync::mutant;

impl Pair {
    /// Bits of a map are set.
    pub(crate) fn set(&mut self, map: MapName, tracks: TrackRange) {
        self.map_mut(map).set_range(tracks);
        if map == MapName::C {
            self.settling.clear_range(tracks);
        }
    }

    /// Bits of a map are cleared.
    pub(crate) fn clear(&mut self, map: MapName, tracks: TrackRange) {
        self.map_mut(map).clear_range(tracks);
        if map == MapName::C {
            self.settling.clear_range(tracks);
            self.unreadable.clear_range(tracks);
            self.end_copy_if_done();
        }
    }

    /// A track was copied: steps 609 and 606 to 607, or 907.
    pub(crate) fn copied(&mut self, track: TrackNo, protecting: bool) {
        let id = self.id;
        // A failure elsewhere may have suspended the pair under a copy on its way: it is still true.
        assert!(self.c.clear(track), "invariant: pair {id}, track {track} copied while its C is 0");
        self.settling.clear(track);
        self.unreadable.clear(track); // 609, 907
        self.copied_tracks = self.copied_tracks.saturating_add(1);
        if protecting {
            self.protected_tracks = self.protected_tracks.saturating_add(1);
        } else {
            self.copy_pointer = TrackNo(track.0 + 1); // 606, 607
        }
        self.end_copy_if_done();
    }

    /// A lane has written a track: step 605, and 606 to 607.
    pub(crate) fn settles(&mut self, track: TrackNo) {
        let id = self.id;
        assert!(self.c.get(track), "invariant: pair {id}, track {track} settles while its C is 0");
        if self.is_copying() {
            self.settling.set(track);
            self.copy_pointer = TrackNo(track.0 + 1); // 606, 607
        }
    }

    /// Written tracks are on the drive for good: step 609.
    pub(crate) fn settled(&mut self, tracks: &[TrackRange]) {
        let (id, mut from) = (self.id, TrackNo(0));
        for &run in tracks {
            let cleared = self.c.clear_range(run);
            assert!(
                !run.is_empty() && cleared == run.count() && run.start >= from,
                "invariant: pair {id}, tracks {run} settled while their C is not 1"
            );
            from = run.end;
            self.settling.clear_range(run);
            self.unreadable.clear_range(run);
            self.copied_tracks = self.copied_tracks.saturating_add(cleared);
        }
        self.end_copy_if_done();
    }

    /// Tracks of the primary are about to change: the marks of Fig. 9.
    pub(crate) fn primary_changes(&mut self, tracks: TrackRange) {
        let Self { id, status, .. } = *self;
        if status == PairStatus::PairedNotCopied {
            self.c.set_range(tracks);
            self.a.set_range(tracks);
        } else {
            assert!(
                !matches!(status, PairStatus::CopyInProgress | PairStatus::Restoring)
                    || !self.c.any_in(tracks),
                "invariant I1: pair {id}, tracks {tracks} change before their copy (904-907)"
            );
            self.dp.set_range(tracks);
        }
        self.settling.clear_range(tracks);
        self.unreadable.clear_range(tracks);
    }

    /// Tracks of the secondary change by themselves.
    pub(crate) fn secondary_changes(&mut self, tracks: TrackRange) {
        self.ds.set_range(tracks);
        self.settling.clear_range(tracks);
    }

    /// 802 becomes 803 (Fig. 8), and 804 at once if nothing is left to copy.
    pub(crate) fn accept_copy(&mut self, image: ImageNo, options: PairOptions) {
        let Self { id, status, .. } = *self;
        assert!(
            status == PairStatus::PairedNotCopied,
            "invariant: pair {id} is {status}, it cannot accept a copy"
        );
        assert!(
            self.dp.is_empty() && self.ds.is_empty(),
            "invariant I2: pair {id} has differences outside C in 802"
        );
        self.status = PairStatus::CopyInProgress;
        self.image = image;
        self.start_copier(options);
        self.end_copy_if_done();
    }

    /// 804 or suspended becomes 802.
    pub(crate) fn resync(&mut self, options: PairOptions) {
        let Self { id, status, .. } = *self;
        assert!(
            matches!(status, PairStatus::Copied | PairStatus::Suspended),
            "invariant: pair {id} is {status}, it cannot be resynchronized"
        );
        self.all_changes_to_c();
        if status == PairStatus::Copied {
            self.a = self.c.clone();
            self.a_from = self.image;
        } else {
            self.a.or_assign(&self.c);
        }
        self.follow(options);
    }

    /// 804 becomes restoring, and 802 at once if the sides are equal.
    pub(crate) fn restore(&mut self, options: PairOptions) {
        self.assert_split("restored");
        self.all_changes_to_c();
        self.forget_image();
        self.status = PairStatus::Restoring;
        self.start_copier(options);
        self.end_copy_if_done();
    }

    /// Restoring becomes suspended.
    pub(crate) fn abandon_restore(&mut self) {
        let Self { id, status, .. } = *self;
        assert!(status == PairStatus::Restoring, "invariant: pair {id} is {status}, not restoring");
        self.dp.or_assign(&self.c.take());
        self.unreadable.clear_all();
        self.stop();
    }

    /// The sides have changed places: 804 becomes 802, or stays.
    pub(crate) fn exchanged(&mut self, freeze: Option<ImageNo>, options: PairOptions) {
        self.assert_split("exchanged");
        self.forget_image();
        match freeze {
            Some(image) => {
                self.dp.or_assign(&self.ds.take());
                self.image = image;
            }
            None => {
                self.all_changes_to_c();
                self.follow(options);
            }
        }
    }

    /// Any status but restoring becomes suspended.
    pub(crate) fn suspend(&mut self, all_different: bool) {
        let Self { id, status, .. } = *self;
        assert!(
            status != PairStatus::Restoring,
            "invariant: pair {id} is suspended while restoring"
        );
        self.stop();
        if all_different {
            self.c.set_all();
        }
    }

    fn stop(&mut self) {
        self.status = PairStatus::Suspended;
        self.copier = false;
        self.image = ImageNo(0);
        // What was on its way is copied again, if copying goes on some day.
        self.settling.clear_all();
    }

    /// From here on the time and the tracks of a copy are counted.
    pub(crate) fn copy_begins(&mut self, at: Time) {
        self.begun_at = at;
        self.begun_tracks = self.copied_tracks;
    }

    /// A track cannot be read.
    pub(crate) fn note_unreadable(&mut self, track: TrackNo) {
        let Self { id, status, .. } = *self;
        assert!(
            matches!(status, PairStatus::PairedNotCopied | PairStatus::Restoring)
                && self.c.get(track),
            "invariant: pair {id} is {status}, track {track} is not waiting to be copied"
        );
        self.unreadable.set(track);
        self.settling.clear(track);
    }

    /// Whether status, maps and numbers belong together, as they must where a pair begins.
    pub(crate) fn is_whole(&self, track_count: u64) -> bool {
        let maps = [&self.c, &self.dp, &self.ds, &self.a, &self.unreadable, &self.settling];
        let in_c = |map: &TrackMap| map.next_set_except(TrackNo(0), &self.c).is_none();
        maps.iter().all(|map| map.track_count() == track_count)
            && self.status_fits_c()
            && in_c(&self.unreadable)
            && in_c(&self.settling)
            && (self.is_copying() || self.settling.is_empty())
            && self.options.lanes > 0
            && self.begun_tracks <= self.copied_tracks
            && self.protected_tracks <= self.copied_tracks
    }

    fn status_fits_c(&self) -> bool {
        match self.status {
            PairStatus::CopyInProgress | PairStatus::Restoring => !self.c.is_empty(),
            PairStatus::Copied => self.c.is_empty(),
            PairStatus::PairedNotCopied | PairStatus::Suspended => true,
        }
    }

    /// What holds between changes. Takes constant time.
    pub(crate) fn assert_whole(&self) {
        let Self { id, status, .. } = *self;
        let holds = self.status_fits_c();
        assert!(holds, "invariant: pair {id} is {status} with {} tracks in C", self.c.count());
        assert!(self.options.lanes > 0, "invariant: pair {id} has no lane");
        assert!(
            self.unreadable.count() <= self.c.count(),
            "invariant: pair {id} has unreadable tracks outside C"
        );
        assert!(
            self.settling.count() <= self.c.count()
                && (self.is_copying() || self.settling.is_empty()),
            "invariant: pair {id} is {status}, with {} tracks settling",
            self.settling.count()
        );
    }

    /// The end of a copy is an empty C (step 504), in the same change.
    fn end_copy_if_done(&mut self) {
        if !self.c.is_empty() {
            return;
        }
        match self.status {
            PairStatus::CopyInProgress => self.status = PairStatus::Copied, // 504
            PairStatus::PairedNotCopied if self.copier => self.phase = Phase::Duplex,
            PairStatus::Restoring => {
                // What hosts wrote to the primary meanwhile is all that the secondary lacks.
                if !mutant::removed("restore-end-takes-dp") {
                    self.all_changes_to_c();
                }
                self.a.or_assign(&self.c);
                self.follow(self.options);
            }
            PairStatus::PairedNotCopied | PairStatus::Copied | PairStatus::Suspended => {}
        }
    }

    /// Enters 802 after a first image: the secondary follows until C is empty, and on.
    fn follow(&mut self, options: PairOptions) {
        self.status = PairStatus::PairedNotCopied;
        self.phase = if self.c.is_empty() { Phase::Duplex } else { Phase::Resync };
        self.image = ImageNo(0);
        self.start_copier(options);
    }

    fn assert_split(&self, what: &str) {
        let Self { id, status, .. } = *self;
        assert!(
            status == PairStatus::Copied,
            "invariant: pair {id} is {status}, it cannot be {what}"
        );
    }

    /// No backup leads from the image there was.
    fn forget_image(&mut self) {
        self.image = ImageNo(0);
        self.a_from = ImageNo(0);
        self.a.set_all();
    }

    /// C = C or DP or DS, DP = DS = 0.
    fn all_changes_to_c(&mut self) {
        self.c.or_assign(&self.dp.take());
        self.c.or_assign(&self.ds.take());
    }

    fn start_copier(&mut self, options: PairOptions) {
        self.options = options;
        self.copier = true;
        self.copy_pointer = TrackNo(0);
        self.unreadable.clear_all();
    }

    fn map_mut(&mut self, name: MapName) -> &mut TrackMap {
        match name {
            MapName::C => &mut self.c,
            MapName::Dp => &mut self.dp,
            MapName::Ds => &mut self.ds,
            MapName::A => &mut self.a,
        }
    }
}
