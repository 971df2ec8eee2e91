//! Control state as bytes: what comes back is what went, and nothing that is none gets in.

use crate::pair::{ID, P, S};
use crate::tracks;
use diptych_format::{BackingId, Emulation, Geometry, ImageNo, LdevId, PairId, Time, TrackNo};
use diptych_shared::{
    Change, MapName, Pace, PaceLimit, Pair, PairOptions, PairStatus, Phase, TrackMap, Volume,
    VolumeState,
};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Write as _};

fn bytes_of<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("everything has bytes")
}

/// Goes and comes back. Returns the bytes.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> Vec<u8> {
    let bytes = bytes_of(value);
    let (back, rest): (T, _) = postcard::take_from_bytes(&bytes).expect("what went comes back");
    assert_eq!((&back, rest), (value, [].as_slice()));
    bytes
}

/// Decodes what may be anything.
fn decode_all(bytes: &[u8]) {
    let _ = TrackMap::from_bytes(bytes);
    let _ = postcard::from_bytes::<TrackMap>(bytes);
    let _ = postcard::from_bytes::<Change>(bytes);
    let _ = postcard::from_bytes::<Pair>(bytes);
    let _ = postcard::from_bytes::<Volume>(bytes);
}

/// A map of some runs, of some single tracks, and of some pages without any order.
fn map_of(size: u64) -> impl Strategy<Value = TrackMap> {
    let run = (0..=size, 0..=size).prop_map(|(a, b)| tracks(a.min(b), a.max(b)));
    let runs = prop::collection::vec((run, any::<bool>()), 0..6);
    let singles = prop::collection::vec(0..size, 0..20);
    let mixed = prop::option::of((0..size, any::<u64>()));
    (runs, singles, mixed).prop_map(move |(runs, singles, mixed)| {
        let mut map = TrackMap::new(size);
        for (run, value) in runs {
            if value {
                map.set_range(run)
            } else {
                map.clear_range(run)
            };
        }
        for (nth, track) in singles.into_iter().map(TrackNo).enumerate() {
            if nth % 2 == 0 {
                map.set(track)
            } else {
                map.clear(track)
            };
        }
        let mut random = mixed.map_or(0, |(_, seed)| seed | 1);
        for track in mixed.map_or(0..0, |(start, _)| start..(start + 6_000).min(size)) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random >> 62 == 0 {
                map.set(TrackNo(track))
            } else {
                false
            };
        }
        map
    })
}

fn any_map() -> impl Strategy<Value = TrackMap> {
    let sizes = [1, 7, 8, 63, 64, 65, 4_095, 4_096, 4_097, 50_070, 262_144, 262_145, 300_000];
    prop::sample::select(sizes.to_vec()).prop_flat_map(map_of)
}

fn options() -> impl Strategy<Value = PairOptions> {
    let limit = prop_oneof![
        Just("200/s".parse::<PaceLimit>().unwrap()),
        Just("1ns".parse().unwrap()),
        Just("18446744073709551615ns".parse().unwrap()),
    ];
    let pace = (1..=15_u8).prop_map(|tracks| Pace::try_from(tracks).unwrap());
    (pace, any::<u8>(), any::<bool>(), prop::option::of(limit))
        .prop_map(|(pace, lanes, quick, limit)| PairOptions { pace, lanes, quick, limit })
}

fn ldev() -> impl Strategy<Value = LdevId> {
    (any::<u8>(), any::<u8>()).prop_map(|(cu, ldev)| LdevId::new(cu, ldev))
}

fn pair_id() -> impl Strategy<Value = PairId> {
    (any::<u16>(), any::<u32>()).prop_map(|(no, epoch)| PairId { no, epoch })
}

