//! What a control unit says in its log: the kinds of records, and their bytes (`docs/format.md`).
//!
//! Records of data name a backing, so that they mean the same whatever the volumes have become since.
//! Records of control carry changes as shared memory made them.

use bytes::Bytes;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, BlockRange, CheckArea, Generation, LdevId,
    MAX_BLOCKS_PER_TRACK, TrackBuf,
};
use diptych_log::{Entry, payload_code};
use diptych_shared::Change;
use diptych_sync::Arc;
use std::collections::BTreeSet;

/// The number of a kind of record, as it stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    /// A host's data.
    Write = 1,
    /// Blocks become zero.
    Zeros = 2,
    /// Tracks lose what earlier records say of them.
    Discard = 3,
    /// A track copied before a write, for all secondaries that get it.
    Copy = 4,
    /// Changes of one family.
    Changes = 16,
    /// A volume is there.
    VolumeAdded = 17,
    /// A volume is gone.
    VolumeRemoved = 18,
    /// All consistency groups.
    Groups = 19,
    /// All schedules.
    Schedules = 20,
    /// A small value that is kept for others, or forgotten.
    Kept = 21,
    /// A checkpoint begins: it stands at this record.
    CheckpointBegin = 32,
    /// A part of it.
    CheckpointPart = 33,
    /// Its end.
    CheckpointEnd = 34,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 13] = [
        Self::Write,
        Self::Zeros,
        Self::Discard,
        Self::Copy,
        Self::Changes,
        Self::VolumeAdded,
        Self::VolumeRemoved,
        Self::Groups,
        Self::Schedules,
        Self::Kept,
        Self::CheckpointBegin,
        Self::CheckpointPart,
        Self::CheckpointEnd,
    ];

    pub(crate) fn of(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u16 == number)
    }
}

/// A record of data, as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataRecord {
    /// These blocks of a backing hold this, or zeros.
    Blocks { backing: BackingId, blocks: BlockRange, generation: Generation, data: Option<Bytes> },
    /// Nothing said of these blocks before counts any more.
    Discard { backing: BackingId, blocks: BlockRange },
    /// A track, from this block of each backing on; `generations` are runs: so many blocks, and theirs.
    Copy {
        backings: Vec<BackingId>,
        first: BlockNo,
        generations: Vec<(u16, Generation)>,
        data: Bytes,
    },
}

/// No sequence of a unit comes so far: what has such a generation or image makes no sense.
pub(crate) const SEQUENCE_MAX: u64 = 1 << 60;

/// Bytes that a record head of data takes at most, but for a copy's.
pub(crate) const DATA_HEAD_BYTES: usize = 28;

/// Bytes that the head of a copy takes at most.
pub(crate) fn copy_head_bytes(targets: usize, blocks: u64) -> usize {
    12 + 4 * targets + 10 * blocks as usize
}

/// The track buffer of a slot as payload.
struct Payload {
    buf: Arc<TrackBuf>,
    bytes: usize,
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        &self.buf.bytes()[..self.bytes]
    }
}

fn blocks_head(backing: BackingId, blocks: BlockRange, generation: Generation) -> Vec<u8> {
    let mut head = Vec::with_capacity(DATA_HEAD_BYTES);
    head.extend_from_slice(&backing.0.to_le_bytes());
    for number in [blocks.start.0, blocks.count(), generation.0] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head
}

/// A host's data, whose blocks have these codes.
pub(crate) fn write(
    backing: BackingId,
    first: BlockNo,
    generation: Generation,
    payload: Bytes,
    codes: &[u32],
) -> Entry {
    let blocks = BlockRange::new(first, (payload.len() / BLOCK_BYTES) as u64);
    let head = blocks_head(backing, blocks, generation);
    Entry {
        payload_code: Some(payload_code(codes)),
        ..Entry::new(Kind::Write as u16, head, payload)
    }
}

/// Zeros.
pub(crate) fn zeros(backing: BackingId, blocks: BlockRange, generation: Generation) -> Entry {
    let head = blocks_head(backing, blocks, generation);
    Entry::new(Kind::Zeros as u16, head, Bytes::new())
}

/// What was said of these blocks before does not count any more.
pub(crate) fn discard(backing: BackingId, blocks: BlockRange) -> Entry {
    let head = blocks_head(backing, blocks, Generation(0));
    Entry::new(Kind::Discard as u16, head, Bytes::new())
}

