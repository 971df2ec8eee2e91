//! Importing the image: host writes of whole tracks. Tracks of zeros are left out, the volume is
//! thin.

use super::progress::Progress;
use super::report::Throughput;
use super::rig::Side;
use super::{DemoError, Image, Rig};
use diptych::format::{BLOCK_BYTES, BlockNo, BlockRange};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// What was imported.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ImportReport {
    /// Tracks of zeros, which were not written.
    pub(crate) zero_tracks: u64,
    /// SHA-256 of the image, its last block filled up with zeros.
    pub(crate) sha256: String,
    /// Tracks written and flushed.
    #[serde(flatten)]
    pub(crate) written: Throughput,
}

/// Writes the image to the primary and flushes it.
pub(crate) fn import(
    rig: &Rig,
    image: &Image,
    progress: &Progress,
) -> Result<ImportReport, DemoError> {
    let geometry = rig.geometry();
    let bar = progress.step("import", image.track_count(geometry));
    let start = rig.now();
    let mut digest = Sha256::new();
    let (mut zero_tracks, mut tracks, mut bytes) = (0, 0, 0);
    let mut data = vec![0; geometry.track_bytes()];
    let mut at = 0;
    while at < image.block_count() {
        let count = geometry.blocks_per_track().min(image.block_count() - at);
        let data = &mut data[..count as usize * BLOCK_BYTES];
        image.read(BlockRange::new(BlockNo(at), count), data)?;
        digest.update(&*data);
        if data.iter().all(|byte| *byte == 0) {
            zero_tracks += 1;
        } else {
            rig.write(BlockNo(at), data.to_vec().into())?;
            tracks += 1;
            bytes += data.len() as u64;
        }
        at += count;
        bar.at(tracks + zero_tracks);
    }
    rig.flush(Side::Primary)?;
    let written = Throughput::new(tracks, bytes, start, rig.now());
    bar.done(&format!("{written}, {zero_tracks} tracks of zeros"));
    let sha256 = super::check::hex(&digest.finalize());
    Ok(ImportReport { zero_tracks, sha256, written })
}
