//! Queues of dirty slots: each is destaged apart from the others.
#![cfg(not(diptych_loom))]

use diptych_cache::{Admit, Cache, CacheConfig, QueueNeed, QueueNo, SlotKey};
use diptych_format::{BLOCK_BYTES, BackingId, BlockMask, OwnerId, TrackNo};

const A: BackingId = BackingId(1);
const B: BackingId = BackingId(2);

fn key(backing: BackingId, track: u64) -> SlotKey {
    SlotKey { backing, track: TrackNo(track) }
}

fn write(cache: &Cache, key: SlotKey) {
    let Admit::Granted(mut room) = cache.admit(OwnerId(0), 1, 1).expect("a queue") else {
        panic!("room");
    };
    let write = cache.begin_write(key, 1, &mut room);
    assert_eq!(cache.commit_write(write, BlockMask::first(1), &mut room), []);
    assert_eq!(cache.return_room(room), []);
}

/// Destages everything that is offered; in which order.
fn destage_all(cache: &Cache) -> Vec<u64> {
    std::iter::from_fn(|| {
        let destage = cache.next_dirty(None)?;
        let track = destage.key().track.0;
        cache.destage_done(destage, true);
        Some(track)
    })
    .collect()
}

#[test]
fn a_queue_is_destaged_apart() {
    const QUEUE: QueueNo = QueueNo(2);
    let config = CacheConfig { shards: 1, ..CacheConfig::new(16, BLOCK_BYTES) };
    let cache = Cache::new(config).expect("a cache");
    cache.set_queue(B, QUEUE);
    for (backing, track) in [(A, 1), (B, 2), (A, 3), (B, 4)] {
        write(&cache, key(backing, track));
    }
    let need = |oldest, offered| QueueNeed { oldest_mark: oldest, offered_mark: offered };
    let nothing = need(None, None);
    assert_eq!(
        cache.needs_destage().queues,
        [need(Some(1), Some(1)), nothing, need(Some(2), Some(2))]
    );
    let stuck = cache.next_dirty_of(QUEUE, None).unwrap();
    assert_eq!(stuck.key(), key(B, 2));
    assert!(cache.next_dirty_of(QUEUE, Some(3)).is_none(), "4 became dirty later");
    assert!(cache.next_dirty_of(QueueNo(1), None).is_none());
    assert_eq!(
        cache.needs_destage().queues,
        [need(Some(1), Some(1)), nothing, need(Some(2), Some(4))]
    );
    // The others go on, whichever way they are asked for.
    let of_first = cache.next_dirty_of(QueueNo::default(), None).unwrap();
    assert_eq!(of_first.key(), key(A, 1));
    cache.destage_done(of_first, true);
    assert_eq!(destage_all(&cache), [3, 4]);
    cache.put_back(stuck);
    assert_eq!(cache.next_dirty_of(QUEUE, None).map(|again| again.key()), Some(key(B, 2)));
    // A backing that is forgotten is in the first; slots stay where they are.
    cache.forget_queue(B);
    write(&cache, key(B, 5));
    assert_eq!(cache.next_dirty_of(QueueNo::default(), None).unwrap().key(), key(B, 5));
}