/// A pair, as it can be written down; whether it can be is not asked here.
fn any_pair() -> impl Strategy<Value = Pair> {
    let phases = vec![Phase::Idle, Phase::Pending, Phase::Resync, Phase::Duplex];
    let names = (pair_id(), ldev(), ldev(), options(), any::<bool>());
    let status = (prop::sample::select(&PairStatus::ALL[..]), prop::sample::select(phases));
    let numbers = prop::array::uniform7(any::<u64>());
    let maps = (1..9_000_u64).prop_flat_map(|size| prop::collection::vec(map_of(size), 5));
    (names, status, numbers, maps).prop_map(|(names, (status, phase), numbers, mut maps)| {
        let (id, primary, secondary, options, copier) = names;
        let mut pair = Pair::new(id, primary, secondary, maps[0].track_count(), options, copier);
        (pair.status, pair.phase) = (status, phase);
        (pair.copy_pointer, pair.begun_at) = (TrackNo(numbers[0]), Time::from_ns(numbers[1]));
        (pair.image, pair.a_from) = (ImageNo(numbers[2]), ImageNo(numbers[3]));
        (pair.copied_tracks, pair.protected_tracks) = (numbers[4], numbers[5]);
        pair.begun_tracks = numbers[6];
        let mut map = || maps.pop().unwrap();
        (pair.c, pair.dp, pair.ds, pair.a, pair.unreadable) = (map(), map(), map(), map(), map());
        pair
    })
}

fn any_volume() -> impl Strategy<Value = Volume> {
    let own = (1..=128_u64, 1..5_000_u64).prop_map(|(track, n)| Geometry::with_tracks(track, n));
    let fixed = prop::sample::select(&Emulation::ALL[..5]).prop_map(|e| Geometry::of(e).unwrap());
    let cut = (1..1_000_000_u64).prop_map(|n| Geometry::new(Emulation::OpenV, n).unwrap());
    let geometry = prop_oneof![own, fixed, cut];
    let with_map = geometry.prop_flat_map(|shape| (Just(shape), map_of(shape.track_count())));
    let flags = prop::array::uniform3(any::<bool>());
    let state = prop::sample::select(&VolumeState::ALL[..]);
    let volume = (ldev(), any::<(u32, u32)>(), with_map, flags, state);
    volume.prop_map(|(ldev, (first, backing), (geometry, allocated), flags, state)| {
        let mut volume = Volume::new(ldev, geometry, BackingId(first));
        volume.backing = BackingId(backing);
        [volume.reserved, volume.undefined, volume.metadata_only] = flags;
        (volume.allocated, volume.state) = (allocated, state);
        volume
    })
}

