//! A track cache alone: a small cache in front of a "drive" that is an array, with more tracks than
//! slots. It shows what is admitted, what waits, what is destaged and what is evicted.
//!
//! `cargo run -p diptych-cache --example track_cache`
#![allow(clippy::print_stdout)] // an example shows what it does

use diptych_cache::{Admit, Cache, CacheConfig, CacheError, SlotKey};
use diptych_format::{BackingId, BlockMask, CheckArea, OwnerId, TrackNo};

const BLOCKS_PER_TRACK: u64 = 8;
const TRACK_BYTES: usize = 8 * 512;

fn key(track: u64) -> SlotKey {
    SlotKey { backing: BackingId(1), track: TrackNo(track) }
}

/// Writes the oldest dirty slot to the drive. A destage needs no room.
fn destage(cache: &Cache, drive: &mut [[u8; TRACK_BYTES]]) -> bool {
    let Some(destage) = cache.next_dirty(None) else { return false };
    let track = destage.key().track.0;
    for run in destage.dirty().runs() {
        let bytes = run.start.0 as usize * 512..run.end.0 as usize * 512;
        drive[track as usize][bytes.clone()].copy_from_slice(&destage.pin().data()[bytes]);
    }
    println!("  destage track {track}: blocks {:?}", destage.dirty());
    for (owner, answer) in cache.destage_done(destage, true) {
        println!("  owner {owner}: {answer:?}");
    }
    true
}

fn main() -> Result<(), CacheError> {
    let config =
        CacheConfig { shards: 1, write_pending_limit_slots: 3, ..CacheConfig::new(5, TRACK_BYTES) };
    let cache = Cache::new(config)?;
    let mut drive = [[0; TRACK_BYTES]; 6];

    println!("write a block of each of six tracks; at most three slots may be dirty");
    for track in 0..6 {
        let owner = OwnerId(track);
        let mut room = match cache.admit(owner, 1, 1)? {
            Admit::Granted(room) => room,
            Admit::Queued => {
                println!("  owner {owner} waits for room");
                destage(&cache, &mut drive);
                cache.admitted(owner)
            }
        };
        let mut write = cache.begin_write(key(track), BLOCKS_PER_TRACK, &mut room);
        write.data_mut()[..512].fill(b'A' + track as u8);
        cache.commit_write(write, BlockMask::first(1), &mut room);
        cache.return_room(room);
    }
    println!("{:#?}", cache.counts());

    println!("flush");
    let upto = cache.dirty_mark();
    let clean = cache.wait_clean(OwnerId(100), BackingId(1), upto)?;
    println!("  clean already: {clean}");
    while destage(&cache, &mut drive) {}

    println!("read track 0: it was evicted, so it is staged");
    if cache.read(key(0), BlockMask::first(BLOCKS_PER_TRACK)).is_none() {
        let Admit::Granted(mut room) = cache.admit(OwnerId(101), 1, 0)? else {
            unreachable!("clean slots can be evicted")
        };
        let mut data = cache.buffer(&mut room);
        data.bytes_mut().copy_from_slice(&drive[0]);
        let checks = CheckArea::zeroed(BLOCKS_PER_TRACK);
        cache.install(key(0), data, checks, BlockMask::first(BLOCKS_PER_TRACK));
        cache.return_room(room);
    }
    let pin = cache.read(key(0), BlockMask::first(1)).expect("staged just now");
    println!("  block 0 begins with {:?}", char::from(pin.data()[0]));
    cache.unpin(pin);
    println!("{:#?}", cache.counts());
    Ok(())
}
