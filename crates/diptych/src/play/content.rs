//! What volumes hold: what hosts write in a scenario, and what is remembered of a volume.

use bytes::{Bytes, BytesMut};
use diptych::format::{BLOCK_BYTES, BlockRange, Geometry, TrackNo};
use diptych::shared::TrackMap;
use diptych::sim::SplitMix64;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What a host writes: each block is made from `fill` and its own number, so that every part of a
/// volume that was written with one fill can be told from every other. Fill 0 is zeros.
pub(crate) fn blocks_of(fill: u64, blocks: BlockRange) -> Bytes {
    let mut data = BytesMut::zeroed(blocks.count() as usize * BLOCK_BYTES);
    if fill != 0 {
        for (no, block) in (blocks.start.0..).zip(data.chunks_exact_mut(BLOCK_BYTES)) {
            let mut random = SplitMix64::new(fill.rotate_left(32) ^ no);
            for word in block.chunks_exact_mut(8) {
                word.copy_from_slice(&random.next_u64().to_le_bytes());
            }
        }
    }
    data.freeze()
}

/// The first block of `data`, read from `blocks`, that is not what this fill makes it.
pub(crate) fn first_difference(fill: u64, blocks: BlockRange, data: &[u8]) -> Option<u64> {
    let wanted = blocks_of(fill, blocks);
    let pairs = wanted.chunks(BLOCK_BYTES).zip(data.chunks(BLOCK_BYTES));
    let same = pairs.take_while(|(wanted, found)| wanted == found).count() as u64;
    (same < blocks.count()).then(|| blocks.start.0 + same)
}

/// What a volume held once: the digest of every track that was not all zeros.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    geometry: Geometry,
    tracks: BTreeMap<TrackNo, [u8; 32]>,
}

impl Content {
    /// A volume of zeros.
    pub(crate) fn empty(geometry: Geometry) -> Self {
        Self { geometry, tracks: BTreeMap::new() }
    }

    /// Notes what a track holds; of the last track what hosts can address.
    pub(crate) fn note(&mut self, track: TrackNo, data: &[u8]) {
        let first = self.geometry.first_block(track).0;
        let blocks = (self.geometry.block_count() - first).min(self.geometry.blocks_per_track());
        let data = &data[..data.len().min(blocks as usize * BLOCK_BYTES)];
        if data.iter().any(|byte| *byte != 0) {
            self.tracks.insert(track, Sha256::digest(data).into());
        }
    }

    /// How many tracks are not all zeros.
    pub(crate) fn written(&self) -> usize {
        self.tracks.len()
    }

    /// The tracks in which they differ; `None` if the volumes are not of one shape.
    pub(crate) fn unlike(&self, other: &Self) -> Option<TrackMap> {
        if self.geometry != other.geometry {
            return None;
        }
        let mut unlike = TrackMap::new(self.geometry.track_count());
        for track in self.tracks.keys().chain(other.tracks.keys()) {
            if self.tracks.get(track) != other.tracks.get(track) {
                unlike.set(*track);
            }
        }
        Some(unlike)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych::format::{BlockNo, Emulation};

    #[test]
    fn a_part_is_what_the_whole_has_there() {
        let range = |start, count| BlockRange::new(BlockNo(start), count);
        let whole = blocks_of(7, range(0, 100));
        let part = blocks_of(7, range(40, 3));
        assert_eq!(part, whole.slice(40 * BLOCK_BYTES..43 * BLOCK_BYTES));
        assert_eq!(first_difference(7, range(40, 3), &part), None);
        assert_eq!(first_difference(8, range(40, 3), &part), Some(40));
        assert!(blocks_of(0, range(3, 2)).iter().all(|byte| *byte == 0));
        let mut torn = part.to_vec();
        torn[2 * BLOCK_BYTES] ^= 1;
        assert_eq!(first_difference(7, range(40, 3), &torn), Some(42));
    }

    #[test]
    fn contents_differ_by_tracks() {
        let geometry = Geometry::new(Emulation::OpenV, 128 * 2 + 1).expect("a size");
        let track = vec![1; geometry.track_bytes()];
        let (mut a, mut b) = (Content::empty(geometry), Content::empty(geometry));
        a.note(TrackNo(0), &track);
        a.note(TrackNo(1), &vec![0; geometry.track_bytes()]);
        // Past its first block the last track is nobody's.
        a.note(TrackNo(2), &track);
        b.note(TrackNo(2), &track[..BLOCK_BYTES]);
        let unlike = a.unlike(&b).expect("one shape");
        assert_eq!((unlike.count(), unlike.get(TrackNo(0)), a.written()), (1, true, 2));
        assert_eq!(a.unlike(&Content::empty(Geometry::with_tracks(128, 3))), None);
    }
}
