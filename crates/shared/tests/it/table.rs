//! Tables: names, and what each change does in each status.

use crate::pair::{ID, P, S, memory_with};
use crate::tracks;
use diptych_format::{ImageNo, LdevId, PairId, TrackNo};
use diptych_shared::{
    Change, MapName, Pace, Pair, PairOptions, PairStatus, Phase, SIMPLEX, SharedError, TrackMap,
    VolumeState,
};
use std::fmt::Write as _;

/// A pair of 8 tracks in `status`, with C 0..2 (none in 804), DP 2..4, DS 4..6 (both none in 802)
/// and A 0..1; image 5 (none in 802, restoring and suspended), A from 3.
fn pair_in(status: PairStatus) -> Pair {
    let mut pair = Pair::new(ID, P, S, 8, PairOptions::default(), true);
    let map = |start, end| {
        let mut map = TrackMap::new(8);
        map.set_range(tracks(start, end));
        map
    };
    pair.status = status;
    pair.phase = Phase::Resync;
    pair.c = if status == PairStatus::Copied { map(0, 0) } else { map(0, 2) };
    if status != PairStatus::PairedNotCopied {
        (pair.dp, pair.ds) = (map(2, 4), map(4, 6));
    }
    let has_image = [PairStatus::CopyInProgress, PairStatus::Copied].contains(&status);
    (pair.a, pair.image, pair.a_from) =
        (map(0, 1), ImageNo(if has_image { 5 } else { 0 }), ImageNo(3));
    pair.copier = !matches!(status, PairStatus::Copied | PairStatus::Suspended);
    pair
}

fn bits(map: &TrackMap) -> String {
    let bit = |n| if map.get(TrackNo(n)) { '1' } else { '0' };
    (0..map.track_count()).map(bit).collect()
}

fn line(pair: &Pair) -> String {
    let maps = MapName::ALL.map(|name| format!("{name}={}", bits(pair.map(name)))).join(" ");
    let copier = if pair.copier { "on" } else { "off" };
    format!(
        "{maps} {}, {} copier {copier}, image {} from {}, at {}",
        pair.shown_as(),
        pair.options.pace,
        pair.image,
        pair.a_from,
        pair.copy_pointer
    )
}

/// What is done, in which statuses.
type Row = (&'static str, &'static [PairStatus], Vec<Change>);

