//! A track from its drive, and a track to its drive.

use crate::{DkaError, Done, Home, Op, Part, Place, Port};
use diptych_device::DeviceError;
use diptych_drr::{TransferError, verify};
use diptych_format::{
    BLOCK_BYTES, BlockMask, BlockNo, BlockRange, CheckArea, SectorNo, TrackBuf, TrackNo,
};
use diptych_sync::Arc;
use std::ops::Range;

/// A track read from its drive.
#[derive(Debug)]
pub struct Staged {
    /// User data of the whole track.
    pub data: TrackBuf,
    /// Its check fields.
    pub checks: CheckArea,
    /// Those of the blocks needed that are not to be given out: unreadable, misdirected or rotten.
    pub bad: BlockMask,
}

/// Reads a track and checks LA and CD of the blocks `needed` (steps 603 and 904).
///
/// A sector that the drive cannot read costs only its own block: the others are read one by one.
///
/// # Errors
///
/// If the drive fails as a whole.
///
/// # Panics
///
/// If the backing has no such track, or the port does not bring back what it was given.
pub async fn read_track<P: Port>(
    port: &P,
    home: &Home,
    track: TrackNo,
    buf: TrackBuf,
    needed: BlockMask,
) -> Result<Staged, DkaError> {
    let place = home.place(track);
    let geometry = home.geometry();
    let request = Op::Read {
        drive: place.drive,
        sector: place.data,
        data: Some((buf, 0..geometry.track_bytes())),
        checks: Some(CheckArea::zeroed(geometry.blocks_per_track())),
    };
    let Done { result, data, checks, .. } = port.perform(request).await;
    let data = data.expect("a read brings its buffer back");
    let checks = checks.expect("a read brings its check area back");
    let mut staged = Staged { data, checks, bad: BlockMask::NONE };
    match result {
        Ok(()) => {}
        Err(DeviceError::Medium { .. }) => {
            staged = read_blocks(port, place, staged, needed).await?;
        }
        Err(source) => return Err(DkaError::Drive { drive: place.drive, source }),
    }
    let readable = needed.without(staged.bad);
    let bytes = &staged.data.bytes()[..geometry.track_bytes()];
    if let Err(TransferError::WrongBlocks { bad, .. }) =
        verify(bytes, &staged.checks, home.drr_place(track), readable)
    {
        staged.bad = staged.bad.or(bad);
    }
    Ok(staged)
}

/// Reads the blocks needed one by one, around the sectors that cannot be read.
async fn read_blocks<P: Port>(
    port: &P,
    place: Place,
    staged: Staged,
    needed: BlockMask,
) -> Result<Staged, DkaError> {
    let Staged { mut data, checks, mut bad } = staged;
    let drive = place.drive;
    let area = Op::Read { drive, sector: place.checks, data: None, checks: Some(checks) };
    let answer = port.perform(area).await;
    let checks = answer.checks.expect("a read brings its check area back");
    match answer.result {
        Ok(()) => {}
        // Without check fields no block can be shown to be right.
        Err(DeviceError::Medium { .. }) => return Ok(Staged { data, checks, bad: needed }),
        Err(source) => return Err(DkaError::Drive { drive, source }),
    }
    for index in needed.iter() {
        let sector = SectorNo(place.data.0 + index);
        let part = block_bytes(BlockRange::one(BlockNo(index)));
        let one = Op::Read { drive, sector, data: Some((data, part)), checks: None };
        let answer = port.perform(one).await;
        data = answer.data.expect("a read brings its buffer back");
        match answer.result {
            Ok(()) => {}
            Err(DeviceError::Medium { .. }) => {
                bad = bad.or(BlockMask::of(BlockRange::one(BlockNo(index))));
            }
            Err(source) => return Err(DkaError::Drive { drive, source }),
        }
    }
    Ok(Staged { data, checks, bad })
}

/// A snapshot of a track to write to its drive.
#[derive(Debug)]
pub struct TrackWrite {
    /// User data of the track.
    pub data: Arc<TrackBuf>,
    /// Check fields, true for the blocks in `valid`.
    pub checks: Arc<CheckArea>,
    /// Blocks that `data` holds.
    pub valid: BlockMask,
    /// Blocks that the drive does not hold yet.
    pub dirty: BlockMask,
}

/// Writes a track (steps 605 and 906, and every destage): in one request where the whole track is
/// there, else the dirty blocks and the check area merged with the one on the drive.
///
/// # Errors
///
/// If a request fails. Some of the track may be written then.
///
/// # Panics
///
/// If the backing has no such track, or the port does not bring back what it was given.
pub async fn write_track<P: Port>(
    port: &P,
    home: &Home,
    track: TrackNo,
    write: TrackWrite,
) -> Result<(), DkaError> {
    let place = home.place(track);
    let geometry = home.geometry();
    let (drive, whole) = (place.drive, BlockMask::first(geometry.blocks_per_track()));
    if write.valid == whole {
        let data = Some(Part { buf: write.data, bytes: 0..geometry.track_bytes() });
        let op = Op::Write { drive, sector: place.data, data, checks: Some(write.checks) };
        return answered(port.perform(op).await);
    }
    let area = CheckArea::zeroed(geometry.blocks_per_track());
    let read = Op::Read { drive, sector: place.checks, data: None, checks: Some(area) };
    let answer = port.perform(read).await;
    let mut checks = answer.checks.expect("a read brings its check area back");
    match answer.result {
        Ok(()) => {}
        // What is unreadable costs the blocks that are not written now: their fields do not verify.
        Err(DeviceError::Medium { .. }) => checks = CheckArea::zeroed(geometry.blocks_per_track()),
        Err(source) => return Err(DkaError::Drive { drive, source }),
    }
    for index in write.valid.iter() {
        checks.set(index, write.checks.get(index));
    }
    let run = |run: BlockRange| Op::Write {
        drive,
        sector: SectorNo(place.data.0 + run.start.0),
        data: Some(Part { buf: write.data.clone(), bytes: block_bytes(run) }),
        checks: None,
    };
    let mut ops: Vec<Op> = write.dirty.runs().map(run).collect();
    let checks = Some(Arc::new(checks));
    ops.push(Op::Write { drive, sector: place.checks, data: None, checks });
    drop(write);
    port.perform_all(ops).await.into_iter().try_for_each(answered)
}

fn answered(done: Done) -> Result<(), DkaError> {
    done.result.map_err(|source| DkaError::Drive { drive: done.drive, source })
}

/// The bytes of these blocks of a track.
fn block_bytes(blocks: BlockRange) -> Range<usize> {
    blocks.start.0 as usize * BLOCK_BYTES..blocks.end.0 as usize * BLOCK_BYTES
}
