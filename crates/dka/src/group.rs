//! Parity groups: where the tracks of a backing lie.
//!
//! A group of one drive, for now: a track's data sectors are followed by its check area, and the
//! tracks of a backing follow each other, each starting on a 4 KiB page. Other layouts come behind
//! [`Home::place`].

use crate::{DkaError, Drives};
use diptych_drr::TrackPlace;
use diptych_format::{BackingId, DriveNo, Geometry, SectorNo, TrackNo};
use diptych_sync::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

const PAGE_SECTORS: u64 = 8;

/// Where a backing lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    backing: BackingId,
    geometry: Geometry,
    drive: DriveNo,
    dka_no: u16,
    base: SectorNo,
}

/// The place of a backing, as it is kept while the unit is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The drive.
    pub drive: DriveNo,
    /// The first sector; the geometry says how many there are.
    pub base: SectorNo,
}

/// Where a track lies: its first data sector and its first check sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The drive.
    pub drive: DriveNo,
    /// The first sector of user data.
    pub data: SectorNo,
    /// The first sector of the check area.
    pub checks: SectorNo,
}

impl Home {
    /// The backing that lies here.
    pub fn backing(&self) -> BackingId {
        self.backing
    }

    /// Its geometry.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The drive under it.
    pub fn drive(&self) -> DriveNo {
        self.drive
    }

    /// The disk adapter that owns the drive.
    pub fn dka_no(&self) -> u16 {
        self.dka_no
    }

    /// Which blocks of the backing a track is, as the address change unit wants to know.
    pub fn drr_place(&self, track: TrackNo) -> TrackPlace {
        TrackPlace {
            backing: self.backing,
            first_block: self.geometry.first_block(track),
            block_count: self.geometry.blocks_per_track(),
        }
    }

    /// Which sectors it has.
    pub fn extent(&self) -> Extent {
        Extent { drive: self.drive, base: self.base }
    }

    /// Where a track lies.
    ///
    /// # Panics
    ///
    /// If the backing has no such track.
    pub fn place(&self, track: TrackNo) -> Place {
        assert!(track.0 < self.geometry.track_count(), "a track of the backing");
        let data = SectorNo(self.base.0 + track.0 * stride_sectors(self.geometry));
        let checks = SectorNo(data.0 + self.geometry.blocks_per_track());
        Place { drive: self.drive, data, checks }
    }
}

/// Sectors from one track to the next.
fn stride_sectors(geometry: Geometry) -> u64 {
    (geometry.blocks_per_track() + geometry.check_sectors()).next_multiple_of(PAGE_SECTORS)
}

/// Sectors that a backing of this geometry takes.
fn extent_sectors(geometry: Geometry) -> u64 {
    geometry.track_count() * stride_sectors(geometry)
}

/// All groups of the unit, and the backings they hold.
#[derive(Debug)]
pub struct Groups {
    groups: Vec<Mutex<Group>>,
    homes: RwLock<FxHashMap<BackingId, Home>>,
}

#[derive(Debug)]
struct Group {
    drive: DriveNo,
    dka_no: u16,
    /// Free extents: first sector -> sectors. Neighbours are joined.
    free: BTreeMap<u64, u64>,
}

impl Groups {
    /// One group for each drive.
    pub fn single_drives(drives: &Drives) -> Self {
        let group = |(drive, dka_no, sectors)| {
            Mutex::new(Group { drive, dka_no, free: BTreeMap::from([(0, sectors)]) })
        };
        Self {
            groups: drives.list().map(group).collect(),
            homes: RwLock::new(FxHashMap::default()),
        }
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Sectors that a volume of this geometry takes from its group.
    pub fn sectors_for(geometry: Geometry) -> u64 {
        extent_sectors(geometry)
    }

    /// Gives a backing a place in a group.
    ///
    /// # Errors
    ///
    /// If there is no such group, no such room in it, or the backing has a place.
    pub fn allocate(
        &self,
        backing: BackingId,
        geometry: Geometry,
        group_no: usize,
    ) -> Result<Home, DkaError> {
        let group_count = self.groups.len();
        let group = self.groups.get(group_no).ok_or(DkaError::NoGroup { group_no, group_count })?;
        let mut homes = self.homes.write();
        if homes.contains_key(&backing) {
            return Err(DkaError::Allocated { backing });
        }
        let mut group = group.lock();
        let sectors = extent_sectors(geometry);
        let base = group.take(sectors).ok_or(DkaError::NoSpace { group_no, sectors })?;
        let (drive, dka_no) = (group.drive, group.dka_no);
        let home = Home { backing, geometry, drive, dka_no, base: SectorNo(base) };
        homes.insert(backing, home);
        Ok(home)
    }

    /// Gives a backing the place that it had before the unit was down.
    ///
    /// # Errors
    ///
    /// If there is no group on that drive, the place is not free in it, or the backing has a place.
    pub fn restore(
        &self,
        backing: BackingId,
        geometry: Geometry,
        extent: Extent,
    ) -> Result<Home, DkaError> {
        let Extent { drive, base } = extent;
        let taken = || DkaError::PlaceTaken { backing, drive, base };
        let of_drive = self.groups.iter().find(|group| group.lock().drive == drive);
        let group = of_drive.ok_or_else(taken)?;
        let mut homes = self.homes.write();
        if homes.contains_key(&backing) {
            return Err(DkaError::Allocated { backing });
        }
        let mut group = group.lock();
        if !group.take_at(base.0, extent_sectors(geometry)) {
            return Err(taken());
        }
        let home = Home { backing, geometry, drive, dka_no: group.dka_no, base };
        homes.insert(backing, home);
        Ok(home)
    }

    /// Where every backing lies, in no order.
    pub fn homes(&self) -> Vec<Home> {
        self.homes.read().values().copied().collect()
    }

    /// The drives of all groups.
    pub fn drives(&self) -> impl Iterator<Item = DriveNo> + '_ {
        self.groups.iter().map(|group| group.lock().drive)
    }

