//! Cache memory 107 (Figs. 1 and 10A): pooled slots, their directory, the clean and dirty queues,
//! and the limits.
//!
//! A *slot* holds one track of one backing: its data, its check fields, and for each block whether
//! it is valid and whether it is dirty. Staged data enters by [`Cache::install`] (the cache's part
//! of steps 603 and 904), host data by [`Cache::begin_write`] and [`Cache::commit_write`] (step
//! 909), a copied track by [`Cache::put`] (steps 604 and 905), and dirty blocks leave by
//! [`Cache::next_dirty`] and [`Cache::destage_done`] (steps 605 and 906).
//!
//! | Type | What it is |
//! |---|---|
//! | [`Cache`] | the slots, under sharded locks |
//! | [`Admission`] | room that a job holds: buffers, and the right to make slots dirty |
//! | [`Pin`] | a look at a slot that no writer disturbs |
//! | [`SlotWrite`] | a change of a slot, unseen until it is committed |
//! | [`Destage`] | a snapshot of a dirty slot on its way to the drive |
//!
//! # Invariants
//!
//! - The cache knows neither drives nor pairs: a key is a backing and a track, and what is dirty
//!   stays until somebody says that it was written.
//! - **One copy-on-write rule.** A slot is written in place only while nobody has it pinned and its
//!   data is in no other slot; otherwise a copy is written and exchanged at the commit. The slot's
//!   pin count under its lock decides, never a handle's reference count.
//! - A clean slot nobody uses is on the clean list, and only those are evicted. Dirty data leaves by
//!   a destage, or because its track is dropped or purged; never for want of room.
//! - Dirty slots wait for their destage in queues, each backing in one: taking the next of a queue does
//!   not look at the others. What a queue is for, the caller knows.
//! - One destage of a track at a time, and it makes clean only what it wrote: a slot that was changed
//!   meanwhile stays dirty.
//! - A slot whose destage failed keeps its data until it is tried again or purged. It holds up no
//!   other volume: it does not count against the write-pending limit, and no flush of another backing
//!   waits for it or fails by it. Only its buffer is taken.
//! - An admission is granted only within the write-pending limit: permits and dirty slots, failed ones
//!   excepted, exceed it only by failed slots that are tried again. Buffers in use and promised never
//!   exceed the capacity; queues of waiters are bounded.
//! - Room is waited for while holding nothing, in the order of asking. A destage needs no room: a cache
//!   that is dirty through and through still makes progress.
//! - A slot knows the last record of its data in a log, and the first that is not on its drive. That
//!   one may be too old, never too new; what the numbers mean is the caller's business.
//! - A flush waits for what was dirty of its backing when it came, and is answered once.
//! - Lock order: the room, then one shard, then the buffer pool. Nothing is called out while a lock
//!   is held: who was granted something is returned as [`Wakes`] for the driver to deliver.
//! - No thread, no clock, no I/O. Memory is taken when a buffer is first used.
//!
//! A slot's check area is always there in memory; the fields of its valid blocks are true, the
//! others mean nothing.
//!
//! # Example
//!
//! ```
//! use diptych_cache::{Admit, Cache, CacheConfig, SlotKey};
//! use diptych_format::{BackingId, BlockMask, OwnerId, TrackNo};
//!
//! let cache = Cache::new(CacheConfig::new(16, 64 << 10))?;
//! let key = SlotKey { backing: BackingId(1), track: TrackNo(7) };
//!
//! // A host writes block 0.
//! let Admit::Granted(mut room) = cache.admit(OwnerId(1), 1, 1)? else { panic!("an empty cache") };
//! let mut write = cache.begin_write(key, 128, &mut room);
//! write.data_mut()[..512].fill(7);
//! let block = BlockMask::first(1);
//! cache.commit_write(write, block, &mut room);
//! cache.return_room(room);
//!
//! // It is there to read, and to destage.
//! let pin = cache.read(key, block).expect("a hit");
//! assert_eq!(pin.data()[..512], [7; 512]);
//! cache.unpin(pin);
//! let destage = cache.next_dirty(None).expect("a dirty slot");
//! assert_eq!(destage.dirty(), block);
//! cache.destage_done(destage, true);
//! assert_eq!(cache.counts().dirty_slots, 0);
//! # Ok::<(), diptych_cache::CacheError>(())
//! ```

mod cache;
mod config;
mod counts;
mod destage;
mod error;
mod list;
mod logged;
mod pin;
mod room;
mod shard;
mod siblings;
mod slot;
mod wait_clean;
mod write;

pub use cache::{Cache, DropOutcome};
pub use config::CacheConfig;
pub use counts::{CacheCounts, DestageNeed, QueueNeed};
pub use destage::{Destage, QueueNo};
pub use diptych_format::Wakes;
pub use error::CacheError;
pub use logged::LogHolders;
pub use pin::Pin;
pub use room::{Admission, Admit};
pub use slot::{SlotKey, SlotState};
pub use write::SlotWrite;
