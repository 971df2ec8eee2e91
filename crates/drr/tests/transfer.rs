//! The transfer against its oracle: check fields made anew from the data.

use diptych_drr::{
    Op, Source, TrackPlace, TransferError, data_codes, seal_blocks, transfer,
    transfer_by_reference, verify,
};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockError, BlockMask, BlockNo, BlockRange, CheckArea, CheckField,
    Generation, TrackBuf, TrackPool,
};
use diptych_sync::Arc;
use proptest::prelude::*;

/// A track with everything that belongs to it.
#[derive(Debug, Clone)]
struct Track {
    data: Vec<u8>,
    checks: CheckArea,
    place: TrackPlace,
}

impl Track {
    fn random(seed: u64, place: TrackPlace, one_generation: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut data = vec![0; place.data_bytes()];
        random.fill(&mut data);
        let mut checks = CheckArea::zeroed(place.block_count);
        let mut generation = Generation(random.u64(..));
        for (index, block) in (0..).zip(data.chunks(BLOCK_BYTES)) {
            if !one_generation {
                generation = Generation(random.u64(..) >> random.u32(..64));
            }
            checks.set(index, CheckField::of(block, place.la(index), generation));
        }
        Self { data, checks, place }
    }

    fn source(&self) -> Source<'_> {
        Source { data: &self.data, checks: &self.checks, place: self.place }
    }

    /// What a transfer to `target` must make, made from the data.
    fn recompute(&self, target: BackingId) -> CheckArea {
        let place = TrackPlace { backing: target, ..self.place };
        let mut area = CheckArea::zeroed(place.block_count);
        for (index, block) in (0..).zip(self.data.chunks(BLOCK_BYTES)) {
            let generation = self.checks.get(index).generation;
            area.set(index, CheckField::of(block, place.la(index), generation));
        }
        area
    }

    /// Which blocks are wrong, and how the first is, by the format's own check of a block.
    fn wrong(&self) -> Option<(BlockMask, BlockError)> {
        let blocks = (0..).zip(self.data.chunks(BLOCK_BYTES));
        let mut wrong: Option<(BlockMask, BlockError)> = None;
        for (index, block) in blocks {
            if let Err(error) = self.checks.get(index).verify(block, self.place.la(index)) {
                let (mask, first) = wrong.unwrap_or((BlockMask::NONE, error));
                wrong = Some((mask.or(one(index)), first));
            }
        }
        wrong
    }
}

fn one(index: u64) -> BlockMask {
    BlockMask::of(BlockRange::one(BlockNo(index)))
}

fn place() -> impl Strategy<Value = TrackPlace> {
    let count = prop_oneof![Just(1), Just(2), Just(96), Just(128), 1_u64..=128];
    (1..=u32::MAX, 0..=u64::MAX - 128, 0_u32..64, count).prop_map(
        |(backing, block, shift, block_count)| TrackPlace {
            backing: BackingId(backing),
            first_block: BlockNo(block >> shift),
            block_count,
        },
    )
}

fn track() -> impl Strategy<Value = Track> {
    (any::<u64>(), place(), any::<bool>())
        .prop_map(|(seed, place, one_generation)| Track::random(seed, place, one_generation))
}

/// A way for a block to become wrong.
#[derive(Debug, Clone)]
enum Damage {
    Data {
        at: usize,
        with: u8,
    },
    Field {
        at: usize,
        with: u8,
    },
    /// Block and field both come from another place: misdirected, but whole.
    Misdirected {
        backing: u32,
        block: u64,
    },
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (0..BLOCK_BYTES, 1..=u8::MAX).prop_map(|(at, with)| Damage::Data { at, with }),
        (0..24_usize, 1..=u8::MAX).prop_map(|(at, with)| Damage::Field { at, with }),
        (any::<u32>(), any::<u64>())
            .prop_map(|(backing, block)| Damage::Misdirected { backing, block }),
    ]
}

impl Damage {
    fn strike(&self, track: &mut Track, index: u64) {
        let data_at = index as usize * BLOCK_BYTES;
        match *self {
            Self::Data { at, with } => track.data[data_at + at] ^= with,
            Self::Field { at, with } => {
                track.checks.as_bytes_mut()[index as usize * 24 + at] ^= with;
            }
            Self::Misdirected { backing, block } => {
                let mut field = track.checks.get(index);
                field.la.backing = BackingId(backing);
                field.la.block = BlockNo(block);
                let data = &track.data[data_at..data_at + BLOCK_BYTES];
                track.checks.set(index, CheckField::of(data, field.la, field.generation));
            }
        }
    }
}

