//! The full check of a volume, behind the control unit's back: from the file under its drive.

use super::ledger::{Cut, InFlight, Judge, Ledger, Origin};
use super::progress::Bar;
use super::rig::Side;
use super::{DemoError, Image, Rig, marked};
use diptych::drr::{TrackPlace, TransferError, verify};
use diptych::format::{BLOCK_BYTES, BlockMask, BlockNo, BlockRange, CheckArea};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::io;
use std::os::unix::fs::FileExt;

/// What a full check found.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CheckReport {
    /// Tracks of the volume.
    pub(crate) tracks: u64,
    /// Of these, tracks that have storage; the others read zero.
    pub(crate) allocated_tracks: u64,
    /// Blocks whose content was compared.
    pub(crate) blocks: u64,
    /// Blocks whose LA or CD is wrong.
    pub(crate) wrong_codes: u64,
    /// Blocks that hold what the image cannot hold.
    pub(crate) wrong_contents: u64,
    /// Writes in flight at the instant: in or out, both are right.
    pub(crate) writes_in_flight: u64,
    /// Of these, writes that show in the image.
    pub(crate) writes_in_flight_in: u64,
    /// Of these, writes of which only a part is in the image, or which are in out of order.
    pub(crate) writes_torn: u64,
    /// SHA-256 of the image's blocks, as they lie on the drive.
    pub(crate) sha256: String,
}

impl CheckReport {
    /// All that is wrong.
    pub(crate) fn wrong(&self) -> u64 {
        self.wrong_codes + self.wrong_contents + self.writes_torn
    }
}

/// What a volume is compared with.
#[derive(Clone, Copy)]
pub(crate) struct Expected<'a> {
    pub(crate) image: &'a Image,
    pub(crate) ledger: &'a Ledger,
    pub(crate) seed: u64,
    pub(crate) cut: Cut,
}

/// Checks every track of a volume. What it wrote must have been flushed.
pub(crate) fn check(
    rig: &Rig,
    side: Side,
    expected: Expected<'_>,
    bar: &Bar,
) -> Result<CheckReport, DemoError> {
    let (volume, home) = rig.volume(side);
    let geometry = volume.geometry;
    let image_blocks = expected.image.block_count();
    let mut judge = Judge::new(expected.ledger, expected.cut, image_blocks);
    let mut digest = Sha256::new();
    let (mut wrong_codes, mut wrong_contents, mut blocks) = (0, 0, 0);
    let mut wanted = vec![0; geometry.track_bytes()];
    let mut found = vec![0; geometry.track_bytes()];
    let mut checks = CheckArea::zeroed(geometry.blocks_per_track());
    for track in geometry.all_tracks().iter() {
        bar.at(track.0);
        let first_block = geometry.first_block(track);
        if volume.allocated.get(track) {
            let sector = home.place(track).data.0;
            read_track(rig, side, sector, &mut found, &mut checks)?;
            let block_count = geometry.blocks_per_track();
            let place = TrackPlace { backing: volume.backing, first_block, block_count };
            wrong_codes += count_wrong(&found, &checks, place);
        } else if track.0 >= expected.image.track_count(geometry) {
            // Reads zero, and the image has nothing here.
            blocks += geometry.blocks_per_track();
            continue;
        } else {
            found.fill(0);
        }
        let whole = BlockRange::new(first_block, geometry.blocks_per_track());
        expected.image.read(whole, &mut wanted)?;
        blocks += whole.count();
        let both = found.chunks_exact(BLOCK_BYTES).zip(wanted.chunks_exact(BLOCK_BYTES));
        for (no, (found, imported)) in whole.iter().zip(both) {
            let origin = origin(&judge, expected.seed, no, found, imported);
            wrong_contents += u64::from(!judge.allows(no.0, origin));
        }
        let of_image = image_blocks.saturating_sub(first_block.0).min(whole.count());
        digest.update(&found[..of_image as usize * BLOCK_BYTES]);
    }
    let InFlight { writes, writes_in, torn } = judge.in_flight();
    Ok(CheckReport {
        tracks: geometry.track_count(),
        allocated_tracks: volume.allocated.count(),
        blocks,
        wrong_codes,
        wrong_contents,
        writes_in_flight: writes,
        writes_in_flight_in: writes_in,
        writes_torn: torn,
        sha256: hex(&digest.finalize()),
    })
}

fn read_track(
    rig: &Rig,
    side: Side,
    sector: u64,
    data: &mut [u8],
    checks: &mut CheckArea,
) -> Result<(), DemoError> {
    let (file, at_byte) = (rig.raw(side), sector * BLOCK_BYTES as u64);
    let read: io::Result<()> = file
        .read_exact_at(data, at_byte)
        .and_then(|()| file.read_exact_at(checks.as_bytes_mut(), at_byte + data.len() as u64));
    read.map_err(DemoError::ReadDrive)
}

fn count_wrong(data: &[u8], checks: &CheckArea, place: TrackPlace) -> u64 {
    match verify(data, checks, place, BlockMask::first(place.block_count)) {
        Ok(()) => 0,
        Err(TransferError::WrongBlocks { bad, .. }) => u64::from(bad.count()),
        Err(_) => place.block_count,
    }
}

fn origin(judge: &Judge<'_>, seed: u64, no: BlockNo, found: &[u8], imported: &[u8]) -> Origin {
    match marked::origin(found, seed, no).filter(|id| judge.covers(*id, no.0)) {
        Some(id) => Origin::Write(id),
        None if found == imported => Origin::Imported,
        None => Origin::Unknown,
    }
}

/// A digest in hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
