//! What is wrong with a drive's sectors, laid over what they should hold.

use crate::buffers::sector_mut;
use crate::{Device, DeviceError, SectorRange};
use diptych_format::{BLOCK_BYTES, SectorNo};
use std::collections::BTreeMap;
use std::io::IoSliceMut;

/// The content of one sector.
pub(super) type Sector = [u8; BLOCK_BYTES];

/// The most sectors that are damaged, or remembered, at a time: 32 MiB.
pub(super) const MAX_SECTORS: usize = 65_536;

#[derive(Debug)]
enum Overlay {
    Unreadable,
    Holds(Box<Sector>),
}

/// The damaged sectors. All others hold what the drive within holds.
#[derive(Debug, Default)]
pub(super) struct Damage(BTreeMap<SectorNo, Overlay>);

impl Damage {
    /// Whether `count` more sectors can be damaged.
    pub(super) fn has_room(&self, count: u64) -> bool {
        count <= (MAX_SECTORS - self.0.len()) as u64
    }

    pub(super) fn sectors(&self) -> Vec<SectorNo> {
        self.0.keys().copied().collect()
    }

    /// Whatever is wrong with these sectors no longer is.
    pub(super) fn mend(&mut self, sectors: SectorRange) {
        if !self.0.is_empty() {
            sectors.iter().for_each(|sector| drop(self.0.remove(&sector)));
        }
    }

    pub(super) fn make_unreadable(&mut self, sectors: SectorRange) {
        self.0.extend(sectors.iter().map(|sector| (sector, Overlay::Unreadable)));
        self.check_limit();
    }

    /// The sector holds `data`, whatever the drive within holds.
    pub(super) fn hold(&mut self, sector: SectorNo, data: Box<Sector>) {
        self.0.insert(sector, Overlay::Holds(data));
        self.check_limit();
    }

    fn check_limit(&self) {
        assert!(self.0.len() <= MAX_SECTORS, "room was asked for before sectors were damaged");
    }

    /// Flips bit `bit` of `sectors`. An unreadable sector stays so.
    pub(super) fn flip(
        &mut self,
        drive: &impl Device,
        sectors: SectorRange,
        bit: u64,
    ) -> Result<(), DeviceError> {
        const SECTOR_BITS: u64 = 8 * BLOCK_BYTES as u64;
        if sectors.is_empty() {
            return Ok(());
        }
        let sector = SectorNo(sectors.start.0 + bit / SECTOR_BITS % sectors.count());
        if let Some(mut data) = self.seen(drive, sector)? {
            data[(bit % SECTOR_BITS / 8) as usize] ^= 1 << (bit % 8);
            self.hold(sector, data);
        }
        Ok(())
    }

    /// What a read of the sector gets; `None` if it is unreadable.
    pub(super) fn seen(
        &self,
        drive: &impl Device,
        sector: SectorNo,
    ) -> Result<Option<Box<Sector>>, DeviceError> {
        match self.0.get(&sector) {
            Some(Overlay::Unreadable) => Ok(None),
            Some(Overlay::Holds(data)) => Ok(Some(data.clone())),
            None => {
                let mut data = Box::new([0; BLOCK_BYTES]);
                match drive.read_at(sector, &mut [IoSliceMut::new(&mut data[..])]) {
                    Ok(()) => Ok(Some(data)),
                    // Unreadable within: a write that does not get there leaves it so.
                    Err(DeviceError::Medium { .. }) => Ok(None),
                    Err(other) => Err(other),
                }
            }
        }
    }

    /// Makes what was read from the drive within into what the damaged drive gives.
    pub(super) fn show(
        &self,
        sectors: SectorRange,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Result<(), DeviceError> {
        for (&sector, overlay) in self.0.range(sectors.start..sectors.end) {
            match overlay {
                Overlay::Unreadable => return Err(DeviceError::Medium { sector }),
                Overlay::Holds(data) => {
                    sector_mut(bufs, sector.0 - sectors.start.0).copy_from_slice(&data[..]);
                }
            }
        }
        Ok(())
    }
}