/// A track for several backings.
pub(crate) fn copy(
    backings: &[BackingId],
    first: BlockNo,
    data: &Arc<TrackBuf>,
    checks: &CheckArea,
) -> Entry {
    let blocks = checks.block_count();
    let mut head = Vec::with_capacity(copy_head_bytes(backings.len(), 4));
    head.extend_from_slice(&first.0.to_le_bytes());
    head.extend_from_slice(&(backings.len() as u32).to_le_bytes());
    for backing in backings {
        head.extend_from_slice(&backing.0.to_le_bytes());
    }
    let mut index = 0;
    while index < blocks {
        let generation = checks.get(index).generation;
        let same = |i: &u64| checks.get(*i).generation == generation;
        let count = (index..blocks).take_while(same).count() as u64;
        head.extend_from_slice(&(count as u16).to_le_bytes());
        head.extend_from_slice(&generation.0.to_le_bytes());
        index += count;
    }
    let payload = Payload { buf: data.clone(), bytes: blocks as usize * BLOCK_BYTES };
    Entry::new(Kind::Copy as u16, head, Bytes::from_owner(payload))
}

/// Changes of the family that `of` is in.
pub(crate) fn changes(of: LdevId, changes: &[Change]) -> Entry {
    control(Kind::Changes, &(of, changes))
}

/// A record of control: its head is the value's encoding.
pub(crate) fn control(kind: Kind, value: &impl serde::Serialize) -> Entry {
    let head = postcard::to_allocvec(value).expect("memory takes any encoding");
    Entry::new(kind as u16, head, Bytes::new())
}

/// A little-endian reader of a head.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Reads a record of data back; `None` if it makes no sense.
pub(crate) fn read_data(kind: Kind, head: &[u8], payload: &[u8]) -> Option<DataRecord> {
    let mut fields = Fields(head);
    let payload_blocks = (payload.len() / BLOCK_BYTES) as u64;
    if kind == Kind::Copy {
        let first = BlockNo(fields.u64()?);
        let count = fields.u32()? as usize;
        let mut backings = Vec::new();
        for _ in 0..count {
            backings.push(BackingId(fields.u32()?));
        }
        let (mut generations, mut covered, mut sound) = (Vec::new(), 0_u64, true);
        while !fields.0.is_empty() {
            let (count, generation) = (fields.u16()?, Generation(fields.u64()?));
            covered += u64::from(count);
            sound &= count > 0 && generation.0 <= SEQUENCE_MAX;
            generations.push((count, generation));
        }
        // Said once of each, so that what is made of it is no more than volumes hold.
        let once: BTreeSet<BackingId> = backings.iter().copied().collect();
        sound &= once.len() == backings.len() && covered <= MAX_BLOCKS_PER_TRACK;
        let fits = sound && covered == payload_blocks && first.0.checked_add(covered).is_some();
        let data = Bytes::copy_from_slice(payload);
        return fits.then_some(DataRecord::Copy { backings, first, generations, data });
    }
    let backing = BackingId(fields.u32()?);
    let (start, count) = (fields.u64()?, fields.u64()?);
    let generation = Generation(fields.u64()?);
    let blocks = BlockRange { start: BlockNo(start), end: BlockNo(start.checked_add(count)?) };
    let fits = match kind {
        Kind::Write => payload_blocks == count,
        // Of one track each: a few bytes do not make a whole volume dirty.
        Kind::Zeros => count <= MAX_BLOCKS_PER_TRACK,
        _ => true,
    };
    if !fields.0.is_empty() || !fits || generation.0 > SEQUENCE_MAX {
        return None;
    }
    Some(match kind {
        Kind::Write => {
            let data = Some(Bytes::copy_from_slice(payload));
            DataRecord::Blocks { backing, blocks, generation, data }
        }
        Kind::Zeros => DataRecord::Blocks { backing, blocks, generation, data: None },
        Kind::Discard => DataRecord::Discard { backing, blocks },
        _ => return None,
    })
}

