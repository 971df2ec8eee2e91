//! Incremental backup from the secondary: images read back by what changed between them.

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, ImageNo};
use diptych_shared::PairStatus;
use diptych_testkit::{ByHand, Choices, Setup, Tag, ldev};
use diptych_unit::{Changed, ChangedMap, ChangedQuery, UnitError};
use std::collections::BTreeSet;

const BLOCKS_PER_TRACK: u64 = 4;
const TRACKS: u64 = 12;
const BLOCKS: u64 = BLOCKS_PER_TRACK * TRACKS;

struct Bench {
    hand: ByHand,
    choices: Choices,
    last_tag: u64,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let hand = Setup::new(2, BLOCKS_PER_TRACK, TRACKS, BLOCKS_PER_TRACK).build();
        Self { hand, choices: Choices::from_seed(seed), last_tag: 0 }
    }

    fn run(&mut self, op: HostOp) -> HostReply {
        self.hand.run(op, &mut self.choices).expect("every request ends")
    }

    #[track_caller]
    fn accept(&mut self, code: CommandCode) {
        let command = Command::new(code, ldev(0), ldev(1));
        let reply = self.run(HostOp::Command(command));
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }

    fn settle(&mut self) {
        self.hand.settle(&mut self.choices).expect("every job ends");
    }

    /// Writes some blocks somewhere; the tracks they lie in.
    fn write(&mut self, volume: u8) -> impl Iterator<Item = u64> + use<> {
        let start = self.choices.one_of(BLOCKS as usize) as u64;
        let count = (self.choices.one_of(6) as u64 + 1).min(BLOCKS - start);
        let blocks = BlockRange::new(BlockNo(start), count);
        self.last_tag += 1;
        let (data, ldev) = (Tag(self.last_tag).data(blocks), ldev(volume));
        let reply = self.run(HostOp::Write { ldev, block: blocks.start, data });
        assert_eq!(reply, HostReply::Done);
        blocks.iter().map(|block| block.0 / BLOCKS_PER_TRACK)
    }

    fn read(&mut self, volume: u8) -> Vec<u8> {
        let blocks = BlockRange::new(BlockNo(0), BLOCKS);
        match self.run(HostOp::Read { ldev: ldev(volume), blocks }) {
            HostReply::Data(data) => data.to_vec(),
            other => panic!("a read was answered {other:?}"),
        }
    }

    fn changed(&self, map: ChangedMap, since: Option<ImageNo>) -> Result<Changed, UnitError> {
        let query = ChangedQuery::new(map, since);
        self.hand.unit().changed(ldev(0), ldev(1), &query)
    }

    /// The image there is.
    fn image(&self) -> ImageNo {
        self.hand.unit().pair(ldev(0), ldev(1)).expect("the pair").image
    }
}

/// The tracks of the answer.
fn tracks(changed: &Changed) -> BTreeSet<u64> {
    let blocks = changed.extents.iter().flat_map(|extent| extent.iter());
    blocks.map(|block| block.0 / BLOCKS_PER_TRACK).collect()
}

/// A backup that is kept by what changed is the image, for many images; and it reads no more than the
/// tracks that were written.
#[test]
fn a_backup_by_changes_is_the_image() {
    for seed in 0..12 {
        let mut bench = Bench::new(seed);
        bench.accept(CommandCode::Create);
        let mut backup = vec![0_u8; BLOCKS as usize * BLOCK_BYTES];
        let (mut have, mut written) = (None, BTreeSet::new());
        for round in 0..6 {
            for _ in 0..bench.choices.one_of(4) {
                written.extend(bench.write(0));
            }
            bench.accept(CommandCode::Copy);
            bench.settle();
            let changed = bench.changed(ChangedMap::A, have).expect("there is an image");
            assert_eq!((changed.everything, changed.from), (round == 0, have), "seed {seed}");
            if !changed.everything {
                assert_eq!(tracks(&changed), written, "seed {seed}, round {round}");
            }
            let image = bench.read(1);
            for extent in &changed.extents {
                let bytes =
                    extent.start.0 as usize * BLOCK_BYTES..extent.end.0 as usize * BLOCK_BYTES;
                backup[bytes.clone()].copy_from_slice(&image[bytes]);
            }
            assert!(backup == image, "seed {seed}: round {round} differs");
            have = Some(bench.image());
            // What happens to either side after the instant is for the next image.
            written.clear();
            let mut of_secondary = BTreeSet::new();
            for _ in 0..bench.choices.one_of(3) {
                written.extend(bench.write(0));
                of_secondary.extend(bench.write(1));
            }
            let since = |map| bench.changed(map, have).expect("there is an image");
            assert_eq!(tracks(&since(ChangedMap::Dp)), written, "seed {seed}");
            assert_eq!(tracks(&since(ChangedMap::Ds)), of_secondary, "seed {seed}");
            written.extend(of_secondary);
            bench.accept(CommandCode::Resync);
        }
    }
}

#[test]
fn without_an_image_there_is_nothing_to_say() {
    let mut bench = Bench::new(1);
    let (primary, secondary) = (ldev(0), ldev(1));
    let no_pair = Err(UnitError::NoPair { primary, secondary });
    assert_eq!(bench.changed(ChangedMap::A, None), no_pair);
    let check = |bench: &Bench, status| {
        for map in ChangedMap::ALL {
            let error = Err(UnitError::NoImage { primary, secondary, status });
            assert_eq!(bench.changed(map, None), error, "{map:?}");
        }
    };
    bench.accept(CommandCode::Create);
    check(&bench, PairStatus::PairedNotCopied);
    bench.accept(CommandCode::Copy);
    let under_way = bench.changed(ChangedMap::A, None).expect("there will be an image");
    assert_eq!(under_way.image, bench.image());
    bench.settle();
    bench.accept(CommandCode::Suspend);
    check(&bench, PairStatus::Suspended);
    let nothing = ChangedQuery { extents_max: 0, ..ChangedQuery::new(ChangedMap::A, None) };
    let error = bench.hand.unit().changed(primary, secondary, &nothing);
    assert_eq!(error, Err(UnitError::Zero { setting: "extents_max" }));
}

/// An image that was given up leads nowhere: the next one leads from the one before it.
#[test]
fn an_image_given_up_is_led_over() {
    let mut bench = Bench::new(3);
    bench.accept(CommandCode::Create);
    bench.accept(CommandCode::Copy);
    bench.settle();
    let first = bench.image();
    let mut written: BTreeSet<u64> = bench.write(0).collect();
    bench.accept(CommandCode::Resync);
    bench.accept(CommandCode::Copy);
    bench.settle();
    let given_up = bench.image();
    written.extend(bench.write(0));
    bench.accept(CommandCode::Suspend);
    written.extend(bench.write(0));
    bench.accept(CommandCode::Resync);
    bench.accept(CommandCode::Copy);
    bench.settle();
    let of_first = bench.changed(ChangedMap::A, Some(first)).expect("there is an image");
    assert_eq!((of_first.from, of_first.everything), (Some(first), false));
    assert_eq!(tracks(&of_first), written);
    let of_other = bench.changed(ChangedMap::A, Some(given_up)).expect("there is an image");
    assert!(of_other.everything && tracks(&of_other).len() as u64 == TRACKS);
}