    /// Gives a backing's place back. A backing that has none is left alone.
    ///
    /// # Panics
    ///
    /// If the group it was allocated from is gone: groups stay.
    pub fn free(&self, backing: BackingId) {
        let Some(home) = self.homes.write().remove(&backing) else { return };
        let of_home = self.groups.iter().find(|group| group.lock().drive == home.drive);
        let group = of_home.expect("the group that the backing was allocated from");
        group.lock().give(home.base.0, extent_sectors(home.geometry));
    }

    /// Where a backing lies.
    pub fn home(&self, backing: BackingId) -> Option<Home> {
        self.homes.read().get(&backing).copied()
    }
}

impl Group {
    /// The first free extent that is long enough.
    fn take(&mut self, sectors: u64) -> Option<u64> {
        let (&base, &length) = self.free.iter().find(|(_, length)| **length >= sectors)?;
        self.free.remove(&base);
        if length > sectors {
            self.free.insert(base + sectors, length - sectors);
        }
        Some(base)
    }

    /// Takes these sectors out of a free extent; `false` if they are not free.
    fn take_at(&mut self, base: u64, sectors: u64) -> bool {
        let Some(end) = base.checked_add(sectors) else { return false };
        let around = self.free.range(..=base).next_back().map(|(&start, &length)| (start, length));
        let Some((start, length)) = around.filter(|(start, length)| end <= start + length) else {
            return false;
        };
        self.free.remove(&start);
        if start < base {
            self.free.insert(start, base - start);
        }
        if end < start + length {
            self.free.insert(end, start + length - end);
        }
        true
    }

    fn give(&mut self, mut base: u64, mut length: u64) {
        if let Some(after) = self.free.remove(&(base + length)) {
            length += after;
        }
        let before = self.free.range(..base).next_back().map(|(&b, &l)| (b, l));
        if let Some((before_base, before_length)) = before
            && before_base + before_length == base
        {
            self.free.remove(&before_base);
            base = before_base;
            length += before_length;
        }
        self.free.insert(base, length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_device::MemoryDrive;

    #[test]
    fn places_of_a_group_do_not_overlap_and_come_back() {
        let drives = Drives::new(vec![(0, Box::new(MemoryDrive::new(1000)))]);
        let groups = Groups::single_drives(&drives);
        let geometry = Geometry::with_tracks(1, 10); // 10 tracks of 8 sectors
        let backings: Vec<_> = (1..=12).map(BackingId).collect();
        let homes: Vec<_> =
            backings.iter().map(|b| groups.allocate(*b, geometry, 0).unwrap()).collect();
        let mut starts: Vec<_> = homes.iter().map(|h| h.place(TrackNo(0)).data.0).collect();
        starts.dedup();
        assert_eq!(starts, (0..12).map(|n| n * 80).collect::<Vec<_>>());
        let full = groups.allocate(BackingId(13), geometry, 0);
        assert_eq!(full, Err(DkaError::NoSpace { group_no: 0, sectors: 80 }));
        for backing in [3, 5, 4] {
            groups.free(BackingId(backing));
        }
        let large = groups.allocate(BackingId(14), Geometry::with_tracks(1, 30), 0).unwrap();
        assert_eq!(large.place(TrackNo(29)).data.0, 160 + 29 * 8);
    }

    #[test]
    fn a_place_is_had_again_if_it_is_free() {
        let drives = Drives::new(vec![(0, Box::new(MemoryDrive::new(1000)))]);
        let geometry = Geometry::with_tracks(1, 10); // 80 sectors
        let restore = |groups: &Groups, backing: u32, drive: u16, base: u64| {
            let extent = Extent { drive: DriveNo(drive), base: SectorNo(base) };
            groups.restore(BackingId(backing), geometry, extent).map(|home| home.extent().base.0)
        };
        let groups = Groups::single_drives(&drives);
        assert_eq!(restore(&groups, 1, 0, 160), Ok(160));
        assert_eq!(restore(&groups, 2, 0, 0), Ok(0));
        assert_eq!(restore(&groups, 3, 0, 80), Ok(80));
        for (backing, drive, base) in [(4, 0, 200), (4, 0, 940), (4, 1, 240), (4, 0, u64::MAX)] {
            assert!(restore(&groups, backing, drive, base).is_err(), "{drive} {base}");
        }
        let again = restore(&groups, 1, 0, 240);
        assert_eq!(again, Err(DkaError::Allocated { backing: BackingId(1) }));
        groups.free(BackingId(3));
        let home = groups.allocate(BackingId(5), geometry, 0).unwrap();
        assert_eq!(home.extent().base.0, 80);
    }

    #[test]
    fn an_open_v_track_is_data_then_a_page_of_checks() {
        let drives = Drives::new(vec![(1, Box::new(MemoryDrive::new(1 << 20)))]);
        let groups = Groups::single_drives(&drives);
        let home = groups.allocate(BackingId(1), Geometry::with_tracks(128, 4), 0).unwrap();
        let place = home.place(TrackNo(2));
        assert_eq!((place.data.0, place.checks.0), (2 * 136, 2 * 136 + 128));
        assert_eq!(home.dka_no(), 1);
    }
}