fn rows() -> Vec<Row> {
    const ALL: [PairStatus; 5] = PairStatus::ALL;
    const COPYING: [PairStatus; 4] = [
        PairStatus::PairedNotCopied,
        PairStatus::CopyInProgress,
        PairStatus::Restoring,
        PairStatus::Suspended,
    ];
    const SPLIT: [PairStatus; 1] = [PairStatus::Copied];
    const SUSPENDABLE: [PairStatus; 4] = [
        PairStatus::PairedNotCopied,
        PairStatus::CopyInProgress,
        PairStatus::Copied,
        PairStatus::Suspended,
    ];
    const CHANGED: [PairStatus; 2] = [PairStatus::Copied, PairStatus::Suspended];
    let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
    let copied = |track, protecting| Change::Copied { pair: ID, track: TrackNo(track), protecting };
    let clear_c = Change::Clear { pair: ID, map: MapName::C, tracks: tracks(0, 8) };
    let host = Change::HostChange { primary: P, tracks: tracks(6, 8) };
    let secondary = Change::SecondaryChange { secondary: S, tracks: tracks(6, 8) };
    let copy = Change::Copy { pair: ID, image: ImageNo(9), options };
    let exchange = |freeze| Change::Exchange { pair: ID, freeze, options };
    let suspend = |all_different| Change::Suspend { pair: ID, all_different };
    vec![
        ("nothing", &ALL, vec![]),
        ("host change", &ALL, vec![host]),
        ("secondary change", &ALL[1..], vec![secondary]),
        ("copied 0", &COPYING, vec![copied(0, false)]),
        ("protected 1", &COPYING, vec![copied(1, true)]),
        ("copied 0, 1", &COPYING, vec![copied(0, false), copied(1, false)]),
        ("copy", &ALL[..1], vec![copy.clone()]),
        ("C cleared, copy", &ALL[..1], vec![clear_c, copy]),
        ("resync", &CHANGED, vec![Change::Resync { pair: ID, options }]),
        ("restore", &SPLIT, vec![Change::Restore { pair: ID, options }]),
        ("restore given up", &ALL[3..4], vec![Change::AbandonRestore { pair: ID }]),
        ("exchange", &SPLIT, vec![exchange(None)]),
        ("exchange, frozen", &SPLIT, vec![exchange(Some(ImageNo(9)))]),
        ("suspend", &SUSPENDABLE, vec![suspend(false)]),
        ("suspend, all", &SUSPENDABLE, vec![suspend(true)]),
    ]
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of them are the table")]
fn each_change_in_each_status() {
    let mut table = String::new();
    for (name, statuses, changes) in rows() {
        writeln!(table, "{name}").unwrap();
        for &status in statuses {
            let memory = memory_with(pair_in(status), 8);
            let after = memory.with_family(P, |family| {
                for change in &changes {
                    family.change(change.clone());
                }
                line(family.pair(ID).unwrap())
            });
            writeln!(table, "  {status:<28} {}", after.unwrap()).unwrap();
        }
    }
    insta::assert_snapshot!(table, @r"
    nothing
      paired and not copied        C=11000000 DP=00000000 DS=00000000 A=10000000 re-sync, medium copier on, image 0 from 3, at 0
      paired and copy in progress  C=11000000 DP=00110000 DS=00001100 A=10000000 SP-pending, medium copier on, image 5 from 3, at 0
      paired and copied            C=00000000 DP=00110000 DS=00001100 A=10000000 split, medium copier off, image 5 from 3, at 0
      restoring                    C=11000000 DP=00110000 DS=00001100 A=10000000 resync-reverse, medium copier on, image 0 from 3, at 0
      suspended                    C=11000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    host change
      paired and not copied        C=11000011 DP=00000000 DS=00000000 A=10000011 re-sync, medium copier on, image 0 from 3, at 0
      paired and copy in progress  C=11000000 DP=00110011 DS=00001100 A=10000000 SP-pending, medium copier on, image 5 from 3, at 0
      paired and copied            C=00000000 DP=00110011 DS=00001100 A=10000000 split, medium copier off, image 5 from 3, at 0
      restoring                    C=11000000 DP=00110011 DS=00001100 A=10000000 resync-reverse, medium copier on, image 0 from 3, at 0
      suspended                    C=11000000 DP=00110011 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    secondary change
      paired and copy in progress  C=11000000 DP=00110000 DS=00001111 A=10000000 SP-pending, medium copier on, image 5 from 3, at 0
      paired and copied            C=00000000 DP=00110000 DS=00001111 A=10000000 split, medium copier off, image 5 from 3, at 0
      restoring                    C=11000000 DP=00110000 DS=00001111 A=10000000 resync-reverse, medium copier on, image 0 from 3, at 0
      suspended                    C=11000000 DP=00110000 DS=00001111 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    copied 0
      paired and not copied        C=01000000 DP=00000000 DS=00000000 A=10000000 re-sync, medium copier on, image 0 from 3, at 1
      paired and copy in progress  C=01000000 DP=00110000 DS=00001100 A=10000000 SP-pending, medium copier on, image 5 from 3, at 1
      restoring                    C=01000000 DP=00110000 DS=00001100 A=10000000 resync-reverse, medium copier on, image 0 from 3, at 1
      suspended                    C=01000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 1
    protected 1
      paired and not copied        C=10000000 DP=00000000 DS=00000000 A=10000000 re-sync, medium copier on, image 0 from 3, at 0
      paired and copy in progress  C=10000000 DP=00110000 DS=00001100 A=10000000 SP-pending, medium copier on, image 5 from 3, at 0
      restoring                    C=10000000 DP=00110000 DS=00001100 A=10000000 resync-reverse, medium copier on, image 0 from 3, at 0
      suspended                    C=10000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    copied 0, 1
      paired and not copied        C=00000000 DP=00000000 DS=00000000 A=10000000 duplex, medium copier on, image 0 from 3, at 2
      paired and copy in progress  C=00000000 DP=00110000 DS=00001100 A=10000000 split, medium copier on, image 5 from 3, at 2
      restoring                    C=00111100 DP=00000000 DS=00000000 A=10111100 re-sync, medium copier on, image 0 from 3, at 0
      suspended                    C=00000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 2
    copy
      paired and not copied        C=11000000 DP=00000000 DS=00000000 A=10000000 SP-pending, fast copier on, image 9 from 3, at 0
    C cleared, copy
      paired and not copied        C=00000000 DP=00000000 DS=00000000 A=10000000 split, fast copier on, image 9 from 3, at 0
    resync
      paired and copied            C=00111100 DP=00000000 DS=00000000 A=00111100 re-sync, fast copier on, image 0 from 5, at 0
      suspended                    C=11111100 DP=00000000 DS=00000000 A=11111100 re-sync, fast copier on, image 0 from 3, at 0
    restore
      paired and copied            C=00111100 DP=00000000 DS=00000000 A=11111111 resync-reverse, fast copier on, image 0 from 0, at 0
    restore given up
      restoring                    C=00000000 DP=11110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    exchange
      paired and copied            C=00111100 DP=00000000 DS=00000000 A=11111111 re-sync, fast copier on, image 0 from 0, at 0
    exchange, frozen
      paired and copied            C=00000000 DP=00111100 DS=00000000 A=11111111 split, medium copier off, image 9 from 0, at 0
    suspend
      paired and not copied        C=11000000 DP=00000000 DS=00000000 A=10000000 suspend, medium copier off, image 0 from 3, at 0
      paired and copy in progress  C=11000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
      paired and copied            C=00000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
      suspended                    C=11000000 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    suspend, all
      paired and not copied        C=11111111 DP=00000000 DS=00000000 A=10000000 suspend, medium copier off, image 0 from 3, at 0
      paired and copy in progress  C=11111111 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
      paired and copied            C=11111111 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
      suspended                    C=11111111 DP=00110000 DS=00001100 A=10000000 suspend, medium copier off, image 0 from 3, at 0
    ");
}

#[test]
fn names_are_those_of_the_figures() {
    let mut table = String::new();
    for status in PairStatus::ALL {
        let code = status.code().map_or("-".to_owned(), |code| code.to_string());
        let phases = [Phase::Idle, Phase::Pending, Phase::Resync, Phase::Duplex];
        let shown = phases.map(|phase| {
            let mut pair = pair_in(status);
            pair.phase = phase;
            pair.shown_as()
        });
        writeln!(table, "{code:<4}{status:<28}{}", shown.join(" ")).unwrap();
    }
    writeln!(table, "no pair: {SIMPLEX}").unwrap();
    writeln!(table, "{}", VolumeState::ALL.map(|state| state.to_string()).join(" ")).unwrap();
    let paces = (1..=15).map(|tracks| Pace::try_from(tracks).unwrap().to_string());
    writeln!(table, "{}", paces.collect::<Vec<_>>().join(" ")).unwrap();
    insta::assert_snapshot!(table, @r"
    802 paired and not copied       idle pending re-sync duplex
    803 paired and copy in progress SP-pending SP-pending SP-pending SP-pending
    804 paired and copied           split split split split
    -   restoring                   resync-reverse resync-reverse resync-reverse resync-reverse
    -   suspended                   suspend suspend suspend suspend
    no pair: simplex
    normal blocked format correct copying unknown
    slow 2 medium 4 5 6 7 8 9 10 11 12 13 14 fast
    ");
}

#[test]
fn paces_are_read() {
    let check = |text: &str, expected: Result<u8, SharedError>| {
        assert_eq!(text.parse::<Pace>().map(Pace::tracks), expected, "{text:?}");
    };
    check("slow", Ok(1));
    check("medium", Ok(3));
    check("fast", Ok(15));
    check("15", Ok(15));
    check("1", Ok(1));
    check("0", Err(SharedError::PaceOutOfRange { asked: 0 }));
    check("16", Err(SharedError::PaceOutOfRange { asked: 16 }));
    check("300", Err(SharedError::UnknownPace));
    check("quick", Err(SharedError::UnknownPace));
    check("", Err(SharedError::UnknownPace));
    for tracks in 1..=15 {
        check(&Pace::try_from(tracks).unwrap().to_string(), Ok(tracks));
    }
}

#[test]
fn error_texts() {
    let ldev = LdevId::new(0, 0x1A);
    let texts = [
        SharedError::UnknownVolume { ldev },
        SharedError::VolumeExists { ldev },
        SharedError::VolumePaired { ldev, pair: PairId { no: 7, epoch: 2 } },
        SharedError::VolumeClaimed { ldev, held_count: 1, queued_count: 3 },
        SharedError::TracksOutOfRange { ldev, tracks: tracks(4, 9), track_count: 8 },
        SharedError::TooManyVolumes { limit: 16 },
        SharedError::TooManyPairs { limit: 8 },
        SharedError::TooManyQueued { limit: 1_024 },
        SharedError::PaceOutOfRange { asked: 16 },
        SharedError::UnknownPace,
    ];
    insta::assert_snapshot!(texts.map(|error| error.to_string()).join("\n"), @r"
    there is no volume 00:1A
    there is a volume 00:1A already
    volume 00:1A is in pair 7.2
    volume 00:1A is in use: 1 claims held, 3 queued
    tracks 4..9 cannot be claimed of 00:1A, which has 8
    there are 16 volumes, the most there can be
    there are 8 pairs, the most there can be
    1024 claims are queued, the most there can be
    a pace is 1 to 15 tracks an elemental copy, not 16
    a pace is slow, medium, fast or 1 to 15 tracks an elemental copy
    ");
}