proptest! {
    #[test]
    fn delta_is_recompute(track in track(), targets in prop::collection::vec(1..=u32::MAX, 0..4)) {
        let targets: Vec<BackingId> = targets.into_iter().map(BackingId).collect();
        let expected: Vec<CheckArea> = targets.iter().map(|t| track.recompute(*t)).collect();
        let mut areas = vec![CheckArea::zeroed(track.place.block_count); targets.len()];
        let mut copy = vec![0xEE; track.data.len()];

        transfer(track.source(), &mut copy, &targets, &mut areas).unwrap();
        prop_assert_eq!(&areas, &expected);
        prop_assert_eq!(&copy, &track.data);

        areas.iter_mut().for_each(|area| area.as_bytes_mut().fill(0));
        transfer_by_reference(track.source(), &targets, &mut areas).unwrap();
        prop_assert_eq!(&areas, &expected);
    }

    #[test]
    fn there_and_back_is_where_it_was(track in track(), target in 1..=u32::MAX) {
        let mut there = [CheckArea::zeroed(track.place.block_count)];
        transfer_by_reference(track.source(), &[BackingId(target)], &mut there).unwrap();
        let place = TrackPlace { backing: BackingId(target), ..track.place };
        let source = Source { data: &track.data, checks: &there[0], place };
        let mut back = [CheckArea::zeroed(track.place.block_count)];
        transfer_by_reference(source, &[track.place.backing], &mut back).unwrap();
        prop_assert_eq!(&back[0], &track.checks);
    }

    #[test]
    fn wrong_blocks_are_named_and_go_nowhere(
        track in track(),
        strikes in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..5),
    ) {
        let mut track = track;
        let count = track.place.block_count;
        for (index, damage) in &strikes {
            damage.strike(&mut track, index.index(count as usize) as u64);
        }
        let expected = track.wrong().map(|(bad, first)| TransferError::WrongBlocks { bad, first });
        let expected = expected.map_or(Ok(()), Err);
        let verified = verify(&track.data, &track.checks, track.place, BlockMask::first(count));
        prop_assert_eq!(verified, expected);

        let targets = [track.place.backing, BackingId(7)];
        let mut areas = [track.checks.clone(), track.checks.clone()];
        let mut copy = vec![0xEE; track.data.len()];
        prop_assert_eq!(transfer(track.source(), &mut copy, &targets, &mut areas), expected);
        prop_assert_eq!(transfer_by_reference(track.source(), &targets, &mut areas), expected);
        if expected.is_err() {
            for area in &areas {
                prop_assert!(area.as_bytes().iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn only_the_blocks_asked_for_are_verified(
        track in track(),
        struck in any::<prop::sample::Index>(),
        damage in damage(),
        start in any::<prop::sample::Index>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut track = track;
        let count = track.place.block_count as usize;
        let struck = struck.index(count) as u64;
        damage.strike(&mut track, struck);
        let start = start.index(count);
        let blocks = BlockRange::new(BlockNo(start as u64), length.index(count - start + 1) as u64);
        let blocks = BlockMask::of(blocks);
        let bad = track.wrong().map_or(BlockMask::NONE, |(bad, _)| bad);
        let found = verify(&track.data, &track.checks, track.place, blocks);
        prop_assert_eq!(found.is_err(), !bad.and(blocks).is_empty());
    }

    #[test]
    fn a_payload_sealed_in_parts_is_a_sealed_track(track in track(), generation in any::<u64>()) {
        let mut codes = Vec::new();
        data_codes(&track.data, &mut codes);
        let mut area = CheckArea::zeroed(track.place.block_count);
        let (head, tail) = codes.split_at(codes.len() / 2);
        seal_blocks(head, track.place, 0, Generation(generation), &mut area);
        seal_blocks(tail, track.place, head.len() as u64, Generation(generation), &mut area);
        for (index, block) in (0..).zip(track.data.chunks(BLOCK_BYTES)) {
            let expected = CheckField::of(block, track.place.la(index), Generation(generation));
            prop_assert_eq!(area.get(index), expected);
        }
    }
}

const PLACE: TrackPlace =
    TrackPlace { backing: BackingId(1), first_block: BlockNo(96), block_count: 96 };

/// Every single flipped bit of a field stops a transfer, and so does one in each byte of data.
#[test]
fn no_single_flip_passes() {
    let good = Track::random(1, PLACE, true);
    let mut areas = [CheckArea::zeroed(96)];
    let mut check = |track: &Track, index: u64| {
        let result = transfer_by_reference(track.source(), &[BackingId(2)], &mut areas);
        let Err(TransferError::WrongBlocks { bad, .. }) = result else {
            panic!("a flip in block {index} passes");
        };
        assert_eq!(bad, one(index));
    };
    for index in [0, 1, 2, 50, 95] {
        for bit in 0..24 * 8 {
            let mut track = good.clone();
            track.checks.as_bytes_mut()[index as usize * 24 + bit / 8] ^= 1 << (bit % 8);
            check(&track, index);
        }
        for byte in 0..BLOCK_BYTES {
            let mut track = good.clone();
            track.data[index as usize * BLOCK_BYTES + byte] ^= 1 << (byte % 8);
            check(&track, index);
        }
    }
}

/// Two flips that cancel pass a transfer, but gain no valid code by it.
#[test]
fn what_two_flips_hide_stays_wrong() {
    let mut track = Track::random(5, PLACE, true);
    // The lowest bit of block 0's generation, and the bit of block 1 that lies as far from the end.
    track.checks.as_bytes_mut()[16] ^= 1;
    track.data[BLOCK_BYTES + 12] ^= 1;
    let both = one(0).or(one(1));
    assert_eq!(track.wrong().map(|(bad, _)| bad), Some(both));
    let mut areas = [CheckArea::zeroed(96)];
    let mut copy = vec![0; track.data.len()];
    transfer(track.source(), &mut copy, &[BackingId(2)], &mut areas).unwrap();
    let place = TrackPlace { backing: BackingId(2), ..PLACE };
    let Err(TransferError::WrongBlocks { bad, .. }) =
        verify(&copy, &areas[0], place, BlockMask::first(96))
    else {
        panic!("wrong blocks gained valid codes");
    };
    assert_eq!(bad, both);
}

/// Two blocks that changed places: right data, right codes, but not where they lie.
#[test]
fn blocks_that_changed_places_are_both_wrong() {
    for (a, b) in [(0_u64, 1_u64), (3, 5), (2, 3), (10, 90)] {
        let mut track = Track::random(2, PLACE, true);
        for byte in 0..BLOCK_BYTES {
            track.data.swap(a as usize * BLOCK_BYTES + byte, b as usize * BLOCK_BYTES + byte);
        }
        let result = transfer_by_reference(track.source(), &[], &mut []);
        let Err(TransferError::WrongBlocks { bad, first }) = result else {
            panic!("blocks {a} and {b} changed places unseen");
        };
        assert_eq!(bad, one(a).or(one(b)));
        assert!(matches!(first, BlockError::Code { la, .. } if la == PLACE.la(a)));
    }
}

#[test]
fn the_error_says_how_many_and_where() {
    let mut track = Track::random(3, PLACE, true);
    track.checks.set(4, CheckField::default());
    track.data[9 * BLOCK_BYTES] ^= 1;
    let error = transfer_by_reference(track.source(), &[], &mut []).unwrap_err();
    assert_eq!(
        error.to_string(),
        "2 of the track's blocks are wrong, the first: \
         block 1/100 carries the logical address 0/0"
    );
}

fn buffer(pool: &TrackPool, content: &[u8]) -> TrackBuf {
    assert!(pool.reserve(1));
    let mut buffer = pool.take_reserved();
    buffer.bytes_mut().copy_from_slice(content);
    buffer
}

#[test]
fn an_op_gives_its_buffers_back() {
    let pool = TrackPool::new(2, PLACE.data_bytes());
    for wrong in [false, true] {
        for by_reference in [false, true] {
            let mut track = Track::random(4, PLACE, false);
            if wrong {
                track.data[0] ^= 1;
            }
            let data = Arc::new(buffer(&pool, &track.data));
            let copy_into = (!by_reference).then(|| buffer(&pool, &vec![0; track.data.len()]));
            let targets = vec![BackingId(2), BackingId(3)];
            let checks = Arc::new(track.checks.clone());
            let op = Op { data, checks, place: PLACE, targets, copy_into };
            assert_eq!(op.work(5).bytes, 48 << 10);
            let done = op.perform();
            assert_eq!(done.result.is_err(), wrong);
            assert_eq!(done.copied.is_none(), by_reference);
            assert_eq!(done.data.bytes(), track.data);
            assert_eq!(*done.checks, track.checks);
            if let Ok(areas) = done.result {
                assert_eq!(areas, [2, 3].map(|n| track.recompute(BackingId(n))));
                assert!(done.copied.is_none_or(|copy| copy.bytes() == track.data));
            }
        }
    }
    assert_eq!(pool.used(), 0);
}

#[cfg(feature = "rayon")]
#[test]
fn a_batch_is_its_transfers() {
    use diptych_drr::{Transfer, transfer_batch, verify_batch};
    let tracks: Vec<Track> = (0..40)
        .map(|seed| {
            let mut track = Track::random(seed, PLACE, seed % 2 == 0);
            if seed % 7 == 3 {
                track.data[seed as usize * BLOCK_BYTES] ^= 1;
            }
            track
        })
        .collect();
    let all = BlockMask::first(96);
    let targets = [BackingId(2)];
    let mut outputs: Vec<_> =
        tracks.iter().map(|t| (vec![0; t.data.len()], [CheckArea::zeroed(96)])).collect();
    let mut batch: Vec<Transfer<'_>> = tracks
        .iter()
        .zip(&mut outputs)
        .enumerate()
        .map(|(no, (track, (copy, areas)))| Transfer {
            source: track.source(),
            copy: (no % 3 != 0).then_some(copy.as_mut_slice()),
            targets: &targets,
            areas,
        })
        .collect();
    let results = transfer_batch(&mut batch);
    let sources: Vec<_> = tracks.iter().map(|track| (track.source(), all)).collect();
    assert_eq!(verify_batch(&sources), results);
    for (no, ((track, (copy, areas)), result)) in
        tracks.iter().zip(&outputs).zip(&results).enumerate()
    {
        assert_eq!(result.is_err(), no % 7 == 3, "track {no}");
        if result.is_ok() {
            assert_eq!(areas[0], track.recompute(BackingId(2)));
            assert!(no % 3 == 0 || *copy == track.data);
        }
    }
}
