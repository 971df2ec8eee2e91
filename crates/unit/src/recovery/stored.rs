//! What is stored, looked at while nobody uses the unit: the log's data over that of the drives.

use super::data::{AtOnce, CannotMakeRoom, make_room};
use crate::core::slot;
use crate::{Plant, Unit};
use diptych_cache::Pin;
use diptych_dka::{self as dka, DkaError, read_track};
use diptych_drr::{TransferError, verify};
use diptych_format::{BlockError, BlockMask, DriveNo, TrackNo, TrackPool};
use diptych_shared::Volume;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A track as it is stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoredTrack {
    /// Blocks that are in the log.
    pub in_log: BlockMask,
    /// Blocks that are wrong on the drive, and in the log: they are written again.
    pub behind: BlockMask,
    /// Blocks that are wrong on the drive and not in the log: they are lost, unless there is a copy.
    pub wrong: BlockMask,
    /// What is wrong with the first of these; absent if it cannot be read.
    pub first: Option<BlockError>,
}

/// What is in the log cannot be written to its drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a drive does not take what is in the log")]
pub struct NotWritten;

impl Unit {
    /// Looks at an allocated track of a volume of this unit: LA and CD of each block. Only while no
    /// driver turns the unit's jobs.
    ///
    /// # Errors
    ///
    /// If the drive fails as a whole.
    ///
    /// # Panics
    ///
    /// If the pool has no buffer left, or the volume is none of this unit's.
    pub fn stored_track(
        &self,
        plant: &Plant,
        volume: &Volume,
        track: TrackNo,
        pool: &TrackPool,
    ) -> Result<StoredTrack, DkaError> {
        let core = self.core();
        let home = core.home(volume.backing);
        let whole = BlockMask::first(volume.geometry.blocks_per_track());
        let pin = core.cache.pin(slot(volume.backing, track));
        let in_log = pin.as_ref().map_or(BlockMask::NONE, Pin::valid);
        if let Some(pin) = pin {
            drop(core.cache.unpin(pin));
        }
        assert!(pool.reserve(1), "a buffer for the track");
        let port = AtOnce(plant);
        let read = pin!(read_track(&port, &home, track, pool.take_reserved(), whole));
        let Poll::Ready(staged) = read.poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("all that it asks for is done at once");
        };
        let staged = staged?;
        let wrong = staged.bad.without(in_log);
        let bytes = &staged.data.bytes()[..volume.geometry.track_bytes()];
        let first = match verify(bytes, &staged.checks, home.drr_place(track), wrong) {
            Err(TransferError::WrongBlocks { first, .. }) => Some(first),
            _ => None,
        };
        Ok(StoredTrack { in_log, behind: staged.bad.without(wrong), wrong, first })
    }

    /// Writes all that is in the log to the drives, durably. Only while no driver turns the unit's
    /// jobs. Returns how many tracks that were.
    ///
    /// # Errors
    ///
    /// If a drive does not take it; the log has it still.
    pub fn write_out(&self, plant: &Plant) -> Result<u64, NotWritten> {
        let core = self.core();
        let mut tracks = 0;
        while core.cache.counts().dirty_slots > 0 {
            make_room(core, plant).map_err(|CannotMakeRoom| NotWritten)?;
            tracks += 1;
        }
        let drives: Vec<DriveNo> = core.groups.drives().collect();
        for drive in drives {
            let done = plant.drives().perform(dka::Op::Flush { drive });
            done.result.map_err(|_| NotWritten)?;
        }
        Ok(tracks)
    }
}