/// One of each, in the order of their numbers.
fn changes(pair: PairId, ldev: LdevId, options: PairOptions, n: u64, flag: bool) -> Vec<Change> {
    let (track, tracks, image) = (TrackNo(n), tracks(n, n.saturating_add(3)), ImageNo(n));
    let map = MapName::ALL[n as usize % 4];
    let state = VolumeState::ALL[n as usize % 6];
    let (at, freeze) = (Time::from_ns(n), flag.then_some(image));
    vec![
        Change::AddPair(Box::new(Pair::new(pair, ldev, S, 5, options, flag))),
        Change::RemovePair(pair),
        Change::Set { pair, map, tracks },
        Change::Clear { pair, map, tracks },
        Change::Copied { pair, track, protecting: flag },
        Change::Settling { pair, track },
        Change::Settled { pair, tracks: vec![tracks; n as usize % 3] },
        Change::HostChange { primary: ldev, tracks },
        Change::SecondaryChange { secondary: ldev, tracks },
        Change::Copy { pair, image, options },
        Change::Resync { pair, options },
        Change::CopyBegins { pair, at },
        Change::Restore { pair, options },
        Change::AbandonRestore { pair },
        Change::Exchange { pair, freeze, options },
        Change::Suspend { pair, all_different: flag },
        Change::Unreadable { pair, track },
        Change::Options { pair, options },
        Change::Allocate { ldev, tracks },
        Change::Deallocate { ldev, tracks },
        Change::Reserve { ldev, reserved: flag },
        Change::Undefined { ldev, undefined: flag },
        Change::HostWrote { ldev, at },
        Change::VolumeState { ldev, state },
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn maps_come_back(map in any_map()) {
        let bytes = map.to_bytes();
        prop_assert_eq!(TrackMap::from_bytes(&bytes), Ok(map.clone()));
        let size = map.track_count() as usize;
        prop_assert!(bytes.len() <= 10 + size.div_ceil(8) + size / 4_096, "{}", bytes.len());
        let run_count = map.runs().count();
        prop_assert!(bytes.len() <= 10 + 10 * run_count, "{} runs, {}", run_count, bytes.len());
        round_trip(&map);
    }

    #[test]
    fn pairs_and_volumes_come_back(pair in any_pair(), volume in any_volume()) {
        round_trip(&pair);
        round_trip(&volume);
        round_trip(&Change::AddPair(Box::new(pair)));
    }

    #[test]
    fn changes_come_back(
        pair in pair_id(),
        ldev in ldev(),
        options in options(),
        n in any::<u64>(),
        flag in any::<bool>(),
    ) {
        for (no, change) in changes(pair, ldev, options, n, flag).into_iter().enumerate() {
            prop_assert_eq!(usize::from(round_trip(&change)[0]), no);
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        decode_all(&bytes);
    }

    #[test]
    fn damaged_bytes_are_decoded_or_refused(
        pair in any_pair(),
        volume in any_volume(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for mut bytes in [pair.c.to_bytes(), bytes_of(&pair), bytes_of(&volume)] {
            decode_all(&bytes[..cut.index(bytes.len())]);
            for (at, value) in &damage {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            decode_all(&bytes);
        }
    }
}

#[test]
fn even_maps_take_few_bytes() {
    for size in [0, 1, 4_096, 50_070, 1 << 28, (1 << 30) - 1, 1 << 48] {
        for map in [TrackMap::new(size), TrackMap::full(size)] {
            let bytes = map.to_bytes();
            assert!(bytes.len() <= 15, "{map:?}: {} bytes", bytes.len());
            assert_eq!(TrackMap::from_bytes(&bytes), Ok(map));
        }
    }
}

#[test]
fn what_is_no_map_is_refused() {
    let check = |bytes: &[u8], expected: &str| {
        let error = TrackMap::from_bytes(bytes).expect_err("refused");
        assert_eq!(error.to_string(), expected, "{bytes:?}");
    };
    check(&[], "the bytes of a track map end at 0, within an item");
    check(&[0x80], "the bytes of a track map end at 1, within an item");
    check(&[0xff; 11], "at byte 0 of a track map is no number");
    check(
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10],
        "a map of 1152921504606846976 tracks, more than 281474976710656",
    );
    check(&[9, 1], "the item at byte 2 of a track map does not fit at track 0");
    check(&[9, 21], "the item at byte 2 of a track map does not fit at track 0");
    check(&[9, 18, 3], "the item at byte 3 of a track map does not fit at track 9");
    check(&[9, 2, 0, 1, 1], "the item at byte 3 of a track map does not fit at track 1");
    check(&[9, 0, 1], "the bytes of a track map end at 3, within an item");
    check(&[9, 0, 1, 2], "the item at byte 4 of a track map does not fit at track 0");
    assert_eq!(TrackMap::from_bytes(&[9, 0, 1, 1]).map(|map| map.count()), Ok(2));
}

#[test]
fn what_is_no_pair_is_refused() {
    let pair = Pair::new(ID, P, S, 5, PairOptions::default(), true);
    let mut other = pair.clone();
    other.ds = TrackMap::new(6);
    assert!(postcard::from_bytes::<Pair>(&bytes_of(&other)).is_err(), "maps of two sizes");
    assert!(postcard::from_bytes::<Pace>(&[16]).is_err());
    assert!(postcard::from_bytes::<Pace>(&[0]).is_err());
    assert!(postcard::from_bytes::<PaceLimit>(&[0, 0]).is_err(), "no tracks a second");
}

#[test]
fn what_ends_with_the_unit_has_no_bytes() {
    let mut volume = Volume::new(P, Geometry::with_tracks(1, 5), BackingId(1));
    let bytes = bytes_of(&volume);
    volume.host_wrote_at = Some(Time::from_ns(1));
    assert_eq!(bytes_of(&volume), bytes);

    let pair = Pair::new(ID, P, S, 5, PairOptions::default(), true);
    let memory = crate::pair::memory_with(pair.clone(), 5);
    let settling = memory.with_family(P, |family| {
        family.change(Change::Settling { pair: ID, track: TrackNo(2) });
        family.pair(ID).unwrap().clone()
    });
    let back: Pair = postcard::from_bytes(&bytes_of(&settling.unwrap())).unwrap();
    assert_eq!(back.settling(), &TrackMap::new(5));
}

#[test]
fn the_document_has_every_change() {
    let doc = include_str!("../../../../docs/format.md");
    let rows = doc.lines().skip_while(|line| !line.starts_with("| change |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let changes = changes(ID, P, PairOptions::default(), 1, true);
    assert_eq!(rows.len(), changes.len());
    for (no, (row, change)) in rows.iter().zip(&changes).enumerate() {
        let name = format!("{change:?}");
        let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap();
        assert!(row.starts_with(&format!("| {no} {name} |")), "{row}: not {no} {name}");
    }
}

/// A pair of which every field is another.
fn a_pair(options: PairOptions, dp: TrackMap) -> Pair {
    let id = PairId { no: 300, epoch: 7 };
    let mut pair = Pair::new(id, P, S, dp.track_count(), options, true);
    (pair.status, pair.phase) = (PairStatus::CopyInProgress, Phase::Resync);
    (pair.image, pair.a_from, pair.copy_pointer) = (ImageNo(1_000), ImageNo(900), TrackNo(17));
    (pair.copied_tracks, pair.protected_tracks, pair.begun_tracks) = (99, 3, 50);
    pair.begun_at = Time::from_ns(1_000_000);
    (pair.ds, pair.dp) = (TrackMap::full(dp.track_count()), dp);
    pair
}

/// The bytes are a format that outlives this code: where they change, so does its version.
#[test]
fn the_bytes_do_not_change() {
    let mut table = String::new();
    let mut line = |name: &str, bytes: Vec<u8>| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(table, "{name:<16}{hex}").unwrap();
    };
    let mut map = TrackMap::new(70);
    line("empty map", round_trip(&map));
    line("full map", round_trip(&TrackMap::full(70)));
    map.set_range(tracks(3, 60));
    line("one run", round_trip(&map));
    for track in (0..70).step_by(2) {
        map.set(TrackNo(track));
    }
    line("a page", round_trip(&map));

    let options = PairOptions {
        pace: Pace::FAST,
        lanes: 2,
        quick: true,
        limit: Some("300/s".parse().unwrap()),
    };
    line("options", round_trip(&options));
    line("latency", round_trip(&"500us".parse::<PaceLimit>().unwrap()));
    line("pair", round_trip(&a_pair(options, map)));

    let mut volume =
        Volume::new(LdevId::new(1, 0x2a), Geometry::with_tracks(128, 70), BackingId(8));
    (volume.backing, volume.reserved, volume.state) = (BackingId(9), true, VolumeState::Blocked);
    line("volume", round_trip(&volume));
    for change in changes(PairId { no: 1, epoch: 2 }, P, PairOptions::default(), 200, true) {
        let name = format!("{change:?}");
        let end = name.find(|c: char| !c.is_alphanumeric()).unwrap();
        line(&name[..end], round_trip(&change));
    }
    insta::assert_snapshot!(table, @r"
    empty map       0146
    full map        03468d01
    one run         03460673
    a page          0b4600fdffffffffffff5f15
    options         0f02010100ac02
    latency         01a0c21e
    pair            ac0207010200010002110f02010100ac020103468d010b4600fdffffffffffff5f1503468d0103468d01e807840701466303c0843d32
    volume          012a05800180460908010100014600
    AddPair         00010200010001000200030100000102050b0105010502050b0000010500000000
    RemovePair      010102
    Set             02010200c801cb01
    Clear           03010200c801cb01
    Copied          040102c80101
    Settling        050102c801
    Settled         06010202c801cb01c801cb01
    HostChange      070001c801cb01
    SecondaryChange 080001c801cb01
    Copy            090102c80103010000
    Resync          0a010203010000
    CopyBegins      0b0102c801
    Restore         0c010203010000
    AbandonRestore  0d0102
    Exchange        0e010201c80103010000
    Suspend         0f010201
    Unreadable      100102c801
    Options         11010203010000
    Allocate        120001c801cb01
    Deallocate      130001c801cb01
    Reserve         14000101
    Undefined       15000101
    HostWrote       160001c801
    VolumeState     17000102
    ");
}