impl DataRecord {
    /// The highest generation of its blocks.
    pub(crate) fn last_generation(&self) -> u64 {
        match self {
            Self::Blocks { generation, .. } => generation.0,
            Self::Discard { .. } => 0,
            Self::Copy { generations, .. } => {
                generations.iter().map(|(_, generation)| generation.0).max().unwrap_or(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::{CheckField, TrackPool};

    const BACKING: BackingId = BackingId(7);

    fn code_of(block: &[u8]) -> u32 {
        let mut codes = Vec::new();
        diptych_drr::data_codes(block, &mut codes);
        codes[0]
    }

    fn read(entry: &Entry) -> Option<DataRecord> {
        read_data(Kind::of(entry.kind)?, &entry.head, &entry.payload)
    }

    #[test]
    fn what_is_written_is_read() {
        let blocks = BlockRange::new(BlockNo(300), 2);
        let generation = Generation(SEQUENCE_MAX);
        let data = Bytes::from(vec![9; 2 * BLOCK_BYTES]);
        let codes = [code_of(&data[..BLOCK_BYTES]); 2];
        let written = write(BACKING, blocks.start, generation, data.clone(), &codes);
        let expected = |data| DataRecord::Blocks { backing: BACKING, blocks, generation, data };
        assert_eq!(read(&written), Some(expected(Some(data))));
        assert_eq!(read(&zeros(BACKING, blocks, generation)), Some(expected(None)));
        let expected = DataRecord::Discard { backing: BACKING, blocks };
        assert_eq!(read(&discard(BACKING, blocks)), Some(expected));
        assert!(written.head.len() <= DATA_HEAD_BYTES);
    }

    #[test]
    fn a_copy_keeps_the_generation_of_each_block() {
        let pool = TrackPool::new(1, 4 * BLOCK_BYTES);
        assert!(pool.reserve(1));
        let mut buf = pool.take_reserved();
        buf.bytes_mut().fill(3);
        let mut checks = CheckArea::zeroed(3);
        for (index, generation) in [(0, 5), (1, 5), (2, 6)] {
            let field = CheckField { generation: Generation(generation), ..checks.get(index) };
            checks.set(index, field);
        }
        let backings = vec![BackingId(1), BackingId(2)];
        let entry = copy(&backings, BlockNo(12), &Arc::new(buf), &checks);
        assert!(entry.head.len() <= copy_head_bytes(2, 3));
        let record = read(&entry).expect("a record");
        assert_eq!(record.last_generation(), 6);
        let generations = vec![(2, Generation(5)), (1, Generation(6))];
        let data = Bytes::from(vec![3; 3 * BLOCK_BYTES]);
        let first = BlockNo(12);
        assert_eq!(record, DataRecord::Copy { backings, first, generations, data });
    }

    #[test]
    fn what_makes_no_sense_is_not_read() {
        let data = Bytes::from(vec![0; BLOCK_BYTES]);
        let sound = write(BACKING, BlockNo(1), Generation(2), data.clone(), &[code_of(&data)]);
        #[track_caller]
        fn check(sound: &Entry, change: impl FnOnce(&mut Entry)) {
            let mut entry = sound.clone();
            change(&mut entry);
            assert_eq!(read(&entry), None);
        }
        check(&sound, |entry| entry.head.truncate(27));
        check(&sound, |entry| entry.head.push(0));
        check(&sound, |entry| entry.payload = Bytes::new());
        check(&sound, |entry| entry.kind = Kind::Changes as u16);
        check(&sound, |entry| entry.kind = 999);
        check(&sound, |entry| entry.head[4..12].fill(0xFF)); // past the last block there can be
        check(&sound, |entry| entry.kind = Kind::Copy as u16);
        check(&sound, |entry| entry.head[20..28].fill(0xFF)); // a generation that nothing comes to
        let track = BlockRange::new(BlockNo(0), MAX_BLOCKS_PER_TRACK);
        check(&zeros(BACKING, track, Generation(1)), |entry| entry.head[12] += 1);
    }

    #[test]
    fn a_copy_that_makes_no_sense_is_not_read() {
        #[track_caller]
        fn check(backings: &[u32], runs: &[(u16, u64)], blocks: usize, expected: bool) {
            let mut head = 0_u64.to_le_bytes().to_vec();
            head.extend((backings.len() as u32).to_le_bytes());
            backings.iter().for_each(|backing| head.extend(backing.to_le_bytes()));
            for (count, generation) in runs {
                head.extend(count.to_le_bytes());
                head.extend(generation.to_le_bytes());
            }
            let payload = vec![0; blocks * BLOCK_BYTES];
            assert_eq!(read_data(Kind::Copy, &head, &payload).is_some(), expected);
        }
        check(&[1, 2], &[(1, 5), (2, 6)], 3, true);
        check(&[1, 2], &[(1, 5), (2, 6)], 2, false);
        check(&[1, 1], &[(1, 5), (2, 6)], 3, false); // twice
        check(&[1, 2], &[(3, 5), (0, 6)], 3, false); // of no block
        check(&[1, 2], &[(3, u64::MAX)], 3, false);
        check(&[1, 2], &[(129, 1)], 129, false); // more than a track
    }

    /// The table of `docs/format.md`.
    #[test]
    fn the_document_has_the_kinds() {
        const DOC: &str = include_str!("../../../docs/format.md");
        let section = DOC.split("\n## ").find(|s| s.starts_with("Records of the unit\n"));
        let rows = section.expect("a section").lines().filter(|line| line.starts_with('|')).skip(2);
        let documented: Vec<(String, u16)> = rows
            .map(|row| {
                let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
                (cells[0].replace(' ', ""), cells[1].parse().expect("a number"))
            })
            .collect();
        let kinds = Kind::ALL.map(|kind| (format!("{kind:?}").to_lowercase(), kind as u16));
        assert_eq!(documented, kinds);
    }
}
