//! Shared memory 110: pair information (Fig. 3), track maps (Fig. 4), claims.
//!
//! What the adapters of a control unit must know alike: which volumes there are, which are pairs,
//! which tracks differ, and who may touch which tracks now. All volumes joined by pairs are one
//! **family**, with the same track numbers; all that is known of a family is under one lock.
//!
//! | noun | what it is | figure |
//! |---|---|---|
//! | [`SharedMemory`] | the directory of volumes and the way to their families | 1: 110 |
//! | [`FamilyState`] | volumes, pairs and claims of one family | |
//! | [`Pair`] | pair number, status, volumes, copy pointer, and the pair's maps | 3: 300-305 |
//! | [`TrackMap`] | one bit a track, in a tree whose even parts cost nothing | 4: 401 |
//! | [`State`] | everything, at one instant; with the changes since then it is everything again | |
//! | [`Change`] | the only way anything changes | 5: 504; 6: 606-609; 8; 9: 901-907 |
//! | [`Claim`] | tracks of a family that one owner alone may touch | |
//!
//! Invariants:
//! - A family is changed by [`FamilyState::change`] alone, and by plain data, so that every change
//!   can be recorded and applied again.
//! - The status of a pair and its C move together: the change that empties C in 803 makes it 804.
//! - In 803 a track whose C is set does not change (I1): [`Change::HostChange`] refuses.
//! - No two held claims of a family overlap, and no claim overtakes an earlier one that it overlaps.
//! - No claim waits for ever in a family that was merged or split: it is answered `Moved`.
//! - Pair numbers come back with another epoch, families and owners never.
//! - A memory with a [`Recorder`] tells it each change that outlives the unit, in the order of memory.
//! - A memory with a [`Watcher`] tells it when what hosts may do with a volume changes, at that moment.
//! - What is absent: drives, slots, payload, host commands, threads, clocks. Nothing here waits; a
//!   claim that has to is queued, and a release says whom to wake. Whether a command is allowed is
//!   the control unit's business; here an impossible change is a broken invariant.
//!
//! # Example
//!
//! ```
//! use diptych_format::{BackingId, Geometry, ImageNo, LdevId, OwnerId, TrackNo, TrackRange};
//! use diptych_shared::{Change, Claimed, Pair, PairOptions, PairStatus, SharedMemory, Volume};
//!
//! let memory = SharedMemory::default();
//! let (primary, secondary) = (LdevId::new(0, 1), LdevId::new(0, 2));
//! for (ldev, backing) in [(primary, 1), (secondary, 2)] {
//!     memory.add_volume(Volume::new(ldev, Geometry::with_tracks(128, 4), BackingId(backing)))?;
//! }
//!
//! // Create a pair: claim both families, merge them, add the pair.
//! let owner = OwnerId(1);
//! let Claimed::Granted(a, ()) = memory.claim_family(owner, primary, |_| ())? else { return Ok(()) };
//! let Claimed::Granted(b, ()) = memory.claim_family(owner, secondary, |_| ())? else { return Ok(()) };
//! let (claim, _wakes) = memory.merge(a, b);
//! let (id, options) = (memory.allocate_pair()?, PairOptions::default());
//! let pair = Pair::new(id, primary, secondary, 4, options, true);
//! claim.with(|family| family.change(Change::AddPair(Box::new(pair))));
//!
//! // Copy it: the image is the primary at this instant; the last track copied completes it.
//! claim.with(|family| family.change(Change::Copy { pair: id, image: ImageNo(1), options }));
//! let _wakes = claim.release();
//! for track in TrackRange::new(TrackNo(0), 4).iter() {
//!     let copied = Change::Copied { pair: id, track, protecting: false };
//!     memory.with_family(primary, |family| family.change(copied))?;
//! }
//! let status = memory.with_family(primary, |family| family.pair(id).map(|pair| pair.status))?;
//! assert_eq!(status, Some(PairStatus::Copied));
//! # Ok::<(), diptych_shared::SharedError>(())
//! ```

mod allows;
mod change;
mod claim;
mod claims;
mod error;
mod family;
mod map;
mod map_bytes;
mod map_node;
mod memory;
mod pace;
mod pace_limit;
mod pair;
mod pair_bytes;
mod pair_change;
mod pair_numbers;
mod recorder;
mod regroup;
mod replay;
mod replay_error;
mod state;
mod volume;
mod watcher;

pub use change::{Change, Transition};
pub use claim::{Claim, Claimed, QueuedClaim};
pub use claims::{ClaimTable, Grant};
pub use diptych_format::Wakes;
pub use error::SharedError;
pub use family::FamilyState;
pub use map::TrackMap;
pub use map_bytes::MapBytesError;
pub use memory::{Limits, SharedMemory};
pub use pace::Pace;
pub use pace_limit::PaceLimit;
pub use pair::{MapName, Pair, PairOptions, PairStatus, Phase, SIMPLEX};
pub use recorder::Recorder;
pub use replay_error::{ReplayError, StateError};
pub use state::State;
pub use volume::{Volume, VolumeState};
pub use watcher::Watcher;
